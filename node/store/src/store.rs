//! The replicated state: tables, rows with their versions, id marks, and the hash that says whether two nodes
//! hold the same.
//!
//! Intuition: a multi-version store in memory whose version numbers are positions in the one order. A reader picks
//! a position and sees that prefix of the order, whatever is applied meanwhile.
//! Invariant: the state after `n` is a function of the operations `1..=n` alone; two stores that applied the same
//! prefix have equal chains, and so has one that was exported and imported on the way.
//! Not here: applying (`apply`), reading for a transaction (`txn`), checkpoints (`export`), forgetting (`collect`).

use crate::Settings;
use crate::apply::Work;
use crate::key::Key;
use crate::table::{Body, Entry, Table, TableId, TableInfo, Version};
use crate::value::Value;
use plait_base::codec::Writer;
use plait_base::map::Map;
use plait_base::{Digest, Seqno, SetHash};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// First byte of the export row of a table's definition; below `ROWS`, so that definitions come first.
pub(crate) const TABLES: u8 = 1;
/// First byte of the export row of a row.
pub(crate) const ROWS: u8 = 2;

/// Bytes that a tombstone counts beside its key.
pub(crate) const TOMBSTONE_BYTES: u64 = 16;

pub struct Store {
    pub(crate) settings: Settings,
    /// All tables that somebody may still need, dropped ones too.
    pub(crate) tables: BTreeMap<TableId, Table>,
    /// The tables that have or had a name, oldest first.
    pub(crate) names: Map<String, Vec<TableId>>,
    pub(crate) next_table: u32,
    /// By a table's name, those whose foreign keys name it; made from the newest definitions.
    pub(crate) referrers: BTreeMap<String, Vec<TableId>>,
    /// When the catalogue last changed: what the absence of a table rests on.
    pub(crate) catalogue_changed: Seqno,
    /// Newest published seqno.
    pub(crate) applied: Seqno,
    /// Newest applied seqno; above `applied` while a log entry is being applied.
    pub(crate) newest: Seqno,
    pub(crate) chain: Digest,
    pub(crate) state: SetHash,
    /// Every tombstone up to here may have been forgotten: nobody who read earlier can be certified.
    pub(crate) horizon: Seqno,
    /// The tombstones that are remembered, oldest first. Those of a dropped table go when it goes.
    pub(crate) tombstones: BTreeSet<(Seqno, TableId, Key)>,
    /// Key bytes of the remembered tombstones of tables that exist.
    pub(crate) tombstone_bytes: u64,
    /// The operation that was begun and ran out of budget.
    pub(crate) work: Option<Work>,
    /// Rows with a version that was replaced at this seqno.
    pub(crate) superseded: VecDeque<(Seqno, TableId, Key)>,
    /// Tombstones that were purged at this seqno and are kept for the next incremental checkpoint.
    pub(crate) purged: VecDeque<(Seqno, TableId, Key)>,
    /// Tables that were dropped at this seqno, likewise.
    pub(crate) dropped: VecDeque<(Seqno, TableId)>,
    /// Removals up to here may be missing from an incremental export.
    pub(crate) forgotten: Seqno,
    /// When the row was written that the operation applied last added to.
    pub(crate) added_over: Option<Seqno>,
    /// Who wrote which seqno, for the bug that asks.
    #[cfg(feature = "zoo")]
    pub(crate) origins: BTreeMap<Seqno, plait_base::Slot>,
}

impl Store {
    /// An empty store. `map_key` is the cluster's key for hash maps.
    pub fn new(settings: Settings, map_key: u64) -> Store {
        let mut w = Writer::new();
        settings.encode(&mut w);
        Store {
            chain: Digest::of(&[b"plait chain 1", &w.0]),
            settings,
            tables: BTreeMap::new(),
            names: Map::keyed(map_key),
            next_table: 1,
            referrers: BTreeMap::new(),
            catalogue_changed: Seqno::ZERO,
            applied: Seqno::ZERO,
            newest: Seqno::ZERO,
            state: SetHash::default(),
            horizon: Seqno::ZERO,
            tombstones: BTreeSet::new(),
            tombstone_bytes: 0,
            work: None,
            superseded: VecDeque::new(),
            purged: VecDeque::new(),
            dropped: VecDeque::new(),
            forgotten: Seqno::ZERO,
            added_over: None,
            #[cfg(feature = "zoo")]
            origins: BTreeMap::new(),
        }
    }

    /// The replicated settings: those of the state, whatever this node's file says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Newest published seqno: what a new snapshot sees.
    pub fn applied(&self) -> Seqno {
        self.applied
    }

    /// Newest applied seqno, published or not.
    pub fn applied_unpublished(&self) -> Seqno {
        self.newest
    }

    /// C(n) = H(C(n-1), n, operation, verdict, state after n), n being the newest applied operation.
    pub fn chain(&self) -> Digest {
        self.chain
    }

    /// Of all rows that an export after the newest applied operation has.
    pub fn state_digest(&self) -> Digest {
        self.state.digest()
    }

