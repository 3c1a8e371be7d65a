//! Before and after the load: tables are made and seen by all, nodes are whole again, and each is read a last time.

use crate::conn::Connection;
use crate::drive::{Floor, one, take};
use crate::fail::{Code, Fail, Res};
use crate::target::{Node, Target};
use plait_load::{Answer, End, Outcome, Run, Workload};
use serde_json::Value;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How long the tables may take to be made and to be seen on every node.
const SETUP_MAX: Duration = Duration::from_secs(60);
/// How long each node may take to give its last reads.
const LAST_READS_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Errors by which a server says that it will never do this.
const NEVER: &[u16] = &[1044, 1045, 1049, 1064, 1142, 1227, 1235];

/// Held while a run works on its servers.
pub struct Alone {
    path: PathBuf,
    _locked: File,
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Whoever is told that it is locked meanwhile has come too early, and may come again.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Two runs at once would drop each other's tables and heal each other's faults: who comes second is refused. `None`:
/// there is no place for a lock, which is no reason not to run.
pub fn alone(target: &Target) -> Res<Option<Alone>> {
    let Some(Node { host, port, .. }) = target.nodes.first() else { return Ok(None) };
    let path = std::env::temp_dir().join(format!("plait-chaos-live-{host}-{port}.lock"));
    let Ok(file) = File::options().write(true).create(true).truncate(false).open(&path) else {
        return Ok(None);
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(Alone { path, _locked: file })),
        Err(TryLockError::WouldBlock) => Err(Fail::unfit(
            "another live run works on these servers",
            format!("it holds {}", path.display()),
        )
        .next("wait for its end")
        .next("make another cluster: plait --name other up; plait --name other chaos live")),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Whether every node takes a login, before anything is done.
pub async fn reach(target: &Target, deadline: Duration) -> Res<()> {
    for node in &target.nodes {
        if let Err(why) = Connection::open(node, &target.login, deadline).await {
            let what = format!("{} ({}:{}) takes no login", node.name, node.host, node.port);
            return Err(match target.plait {
                Some(_) => Fail::unfit(what, why).next("start what does not run: plait up"),
                None => Fail::unfit(what, why)
                    .next("check address, user, password and database of the target")
                    .next("look whether that server runs"),
            });
        }
    }
    Ok(())
}

/// Makes the tables and waits until every node shows what is in them.
pub async fn tables(workload: &dyn Workload, target: &Target, deadline: Duration) -> Res<()> {
    let until = Instant::now() + SETUP_MAX;
    let failed = |why: String| {
        Fail::unfit(format!("the tables of {} can't be made", workload.name()), why)
            .next("look at the nodes: plait status")
            .next("check user, password and database of the target")
    };
    let mut at = 0;
    loop {
        let node = &target.nodes[at % target.nodes.len()];
        match make(workload, node, target, deadline).await {
            Ok(()) => break,
            Err((why, true)) => return Err(failed(why)),
            Err((why, false)) if Instant::now() >= until => return Err(failed(why)),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
        at += 1;
    }
    let first = at % target.nodes.len();
    loop {
        match alike(workload, first, target, deadline).await {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() >= until => {
                return Err(Fail::new(
                    Code::TimedOut,
                    "the nodes do not show the same new tables",
                    format!("{why}, after {} s", SETUP_MAX.as_secs()),
                )
                .next("look whether the nodes are of one cluster"));
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The error says whether trying again is of no use.
async fn make(
    workload: &dyn Workload,
    node: &Node,
    target: &Target,
    deadline: Duration,
) -> Result<(), (String, bool)> {
    let mut connection = Connection::open(node, &target.login, deadline).await.map_err(|why| (why, false))?;
    for statement in workload.schema() {
        match connection.ask(&statement, deadline).await {
            Answer::Done(_) => {}
            Answer::Refused { code, text } => {
                return Err((
                    format!("{}: {code}: {text}, at: {statement}", node.name),
                    NEVER.contains(&code),
                ));
            }
            Answer::Lost(why) => return Err((format!("{}: {why}", node.name), false)),
        }
    }
    Ok(())
}

/// Whether every node shows what the first does.
async fn alike(
    workload: &dyn Workload,
    first: usize,
    target: &Target,
    deadline: Duration,
) -> Result<(), String> {
    let wanted = seen(workload, &target.nodes[first], target, deadline).await?;
    for node in &target.nodes {
        if seen(workload, node, target, deadline).await? != wanted {
            return Err(format!("{} and {} differ", target.nodes[first].name, node.name));
        }
    }
    Ok(())
}

/// What the last reads give on one node, unrecorded.
async fn seen(
    workload: &dyn Workload,
    node: &Node,
    target: &Target,
    deadline: Duration,
) -> Result<Vec<Value>, String> {
    let mut connection = Connection::open(node, &target.login, deadline).await?;
    let mut values = Vec::new();
    for txn in workload.last_reads() {
        let end = take(&mut Run::new(txn), &mut connection, deadline).await;
        match end.outcome {
            Outcome::Yes => values.push(end.value),
            _ => return Err(format!("{}: {}", node.name, end.error.unwrap_or_default())),
        }
    }
    Ok(values)
}

/// Waits until nodes that replicate after they have answered (Galera) show the same; the error says that they did not.
pub async fn settled(workload: &dyn Workload, target: &Target, deadline: Duration) -> Result<(), String> {
    let until = Instant::now() + LAST_READS_MAX;
    loop {
        match alike(workload, 0, target, deadline).await {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() >= until => return Err(why),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The last reads of every node, recorded; client `first + i` reads on node `i`. The errors name nodes that did not answer.
pub async fn last_reads(workload: &dyn Workload, floor: &Floor, first: usize) -> Vec<String> {
    let mut silent = Vec::new();
    for node in 0..floor.target.nodes.len() {
        let until = Instant::now() + LAST_READS_MAX;
        if let Err(why) = read_node(workload, floor, first + node, node, until).await {
            silent.push(format!("{} gave no last read: {why}", floor.target.nodes[node].name));
        }
    }
    silent
}

async fn read_node(
    workload: &dyn Workload,
    floor: &Floor,
    client: usize,
    node: usize,
    until: Instant,
) -> Result<(), String> {
    let mut connection: Option<Connection> = None;
    let mut left = workload.last_reads().into_iter();
    let mut number = 0;
    let mut next = left.next();
    while let Some(txn) = next.take() {
        let end = attempt(txn, &mut connection, floor, client, node).await;
        match end {
            Ok(End { outcome: Outcome::Yes, .. }) => {
                number += 1;
                next = left.next();
                continue;
            }
            Ok(end) if Instant::now() >= until => return Err(end.error.unwrap_or_default()),
            Err(why) if Instant::now() >= until => return Err(why),
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
        // The same once more: a transaction can be run once only.
        left = workload.last_reads().into_iter();
        next = left.nth(number);
    }
    Ok(())
}

async fn attempt(
    txn: plait_load::Txn,
    connection: &mut Option<Connection>,
    floor: &Floor,
    client: usize,
    node: usize,
) -> Result<End, String> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(&floor.target.nodes[node], &floor.target.login, floor.deadline).await?,
    };
    let end = one(txn, client, node, &mut open, floor).await;
    if end.reusable {
        *connection = Some(open);
    }
    Ok(end)
}
