//! Three whole nodes on one table: messages arrive at once and in order, disks keep what they are given.

use crate::*;
use plait_base::disk::{self, Disk, File};
use plait_base::{Bytes, ClusterId, Incarnation, Index, SetHash, Wall, kv};
use plait_store::{Change, Column, ColumnType, Error, Isolation, Reply, Step, StepResult, TableDef, Value};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Default, Clone)]
struct Shelf(BTreeMap<File, Vec<u8>>);

impl Shelf {
    fn perform(&mut self, ops: &[disk::Op]) {
        for op in ops {
            match op {
                disk::Op::Create { file, bytes } => {
                    self.0.insert(*file, vec![0; *bytes as usize]);
                }
                disk::Op::Write { file, at, bytes } => {
                    let at = *at as usize;
                    self.0.get_mut(file).expect("it was created")[at..at + bytes.len()]
                        .copy_from_slice(bytes);
                }
                disk::Op::Remove { file } | disk::Op::Aside { file } => {
                    self.0.remove(file);
                }
            }
        }
    }
}

impl Disk for Shelf {
    fn list(&self) -> Result<Vec<File>, disk::Error> {
        Ok(self.0.keys().copied().collect())
    }
    fn read(&self, file: File) -> Result<Vec<u8>, disk::Error> {
        Ok(self.0[&file].clone())
    }
}

#[derive(Default, Clone)]
struct Album {
    places: [BTreeMap<Bytes, Bytes>; 2],
    heads: BTreeMap<u64, Bytes>,
}

impl Album {
    fn perform(&mut self, op: kv::Op) -> Option<kv::Answer> {
        match op {
            kv::Op::Begin { generation, over } => {
                self.heads.retain(|number, _| number % 2 != generation % 2);
                if over.is_none() {
                    self.places[(generation % 2) as usize].clear();
                }
                None
            }
            kv::Op::Write { generation, rows } => {
                let place = &mut self.places[(generation % 2) as usize];
                for (key, value) in rows {
                    match value {
                        Some(value) => place.insert(key, value),
                        None => place.remove(&key),
                    };
                }
                Some(kv::Answer::Written { generation })
            }
            kv::Op::Finish { generation, head, digest } => {
                let mut hash = SetHash::default();
                self.places[(generation % 2) as usize].iter().for_each(|(k, v)| hash.add(k, v));
                assert_eq!(hash.digest(), digest, "what was written is what the store says it is");
                self.heads.insert(generation, head);
                Some(kv::Answer::Done { generation })
            }
        }
    }
}

impl kv::Kv for Album {
    fn generations(&self) -> (Vec<(u64, Bytes)>, Vec<(u64, String)>) {
        (self.heads.iter().rev().map(|(g, h)| (*g, h.clone())).collect(), Vec::new())
    }
    fn scan(&self, generation: u64, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), disk::Error> {
        self.places[(generation % 2) as usize].iter().for_each(|(k, v)| each(k, v));
        Ok(())
    }
}

const CLUSTER: ClusterId = ClusterId([9; 16]);

fn slot(n: u8) -> Slot {
    Slot::new(n).expect("1, 2 or 3")
}

struct Table {
    nodes: BTreeMap<Slot, Replica>,
    shelves: BTreeMap<Slot, Shelf>,
    albums: BTreeMap<Slot, Album>,
    replies: BTreeMap<Ticket, Result<Reply, Error>>,
    events: Vec<(Slot, Event)>,
    tickets: u64,
    bootstrap: bool,
    avoid: Option<Index>,
    reads: Reads,
    /// Nothing reaches this node.
    cut: Option<Slot>,
    now: Now,
}

impl Table {
    fn laid() -> Table {
        Table::that_reads(Reads::Lease)
    }

