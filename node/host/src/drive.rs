//! The loop that drives the machine: take what is ready, let it work, do what it says.
//!
//! Intuition: everything that came while the last round was under way is taken as one. So the busier the node, the
//! more transactions share a frame, a write and a sync; an idle one answers at once.
//! Invariants: the time is sampled after each input was taken, never before; outputs are done in their order; this
//! loop never waits for a disk, a peer or a client. What would grow without bound in their place is not taken in:
//! with too much waiting for the disk, requests and bulk stay in their queues.
//! A panic of the machine is a broken invariant and ends the node (DESIGN law 18).

mod control;

use crate::clock::{Clock, Shifted};
use crate::disk::{Checkpoints, Files};
use crate::events::Events;
use crate::exit::Exit;
use crate::inbox::{Asked, Doors, Inbox, Ready};
use crate::metrics::Steps;
use crate::peers::{Me, Presence, Queue};
use crate::routes::Routes;
use crate::shim::{Fate, Shim};
use plait_base::{Bytes, Mono, Slot};
use plait_replica::{Input, Lane, Output, Replica, Stop};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// The outgoing lanes by peer and lane; a node has none to itself.
pub type Queues = [Option<[Arc<Queue>; 3]>; 3];

/// What one node consists of when it begins to work.
pub struct Parts {
    pub slot: Slot,
    pub replica: Replica,
    pub clock: Shifted,
    pub files: Box<dyn Files>,
    pub checkpoints: Box<dyn Checkpoints>,
    pub events: Events,
    pub queues: Queues,
    pub presence: Arc<Presence>,
    pub shim: Shim,
    pub me: Arc<Me>,
    pub doors: Doors,
    pub inbox: Inbox,
    pub wake_inputs_max: usize,
    pub disk_queue_bytes_max: u64,
    pub shutdown_timeout: Duration,
    pub lines_dropped: Box<dyn Fn() -> u64 + Send>,
}

