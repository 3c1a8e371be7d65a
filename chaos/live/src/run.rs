//! A run from its options to its verdicts: one workload after the other, each with a directory of its own.

use crate::drive::{Floor, Pace, drive};
use crate::fail::{Code, Fail, Res};
use crate::fault::{self, Fault, LeftOut, Strike};
use crate::judge::{Verdict, Word, judge};
use crate::plait::Plait;
use crate::record::Record;
use crate::report::Report;
use crate::target::{Target, standing};
use crate::{nemesis, prepare};
use plait_base::Draws;
use plait_load::{Isolation, Settings, Workload};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Clients of a run, at most.
const CLIENTS_MAX: u32 = 1_024;
/// Transactions a second, at most: a client of one process on the same machine is no more honest above that.
const RATE_MAX: f64 = 100_000.0;
const SPAN: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub enum Cluster {
    Ours {
        name: Option<String>,
        data_dir: Option<PathBuf>,
    },
    /// `mysql://user:password@host:port/db`
    Foreign(Vec<String>),
}

#[derive(Debug, Clone)]
pub enum Faults {
    None,
    Drawn { words: Vec<String>, every: Duration },
    Plan(PathBuf),
}

#[derive(Debug, Clone)]
pub struct Options {
    /// They share the time.
    pub workloads: Vec<String>,
    pub settings: Settings,
    /// The consistency model to judge by; else the one that goes with the isolation.
    pub model: Option<String>,
    pub cluster: Cluster,
    pub faults: Faults,
    /// Else a plan's length, or a minute.
    pub span: Option<Duration>,
    /// Transactions a second.
    pub rate: f64,
    pub clients: u32,
    pub seed: u64,
    /// How long a statement or a login is waited for.
    pub deadline: Duration,
    pub out: Option<PathBuf>,
}

pub struct Summary {
    pub document: Value,
    pub text: String,
    pub exit: u8,
}

/// What one workload came to.
struct Ended {
    document: Value,
    text: String,
    word: Word,
    /// Something was waited for in vain.
    timed_out: bool,
}

/// Faults of one workload's run.
struct Schedule {
    faults: Vec<(Fault, Strike)>,
    left_out: Vec<LeftOut>,
    /// Each fault is undone before the next is made.
    one_by_one: bool,
}

pub fn run(options: &Options) -> Res<Summary> {
    check(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Fail::unfit("can't make a runtime", why.to_string()))?;
    runtime.block_on(all(options))
}

fn check(options: &Options) -> Res<()> {
    for name in &options.workloads {
        plait_load::make(name, &options.settings).map_err(|why| {
            Fail::usage(why.to_string(), "a workload is named as it stands in that list")
                .next("--workload bank,list-append")
        })?;
    }
    if options.workloads.is_empty() {
        return Err(Fail::usage("no workload was named", "there is nothing to run").next("--workload bank"));
    }
    if !(1..=CLIENTS_MAX).contains(&options.clients) {
        return Err(Fail::usage(
            format!("{} clients can't be run", options.clients),
            format!("there are 1 to {CLIENTS_MAX}"),
        )
        .next("--clients 9"));
    }
    if !(options.rate > 0.0 && options.rate <= RATE_MAX) {
        return Err(Fail::usage(
            format!("{} transactions a second can't be run", options.rate),
            format!("a rate is above 0 and at most {RATE_MAX}"),
        )
        .next("--rate 200/s"));
    }
    if matches!(options.cluster, Cluster::Foreign(_)) && !matches!(options.faults, Faults::None) {
        return Err(Fail::usage(
            "no faults are made on a foreign cluster",
            "it is reached by its client protocol alone; its processes and links belong to somebody else",
        )
        .next("leave --faults and --plan out, and break it by its own means while this runs")
        .next("leave --target out: faults are made on a cluster that `plait up` started"));
    }
    Ok(())
}

