//! The links between nodes: when a frame arrives, if it does.
//!
//! Intuition: six one-way streets, each with three lanes that keep their order and overtake one another. A fault
//! is a rule that stands on a street for a while.
//! Invariant: what happens to the n-th frame of a lane is drawn from (seed, lane, n) and from the rules that stand
//! there, and from nothing else. Without a rule a lane neither loses, nor repeats, nor reorders.
//! Not here: who is connected to whom (the world's `peers`).

use crate::plan::NetPlan;
use bytes::Bytes;
use plait_base::{Slot, draw};
use plait_replica::Lane;

/// A frame on its way.
#[derive(Debug, Clone)]
pub struct Frame {
    pub from: Slot,
    pub to: Slot,
    pub lane: Lane,
    pub bytes: Bytes,
    /// Something on the way changed it.
    pub spoiled: bool,
    /// Its number in the diagram, if one is made.
    pub drawn: Option<u64>,
    /// Of the processes that the connection joins: a frame never reaches another start of a node.
    pub lives: (u32, u32),
}

/// What a fault does to a street.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Cut,
    Hold,
    Slow { delay_us: u64, jitter_us: u64 },
    Loss { per_mille: u64 },
    Duplicate { per_mille: u64, later_us: u64 },
    Reorder { per_mille: u64, by_us: u64 },
    Flip { per_mille: u64 },
    Throttle { bytes_per_s: u64 },
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    /// Its place in the plan.
    fault: usize,
    /// Its name, which it keeps when others are struck: what its draws are keyed with.
    id: u32,
    rule: Rule,
    /// When a narrow link has carried what it was given so far.
    free_ns: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct LaneState {
    sent: u64,
    last_due_ns: u64,
}

#[derive(Debug, Default)]
struct Street {
    rules: Vec<Standing>,
    lanes: [LaneState; 3],
    held: Vec<(usize, Frame)>,
}

/// How long a frame may wait for its turn on a narrow link, its own time on the way included.
const QUEUED_NS_MAX: u64 = 600_000_000;

/// Frames that one street may hold back; the oldest give way, as in a full buffer.
const HELD_FRAMES_MAX: usize = 4096;

#[derive(Debug)]
pub struct Net {
    seed: u64,
    plan: NetPlan,
    streets: [Street; 9],
}

/// What becomes of a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// When it arrives, and when once more.
    pub due_ns: [Option<u64>; 2],
    /// Up to three faults that had a hand in it.
    pub faults: [Option<usize>; 3],
    /// Which of its bits flips on the way.
    pub flip: Option<u64>,
}

impl Fate {
    fn blame(&mut self, fault: usize) {
        if let Some(free) = self.faults.iter_mut().find(|f| f.is_none() || **f == Some(fault)) {
            *free = Some(fault);
        }
    }
}

/// Streams of draws, hashed once.
const DELAY: u64 = draw::stream("net.delay");
const SLOW: u64 = draw::stream("net.slow");
const LOSS: u64 = draw::stream("net.loss");
const DUPLICATE: u64 = draw::stream("net.duplicate");
const FLIP: u64 = draw::stream("net.flip");
const REORDER: u64 = draw::stream("net.reorder");

fn below(drawn: u64, n: u64) -> u64 {
    ((u128::from(drawn) * u128::from(n)) >> 64) as u64
}

impl Net {
    pub fn new(seed: u64, plan: NetPlan) -> Net {
        Net { seed, plan, streets: Default::default() }
    }

    fn street(&mut self, from: Slot, to: Slot) -> &mut Street {
        &mut self.streets[from.at() * 3 + to.at()]
    }

    pub fn add(&mut self, from: Slot, to: Slot, (fault, id): (usize, u32), rule: Rule) {
        self.street(from, to).rules.push(Standing { fault, id, rule, free_ns: 0 });
    }

    /// Takes a fault's rules away; gives what it had held back.
    pub fn heal(&mut self, fault: usize) -> Vec<Frame> {
        let mut freed = Vec::new();
        for street in &mut self.streets {
            street.rules.retain(|standing| standing.fault != fault);
            let still_held = street.rules.iter().any(|standing| standing.rule == Rule::Hold);
            if !still_held {
                freed.extend(street.held.drain(..).map(|(_, frame)| frame));
            }
        }
        freed
    }

