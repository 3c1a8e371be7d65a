//! Isolation, as a law: random transactions over three nodes that lag behind one another.
//!
//! After the run, what each transaction read is compared with what it should have: at `Serializable` (and where
//! reads lock) with a run of all committed ones, one after the other, in the order of their seqnos; at
//! `RepeatableRead` with the state at one position, and no row that it wrote may have been written since.

use super::kit::*;
use crate::*;
use plait_base::{Bytes, Seqno};
use proptest::prelude::*;
use std::collections::BTreeMap;

const KEYS: i64 = 4;

#[derive(Debug, Clone)]
enum Read {
    Get(i64),
    Scan(i64, i64),
}

/// Reads, then writes what follows from what was read.
#[derive(Debug, Clone)]
struct Plan {
    node: u8,
    isolation: Isolation,
    lock: bool,
    reads: Vec<Read>,
    /// `None`: deletes.
    writes: Vec<(i64, Option<i64>)>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let read = prop_oneof![
        2 => (0..KEYS).prop_map(Read::Get),
        1 => (0..KEYS, 1..KEYS).prop_map(|(from, n)| Read::Scan(from, from + n)),
    ];
    let write = (0..KEYS, proptest::option::weighted(0.7, 1..9_i64));
    (
        1..=3_u8,
        prop_oneof![Just(Isolation::RepeatableRead), Just(Isolation::Serializable)],
        any::<bool>(),
        proptest::collection::vec(read, 0..3),
        proptest::collection::vec(write, 0..3),
    )
        .prop_map(|(node, isolation, lock, reads, writes)| Plan { node, isolation, lock, reads, writes })
}

/// A transaction under way.
struct Client {
    plan: Plan,
    session: Session,
    at: usize,
    seen: Vec<Vec<(i64, i64)>>,
    waits_for: Option<u64>,
    committed: Option<u64>,
    snapshot: Option<Seqno>,
    over: bool,
}

impl Client {
    fn request(&self) -> Request {
        let (reads, plan) = (self.plan.reads.len(), &self.plan);
        match self.at {
            0 => Request::Begin { isolation: plan.isolation },
            n if n <= reads => Request::Run(vec![match plan.reads[n - 1] {
                Read::Get(id) => Step::Get { table: "t".into(), key: vec![id.into()], lock: plan.lock },
                Read::Scan(from, to) => Step::Scan {
                    table: "t".into(),
                    from: vec![from.into()],
                    to: vec![to.into()],
                    limit: 0,
                    lock: plan.lock,
                },
            }]),
            n if n == reads + 1 && !plan.writes.is_empty() => {
                let sum: i64 = self.seen.iter().flatten().map(|(_, v)| *v).fold(0, i64::wrapping_add);
                let step = |(id, v): &(i64, Option<i64>)| match v {
                    Some(v) => put("t", *id, sum.wrapping_mul(3).wrapping_add(*v)),
                    None => delete("t", *id),
                };
                Request::Run(plan.writes.iter().map(step).collect())
            }
            _ => Request::Commit,
        }
    }
}

/// What one read sees in a state.
fn look(read: &Read, state: &BTreeMap<i64, i64>) -> Vec<(i64, i64)> {
    match read {
        Read::Get(id) => state.get(id).map(|v| (*id, *v)).into_iter().collect(),
        Read::Scan(from, to) => state.range(from..to).map(|(id, v)| (*id, *v)).collect(),
    }
}

fn write(plan: &Plan, seen: &[Vec<(i64, i64)>], state: &mut BTreeMap<i64, i64>) {
    let sum: i64 = seen.iter().flatten().map(|(_, v)| *v).fold(0, i64::wrapping_add);
    for (id, v) in &plan.writes {
        match v {
            Some(v) => drop(state.insert(*id, sum.wrapping_mul(3).wrapping_add(*v))),
            None => drop(state.remove(id)),
        }
    }
}

struct World {
    nodes: Vec<Node>,
    log: Vec<Bytes>,
    /// How much of the log each node has applied.
    applied: [u64; 3],
    verdicts: Vec<Vec<Verdict>>,
    clients: Vec<Client>,
}

impl World {
    fn advance(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let node = &mut self.nodes[client.session.slot().at()];
        if client.over {
            return;
        }
        if let Some(n) = client.waits_for {
            if self.applied[client.session.slot().at()] < n {
                return;
            }
            let verdict = self.verdicts[client.session.slot().at()][n as usize - 1].clone();
            client.session.resume(Ok(verdict));
            client.waits_for = None;
        } else {
            client.session.start(client.request()).expect("nothing is under way");
        }
        match node.run(&mut client.session) {
            Progress::Yield | Progress::Wait(_) => unreachable!("the kit goes on by itself"),
            Progress::Order(op) => {
                self.log.push(op);
                client.waits_for = Some(self.log.len() as u64);
            }
            Progress::Reply { reply: Err(error), .. } => {
                assert!(error.retry(), "only a lost race may end it: {error}");
                client.over = true;
            }
            Progress::Reply { reply: Ok(reply), depends_on, .. } => {
                assert!(depends_on <= node.store.applied(), "nothing rests on the future");
                client.snapshot = client.session.snapshot().or(client.snapshot);
                if client.at > 0 && client.at <= client.plan.reads.len() {
                    client.seen.push(pairs_of(&reply.results[0]));
                }
                client.at += 1;
                if !reply.in_transaction {
                    client.over = true;
                    client.committed = reply.seqno.map(|seqno| seqno.0);
                }
            }
        }
    }

