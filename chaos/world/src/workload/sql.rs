//! SQL: what programs do by statements, so that parsing, planning, executing and replaying are on the way of it:
//! transfers of a few statements whose answers say whether to go on, transfers in one statement, lists that grow by
//! CONCAT, and reads that say the same in many ways.

use super::*;
use crate::invariant::ledger;
use crate::invariant::list::Lists;
use crate::invariant::total::Total;

const PURSES: &str = "purses";
const NOTES: &str = "notes";
const OPENING: i64 = 30;

pub struct Sql {
    plan: LoadPlan,
    total: Total,
    lists: Lists,
}

pub enum Op {
    /// Several statements; no purse goes below nothing, as its first one's answer says.
    Transfer {
        from: i64,
        to: i64,
        amount: i64,
    },
    /// The same in one statement.
    Sweep {
        from: i64,
        to: i64,
        amount: i64,
    },
    /// Appends the transaction's number to a list.
    Append {
        key: usize,
        begun: bool,
    },
    Total {
        how: u64,
    },
    List {
        key: usize,
        floor: usize,
    },
}

/// Reads of all purses: each gives a number and a balance, or their number and sum, in a row.
const READS: [&str; 6] = [
    "SELECT id, balance FROM shop.purses",
    "SELECT id, balance FROM shop.purses WHERE balance >= 0 ORDER BY balance DESC, id LIMIT 1000",
    "SELECT a.id, b.balance FROM shop.purses a JOIN shop.purses b ON a.id = b.id",
    "SELECT id, balance FROM shop.purses WHERE id IN (SELECT id FROM shop.purses WHERE id >= 0)",
    "SELECT id, SUM(balance) FROM (SELECT id, balance FROM shop.purses) AS p GROUP BY id HAVING COUNT(*) = 1",
    "SELECT DISTINCT id, CASE WHEN balance < 0 THEN -1 ELSE balance END AS b FROM shop.purses UNION ALL \
     SELECT id, balance FROM shop.purses WHERE id < 0",
];

impl Sql {
    pub fn new(plan: LoadPlan) -> Sql {
        let n = plan.keys.max(2);
        Sql { total: Total::of(i64::from(n) * OPENING), lists: Lists::new(n as usize), plan }
    }

    fn purses(&self) -> usize {
        self.plan.keys.max(2) as usize
    }

    fn read_total(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        let balances = whole_numbers(results, 0, 1);
        if balances.iter().any(|balance| *balance < 0) {
            judge.broken("total", format!("a read on {slot} finds a purse below nothing: {balances:?}"));
        }
        if let Err(why) = self.total.read(slot, &balances, self.purses()) {
            judge.broken("total", why);
        }
    }
}

/// A column of integers or of sums, which are decimals and come as texts.
fn whole_numbers(results: &[StepResult], n: usize, column: usize) -> Vec<i64> {
    let Some(StepResult::Rows(rows)) = results.get(n) else { return Vec::new() };
    let number = |row: &Vec<Value>| match row.get(column) {
        Some(Value::Int(n)) => *n,
        Some(Value::Text(text)) => text.parse().unwrap_or(i64::MIN),
        _ => i64::MIN,
    };
    rows.rows.values().iter().map(number).collect()
}

/// The list in a cell.
fn list(value: Option<&Value>) -> Option<Vec<u64>> {
    let Value::Text(text) = value? else { return None };
    text.split(',').filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
}

fn changed(last: &[StepResult]) -> u64 {
    match last {
        [StepResult::Done(done)] => done.affected,
        _ => 0,
    }
}

impl Workload for Sql {
    type Op = Op;

    fn tables(&self) -> Vec<TableDef> {
        let mut notes = int_table(NOTES, &["id", "val"], 1);
        notes.columns[1].kind = ColumnType::Text { chars_max: 60_000 };
        vec![int_table(PURSES, &["id", "balance"], 1), notes]
    }

    fn rows(&self) -> Vec<Step> {
        (0..self.purses() as i64).map(|id| put(PURSES, &[id, OPENING])).collect()
    }

