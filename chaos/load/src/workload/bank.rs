//! Bank: transfers between accounts; every read of all accounts must add up to the same total.

use super::{Workload, anew, begin};
use crate::micro::pairs;
use crate::settings::{Isolation, Lock, Settings};
use crate::txn::{Begin, Do, Got, Rows, Script, Txn};
use plait_base::Draws;
use serde_json::{Value, json};

const TABLE: &str = "chaos_accounts";
/// What each account begins with.
const BALANCE: i64 = 100;
const AMOUNT_MAX: u64 = 5;

pub struct Bank {
    settings: Settings,
}

impl Bank {
    pub fn new(settings: Settings) -> Bank {
        Bank { settings }
    }

    fn accounts(&self) -> u64 {
        self.settings.keys.max(2)
    }

    fn read(&self, begin: Begin) -> Txn {
        let script = Box::new(ReadAll::default());
        let isolation = self.settings.isolation;
        Txn { begin, isolation, f: "read", value: Value::Null, reads_only: true, script }
    }
}

impl Workload for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn schema(&self) -> Vec<String> {
        let mut schema = anew(TABLE, "id BIGINT NOT NULL PRIMARY KEY, balance BIGINT NOT NULL");
        let rows: Vec<String> = (0..self.accounts()).map(|id| format!("({id}, {BALANCE})")).collect();
        schema.push(format!("INSERT INTO {TABLE} (id, balance) VALUES {}", rows.join(", ")));
        schema
    }

    fn next(&mut self, draws: &mut Draws) -> Txn {
        if draws.chance(self.settings.read_per_mille) {
            let begin = begin(1, draws);
            return self.read(begin);
        }
        let from = draws.below(self.accounts());
        let to = (from + draws.between(1, self.accounts() - 1)) % self.accounts();
        let amount = draws.between(1, AMOUNT_MAX) as i64;
        let drawn = draws.chance(500);
        let lock = match self.settings.lock {
            Lock::ForUpdate => true,
            Lock::Plain => false,
            Lock::Mixed => drawn,
        };
        let lock = lock || self.settings.isolation < Isolation::RepeatableRead;
        Txn {
            begin: Begin::Transaction,
            isolation: self.settings.isolation,
            f: "transfer",
            value: json!({ "from": from, "to": to, "amount": amount }),
            reads_only: false,
            script: Box::new(Transfer { from, to, amount, lock, at: 0, rest: (0, 0) }),
        }
    }

    fn last_reads(&self) -> Vec<Txn> {
        vec![self.read(Begin::Autocommit)]
    }
}

/// Reads two balances and writes what they become, as an application would that decides in between.
struct Transfer {
    from: u64,
    to: u64,
    amount: i64,
    lock: bool,
    at: u8,
    /// What is left on the one, and then on the other.
    rest: (i64, i64),
}

impl Transfer {
    fn balances(&self, rows: &Rows) -> Option<(i64, i64)> {
        let of = |id: u64| {
            let id = id.to_string();
            let row = rows.iter().find(|row| row.first().is_some_and(|cell| cell.as_ref() == Some(&id)))?;
            row.get(1)?.as_ref()?.parse::<i64>().ok()
        };
        Some((of(self.from)?, of(self.to)?))
    }
}

impl Script for Transfer {
    fn step(&mut self, last: Option<&Got>) -> Do {
        let set = |id: u64, balance: i64| {
            Do::Sql(format!("UPDATE {TABLE} SET balance = {balance} WHERE id = {id}"))
        };
        self.at += 1;
        match self.at {
            1 => {
                let (low, high) = (self.from.min(self.to), self.from.max(self.to));
                let lock = if self.lock { " FOR UPDATE" } else { "" };
                Do::Sql(format!(
                    "SELECT id, balance FROM {TABLE} WHERE id IN ({low}, {high}) ORDER BY id{lock}"
                ))
            }
            2 => {
                let Some((from, to)) = last.and_then(|got| self.balances(&got.rows)) else {
                    return Do::Rollback("one of the two accounts is not there".to_owned());
                };
                if from < self.amount {
                    return Do::Rollback(format!("{from} is less than {}", self.amount));
                }
                self.rest = (from - self.amount, to + self.amount);
                set(self.from, self.rest.0)
            }
            3 => set(self.to, self.rest.1),
            _ => Do::Commit,
        }
    }

    fn value(&mut self) -> Value {
        json!({ "from": self.from, "to": self.to, "amount": self.amount })
    }
}

#[derive(Default)]
struct ReadAll {
    seen: Option<Rows>,
}

impl Script for ReadAll {
    fn step(&mut self, last: Option<&Got>) -> Do {
        match last {
            None => Do::Sql(format!("SELECT id, balance FROM {TABLE}")),
            Some(got) => {
                self.seen = Some(got.rows.clone());
                Do::Commit
            }
        }
    }

    fn value(&mut self) -> Value {
        self.seen.take().map_or(Value::Null, |rows| pairs(&rows))
    }
}
