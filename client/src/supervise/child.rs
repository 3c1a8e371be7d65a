//! A node's process: started, signalled, reaped.

use super::talk::NodeState;
use super::{Node, State, Supervisor, log, now};
use crate::admin::Admin;
use crate::cluster;
use crate::fail::{Fail, Res};
use crate::ports::local;
use crate::process::Process;
use crate::slot::Slot;
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// A node that moved its own state aside ends with this and is started empty.
const RESEED: i32 = 75;
/// A log that is longer when its node starts is kept as `.1` and begun anew.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// How long a killed process may take to be gone.
const KILL_MAX: Duration = Duration::from_secs(5);
/// Deadline of one call to a node.
const CALL_MAX: Duration = Duration::from_millis(500);
/// How often a survivor is told of a death before it is left to find out by itself.
const REPORTS_MAX: u32 = 5;

fn open_log(path: &Path) -> std::io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    File::options().create(true).append(true).open(path)
}

impl Supervisor {
    /// Starts a node's process. A node that runs already is left as it is.
    pub(super) fn start(&self, slot: Slot, alone: bool) -> Res<String> {
        match self.read().nodes[slot.at()].state {
            NodeState::Running => return Ok(format!("{slot} runs already")),
            NodeState::Paused => {
                return Err(Fail::state(
                    format!("{slot} is paused, not ended"),
                    "its process is there and stands still",
                )
                .next(format!("let it go on: plait resume {slot}")));
            }
            _ => {}
        }
        if self.read().ending {
            return Err(Fail::state(format!("{slot} is not started"), "the cluster is being brought down"));
        }
        self.write().bootstrapped |= alone;
        if !self.read().bootstrapped {
            cluster::refuse_two_empty(&self.read().place)?;
        }
        self.write().nodes[slot.at()].reseeded = false;
        self.spawn(slot)?;
        Ok(format!("{slot} started"))
    }

    fn spawn(&self, slot: Slot) -> Res<()> {
        let (place, program) = (self.read().place.clone(), self.read().program.clone());
        let path = place.log(&slot.to_string());
        let log_file = open_log(&path).map_err(|e| Fail::file("write", &path, &e))?;
        let second = log_file.try_clone().map_err(|e| Fail::file("write", &path, &e))?;
        let spawned = Command::new(&program)
            .arg("--config")
            .arg(place.node_config(slot))
            .arg("--lifeline")
            .stdin(Stdio::piped())
            .stdout(log_file)
            .stderr(second)
            .process_group(0)
            .spawn();
        let mut child =
            spawned.map_err(|e| Fail::unfit(format!("can't start {}", program.display()), e.to_string()))?;
        let pid = child.id().expect("it was not waited for yet");
        let starts = {
            let node = &mut self.write().nodes[slot.at()];
            *node = Node {
                state: NodeState::Running,
                process: Process::now(pid),
                lifeline: child.stdin.take(),
                starts: node.starts + 1,
                reseeded: node.reseeded,
                ..Node::new()
            };
            node.starts
        };
        log(&format!("{slot} started as pid {pid}"));
        self.record();
        self.change();
        tokio::task::spawn_local(self.clone().reap(slot, child));
        tokio::task::spawn_local(self.clone().learn(slot, starts));
        Ok(())
    }

    /// Waits for the end of the process, and does what follows from it.
    async fn reap(self, slot: Slot, mut child: Child) {
        let status = child.wait().await;
        let (epoch, code) = {
            let node = &mut self.write().nodes[slot.at()];
            let code = status.as_ref().ok().and_then(ExitStatus::code);
            node.exit_code = code;
            node.exit = Some(status.map_or_else(|e| e.to_string(), |status| describe(&status)));
            node.state = node.intent.take().unwrap_or(NodeState::Crashed);
            node.since = now();
            (node.process, node.lifeline, node.admin) = (None, None, None);
            node.applied.clear();
            node.shifted = 0;
            log(&format!("{slot} {}: {}", node.state.word(), node.exit.as_deref().unwrap_or_default()));
            (node.epoch.take(), code)
        };
        self.change();
        self.record();
        if let Some(epoch) = epoch {
            for survivor in slot.others() {
                tokio::task::spawn_local(self.clone().report(survivor, slot, epoch));
            }
        }
        let again = {
            let mut state = self.write();
            let ending = state.ending;
            let node = &mut state.nodes[slot.at()];
            let again = code == Some(RESEED) && !node.reseeded && !ending;
            node.reseeded |= again;
            again
        };
        if again {
            log(&format!("{slot} moved its state aside and is started empty"));
            if let Err(fail) = self.spawn(slot) {
                log(&format!("{slot} was not started: {fail}"));
            }
        }
    }

