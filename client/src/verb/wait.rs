//! `plait wait`: for scripts that need the cluster in a state and no sleeps.

use crate::account;
use crate::cli::Ctx;
use crate::cluster::Cluster;
use crate::fail::{Fail, Res};
use crate::say;
use crate::slot::Slot;
use crate::supervise::talk;
use crate::verb::up::ready;
use clap::ValueEnum;
use serde_json::json;
use std::time::{Duration, Instant};

const WAIT_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const ASK_MAX: Duration = Duration::from_millis(700);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// All three nodes serve (or the one that is named)
    Ready,
    /// At least two of three serve
    Available,
    /// All that run stand at the same position with the same hash chain
    Equal,
    /// The supervisor is gone and nothing runs
    Down,
}

pub async fn run(ctx: &Ctx, what: What, node: Option<Slot>) -> Res<()> {
    let began = Instant::now();
    let patience = ctx.patience(WAIT_MAX);
    let word = what.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let step = ctx.say.step("wait", format!("waiting for {word}"));
    let mut seen = String::new();
    loop {
        match holds(ctx, what, node).await? {
            Ok(()) => break,
            Err(why) if began.elapsed() >= patience => {
                return Err(Fail::timeout(format!("not {word} after {}", say::span(patience)), why)
                    .next(ctx.command("status"))
                    .next("wait longer: --timeout 5m"));
            }
            Err(why) if why != seen => {
                step.now(&why);
                seen = why;
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    step.done("");
    let took = began.elapsed();
    ctx.say.result("wait", json!({ "for": word, "node": node, "took_s": took.as_secs_f64() }), || {
        format!("{} {word} after {}", ctx.say.tick(), say::span(took))
    });
    Ok(())
}

async fn holds(ctx: &Ctx, what: What, node: Option<Slot>) -> Res<Result<(), String>> {
    if what == What::Down {
        let pids = talk::Pids::read(&ctx.place);
        let alive: Vec<String> = pids
            .supervisor
            .iter()
            .chain(pids.nodes.values())
            .filter(|p| p.alive())
            .map(|p| p.pid.to_string())
            .collect();
        return Ok(if alive.is_empty() { Ok(()) } else { Err(format!("pids {} run", alive.join(", "))) });
    }
    let cluster = Cluster::load(&ctx.place)?;
    let block = cluster.block();
    match what {
        What::Ready | What::Available => {
            let slots: Vec<Slot> = node.map_or_else(|| Slot::ALL.to_vec(), |slot| vec![slot]);
            let mut not = Vec::new();
            for slot in &slots {
                if let Err(why) = ready::serves(block, *slot).await {
                    not.push(format!("{slot}: {why}"));
                }
            }
            let enough =
                if what == What::Available && node.is_none() { not.len() <= 1 } else { not.is_empty() };
            Ok(if enough { Ok(()) } else { Err(not.join("; ")) })
        }
        What::Equal => {
            let accounts = account::all(block, ASK_MAX).await;
            let heads: Vec<(Option<u64>, Option<String>)> = accounts
                .iter()
                .filter(|a| a.answered())
                .map(|a| (a.number("seqno"), a.text("chain")))
                .collect();
            let equal = heads.len() >= 2 && heads.iter().all(|head| *head == heads[0]);
            let shown: Vec<String> = accounts
                .iter()
                .map(|a| format!("{} at {}", a.slot, a.text("seqno").unwrap_or_else(|| "?".into())))
                .collect();
            Ok(if equal { Ok(()) } else { Err(shown.join(", ")) })
        }
        What::Down => unreachable!("it was answered above"),
    }
}
