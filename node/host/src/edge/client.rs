//! Programs over gRPC: sessions that share a stream, and whole transactions in one call.
//!
//! A stream's requests are handed to the machine as they come; answers leave as they come, several in one write.
//! At most `inflight_max` requests of a stream are under way: then no more is read from it, and the client's own
//! flow control stops it.

use super::translate;
use crate::inbox::{Answer, Asked, Doors, ReplyTo};
use plait_proto::client::v1 as wire;
use plait_proto::client::v1::client_server::Client;
use plait_replica::SessionId;
use plait_store::Error;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use tokio::sync::{Notify, mpsc};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

/// Sessions of one stream; a request for one more is refused.
const SESSIONS_MAX: usize = 4096;

/// Serves `plait.client.v1.Client`.
pub struct ClientDoor {
    pub doors: Doors,
    pub inflight_max: usize,
}

#[tonic::async_trait]
impl Client for ClientDoor {
    type SessionStream = Replies;

    async fn session(&self, request: Request<Streaming<wire::Request>>) -> Result<Response<Replies>, Status> {
        let (to, answers) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::default());
        let reader =
            Reader { doors: self.doors.clone(), shared: shared.clone(), to, inflight_max: self.inflight_max };
        tokio::spawn(reader.run(request.into_inner()));
        Ok(Response::new(Replies { answers, shared }))
    }

    async fn transact(&self, request: Request<wire::Script>) -> Result<Response<wire::Reply>, Status> {
        let request = match translate::script(request.into_inner()) {
            Ok(request) => request,
            Err(error) => return Ok(Response::new(translate::reply(0, Err(error)))),
        };
        let (to, mut answers) = mpsc::unbounded_channel();
        // Closed also when the caller goes away and this call is cancelled.
        let session = OneShot { doors: &self.doors, session: self.doors.session() };
        let reply = ReplyTo { to, id: 0, lane: 0 };
        let asked = Asked::Request { session: session.session, request, reply };
        let over =
            || Status::unavailable("the node is stopping and did not say what became of the transaction");
        self.doors.asked.send(asked).await.map_err(|_| over())?;
        match answers.recv().await {
            Some(Answer::Reply { reply, .. }) => Ok(Response::new(translate::reply(0, reply))),
            Some(Answer::Hangup { .. }) | None => Err(over()),
        }
    }
}

struct OneShot<'a> {
    doors: &'a Doors,
    session: SessionId,
}

impl Drop for OneShot<'_> {
    fn drop(&mut self) {
        self.doors.close(self.session);
    }
}

/// What the reader and the writer of one stream both know.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// An answer left, or the client went away.
    changed: Notify,
}

#[derive(Default)]
struct State {
    sessions: HashMap<u32, Session>,
    inflight: usize,
    /// The client reads no more.
    gone: bool,
    /// The reader waits for an answer to leave.
    reader_waits: bool,
}

struct Session {
    id: SessionId,
    busy: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with a stream's lock held")
    }
}

/// Reads one stream.
struct Reader {
    doors: Doors,
    shared: Arc<Shared>,
    to: mpsc::UnboundedSender<Answer>,
    inflight_max: usize,
}

impl Reader {
    async fn run(self, mut requests: Streaming<wire::Request>) {
        loop {
            let changed = self.shared.changed.notified();
            let (full, gone) = {
                let mut state = self.shared.state();
                state.reader_waits = state.inflight >= self.inflight_max;
                (state.reader_waits, state.gone)
            };
            if gone {
                break;
            }
            if full {
                changed.await;
                continue;
            }
            let next = tokio::select! {
                biased;
                next = requests.message() => next,
                () = changed => continue,
                () = self.doors.drained() => break,
            };
            match next {
                Ok(Some(request)) => {
                    if !self.ask(request).await {
                        break;
                    }
                }
                Ok(None) => break,
                // The connection is gone, or the bytes are no message: nobody waits for an answer.
                Err(_) => {
                    self.shared.state().gone = true;
                    break;
                }
            }
        }
        self.finish().await;
    }

    /// `false`: the node is over.
    async fn ask(&self, request: wire::Request) -> bool {
        let (id, lane) = (request.id, request.session);
        let refuse = |error| {
            self.shared.state().inflight += 1;
            let _ = self.to.send(Answer::Reply { id, lane: lane | REFUSED, reply: Err(error) });
            true
        };
        if lane & REFUSED != 0 {
            return refuse(Error::TooLarge {
                what: "a session's number",
                got: lane.into(),
                max: (REFUSED - 1).into(),
            });
        }
        let Some(kind) = request.kind else {
            return refuse(Error::Misuse { why: "the request says nothing".into() });
        };
        let asked = match translate::request(kind) {
            Ok(asked) => asked,
            Err(error) => return refuse(error),
        };
        let session = {
            let mut state = self.shared.state();
            let room = state.sessions.len() < SESSIONS_MAX;
            match state.sessions.get_mut(&lane) {
                Some(session) if session.busy => Err(Error::Misuse {
                    why: format!(
                        "session {lane} has a request under way; wait for its reply, or use another session"
                    ),
                }),
                Some(session) => {
                    session.busy = true;
                    Ok(session.id)
                }
                None if room => {
                    let id = self.doors.session();
                    state.sessions.insert(lane, Session { id, busy: true });
                    Ok(id)
                }
                None => Err(Error::Busy { what: "the sessions of one stream", max: SESSIONS_MAX as u64 }),
            }
        };
        let session = match session {
            Ok(session) => session,
            Err(error) => return refuse(error),
        };
        self.shared.state().inflight += 1;
        let reply = ReplyTo { to: self.to.clone(), id, lane };
        self.doors.asked.send(Asked::Request { session, request: asked, reply }).await.is_ok()
    }

    /// The client asks no more: what is under way is answered, then its sessions end.
    async fn finish(self) {
        loop {
            let changed = self.shared.changed.notified();
            {
                let mut state = self.shared.state();
                state.reader_waits = true;
                if state.gone || state.inflight == 0 {
                    break;
                }
            }
            changed.await;
        }
        let sessions: Vec<SessionId> = {
            let mut state = self.shared.state();
            state.sessions.drain().map(|(_, session)| session.id).collect()
        };
        for session in sessions {
            let _ = self.doors.asked.send(Asked::Closed { session }).await;
        }
        // `to` goes with this task; with the routes' copies gone too, the replies end.
    }
}

/// Marks an answer that the edge gave itself: it makes no session free.
const REFUSED: u32 = 1 << 31;

/// The answers of one stream.
pub struct Replies {
    answers: mpsc::UnboundedReceiver<Answer>,
    shared: Arc<Shared>,
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.shared.state().gone = true;
        self.shared.changed.notify_one();
    }
}

impl Stream for Replies {
    type Item = Result<wire::Reply, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let answer = match self.answers.poll_recv(cx) {
                Poll::Ready(Some(answer)) => answer,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            };
            match answer {
                Answer::Reply { id, lane, reply } => {
                    let mut state = self.shared.state();
                    state.inflight -= 1;
                    if let Some(session) = state.sessions.get_mut(&lane) {
                        session.busy = false;
                    }
                    let reader_waits = state.reader_waits;
                    drop(state);
                    if reader_waits {
                        self.shared.changed.notify_one();
                    }
                    return Poll::Ready(Some(Ok(translate::reply(id, reply))));
                }
                Answer::Hangup { session } => {
                    // The next request of that number begins a new session.
                    self.shared.state().sessions.retain(|_, kept| kept.id != session);
                }
            }
        }
    }
}
