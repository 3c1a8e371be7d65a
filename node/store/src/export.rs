//! Export and import: the state at a position as (key, value) rows, for checkpoints and for joining nodes.
//!
//! Intuition: versions make an export cheap. It picks a position and walks, while newer operations are applied.
//! Invariant: the rows of an export at `n` hash to the state digest after `n`; an import of them with the head of
//! `n` goes on exactly as the store that was exported.
//! Not here: where the rows go (replica, host).

use crate::Settings;
use crate::apply::used_id;
use crate::catalogue;
use crate::key::Key;
use crate::store::{ROWS, Store, TABLES, TOMBSTONE_BYTES, row_key, row_value, table_key};
use crate::table::{Body, Entry, Table, TableId, Version};
use plait_base::codec::{self, Reader, Writer};
use plait_base::{Bytes, Digest, FORMAT, Seqno, SetHash};
use std::ops::Bound;

/// Part of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// In key order; `None` removes a row that an export at `since` had.
    pub rows: Vec<(Bytes, Option<Bytes>)>,
    /// The cursor for the next call; `None` when this was the last chunk.
    pub next: Option<Vec<u8>>,
}

struct Filling<'a> {
    chunk: Chunk,
    bytes: usize,
    bytes_max: usize,
    budget: &'a mut u32,
}

impl Filling<'_> {
    /// Whether there is room for one more look.
    fn room(&mut self) -> bool {
        if *self.budget == 0 || self.bytes >= self.bytes_max {
            return false;
        }
        *self.budget -= 1;
        true
    }

    fn push(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        self.chunk.rows.push((key.into(), value.map(Bytes::from)));
    }
}

impl Store {
    /// Rows of the state at the published position `at` that changed after `since` (zero: all of them), from
    /// `cursor` on (empty: from the start). While an export at `at` is under way, [`collect`](Store::collect) must
    /// not be called with more than `at`. An incremental export must not go back further than
    /// [`incremental_from`](Store::incremental_from).
    pub fn export(
        &self,
        at: Seqno,
        since: Seqno,
        cursor: &[u8],
        bytes_max: usize,
        budget: &mut u32,
    ) -> Chunk {
        assert!(at <= self.applied, "an export is of a published position");
        assert!(
            since == Seqno::ZERO || since >= self.incremental_from(),
            "an incremental export knows all removals since its base"
        );
        let mut out = Filling { chunk: Chunk::default(), bytes: 0, bytes_max: bytes_max.max(1), budget };
        let stopped = match cursor.first() {
            None => self
                .export_tables(at, since, None, &mut out)
                .or_else(|| self.export_rows(at, since, None, &mut out)),
            Some(&TABLES) => self
                .export_tables(at, since, Some(id_in(cursor)), &mut out)
                .or_else(|| self.export_rows(at, since, None, &mut out)),
            Some(_) => self.export_rows(at, since, Some((id_in(cursor), &cursor[5..])), &mut out),
        };
        Chunk { next: stopped, ..out.chunk }
    }

