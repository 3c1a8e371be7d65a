//! The doors of a node that serves: programs, MySQL clients, monitors, whoever runs it.

use crate::bench::{Bench, WAIT_MAX, found, get, int, put, until};
use plait_proto::admin::v1::admin_client::AdminClient;
use plait_proto::admin::v1::{EventsRequest, LinkRule};
use plait_proto::client::v1 as client;
use plait_proto::client::v1::client_client::ClientClient;
use plait_proto::client::v1::request::Kind;
use plait_wire::mysql::auth;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// One stream of sessions.
struct Stream<'a> {
    bench: &'a Bench,
    asks: mpsc::Sender<client::Request>,
    replies: Streaming<client::Reply>,
}

impl Stream<'_> {
    fn open(bench: &Bench, n: usize) -> Stream<'_> {
        let (asks, receiver) = mpsc::channel(1024);
        let mut client = ClientClient::new(bench.channel(n));
        let replies =
            bench.runtime.block_on(client.session(ReceiverStream::new(receiver))).unwrap().into_inner();
        Stream { bench, asks, replies }
    }

    fn ask(&self, id: u64, session: u32, kind: Kind) {
        self.asks.blocking_send(client::Request { id, session, kind: Some(kind) }).unwrap();
    }

    fn reply(&mut self) -> Option<client::Reply> {
        let replies = &mut self.replies;
        let reply = async { tokio::time::timeout(WAIT_MAX, replies.message()).await };
        self.bench.runtime.block_on(reply).expect("a reply comes").unwrap()
    }

    fn done(&mut self, id: u64, session: u32, kind: Kind) -> client::Reply {
        self.ask(id, session, kind);
        let reply = self.reply().expect("the stream is open");
        assert_eq!((reply.id, reply.outcome()), (id, client::Outcome::Yes), "{:?}", reply.error);
        reply
    }
}

/// The table that the tests write to.
pub fn make_table(bench: &Bench) {
    let mut stream = Stream::open(bench, 1);
    let text = "CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT NOT NULL)";
    stream.done(1, 1, Kind::Sql(text.into()));
}

fn run(kinds: Vec<client::step::Kind>) -> Kind {
    let steps = kinds.into_iter().map(|kind| client::Step { kind: Some(kind) }).collect();
    Kind::Run(client::Run { steps })
}

fn begin() -> Kind {
    Kind::Begin(client::Begin { isolation: client::Isolation::RepeatableRead.into() })
}

#[test]
fn programs() {
    let bench = Bench::up("programs");
    make_table(&bench);

    // What one node acknowledged, the others read.
    bench.yes(1, vec![put(1, 10)]);
    for n in 1..=3 {
        assert_eq!(found(&bench.yes(n, vec![get(1)])), Some(10), "n{n}");
    }

    // Two sessions of one stream have transactions of their own.
    let mut stream = Stream::open(&bench, 2);
    stream.done(1, 1, begin());
    stream.done(2, 2, begin());
    stream.done(3, 1, run(vec![put(2, 20)]));
    assert_eq!(found(&stream.done(4, 1, run(vec![get(2)]))), Some(20), "its own write");
    assert_eq!(stream.done(5, 2, run(vec![get(2)])).results[0].rows, [], "not the other's");
    assert_ne!(stream.done(6, 1, Kind::Commit(client::Commit {})).seqno, 0);
    stream.done(7, 2, Kind::Rollback(client::Rollback {}));

    // A session has one request at a time; what is asked too early is refused and changes nothing.
    let many = (0..200).map(|n| put(1000 + n, n)).collect();
    stream.ask(8, 1, run(many));
    stream.ask(9, 1, run(vec![put(3, 30)]));
    let mut replies = [stream.reply().unwrap(), stream.reply().unwrap()];
    replies.sort_by_key(|reply| reply.id);
    assert_eq!(replies[0].outcome(), client::Outcome::Yes);
    if let Some(error) = &replies[1].error {
        assert_eq!(replies[1].outcome(), client::Outcome::No);
        assert!(error.message.contains("under way"), "{}", error.message);
        assert_eq!(bench.yes(2, vec![get(3)]).results[0].rows, []);
    }

    // Nonsense is refused by its name, and the stream goes on.
    stream.ask(
        10,
        1,
        run(vec![client::step::Kind::Get(client::Get { table: "none".into(), ..Default::default() })]),
    );
    assert_eq!(stream.reply().unwrap().error.unwrap().code, 1146);
    let change = client::Change { column: "v".into(), kind: None };
    let update = client::Update { table: "t".into(), key: vec![int(1)], set: vec![change] };
    stream.ask(11, 1, run(vec![client::step::Kind::Update(update)]));
    assert!(stream.reply().unwrap().error.unwrap().message.contains("the change of v says nothing"));

    // A client that asks no more still gets its answers, then the end.
    for n in 0..50 {
        stream.ask(100 + n, 10 + n as u32, run(vec![put(2000 + n as i64, 1)]));
    }
    let Stream { asks, replies, .. } = stream;
    drop(asks);
    let (_never, receiver) = mpsc::channel(1);
    drop(receiver);
    let mut rest = Stream { bench: &bench, asks: _never, replies };
    let mut answered: Vec<u64> = std::iter::from_fn(|| rest.reply().map(|reply| reply.id)).collect();
    answered.sort_unstable();
    assert_eq!(answered, (100..150).collect::<Vec<u64>>());

    // And its sessions are gone with it.
    until("no session is left", || (bench.status(2)["sessions"] == 0).then_some(()));
}

