//! Outages: the longest time without a success that a fault had a part in.
//!
//! A gap between two successes counts for a fault if the fault stood during any of it, so that the time until service is
//! back counts too, although the fault may have been undone before. Kept for the whole cluster and for each node.

/// What is counted together: the whole cluster, or one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    longest: u64,
    /// No later gap can overlap the fault.
    over: bool,
}

#[derive(Debug)]
struct Watch {
    id: u32,
    begun: u64,
    ended: Option<u64>,
    /// The first is the cluster's.
    gaps: Vec<Gap>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    pub id: u32,
    pub begun_ns: u64,
    pub ended_ns: u64,
    pub longest_ns: u64,
    /// By node.
    pub nodes_ns: Vec<u64>,
}

#[derive(Debug)]
pub struct Outages {
    /// Time of the last success: of the cluster, then of each node.
    last: Vec<u64>,
    watches: Vec<Watch>,
}

impl Outages {
    pub fn new(nodes: usize, now: u64) -> Outages {
        Outages { last: vec![now; nodes + 1], watches: Vec::new() }
    }

    pub fn fault_begins(&mut self, id: u32, now: u64) {
        let gaps = vec![Gap { longest: 0, over: false }; self.last.len()];
        self.watches.push(Watch { id, begun: now, ended: None, gaps });
    }

    pub fn fault_ends(&mut self, id: u32, now: u64) {
        let watch = self.watches.iter_mut().find(|watch| watch.id == id).expect("it has begun");
        watch.ended = Some(now);
    }

    pub fn success(&mut self, node: usize, now: u64) {
        for scope in [0, node + 1] {
            let last = std::mem::replace(&mut self.last[scope], now);
            self.watches.iter_mut().for_each(|watch| watch.gap(scope, last, now));
        }
    }

    /// All that were watched; what is without success at the end counts until then.
    pub fn finish(mut self, now: u64) -> Vec<Outage> {
        for (scope, last) in self.last.iter().enumerate() {
            self.watches.iter_mut().for_each(|watch| watch.gap(scope, *last, now));
        }
        let outage = |watch: Watch| Outage {
            id: watch.id,
            begun_ns: watch.begun,
            ended_ns: watch.ended.unwrap_or(now),
            longest_ns: watch.gaps[0].longest,
            nodes_ns: watch.gaps[1..].iter().map(|gap| gap.longest).collect(),
        };
        self.watches.into_iter().map(outage).collect()
    }
}

impl Watch {
    fn gap(&mut self, scope: usize, from: u64, to: u64) {
        let (begun, ended) = (self.begun, self.ended.unwrap_or(u64::MAX));
        let gap = &mut self.gaps[scope];
        if gap.over || to < begun {
            return;
        }
        if from <= ended {
            gap.longest = gap.longest.max(to - from);
        }
        gap.over = to > ended;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_for_the_fault_that_stood_in_it() {
        let mut outages = Outages::new(2, 0);
        outages.success(0, 90);
        outages.success(1, 95);
        outages.fault_begins(1, 100);
        outages.success(1, 120);
        outages.fault_ends(1, 200);
        outages.success(1, 210);
        outages.success(0, 300);
        outages.success(1, 500);
        outages.fault_begins(2, 600);
        outages.fault_ends(2, 610);
        let found = outages.finish(700);
        // From the one success before it to the one after it; what came later is none of its business.
        assert_eq!((found[0].longest_ns, found[0].nodes_ns.clone()), (90, vec![210, 90]));
        assert_eq!((found[0].begun_ns, found[0].ended_ns), (100, 200));
        assert_eq!((found[1].longest_ns, found[1].nodes_ns.clone()), (200, vec![400, 200]));
    }

    #[test]
    fn a_fault_that_nobody_ended_lasts_to_the_end() {
        let mut outages = Outages::new(1, 0);
        outages.fault_begins(7, 10);
        outages.success(0, 20);
        let found = outages.finish(1_000);
        assert_eq!((found[0].ended_ns, found[0].longest_ns), (1_000, 980));
    }
}
