//! What SQL text costs: CPU of a statement through a session, parsing and planning included.
//!
//! Not a benchmark of the system; one thread, no log, no network. `cargo run --release --example sql_cost`; with a text
//! behind it, only what has it in its name.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use plait_base::{BootEpoch, Now, ProposalId, Seqno, Slot};
use plait_store::*;
use std::time::{Duration, Instant};

const ROWS: i64 = 10_000;

/// CPU time of this process where the system tells it, so that a busy machine changes little; else time on the wall.
fn cpu(start: Instant) -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|ns| ns.parse().ok());
    ns.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

struct Node {
    store: Store,
    local: Local,
    session: Session,
    applied: u64,
}

impl Node {
    fn sql(&mut self, text: &str) -> Reply {
        self.ask(Request::Sql { text: text.into(), multi: false })
    }

    fn ask(&mut self, request: Request) -> Reply {
        self.session.start(request).expect("the session is idle");
        let ctx = Context::alone(Now::default());
        loop {
            match self.session.run(&self.store, &mut self.local, &ctx, &mut 1024) {
                Progress::Yield | Progress::Wait(_) => {}
                Progress::Order(op) => {
                    self.applied += 1;
                    let id = ProposalId { slot: Slot::ALL[0], epoch: BootEpoch(1), counter: self.applied };
                    let verdict = loop {
                        if let Some(verdict) = self.store.apply(Seqno(self.applied), id, &op, &mut 1024) {
                            break verdict;
                        }
                    };
                    self.store.publish();
                    self.store.collect(Seqno(self.applied), &mut 64);
                    self.session.resume(Ok(verdict));
                }
                Progress::Reply { reply, .. } => return reply.expect("the statement is a good one"),
            }
        }
    }
}

fn main() {
    let start = Instant::now();
    let slot = Slot::ALL[0];
    let mut node = Node {
        store: Store::new(Settings::default(), 7),
        local: Local::new(slot),
        session: Session::new(slot),
        applied: 0,
    };
    node.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)",
    );
    // As sysbench fills its tables: groups of digits that differ from row to row.
    let groups = |id: i64, count: i64| {
        let group = |n: i64| format!("{:011}", (id * 31 + n).wrapping_mul(2_654_435_761) % 99_999_999_977);
        (0..count).map(group).collect::<Vec<_>>().join("-")
    };
    for id in 0..ROWS {
        let (c, pad) = (groups(id, 10), groups(id, 5));
        node.sql(&format!("INSERT INTO t VALUES ({id}, {id}, '{c}', '{pad}')"));
    }
    let only = std::env::args().nth(1).unwrap_or_default();
    for (what, rounds, width, text) in [
        ("prepared: point select", 100_000, 0, "SELECT c FROM t WHERE id=?"),
        ("prepared: range of 100", 10_000, 99, "SELECT c FROM t WHERE id BETWEEN ? AND ?"),
        ("prepared: range of 100, sum", 10_000, 99, "SELECT SUM(k) FROM t WHERE id BETWEEN ? AND ?"),
        ("prepared: range of 100, sorted", 10_000, 99, "SELECT c FROM t WHERE id BETWEEN ? AND ? ORDER BY c"),
        (
            "prepared: range of 100, distinct",
            10_000,
            99,
            "SELECT DISTINCT c FROM t WHERE id BETWEEN ? AND ? ORDER BY c",
        ),
    ] {
        if !what.contains(&only) {
            continue;
        }
        let made = node.ask(Request::Prepare(text.into())).prepared.expect("it is a statement on a table");
        let began = cpu(start);
        for n in 0..rounds {
            let from = n * 7919 % (ROWS - width);
            let mut params = vec![Param::Int(from), Param::Int(from + width)];
            params.truncate(made.params.into());
            node.ask(Request::Execute { number: made.number, params });
        }
        println!("{what}: {:.1} µs", (cpu(start) - began).as_secs_f64() * 1e6 / rounds as f64);
    }
    let mut per = |what: &str, rounds: i64, text: &dyn Fn(i64) -> String| {
        if !what.contains(&only) {
            return;
        }
        let began = cpu(start);
        for n in 0..rounds {
            node.sql(&text(n * 7919 % ROWS));
        }
        println!("{what}: {:.1} µs", (cpu(start) - began).as_secs_f64() * 1e6 / rounds as f64);
    };
    per("select without a table", 50_000, &|n| format!("SELECT {n}"));
    per("point select", 50_000, &|n| format!("SELECT c FROM t WHERE id={n}"));
    per("range of 100, sum", 5_000, &|n| format!("SELECT SUM(k) FROM t WHERE id BETWEEN {n} AND {}", n + 99));
    per("range of 100, sorted", 5_000, &|n| {
        format!("SELECT c FROM t WHERE id BETWEEN {n} AND {} ORDER BY c", n + 99)
    });
    per("update by key, with apply", 50_000, &|n| format!("UPDATE t SET k=k+1 WHERE id={n}"));
    per("begin, commit", 50_000, &|n| if n % 2 == 0 { "BEGIN".into() } else { "COMMIT".into() });
    per("full scan of 10,000, count", 50, &|_| "SELECT COUNT(*) FROM t WHERE k < 0".into());
}
