//! Walking a range of keys as a transaction sees it: the store's rows and its own writes, merged.
//!
//! Intuition: a finger on a page. It can be lifted after any row and put down behind it later.
//! Invariant: a range that was walked with a lock, or at `SERIALIZABLE`, is noted to be certified from its start to
//! its end or, if the visitor stopped, to the row that it saw last; absences in it count as read.

use super::{Range, Txn, Write};
use crate::error::Error;
use crate::key::{self, Key};
use crate::request::Isolation;
use crate::store::Store;
use crate::table::{Entry, TableInfo};
use plait_base::Seqno;
use std::collections::btree_map;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// Read ranges of one table that are certified one by one; beyond it the span that they lie in is certified.
const READ_RANGES_MAX: usize = 1_000;

/// Where a walk over a range of keys stands; kept between two slices of work.
#[derive(Debug, Clone)]
pub struct Scan {
    pub(super) info: Arc<TableInfo>,
    /// Through this secondary key; `None`: by the primary one.
    pub(super) index: Option<usize>,
    pub(super) from: Vec<u8>,
    pub(super) to: Option<Vec<u8>>,
    pub(super) lock: bool,
    /// For a foreign key.
    pub(super) foreign: bool,
    /// The last key that was looked at.
    pub(super) last: Option<Vec<u8>>,
}

/// Is shown the key and the bytes of a row, and says whether to go on.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Why a walk came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// The budget is spent; walk on with the same scan later.
    Yield,
    /// There are no more rows.
    End,
    /// The visitor had enough; walking on begins after the row that it saw last.
    Stopped,
}

impl Scan {
    /// Rows with `from <= key < to` as encoded keys, in key order; `to: None` is the end of the table. With
    /// `lock`, what is read is certified, as `FOR UPDATE` asks.
    pub fn new(info: Arc<TableInfo>, from: Vec<u8>, to: Option<Vec<u8>>, lock: bool) -> Scan {
        Scan { info, index: None, from, to, lock, foreign: false, last: None }
    }

    /// The same over places of a secondary key: rows come in its order.
    pub fn through(
        info: Arc<TableInfo>,
        index: usize,
        from: Vec<u8>,
        to: Option<Vec<u8>>,
        lock: bool,
    ) -> Scan {
        Scan { info, index: Some(index), from, to, lock, foreign: false, last: None }
    }

    pub fn info(&self) -> &Arc<TableInfo> {
        &self.info
    }
}

