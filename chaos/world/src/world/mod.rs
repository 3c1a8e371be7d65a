//! The simulated world: three nodes and everything between and under them, as one value.
//!
//! Intuition: a puppet theatre with one hand. The same nodes that run as processes stand on the stage; network,
//! disks, clocks and clients are the hand's. It moves one thing at a time, in the order of true time, and it never
//! improvises: what it does next follows from the plan alone.
//! Invariant: a run is a function of its plan: no clock, no thread, no entropy, no map whose order is random.
//! Not here: what must hold (`invariant`), what clients want (`workload`).

mod clients;
pub mod clock;
pub mod diagram;
pub mod disk;
mod faults;
mod host;
pub mod kv;
pub mod net;
mod output;
mod peers;
pub mod points;
mod process;
pub mod queue;
pub mod story;
pub mod trace;

use crate::invariant::{Judge, Look};
use crate::marks::{Mark, Marks};
use crate::plan::{OpPlan, Plan, Point};
use crate::workload::{self, Load};
use crate::zoo::WorldBug;
use clients::{Ask, Clerk, Client};
use clock::Clock;
use faults::Rolling;
use host::Host;
use net::{Frame, Net};
use plait_base::{BootEpoch, ClusterId, Draws, Now, Slot, draw, kv as base_kv};
use plait_replica::{Input, Limits, Output};
use queue::Queue;
use story::{Level, Story};
use trace::Trace;

/// What can happen at an instant of true time.
enum Happening {
    Frame(Box<Frame>),
    Connect { a: Slot, b: Slot },
    PeerDown { at: Slot, at_life: u32, peer: Slot, peer_life: u32 },
    PeerDead { at: Slot, peer: Slot, epoch: BootEpoch },
    Flush { slot: Slot, life: u32 },
    Timer { slot: Slot, life: u32 },
    Synced { slot: Slot, life: u32 },
    Checkpoint { slot: Slot, life: u32, op: Box<base_kv::Op> },
    Start { slot: Slot },
    Ask(Box<Ask>),
    Wake { client: usize },
    Clerk,
    FaultOn(usize),
    FaultOff(usize),
    Relapse(usize),
    Look,
    SpanEnds,
}

/// What is counted in a run.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Counts {
    pub events: u64,
    pub yes: u64,
    pub no: u64,
    pub unknown: u64,
    pub reads: u64,
    /// Writing transactions that began and ended in calm, and how many of them ended *yes*.
    pub calm: u64,
    pub calm_yes: u64,
    pub frames: u64,
    pub frames_lost: u64,
    pub syncs: u64,
    pub deaths: u64,
    pub ops_lost: u64,
    pub ops_torn: u64,
    pub checkpoints: u64,
    pub snapshots: u64,
    pub terms: u64,
    pub reseeds: u64,
    pub torn_tails: u64,
    pub duplicates_answered: u64,
    pub chains_compared: u64,
    pub acks_checked: u64,
    pub leases_seen: u64,
    pub healed_after_ms: u64,
    /// Requests to a sound pair of nodes, and the longest wait among them.
    pub waits_judged: u64,
    pub longest_wait_ms: u64,
}

/// Options of a run that change nothing in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub hash: bool,
    pub story: Option<Level>,
    /// What a picture needs is kept.
    pub diagram: bool,
    pub bug: Option<WorldBug>,
    /// Note each transaction as a plan would list it.
    pub list_ops: bool,
}

pub struct World {
    pub(crate) plan: Plan,
    pub(crate) limits: Limits,
    bug: Option<WorldBug>,
    now_ns: u64,
    queue: Queue<Happening>,
    hosts: [Host; 3],
    cluster: ClusterId,
    net: Net,
    /// Lives that a connection joins, by pair (1·2, 1·3, 2·3).
    connections: [Option<(u32, u32)>; 3],
    connecting: [bool; 3],
    pub(crate) judge: Judge,
    loads: Vec<Box<dyn Load>>,
    clients: Vec<Client>,
    clerk: Clerk,
    tickets: u64,
    sessions: u64,
    /// Highest seqno that a life of a node was seen to apply, in the order of its outputs.
    ordered: [u64; 3],
    /// Whether each fault of the plan had an effect.
    effect: Vec<bool>,
    /// The fault that takes the site's power, and at which point.
    site_off: Option<(usize, Point)>,
    active: Vec<bool>,
    /// How far each rolling restart has come: the fault, whose turn it is, since when, and whether all came back.
    rolling: Vec<Rolling>,
    /// How often a fault struck at each named point.
    pub(crate) at_point: [u32; Point::ALL.len()],
    calm: Vec<(u64, u64)>,
    ending: bool,
    finished: bool,
    ended_ns: u64,
    pub(crate) counts: Counts,
    pub(crate) marks: Marks,
    pub(crate) trace: Option<Trace>,
    pub(crate) story: Option<Story>,
    pub(crate) diagram: Option<diagram::Diagram>,
    /// The transactions that were begun, if they are to be listed.
    pub(crate) made: Option<Vec<OpPlan>>,
    out: Vec<Output>,
}

