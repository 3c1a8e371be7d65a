//! How late each follower applies what is committed, as its leader sees it.
//!
//! Intuition: whoever holds a lease is waited for, so a node that is always late makes everybody late. It is judged by
//! its best since it last asked: a hiccup, or catching up after a pause, costs nobody his lease; a slow disk or a long
//! way does. And only against the other follower: where both are late, the way is long, and it is nobody's fault.

use plait_base::{Index, Mono, Slot};
use std::collections::VecDeque;
use std::time::Duration;

/// What is remembered of commits that somebody has not applied yet; of older ones it is only known that they are old.
const COMMITS_MAX: usize = 4096;
/// A node that is late is slow if it takes this many times as long as the other.
const SLOWER: u32 = 4;

#[derive(Debug, Clone, Default)]
pub struct Lateness {
    /// When which index was seen to be committed.
    commits: VecDeque<(Index, Mono)>,
    applied: [Index; 3],
    /// The shortest time from commit to report since the node's last ask, and between its last two.
    best: [Option<Duration>; 3],
    before: [Option<Duration>; 3],
}

impl Lateness {
    pub fn committed(&mut self, now: Mono, index: Index) {
        if self.commits.back().is_some_and(|(last, _)| *last >= index) {
            return;
        }
        if self.commits.len() >= COMMITS_MAX {
            self.commits.pop_front();
        }
        self.commits.push_back((index, now));
    }

    /// `slot` reports that it has applied everything up to `index`.
    pub fn applied(&mut self, now: Mono, leader: Slot, slot: Slot, index: Index) {
        let before = std::mem::replace(&mut self.applied[slot.at()], index);
        let at = self.commits.partition_point(|(commit, _)| *commit <= index);
        let newest = at.checked_sub(1).map(|at| self.commits[at]);
        if let Some((_, since)) = newest.filter(|(commit, _)| *commit > before) {
            let late = now.since(since);
            let best = &mut self.best[slot.at()];
            *best = Some(best.map_or(late, |best| best.min(late)));
        }
        let both = leader.others().map(|slot| self.applied[slot.at()]).min().unwrap_or_default();
        while self.commits.front().is_some_and(|(commit, _)| *commit <= both) {
            self.commits.pop_front();
        }
    }

    /// A follower asks for a lease: whether it has been slow since it asked last.
    pub fn slow(&mut self, now: Mono, leader: Slot, slot: Slot, late_max: Duration) -> bool {
        let Some(other) = leader.others().find(|other| *other != slot) else { return false };
        let at = self.commits.partition_point(|(commit, _)| *commit <= self.applied[slot.at()]);
        let waits = self.commits.get(at).map(|(_, since)| now.since(*since));
        let best = self.best[slot.at()].take();
        self.before[slot.at()] = best;
        let (Some(late), Some(usual)) = (best.or(waits), self.best[other.at()].or(self.before[other.at()]))
        else {
            return false;
        };
        late > late_max && late > usual * SLOWER
    }

    /// The node was started again: what its last process was slow at is not held against this one.
    pub fn started(&mut self, slot: Slot) {
        self.best[slot.at()] = None;
        self.applied[slot.at()] = self.commits.back().map_or(Index::ZERO, |(commit, _)| *commit);
    }
}
