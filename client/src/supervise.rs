//! `plait supervise`: the one process that stays when `plait up` has returned. It owns the nodes.
//!
//! Intuition: a caretaker, not a doctor. It starts what it is told to start, knows who was meant to end and who fell,
//! says so, and does not raise the fallen: a crash stays visible. The one exception is a node that moved its own state
//! aside to be filled anew (exit code 75), which is started empty, once.
//! It reaps its children, so it alone can prove that a process is over; it tells the survivors at once, and they need
//! not wait for the dead one's lease. It carries no data but through the SQL front door.
//! Invariant: no node outlives it. Each has a pipe from it as standard input and ends when that closes; a record of
//! pids and start times is for whoever comes after a supervisor that was killed.

mod child;
mod door;
mod links;
mod server;
pub mod talk;

use crate::admin::Admin;
use crate::admin::LinkRule;
use crate::cluster::Cluster;
use crate::fail::{Fail, Res};
use crate::faults::{Fault, Way};
use crate::home::{Lock, Place};
use crate::ports::Block;
use crate::process::Process;
use crate::slot::Slot;
use std::cell::{Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use talk::{NodeState, NodeView, View};
use tokio::sync::watch;

/// How long each node has to end in good order when the cluster is brought down.
const STOP_MAX: Duration = Duration::from_secs(8);

/// What the supervisor knows of one node.
#[derive(Debug)]
struct Node {
    state: NodeState,
    process: Option<Process>,
    /// Closing it tells the node to end.
    lifeline: Option<tokio::process::ChildStdin>,
    admin: Option<Admin>,
    epoch: Option<u64>,
    since: u64,
    exit: Option<String>,
    exit_code: Option<i32>,
    /// What the next end of the process was meant to be.
    intent: Option<NodeState>,
    /// Counts starts, so that a task of an earlier one knows that it is late.
    starts: u64,
    reseeded: bool,
    /// The rules that the running process has confirmed.
    applied: BTreeMap<Way, LinkRule>,
    /// By how much its wall clock is off, as far as it has confirmed.
    shifted: i64,
}

impl Node {
    fn new() -> Node {
        Node {
            state: NodeState::Never,
            process: None,
            lifeline: None,
            admin: None,
            epoch: None,
            since: now(),
            exit: None,
            exit_code: None,
            intent: None,
            starts: 0,
            reseeded: false,
            applied: BTreeMap::new(),
            shifted: 0,
        }
    }
}

struct State {
    place: Place,
    cluster: Cluster,
    program: PathBuf,
    me: Process,
    /// Whether `up` has finished; before that the end of `up` is the end of all.
    kept: bool,
    ending: bool,
    /// A node was made the beginning of the cluster: the other two may be empty.
    bootstrapped: bool,
    nodes: [Node; 3],
    faults: Vec<Fault>,
    faults_made: u64,
    door: DoorView,
}

use talk::DoorView;

/// The supervisor, shared by its tasks on one thread.
#[derive(Clone)]
struct Supervisor {
    state: Rc<RefCell<State>>,
    changed: Rc<watch::Sender<u64>>,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Supervisor {
    fn read(&self) -> Ref<'_, State> {
        self.state.borrow()
    }

    fn write(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Tells all tasks to look again.
    fn change(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    /// Waits until `holds`, at most this long.
    async fn until(&self, patience: Duration, holds: impl Fn(&State) -> bool) -> bool {
        let mut changes = self.changed.subscribe();
        let wait = async {
            while !holds(&self.read()) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.is_ok()
    }

    fn block(&self) -> Block {
        self.read().cluster.block()
    }

    fn view(&self) -> View {
        let state = self.read();
        let nodes = Slot::ALL.map(|slot| {
            let node = &state.nodes[slot.at()];
            NodeView {
                slot,
                state: node.state,
                pid: node.process.as_ref().map(|process| process.pid),
                since: node.since,
                exit: node.exit.clone(),
                exit_code: node.exit_code,
                epoch: node.epoch,
                starts: node.starts,
                pending_rules: links::pending(&state, slot).len(),
            }
        });
        View {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: state.cluster.id.clone(),
            port_base: state.cluster.base,
            process: state.me.clone(),
            kept: state.kept,
            nodes: nodes.into(),
            faults: state.faults.clone(),
            door: state.door.clone(),
        }
    }

    /// Writes who runs, for a successor.
    fn record(&self) {
        let state = self.read();
        let nodes = Slot::ALL
            .iter()
            .filter_map(|slot| Some((slot.to_string(), state.nodes[slot.at()].process.clone()?)));
        let pids = talk::Pids { supervisor: Some(state.me.clone()), nodes: nodes.collect() };
        if let Err(e) = pids.write(&state.place) {
            log(&format!("the record of pids was not written: {e}"));
        }
    }

    /// Ends every node in order, the last first.
    async fn end_all(&self) {
        self.write().ending = true;
        self.change();
        for slot in Slot::ALL.into_iter().rev() {
            let _ = self.stop(slot, STOP_MAX, NodeState::Stopped).await;
            if self.read().nodes[slot.at()].process.is_some() {
                log(&format!("{slot} did not stop within {} s and is killed", STOP_MAX.as_secs()));
                let _ = self.kill(slot).await;
            }
        }
    }
}

/// One line in the supervisor's log.
fn log(text: &str) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    eprintln!("{}.{:03} {text}", since.as_secs(), since.subsec_millis());
}

/// Runs until it is told to end. Says `ready` on standard output when its socket answers and the front door's port is
/// held; standard input is the line to whoever started it.
pub fn run(place: Place) -> Res<()> {
    // A session of its own: a terminal's Ctrl-C and hang-up don't reach it or the nodes.
    let _ = rustix::process::setsid();
    let lock = Lock::take(&place.run().join("supervise.lock"), Duration::from_secs(2))?;
    let Some(_lock) = lock else {
        return Err(Fail::state(
            "this cluster has a supervisor already",
            format!("{} is locked", place.run().display()),
        )
        .next("plait status"));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Fail::unfit("can't start the supervisor", e.to_string()))?;
    let program = crate::cluster::sibling("plait-node")?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(place, program, true))
}

/// `born_by_up`: standard input is the line to an `up` that is under way.
async fn serve(place: Place, program: PathBuf, born_by_up: bool) -> Res<()> {
    let cluster = Cluster::load(&place)?;
    let block = cluster.block();
    let door = door::bind(block.door()).map_err(|_| block.refusal("the SQL front door", block.door()))?;
    let socket = server::bind(&place)?;
    let state = State {
        program,
        place: place.clone(),
        cluster,
        me: Process::myself(),
        kept: !born_by_up,
        ending: false,
        bootstrapped: false,
        nodes: [Node::new(), Node::new(), Node::new()],
        faults: Vec::new(),
        faults_made: 0,
        door: DoorView::default(),
    };
    let supervisor =
        Supervisor { state: Rc::new(RefCell::new(state)), changed: Rc::new(watch::channel(0).0) };
    supervisor.record();
    let (end, mut ended) = tokio::sync::mpsc::channel::<&'static str>(4);
    tokio::task::spawn_local(server::run(supervisor.clone(), socket, end.clone()));
    tokio::task::spawn_local(door::run(supervisor.clone(), door));
    for slot in Slot::ALL {
        tokio::task::spawn_local(links::run(supervisor.clone(), slot));
    }
    if born_by_up {
        tokio::task::spawn_local(birth(supervisor.clone(), end.clone()));
    }
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|e| Fail::unfit("can't listen for signals", e.to_string()))?;
    if born_by_up {
        println!("ready");
        let _ = std::io::stdout().flush();
    }
    let why = tokio::select! {
        biased;
        _ = term.recv() => "SIGTERM",
        why = ended.recv() => why.unwrap_or("nobody is left"),
    };
    log(&format!("ends: {why}"));
    supervisor.end_all().await;
    for file in [place.socket(), place.pids()] {
        let _ = std::fs::remove_file(file);
    }
    // Gives the answer to whoever asked for the end a chance to leave.
    tokio::task::yield_now().await;
    log("ended");
    Ok(())
}

/// Until `up` has said that the cluster stays, its end (seen as the end of standard input) ends everything.
async fn birth(supervisor: Supervisor, end: tokio::sync::mpsc::Sender<&'static str>) {
    let (over, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while std::io::stdin().read(&mut buffer).is_ok_and(|n| n > 0) {}
        let _ = over.send(());
    });
    let _ = wait.await;
    if !supervisor.read().kept {
        let _ = end.send("`plait up` ended before the cluster was ready").await;
    }
}

#[cfg(test)]
mod tests;
