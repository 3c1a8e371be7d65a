//! Clients that move money between accounts, and a judge that looks at the end whether every answer was true.

use crate::mysql::{Ended, Teller};
use crate::trace::Trace;
use hyper_util::rt::TokioIo;
use plait_base::Draws;
use plait_proto::client::v1 as wire;
use plait_proto::client::v1::client_client::ClientClient;
use plait_proto::client::v1::step::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};

pub const NODES: [&str; 3] = ["n1", "n2", "n3"];
pub const PORT: u16 = 9000;
pub const SQL_PORT: u16 = 3306;
/// Every other one speaks the MySQL protocol.
pub const CLIENTS: u64 = 4;
/// Transfers that each client tries.
const TRANSFERS: u64 = 50;
pub const ACCOUNTS: i64 = 6;
pub const BALANCE: i64 = 100;
/// What a client waits for an answer before it calls it unknown.
pub const PATIENCE: Duration = Duration::from_secs(4);
/// What the judge gives each node, once all faults are over.
const JUDGE_PATIENCE: Duration = Duration::from_secs(60);

/// What was answered.
#[derive(Default)]
pub struct Book {
    pub ready: bool,
    pub writers_done: u64,
    pub faults_over: bool,
    pub yes: BTreeSet<i64>,
    pub no: BTreeSet<i64>,
    pub unknown: BTreeSet<i64>,
    pub reads: u64,
    pub violations: Vec<String>,
    pub judged: bool,
}

#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Book>>);

impl Shared {
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("nothing panics with the book locked")
    }
}

/// What came of a call.
enum Answer {
    Reply(Box<wire::Reply>),
    /// It never left.
    NotSent,
    Lost,
}

struct Caller {
    who: String,
    trace: Trace,
    channels: [Option<Channel>; 3],
}

impl Caller {
    fn new(who: String, trace: Trace) -> Caller {
        Caller { who, trace, channels: [None, None, None] }
    }

    async fn channel(&mut self, node: usize) -> Option<Channel> {
        if self.channels[node].is_none() {
            let address = format!("{}:{PORT}", NODES[node]);
            let endpoint = Endpoint::from_static("http://node");
            let connect = endpoint.connect_with_connector(tower::service_fn(move |_| {
                let address = address.clone();
                async move { turmoil::net::TcpStream::connect(address).await.map(TokioIo::new) }
            }));
            self.channels[node] = timeout(PATIENCE, connect).await.ok()?.ok();
        }
        self.channels[node].clone()
    }

    async fn transact(&mut self, node: usize, isolation: wire::Isolation, steps: Vec<Kind>) -> Answer {
        let Some(channel) = self.channel(node).await else { return Answer::NotSent };
        let steps = steps.into_iter().map(|kind| wire::Step { kind: Some(kind) }).collect();
        let script = wire::Script { isolation: isolation.into(), steps };
        let answer = timeout(PATIENCE, ClientClient::new(channel).transact(script)).await;
        let (answer, text) = match answer {
            Ok(Ok(reply)) => {
                let reply = reply.into_inner();
                let text = format!("{reply:?}");
                (Answer::Reply(Box::new(reply)), text)
            }
            Ok(Err(status)) => {
                self.channels[node] = None;
                (Answer::Lost, status.message().to_owned())
            }
            Err(_) => {
                self.channels[node] = None;
                (Answer::Lost, "nothing".into())
            }
        };
        self.trace.add(&self.who, NODES[node], text.as_bytes());
        answer
    }

    async fn sql(&mut self, node: usize, text: &str) -> bool {
        let Some(channel) = self.channel(node).await else { return false };
        let request = wire::Request { id: 1, session: 1, kind: Some(wire::request::Kind::Sql(text.into())) };
        // The stream stays open until the answer came.
        let requests = tokio_stream::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
        let asked = async {
            let mut replies = ClientClient::new(channel).session(requests).await.ok()?.into_inner();
            replies.message().await.ok()?
        };
        let Ok(Some(reply)) = timeout(PATIENCE, asked).await else {
            self.channels[node] = None;
            return false;
        };
        // 1050: a first attempt whose answer was lost made it.
        reply.outcome() == wire::Outcome::Yes || reply.error.is_some_and(|error| error.code == 1050)
    }
}

fn int(n: i64) -> wire::Value {
    wire::Value { kind: Some(wire::value::Kind::Int(n)) }
}

fn insert(table: &str, values: &[i64]) -> Kind {
    let row = Some(wire::Row { values: values.iter().copied().map(int).collect() });
    Kind::Insert(wire::Insert { table: table.into(), row })
}

fn add(account: i64, amount: i64) -> Kind {
    let change = wire::Change { column: "balance".into(), kind: Some(wire::change::Kind::Add(amount)) };
    Kind::Update(wire::Update { table: "accounts".into(), key: vec![int(account)], set: vec![change] })
}

fn scan(table: &str) -> Kind {
    Kind::Scan(wire::Scan { table: table.into(), ..wire::Scan::default() })
}

fn pairs(result: &wire::Result) -> BTreeMap<i64, i64> {
    let number = |value: &wire::Value| match value.kind {
        Some(wire::value::Kind::Int(n)) => n,
        ref other => panic!("the tables hold integers, and {other:?} came"),
    };
    result.rows.iter().map(|row| (number(&row.values[0]), number(&row.values[1]))).collect()
}

