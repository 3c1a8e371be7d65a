//! What happened, in the field's words; one vocabulary for log line, story, time line and metric.

use plait_base::{Index, ProposalId, Seqno, Slot};
use std::borrow::Cow;
use std::fmt;

/// *State* events are few and always kept; *flow* events come with every transaction and are kept in a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    State,
    Flow,
}

/// The sum of the rooms' events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Consensus(plait_consensus::Event),
    /// An operation was applied: its place, its name, and what became of it.
    Ordered {
        index: Index,
        seqno: Seqno,
        id: ProposalId,
        verdict: Cow<'static, str>,
    },
    /// A block of ids of a table now belongs to this life of this node.
    IdsReserved {
        table: u32,
        first: i64,
        last: i64,
    },
    /// An addition of this node's was done on a row that was written after it was handed in.
    AddedOverNewer {
        seqno: Seqno,
        over: Seqno,
    },
    /// A proposal came a second time and was answered with the first verdict.
    DuplicateAnswered {
        index: Index,
        id: ProposalId,
    },
    /// A reply had to wait until its position was stable.
    Held {
        seqno: Seqno,
    },
    /// The stable position did not come in time; the client was told so.
    HoldExpired {
        seqno: Seqno,
    },
    /// A checkpoint generation was begun, is durable and read back, or failed.
    CheckpointBegun {
        generation: u64,
        seqno: Seqno,
    },
    CheckpointDone {
        generation: u64,
        seqno: Seqno,
    },
    CheckpointFailed {
        generation: u64,
        why: String,
    },
    /// A generation that could not be opened at start, and why; the other one stands.
    CheckpointUnreadable {
        generation: u64,
        why: String,
    },
    /// A snapshot of this node's state is ready to be sent.
    SnapshotPrepared {
        index: Index,
        seqno: Seqno,
    },
    SnapshotBegun {
        from: Slot,
        index: Index,
    },
    SnapshotResumed {
        from: Slot,
        index: Index,
    },
    SnapshotReceived {
        from: Slot,
        index: Index,
        seqno: Seqno,
    },
    SnapshotFailed {
        from: Slot,
        index: Index,
        why: String,
    },
    /// The hash chains of two nodes differ at the same position of the log.
    ChainDiffers {
        slot: Slot,
        index: Index,
    },
    /// The other two agree and this node does not: it is the odd one.
    Diverged {
        index: Index,
    },
    /// This node has come to the entry that ended its process twice: it takes no part any more.
    EntryRefused {
        index: Index,
    },
    /// A named lock of this node's is taken back: its session is over, or an earlier start had it.
    LockFreed {
        name: String,
        /// Whether an earlier start of the process had it.
        earlier: bool,
    },
    /// This leader gives away a named lock of a node that it has not heard of for long.
    LockGivenAway {
        name: String,
        slot: Slot,
    },
    /// A transaction that lost at COMMIT was done once more, and answers as before; it is being ordered again.
    Replayed {
        session: u64,
    },
    /// A statement met a defect of Plait; its session was closed, the node goes on.
    StatementPanicked {
        why: String,
    },
    /// The node serves, or no longer serves.
    StateChanged {
        state: &'static str,
    },
}

impl Event {
    pub fn class(&self) -> Class {
        match self {
            // Each start meets the log's duplicates again: they are no news.
            Event::Ordered { .. } | Event::DuplicateAnswered { .. } | Event::Held { .. } => Class::Flow,
            Event::LockFreed { .. } | Event::Replayed { .. } => Class::Flow,
            Event::IdsReserved { .. } | Event::AddedOverNewer { .. } => Class::Flow,
            _ => Class::State,
        }
    }

    /// The event's name in `events.ndjson`, as in `elected`.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Consensus(event) => event.name(),
            Event::Ordered { .. } => "ordered",
            Event::IdsReserved { .. } => "ids_reserved",
            Event::AddedOverNewer { .. } => "added_over_newer",
            Event::DuplicateAnswered { .. } => "duplicate_answered",
            Event::Held { .. } => "held",
            Event::HoldExpired { .. } => "hold_expired",
            Event::CheckpointBegun { .. } => "checkpoint_begun",
            Event::CheckpointDone { .. } => "checkpoint_done",
            Event::CheckpointFailed { .. } => "checkpoint_failed",
            Event::CheckpointUnreadable { .. } => "checkpoint_unreadable",
            Event::SnapshotPrepared { .. } => "snapshot_prepared",
            Event::SnapshotBegun { .. } => "snapshot_begun",
            Event::SnapshotResumed { .. } => "snapshot_resumed",
            Event::SnapshotReceived { .. } => "snapshot_received",
            Event::SnapshotFailed { .. } => "snapshot_failed",
            Event::ChainDiffers { .. } => "chain_differs",
            Event::Diverged { .. } => "diverged",
            Event::EntryRefused { .. } => "entry_refused",
            Event::LockFreed { .. } => "lock_freed",
            Event::LockGivenAway { .. } => "lock_given_away",
            Event::Replayed { .. } => "replayed",
            Event::StatementPanicked { .. } => "statement_panicked",
            Event::StateChanged { .. } => "state_changed",
        }
    }

    /// Its facts, in a fixed order.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Event::Consensus(event) => event.fields(),
            Event::Ordered { index, seqno, id, verdict } => vec![
                ("index", index.to_string()),
                ("seqno", seqno.to_string()),
                ("id", id.to_string()),
                ("verdict", verdict.to_string()),
            ],
            Event::IdsReserved { table, first, last } => {
                vec![("table", table.to_string()), ("first", first.to_string()), ("last", last.to_string())]
            }
            Event::AddedOverNewer { seqno, over } => {
                vec![("seqno", seqno.to_string()), ("over", over.to_string())]
            }
            Event::DuplicateAnswered { index, id } => {
                vec![("index", index.to_string()), ("id", id.to_string())]
            }
            Event::Held { seqno } | Event::HoldExpired { seqno } => vec![("seqno", seqno.to_string())],
            Event::CheckpointBegun { generation, seqno } | Event::CheckpointDone { generation, seqno } => {
                vec![("generation", generation.to_string()), ("seqno", seqno.to_string())]
            }
            Event::CheckpointFailed { generation, why } | Event::CheckpointUnreadable { generation, why } => {
                vec![("generation", generation.to_string()), ("why", why.clone())]
            }
            Event::SnapshotPrepared { index, seqno } => {
                vec![("index", index.to_string()), ("seqno", seqno.to_string())]
            }
            Event::SnapshotBegun { from, index } | Event::SnapshotResumed { from, index } => {
                vec![("from", from.to_string()), ("index", index.to_string())]
            }
            Event::SnapshotReceived { from, index, seqno } => {
                vec![("from", from.to_string()), ("index", index.to_string()), ("seqno", seqno.to_string())]
            }
            Event::SnapshotFailed { from, index, why } => {
                vec![("from", from.to_string()), ("index", index.to_string()), ("why", why.clone())]
            }
            Event::ChainDiffers { slot, index } => {
                vec![("slot", slot.to_string()), ("index", index.to_string())]
            }
            Event::Diverged { index } | Event::EntryRefused { index } => vec![("index", index.to_string())],
            Event::LockFreed { name, earlier } => {
                vec![("name", name.clone()), ("earlier", earlier.to_string())]
            }
            Event::LockGivenAway { name, slot } => vec![("name", name.clone()), ("slot", slot.to_string())],
            Event::Replayed { session } => vec![("session", session.to_string())],
            Event::StatementPanicked { why } => vec![("why", why.clone())],
            Event::StateChanged { state } => vec![("state", (*state).to_owned())],
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.fields().iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}
