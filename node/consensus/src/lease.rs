//! The read lease: how each node serves reads from its own memory, and none is ever stale.
//!
//! Intuition: the leader hands out dated permits to read. A write is acknowledged only when everybody who holds a
//! permit that may still run has applied it. Who falls silent stops counting when its permit has surely run out.
//!
//! The rules, and where they stand here (DESIGN §4a; explored exhaustively within small bounds):
//! - [`Grants`], at the leader: one expiry a node on the leader's own clock, set to `now + W` before a grant is
//!   sent, W = L·(1 + d). *A new leader knows of no grants: it sets all three to its election + W.*
//! - A grant costs everybody up to W if its holder then falls silent, and as long as it runs everybody waits for its
//!   holder. So only a node that keeps up is given one: lag is bounded in entries, in time ([`Grants::keeps_up`]) and
//!   against the other follower's ([`Grants::is_slow`]).
//! - [`Stable`]: the lowest applied index over the leader and everyone whose expiry has not passed. Never down.
//! - [`Holder`], at every node: asks at its time `s`, and holds until `s + L`. A valid lease is prolonged as it
//!   is; *a node without one serves only once it has applied up to the grant's floor*, the leader's commit index.
//!
//! Invariant, checked while running: a usable lease implies applied ≥ every stable index this node has seen.
//! What this is not: a promise about a reply's age. A reply is linearized at the moment the lease is checked, and
//! may leave late. Where a clock can stand still, the lease is not sound.

mod lateness;

use crate::zoo::{self, Bug};
use lateness::Lateness;
use plait_base::{BootEpoch, Index, Mono, Reader, Slot, Term, codec};
use std::fmt;
use std::time::Duration;

/// Which kind of state a lease is about. Each strand has its own table, stable index and floor, so that a stuck
/// file reader never holds an SQL commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Strand {
    Store = 1,
}

impl Strand {
    pub const ALL: [Strand; 1] = [Strand::Store];

    pub fn at(self) -> usize {
        self as usize - 1
    }

    pub(crate) fn decode(r: &mut Reader) -> Result<Strand, codec::Error> {
        let n = r.u8()?;
        Strand::ALL
            .into_iter()
            .find(|s| *s as u8 == n)
            .ok_or(codec::Error::Tag { what: "a strand", tag: n.into() })
    }
}

impl fmt::Display for Strand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Strand::Store => "store",
        })
    }
}

/// The lengths that all three nodes agree on.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// L, on the holder's clock.
    pub lease: Duration,
    /// d: bound on the ratio of two clocks' rates, per mille.
    pub drift_per_mille: u32,
    /// Lag, in entries, beyond which a grant is refused.
    pub lag_max: u64,
    /// How late a follower may always be, where the other one is not.
    pub late_max: Duration,
}

impl Lengths {
    /// W, on the leader's clock.
    pub fn wait(&self) -> Duration {
        if zoo::on(Bug::DriftIgnored) {
            return self.lease;
        }
        self.lease + self.lease * self.drift_per_mille / 1000
    }
}

/// One node's wish for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    pub term: Term,
    pub epoch: BootEpoch,
    pub counter: u64,
}

/// The leader's table.
#[derive(Debug, Clone)]
pub struct Grants {
    expiry: [Mono; 3],
    /// Applied index last reported in this term.
    reported: [Index; 3],
    /// The start of the process that was granted to last, by this leader.
    epoch: [Option<BootEpoch>; 3],
    refused: [bool; 3],
    pace: [Option<Pace>; 3],
    behind: [bool; 3],
    lateness: Lateness,
}

/// What was committed when a start of a node's process asked last, and when it asked before that.
#[derive(Debug, Clone, Copy)]
struct Pace {
    epoch: BootEpoch,
    last: Index,
    before: Option<Index>,
}

impl Grants {
    /// At an election: every node, the predecessor and the absent too, may hold a lease for another W. What was
    /// reported before is forgotten: "applied" in memory is not durable, so neither is a report of it.
    pub fn elected(now: Mono, lengths: &Lengths) -> Grants {
        let expiry = if zoo::on(Bug::NewLeaderForgets) { now } else { now + lengths.wait() };
        Grants {
            expiry: [expiry; 3],
            reported: [Index::ZERO; 3],
            epoch: [None; 3],
            refused: [false; 3],
            pace: [None; 3],
            behind: [false; 3],
            lateness: Lateness::new(now, lengths.lease / 3),
        }
    }

