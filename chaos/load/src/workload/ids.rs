//! Generated ids: no two inserts get one id, and what was acknowledged is there under its id in the end.

use super::{Workload, anew, begin};
use crate::settings::Settings;
use crate::txn::{Begin, Do, Got, Script, Txn, number, one_cell};
use plait_base::Draws;
use serde_json::Value;

const TABLE: &str = "chaos_ids";

pub struct Ids {
    settings: Settings,
    next: u64,
}

impl Ids {
    pub fn new(settings: Settings) -> Ids {
        Ids { settings, next: 0 }
    }
}

impl Workload for Ids {
    fn name(&self) -> &'static str {
        "ids"
    }

    fn schema(&self) -> Vec<String> {
        anew(TABLE, "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, token BIGINT NOT NULL")
    }

    fn next(&mut self, draws: &mut Draws) -> Txn {
        self.next += 1;
        let begin = begin(1, draws);
        Txn {
            begin,
            isolation: self.settings.isolation,
            f: "generate",
            value: Value::Null,
            reads_only: false,
            script: Box::new(Generate { token: self.next, begin, inserted: false, id: Value::Null }),
        }
    }

    fn last_reads(&self) -> Vec<Txn> {
        vec![Txn {
            begin: Begin::Autocommit,
            isolation: self.settings.isolation,
            f: "read",
            value: Value::Null,
            reads_only: true,
            script: Box::new(ReadAll { seen: Value::Null }),
        }]
    }
}

/// By itself the insert's own answer tells the id; in a transaction the session is asked for it.
struct Generate {
    token: u64,
    begin: Begin,
    inserted: bool,
    id: Value,
}

impl Script for Generate {
    fn step(&mut self, last: Option<&Got>) -> Do {
        match (last, self.begin, self.inserted) {
            (None, ..) => Do::Sql(format!("INSERT INTO {TABLE} (token) VALUES ({})", self.token)),
            (Some(got), Begin::Autocommit, _) => {
                self.id = got.insert_id.into();
                Do::Commit
            }
            (Some(_), Begin::Transaction, false) => {
                self.inserted = true;
                Do::Sql("SELECT LAST_INSERT_ID()".to_owned())
            }
            (Some(got), Begin::Transaction, true) => {
                self.id = one_cell(&got.rows).map_or_else(|odd| odd, number);
                Do::Commit
            }
        }
    }

    fn value(&mut self) -> Value {
        self.id.take()
    }
}

struct ReadAll {
    seen: Value,
}

impl Script for ReadAll {
    fn step(&mut self, last: Option<&Got>) -> Do {
        match last {
            None => Do::Sql(format!("SELECT id FROM {TABLE} ORDER BY id")),
            Some(got) => {
                self.seen =
                    got.rows.iter().map(|row| number(row.first().and_then(Option::as_deref))).collect();
                Do::Commit
            }
        }
    }

    fn value(&mut self) -> Value {
        self.seen.take()
    }
}
