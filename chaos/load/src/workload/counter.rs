//! Counter: additions to one row; what is read lies between what was surely added and what may have been.

use super::{Workload, anew, begin};
use crate::settings::Settings;
use crate::txn::{Begin, Do, Got, Script, Txn, number, one_cell};
use plait_base::Draws;
use serde_json::Value;

const TABLE: &str = "chaos_counters";
const ADD_MAX: u64 = 5;

pub struct Counter {
    settings: Settings,
}

impl Counter {
    pub fn new(settings: Settings) -> Counter {
        Counter { settings }
    }

    fn txn(&self, begin: Begin, add: Option<u64>) -> Txn {
        Txn {
            begin,
            isolation: self.settings.isolation,
            f: if add.is_some() { "add" } else { "read" },
            value: add.map_or(Value::Null, Value::from),
            reads_only: add.is_none(),
            script: Box::new(One { add, seen: Value::Null }),
        }
    }
}

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn schema(&self) -> Vec<String> {
        let mut schema = anew(TABLE, "id BIGINT NOT NULL PRIMARY KEY, c BIGINT NOT NULL");
        schema.push(format!("INSERT INTO {TABLE} (id, c) VALUES (0, 0)"));
        schema
    }

    fn next(&mut self, draws: &mut Draws) -> Txn {
        let reads = draws.chance(self.settings.read_per_mille);
        let add = draws.between(1, ADD_MAX);
        let begin = begin(1, draws);
        self.txn(begin, (!reads).then_some(add))
    }

    fn last_reads(&self) -> Vec<Txn> {
        vec![self.txn(Begin::Autocommit, None)]
    }
}

struct One {
    add: Option<u64>,
    seen: Value,
}

impl Script for One {
    fn step(&mut self, last: Option<&Got>) -> Do {
        match (last, self.add) {
            (None, Some(n)) => Do::Sql(format!("UPDATE {TABLE} SET c = c + {n} WHERE id = 0")),
            (None, None) => Do::Sql(format!("SELECT c FROM {TABLE} WHERE id = 0")),
            (Some(got), Some(_)) if got.affected == 0 => Do::Rollback("the counter is not there".to_owned()),
            (Some(got), add) => {
                self.seen = match add {
                    Some(n) => n.into(),
                    None => one_cell(&got.rows).map_or_else(|odd| odd, number),
                };
                Do::Commit
            }
        }
    }

    fn value(&mut self) -> Value {
        self.seen.take()
    }
}
