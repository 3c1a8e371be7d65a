//! A small plan read aloud: what breaks, what that does, and what clients are told, one line each.

use plait_world::plan::Plan;
use plait_world::run::{OurBug, run};
use plait_world::world::story::{Level, Line};

/// More lines than this are not read aloud; they are counted.
const LINES_MAX: usize = 60;

/// Runs the plan once more and tells it.
pub fn tell(plan: &Plan) -> Result<Vec<String>, OurBug> {
    let report = run(plan, false, Some(Level::Story))?;
    // How the nodes come up is no part of the tale.
    let first_ms = plan.faults.iter().map(|fault| fault.at_ms);
    let first_ms =
        first_ms.chain(plan.ops.iter().flatten().map(|op| op.at_ns / 1_000_000)).min().unwrap_or(0);
    let told = report.story.iter().filter(|line| line.at_ns >= first_ms * 1_000_000);
    let told: Vec<&Line> = told.filter(|line| is_told(line)).collect();
    let skipped = told.len().saturating_sub(LINES_MAX);
    let mut lines = Vec::new();
    if skipped > 0 {
        lines.push(format!("({skipped} lines before are left out; `replay --story` has all)"));
    }
    lines.extend(told.iter().skip(skipped).map(|line| line.to_string()));
    Ok(lines)
}

/// Faults, deaths and starts, who leads, and what clients were told.
fn is_told(line: &Line) -> bool {
    let by_node = ["starts", "stops itself", "its process", "its machine", "cannot use"];
    let events = [
        "elected",
        "stepped_down",
        "handed_over",
        "lease_refused",
        "snapshot_",
        "torn_tail_cut",
        "member_removed",
        "voter_added",
        "entry_refused",
        "log_cut",
        "checkpoint_",
        "disk_",
    ];
    line.fault.is_some()
        || line.who.starts_with("client")
        || by_node.iter().chain(&events).any(|start| line.what.starts_with(start))
}
