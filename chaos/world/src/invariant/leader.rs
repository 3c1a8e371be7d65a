//! One leader a term.
//!
//! Why it must hold: a leader has the votes of a majority in its term, two majorities of three share a node, and a
//! node writes its vote down before it gives it, so it never gives two in one term, not even after a crash.

use super::Look;
use plait_base::Slot;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Leaders {
    of: BTreeMap<u64, Slot>,
}

impl Leaders {
    pub fn look(&mut self, look: &Look) -> Result<(), String> {
        if look.status.leader != Some(look.slot) {
            return Ok(());
        }
        self.leads(look.status.term, look.slot)
    }

    pub fn leads(&mut self, term: u64, slot: Slot) -> Result<(), String> {
        match *self.of.entry(term).or_insert(slot) {
            first if first == slot => Ok(()),
            first => Err(format!("both {first} and {slot} lead in term {term}")),
        }
    }

    /// How many terms had a leader.
    pub fn terms(&self) -> usize {
        self.of.len()
    }
}
