//! A leader gives its place to another: one whose disk is slow where another's is not, and one that is about to end.
//!
//! Intuition: a leader applies nothing before it is on its disk, and nobody is answered before the leader has applied
//! it. So a slow disk costs most where the leader is, and a node that is slow does least harm as a follower.
//! Invariant: it is Raft's own transfer (a vote that is called for early), so nothing but time depends on when it is
//! done; the new leader waits for its predecessor's leases as after any election.
//! A disk is slow if two syncs in a row, or one very long one, kept entries waiting that another node already has.

use super::Consensus;
use crate::event::Event;
use plait_base::{Index, MemberId};
use raft::StateRole;

/// A sync is slow that takes so many ticks, and very slow that takes so many.
const SLOW_TICKS: u32 = 4;
const VERY_SLOW_TICKS: u32 = 16;

/// How this node's disk did lately.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    /// Ticks that the oldest write under way has been under way.
    ticks: u32,
    /// Whether the one before it was slow.
    was_slow: bool,
}

impl Syncs {
    pub fn tick(&mut self, busy: bool) {
        self.ticks = if busy { self.ticks.saturating_add(1) } else { 0 };
    }

    pub fn done(&mut self) {
        self.was_slow = self.ticks >= SLOW_TICKS;
        self.ticks = 0;
    }

    fn slow(&self) -> bool {
        self.ticks >= VERY_SLOW_TICKS || self.ticks >= SLOW_TICKS && self.was_slow
    }
}

impl Consensus {
    /// Leader, at a tick: looks whether another's disk is quicker.
    pub(super) fn tend_leadership(&mut self) {
        let group = self.group.as_mut().expect("it has started");
        group.syncs.tick(!group.in_flight.is_empty());
        if group.raw.raft.state == StateRole::Leader && group.syncs.slow() {
            let durable = group.durable_last;
            self.hand_over(durable, "its disk is slow");
        }
    }

    /// Leader: gives its place to the follower that has most of the log, and more than `beyond`, if there is one and
    /// nobody is being given it already. Whether somebody is.
    pub fn hand_over(&mut self, beyond: Index, why: &'static str) -> bool {
        let Some(group) = self.group.as_mut().filter(|g| g.raw.raft.state == StateRole::Leader) else {
            return false;
        };
        if group.raw.raft.lead_transferee.is_some() {
            return true;
        }
        let (me, progress) = (self.config.slot, group.raw.raft.prs());
        let matched =
            |member: &MemberId| progress.get(member.raft()).filter(|p| p.recent_active).map(|p| p.matched);
        let others = group.members.voters.iter().filter(|member| member.slot != me);
        let best = others.filter_map(|member| Some((matched(member)?, *member))).max();
        let Some((_, to)) = best.filter(|(matched, _)| *matched > beyond.0) else { return false };
        group.raw.transfer_leader(to.raft());
        group.syncs = Syncs::default();
        self.event(Event::HandedOver { to: to.slot, why });
        true
    }

    /// Whether the place of the leader is being given away.
    pub fn hands_over(&self) -> bool {
        self.group.as_ref().is_some_and(|g| g.raw.raft.lead_transferee.is_some())
    }
}
