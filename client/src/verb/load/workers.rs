//! The clients of a workload: each asks one node at a time, and leaves it for another while it does not serve.

use super::{ANSWER_MAX, History, Workload};
use crate::cli::LoadArgs;
use crate::client::Client;
use crate::error::Outcome;
use crate::fail::{Fail, Res};
use crate::say::Step;
use crate::script::Script;
use hdrhistogram::Histogram;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// A node that could not be asked is left alone for this long.
const AVOID: Duration = Duration::from_millis(100);
/// Between two whole reads on each node.
const READ_EVERY: Duration = Duration::from_millis(50);
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// Violations that are kept: one is enough, more help to see a pattern.
const VIOLATIONS_MAX: usize = 16;

/// What was answered.
pub(super) struct Tally {
    pub(super) yes: BTreeSet<i64>,
    pub(super) no: BTreeSet<i64>,
    pub(super) unknown: BTreeSet<i64>,
    /// Operations that no node could be asked to do.
    pub(super) not_asked: u64,
    pub(super) reads: u64,
    pub(super) reads_refused: u64,
    pub(super) violations: Vec<String>,
    pub(super) longest_pause: Duration,
    pub(super) span: Duration,
    latencies: Histogram<u64>,
    last_yes: Instant,
}

impl Tally {
    pub(super) fn new(now: Instant) -> Tally {
        Tally {
            yes: BTreeSet::new(),
            no: BTreeSet::new(),
            unknown: BTreeSet::new(),
            not_asked: 0,
            reads: 0,
            reads_refused: 0,
            violations: Vec::new(),
            longest_pause: Duration::ZERO,
            span: Duration::ZERO,
            latencies: Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are good"),
            last_yes: now,
        }
    }

    pub(super) fn latency(&self, percentile: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_percentile(percentile))
    }

    fn say_yes(&mut self, id: i64, began: Instant) {
        let now = Instant::now();
        self.yes.insert(id);
        self.longest_pause = self.longest_pause.max(now - self.last_yes);
        self.last_yes = now;
        self.latencies.saturating_record((now - began).as_micros() as u64);
    }
}

struct Shared<'a, W> {
    args: &'a LoadArgs,
    work: &'a W,
    clients: &'a [Client; 3],
    tally: RefCell<Tally>,
    history: RefCell<&'a mut History>,
    avoid: [Cell<Option<Instant>>; 3],
    next_id: Cell<i64>,
    began: Instant,
    over: Cell<bool>,
}

/// Drives the load for its time, or until Ctrl-C.
pub(super) async fn run<W: Workload>(
    step: &Step<'_>,
    args: &LoadArgs,
    work: &W,
    clients: &[Client; 3],
    history: &mut History,
) -> Res<Tally> {
    let began = Instant::now();
    let shared = Shared {
        args,
        work,
        clients,
        tally: RefCell::new(Tally::new(began)),
        history: RefCell::new(history),
        avoid: Default::default(),
        next_id: Cell::new(1),
        began,
        over: Cell::new(false),
    };
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
        .map_err(|e| Fail::unfit("can't listen for signals", e.to_string()))?;
    let clock = async {
        let mut shows = tokio::time::interval(SHOW_EVERY);
        let end = began + args.span;
        loop {
            tokio::select! {
                biased;
                _ = interrupt.recv() => break,
                () = tokio::time::sleep_until(end) => break,
                _ = shows.tick() => {
                    let tally = shared.tally.borrow();
                    let quiet = tally.last_yes.elapsed().as_secs_f64();
                    step.now(&format!("{} yes, {} no, {} unknown, last yes {quiet:.1} s ago", tally.yes.len(), tally.no.len(), tally.unknown.len()));
                }
            }
        }
        shared.over.set(true);
    };
    let workers = join((0..args.clients).map(|process| worker(&shared, process)).collect());
    let readers = join((0..3).map(|node| reader(&shared, node)).collect());
    tokio::join!(clock, workers, readers);
    let Shared { tally, .. } = shared;
    let mut tally = tally.into_inner();
    tally.span = began.elapsed().min(args.span.max(Duration::from_millis(1)));
    // A pause that the end of the run cut short is a pause all the same.
    let last = (began + tally.span).saturating_duration_since(tally.last_yes);
    tally.longest_pause = tally.longest_pause.max(last);
    Ok(tally)
}

