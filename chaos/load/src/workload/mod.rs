//! The workloads, by name.

mod append;
mod bank;
mod counter;
mod fork;
mod ids;
mod predicate;
mod register;
mod set;
mod skew;

use crate::micro::{self, Micro, Table};
use crate::settings::Settings;
use crate::txn::{Begin, Txn};
use plait_base::Draws;

/// Keys that one of the last reads asks for.
const LAST_READ_KEYS: u64 = 32;

/// What clients do, and what is read when all is over.
///
/// The `n`th transaction is drawn with draws of its own (`Draws::new(seed, "load", n)`), so that the sequence of
/// transactions is one and the same however fast a store answers.
pub trait Workload: Send {
    fn name(&self) -> &'static str;
    /// Makes its tables anew, with what they begin with. Begun again from its first statement it is right again.
    fn schema(&self) -> Vec<String>;
    fn next(&mut self, draws: &mut Draws) -> Txn;
    /// What to read on each node once all has been healed and nothing is written any more.
    fn last_reads(&self) -> Vec<Txn>;
}

pub const NAMES: [&str; 9] =
    ["list-append", "rw-register", "bank", "counter", "set", "ids", "write-skew", "predicate", "long-fork"];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no workload '{0}'; there are {list}", list = NAMES.join(", "))]
pub struct UnknownWorkload(pub String);

pub fn make(name: &str, settings: &Settings) -> Result<Box<dyn Workload>, UnknownWorkload> {
    let settings = settings.clone();
    Ok(match name {
        "list-append" => Box::new(append::Append::new(settings)),
        "rw-register" => Box::new(register::Register::new(settings)),
        "bank" => Box::new(bank::Bank::new(settings)),
        "counter" => Box::new(counter::Counter::new(settings)),
        "set" => Box::new(set::Set::new(settings)),
        "ids" => Box::new(ids::Ids::new(settings)),
        "write-skew" => Box::new(skew::Skew::new(settings)),
        "predicate" => Box::new(predicate::Predicate::new(settings)),
        "long-fork" => Box::new(fork::Fork::new(settings)),
        other => return Err(UnknownWorkload(other.to_owned())),
    })
}

/// Drops a table and makes it, for schemas.
fn anew(table: &str, columns: &str) -> Vec<String> {
    vec![
        format!("DROP TABLE IF EXISTS {table}"),
        format!("CREATE TABLE {table} ({columns}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"),
    ]
}

/// One statement may stand alone or in a transaction; several must not stand alone.
fn begin(statements: usize, draws: &mut Draws) -> Begin {
    let alone = draws.chance(500);
    if statements == 1 && alone { Begin::Autocommit } else { Begin::Transaction }
}

/// Transactions that read all these keys.
fn read_all(table: Table, keys: std::ops::Range<u64>, settings: &Settings) -> Vec<Txn> {
    let from = keys.clone().step_by(LAST_READ_KEYS as usize);
    from.map(|first| {
        let ops = (first..keys.end.min(first + LAST_READ_KEYS)).map(Micro::Read).collect();
        micro::txn(table, ops, false, Begin::Transaction, settings.isolation)
    })
    .collect()
}