    /// Where it stopped, if it did.
    fn export_tables(
        &self,
        at: Seqno,
        since: Seqno,
        after: Option<TableId>,
        out: &mut Filling<'_>,
    ) -> Option<Vec<u8>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = after;
        for (id, table) in self.tables.range((from, Bound::Unbounded)) {
            if !out.room() {
                // An empty cursor is the start, which is right when nothing was looked at.
                return Some(last.map_or_else(Vec::new, |id| table_key(id).to_vec()));
            }
            last = Some(*id);
            if table.exists_at(at) {
                let head = table.head_at(at).expect("a head is as old as its table");
                if head.seqno > since {
                    out.push(table_key(*id).to_vec(), Some(catalogue::value(head)));
                }
            } else if removed_since(table, at, since) {
                out.push(table_key(*id).to_vec(), None);
            }
        }
        None
    }

    fn export_rows(
        &self,
        at: Seqno,
        since: Seqno,
        after: Option<(TableId, &[u8])>,
        out: &mut Filling<'_>,
    ) -> Option<Vec<u8>> {
        let from = after.map_or(TableId(0), |(id, _)| id);
        for (id, table) in self.tables.range(from..) {
            let exists = table.exists_at(at);
            let touched = if exists { table.changed > since } else { removed_since(table, at, since) };
            if !touched {
                continue;
            }
            let mut last = after.filter(|(there, _)| there == id).map(|(_, key)| key);
            let lo = last.map_or(Bound::Unbounded, Bound::Excluded);
            for (key, entry) in table.rows.range::<[u8], _>((lo, Bound::Unbounded)) {
                if !out.room() {
                    return Some(row_key(*id, last.unwrap_or_default()));
                }
                last = Some(key);
                if !exists {
                    out.push(row_key(*id, key), None);
                    continue;
                }
                let Some(version) = entry.at(at) else { continue };
                let forgotten = match version.body {
                    Body::Tombstone { purged } => (purged > Seqno::ZERO && purged <= at).then_some(purged),
                    Body::Row(_) => None,
                };
                if let Some(purged) = forgotten {
                    if since > Seqno::ZERO && purged > since {
                        out.push(row_key(*id, key), None);
                    }
                } else if version.seqno > since {
                    // A tombstone that was purged later was still remembered at `at`.
                    let then = match &version.body {
                        Body::Tombstone { .. } => {
                            &Version { seqno: version.seqno, body: Body::Tombstone { purged: Seqno::ZERO } }
                        }
                        Body::Row(_) => version,
                    };
                    let value = row_value(then).expect("it was part of the state at that time");
                    out.push(row_key(*id, key), Some(value));
                }
            }
        }
        None
    }

    /// The least `since` of an incremental export that is sure to tell every removal. After an import this is the
    /// imported position: a checkpoint over an older generation must then be a whole one.
    pub fn incremental_from(&self) -> Seqno {
        self.forgotten
    }

    /// Everything that is not a row: position, chain, digest of the rows, horizon, settings, counters. Taken while
    /// nothing unpublished is pending.
    pub fn head(&self) -> Bytes {
        assert!(self.work.is_none() && self.newest == self.applied, "a head is of a published position");
        let mut w = Writer::with_capacity(160);
        w.u16(FORMAT).u64(self.applied.0).raw(&self.chain.0).raw(&self.state.digest().0);
        w.u64(self.horizon.0).u32(self.next_table).u64(self.catalogue_changed.0);
        self.settings.encode(&mut w);
        let check = Digest::of(&[&w.0]);
        w.raw(&check.0);
        w.finish()
    }
}

/// Whether a table was part of an export at `since` and is no part of one at `at`.
fn removed_since(table: &Table, at: Seqno, since: Seqno) -> bool {
    table.info().created <= since && table.dropped.is_some_and(|dropped| dropped > since && dropped <= at)
}

fn id_in(cursor: &[u8]) -> TableId {
    let id = cursor.get(1..5).and_then(|id| id.try_into().ok());
    TableId(u32::from_be_bytes(id.expect("a cursor comes from an earlier chunk")))
}

/// A head in words, for who looks at a checkpoint or a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub seqno: Seqno,
    pub chain: Digest,
    /// Of all rows.
    pub state: Digest,
    pub horizon: Seqno,
    pub settings: Settings,
    next_table: u32,
    catalogue_changed: Seqno,
}

impl Head {
    pub fn decode(bytes: &[u8]) -> Result<Head, String> {
        let read = || -> Result<(Head, Digest), codec::Error> {
            let mut r = Reader::new(bytes);
            match r.u16()? {
                FORMAT => {}
                other => return Err(codec::Error::Format(other)),
            }
            let digest = |r: &mut Reader<'_>| r.raw(32).map(|raw| Digest(raw.try_into().expect("32 bytes")));
            let head = Head {
                seqno: Seqno(r.u64()?),
                chain: digest(&mut r)?,
                state: digest(&mut r)?,
                horizon: Seqno(r.u64()?),
                next_table: r.u32()?,
                catalogue_changed: Seqno(r.u64()?),
                settings: Settings::decode(&mut r)?,
            };
            let check = digest(&mut r)?;
            r.end()?;
            Ok((head, check))
        };
        let (head, check) = read().map_err(|error| format!("the head of the state {error}"))?;
        if Digest::of(&[&bytes[..bytes.len() - 32]]) != check {
            return Err("the head of the state does not match its checksum".into());
        }
        Ok(head)
    }
}

