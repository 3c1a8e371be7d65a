//! Set: values that must all be there in the end, once each, in a column with a UNIQUE key.

use super::{Workload, anew, begin};
use crate::settings::Settings;
use crate::txn::{Begin, Do, Got, Script, Txn, number};
use plait_base::Draws;
use serde_json::Value;

const TABLE: &str = "chaos_elements";
/// A read shows all that there is, so only a fraction of the usual share reads.
const READS_FRACTION: u64 = 25;

pub struct Set {
    settings: Settings,
    next: u64,
}

impl Set {
    pub fn new(settings: Settings) -> Set {
        Set { settings, next: 0 }
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

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn schema(&self) -> Vec<String> {
        anew(
            TABLE,
            "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, val BIGINT NOT NULL, UNIQUE KEY by_val (val)",
        )
    }

    fn next(&mut self, draws: &mut Draws) -> Txn {
        let reads = draws.chance(self.settings.read_per_mille.div_ceil(READS_FRACTION));
        let begin = begin(1, draws);
        if reads {
            return self.txn(begin, None);
        }
        self.next += 1;
        self.txn(begin, Some(self.next))
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
            (None, Some(x)) => Do::Sql(format!("INSERT INTO {TABLE} (val) VALUES ({x})")),
            (None, None) => Do::Sql(format!("SELECT val FROM {TABLE} ORDER BY val")),
            (Some(got), add) => {
                self.seen = match add {
                    Some(x) => x.into(),
                    None => {
                        got.rows.iter().map(|row| number(row.first().and_then(Option::as_deref))).collect()
                    }
                };
                Do::Commit
            }
        }
    }

    fn value(&mut self) -> Value {
        self.seen.take()
    }
}
