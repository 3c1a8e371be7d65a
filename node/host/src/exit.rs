//! How a node ends, as its exit code says it (DESIGN §9).

use std::fmt;

/// Why a node's process is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// In good order.
    Done,
    /// A wrong flag, key or value.
    Usage(String),
    /// The surroundings do not allow it: a port is taken, the disk failed or is full, a directory can't be written.
    Environment(String),
    /// What is on disk is not what this build can start from; every file is as it was.
    WrongState(String),
    /// It would lose data, and nobody accepted that.
    Refused(String),
    /// Its state is not what the others have; all of it was moved aside. Started again empty, it joins anew.
    Reseed(String),
    /// A broken invariant: our bug.
    Bug(String),
    /// A broken invariant at an entry of the log: each start would come to it again.
    BadEntry { index: u64, why: String },
}

impl Exit {
    pub fn code(&self) -> i32 {
        match self {
            Exit::Done => 0,
            Exit::Usage(_) => 2,
            Exit::Environment(_) => 5,
            Exit::WrongState(_) => 6,
            Exit::Refused(_) => 7,
            Exit::Bug(_) | Exit::BadEntry { .. } => 70,
            Exit::Reseed(_) => 75,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Done => f.write_str("done"),
            Exit::Usage(why)
            | Exit::Environment(why)
            | Exit::WrongState(why)
            | Exit::Refused(why)
            | Exit::Reseed(why) => f.write_str(why),
            Exit::Bug(why) => write!(f, "a defect of Plait: {why}"),
            Exit::BadEntry { index, why } => {
                write!(f, "a defect of Plait, at entry {index} of the log: {why}")
            }
        }
    }
}
