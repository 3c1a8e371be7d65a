//! Bulk: transactions so long that their statements and their apply are cut into slices.

use super::*;
use crate::invariant::{ledger, whole};

const TABLE: &str = "sheet";
/// Rows a key of the plan stands for.
const ROWS_A_KEY: u32 = 8;

pub struct Bulk {
    rows: i64,
    plan: LoadPlan,
}

pub enum Op {
    /// In one statement or in two of one transaction.
    Read { split: bool, seen: Vec<i64> },
    /// Gives all rows this transaction's number.
    Rewrite { split: bool },
    /// Takes all rows away and puts them back with this transaction's number.
    Replant,
}

impl Bulk {
    pub fn new(plan: LoadPlan) -> Bulk {
        Bulk { rows: i64::from(plan.keys.max(1) * ROWS_A_KEY), plan }
    }

    fn put_all(&self, from: i64, to: i64, value: i64) -> Vec<Step> {
        (from..to).map(|id| put(TABLE, &[id, value])).collect()
    }

    fn check(&self, slot: Slot, values: &[i64], judge: &mut Judge) {
        if let Err(why) = whole::sheet(slot, self.rows as usize, values) {
            judge.broken("whole", why);
        }
    }
}

impl Workload for Bulk {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        vec![int_table(TABLE, &["id", "batch"], 1)]
    }

    fn rows(&self) -> Vec<Step> {
        self.put_all(0, self.rows, -1)
    }

    fn next(&mut self, _at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let (isolation, _) = strict(draws);
        let split = draws.chance(500);
        let form = if split { Form::Session(isolation) } else { Form::Script(isolation) };
        if draws.chance(self.plan.read_per_mille) {
            return Task { form, writes: Writes::Nothing, op: Op::Read { split, seen: Vec::new() } };
        }
        if draws.chance(250) {
            return Task { form: Form::Script(isolation), writes: Writes::Noted, op: Op::Replant };
        }
        Task { form, writes: Writes::Noted, op: Op::Rewrite { split } }
    }

    fn run(&mut self, op: &mut Op, stage: u32, last: &[StepResult], run: &mut Run) -> Next {
        let value = run.at.op as i64;
        let half = self.rows / 2;
        match (op, stage) {
            (Op::Read { split: false, .. }, _) => Next::Run(vec![scan(TABLE, &[], &[], false)]),
            (Op::Read { .. }, 0) => Next::Run(vec![scan(TABLE, &[], &[half], false)]),
            (Op::Read { seen, .. }, 1) => {
                seen.extend(column(last, 0, 1));
                Next::Run(vec![scan(TABLE, &[half], &[], false)])
            }
            (Op::Read { seen, .. }, _) => {
                seen.extend(column(last, 0, 1));
                let seen = std::mem::take(seen);
                self.check(run.at.slot, &seen, run.judge);
                Next::Commit
            }
            (Op::Rewrite { split }, 0) => {
                let mut steps = self.put_all(0, if *split { half } else { self.rows }, value);
                steps.push(ledger::row(run.at.op, run.at.client));
                Next::Run(steps)
            }
            (Op::Rewrite { .. }, 1) => Next::Run(self.put_all(half, self.rows, value)),
            (Op::Rewrite { .. }, _) => Next::Commit,
            (Op::Replant, _) => {
                let delete = |id| Step::Delete { table: TABLE.to_owned(), key: key(&[id]) };
                let insert = |id| Step::Insert { table: TABLE.to_owned(), row: key(&[id, value]) };
                let mut steps: Vec<Step> =
                    (0..self.rows).map(delete).chain((0..self.rows).map(insert)).collect();
                steps.push(ledger::row(run.at.op, run.at.client));
                Next::Run(steps)
            }
        }
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        defect(end, judge);
        if let (Op::Read { split: false, .. }, Outcome::Yes) = (op, end.outcome) {
            self.check(end.at.slot, &column(end.results, 0, 1), judge);
        }
    }

    fn last_read(&self) -> Vec<Step> {
        vec![scan(TABLE, &[], &[], false)]
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        self.check(slot, &column(results, 0, 1), judge);
    }
}
