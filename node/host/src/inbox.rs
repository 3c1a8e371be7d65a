//! What waits for the machine, each kind in a queue with a bound; whoever finds one full waits.

use crate::disk::Done;
use crate::peers::Arrival;
use crate::shim::Rule;
use plait_base::{BootEpoch, Slot};
use plait_replica::{Input, SessionId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Control messages that wait.
const CONTROL_MAX: usize = 64;

/// What a client's edge hands in.
#[derive(Debug)]
pub enum Asked {
    Request {
        session: SessionId,
        request: plait_replica::Request,
        reply: ReplyTo,
    },
    /// The client is gone.
    Closed {
        session: SessionId,
    },
}

/// Where an answer goes, and what its asker knows it by.
#[derive(Debug)]
pub struct ReplyTo {
    /// Holds at most one answer for each request under way and one hang-up for each session; the edges bound both.
    pub to: mpsc::UnboundedSender<Answer>,
    pub id: u64,
    pub lane: u32,
}

#[derive(Debug)]
pub enum Answer {
    Reply {
        id: u64,
        lane: u32,
        reply: Result<plait_store::Reply, plait_store::Error>,
    },
    /// The session is over after what was answered before.
    Hangup {
        session: SessionId,
    },
}

/// What whoever runs the node asks of it.
#[derive(Debug)]
pub enum Control {
    Account(oneshot::Sender<Account>),
    Metrics(oneshot::Sender<String>),
    SetLink {
        to: Slot,
        rule: Rule,
    },
    /// By how much the wall clock is off.
    SetClock {
        wall_us: i64,
    },
    Heal,
    Dead {
        peer: Slot,
        epoch: BootEpoch,
    },
    Flow(oneshot::Sender<Vec<String>>),
    PowerOff(oneshot::Sender<String>),
    Shutdown {
        why: String,
    },
}

/// The node's account of itself, with what only the host knows.
#[derive(Debug, Clone)]
pub struct Account {
    pub slot: Slot,
    pub status: plait_replica::Status,
    pub draining: bool,
    /// A forced recovery is not done yet, or a change of members is not on the disk.
    pub recovering: bool,
    pub peers: [PeerAccount; 3],
    pub disk: crate::disk::Figures,
    pub requests: u64,
    pub uptime_ms: u64,
}

#[derive(Debug, Clone, Default)]
pub struct PeerAccount {
    pub up: bool,
    pub rule: Rule,
    pub frames: u64,
    pub dropped: u64,
}

impl Account {
    /// Why this node should get no traffic; `None`: it should.
    pub fn unready(&self) -> Option<String> {
        let status = &self.status;
        if self.draining {
            return Some("it is stopping".into());
        }
        if let Some(index) = status.refused_entry {
            return Some(format!(
                "entry {index} ended its process twice and is not tried again; see its event `panic`"
            ));
        }
        if status.state != plait_replica::State::Synced {
            let leader =
                status.leader.map_or("no leader is known".to_owned(), |slot| format!("{slot} leads"));
            return Some(format!("its state is {} and not Synced; {leader}", status.state.word()));
        }
        None
    }
}

/// The ends that fill the queues; cheap to clone.
#[derive(Debug, Clone)]
pub struct Doors {
    pub asked: mpsc::Sender<Asked>,
    pub control: mpsc::Sender<Control>,
    draining: watch::Sender<bool>,
    sessions: Arc<AtomicU64>,
}

impl Doors {
    /// A session's name, new in this life of the node.
    pub fn session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Relaxed) + 1)
    }

    /// From now on nothing new is taken; what is under way is answered.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    pub fn draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Returns when the node begins to stop.
    pub async fn drained(&self) {
        let mut draining = self.draining.subscribe();
        draining.wait_for(|draining| *draining).await.expect("a sender of it is at hand");
    }

    /// Asks for a checkpoint now; whether the machine took the wish.
    pub async fn checkpoint(&self, within: Duration) -> bool {
        let (to, mut answers) = mpsc::unbounded_channel();
        let session = self.session();
        let request = plait_replica::Request::Checkpoint;
        let asked = Asked::Request { session, request, reply: ReplyTo { to, id: 0, lane: 0 } };
        let answered = async {
            self.asked.send(asked).await.ok()?;
            answers.recv().await
        };
        let answer = tokio::time::timeout(within, answered).await;
        self.close(session);
        matches!(answer, Ok(Some(Answer::Reply { reply: Ok(_), .. })))
    }

    /// Tells the machine that a client is gone, from a place that can't wait.
    pub fn close(&self, session: SessionId) {
        let gone = Asked::Closed { session };
        if let Err(mpsc::error::TrySendError::Full(gone)) = self.asked.try_send(gone) {
            let asked = self.asked.clone();
            tokio::spawn(async move {
                let _ = asked.send(gone).await;
            });
        }
    }
}

/// Queues of requests and of control, made before the rest of the node so that a signal has where to go.
pub fn doors(inbox_max: usize) -> (Doors, mpsc::Receiver<Control>, mpsc::Receiver<Asked>) {
    let (asked, askeds) = mpsc::channel(inbox_max);
    let (control, controls) = mpsc::channel(CONTROL_MAX);
    let doors = Doors { asked, control, draining: watch::Sender::new(false), sessions: Arc::default() };
    (doors, controls, askeds)
}

/// The ends that the drive empties.
pub struct Inbox {
    pub control: mpsc::Receiver<Control>,
    pub done: mpsc::UnboundedReceiver<Done>,
    pub presence: mpsc::Receiver<()>,
    pub fast: mpsc::Receiver<Arrival>,
    pub bulk: mpsc::Receiver<Arrival>,
    pub asked: mpsc::Receiver<Asked>,
}

/// What was ready in one look, most urgent first.
#[derive(Debug, Default)]
pub struct Ready {
    pub control: Vec<Control>,
    pub done: Vec<Done>,
    pub presence: Vec<()>,
    pub fast: Vec<Arrival>,
    pub bulk: Vec<Arrival>,
    pub asked: Vec<Asked>,
}

impl Inbox {
    /// Takes what is ready; `true` if there was anything. Bulk and requests stay where they are unless `open`.
    pub fn poll(&mut self, cx: &mut Context<'_>, ready: &mut Ready, open: bool, each_max: usize) -> bool {
        let mut any = false;
        any |= matches!(self.control.poll_recv_many(cx, &mut ready.control, each_max), Poll::Ready(1..));
        any |= matches!(self.done.poll_recv_many(cx, &mut ready.done, each_max), Poll::Ready(1..));
        any |= matches!(self.presence.poll_recv_many(cx, &mut ready.presence, each_max), Poll::Ready(1..));
        any |= matches!(self.fast.poll_recv_many(cx, &mut ready.fast, each_max), Poll::Ready(1..));
        if open {
            any |= matches!(self.bulk.poll_recv_many(cx, &mut ready.bulk, each_max), Poll::Ready(1..));
            any |= matches!(self.asked.poll_recv_many(cx, &mut ready.asked, each_max), Poll::Ready(1..));
        }
        any
    }
}

impl From<Arrival> for Input {
    fn from(arrival: Arrival) -> Input {
        Input::Recv { from: arrival.from, lane: arrival.lane, bytes: arrival.bytes }
    }
}

impl From<Done> for Input {
    fn from(done: Done) -> Input {
        match done {
            Done::Persisted { token } => Input::Persisted { token },
            Done::DiskFailed { token, why } => Input::DiskFailed { token, why },
            Done::Checkpoint(answer) => Input::Checkpoint(answer),
        }
    }
}
