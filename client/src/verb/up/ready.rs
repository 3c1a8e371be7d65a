//! Whether nodes serve, proved over their protocols.

use super::LOG_LINES;
use crate::cli::Ctx;
use crate::client::{Client, Policy};
use crate::cluster::{Cluster, Login};
use crate::fail::{Fail, Res};
use crate::http;
use crate::mysql;
use crate::ports::{Block, local};
use crate::script::{Script, Value};
use crate::slot::Slot;
use crate::supervise::talk::{self, NodeState};
use crate::verb::logs;
use std::time::{Duration, Instant};

/// Between two questions to a node that is not ready.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// Deadline of one question.
const ASK_MAX: Duration = Duration::from_secs(1);
/// The table in which readiness is proved: one row a node, with the token of the last proof.
const TABLE: &str = "plait_ready";

/// A node's own word: `Ok` if it serves, else why not.
pub async fn serves(block: Block, slot: Slot) -> Result<(), String> {
    match http::get(local(block.admin(slot)), "/readyz", ASK_MAX).await {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(answer.body.trim().to_owned()),
        Err(why) => Err(why),
    }
}

/// Waits for these nodes, each with a step of its own.
pub async fn nodes(
    ctx: &Ctx,
    cluster: &Cluster,
    slots: &[Slot],
    since: Instant,
    deadline: Instant,
) -> Res<()> {
    for slot in slots {
        let step = ctx.say.step_since("node", format!("{slot} serves"), since);
        node(ctx, cluster.block(), *slot, deadline, |why| step.now(why)).await?;
        step.done("");
    }
    Ok(())
}

/// Waits for one node; its end or the deadline is a failure with its log's last lines.
pub async fn node(ctx: &Ctx, block: Block, slot: Slot, deadline: Instant, waiting: impl Fn(&str)) -> Res<()> {
    let began = Instant::now();
    loop {
        let why = match serves(block, slot).await {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        waiting(&why);
        let view = talk::view(&ctx.place).await?;
        let seen = view.node(slot);
        let log = ctx.place.log(&slot.to_string());
        let tail = || format!("the last lines of {}:\n{}", log.display(), logs::tail(&log, LOG_LINES));
        if !seen.state.up() {
            let exit = seen.exit.as_deref().unwrap_or("it was not started");
            return Err(Fail::of_node(
                seen.exit_code,
                format!("{slot} ended before it was ready"),
                format!("{exit}\n{}", tail()),
            )
            .next(format!("its whole log: {}", ctx.command(&format!("logs {slot} -n 1000")))));
        }
        if Instant::now() >= deadline {
            let paused = if seen.state == NodeState::Paused { " (it is paused)" } else { "" };
            return Err(Fail::timeout(
                format!("{slot} is not ready after {:.1} s{paused}", began.elapsed().as_secs_f64()),
                format!("it says: {why}\n{}", tail()),
            )
            .next(format!("see all nodes: {}", ctx.command("status")))
            .next("give it more time: --timeout 120s"));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// A login at each node, a committed write on each, and each read back on all three.
pub async fn proof(ctx: &Ctx, cluster: &Cluster, login: &Login, deadline: Instant) -> Res<()> {
    let block = cluster.block();
    let step = ctx.say.step("proof", "a write on each node, read on all");
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(2));
    let policy = Policy { deadline: left, attempts_max: u32::MAX, ..Policy::default() };
    let client = |slot: Slot| Client::new(&[local(block.grpc(slot))]).with(policy);
    let failed = |slot: Slot, doing: &str, error: crate::Error| {
        Fail::timeout(format!("{slot} is up and did not {doing}"), error.to_string())
            .next(ctx.command("status"))
            .next(ctx.command(&format!("logs {slot}")))
    };
    make_table(&client(Slot::ALL[0]), deadline).await.map_err(|e| failed(Slot::ALL[0], "make a table", e))?;
    let token = format!("{}-{:?}", std::process::id(), std::time::SystemTime::now());
    let token = format!(
        "{:032x}",
        token.bytes().fold(0_u128, |sum, byte| sum.wrapping_mul(131).wrapping_add(byte.into()))
    );
    for slot in Slot::ALL {
        step.now(&format!("writing on {slot}"));
        let row = [Value::Int(slot.get().into()), Value::Text(token.clone())];
        let written = client(slot).transact(&Script::new().put(TABLE, row)).await;
        match written {
            Ok(_) => {}
            // Whether it happened is about to be read.
            Err(error @ crate::Error::Unknown { .. }) => ctx.say.note(&format!("{slot}: {error}")),
            Err(error) => return Err(failed(slot, "commit a write", error)),
        }
    }
    for slot in Slot::ALL {
        step.now(&format!("reading on {slot}"));
        let done = client(slot).transact(&Script::new().scan_all(TABLE, 8)).await;
        let done = done.map_err(|e| failed(slot, "answer a read", e))?;
        let rows = done.results.first().map_or(&[][..], |result| &result.rows);
        for writer in Slot::ALL {
            let want = [Value::Int(writer.get().into()), Value::Text(token.clone())];
            if !rows.iter().any(|row| *row == want) {
                return Err(Fail::bug(
                    format!("{slot} does not see what was committed on {writer}"),
                    format!("it has {rows:?} and should have the token {token}"),
                ));
            }
        }
    }
    step.done("");
    let step = ctx.say.step("login", "a SQL login at each node and at the front door");
    for port in Slot::ALL.map(|slot| block.sql(slot)).into_iter().chain([block.door()]) {
        let patience = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(2));
        mysql::ping(local(port), login, patience).await.map_err(|why| {
            Fail::timeout(format!("no SQL login at port {port}"), why)
                .next(ctx.command("status"))
                .next(ctx.command("logs"))
        })?;
    }
    step.done("");
    Ok(())
}

/// Makes the table of the proof. DDL that may or may not have happened is asked for again: it says `IF NOT EXISTS`.
async fn make_table(client: &Client, deadline: Instant) -> Result<(), crate::Error> {
    let text =
        format!("CREATE TABLE IF NOT EXISTS {TABLE} (slot INT PRIMARY KEY, token VARCHAR(64) NOT NULL)");
    loop {
        let made = match client.session().await {
            Ok(mut session) => session.sql(&text).await,
            Err(error) => Err(error),
        };
        match made {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(error) if error.retry() || matches!(error, crate::Error::Unknown { .. }) => {
                tokio::time::sleep(ASK_EVERY).await;
            }
            Err(error) => return Err(error),
        }
    }
}
