//! The SQL store: rows that three nodes write at once and that never diverge.
pub mod error;
pub mod request;
pub mod value;
pub use error::Error;
pub use request::{
    Change, Client, Column, ColumnHead, ColumnType, Done, Isolation, Reply, Request, Rows, Step, StepResult, TableDef,
};
pub use value::Value;

/// Replicated limits of the store: the same on all nodes, for a verdict may depend on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// W: how many seqnos a tombstone is kept. Default 1,000,000.
    pub tombstone_seqnos_max: u64,
    /// Bytes of keys of kept tombstones. Default 64 MiB.
    pub tombstone_bytes_max: u64,
    /// Bytes of one write-set. Default 64 MiB.
    pub writeset_bytes_max: u64,
    /// Ids that a slot reserves at a time. Default 1,000.
    pub id_block: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            tombstone_seqnos_max: 1_000_000,
            tombstone_bytes_max: 64 << 20,
            writeset_bytes_max: 64 << 20,
            id_block: 1000,
        }
    }
}
