//! Named points of the protocol, at which a fault can strike.
//!
//! Intuition: a crash at a random time mostly meets a node that waits. What breaks protocols lies in the few
//! microseconds between two of their steps, so these steps have names and a crash can be put right there.

use serde::{Deserialize, Serialize};

macro_rules! points {
    ($($(#[doc = $doc:literal])* $point:ident => $name:literal, $say:literal;)*) => {
        /// At which step of a node a fault strikes; see `world::points` for how each is told from its outputs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Point { $($(#[doc = $doc])* $point),* }

        impl Point {
            pub const ALL: &[Point] = &[$(Point::$point),*];
            pub const NAMES: &[&str] = &[$($name),*];

            /// In words, after "n1 loses power".
            pub fn say(self) -> &'static str {
                match self { $(Point::$point => $say),* }
            }
        }
    };
}

points! {
    /// Any frame was sent.
    Send => "send", "right after it sent something";
    /// Anything was handed to the disk.
    Persist => "persist", "between a write and its sync";
    /// Anything was synced, and the node does not know yet.
    Persisted => "persisted", "between a sync and whatever waits for it";
    /// A client was answered.
    Reply => "reply", "right after it answered a client";
    /// Any step of a checkpoint was begun.
    Checkpoint => "checkpoint", "in the middle of a checkpoint";
    /// A leader has sent entries.
    Append => "append", "right after it sent entries to a follower";
    /// A follower has acknowledged entries.
    AppendAck => "append_ack", "right after it acknowledged entries";
    /// A candidate has asked for votes.
    VoteAsk => "vote_ask", "right after it asked for votes";
    /// A vote for another is on the disk, and has not left.
    VoteDurable => "vote_durable", "when its vote is on disk and has not left";
    /// A vote for another has left.
    VoteGrant => "vote_grant", "right after its vote has left";
    /// A candidate has won.
    Elected => "elected", "right after it was elected";
    /// A leader has granted a lease.
    LeaseGrant => "lease_grant", "right after it granted a lease";
    /// A leader has told what is stable.
    Stable => "stable", "right after it told what is stable";
    /// A committed operation was applied.
    Applied => "applied", "right after it applied an operation";
    /// A donor has sent rows of a snapshot.
    SnapshotChunk => "snapshot_chunk", "right after it sent a part of a snapshot";
    /// A snapshot has taken the log's place.
    SnapshotInstalled => "snapshot_installed", "right after a snapshot took its log's place";
    CheckpointBegun => "checkpoint_begun", "right after it began a checkpoint";
    CheckpointDone => "checkpoint_done", "right after a checkpoint was finished";
    /// A block of ids was reserved for this node, and none of it was used.
    IdsReserved => "ids_reserved", "right after ids were reserved for it";
}

impl Point {
    /// What comes seldom: a fault that waits for it is given time.
    pub fn is_rare(self) -> bool {
        use Point::*;
        matches!(
            self,
            Checkpoint
                | VoteAsk
                | VoteDurable
                | VoteGrant
                | Elected
                | SnapshotChunk
                | SnapshotInstalled
                | CheckpointBegun
                | CheckpointDone
                | IdsReserved
        )
    }

    /// What a checkpoint comes by.
    pub fn of_checkpoint(self) -> bool {
        matches!(self, Point::Checkpoint | Point::CheckpointBegun | Point::CheckpointDone)
    }
}