/// Makes the tables and fills the accounts.
pub async fn set_up(shared: Shared, trace: Trace) -> turmoil::Result {
    let mut caller = Caller::new("setup".into(), trace);
    for text in [
        "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)",
        "CREATE TABLE ledger (id BIGINT PRIMARY KEY, amount BIGINT NOT NULL)",
    ] {
        while !caller.sql(0, text).await {
            sleep(Duration::from_millis(50)).await;
        }
    }
    let rows: Vec<Kind> = (0..ACCOUNTS).map(|id| insert("accounts", &[id, BALANCE])).collect();
    loop {
        match caller.transact(0, wire::Isolation::RepeatableRead, rows.clone()).await {
            Answer::Reply(reply) if reply.outcome() == wire::Outcome::Yes => break,
            // A first attempt whose answer was lost did it.
            Answer::Reply(reply) if reply.error.as_ref().is_some_and(|error| error.code == 1062) => break,
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
    shared.book().ready = true;
    Ok(())
}

/// One client: transfers on any node, and now and then a read of everything.
pub async fn move_money(seed: u64, number: u64, shared: Shared, trace: Trace) -> turmoil::Result {
    let mut draws = Draws::new(seed, "client", number);
    let mut caller = Caller::new(format!("c{number}"), trace.clone());
    let mut teller = (number % 2 == 1).then(|| Teller::new(format!("c{number}"), trace));
    while !shared.book().ready {
        sleep(Duration::from_millis(10)).await;
    }
    for turn in 0..TRANSFERS {
        sleep(Duration::from_millis(draws.between(20, 200))).await;
        let node = draws.below(3) as usize;
        let looks = draws.chance(250);
        if let Some(teller) = teller.as_mut().filter(|_| looks) {
            teller.look(node, &shared).await;
        } else if looks {
            let answer = caller.transact(node, wire::Isolation::RepeatableRead, vec![scan("accounts")]).await;
            if let Answer::Reply(reply) = answer
                && reply.outcome() == wire::Outcome::Yes
            {
                let total: i64 = pairs(&reply.results[0]).values().sum();
                let mut book = shared.book();
                book.reads += 1;
                if total != ACCOUNTS * BALANCE {
                    book.violations.push(format!("a read on {} found a total of {total}", NODES[node]));
                }
            }
        }
        let id = (number * TRANSFERS + turn) as i64;
        let (from, to) = (draws.below(ACCOUNTS as u64) as i64, draws.below(ACCOUNTS as u64) as i64);
        let amount = draws.between(1, 20) as i64;
        if let Some(teller) = &mut teller {
            let ended = teller.transfer(node, id, from, to, amount).await;
            let mut book = shared.book();
            match ended {
                Ended::Yes => book.yes.insert(id),
                Ended::No => book.no.insert(id),
                Ended::Unknown => book.unknown.insert(id),
            };
            continue;
        }
        let check = wire::Check {
            table: "accounts".into(),
            key: vec![int(from)],
            column: "balance".into(),
            least: amount,
            most: i64::MAX,
        };
        let steps =
            vec![Kind::Check(check), add(from, -amount), add(to, amount), insert("ledger", &[id, amount])];
        let answer = caller.transact(node, wire::Isolation::Serializable, steps).await;
        let mut book = shared.book();
        match answer {
            Answer::NotSent => book.no.insert(id),
            Answer::Lost => book.unknown.insert(id),
            Answer::Reply(reply) => match reply.outcome() {
                wire::Outcome::Yes => book.yes.insert(id),
                wire::Outcome::No => book.no.insert(id),
                wire::Outcome::Unknown => book.unknown.insert(id),
            },
        };
    }
    shared.book().writers_done += 1;
    Ok(())
}

/// When the writers are done and the faults are over: every node answers, and every answer was true.
pub async fn judge(shared: Shared, trace: Trace) -> turmoil::Result {
    let mut caller = Caller::new("judge".into(), trace);
    let over = |book: &Book| book.writers_done == CLIENTS && book.faults_over;
    while !over(&shared.book()) {
        sleep(Duration::from_millis(100)).await;
    }
    let mut seen = Vec::new();
    for (node, name) in NODES.iter().enumerate() {
        let look = async {
            loop {
                let steps = vec![scan("accounts"), scan("ledger")];
                match caller.transact(node, wire::Isolation::RepeatableRead, steps).await {
                    Answer::Reply(reply) if reply.outcome() == wire::Outcome::Yes => {
                        return (pairs(&reply.results[0]), pairs(&reply.results[1]));
                    }
                    _ => sleep(Duration::from_millis(100)).await,
                }
            }
        };
        match timeout(JUDGE_PATIENCE, look).await {
            Ok(found) => seen.push((*name, found)),
            Err(_) => shared
                .book()
                .violations
                .push(format!("{name} does not serve {JUDGE_PATIENCE:?} after the last fault")),
        }
    }
    let mut book = shared.book();
    let mut wrong = Vec::new();
    for (name, (accounts, ledger)) in &seen {
        let total: i64 = accounts.values().sum();
        if total != ACCOUNTS * BALANCE {
            wrong.push(format!("{name} ends with a total of {total}"));
        }
        let lost = book.yes.iter().filter(|id| !ledger.contains_key(id));
        wrong.extend(lost.map(|id| format!("transfer {id} was answered yes and is not on {name}")));
        let undead = book.no.iter().filter(|id| ledger.contains_key(id));
        wrong.extend(undead.map(|id| format!("transfer {id} was answered no and is on {name}")));
    }
    if let Some(((first, one), rest)) = seen.split_first() {
        let differ = rest.iter().filter(|(_, found)| found != one);
        wrong.extend(differ.map(|(name, _)| format!("{first} and {name} hold different rows")));
    }
    book.violations.extend(wrong);
    book.judged = true;
    Ok(())
}