    fn deliver(&mut self, node: usize) {
        let Some(op) = self.log.get(self.applied[node] as usize) else { return };
        self.applied[node] += 1;
        let verdict = self.nodes[node].apply(self.applied[node], op);
        self.verdicts[node].push(verdict);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn transactions_are_as_isolated_as_their_level_says(
        plans in proptest::collection::vec(plan(), 2..7),
        schedule in proptest::collection::vec((any::<bool>(), 0..60_usize), 0..120),
    ) {
        plant();
        let mut nodes: Vec<Node> = (1..=3).map(|n| Node::new(n, Settings::default())).collect();
        let log = vec![Op::Create(pairs("t")).encode()];
        let mut setup = Session::new(slot(1));
        let verdicts = nodes.iter_mut().map(|node| vec![node.apply(1, &log[0])]).collect();
        let mut world = World { nodes, log, applied: [1; 3], verdicts, clients: Vec::new() };
        setup.start(Request::Run(vec![put("t", 0, 1), put("t", 2, 1)])).expect("nothing is under way");
        match world.nodes[0].run(&mut setup) {
            Progress::Order(op) => world.log.push(op),
            other => panic!("an operation was expected, not {other:?}"),
        }
        (0..3).for_each(|node| world.deliver(node));
        world.clients = plans.into_iter().map(|plan| Client {
            session: Session::new(slot(plan.node)),
            plan,
            at: 0,
            seen: Vec::new(),
            waits_for: None,
            committed: None,
            snapshot: None,
            over: false,
        }).collect();
        let count = world.clients.len();
        for (deliver, which) in schedule {
            if deliver { world.deliver(which % 3) } else { world.advance(which % count) }
        }
        // To the end.
        while world.clients.iter().any(|client| !client.over) {
            (0..3).for_each(|node| world.deliver(node));
            (0..count).for_each(|client| world.advance(client));
        }
        while world.applied.iter().any(|n| *n < world.log.len() as u64) {
            (0..3).for_each(|node| world.deliver(node));
        }
        prop_assert_eq!(world.nodes[0].store.chain(), world.nodes[1].store.chain());
        prop_assert_eq!(world.nodes[0].store.chain(), world.nodes[2].store.chain());

        // All states that there were, by position.
        let mut state = BTreeMap::from([(0, 1), (2, 1)]);
        let mut states = vec![BTreeMap::new(), BTreeMap::new(), state.clone()];
        let mut wrote: Vec<Vec<i64>> = vec![vec![]; 3];
        for n in 3..=world.log.len() as u64 {
            if let Some(client) = world.clients.iter().find(|client| client.committed == Some(n)) {
                let certified = client.plan.isolation == Isolation::Serializable || client.plan.lock;
                for (read, seen) in client.plan.reads.iter().zip(&client.seen) {
                    if certified {
                        prop_assert_eq!(seen, &look(read, &state), "serially, at {}", n);
                    }
                }
                // What it wrote is decided in its snapshot: a row that was not there is not deleted.
                let since = client.snapshot.expect("it read or wrote").0 as usize;
                let mut after = states[since].clone();
                write(&client.plan, &client.seen, &mut after);
                let changed: Vec<i64> = (0..KEYS).filter(|id| states[since].get(id) != after.get(id)).collect();
                for others in &wrote[since + 1..] {
                    prop_assert!(!changed.iter().any(|id| others.contains(id)), "lost since {} at {}", since, n);
                }
                let mut serially = state.clone();
                write(&client.plan, &client.seen, &mut serially);
                for id in &changed {
                    match after.get(id) {
                        Some(v) => drop(state.insert(*id, *v)),
                        None => drop(state.remove(id)),
                    }
                }
                if client.plan.isolation == Isolation::Serializable {
                    prop_assert_eq!(&state, &serially, "serially, at {}", n);
                }
                wrote.push(changed);
            } else {
                wrote.push(vec![]);
            }
            states.push(state.clone());
        }
        // At every level, reads are those of the snapshot.
        for client in &world.clients {
            let Some(at) = client.snapshot else { continue };
            for (read, seen) in client.plan.reads.iter().zip(&client.seen) {
                prop_assert_eq!(seen, &look(read, &states[at.0 as usize]));
            }
        }
        let mut session = Session::new(slot(1));
        session.start(Request::Run(vec![scan("t")])).expect("nothing is under way");
        match world.nodes[0].run(&mut session) {
            Progress::Reply { reply: Ok(reply), .. } => {
                prop_assert_eq!(pairs_of(&reply.results[0]), state.into_iter().collect::<Vec<_>>());
            }
            other => panic!("rows were expected, not {other:?}"),
        }
    }
}
