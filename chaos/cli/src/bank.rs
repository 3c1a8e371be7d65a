//! The regression bank: plans that failed once and must never fail again.

use crate::cli::{Usage, read_plan};
use crate::replay::plans_in;
use plait_world::run::{Verdict, run};
use plait_world::zoo;
use serde_json::json;
use std::path::Path;

pub fn bank(dir: &Path, as_json: bool) -> Result<u8, Usage> {
    let files = plans_in(dir, "tests/seeds")?;
    zoo::release(None);
    let mut rows = Vec::new();
    let mut worst = Verdict::Valid;
    for file in &files {
        let mut plan = read_plan(file)?;
        plan.bug = None;
        let report = match run(&plan, false, None) {
            Ok(report) => report,
            Err(why) => {
                eprintln!("plait-chaos: a defect of the simulator itself: {}", why.0);
                return Ok(70);
            }
        };
        let name = file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        if !as_json {
            println!("{name}: {}", crate::cli::line(&report));
        }
        if report.verdict == Verdict::Invalid || worst == Verdict::Valid {
            worst = report.verdict;
        }
        rows.push(json!({ "file": name, "verdict": report.verdict.word(), "violations": report.violations }));
    }
    if as_json {
        println!("{}", json!({ "schema": "plait.bank/1", "verdict": worst.word(), "plans": rows }));
    } else {
        println!("{} plans: {}", files.len(), worst.word());
    }
    Ok(worst.exit_code())
}
