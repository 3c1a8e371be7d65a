//! `kill`, `start`, `stop`, `pause`, `resume`: what can be done to one node's process.

use crate::cli::Ctx;
use crate::cluster::Cluster;
use crate::fail::Res;
use crate::say;
use crate::slot::Slot;
use crate::supervise::talk::{self, Ask, Done};
use crate::verb::up::ready;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long a node has to end in good order.
const STOP_MAX: Duration = Duration::from_secs(10);
/// How long a node that was started has to serve: a snapshot may have to come first.
const START_MAX: Duration = Duration::from_secs(60);
/// How long the supervisor has for a deed that the kernel does at once.
const DEED_MAX: Duration = Duration::from_secs(10);

fn told(ctx: &Ctx, verb: &str, slot: Slot, done: &Done, hint: String) {
    ctx.say.result(verb, json!({ "node": slot, "done": done.text }), || {
        format!("{} {}.{hint}", ctx.say.tick(), done.text)
    });
}

pub async fn kill(ctx: &Ctx, slot: Slot) -> Res<()> {
    let done = talk::deed(&ctx.place, &Ask::Kill { slot }, DEED_MAX).await?;
    told(
        ctx,
        "kill",
        slot,
        &done,
        format!(" It stays down until {}.", ctx.command(&format!("start {slot}"))),
    );
    Ok(())
}

pub async fn stop(ctx: &Ctx, slot: Slot) -> Res<()> {
    let patience = ctx.patience(STOP_MAX);
    let ask = Ask::Stop { slot, patience_ms: patience.as_millis() as u64 };
    let done = talk::deed(&ctx.place, &ask, patience + talk::ANSWER_MAX).await?;
    told(
        ctx,
        "stop",
        slot,
        &done,
        format!(" It stays down until {}.", ctx.command(&format!("start {slot}"))),
    );
    Ok(())
}

pub async fn start(ctx: &Ctx, slot: Slot, no_wait: bool) -> Res<()> {
    let began = Instant::now();
    let empty = ctx.place.is_empty(slot);
    let done = talk::deed(&ctx.place, &Ask::Start { slot, alone: false }, DEED_MAX).await?;
    if empty {
        ctx.say.note(&format!(
            "{slot} has no data: it joins the others as a new incarnation and is sent all they have"
        ));
    }
    if !no_wait {
        let cluster = Cluster::load(&ctx.place)?;
        let step = ctx.say.step_since("node", format!("{slot} serves"), began);
        ready::node(ctx, cluster.block(), slot, began + ctx.patience(START_MAX), |why| step.now(why)).await?;
        step.done("");
    }
    let took = began.elapsed();
    ctx.say.result(
        "start",
        json!({ "node": slot, "done": done.text, "waited": !no_wait, "took_s": took.as_secs_f64() }),
        || {
            let serves =
                if no_wait { String::new() } else { format!(" and serves after {}", say::span(took)) };
            format!("{} {}{serves}.", ctx.say.tick(), done.text)
        },
    );
    Ok(())
}

pub async fn pause(ctx: &Ctx, slot: Slot) -> Res<()> {
    let done = talk::deed(&ctx.place, &Ask::Pause { slot }, DEED_MAX).await?;
    told(
        ctx,
        "pause",
        slot,
        &done,
        format!(" It stands still until {}.", ctx.command(&format!("resume {slot}"))),
    );
    Ok(())
}

pub async fn resume(ctx: &Ctx, slot: Slot) -> Res<()> {
    let done = talk::deed(&ctx.place, &Ask::Resume { slot }, DEED_MAX).await?;
    told(ctx, "resume", slot, &done, String::new());
    Ok(())
}