/// Polls many futures of one kind on this one thread.
async fn join<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).map(Some).collect();
    std::future::poll_fn(|cx| {
        let mut open = false;
        for slot in &mut futures {
            if let Some(future) = slot {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(()) => *slot = None,
                    std::task::Poll::Pending => open = true,
                }
            }
        }
        if open { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
}

/// A draw for the `n`th operation of a process, other in each run.
fn draw(seed: u64, process: u32, n: u64) -> u64 {
    let mut z = seed ^ u64::from(process) << 48 ^ n;
    for _ in 0..2 {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
    }
    z
}

impl<W> Shared<'_, W> {
    /// The node to ask: the process's own unless it is avoided now.
    fn node(&self, process: u32) -> Option<usize> {
        let now = Instant::now();
        let free = |node: &usize| self.avoid[*node].get().is_none_or(|until| until <= now);
        (0..3).map(|step| (process as usize + step) % 3).find(free)
    }

    fn violation(&self, text: String) {
        let violations = &mut self.tally.borrow_mut().violations;
        if violations.len() < VIOLATIONS_MAX && !violations.contains(&text) {
            violations.push(text);
        }
    }
}

async fn worker<W: Workload>(shared: &Shared<'_, W>, process: u32) {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
    let every = shared
        .args
        .rate
        .map(|rate| Duration::from_secs_f64(f64::from(shared.args.clients) / f64::from(rate)));
    // Clients of an open loop begin spread over the first interval.
    let first = every
        .map_or(Duration::ZERO, |every| every.mul_f64(f64::from(process) / f64::from(shared.args.clients)));
    let mut due = shared.began + first;
    for n in 0.. {
        if every.is_some() {
            tokio::time::sleep_until(due).await;
            due += every.unwrap_or_default();
        }
        if shared.over.get() {
            return;
        }
        let Some(node) = shared.node(process) else {
            shared.tally.borrow_mut().not_asked += 1;
            tokio::time::sleep(AVOID / 4).await;
            continue;
        };
        let id = shared.next_id.get();
        shared.next_id.set(id + 1);
        let (script, value) = shared.work.operation(draw(seed, process, n), id);
        let name = shared.work.name();
        shared.history.borrow_mut().put(process, "invoke", name, &value);
        let began = Instant::now();
        let result = shared.clients[node].transact(&script).await;
        let mut tally = shared.tally.borrow_mut();
        let (kind, value) = match &result {
            Ok(done) => {
                tally.say_yes(id, began);
                ("ok", json!({ "id": id, "seqno": done.seqno, "node": node + 1 }))
            }
            Err(error) => {
                let kind = match error.outcome() {
                    Outcome::Unknown => {
                        tally.unknown.insert(id);
                        "info"
                    }
                    _ => {
                        tally.no.insert(id);
                        "fail"
                    }
                };
                if error.elsewhere() || error.outcome() == Outcome::Unknown {
                    shared.avoid[node].set(Some(Instant::now() + AVOID));
                }
                (kind, json!({ "id": id, "node": node + 1, "error": error.to_string() }))
            }
        };
        drop(tally);
        shared.history.borrow_mut().put(process, kind, name, &value);
    }
}

/// Reads the whole state of a node in one snapshot, again and again, and judges each.
async fn reader<W: Workload>(shared: &Shared<'_, W>, node: usize) {
    let script = Script::new().scan_all(shared.work.tables()[0], 1 << 20);
    let client = shared.clients[node].with(crate::client::Policy::once(ANSWER_MAX / 4));
    let process = 100_000 + node as u32;
    while !shared.over.get() {
        match client.transact(&script).await {
            Ok(done) => {
                shared.tally.borrow_mut().reads += 1;
                let rows = done.results.into_iter().next().unwrap_or_default();
                if let Err(why) = shared.work.judge(&rows) {
                    shared.history.borrow_mut().put(
                        process,
                        "ok",
                        "read",
                        &json!({ "node": node + 1, "violation": why }),
                    );
                    shared.violation(format!("a read on n{}: {why}", node + 1));
                }
            }
            Err(_) => shared.tally.borrow_mut().reads_refused += 1,
        }
        tokio::time::sleep(READ_EVERY).await;
    }
}
