//! How a run is shown to a person: the plan, the story, the verdict, and the command that replays it.

use plait_world::plan::{FaultKind, PROFILES, Plan, Point};
use plait_world::run::{Report, Verdict};
use plait_world::world::story::Line;
use plait_world::zoo::Bug;
use serde_json::json;

/// Of a long story the last seconds before the violation are told in full; of what was before, what mattered.
const FULL_NS: u64 = 400_000_000;
const NEAR_NS: u64 = 4_000_000_000;

/// `again`: the command that runs it once more.
pub fn report(plan: &Plan, report: &Report, again: &str, short: bool, as_json: bool) {
    if as_json {
        let mut value = serde_json::to_value(report).expect("a report is JSON");
        value["plan"] = serde_json::to_value(plan).expect("a plan is JSON");
        value["story"] = serde_json::to_value(&report.story).expect("a story is JSON");
        println!("{}", serde_json::to_string_pretty(&value).expect("JSON prints"));
        return;
    }
    let bug = plan.bug.as_ref().map_or(String::new(), |b| format!(", bug {b}"));
    println!("seed {} · {}{bug} · {} s simulated", plan.seed, plan.profile, plan.span_ms / 1000);
    for load in &plan.loads {
        println!("  {} clients: {} over {} keys", load.clients, load.kind, load.keys);
    }
    for fault in &plan.faults {
        println!(
            "  {:>6.2}–{:.2} s  {}",
            fault.at_ms as f64 / 1e3,
            fault.until_ms as f64 / 1e3,
            fault.kind.say()
        );
    }
    if !report.story.is_empty() {
        println!("\nwhat happened");
        let end_ns = report.violations.first().map_or(u64::MAX, |v| v.at_ns);
        let lines: Vec<&Line> = report.story.iter().filter(|l| !short || matters(l, end_ns)).collect();
        lines.iter().for_each(|line| println!("{line}"));
        if lines.len() < report.story.len() {
            println!("({} of {} lines; all of them with --story)", lines.len(), report.story.len());
        }
    }
    println!("");
    for violation in &report.violations {
        println!("BROKEN  {violation}");
    }
    println!("{}", super::line(report).lines().next().unwrap_or_default());
    if let Some(why) = &report.why {
        println!("  {why}");
    }
    if report.verdict == Verdict::Valid {
        let c = &report.counts;
        println!(
            "  healed after {} ms; {} frames, {} syncs, {} deaths, {} checkpoints, {} snapshots; {} chains, {} acknowledgements, {} leases checked",
            c.healed_after_ms,
            c.frames,
            c.syncs,
            c.deaths,
            c.checkpoints,
            c.snapshots,
            c.chains_compared,
            c.acks_checked,
            c.leases_seen
        );
    }
    if let Some(hash) = &report.hash {
        println!("  hash {hash}");
    }
    if report.verdict == Verdict::Invalid {
        println!("\nreplay: {again} --story");
    }
}

fn matters(line: &Line, end_ns: u64) -> bool {
    let before_ns = end_ns.saturating_sub(line.at_ns);
    let by_client = line.who.starts_with("client");
    before_ns <= FULL_NS || line.fault.is_some() || before_ns <= NEAR_NS && !by_client
}

pub fn list(as_json: bool) {
    let bugs = Bug::all();
    if as_json {
        let bugs: Vec<_> =
            bugs.iter().map(|b| json!({ "name": b.name(), "room": b.room(), "built": b.built() })).collect();
        let value = json!({
            "schema": "plait.chaos-list/1",
            "profiles": PROFILES,
            "workloads": plait_world::workload::NAMES,
            "faults": FaultKind::NAMES,
            "points": Point::NAMES,
            "bugs": bugs,
        });
        return println!("{}", serde_json::to_string_pretty(&value).expect("JSON prints"));
    }
    println!("profiles   {}", PROFILES.join(", "));
    println!("workloads  {}", plait_world::workload::NAMES.join(", "));
    println!("faults     {}", FaultKind::NAMES.join(", "));
    println!("points     {}", Point::NAMES.join(", "));
    println!("bugs");
    for bug in bugs {
        let built = if bug.built() { "" } else { "  (not in this build: --features zoo)" };
        println!("  {:<24} {}{built}", bug.name(), bug.room());
    }
}
