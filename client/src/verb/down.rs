//! `plait down`: ends a cluster from whatever state it is in, and leaves nothing that runs.
//!
//! The supervisor is asked first. If it does not answer or is gone, everything that it recorded is ended by pid and
//! start time, so a stranger that has the pid now is not touched.

use crate::cli::Ctx;
use crate::fail::{Fail, Res};
use crate::home::{Lock, Place};
use crate::process::Process;
use crate::slot::Slot;
use crate::supervise::talk::{self, Ask, Pids};
use std::time::Duration;

/// How long an ordered end of three nodes may take, before they are ended one by one.
const ORDERED_MAX: Duration = Duration::from_secs(30);
/// How long another `up` or `down` of this cluster is waited for.
pub const BUSY_MAX: Duration = Duration::from_secs(60);

/// Only one `up` or `down` of a cluster at a time.
pub fn only_me(place: &Place) -> Res<Lock> {
    let lock = Lock::take(&place.run().join("verb.lock"), BUSY_MAX)?;
    lock.ok_or_else(|| {
        Fail::timeout(
            format!("another `up` or `down` of '{}' is under way", place.name),
            format!(
                "{} has been locked for {} s",
                place.run().join("verb.lock").display(),
                BUSY_MAX.as_secs()
            ),
        )
        .next("wait for it, or end it with Ctrl-C where it runs")
    })
}

pub async fn run(ctx: &Ctx, wipe: bool) -> Res<()> {
    let place = &ctx.place;
    if !place.dir().exists() {
        return Err(place.missing());
    }
    crate::home::make_dir(&place.run())?;
    let lock = only_me(place)?;
    let step = ctx.say.step("stop", "stopping the nodes in order");
    let ended = end(place).await?;
    step.done(&match ended.len() {
        0 => "nothing ran".into(),
        _ => ended.join(", "),
    });
    drop(lock);
    let dir = place.dir();
    if wipe {
        let step = ctx.say.step("wipe", format!("removing {}", dir.display()));
        std::fs::remove_dir_all(&dir).map_err(|e| Fail::file("remove", &dir, &e))?;
        step.done("");
    }
    let name = &place.name;
    ctx.say.result("down", serde_json::json!({ "name": name, "ended": ended, "wiped": wipe }), || {
        if wipe {
            format!("Cluster '{name}' is down and its data is gone.")
        } else {
            format!(
                "Cluster '{name}' is down. Its data stays in {}; {} goes on from there.",
                dir.display(),
                ctx.command("up")
            )
        }
    });
    Ok(())
}

/// Ends all that runs of a cluster; says what it was.
pub async fn end(place: &Place) -> Res<Vec<String>> {
    let before = Pids::read(place);
    let mut running: Vec<(String, Process)> = Slot::ALL
        .iter()
        .filter_map(|slot| Some((slot.to_string(), before.nodes.get(&slot.to_string())?.clone())))
        .filter(|(_, process)| process.alive())
        .collect();
    running.reverse();
    let names: Vec<String> = running.iter().map(|(name, _)| name.clone()).collect();
    // Whatever is wrong with the supervisor, the sweep below does it.
    let _ = talk::deed(place, &Ask::Down, ORDERED_MAX).await;
    if let Some(supervisor) = &before.supervisor
        && !supervisor.end(Duration::from_secs(3))
    {
        return Err(immortal("the supervisor", supervisor));
    }
    for (name, process) in &running {
        if !process.end(Duration::from_secs(3)) {
            return Err(immortal(name, process));
        }
    }
    for file in [place.socket(), place.pids()] {
        let _ = std::fs::remove_file(file);
    }
    Ok(names)
}

fn immortal(name: &str, process: &Process) -> Fail {
    Fail::timeout(format!("{name} does not end"), format!("pid {} is there 5 s after SIGKILL", process.pid))
        .next("it hangs in the kernel, on its disk most likely: see `dmesg`, then `plait down` again")
}
