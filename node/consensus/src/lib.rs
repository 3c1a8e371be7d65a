//! One order for everything that must never diverge.
//!
//! Three nodes keep one Raft log (the `raft` crate's algorithm, behind our own types). An entry holds a *group* of
//! proposals: what several transactions want ordered, packed together, synced to disk once. A node that has the
//! order applies it; this crate never looks inside a proposal.
//!
//! The path of one proposal: [`Consensus::propose`] names it and keeps it until its verdict is known; it travels
//! to the leader ([`Message::Forward`]), waits there for the next group, is appended and synced on a majority,
//! and comes back on every node as [`Effect::Committed`]. A copy that arrives twice is known by its name
//! ([`Verdicts`]). Whoever proposed it answers its client once the entry is applied here and *stable*: applied on
//! every node that may still serve reads ([`lease`]).
//!
//! Invariants: an entry is put out as committed only after it is durable on a majority and durable here; a vote or
//! an acknowledgement leaves only after what it promises is durable; a lease is usable only while no write can
//! have been acknowledged that this node has not applied.
//!
//! Not here: what a proposal means (the rooms'), bytes on disk and sockets (the host's or the simulator's).
//! Sources: Ongaro, "Consensus: Bridging Theory and Practice" (pre-vote, check-quorum, read index, membership one
//! at a time); Gray and Cheriton, "Leases"; the lease protocol itself was explored exhaustively within small
//! bounds, see docs/decisions/0001-lease.md.

mod event;
mod frame;
mod group;
pub mod lease;
mod log;
mod members;
mod message;
mod proposals;
mod verdicts;
pub mod wal;
pub mod zoo;

pub use event::Event;
pub use frame::{Frame, Lane};
pub use group::{Boot, Config, Consensus, Effect, Image, OpenError, Reads, identity};
pub use lease::Strand;
pub use members::Members;
pub use message::{Message, Sign};
pub use proposals::{Proposal, Refusal};
pub use verdicts::{Seen, Verdicts};
