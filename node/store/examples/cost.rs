//! What the kernel costs: CPU of a point read through a session, and of applying a one-row update.
//!
//! Not a benchmark of the system; one thread, no log, no network. `cargo run --release --example cost`.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use plait_base::{BootEpoch, Bytes, Now, ProposalId, Seqno, Slot};
use plait_store::*;
use std::time::{Duration, Instant};

const ROWS: i64 = 100_000;
const ROUNDS: i64 = 300_000;

/// CPU time of this process where the system tells it, so that a busy machine changes little; else time on the wall.
fn cpu(start: Instant) -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .map_or_else(|| start.elapsed(), Duration::from_nanos)
}

fn apply(store: &mut Store, slot: Slot, n: u64, op: &Bytes) -> Verdict {
    let id = ProposalId { slot, epoch: BootEpoch(1), counter: n };
    let verdict = store.apply(Seqno(n), id, op, &mut 1_000_000).expect("there is enough budget");
    store.publish();
    let applied = store.applied();
    store.collect(applied, &mut 1024);
    verdict
}

fn main() {
    let start = Instant::now();
    let per = |what: &str, n: i64, began: Duration| {
        println!("{what}: {:.2} µs", (cpu(start) - began).as_secs_f64() * 1e6 / n as f64);
    };
    let slot = Slot::new(1).expect("1 is a slot");
    let (mut store, mut local) = (Store::new(Settings::default(), 7), Local::new(slot));
    let mut session = Session::new(slot);
    let ctx = Context::alone(Now::default());
    let int = |name: &str| Column {
        name: name.into(),
        kind: ColumnType::Int { bits: 64 },
        nullable: false,
        ..Column::default()
    };
    let text = Column {
        name: "pad".into(),
        kind: ColumnType::Text { chars_max: 120 },
        nullable: false,
        ..Column::default()
    };
    let table = TableDef {
        name: "t".into(),
        columns: vec![int("id"), int("k"), text],
        primary: vec![0],
        ..TableDef::default()
    };
    let mut log: Vec<Bytes> = Vec::new();
    let mut ask = |request: Request| {
        session.start(request).expect("nothing is under way");
        loop {
            match session.run(&store, &mut local, &ctx, &mut 1_000_000) {
                Progress::Yield | Progress::Wait(_) => {}
                Progress::Order(op) => {
                    log.push(op);
                    let n = log.len();
                    session.resume(Ok(apply(&mut store, slot, n as u64, &log[n - 1])));
                }
                Progress::Reply { reply, .. } => return reply.expect("nobody is in its way"),
            }
        }
    };
    ask(Request::CreateTable(table.into()));
    let pad = "x".repeat(100);
    for from in (0..ROWS).step_by(1000) {
        let row = |id: i64| vec![id.into(), id.into(), pad.as_str().into()];
        let steps = (from..from + 1000).map(|id| Step::Insert { table: "t".into(), row: row(id) }).collect();
        ask(Request::Run(steps));
    }
    let loaded = (1 + ROWS / 1000) as usize;

    let place = |round: i64| round.wrapping_mul(7_919).rem_euclid(ROWS);
    let began = cpu(start);
    for round in 0..ROUNDS {
        let step = Step::Get { table: "t".into(), key: vec![place(round).into()], lock: false };
        assert_eq!(ask(Request::Run(vec![step])).results.len(), 1);
    }
    per("point read, session and all", ROUNDS, began);

    let began = cpu(start);
    for round in 0..ROUNDS {
        let set = vec![("k".to_owned(), Change::Add(1))];
        let step = Step::Update { table: "t".into(), key: vec![place(round).into()], set };
        ask(Request::Run(vec![step]));
    }
    per("one-row update, session, apply and collect", ROUNDS, began);

    let mut twin = Store::new(Settings::default(), 7);
    let mut began = cpu(start);
    for (at, op) in log.iter().enumerate() {
        if at == loaded {
            per("apply of an inserted row, a thousand an operation", ROWS, began);
            began = cpu(start);
        }
        apply(&mut twin, slot, at as u64 + 1, op);
    }
    per("apply and collect of a one-row update", ROUNDS, began);
    assert_eq!(twin.chain(), store.chain(), "two stores that apply one log are equal");
}