/// Interval of the looks at all nodes.
const LOOK_NS: u64 = 40_000_000;
/// After a fault the world counts as calm again only when so much time has passed.
const CALM_AFTER_NS: u64 = 2_000_000_000;
/// Events of one run; a run that needs more is caught in a circle.
const EVENTS_MAX: u64 = 20_000_000;

pub(crate) const MS: u64 = 1_000_000;

fn pair(a: Slot, b: Slot) -> usize {
    a.at() + b.at() - 1
}

impl World {
    pub fn new(plan: Plan, options: Options) -> World {
        let seed = plan.seed;
        let hosts = Slot::ALL.map(|slot| {
            let clock = &plan.clocks[slot.at()];
            Host::new(Clock::new(clock.mono_ms * MS, clock.rate_ppm, 1_700_000_000_000_000 + clock.wall_us))
        });
        let mut cluster = [0; 16];
        for (i, half) in cluster.chunks_mut(8).enumerate() {
            half.copy_from_slice(&draw::draw(seed, draw::stream("cluster"), 0, i as u64).to_le_bytes());
        }
        let loads: Vec<Box<dyn Load>> = plan.loads.iter().map(workload::load).collect();
        let clients = clients::all(&plan);
        let calm = calm_spans(&plan);
        World {
            limits: plan.limits.limits(),
            bug: options.bug,
            now_ns: 0,
            queue: Queue::new(),
            hosts,
            cluster: ClusterId(cluster),
            net: Net::new(seed, plan.net.clone()),
            connections: [None; 3],
            connecting: [false; 3],
            judge: Judge::default(),
            loads,
            clients,
            clerk: Clerk::new(),
            tickets: 0,
            sessions: 0,
            ordered: [0; 3],
            effect: vec![false; plan.faults.len()],
            site_off: None,
            active: vec![false; plan.faults.len()],
            rolling: Vec::new(),
            at_point: [0; Point::ALL.len()],
            calm,
            ending: false,
            finished: false,
            ended_ns: 0,
            counts: Counts::default(),
            marks: Marks::default(),
            trace: options.hash.then(Trace::new),
            story: options.story.map(Story::new),
            diagram: options.diagram.then(diagram::Diagram::default),
            made: options.list_ops.then(Vec::new),
            out: Vec::new(),
            plan,
        }
    }

