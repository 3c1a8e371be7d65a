//! `plait doctor`: whether this machine is fit and the cluster is whole, one line a check.

use crate::account;
use crate::cli::Ctx;
use crate::cluster::{self, Cluster};
use crate::fail::{Code, Res};
use crate::home::{self, FileSystem};
use crate::ports::Block;
use crate::say;
use crate::slot::Slot;
use crate::supervise::talk;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const ASK_MAX: Duration = Duration::from_millis(700);
/// How long syncs are measured.
const SYNC_FOR: Duration = Duration::from_secs(1);
/// Descriptors that a node wants.
const FILES_MIN: u64 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    Warn,
    Bad,
}

struct Check {
    mark: Mark,
    name: &'static str,
    found: String,
    next: Option<String>,
}

pub async fn run(ctx: &Ctx) -> Res<ExitCode> {
    let mut checks = Vec::new();
    let mut put =
        |mark, name, found: String, next: Option<String>| checks.push(Check { mark, name, found, next });
    for program in ["plait-node", "plait-chaos"] {
        match cluster::sibling(program) {
            Ok(path) => put(Mark::Good, "program", format!("{} is there", path.display()), None),
            Err(fail) => {
                put(Mark::Bad, "program", format!("{}: {}", fail.what, fail.why), fail.next.first().cloned())
            }
        }
    }
    let home = &ctx.place.home;
    let existing = home.ancestors().find(|dir| dir.exists()).unwrap_or(home);
    match home::file_system(existing) {
        Ok((FileSystem::Network(name), _)) => {
            put(
                Mark::Bad,
                "disk",
                format!("{} is on {name}", home.display()),
                Some("choose a local disk: --data-dir DIR".into()),
            );
        }
        Ok((kind, free)) => {
            let mark = if kind == FileSystem::Memory { Mark::Warn } else { Mark::Good };
            let memory =
                if kind == FileSystem::Memory { " (in memory: lost when the machine stops)" } else { "" };
            put(mark, "disk", format!("{}: {} free{memory}", home.display(), say::bytes(free)), None);
        }
        Err(e) => put(
            Mark::Bad,
            "disk",
            format!("{}: {e}", home.display()),
            Some("choose another: --data-dir DIR".into()),
        ),
    }
    match sync_p50(existing) {
        Ok((p50, p99)) => put(
            if p50 > Duration::from_millis(5) { Mark::Warn } else { Mark::Good },
            "sync",
            format!("fdatasync of 4 KiB: p50 {}, p99 {}", say::span(p50), say::span(p99)),
            None,
        ),
        Err(e) => put(
            Mark::Bad,
            "sync",
            format!("can't write in {}: {e}", existing.display()),
            Some("--data-dir DIR".into()),
        ),
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let files = limit.maximum.unwrap_or(u64::MAX);
    put(
        if files < FILES_MIN { Mark::Warn } else { Mark::Good },
        "descriptors",
        format!("at most {files} open files a process"),
        (files < FILES_MIN).then(|| format!("raise the hard limit: ulimit -Hn {FILES_MIN}")),
    );
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    put(if cpus < 2 { Mark::Warn } else { Mark::Good }, "processors", format!("{cpus}"), None);

    if ctx.place.exists() {
        match Cluster::load(&ctx.place).and_then(|cluster| {
            let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
            cluster::settings(&cluster, &cluster::keys()?, &[], &env).map(|_| cluster)
        }) {
            Ok(cluster) => {
                put(Mark::Good, "configuration", format!("{}", ctx.place.config().display()), None);
                cluster_checks(ctx, &cluster, &mut put).await;
            }
            Err(fail) => put(
                Mark::Bad,
                "configuration",
                format!("{}: {}", fail.what, fail.why),
                fail.next.first().cloned(),
            ),
        }
    } else {
        let block = Block::new(crate::ports::DEFAULT_BASE)?;
        match block.taken() {
            None => {
                put(Mark::Good, "ports", format!("{} to {} are free", block.base(), block.base() + 99), None)
            }
            Some((name, port)) => {
                let fail = block.refusal(&name, port);
                put(
                    Mark::Warn,
                    "ports",
                    format!("{}: {}", fail.what, fail.why),
                    Some("`up` takes the next free block".into()),
                );
            }
        }
    }
    let bad = checks.iter().filter(|check| check.mark == Mark::Bad).count();
    let document: Vec<serde_json::Value> = checks
        .iter()
        .map(|check| {
            let mark = match check.mark {
                Mark::Good => "good",
                Mark::Warn => "warn",
                Mark::Bad => "bad",
            };
            json!({ "check": check.name, "mark": mark, "found": check.found, "next": check.next })
        })
        .collect();
    ctx.say.result(
        "doctor",
        json!({ "fit": bad == 0, "version": env!("CARGO_PKG_VERSION"), "checks": document }),
        || {
            let mut text = String::new();
            for check in &checks {
                let mark = match check.mark {
                    Mark::Good => ctx.say.good(ctx.say.tick()),
                    Mark::Warn => ctx.say.warn("!"),
                    Mark::Bad => ctx.say.bad(ctx.say.cross()),
                };
                text.push_str(&format!("{mark} {}: {}\n", check.name, check.found));
                if let Some(next) = &check.next {
                    text.push_str(&format!("    next: {next}\n"));
                }
            }
            text
        },
    );
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(Code::Unfit as u8) })
}