    pub fn committed(&mut self, now: Mono, index: Index) {
        self.lateness.committed(now, index);
    }

    pub fn report(&mut self, now: Mono, leader: Slot, slot: Slot, applied: Index) {
        let reported = &mut self.reported[slot.at()];
        if applied > *reported {
            *reported = applied;
            self.lateness.applied(now, leader, slot, applied);
        }
    }

    pub fn reported(&self, slot: Slot) -> Index {
        self.reported[slot.at()]
    }

    pub fn is_refused(&self, slot: Slot) -> bool {
        self.refused[slot.at()]
    }

    /// Whether a node that lags by this much is granted a lease; one that was refused must first come within a
    /// quarter of the bound.
    pub fn near_enough(&mut self, slot: Slot, lag: u64, lengths: &Lengths) -> bool {
        let refused = &mut self.refused[slot.at()];
        *refused = lag > if *refused { lengths.lag_max / 4 } else { lengths.lag_max };
        !*refused
    }

    /// Whether a node that asks keeps up: it has applied what was committed two asks ago, two thirds of L. A new
    /// start of a process that was granted to before has first to show that; else one that dies again and again,
    /// and is granted a lease at each start, would hold back every write for as long as it goes on.
    pub fn keeps_up(
        &mut self,
        now: Mono,
        slot: Slot,
        epoch: BootEpoch,
        applied: Index,
        commit: Index,
    ) -> bool {
        let known = self.pace[slot.at()].filter(|pace| pace.epoch == epoch);
        if known.is_none() {
            self.lateness.started(now, slot);
        }
        self.pace[slot.at()] = Some(Pace { epoch, last: commit, before: known.map(|pace| pace.last) });
        let keeps_up = zoo::on(Bug::GrantsToLaggards)
            || match known.and_then(|pace| pace.before) {
                Some(commit) => applied >= commit,
                None => applied >= commit || self.epoch[slot.at()].is_none_or(|granted| granted == epoch),
            };
        self.behind[slot.at()] = !keeps_up;
        keeps_up
    }

    /// Whether a follower that asks is always late where the other one is not; to be asked after [`keeps_up`](Self::keeps_up).
    pub fn is_slow(&mut self, now: Mono, leader: Slot, slot: Slot, lengths: &Lengths) -> bool {
        let slow = slot != leader && self.lateness.slow(now, leader, slot, lengths.late_max);
        self.behind[slot.at()] |= slow;
        slow
    }

    pub fn is_behind(&self, slot: Slot) -> bool {
        self.behind[slot.at()]
    }

    /// To be called before the grant is sent.
    pub fn grant(&mut self, now: Mono, slot: Slot, epoch: BootEpoch, lengths: &Lengths) {
        self.expiry[slot.at()] = self.expiry[slot.at()].max(now + lengths.wait());
        self.epoch[slot.at()] = Some(epoch);
    }

    /// That start of the process is proved dead. Its lease ends now, provided it is the start that this leader
    /// granted to: of any other it does not know who may hold what.
    pub fn dead(&mut self, now: Mono, slot: Slot, epoch: BootEpoch) -> bool {
        if self.epoch[slot.at()] != Some(epoch) || self.expiry[slot.at()] <= now {
            return false;
        }
        self.expiry[slot.at()] = now;
        true
    }

    /// Whether what the leader has applied is not stable yet only because a lease of its predecessor's may still run.
    pub fn waits_for_predecessor(&self, now: Mono, leader: Slot, applied: Index) -> bool {
        leader.others().any(|slot| {
            self.expiry[slot.at()] > now
                && self.epoch[slot.at()].is_none()
                && self.reported[slot.at()] < applied
        })
    }

    /// The lowest applied index over the leader itself and every node whose lease may still run.
    pub fn stable(&self, now: Mono, leader: Slot, applied: Index) -> Index {
        leader
            .others()
            .filter(|slot| !zoo::on(Bug::StableTooEarly) && self.expiry[slot.at()] > now)
            .map(|slot| self.reported[slot.at()])
            .fold(applied, Index::min)
    }
}

