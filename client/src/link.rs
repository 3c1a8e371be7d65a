//! One connection to one node: many sessions in one stream, replies paired with requests by number.
//!
//! Intuition: a desk with numbered slips. Whoever asks leaves a slip and waits; one reader hands each answer to the
//! slip's owner; when the line goes dead, every slip that is left is handed back as *not answered*.
//! Invariant: a request is *not sent* only if it never entered the stream. Anything that did and has no reply is
//! *not answered*, and for what writes that is unknown.

use crate::error::{Error, Outcome};
use crate::script::Rows;
use plait_proto::client::v1::{self as wire, client_client::ClientClient, request::Kind};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

/// Requests that may wait to be written to one connection.
const QUEUE_MAX: usize = 4096;
/// A connection that could not be made is not tried again for this long.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// How long a connection may be silent before it is asked for a sign of life, and how long it has to give one.
const KEEPALIVE: Duration = Duration::from_secs(2);
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Largest reply that is taken.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// A request that has no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    NotSent(String),
    NotAnswered(String),
}

/// A successful reply.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Done {
    /// One for each step or statement, in order.
    pub results: Vec<Rows>,
    /// Position of the commit, or 0 if nothing was committed.
    pub seqno: u64,
}

/// A node's address with the connection to it, made when it is needed and made again after it broke.
#[derive(Debug)]
pub(crate) struct Link {
    address: SocketAddr,
    live: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    live: Option<Arc<Live>>,
    failed: Option<(Instant, String)>,
}

#[derive(Debug)]
struct Live {
    channel: Channel,
    /// Dropped with the last user of the stream, which ends it, and with it its sessions on the node.
    requests: mpsc::Sender<wire::Request>,
    next_id: AtomicU64,
    slips: Arc<Slips>,
}

/// What the reader of a stream shares with those who wait.
#[derive(Debug, Default)]
struct Slips {
    waiting: Mutex<Waiting>,
    dead: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    slips: HashMap<u64, oneshot::Sender<wire::Reply>>,
    /// Sessions that nobody uses; a session serves one request at a time.
    idle: Vec<u32>,
    sessions: u32,
    /// Why the connection ended.
    over: Option<String>,
}

impl Slips {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nothing panics while it holds the slips")
    }

    fn end(&self, why: String) {
        self.dead.store(true, Ordering::Release);
        let mut waiting = self.waiting();
        waiting.over.get_or_insert(why);
        waiting.slips.clear();
    }
}

/// A session's number with the connection it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    live: Arc<Live>,
    session: u32,
}

impl Seat {
    /// Gives the number back for others. Only after every request of it was answered and no transaction is open.
    pub(crate) fn leave(self) {
        self.live.slips.waiting().idle.push(self.session);
    }

    pub(crate) fn gone(&self) -> bool {
        self.live.slips.dead.load(Ordering::Acquire)
    }
}

