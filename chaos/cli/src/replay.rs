//! Runs plans again: one file, or all that a hunt has saved in a directory.

use crate::cli::{Usage, find_bug, line, read_plan};
use plait_world::plan::Plan;
use plait_world::run::{OurBug, Verdict, run};
use plait_world::zoo;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The commit that this binary was built from; empty if that is not known.
pub const COMMIT: &str = env!("PLAIT_COMMIT");

/// The commit to be written into a plan.
pub fn commit() -> Option<String> {
    (!COMMIT.is_empty()).then(|| COMMIT.to_owned())
}

/// A plan's own commit, if it is not this build's.
pub fn other_commit(plan: &Plan) -> Option<&str> {
    plan.commit.as_deref().filter(|commit| !COMMIT.is_empty() && *commit != COMMIT)
}

/// The command that runs a plan's file again.
pub fn command(file: &Path) -> String {
    format!("plait-chaos replay {}", file.display())
}

pub fn warn(plan: &Plan, file: &Path) {
    if let Some(commit) = other_commit(plan) {
        eprintln!(
            "plait-chaos: {} was written at commit {commit}, and this build is of {COMMIT}: the run may differ",
            file.display()
        );
    }
}

/// The plans of a directory, in the order of their names.
pub fn plans_in(dir: &Path, hint: &str) -> Result<Vec<PathBuf>, Usage> {
    let entries = std::fs::read_dir(dir).map_err(|why| {
        Usage(format!("{}: {why}; name a directory that holds plans ({hint})", dir.display()))
    })?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    match files.is_empty() {
        true => Err(Usage(format!("{}: there is no plan (*.json) in it", dir.display()))),
        false => Ok(files),
    }
}

/// Replays each plan of a directory, with the bug that it names.
pub fn directory(dir: &Path, as_json: bool) -> Result<Result<Verdict, OurBug>, Usage> {
    let mut rows = Vec::new();
    let mut worst = Verdict::Valid;
    let files = plans_in(dir, "what `hunt --save` wrote")?;
    for file in &files {
        let plan = read_plan(file)?;
        warn(&plan, file);
        zoo::release(plan.bug.as_deref().map(find_bug).transpose()?);
        let report = match run(&plan, true, None) {
            Ok(report) => report,
            Err(why) => return Ok(Err(why)),
        };
        let name = file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        if !as_json {
            println!("{name}: {}", line(&report));
        }
        if report.verdict == Verdict::Invalid || worst == Verdict::Valid {
            worst = report.verdict;
        }
        rows.push(json!({
            "file": name, "seed": report.seed, "verdict": report.verdict.word(), "hash": report.hash,
            "commit": plan.commit, "other_commit": other_commit(&plan).is_some(), "violations": report.violations,
        }));
    }
    if as_json {
        println!("{}", json!({ "schema": "plait.replay/1", "verdict": worst.word(), "plans": rows }));
    } else {
        println!("{} plans: {}", files.len(), worst.word());
    }
    Ok(Ok(worst))
}
