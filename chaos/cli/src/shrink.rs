//! Makes a failing plan small: takes out what is not needed for the same promise to be broken.
//!
//! Intuition: whoever tells of an accident leaves out the weather, unless it rained. Keyed draws make this work:
//! striking one fault, one client or one transaction moves no draw of another.
//! Invariant: each plan that is kept breaks the same promise as the first one (`invariant::same`), so it never slips
//! from one finding to another.
//! Order: whole kinds of fault, single faults, whole workloads, clients, transactions; then time; then what is left is
//! made plain: keys, bounds, clocks, delays, windows.

pub mod aloud;
mod ddmin;
mod passes;
pub mod table;

use plait_world::invariant::{Violation, same};
use plait_world::plan::Plan;
use plait_world::run::{OurBug, Report, Verdict, run};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// What one shrinking may cost.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub runs_max: u32,
    pub time_max: Duration,
}

/// Runs of the result, each of which must give the same violation and the same hash.
pub const REPLAYS: u32 = 20;

/// What came of it.
pub struct Shrunk {
    pub plan: Plan,
    pub violation: Violation,
    pub runs: u32,
    pub took: Duration,
    /// Of [`REPLAYS`] runs of the result, those that were the same as the first.
    pub replays: u32,
    /// Transactions that begin until the violation.
    pub ops: usize,
}

/// Why a step ends before it is done.
enum Halt {
    Spent,
    OurBug(OurBug),
}

impl From<OurBug> for Halt {
    fn from(why: OurBug) -> Halt {
        Halt::OurBug(why)
    }
}

struct Shrinker {
    wanted: Violation,
    plan: Plan,
    /// When the violation comes, in the plan as it is now.
    at_ns: u64,
    runs: u32,
    begun: Instant,
    budget: Budget,
    tells: bool,
}

impl Shrinker {
    /// Runs a plan, and keeps it if the same promise is broken.
    fn keeps(&mut self, next: &Plan) -> Result<bool, Halt> {
        if self.runs >= self.budget.runs_max || self.begun.elapsed() >= self.budget.time_max {
            return Err(Halt::Spent);
        }
        if next.check().is_err() {
            return Ok(false);
        }
        self.runs += 1;
        let report = run(next, false, None)?;
        let found = report.violations.first().filter(|v| same(v, &self.wanted));
        if let Some(violation) = found {
            self.plan = next.clone();
            self.at_ns = violation.at_ns;
            self.cut();
        }
        self.progress();
        Ok(found.is_some())
    }

    /// What comes after the violation plays no part in it: that needs no run.
    fn cut(&mut self) {
        let after_ms = self.at_ns / 1_000_000 + 1;
        if after_ms > self.plan.span_ms {
            return;
        }
        self.plan.span_ms = after_ms;
        self.plan.faults.retain(|fault| fault.at_ms < after_ms);
        self.plan.faults.iter_mut().for_each(|fault| fault.until_ms = fault.until_ms.min(after_ms));
        if let Some(ops) = &mut self.plan.ops {
            ops.retain(|op| op.at_ns < after_ms * 1_000_000);
        }
    }

    fn progress(&self) {
        if self.tells {
            let ops = self.plan.ops.as_ref().map_or("all".to_owned(), |ops| ops.len().to_string());
            eprint!(
                "\r{:>5} runs, {:>3} s: {:>2} faults, {ops:>4} transactions, {:>6} ms ",
                self.runs,
                self.begun.elapsed().as_secs(),
                self.plan.faults.len(),
                self.plan.span_ms
            );
            let _ = std::io::stderr().flush();
        }
    }
}

/// Shrinks a plan. `Err` in the result's place: the plan does not fail.
pub fn shrink(plan: &Plan, budget: Budget) -> Result<Result<Shrunk, Report>, OurBug> {
    let first = run(plan, false, None)?;
    let Some(wanted) = first.violations.first().cloned() else { return Ok(Err(first)) };
    let mut shrinker = Shrinker {
        at_ns: wanted.at_ns,
        wanted,
        plan: plan.clone(),
        runs: 1,
        begun: Instant::now(),
        budget,
        tells: std::io::stderr().is_terminal(),
    };
    shrinker.cut();
    match shrinker.all() {
        Ok(()) | Err(Halt::Spent) => {}
        Err(Halt::OurBug(why)) => return Err(why),
    }
    let took = shrinker.begun.elapsed();
    if shrinker.tells {
        eprintln!();
    }
    let small = Plan { commit: crate::replay::commit(), ..shrinker.plan };
    let first = run(&small, true, None)?;
    let mut replays = 0;
    for _ in 0..REPLAYS {
        let again = run(&small, true, None)?;
        replays += u32::from(again.violations == first.violations && again.hash == first.hash);
    }
    let violation = first.violations.first().cloned().unwrap_or(shrinker.wanted);
    let ops = match &small.ops {
        Some(ops) => ops.len(),
        None => plait_world::run::run_listing(&small)?.ops.len(),
    };
    Ok(Ok(Shrunk { plan: small, violation, runs: shrinker.runs, took, replays, ops }))
}

/// The verb.
pub fn verb(plan: Plan, budget: Budget, out: Option<&Path>, as_json: bool) -> Result<Verdict, OurBug> {
    let shrunk = match shrink(&plan, budget)? {
        Ok(shrunk) => shrunk,
        Err(report) => {
            eprintln!(
                "plait-chaos: seed {} is {}; there is nothing to shrink",
                plan.seed,
                report.verdict.word()
            );
            return Ok(report.verdict);
        }
    };
    let small = &shrunk.plan;
    let text = small.json();
    if let Some(out) = out {
        std::fs::write(out, &text).map_err(|why| OurBug(format!("{}: {why}", out.display())))?;
    }
    let told = aloud::tell(small)?;
    if as_json {
        let value = json!({
            "schema": "plait.shrink/2", "invariant": shrunk.violation.invariant, "violation": shrunk.violation,
            "runs": shrunk.runs, "seconds": shrunk.took.as_secs_f64(), "faults": small.faults.len(),
            "ops": shrunk.ops, "replays": shrunk.replays, "replays_of": REPLAYS, "aloud": told, "plan": small,
        });
        println!("{}", serde_json::to_string_pretty(&value).expect("JSON prints"));
    } else {
        println!(
            "{}: {} of {} faults and {} transactions left, {} ms; {} runs in {:.1} s; {} of {REPLAYS} replays the same",
            shrunk.violation.invariant,
            small.faults.len(),
            plan.faults.len(),
            shrunk.ops,
            small.span_ms,
            shrunk.runs,
            shrunk.took.as_secs_f64(),
            shrunk.replays,
        );
        told.iter().for_each(|line| println!("  {line}"));
        println!("BROKEN  {}", shrunk.violation);
        match out {
            Some(out) => println!("replay: plait-chaos replay {}", out.display()),
            None => println!("{text}"),
        }
    }
    if shrunk.replays < REPLAYS {
        eprintln!(
            "plait-chaos: the same plan does not always give the same run: look for what is not a function of it (`plait-chaos twin`)"
        );
    }
    Ok(Verdict::Invalid)
}
