//! One run: three nodes, the clients, and the faults that the seed draws.

use crate::clients::{self, CLIENTS, NODES, PORT, SQL_PORT, Shared};
use crate::disk::{self, Medium};
use crate::libc_instead;
use crate::net::Simulated;
use crate::trace::Trace;
use plait_base::{ClusterId, Draws, Incarnation, Slot, disk::File, draw};
use plait_host::clock;
use plait_host::config::Config;
use plait_host::disk::Report;
use plait_host::exit::Exit;
use plait_host::node::{self, World};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use turmoil::Sim;

const CLUSTER: ClusterId = ClusterId(*b"plait-tier-b-sim");
/// A run that is not judged by then hangs.
const SIMULATED_MAX: Duration = Duration::from_secs(180);
const WALL_US: i64 = 1_700_000_000_000_000;
/// Fewer answers with yes say nothing about what was promised.
const YES_MIN: usize = 60;

/// What came of a run.
pub struct Verdict {
    seed: u64,
    hash: String,
    steps: u64,
    bytes: u64,
    yes: usize,
    no: usize,
    unknown: usize,
    reads: u64,
    faults: Vec<String>,
    simulated_ms: u64,
    violations: Vec<String>,
}

impl Verdict {
    fn word(&self) -> &'static str {
        let answers = self.yes + self.no + self.unknown;
        if !self.violations.is_empty() {
            "invalid"
        } else if self.yes < YES_MIN || self.unknown * 10 > answers * 4 {
            "unknown"
        } else {
            "valid"
        }
    }

    pub fn exit_code(&self) -> i32 {
        match self.word() {
            "valid" => 0,
            "invalid" => 1,
            _ => 3,
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "schema": "plait.tier-b/1", "seed": self.seed, "verdict": self.word(), "hash": self.hash,
            "steps": self.steps, "bytes": self.bytes, "yes": self.yes, "no": self.no, "unknown": self.unknown,
            "reads": self.reads, "faults": self.faults, "simulated_ms": self.simulated_ms,
            "violations": self.violations,
        })
    }
}

fn config(slot: Slot) -> Config {
    let mut config = Config { cluster: CLUSTER, slot, ..Config::default() };
    config.listen.grpc = format!("0.0.0.0:{PORT}");
    config.listen.sql = format!("0.0.0.0:{SQL_PORT}");
    config.peers = NODES.map(|name| format!("{name}:{PORT}"));
    // Small, so that checkpoints and cuts of the log happen within a run.
    config.limits.checkpoint_log_bytes = 128 << 10;
    config.limits.segment_bytes = 64 << 10;
    config
}

/// Makes one node a host of the simulation; it is started anew from its medium after a crash.
fn add_node(
    sim: &mut Sim,
    slot: Slot,
    seed: u64,
    medium: Medium,
    trace: Trace,
    broken: Arc<Mutex<Vec<String>>>,
) {
    let starts = Arc::new(AtomicU64::new(0));
    sim.host(NODES[slot.at()], move || {
        let (medium, trace, broken, starts) = (medium.clone(), trace.clone(), broken.clone(), starts.clone());
        async move {
            let who = NODES[slot.at()];
            let start = starts.fetch_add(1, SeqCst) + 1;
            let (report, done) = Report::new();
            let draws = Draws::new(seed, "disk", slot.at() as u64 * 1000 + start);
            let (files, checkpoints) = disk::open(who, &medium, report, &trace, draws)?;
            let world = World {
                net: Simulated { who: who.to_owned(), trace },
                clock: Box::new(clock::Simulated::starting_at(WALL_US)),
                files: Box::new(files),
                checkpoints: Box::new(checkpoints),
                done,
                lines: None,
                nonce: draw::draw(seed, draw::stream("nonce"), slot.at() as u64, start),
            };
            let config = config(slot);
            let (doors, queued) = node::doors(&config);
            let exit = node::run(config, world, doors, queued).await;
            if exit != Exit::Done {
                broken.lock().expect("nothing panics with it locked").push(format!("{who} ended: {exit}"));
            }
            Ok(())
        }
    });
}

/// A fault, from when to when in simulated milliseconds.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// One node from both others.
    Partition(usize),
    /// What one node sends to another is lost; the way back works.
    OneWay(usize, usize),
    /// Nothing is lost on this link, and nothing arrives.
    Hold(usize, usize),
    /// The power goes, and what was not synced with it.
    Power(usize),
    /// The power of all three goes.
    Site,
    /// The process dies and the kernel lives.
    Kill(usize),
}

struct Planned {
    fault: Fault,
    from_ms: u64,
    to_ms: u64,
}

fn plan(seed: u64) -> Vec<Planned> {
    let mut draws = Draws::new(seed, "faults", 0);
    let mut at_ms = draws.between(1500, 2500);
    let count = draws.between(3, 5);
    (0..count)
        .map(|_| {
            let node = draws.below(3) as usize;
            let other = (node + 1 + draws.below(2) as usize) % 3;
            let fault = match draws.below(6) {
                0 => Fault::Partition(node),
                1 => Fault::OneWay(node, other),
                2 => Fault::Hold(node, other),
                3 => Fault::Power(node),
                4 => Fault::Site,
                _ => Fault::Kill(node),
            };
            let from_ms = at_ms;
            let to_ms = from_ms + draws.between(300, 2000);
            at_ms = to_ms + draws.between(200, 1500);
            Planned { fault, from_ms, to_ms }
        })
        .collect()
}

