//! Secondary keys as a transaction sees them: the store's entries, less those of rows that it wrote itself, and its
//! own.
//!
//! Invariant: a row is seen in a place exactly if the row that this transaction reads has the values of that place.
//! What was read with a lock, or at `SERIALIZABLE`, is certified twice: the rows by their keys, since each may
//! change or leave, and the range, since another may come in.

use super::{Part, Scan, Txn, Visitor, Walk};
use crate::error::Error;
use crate::index::{self, stands};
use crate::key;
use crate::request::Isolation;
use crate::store::Store;
use crate::table::{Entry, TableInfo};
use crate::value::Value;
use std::ops::Bound;
use std::sync::Arc;

impl Part {
    /// A row that this transaction writes takes another place in each key.
    pub(super) fn moved(&mut self, key: &[u8], before: Option<&[u8]>, now: Option<&[u8]>) {
        let info = Arc::clone(&self.info);
        for (places, def) in self.places.iter_mut().zip(&info.def.indexes) {
            if let Some(row) = before {
                places.remove(&index::entry(index::place_of(def, row).0, key));
            }
            if let Some(row) = now {
                places.insert(index::entry(index::place_of(def, row).0, key));
            }
        }
    }
}

/// What a place is to a reader.
enum Seen<'s> {
    Row(&'s [u8], &'s [u8]),
    /// Nobody stands there.
    Nobody,
    /// Somebody wrote a row that stands or stood there after the snapshot.
    Lost(&'s [u8], &'s Entry),
}

