//! Workloads over SQL as data: what transactions to run, what came of each, and how it is written down.
//!
//! Intuition: a workload is a recipe and not a cook. It says which statement comes next from the rows of the last one;
//! whoever has a connection (real servers, the host over a simulated network, the simulator's store) cooks. So the same
//! transactions meet all of them, and a history of one can be laid beside a history of another.
//! Invariant: statements are a function of the draws and of the answers alone; and an outcome that is not known is never
//! told as a refusal.
//! Not here: sockets, time, judging histories.
//!
//! - [`Workload`] gives a [`Txn`] at a time; [`make`] finds one by its name.
//! - [`Run`] takes a transaction through one connection, answer by answer, to its [`End`].
//! - [`History`] turns both into Jepsen's operations, one JSON object a line.

mod history;
mod keys;
mod micro;
mod outcome;
mod run;
mod settings;
mod txn;
mod workload;

pub use history::{Counts, History};
pub use outcome::{Answer, Outcome};
pub use run::{Cause, End, Next, Run, Session};
pub use settings::{Choice, Isolation, Lock, Settings};
pub use txn::{Begin, Do, Got, Rows, Script, Txn};
pub use workload::{NAMES, UnknownWorkload, Workload, make};

#[cfg(test)]
mod tests;
