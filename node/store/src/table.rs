//! A table in memory: its definition, its rows, and for each row the versions that somebody may still read.
//!
//! Intuition: a row is a short history. Its newest version says who wrote last, so it is at the same time the
//! value to read and the entry of the certification index; a deleted row leaves a tombstone for the same reason.
//! Invariant: the seqnos of a row's versions only grow, and the newest version stays until a later one is applied
//! or, being a tombstone, until it is purged and forgotten.
//! Not here: who may see what (`txn`), who loses (`apply`).

use crate::error::Error;
use crate::index::Index;
use crate::key::{self, Key};
use crate::request::{ColumnHead, IndexPart, TableDef};
use crate::row;
use crate::sql::Conditions;
use crate::value::Value;
use plait_base::{Seqno, SetHash, Slot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names a table for ever; a table that is dropped and created again has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

/// A table's definition, as it was ordered. Shared by those who use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    pub id: TableId,
    /// Counts the changes of this definition; a write-set names the one that it was made with.
    pub schema_version: u32,
    pub created: Seqno,
    pub def: TableDef,
    /// The columns as they are announced to a client.
    pub heads: Vec<ColumnHead>,
    /// The columns of the primary key, as those of another key are told.
    pub(crate) primary: Vec<IndexPart>,
    conditions: Conditions,
}

impl TableInfo {
    pub(crate) fn new(id: TableId, schema_version: u32, created: Seqno, def: TableDef) -> TableInfo {
        let head = |c: &crate::Column| ColumnHead {
            name: c.name.clone(),
            table: def.name.clone(),
            kind: c.kind,
            form: c.form,
            members: c.members.clone(),
        };
        let heads = def.columns.iter().map(head).collect();
        let conditions = Conditions::of(&def);
        let part = |column: &usize| IndexPart { column: *column, ..IndexPart::default() };
        let primary = def.primary.iter().map(part).collect();
        TableInfo { id, schema_version, created, def, heads, primary, conditions }
    }

    /// Whether a row may stand in this table by itself, whatever other rows there are.
    pub(crate) fn admits(&self, row: &[Value]) -> Result<(), Error> {
        if self.is_view() {
            return Err(Error::Misuse { why: format!("{} is a view", self.name()) });
        }
        row::check(&self.def, row)?;
        self.conditions.hold(&self.def, &self.def.checks, row)
    }

    pub fn name(&self) -> &str {
        &self.def.name
    }

    /// Whether it is a query under a name, and has no rows.
    pub fn is_view(&self) -> bool {
        self.def.query.is_some()
    }

    /// Whether the key is a row id that no column shows.
    pub fn hidden_key(&self) -> bool {
        self.def.primary.is_empty()
    }

    /// Whether rows of this table need ids from this node's class: for an auto-increment column or a hidden key.
    pub fn wants_ids(&self) -> bool {
        self.hidden_key() || self.def.auto_increment.is_some()
    }

    /// Place of a column, whose name is compared without regard to case as in MySQL.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.def.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
    }

    /// The key of a row, from its primary key columns. Not for a table with a hidden key.
    pub fn key_of(&self, row: &[Value]) -> Vec<u8> {
        assert!(!self.hidden_key(), "a hidden key is not made from a row");
        let mut out = Vec::with_capacity(self.def.primary.len() * 10);
        self.def.primary.iter().for_each(|at| key::push(&mut out, &row[*at]));
        out
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Row(Box<[u8]>),
    /// The row was deleted. `purged`: when the cluster agreed to forget that; zero while it remembers.
    Tombstone {
        purged: Seqno,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub seqno: Seqno,
    pub body: Body,
}

impl Version {
    pub fn row(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Row(row) => Some(row),
            Body::Tombstone { .. } => None,
        }
    }
}

/// One key's versions.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub newest: Version,
    /// Oldest first; empty unless a snapshot may still need them.
    pub older: Vec<Version>,
}