    fn that_reads(reads: Reads) -> Table {
        let mut table = Table {
            nodes: BTreeMap::new(),
            shelves: BTreeMap::new(),
            albums: BTreeMap::new(),
            replies: BTreeMap::new(),
            events: Vec::new(),
            tickets: 0,
            bootstrap: false,
            avoid: None,
            reads,
            cut: None,
            now: Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000) },
        };
        for slot in Slot::ALL {
            let bytes = identity(CLUSTER, slot, Incarnation(1));
            table.shelves.insert(slot, Shelf(BTreeMap::from([(File::Identity, bytes)])));
            table.albums.insert(slot, Album::default());
            table.start(slot);
        }
        table.pass(Duration::from_millis(800));
        table
    }

    fn start(&mut self, slot: Slot) {
        let limits = Limits { segment_bytes: 1 << 16, chunk_bytes: 400, ..Limits::default() };
        let (bootstrap, avoid, reads) = (self.bootstrap, self.avoid, self.reads);
        let config = Config {
            slot,
            cluster: CLUSTER,
            nonce: 5 + self.tickets,
            bootstrap,
            avoid,
            reads,
            galera_compat: false,
            limits,
        };
        let boot = Boot { now: self.now, disk: &self.shelves[&slot], kv: &self.albums[&slot] };
        self.nodes.insert(slot, Replica::open(config, boot).expect("the disk is whole"));
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut quiet = true;
            for slot in Slot::ALL {
                let mut out = Vec::new();
                if let Some(node) = self.nodes.get_mut(&slot) {
                    node.flush(self.now, &mut out);
                    quiet &= out.is_empty() && node.deadline() > Mono(0);
                }
                out.into_iter().for_each(|output| self.perform(slot, output));
            }
            if quiet {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    fn perform(&mut self, slot: Slot, output: Output) {
        let node = self.nodes.get_mut(&slot).expect("it spoke a moment ago");
        match output {
            Output::Send { to, lane, bytes } => {
                if let Some(peer) = self.nodes.get_mut(&to).filter(|_| self.cut != Some(to)) {
                    peer.take(self.now, Input::Recv { from: slot, lane, bytes });
                }
            }
            Output::Persist(persist) => {
                self.shelves.get_mut(&slot).expect("each has one").perform(&persist.ops);
                node.take(self.now, Input::Persisted { token: persist.token });
            }
            Output::Checkpoint(op) => {
                if let Some(answer) = self.albums.get_mut(&slot).expect("each has one").perform(op) {
                    node.take(self.now, Input::Checkpoint(answer));
                }
            }
            Output::Reply { ticket, reply } => {
                self.replies.insert(ticket, reply);
            }
            Output::Event(event) => self.events.push((slot, event)),
            Output::Hangup { .. } => {}
            Output::Stop(stop) => panic!("{slot} stopped: {stop:?}"),
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while self.now.mono < end {
            self.now.mono = self.now.mono + Duration::from_millis(5);
            for node in self.nodes.values_mut() {
                node.take(self.now, Input::Tick);
            }
            self.settle();
        }
    }

    fn ask(&mut self, node: u8, session: u64, request: plait_store::Request) -> Result<Reply, Error> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let input = Input::Request { ticket, session: SessionId(session), request: Request::Store(request) };
        self.nodes.get_mut(&slot(node)).expect("it is up").take(self.now, input);
        self.settle();
        let end = self.now.mono + Duration::from_secs(12);
        while !self.replies.contains_key(&ticket) && self.now.mono < end {
            self.pass(Duration::from_millis(5));
        }
        self.replies.remove(&ticket).expect("every request is answered")
    }

    fn script(&mut self, node: u8, steps: Vec<Step>) -> Result<Reply, Error> {
        self.ask(node, 1, plait_store::Request::Script { isolation: Isolation::RepeatableRead, steps })
    }

    fn leader(&self) -> Slot {
        self.nodes.values().find_map(|n| n.status(self.now).leader).expect("somebody leads")
    }

    fn create(&mut self) {
        let int = |name: &str| Column {
            name: name.to_owned(),
            kind: ColumnType::Int { bits: 64 },
            nullable: false,
            ..Column::default()
        };
        let def = TableDef {
            name: "t".to_owned(),
            columns: vec![int("id"), int("n")],
            primary: vec![0],
            auto_increment: Some(0),
            ..TableDef::default()
        };
        self.ask(2, 1, plait_store::Request::CreateTable(def.into())).expect("the table is new");
    }

    fn read(&mut self, node: u8, id: i64) -> Option<i64> {
        let get = Step::Get { table: "t".to_owned(), key: vec![Value::Int(id)], lock: false };
        let reply = self.script(node, vec![get]).expect("a read is served");
        let [StepResult::Rows(rows)] = &reply.results[..] else { panic!("a get gives rows") };
        rows.rows.values().first().map(|row| match row[1] {
            Value::Int(n) => n,
            ref other => panic!("n is an integer, not {other:?}"),
        })
    }
}

fn put(id: i64, n: i64) -> Step {
    Step::Put { table: "t".to_owned(), row: vec![Value::Int(id), Value::Int(n)] }
}

#[test]
fn a_commit_on_one_node_is_read_at_once_on_the_others() {
    let mut table = Table::laid();
    table.create();
    for round in 0..9 {
        let (writer, reader) = (round % 3 + 1, (round + 1) % 3 + 1);
        table.script(writer as u8, vec![put(1, round)]).expect("nobody else writes");
        assert_eq!(table.read(reader as u8, 1), Some(round));
    }
    let chains: Vec<String> = table.nodes.values().map(|n| n.status(table.now).chain).collect();
    assert!(chains.iter().all(|c| *c == chains[0]), "{chains:?}");
}

#[test]
fn of_two_transactions_that_read_one_row_and_write_it_the_second_loses() {
    let mut table = Table::laid();
    table.create();
    table.script(1, vec![put(1, 10)]).expect("nobody else writes");
    let begin = plait_store::Request::Begin { isolation: Isolation::RepeatableRead };
    let change = |by| {
        let set = vec![("n".to_owned(), Change::Add(by))];
        plait_store::Request::Run(vec![Step::Update { table: "t".to_owned(), key: vec![Value::Int(1)], set }])
    };
    for (node, session) in [(1, 11), (3, 13)] {
        table.ask(node, session, begin.clone()).expect("a transaction begins");
        table.ask(node, session, change(i64::from(node))).expect("nobody has committed yet");
    }
    table.ask(3, 13, plait_store::Request::Commit).expect("the first wins");
    let lost = table.ask(1, 11, plait_store::Request::Commit);
    assert!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    assert_eq!(table.read(2, 1), Some(13));
}

#[test]
fn all_stop_and_start_and_nothing_is_forgotten() {
    let mut table = Table::laid();
    table.create();
    for id in 1..20 {
        table.script((id % 3 + 1) as u8, vec![put(id, id * 7)]).expect("nobody else writes");
    }
    for node in table.nodes.values_mut() {
        let ask = Input::Request { ticket: Ticket(0), session: SessionId(0), request: Request::Checkpoint };
        node.take(table.now, ask);
    }
    table.settle();
    table.script(1, vec![put(20, 140)]).expect("nobody else writes");
    table.nodes.clear();
    for slot in Slot::ALL {
        table.start(slot);
    }
    table.pass(Duration::from_millis(1200));
    for id in 1..=20 {
        assert_eq!(table.read((id % 3 + 1) as u8, id), Some(id * 7));
    }
}

#[test]
fn a_wiped_node_gets_a_snapshot_when_the_log_was_cut() {
    let mut table = Table::laid();
    table.create();
    for round in 0..3 {
        for id in 1..30 {
            table.script(1, vec![put(id, id + round)]).expect("nobody else writes");
        }
        for node in table.nodes.values_mut() {
            let ask =
                Input::Request { ticket: Ticket(0), session: SessionId(0), request: Request::Checkpoint };
            node.take(table.now, ask);
        }
        table.settle();
    }
    assert!(
        table.nodes[&slot(1)].status(table.now).log_first_index > 1,
        "two checkpoints, so the log is cut"
    );
    table.nodes.remove(&slot(3));
    table.shelves.insert(slot(3), Shelf::default());
    table.albums.insert(slot(3), Album::default());
    table.start(slot(3));
    table.pass(Duration::from_secs(6));
    let status = table.nodes[&slot(3)].status(table.now);
    assert_eq!(status.member.expect("it was taken in").incarnation, Incarnation(2));
    assert_eq!(status.counters.snapshots_received, 1);
    assert_eq!(table.read(3, 29), Some(31));
    table.script(3, vec![put(99, 1)]).expect("it serves writes");
    assert_eq!(table.read(1, 99), Some(1));
    let chains: Vec<String> = table.nodes.values().map(|n| n.status(table.now).chain).collect();
    assert!(chains.iter().all(|c| *c == chains[0]), "{chains:?}");
}

#[test]
fn a_minority_refuses_reads_and_writes_once_its_lease_is_out() {
    let mut table = Table::laid();
    table.create();
    table.script(1, vec![put(1, 1)]).expect("nobody else writes");
    table.nodes.remove(&slot(1));
    table.nodes.remove(&slot(2));
    table.pass(Duration::from_millis(400));
    let get = Step::Get { table: "t".to_owned(), key: vec![Value::Int(1)], lock: false };
    assert!(matches!(table.script(3, vec![get]), Err(Error::NotPrimary { .. })));
    assert!(matches!(table.script(3, vec![put(1, 2)]), Err(Error::NotPrimary { .. })));
}

#[test]
fn forced_recovery_goes_on_alone_and_the_others_come_back_empty() {
    let mut table = Table::laid();
    table.create();
    table.script(2, vec![put(1, 7)]).expect("nobody else writes");
    table.nodes.clear();
    for lost in [2, 3] {
        table.shelves.insert(slot(lost), Shelf::default());
        table.albums.insert(slot(lost), Album::default());
    }
    table.bootstrap = true;
    table.start(slot(1));
    table.pass(Duration::from_secs(1));
    assert_eq!(table.read(1, 1), Some(7));
    table.script(1, vec![put(2, 8)]).expect("it serves alone");
    // The decision is in the log: the next start needs no force.
    table.bootstrap = false;
    table.nodes.clear();
    table.start(slot(1));
    table.pass(Duration::from_secs(1));
    assert_eq!(table.read(1, 2), Some(8));
    table.start(slot(2));
    table.start(slot(3));
    table.pass(Duration::from_secs(4));
    assert_eq!(table.read(3, 2), Some(8));
    let voters = table.nodes[&slot(1)].status(table.now).voters;
    assert_eq!(voters.iter().map(|m| m.incarnation.0).collect::<Vec<_>>(), [1, 2, 2]);
}

#[test]
fn an_entry_that_ended_the_process_twice_is_not_tried_again() {
    let mut table = Table::laid();
    table.create();
    table.nodes.remove(&slot(3));
    table.pass(Duration::from_secs(1));
    table.script(1, vec![put(1, 1)]).expect("nobody else writes");
    let bad = table.nodes[&slot(1)].status(table.now).applied_index;
    table.avoid = Some(Index(bad));
    table.start(slot(3));
    table.pass(Duration::from_secs(1));
    let get = Step::Get { table: "t".to_owned(), key: vec![Value::Int(1)], lock: false };
    match table.script(3, vec![get]) {
        Err(Error::NotPrimary { why }) => {
            assert!(why.contains(&format!("entry {bad} ")) && why.contains("Start a build"), "{why}");
        }
        other => panic!("a node that can't apply the order answered {other:?}"),
    }
    let status = table.nodes[&slot(3)].status(table.now);
    assert_eq!((status.refused_entry, status.applied_index), (Some(Index(bad)), bad - 1));
    assert_eq!(status.state, State::Initialized);
    table.script(2, vec![put(2, 2)]).expect("the two others go on");
    // A build that can apply it has no entry to avoid.
    table.avoid = None;
    table.start(slot(3));
    table.pass(Duration::from_secs(2));
    assert_eq!((table.read(3, 1), table.read(3, 2)), (Some(1), Some(2)));
}

#[test]
fn by_the_read_index_no_read_is_old_and_no_write_waits_for_a_silent_node() {
    let mut table = Table::that_reads(Reads::Index);
    table.create();
    // What a lease that a new leader has to reckon with would hold up is over.
    table.pass(Duration::from_secs(1));
    for round in 0..9 {
        let (writer, reader) = (round % 3 + 1, (round + 1) % 3 + 1);
        table.script(writer as u8, vec![put(1, round)]).expect("nobody else writes");
        assert_eq!(table.read(reader as u8, 1), Some(round));
    }
    let follower = slot(1).others().find(|s| *s != table.leader()).expect("two of three follow");
    let writer = Slot::ALL.into_iter().find(|s| *s != follower).expect("there are two more").get();
    table.cut = Some(follower);
    let before = table.now;
    table.script(writer, vec![put(1, 99)]).expect("a majority is there");
    // If it was the follower whose disk the leader waits for, the other one writes at its next tick.
    assert!(table.now.mono.since(before.mono) <= Duration::from_millis(25), "it was answered at once");
    let get = Step::Get { table: "t".to_owned(), key: vec![Value::Int(1)], lock: false };
    match table.script(follower.get(), vec![get]) {
        Err(Error::NotPrimary { why }) => assert!(why.contains("how far the order is"), "{why}"),
        other => panic!("a node that hears nobody answered {other:?}"),
    }
    table.cut = None;
    table.pass(Duration::from_secs(2));
    assert_eq!(table.read(follower.get(), 1), Some(99));
}

#[test]
fn a_local_read_may_be_old_and_a_node_without_a_leader_serves_none() {
    let mut table = Table::that_reads(Reads::Local);
    table.create();
    table.pass(Duration::from_secs(1));
    table.script(1, vec![put(1, 1)]).expect("nobody else writes");
    table.pass(Duration::from_secs(1));
    let follower = slot(1).others().find(|s| *s != table.leader()).expect("two of three follow");
    let writer = Slot::ALL.into_iter().find(|s| *s != follower).expect("there are two more").get();
    table.cut = Some(follower);
    table.script(writer, vec![put(1, 2)]).expect("a majority is there");
    assert_eq!(table.read(follower.get(), 1), Some(1), "it has not heard of the write");
    table.pass(Duration::from_secs(2));
    let get = Step::Get { table: "t".to_owned(), key: vec![Value::Int(1)], lock: false };
    match table.script(follower.get(), vec![get]) {
        Err(Error::NotPrimary { why }) => assert!(why.contains("no leader"), "{why}"),
        other => panic!("a node without a leader answered {other:?}"),
    }
    table.cut = None;
    table.pass(Duration::from_secs(2));
    assert_eq!(table.read(follower.get(), 1), Some(2));
}
