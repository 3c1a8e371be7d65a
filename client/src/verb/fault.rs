//! `cut`, `slow`, `drop`, `throttle`, `clock`, `heal`: faults of links and clocks, made and undone without root.

use crate::admin::LinkRule;
use crate::cli::Ctx;
use crate::fail::{Fail, Res};
use crate::faults;
use crate::slot::Slot;
use crate::supervise::talk::{self, Ask, Done};
use serde_json::json;
use std::time::Duration;

/// How long the supervisor has: longer than it waits for the nodes to confirm.
const FAULT_MAX: Duration = Duration::from_secs(5);

async fn make(ctx: &Ctx, verb: &'static str, links: &str, more: &str, rule: LinkRule) -> Res<()> {
    let ways = faults::ways(links)?;
    let text = format!("{verb} {links}{more}");
    stand(ctx, verb, Ask::Fault { text, ways, rule, clocks: Vec::new() }).await
}

async fn stand(ctx: &Ctx, verb: &'static str, fault: Ask) -> Res<()> {
    let done = talk::deed(&ctx.place, &fault, FAULT_MAX).await?;
    let id = done.faults.first().cloned().unwrap_or_default();
    let undo = ctx.command(&format!("heal {id}"));
    shown(ctx, verb, &done, format!(" Undo it: {undo}"));
    Ok(())
}

fn shown(ctx: &Ctx, verb: &str, done: &Done, hint: String) {
    let pending = done.pending.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    ctx.say.result(
        verb,
        json!({ "faults": done.faults, "done": done.text, "pending": done.pending }),
        || {
            let late = if pending.is_empty() {
                String::new()
            } else {
                format!("\n! {pending} does not answer; it takes effect there when it does")
            };
            format!("{} {}.{hint}{late}", ctx.say.tick(), done.text)
        },
    );
}

fn millis(span: Duration, what: &str) -> Res<u32> {
    u32::try_from(span.as_millis()).ok().filter(|ms| *ms <= 60_000).ok_or_else(|| {
        Fail::usage(format!("{what} is too long"), "at most 60 s; a longer one is a cut")
            .next("plait cut LINKS")
    })
}

pub async fn cut(ctx: &Ctx, links: &str) -> Res<()> {
    make(ctx, "cut", links, "", LinkRule { cut: true, ..LinkRule::default() }).await
}

pub async fn slow(ctx: &Ctx, links: &str, delay: Duration, jitter: Duration) -> Res<()> {
    let (delay_ms, jitter_ms) = (millis(delay, "the delay")?, millis(jitter, "the jitter")?);
    if delay_ms + jitter_ms == 0 {
        return Err(Fail::usage(
            "a delay of nothing is no fault",
            "both --delay and --jitter are below 1 ms",
        )
        .next("--delay 80ms"));
    }
    let more = format!(" by {delay_ms}±{jitter_ms} ms");
    make(ctx, "slow", links, &more, LinkRule { delay_ms, jitter_ms, ..LinkRule::default() }).await
}

pub async fn drop(ctx: &Ctx, links: &str, loss_per_mille: u32) -> Res<()> {
    let more = format!(" {}% of frames", f64::from(loss_per_mille) / 10.0);
    make(ctx, "drop", links, &more, LinkRule { loss_per_mille, ..LinkRule::default() }).await
}

pub async fn throttle(ctx: &Ctx, links: &str, rate: u64) -> Res<()> {
    make(
        ctx,
        "throttle",
        links,
        &format!(" to {}/s", crate::say::bytes(rate)),
        LinkRule { rate, ..LinkRule::default() },
    )
    .await
}

pub async fn clock(ctx: &Ctx, nodes: &[Slot], wall_ms: i64) -> Res<()> {
    let sign = if wall_ms < 0 { '-' } else { '+' };
    let span = crate::say::span(Duration::from_millis(wall_ms.unsigned_abs()));
    let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    let text = format!("clock {} {sign}{span}", names.join(","));
    let clocks = nodes.iter().map(|slot| (*slot, wall_ms)).collect();
    stand(ctx, "clock", Ask::Fault { text, ways: Vec::new(), rule: LinkRule::default(), clocks }).await
}

pub async fn heal(ctx: &Ctx, id: Option<String>) -> Res<()> {
    let done = talk::deed(&ctx.place, &Ask::Heal { id }, FAULT_MAX).await?;
    shown(ctx, "heal", &done, String::new());
    Ok(())
}