    fn next(&mut self, _at: At, _judge: &Judge, draws: &mut Draws) -> Task<Op> {
        let n = self.purses() as u64;
        let key = draws.below(n);
        if draws.chance(self.plan.read_per_mille) {
            let op = match draws.chance(500) {
                true => Op::Total { how: draws.below(READS.len() as u64) },
                false => Op::List { key: key as usize, floor: 0 },
            };
            return Task { form: Form::Text, writes: Writes::Nothing, op };
        }
        let (from, to) = (key as i64, ((key + 1 + draws.below(n - 1)) % n) as i64);
        let amount = draws.between(1, 20) as i64;
        if draws.chance(self.plan.script_per_mille) {
            let (form, writes) = (Form::Text, Writes::Alone);
            return match draws.chance(500) {
                true => Task { form, writes, op: Op::Sweep { from, to, amount } },
                false => {
                    Task { form, writes: Writes::Noted, op: Op::Append { key: key as usize, begun: false } }
                }
            };
        }
        let (isolation, _) = strict(draws);
        Task { form: Form::Session(isolation), writes: Writes::Noted, op: Op::Transfer { from, to, amount } }
    }

    fn begun(&mut self, op: &mut Op, _judge: &Judge) {
        match op {
            Op::List { key, floor } => *floor = self.lists.acknowledged(*key),
            Op::Append { begun, .. } => *begun = true,
            _ => {}
        }
    }

    fn run(&mut self, op: &mut Op, stage: u32, last: &[StepResult], run: &mut Run) -> Next {
        let (number, client) = (run.at.op, run.at.client);
        match op {
            Op::Total { how } => Next::Text(READS[*how as usize].to_owned()),
            Op::List { key, .. } => Next::Text(format!("SELECT val FROM shop.{NOTES} WHERE id = {key}")),
            Op::Append { key, .. } => Next::Text(format!(
                "BEGIN; INSERT INTO shop.{NOTES} (id, val) VALUES ({key}, '{number}') \
                 ON DUPLICATE KEY UPDATE val = CONCAT(val, ',', VALUES(val)); \
                 INSERT INTO shop.{} VALUES ({number}, {client}); COMMIT",
                ledger::TABLE
            )),
            Op::Sweep { from, to, amount } => Next::Text(format!(
                "UPDATE shop.{PURSES} SET balance = CASE id WHEN {from} THEN balance - {amount} \
                 ELSE balance + {amount} END WHERE id IN ({from}, {to}) AND \
                 (SELECT p.balance FROM shop.{PURSES} p WHERE p.id = {from}) >= {amount}"
            )),
            Op::Transfer { from, to, amount } => match stage {
                0 => Next::Text(format!(
                    "UPDATE shop.{PURSES} SET balance = balance - {amount} WHERE id = {from} AND balance >= {amount}"
                )),
                1 if changed(last) == 0 => Next::Rollback,
                1 => Next::Text(format!(
                    "UPDATE shop.{PURSES} SET balance = balance + {amount} WHERE id = {to}"
                )),
                2 => Next::Text(format!("INSERT INTO shop.{} VALUES ({number}, {client})", ledger::TABLE)),
                _ => Next::Commit,
            },
        }
    }

    fn done(&mut self, op: Op, end: &End, judge: &mut Judge) {
        defect(end, judge);
        match (op, end.outcome) {
            (Op::Total { .. }, Outcome::Yes) => self.read_total(end.at.slot, end.results, judge),
            (Op::List { key, floor }, Outcome::Yes) => {
                let Some(StepResult::Rows(rows)) = end.results.first() else { return };
                let seen = match rows.rows.values().first() {
                    None => Some(Vec::new()),
                    Some(row) => list(row.first()),
                };
                if let Err(why) = self.lists.read(key, seen, floor) {
                    judge.broken("list", format!("list {key} on {}: {why}", end.at.slot));
                }
            }
            (Op::Append { key, .. }, Outcome::Yes) => self.lists.yes(key, end.at.op),
            (Op::Append { key, begun: true }, Outcome::No) => self.lists.no(key, end.at.op),
            _ => {}
        }
    }

    fn last_read(&self) -> Vec<Step> {
        vec![scan(PURSES, &[], &[], false), scan(NOTES, &[], &[], false)]
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        self.read_total(slot, results, judge);
        let Some(StepResult::Rows(rows)) = results.get(1) else { return };
        let rows = rows.rows.values();
        for key in 0..self.purses() {
            let row = rows.iter().find(|row| row.first() == Some(&Value::Int(key as i64)));
            let seen = row.map_or(Some(Vec::new()), |row| list(row.get(1)));
            let floor = self.lists.acknowledged(key);
            if let Err(why) = self.lists.read(key, seen, floor) {
                judge.broken("list", format!("list {key} on {slot} at the end: {why}"));
            }
        }
    }
}
