//! The SQL store: rows that three nodes write at once and that never diverge.
//!
//! Intuition: everybody works on a copy of the same book and hands in pages; one order of pages decides, and every
//! copy is made from it. A page that was written over an older state of the book than it should have been is
//! refused, by everybody alike.
//! Invariant: the state after `n` operations is a function of these operations. Sessions, snapshots, budgets, ids
//! in stock and collection change nothing of it.
//! What it is not: it has no log, no peers, no clock and no disk; it is told what was ordered (`replica` does).
//!
//! The way of a transaction: [`Session`] runs steps or SQL over a [`Txn`]; its commit becomes an [`Op`] that is
//! ordered elsewhere; [`Store::apply`] certifies and applies it on every node; the [`Verdict`] comes back to the
//! session, which answers.

mod action;
mod add;
mod alter;
mod apply;
pub mod catalogue;
mod certify;
mod collect;
pub mod error;
pub mod export;
mod foreign;
mod ids;
mod index;
pub mod key;
mod named;
pub mod op;
mod queue;
pub mod request;
pub mod row;
mod rowlist;
mod session;
mod sql;
mod steps;
mod store;
pub mod table;
pub mod txn;
pub mod value;
mod verdict;
pub mod zoo;

pub use error::Error;
pub use export::{Chunk, Head, Importer, head_seqno};
pub use ids::Local;
pub use named::{COLUMNS as LOCK_COLUMNS, Lock, TABLE as LOCK_TABLE};
pub use op::Op;
pub use queue::Queues;
pub use request::{
    Change, Check, Client, Column, ColumnHead, ColumnType, Done, ForeignKey, Form, IndexDef, IndexPart,
    Isolation, Members, Param, Prepared, Referential, Reply, Request, Rows, Stamp, Step, StepResult,
    TableDef,
};
pub use row::Cell;
pub use rowlist::RowList;
pub use session::{Context, Progress, RETRIES_MAX, Session};
pub use store::Store;
pub use table::{TableId, TableInfo};
pub use txn::{Scan, Txn, Walk};
pub use value::{Decimal, Real, Value};
pub use verdict::Verdict;

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

impl Settings {
    pub(crate) fn encode(&self, w: &mut plait_base::Writer) {
        w.u64(self.tombstone_seqnos_max).u64(self.tombstone_bytes_max);
        w.u64(self.writeset_bytes_max).u64(self.id_block);
    }

    pub(crate) fn decode(r: &mut plait_base::Reader<'_>) -> Result<Settings, plait_base::codec::Error> {
        Ok(Settings {
            tombstone_seqnos_max: r.u64()?,
            tombstone_bytes_max: r.u64()?,
            writeset_bytes_max: r.u64()?,
            id_block: r.u64()?,
        })
    }
}

#[cfg(test)]
mod tests;