fn begin(sim: &mut Sim, fault: Fault, media: &[Medium; 3], draws: &mut Draws) {
    let others = |node: usize| (0..3).filter(move |other| *other != node);
    match fault {
        Fault::Partition(node) => others(node).for_each(|other| sim.partition(NODES[node], NODES[other])),
        Fault::OneWay(node, other) => sim.partition_oneway(NODES[node], NODES[other]),
        Fault::Hold(node, other) => sim.hold(NODES[node], NODES[other]),
        Fault::Power(node) => {
            sim.crash(NODES[node]);
            media[node].disk().power_loss(draws, true);
            media[node].kv().crash();
        }
        Fault::Site => (0..3).for_each(|node| begin(sim, Fault::Power(node), media, draws)),
        Fault::Kill(node) => {
            sim.crash(NODES[node]);
            media[node].disk().killed(draws);
            media[node].kv().crash();
        }
    }
}

fn end(sim: &mut Sim, fault: Fault) {
    let others = |node: usize| (0..3).filter(move |other| *other != node);
    match fault {
        Fault::Partition(node) => others(node).for_each(|other| sim.repair(NODES[node], NODES[other])),
        Fault::OneWay(node, other) => sim.repair_oneway(NODES[node], NODES[other]),
        Fault::Hold(node, other) => sim.release(NODES[node], NODES[other]),
        Fault::Power(node) | Fault::Kill(node) => sim.bounce(NODES[node]),
        Fault::Site => NODES.iter().for_each(|node| sim.bounce(*node)),
    }
}

pub fn run(seed: u64, log: bool, lying_disks: bool) -> Verdict {
    libc_instead::begin(seed);
    if log {
        let stderr = tracing_subscriber::fmt().with_writer(std::io::stderr).without_time();
        stderr.with_env_filter("info,turmoil=info").init();
    }
    let trace = Trace::default();
    let shared = Shared::default();
    let broken: Arc<Mutex<Vec<String>>> = Arc::default();
    let media: [Medium; 3] = Default::default();
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(SIMULATED_MAX)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_micros(100))
        .max_message_latency(Duration::from_millis(2))
        .tcp_capacity(4096)
        .build();
    for slot in Slot::ALL {
        let medium = &media[slot.at()];
        medium.disk().lies = lying_disks;
        medium.disk().place(File::Identity, &plait_replica::identity(CLUSTER, slot, Incarnation(1)));
        add_node(&mut sim, slot, seed, medium.clone(), trace.clone(), broken.clone());
    }
    sim.client("setup", clients::set_up(shared.clone(), trace.clone()));
    for number in 0..CLIENTS {
        sim.client(format!("c{number}"), clients::move_money(seed, number, shared.clone(), trace.clone()));
    }
    sim.client("judge", clients::judge(shared.clone(), trace.clone()));

    let plan = plan(seed);
    let mut draws = Draws::new(seed, "crash", 0);
    let mut violations = Vec::new();
    let (mut begun, mut ended) = (0, 0);
    loop {
        let now_ms = sim.elapsed().as_millis() as u64;
        if begun < plan.len() && now_ms >= plan[begun].from_ms {
            trace.add_at(sim.elapsed(), "world", "begins", format!("{:?}", plan[begun].fault).as_bytes());
            begin(&mut sim, plan[begun].fault, &media, &mut draws);
            begun += 1;
        }
        if ended < begun && now_ms >= plan[ended].to_ms {
            trace.add_at(sim.elapsed(), "world", "ends", format!("{:?}", plan[ended].fault).as_bytes());
            end(&mut sim, plan[ended].fault);
            ended += 1;
            shared.book().faults_over = ended == plan.len();
        }
        match sim.step() {
            Ok(false) => {}
            Ok(true) => break,
            Err(error) => {
                violations.push(format!("the simulation ended: {error}"));
                break;
            }
        }
    }
    for (name, medium) in NODES.iter().zip(&media) {
        trace.add_at(sim.elapsed(), name, "disk", &medium.disk().digest().0);
        trace.add_at(sim.elapsed(), name, "kv", &medium.kv().digest().0);
    }
    let book = shared.book();
    violations.extend(broken.lock().expect("nothing panics with it locked").drain(..));
    violations.extend(book.violations.iter().cloned());
    let (steps, bytes) = trace.size();
    Verdict {
        seed,
        hash: trace.hash(),
        steps,
        bytes,
        yes: book.yes.len(),
        no: book.no.len(),
        unknown: book.unknown.len(),
        reads: book.reads,
        faults: plan
            .iter()
            .map(|planned| format!("{:?} {}..{} ms", planned.fault, planned.from_ms, planned.to_ms))
            .collect(),
        simulated_ms: sim.elapsed().as_millis() as u64,
        violations,
    }
}