impl Link {
    pub(crate) fn new(address: SocketAddr) -> Link {
        Link { address, live: tokio::sync::Mutex::default() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A session of its own on the connection, which is made if there is none.
    pub(crate) async fn seat(&self, deadline: Instant) -> Result<Seat, Failure> {
        let live = tokio::time::timeout_at(deadline, self.live()).await.unwrap_or_else(|_| {
            Err(Failure::NotSent(format!("{} was not reached before the deadline", self.address)))
        })?;
        let mut waiting = live.slips.waiting();
        let session = waiting.idle.pop().unwrap_or_else(|| {
            waiting.sessions += 1;
            waiting.sessions
        });
        drop(waiting);
        Ok(Seat { live, session })
    }

    async fn live(&self) -> Result<Arc<Live>, Failure> {
        let mut state = self.live.lock().await;
        if let Some(live) = &state.live
            && !live.slips.dead.load(Ordering::Acquire)
        {
            return Ok(live.clone());
        }
        state.live = None;
        if let Some((at, why)) = &state.failed
            && at.elapsed() < RETRY_AFTER
        {
            return Err(Failure::NotSent(why.clone()));
        }
        match self.connect().await {
            Ok(live) => {
                state.failed = None;
                Ok(state.live.insert(live).clone())
            }
            Err(why) => {
                let why = format!("{}: {why}", self.address);
                state.failed = Some((Instant::now(), why.clone()));
                Err(Failure::NotSent(why))
            }
        }
    }

    async fn connect(&self) -> Result<Arc<Live>, String> {
        open(channel(self.address).await?).await
    }

    /// A session with a stream of its own on the same connection: it ends on the node when the seat is dropped, and
    /// nobody else ever has it.
    pub(crate) async fn own_seat(&self, deadline: Instant) -> Result<Seat, Failure> {
        let opened = async {
            let channel = self.live().await?.channel.clone();
            open(channel).await.map_err(|why| Failure::NotSent(format!("{}: {why}", self.address)))
        };
        match tokio::time::timeout_at(deadline, opened).await {
            Ok(live) => Ok(Seat { live: live?, session: 1 }),
            Err(_) => Err(Failure::NotSent(format!("{} was not reached before the deadline", self.address))),
        }
    }

    /// Asks and waits for the reply.
    pub(crate) async fn ask(
        &self,
        seat: &Seat,
        kind: Kind,
        deadline: Instant,
    ) -> Result<wire::Reply, Failure> {
        let live = &seat.live;
        let id = live.next_id.fetch_add(1, Ordering::Relaxed);
        let (slip, answer) = oneshot::channel();
        {
            let mut waiting = live.slips.waiting();
            if let Some(why) = &waiting.over {
                return Err(Failure::NotSent(format!("{}: {why}", self.address)));
            }
            waiting.slips.insert(id, slip);
        }
        let request = wire::Request { id, session: seat.session, kind: Some(kind) };
        let sent = tokio::time::timeout_at(deadline, live.requests.send(request)).await;
        if !matches!(sent, Ok(Ok(()))) {
            live.slips.waiting().slips.remove(&id);
            return Err(Failure::NotSent(format!("{}: the connection takes no more requests", self.address)));
        }
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => {
                let why = live.slips.waiting().over.clone().unwrap_or_else(|| "the connection ended".into());
                Err(Failure::NotAnswered(format!("{}: {why} before it answered", self.address)))
            }
            Err(_) => {
                live.slips.waiting().slips.remove(&id);
                Err(Failure::NotAnswered(format!("{} did not answer before the deadline", self.address)))
            }
        }
    }
}

/// Opens a stream of sessions.
async fn open(channel: Channel) -> Result<Arc<Live>, String> {
    let (requests, queue) = mpsc::channel(QUEUE_MAX);
    let mut client = ClientClient::new(channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX);
    let stream = client.session(tokio_stream::wrappers::ReceiverStream::new(queue));
    let mut replies = match tokio::time::timeout(CONNECT_MAX, stream).await {
        Err(_) => return Err("the node accepted the connection and did not open a stream".into()),
        Ok(Err(status)) => return Err(status.message().to_owned()),
        Ok(Ok(replies)) => replies.into_inner(),
    };
    let slips = Arc::<Slips>::default();
    let reader = slips.clone();
    tokio::spawn(async move {
        let why = loop {
            match replies.message().await {
                Ok(Some(reply)) => {
                    let slip = reader.waiting().slips.remove(&reply.id);
                    if let Some(slip) = slip {
                        // Its owner may have stopped waiting.
                        let _ = slip.send(reply);
                    }
                }
                Ok(None) => break "the node closed the connection".to_owned(),
                Err(status) => break status.message().to_owned(),
            }
        };
        reader.end(why);
    });
    Ok(Arc::new(Live { channel, requests, next_id: AtomicU64::new(1), slips }))
}

/// A channel to a node's gRPC port.
pub(crate) async fn channel(address: SocketAddr) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address makes a URI");
    let endpoint = endpoint
        .connect_timeout(CONNECT_MAX)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    endpoint.connect().await.map_err(|error| root(&error))
}

/// The innermost cause: "Connection refused" instead of "transport error".
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// A reply as yes, or as what it is instead.
pub(crate) fn settle(reply: wire::Reply) -> Result<Done, Error> {
    let outcome = match reply.outcome() {
        wire::Outcome::Yes => Outcome::Yes,
        wire::Outcome::No => Outcome::No,
        wire::Outcome::Unknown => Outcome::Unknown,
    };
    let error = reply.error.unwrap_or_default();
    match outcome {
        Outcome::Yes => {
            Ok(Done { results: reply.results.into_iter().map(Rows::from).collect(), seqno: reply.seqno })
        }
        Outcome::No => {
            let wire::Error { code, sqlstate, message, retry } = error;
            Err(Error::Refused { code, sqlstate, message, retry })
        }
        Outcome::Unknown => Err(Error::Unknown { why: error.message }),
    }
}
