//! The seam to checkpoints: two generations of a set of (key, value) rows, written beside the log.
//!
//! Asynchronous like the disk: the machine puts out [`Op`]s, the world reports each generation as written *and
//! read back against its digest*, or as failed. A generation counts only then. Generation `g` is written over
//! generation `g - 2`, so the one before it is whole while it is being written (DESIGN law 17).

use crate::hash::Digest;
use bytes::Bytes;

/// One step of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Begins generation `generation`. With `over: Some(g)` the rows of generation `g` (which is
    /// `generation - 2`) stay, and what follows changes them; with `None` it begins empty.
    Begin { generation: u64, over: Option<u64> },
    /// Rows to be put (`Some`) or removed (`None`).
    Write { generation: u64, rows: Vec<(Bytes, Option<Bytes>)> },
    /// Ends it: sync, read every row back, compare their [`SetHash`](crate::SetHash) digest with `digest`, and
    /// only then write `head` under the generation's name. Answered by `Done` or `Failed`.
    Finish { generation: u64, head: Bytes, digest: Digest },
}

/// What the world says about the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The `Write` is done; the machine may put out the next one (one is in flight at a time).
    Written { generation: u64 },
    /// The generation is durable and was read back.
    Done { generation: u64 },
    /// It is not; the generation before it stands.
    Failed { generation: u64, why: String },
}

/// What a machine may read when it starts.
pub trait Kv {
    /// The generations that were finished, newest first, with their heads; one that cannot be opened is left out
    /// and named in the second list with the reason.
    #[allow(clippy::type_complexity)]
    fn generations(&self) -> (Vec<(u64, Bytes)>, Vec<(u64, String)>);
    /// Every row of a generation, in key order. Stops with an error at a row that cannot be read.
    fn scan(&self, generation: u64, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), crate::disk::Error>;
}
