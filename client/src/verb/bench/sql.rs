//! `plait bench sql`: sysbench against Plait and, in the same run, against MariaDB Galera on the same machine.
//!
//! Each case (workload, topology, threads) is run A B B A, A being Plait, so that a machine that grows slower or
//! faster meanwhile favours neither; the figures are medians. Each run begins once the machine has come to rest; one
//! in which it was busy with something else is done again, and marked if it stays so. What a transaction costs in CPU is
//! counted for servers and client apart: they share the machine, so whoever needs less of it is faster.

use super::cost::{Counts, counts, sync_p50};
use super::peer::{self, Peer};
use super::sysbench::{Figures, Sysbench, WORKLOADS};
use crate::calibrate::{self, Calibrator};
use crate::cli::{Ctx, Over, PeerKind, SqlBenchArgs};
use crate::cluster::{self, Cluster, Login};
use crate::fail::{Code, Fail, Res};
use crate::ports::Block;
use crate::process::{self, Process};
use crate::say;
use crate::slot::Slot;
use crate::supervise::talk;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const WARM_UP: Duration = Duration::from_secs(1);
/// How often a disturbed run is done again.
const REPEATS_MAX: u32 = 2;
/// Cores that neither the client nor the measured servers used; the kernel's own work for them is part of it.
const OTHER_CORES_MAX: f64 = 0.4;

/// A run begins when for this long the machine has used and written no more than this, or after [`SETTLE_MAX`]: what
/// one side still has to write after its run (checkpoints, dirty pages) must not fall into the other's.
const SETTLED_SPAN: Duration = Duration::from_millis(500);
const SETTLED_CORES_MAX: f64 = 0.15;
const SETTLED_KIB_MAX: u64 = 512;
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// One of the two.
struct Side {
    name: &'static str,
    sysbench: Sysbench,
    ports: Vec<u16>,
    processes: Vec<Process>,
    /// Where its counters are asked for; Plait's alone.
    block: Option<Block>,
}

/// One run on one side.
#[derive(Debug, Clone, Default)]
struct Run {
    figures: Figures,
    server_ms: f64,
    client_ms: f64,
    other_cores: f64,
    frames: f64,
    syncs: f64,
    late: Duration,
    disturbed: bool,
}

/// What is run on both sides.
struct Case<'a> {
    workload: &'a str,
    over: Over,
    threads: u32,
}

pub async fn run(ctx: &Ctx, args: &SqlBenchArgs) -> Res<ExitCode> {
    let workloads = args.workloads()?;
    let cluster = Cluster::load(&ctx.place)?;
    let view = talk::view(&ctx.place).await?;
    let sysbench = Sysbench::new(&ctx.place, args.auto_inc).await?;
    let processes: Vec<Process> = view.nodes.iter().filter_map(|node| Process::now(node.pid?)).collect();
    if processes.len() < 3 {
        return Err(Fail::state("a figure of three nodes needs three nodes", "one does not run")
            .next(ctx.command("up")));
    }
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let login = Login::of(&cluster::settings(&cluster, &cluster::keys()?, &[], &env)?);
    let block = cluster.block();
    let plait = Side {
        name: "plait",
        sysbench: sysbench.of(&login.user, &login.password, &login.database),
        ports: Slot::ALL.map(|slot| block.sql(slot)).to_vec(),
        processes,
        block: Some(block),
    };
    let peer = start_peer(ctx, args).await?;
    let galera = peer.as_ref().map(|peer| Side {
        name: "galera",
        sysbench: sysbench.of(peer::USER, peer::PASSWORD, peer::DATABASE),
        ports: peer.ports.clone(),
        processes: peer.processes.clone(),
        block: None,
    });
    let cases = tokio::select! {
        cases = all_cases(ctx, args, &workloads, &plait, galera.as_ref()) => cases,
        interrupt = tokio::signal::ctrl_c() => Err(match interrupt {
            Ok(()) => Fail::new(Code::Interrupted, "the bench was interrupted", "by Ctrl-C"),
            Err(e) => Fail::unfit("can't listen for signals", e.to_string()),
        }),
    };
    if let Some(peer) = peer.filter(|_| !args.keep_peer) {
        let step = ctx.say.step("peer", "Galera is ended and removed");
        peer.wipe().await?;
        step.done("");
    }
    let cases = cases?;
    let sync = sync_p50(ctx);
    let rows: Vec<Vec<String>> = [head()].into_iter().chain(cases.iter().flat_map(Ran::rows)).collect();
    let disturbed = cases.iter().flat_map(|case| &case.sides).filter(|side| side.1.disturbed).count();
    let document = json!({
        "span_s": args.span().as_secs_f64(), "auto_inc": args.auto_inc,
        "cases": cases.iter().map(Ran::json).collect::<Vec<_>>(),
        "sync_p50_s": sync.map(|d| d.as_secs_f64()), "disturbed": disturbed,
    });
    ctx.say.result("bench-sql", document, || {
        let mut text = say::table(&rows);
        let sync = sync.map_or_else(|| "was not measured".into(), |d| format!("takes {} (p50)", say::span(d)));
        text.push_str(&format!(
            "\nmedians of the runs of a case; errors are aborts that reached a client; frames and syncs are Plait's, a \
             commit. One sync on its disk {sync}.\n"
        ));
        if disturbed > 0 {
            text.push_str("* the machine was busy with something else: such a figure says little\n");
        }
        text
    });
    Ok(ExitCode::SUCCESS)
}

