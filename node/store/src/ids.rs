//! Ids: numbers that three nodes hand out at once and that are never used twice.
//!
//! Intuition: three people give out tickets of three colours. Each draws a whole roll of its colour from the
//! office, in writing, before it gives out the first ticket; a roll that was lost is not drawn again.
//! Invariant: the ids of slot `s` are ≡ s (mod 3), for ever; each lies in a block that an ordered operation
//! reserved for this one life of this node, and blocks of a class never overlap, nor do they contain an id of the
//! class that was in use before the reservation, whoever chose it.
//! What it is not: gapless, or ascending over nodes. Within a node ids begin above what the table is known to
//! hold, so that they read like the 3, 6, 9 / 10, 13, 16 / 17, 20 of a Galera cluster.

use crate::apply::id_above;
use crate::op::Op;
use crate::queue::Queues;
use crate::sql::Plans;
use crate::store::Store;
use crate::table::TableId;
use plait_base::{Bytes, Slot};
use std::collections::{BTreeMap, VecDeque};

/// Blocks of one table that are kept for later; sessions that reserved at the same time each bring one.
const BLOCKS_MAX: usize = 16;

/// This node's own state, which is not replicated and is lost with each restart.
#[derive(Debug)]
pub struct Local {
    slot: Slot,
    pub queues: Queues,
    pub(crate) plans: Plans,
    tables: BTreeMap<TableId, Blocks>,
}

#[derive(Debug, Default)]
struct Blocks {
    /// What is left of each: next and last id.
    left: VecDeque<(i64, i64)>,
    /// The last id that was handed out.
    given: i64,
}

impl Local {
    pub fn new(slot: Slot) -> Local {
        Local { slot, queues: Queues::default(), plans: Plans::default(), tables: BTreeMap::new() }
    }

    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The next id of a table; `None`: a block must be reserved first, by [`reserve`](Local::reserve).
    pub fn next_id(&mut self, store: &Store, table: TableId) -> Option<i64> {
        let known = store.tables.get(&table).map_or(0, |table| table.known_max);
        let blocks = self.tables.get_mut(&table)?;
        let above = blocks.given.max(known);
        while let Some((next, last)) = blocks.left.front_mut() {
            let id = id_above(self.slot, above.max(*next - 1)).filter(|id| id <= last);
            let Some(id) = id else {
                blocks.left.pop_front();
                continue;
            };
            *next = id.saturating_add(3);
            blocks.given = id;
            return Some(id);
        }
        None
    }

    /// The operation that asks for another block.
    pub fn reserve(&self, store: &Store, table: TableId) -> Bytes {
        let known = store.tables.get(&table).map_or(0, |table| table.known_max);
        let given = self.tables.get(&table).map_or(0, |blocks| blocks.given);
        let count = store.settings().id_block.max(1);
        Op::Reserve { table, slot: self.slot, above: known.max(given), count }.encode()
    }

    /// Takes in a block that was reserved.
    pub fn grant(&mut self, table: TableId, first: i64, last: i64) {
        let blocks = self.tables.entry(table).or_default();
        if blocks.left.len() == BLOCKS_MAX {
            blocks.left.pop_front();
        }
        blocks.left.push_back((first, last));
    }

    /// Forgets the blocks of tables that are gone; called now and then so that they do not pile up.
    pub fn tidy(&mut self, store: &Store) {
        self.tables.retain(|id, _| store.tables.contains_key(id));
    }
}
