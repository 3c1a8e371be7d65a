//! The zoo: every known bug by name, in whichever room it lives, and the switch that lets one out.
//!
//! A harness that finds none of these finds nothing. The bugs of the rooms exist only in a build with the feature
//! `zoo` (and debug assertions); the world's own bugs break the world's promises to a node, not a node.

use plait_consensus::zoo as order;
use plait_store::zoo as store;

/// What a world can do wrong to honest nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorldBug {
    /// A sync is reported that did not happen: Law 2's disk.
    NoSync,
    /// Lease mutation k3: the clock stands still during a pause.
    ClockStandsStill,
    /// Lease mutation k1: the clock is read before the input is received.
    ClockReadBefore,
}

impl WorldBug {
    pub const ALL: [WorldBug; 3] = [WorldBug::NoSync, WorldBug::ClockStandsStill, WorldBug::ClockReadBefore];

    pub fn name(self) -> &'static str {
        match self {
            WorldBug::NoSync => "NoSync",
            WorldBug::ClockStandsStill => "ClockStandsStill",
            WorldBug::ClockReadBefore => "ClockReadBefore",
        }
    }
}

/// Any bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    World(WorldBug),
    Order(order::Bug),
    Store(store::Bug),
}

/// Stands for the judge of whole histories.
const HISTORY: &str = "history";

impl Bug {
    pub fn all() -> Vec<Bug> {
        let world = WorldBug::ALL.into_iter().map(Bug::World);
        let order = order::Bug::ALL.iter().copied().map(Bug::Order);
        let store = store::Bug::ALL.iter().copied().map(Bug::Store);
        let mut all: Vec<Bug> = Vec::new();
        for bug in world.chain(order).chain(store) {
            // A clock that stands still is named by the room that it deceives, and made by the world.
            if !all.iter().any(|b| b.name() == bug.name()) {
                all.push(bug);
            }
        }
        all
    }

    pub fn name(self) -> &'static str {
        match self {
            Bug::World(bug) => bug.name(),
            Bug::Order(bug) => bug.name(),
            Bug::Store(bug) => bug.name(),
        }
    }

    pub fn room(self) -> &'static str {
        match self {
            Bug::World(_) => "world",
            Bug::Order(_) => "consensus",
            Bug::Store(_) => "store",
        }
    }

    pub fn parse(name: &str) -> Option<Bug> {
        Bug::all().into_iter().find(|bug| bug.name().eq_ignore_ascii_case(name))
    }

    /// The checks that are there for what it breaks: one of these has to see it. That another one sees it too, on its
    /// way, proves nothing about them.
    pub fn must_be_seen_by(self) -> &'static [&'static str] {
        use order::Bug as O;
        use store::Bug as S;
        match self {
            Bug::World(WorldBug::NoSync) => &["ack"],
            Bug::World(WorldBug::ClockStandsStill | WorldBug::ClockReadBefore) => &["lease"],
            Bug::Order(bug) => match bug {
                O::AckBeforeSync | O::HeldAcknowledged | O::AckBeforeSecondSync | O::AckBeforeApply => {
                    &["ack"]
                }
                O::AckBeforeStable | O::ReadNotHeld | O::LeaderReadsFreely | O::IndexNotAwaited => {
                    &["ledger", "linear", "count", "fresh", HISTORY]
                }
                O::NewLeaderForgets
                | O::NoHeartbeatRound
                | O::LeaseFromArrival
                | O::LeaseSurvivesRestart
                | O::StableTooEarly
                | O::DriftIgnored
                | O::NoFloor
                | O::ClockStandsStill
                | O::GrantsTooSoon
                | O::FloorIsApplied
                | O::FloorIsStable => &["lease"],
                O::GrantsToLaggards => &["stall"],
                // A voter that forgot what it promised: two leaders, or a committed entry that Raft finds missing.
                O::WipedVotes => &["leader", "commit", "ack", "ledger", "panic"],
                O::VoteForgotten => &["leader"],
                O::DuplicateApplied => &["chain"],
                O::MiddleCutAsTail => &["commit", "ack", "ledger", "panic"],
                O::CutAtNewest => &["open"],
                O::ApplyPanics => &["panic"],
                // Whatever the bit stood for: a term, a vote, a place in the log, somebody's money.
                O::FrameNotChecked => &[
                    "chain", "panic", "commit", "leader", "ack", "ledger", "lease", "total", "count", "live",
                ],
                O::FailedWriteTaken => &["ack", "commit", "ledger", "panic", "open"],
            },
            Bug::Store(bug) => match bug {
                S::LastSeenAtCommit | S::SameOriginSkipped | S::CertWindowOffByOne => {
                    &["count", "total", "list", HISTORY]
                }
                S::ReadKeysDropped | S::RangesDropped => &["skew", "orders", HISTORY],
                S::TombstonesForgotten => &["checkpoint", "linear"],
                S::HashOrder | S::ClockRead => &["chain", "twin"],
                S::IdMarkLost => &["ids"],
                S::UniqueNotCertified => &["seats"],
                S::AdditionLost => &["count"],
                S::SnapshotMovesBlindly => &["count", "total", "linear", "skew", "list", HISTORY],
                S::WaiterForgotten => &["stall"],
                S::ParentNotCertified => &["orders"],
                S::LockNotFenced => &["count"],
                S::ReplayBlind => &["total"],
            },
        }
    }

    /// Whether this is one of them that was broken.
    pub fn is_seen_by(self, invariant: &str) -> bool {
        // An anomaly of a history is called by its workload and its class.
        let check = if invariant.contains('/') { HISTORY } else { invariant };
        self.must_be_seen_by().contains(&check)
    }

    /// What only two runs that differ can show.
    pub fn needs_twins(self) -> bool {
        matches!(self, Bug::Store(store::Bug::HashOrder | store::Bug::ClockRead))
    }

    /// Whether this build has it.
    pub fn built(self) -> bool {
        matches!(self, Bug::World(_)) || cfg!(feature = "zoo")
    }
}

/// Lets one bug out, in this whole process; all others are shut in.
pub fn release(bug: Option<Bug>) {
    #[cfg(feature = "zoo")]
    {
        order::set(match bug {
            Some(Bug::Order(bug)) => Some(bug),
            _ => None,
        });
        store::set(match bug {
            Some(Bug::Store(bug)) => Some(bug),
            _ => None,
        });
    }
    assert!(bug.is_none_or(Bug::built), "a bug that this build does not have was asked for");
}

/// The world's part of it.
pub fn world_bug(bug: Option<Bug>) -> Option<WorldBug> {
    match bug {
        Some(Bug::World(bug)) => Some(bug),
        _ => None,
    }
}
