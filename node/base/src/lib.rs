//! The words that every room shares, and nothing that only one room needs.
//!
//! A node of Plait is a [`Machine`]: it is handed an input and the time, and answers with outputs. It has no
//! clock, socket, thread, file or randomness of its own. Two worlds drive the same machine: the host (real
//! sockets and disks) and the simulator. This crate holds what both sides and all rooms must agree on.
//!
//! What belongs here is used by three rooms; anything else lives in the room that uses it.

pub mod codec;
pub mod disk;
pub mod draw;
pub mod hash;
pub mod id;
pub mod kv;
pub mod machine;
pub mod map;
pub mod outcome;
pub mod time;

pub use bytes::Bytes;
pub use codec::{Reader, Writer};
pub use draw::Draws;
pub use hash::{Digest, SetHash};
pub use id::{BootEpoch, ClusterId, Incarnation, Index, MemberId, ProposalId, Room, Seqno, Slot, Term};
pub use machine::Machine;
pub use outcome::Outcome;
pub use time::{Mono, Now, Wall};

/// The version of everything that Plait writes to disk or sends to a peer. It stands in every file head and in
/// every peer's greeting; a number that this build does not know is refused and the bytes are left as they are.
pub const FORMAT: u16 = 3;
