//! The zoo's table: for each known bug, after how many seeds it is seen and by whom. It measures the harness.

use crate::cli::ToDraw;
use plait_world::run::{OurBug, Verdict, run};
use plait_world::zoo::{self, Bug};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Ranges begin this far apart.
const RANGE: u64 = 100_000;

struct Row {
    bug: Bug,
    /// Seeds that it took, by range, until one of the checks that must see it did; `None`: none did.
    found: Vec<Option<u64>>,
    seen_by: BTreeMap<String, u64>,
    /// Seeds on the way in which another check was first.
    others: BTreeMap<String, u64>,
    seconds: f64,
}

impl Row {
    fn median(&self) -> Option<u64> {
        let mut all: Vec<u64> = self.found.iter().map(|n| n.unwrap_or(u64::MAX)).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().filter(|n| *n != u64::MAX)
    }
}

pub fn table(
    bugs: &[Bug],
    seeds: u64,
    ranges: u64,
    jobs: usize,
    profile: &str,
    as_json: bool,
) -> Result<Verdict, OurBug> {
    let mut rows = Vec::new();
    if !as_json {
        println!(
            "{:<22} {:<10} {:>6} {:>7} {:>7}  {:<24} on the way",
            "bug", "room", "found", "median", "worst", "seen by what must"
        );
    }
    for bug in bugs {
        let row = one(*bug, seeds, ranges, jobs, profile)?;
        if !as_json {
            let found = row.found.iter().flatten().count();
            let or_dash = |n: Option<u64>| n.map_or("–".to_owned(), |n| n.to_string());
            let worst = row.found.iter().copied().max_by_key(|n| n.unwrap_or(u64::MAX)).flatten();
            let list = |by: &BTreeMap<String, u64>| {
                let list: Vec<String> = by.iter().map(|(name, n)| format!("{name} {n}")).collect();
                list.join(", ")
            };
            println!(
                "{:<22} {:<10} {:>6} {:>7} {:>7}  {:<24} {}",
                bug.name(),
                bug.room(),
                format!("{found}/{ranges}"),
                or_dash(row.median()),
                or_dash(worst),
                list(&row.seen_by),
                list(&row.others)
            );
        }
        rows.push(row);
    }
    zoo::release(None);
    let missed: Vec<&str> =
        rows.iter().filter(|r| r.found.iter().any(Option::is_none)).map(|r| r.bug.name()).collect();
    let medians: Vec<f64> = rows.iter().filter_map(Row::median).map(|m| (m as f64).ln()).collect();
    let mean = (medians.iter().sum::<f64>() / medians.len().max(1) as f64).exp();
    if as_json {
        let rows: Vec<_> = rows
            .iter()
            .map(|r| json!({ "bug": r.bug.name(), "room": r.bug.room(), "found": r.found, "median": r.median(), "must_be_seen_by": r.bug.must_be_seen_by(), "seen_by": r.seen_by, "others": r.others, "seconds": r.seconds }))
            .collect();
        let value = json!({ "schema": "plait.zoo/1", "profile": profile, "seeds_max": seeds, "bugs": rows, "missed": missed, "geometric_mean_of_medians": mean });
        println!("{}", serde_json::to_string_pretty(&value).expect("JSON prints"));
    } else {
        println!(
            "{} of {} seen in every range; geometric mean of medians {mean:.1} seeds",
            rows.len() - missed.len(),
            rows.len()
        );
        if !missed.is_empty() {
            println!("missed within {seeds} seeds of some range: {}", missed.join(", "));
        }
    }
    Ok(if missed.is_empty() { Verdict::Valid } else { Verdict::Invalid })
}

fn one(bug: Bug, seeds: u64, ranges: u64, jobs: usize, profile: &str) -> Result<Row, OurBug> {
    zoo::release(Some(bug));
    let draw = ToDraw { profile: profile.to_owned(), workload: None, bug: Some(bug.name().to_owned()) };
    let begun = Instant::now();
    let next = AtomicU64::new(0);
    let row = Mutex::new((vec![None; ranges as usize], BTreeMap::new(), None, BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let range = next.fetch_add(1, Ordering::Relaxed);
                    if range >= ranges {
                        return;
                    }
                    let mut others = BTreeMap::new();
                    let found = search(bug, range, seeds, &draw, &mut others);
                    let mut row = row.lock().expect("no searcher panics while it adds up");
                    for (name, n) in others {
                        *row.3.entry(name).or_default() += n;
                    }
                    match found {
                        Ok(Some((n, by))) => {
                            row.0[range as usize] = Some(n);
                            *row.1.entry(by).or_default() += 1;
                        }
                        Ok(None) => {}
                        Err(why) => row.2 = Some(why),
                    }
                }
            });
        }
    });
    let (found, seen_by, our_bug, others) = row.into_inner().expect("no searcher panics while it adds up");
    match our_bug {
        Some(why) => Err(why),
        None => Ok(Row { bug, found, seen_by, others, seconds: begun.elapsed().as_secs_f64() }),
    }
}

/// How many seeds of this range it takes until one of the checks that must see it does, and which that is.
fn search(
    bug: Bug,
    range: u64,
    seeds: u64,
    draw: &ToDraw,
    others: &mut BTreeMap<String, u64>,
) -> Result<Option<(u64, String)>, OurBug> {
    for n in 1..=seeds {
        let plan = draw.plan(range * RANGE + n);
        let twins = bug.needs_twins();
        let report = run(&plan, twins, None)?;
        let mut by = report.violations.first().map(|violation| violation.invariant.clone());
        if by.is_none() && twins && run(&plan, true, None)?.hash != report.hash {
            by = Some("twin".to_owned());
        }
        match by {
            Some(by) if bug.is_seen_by(&by) => return Ok(Some((n, by))),
            Some(by) => *others.entry(by).or_default() += 1,
            None => {}
        }
    }
    Ok(None)
}
