//! List-append: each write says what it was written after, so a read tells the order of all writes before it.
//!
//! Source: Kingsbury, Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", 2020, §4.

use super::{Workload, anew, begin, read_all};
use crate::keys::Keys;
use crate::micro::{self, Cell, Micro, Table};
use crate::settings::Settings;
use crate::txn::Txn;
use plait_base::Draws;

const TABLE: Table = Table { name: "chaos_lists", cell: Cell::List };

pub struct Append {
    settings: Settings,
    keys: Keys,
}

impl Append {
    pub fn new(settings: Settings) -> Append {
        Append { keys: Keys::new(&settings), settings }
    }
}

impl Workload for Append {
    fn name(&self) -> &'static str {
        "list-append"
    }

    fn schema(&self) -> Vec<String> {
        anew(TABLE.name, "id BIGINT NOT NULL PRIMARY KEY, val TEXT NOT NULL")
    }

    fn next(&mut self, draws: &mut Draws) -> Txn {
        let ops: Vec<Micro> = (0..draws.between(1, self.settings.ops_max.max(1)))
            .map(|_| match draws.chance(self.settings.read_per_mille) {
                true => Micro::Read(self.keys.read(draws)),
                false => {
                    let (key, value) = self.keys.write(draws);
                    Micro::Append(key, value)
                }
            })
            .collect();
        let begin = begin(ops.len(), draws);
        micro::txn(TABLE, ops, false, begin, self.settings.isolation)
    }

    fn last_reads(&self) -> Vec<Txn> {
        read_all(TABLE, self.keys.all(), &self.settings)
    }
}
