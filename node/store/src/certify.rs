//! Certification: whether what a write-set read and wrote still stands as it was, judged by newest versions alone.
//!
//! Invariant: a verdict depends on the operations before it, never on what was collected: an index may have entries
//! without a newest version here and not there, and none of them is looked at.
//! Not here: what is then written (`apply`).

use crate::apply::{PRIMARY, duplicate};
use crate::error::Error;
use crate::key::{self, Key};
use crate::op::{ReadKey, RowChange, RowOp, WriteSet};
use crate::store::Store;
use crate::table::{Entry, Table, TableInfo};
use crate::zoo::{self, Bug};
use crate::{index, row};
use plait_base::{Seqno, Slot};
use std::collections::BTreeSet;
use std::ops::Bound;

impl Store {
    pub(crate) fn certify_row(&self, set: &WriteSet, at: usize, origin: Slot) -> Result<(), Error> {
        let row = &set.rows[at];
        let ascends = |before: &RowOp| (before.table, &before.key) < (row.table, &row.key);
        if at > 0 && !ascends(&set.rows[at - 1]) {
            return Err(Error::Internal { why: "the rows of a write-set must ascend, each key once".into() });
        }
        let table = &self.tables[&set.tables[row.table].0];
        let entry = table.rows.get(row.key.as_ref());
        self.certify_entry(table, entry, &row.key, row.read_at, origin)?;
        let now = entry.and_then(|entry| entry.newest.row());
        let columns = table.info().def.columns.len();
        let astray = |what: &str| {
            let (name, key) = (table.info().name(), key::show(&row.key));
            Err(Error::Internal {
                why: format!(
                    "row {key} of {name} {what}, although nobody wrote it after seqno {}: the node that proposed \
                     this does not hold what the others hold",
                    row.read_at
                ),
            })
        };
        match (&row.change, now) {
            (RowChange::Insert(new), None) if row::whole(new, columns) => Ok(()),
            (RowChange::Insert(_), None) => astray("would not have a cell for each column"),
            (RowChange::Insert(_), Some(_)) => Err(duplicate(table.info(), PRIMARY, &row.key)),
            (RowChange::Update { .. } | RowChange::Delete { .. }, None) => astray("is not there"),
            (RowChange::Update { before, cells }, Some(now)) => {
                if defended() && row::hash(now) != *before {
                    astray("has another hash")
                } else if cells.iter().any(|(at, cell)| *at >= columns || !row::whole(cell, 1)) {
                    astray("does not have the cells that would change")
                } else {
                    Ok(())
                }
            }
            (RowChange::Delete { before }, Some(now)) if !defended() || row::hash(now) == *before => Ok(()),
            (RowChange::Delete { .. }, Some(_)) => astray("has another hash"),
        }
    }

    pub(crate) fn certify_read(&self, set: &WriteSet, read: &ReadKey, origin: Slot) -> Result<(), Error> {
        let table = &self.tables[&set.tables[read.table].0];
        let entry = table.rows.get(read.key.as_ref());
        let there = entry.is_some_and(|entry| entry.newest.row().is_some());
        if read.held && there {
            return Ok(());
        }
        self.certify_entry(table, entry, &read.key, read.read_at, origin)?;
        if read.held && defended() {
            let (name, key, at) = (table.info().name(), key::show(&read.key), read.read_at);
            let why = format!("row {key} of {name} is not there, although nobody wrote it after seqno {at}");
            return Err(Error::Internal { why });
        }
        Ok(())
    }

    /// A key is in conflict exactly if its newest version, a tombstone too, is later than the read.
    pub(crate) fn certify_entry(
        &self,
        table: &Table,
        entry: Option<&Entry>,
        key: &[u8],
        read_at: Seqno,
        origin: Slot,
    ) -> Result<(), Error> {
        match entry {
            Some(entry) if self.lost(entry, read_at, origin) => {
                Err(conflict(table.info(), key, read_at, entry.newest.seqno))
            }
            _ => Ok(()),
        }
    }