    /// Whether a frame sent now would surely be lost.
    pub fn is_cut(&self, from: Slot, to: Slot) -> bool {
        self.streets[from.at() * 3 + to.at()].rules.iter().any(|standing| standing.rule == Rule::Cut)
    }

    /// Whether a connection can be made: both ways are open and nothing is stuck.
    pub fn open(&self, a: Slot, b: Slot) -> bool {
        [(a, b), (b, a)].iter().all(|(from, to)| {
            let rules = &self.streets[from.at() * 3 + to.at()].rules;
            !rules.iter().any(|standing| matches!(standing.rule, Rule::Cut | Rule::Hold))
        })
    }

    /// Decides when a frame sent at `now_ns` arrives. A frame that is held back is kept here.
    pub fn send(&mut self, now_ns: u64, frame: &Frame) -> Fate {
        let seed = self.seed;
        let street = &mut self.streets[frame.from.at() * 3 + frame.to.at()];
        let lane = &mut street.lanes[frame.lane as usize - 1];
        lane.sent += 1;
        let n = lane.sent;
        let entity = (frame.from.at() * 9 + frame.to.at() * 3 + frame.lane as usize) as u64;
        let drawn = |stream: u64, max: u64| below(draw::draw(seed, stream, entity, n), max);

        let mut fate = Fate::default();
        let mut delay_ns = self.plan.delay_us * 1000
            + drawn(DELAY, self.plan.jitter_us * 1000)
            + self.plan.ns_per_byte * frame.bytes.len() as u64;
        let mut again_ns = None;
        let mut keeps_order = true;
        for Standing { fault, id, rule, free_ns } in &mut street.rules {
            match *rule {
                Rule::Cut => {
                    fate.blame(*fault);
                    return fate;
                }
                Rule::Hold => {
                    fate.blame(*fault);
                    if street.held.len() == HELD_FRAMES_MAX {
                        street.held.remove(0);
                    }
                    street.held.push((*fault, frame.clone()));
                    return fate;
                }
                Rule::Slow { delay_us, jitter_us } => {
                    fate.blame(*fault);
                    delay_ns += delay_us * 1000 + drawn(SLOW, jitter_us * 1000);
                }
                Rule::Throttle { bytes_per_s } => {
                    fate.blame(*fault);
                    let free =
                        (*free_ns).max(now_ns) + frame.bytes.len() as u64 * 1_000_000_000 / bytes_per_s;
                    if free - now_ns > QUEUED_NS_MAX {
                        return fate;
                    }
                    *free_ns = free;
                    delay_ns += free - now_ns;
                }
                Rule::Loss { per_mille } => {
                    if drawn(LOSS ^ u64::from(*id), 1000) < per_mille {
                        fate.blame(*fault);
                        return fate;
                    }
                }
                Rule::Duplicate { per_mille, later_us } => {
                    if drawn(DUPLICATE ^ u64::from(*id), 1000) < per_mille {
                        fate.blame(*fault);
                        again_ns = Some(1 + drawn(DUPLICATE.rotate_left(7), later_us * 1000));
                    }
                }
                Rule::Flip { per_mille } => {
                    if drawn(FLIP ^ u64::from(*id), 1000) < per_mille {
                        fate.blame(*fault);
                        fate.flip = Some(drawn(FLIP.rotate_left(7), frame.bytes.len() as u64 * 8));
                    }
                }
                Rule::Reorder { per_mille, by_us } => {
                    if drawn(REORDER ^ u64::from(*id), 1000) < per_mille {
                        fate.blame(*fault);
                        delay_ns += drawn(REORDER.rotate_left(7), by_us * 1000);
                        keeps_order = false;
                    }
                }
            }
        }
        let mut due_ns = now_ns + delay_ns;
        if keeps_order {
            due_ns = due_ns.max(lane.last_due_ns + 1);
            lane.last_due_ns = due_ns;
        }
        fate.due_ns = [Some(due_ns), again_ns.map(|later| due_ns + later)];
        fate
    }
}

#[cfg(test)]
mod tests;
