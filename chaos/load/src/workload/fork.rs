//! Long fork: each key is written once, by itself, and readers look at several. Two of them must not see two writes in
//! two orders.
//!
//! Source: Sovran et al., "Transactional Storage for Geo-Replicated Systems", 2011 (parallel snapshot isolation allows
//! it, snapshot isolation does not).

use super::{Workload, anew, begin, read_all};
use crate::micro::{self, Cell, Micro, Table};
use crate::settings::Settings;
use crate::txn::{Begin, Txn};
use plait_base::Draws;

const TABLE: Table = Table { name: "chaos_forks", cell: Cell::Register };
/// Keys that are read together.
const GROUP: u64 = 3;
/// Groups that are worked on at a time.
const ACTIVE: usize = 4;

pub struct Fork {
    settings: Settings,
    /// Number of each active group, and how many of its keys were written.
    active: [(u64, u64); ACTIVE],
    next: u64,
}

impl Fork {
    pub fn new(settings: Settings) -> Fork {
        let mut active = [(0, 0); ACTIVE];
        active.iter_mut().zip(0..).for_each(|(group, number)| group.0 = number);
        Fork { settings, active, next: ACTIVE as u64 }
    }
}

impl Workload for Fork {
    fn name(&self) -> &'static str {
        "long-fork"
    }

    fn schema(&self) -> Vec<String> {
        anew(TABLE.name, "id BIGINT NOT NULL PRIMARY KEY, val BIGINT NOT NULL")
    }

    fn next(&mut self, draws: &mut Draws) -> Txn {
        let reads = draws.chance(self.settings.read_per_mille);
        let place = draws.below(ACTIVE as u64) as usize;
        let (group, written) = self.active[place];
        if reads {
            let mut keys: Vec<u64> = (0..GROUP).map(|i| group * GROUP + i).collect();
            let ops = (0..GROUP).map(|left| keys.remove(draws.below(GROUP - left) as usize));
            let ops = ops.map(Micro::Read).collect();
            return micro::txn(TABLE, ops, false, Begin::Transaction, self.settings.isolation);
        }
        self.active[place].1 += 1;
        if self.active[place].1 == GROUP {
            self.active[place] = (self.next, 0);
            self.next += 1;
        }
        let begin = begin(1, draws);
        let ops = vec![Micro::Write(group * GROUP + written, 1)];
        micro::txn(TABLE, ops, false, begin, self.settings.isolation)
    }

    fn last_reads(&self) -> Vec<Txn> {
        read_all(TABLE, 0..self.next * GROUP, &self.settings)
    }
}
