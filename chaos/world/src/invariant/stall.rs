//! Two sound nodes are enough: whatever the third one does, they answer, and soon.
//!
//! Why it must hold: two nodes that run, hear each other and are in sync are a majority. If the third leads and falls
//! silent, they elect one of themselves: the slowest election time-out, and once more if the first vote is lost. If it
//! led or held a lease, its lease runs out W after that. If it does not fall silent but does not keep up, it is
//! refused its lease after two asks, and W later it counts no more; a new start of it is not given one before it keeps
//! up (`consensus::lease`). Each of these happens once, and a sound leader is not deposed by a node at fault
//! (pre-vote, check-quorum).
//! So a request that is made on one of the two when both have been sound for a while is answered within
//! [`ANSWER_NS_MAX`], whatever the answer is: *yes*, *no*, or that this node does not serve now.
//! A node that has not been in sync since it started, or is sent the whole state, is not sound yet: how long that may
//! take depends on the state, and that it ends is judged by `live`.
//! Not looked at: times in which some link between two nodes is bad. A node that hears one peer and not the other may
//! rightly be without a leader.

use crate::plan::FaultKind;
use plait_base::Slot;

/// How long both must have been sound before the request: elections, leases and a backlog have come to rest.
pub const SETTLED_NS: u64 = 1_500_000_000;

/// How long such a request may take. Two rounds of the slowest election time-out (16 ticks of 25 ms) are 800 ms, W is
/// 308 ms, and the first lease of a new leader takes another third of L: together 1.2 s. The rest is for work: a sync
/// of a disk at fault under a leader, and the statements of a transaction in steps of a few rows each.
pub const ANSWER_NS_MAX: u64 = 1_500_000_000;

/// A wait that is told in a story, if it is the longest so far.
pub const TOLD_NS_MIN: u64 = 400_000_000;

#[derive(Debug, Default, Clone, Copy)]
struct Node {
    /// Faults in force on it.
    faults: u32,
    /// Since when it has been sound.
    since_ns: u64,
    runs: bool,
}

#[derive(Debug, Default)]
pub struct Stalls {
    nodes: [Node; 3],
    /// How many requests to a sound pair were looked at, and the longest wait among them.
    pub judged: u64,
    pub longest_ns: u64,
}

fn touched(kind: &FaultKind) -> Vec<Slot> {
    use FaultKind::*;
    match kind {
        Cut { .. }
        | OneWay { .. }
        | Clog { .. }
        | Slow { .. }
        | Throttle { .. }
        | Loss { .. }
        | Duplicate { .. }
        | Reorder { .. }
        | Flip { .. } => Slot::ALL.to_vec(),
        KillAll {} | PowerOff { .. } | Upgrade { .. } => Slot::ALL.to_vec(),
        other => other.slots().into_iter().filter_map(Slot::new).collect(),
    }
}

impl Stalls {
    pub fn fault_on(&mut self, kind: &FaultKind) {
        touched(kind).into_iter().for_each(|slot| self.nodes[slot.at()].faults += 1);
    }

    pub fn fault_off(&mut self, kind: &FaultKind, now_ns: u64) {
        for slot in touched(kind) {
            let node = &mut self.nodes[slot.at()];
            node.faults -= 1;
            node.since_ns = now_ns;
        }
    }

    /// The process has come or gone, or has just come to be whole.
    pub fn changed(&mut self, slot: Slot, runs: bool, now_ns: u64) {
        let node = &mut self.nodes[slot.at()];
        node.since_ns = now_ns;
        node.runs = runs;
    }

    /// A request that was made on `slot` at `asked_ns` has been answered now, or is still waiting.
    pub fn waited(
        &mut self,
        slot: Slot,
        asked_ns: u64,
        now_ns: u64,
        whole: [bool; 3],
        what: impl Fn() -> String,
    ) -> Result<(), String> {
        let sound = |slot: Slot| {
            let node = self.nodes[slot.at()];
            node.runs && node.faults == 0 && whole[slot.at()] && node.since_ns + SETTLED_NS < asked_ns
        };
        let Some(other) = slot.others().find(|other| sound(slot) && sound(*other)) else { return Ok(()) };
        let waited_ns = now_ns.saturating_sub(asked_ns);
        self.judged += 1;
        self.longest_ns = self.longest_ns.max(waited_ns);
        if waited_ns <= ANSWER_NS_MAX {
            return Ok(());
        }
        Err(format!(
            "{slot} and {other} are sound and hear each other since {:.3} s, and a request made on {slot} at {:.3} s has waited {} ms: {}",
            self.nodes[slot.at()].since_ns.max(self.nodes[other.at()].since_ns) as f64 / 1e9,
            asked_ns as f64 / 1e9,
            waited_ns / 1_000_000,
            what()
        ))
    }
}

#[cfg(test)]
mod tests;