/// One node at work.
pub struct Drive {
    parts: Parts,
    routes: Routes,
    steps: Steps,
    ready: Ready,
    news: Vec<Input>,
    out: Vec<Output>,
    requests: u64,
    began: Mono,
    /// When it gives up waiting for answers that are under way.
    stopping: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Drive {
    pub fn new(parts: Parts) -> Drive {
        Drive {
            began: parts.clock.now().mono,
            parts,
            routes: Routes::default(),
            steps: Steps::default(),
            ready: Ready::default(),
            news: Vec::new(),
            out: Vec::new(),
            requests: 0,
            stopping: None,
            timer: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// Runs the node to its end. Both disks are closed when it returns, unless the machine broke.
    pub async fn run(mut self) -> Exit {
        let exit = loop {
            // A panic in here leaves the machine in no state to go on; it is not used again.
            match catch_unwind(AssertUnwindSafe(|| self.round())) {
                Ok(None) => self.wait().await,
                Ok(Some(exit)) => break exit,
                Err(panic) => {
                    let why = panic_text(&*panic);
                    break match self.parts.replica.at_work() {
                        Some(index) => Exit::BadEntry { index: index.0, why },
                        None => Exit::Bug(why),
                    };
                }
            }
        };
        if !matches!(exit, Exit::Bug(_) | Exit::BadEntry { .. }) {
            self.parts.files.close();
            self.parts.checkpoints.close();
        }
        exit
    }

    /// Waits until something is ready or due.
    async fn wait(&mut self) {
        let deadline = self.parts.replica.deadline();
        let eager = deadline == Mono(0);
        if eager {
            // Work is left; what has become ready meanwhile goes first.
            tokio::task::yield_now().await;
        } else {
            let left = deadline.since(self.parts.clock.now().mono).min(Duration::from_secs(3600));
            let due = Instant::now() + left;
            let due = self.stopping.map_or(due, |end| end.min(due));
            self.timer.as_mut().reset(due);
        }
        let open = self.parts.files.figures().queued_bytes < self.parts.disk_queue_bytes_max;
        let (inbox, ready, timer) = (&mut self.parts.inbox, &mut self.ready, &mut self.timer);
        let each_max = self.parts.wake_inputs_max;
        std::future::poll_fn(|cx| {
            if inbox.poll(cx, ready, open, each_max) || eager || timer.as_mut().poll(cx).is_ready() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Takes what is ready, lets the machine work, does what it says. Returns how the node ends, when it does.
    fn round(&mut self) -> Option<Exit> {
        let begin = self.parts.clock.now().mono;
        let mut ready = std::mem::take(&mut self.ready);
        let mut inputs = 0;
        for control in ready.control.drain(..) {
            self.control(control);
        }
        for done in ready.done.drain(..) {
            inputs += self.take(done.into());
        }
        if !ready.presence.is_empty() {
            ready.presence.clear();
            let mut news = std::mem::take(&mut self.news);
            self.parts.presence.news(&mut news);
            for news in news.drain(..) {
                self.say_presence(&news);
                inputs += self.take(news);
            }
            self.news = news;
        }
        for arrival in ready.fast.drain(..).chain(ready.bulk.drain(..)) {
            inputs += self.take(arrival.into());
        }
        for asked in ready.asked.drain(..) {
            inputs += self.asked(asked);
        }
        self.ready = ready;

        let now = self.parts.clock.now();
        let deadline = self.parts.replica.deadline();
        if deadline <= now.mono {
            // Work that is left, and a lease that was never asked for, are due at once and at no time.
            if deadline > Mono(1) {
                self.steps.late(now.mono.since(deadline));
            }
            inputs += self.take(Input::Tick);
        }
        let mut out = std::mem::take(&mut self.out);
        self.parts.replica.flush(self.parts.clock.now(), &mut out);
        let mut exit = None;
        for output in out.drain(..) {
            exit = exit.or(self.put_out(output));
        }
        self.out = out;
        self.steps.note(self.parts.clock.now().mono.since(begin), inputs);
        exit.or_else(|| self.stopped())
    }

    fn take(&mut self, input: Input) -> usize {
        let now = self.parts.clock.now();
        self.parts.replica.take(now, input);
        1
    }

    fn asked(&mut self, asked: Asked) -> usize {
        match asked {
            Asked::Request { session, request, reply } => {
                self.requests += 1;
                let ticket = self.routes.add(session, reply);
                if self.stopping.is_some() {
                    let why = "it is stopping".to_owned();
                    self.routes.answer(ticket, Err(plait_store::Error::NotPrimary { why }));
                    return 0;
                }
                self.take(Input::Request { ticket, session, request })
            }
            Asked::Closed { session } => {
                self.routes.closed(session);
                self.take(Input::Closed { session })
            }
        }
    }

    fn put_out(&mut self, output: Output) -> Option<Exit> {
        match output {
            Output::Send { to, lane, bytes } => self.send(to, lane, bytes),
            Output::Persist(persist) => self.parts.files.submit(persist),
            Output::Checkpoint(op) => self.parts.checkpoints.submit(op),
            Output::Reply { ticket, reply } => self.routes.answer(ticket, reply),
            Output::Hangup { session } => self.routes.hang_up(session),
            Output::Event(event) => {
                let now = self.parts.clock.now();
                if event.class() == plait_replica::event::Class::State {
                    // An empty node learns its epoch when it is taken in, and that is a state event.
                    self.parts.me.set_epoch(self.parts.replica.epoch());
                }
                self.parts.events.add(now, event);
            }
            Output::Stop(Stop::Reseed { why }) => return Some(Exit::Reseed(why)),
            Output::Stop(Stop::Disk { why }) => {
                return Some(Exit::Environment(format!(
                    "the disk failed: {why}; nothing more can be acknowledged here. Make room or repair it, then start \
                     the node again: it goes on from what is on disk"
                )));
            }
        }
        None
    }

    fn send(&mut self, to: Slot, lane: Lane, bytes: Bytes) {
        let Some(queues) = &self.parts.queues[to.at()] else {
            panic!("no node sends to itself, and {to} did");
        };
        let queue = &queues[lane as usize - 1];
        match self.parts.shim.pass(to, lane, bytes.len(), Instant::now()) {
            Fate::Goes => queue.push(None, bytes),
            Fate::Held(due) => queue.push(Some(due), bytes),
            Fate::Lost => {}
        }
    }

    fn say_presence(&mut self, news: &Input) {
        let now = self.parts.clock.now();
        match news {
            Input::Up { peer } => self.parts.events.note(now, "peer_up", vec![("peer", peer.to_string())]),
            Input::Down { peer } => {
                self.parts.events.note(now, "peer_down", vec![("peer", peer.to_string())])
            }
            _ => {}
        }
    }

    fn stopped(&self) -> Option<Exit> {
        let end = self.stopping?;
        let busy = self.routes.waiting() > 0 || self.parts.replica.hands_over();
        (!busy || Instant::now() >= end).then_some(Exit::Done)
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}
