//! Foreign keys while a transaction runs: a child's row wants its parent, and a parent that goes takes its children
//! along, leaves them without a parent, or stays.
//!
//! Intuition: who leans a ladder on a wall holds the wall; who takes down a wall looks along all of it for ladders.
//! Invariant: a row that this transaction writes has its parent when the write-set is applied, for a parent that was
//! found is *held*: certified to be there still, whatever else became of it. A parent that goes had no children but
//! those that the write-set changes, for the range in which they would stand is certified as under `FOR UPDATE`.
//! What follows from a change is done after it, in slices: whoever changes rows calls [`Txn::cascade`] until it is
//! done, before the next change.
//! Not here: which tables name which (`crate::foreign`).

use super::{Scan, Txn, Walk, entry};
use crate::error::Error;
use crate::foreign::{self, Path, has_children, no_parent};
use crate::key;
use crate::request::{ForeignKey, Referential};
use crate::row;
use crate::store::Store;
use crate::table::{TableId, TableInfo, Version};
use crate::value::Value;
use crate::zoo::{self, Bug};
use std::ops::ControlFlow;
use std::sync::Arc;

/// How many tables deep a change may go on from child to child. InnoDB's bound is the same.
const DEPTH_MAX: usize = 15;
/// Children that are looked at before what follows from their change.
const BATCH: u32 = 64;

/// What a change of a parent does to the rows of one foreign key.
#[derive(Debug)]
pub(super) struct Cascade {
    child: Arc<TableInfo>,
    /// Place among the child's foreign keys.
    key: usize,
    scan: Scan,
    /// The parent's new values; `None`: it is gone.
    new: Option<Vec<Value>>,
    /// The tables that were changed on the way here.
    chain: Vec<TableId>,
}

impl Txn {
    /// Refuses a row that would have no parent. `before`: the row in its place; what it refers to is not asked again.
    pub(super) fn parents(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        before: Option<&[u8]>,
        values: &[Value],
    ) -> Result<(), Error> {
        if info.def.foreign.is_empty() || !self.foreign_checks {
            return Ok(());
        }
        let before = before.map(row::kept);
        for key in &info.def.foreign {
            let Some(place) = foreign::values(values, &key.columns) else { continue };
            let had = before.as_ref().and_then(|before| foreign::values(before, &key.columns));
            if had.as_ref() != Some(&place) && !self.has_parent(store, info, key, &place, values)? {
                return Err(no_parent(&info.def, key));
            }
        }
        Ok(())
    }

