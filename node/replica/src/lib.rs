//! One whole node as one machine: wires the rooms, decides who hears what.
//!
//! The way of one statement: a client's request wakes its session (`sessions`); the session reads rows under the
//! lease and, at commit, wants a write-set ordered; [`plait_consensus`] brings it back on every node at the same
//! place of the log; `apply` hands it its seqno and the store certifies it; the reply waits until the position
//! is stable and leaves.
//!
//! Order at each step: leases and consensus first, then apply, then sessions, each within a budget, so that no
//! statement, however long, delays a heartbeat.
//!
//! Not here: what a row or a vote is (the rooms'), sockets and files (the host's or the simulator's).

pub mod api;
mod apply;
mod checkpoint;
pub mod event;
mod head;
mod locks;
mod node;
mod sessions;
mod status;
#[cfg(test)]
mod tests;
mod transfer;

pub use api::*;
pub use event::Event;
pub use node::{OpenError, Replica};
pub use plait_base::{Index, MemberId, Mono, Now, Seqno, Slot};
pub use plait_consensus::Frame;
pub use plait_consensus::wal::describe as describe_log;
pub use plait_consensus::zoo as consensus_zoo;
pub use plait_store::zoo as store_zoo;

/// The bytes of a node's `identity` file as it stands before the node's first start.
pub fn identity(
    cluster: plait_base::ClusterId,
    slot: plait_base::Slot,
    incarnation: plait_base::Incarnation,
) -> Vec<u8> {
    plait_consensus::identity(cluster, plait_base::MemberId { slot, incarnation }, false).to_vec()
}