async fn all(options: &Options) -> Res<Summary> {
    let target = match &options.cluster {
        Cluster::Ours { name, data_dir } => {
            Target::ours(Plait::new(name.as_deref(), data_dir.as_deref())?).await?
        }
        Cluster::Foreign(urls) => Target::foreign(urls)?,
    };
    let _alone = prepare::alone(&target)?;
    if let Some(plait) = &target.plait {
        for text in
            standing(plait).await.map_err(|why| Fail::unfit("the cluster does not tell its state", why))?
        {
            eprintln!("plait-chaos: a fault stands already and will be healed at the end: {text}");
        }
    }
    prepare::reach(&target, options.deadline).await?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(interrupts(stop));
    let (plan, plan_span) = read_plan(&options.faults)?;
    let span = options.span.or(plan_span).unwrap_or(SPAN) / options.workloads.len() as u32;
    eprintln!(
        "plait-chaos: seed {}, {:.1} s each at {}/s from {} clients on {} nodes",
        options.seed,
        span.as_secs_f64(),
        options.rate,
        options.clients,
        target.nodes.len()
    );
    let mut ended = Vec::new();
    for (number, name) in (0_u64..).zip(&options.workloads) {
        if *stopped.borrow() {
            break;
        }
        // The first has the seed itself, so that it is what it is when it is run alone.
        let seed = match number {
            0 => options.seed,
            n => Draws::new(options.seed, "live-workload", n).below(1_000_000_000),
        };
        let schedule = schedule(&options.faults, plan.as_deref(), seed, span)?;
        let workload = plait_load::make(name, &options.settings).expect("the name was checked");
        let out = directory(options, name)?;
        ended.push(one(options, workload, &target, schedule, seed, span, &out, stopped.clone()).await?);
    }
    Ok(summary(options, &ended))
}

/// The first interrupt ends the load, with everything mended and read; the second ends the process.
async fn interrupts(stop: watch::Sender<bool>) {
    for already in [false, true] {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        if already {
            eprintln!("plait-chaos: faults may still stand: plait heal, plait up");
            std::process::exit(130);
        }
        eprintln!("plait-chaos: the load ends here; faults are undone and the nodes are read");
        stop.send_replace(true);
    }
}

fn read_plan(faults: &Faults) -> Res<(Option<Vec<Fault>>, Option<Duration>)> {
    let Faults::Plan(file) = faults else { return Ok((None, None)) };
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|why| {
        Fail::usage(format!("{name} can't be read"), why.to_string()).next("name a plan.json")
    })?;
    let (faults, span_ms) = fault::read(&text, &name)?;
    Ok((Some(faults), Some(Duration::from_millis(span_ms.max(1)))))
}

fn schedule(faults: &Faults, plan: Option<&[Fault]>, seed: u64, span: Duration) -> Res<Schedule> {
    let all = match (faults, plan) {
        (Faults::Drawn { words, every }, _) => fault::draw(seed, words, *every, span)?,
        (_, Some(plan)) => plan.to_vec(),
        (_, None) => Vec::new(),
    };
    let (faults, left_out) = fault::sort_out(all, span);
    Ok(Schedule { faults, left_out, one_by_one: plan.is_none() })
}

/// Where one workload's files go.
fn directory(options: &Options, workload: &str) -> Res<PathBuf> {
    let dir = match (&options.out, options.workloads.len()) {
        (None, _) => PathBuf::from(format!("chaos-live-{workload}-{}", options.seed)),
        (Some(out), 1) => out.clone(),
        (Some(out), _) => out.join(workload),
    };
    std::fs::create_dir_all(&dir).map_err(|why| unwritable(&dir, &why))?;
    Ok(dir)
}

fn unwritable(path: &Path, why: &std::io::Error) -> Fail {
    Fail::unfit(format!("can't write {}", path.display()), why.to_string())
        .next("choose another directory: --out DIR")
}

fn write(path: &Path, value: &Value) -> Res<()> {
    let text = serde_json::to_string_pretty(value).expect("JSON prints");
    std::fs::write(path, text + "\n").map_err(|why| unwritable(path, &why))
}

/// More unknown outcomes than this, in percent, and a run says nothing.
const UNKNOWN_PERCENT_MAX: u64 = 40;

/// What a cluster of ours promises is the strong form of each isolation: nobody reads less than what was answered before
/// (DESIGN law 8). Of a foreign one only the isolation itself is asked.
fn model_of<'a>(options: &'a Options, target: &Target) -> &'a str {
    match (&options.model, options.settings.isolation, target.plait.is_some()) {
        (Some(model), ..) => model,
        (None, Isolation::ReadCommitted, true) => "strong-read-committed",
        (None, Isolation::RepeatableRead, true) => "strong-snapshot-isolation",
        (None, Isolation::Serializable, true) => "strict-serializable",
        (None, Isolation::ReadCommitted, false) => "read-committed",
        (None, Isolation::RepeatableRead, false) => "snapshot-isolation",
        (None, Isolation::Serializable, false) => "serializable",
    }
}