async fn start_peer(ctx: &Ctx, args: &SqlBenchArgs) -> Res<Option<Peer>> {
    if args.peer == PeerKind::None {
        return Ok(None);
    }
    let step = ctx.say.step("peer", "three nodes of MariaDB Galera");
    match Peer::up(ctx, args.peer_base).await? {
        Ok(peer) => {
            step.done("synced");
            Ok(Some(peer))
        }
        Err(why) if args.peer == PeerKind::Auto => {
            step.done("not installed");
            ctx.say.note(&format!("Plait is measured alone: {why}"));
            Ok(None)
        }
        Err(why) => Err(Fail::unfit("`--peer galera` needs MariaDB Galera", why)
            .next("install it: apt-get install mariadb-server galera-4 rsync lsof")
            .next("measure Plait alone: --peer none")),
    }
}

/// A case with the medians of each side.
struct Ran {
    workload: String,
    over: Over,
    threads: u32,
    sides: Vec<(&'static str, Run, Vec<f64>)>,
}

async fn all_cases(
    ctx: &Ctx,
    args: &SqlBenchArgs,
    workloads: &[&str],
    plait: &Side,
    galera: Option<&Side>,
) -> Res<Vec<Ran>> {
    let mut all = Vec::new();
    for workload in workloads {
        let step = ctx.say.step("prepare", format!("tables for {workload}"));
        for side in [Some(plait), galera].into_iter().flatten() {
            side.sysbench.prepare(workload, side.ports[0]).await.map_err(|fail| side.named(fail))?;
        }
        step.done("");
        for over in args.over() {
            for threads in args.threads() {
                all.push(one_case(ctx, args, &Case { workload, over, threads }, plait, galera).await?);
            }
        }
    }
    Ok(all)
}

async fn one_case(
    ctx: &Ctx,
    args: &SqlBenchArgs,
    case: &Case<'_>,
    plait: &Side,
    galera: Option<&Side>,
) -> Res<Ran> {
    let what = format!("{}, {} threads, {} port(s)", case.workload, case.threads, case.over.ports());
    let step = ctx.say.step("bench", &what);
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for round in 0..args.rounds() {
        // A B, then B A, and so on.
        let mut order = [(Some(plait), &mut a), (galera, &mut b)];
        if round % 2 == 1 {
            order.reverse();
        }
        for (side, runs) in order {
            let Some(side) = side else { continue };
            step.now("waiting until the machine has come to rest");
            let rested = settle().await;
            step.now(&format!("{}, round {}", side.name, round + 1));
            let run = undisturbed(args, case, side).await?;
            runs.push(Run { disturbed: run.disturbed || !rested, ..run });
        }
    }
    let mut sides = vec![(plait.name, a)];
    sides.extend(galera.map(|galera| (galera.name, b)));
    let sides: Vec<_> = sides
        .into_iter()
        .map(|(name, runs)| (name, median_of(&runs), runs.iter().map(|run| run.figures.tps).collect()))
        .collect();
    let shown: Vec<String> =
        sides.iter().map(|(name, run, _)| format!("{name} {:.0}", run.figures.tps)).collect();
    step.done(&format!("{} transactions/s", shown.join(", ")));
    Ok(Ran { workload: case.workload.to_owned(), over: case.over, threads: case.threads, sides })
}

/// A run, done again a few times while the machine has something else to do.
async fn undisturbed(args: &SqlBenchArgs, case: &Case<'_>, side: &Side) -> Res<Run> {
    let mut repeats = 0;
    loop {
        let run = one(args, case, side).await.map_err(|fail| side.named(fail))?;
        if !run.disturbed || repeats == REPEATS_MAX {
            return Ok(run);
        }
        repeats += 1;
    }
}

/// Waits until the machine is at rest; whether it is, or can't be told.
async fn settle() -> bool {
    let used = || Some((process::machine_busy()?, process::machine_written()?));
    let end = Instant::now() + SETTLE_MAX;
    while Instant::now() < end
        && let Some((busy, written)) = used()
    {
        tokio::time::sleep(SETTLED_SPAN).await;
        let Some((busy_now, written_now)) = used() else { return true };
        let cores = busy_now.saturating_sub(busy).as_secs_f64() / SETTLED_SPAN.as_secs_f64();
        if cores <= SETTLED_CORES_MAX && written_now.saturating_sub(written) <= SETTLED_KIB_MAX {
            return true;
        }
    }
    used().is_none()
}

async fn one(args: &SqlBenchArgs, case: &Case<'_>, side: &Side) -> Res<Run> {
    let ports = &side.ports[..case.over.ports()];
    side.sysbench.run(case.workload, ports, case.threads, WARM_UP).await?;
    let before = Before::now(side).await?;
    let calibrator = Calibrator::start();
    let figures = side.sysbench.run(case.workload, ports, case.threads, args.span()).await?;
    let late = calibrator.p99();
    let took = before.at.elapsed();
    let after = Before::now(side).await?;
    let n = figures.transactions.max(1.0);
    let each_ms = |after: Duration, before: Duration| after.saturating_sub(before).as_secs_f64() * 1e3 / n;
    let (server, client) = (after.servers - before.servers, after.clients - before.clients);
    let busy = after.busy.saturating_sub(before.busy).saturating_sub(server + client);
    let other_cores = busy.as_secs_f64() / took.as_secs_f64();
    Ok(Run {
        figures,
        server_ms: each_ms(after.servers, before.servers),
        client_ms: each_ms(after.clients, before.clients),
        other_cores,
        frames: (after.counts.frames - before.counts.frames) / n,
        syncs: (after.counts.syncs - before.counts.syncs) / n,
        disturbed: calibrate::verdict(late) == "disturbed" || other_cores > OTHER_CORES_MAX,
        late,
    })
}

/// What had been used when a run began.
struct Before {
    at: Instant,
    counts: Counts,
    servers: Duration,
    clients: Duration,
    busy: Duration,
}

impl Before {
    async fn now(side: &Side) -> Res<Before> {
        let counts = match side.block {
            Some(block) => counts(block).await?,
            None => Counts::default(),
        };
        let servers = side.processes.iter().map(|process| {
            process.cpu().ok_or_else(|| {
                Fail::state("a server ended while it was measured", format!("pid {}", process.pid))
            })
        });
        Ok(Before {
            counts,
            servers: servers.sum::<Res<Duration>>()?,
            clients: Process::myself().cpu_of_children().unwrap_or_default(),
            busy: process::machine_busy().unwrap_or_default(),
            at: Instant::now(),
        })
    }
}

impl Side {
    fn named(&self, mut fail: Fail) -> Fail {
        fail.what = format!("on {}: {}", self.name, fail.what);
        fail
    }
}

/// Each figure's median by itself.
fn median_of(runs: &[Run]) -> Run {
    let of = |get: &dyn Fn(&Run) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(get).collect();
        all.sort_by(f64::total_cmp);
        match all.len() {
            0 => 0.0,
            n if n % 2 == 1 => all[n / 2],
            n => (all[n / 2 - 1] + all[n / 2]) / 2.0,
        }
    };
    Run {
        figures: Figures {
            transactions: of(&|run| run.figures.transactions),
            tps: of(&|run| run.figures.tps),
            errors_per_s: of(&|run| run.figures.errors_per_s),
            reconnects: of(&|run| run.figures.reconnects),
            p50_ms: of(&|run| run.figures.p50_ms),
            p95_ms: of(&|run| run.figures.p95_ms),
            p99_ms: of(&|run| run.figures.p99_ms),
            max_ms: of(&|run| run.figures.max_ms),
        },
        server_ms: of(&|run| run.server_ms),
        client_ms: of(&|run| run.client_ms),
        other_cores: of(&|run| run.other_cores),
        frames: of(&|run| run.frames),
        syncs: of(&|run| run.syncs),
        late: runs.iter().map(|run| run.late).max().unwrap_or_default(),
        disturbed: runs.iter().any(|run| run.disturbed),
    }
}

