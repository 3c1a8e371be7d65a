//! Of two followers one's disk makes a majority with the leader's; the other is told that nobody waits for its syncs.
//!
//! Intuition: three disks are written, two are waited for. The third node writes what has gathered at its next tick,
//! one sync for many groups, and applies what is committed meanwhile: two other disks have it.
//! Invariant: a follower acknowledges entries only after its own disk has them, hurried or not; so nothing but time
//! depends on whom a leader hurries. A node takes part in an election only after it wrote its vote, and with that
//! everything before it, so no leader counts an entry of its own that its disk lacks.

use super::Consensus;
use plait_base::{Index, Slot};
use raft::{StateRole, eraftpb};
use std::cmp::Reverse;

/// What stands in an append's priority, which Raft uses for votes alone: its receiver may write it later.
const UNHURRIED: i64 = -1;
/// For so many ticks after an election, or after the chosen one was late, both are hurried.
const PAUSE_TICKS: u32 = 8;
/// Bytes that an unhurried follower gathers at the most before it writes them.
pub(super) const HELD_BYTES_MAX: usize = 256 << 10;

/// Leader: whose disk it waits for.
#[derive(Debug)]
pub(super) struct Hurry {
    chosen: Option<Slot>,
    /// Ticks until one is chosen again.
    pause: u32,
    /// What was committed at the last tick.
    committed: Index,
}

impl Default for Hurry {
    fn default() -> Hurry {
        Hurry { chosen: None, pause: PAUSE_TICKS, committed: Index::ZERO }
    }
}

impl Hurry {
    /// Whether this node's disk is waited for.
    pub fn needs(&self, slot: Slot) -> bool {
        self.chosen.is_none_or(|chosen| chosen == slot)
    }

    pub fn down(&mut self, slot: Slot) {
        if self.chosen == Some(slot) {
            *self = Hurry::default();
        }
    }
}

pub(super) fn mark(message: &mut eraftpb::Message) {
    message.priority = UNHURRIED;
}

pub(super) fn is_unhurried(message: &eraftpb::Message) -> bool {
    message.priority == UNHURRIED
}

impl Consensus {
    /// Leader, at a tick: the chosen one must have what was committed at the last tick, else both are hurried for a
    /// while and the one that has more is chosen.
    pub(super) fn tend_hurry(&mut self) {
        let group = self.group.as_mut().expect("it has started");
        if group.raw.raft.state != StateRole::Leader {
            group.hurry = Hurry::default();
            return;
        }
        let committed = Index(group.raw.raft.raft_log.committed);
        let before = std::mem::replace(&mut group.hurry.committed, committed);
        let (me, progress) = (self.config.slot, group.raw.raft.prs());
        let others = group.members.voters.iter().filter(|member| member.slot != me);
        let matched = others.filter_map(|member| Some((progress.get(member.raft())?.matched, member.slot)));
        let enough = matched.filter(|(matched, _)| *matched >= before.0);
        match group.hurry.chosen {
            Some(chosen) => {
                if !enough.into_iter().any(|(_, slot)| slot == chosen) {
                    group.hurry.chosen = None;
                    group.hurry.pause = PAUSE_TICKS;
                }
            }
            None if group.hurry.pause > 0 => group.hurry.pause -= 1,
            None => {
                let best = enough.max_by_key(|(matched, slot)| (*matched, Reverse(*slot)));
                group.hurry.chosen = best.map(|(_, slot)| slot);
            }
        }
    }

    /// Follower, at a tick: writes what it held back.
    pub(super) fn write_held(&mut self) {
        if !self.held.is_empty() {
            self.persist(Vec::new());
        }
    }
}
