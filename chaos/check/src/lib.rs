//! Judges of histories: what clients asked a database for, what they were answered, and which promise that breaks.
//!
//! A pure room: bytes in, a [`Verdict`] out. It knows nothing of Plait; the history may come from anywhere.
//! Start at [`check()`].

pub mod append;
pub mod count;
pub mod cycle;
mod edn;
pub mod exact;
mod found;
pub mod graph;
pub mod history;
pub mod linear;
pub mod model;
pub mod object;
pub mod order;
mod predicate;
pub mod read;
pub mod register;
pub mod txn;
pub mod value;
pub mod verdict;

mod check;

pub use check::{Ask, Workload, check};
pub use model::Model;
pub use read::{Bad, Format};
pub use verdict::{Anomaly, Edge, Operation, Valid, Verdict};
