//! Cycles of dependencies, by name: which anomaly each is, worst first, each with a short witness.
//!
//! Whether a component holds a cycle of some class is decided exactly and in linear time, by components of the part
//! of the graph that the class may use; only then is a witness looked for, shortest first, within a bound on work.
//! So there is no time-out: what may be missed is the shortest witness, never the verdict.
//! Classes: Adya (1999); "nonadjacent" from Cerone, Gotsman (2016); names as in Elle (Kingsbury, Alvaro, 2020).

use crate::graph::{ANTI, Graph, Kinds, Node, OUTSIDE, PROCESS, PRW, REALTIME, RW, WR, WW};
use crate::model::is_also;

/// One edge of a cycle, as it is used there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub from: Node,
    pub to: Node,
    /// One kind.
    pub kind: Kinds,
}

#[derive(Debug, Clone)]
pub struct Cycle {
    pub name: &'static str,
    pub steps: Vec<Step>,
}

/// Edges looked at for one class in one component before the best witness so far is taken.
const WORK_MAX: usize = 4_000_000;
/// Witnesses of one class that are kept.
pub const WITNESSES_MAX: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anti {
    None,
    One,
    NotAdjacent,
    Any,
}

/// The classes without predicates, worst first; each is looked for plain, and then with the order in time.
const CLASSES: [(Anti, bool); 5] = [
    (Anti::None, false),
    (Anti::None, true),
    (Anti::One, false),
    (Anti::NotAdjacent, false),
    (Anti::Any, false),
];

/// All classes of cycles that the graph holds, and how many components hold each.
pub fn search(graph: &Graph, order: Kinds) -> (Vec<Cycle>, Vec<(&'static str, usize)>) {
    let mut cycles: Vec<Cycle> = Vec::new();
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    let mut place = vec![OUTSIDE; graph.len()];
    for nodes in graph.components(WW | WR | ANTI | order) {
        let local = graph.among(&nodes, &mut place);
        for mut cycle in component(&local, order) {
            for step in &mut cycle.steps {
                (step.from, step.to) = (nodes[step.from as usize], nodes[step.to as usize]);
            }
            match counts.iter_mut().find(|(name, _)| *name == cycle.name) {
                Some((_, n)) => *n += 1,
                None => counts.push((cycle.name, 1)),
            }
            if cycles.iter().filter(|c| c.name == cycle.name).count() < WITNESSES_MAX {
                cycles.push(cycle);
            }
        }
    }
    (cycles, counts)
}

fn component(graph: &Graph, order: Kinds) -> Vec<Cycle> {
    let mut found: Vec<Cycle> = Vec::new();
    for timed in [0, order] {
        if timed == 0 && order != 0 && graph.components(WW | WR | ANTI).is_empty() {
            continue;
        }
        for (anti, reads) in CLASSES {
            // What is a case of what was found here says nothing new.
            let names = names(anti, reads, timed);
            let told = found.iter().any(|c| names.iter().all(|name| is_also(c.name).contains(name)));
            if told {
                continue;
            }
            if let Some(cycle) = class(graph, anti, reads, timed)
                && found.iter().all(|c| c.name != cycle.name)
            {
                found.push(cycle);
            }
        }
        if order == 0 {
            break;
        }
    }
    found
}

/// What a cycle of a class is called, without and with predicates.
fn names(anti: Anti, reads: bool, timed: Kinds) -> Vec<&'static str> {
    let class = match anti {
        Anti::None if !reads => return vec![["G0", "G0-process", "G0-realtime"][suffix(timed)]],
        Anti::None => return vec![["G1c", "G1c-process", "G1c-realtime"][suffix(timed)]],
        Anti::One => 0,
        Anti::NotAdjacent => 1,
        Anti::Any => 2,
    };
    vec![ITEM[class][suffix(timed)]]
}

const ITEM: [[&str; 3]; 3] = [
    ["G-single-item", "G-single-item-process", "G-single-item-realtime"],
    ["G-nonadjacent-item", "G-nonadjacent-item-process", "G-nonadjacent-item-realtime"],
    ["G2-item", "G2-item-process", "G2-item-realtime"],
];
const PREDICATE: [[&str; 3]; 3] = [
    ["G-single", "G-single-process", "G-single-realtime"],
    ["G-nonadjacent", "G-nonadjacent-process", "G-nonadjacent-realtime"],
    ["G2", "G2-process", "G2-realtime"],
];

fn suffix(timed: Kinds) -> usize {
    match timed {
        0 => 0,
        PROCESS => 1,
        _ => 2,
    }
}

