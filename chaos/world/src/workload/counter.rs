//! Counter: increments, blind and by read-modify-write, by steps and in SQL; reads are never stale, and no increment
//! is lost.

use super::counts::Counts;
use super::*;
use crate::invariant::ledger;

const TABLE: &str = "counters";

pub struct Counter {
    plan: LoadPlan,
    counts: Counts,
}

pub struct Op {
    key: usize,
    kind: Kind,
    /// What a read of this transaction must see at least.
    floor: i64,
    counted: bool,
}

enum Kind {
    Read,
    /// `n = n + 1`, without looking.
    Add,
    /// `n = n + 1` and no more, by itself: it may be ordered as a statement.
    Bump {
        text: bool,
    },
    /// A transaction in SQL, sent at once; `lock`: it reads first, under lock.
    Tell {
        lock: bool,
    },
    /// Reads, then writes what it read plus one.
    Rewrite {
        lock: bool,
    },
}

impl Counter {
    pub fn new(plan: LoadPlan) -> Counter {
        let counts = Counts::new("counter", plan.keys);
        Counter { plan, counts }
    }
}

impl Workload for Counter {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        vec![int_table(TABLE, &["id", "n"], 1)]
    }

    fn rows(&self) -> Vec<Step> {
        self.counts.rows(TABLE)
    }

    fn next(&mut self, _at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let key = draws.below(self.counts.len() as u64) as usize;
        let (isolation, lock) = strict(draws);
        let (form, kind) = if draws.chance(self.plan.read_per_mille) {
            (*draws.pick(&[Form::Auto, Form::Script(isolation)]), Kind::Read)
        } else if draws.chance(self.plan.script_per_mille) {
            match draws.below(7) {
                0 => (Form::Auto, Kind::Add),
                1 => (Form::Script(isolation), Kind::Add),
                2 => (Form::Script(Isolation::ReadCommitted), Kind::Add),
                3 => (Form::Auto, Kind::Bump { text: false }),
                4 | 5 => (Form::Text, Kind::Bump { text: true }),
                _ => (Form::Text, Kind::Tell { lock }),
            }
        } else {
            (Form::Session(isolation), Kind::Rewrite { lock })
        };
        let writes = match kind {
            Kind::Read => Writes::Nothing,
            Kind::Bump { .. } => Writes::Alone,
            _ => Writes::Noted,
        };
        Task { form, writes, op: Op { key, kind, floor: 0, counted: false } }
    }

    fn begun(&mut self, op: &mut Op, _judge: &Judge) {
        op.floor = self.counts.of(op.key).floor();
        if !matches!(op.kind, Kind::Read) {
            self.counts.of(op.key).begin();
            op.counted = true;
        }
    }

    fn run(&mut self, op: &mut Op, stage: u32, last: &[StepResult], run: &mut Run) -> Next {
        let id = op.key as i64;
        match (&op.kind, stage) {
            (Kind::Read, _) => Next::Run(vec![get(TABLE, &[id], false)]),
            (Kind::Add, _) => {
                Next::Run(vec![set(TABLE, &[id], "n", Change::Add(1)), ledger::row(run.at.op, run.at.client)])
            }
            (Kind::Bump { text: false }, _) => Next::Run(vec![set(TABLE, &[id], "n", Change::Add(1))]),
            (Kind::Bump { text: true }, _) => {
                Next::Text(format!("UPDATE shop.{TABLE} SET n = n + 1 WHERE id = {id}"))
            }
            (Kind::Tell { lock }, _) => {
                let look = format!("SELECT n FROM shop.{TABLE} WHERE id = {id} FOR UPDATE; ");
                let (op, client) = (run.at.op, run.at.client);
                Next::Text(format!(
                    "BEGIN; {}UPDATE shop.{TABLE} SET n = n + 1 WHERE id = {id}; \
                     INSERT INTO shop.{} VALUES ({op}, {client}); COMMIT",
                    if *lock { &look } else { "" },
                    ledger::TABLE,
                ))
            }
            (Kind::Rewrite { lock }, 0) => Next::Run(vec![get(TABLE, &[id], *lock)]),
            (Kind::Rewrite { .. }, 1) => {
                let value = column(last, 0, 1).first().copied();
                self.counts.read(op.key, op.floor, value, run.at.slot, run.judge);
                let next = Value::Int(value.unwrap_or(0) + 1);
                Next::Run(vec![
                    set(TABLE, &[id], "n", Change::To(next)),
                    ledger::row(run.at.op, run.at.client),
                ])
            }
            (Kind::Rewrite { .. }, _) => Next::Commit,
        }
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        defect(end, judge);
        match (&op.kind, end.outcome) {
            (Kind::Read, Outcome::Yes) => {
                let value = column(end.results, 0, 1).first().copied();
                self.counts.read(op.key, op.floor, value, end.at.slot, judge);
            }
            (Kind::Read, _) => {}
            (_, Outcome::Yes) => self.counts.of(op.key).acknowledged(),
            (_, Outcome::No) if op.counted => self.counts.of(op.key).refused(),
            _ => {}
        }
    }

    fn last_read(&self) -> Vec<Step> {
        vec![scan(TABLE, &[], &[], false)]
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        self.counts.last_scan(slot, results, judge);
    }
}