/// The position of a head, if it is whole.
pub fn head_seqno(head: &[u8]) -> Option<Seqno> {
    Head::decode(head).ok().map(|head| head.seqno)
}

/// Makes a store from exported rows, which come in key order.
pub struct Importer {
    store: Store,
    hash: SetHash,
}

impl Importer {
    /// The settings count only for an empty state; otherwise those of the head do.
    pub fn new(settings: Settings, map_key: u64) -> Importer {
        Importer { store: Store::new(settings, map_key), hash: SetHash::default() }
    }

    pub fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), codec::Error> {
        let mut r = Reader::new(key);
        let kind = r.u8()?;
        let id = TableId(u32::from_be_bytes(r.raw(4)?.try_into().expect("four bytes")));
        match kind {
            TABLES => {
                r.end()?;
                let mut table = catalogue::read(id, value)?;
                Store::hash_in(&mut self.hash, &mut table.hash, key, value);
                self.store.add_table(table);
            }
            ROWS => {
                let place = r.raw(r.left())?;
                let unknown = codec::Error::Tag { what: "a row's table", tag: id.0.into() };
                let table = self.store.tables.get_mut(&id).ok_or(unknown)?;
                let mut r = Reader::new(value);
                let tag = r.u8()?;
                let seqno = Seqno(r.varint()?);
                let body = match tag {
                    0 => {
                        let bytes = place.len() as u64 + TOMBSTONE_BYTES;
                        table.tombstone_bytes += bytes;
                        self.store.tombstone_bytes += bytes;
                        self.store.tombstones.insert((seqno, id, Key::from(place)));
                        Body::Tombstone { purged: Seqno::ZERO }
                    }
                    1 => {
                        let row = r.raw(r.left())?;
                        if !crate::row::whole(row, table.info().def.columns.len()) {
                            return Err(codec::Error::Tag { what: "a row's cells", tag: row.len() as u64 });
                        }
                        table.live += 1;
                        let used = used_id(table.info(), place, row);
                        table.known_max = table.known_max.max(used.unwrap_or(0));
                        Body::Row(row.into())
                    }
                    tag => return Err(codec::Error::Tag { what: "a version", tag: tag.into() }),
                };
                r.end()?;
                Store::hash_in(&mut self.hash, &mut table.hash, key, value);
                table.changed = table.changed.max(seqno);
                let version = Version { seqno, body };
                let info = std::sync::Arc::clone(table.info());
                crate::index::enter(&mut table.indexes, &info.def, place, None, &version);
                table.rows.insert(Key::from(place), Entry::new(version));
            }
            tag => return Err(codec::Error::Tag { what: "a row of the state", tag: tag.into() }),
        }
        Ok(())
    }

    /// The store, if what came is what the head says; else why not.
    pub fn finish(self, head: &[u8]) -> Result<Store, String> {
        let head = Head::decode(head)?;
        let Importer { mut store, hash } = self;
        if hash.digest() != head.state {
            return Err(format!(
                "the rows of the state hash to {}, and its head at seqno {} says {}",
                hash.digest(),
                head.seqno,
                head.state
            ));
        }
        store.settings = head.settings;
        store.applied = head.seqno;
        store.newest = head.seqno;
        store.forgotten = head.seqno;
        store.chain = head.chain;
        store.state = hash;
        store.horizon = head.horizon;
        store.next_table = head.next_table;
        store.catalogue_changed = head.catalogue_changed;
        // Which rows left which place before is not known here.
        let indexes = store.tables.values_mut().flat_map(|table| &mut table.indexes);
        indexes.for_each(|index| index.left = head.seqno);
        store.refer();
        Ok(store)
    }
}