/// A cycle by its edges.
pub fn name(steps: &[Step]) -> &'static str {
    let n = steps.len();
    let anti = steps.iter().filter(|s| s.kind & ANTI != 0).count();
    let has = |kind| steps.iter().any(|s| s.kind == kind);
    let timed = if has(REALTIME) { 2 } else { usize::from(has(PROCESS)) };
    let adjacent = (0..n).any(|i| steps[i].kind & ANTI != 0 && steps[(i + 1) % n].kind & ANTI != 0);
    let class = match anti {
        0 if has(WR) => return ["G1c", "G1c-process", "G1c-realtime"][timed],
        0 => return ["G0", "G0-process", "G0-realtime"][timed],
        1 => 0,
        _ if !adjacent => 1,
        _ => 2,
    };
    if has(PRW) { PREDICATE[class][timed] } else { ITEM[class][timed] }
}

/// How an edge may be used: as each of these.
fn uses(kinds: Kinds, plain: Kinds, timed: Kinds, anti: bool) -> impl Iterator<Item = Kinds> {
    // Of what orders writes and reads the strongest says all; an anti-dependency that is also an order in time may be
    // used as either.
    let data = [WW, WR].into_iter().find(|k| kinds & plain & k != 0);
    let anti = if anti && data.is_none() { [RW, PRW].into_iter().find(|k| kinds & k != 0) } else { None };
    let time = if data.is_none() && kinds & timed != 0 { Some(timed) } else { None };
    data.into_iter().chain(anti).chain(time)
}

fn class(graph: &Graph, anti: Anti, reads: bool, timed: Kinds) -> Option<Cycle> {
    let plain = if anti == Anti::None && !reads { WW } else { WW | WR };
    // Is there one at all? Nodes outside these components lie on no such cycle.
    let mut inside = vec![false; graph.len()];
    let product;
    let (gate, kinds, halves) = match anti {
        Anti::None => (graph, plain | timed, 1),
        Anti::Any => (graph, plain | timed | ANTI, 1),
        Anti::One | Anti::NotAdjacent => {
            product = graph.without_adjacent(plain | timed, ANTI);
            (&product, WW | RW, 2)
        }
    };
    let components = gate.components(kinds);
    let first = components.first()?;
    components.iter().flatten().for_each(|n| inside[*n as usize / halves] = true);
    let start: Kinds = match anti {
        Anti::None if reads => WR,
        Anti::None => WW,
        _ => ANTI,
    };
    let mut search = Search {
        graph,
        inside,
        plain,
        timed,
        anti,
        reads,
        seen: vec![0; graph.len() * STATES],
        round: 0,
        work: 0,
    };
    let mut best: Option<Vec<Step>> = None;
    for (from, to, kinds) in graph.edges() {
        if !search.inside[from as usize] || !search.inside[to as usize] {
            continue;
        }
        let Some(kind) = uses(kinds, plain, timed, anti != Anti::None).find(|k| k & start != 0) else {
            continue;
        };
        let limit = best.as_ref().map_or(usize::MAX, Vec::len);
        if let Some(steps) = search.through(Step { from, to, kind }, limit) {
            best = Some(steps);
        }
        let short = best.as_ref().is_some_and(|steps| steps.len() == 2);
        if short || search.work > WORK_MAX {
            break;
        }
    }
    let cut_short = search.work > WORK_MAX && anti != Anti::One;
    let steps = best.or_else(|| cut_short.then(|| any(graph, gate, kinds, first, halves as Node)))?;
    let steps = simple(steps);
    Some(Cycle { name: name(&steps), steps })
}

/// Some cycle in a component that is known to have one, for when the shortest takes too long to find.
fn any(graph: &Graph, gate: &Graph, kinds: Kinds, component: &[Node], halves: Node) -> Vec<Step> {
    let inside = |n: Node| component.binary_search(&n).is_ok();
    let root = component[0];
    let mut before: Vec<Node> = vec![OUTSIDE; gate.len()];
    let mut queue = std::collections::VecDeque::from([root]);
    'search: while let Some(node) = queue.pop_front() {
        for (to, has) in gate.out(node) {
            if has & kinds == 0 || !inside(*to) || before[*to as usize] != OUTSIDE {
                continue;
            }
            before[*to as usize] = node;
            if *to == root {
                break 'search;
            }
            queue.push_back(*to);
        }
    }
    let mut steps = Vec::new();
    let mut node = root;
    loop {
        let from = before[node as usize];
        let (a, b) = (from / halves, node / halves);
        let has = graph.out(a).iter().find(|(to, _)| *to == b).map_or(0, |(_, kinds)| *kinds);
        // In the product an odd node was reached by an anti-dependency.
        let wanted = if halves == 2 && node % 2 == 1 { ANTI } else { !0 };
        let kind = [WW, WR, RW, PRW, PROCESS, REALTIME].into_iter().find(|k| has & k & wanted != 0);
        steps.push(Step { from: a, to: b, kind: kind.unwrap_or(RW) });
        node = from;
        if node == root {
            break;
        }
    }
    steps.reverse();
    steps
}

