//! Many seeds, on several threads that share nothing but the next seed's number.
//!
//! Stops at the first violation, or goes on and lists them. Says at the end how many seeds an hour that was, in how
//! many of them each kind of fault had an effect and each mark was reached, and how many runs were as busy as their
//! profile promises. A hunt that is long enough to show all that and does not is no proof of anything: *unknown*.

use crate::cli::ToDraw;
use crate::replay;
use plait_world::marks::Mark;
use plait_world::plan::{FaultKind, Plan, Point};
use plait_world::run::{OurBug, Report, Verdict, run};
use serde_json::json;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub struct Hunt {
    pub seeds: Range<u64>,
    pub what: ToDraw,
    pub jobs: usize,
    pub time: Option<Duration>,
    pub all: bool,
    pub save: Option<PathBuf>,
}

#[derive(Default)]
struct Sum {
    seeds: u64,
    unknown: Vec<u64>,
    /// Valid runs that were less busy than their profile promises, and what each lacked.
    weak: Vec<(u64, String)>,
    failed: Vec<(u64, String, String)>,
    yes: u64,
    attempts: u64,
    no: u64,
    unknown_outcomes: u64,
    reads: u64,
    events: u64,
    with_fault: [u64; FaultKind::NAMES.len()],
    with_mark: Vec<u64>,
    at_point: [u64; Point::ALL.len()],
    deaths: u64,
    snapshots: u64,
    checkpoints: u64,
    torn_tails: u64,
    duplicates: u64,
    healed_max_ms: u64,
    /// Requests to two sound nodes, the longest wait among them, and the seed that had it.
    waits: u64,
    longest_wait: (u64, u64),
    our_bug: Option<OurBug>,
}

impl Sum {
    fn take(&mut self, report: &Report) {
        let c = &report.counts;
        self.seeds += 1;
        self.yes += c.yes;
        self.no += c.no;
        self.unknown_outcomes += c.unknown;
        self.attempts += report.attempts();
        self.reads += c.reads;
        self.events += c.events;
        self.deaths += c.deaths;
        self.snapshots += c.snapshots;
        self.checkpoints += c.checkpoints;
        self.torn_tails += c.torn_tails;
        self.duplicates += c.duplicates_answered;
        self.waits += c.waits_judged;
        self.longest_wait = self.longest_wait.max((c.longest_wait_ms, report.seed));
        self.healed_max_ms = self.healed_max_ms.max(c.healed_after_ms);
        if let (Some(why), Verdict::Valid) = (&report.weakness, report.verdict) {
            self.weak.push((report.seed, why.clone()));
        }
        for (sum, effect) in self.with_fault.iter_mut().zip(report.faults_in_effect) {
            *sum += u64::from(effect > 0);
        }
        for (sum, struck) in self.at_point.iter_mut().zip(report.at_point) {
            *sum += u64::from(struck);
        }
        self.with_mark.resize(Mark::ALL.len(), 0);
        for (sum, mark) in self.with_mark.iter_mut().zip(Mark::ALL) {
            *sum += u64::from(report.marks.has(*mark));
        }
        match report.verdict {
            Verdict::Valid => {}
            Verdict::Unknown => self.unknown.push(report.seed),
            Verdict::Invalid => {
                let violation = report.violations.first().expect("an invalid run has a violation");
                self.failed.push((report.seed, violation.invariant.clone(), violation.to_string()));
            }
        }
    }
}

/// From so many seeds of the standard profile on, each kind of fault must have been in effect in this share of them, in
/// percent, and each mark must have been reached.
const FULL_SEEDS: u64 = 1000;
const EFFECT_PERCENT_MIN: u64 = 5;

impl Sum {
    /// Kinds of fault that were in effect too seldom.
    fn seldom(&self) -> Vec<&'static str> {
        let names = FaultKind::NAMES.iter().zip(self.with_fault);
        names.filter(|(_, n)| n * 100 < self.seeds * EFFECT_PERCENT_MIN).map(|(name, _)| *name).collect()
    }

    /// Marks that were never reached.
    fn unreached(&self) -> Vec<&'static str> {
        let names = Mark::NAMES.iter().zip(&self.with_mark);
        names.filter(|(_, n)| **n == 0).map(|(name, _)| *name).collect()
    }
}

/// Failing seeds that are printed; the rest is counted.
const SHOWN_MAX: usize = 20;

