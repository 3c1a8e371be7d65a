//! Frames that wait for one lane's connection: bounded, oldest dropped first, and counted.
//!
//! A frame pushed while there is no connection is dropped at once: by the time there is one, it is old.

use plait_base::Bytes;
use plait_proto::peer::v1::{Frame, Hello, frame::Kind};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use tokio::time::{Instant, Sleep, sleep_until};

/// What a lane has carried.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub frames: u64,
    pub bytes: u64,
    /// Dropped at a full queue.
    pub overrun: u64,
    /// Dropped because there was no connection.
    pub disconnected: u64,
    pub queued: usize,
    pub connects: u64,
}

/// The queue of one lane to one peer.
#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    frames_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Waiting>,
    bytes: usize,
    connected: bool,
    reader: Option<Waker>,
    figures: Figures,
}

#[derive(Debug)]
struct Waiting {
    /// A fault holds it until then.
    due: Option<Instant>,
    bytes: Bytes,
}

impl Queue {
    pub fn new(frames_max: usize, bytes_max: usize) -> Queue {
        Queue { inner: Mutex::default(), frames_max, bytes_max }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics with a queue's lock held")
    }

    /// Queues a frame, to leave not before `due`. Never waits.
    pub fn push(&self, due: Option<Instant>, bytes: Bytes) {
        let mut inner = self.inner();
        if !inner.connected {
            inner.figures.disconnected += 1;
            return;
        }
        inner.bytes += bytes.len();
        inner.frames.push_back(Waiting { due, bytes });
        while inner.frames.len() > self.frames_max || inner.bytes > self.bytes_max {
            let oldest = inner.frames.pop_front().expect("a queue over its bound has a frame");
            inner.bytes -= oldest.bytes.len();
            inner.figures.overrun += 1;
        }
        if let Some(reader) = inner.reader.take() {
            reader.wake();
        }
    }

    pub fn figures(&self) -> Figures {
        let inner = self.inner();
        Figures { queued: inner.frames.len(), ..inner.figures }
    }
}

/// The queue as the body of one connection: the greeting, then frames as they become due.
pub struct Outgoing {
    queue: Arc<Queue>,
    hello: Option<Hello>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Outgoing {
    /// Opens the queue for a new connection.
    pub fn open(queue: Arc<Queue>, hello: Hello) -> Outgoing {
        let mut inner = queue.inner();
        inner.connected = true;
        inner.figures.connects += 1;
        drop(inner);
        Outgoing { queue, hello: Some(hello), timer: None }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let mut inner = self.queue.inner();
        inner.connected = false;
        inner.figures.disconnected += inner.frames.len() as u64;
        inner.frames.clear();
        inner.bytes = 0;
        inner.reader = None;
    }
}

impl tokio_stream::Stream for Outgoing {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(Frame { kind: Some(Kind::Hello(hello)) }));
        }
        let queue = self.queue.clone();
        let mut inner = queue.inner();
        let due = match inner.frames.front().map(|waiting| waiting.due) {
            None => false,
            Some(Some(due)) if due > Instant::now() => {
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
                timer.as_mut().reset(due);
                timer.as_mut().poll(cx).is_ready()
            }
            Some(_) => true,
        };
        if due && let Some(waiting) = inner.frames.pop_front() {
            inner.bytes -= waiting.bytes.len();
            inner.figures.frames += 1;
            inner.figures.bytes += waiting.bytes.len() as u64;
            return Poll::Ready(Some(Frame { kind: Some(Kind::Data(waiting.bytes)) }));
        }
        inner.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}
