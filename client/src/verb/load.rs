//! `plait load`: workloads that check themselves while anything is done to the cluster.
//!
//! Each transaction writes a row with an id of its own into a ledger, in the same transaction as its work. So at the end
//! it can be told, for each answer that was given, whether it was true: a *yes* must be in the ledger of every node, a
//! *no* in none, an *unknown* in all or in none; and the state must be exactly what the ledger adds up to.
//! Verdicts: invalid if anything contradicts that; unknown if there is too little to say so; else valid.

mod bank;
mod counter;
mod end;
mod history;
mod workers;

use crate::cli::{Ctx, LoadArgs, LoadVerb};
use crate::client::{Client, Policy};
use crate::cluster::Cluster;
use crate::fail::{Code, Fail, Res};
use crate::home::Lock;
use crate::ports::local;
use crate::say;
use crate::script::{Rows, Script};
use crate::slot::Slot;
use crate::supervise::talk;
use history::History;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use workers::Tally;

/// How long one transaction is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// A run with fewer operations says nothing.
const OPERATIONS_MIN: u64 = 100;
/// Nor one with a larger share of unknown outcomes, in percent.
const UNKNOWN_PERCENT_MAX: u64 = 40;
/// How long tables may take to be made.
const SETUP_MAX: Duration = Duration::from_secs(30);

/// One row of the ledger: what one transaction did, by its id.
type Ledger = BTreeMap<i64, Vec<i64>>;