    /// A range is in conflict exactly if a key in it is. `None`: the budget is spent.
    pub(crate) fn certify_range(
        &self,
        set: &WriteSet,
        at: usize,
        from: &mut Option<Key>,
        origin: Slot,
        budget: &mut u32,
    ) -> Option<Result<(), Error>> {
        let range = &set.ranges[at];
        let table = &self.tables[&set.tables[range.table].0];
        if range.index.is_some_and(|at| at >= table.indexes.len()) {
            let why = "a write-set read through a key that its table has not got".to_owned();
            return Some(Err(Error::Internal { why }));
        }
        let last = from.take();
        let lo = match &last {
            Some(last) => Bound::Excluded::<&[u8]>(last),
            None => Bound::Included::<&[u8]>(&range.from),
        };
        let hi = range.to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded::<&[u8]>(to));
        let empty = match (&lo, &hi) {
            (Bound::Included(lo) | Bound::Excluded(lo), Bound::Excluded(hi)) => lo >= hi,
            _ => false,
        };
        if empty || zoo::on(Bug::RangesDropped) {
            return Some(Ok(()));
        }
        if let Some(at) = range.index {
            // A row that was read and has left is among the keys that were read; who came and left again was never
            // there. So only who stands here now counts, and nothing that was collected.
            let def = &table.info().def.indexes[at];
            for place in table.indexes[at].entries.range::<[u8], _>((lo, hi)) {
                if *budget == 0 {
                    return None;
                }
                *budget -= 1;
                *from = Some(place.clone());
                let (values, key) = index::split(def, place);
                let Some(entry) = table.rows.get(key) else { continue };
                if self.lost(entry, range.read_at, origin) && index::stands(def, Some(&entry.newest), values)
                {
                    *from = None;
                    return Some(Err(conflict(table.info(), key, range.read_at, entry.newest.seqno)));
                }
            }
            *from = None;
            return Some(Ok(()));
        }
        for (key, entry) in table.rows.range::<[u8], _>((lo, hi)) {
            if *budget == 0 {
                return None;
            }
            *budget -= 1;
            *from = Some(key.clone());
            if self.lost(entry, range.read_at, origin) {
                *from = None;
                return Some(Err(conflict(table.info(), key, range.read_at, entry.newest.seqno)));
            }
        }
        *from = None;
        Some(Ok(()))
    }

    /// No two rows may come to stand in one place of a unique key: neither two of the write-set, nor one of it and
    /// one that it leaves where it is.
    pub(crate) fn certify_unique(
        &self,
        set: &WriteSet,
        at: usize,
        taken: &mut BTreeSet<(usize, usize, Vec<u8>)>,
        budget: &mut u32,
    ) -> Result<(), Error> {
        let op = &set.rows[at];
        let table = &self.tables[&set.tables[op.table].0];
        let info = table.info();
        if zoo::on(Bug::UniqueNotCertified) || !info.def.indexes.iter().any(|index| index.unique) {
            return Ok(());
        }
        let before = table.rows.get(op.key.as_ref()).and_then(|entry| entry.newest.row());
        let Some(after) = row_after(&op.change, before) else { return Ok(()) };
        for (n, def) in info.def.indexes.iter().enumerate().filter(|(_, def)| def.unique) {
            let (place, null) = index::place_of(def, &after);
            if null || before.is_some_and(|before| index::place_of(def, before).0 == place) {
                continue;
            }
            // Who stands there and is moved away by the same write-set is not in the way.
            let moves = |key: &[u8]| {
                let found =
                    set.rows.binary_search_by(|row| (row.table, row.key.as_ref()).cmp(&(op.table, key)));
                let Ok(found) = found else { return false };
                let before = table.rows.get(key).and_then(|entry| entry.newest.row());
                match (&set.rows[found].change, row_after(&set.rows[found].change, before)) {
                    (RowChange::Insert(_), _) => false,
                    // What is no row is refused at its turn.
                    (_, Some(after)) if row::whole(&after, info.def.columns.len()) => {
                        index::place_of(def, &after).0 != place
                    }
                    _ => true,
                }
            };
            let (holder, looks) = table.holder(n, &place, |key| key == op.key.as_ref() || moves(key));
            *budget = budget.saturating_sub(looks);
            if let Some(holder) = holder {
                let winner = table.rows[holder].newest.seqno;
                return Err(if winner > op.read_at {
                    conflict(info, holder, op.read_at, winner)
                } else {
                    duplicate(info, &def.name, &place)
                });
            }
            if !taken.insert((op.table, n, place.clone())) {
                return Err(duplicate(info, &def.name, &place));
            }
        }
        Ok(())
    }

    pub(crate) fn lost(&self, entry: &Entry, read_at: Seqno, origin: Slot) -> bool {
        let winner = entry.newest.seqno;
        if zoo::on(Bug::CertWindowOffByOne) {
            return winner > read_at.next();
        }
        let _ = origin;
        #[cfg(feature = "zoo")]
        if zoo::on(Bug::SameOriginSkipped) && self.origins.get(&winner) == Some(&origin) {
            return false;
        }
        winner > read_at
    }
}

/// The bugs that let a stale write through take the second line of defence down with the first, or they would show
/// as refusals and not as what they do in a store without it.
fn defended() -> bool {
    !(zoo::on(Bug::LastSeenAtCommit) || zoo::on(Bug::SameOriginSkipped) || zoo::on(Bug::CertWindowOffByOne))
}

/// A row after a change that was certified; `None`: it is gone.
fn row_after<'a>(change: &'a RowChange, before: Option<&[u8]>) -> Option<std::borrow::Cow<'a, [u8]>> {
    match change {
        RowChange::Insert(row) => Some(row.as_ref().into()),
        RowChange::Delete { .. } => None,
        RowChange::Update { cells, .. } => {
            row::patch(before?, cells.iter().map(|(at, cell)| (*at, cell.as_ref()))).map(Into::into)
        }
    }
}

fn conflict(info: &TableInfo, key: &[u8], read_at: Seqno, winner: Seqno) -> Error {
    Error::Conflict { table: info.name().to_owned(), key: key::show(key), read_at, winner }
}