#[test]
fn monitors_and_whoever_runs_it() {
    let mut bench = Bench::up("monitors");
    make_table(&bench);
    bench.yes(1, vec![put(1, 1)]);
    assert_eq!(bench.http(1, "/livez").unwrap(), (200, "ok\n".into()));
    assert_eq!(bench.http(1, "/nothing").unwrap().0, 404);
    let (_, metrics) = bench.http(1, "/metrics").unwrap();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("plait_") && value.parse::<f64>().is_ok(), "{line}");
    }
    let value = |name: &str| {
        let line =
            metrics.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit_once(' '))
            .unwrap_or_else(|| panic!("{name} is missing"))
            .1
            .parse::<f64>()
            .unwrap()
    };
    assert!(
        value("plait_ready") == 1.0 && value("plait_disk_syncs_total") >= 1.0 && value("plait_seqno") >= 1.0
    );
    assert!(value("plait_step_seconds_count") > 1.0 && value("plait_requests_total") >= 1.0);

    // Events come as they happen.
    let mut admin = AdminClient::new(bench.channel(1));
    let mut events = bench
        .runtime
        .block_on(admin.events(EventsRequest { since: 0, follow: true, flow: false }))
        .unwrap()
        .into_inner();
    let runtime = bench.runtime.clone();
    let mut next = |name: &str| {
        until(&format!("the event {name}"), || {
            let line = runtime.block_on(async { tokio::time::timeout(WAIT_MAX, events.message()).await });
            let line = line.expect("an event comes").unwrap().expect("the stream is open");
            let event: serde_json::Value = serde_json::from_str(&line.json).unwrap();
            assert_eq!(event["position"], line.position);
            (event["event"] == name).then_some(event)
        })
    };
    next("peer_up");

    // What a transaction did is told on demand.
    let request = EventsRequest { flow: true, ..EventsRequest::default() };
    let mut flow = bench.runtime.block_on(admin.events(request)).unwrap().into_inner();
    let mut told = Vec::new();
    while let Some(line) = bench.runtime.block_on(flow.message()).unwrap() {
        told.push(serde_json::from_str::<serde_json::Value>(&line.json).unwrap());
    }
    assert!(told.iter().any(|event| event["event"] == "ordered"), "{told:?}");

    // A rule that makes no sense is refused; one that does is set, shown, and healed.
    let rule = LinkRule { to_slot: 1, cut: true, ..LinkRule::default() };
    assert!(
        bench.runtime.block_on(admin.set_link(rule)).unwrap_err().message().contains("no other node of n1")
    );
    let rule = LinkRule { to_slot: 2, loss_per_mille: 1001, ..LinkRule::default() };
    assert!(bench.runtime.block_on(admin.set_link(rule)).unwrap_err().message().contains("0 to 1000"));
    let rule = LinkRule { to_slot: 2, delay_ms: 5, ..LinkRule::default() };
    bench.runtime.block_on(admin.set_link(rule)).unwrap();
    assert_eq!(next("fault_set")["facts"]["rule"], "delay 5ms");
    assert_eq!(bench.status(1)["peers"]["n2"]["fault"], "delay 5ms");
    bench.yes(2, vec![put(2, 2)]);
    bench.runtime.block_on(admin.heal(plait_proto::admin::v1::HealRequest {})).unwrap();
    until("it is healed", || (bench.status(1)["peers"]["n2"]["fault"] == "none").then_some(()));

    // A node alone says why it is not ready, and takes no write.
    let epoch =
        bench.status(2)["epoch"].as_str().map(|epoch| u64::from_str_radix(epoch, 16).unwrap()).unwrap();
    bench.kill(2);
    next("peer_down");
    bench.report_death(1, 2, epoch);
    assert_eq!(next("death_reported")["facts"]["peer"], "n2");
    bench.kill(3);
    let why = until("n1 is not ready", || bench.http(1, "/readyz").filter(|(status, _)| *status == 503));
    assert!(why.1.contains("not Synced"), "{}", why.1);
    let reply = bench.transact(1, vec![put(9, 9)]).unwrap();
    assert_ne!(reply.outcome(), client::Outcome::Yes);
    // With the others back all goes on, and what was acknowledged is there.
    bench.start(2);
    bench.start(3);
    (1..=3).for_each(|n| bench.ready(n));
    assert_eq!(found(&bench.yes(3, vec![get(1)])), Some(1));
}