pub fn hunt(hunt: &Hunt, as_json: bool) -> Result<Verdict, OurBug> {
    let begun = Instant::now();
    let next = AtomicU64::new(hunt.seeds.start);
    let stop = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..hunt.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= hunt.seeds.end || hunt.time.is_some_and(|t| begun.elapsed() > t) {
                        return;
                    }
                    let plan = hunt.what.plan(seed);
                    let result = run(&plan, false, None);
                    let mut sum = sum.lock().expect("no hunter panics while it adds up");
                    match result {
                        Ok(report) => {
                            sum.take(&report);
                            if report.verdict == Verdict::Invalid {
                                stop.store(!hunt.all, Ordering::Relaxed);
                                if !as_json && sum.failed.len() <= SHOWN_MAX {
                                    println!(
                                        "{}\n  replay: {}",
                                        crate::cli::line(&report),
                                        hunt.what.command(seed)
                                    );
                                }
                                if let Some(dir) = &hunt.save {
                                    let file = dir.join(format!("{seed:06}.json"));
                                    let plan = Plan { commit: replay::commit(), ..plan };
                                    let saved = std::fs::create_dir_all(dir)
                                        .and_then(|()| std::fs::write(&file, plan.json()));
                                    if let Err(why) = saved {
                                        eprintln!(
                                            "plait-chaos: the plan of seed {seed} was not saved: {}: {why}",
                                            file.display()
                                        );
                                    }
                                }
                            }
                        }
                        Err(why) => {
                            stop.store(true, Ordering::Relaxed);
                            sum.our_bug.get_or_insert(why);
                        }
                    }
                }
            });
        }
    });
    let took = begun.elapsed();
    let mut sum = sum.into_inner().expect("no hunter panics while it adds up");
    if let Some(why) = sum.our_bug.take() {
        return Err(why);
    }
    let full = sum.seeds >= FULL_SEEDS && hunt.what.profile == "swarm-std" && hunt.what.workload.is_none();
    let thin = full && !(sum.seldom().is_empty() && sum.unreached().is_empty());
    let verdict = match () {
        // What a long hunt never came by, it has not judged: it fails, for else nobody would notice.
        _ if !sum.failed.is_empty() || thin => Verdict::Invalid,
        _ if sum.seeds == 0 || sum.unknown.len() as u64 * 2 > sum.seeds => Verdict::Unknown,
        _ => Verdict::Valid,
    };
    show(hunt, &sum, took, verdict, as_json);
    Ok(verdict)
}

