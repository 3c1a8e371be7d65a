//! Members come and go: one change at a time, by the log.
//!
//! An empty node asks everybody to be taken in. The leader removes the slot's old member first, adds the next
//! incarnation as a learner, and makes it a voter when it has caught up.

use super::{Consensus, Effect, SNAPSHOT_SILENCE_TICKS, hard_state};
use crate::event::Event;
use crate::frame::Lane;
use crate::log::Prepared;
use crate::message::Message;
use crate::zoo::{self, Bug};
use plait_base::{Bytes, Incarnation, Index, MemberId, Mono, Now, Slot};
use raft::eraftpb::{ConfChange, ConfChangeType, ConfState};
use raft::{SnapshotStatus, StateRole};

/// An empty node asks every this many ticks.
const JOIN_TICKS: u32 = 8;
/// A learner that lags by at most this many entries may vote.
const PROMOTE_LAG_MAX: u64 = 256;

impl Consensus {
    pub(super) fn ask_to_join(&mut self, now: Now) {
        if now.mono < self.next_join {
            return;
        }
        self.next_join = now.mono + self.config.tick * JOIN_TICKS;
        let nonce = self.config.nonce;
        for slot in self.config.slot.others() {
            self.say(slot, Lane::Fast, Message::Join { nonce });
        }
    }

    pub(super) fn asked_to_join(&mut self, slot: Slot, nonce: u64) {
        if !self.leads() || !self.started() || slot == self.config.slot || nonce == 0 {
            return;
        }
        let group = self.group.as_ref().expect("it leads");
        if let Some(member) = group.members.given(slot, nonce) {
            let incarnation = member.incarnation.0;
            return self.say(slot, Lane::Fast, Message::Welcome { nonce, incarnation });
        }
        if zoo::on(Bug::WipedVotes)
            && let Some(member) = group.members.in_slot(slot)
        {
            let incarnation = member.incarnation.0;
            return self.say(slot, Lane::Fast, Message::Welcome { nonce, incarnation });
        }
        let (kind, member) = match group.members.in_slot(slot) {
            Some(old) => (ConfChangeType::RemoveNode, old),
            None => (ConfChangeType::AddLearnerNode, group.members.next(slot)),
        };
        self.propose_change(kind, member, nonce);
    }

    /// Raft itself refuses a change while another is under way; whoever wanted it asks again.
    fn propose_change(&mut self, kind: ConfChangeType, member: MemberId, nonce: u64) {
        let group = self.group.as_mut().expect("it leads");
        if group.raw.raft.has_pending_conf() {
            return;
        }
        let mut change = ConfChange::default();
        change.set_change_type(kind);
        change.node_id = member.raft();
        change.context = Bytes::copy_from_slice(&nonce.to_le_bytes());
        let _ = group.raw.propose_conf_change(Vec::new(), change);
    }

    pub(super) fn change_members(&mut self, now: Now, index: Index, change: &ConfChange) {
        let group = self.group.as_mut().expect("a member applies");
        let Some(member) = MemberId::from_raft(change.node_id) else {
            // Raft turns a change that it must not make into an empty one.
            return;
        };
        let nonce = <[u8; 8]>::try_from(&change.context[..]).map_or(0, u64::from_le_bytes);
        let event = match change.get_change_type() {
            ConfChangeType::AddNode => {
                group.members.add_voter(member, index);
                Event::VoterAdded { member }
            }
            ConfChangeType::AddLearnerNode => {
                group.members.add_learner(member, nonce, index);
                Event::LearnerAdded { member }
            }
            ConfChangeType::RemoveNode => {
                group.lost.retain(|m| *m != member);
                group.members.remove(member, index);
                Event::MemberRemoved { member }
            }
        };
        group
            .raw
            .apply_conf_change(change)
            .unwrap_or_else(|why| panic!("a committed change of members is one that can be made: {why}"));
        // A snapshot offered to a member must name it: one from before this change is of no use any more.
        group.raw.mut_store().prepared = None;
        let removed_itself = change.get_change_type() == ConfChangeType::RemoveNode && member == group.member;
        self.event(event);
        self.note_commit();
        if removed_itself {
            self.effects
                .push(Effect::Reseed { why: format!("{member} was removed from the group at {index}") });
        }
        self.observe(now);
    }

