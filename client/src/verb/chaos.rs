//! `plait chaos …`: the simulator, which is a program of its own beside this one.

use crate::cluster;
use crate::fail::{Fail, Res};
use std::os::unix::process::CommandExt;

/// Becomes the simulator; returns only if that failed.
pub fn exec(args: &[String]) -> Fail {
    let program: Res<_> = cluster::sibling("plait-chaos");
    match program {
        Ok(program) => {
            let e = std::process::Command::new(&program).args(args).exec();
            Fail::unfit(format!("can't run {}", program.display()), e.to_string())
        }
        Err(fail) => fail,
    }
}
