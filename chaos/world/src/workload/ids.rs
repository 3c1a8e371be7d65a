//! Ids: rows whose key the node gives; some are deleted again, and their ids never come back.

use super::*;
use crate::invariant::ids::Ids;
use crate::invariant::ledger;
use std::collections::BTreeMap;

const TABLE: &str = "items";

pub struct IdsLoad {
    plan: LoadPlan,
    ids: Ids,
    /// Where each inserting transaction ran.
    slot_of: BTreeMap<u64, Slot>,
    /// Acknowledged and not deleted, oldest first.
    there: Vec<(i64, u64)>,
    /// A delete of these was sent; they may be there or not.
    doubtful: BTreeMap<i64, u64>,
}

pub enum Op {
    /// The id that its statement was told, in a session.
    Insert(i64),
    Delete(i64),
}

impl IdsLoad {
    pub fn new(plan: LoadPlan) -> IdsLoad {
        IdsLoad {
            plan,
            ids: Ids::default(),
            slot_of: BTreeMap::new(),
            there: Vec::new(),
            doubtful: BTreeMap::new(),
        }
    }

    fn seen(&mut self, id: i64, op: u64, judge: &mut Judge) {
        let found = match self.slot_of.get(&op) {
            Some(slot) => self.ids.seen(id, op, *slot),
            None => Err(format!("id {id} belongs to transaction {op}, which inserted nothing")),
        };
        if let Err(why) = found {
            judge.broken("ids", why);
        }
    }
}

impl Workload for IdsLoad {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        let mut table = int_table(TABLE, &["id", "op"], 1);
        table.auto_increment = Some(0);
        vec![table]
    }

    fn rows(&self) -> Vec<Step> {
        Vec::new()
    }

    fn next(&mut self, at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let delete = draws.chance(self.plan.read_per_mille) && !self.there.is_empty();
        let op = if delete {
            // Mostly the newest: it is the one whose id a forgetful node would give again.
            let n = self.there.len();
            let (id, owner) =
                self.there.remove(if draws.chance(700) { n - 1 } else { draws.below(n as u64) as usize });
            self.doubtful.insert(id, owner);
            Op::Delete(id)
        } else {
            self.slot_of.insert(at.op, at.slot);
            Op::Insert(0)
        };
        let (isolation, _) = strict(draws);
        let form = match draws.chance(self.plan.script_per_mille) {
            true => *draws.pick(&[Form::Auto, Form::Script(isolation)]),
            false => Form::Session(isolation),
        };
        Task { form, writes: Writes::Noted, op }
    }

    fn run(&mut self, op: &mut Op, stage: u32, last: &[StepResult], run: &mut Run) -> Next {
        let ledger = ledger::row(run.at.op, run.at.client);
        match (op, stage) {
            (Op::Insert(_), 0) => {
                let row = vec![Value::Null, Value::Int(run.at.op as i64)];
                Next::Run(vec![Step::Insert { table: TABLE.to_owned(), row }, ledger])
            }
            (Op::Delete(id), 0) => {
                Next::Run(vec![Step::Delete { table: TABLE.to_owned(), key: key(&[*id]) }, ledger])
            }
            (Op::Insert(id), _) => {
                // The id was told before the commit: from now on it is this transaction's, whatever becomes of it.
                if let Some(StepResult::Done(done)) = last.first() {
                    *id = done.insert_id;
                    self.seen(*id, run.at.op, run.judge);
                }
                Next::Commit
            }
            (Op::Delete(_), _) => Next::Commit,
        }
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        defect(end, judge);
        match (op, end.outcome) {
            (Op::Insert(told), Outcome::Yes) => {
                // In a session the id came with the statement, and the commit has no result of its own.
                let id = match end.results.first() {
                    Some(StepResult::Done(done)) if told == 0 => done.insert_id,
                    _ => told,
                };
                self.seen(id, end.at.op, judge);
                self.there.push((id, end.at.op));
            }
            (Op::Delete(id), Outcome::No) => {
                if let Some(owner) = self.doubtful.remove(&id) {
                    self.there.push((id, owner));
                }
            }
            _ => {}
        }
    }

    fn last_read(&self) -> Vec<Step> {
        vec![scan(TABLE, &[], &[], false)]
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        let rows: BTreeMap<i64, i64> =
            ints(results, 0).iter().filter(|row| row.len() == 2).map(|row| (row[0], row[1])).collect();
        for (id, op) in &rows {
            self.seen(*id, *op as u64, judge);
        }
        if let Some((id, op)) = self.there.iter().find(|(id, op)| rows.get(id) != Some(&(*op as i64))) {
            judge.broken(
                "ids",
                format!("the row of id {id}, which transaction {op} inserted, is not on {slot}"),
            );
        }
    }
}
