//! Two sound nodes are enough: whatever the third one does, they answer.
//!
//! Why it must hold: two nodes that run, hear each other and are in sync are a majority. If the third led, they
//! elect one of themselves within a few time-outs; its lease runs out after W at most, once; whoever lags is refused
//! its lease before it costs more (DESIGN law 10). So a request that is made on one of the two when both have been
//! sound for a while is not told *unknown* and not told that something did not come in time.
//! Counted and told in the story, but no verdict yet: how long a leader that is at fault may keep two sound nodes
//! waiting is not bounded well enough to condemn a run.
//! Not looked at: times in which some link between two nodes is bad. A node that hears one peer and not the other may
//! rightly be without a leader.

use crate::plan::FaultKind;
use plait_base::Slot;

/// How long both must have been sound before the request: elections, leases and a backlog have come to rest.
pub const SETTLED_NS: u64 = 2_500_000_000;

/// How long such a request must have waited: a refusal at once, in the middle of an election, is no stall. Election,
/// the predecessor's lease and a commit take less than this together.
pub const WAITED_NS_MIN: u64 = 1_500_000_000;

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
    /// How many answers were judged.
    pub judged: u64,
}

fn touched(kind: &FaultKind) -> Vec<Slot> {
    use FaultKind::*;
    match kind {
        Cut { .. }
        | OneWay { .. }
        | Clog { .. }
        | Slow { .. }
        | Loss { .. }
        | Duplicate { .. }
        | Reorder { .. } => Slot::ALL.to_vec(),
        KillAll {} | PowerOff { .. } => Slot::ALL.to_vec(),
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

    /// A request that was made on `slot` at `asked_ns` did not get a clear answer.
    pub fn unanswered(
        &mut self,
        slot: Slot,
        asked_ns: u64,
        now_ns: u64,
        whole: [bool; 3],
        what: &str,
    ) -> Result<(), String> {
        if now_ns < asked_ns + WAITED_NS_MIN {
            return Ok(());
        }
        let sound = |slot: Slot| {
            let node = self.nodes[slot.at()];
            node.runs && node.faults == 0 && whole[slot.at()] && node.since_ns + SETTLED_NS < asked_ns
        };
        self.judged += 1;
        match slot.others().find(|other| sound(slot) && sound(*other)) {
            Some(other) => Err(format!(
                "{slot} and {other} are sound and hear each other since {:.3} s, and a request made on {slot} at {:.3} s waited {} ms for no clear answer: {what}",
                self.nodes[slot.at()].since_ns.max(self.nodes[other.at()].since_ns) as f64 / 1e9,
                asked_ns as f64 / 1e9,
                (now_ns - asked_ns) / 1_000_000
            )),
            None => Ok(()),
        }
    }
}