    /// Runs to the end: all is over, a promise was broken, or healing took too long.
    pub fn run(&mut self) {
        self.genesis();
        for (i, fault) in self.plan.faults.iter().enumerate() {
            self.queue.push(fault.at_ms * MS, Happening::FaultOn(i));
            self.queue.push(fault.until_ms * MS, Happening::FaultOff(i));
        }
        self.queue.push(self.plan.span_ms * MS, Happening::SpanEnds);
        self.queue.push(300 * MS, Happening::Clerk);
        self.queue.push(LOOK_NS, Happening::Look);
        while !self.finished && self.judge.violations.is_empty() {
            let (at_ns, happening) = self.queue.pop().expect("a look is always queued");
            self.now_ns = at_ns;
            self.judge.now_ns = at_ns;
            self.counts.events += 1;
            if self.counts.events > EVENTS_MAX {
                self.judge.broken(
                    "live",
                    format!("{EVENTS_MAX} events in {:.3} s: the run turns in a circle", at_ns as f64 / 1e9),
                );
            }
            self.happen(happening);
        }
        let (done, not_done) = self.judge.ledger.unknown_fates();
        if done {
            self.marks.set(Mark::UnknownWasDone);
        }
        if not_done {
            self.marks.set(Mark::UnknownWasNot);
        }
        self.counts.terms = self.judge.leaders.terms() as u64;
        self.counts.chains_compared = self.judge.chains.compared;
        self.counts.acks_checked = self.judge.acks.checked;
        self.counts.leases_seen = self.judge.leases.usable;
        self.counts.waits_judged = self.judge.stalls.judged;
        self.counts.longest_wait_ms = self.judge.stalls.longest_ns / MS;
        if let Some(trace) = &mut self.trace {
            for host in &self.hosts {
                trace.end(&[&host.disk.digest().0, &host.kv.digest().0]);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Frame(frame) => self.arrive(*frame),
            Happening::Connect { a, b } => self.connect(a, b),
            Happening::PeerDown { at, at_life, peer, peer_life } => {
                self.peer_down(at, at_life, peer, peer_life)
            }
            Happening::PeerDead { at, peer, epoch } => {
                if self.hosts[peer.at()].runs() && self.hosts[at.at()].runs() {
                    self.marks.set(Mark::ProofCameLate);
                }
                self.input(at, Input::Dead { peer, epoch });
            }
            Happening::Flush { slot, life } => self.flush(slot, life),
            Happening::Timer { slot, life } => self.timer(slot, life),
            Happening::Synced { slot, life } => self.synced(slot, life),
            Happening::Checkpoint { slot, life, op } => self.checkpointed(slot, life, *op),
            Happening::Start { slot } => self.start(slot),
            Happening::Ask(ask) => self.ask(*ask),
            Happening::Wake { client } => self.wake(client),
            Happening::Clerk => self.clerk_acts(),
            Happening::FaultOn(fault) => self.fault_on(fault),
            Happening::FaultOff(fault) => self.fault_off(fault),
            Happening::Relapse(fault) => self.relapse(fault),
            Happening::Look => self.look(),
            Happening::SpanEnds => self.span_ends(),
        }
    }

    fn host(&mut self, slot: Slot) -> &mut Host {
        &mut self.hosts[slot.at()]
    }

    fn after(&mut self, ns: u64, happening: Happening) {
        self.queue.push(self.now_ns.saturating_add(ns), happening);
    }

    fn node_now(&self, slot: Slot) -> Now {
        self.hosts[slot.at()].clock.now(self.now_ns)
    }

    /// The draws of one thing that a host does: keyed by the host and by how many it has done.
    fn draws(&mut self, slot: Slot, stream: &str) -> Draws {
        let host = &mut self.hosts[slot.at()];
        host.counter += 1;
        Draws::new(self.plan.seed, stream, u64::from(slot.get()) << 32 | host.counter)
    }

    fn blame(&mut self, fault: usize) {
        self.effect[fault] = true;
    }

    /// Looks at a node now.
    fn look_at(&self, slot: Slot) -> Option<Look> {
        let host = &self.hosts[slot.at()];
        let machine = host.machine.as_ref()?;
        let now = host.clock.now(self.now_ns);
        Some(Look { slot, life: host.life, mono: now.mono, status: machine.status(now) })
    }

    fn look(&mut self) {
        self.after(LOOK_NS, Happening::Look);
        let looks = Slot::ALL.map(|slot| self.look_at(slot));
        self.judge.look(&looks);
        let leads = |look: &&Look| look.status.leader == Some(look.slot);
        if looks.iter().flatten().filter(leads).count() > 1 {
            self.marks.set(Mark::TwoLeaders);
        }
        for look in looks.iter().flatten() {
            let member = look.status.member;
            let whole = look.status.state == plait_replica::State::Synced
                && member.is_some_and(|m| look.status.voters.contains(&m));
            let host = &mut self.hosts[look.slot.at()];
            if whole && (host.destroyed || !host.caught_up) {
                host.destroyed = false;
                host.caught_up = true;
                let back = [
                    (std::mem::take(&mut host.log_damaged), Mark::DamageReplaced),
                    (std::mem::take(&mut host.wiped), Mark::WipedRejoined),
                ];
                back.into_iter().filter(|(was, _)| *was).for_each(|(_, mark)| self.marks.set(mark));
                self.judge.stalls.changed(look.slot, true, self.now_ns);
            }
        }
        for slot in Slot::ALL {
            if let Some(file) = self.host(slot).disk.astray.take() {
                self.judge.broken("panic", format!("{slot} writes to {file}, which is not on its disk"));
            }
        }
        self.sweep_clients();
        if self.ending {
            self.settle(&looks);
        }
    }

    /// The histories that were written down.
    pub fn histories(&self) -> Vec<workload::recorded::Recorded> {
        self.loads.iter().filter_map(|load| load.history()).collect()
    }

    /// Whether each fault had an effect.
    pub fn effects(&self) -> &[bool] {
        &self.effect
    }

    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn tells(&self, level: Level) -> bool {
        self.story.as_ref().is_some_and(|s| s.level >= level)
    }

    fn tell(&mut self, who: impl Into<String>, what: String, fault: Option<u32>) {
        let now_ns = self.now_ns;
        if let Some(story) = &mut self.story {
            story.tell(now_ns, who, what, fault);
        }
    }

    fn is_calm(&self, from_ns: u64, to_ns: u64) -> bool {
        self.calm.iter().any(|(a, b)| *a <= from_ns && to_ns <= *b)
    }
}

/// Spans of a plan in which no fault is in force and none has been for a while.
fn calm_spans(plan: &Plan) -> Vec<(u64, u64)> {
    let mut faults: Vec<(u64, u64)> =
        plan.faults.iter().map(|f| (f.at_ms * MS, f.until_ms * MS + CALM_AFTER_NS)).collect();
    faults.sort_unstable();
    let mut calm = Vec::new();
    let mut from = 0;
    for (begin, end) in faults {
        if begin > from {
            calm.push((from, begin));
        }
        from = from.max(end);
    }
    calm.push((from, u64::MAX));
    calm
}

#[cfg(test)]
mod tests;
