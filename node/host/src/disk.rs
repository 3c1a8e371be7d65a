//! What stands behind the machine's files and checkpoints: real ones here, a simulation's own models in a test.
//!
//! Both take work without waiting and report when it is done, so the thread that runs the machine never waits
//! for a disk. Nothing here depends on `Drop` for durability (DESIGN law 12).

pub mod checkpoints;
mod direct;
pub mod file;
mod power;

use plait_base::{disk, kv};
use tokio::sync::mpsc;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// This `Persist` and each before it is on disk.
    Persisted {
        token: u64,
    },
    /// This one could not be done; what of it is on disk is unknown.
    DiskFailed {
        token: u64,
        why: String,
    },
    Checkpoint(kv::Answer),
}

/// Where it is reported. As many reports wait here as there is work under way, and that is bounded: log writes by
/// `disk_queue_bytes_max`, checkpoints by one step at a time.
#[derive(Debug, Clone)]
pub struct Report(mpsc::UnboundedSender<Done>);

impl Report {
    pub fn new() -> (Report, mpsc::UnboundedReceiver<Done>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Report(sender), receiver)
    }

    /// Reports to a machine that is gone go nowhere.
    pub fn done(&self, done: Done) {
        let _ = self.0.send(done);
    }
}

/// What the log's disk has done since it was opened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Calls of fdatasync and fsync.
    pub syncs: u64,
    /// Groups of `Persist`s that became durable together.
    pub groups: u64,
    pub persists: u64,
    pub bytes: u64,
    /// Time that groups took, from the first write to the end of the last sync.
    pub busy_us: u64,
    /// Bytes that wait.
    pub queued_bytes: u64,
}

/// The files under the write-ahead log.
pub trait Files: Send {
    /// To be read at start, before the first `submit`.
    fn stored(&self) -> &dyn disk::Disk;
    /// Queues it; reported as `Persisted` or `DiskFailed`, in order.
    fn submit(&mut self, persist: disk::Persist);
    fn figures(&self) -> Figures;
    /// A power cut: what was not synced is lost, in part or whole. `Err` says why this disk can't do that;
    /// otherwise it does not come back in a real process.
    fn power_off(&mut self) -> Result<(), String>;
    /// Waits until all that was submitted is done, and ends.
    fn close(&mut self);
}

/// The two generations of checkpoints.
pub trait Checkpoints: Send {
    /// To be read at start, before the first `submit`.
    fn stored(&self) -> &dyn kv::Kv;
    fn submit(&mut self, op: kv::Op);
    /// Ends; a generation that is not finished is void.
    fn close(&mut self);
}