/// The stable index as a node knows it, and what it has heard from each.
#[derive(Debug, Clone, Default)]
pub struct Stable {
    known: Index,
    heard: [Index; 3],
}

impl Stable {
    pub fn known(&self) -> Index {
        self.known
    }

    /// The leader of some term announced it: a fact in every term. Whether it is news.
    pub fn announced(&mut self, index: Index) -> bool {
        let news = index > self.known;
        self.known = self.known.max(index);
        news
    }

    /// A node has applied this. What all three have applied is stable without the leader's word.
    pub fn heard(&mut self, slot: Slot, applied: Index) -> bool {
        let heard = &mut self.heard[slot.at()];
        *heard = (*heard).max(applied);
        self.announced(self.applied_by_all())
    }

    /// What each of the three has said that it applied.
    pub fn applied_by_all(&self) -> Index {
        self.heard.iter().copied().min().expect("there are three")
    }
}

/// A node's own lease.
#[derive(Debug, Clone)]
pub struct Holder {
    lengths: Lengths,
    epoch: BootEpoch,
    counter: u64,
    asked: Option<(Ask, Mono)>,
    last_asked: Mono,
    until: Mono,
    floor: Index,
    last_tick: Mono,
}

impl Holder {
    pub fn new(now: Mono, epoch: BootEpoch, lengths: Lengths) -> Holder {
        let until = if zoo::on(Bug::LeaseSurvivesRestart) { now + lengths.lease } else { Mono(0) };
        Holder {
            lengths,
            epoch,
            counter: 0,
            asked: None,
            last_asked: Mono(0),
            until,
            floor: Index::ZERO,
            last_tick: now,
        }
    }

    /// Whether a read may be served from what is applied here. The clock must have been read after the request
    /// was received.
    pub fn usable(&self, now: Mono, applied: Index) -> bool {
        now < self.until && (applied >= self.floor || zoo::on(Bug::NoFloor))
    }

    pub fn until(&self) -> Mono {
        self.until
    }

    pub fn floor(&self) -> Index {
        self.floor
    }

    /// The node's own tick. After a gap longer than L/2 whatever this node believes is too old: the lease is
    /// dropped. Returns whether it was.
    pub fn tick(&mut self, now: Mono) -> bool {
        let gap = now.since(self.last_tick);
        self.last_tick = now;
        gap > self.lengths.lease / 2 && self.forget()
    }

    /// A vote, a higher term, a restart, a gap: the lease and the outstanding request are void.
    pub fn forget(&mut self) -> bool {
        let had = self.until > Mono(0) || self.asked.is_some();
        self.until = Mono(0);
        self.asked = None;
        had
    }

    /// Asks when a third of L has passed since the last time; `None` while it is too early.
    pub fn ask(&mut self, now: Mono, term: Term) -> Option<Ask> {
        let fresh = self.asked.is_some_and(|(ask, _)| ask.term == term) || self.until > now;
        if fresh && now.since(self.last_asked) < self.lengths.lease / 3 {
            return None;
        }
        self.counter += 1;
        let ask = Ask { term, epoch: self.epoch, counter: self.counter };
        self.asked = Some((ask, now));
        self.last_asked = now;
        Some(ask)
    }

    /// When the next request is due.
    pub fn next_ask(&self) -> Mono {
        self.last_asked + self.lengths.lease / 3
    }

    /// An answer came. One to anything but the outstanding request is ignored. Returns whether it was taken.
    pub fn granted(&mut self, now: Mono, ask: Ask, floor: Index, applied: Index) -> bool {
        let Some((outstanding, since)) = self.asked else { return false };
        if outstanding != ask {
            return false;
        }
        self.asked = None;
        let valid = self.usable(now, applied);
        let from = if zoo::on(Bug::LeaseFromArrival) { now } else { since };
        self.until = self.until.max(from + self.lengths.lease);
        if !valid {
            self.floor = floor;
        }
        true
    }
}

#[cfg(test)]
mod tests;
