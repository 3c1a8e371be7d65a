//! `plait debug`: a node's files in words. The formats belong to `plait-node`, which prints them.

use crate::cli::{Ctx, DebugVerb};
use crate::cluster;
use crate::fail::{Code, Fail, Res};
use crate::say;
use std::process::{Command, Stdio};

pub fn run(ctx: &Ctx, verb: &DebugVerb) -> Res<()> {
    let (what, node) = match verb {
        DebugVerb::Log { node } => ("log", *node),
        DebugVerb::Checkpoint { node } => ("checkpoint", *node),
    };
    if !ctx.place.exists() {
        return Err(ctx.place.missing());
    }
    let program = cluster::sibling("plait-node")?;
    let output = Command::new(&program)
        .args(["debug", what])
        .arg(ctx.place.node(node))
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Fail::unfit(format!("can't run {}", program.display()), e.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let code = match output.status.code() {
            Some(5) => Code::Unfit,
            Some(2) => Code::Usage,
            _ => Code::WrongState,
        };
        if !text.is_empty() && !ctx.say.json {
            say::print_line(text.trim_end());
        }
        return Err(Fail::new(
            code,
            format!("{node}'s {what} can't be shown to its end"),
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )
        .next(format!("its files are as they were, in {}", ctx.place.node(node).display())));
    }
    let lines: Vec<&str> = text.lines().collect();
    ctx.say
        .result("debug", serde_json::json!({ "node": node, "what": what, "lines": lines }), || text.clone());
    Ok(())
}
