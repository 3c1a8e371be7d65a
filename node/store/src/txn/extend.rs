//! Moving a transaction's snapshot on: allowed as long as all that it read is still as it was.
//!
//! Intuition: who has read three lines of a book, and finds them unchanged in the new edition, may go on with the new
//! edition; nobody can tell that he did not begin there.
//! So a transaction need not begin again because a row that it had not looked at yet was written meanwhile. A row that
//! it read, and somebody else wrote, still ends it: no update is lost.
//! Source: Riegel, Felber, Fetzer, "A Lazy Snapshot Algorithm with Eager Validation", 2006.

use super::{Isolation, Txn};
use crate::op::{ReadKey, ReadRange, WriteSet};
use crate::store::Store;
use crate::table::TableId;
use crate::zoo::{self, Bug};
use plait_base::{Bytes, Seqno, Slot};

/// Keys and ranges that are remembered; a transaction that read more keeps its snapshot.
const KEYS_MAX: usize = 256;
const RANGES_MAX: usize = 32;
/// Keys that are looked at in ranges before a snapshot is kept after all.
const LOOKS_MAX: u32 = 4_096;
/// Keys of one statement that a session stands in line for.
const LOCKED_MAX: usize = 1_000;

type Range = (TableId, Option<usize>, Vec<u8>, Option<Vec<u8>>);

/// What was read without being noted for certification.
#[derive(Debug, Default)]
pub(super) struct Peeks {
    keys: Vec<(TableId, Vec<u8>)>,
    ranges: Vec<Range>,
    /// More was read than is remembered.
    lost_count: bool,
}

impl Peeks {
    pub fn key(&mut self, table: TableId, key: &[u8]) {
        if self.is_last(table, key) {
            return;
        }
        if self.keys.len() < KEYS_MAX {
            self.keys.push((table, key.to_vec()));
        } else {
            self.give_up();
        }
    }

    pub fn range(&mut self, table: TableId, index: Option<usize>, from: Vec<u8>, to: Option<Vec<u8>>) {
        if self.ranges.len() < RANGES_MAX {
            self.ranges.push((table, index, from, to));
        } else {
            self.give_up();
        }
    }

    fn is_last(&self, table: TableId, key: &[u8]) -> bool {
        self.keys.last().is_some_and(|last| last.0 == table && last.1 == key)
    }

    /// A key that was read last, by the statement that now writes it, is certified: it need not be remembered, too.
    pub fn written(&mut self, table: TableId, key: &[u8]) {
        if self.is_last(table, key) {
            self.keys.pop();
        }
    }

    pub fn give_up(&mut self) {
        self.lost_count = true;
    }

    pub fn len(&self) -> (usize, usize) {
        (self.keys.len(), self.ranges.len())
    }

    pub fn truncate(&mut self, (keys, ranges): (usize, usize)) {
        self.keys.truncate(keys);
        self.ranges.truncate(ranges);
    }
}

impl Txn {
    pub(super) fn note_locked(&mut self, table: TableId, key: &[u8]) {
        if self.locked.len() < LOCKED_MAX {
            self.locked.push((table, key.to_vec()));
        }
    }

    /// Moves the snapshot on to what is applied now, if all that was read and written is as it was. Whether it did.
    pub(crate) fn extend(&mut self, store: &Store) -> bool {
        let (Some(at), now) = (self.snapshot, store.applied()) else { return false };
        // Each statement at READ COMMITTED sees a state of its own; what it wrote must stand all the same.
        let all = self.isolation != Isolation::ReadCommitted;
        if now <= at || self.galera || (all && self.peeks.lost_count) {
            return false;
        }
        let mut set = WriteSet::default();
        let place = |set: &mut WriteSet, id: TableId| {
            let version =
                store.tables.get(&id).filter(|table| table.dropped.is_none())?.info().schema_version;
            Some(set.tables.iter().position(|table| *table == (id, version)).unwrap_or_else(|| {
                set.tables.push((id, version));
                set.tables.len() - 1
            }))
        };
        for (id, part) in &self.tables {
            let Some(table) = place(&mut set, *id).filter(|at| set.tables[*at].1 == part.info.schema_version)
            else {
                return false;
            };
            let key = |key: &Vec<u8>, read_at: Seqno| ReadKey {
                table,
                key: Bytes::copy_from_slice(key),
                read_at,
                held: false,
            };
            set.reads.extend(part.writes.iter().map(|(k, write)| key(k, write.read_at)));
            set.reads.extend(part.reads.iter().map(|(k, read_at)| key(k, *read_at)));
            set.ranges.extend(part.ranges.iter().map(|range| ReadRange {
                table,
                index: range.index,
                from: Bytes::copy_from_slice(&range.from),
                to: range.to.as_deref().map(Bytes::copy_from_slice),
                read_at: range.read_at,
            }));
        }
        if all {
            for (id, key) in &self.peeks.keys {
                let Some(table) = place(&mut set, *id) else { return false };
                let key = Bytes::copy_from_slice(key);
                set.reads.push(ReadKey { table, key, read_at: at, held: false });
            }
            for (id, index, from, to) in &self.peeks.ranges {
                let Some(table) = place(&mut set, *id) else { return false };
                let (from, to) = (Bytes::copy_from_slice(from), to.as_deref().map(Bytes::copy_from_slice));
                set.ranges.push(ReadRange { table, index: *index, from, to, read_at: at });
            }
        }
        let (mut budget, origin) = (LOOKS_MAX, Slot::ALL[0]);
        let stands = set.reads.iter().all(|read| store.certify_read(&set, read, origin).is_ok())
            && (0..set.ranges.len()).all(|range| {
                matches!(store.certify_range(&set, range, &mut None, origin, &mut budget), Some(Ok(())))
            });
        let moves = stands || zoo::on(Bug::SnapshotMovesBlindly);
        if moves {
            self.snapshot = Some(now);
        }
        moves
    }
}
