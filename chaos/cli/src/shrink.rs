//! Makes a failing plan small: takes out what is not needed for the same promise to be broken.
//!
//! Keyed draws make this work: striking one fault moves no draw of another. What is left is read aloud more easily
//! than it was found.

use plait_world::plan::Plan;
use plait_world::run::{OurBug, Report, Verdict, run};
use serde_json::json;
use std::path::Path;

/// Runs of one shrinking.
const RUNS_MAX: u32 = 400;

pub fn shrink(plan: Plan, out: Option<&Path>, as_json: bool) -> Result<Verdict, OurBug> {
    let first = run(&plan, false, None)?;
    let Some(violation) = first.violations.first() else {
        eprintln!("plait-chaos: seed {} is {}; there is nothing to shrink", plan.seed, first.verdict.word());
        return Ok(first.verdict);
    };
    let wanted = violation.invariant.clone();
    let mut runs = 0;
    let mut small = plan.clone();
    let mut last = first;
    while let Some((next, report)) = step(&small, &wanted, &mut runs)? {
        (small, last) = (next, report);
    }
    let text = small.json();
    if let Some(out) = out {
        std::fs::write(out, &text).map_err(|why| OurBug(format!("{}: {why}", out.display())))?;
    }
    let kept: Vec<String> = small.faults.iter().map(|f| f.kind.say()).collect();
    if as_json {
        let value = json!({ "schema": "plait.shrink/1", "invariant": wanted, "runs": runs, "plan": small, "violation": last.violations.first() });
        println!("{}", serde_json::to_string_pretty(&value).expect("JSON prints"));
    } else {
        println!(
            "{wanted}: {} of {} faults and {} of {} workloads left after {runs} runs, in {} ms",
            small.faults.len(),
            plan.faults.len(),
            small.loads.len(),
            plan.loads.len(),
            small.span_ms
        );
        for (fault, said) in small.faults.iter().zip(&kept) {
            println!("  {:>6.2}–{:.2} s  {said}", fault.at_ms as f64 / 1e3, fault.until_ms as f64 / 1e3);
        }
        last.violations.iter().for_each(|v| println!("BROKEN  {v}"));
        match out {
            Some(out) => println!("replay: plait-chaos run --plan {}", out.display()),
            None => println!("{text}"),
        }
    }
    Ok(Verdict::Invalid)
}

/// The first smaller plan that still breaks the same promise.
fn step(plan: &Plan, wanted: &str, runs: &mut u32) -> Result<Option<(Plan, Report)>, OurBug> {
    let mut smaller: Vec<Plan> = Vec::new();
    let mut with = |change: &dyn Fn(&mut Plan)| {
        let mut next = plan.clone();
        change(&mut next);
        smaller.push(next);
    };
    if plan.faults.len() > 2 {
        let half = plan.faults.len() / 2;
        with(&|p| p.faults.truncate(half));
        with(&|p| drop(p.faults.drain(..half)));
    }
    for i in (0..plan.faults.len()).rev() {
        with(&|p| _ = p.faults.remove(i));
    }
    if plan.loads.len() > 1 {
        for i in 0..plan.loads.len() {
            with(&|p| _ = p.loads.remove(i));
        }
    }
    for next in smaller {
        if *runs >= RUNS_MAX {
            return Ok(None);
        }
        *runs += 1;
        let report = run(&next, false, None)?;
        if report.violations.first().is_some_and(|v| v.invariant == wanted) {
            return Ok(Some((next, report)));
        }
    }
    Ok(None)
}
