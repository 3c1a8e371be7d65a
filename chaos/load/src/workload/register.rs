//! Read-write registers: no value is written twice to a key, so a read tells which write it saw.

use super::{Workload, anew, begin, read_all};
use crate::keys::Keys;
use crate::micro::{self, Cell, Micro, Table};
use crate::settings::Settings;
use crate::txn::Txn;
use plait_base::Draws;

const TABLE: Table = Table { name: "chaos_registers", cell: Cell::Register };

pub struct Register {
    settings: Settings,
    keys: Keys,
}

impl Register {
    pub fn new(settings: Settings) -> Register {
        Register { keys: Keys::new(&settings), settings }
    }
}

impl Workload for Register {
    fn name(&self) -> &'static str {
        "rw-register"
    }

    fn schema(&self) -> Vec<String> {
        anew(TABLE.name, "id BIGINT NOT NULL PRIMARY KEY, val BIGINT NOT NULL")
    }

    fn next(&mut self, draws: &mut Draws) -> Txn {
        let ops: Vec<Micro> = (0..draws.between(1, self.settings.ops_max.max(1)))
            .map(|_| match draws.chance(self.settings.read_per_mille) {
                true => Micro::Read(self.keys.read(draws)),
                false => {
                    let (key, value) = self.keys.write(draws);
                    Micro::Write(key, value)
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
