//! Skew pairs: rules over two rows, or over a range, that only hold if what was read is certified.

use super::*;
use crate::invariant::{ledger, skew};

/// Two people a pair; at least one is on duty.
const DUTY: &str = "duty";
/// Guests by hall; at most one a hall.
const HALLS: &str = "halls";

pub struct Skew {
    plan: LoadPlan,
}

pub enum Op {
    Look {
        pair: i64,
    },
    Peek {
        hall: i64,
    },
    Leave {
        pair: i64,
        who: i64,
        lock: bool,
    },
    Return {
        pair: i64,
        who: i64,
    },
    /// Enters an empty hall, or empties it.
    Visit {
        hall: i64,
        lock: bool,
    },
}

impl Skew {
    pub fn new(plan: LoadPlan) -> Skew {
        Skew { plan }
    }

    fn pairs(&self) -> i64 {
        i64::from(self.plan.keys.max(1))
    }
}

fn both(pair: i64, lock: bool) -> Vec<Step> {
    vec![get(DUTY, &[pair, 0], lock), get(DUTY, &[pair, 1], lock)]
}

fn on_duty(results: &[StepResult]) -> Vec<i64> {
    [0, 1].iter().filter_map(|n| column(results, *n, 2).first().copied()).collect()
}

impl Workload for Skew {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        vec![int_table(DUTY, &["pair", "who", "present"], 2), int_table(HALLS, &["hall", "guest"], 2)]
    }

    fn rows(&self) -> Vec<Step> {
        (0..self.pairs()).flat_map(|pair| [put(DUTY, &[pair, 0, 1]), put(DUTY, &[pair, 1, 1])]).collect()
    }

    fn next(&mut self, _at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let pair = draws.below(self.pairs() as u64) as i64;
        let who = draws.below(2) as i64;
        if draws.chance(self.plan.read_per_mille) {
            let op = if draws.chance(500) { Op::Look { pair } } else { Op::Peek { hall: pair } };
            return Task { form: Form::Script(Isolation::RepeatableRead), writes: Writes::Nothing, op };
        }
        // Both ways to have reads certified must do.
        let (isolation, lock) =
            *draws.pick(&[(Isolation::RepeatableRead, true), (Isolation::Serializable, false)]);
        let op = match draws.below(5) {
            0 | 1 => Op::Leave { pair, who, lock },
            2 => Op::Return { pair, who },
            _ => Op::Visit { hall: pair, lock },
        };
        let form = match op {
            Op::Return { .. } => Form::Script(isolation),
            _ => Form::Session(isolation),
        };
        Task { form, writes: Writes::Noted, op }
    }

    fn run(&mut self, op: &mut Op, stage: u32, last: &[StepResult], run: &mut Run) -> Next {
        let ledger = ledger::row(run.at.op, run.at.client);
        let slot = run.at.slot;
        match (op, stage) {
            (Op::Look { pair }, _) => Next::Run(both(*pair, false)),
            (Op::Peek { hall }, _) => Next::Run(vec![scan(HALLS, &[*hall], &[*hall + 1], false)]),
            (Op::Return { pair, who }, _) => {
                Next::Run(vec![set(DUTY, &[*pair, *who], "present", Change::To(Value::Int(1))), ledger])
            }
            (Op::Leave { pair, lock, .. }, 0) => Next::Run(both(*pair, *lock)),
            (Op::Leave { pair, who, .. }, 1) => {
                let on = on_duty(last);
                if let Err(why) = skew::duty(slot, *pair, &on) {
                    run.judge.broken("skew", why);
                }
                match on.iter().sum::<i64>() {
                    2 => Next::Run(vec![
                        set(DUTY, &[*pair, *who], "present", Change::To(Value::Int(0))),
                        ledger,
                    ]),
                    // Somebody has left already: call both back, so that the next ones can leave.
                    _ => Next::Run(vec![
                        set(DUTY, &[*pair, 0], "present", Change::To(Value::Int(1))),
                        set(DUTY, &[*pair, 1], "present", Change::To(Value::Int(1))),
                        ledger,
                    ]),
                }
            }
            (Op::Visit { hall, lock }, 0) => Next::Run(vec![scan(HALLS, &[*hall], &[*hall + 1], *lock)]),
            (Op::Visit { hall, .. }, 1) => {
                let guests = column(last, 0, 1);
                if let Err(why) = skew::hall(slot, *hall, &guests) {
                    run.judge.broken("skew", why);
                }
                let step = match guests.first() {
                    None => Step::Insert { table: HALLS.to_owned(), row: key(&[*hall, run.at.op as i64]) },
                    Some(guest) => Step::Delete { table: HALLS.to_owned(), key: key(&[*hall, *guest]) },
                };
                Next::Run(vec![step, ledger])
            }
            (Op::Leave { .. } | Op::Visit { .. }, _) => Next::Commit,
        }
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        defect(end, judge);
        if end.outcome != Outcome::Yes {
            return;
        }
        let found = match op {
            Op::Look { pair } => skew::duty(end.at.slot, pair, &on_duty(end.results)),
            Op::Peek { hall } => skew::hall(end.at.slot, hall, &column(end.results, 0, 1)),
            _ => Ok(()),
        };
        if let Err(why) = found {
            judge.broken("skew", why);
        }
    }

    fn last_read(&self) -> Vec<Step> {
        vec![scan(DUTY, &[], &[], false), scan(HALLS, &[], &[], false)]
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        let duty = ints(results, 0);
        let halls = ints(results, 1);
        for n in 0..self.pairs() {
            let on: Vec<i64> = duty.iter().filter(|row| row[0] == n).map(|row| row[2]).collect();
            let guests: Vec<i64> = halls.iter().filter(|row| row[0] == n).map(|row| row[1]).collect();
            for found in [skew::duty(slot, n, &on), skew::hall(slot, n, &guests)] {
                if let Err(why) = found {
                    judge.broken("skew", why);
                }
            }
        }
    }
}
