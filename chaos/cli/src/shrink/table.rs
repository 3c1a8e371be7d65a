//! The zoo shrunk: for each planted bug the first seed that shows it, made small. It measures the shrinking.

use super::{Budget, REPLAYS, shrink};
use crate::cli::ToDraw;
use plait_world::run::{OurBug, Verdict, run};
use plait_world::zoo::{self, Bug};
use serde_json::json;
use std::path::Path;

struct Row {
    bug: Bug,
    seed: u64,
    invariant: String,
    faults: usize,
    ops: usize,
    span_ms: u64,
    runs: u32,
    seconds: f64,
    replays: u32,
}

pub fn table(
    bugs: &[Bug],
    seeds: u64,
    budget: Budget,
    profile: &str,
    save: Option<&Path>,
    as_json: bool,
) -> Result<Verdict, OurBug> {
    let mut rows = Vec::new();
    let mut missed = Vec::new();
    if !as_json {
        println!(
            "{:<22} {:<10} {:>6} {:>7} {:>7} {:>7} {:>6} {:>8} {:>9}",
            "bug", "seen by", "seeds", "faults", "trans.", "ms", "runs", "seconds", "replays"
        );
    }
    for bug in bugs {
        zoo::release(Some(*bug));
        let Some(row) = one(*bug, seeds, budget, profile, save)? else {
            missed.push(bug.name());
            if !as_json {
                println!("{:<22} –  not seen within {seeds} seeds", bug.name());
            }
            continue;
        };
        if !as_json {
            println!(
                "{:<22} {:<10} {:>6} {:>7} {:>7} {:>7} {:>6} {:>8.1} {:>9}",
                row.bug.name(),
                row.invariant,
                row.seed,
                row.faults,
                row.ops,
                row.span_ms,
                row.runs,
                row.seconds,
                format!("{}/{REPLAYS}", row.replays)
            );
        }
        rows.push(row);
    }
    zoo::release(None);
    let faults = median(rows.iter().map(|row| row.faults));
    let ops = median(rows.iter().map(|row| row.ops));
    if as_json {
        let list: Vec<_> = rows
            .iter()
            .map(|r| json!({ "bug": r.bug.name(), "seed": r.seed, "invariant": r.invariant, "faults": r.faults, "ops": r.ops, "span_ms": r.span_ms, "runs": r.runs, "seconds": r.seconds, "replays": r.replays }))
            .collect();
        let value = json!({ "schema": "plait.shrink-zoo/1", "replays_of": REPLAYS, "bugs": list, "missed": missed, "median_faults": faults, "median_ops": ops });
        println!("{}", serde_json::to_string_pretty(&value).expect("JSON prints"));
    } else {
        println!("{} of {} bugs; median {faults} faults, {ops} transactions", rows.len(), bugs.len());
    }
    let same = rows.iter().all(|row| row.replays == REPLAYS || row.bug.needs_twins());
    Ok(if missed.is_empty() && same { Verdict::Valid } else { Verdict::Invalid })
}

fn median(numbers: impl Iterator<Item = usize>) -> usize {
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}

fn one(
    bug: Bug,
    seeds: u64,
    budget: Budget,
    profile: &str,
    save: Option<&Path>,
) -> Result<Option<Row>, OurBug> {
    let draw = ToDraw { profile: profile.to_owned(), workload: None, bug: Some(bug.name().to_owned()) };
    for seed in 1..=seeds {
        let plan = draw.plan(seed);
        let report = run(&plan, false, None)?;
        let seen = report.violations.first().map(|violation| violation.invariant.as_str());
        if !seen.is_some_and(|by| bug.is_seen_by(by)) {
            continue;
        }
        // What does not repeat may not fail a second time.
        let Ok(shrunk) = shrink(&plan, budget)? else { continue };
        if let Some(dir) = save {
            let file = dir.join(format!("{}.json", bug.name()));
            std::fs::create_dir_all(dir)
                .and_then(|()| std::fs::write(&file, shrunk.plan.json()))
                .map_err(|why| OurBug(format!("{}: {why}", file.display())))?;
        }
        return Ok(Some(Row {
            bug,
            seed,
            invariant: shrunk.violation.invariant.clone(),
            faults: shrunk.plan.faults.len(),
            ops: shrunk.ops,
            span_ms: shrunk.plan.span_ms,
            runs: shrunk.runs,
            seconds: shrunk.took.as_secs_f64(),
            replays: shrunk.replays,
        }));
    }
    Ok(None)
}
