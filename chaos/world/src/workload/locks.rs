//! Named locks: whoever has one reads a counter and, in another transaction, writes what it read plus one. Nothing but
//! the lock stands between two who do that at once, on whichever nodes; and a lock that was given away while its
//! holder's node was cut off must not let the holder write any more.

use super::counts::Counts;
use super::*;
use crate::invariant::ledger;

const TABLE: &str = "guarded";

/// How long a lock is waited for, in seconds.
const WAIT_S: &str = "0.3";

pub struct Locks {
    plan: LoadPlan,
    counts: Counts,
}

pub struct Op {
    key: usize,
    /// A read by itself, without the lock.
    looks: bool,
    floor: i64,
    counted: bool,
}

impl Locks {
    pub fn new(plan: LoadPlan) -> Locks {
        let counts = Counts::new("guarded counter", plan.keys);
        Locks { plan, counts }
    }
}

impl Workload for Locks {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        vec![int_table(TABLE, &["id", "n"], 1)]
    }

    fn rows(&self) -> Vec<Step> {
        self.counts.rows(TABLE)
    }

    fn next(&mut self, _at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let key = draws.below(self.counts.len() as u64) as usize;
        let looks = draws.chance(self.plan.read_per_mille);
        let (form, writes) =
            if looks { (Form::Auto, Writes::Nothing) } else { (Form::Statements, Writes::Noted) };
        Task { form, writes, op: Op { key, looks, floor: 0, counted: false } }
    }

    fn begun(&mut self, op: &mut Op, _judge: &Judge) {
        op.floor = self.counts.of(op.key).floor();
        if !op.looks {
            self.counts.of(op.key).begin();
            op.counted = true;
        }
    }

    fn run(&mut self, op: &mut Op, stage: u32, last: &[StepResult], run: &mut Run) -> Next {
        let id = op.key as i64;
        match stage {
            _ if op.looks => Next::Run(vec![get(TABLE, &[id], false)]),
            // What this client has from its last transaction goes first.
            0 => Next::Text(format!("SELECT RELEASE_ALL_LOCKS(); SELECT GET_LOCK('guard {id}', {WAIT_S})")),
            1 if column(last, 1, 0) != [1] => Next::Rollback,
            1 => Next::Run(vec![get(TABLE, &[id], false)]),
            _ => {
                let value = column(last, 0, 1).first().copied();
                self.counts.read(op.key, op.floor, value, run.at.slot, run.judge);
                let next = Value::Int(value.unwrap_or(0) + 1);
                Next::Write(vec![
                    set(TABLE, &[id], "n", Change::To(next)),
                    ledger::row(run.at.op, run.at.client),
                ])
            }
        }
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        let lost = |error: &Error| match error {
            Error::After { error, .. } => matches!(**error, Error::LockLost { .. }),
            error => matches!(error, Error::LockLost { .. }),
        };
        // That the lock was given away is an answer.
        if !end.error.is_some_and(lost) {
            defect(end, judge);
        }
        match end.outcome {
            Outcome::Yes if op.looks => {
                let value = column(end.results, 0, 1).first().copied();
                self.counts.read(op.key, op.floor, value, end.at.slot, judge);
            }
            _ if op.looks => {}
            Outcome::Yes => self.counts.of(op.key).acknowledged(),
            Outcome::No if op.counted => self.counts.of(op.key).refused(),
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