    /// Writes down how far the log is committed. A start before that is durable counts the members of old, and could
    /// wait for ever for the word of one that is gone: of a lost one that it was removed, or of one that died after
    /// somebody else had been made a voter.
    fn note_commit(&mut self) {
        let group = self.group.as_mut().expect("a member writes");
        let hard = hard_state(&group.raw);
        let mut ops = Vec::new();
        group.wal.append(&[], Some(hard), &mut ops);
        let token = self.persist(ops);
        self.await_persist(token, 0, None, Vec::new(), None);
        self.group.as_mut().expect("a member writes").noted_at = token;
    }

    /// Leader: makes a voter of a learner that has caught up.
    pub(super) fn tend_members(&mut self) {
        let Some(group) = &self.group else { return };
        if group.raw.raft.state != StateRole::Leader {
            return;
        }
        if let Some(member) = group.lost.last().copied() {
            return self.propose_change(ConfChangeType::RemoveNode, member, 0);
        }
        let commit = group.raw.raft.raft_log.committed;
        let ready =
            group.members.learners.iter().copied().find(|m| {
                group.raw.raft.prs().get(m.raft()).is_some_and(|p| {
                    p.recent_active && p.matched + PROMOTE_LAG_MAX >= commit && p.matched > 0
                })
            });
        if let Some(member) = ready {
            self.propose_change(ConfChangeType::AddNode, member, 0);
        }
    }

    pub(super) fn welcomed(&mut self, nonce: u64, incarnation: u32) {
        if self.group.is_some() || nonce != self.config.nonce || incarnation == 0 {
            return;
        }
        let member = MemberId { slot: self.config.slot, incarnation: Incarnation(incarnation) };
        self.event(Event::Welcomed { member });
        self.become_member(member);
    }

    /// Leader: whoever was offered a snapshot and has gone silent is offered one again.
    pub(super) fn tend_snapshots(&mut self, now: Now) {
        let silence = self.config.tick * SNAPSHOT_SILENCE_TICKS;
        let Some(group) = &mut self.group else { return };
        let mut lost = Vec::new();
        for (slot, last) in &mut group.snapshots {
            if *last == Mono(0) {
                *last = now.mono;
            }
            if now.mono.since(*last) > silence {
                lost.push(*slot);
            }
        }
        lost.into_iter().for_each(|slot| self.snapshot_lost(slot));
    }

    /// The transfer to this node failed; Raft may offer another.
    pub fn snapshot_lost(&mut self, slot: Slot) {
        let group = self.group.as_mut().expect("a member sends snapshots");
        group.snapshots.remove(&slot);
        if let Some(member) = group.members.in_slot(slot) {
            group.raw.report_snapshot(member.raft(), SnapshotStatus::Failure);
        }
    }

    /// Whether Raft wants to send a snapshot and none is prepared.
    pub fn snapshot_wanted(&self) -> bool {
        self.group.as_ref().is_some_and(|g| g.raw.store().snapshot_wanted.get())
    }

    /// The state as of what is applied now is pinned and may be offered; or (`false`) no longer is.
    pub fn snapshot_prepared(&mut self, prepared: bool) {
        let Some(group) = &mut self.group else { return };
        let index = group.applied;
        let conf = conf_state(&group.members.voters, &group.members.learners);
        let log = group.raw.mut_store();
        log.snapshot_wanted.set(false);
        log.prepared = match (prepared, log.term_at(index)) {
            (true, Some(term)) => Some(Prepared { index, term, conf }),
            _ => None,
        };
    }

    /// After a snapshot was installed: the members as its head says, and the state's hash chain there.
    pub fn state_installed(&mut self, members: crate::Members, chain: u64) {
        let group = self.group.as_mut().expect("a member installs");
        group.members = members;
        group.chain = chain;
        group.told_applied = Index::ZERO;
    }
}

pub(super) fn conf_state(voters: &[MemberId], learners: &[MemberId]) -> ConfState {
    let mut conf = ConfState::default();
    voters.iter().for_each(|m| conf.mut_voters().push(m.raft()));
    learners.iter().for_each(|m| conf.mut_learners().push(m.raft()));
    conf
}
