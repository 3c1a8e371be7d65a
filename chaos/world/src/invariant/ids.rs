//! Ids are of their node's class, and none is ever given twice.
//!
//! Why it must hold: node s hands out ids ≡ s (mod 3) from blocks that are ordered before the first of them is
//! used, and never goes below what it has reserved: not after a crash, not after the row was deleted. So each id
//! that was acknowledged, or was found in the table, belongs to one transaction for ever.

use plait_base::Slot;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Ids {
    /// id → the transaction that got it
    given: BTreeMap<i64, u64>,
}

impl Ids {
    /// Transaction `op` ran on `slot` and was given, or is found with, this id.
    pub fn seen(&mut self, id: i64, op: u64, slot: Slot) -> Result<(), String> {
        if id <= 0 || id % 3 != i64::from(slot.get()) % 3 {
            return Err(format!(
                "transaction {op} on {slot} got id {id}, which is not of the class of {slot}"
            ));
        }
        match *self.given.entry(id).or_insert(op) {
            first if first == op => Ok(()),
            first => Err(format!("id {id} was given to transaction {first} and again to {op}")),
        }
    }

    pub fn len(&self) -> usize {
        self.given.len()
    }

    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }
}
