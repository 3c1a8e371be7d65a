//! Orders: customers who come and go, their orders, and the lines of these. A customer with an order stays; an order
//! that is cancelled takes its lines along.

use super::*;
use crate::invariant::ledger;
use crate::invariant::orders;
use plait_store::{ForeignKey, IndexDef, IndexPart, Referential};
use std::collections::{BTreeMap, BTreeSet};

const CUSTOMERS: &str = "customers";
const ORDERS: &str = "orders";
const LINES: &str = "order_lines";

/// So many orders are kept open at a time, about: a customer is often without one, and may go.
const OPEN_MAX: usize = 4;

pub struct Orders {
    plan: LoadPlan,
    /// Acknowledged, and nobody is about to cancel it.
    orders: BTreeSet<i64>,
    cancelled: BTreeSet<i64>,
    /// Acknowledged lines of such orders: line and order.
    lines: BTreeMap<i64, i64>,
}

pub enum Op {
    Come {
        customer: i64,
    },
    /// Changes a customer, who stays: no hindrance to an order.
    Visit {
        customer: i64,
    },
    Go {
        customer: i64,
    },
    Order {
        customer: i64,
    },
    Add {
        order: i64,
    },
    Cancel {
        order: i64,
    },
    Look,
}

fn child(name: &str, parent: &str, on_delete: Referential) -> TableDef {
    let mut table = int_table(name, &["id", "of"], 1);
    let parts = vec![IndexPart { column: 1, ..IndexPart::default() }];
    table.indexes.push(IndexDef {
        name: "by_parent".to_owned(),
        parts,
        unique: false,
        ..IndexDef::default()
    });
    table.foreign.push(ForeignKey {
        name: format!("{name}_ibfk_1"),
        columns: vec![1],
        parent: parent.to_owned(),
        parent_columns: vec!["id".to_owned()],
        on_delete,
        on_update: Referential::NoAction,
    });
    table
}

fn pairs(results: &[StepResult], n: usize) -> Vec<(i64, i64)> {
    ints(results, n).iter().filter(|row| row.len() == 2).map(|row| (row[0], row[1])).collect()
}

impl Orders {
    pub fn new(plan: LoadPlan) -> Orders {
        Orders { plan, orders: BTreeSet::new(), cancelled: BTreeSet::new(), lines: BTreeMap::new() }
    }

    fn all() -> Vec<Step> {
        [CUSTOMERS, ORDERS, LINES].iter().map(|table| scan(table, &[], &[], false)).collect()
    }

    /// The orders and lines that a look found.
    #[allow(clippy::type_complexity)]
    fn look(
        slot: Slot,
        results: &[StepResult],
        judge: &mut Judge,
    ) -> (BTreeMap<i64, i64>, BTreeMap<i64, i64>) {
        let (orders, lines) = (pairs(results, 1), pairs(results, 2));
        let ids: Vec<i64> = orders.iter().map(|(id, _)| *id).collect();
        let customers = column(results, 0, 0);
        let whole = orders::no_orphan(slot, "order", &customers, &orders)
            .and_then(|()| orders::no_orphan(slot, "line", &ids, &lines));
        if let Err(why) = whole {
            judge.broken("orders", why);
        }
        (orders.into_iter().collect(), lines.into_iter().collect())
    }
}

