//! DDL: a table's columns and indexes come and go while clients count in it; no count is lost or read twice.
//!
//! A transaction that read under one definition must not commit under another: it is told so and begins again. An
//! ALTER copies or keeps every row, whatever was written beside it.

use super::counts::Counts;
use super::*;
use crate::invariant::ledger;

const TABLE: &str = "wares";

pub struct Ddl {
    plan: LoadPlan,
    counts: Counts,
}

pub enum Op {
    /// By an index that may be there or not, or by the primary key.
    Read {
        key: usize,
        floor: i64,
    },
    /// Reads, then writes what it read plus one.
    Rewrite {
        key: usize,
        floor: i64,
        counted: bool,
    },
    Alter {
        how: usize,
    },
}

/// Each may find that it was done already.
const DONE_ALREADY: [u16; 3] = [1060, 1061, 1091];
const ALTERS: [&str; 6] = [
    "ADD COLUMN tag INT NOT NULL DEFAULT 7",
    "DROP COLUMN tag",
    "ADD COLUMN note VARCHAR(20) FIRST",
    "DROP COLUMN note",
    "ADD INDEX by_n (n)",
    "DROP INDEX by_n",
];

/// Of 1,000 transactions that write, so many alter the table.
const ALTER_PER_MILLE: u64 = 60;

impl Ddl {
    pub fn new(plan: LoadPlan) -> Ddl {
        let counts = Counts::new("ware", plan.keys);
        Ddl { plan, counts }
    }
}

impl Workload for Ddl {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        vec![int_table(TABLE, &["id", "n"], 1)]
    }

    fn rows(&self) -> Vec<Step> {
        self.counts.rows(TABLE)
    }

    fn next(&mut self, _at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let key = draws.below(self.counts.len() as u64) as usize;
        if draws.chance(self.plan.read_per_mille) {
            return Task { form: Form::Text, writes: Writes::Nothing, op: Op::Read { key, floor: 0 } };
        }
        if draws.chance(ALTER_PER_MILLE) {
            let how = draws.below(ALTERS.len() as u64) as usize;
            return Task { form: Form::Text, writes: Writes::Alone, op: Op::Alter { how } };
        }
        let (isolation, _) = strict(draws);
        let op = Op::Rewrite { key, floor: 0, counted: false };
        Task { form: Form::Session(isolation), writes: Writes::Noted, op }
    }

    fn begun(&mut self, op: &mut Op, _judge: &Judge) {
        match op {
            Op::Read { key, floor } => *floor = self.counts.of(*key).floor(),
            // A session begins before it reads.
            Op::Rewrite { key, floor, counted } => {
                *floor = self.counts.of(*key).floor();
                self.counts.of(*key).begin();
                *counted = true;
            }
            Op::Alter { .. } => {}
        }
    }

    fn run(&mut self, op: &mut Op, stage: u32, last: &[StepResult], run: &mut Run) -> Next {
        match (op, stage) {
            (Op::Read { key, .. }, _) => Next::Text(format!("SELECT n FROM shop.{TABLE} WHERE id = {key}")),
            (Op::Alter { how }, _) => Next::Text(format!("ALTER TABLE shop.{TABLE} {}", ALTERS[*how])),
            (Op::Rewrite { key, .. }, 0) => {
                Next::Text(format!("SELECT n FROM shop.{TABLE} WHERE id = {key}"))
            }
            (Op::Rewrite { key, floor, .. }, 1) => {
                let (key, value) = (*key, column(last, 0, 0).first().copied());
                self.counts.read(key, *floor, value, run.at.slot, run.judge);
                let next = value.unwrap_or(0) + 1;
                Next::Text(format!("UPDATE shop.{TABLE} SET n = {next} WHERE id = {key}"))
            }
            (Op::Rewrite { .. }, 2) => Next::Text(format!(
                "INSERT INTO shop.{} VALUES ({}, {})",
                ledger::TABLE,
                run.at.op,
                run.at.client
            )),
            (Op::Rewrite { .. }, _) => Next::Commit,
        }
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        let done_already = matches!(end.error, Some(Error::Sql { code, .. }) if DONE_ALREADY.contains(code));
        if !(done_already && matches!(op, Op::Alter { .. })) {
            defect(end, judge);
        }
        match (op, end.outcome) {
            (Op::Read { key, floor }, Outcome::Yes) => {
                let value = column(end.results, 0, 0).first().copied();
                self.counts.read(key, floor, value, end.at.slot, judge);
            }
            (Op::Rewrite { key, .. }, Outcome::Yes) => self.counts.of(key).acknowledged(),
            (Op::Rewrite { key, counted: true, .. }, Outcome::No) => self.counts.of(key).refused(),
            _ => {}
        }
    }

    /// By name, for who knows which columns there are.
    fn last_read(&self) -> Vec<Step> {
        (0..self.counts.len() as i64).map(|id| get(TABLE, &[id], false)).collect()
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        for key in 0..self.counts.len() {
            // `n` comes right after `id`, wherever that is.
            let row = ints(results, key).into_iter().next();
            let at = row.as_ref().and_then(|row| row.iter().position(|v| *v == key as i64));
            let value = row.zip(at).and_then(|(row, at)| row.get(at + 1).copied());
            self.counts.last_read(key, value, slot, judge);
        }
    }
}