    /// Bytes of the state as a checkpoint holds it.
    pub fn state_bytes(&self) -> u64 {
        self.state.bytes()
    }

    /// Who read before this position cannot be certified any more.
    pub fn horizon(&self) -> Seqno {
        self.horizon
    }

    /// How many replaced versions and purged tombstones wait for [`collect`](Store::collect).
    pub fn garbage(&self) -> usize {
        self.superseded.len() + self.purged.len() + self.dropped.len()
    }

    /// All that was applied becomes visible.
    pub fn publish(&mut self) {
        assert!(self.work.is_none(), "an entry is published whole, after its last operation is done");
        self.applied = self.newest;
    }

    /// The table of this name as a snapshot at `at` sees it.
    pub fn table(&self, name: &str, at: Seqno) -> Option<&Arc<TableInfo>> {
        let ids = self.names.get(name)?;
        ids.iter().rev().map(|id| &self.tables[id]).filter(|table| table.exists_at(at)).find_map(|table| {
            let info = &table.head_at(at)?.info;
            (info.name() == name).then_some(info)
        })
    }

    /// All tables as a snapshot at `at` sees them, by name.
    pub fn tables(&self, at: Seqno) -> Vec<Arc<TableInfo>> {
        let mut tables: Vec<_> = (self.tables.values().filter(|table| table.exists_at(at)))
            .filter_map(|table| table.head_at(at).map(|head| Arc::clone(&head.info)))
            .collect();
        tables.sort_by(|a, b| a.name().cmp(b.name()));
        tables
    }

    /// How many rows a table has after the newest applied operation; 0 if it is gone.
    pub fn rows_about(&self, id: TableId) -> u64 {
        self.tables.get(&id).map_or(0, |table| table.live)
    }

    /// The least id that a table may yet hand out, as far as this node knows: above all that it has seen used, and
    /// above those that all three nodes may no longer use. `None`: it has no column for them.
    pub(crate) fn next_id_about(&self, id: TableId) -> Option<i64> {
        let table = self.tables.get(&id)?;
        let column = &table.info().def.columns[table.info().def.auto_increment?];
        let seen = table.known_max.saturating_add(1);
        let all = table.marks().0.into_iter().min().unwrap_or(0).saturating_add(1).max(seen);
        // Blocks are reserved without regard to how far a small kind goes.
        let fits = crate::row::fits(column, &Value::Int(all)).is_ok();
        Some(if fits { all } else { seen })
    }

    /// What the absence of a table rests on.
    pub fn catalogue_changed(&self) -> Seqno {
        self.catalogue_changed
    }

    pub(crate) fn add_table(&mut self, table: Table) {
        let id = table.info().id;
        let names = table.names.clone();
        self.tables.insert(id, table);
        names.into_iter().for_each(|name| self.name(id, name));
    }

    /// Lets a table be found by a name.
    pub(crate) fn name(&mut self, id: TableId, name: String) {
        match self.names.get_mut(&name) {
            Some(ids) if ids.contains(&id) => {}
            Some(ids) => ids.push(id),
            None => drop(self.names.insert(name, vec![id])),
        }
    }

    /// Forgets the names of a table that is no more.
    pub(crate) fn forget_names(&mut self, table: &Table) {
        for name in &table.names {
            let ids = self.names.get_mut(name).expect("a table is found by its names");
            ids.retain(|other| *other != table.info().id);
            if ids.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// Takes a pair into the hash of the state and of its table.
    pub(crate) fn hash_in(state: &mut SetHash, table: &mut SetHash, key: &[u8], value: &[u8]) {
        let mut one = SetHash::default();
        one.add(key, value);
        state.join(&one);
        table.join(&one);
    }

    pub(crate) fn hash_out(state: &mut SetHash, table: &mut SetHash, key: &[u8], value: &[u8]) {
        let mut one = SetHash::default();
        one.add(key, value);
        state.part(&one);
        table.part(&one);
    }
}

impl Entry {
    pub(crate) fn new(version: Version) -> Entry {
        Entry { newest: version, older: Vec::new() }
    }
}

/// The export key of a row.
pub(crate) fn row_key(table: TableId, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + key.len());
    out.push(ROWS);
    out.extend_from_slice(&table.0.to_be_bytes());
    out.extend_from_slice(key);
    out
}

/// The export value of a version; `None` for a tombstone that the cluster has forgotten.
pub(crate) fn row_value(version: &Version) -> Option<Vec<u8>> {
    let mut w = Writer::with_capacity(match &version.body {
        Body::Row(row) => row.len() + 10,
        Body::Tombstone { .. } => 10,
    });
    match &version.body {
        Body::Row(row) => drop(w.u8(1).varint(version.seqno.0).raw(row)),
        Body::Tombstone { purged: Seqno::ZERO } => drop(w.u8(0).varint(version.seqno.0)),
        Body::Tombstone { .. } => return None,
    }
    Some(w.0)
}

/// The export key of a table's definition and marks.
pub(crate) fn table_key(table: TableId) -> [u8; 5] {
    let id = table.0.to_be_bytes();
    [TABLES, id[0], id[1], id[2], id[3]]
}