/// One packet of a MySQL server.
fn packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
    stream.read_exact(&mut body).unwrap();
    body
}

fn send(stream: &mut TcpStream, seq: u8, body: &[u8]) {
    let length = (body.len() as u32).to_le_bytes();
    stream.write_all(&[&length[..3], &[seq], body].concat()).unwrap();
}

/// The first packet after a login with this password.
fn login(bench: &Bench, password: &str) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", bench.ports[0][2])).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    let greeting = packet(&mut stream);
    if greeting[0] == 0xff {
        return (stream, greeting);
    }
    assert_eq!(greeting[0], 10, "handshake version");
    let at = 1 + greeting[1..].iter().position(|byte| *byte == 0).unwrap() + 1 + 4;
    let salt = [&greeting[at..at + 8], &greeting[at + 27..at + 39]].concat();
    let answer = auth::scramble(password, &salt.try_into().unwrap());
    // CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH.
    let caps = 0x0000_0200_u32 | 0x0000_8000 | 0x0008_0000;
    let mut body =
        [&caps.to_le_bytes()[..], &[0, 0, 0, 1, 45], &[0; 23], b"plait\0", &[answer.len() as u8]].concat();
    body.extend_from_slice(&answer);
    body.extend_from_slice(b"mysql_native_password\0");
    send(&mut stream, 1, &body);
    let reply = packet(&mut stream);
    (stream, reply)
}

fn error_code(packet: &[u8]) -> u16 {
    assert_eq!(packet[0], 0xff, "an error packet");
    u16::from_le_bytes([packet[1], packet[2]])
}

#[test]
fn mysql_clients() {
    let mut bench = Bench::new("mysql");
    bench.set("host.sql_connections_max=3");
    bench.found();
    (1..=3).for_each(|n| bench.start(n));
    (1..=3).for_each(|n| bench.ready(n));

    let (mut denied, reply) = login(&bench, "wrong");
    assert_eq!(error_code(&reply), 1045);
    assert_eq!(denied.read(&mut [0; 16]).unwrap(), 0, "closed after it");

    let (mut stream, reply) = login(&bench, "plait");
    assert_eq!(reply[0], 0, "an OK packet");
    send(&mut stream, 0, &[0x0e]);
    assert_eq!(packet(&mut stream)[0], 0, "a ping is answered");
    // Two questions in one write are answered in turn.
    stream.write_all(&[1, 0, 0, 0, 0x0e, 1, 0, 0, 0, 0x0e]).unwrap();
    assert_eq!((packet(&mut stream)[0], packet(&mut stream)[0]), (0, 0));
    send(&mut stream, 0, &[0xfa]);
    assert_eq!(error_code(&packet(&mut stream)), 1047);

    // One more than the bound is told so; with a place free again the next comes in.
    let (second, _) = login(&bench, "plait");
    let (_third, _) = login(&bench, "plait");
    let (_, refused) = login(&bench, "plait");
    assert_eq!(error_code(&refused), 1040);
    drop(second);
    until("a place is free again", || (login(&bench, "plait").1[0] == 0).then_some(()));

    // A broken packet ends its connection alone.
    let (mut broken, _) = login(&bench, "plait");
    broken.write_all(&[1, 0, 0, 9, 0x0e]).unwrap();
    assert_eq!(error_code(&packet(&mut broken)), 1156);
    send(&mut stream, 0, &[0x0e]);
    assert_eq!(packet(&mut stream)[0], 0);

    // At an ordered end an idle client is let go.
    bench.signal(1, "TERM");
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    assert_eq!(bench.ended(1).code(), Some(0));
}

#[test]
fn a_node_ends_with_whoever_started_it_and_in_order() {
    let mut bench = Bench::new("ends");
    bench.found();
    bench.start(2);
    bench.start(3);
    bench.start_with(1, |command| command.arg("--lifeline").stdin(Stdio::piped()));
    (1..=3).for_each(|n| bench.ready(n));
    make_table(&bench);
    bench.yes(1, vec![put(1, 7)]);

    drop(bench.child(1).stdin.take());
    assert_eq!(bench.ended(1).code(), Some(0));
    for n in [2, 3] {
        bench.signal(n, "TERM");
        assert_eq!(bench.ended(n).code(), Some(0));
    }
    (1..=3).for_each(|n| bench.start(n));
    (1..=3).for_each(|n| bench.ready(n));
    assert_eq!(found(&bench.yes(2, vec![get(1)])), Some(7));
}