impl Entry {
    /// The version that a snapshot at `at` sees; `None` if the key was first written later.
    pub fn at(&self, at: Seqno) -> Option<&Version> {
        if self.newest.seqno <= at {
            return Some(&self.newest);
        }
        self.older.iter().rev().find(|version| version.seqno <= at)
    }

    /// Takes out the versions that no snapshot at or above `oldest` sees.
    pub fn prune(&mut self, oldest: Seqno) -> Vec<Version> {
        let keep_from = if self.newest.seqno <= oldest {
            self.older.len()
        } else {
            self.older.iter().rposition(|version| version.seqno <= oldest).unwrap_or(0)
        };
        if keep_from == self.older.len() {
            return std::mem::take(&mut self.older);
        }
        self.older.drain(..keep_from).collect()
    }
}

/// The highest id of each class that was ever used or reserved: what is replicated of the id allocator.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks(pub [i64; 3]);

impl Marks {
    pub fn of(&self, slot: Slot) -> i64 {
        self.0[slot.at()]
    }

    /// With all ids below this one as if they were used.
    pub fn all_below(self, id: i64) -> Marks {
        Marks(self.0.map(|mark| mark.max(id.saturating_sub(1))))
    }

    pub fn lift(&mut self, slot: Slot, to: i64) {
        self.0[slot.at()] = self.0[slot.at()].max(to);
    }
}

/// A table's definition and id marks, from one position on.
#[derive(Debug, Clone)]
pub(crate) struct TableHead {
    pub seqno: Seqno,
    pub info: Arc<TableInfo>,
    pub marks: Marks,
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// The definition and the id marks, each with the seqno that set it; the last one counts.
    pub heads: Vec<TableHead>,
    /// When it was dropped; its rows stay until no snapshot and no checkpoint needs them.
    pub dropped: Option<Seqno>,
    /// The highest id among the rows that were applied here since this node started, and those it started from.
    /// Says where a fresh id should begin, to please the eye; that ids are not used twice rests on the marks.
    pub known_max: i64,
    /// When anything of it last changed.
    pub changed: Seqno,
    pub rows: BTreeMap<Key, Entry>,
    /// One for each secondary key of the definition, in its order.
    pub indexes: Vec<Index>,
    /// The names under which it is found, the former ones too.
    pub names: Vec<String>,
    /// Rows that are not deleted.
    pub live: u64,
    /// Key bytes of the tombstones that are remembered.
    pub tombstone_bytes: u64,
    /// Of this table's part of the state.
    pub hash: SetHash,
}

impl Table {
    pub fn new(info: TableInfo, marks: (Seqno, Marks)) -> Table {
        Table {
            changed: marks.0,
            indexes: info.def.indexes.iter().map(|_| Index::default()).collect(),
            names: vec![info.name().to_owned()],
            heads: vec![TableHead { seqno: marks.0, info: Arc::new(info), marks: marks.1 }],
            dropped: None,
            known_max: 0,
            rows: BTreeMap::new(),
            live: 0,
            tombstone_bytes: 0,
            hash: SetHash::default(),
        }
    }

    pub fn head(&self) -> &TableHead {
        self.heads.last().expect("a table has a head from its creation on")
    }

    /// The definition as it is now.
    pub fn info(&self) -> &Arc<TableInfo> {
        &self.head().info
    }

    pub fn marks(&self) -> Marks {
        self.head().marks
    }

    /// Definition and marks as they were at `at`.
    pub fn head_at(&self, at: Seqno) -> Option<&TableHead> {
        self.heads.iter().rev().find(|head| head.seqno <= at)
    }

    /// Puts another definition or other marks in place, from `seqno` on.
    pub fn set_head(&mut self, head: TableHead) {
        self.changed = head.seqno;
        match self.heads.last_mut() {
            Some(last) if last.seqno == head.seqno => *last = head,
            _ => self.heads.push(head),
        }
    }

    pub fn exists_at(&self, at: Seqno) -> bool {
        self.info().created <= at && self.dropped.is_none_or(|dropped| dropped > at)
    }
}
