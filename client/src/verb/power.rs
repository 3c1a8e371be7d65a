//! `power-off` and `bootstrap`: losing power, and what may be done when too much was lost.

use crate::cli::Ctx;
use crate::cluster::{self, Cluster};
use crate::fail::{Code, Fail, Res};
use crate::slot::Slot;
use crate::supervise::talk::{self, Ask};
use serde_json::json;
use std::process::Stdio;
use std::time::Duration;

const POWER_MAX: Duration = Duration::from_secs(15);
/// How long a forced recovery may take.
const BOOTSTRAP_MAX: Duration = Duration::from_secs(60);

pub async fn off(ctx: &Ctx, target: &str) -> Res<()> {
    let slots: Vec<Slot> = match target {
        "site" | "all" => {
            let view = talk::view(&ctx.place).await?;
            Slot::ALL.into_iter().filter(|slot| view.node(*slot).state.up()).collect()
        }
        node => vec![
            node.parse()
                .map_err(|fail: Fail| fail.next("or cut the whole site's power: plait power-off site"))?,
        ],
    };
    if slots.is_empty() {
        return Err(
            Fail::state("no node has power to lose", "none of the three runs").next(ctx.command("up"))
        );
    }
    let done = talk::deed(&ctx.place, &Ask::PowerOff { slots: slots.clone() }, POWER_MAX).await?;
    let back = match slots.as_slice() {
        [one] => ctx.command(&format!("start {one}")),
        _ => ctx.command("up"),
    };
    ctx.say.result("power-off", json!({ "nodes": slots, "done": done.text }), || {
        format!("{} {}.\n  back: {back}", ctx.say.tick(), done.text)
    });
    Ok(())
}

pub async fn bootstrap(ctx: &Ctx, node: Slot, accepted: bool) -> Res<()> {
    let place = &ctx.place;
    let cluster = Cluster::load(place)?;
    if talk::view(place).await.is_ok() {
        return Err(Fail::state(
            "the cluster is up",
            "bootstrap changes a node's disk while it does not run",
        )
        .next(format!(
            "{}, then {}",
            ctx.command("down"),
            ctx.command(&format!("bootstrap --node {node} --i-accept-data-loss"))
        )));
    }
    if place.is_empty(node) {
        return Err(Fail::state(
            format!("{node} has nothing to begin from"),
            format!("{} has no identity", place.node(node).display()),
        )
        .next("name a node that has its data"));
    }
    let whole: Vec<Slot> = Slot::ALL.into_iter().filter(|slot| !place.is_empty(*slot)).collect();
    if whole.len() >= 2 {
        let names = whole.iter().map(Slot::to_string).collect::<Vec<_>>().join(", ");
        return Err(Fail::state(
            "nothing needs a bootstrap",
            format!("{names} have their data, and two of three are a majority"),
        )
        .next(ctx.command("up")));
    }
    if !accepted {
        return Err(Fail::new(
            Code::Unsafe,
            format!("bootstrap from {node} is refused without an explicit yes"),
            format!("what the cluster acknowledged and {node} had not yet received is lost for good"),
        )
        .next("look for the other nodes' directories first")
        .next(ctx.command(&format!("bootstrap --node {node} --i-accept-data-loss"))));
    }
    assert!(cluster.born, "a node has an identity, so the cluster was born");
    let step = ctx.say.step("bootstrap", format!("making {node} the whole cluster"));
    let program = cluster::sibling("plait-node")?;
    let child = tokio::process::Command::new(&program)
        .args(["bootstrap", "--i-accept-data-loss", "--config"])
        .arg(place.node_config(node))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(ctx.patience(BOOTSTRAP_MAX), child).await {
        Ok(Ok(output)) => output,
        Ok(Err(e)) => return Err(Fail::unfit(format!("can't run {}", program.display()), e.to_string())),
        Err(_) => {
            return Err(Fail::timeout(
                format!("{node} did not become the whole cluster"),
                format!("it was given {} s", ctx.patience(BOOTSTRAP_MAX).as_secs()),
            )
            .next("give it more time: --timeout 5m"));
        }
    };
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Fail::state(format!("{node} can't be made the whole cluster"), why)
            .next("bring the directory of one more node back")
            .next(format!(
                "begin with nothing: {}, then {}",
                ctx.command("down --wipe"),
                ctx.command("up")
            )));
    }
    step.done("the others come back empty and are sent what it has");
    super::up::from(ctx, node).await
}