async fn cluster_checks(
    ctx: &Ctx,
    cluster: &Cluster,
    put: &mut impl FnMut(Mark, &'static str, String, Option<String>),
) {
    let empty: Vec<Slot> =
        Slot::ALL.into_iter().filter(|slot| cluster.born && ctx.place.is_empty(*slot)).collect();
    match empty.as_slice() {
        [] => put(Mark::Good, "data", "every node has its identity".into(), None),
        [one] => put(
            Mark::Warn,
            "data",
            format!("{one} is empty and joins when it is started"),
            Some(ctx.command(&format!("start {one}"))),
        ),
        _ => {
            if let Err(fail) = cluster::refuse_two_empty(&ctx.place) {
                put(Mark::Bad, "data", format!("{}: {}", fail.what, fail.why), fail.next.get(1).cloned());
            }
        }
    }
    let Ok(view) = talk::view(&ctx.place).await else {
        let pids = talk::Pids::read(&ctx.place);
        let left: Vec<String> =
            pids.nodes.values().filter(|p| p.alive()).map(|p| p.pid.to_string()).collect();
        if left.is_empty() {
            put(Mark::Good, "cluster", "it is down, and nothing of it runs".into(), Some(ctx.command("up")));
        } else {
            put(
                Mark::Bad,
                "cluster",
                format!("no supervisor, and pids {} run", left.join(", ")),
                Some(ctx.command("down")),
            );
        }
        return;
    };
    let accounts = account::all(cluster.block(), ASK_MAX).await;
    for account in &accounts {
        let node = view.node(account.slot);
        let (slot, word) = (account.slot, node.state.word());
        match account.silence() {
            None if account.serves() => put(Mark::Good, "node", format!("{slot} serves"), None),
            None => put(
                Mark::Warn,
                "node",
                format!("{slot} does not serve: {}", account.why_not()),
                Some(ctx.command("status")),
            ),
            Some(why) => put(
                Mark::Bad,
                "node",
                format!("{slot} is {word}: {why}"),
                Some(ctx.command(&format!("logs {slot}"))),
            ),
        }
    }
    match account::chains_agree(&accounts) {
        Some(true) => {
            put(Mark::Good, "hash chains", "equal wherever two nodes stand at the same seqno".into(), None)
        }
        Some(false) => put(
            Mark::Bad,
            "hash chains",
            "two nodes differ at the same seqno".into(),
            Some(ctx.command("events")),
        ),
        None => put(
            Mark::Warn,
            "hash chains",
            "no two nodes stood at the same seqno".into(),
            Some(ctx.command("wait --for equal")),
        ),
    }
    if !view.faults.is_empty() {
        put(Mark::Warn, "faults", format!("{} stand", view.faults.len()), Some(ctx.command("heal")));
    }
}

/// Median and 99th percentile of a small write with its sync.
fn sync_p50(dir: &std::path::Path) -> std::io::Result<(Duration, Duration)> {
    let path = dir.join(format!(".plait-doctor-{}", std::process::id()));
    let mut file = File::create(&path)?;
    let measured = (|| {
        let began = Instant::now();
        let mut times = Vec::new();
        while began.elapsed() < SYNC_FOR {
            let start = Instant::now();
            file.write_all(&[0x5a; 4096])?;
            file.sync_data()?;
            times.push(start.elapsed());
        }
        times.sort();
        Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
    })();
    std::fs::remove_file(&path)?;
    measured
}
