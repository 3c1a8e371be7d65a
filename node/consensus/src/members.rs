//! Who is in the group: replicated, changed by the log one member at a time.
//!
//! A slot that lost its disk comes back as its next incarnation: its old member is removed, the new one learns
//! first and votes when it has caught up. So a node that forgot its vote can never cast it again.

use plait_base::{Incarnation, Index, MemberId, Reader, Slot, Writer, codec};

/// The members as of a position of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    pub voters: Vec<MemberId>,
    pub learners: Vec<MemberId>,
    /// Highest incarnation that each slot ever had.
    newest: [Incarnation; 3],
    /// Which attempt to join the newest incarnation was given to; 0 for the first members.
    nonce: [u64; 3],
    /// Position of the last change.
    pub at: Index,
}

impl Members {
    /// The three first members, at genesis.
    pub fn genesis() -> Members {
        Members {
            voters: Slot::ALL.map(MemberId::first).to_vec(),
            learners: Vec::new(),
            newest: [Incarnation(1); 3],
            nonce: [0; 3],
            at: Index::ZERO,
        }
    }

    /// The member that now stands in the slot, voter or learner.
    pub fn in_slot(&self, slot: Slot) -> Option<MemberId> {
        self.voters.iter().chain(&self.learners).copied().find(|m| m.slot == slot)
    }

    pub fn is_voter(&self, member: MemberId) -> bool {
        self.voters.contains(&member)
    }

    pub fn contains(&self, member: MemberId) -> bool {
        self.is_voter(member) || self.learners.contains(&member)
    }

    /// The incarnation that was given to this attempt to join, if it was.
    pub fn given(&self, slot: Slot, nonce: u64) -> Option<MemberId> {
        let member = MemberId { slot, incarnation: self.newest[slot.at()] };
        (nonce != 0 && self.nonce[slot.at()] == nonce && self.contains(member)).then_some(member)
    }

    /// The member that the slot's next attempt to join will be.
    pub fn next(&self, slot: Slot) -> MemberId {
        MemberId { slot, incarnation: Incarnation(self.newest[slot.at()].0 + 1) }
    }

    /// Forced recovery: nobody but this one. The others' removal follows in the log, so that it lasts.
    pub(crate) fn alone(&mut self, member: MemberId) {
        self.voters = vec![member];
        self.learners.clear();
    }

    pub(crate) fn remove(&mut self, member: MemberId, at: Index) {
        self.voters.retain(|m| *m != member);
        self.learners.retain(|m| *m != member);
        self.at = at;
    }

    pub(crate) fn add_learner(&mut self, member: MemberId, nonce: u64, at: Index) {
        self.remove(member, at);
        self.learners.push(member);
        self.learners.sort();
        let newest = &mut self.newest[member.slot.at()];
        *newest = (*newest).max(member.incarnation);
        self.nonce[member.slot.at()] = nonce;
    }

    pub(crate) fn add_voter(&mut self, member: MemberId, at: Index) {
        self.remove(member, at);
        self.voters.push(member);
        self.voters.sort();
    }

    pub fn encode(&self, w: &mut Writer) {
        for list in [&self.voters, &self.learners] {
            w.varint(list.len() as u64);
            list.iter().for_each(|m| {
                w.u64(m.raft());
            });
        }
        self.newest.iter().for_each(|n| {
            w.u32(n.0);
        });
        self.nonce.iter().for_each(|n| {
            w.u64(*n);
        });
        w.u64(self.at.0);
    }

    pub fn decode(r: &mut Reader) -> Result<Members, codec::Error> {
        let mut lists = [Vec::new(), Vec::new()];
        for list in &mut lists {
            for _ in 0..r.count("members")? {
                let id = r.u64()?;
                list.push(MemberId::from_raft(id).ok_or(codec::Error::Tag { what: "a member", tag: id })?);
            }
        }
        let [voters, learners] = lists;
        let newest = [Incarnation(r.u32()?), Incarnation(r.u32()?), Incarnation(r.u32()?)];
        let nonce = [r.u64()?, r.u64()?, r.u64()?];
        Ok(Members { voters, learners, newest, nonce, at: Index(r.u64()?) })
    }
}