impl Txn {
    pub(super) fn walk_places(
        &mut self,
        store: &Store,
        scan: &mut Scan,
        budget: &mut u32,
        each: &mut Visitor<'_>,
    ) -> Result<Walk, Error> {
        let (info, at) = (Arc::clone(&scan.info), self.at());
        let n = scan.index.expect("the caller looked");
        let def = &info.def.indexes[n];
        let Some(table) = store.tables.get(&info.id).filter(|table| same(table.info(), &info)) else {
            return Err(Error::SchemaChanged { table: info.name().to_owned() });
        };
        let certified = scan.lock || self.isolation == Isolation::Serializable;
        let lo = match &scan.last {
            Some(last) => Bound::Excluded(last.as_slice()),
            None => Bound::Included(scan.from.as_slice()),
        };
        let hi = scan.to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(to.as_slice()));
        let empty =
            matches!((lo, hi), (Bound::Included(lo) | Bound::Excluded(lo), Bound::Excluded(hi)) if lo >= hi);
        let part = self.tables.get(&info.id);
        let mut theirs = (!empty).then(|| table.indexes[n].entries.range::<[u8], _>((lo, hi)).peekable());
        let mut own =
            part.filter(|_| !empty).map(|part| part.places[n].range::<[u8], _>((lo, hi)).peekable());
        let mut last: Option<Vec<u8>> = None;
        let mut ended = Walk::End;
        let mut newest = table.indexes[n].left.min(at);
        let mut read: Vec<Vec<u8>> = Vec::new();
        let mut lost = None;
        loop {
            let first = theirs.as_mut().and_then(|theirs| theirs.peek().map(|entry| &***entry));
            let second = own.as_mut().and_then(|own| own.peek().map(|entry| entry.as_slice()));
            let (mine, both, entry) = match (first, second) {
                (None, None) => break,
                (Some(first), Some(second)) if second <= first => (true, second == first, second),
                (None, Some(second)) => (true, false, second),
                (Some(first), _) => (false, false, first),
            };
            if *budget == 0 {
                ended = Walk::Yield;
                break;
            }
            *budget -= 1;
            if mine {
                own.as_mut().and_then(Iterator::next);
            }
            if both || !mine {
                theirs.as_mut().and_then(Iterator::next);
            }
            let (place, key) = index::split(def, entry);
            let write = part.and_then(|part| part.writes.get(key));
            let seen = match (mine, write) {
                (true, Some(write)) => write.now.as_deref().map_or(Seen::Nobody, |row| Seen::Row(key, row)),
                // What this transaction wrote stands among its own places.
                (false, Some(_)) => Seen::Nobody,
                _ => match table.rows.get(key) {
                    None => Seen::Nobody,
                    Some(row) => {
                        let version = row.at(at);
                        let here = stands(def, version, place);
                        let newer = row.newest.seqno > at;
                        if let Some(version) = version {
                            newest = newest.max(version.seqno);
                        }
                        if scan.lock && newer && (here || stands(def, Some(&row.newest), place)) {
                            Seen::Lost(key, row)
                        } else if here {
                            let bytes = version.and_then(|version| version.row());
                            bytes.map_or(Seen::Nobody, |bytes| Seen::Row(key, bytes))
                        } else {
                            Seen::Nobody
                        }
                    }
                },
            };
            last = Some(entry.to_vec());
            match seen {
                Seen::Nobody => {}
                Seen::Lost(key, row) => {
                    let winner = row.newest.seqno;
                    newest = newest.max(winner);
                    let (table, key) = (info.name().to_owned(), key::show(key));
                    lost = Some(Error::Conflict { table, key, read_at: at, winner });
                    break;
                }
                Seen::Row(key, row) => {
                    if !mine {
                        read.push(key.to_vec());
                    }
                    if each(key, row).is_break() {
                        ended = Walk::Stopped;
                        break;
                    }
                }
            }
        }
        self.rest_on(newest);
        for key in &read {
            match certified {
                true => self.note_read(&info, key),
                false => self.peeks.key(info.id, key),
            }
            if scan.lock {
                self.note_locked(info.id, key);
            }
        }
        if last.is_some() {
            scan.last = last;
        }
        if let Some(lost) = lost {
            return Err(lost);
        }
        self.walked(scan, ended);
        Ok(ended)
    }

    /// Keys of rows, other than `except`, that hold a place of a unique key that `values` would take, each with its
    /// index; in the order of the indexes.
    pub(crate) fn rivals(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        except: &[&[u8]],
        values: &[Value],
    ) -> Result<Vec<(usize, Vec<u8>)>, Error> {
        let mut rivals = Vec::new();
        for (n, def) in info.def.indexes.iter().enumerate().filter(|(_, def)| def.unique) {
            let (place, null) = index::place(def, |column| values[column].clone());
            if null {
                continue;
            }
            let at = self.at();
            let Some(table) = store.tables.get(&info.id).filter(|table| same(table.info(), info)) else {
                return Err(Error::SchemaChanged { table: info.name().to_owned() });
            };
            let range = (Bound::Included(place.clone()), Bound::Excluded(key::past(&place)));
            let part = self.tables.get(&info.id);
            let own = part.into_iter().flat_map(|part| part.places[n].range(range.clone()));
            let own = own.map(|entry| index::split(def, entry).1).find(|key| !except.contains(key));
            if let Some(key) = own {
                rivals.push((n, key.to_vec()));
                continue;
            }
            let mut newest = table.indexes[n].left.min(at);
            let mut lost = None;
            for entry in table.indexes[n].entries.range::<[u8], _>((
                Bound::Included(place.as_slice()),
                Bound::Excluded(key::past(&place).as_slice()),
            )) {
                let key = index::split(def, entry).1;
                if except.contains(&key) || part.is_some_and(|part| part.writes.contains_key(key)) {
                    continue;
                }
                let Some(row) = table.rows.get(key) else { continue };
                let here = stands(def, row.at(at), &place);
                // Early refusal, as for a row itself.
                if row.newest.seqno > at && (here || stands(def, Some(&row.newest), &place)) {
                    lost = Some((key.to_vec(), row.newest.seqno));
                    break;
                }
                if here {
                    newest = newest.max(row.newest.seqno);
                    rivals.push((n, key.to_vec()));
                    break;
                }
            }
            self.rest_on(newest);
            if let Some((key, winner)) = lost {
                return Err(self.lost(info, &key, winner));
            }
        }
        Ok(rivals)
    }

    /// Refuses values that another row holds in a unique key.
    pub(super) fn unique(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        except: &[&[u8]],
        values: &[Value],
    ) -> Result<(), Error> {
        for def in &info.def.indexes {
            let (place, _) = index::place(def, |column| values[column].clone());
            let (got, max) = (place.len() as u64, key::KEY_BYTES_MAX as u64);
            if got > max {
                return Err(Error::TooLarge { what: "a key, in bytes,", got, max });
            }
        }
        match self.rivals(store, info, except, values)?.into_iter().next() {
            None => Ok(()),
            Some((n, key)) => {
                let def = &info.def.indexes[n];
                let (place, _) = index::place(def, |column| values[column].clone());
                Err(self.duplicate(info, &def.name, &place, &key))
            }
        }
    }
}

/// Whether two definitions are one and the same.
fn same(a: &TableInfo, b: &TableInfo) -> bool {
    a.schema_version == b.schema_version
}
