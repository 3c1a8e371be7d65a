//! Predicate reads: rows come, change and go, and readers ask which of them have a value between two bounds.
//!
//! A key is born once and dies once, and no value is ever used twice, so a reader's answer tells which version of each
//! row it saw, and which rows it saw as not there. Source: Adya, "Weak Consistency", 1999, §3.1; Elle's
//! `closed_predicate`.

use super::{Workload, anew, begin};
use crate::micro::{self, Cell, Micro, Table};
use crate::settings::Settings;
use crate::txn::{Begin, Txn};
use plait_base::Draws;

const TABLE: Table = Table { name: "chaos_predicates", cell: Cell::Register };
/// Values lie in so many buckets; a range covers some of them whole.
const BUCKETS: u64 = 4;
const BUCKET: u64 = 1_000_000_000;
/// How many of 1,000 writes to a row that is there take it away.
const DELETE_PER_MILLE: u64 = 200;
/// How many of 1,000 reads are of one row.
const POINT_PER_MILLE: u64 = 250;

pub struct Predicate {
    settings: Settings,
    /// The keys that are worked on, and whether each was asked to be born.
    active: Vec<(u64, bool)>,
    next: u64,
    values: u64,
}

impl Predicate {
    pub fn new(settings: Settings) -> Predicate {
        let keys = settings.keys.max(2);
        Predicate { settings, active: (0..keys).map(|key| (key, false)).collect(), next: keys, values: 0 }
    }

    fn value(&mut self, draws: &mut Draws) -> u64 {
        self.values += 1;
        draws.below(BUCKETS) * BUCKET + self.values
    }

    fn read(&self, draws: &mut Draws) -> Micro {
        if draws.chance(POINT_PER_MILLE) {
            return Micro::Read(draws.pick(&self.active).0);
        }
        let first = draws.below(BUCKETS);
        let last = draws.between(first, BUCKETS - 1);
        Micro::Between(first * BUCKET, (last + 1) * BUCKET - 1)
    }

    /// Gives birth to a key, or changes or takes away one that was born.
    fn write(&mut self, place: usize, draws: &mut Draws) -> Micro {
        let (key, born) = self.active[place];
        if !born {
            self.active[place].1 = true;
            return Micro::Insert(key, self.value(draws));
        }
        if draws.chance(DELETE_PER_MILLE) {
            self.active[place] = (self.next, false);
            self.next += 1;
            return Micro::Delete(key);
        }
        Micro::Change(key, self.value(draws))
    }
}

impl Workload for Predicate {
    fn name(&self) -> &'static str {
        "predicate"
    }

    fn schema(&self) -> Vec<String> {
        anew(TABLE.name, "id BIGINT NOT NULL PRIMARY KEY, val BIGINT NOT NULL, KEY by_val (val)")
    }

    fn next(&mut self, draws: &mut Draws) -> Txn {
        let n = draws.between(1, self.settings.ops_max.max(1));
        // Births and the rest do not mix: a transaction that finds its row gone gives up, and would take births with it,
        // whose rows would not be found either.
        let born = self.active[draws.below(self.active.len() as u64) as usize].1;
        let mut places: Vec<usize> =
            (0..self.active.len()).filter(|place| self.active[*place].1 == born).collect();
        let mut ops = Vec::new();
        for _ in 0..n {
            // A row is written once in a transaction: of two writes the first would be seen by nobody.
            if places.is_empty() || draws.chance(self.settings.read_per_mille) {
                ops.push(self.read(draws));
            } else {
                let place = places.remove(draws.below(places.len() as u64) as usize);
                ops.push(self.write(place, draws));
            }
        }
        let begin = begin(ops.len(), draws);
        micro::txn(TABLE, ops, false, begin, self.settings.isolation)
    }

    fn last_reads(&self) -> Vec<Txn> {
        let all = vec![Micro::Between(0, BUCKETS * BUCKET - 1)];
        vec![micro::txn(TABLE, all, false, Begin::Transaction, self.settings.isolation)]
    }
}
