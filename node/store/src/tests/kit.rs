//! A small cluster without a network: stores that apply one list of operations, each at its own pace.

use crate::*;
use plait_base::{BootEpoch, Bytes, Now, ProposalId, Seqno, Slot};

/// In a child of the zoo's test: turns on the bug that it was started for. Else nothing.
pub fn plant() {
    #[cfg(feature = "zoo")]
    super::zoo::plant();
}

pub fn slot(n: u8) -> Slot {
    Slot::new(n).expect("a slot is 1, 2 or 3")
}

pub fn proposal(n: u64) -> ProposalId {
    ProposalId { slot: slot((n % 3) as u8 + 1), epoch: BootEpoch(1), counter: n }
}

pub fn int(name: &str) -> Column {
    Column { name: name.into(), kind: ColumnType::Int { bits: 64 }, nullable: true, ..Column::default() }
}

/// `id`, `v`; the key is `id`.
pub fn pairs(name: &str) -> TableDef {
    TableDef {
        name: name.into(),
        columns: vec![int("id"), int("v")],
        primary: vec![0],
        ..TableDef::default()
    }
}

/// As `pairs`, with ids of the node's class.
pub fn numbered(name: &str) -> TableDef {
    TableDef { auto_increment: Some(0), ..pairs(name) }
}

/// Of the first session of a node that serves.
pub fn context() -> Context<'static> {
    Context::alone(Now::default())
}

pub struct Node {
    pub store: Store,
    pub local: Local,
    pub may_read: bool,
    pub galera: bool,
    /// Units a slice of work has.
    pub slice: u32,
}

impl Node {
    pub fn new(n: u8, settings: Settings) -> Node {
        Node {
            store: Store::new(settings, 7),
            local: Local::new(slot(n)),
            may_read: true,
            galera: false,
            slice: 1024,
        }
    }

    /// Applies one operation and publishes it.
    pub fn apply(&mut self, n: u64, op: &Bytes) -> Verdict {
        let verdict = loop {
            if let Some(verdict) = self.store.apply(Seqno(n), proposal(n), op, &mut { self.slice }) {
                break verdict;
            }
        };
        self.store.publish();
        verdict
    }

    pub fn run(&mut self, session: &mut Session) -> Progress {
        self.run_as(session, 1, Now::default())
    }

    /// The same for the session of this number.
    pub fn run_as(&mut self, session: &mut Session, connection: u64, now: Now) -> Progress {
        let may_read = if self.may_read { Ok(()) } else { Err("it is alone".to_owned()) };
        let ctx = Context { now, may_read, connection, galera: self.galera, ..context() };
        loop {
            let progress = session.run(&self.store, &mut self.local, &ctx, &mut { self.slice });
            if progress != Progress::Yield {
                return progress;
            }
        }
    }
}

/// Three nodes that apply everything at once.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub log: Vec<Bytes>,
}

pub struct Answer {
    pub reply: Result<Reply, Error>,
    pub depends_on: Seqno,
    pub hangup: bool,
}

impl Cluster {
    pub fn new(settings: Settings) -> Cluster {
        Cluster { nodes: (1..=3).map(|n| Node::new(n, settings.clone())).collect(), log: Vec::new() }
    }

    pub fn with(defs: &[TableDef]) -> Cluster {
        let mut cluster = Cluster::new(Settings::default());
        for def in defs {
            let mut session = cluster.session(1);
            cluster
                .ask(&mut session, Request::CreateTable(def.clone().into()))
                .reply
                .expect("a table can be made");
        }
        cluster
    }

    pub fn session(&self, n: u8) -> Session {
        Session::new(slot(n))
    }

    /// Orders an operation and applies it everywhere; the nodes must agree.
    pub fn order(&mut self, op: Bytes) -> Verdict {
        self.log.push(op.clone());
        let n = self.log.len() as u64;
        let verdicts: Vec<_> = self.nodes.iter_mut().map(|node| node.apply(n, &op)).collect();
        assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]), "nodes rule alike: {verdicts:?}");
        self.agree();
        verdicts.into_iter().next().expect("there are three")
    }

    pub fn agree(&self) {
        let chains: Vec<_> = self.nodes.iter().map(|node| node.store.chain()).collect();
        assert!(chains.windows(2).all(|pair| pair[0] == pair[1]), "chains are equal: {chains:?}");
    }

    /// A request from start to reply; what it orders is applied everywhere at once.
    pub fn ask(&mut self, session: &mut Session, request: Request) -> Answer {
        session.start(request).expect("nothing is under way");
        self.finish(session)
    }

    pub fn finish(&mut self, session: &mut Session) -> Answer {
        loop {
            match self.nodes[session.slot().at()].run(session) {
                Progress::Yield | Progress::Wait(_) => unreachable!("the kit goes on by itself"),
                Progress::Order(op) => {
                    let verdict = self.order(op);
                    session.resume(Ok(verdict));
                }
                Progress::Reply { reply, depends_on, hangup } => return Answer { reply, depends_on, hangup },
            }
        }
    }

    pub fn run(&mut self, session: &mut Session, steps: Vec<Step>) -> Result<Reply, Error> {
        self.ask(session, Request::Run(steps)).reply
    }

    pub fn begin(&mut self, session: &mut Session, isolation: Isolation) {
        self.ask(session, Request::Begin { isolation }).reply.expect("a transaction can be begun");
    }

    pub fn commit(&mut self, session: &mut Session) -> Result<Reply, Error> {
        self.ask(session, Request::Commit).reply
    }
}

pub fn get(table: &str, id: i64) -> Step {
    Step::Get { table: table.into(), key: vec![id.into()], lock: false }
}

pub fn get_locked(table: &str, id: i64) -> Step {
    Step::Get { table: table.into(), key: vec![id.into()], lock: true }
}

pub fn scan(table: &str) -> Step {
    Step::Scan { table: table.into(), from: vec![], to: vec![], limit: 0, lock: false }
}

pub fn insert(table: &str, id: i64, v: i64) -> Step {
    Step::Insert { table: table.into(), row: vec![id.into(), v.into()] }
}

pub fn insert_new(table: &str, v: i64) -> Step {
    Step::Insert { table: table.into(), row: vec![Value::Null, v.into()] }
}

pub fn put(table: &str, id: i64, v: i64) -> Step {
    Step::Put { table: table.into(), row: vec![id.into(), v.into()] }
}

pub fn update(table: &str, id: i64, v: i64) -> Step {
    Step::Update { table: table.into(), key: vec![id.into()], set: vec![("v".into(), Change::To(v.into()))] }
}

pub fn add(table: &str, id: i64, by: i64) -> Step {
    Step::Update { table: table.into(), key: vec![id.into()], set: vec![("v".into(), Change::Add(by))] }
}

pub fn delete(table: &str, id: i64) -> Step {
    Step::Delete { table: table.into(), key: vec![id.into()] }
}

/// The integer pairs of a result of rows.
pub fn pairs_of(result: &StepResult) -> Vec<(i64, i64)> {
    let StepResult::Rows(rows) = result else { panic!("rows were expected, not {result:?}") };
    let int = |value: &Value| match value {
        Value::Int(n) => *n,
        other => panic!("an integer was expected, not {other}"),
    };
    rows.rows.values().iter().map(|row| (int(&row[0]), int(&row[1]))).collect()
}

pub fn affected(result: &StepResult) -> u64 {
    match result {
        StepResult::Done(done) => done.affected,
        StepResult::Rows(_) => panic!("no rows were expected"),
    }
}