fn head() -> Vec<String> {
    let names = [
        "workload",
        "ports",
        "threads",
        "",
        "tps",
        "p95 ms",
        "p99 ms",
        "errors/s",
        "server ms",
        "client ms",
        "frames",
        "syncs",
        "ratio",
    ];
    names.map(str::to_owned).to_vec()
}

impl Ran {
    /// How many times the peer's rate Plait's is.
    fn ratio(&self) -> Option<f64> {
        match &self.sides[..] {
            [(_, plait, _), (_, peer, _)] if peer.figures.tps > 0.0 => {
                Some(plait.figures.tps / peer.figures.tps)
            }
            _ => None,
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let rows = self.sides.iter().enumerate().map(|(i, (name, run, _))| {
            let figures = &run.figures;
            let own = |value: f64| if *name == "plait" { format!("{value:.2}") } else { "-".into() };
            let first = |text: String| if i == 0 { text } else { String::new() };
            vec![
                first(self.workload.clone()),
                first(self.over.ports().to_string()),
                first(self.threads.to_string()),
                (*name).to_owned(),
                format!("{:.0}{}", figures.tps, if run.disturbed { "*" } else { "" }),
                format!("{:.2}", figures.p95_ms),
                format!("{:.2}", figures.p99_ms),
                format!("{:.1}", figures.errors_per_s),
                format!("{:.3}", run.server_ms),
                format!("{:.3}", run.client_ms),
                own(run.frames),
                own(run.syncs),
                first(self.ratio().map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"))),
            ]
        });
        rows.collect()
    }

    fn json(&self) -> Value {
        let sides: Vec<Value> = self
            .sides
            .iter()
            .map(|(name, run, rates)| {
                let figures = &run.figures;
                json!({
                    "side": name, "tps": figures.tps, "tps_of_runs": rates, "p50_s": figures.p50_ms / 1e3,
                    "p95_s": figures.p95_ms / 1e3, "p99_s": figures.p99_ms / 1e3, "max_s": figures.max_ms / 1e3,
                    "errors_per_s": figures.errors_per_s, "reconnects": figures.reconnects,
                    "cpu_servers_s_per_txn": run.server_ms / 1e3, "cpu_client_s_per_txn": run.client_ms / 1e3,
                    "frames_per_txn": run.frames, "syncs_per_txn": run.syncs, "other_cores": run.other_cores,
                    "calibrator_p99_s": run.late.as_secs_f64(), "disturbed": run.disturbed,
                })
            })
            .collect();
        json!({
            "workload": self.workload, "ports": self.over.ports(), "threads": self.threads, "sides": sides,
            "ratio": self.ratio(),
        })
    }
}

impl SqlBenchArgs {
    fn span(&self) -> Duration {
        let default = if self.quick { 3 } else { 10 };
        self.span.unwrap_or(Duration::from_secs(default))
    }

    /// Twice on each side at the least: A B B A.
    fn rounds(&self) -> u32 {
        self.rounds * 2
    }

    fn over(&self) -> Vec<Over> {
        match (self.over, self.quick) {
            (Some(over), _) => vec![over],
            (None, true) => vec![Over::Three],
            (None, false) => vec![Over::One, Over::Three],
        }
    }

    fn threads(&self) -> Vec<u32> {
        self.threads.clone()
    }

    fn workloads(&self) -> Res<Vec<&'static str>> {
        if self.workloads.is_empty() {
            return Ok(if self.quick { WORKLOADS[..4].to_vec() } else { WORKLOADS.to_vec() });
        }
        let find = |name: &String| {
            let known =
                WORKLOADS.iter().find(|known| *known == name || known.strip_prefix("oltp_") == Some(name));
            known.copied().ok_or_else(|| {
                Fail::usage(format!("there is no workload '{name}'"), "see the list below")
                    .next(format!("take one or more of {}", WORKLOADS.join(",")))
            })
        };
        self.workloads.iter().map(find).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tps: f64, server_ms: f64) -> Run {
        Run { figures: Figures { tps, ..Figures::default() }, server_ms, ..Run::default() }
    }

    #[test]
    fn the_figures_are_medians_and_the_ratio_is_of_them() {
        let plait = median_of(&[run(4000.0, 0.2), run(2000.0, 0.4)]);
        assert_eq!((plait.figures.tps, plait.server_ms), (3000.0, 0.30000000000000004));
        let peer = median_of(&[run(900.0, 1.0), run(1500.0, 1.0), run(1000.0, 1.0)]);
        let ran = Ran {
            workload: "oltp_insert".into(),
            over: Over::Three,
            threads: 8,
            sides: vec![("plait", plait, vec![]), ("galera", peer, vec![])],
        };
        assert_eq!(ran.ratio(), Some(3.0));
        assert_eq!(ran.rows()[0].last().map(String::as_str), Some("3.00"));
    }
}