    fn has_parent(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        key: &ForeignKey,
        place: &[u8],
        values: &[Value],
    ) -> Result<bool, Error> {
        let parent = match key.parent == info.name() {
            true => Arc::clone(info),
            false => match self.table(store, &key.parent) {
                Err(Error::NoTable { .. }) => return Ok(false),
                parent => parent?,
            },
        };
        let Some(columns) = foreign::parent_columns(key, &parent.def) else { return Ok(false) };
        // A row may be its own parent.
        if parent.id == info.id && foreign::values(values, &columns).is_some_and(|own| own == place) {
            return Ok(true);
        }
        let mut scan = match foreign::path(&parent.def, &columns) {
            None => return Ok(false),
            Some(Path::Row) => return Ok(self.hold(store, &parent, place)),
            Some(path) => scan(&parent, path, place),
        };
        let mut found = false;
        // A place has one row, and here and there one that has left it.
        let mut all = u32::MAX;
        self.walk(store, &mut scan, &mut all, &mut |_, _| {
            found = true;
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Whether a row is there now, later than the snapshot too; one that is must be there at the commit.
    fn hold(&mut self, store: &Store, info: &Arc<TableInfo>, key: &[u8]) -> bool {
        if let Some(write) = self.tables.get(&info.id).and_then(|part| part.writes.get(key)) {
            return write.now.is_some();
        }
        let now = store.applied();
        let version = entry(store, info, key).and_then(|entry| entry.at(now));
        let there = version.and_then(Version::row).is_some();
        if let Some(version) = version {
            self.rest_on(version.seqno);
        }
        if there && !zoo::on(Bug::ParentNotCertified) {
            let part = self.part(info);
            if !part.held.contains_key(key) {
                part.held.insert(key.to_vec(), now);
                self.holding.push((info.id, key.to_vec()));
                self.bytes += key.len() as u64 + 16;
            }
        }
        there
    }

    /// Whether a change of a row of this table may concern rows of others.
    pub(crate) fn has_children(&self, store: &Store, info: &TableInfo) -> bool {
        self.foreign_checks && !store.referrers(info.name()).is_empty()
    }

    /// Notes what follows from a change of a row, which `after` takes the place of; `None`: it is gone.
    pub(super) fn set_off(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        before: &[u8],
        after: Option<&[Value]>,
    ) -> Result<(), Error> {
        let before = row::kept(before);
        for id in store.referrers(info.name()) {
            let child = if *id == info.id { Arc::clone(info) } else { self.table_of(store, *id)? };
            let keys = child.def.foreign.iter().enumerate().filter(|(_, key)| key.parent == info.name());
            for (at, key) in keys {
                let Some(columns) = foreign::parent_columns(key, &info.def) else { continue };
                let Some(place) = foreign::values(&before, &columns) else { continue };
                if after.and_then(|after| foreign::values(after, &columns)).as_ref() == Some(&place) {
                    continue;
                }
                let Some(path) = foreign::path(&child.def, &key.columns) else { continue };
                if self.chain.len() == DEPTH_MAX {
                    let message =
                        format!("Foreign key cascade delete/update exceeds max depth of {DEPTH_MAX}.");
                    return Err(Error::Sql { code: 3008, state: "HY000", message });
                }
                let new = after.map(|after| columns.iter().map(|at| after[*at].clone()).collect());
                let mut chain = self.chain.clone();
                chain.push(info.id);
                let (child, scan) = (Arc::clone(&child), scan(&child, path, &place));
                self.cascades.push(Cascade { child, key: at, scan, new, chain });
            }
        }
        Ok(())
    }

    /// Does what follows from the changes so far; whether it is done, or the budget is spent.
    pub(crate) fn cascade(&mut self, store: &Store, budget: &mut u32) -> Result<bool, Error> {
        while let Some(mut one) = self.cascades.pop() {
            if *budget == 0 {
                self.cascades.push(one);
                return Ok(false);
            }
            // What follows from a child's change comes before the next children.
            let (at, chain) = (self.cascades.len(), one.chain.clone());
            let before = std::mem::replace(&mut self.chain, chain);
            let ended = self.batch(store, &mut one, budget)?;
            self.chain = before;
            if !ended {
                self.cascades.insert(at, one);
            }
        }
        Ok(true)
    }

    /// Changes the next children; whether they were the last.
    fn batch(&mut self, store: &Store, one: &mut Cascade, budget: &mut u32) -> Result<bool, Error> {
        let child = Arc::clone(&one.child);
        let key = &child.def.foreign[one.key];
        let action = match one.new {
            None => key.on_delete,
            // A table that was changed on the way here is not changed once more.
            Some(_) if one.chain.contains(&child.id) => Referential::Restrict,
            Some(_) => key.on_update,
        };
        let stays = matches!(action, Referential::NoAction | Referential::Restrict);
        let mut found = Vec::new();
        let most = (*budget).min(BATCH);
        let mut left = most;
        let walk = self.walk(store, &mut one.scan, &mut left, &mut |key, row| {
            found.push((key.to_vec(), row.to_vec()));
            if stays { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        *budget -= most - left;
        if stays && !found.is_empty() {
            return Err(has_children(&child.def, key));
        }
        for (place, row) in found {
            *budget = budget.saturating_sub(1);
            let new = match (action, &one.new) {
                (Referential::Cascade, None) => {
                    self.delete(store, &child, place)?;
                    continue;
                }
                (Referential::Cascade, Some(new)) => new.clone(),
                _ => vec![Value::Null; key.columns.len()],
            };
            let mut values = row::kept(&row);
            key.columns.iter().zip(new).for_each(|(at, value)| values[*at] = value);
            let taken = |error| match error {
                Error::DuplicateKey { table, index, .. } => Error::Sql {
                    code: 1761,
                    state: "23000",
                    message: format!(
                        "Foreign key constraint for table '{}', record '{}' would lead to a duplicate entry in \
                         table '{table}', key '{index}'",
                        key.parent,
                        key::show(&one.scan.from),
                    ),
                },
                error => error,
            };
            self.replace(store, &child, place, &values).map_err(taken)?;
        }
        Ok(walk != Walk::Yield)
    }

    /// The definition of a table that names one that this transaction changes.
    fn table_of(&mut self, store: &Store, id: TableId) -> Result<Arc<TableInfo>, Error> {
        let (at, table) = (self.at(), &store.tables[&id]);
        let then = table.head_at(at).filter(|_| table.exists_at(at));
        let now = table.head_at(store.applied()).map(|head| head.info.schema_version);
        match then.filter(|head| Some(head.info.schema_version) == now) {
            Some(head) => {
                self.rest_on(head.info.created);
                Ok(Arc::clone(&head.info))
            }
            None => {
                self.rest_on(store.catalogue_changed());
                Err(Error::SchemaChanged { table: table.info().name().to_owned() })
            }
        }
    }
}

/// The rows of a table with these values, to be certified.
fn scan(info: &Arc<TableInfo>, path: Path, place: &[u8]) -> Scan {
    let (info, from, to) = (Arc::clone(info), place.to_vec(), Some(key::past(place)));
    let scan = match path {
        Path::Row | Path::Primary => Scan::new(info, from, to, true),
        Path::Index(at) => Scan::through(info, at, from, to, true),
    };
    Scan { foreign: true, ..scan }
}