/// A workload: what it does, and what must hold.
trait Workload {
    fn name(&self) -> &'static str;
    /// Table of the state and table of the ledger.
    fn tables(&self) -> [&'static str; 2];
    fn ddl(&self) -> Vec<String>;
    /// Rows to begin with.
    fn seed(&self) -> Vec<Script>;
    /// One transaction, with a value for the history.
    fn operation(&self, draw: u64, id: i64) -> (Script, Json);
    /// What must hold of one snapshot of the state.
    fn judge(&self, state: &Rows) -> Result<(), String>;
    /// The state that a ledger adds up to.
    fn fold(&self, ledger: &Ledger) -> BTreeMap<i64, i64>;
}

/// What a run comes to.
struct Verdict {
    code: Option<Code>,
    violations: Vec<String>,
    doubts: Vec<String>,
}

pub async fn run(ctx: &Ctx, verb: &LoadVerb) -> Res<ExitCode> {
    match verb {
        LoadVerb::Bank { load, accounts } => {
            drive(ctx, load, bank::Bank { accounts: i64::from(*accounts) }).await
        }
        LoadVerb::Counter { load, counters } => {
            drive(ctx, load, counter::Counter { counters: i64::from(*counters) }).await
        }
    }
}

async fn drive(ctx: &Ctx, args: &LoadArgs, work: impl Workload + 'static) -> Res<ExitCode> {
    let cluster = Cluster::load(&ctx.place)?;
    talk::view(&ctx.place).await?;
    let lock = Lock::take(&ctx.place.run().join("load.lock"), Duration::ZERO)?;
    let Some(_lock) = lock else {
        return Err(Fail::state(
            "a workload runs on this cluster already",
            "its tables would be taken from under it",
        )
        .next("wait for it, or end it with Ctrl-C where it runs"));
    };
    let clients = Slot::ALL
        .map(|slot| Client::new(&[local(cluster.block().grpc(slot))]).with(Policy::once(ANSWER_MAX)));
    let step = ctx.say.step("setup", format!("making the tables of {}", work.name()));
    setup(&cluster, &work).await?;
    step.done("");

    let mut history = History::create(&ctx.place, work.name())?;
    let text = format!("{} clients for {}", args.clients, say::span(args.span));
    let step = ctx.say.step("load", text);
    let tally = workers::run(&step, args, &work, &clients, &mut history).await?;
    step.done(&format!("{} yes, {} no, {} unknown", tally.yes.len(), tally.no.len(), tally.unknown.len()));

    let step = ctx.say.step("check", "comparing what was answered with what is there");
    let end = end::look(&cluster, &work, &clients, &tally.unknown, |why| step.now(why)).await;
    let verdict = judge(&tally, &end);
    step.done("");
    let document = document(&work, args, &tally, &end, &verdict, &history);
    history.finish(&document)?;
    ctx.say.result("load", document, || text_of(ctx, &work, &tally, &end, &verdict, &history));
    Ok(verdict.code.map_or(ExitCode::SUCCESS, |code| ExitCode::from(code as u8)))
}

/// Makes the tables anew and fills them, however often a node refuses or is silent on the way: dropping first makes
/// each attempt begin from nothing.
async fn setup(cluster: &Cluster, work: &impl Workload) -> Res<()> {
    let addresses = Slot::ALL.map(|slot| local(cluster.block().grpc(slot)));
    let client =
        Client::new(&addresses).with(Policy { deadline: Duration::from_secs(5), ..Policy::default() });
    let deadline = Instant::now() + SETUP_MAX;
    let mut at = 0;
    loop {
        at += 1;
        let attempt = async {
            let mut session = client.preferring(at - 1).session().await?;
            for table in work.tables() {
                session.sql(&format!("DROP TABLE IF EXISTS {table}")).await?;
            }
            for statement in work.ddl() {
                session.sql(&statement).await?;
            }
            for script in work.seed() {
                client.preferring(at - 1).transact(&script).await?;
            }
            Ok::<_, crate::Error>(())
        };
        match attempt.await {
            Ok(()) => return Ok(()),
            Err(error)
                if Instant::now() >= deadline
                    || !(error.retry() || matches!(error, crate::Error::Unknown { .. })) =>
            {
                return Err(Fail::state("the tables of the workload can't be made", error.to_string())
                    .next("plait status")
                    .next("plait wait --for available"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// What the answers and the state at the end come to.
fn judge(tally: &Tally, end: &end::End) -> Verdict {
    let mut violations = tally.violations.clone();
    violations.extend(end.violations.clone());
    let mut doubts = Vec::new();
    for (slot, ledger) in &end.ledgers {
        let missing: Vec<i64> = tally.yes.iter().filter(|id| !ledger.contains_key(id)).copied().collect();
        if let Some(first) = missing.first() {
            violations.push(format!(
                "{} acknowledged transactions are missing on {slot}, the first is {first}",
                missing.len()
            ));
        }
        let undead: Vec<i64> = tally.no.iter().filter(|id| ledger.contains_key(id)).copied().collect();
        if let Some(first) = undead.first() {
            violations.push(format!(
                "{} refused transactions are present on {slot}, the first is {first}",
                undead.len()
            ));
        }
    }
    let operations = (tally.yes.len() + tally.no.len() + tally.unknown.len()) as u64;
    if operations < OPERATIONS_MIN {
        doubts
            .push(format!("{operations} operations are too few to say anything (at least {OPERATIONS_MIN})"));
    }
    if tally.unknown.len() as u64 * 100 > operations * UNKNOWN_PERCENT_MAX {
        doubts.push(format!("more than {UNKNOWN_PERCENT_MAX} % of outcomes are unknown"));
    }
    doubts.extend(end.doubts.clone());
    let code = match (violations.is_empty(), doubts.is_empty()) {
        (false, _) => Some(Code::Invalid),
        (true, false) => Some(Code::Unknown),
        (true, true) => None,
    };
    Verdict { code, violations, doubts }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict.code {
        None => "valid",
        Some(Code::Unknown) => "unknown",
        Some(_) => "invalid",
    }
}

/// Unknown outcomes that turned out to have happened, and not.
fn resolved(tally: &Tally, end: &end::End) -> (usize, usize) {
    let Some((_, ledger)) = end.ledgers.first() else { return (0, 0) };
    let present = tally.unknown.iter().filter(|id| ledger.contains_key(id)).count();
    (present, tally.unknown.len() - present)
}

fn document(
    work: &impl Workload,
    args: &LoadArgs,
    tally: &Tally,
    end: &end::End,
    verdict: &Verdict,
    history: &History,
) -> Json {
    let (present, absent) = resolved(tally, end);
    let second = tally.span.as_secs_f64().max(1e-9);
    json!({
        "workload": work.name(),
        "verdict": word(verdict),
        "violations": verdict.violations,
        "doubts": verdict.doubts,
        "clients": args.clients,
        "span_s": tally.span.as_secs_f64(),
        "yes": tally.yes.len(),
        "no": tally.no.len(),
        "unknown": tally.unknown.len(),
        "unknown_present": present,
        "unknown_absent": absent,
        "not_asked": tally.not_asked,
        "reads": tally.reads,
        "reads_refused": tally.reads_refused,
        "yes_per_s": tally.yes.len() as f64 / second,
        "longest_pause_s": tally.longest_pause.as_secs_f64(),
        "p50_s": tally.latency(50.0).as_secs_f64(),
        "p99_s": tally.latency(99.0).as_secs_f64(),
        "checked_on": end.ledgers.iter().map(|(slot, _)| slot).collect::<Vec<_>>(),
        "ledger_rows": end.ledgers.first().map(|(_, ledger)| ledger.len()),
        "chains_equal": end.chains_equal,
        "run": history.dir(),
        "history_complete": history.complete(),
    })
}

fn text_of(
    ctx: &Ctx,
    work: &impl Workload,
    tally: &Tally,
    end: &end::End,
    verdict: &Verdict,
    history: &History,
) -> String {
    let (present, absent) = resolved(tally, end);
    let head = match verdict.code {
        None => ctx.say.good(&format!(
            "{} Valid: every answer that {} was given is true.",
            ctx.say.tick(),
            work.name()
        )),
        Some(Code::Unknown) => {
            ctx.say.warn("! Unknown: nothing contradicts the answers, and it is too little to say more.")
        }
        Some(_) => {
            ctx.say.bad(&format!("{} Invalid: the cluster contradicts its own answers.", ctx.say.cross()))
        }
    };
    let mut text = format!("{head}\n");
    verdict.violations.iter().for_each(|why| text.push_str(&format!("  {} {why}\n", ctx.say.cross())));
    verdict.doubts.iter().for_each(|why| text.push_str(&format!("  ! {why}\n")));
    let checked: Vec<String> = end.ledgers.iter().map(|(slot, _)| slot.to_string()).collect();
    let rate = tally.yes.len() as f64 / tally.span.as_secs_f64().max(1e-9);
    text.push_str(&say::table(&[
        vec![
            "  answers".into(),
            format!(
                "{} yes, {} no, {} unknown ({present} of them happened, {absent} did not)",
                tally.yes.len(),
                tally.no.len(),
                tally.unknown.len()
            ),
        ],
        vec![
            "  rate".into(),
            format!(
                "{rate:.0} yes/s, p50 {}, p99 {}",
                say::span(tally.latency(50.0)),
                say::span(tally.latency(99.0))
            ),
        ],
        vec!["  longest pause".into(), say::span(tally.longest_pause)],
        vec!["  reads".into(), format!("{} whole snapshots, {} refused", tally.reads, tally.reads_refused)],
        vec!["  checked on".into(), if checked.is_empty() { "no node".into() } else { checked.join(", ") }],
        vec![
            "  hash chains".into(),
            match end.chains_equal {
                Some(true) => "equal".into(),
                Some(false) => "DIFFER".into(),
                None => "not compared".into(),
            },
        ],
        vec!["  run".into(), history.dir().display().to_string()],
    ]));
    text
}

#[cfg(test)]
mod tests;
