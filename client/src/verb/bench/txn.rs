//! `plait bench txn`: one-row transactions from many clients, and what each of them costs.

use super::cost::{counts, sync_p50};
use super::{TABLE, clients, make_table};
use crate::calibrate::{self, Calibrator};
use crate::cli::Ctx;
use crate::cluster::Cluster;
use crate::fail::{Fail, Res};
use crate::process::Process;
use crate::say;
use crate::script::Script;
use crate::supervise::talk;
use hdrhistogram::Histogram;
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const WARM_UP: Duration = Duration::from_secs(1);
/// Rows of one client: no two clients write the same, so nothing conflicts.
const ROWS: i64 = 1000;

pub async fn run(ctx: &Ctx, span: Duration, clients_n: u32) -> Res<ExitCode> {
    let cluster = Cluster::load(&ctx.place)?;
    let view = talk::view(&ctx.place).await?;
    let block = cluster.block();
    let clients = clients(&cluster);
    make_table(&clients).await?;
    let processes: Vec<Process> = view.nodes.iter().filter_map(|node| Process::now(node.pid?)).collect();
    if processes.len() < 3 {
        return Err(Fail::state("a figure of three nodes needs three nodes", "one does not run")
            .next(ctx.command("up")));
    }
    let me = Process::myself();
    let step =
        ctx.say.step("bench", format!("{clients_n} clients, one-row transactions, {}", say::span(span)));
    let counting = Arc::new(AtomicBool::new(false));
    let over = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for n in 0..clients_n {
        let client = clients[n as usize % 3].clone();
        let (counting, over, refused) = (counting.clone(), over.clone(), refused.clone());
        tasks.push(tokio::spawn(async move {
            let mut times: Histogram<u64> =
                Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are good");
            let mut i = 0_i64;
            while !over.load(Ordering::Relaxed) {
                i += 1;
                let row = [i64::from(n) * ROWS + i % ROWS, i];
                let began = Instant::now();
                let result = client.transact(&Script::new().put(TABLE, row)).await;
                match result {
                    Ok(_) if counting.load(Ordering::Relaxed) => {
                        times.saturating_record(began.elapsed().as_micros() as u64)
                    }
                    Ok(_) => {}
                    Err(_) => {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            times
        }));
    }
    tokio::time::sleep(WARM_UP).await;
    let cpu = |processes: &[Process]| processes.iter().filter_map(Process::cpu).sum::<Duration>();
    let before = counts(block).await?;
    let (nodes_before, me_before) = (cpu(&processes), me.cpu().unwrap_or_default());
    let calibrator = Calibrator::start();
    counting.store(true, Ordering::Relaxed);
    let began = Instant::now();
    tokio::time::sleep(span).await;
    counting.store(false, Ordering::Relaxed);
    let took = began.elapsed();
    let (nodes_cpu, me_cpu) = (cpu(&processes) - nodes_before, me.cpu().unwrap_or_default() - me_before);
    let delay = calibrator.p99();
    let after = counts(block).await?;
    over.store(true, Ordering::Relaxed);
    let mut times: Histogram<u64> =
        Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are good");
    for task in tasks {
        let part = task.await.map_err(|e| Fail::bug("a client of the bench ended", e))?;
        times.add(part).map_err(|e| Fail::bug("histograms of one shape don't add", e))?;
    }
    let n = times.len().max(1);
    let rate = times.len() as f64 / took.as_secs_f64();
    let each = |before: f64, after: f64| (after - before) / n as f64;
    let micros = |cpu: Duration| cpu.as_secs_f64() * 1e6 / n as f64;
    let (p50, p99) = (times.value_at_percentile(50.0), times.value_at_percentile(99.0));
    let frames = each(before.frames, after.frames);
    let syncs = each(before.syncs, after.syncs);
    let inputs_per_wake = (after.inputs - before.inputs) / (after.wakes - before.wakes).max(1.0);
    let refused = refused.load(Ordering::Relaxed);
    step.done("");
    let sync = sync_p50(ctx);
    let document = json!({
        "clients": clients_n, "span_s": took.as_secs_f64(), "transactions": times.len(), "refused": refused,
        "txn_per_s": rate, "p50_s": p50 as f64 / 1e6, "p99_s": p99 as f64 / 1e6,
        "frames_per_txn": frames, "syncs_per_txn": syncs, "inputs_per_wake": inputs_per_wake,
        "cpu_nodes_us_per_txn": micros(nodes_cpu), "cpu_client_us_per_txn": micros(me_cpu),
        "sync_p50_s": sync.map(|d| d.as_secs_f64()),
        "calibrator_p99_s": delay.as_secs_f64(), "machine": calibrate::verdict(delay),
    });
    ctx.say.result("bench-txn", document, || {
        let mut text = format!("{} transactions/s\n", ctx.say.strong(&format!("{rate:.0}")));
        text.push_str(&say::table(&[
            vec![
                "  latency".into(),
                format!(
                    "p50 {}, p99 {}",
                    say::span(Duration::from_micros(p50)),
                    say::span(Duration::from_micros(p99))
                ),
            ],
            vec![
                "  a commit takes".into(),
                format!(
                    "{frames:.2} frames between nodes, {syncs:.3} syncs ({inputs_per_wake:.1} inputs a wake)"
                ),
            ],
            vec![
                "  CPU a transaction".into(),
                format!(
                    "{:.0} µs in the three nodes, {:.0} µs in this client",
                    micros(nodes_cpu),
                    micros(me_cpu)
                ),
            ],
            vec![
                "  one sync here".into(),
                sync.map_or_else(|| "not measured".into(), |d| format!("p50 {}", say::span(d))),
            ],
            vec!["  not yes".into(), refused.to_string()],
            vec![
                "  machine".into(),
                format!(
                    "{} (a 1 ms sleep was late by {} at p99)",
                    calibrate::verdict(delay),
                    say::span(delay)
                ),
            ],
        ]));
        text
    });
    Ok(ExitCode::SUCCESS)
}
