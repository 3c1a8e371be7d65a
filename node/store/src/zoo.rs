//! Known protocol bugs of the store, each at the line that it breaks, chosen at run time.
//!
//! They measure whoever looks for bugs: a harness that does not find these finds nothing. Without the feature
//! `zoo` the question "is it on?" is the constant *no*; with it, a build without debug assertions is refused.

#[cfg(all(feature = "zoo", not(debug_assertions)))]
compile_error!(
    "the zoo's bugs lose data on purpose: a build with them needs debug assertions, as no release has"
);

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// One planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug { $($(#[$doc])* $name),* }

        impl Bug {
            pub const ALL: &'static [Bug] = &[$(Bug::$name),*];

            pub fn name(self) -> &'static str {
                match self { $(Bug::$name => stringify!($name)),* }
            }
        }
    };
}

bugs! {
    /// A write-set is stamped with the position at commit instead of the one of the first read, as Galera's are.
    LastSeenAtCommit,
    /// Two transactions of one node are not certified against each other, as in Galera.
    SameOriginSkipped,
    /// Keys that were only read are not certified.
    ReadKeysDropped,
    /// Ranges that were only read are not certified.
    RangesDropped,
    /// A version written just after the snapshot does not count as a conflict.
    CertWindowOffByOne,
    /// A delete leaves nothing behind that a later write-set could be certified against.
    TombstonesForgotten,
    /// The hash chain takes in the written keys in the order of a hash map.
    HashOrder,
    /// Apply looks at the real clock.
    ClockRead,
    /// A unique key is looked at when the statement runs, and not again in the ordered apply.
    UniqueNotCertified,
    /// Of two additions to one row that follow each other, the second is answered and not done.
    AdditionLost,
    /// A transaction's snapshot moves on, whatever became of what it read.
    SnapshotMovesBlindly,
    /// A session whose turn at a key has come is not called.
    WaiterForgotten,
    /// A parent is looked at when a child's row is written, and not certified.
    ParentNotCertified,
    /// Whoever had a named lock believes to have it still, and what it commits does not rest on it.
    LockNotFenced,
    /// A transaction that is replayed at COMMIT is committed whatever its statements answer the second time.
    ReplayBlind,
    /// Ids that were reserved or used leave no mark: what was deleted before a restart is handed out again.
    IdMarkLost,
}

impl Bug {
    pub fn parse(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.name().eq_ignore_ascii_case(name))
    }
}

#[cfg(feature = "zoo")]
mod switch {
    use super::Bug;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// 0: none; else the bug's place in `Bug::ALL` plus one.
    static CHOSEN: AtomicU32 = AtomicU32::new(0);

    /// Turns one bug on, in this whole process, and all others off.
    pub fn set(bug: Option<Bug>) {
        CHOSEN.store(bug.map_or(0, |bug| bug as u32 + 1), Ordering::Relaxed);
    }

    pub fn on(bug: Bug) -> bool {
        CHOSEN.load(Ordering::Relaxed) == bug as u32 + 1
    }
}

#[cfg(not(feature = "zoo"))]
mod switch {
    /// Whether this bug was chosen. In this build none can be.
    pub const fn on(_bug: super::Bug) -> bool {
        false
    }
}

pub use switch::*;
