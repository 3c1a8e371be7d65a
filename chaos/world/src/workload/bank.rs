//! Bank: transfers between a few accounts; the total never changes.

use super::*;
use crate::invariant::ledger;
use crate::invariant::total::Total;

const TABLE: &str = "accounts";
const OPENING: i64 = 100;

pub struct Bank {
    plan: LoadPlan,
    total: Total,
}

pub enum Op {
    Transfer {
        from: i64,
        to: i64,
        amount: i64,
        lock: bool,
    },
    /// Reads all accounts, in one statement or in two of one transaction.
    Read {
        split: bool,
        seen: Vec<i64>,
    },
}

impl Bank {
    pub fn new(plan: LoadPlan) -> Bank {
        let total = Total::of(i64::from(plan.keys.max(2)) * OPENING);
        Bank { plan, total }
    }

    fn accounts(&self) -> usize {
        self.plan.keys.max(2) as usize
    }
}

impl Workload for Bank {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        vec![int_table(TABLE, &["id", "balance"], 1)]
    }

    fn rows(&self) -> Vec<Step> {
        (0..self.accounts() as i64).map(|id| put(TABLE, &[id, OPENING])).collect()
    }

    fn next(&mut self, _at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        if draws.chance(self.plan.read_per_mille) {
            let split = draws.chance(400);
            let form = if split {
                Form::Session(Isolation::RepeatableRead)
            } else {
                Form::Script(Isolation::RepeatableRead)
            };
            return Task { form, writes: Writes::Nothing, op: Op::Read { split, seen: Vec::new() } };
        }
        let n = self.accounts() as u64;
        let from = draws.below(n);
        let to = (from + 1 + draws.below(n - 1)) % n;
        let (isolation, lock) = strict(draws);
        let form = if draws.chance(self.plan.script_per_mille) {
            Form::Script(isolation)
        } else {
            Form::Session(isolation)
        };
        let amount = draws.between(1, 20) as i64;
        Task {
            form,
            writes: Writes::Noted,
            op: Op::Transfer { from: from as i64, to: to as i64, amount, lock },
        }
    }

    fn run(&mut self, op: &mut Op, stage: u32, last: &[StepResult], run: &mut Run) -> Next {
        match op {
            Op::Read { split: false, .. } => Next::Run(vec![scan(TABLE, &[], &[], false)]),
            Op::Read { split: true, seen } => {
                seen.extend(column(last, 0, 1));
                match stage {
                    0 => Next::Run(vec![scan(TABLE, &[], &[1], false)]),
                    1 => Next::Run(vec![scan(TABLE, &[1], &[], false)]),
                    _ => {
                        let found = self.total.read(run.at.slot, seen, self.plan.keys.max(2) as usize);
                        if let Err(why) = found {
                            run.judge.broken("total", why);
                        }
                        Next::Commit
                    }
                }
            }
            Op::Transfer { from, to, amount, lock } => match stage {
                // A script changes by sums under a condition; a session reads and writes back what it computed.
                0 if run.script => Next::Run(vec![
                    Step::Check {
                        table: TABLE.to_owned(),
                        key: key(&[*from]),
                        column: "balance".to_owned(),
                        least: *amount,
                        most: i64::MAX,
                    },
                    set(TABLE, &[*from], "balance", Change::Add(-*amount)),
                    set(TABLE, &[*to], "balance", Change::Add(*amount)),
                    ledger::row(run.at.op, run.at.client),
                ]),
                0 => Next::Run(vec![get(TABLE, &[*from], *lock), get(TABLE, &[*to], *lock)]),
                1 => {
                    let (Some(a), Some(b)) =
                        (column(last, 0, 1).first().copied(), column(last, 1, 1).first().copied())
                    else {
                        run.judge.broken("total", format!("an account is gone on {}", run.at.slot));
                        return Next::Rollback;
                    };
                    if a < *amount {
                        return Next::Rollback;
                    }
                    Next::Run(vec![
                        set(TABLE, &[*from], "balance", Change::To(Value::Int(a - *amount))),
                        set(TABLE, &[*to], "balance", Change::To(Value::Int(b + *amount))),
                        ledger::row(run.at.op, run.at.client),
                    ])
                }
                _ => Next::Commit,
            },
        }
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        if !matches!(end.error, Some(Error::Unmet { .. })) {
            defect(end, judge);
        }
        if let (Op::Read { split: false, .. }, Outcome::Yes) = (op, end.outcome)
            && let Err(why) = self.total.read(end.at.slot, &column(end.results, 0, 1), self.accounts())
        {
            judge.broken("total", why);
        }
    }

    fn last_read(&self) -> Vec<Step> {
        vec![scan(TABLE, &[], &[], false)]
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        if let Err(why) = self.total.read(slot, &column(results, 0, 1), self.accounts()) {
            judge.broken("total", why);
        }
    }
}
