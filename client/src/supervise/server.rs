//! The supervisor's socket: one question and one answer a connection, from its own user alone.

use super::talk::{self, Answer, Ask, Done, LINE_BYTES_MAX};
use super::{NodeState, Supervisor, links, log, now};
use crate::fail::{Fail, Res, nearest};
use crate::faults::Fault;
use crate::home::Place;
use crate::slot::Slot;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// How long a connection may take to ask.
const ASK_MAX: Duration = Duration::from_secs(5);
/// How long the confirmation of rules by nodes that run is waited for.
const RULES_MAX: Duration = Duration::from_secs(2);

/// Binds the socket. What lies there is a dead supervisor's: the lock says that no living one has it.
pub(super) fn bind(place: &Place) -> Res<UnixListener> {
    let fail = |e: std::io::Error| Fail::file("listen at", &place.socket(), &e);
    let (path, _dir) = talk::socket_path(place).map_err(fail)?;
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(fail)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
    Ok(listener)
}

pub(super) async fn run(supervisor: Supervisor, listener: UnixListener, end: mpsc::Sender<&'static str>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::task::spawn_local(serve(supervisor.clone(), stream, end.clone()));
            }
            Err(e) => {
                log(&format!("a connection was not accepted: {e}"));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(supervisor: Supervisor, stream: UnixStream, end: mpsc::Sender<&'static str>) {
    let mine = rustix::process::geteuid().as_raw();
    if !stream.peer_cred().is_ok_and(|peer| peer.uid() == mine || peer.uid() == 0) {
        return;
    }
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(LINE_BYTES_MAX));
    if !matches!(tokio::time::timeout(ASK_MAX, reader.read_line(&mut line)).await, Ok(Ok(n)) if n > 0) {
        return;
    }
    let asked: Result<Ask, _> = serde_json::from_str(&line);
    let down = matches!(asked, Ok(Ask::Down));
    let answer = match asked {
        Ok(ask) => supervisor.answer(ask).await.unwrap_or_else(Answer::Fail),
        Err(e) => Answer::Fail(
            Fail::usage("the supervisor does not understand this question", e.to_string())
                .next("it may be of another version: plait down, then plait up"),
        ),
    };
    let mut text = serde_json::to_string(&answer).expect("an answer is JSON");
    text.push('\n');
    let _ = write.write_all(text.as_bytes()).await;
    let _ = write.shutdown().await;
    if down {
        let _ = end.send("`plait down`").await;
    }
}

impl Supervisor {
    async fn answer(&self, ask: Ask) -> Res<Answer> {
        let text = match ask {
            Ask::View => return Ok(Answer::View(self.view())),
            Ask::Keep => {
                self.write().kept = true;
                "the cluster stays".into()
            }
            Ask::Start { slot, alone } => self.start(slot, alone)?,
            Ask::Kill { slot } => self.kill(slot).await?,
            Ask::Stop { slot, patience_ms } => {
                self.stop(slot, Duration::from_millis(patience_ms), NodeState::Stopped).await?
            }
            Ask::Pause { slot } => self.pause(slot)?,
            Ask::Resume { slot } => self.resume(slot)?,
            Ask::PowerOff { slots } => self.power_off(&slots).await?,
            Ask::Fault { text, ways, rule, clocks } => {
                let id = {
                    let mut state = self.write();
                    state.faults_made += 1;
                    let id = format!("f{}", state.faults_made);
                    let fault =
                        Fault { id: id.clone(), text: text.clone(), ways, rule, clocks, since: now() };
                    state.faults.push(fault);
                    id
                };
                log(&format!("fault {id}: {text}"));
                let pending = self.rules_settle().await;
                return Ok(Answer::Done(Done { text: format!("{id}: {text}"), faults: vec![id], pending }));
            }
            Ask::Heal { id } => return self.heal(id).await,
            Ask::Down => {
                self.end_all().await;
                "all nodes have ended".into()
            }
        };
        Ok(Answer::Done(Done { text, ..Done::default() }))
    }

    async fn heal(&self, id: Option<String>) -> Res<Answer> {
        let healed: Vec<Fault> = {
            let mut state = self.write();
            let matches = |fault: &Fault| id.as_ref().is_none_or(|id| *id == fault.id);
            if let Some(id) = &id
                && !state.faults.iter().any(matches)
            {
                let standing: Vec<&str> = state.faults.iter().map(|fault| fault.id.as_str()).collect();
                let why = match standing.as_slice() {
                    [] => "no fault stands".to_owned(),
                    list => format!("these stand: {}", list.join(", ")),
                };
                let fail = Fail::state(format!("there is no fault '{id}'"), why);
                return Err(match nearest(id, standing) {
                    Some(near) => fail.next(format!("did you mean {near}?")),
                    None => fail.next("heal everything: plait heal"),
                });
            }
            let (healed, rest) = std::mem::take(&mut state.faults).into_iter().partition(matches);
            state.faults = rest;
            healed
        };
        let pending = self.rules_settle().await;
        let faults: Vec<String> = healed.iter().map(|fault| fault.id.clone()).collect();
        let list: Vec<String> = healed.iter().map(|fault| format!("{} ({})", fault.id, fault.text)).collect();
        let text =
            if list.is_empty() { "no fault stood".into() } else { format!("healed {}", list.join(", ")) };
        log(&text);
        Ok(Answer::Done(Done { text, faults, pending }))
    }

    /// Waits until every node that runs has confirmed its rules; gives those that did not, dead ones left out.
    async fn rules_settle(&self) -> Vec<Slot> {
        self.change();
        self.until(RULES_MAX, |state| {
            Slot::ALL.into_iter().all(|slot| {
                state.nodes[slot.at()].state != NodeState::Running || links::pending(state, slot).is_empty()
            })
        })
        .await;
        let state = self.read();
        let open =
            |slot: &Slot| state.nodes[slot.at()].state.up() && !links::pending(&state, *slot).is_empty();
        Slot::ALL.into_iter().filter(open).collect()
    }
}
