//! Seats: rows that take places of a unique key, move in it, and leave it.

use super::*;
use crate::invariant::ledger;
use crate::invariant::seats;
use plait_store::{IndexDef, IndexPart};
use std::collections::{BTreeMap, BTreeSet};

const TABLE: &str = "guests";

/// So many seats a key of the plan: some are free at any time, and a taker often meets another.
const SEATS_A_KEY: u32 = 4;

pub struct Seats {
    plan: LoadPlan,
    /// Acknowledged, and nobody is about to change it: a row's id and its seat.
    there: BTreeMap<i64, i64>,
    /// Left for certain.
    gone: BTreeSet<i64>,
}

pub enum Op {
    Take { seat: i64 },
    Move { id: i64, from: i64, to: i64 },
    Leave { id: i64, from: i64 },
    Look,
}

impl Seats {
    pub fn new(plan: LoadPlan) -> Seats {
        Seats { plan, there: BTreeMap::new(), gone: BTreeSet::new() }
    }

    fn look(slot: Slot, results: &[StepResult], judge: &mut Judge) -> BTreeMap<i64, i64> {
        let rows: Vec<(i64, i64)> =
            ints(results, 0).iter().filter(|row| row.len() == 2).map(|row| (row[0], row[1])).collect();
        if let Err(why) = seats::one_each(slot, &rows) {
            judge.broken("seats", why);
        }
        rows.into_iter().collect()
    }
}

impl Workload for Seats {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        let mut table = int_table(TABLE, &["id", "seat"], 1);
        let parts = vec![IndexPart { column: 1, ..IndexPart::default() }];
        table.indexes.push(IndexDef {
            name: "by_seat".to_owned(),
            parts,
            unique: true,
            ..IndexDef::default()
        });
        vec![table]
    }

    fn rows(&self) -> Vec<Step> {
        Vec::new()
    }

    fn next(&mut self, _at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let (isolation, _) = strict(draws);
        if draws.chance(self.plan.read_per_mille) {
            return Task { form: Form::Script(isolation), writes: Writes::Nothing, op: Op::Look };
        }
        let seat = draws.below((self.plan.keys * SEATS_A_KEY).into()) as i64;
        let n = draws.below(self.there.len().max(1) as u64) as usize;
        let row = self.there.iter().nth(n).map(|(id, from)| (*id, *from)).filter(|_| draws.chance(600));
        let op = match row {
            None => Op::Take { seat },
            Some((id, from)) => {
                self.there.remove(&id);
                if draws.chance(300) { Op::Move { id, from, to: seat } } else { Op::Leave { id, from } }
            }
        };
        let form = match draws.chance(self.plan.script_per_mille) {
            true => *draws.pick(&[Form::Auto, Form::Script(isolation)]),
            false => Form::Session(isolation),
        };
        Task { form, writes: Writes::Noted, op }
    }

    fn run(&mut self, op: &mut Op, stage: u32, _last: &[StepResult], run: &mut Run) -> Next {
        let step = match (op, stage) {
            (Op::Look, _) => return Next::Run(vec![scan(TABLE, &[], &[], false)]),
            (Op::Take { seat }, 0) => {
                Step::Insert { table: TABLE.to_owned(), row: key(&[run.at.op as i64, *seat]) }
            }
            (Op::Move { id, to, .. }, 0) => set(TABLE, &[*id], "seat", Change::To(Value::Int(*to))),
            (Op::Leave { id, .. }, 0) => Step::Delete { table: TABLE.to_owned(), key: key(&[*id]) },
            _ => return Next::Commit,
        };
        Next::Run(vec![step, ledger::row(run.at.op, run.at.client)])
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        // That a seat is taken is an answer, and not a defect.
        if !matches!(end.error, Some(Error::DuplicateKey { table, .. }) if table == TABLE) {
            defect(end, judge);
        }
        match (op, end.outcome) {
            (Op::Look, Outcome::Yes) => {
                Seats::look(end.at.slot, end.results, judge);
            }
            (Op::Take { seat }, Outcome::Yes) => {
                self.there.insert(end.at.op as i64, seat);
            }
            (Op::Move { id, to: seat, .. }, Outcome::Yes)
            | (Op::Move { id, from: seat, .. } | Op::Leave { id, from: seat }, Outcome::No) => {
                self.there.insert(id, seat);
            }
            (Op::Leave { id, .. }, Outcome::Yes) => {
                self.gone.insert(id);
            }
            _ => {}
        }
    }

    fn last_read(&self) -> Vec<Step> {
        vec![scan(TABLE, &[], &[], false)]
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        let rows = Seats::look(slot, results, judge);
        if let Some((id, seat)) = self.there.iter().find(|(id, seat)| rows.get(id) != Some(seat)) {
            judge.broken("seats", format!("row {id}, which holds seat {seat}, is not so on {slot}"));
        }
        if let Some(id) = self.gone.iter().find(|id| rows.contains_key(id)) {
            judge.broken("seats", format!("row {id}, which left its seat, is still on {slot}"));
        }
    }
}
