//! How late each follower applies what is committed, as its leader sees it.
//!
//! Intuition: whoever holds a lease is waited for, so a node that is always late makes everybody late. It is judged by
//! its best lately: a hiccup, or catching up after a pause, costs nobody his lease; a slow disk or a long way does.
//! And only against the other follower: where both are late, the way is long, and it is nobody's fault; and whoever is
//! the only one left is needed, however slow.

use plait_base::{Index, Mono, Slot};
use std::collections::VecDeque;
use std::time::Duration;

/// What is remembered of commits that somebody has not applied yet; of older ones it is only known that they are old.
const COMMITS_MAX: usize = 4096;
/// A node that is late is slow if it takes this many times as long as the other.
const SLOWER: u32 = 4;

#[derive(Debug, Clone)]
pub struct Lateness {
    /// How long a window is; two are looked at, the one under way and the one before it.
    span: Duration,
    /// When which index was seen to be committed.
    commits: VecDeque<(Index, Mono)>,
    applied: [Index; 3],
    windows: [Window; 3],
}

/// The shortest times from commit to report, lately.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Mono,
    best: Option<Duration>,
    before: Option<Duration>,
}

impl Window {
    fn turn(&mut self, now: Mono, span: Duration) {
        let age = now.since(self.since);
        if age >= span {
            *self = Window { since: now, best: None, before: self.best.filter(|_| age < span * 2) };
        }
    }

    fn shortest(&self) -> Option<Duration> {
        self.best.into_iter().chain(self.before).min()
    }
}

impl Lateness {
    pub fn new(now: Mono, span: Duration) -> Lateness {
        let windows = [Window { since: now, best: None, before: None }; 3];
        Lateness { span, commits: VecDeque::new(), applied: [Index::ZERO; 3], windows }
    }

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
            let window = &mut self.windows[slot.at()];
            window.turn(now, self.span);
            let late = now.since(since);
            window.best = Some(window.best.map_or(late, |best| best.min(late)));
        }
        let both = leader.others().map(|slot| self.applied[slot.at()]).min().unwrap_or_default();
        while self.commits.front().is_some_and(|(commit, _)| *commit <= both) {
            self.commits.pop_front();
        }
    }

    /// Whether a follower has been slow lately.
    pub fn slow(&mut self, now: Mono, leader: Slot, slot: Slot, late_max: Duration) -> bool {
        let Some(other) = leader.others().find(|other| *other != slot) else { return false };
        self.windows.iter_mut().for_each(|window| window.turn(now, self.span));
        let at = self.commits.partition_point(|(commit, _)| *commit <= self.applied[slot.at()]);
        let waits = self.commits.get(at).map(|(_, since)| now.since(*since));
        let late = self.windows[slot.at()].shortest().or(waits);
        let usual = self.windows[other.at()].shortest();
        late.zip(usual).is_some_and(|(late, usual)| late > late_max && late > usual * SLOWER)
    }

    /// The node was started again: what its last process was slow at is not held against this one.
    pub fn started(&mut self, now: Mono, slot: Slot) {
        self.windows[slot.at()] = Window { since: now, best: None, before: None };
        self.applied[slot.at()] = self.commits.back().map_or(Index::ZERO, |(commit, _)| *commit);
    }
}
