//! Transfers between accounts. Money is neither made nor lost, in any snapshot on any node.

use super::{Ledger, Workload};
use crate::script::{Rows, Script};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const START: i64 = 1000;
const AMOUNT_MAX: u64 = 20;
/// Rows of one transaction that fills the table.
const SEED_ROWS: usize = 500;

pub(super) struct Bank {
    pub(super) accounts: i64,
}

impl Workload for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn tables(&self) -> [&'static str; 2] {
        ["bank_accounts", "bank_ledger"]
    }

    fn ddl(&self) -> Vec<String> {
        vec![
            "CREATE TABLE bank_accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)".into(),
            "CREATE TABLE bank_ledger (id BIGINT PRIMARY KEY, debit BIGINT NOT NULL, credit BIGINT NOT NULL, amount BIGINT NOT NULL)".into(),
        ]
    }

    fn seed(&self) -> Vec<Script> {
        let ids: Vec<i64> = (0..self.accounts).collect();
        ids.chunks(SEED_ROWS)
            .map(|ids| ids.iter().fold(Script::new(), |script, id| script.put("bank_accounts", [*id, START])))
            .collect()
    }

    /// Takes what is there: an account is never overdrawn, which the check step makes part of the transaction.
    fn operation(&self, draw: u64, id: i64) -> (Script, Json) {
        let accounts = self.accounts as u64;
        let from = (draw % accounts) as i64;
        let to = ((draw % accounts + 1 + (draw >> 20) % (accounts - 1)) % accounts) as i64;
        let amount = 1 + ((draw >> 40) % AMOUNT_MAX) as i64;
        let script = Script::new()
            .check("bank_accounts", [from], "balance", amount, i64::MAX)
            .add("bank_accounts", [from], "balance", -amount)
            .add("bank_accounts", [to], "balance", amount)
            .insert("bank_ledger", [id, from, to, amount]);
        (script, json!({ "id": id, "from": from, "to": to, "amount": amount }))
    }

    fn judge(&self, state: &Rows) -> Result<(), String> {
        let balances: Vec<i64> = state.rows.iter().filter_map(|row| row.get(1)?.int()).collect();
        let (total, should) = (balances.iter().sum::<i64>(), self.accounts * START);
        if balances.len() as i64 != self.accounts {
            return Err(format!("{} accounts are there, and {} were made", balances.len(), self.accounts));
        }
        if total != should {
            return Err(format!("the total is {total}, and it must be {should}"));
        }
        match balances.iter().position(|balance| *balance < 0) {
            Some(account) => {
                Err(format!("account {account} holds {}, which its check forbids", balances[account]))
            }
            None => Ok(()),
        }
    }

    fn fold(&self, ledger: &Ledger) -> BTreeMap<i64, i64> {
        let mut balances: BTreeMap<i64, i64> = (0..self.accounts).map(|id| (id, START)).collect();
        for entry in ledger.values() {
            let [from, to, amount] = entry[..] else { continue };
            *balances.entry(from).or_default() -= amount;
            *balances.entry(to).or_default() += amount;
        }
        balances
    }
}
