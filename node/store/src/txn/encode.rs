//! What a transaction hands in: its write-set, as the bytes that are ordered.

use super::{Part, Range, Txn};
use crate::key;
use crate::op::{Op, ReadKey, ReadRange, RowChange, RowOp, WriteSet};
use crate::row;
use crate::store::Store;
use crate::zoo::{self, Bug};
use plait_base::Bytes;
use std::collections::BTreeMap;

impl Txn {
    /// The ordered operation of this transaction's commit; `None` if it wrote nothing. A transaction that only read
    /// saw one prefix of the order, and stands there.
    pub fn encode(&self, store: &Store) -> Option<Bytes> {
        assert!(self.cascades.is_empty(), "what follows from a change is done before the next");
        if !self.has_writes() {
            return None;
        }
        let mut set = WriteSet::default();
        for part in self.tables.values() {
            let untouched = part.writes.is_empty() && part.held.is_empty();
            if untouched && part.reads.is_empty() && part.ranges.is_empty() {
                continue;
            }
            let table = set.tables.len();
            set.tables.push((part.info.id, part.info.schema_version));
            for (key, write) in &part.writes {
                let (key, read_at) = (Bytes::copy_from_slice(key), write.read_at);
                let change = match (&write.base, &write.now) {
                    (None, Some(now)) => RowChange::Insert(Bytes::copy_from_slice(now)),
                    (Some(base), Some(now)) if base != now => RowChange::Update {
                        before: row::hash(base),
                        cells: (row::diff(base, now).into_iter())
                            .map(|(at, cell)| (at, Bytes::copy_from_slice(cell)))
                            .collect(),
                    },
                    (Some(base), None) => RowChange::Delete { before: row::hash(base) },
                    // Written and put back: it must still be as it was.
                    (None, None) | (Some(_), Some(_)) => {
                        set.reads.push(ReadKey { table, key, read_at, held: false });
                        continue;
                    }
                };
                set.rows.push(RowOp { table, key, read_at, change });
            }
            for (key, read_at) in &part.held {
                if !part.writes.contains_key(key) {
                    let (key, read_at) = (Bytes::copy_from_slice(key), *read_at);
                    set.reads.push(ReadKey { table, key, read_at, held: true });
                }
            }
            for (key, read_at) in part.reads.iter().filter(|_| !self.galera) {
                if !part.writes.contains_key(key) {
                    let (key, read_at) = (Bytes::copy_from_slice(key), *read_at);
                    set.reads.push(ReadKey { table, key, read_at, held: false });
                }
            }
            // Of the ranges Galera certifies none but those of foreign keys.
            for range in part.ranges.iter().filter(|range| range.foreign || !self.galera) {
                set.ranges.push(ReadRange {
                    table,
                    index: range.index,
                    from: Bytes::copy_from_slice(&range.from),
                    to: range.to.as_deref().map(Bytes::copy_from_slice),
                    read_at: range.read_at,
                });
            }
        }
        if zoo::on(Bug::LastSeenAtCommit) {
            let at = store.applied();
            set.rows.iter_mut().for_each(|row| row.read_at = at);
            set.reads.iter_mut().for_each(|read| read.read_at = at);
            set.ranges.iter_mut().for_each(|range| range.read_at = at);
        }
        let rows = set.rows.iter().map(|row| row.read_at);
        let reads = set.reads.iter().map(|read| read.read_at);
        let ranges = set.ranges.iter().map(|range| range.read_at);
        set.read_at = rows.chain(reads).chain(ranges).min().expect("a write was read for");
        Some(Op::WriteSet(set).encode())
    }
}

impl Part {
    /// Puts one range of each key, as early as the earliest read, in the place of all reads of this table.
    pub(super) fn coarsen(&mut self) {
        let mut spans = BTreeMap::new();
        let keys = self.reads.iter().map(|(key, at)| Range {
            index: None,
            from: key.clone(),
            to: Some(key::after(key)),
            read_at: *at,
            foreign: false,
        });
        for range in keys.chain(self.ranges.iter().cloned()) {
            let span = spans.entry((range.index, range.foreign)).or_insert_with(|| range.clone());
            let Range { from, to, read_at, .. } = range;
            span.from = span.from.clone().min(from);
            span.to = span.to.take().zip(to).map(|(a, b)| a.max(b));
            span.read_at = span.read_at.min(read_at);
        }
        self.reads.clear();
        self.ranges = spans.into_values().collect();
    }
}
