//! What the supervisor is asked and what it answers: one line of JSON each way, over a socket in the cluster's directory.

use crate::admin::LinkRule;
use crate::fail::{Fail, Res};
use crate::faults::{Fault, Way};
use crate::home::Place;
use crate::process::Process;
use crate::slot::Slot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Longest line either side takes.
pub const LINE_BYTES_MAX: u64 = 256 << 10;
/// How long a supervisor may take to accept and to answer what does not wait for a node.
pub const ANSWER_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Ask {
    View,
    /// The cluster is ready and stays when `up` ends.
    Keep,
    Start {
        slot: Slot,
        /// This node was made the beginning of the cluster, so the others may be empty.
        #[serde(default)]
        alone: bool,
    },
    Kill {
        slot: Slot,
    },
    Stop {
        slot: Slot,
        patience_ms: u64,
    },
    Pause {
        slot: Slot,
    },
    Resume {
        slot: Slot,
    },
    PowerOff {
        slots: Vec<Slot>,
    },
    Fault {
        text: String,
        ways: Vec<Way>,
        rule: LinkRule,
        #[serde(default)]
        clocks: Vec<(Slot, i64)>,
    },
    /// Undoes one fault, or all.
    Heal {
        id: Option<String>,
    },
    /// Ends all nodes, then the supervisor.
    Down,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    View(View),
    Done(Done),
    Fail(Fail),
}

/// What was done, in words and in facts.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub text: String,
    /// Ids of the faults that were made or undone.
    #[serde(default)]
    pub faults: Vec<String>,
    /// Nodes on which it is not in effect yet, since they don't answer.
    #[serde(default)]
    pub pending: Vec<Slot>,
}

/// What has become of a node's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Not started since the supervisor began.
    Never,
    Running,
    Paused,
    /// Ended in good order, as it was told.
    Stopped,
    Killed,
    PoweredOff,
    /// Ended though nobody told it to.
    Crashed,
}

impl NodeState {
    pub fn up(self) -> bool {
        matches!(self, NodeState::Running | NodeState::Paused)
    }

    pub fn word(self) -> &'static str {
        match self {
            NodeState::Never => "not started",
            NodeState::Running => "running",
            NodeState::Paused => "paused",
            NodeState::Stopped => "stopped",
            NodeState::Killed => "killed",
            NodeState::PoweredOff => "powered off",
            NodeState::Crashed => "crashed",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeView {
    pub slot: Slot,
    pub state: NodeState,
    pub pid: Option<u32>,
    /// When it came into this state, in seconds since 1970.
    pub since: u64,
    /// How its last process ended.
    pub exit: Option<String>,
    /// `None`, too, when a signal ended it.
    pub exit_code: Option<i32>,
    pub epoch: Option<u64>,
    /// How often the supervisor has started it.
    pub starts: u64,
    /// Rules of its links that it has not confirmed yet.
    pub pending_rules: usize,
}

/// The SQL front door.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorView {
    /// The node that connections go to.
    pub main: Option<Slot>,
    pub connections: usize,
    pub moves: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct View {
    pub version: String,
    pub cluster: String,
    pub port_base: u16,
    pub process: Process,
    pub kept: bool,
    pub nodes: Vec<NodeView>,
    pub faults: Vec<Fault>,
    pub door: DoorView,
}

impl View {
    pub fn node(&self, slot: Slot) -> &NodeView {
        &self.nodes[slot.at()]
    }
}

/// Who was started, for when the supervisor can't be asked.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    pub supervisor: Option<Process>,
    pub nodes: BTreeMap<String, Process>,
}

impl Pids {
    pub fn read(place: &Place) -> Pids {
        let text = std::fs::read_to_string(place.pids()).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub fn write(&self, place: &Place) -> std::io::Result<()> {
        let next = place.pids().with_extension("next");
        std::fs::write(&next, serde_json::to_string(self).expect("a record is JSON"))?;
        std::fs::rename(next, place.pids())
    }
}

/// A path to the socket that fits into a socket's address (108 bytes), however long the directory's own path is: the
/// directory is opened and reached through its descriptor, which must stay open meanwhile.
pub fn socket_path(place: &Place) -> std::io::Result<(PathBuf, Option<File>)> {
    let path = place.socket();
    if path.as_os_str().len() < 100 {
        return Ok((path, None));
    }
    let dir = File::open(place.run())?;
    let name = path.file_name().expect("the socket has a name");
    Ok((PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name), Some(dir)))
}

/// Asks the supervisor of a cluster; `None` if there is none.
pub async fn ask(place: &Place, ask: &Ask, patience: Duration) -> Res<Option<Answer>> {
    let Ok((path, _dir)) = socket_path(place) else { return Ok(None) };
    let stream = match tokio::time::timeout(ANSWER_MAX, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return Ok(None),
        Err(_) => return Err(silent(place, ANSWER_MAX)),
    };
    match tokio::time::timeout(patience, exchange(stream, ask)).await {
        Ok(Ok(Answer::Fail(fail))) => Err(fail),
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(e)) => Err(Fail::state("the supervisor ended before it answered", e.to_string())
            .next(format!("see its log: {}", place.log("supervise").display()))
            .next("plait up")),
        Err(_) => Err(silent(place, patience)),
    }
}

fn silent(place: &Place, waited: Duration) -> Fail {
    let pid = Pids::read(place).supervisor.map_or_else(String::new, |p| format!(" (pid {})", p.pid));
    Fail::timeout("the supervisor does not answer", format!("it was asked {} s ago{pid}", waited.as_secs()))
        .next("if it is stopped, let it go on: kill -CONT PID")
        .next("or end everything, data intact: plait down")
}

async fn exchange(mut stream: UnixStream, ask: &Ask) -> std::io::Result<Answer> {
    let mut line = serde_json::to_string(ask).expect("a question is JSON");
    line.push('\n');
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut answer).await?;
    if answer.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_str(&answer).map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))
}

/// What the supervisor sees, or the refusal that there is none.
pub async fn view(place: &Place) -> Res<View> {
    match ask(place, &Ask::View, ANSWER_MAX).await? {
        Some(Answer::View(view)) => Ok(view),
        Some(other) => Err(Fail::bug("the supervisor answered something else", format!("{other:?}"))),
        None => Err(down(place)),
    }
}

/// Asks for a deed, with a deadline of its own.
pub async fn deed(place: &Place, what: &Ask, patience: Duration) -> Res<Done> {
    match ask(place, what, patience).await? {
        Some(Answer::Done(done)) => Ok(done),
        Some(other) => Err(Fail::bug("the supervisor answered something else", format!("{other:?}"))),
        None => Err(down(place)),
    }
}

/// The refusal of a verb that needs a cluster that is up.
pub fn down(place: &Place) -> Fail {
    if !place.exists() {
        return place.missing();
    }
    Fail::state(format!("the cluster '{}' is down", place.name), "no supervisor answers at its socket").next(
        if place.name == "default" { "plait up".into() } else { format!("plait up --name {}", place.name) },
    )
}