    /// Tells a survivor that a start of a node is over.
    async fn report(self, survivor: Slot, dead: Slot, epoch: u64) {
        for attempt in 1..=REPORTS_MAX {
            let admin = {
                let state = self.read();
                let node = &state.nodes[survivor.at()];
                if node.state != NodeState::Running {
                    return;
                }
                node.admin.clone()
            };
            let Some(admin) = admin else { return };
            match admin.report_death(dead.get(), epoch).await {
                Ok(()) => return,
                Err(why) => {
                    log(&format!("{survivor} was not told of {dead}'s death (attempt {attempt}): {why}"))
                }
            }
        }
    }

    /// Learns a new process's boot epoch, without which its death can't be reported, and keeps the connection.
    async fn learn(self, slot: Slot, starts: u64) {
        let address = local(self.block().grpc(slot));
        let still = |state: &State| {
            let node = &state.nodes[slot.at()];
            node.starts == starts && node.process.is_some()
        };
        while still(&self.read()) {
            let asked = async {
                let admin = Admin::connect(address, CALL_MAX).await?;
                let epoch = epoch_of(&admin.status().await?);
                Ok::<_, String>((admin, epoch))
            };
            // The slot's previous process may still answer at this port only if it is not dead; then this one can't
            // have bound it. So an answer is from the process that was started.
            if let Ok((admin, epoch)) = asked.await
                && still(&self.read())
            {
                let node = &mut self.write().nodes[slot.at()];
                (node.admin, node.epoch) = (Some(admin), epoch);
                if epoch.is_some() {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.change();
    }

    fn process(&self, slot: Slot) -> Res<Process> {
        let state = self.read();
        let node = &state.nodes[slot.at()];
        node.process.clone().ok_or_else(|| {
            let exit = node.exit.as_deref().map_or_else(String::new, |exit| format!(", {exit}"));
            Fail::state(format!("{slot} does not run"), format!("it is {}{exit}", node.state.word()))
                .next(format!("plait start {slot}"))
        })
    }

    async fn gone(&self, slot: Slot, patience: Duration) -> bool {
        self.until(patience, |state| state.nodes[slot.at()].process.is_none()).await
    }

    /// SIGKILL.
    pub(super) async fn kill(&self, slot: Slot) -> Res<String> {
        self.end_now(slot, NodeState::Killed).await?;
        Ok(format!("{slot} killed"))
    }

    async fn end_now(&self, slot: Slot, as_what: NodeState) -> Res<()> {
        let process = self.process(slot)?;
        self.write().nodes[slot.at()].intent = Some(as_what);
        process.signal(Signal::KILL);
        if self.gone(slot, KILL_MAX).await {
            return Ok(());
        }
        Err(Fail::timeout(
            format!("{slot} did not end"),
            format!("pid {} is there {} s after SIGKILL", process.pid, KILL_MAX.as_secs()),
        )
        .next("it may hang in the kernel on its disk: plait doctor"))
    }

    /// SIGTERM, and waits.
    pub(super) async fn stop(&self, slot: Slot, patience: Duration, as_what: NodeState) -> Res<String> {
        let process = self.process(slot)?;
        self.write().nodes[slot.at()].intent = Some(as_what);
        process.signal(Signal::TERM);
        process.signal(Signal::CONT);
        if self.gone(slot, patience).await {
            return Ok(format!("{slot} stopped"));
        }
        Err(Fail::timeout(
            format!("{slot} did not stop within {} ms", patience.as_millis()),
            format!("pid {} still runs after SIGTERM", process.pid),
        )
        .next(format!("end it at once: plait kill {slot}")))
    }

    pub(super) fn pause(&self, slot: Slot) -> Res<String> {
        self.still(slot, Signal::STOP, NodeState::Paused)?;
        Ok(format!("{slot} paused"))
    }

    pub(super) fn resume(&self, slot: Slot) -> Res<String> {
        self.still(slot, Signal::CONT, NodeState::Running)?;
        Ok(format!("{slot} goes on"))
    }

    fn still(&self, slot: Slot, signal: Signal, state: NodeState) -> Res<()> {
        let process = self.process(slot)?;
        if !process.signal(signal) {
            return Err(
                Fail::state(format!("{slot} has just ended"), "its process is gone").next("plait status")
            );
        }
        {
            let node = &mut self.write().nodes[slot.at()];
            if node.state != state {
                (node.state, node.since) = (state, now());
            }
        }
        self.change();
        Ok(())
    }

    /// As a power cut: what was not synced is lost, then the process is ended.
    pub(super) async fn power_off(&self, slots: &[Slot]) -> Res<String> {
        let mut cut = Vec::new();
        for slot in slots {
            self.process(*slot)?;
            let admin = self.read().nodes[slot.at()].admin.clone();
            let address = local(self.block().grpc(*slot));
            cut.push((*slot, admin, address));
        }
        // All at once: a site loses power in one instant.
        let mut calls = tokio::task::JoinSet::new();
        for (slot, admin, address) in cut {
            self.write().nodes[slot.at()].intent = Some(NodeState::PoweredOff);
            calls.spawn_local(async move {
                let admin = match admin {
                    Some(admin) => admin,
                    None => Admin::connect(address, CALL_MAX).await?,
                };
                admin.power_off().await
            });
        }
        let mut refused = Vec::new();
        while let Some(result) = calls.join_next().await {
            if let Ok(Err(why)) = result {
                refused.push(why);
            }
        }
        for slot in slots {
            if self.read().nodes[slot.at()].process.is_some() {
                // It did not end by itself: a paused node does not hear the call, and its memory goes with it.
                match self.end_now(*slot, NodeState::PoweredOff).await {
                    Ok(()) => {}
                    Err(fail) if self.read().nodes[slot.at()].process.is_some() => return Err(fail),
                    Err(_) => {}
                }
            }
        }
        let names: Vec<String> = slots.iter().map(Slot::to_string).collect();
        let mut text = format!("{} powered off: what was not synced is lost", names.join(", "));
        if !refused.is_empty() {
            text.push_str(&format!(" (ended by SIGKILL, since: {})", refused.join("; ")));
        }
        Ok(text)
    }
}

/// The boot epoch in a node's status: a number, or text in hexadecimal. 0 says that it is not on the node's disk yet:
/// the next start may have the same one, so nothing can be proved with it.
fn epoch_of(status: &serde_json::Value) -> Option<u64> {
    let epoch = status.get("epoch").or_else(|| status.get("boot_epoch"))?;
    epoch.as_u64().or_else(|| u64::from_str_radix(epoch.as_str()?, 16).ok()).filter(|epoch| *epoch != 0)
}

fn describe(status: &ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "ended in good order".into(),
        (Some(5), _) => "exit code 5 (its surroundings are not fit; see its log)".into(),
        (Some(6), _) => "exit code 6 (it can't start from what is on its disk; see its log)".into(),
        (Some(70), _) => "exit code 70 (a defect of Plait; see its log)".into(),
        (Some(75), _) => "exit code 75 (moved its state aside to be filled anew)".into(),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(6)) => "signal 6 (abort: a broken invariant; see its log)".into(),
        (None, Some(9)) => "signal 9 (SIGKILL)".into(),
        (None, Some(15)) => "signal 15 (SIGTERM)".into(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended".into(),
    }
}
