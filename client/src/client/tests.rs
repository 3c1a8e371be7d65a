//! Tests of the client against a node that answers as the test says.

use super::*;
use crate::error::Outcome;
use plait_proto::client::v1::client_server::{self, ClientServer};
use std::sync::Mutex;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// What the node does with the next request.
#[derive(Clone)]
enum Act {
    Yes,
    No {
        code: u32,
        retry: bool,
    },
    Unknown,
    /// Ends the stream with the request unanswered.
    HangUp,
    Silent,
}

#[derive(Clone)]
struct Fake {
    acts: Arc<Mutex<Vec<Act>>>,
    asked: Arc<AtomicUsize>,
    /// Streams that are open.
    streams: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl client_server::Client for Fake {
    type SessionStream = ReceiverStream<Result<wire::Reply, Status>>;

    async fn session(
        &self,
        requests: Request<Streaming<wire::Request>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (replies, stream) = tokio::sync::mpsc::channel(16);
        let fake = self.clone();
        let mut requests = requests.into_inner();
        fake.streams.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                fake.asked.fetch_add(1, Ordering::SeqCst);
                let act = fake.acts.lock().expect("not poisoned").pop().unwrap_or(Act::Yes);
                let error = |code, retry, message: &str| {
                    Some(wire::Error { code, sqlstate: "40001".into(), message: message.into(), retry })
                };
                let (outcome, error) = match act {
                    Act::Yes => (wire::Outcome::Yes, None),
                    Act::No { code, retry } => (wire::Outcome::No, error(code, retry, "refused")),
                    Act::Unknown => (wire::Outcome::Unknown, error(1180, false, "not known")),
                    Act::HangUp => break,
                    Act::Silent => continue,
                };
                let reply = wire::Reply {
                    id: request.id,
                    outcome: outcome.into(),
                    error,
                    results: Vec::new(),
                    seqno: 7,
                };
                if replies.send(Ok(reply)).await.is_err() {
                    break;
                }
            }
            fake.streams.fetch_sub(1, Ordering::SeqCst);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn transact(&self, _: Request<wire::Script>) -> Result<Response<wire::Reply>, Status> {
        Err(Status::unimplemented("not asked by this client"))
    }
}

/// A node that does these acts in turn and then says yes; with its count of requests.
async fn node(acts: &[Act]) -> (SocketAddr, Arc<AtomicUsize>) {
    let (address, fake) = fake(acts).await;
    (address, fake.asked)
}

async fn fake(acts: &[Act]) -> (SocketAddr, Fake) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let acts: Vec<Act> = acts.iter().rev().cloned().collect();
    let fake = Fake { acts: Arc::new(Mutex::new(acts)), asked: Arc::default(), streams: Arc::default() };
    let server = tonic::transport::Server::builder().add_service(ClientServer::new(fake.clone()));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, fake)
}

fn write() -> Script {
    Script::new().add("t", [1], "n", 1)
}

#[tokio::test]
async fn a_conflict_is_tried_again_and_a_defect_of_the_transaction_is_not() {
    let (address, asked) =
        node(&[Act::No { code: 1213, retry: true }, Act::Yes, Act::No { code: 1062, retry: false }]).await;
    let client = Client::new(&[address]);
    assert_eq!(client.transact(&write()).await.expect("the second attempt").seqno, 7);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let error = client.transact(&write()).await.expect_err("it is refused");
    assert_eq!(error.outcome(), Outcome::No);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_unknown_outcome_is_never_tried_again() {
    for act in [Act::Unknown, Act::HangUp] {
        let (address, asked) = node(&[act]).await;
        let error = Client::new(&[address]).transact(&write()).await.expect_err("it is not known");
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn silence_until_the_deadline_is_unknown_for_a_write() {
    let (address, asked) = node(&[Act::Silent]).await;
    let client =
        Client::new(&[address]).with(Policy { deadline: Duration::from_millis(100), ..Policy::default() });
    let error = client.transact(&write()).await.expect_err("nobody answered");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_lost_read_is_read_again() {
    let (address, asked) = node(&[Act::HangUp]).await;
    Client::new(&[address]).transact(&Script::new().get("t", [1])).await.expect("the second attempt");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_dead_or_unwilling_node_is_left_for_another() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let dead = closed.local_addr().expect("it is bound");
    drop(closed);
    let (alone, _) = node(&[Act::No { code: 1047, retry: true }]).await;
    let (good, asked) = node(&[]).await;
    Client::new(&[dead, alone, good]).transact(&write()).await.expect("the third node serves");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_any_node_the_answer_is_a_definite_no_in_time() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let dead = closed.local_addr().expect("it is bound");
    drop(closed);
    let client =
        Client::new(&[dead]).with(Policy { deadline: Duration::from_millis(300), ..Policy::default() });
    let began = Instant::now();
    let error = client.transact(&write()).await.expect_err("nobody is there");
    assert_eq!(error.outcome(), Outcome::No);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_dropped_session_ends_on_the_node() {
    let (address, fake) = fake(&[]).await;
    let client = Client::new(&[address]);
    client.transact(&write()).await.expect("it serves");
    let mut session = client.session().await.expect("it serves");
    session.begin(Isolation::default()).await.expect("it serves");
    assert_eq!(fake.streams.load(Ordering::SeqCst), 2);
    drop(session);
    let deadline = Instant::now() + Duration::from_secs(10);
    while fake.streams.load(Ordering::SeqCst) != 1 {
        assert!(Instant::now() < deadline, "the stream of a dropped session is never closed");
        tokio::task::yield_now().await;
    }
    client.transact(&write()).await.expect("the other stream is not touched");
}

#[test]
fn pauses_grow_and_stay_within_their_bound() {
    let policy = Policy::default();
    for attempt in 1..80 {
        let pause = policy.pause(attempt, mix(attempt.into()));
        assert!(pause <= policy.backoff_max);
        assert!(attempt < 8 || pause >= policy.backoff_max / 2);
    }
}