impl Workload for Orders {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        vec![
            int_table(CUSTOMERS, &["id", "visits"], 1),
            child(ORDERS, CUSTOMERS, Referential::NoAction),
            child(LINES, ORDERS, Referential::Cascade),
        ]
    }

    fn rows(&self) -> Vec<Step> {
        (0..i64::from(self.plan.keys)).map(|customer| put(CUSTOMERS, &[customer, 0])).collect()
    }

    fn next(&mut self, _at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let snapshot = [Isolation::RepeatableRead, Isolation::Serializable];
        if draws.chance(self.plan.read_per_mille) {
            let op = Op::Look;
            return Task { form: Form::Script(*draws.pick(&snapshot)), writes: Writes::Nothing, op };
        }
        let customer = draws.below(self.plan.keys.into()) as i64;
        let n = draws.below(self.orders.len().max(1) as u64) as usize;
        let order = self.orders.iter().nth(n).copied();
        let crowded = self.orders.len() >= OPEN_MAX;
        let op = match (draws.below(10), order) {
            (0, _) => Op::Visit { customer },
            (1 | 2, _) => Op::Come { customer },
            (3 | 4, _) => Op::Go { customer },
            (5, Some(order)) => Op::Add { order },
            (6, Some(order)) => Op::Cancel { order },
            (7.., Some(order)) if crowded => Op::Cancel { order },
            _ => Op::Order { customer },
        };
        if let Op::Cancel { order } = op {
            self.orders.remove(&order);
            self.lines.retain(|_, of| *of != order);
        }
        // A foreign key holds in every isolation.
        let isolation =
            *draws.pick(&[Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable]);
        let form = match draws.chance(self.plan.script_per_mille) {
            true => *draws.pick(&[Form::Auto, Form::Script(isolation)]),
            false => Form::Session(isolation),
        };
        Task { form, writes: Writes::Noted, op }
    }

    fn run(&mut self, op: &mut Op, stage: u32, _last: &[StepResult], run: &mut Run) -> Next {
        let id = run.at.op as i64;
        let insert = |table: &str, row: &[i64]| Step::Insert { table: table.to_owned(), row: key(row) };
        let delete = |table: &str, id: i64| Step::Delete { table: table.to_owned(), key: key(&[id]) };
        let ledger = ledger::row(run.at.op, run.at.client);
        let step = match (op, stage) {
            (Op::Look, _) => return Next::Run(Orders::all()),
            (_, 1) if !run.script => return Next::Run(vec![ledger]),
            (_, 1..) => return Next::Commit,
            (Op::Come { customer }, _) => insert(CUSTOMERS, &[*customer, 0]),
            (Op::Visit { customer }, _) => set(CUSTOMERS, &[*customer], "visits", Change::Add(1)),
            (Op::Go { customer }, _) => delete(CUSTOMERS, *customer),
            (Op::Order { customer }, _) => insert(ORDERS, &[id, *customer]),
            (Op::Add { order }, _) => insert(LINES, &[id, *order]),
            (Op::Cancel { order }, _) => delete(ORDERS, *order),
        };
        Next::Run(if run.script { vec![step, ledger] } else { vec![step] })
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        // That somebody is there, or is not, or has orders, is an answer and not a defect.
        let answer = match end.error {
            Some(Error::DuplicateKey { table, .. }) => table == CUSTOMERS,
            Some(Error::NoParent { table, .. } | Error::HasChildren { table, .. }) => {
                [ORDERS, LINES].contains(&table.as_str())
            }
            _ => false,
        };
        if !answer {
            defect(end, judge);
        }
        let id = end.at.op as i64;
        match (op, end.outcome) {
            (Op::Look, Outcome::Yes) => {
                Orders::look(end.at.slot, end.results, judge);
            }
            (Op::Order { .. }, Outcome::Yes) => {
                self.orders.insert(id);
            }
            (Op::Cancel { order }, Outcome::No) => {
                self.orders.insert(order);
            }
            (Op::Cancel { order }, Outcome::Yes) => {
                self.cancelled.insert(order);
            }
            (Op::Add { order }, Outcome::Yes) if self.orders.contains(&order) => {
                self.lines.insert(id, order);
            }
            _ => {}
        }
    }

    fn last_read(&self) -> Vec<Step> {
        Orders::all()
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        let (orders, lines) = Orders::look(slot, results, judge);
        if let Some(id) = self.orders.iter().find(|id| !orders.contains_key(id)) {
            judge.broken("orders", format!("order {id}, which nobody cancelled, is not on {slot}"));
        }
        if let Some(id) = self.cancelled.iter().find(|id| orders.contains_key(id)) {
            judge.broken("orders", format!("order {id}, which was cancelled, is still on {slot}"));
        }
        if let Some((id, order)) = self.lines.iter().find(|(id, order)| lines.get(id) != Some(order)) {
            judge.broken("orders", format!("line {id} of order {order}, which stands, is not on {slot}"));
        }
    }
}
