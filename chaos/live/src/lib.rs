//! Workloads and faults on real processes: ours, and whatever else speaks the MySQL protocol.
//!
//! Intuition: the simulator says whether the protocol is right; this says whether the programs are, with a real kernel,
//! real sockets and a client library that is not ours. The same workloads against a foreign cluster show what another
//! system promises and keeps.
//! Invariant: each transaction that was due has one outcome in the counts; each one that was begun has an invocation and a
//! completion in the history; and everything that was broken is mended before the last reads, however the run ends.
//! Not here: what transactions do (`plait-load`), what faults are (`plait-world`), judging histories.

mod conn;
mod drive;
mod fail;
mod fault;
mod judge;
mod nemesis;
mod outage;
mod plait;
mod prepare;
mod record;
mod report;
mod run;
mod target;

pub use fail::{Code, Fail, Res};
pub use fault::WORDS as FAULTS;
pub use judge::{Verdict, Word, judge};
pub use run::{Cluster, Faults, Options, Summary, run};