#[allow(clippy::too_many_arguments, reason = "one call; each is a different thing")]
async fn one(
    options: &Options,
    mut workload: Box<dyn Workload>,
    target: &Target,
    schedule: Schedule,
    seed: u64,
    span: Duration,
    out: &Path,
    stopped: watch::Receiver<bool>,
) -> Res<Ended> {
    let name = workload.name();
    let clients = options.clients as usize;
    eprintln!("{name}:");
    prepare::tables(&*workload, target, options.deadline).await?;
    let file = out.join("history.jsonl");
    let record = Record::create(&file, clients + target.nodes.len(), target.nodes.len())
        .map_err(|why| unwritable(&file, &why))?;
    let floor = Arc::new(Floor { target: target.clone(), record, deadline: options.deadline });

    let (over, ends) = watch::channel(false);
    let nemesis = target.plait.clone().map(|plait| {
        tokio::spawn(nemesis::run(plait, schedule.faults, floor.clone(), schedule.one_by_one, ends))
    });
    let pace = Pace { rate: options.rate, clients, span, seed };
    let tally = drive(&mut *workload, &floor, &pace, stopped.clone()).await;
    let interrupted = *stopped.borrow();
    over.send_replace(true);
    let faults = match nemesis {
        Some(task) => task.await.expect("the nemesis does not panic"),
        None => Vec::new(),
    };
    let outages = floor.record.outages();

    let (mut troubles, mut timed_out) = (Vec::new(), false);
    match &target.plait {
        Some(plait) => match nemesis::mend(plait).await {
            Ok(found) => troubles.extend(found),
            Err(fail) => {
                timed_out = fail.code == Code::TimedOut;
                troubles.push(format!("{}: {}", fail.what, fail.why));
            }
        },
        None => {
            let settled = prepare::settled(&*workload, target, options.deadline).await;
            troubles.extend(settled.err().map(|why| format!("the nodes did not become alike: {why}")));
        }
    }
    floor.record.note("healed", "all nodes");
    floor.record.last_reads();
    let silent = prepare::last_reads(&*workload, &floor, clients).await;
    timed_out |= !silent.is_empty();
    troubles.extend(silent);
    let recorded =
        floor.record.finish(outages).map_err(|why| unwritable(&file, &std::io::Error::other(why)))?;

    let model = model_of(options, target);
    let mut verdict = judged(&file, name, model)?;
    if verdict.word == Word::Valid && tally.unknown * 100 > tally.scheduled * UNKNOWN_PERCENT_MAX {
        verdict.word = Word::Unknown;
        verdict.why = format!(
            "{} of {} outcomes are unknown: a history of which more than {UNKNOWN_PERCENT_MAX} % is not known shows little",
            tally.unknown, tally.scheduled
        );
    }
    let report = Report {
        workload: name,
        model,
        isolation: options.settings.isolation.word(),
        seed,
        rate: options.rate,
        clients,
        span_s: span.as_secs_f64(),
        interrupted,
        target,
        tally,
        recorded: &recorded,
        faults: &faults,
        left_out: &schedule.left_out,
        verdict: &verdict,
        troubles: &troubles,
        out,
    };
    let document = report.json();
    write(&out.join("plan.json"), &report.plan())?;
    write(&out.join("verdict.json"), &document)?;
    Ok(Ended { document, text: report.text(), word: verdict.word, timed_out })
}

fn judged(file: &Path, workload: &str, model: &str) -> Res<Verdict> {
    let history = std::fs::read_to_string(file).map_err(|why| unwritable(file, &why))?;
    Ok(judge(&history, workload, model))
}

/// The worst of all decides.
fn summary(options: &Options, ended: &[Ended]) -> Summary {
    let any = |word| ended.iter().any(|one| one.word == word);
    let (word, exit) = match () {
        _ if any(Word::Invalid) => (Word::Invalid, 1),
        _ if ended.iter().any(|one| one.timed_out) => (Word::Unknown, Code::TimedOut as u8),
        _ if any(Word::Unknown) || ended.is_empty() => (Word::Unknown, 3),
        _ => (Word::Valid, 0),
    };
    let documents: Vec<&Value> = ended.iter().map(|one| &one.document).collect();
    let document = json!({
        "schema": "plait.live/1", "verdict": word.word(), "seed": options.seed, "workloads": documents,
    });
    let text = ended.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join("\n");
    Summary { document, text, exit }
}
