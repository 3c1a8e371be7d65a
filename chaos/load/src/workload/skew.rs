//! Write skew: two registers are read and one of them is written, for what the other said.
//!
//! Two such transactions that each write the one that the other only read may not both happen: at SERIALIZABLE by
//! itself, below that because the reads are FOR UPDATE. Source: Berenson et al., "A Critique of ANSI SQL Isolation
//! Levels", 1995 (A5B).

use super::{Workload, anew, read_all};
use crate::keys::Keys;
use crate::micro::{self, Cell, Micro, Table};
use crate::settings::{Isolation, Settings};
use crate::txn::{Begin, Txn};
use plait_base::Draws;

const TABLE: Table = Table { name: "chaos_pairs", cell: Cell::Register };

pub struct Skew {
    settings: Settings,
    /// One for each pair of registers.
    pairs: Keys,
}

impl Skew {
    pub fn new(settings: Settings) -> Skew {
        Skew { pairs: Keys::new(&settings), settings }
    }
}

impl Workload for Skew {
    fn name(&self) -> &'static str {
        "write-skew"
    }

    fn schema(&self) -> Vec<String> {
        anew(TABLE.name, "id BIGINT NOT NULL PRIMARY KEY, val BIGINT NOT NULL")
    }

    fn next(&mut self, draws: &mut Draws) -> Txn {
        // A third only looks: who reads neither's lock may still see one of the two too many.
        let looks = draws.chance(333);
        let (pair, write) = if looks {
            (self.pairs.read(draws), None)
        } else {
            let (pair, value) = self.pairs.write(draws);
            (pair, Some((2 * pair + draws.below(2), value)))
        };
        let mut ops = vec![Micro::Read(2 * pair), Micro::Read(2 * pair + 1)];
        ops.extend(write.map(|(key, value)| Micro::Write(key, value)));
        let lock = !looks && self.settings.isolation < Isolation::Serializable;
        micro::txn(TABLE, ops, lock, Begin::Transaction, self.settings.isolation)
    }

    fn last_reads(&self) -> Vec<Txn> {
        read_all(TABLE, 0..2 * self.pairs.all().end, &self.settings)
    }
}
