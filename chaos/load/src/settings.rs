//! What can be chosen about a workload, with what it is if nobody chooses.

/// The isolation that transactions ask for, in SQL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    pub const ALL: [Isolation; 3] =
        [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable];

    /// As it is written in a statement.
    pub fn sql(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
            Isolation::Serializable => "SERIALIZABLE",
        }
    }

    /// As it is written on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "read-committed",
            Isolation::RepeatableRead => "repeatable-read",
            Isolation::Serializable => "serializable",
        }
    }

    pub fn parse(word: &str) -> Option<Isolation> {
        Isolation::ALL.into_iter().find(|level| level.word() == word)
    }
}

/// How a key is chosen among the active ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Uniform,
    /// The first is chosen twice as often as the second, three times as often as the third.
    Zipf,
}

/// Whether reads that a write rests on are locking ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    ForUpdate,
    Plain,
    /// Either, drawn for each transaction.
    Mixed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub isolation: Isolation,
    /// Keys in use at a time, at least 2. Accounts of the bank too.
    pub keys: u64,
    /// A key is retired after so many writes, so that lists stay short and versions few.
    pub writes_per_key: u64,
    /// Micro-operations of a transaction, at most.
    pub ops_max: u64,
    pub choice: Choice,
    /// How many of 1,000 operations only read, where a workload tells reads and writes apart.
    pub read_per_mille: u64,
    /// For the bank's transfers. Below REPEATABLE READ they lock all the same, since nothing promises that a plain
    /// read still holds at the write there.
    pub lock: Lock,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            isolation: Isolation::RepeatableRead,
            keys: 10,
            writes_per_key: 32,
            ops_max: 4,
            choice: Choice::Zipf,
            read_per_mille: 500,
            lock: Lock::Mixed,
        }
    }
}
