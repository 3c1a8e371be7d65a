//! `plait chaos …`: the simulator, which is a program of its own beside this one.

use crate::cluster;
use crate::fail::{Fail, Res};
use crate::home::Place;
use std::os::unix::process::CommandExt;

/// Becomes the simulator; returns only if that failed. What was said of the cluster and of the form holds there too.
pub fn exec(args: &[String], place: &Place, json: bool) -> Fail {
    let program: Res<_> = cluster::sibling("plait-chaos");
    match program {
        Ok(program) => {
            let mut command = std::process::Command::new(&program);
            command.env("PLAIT_HOME", &place.home).env("PLAIT_NAME", &place.name);
            let asked = args.iter().any(|arg| arg == "--json");
            let e = command.args((json && !asked).then_some("--json")).args(args).exec();
            Fail::unfit(format!("can't run {}", program.display()), e.to_string())
        }
        Err(fail) => fail,
    }
}
