//! Counters in a table, and what each of them may show: of all workloads in which clients count.

use super::{Step, column, put};
use crate::invariant::Judge;
use crate::invariant::count::Count;
use plait_base::Slot;
use plait_store::StepResult;

pub struct Counts {
    /// What a counter is called when one is wrong.
    name: &'static str,
    counts: Vec<Count>,
}

impl Counts {
    pub fn new(name: &'static str, keys: u32) -> Counts {
        Counts { name, counts: vec![Count::default(); keys.max(1) as usize] }
    }

    pub fn len(&self) -> usize {
        self.counts.len()
    }

    pub fn of(&mut self, key: usize) -> &mut Count {
        &mut self.counts[key]
    }

    /// Their rows in the beginning.
    pub fn rows(&self, table: &str) -> Vec<Step> {
        (0..self.len() as i64).map(|id| put(table, &[id, 0])).collect()
    }

    /// A read that began when the counter stood at `floor` at least; no value: there was no row.
    pub fn read(&mut self, key: usize, floor: i64, value: Option<i64>, slot: Slot, judge: &mut Judge) {
        let found = match value {
            Some(value) => self.counts[key].read(floor, value),
            None => Err("it is gone".to_owned()),
        };
        if let Err(why) = found {
            judge.broken("count", format!("{} {key} on {slot}: {why}", self.name));
        }
    }

    /// A read after all was over.
    pub fn last_read(&mut self, key: usize, value: Option<i64>, slot: Slot, judge: &mut Judge) {
        let floor = self.counts[key].floor();
        self.read(key, floor, value, slot, judge);
    }

    /// Of all of them, in a table of `id` and `n`.
    pub fn last_scan(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        let values = column(results, 0, 1);
        for key in 0..self.len() {
            self.last_read(key, values.get(key).copied(), slot, judge);
        }
    }
}
