//! A table in memory: its definition, its rows, and for each row the versions that somebody may still read.
//!
//! Intuition: a row is a short history. Its newest version says who wrote last, so it is at the same time the
//! value to read and the entry of the certification index; a deleted row leaves a tombstone for the same reason.
//! Invariant: the seqnos of a row's versions only grow, and the newest version stays until a later one is applied
//! or, being a tombstone, until it is purged and forgotten.
//! Not here: who may see what (`txn`), who loses (`apply`).

use crate::key::{self, Key};
use crate::request::{ColumnHead, TableDef};
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
}

impl TableInfo {
    pub(crate) fn new(id: TableId, schema_version: u32, created: Seqno, def: TableDef) -> TableInfo {
        let head =
            |c: &crate::Column| ColumnHead { name: c.name.clone(), table: def.name.clone(), kind: c.kind };
        let heads = def.columns.iter().map(head).collect();
        TableInfo { id, schema_version, created, def, heads }
    }

    pub fn name(&self) -> &str {
        &self.def.name
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

    /// Drops the versions that no snapshot at or above `oldest` sees.
    pub fn prune(&mut self, oldest: Seqno) {
        let keep_from = if self.newest.seqno <= oldest {
            self.older.len()
        } else {
            self.older.iter().rposition(|version| version.seqno <= oldest).unwrap_or(0)
        };
        self.older.drain(..keep_from);
        if self.older.is_empty() {
            self.older.shrink_to_fit();
        }
    }
}

/// The highest id of each class that was ever used or reserved: what is replicated of the id allocator.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks(pub [i64; 3]);

impl Marks {
    pub fn of(&self, slot: Slot) -> i64 {
        self.0[slot.at()]
    }

    pub fn lift(&mut self, slot: Slot, to: i64) {
        self.0[slot.at()] = self.0[slot.at()].max(to);
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub info: Arc<TableInfo>,
    /// When it was dropped; its rows stay until no snapshot and no checkpoint needs them.
    pub dropped: Option<Seqno>,
    /// The id marks, with the seqno that set each; the last one counts.
    pub marks: Vec<(Seqno, Marks)>,
    /// The highest id among the rows that were applied here since this node started, and those it started from.
    /// Says where a fresh id should begin, to please the eye; that ids are not used twice rests on the marks.
    pub known_max: i64,
    /// When anything of it last changed.
    pub changed: Seqno,
    pub rows: BTreeMap<Key, Entry>,
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
            info: Arc::new(info),
            dropped: None,
            marks: vec![marks],
            known_max: 0,
            rows: BTreeMap::new(),
            live: 0,
            tombstone_bytes: 0,
            hash: SetHash::default(),
        }
    }

    pub fn marks(&self) -> Marks {
        self.marks.last().expect("a table has marks from its creation on").1
    }

    /// The marks as they were at `at`, with their seqno.
    pub fn marks_at(&self, at: Seqno) -> Option<(Seqno, Marks)> {
        self.marks.iter().rev().find(|(seqno, _)| *seqno <= at).copied()
    }

    pub fn exists_at(&self, at: Seqno) -> bool {
        self.info.created <= at && self.dropped.is_none_or(|dropped| dropped > at)
    }
}
