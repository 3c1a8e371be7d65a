//! The open loop: transactions are due at a fixed rate, whatever became of the ones before.
//!
//! A closed loop waits for a slow answer and so asks less the worse things are; then an outage looks like a few slow
//! requests. Here what could not be begun in time is counted as such. Invariant: what was answered *yes*, refused, not
//! begun in time or left unknown adds up to what was due.

use crate::conn::Connection;
use crate::record::Record;
use crate::target::Target;
use plait_base::Draws;
use plait_load::{End, Next, Outcome, Run, Txn, Workload};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A transaction that could not begin so long after it was due is not begun any more.
const START_MAX: Duration = Duration::from_secs(1);
/// Transactions that wait for one client, at most.
const QUEUE_MAX: usize = 32;
/// Between two tries to connect.
const RECONNECT_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many were due.
    pub scheduled: u64,
    pub ok: u64,
    /// Begun, and nothing of it was done.
    pub refused: u64,
    /// Not begun in time.
    pub late: u64,
    pub unknown: u64,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.ok += other.ok;
        self.refused += other.refused;
        self.late += other.late;
        self.unknown += other.unknown;
    }

    pub fn adds_up(&self) -> bool {
        self.ok + self.refused + self.late + self.unknown == self.scheduled
    }
}

/// What all clients share.
pub struct Floor {
    pub target: Target,
    pub record: Record,
    /// How long one statement, or one login, is waited for.
    pub deadline: Duration,
}

pub struct Pace {
    /// Transactions a second, of all clients together.
    pub rate: f64,
    pub clients: usize,
    pub span: Duration,
    pub seed: u64,
}

struct Job {
    due: Instant,
    txn: Txn,
}

/// Runs the workload for its time, or until `stop` says so.
pub async fn drive(
    workload: &mut dyn Workload,
    floor: &Arc<Floor>,
    pace: &Pace,
    mut stop: watch::Receiver<bool>,
) -> Tally {
    let mut tasks = JoinSet::new();
    let clients: Vec<mpsc::Sender<Job>> = (0..pace.clients)
        .map(|client| {
            let (send, receive) = mpsc::channel(QUEUE_MAX);
            tasks.spawn(work(client, floor.clone(), receive));
            send
        })
        .collect();
    let mut tally = Tally::default();
    let began = Instant::now();
    let end = began + pace.span;
    for number in 0_u64.. {
        let due = began + Duration::from_secs_f64(number as f64 / pace.rate);
        if due >= end {
            break;
        }
        tokio::select! {
            biased;
            Ok(_) = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep_until(due) => {}
        }
        let txn = workload.next(&mut Draws::new(pace.seed, "load", number));
        tally.scheduled += 1;
        if clients[number as usize % clients.len()].try_send(Job { due, txn }).is_err() {
            tally.late += 1;
            floor.record.late("too many wait for that client");
        }
    }
    drop(clients);
    while let Some(done) = tasks.join_next().await {
        tally.add(done.expect("a client does not panic"));
    }
    assert!(tally.adds_up(), "each transaction that was due has one outcome: {tally:?}");
    tally
}

async fn work(client: usize, floor: Arc<Floor>, mut jobs: mpsc::Receiver<Job>) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    let node = client % floor.target.nodes.len();
    while let Some(job) = jobs.recv().await {
        let start_by = job.due + START_MAX;
        if Instant::now() > start_by {
            tally.late += 1;
            floor.record.late("its client was busy");
            continue;
        }
        let Some(open) = ready(&mut connection, &floor, node, start_by).await else {
            tally.late += 1;
            floor.record.late("no connection");
            continue;
        };
        let end = one(job.txn, client, node, open, &floor).await;
        match end.outcome {
            Outcome::Yes => tally.ok += 1,
            Outcome::No => tally.refused += 1,
            Outcome::Unknown => tally.unknown += 1,
        }
        if !end.reusable {
            connection = None;
        }
    }
    tally
}

/// The connection, made anew if there is none, by this time at the latest.
async fn ready<'a>(
    connection: &'a mut Option<Connection>,
    floor: &Floor,
    node: usize,
    start_by: Instant,
) -> Option<&'a mut Connection> {
    while connection.is_none() {
        let limit = floor.deadline.min(start_by.saturating_duration_since(Instant::now()));
        if limit.is_zero() {
            return None;
        }
        match Connection::open(&floor.target.nodes[node], &floor.target.login, limit).await {
            Ok(open) => *connection = Some(open),
            Err(_) => tokio::time::sleep(RECONNECT_EVERY).await,
        }
    }
    connection.as_mut()
}

/// One transaction, from its invocation to its completion.
pub async fn one(txn: Txn, client: usize, node: usize, connection: &mut Connection, floor: &Floor) -> End {
    let mut run = Run::new(txn);
    floor.record.invoke(client, &floor.target.nodes[node].name, run.txn());
    let end = take(&mut run, connection, floor.deadline).await;
    floor.record.complete(client, node, &end);
    end
}

/// The same without a record.
pub async fn take(run: &mut Run, connection: &mut Connection, deadline: Duration) -> End {
    let mut answer = None;
    loop {
        match run.next(&mut connection.session, answer.take()) {
            Next::Send(text) => answer = Some(connection.ask(&text, deadline).await),
            Next::End(end) => return end,
        }
    }
}