impl Txn {
    /// Walks on over a range, in key order, and shows each row's key and bytes to `each` as this transaction sees
    /// them, its own writes merged in; a unit of the budget for each key looked at.
    pub fn walk(
        &mut self,
        store: &Store,
        scan: &mut Scan,
        budget: &mut u32,
        each: &mut Visitor<'_>,
    ) -> Result<Walk, Error> {
        if scan.index.is_some() {
            return self.walk_places(store, scan, budget, each);
        }
        let at = self.at();
        let (lo, empty) = match (&scan.last, &scan.to) {
            (Some(last), to) => (Bound::Excluded(last.as_slice()), to.as_ref().is_some_and(|to| last >= to)),
            (None, to) => {
                (Bound::Included(scan.from.as_slice()), to.as_ref().is_some_and(|to| scan.from >= *to))
            }
        };
        let hi = scan.to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(to.as_slice()));
        let mut seen: Option<Vec<u8>> = None;
        let mut ended = Walk::End;
        let mut lost = None;
        let mut newest = Seqno::ZERO;
        let mut locked: Vec<Vec<u8>> = Vec::new();
        if !empty {
            let mut rows = store.tables.get(&scan.info.id).map(|t| t.rows.range::<[u8], _>((lo, hi)));
            let mut own = self.tables.get(&scan.info.id).map(|p| p.writes.range::<[u8], _>((lo, hi)));
            let mut merged = Merged {
                row: rows.as_mut().and_then(Iterator::next),
                write: own.as_mut().and_then(Iterator::next),
                rows,
                own,
            };
            let mut last: Option<&[u8]> = None;
            loop {
                if merged.row.is_none() && merged.write.is_none() {
                    break;
                }
                if *budget == 0 {
                    ended = Walk::Yield;
                    break;
                }
                *budget -= 1;
                let Some((key, entry, write)) = merged.next() else { break };
                last = Some(key);
                let row = match (write, entry) {
                    (Some(write), _) => write.now.as_deref(),
                    (None, Some(entry)) => {
                        if scan.lock && entry.newest.seqno > at {
                            newest = newest.max(entry.newest.seqno);
                            lost = Some(Error::Conflict {
                                table: scan.info.name().to_owned(),
                                key: key::show(key),
                                read_at: at,
                                winner: entry.newest.seqno,
                            });
                            break;
                        }
                        match entry.at(at) {
                            Some(version) => {
                                newest = newest.max(version.seqno);
                                version.row()
                            }
                            None => None,
                        }
                    }
                    (None, None) => unreachable!("one of the two was there"),
                };
                if scan.lock && write.is_none() && row.is_some() {
                    locked.push(key.to_vec());
                }
                if let Some(row) = row
                    && each(key, row).is_break()
                {
                    ended = Walk::Stopped;
                    break;
                }
            }
            seen = last.map(<[u8]>::to_vec);
        }
        self.rest_on(newest);
        if seen.is_some() {
            scan.last = seen;
        }
        if let Some(lost) = lost {
            return Err(lost);
        }
        if scan.lock {
            locked.iter().for_each(|key| self.note_locked(scan.info.id, key));
        }
        self.walked(scan, ended);
        Ok(ended)
    }

    /// Notes the part of a range that was walked over, once it was.
    pub(super) fn walked(&mut self, scan: &Scan, ended: Walk) {
        let to = match ended {
            Walk::Yield => return,
            Walk::Stopped => scan.last.as_ref().map(|last| key::after(last)),
            Walk::End => scan.to.clone(),
        };
        if scan.lock || self.isolation == Isolation::Serializable {
            self.note_range(scan, to);
        } else {
            self.peeks.range(scan.info.id, scan.index, scan.from.clone(), to);
        }
    }

    /// Notes what was walked over, up to `to`, to be certified.
    fn note_range(&mut self, scan: &Scan, to: Option<Vec<u8>>) {
        let read_at = self.at();
        let Scan { index, foreign, .. } = *scan;
        let range = Range { index, from: scan.from.clone(), to, read_at, foreign };
        let part = self.part(&scan.info);
        if !part.ranges.contains(&range) {
            part.ranges.push(range);
            if part.ranges.len() > READ_RANGES_MAX {
                part.coarsen();
                self.noted.clear();
            } else {
                self.noted.push((scan.info.id, None));
            }
        }
    }
}

/// Two ordered lists as one: the store's keys and the transaction's own.
struct Merged<'a> {
    rows: Option<btree_map::Range<'a, Key, Entry>>,
    own: Option<btree_map::Range<'a, Vec<u8>, Write>>,
    row: Option<(&'a Key, &'a Entry)>,
    write: Option<(&'a Vec<u8>, &'a Write)>,
}

impl<'a> Merged<'a> {
    #[allow(clippy::type_complexity)]
    fn next(&mut self) -> Option<(&'a [u8], Option<&'a Entry>, Option<&'a Write>)> {
        // Mostly the transaction wrote nothing here, or nothing more.
        if self.write.is_none() {
            let (key, entry) = self.row.take()?;
            self.row = self.rows.as_mut().and_then(Iterator::next);
            return Some((key, Some(entry), None));
        }
        let take_row = match (&self.row, &self.write) {
            (None, None) => return None,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some((row, _)), Some((write, _))) => ***row <= ***write,
        };
        let take_write = match (&self.row, &self.write) {
            (Some((row, _)), Some((write, _))) => ***write <= ***row,
            (None, Some(_)) => true,
            _ => false,
        };
        let row = if take_row { self.row.take() } else { None };
        let write = if take_write { self.write.take() } else { None };
        if take_row {
            self.row = self.rows.as_mut().and_then(Iterator::next);
        }
        if take_write {
            self.write = self.own.as_mut().and_then(Iterator::next);
        }
        let key = row.map(|(key, _)| &**key).or(write.map(|(key, _)| key.as_slice()))?;
        Some((key, row.map(|(_, entry)| entry), write.map(|(_, write)| write)))
    }
}
