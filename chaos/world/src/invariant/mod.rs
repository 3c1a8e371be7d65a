//! What must hold, each in a file of its own with a sketch of why.
//!
//! Intuition: an honest judge keeps her own book. She writes down what was promised and when, and compares it with
//! what is shown to her later; she never asks the accused whether they are guilty.
//! Invariant: a check fails only if the promise in its file's head was broken. An over-strong check destroys trust,
//! so each one says why it must hold in every run that the world can make.

pub mod ack;
pub mod chain;
pub mod commit;
pub mod count;
pub mod ids;
pub mod leader;
pub mod lease;
pub mod ledger;
pub mod list;
pub mod live;
pub mod orders;
pub mod seats;
pub mod skew;
pub mod stall;
pub mod total;
pub mod whole;

use plait_replica::Status;
use std::fmt;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// Of which invariant: its file's name, or `panic`, `defect`.
    pub invariant: String,
    pub at_ns: u64,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3} s: {}", self.invariant, self.at_ns as f64 / 1e9, self.what)
    }
}

/// Whether two violations are one and the same finding: the same promise, broken before the same check. When and where
/// it was seen may differ; another promise that breaks on the way is another finding.
pub fn same(a: &Violation, b: &Violation) -> bool {
    a.invariant == b.invariant
}

/// A run ends soon after its first violation; so many are kept.
const VIOLATIONS_MAX: usize = 8;

/// All books together.
#[derive(Debug, Default)]
pub struct Judge {
    pub now_ns: u64,
    pub violations: Vec<Violation>,
    pub ledger: ledger::Ledger,
    pub leaders: leader::Leaders,
    pub chains: chain::Chains,
    pub leases: lease::Leases,
    pub commits: commit::Commits,
    pub acks: ack::Acks,
    pub stalls: stall::Stalls,
}

impl Judge {
    pub fn broken(&mut self, invariant: &str, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { invariant: invariant.to_owned(), at_ns: self.now_ns, what });
        }
    }

    fn report(&mut self, invariant: &str, found: Result<(), String>) {
        if let Err(what) = found {
            self.broken(invariant, what);
        }
    }

    /// Looks at a node that has just applied something.
    pub fn look_at_one(&mut self, look: &Look) {
        let found = self.commits.look(look);
        self.report("commit", found);
        let found = self.chains.look(look);
        self.report("chain", found);
    }

    pub fn elected(&mut self, slot: plait_base::Slot, term: u64) {
        let found = self.leaders.leads(term, slot);
        self.report("leader", found);
    }

    /// A node gave an operation its place and its verdict.
    pub fn ordered(
        &mut self,
        slot: plait_base::Slot,
        seqno: u64,
        index: u64,
        id: plait_base::ProposalId,
        verdict: &str,
    ) {
        let found = self.chains.ordered(slot, seqno, index, id, verdict);
        self.report("chain", found);
    }

    /// Looks at all nodes at one instant. A node that is down has no status; one that is paused has its last.
    pub fn look(&mut self, nodes: &[Option<Look>; 3]) {
        for look in nodes.iter().flatten() {
            let found = self.leaders.look(look);
            self.report("leader", found);
            let found = self.commits.look(look);
            self.report("commit", found);
            let found = self.chains.look(look);
            self.report("chain", found);
        }
        self.look_at_leases(nodes);
    }

    /// Compares leases and stable positions of all nodes at one instant.
    pub fn look_at_leases(&mut self, nodes: &[Option<Look>; 3]) {
        let found = self.leases.look(nodes);
        self.report("lease", found);
    }
}

/// A node's account of itself, and what only the world knows of it.
#[derive(Debug, Clone)]
pub struct Look {
    pub slot: plait_base::Slot,
    /// Which start of the process this is, counted by the world.
    pub life: u32,
    /// What its clock shows at this instant.
    pub mono: plait_base::Mono,
    pub status: Status,
}

#[cfg(test)]
mod tests;
