//! Increments of a few hot counters. None is lost and none counted twice.

use super::{Ledger, Workload};
use crate::script::{Rows, Script};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const STEP_MAX: u64 = 3;
const SEED_ROWS: usize = 500;

pub(super) struct Counter {
    pub(super) counters: i64,
}

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn tables(&self) -> [&'static str; 2] {
        ["load_counters", "load_increments"]
    }

    fn ddl(&self) -> Vec<String> {
        vec![
            "CREATE TABLE load_counters (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)".into(),
            "CREATE TABLE load_increments (id BIGINT PRIMARY KEY, counter BIGINT NOT NULL, k BIGINT NOT NULL)".into(),
        ]
    }

    fn seed(&self) -> Vec<Script> {
        let ids: Vec<i64> = (0..self.counters).collect();
        ids.chunks(SEED_ROWS)
            .map(|ids| ids.iter().fold(Script::new(), |script, id| script.put("load_counters", [*id, 0])))
            .collect()
    }

    fn operation(&self, draw: u64, id: i64) -> (Script, Json) {
        let counter = (draw % self.counters as u64) as i64;
        let k = 1 + ((draw >> 40) % STEP_MAX) as i64;
        let script =
            Script::new().add("load_counters", [counter], "n", k).insert("load_increments", [id, counter, k]);
        (script, json!({ "id": id, "counter": counter, "k": k }))
    }

    fn judge(&self, state: &Rows) -> Result<(), String> {
        let counts: Vec<i64> = state.rows.iter().filter_map(|row| row.get(1)?.int()).collect();
        if counts.len() as i64 != self.counters {
            return Err(format!("{} counters are there, and {} were made", counts.len(), self.counters));
        }
        match counts.iter().position(|n| *n < 0) {
            Some(counter) => {
                Err(format!("counter {counter} stands at {}, and it only grows", counts[counter]))
            }
            None => Ok(()),
        }
    }

    fn fold(&self, ledger: &Ledger) -> BTreeMap<i64, i64> {
        let mut counts: BTreeMap<i64, i64> = (0..self.counters).map(|id| (id, 0)).collect();
        for entry in ledger.values() {
            let [counter, k] = entry[..] else { continue };
            *counts.entry(counter).or_default() += k;
        }
        counts
    }
}
