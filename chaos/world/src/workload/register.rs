//! Register: reads, writes and swaps of single rows; each row is linearizable.

use super::*;
use crate::invariant::ledger;
use plait_check::linear::{self, Done, Kind, Verdict};

const TABLE: &str = "registers";

pub struct Register {
    plan: LoadPlan,
    history: Vec<Vec<Done>>,
    /// The newest value that somebody was told of, for each row: what the next swap bets on.
    told: Vec<i64>,
    judged: bool,
}

pub enum Op {
    Read {
        key: usize,
    },
    Write {
        key: usize,
        replace: bool,
    },
    /// One request: a check of the value, then the write.
    Swap {
        key: usize,
        from: i64,
    },
    /// Reads, then writes something that does not depend on it: first committer wins.
    Update {
        key: usize,
        lock: bool,
        saw: Option<i64>,
    },
    /// Deletes the row and puts it back, in one transaction or in two statements of one.
    Replant {
        key: usize,
    },
}

impl Register {
    pub fn new(plan: LoadPlan) -> Register {
        let keys = plan.keys.max(1) as usize;
        Register { plan, history: vec![Vec::new(); keys], told: vec![0; keys], judged: false }
    }

    fn note(&mut self, key: usize, op: u64, begun_ns: u64, ended_ns: u64, kind: Kind) {
        self.history[key].push(Done { op, begun_ns, ended_ns, kind });
        if ended_ns != u64::MAX {
            self.told[key] = match kind {
                Kind::Read(v) | Kind::Write(v) | Kind::Swap(_, v) => v,
            };
        }
    }
}

impl Workload for Register {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        vec![int_table(TABLE, &["id", "v"], 1)]
    }

    fn rows(&self) -> Vec<Step> {
        (0..self.history.len() as i64).map(|id| put(TABLE, &[id, 0])).collect()
    }

    fn next(&mut self, _at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let key = draws.below(self.history.len() as u64) as usize;
        let (isolation, lock) = strict(draws);
        if draws.chance(self.plan.read_per_mille) {
            let form = *draws.pick(&[Form::Auto, Form::Script(isolation)]);
            return Task { form, writes: Writes::Nothing, op: Op::Read { key } };
        }
        let (form, op) = if draws.chance(self.plan.script_per_mille) {
            let form = *draws.pick(&[Form::Auto, Form::Script(isolation)]);
            let op = match draws.below(4) {
                0 => Op::Swap { key, from: self.told[key] },
                1 => Op::Replant { key },
                n => Op::Write { key, replace: n == 2 },
            };
            (form, op)
        } else {
            (Form::Session(isolation), Op::Update { key, lock, saw: None })
        };
        Task { form, writes: Writes::Noted, op }
    }

    fn run(&mut self, op: &mut Op, stage: u32, last: &[StepResult], run: &mut Run) -> Next {
        let value = run.at.op as i64 + 1;
        let ledger = ledger::row(run.at.op, run.at.client);
        let to = Change::To(Value::Int(value));
        match (op, stage) {
            (Op::Read { key }, _) => Next::Run(vec![get(TABLE, &[*key as i64], false)]),
            (Op::Write { key, replace: true }, _) => {
                Next::Run(vec![put(TABLE, &[*key as i64, value]), ledger])
            }
            (Op::Write { key, .. }, _) => Next::Run(vec![set(TABLE, &[*key as i64], "v", to), ledger]),
            (Op::Swap { key: k, from }, _) => Next::Run(vec![
                Step::Check {
                    table: TABLE.to_owned(),
                    key: key(&[*k as i64]),
                    column: "v".to_owned(),
                    least: *from,
                    most: *from,
                },
                set(TABLE, &[*k as i64], "v", to),
                ledger,
            ]),
            (Op::Replant { key: k }, _) => Next::Run(vec![
                Step::Delete { table: TABLE.to_owned(), key: key(&[*k as i64]) },
                Step::Insert { table: TABLE.to_owned(), row: key(&[*k as i64, value]) },
                ledger,
            ]),
            (Op::Update { key, lock, .. }, 0) => Next::Run(vec![get(TABLE, &[*key as i64], *lock)]),
            (Op::Update { key, saw, .. }, 1) => {
                *saw = column(last, 0, 1).first().copied();
                let Some(found) = *saw else {
                    run.judge.broken("linear", format!("register {key} is gone on {}", run.at.slot));
                    return Next::Rollback;
                };
                let (op, begun_ns, now_ns) = (run.at.op, run.begun_ns, run.judge.now_ns);
                self.note(*key, op, begun_ns, now_ns, Kind::Read(found));
                Next::Run(vec![set(TABLE, &[*key as i64], "v", to), ledger])
            }
            (Op::Update { .. }, _) => Next::Commit,
        }
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        let value = end.at.op as i64 + 1;
        if !(matches!(op, Op::Swap { .. }) && matches!(end.error, Some(Error::Unmet { .. }))) {
            defect(end, judge);
        }
        let ended_ns = match end.outcome {
            Outcome::Yes => judge.now_ns,
            Outcome::Unknown => u64::MAX,
            Outcome::No => {
                // A refused swap tells what it found instead.
                if let (Op::Swap { key, .. }, Some(Error::Unmet { found, .. })) = (&op, end.error) {
                    match found.parse() {
                        Ok(found) => {
                            self.note(*key, end.at.op, end.begun_ns, judge.now_ns, Kind::Read(found))
                        }
                        Err(_) => judge.broken("linear", format!("register {key} holds '{found}'")),
                    }
                }
                return;
            }
        };
        let (key, kind) = match op {
            Op::Read { .. } if end.outcome == Outcome::Unknown => return,
            Op::Read { key } => match column(end.results, 0, 1).first() {
                Some(found) => (key, Kind::Read(*found)),
                None => return judge.broken("linear", format!("register {key} is gone on {}", end.at.slot)),
            },
            Op::Write { key, .. } | Op::Replant { key } => (key, Kind::Write(value)),
            Op::Swap { key, from } => (key, Kind::Swap(from, value)),
            Op::Update { key, saw: Some(saw), .. } => (key, Kind::Swap(saw, value)),
            Op::Update { saw: None, .. } => return,
        };
        self.note(key, end.at.op, end.begun_ns, ended_ns, kind);
    }

    fn last_read(&self) -> Vec<Step> {
        vec![scan(TABLE, &[], &[], false)]
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        let values = column(results, 0, 1);
        for (key, history) in self.history.iter_mut().enumerate() {
            match values.get(key) {
                Some(v) => {
                    // Reads at the end overlap nothing, and come after everything.
                    let at_ns = judge.now_ns;
                    history.push(Done {
                        op: u64::MAX,
                        begun_ns: at_ns - 1,
                        ended_ns: at_ns,
                        kind: Kind::Read(*v),
                    });
                }
                None => judge.broken("linear", format!("register {key} is gone on {slot}")),
            }
        }
        if std::mem::replace(&mut self.judged, slot == Slot::ALL[1]) {
            for (key, history) in self.history.iter().enumerate() {
                if let Verdict::Not(why) = linear::check(0, history) {
                    judge.broken("linear", format!("register {key}: {why}"));
                }
            }
        }
    }
}