/// Of a closed walk that comes by a node twice, the worse of its loops.
fn simple(mut steps: Vec<Step>) -> Vec<Step> {
    'again: loop {
        for i in 0..steps.len() {
            for j in i + 1..steps.len() {
                if steps[i].from == steps[j].from {
                    let inner: Vec<Step> = steps[i..j].to_vec();
                    let outer: Vec<Step> = steps[..i].iter().chain(&steps[j..]).copied().collect();
                    let worse = is_also(name(&inner)).contains(name(&outer));
                    steps = if worse { inner } else { outer };
                    continue 'again;
                }
            }
        }
        return steps;
    }
}

/// What a path has seen so far: whether its last step was an anti-dependency (1), how many of them there were, up to
/// two (2, 4), whether there was a read (8) and an order in time (16).
type State = usize;
const STATES: usize = 32;

struct Search<'a> {
    graph: &'a Graph,
    inside: Vec<bool>,
    plain: Kinds,
    timed: Kinds,
    anti: Anti,
    reads: bool,
    /// The round in which a node was reached in a state.
    seen: Vec<u32>,
    round: u32,
    work: usize,
}

impl Search<'_> {
    fn after(&self, state: State, kind: Kinds) -> Option<State> {
        let is_anti = kind & ANTI != 0;
        let count = state >> 1 & 3;
        if is_anti
            && (self.anti == Anti::NotAdjacent && state & 1 == 1 || self.anti == Anti::One && count == 1)
        {
            return None;
        }
        let count = (count + usize::from(is_anti)).min(2);
        let seen = state & 24 | if kind == WR { 8 } else { 0 } | if kind & self.timed != 0 { 16 } else { 0 };
        Some(usize::from(is_anti) | count << 1 | seen)
    }

    fn is_whole(&self, state: State, first: Kinds) -> bool {
        let count = state >> 1 & 3;
        let anti = match self.anti {
            Anti::None => true,
            Anti::One => count == 1,
            Anti::NotAdjacent => count == 2 && !(state & 1 == 1 && first & ANTI != 0),
            Anti::Any => count == 2,
        };
        anti && (!self.reads || state & 8 != 0) && (self.timed == 0 || state & 16 != 0)
    }

    /// The shortest cycle of the class through a step, if it is shorter than `limit`.
    fn through(&mut self, first: Step, limit: usize) -> Option<Vec<Step>> {
        self.round += 1;
        let begin = self.after(0, first.kind)?;
        // (node, state, where it came from, by which kind)
        let mut reached: Vec<(Node, State, u32, Kinds)> = vec![(first.to, begin, u32::MAX, first.kind)];
        self.seen[first.to as usize * STATES + begin] = self.round;
        let (mut at, mut depth, mut depth_ends) = (0, 1, 1);
        while at < reached.len() {
            if at == depth_ends {
                depth += 1;
                depth_ends = reached.len();
            }
            if depth + 1 >= limit {
                return None;
            }
            let (node, state, ..) = reached[at];
            for (to, kinds) in self.graph.out(node) {
                self.work += 1;
                if !self.inside[*to as usize] {
                    continue;
                }
                for kind in uses(*kinds, self.plain, self.timed, self.anti != Anti::None) {
                    let Some(next) = self.after(state, kind) else { continue };
                    if *to == first.from {
                        if self.is_whole(next, first.kind) {
                            return Some(path(&reached, at, Step { from: node, to: *to, kind }));
                        }
                        continue;
                    }
                    let seen = &mut self.seen[*to as usize * STATES + next];
                    if *seen != self.round {
                        *seen = self.round;
                        reached.push((*to, next, at as u32, kind));
                    }
                }
            }
            if self.work > WORK_MAX {
                return None;
            }
            at += 1;
        }
        None
    }
}

fn path(reached: &[(Node, State, u32, Kinds)], mut at: usize, last: Step) -> Vec<Step> {
    let mut steps = vec![last];
    loop {
        let (node, _, before, kind) = reached[at];
        let from = if before == u32::MAX { last.to } else { reached[before as usize].0 };
        steps.push(Step { from, to: node, kind });
        if before == u32::MAX {
            break;
        }
        at = before as usize;
    }
    steps.reverse();
    steps
}
