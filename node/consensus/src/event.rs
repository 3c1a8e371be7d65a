//! What happened to this node's place in the order.

use crate::lease::Strand;
use plait_base::{BootEpoch, Index, MemberId, Slot, Term};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This start of the node: who it is, and what it found in its log.
    Started {
        member: MemberId,
        epoch: BootEpoch,
        term: Term,
        last: Index,
    },
    /// A write that was never acknowledged was found half done at the end of the log, and cut.
    TornTailCut {
        after: u64,
        why: String,
    },
    Campaigned {
        term: Term,
    },
    Elected {
        term: Term,
    },
    SteppedDown {
        term: Term,
    },
    /// This leader asks another node to take its place.
    HandedOver {
        to: Slot,
        why: &'static str,
    },
    /// This node now follows somebody else, or nobody.
    LeaderChanged {
        term: Term,
        leader: Option<Slot>,
    },
    LeaseUsable {
        strand: Strand,
        floor: Index,
    },
    LeaseLost {
        strand: Strand,
        why: &'static str,
    },
    /// The leader refused a lease to a node that lags.
    LeaseRefused {
        strand: Strand,
        slot: Slot,
        lag: u64,
    },
    /// A new leader has applied what is not stable, since a lease that its predecessor granted may still run.
    PredecessorAwaited {
        strand: Strand,
        applied: Index,
    },
    /// The leader no longer waits for this node's lease: its process is proved dead.
    DeathProved {
        slot: Slot,
        epoch: BootEpoch,
    },
    /// A usable lease met a stable index above what is applied here: the protocol is broken, the lease was dropped.
    LeaseBroken {
        strand: Strand,
        applied: Index,
        stable: Index,
    },
    MemberRemoved {
        member: MemberId,
    },
    LearnerAdded {
        member: MemberId,
    },
    VoterAdded {
        member: MemberId,
    },
    /// This empty node was taken in and given its incarnation.
    Welcomed {
        member: MemberId,
    },
    /// Somebody decided that the other two are lost: this node is the group.
    Bootstrapped {
        member: MemberId,
    },
    LogCut {
        below: Index,
    },
    /// A snapshot replaced the log up to here.
    SnapshotInstalled {
        index: Index,
    },
    /// A proposal's verdict did not come in time.
    Unresolved {
        counter: u64,
        sent: bool,
    },
    /// A frame could not be read, or is from somebody who has no place here.
    FrameRefused {
        from: Slot,
        why: String,
    },
}

impl Event {
    pub fn name(&self) -> &'static str {
        match self {
            Event::Started { .. } => "started",
            Event::TornTailCut { .. } => "torn_tail_cut",
            Event::Campaigned { .. } => "campaigned",
            Event::Elected { .. } => "elected",
            Event::SteppedDown { .. } => "stepped_down",
            Event::HandedOver { .. } => "handed_over",
            Event::LeaderChanged { .. } => "leader_changed",
            Event::LeaseUsable { .. } => "lease_usable",
            Event::LeaseLost { .. } => "lease_lost",
            Event::LeaseRefused { .. } => "lease_refused",
            Event::PredecessorAwaited { .. } => "predecessor_awaited",
            Event::DeathProved { .. } => "death_proved",
            Event::LeaseBroken { .. } => "lease_broken",
            Event::MemberRemoved { .. } => "member_removed",
            Event::LearnerAdded { .. } => "learner_added",
            Event::VoterAdded { .. } => "voter_added",
            Event::Welcomed { .. } => "welcomed",
            Event::Bootstrapped { .. } => "bootstrapped",
            Event::LogCut { .. } => "log_cut",
            Event::SnapshotInstalled { .. } => "snapshot_installed",
            Event::Unresolved { .. } => "unresolved",
            Event::FrameRefused { .. } => "frame_refused",
        }
    }

    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let slot_or_none = |slot: &Option<Slot>| slot.map_or("none".to_owned(), |s| s.to_string());
        match self {
            Event::Started { member, epoch, term, last } => vec![
                ("member", member.to_string()),
                ("epoch", format!("{:x}", epoch.0)),
                ("term", term.to_string()),
                ("last", last.to_string()),
            ],
            Event::TornTailCut { after, why } => {
                vec![("after", after.to_string()), ("why", why.clone())]
            }
            Event::Campaigned { term } | Event::Elected { term } | Event::SteppedDown { term } => {
                vec![("term", term.to_string())]
            }
            Event::HandedOver { to, why } => vec![("to", to.to_string()), ("why", (*why).to_owned())],
            Event::LeaderChanged { term, leader } => {
                vec![("term", term.to_string()), ("leader", slot_or_none(leader))]
            }
            Event::LeaseUsable { strand, floor } => {
                vec![("strand", strand.to_string()), ("floor", floor.to_string())]
            }
            Event::LeaseLost { strand, why } => {
                vec![("strand", strand.to_string()), ("why", (*why).to_owned())]
            }
            Event::LeaseRefused { strand, slot, lag } => {
                vec![("strand", strand.to_string()), ("slot", slot.to_string()), ("lag", lag.to_string())]
            }
            Event::PredecessorAwaited { strand, applied } => {
                vec![("strand", strand.to_string()), ("applied", applied.to_string())]
            }
            Event::DeathProved { slot, epoch } => {
                vec![("slot", slot.to_string()), ("epoch", format!("{:x}", epoch.0))]
            }
            Event::LeaseBroken { strand, applied, stable } => vec![
                ("strand", strand.to_string()),
                ("applied", applied.to_string()),
                ("stable", stable.to_string()),
            ],
            Event::MemberRemoved { member }
            | Event::LearnerAdded { member }
            | Event::VoterAdded { member }
            | Event::Bootstrapped { member }
            | Event::Welcomed { member } => vec![("member", member.to_string())],
            Event::LogCut { below } => vec![("below", below.to_string())],
            Event::SnapshotInstalled { index } => vec![("index", index.to_string())],
            Event::Unresolved { counter, sent } => {
                vec![("counter", counter.to_string()), ("sent", sent.to_string())]
            }
            Event::FrameRefused { from, why } => vec![("from", from.to_string()), ("why", why.clone())],
        }
    }
}