fn show(hunt: &Hunt, sum: &Sum, took: Duration, verdict: Verdict, as_json: bool) {
    let seconds = took.as_secs_f64().max(1e-9);
    let per_hour = (sum.seeds as f64 / seconds * 3600.0) as u64;
    let cpu = cpu_seconds();
    let seeds = sum.seeds.max(1);
    let share = |n: u64| n as f64 * 100.0 / seeds as f64;
    if as_json {
        let faults: serde_json::Map<String, serde_json::Value> =
            FaultKind::NAMES.iter().zip(sum.with_fault).map(|(n, k)| ((*n).to_owned(), json!(k))).collect();
        let failed: Vec<_> = sum
            .failed
            .iter()
            .map(|(seed, invariant, what)| json!({ "seed": seed, "invariant": invariant, "what": what, "replay": hunt.what.command(*seed) }))
            .collect();
        let points: serde_json::Map<String, serde_json::Value> =
            Point::NAMES.iter().zip(sum.at_point).map(|(n, k)| ((*n).to_owned(), json!(k))).collect();
        let marks: serde_json::Map<String, serde_json::Value> =
            Mark::NAMES.iter().zip(&sum.with_mark).map(|(n, k)| ((*n).to_owned(), json!(k))).collect();
        let value = json!({
            "schema": "plait.hunt/1", "profile": hunt.what.profile, "bug": hunt.what.bug, "verdict": verdict.word(),
            "seeds": sum.seeds, "failed": failed, "unknown": sum.unknown, "below_profile": sum.weak.len(),
            "yes": sum.yes, "no": sum.no, "unknown_outcomes": sum.unknown_outcomes, "reads": sum.reads,
            "seeds_with_fault_in_effect": faults, "faults_too_seldom": sum.seldom(),
            "struck_at_point": points, "seeds_with_mark": marks, "marks_unreached": sum.unreached(), "seconds": seconds, "seeds_per_hour": per_hour,
            "waits_judged": sum.waits, "longest_wait_ms": sum.longest_wait.0, "longest_wait_seed": sum.longest_wait.1, "cpu_seconds": cpu, "healed_max_ms": sum.healed_max_ms,
        });
        return println!("{}", serde_json::to_string_pretty(&value).expect("JSON prints"));
    }
    println!(
        "{} seeds of {}: {} failed, {} unknown, {} below the profile's measure; {seconds:.1} s, {per_hour} seeds an hour",
        sum.seeds,
        hunt.what.profile,
        sum.failed.len(),
        sum.unknown.len(),
        sum.weak.len()
    );
    println!(
        "  {:.0} transactions a seed attempted, {:.0} % yes, {:.1} % unknown; {:.0} reads; {:.0} committed a CPU second; {:.0} events a seed",
        sum.attempts as f64 / seeds as f64,
        sum.yes as f64 * 100.0 / sum.attempts.max(1) as f64,
        sum.unknown_outcomes as f64 * 100.0 / sum.attempts.max(1) as f64,
        sum.reads as f64 / seeds as f64,
        sum.yes as f64 / cpu.max(1e-9),
        sum.events as f64 / seeds as f64,
    );
    println!(
        "  a seed has {:.1} deaths, {:.1} checkpoints, {:.2} snapshots, {:.2} torn tails, {:.2} duplicates; healing took at most {} ms; of {:.0} requests to two sound nodes the slowest took {} ms (seed {})",
        sum.deaths as f64 / seeds as f64,
        sum.checkpoints as f64 / seeds as f64,
        sum.snapshots as f64 / seeds as f64,
        sum.torn_tails as f64 / seeds as f64,
        sum.duplicates as f64 / seeds as f64,
        sum.healed_max_ms,
        sum.waits as f64 / seeds as f64,
        sum.longest_wait.0,
        sum.longest_wait.1
    );
    println!("  fault in effect      seeds       %");
    for (name, n) in FaultKind::NAMES.iter().zip(sum.with_fault) {
        let few = if n * 100 < seeds * EFFECT_PERCENT_MIN { "  too seldom" } else { "" };
        println!("  {name:<18} {n:>7} {:>7.1}{few}", share(n));
    }
    println!("  struck at point      times");
    for (name, n) in Point::NAMES.iter().zip(sum.at_point) {
        println!("  {name:<18} {n:>7}");
    }
    println!("  mark reached                                        seeds       %");
    for (name, n) in Mark::NAMES.iter().zip(&sum.with_mark) {
        println!("  {name:<49} {n:>7} {:>7.1}{}", share(*n), if *n == 0 { "  never" } else { "" });
    }
    let (seldom, unreached) = (sum.seldom(), sum.unreached());
    if !seldom.is_empty() {
        println!("  in effect in less than {EFFECT_PERCENT_MIN} % of the seeds: {}", seldom.join(", "));
    }
    if !unreached.is_empty() {
        println!("  never reached: {}", unreached.join(", "));
    }
    let mut by_invariant = std::collections::BTreeMap::<&str, u64>::new();
    sum.failed.iter().for_each(|(_, invariant, _)| *by_invariant.entry(invariant).or_default() += 1);
    if !by_invariant.is_empty() {
        let list: Vec<String> = by_invariant.iter().map(|(name, n)| format!("{name} {n}")).collect();
        println!("  broken: {}", list.join(", "));
        let seeds: Vec<String> =
            sum.failed.iter().take(SHOWN_MAX * 2).map(|(seed, ..)| seed.to_string()).collect();
        println!("  seeds: {}", seeds.join(" "));
    }
    for (seed, why) in sum.weak.iter().take(SHOWN_MAX) {
        println!("  below measure: seed {seed}, {why}");
    }
    if !sum.unknown.is_empty() {
        let seeds: Vec<String> = sum.unknown.iter().take(SHOWN_MAX).map(u64::to_string).collect();
        println!("  unknown: {}", seeds.join(" "));
    }
    println!("{}", verdict.word());
}

/// CPU time of this process so far.
fn cpu_seconds() -> f64 {
    // utime and stime are the 14th and 15th fields, counted in hundredths of a second on every Linux.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}
