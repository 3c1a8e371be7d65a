//! Audit: looks on any node for the ledger rows of other clients' transactions.

use super::*;
use crate::invariant::ledger;

pub struct Audit;

pub struct Op {
    from: u64,
    to: u64,
}

/// How many numbers one look covers.
const LOOK: u64 = 30;

impl Workload for Audit {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        vec![ledger::table()]
    }

    fn rows(&self) -> Vec<Step> {
        Vec::new()
    }

    fn next(&mut self, _at: At, judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let newest = judge.ledger.pick(draws);
        let form = *draws.pick(&[Form::Auto, Form::Script(Isolation::RepeatableRead)]);
        Task { form, writes: Writes::Nothing, op: Op { from: newest.saturating_sub(LOOK), to: newest + 1 } }
    }

    fn run(&mut self, op: &mut Op, _stage: u32, _last: &[StepResult], _run: &mut Run) -> Next {
        Next::Run(vec![scan(ledger::TABLE, &[op.from as i64], &[op.to as i64], false)])
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        defect(end, judge);
        if end.outcome == Outcome::Yes {
            check(&op, end.at.slot, end.results, end.begun_ns, judge);
        }
    }

    fn last_read(&self) -> Vec<Step> {
        vec![scan(ledger::TABLE, &[], &[], false)]
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        let all = Op { from: 0, to: judge.ledger.len() };
        check(&all, slot, results, judge.now_ns, judge);
    }
}

fn check(op: &Op, slot: Slot, results: &[StepResult], begun_ns: u64, judge: &mut Judge) {
    let found: Vec<u64> = column(results, 0, 0).into_iter().map(|id| id as u64).collect();
    if let Err(why) = judge.ledger.read(op.from, op.to, &found, begun_ns, judge.now_ns) {
        judge.broken("ledger", format!("on {slot}: {why}"));
    }
}
