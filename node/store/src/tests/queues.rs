//! Sessions of one node that want one row: they stand in line, and who had not looked at it loses nothing.

use super::kit::*;
use crate::*;
use plait_base::{Mono, Now};
use std::time::Duration;

/// Two sessions of the first node, numbered 1 and 2, on rows 1 and 2.
struct Pair {
    cluster: Cluster,
    sessions: [Session; 2],
    now: Now,
}

impl Pair {
    fn new() -> Pair {
        let mut cluster = Cluster::with(&[pairs("t")]);
        let mut session = cluster.session(3);
        cluster.run(&mut session, vec![insert("t", 1, 10), insert("t", 2, 20)]).expect("the table is empty");
        let sessions = [cluster.session(1), cluster.session(1)];
        Pair { cluster, sessions, now: Now::default() }
    }

    /// Goes on until there is a reply, or the session waits (`None`).
    fn go_on(&mut self, who: usize) -> Option<Result<Reply, Error>> {
        loop {
            let session = &mut self.sessions[who];
            match self.cluster.nodes[0].run_as(session, who as u64 + 1, self.now) {
                Progress::Yield => unreachable!("the kit goes on by itself"),
                Progress::Wait(_) => return None,
                Progress::Order(op) => {
                    let verdict = self.cluster.order(op);
                    self.sessions[who].resume(Ok(verdict));
                }
                Progress::Reply { reply, .. } => return Some(reply),
            }
        }
    }

    fn ask(&mut self, who: usize, request: Request) -> Option<Result<Reply, Error>> {
        self.sessions[who].start(request).expect("nothing is under way");
        self.go_on(who)
    }

    fn run(&mut self, who: usize, steps: Vec<Step>) -> Option<Result<Reply, Error>> {
        self.ask(who, Request::Run(steps))
    }

    fn done(&mut self, who: usize, request: Request) -> Reply {
        self.ask(who, request).expect("it does not wait").expect("nothing is in its way")
    }

    fn begin(&mut self, who: usize) {
        self.done(who, Request::Begin { isolation: Isolation::RepeatableRead });
    }

    fn called(&mut self) -> Vec<u64> {
        self.cluster.nodes[0].local.queues.called()
    }

    fn rows(&mut self) -> Vec<(i64, i64)> {
        let mut session = self.cluster.session(2);
        pairs_of(&self.cluster.run(&mut session, vec![scan("t")]).expect("it may read").results[0])
    }
}

#[test]
fn the_second_writer_of_a_row_waits_and_then_writes() {
    let mut pair = Pair::new();
    pair.begin(0);
    pair.begin(1);
    pair.done(0, Request::Run(vec![add("t", 1, 1)]));
    pair.done(1, Request::Run(vec![add("t", 2, 1)]));
    assert!(pair.run(1, vec![add("t", 1, 5)]).is_none(), "it stands in line");
    assert_eq!(pair.called(), []);
    pair.done(0, Request::Commit);
    assert_eq!(pair.called(), [2]);
    pair.go_on(1).expect("its turn has come").expect("it had not looked at the row before");
    pair.done(1, Request::Commit);
    assert_eq!(pair.rows(), [(1, 16), (2, 21)]);
    // A statement by itself does the same.
    pair.begin(0);
    pair.done(0, Request::Run(vec![update("t", 1, 100)]));
    assert!(pair.run(1, vec![add("t", 1, 5), get("t", 1)]).is_none());
    pair.done(0, Request::Rollback);
    assert_eq!(pair.called(), [2]);
    pair.go_on(1).expect("its turn has come").expect("nothing is in its way");
    assert_eq!(pair.rows(), [(1, 21), (2, 21)]);
}

#[test]
fn who_had_read_the_row_before_it_was_written_loses() {
    let mut pair = Pair::new();
    pair.begin(0);
    pair.begin(1);
    pair.done(1, Request::Run(vec![get("t", 1)]));
    pair.done(0, Request::Run(vec![add("t", 1, 1)]));
    assert!(pair.run(1, vec![update("t", 1, 0)]).is_none());
    pair.done(0, Request::Commit);
    let reply = pair.go_on(1).expect("its turn has come");
    assert!(matches!(reply, Err(Error::Conflict { .. })), "no update is lost: {reply:?}");
    assert!(!pair.sessions[1].in_transaction());
    assert_eq!(pair.rows(), [(1, 11), (2, 20)]);
}

#[test]
fn who_waits_for_each_other_is_told() {
    let mut pair = Pair::new();
    pair.begin(0);
    pair.begin(1);
    pair.done(0, Request::Run(vec![update("t", 1, 1)]));
    pair.done(1, Request::Run(vec![update("t", 2, 2)]));
    assert!(pair.run(0, vec![update("t", 2, 1)]).is_none());
    let reply = pair.run(1, vec![update("t", 1, 2)]).expect("nobody waits for himself");
    assert_eq!(reply, Err(Error::Deadlock));
    assert_eq!(pair.called(), [1]);
    pair.go_on(0).expect("its turn has come").expect("nothing is in its way");
    pair.done(0, Request::Commit);
    assert_eq!(pair.rows(), [(1, 1), (2, 1)]);
}

#[test]
fn who_has_waited_long_enough_is_told_and_keeps_its_transaction() {
    let mut pair = Pair::new();
    let text = "SET innodb_lock_wait_timeout = 3; BEGIN; UPDATE shop.t SET v = 7 WHERE id = 2".to_owned();
    pair.begin(0);
    pair.done(0, Request::Run(vec![update("t", 1, 1)]));
    pair.done(1, Request::Sql { text, multi: true });
    assert!(pair.run(1, vec![update("t", 1, 2)]).is_none());
    pair.now.mono = pair.now.mono + Duration::from_millis(2999);
    assert!(pair.go_on(1).is_none());
    pair.now.mono = Mono(pair.now.mono.0) + Duration::from_millis(1);
    let reply = pair.go_on(1).expect("it has waited long enough");
    assert!(matches!(reply, Err(Error::TimedOut { waited_ms: 3000, .. })), "{reply:?}");
    pair.done(1, Request::Commit);
    pair.done(0, Request::Commit);
    assert_eq!(pair.called(), []);
    assert_eq!(pair.rows(), [(1, 1), (2, 7)]);
}

#[test]
fn a_reader_under_lock_stands_in_line_too() {
    let mut pair = Pair::new();
    pair.begin(0);
    pair.begin(1);
    pair.done(0, Request::Run(vec![get_locked("t", 1)]));
    assert!(pair.run(1, vec![get_locked("t", 1)]).is_none());
    pair.done(0, Request::Run(vec![update("t", 1, 1)]));
    pair.done(0, Request::Commit);
    let reply = pair.go_on(1).expect("its turn has come").expect("it had read nothing before");
    assert_eq!(pairs_of(&reply.results[0]), [(1, 1)]);
}

#[test]
fn a_snapshot_moves_on_while_what_was_read_stands() {
    plant();
    for looked in [false, true] {
        let mut pair = Pair::new();
        let mut other = pair.cluster.session(2);
        pair.begin(0);
        pair.done(0, Request::Run(vec![update("t", 1, 0)]));
        if looked {
            pair.done(0, Request::Run(vec![scan("t")]));
        }
        pair.cluster.run(&mut other, vec![update("t", 2, 21)]).expect("nobody is in its way");
        let reply = pair.run(0, vec![add("t", 2, 1)]).expect("nobody of this node is in its way");
        assert_eq!(reply.is_err(), looked, "{reply:?}");
        if !looked {
            pair.done(0, Request::Commit);
            assert_eq!(pair.rows(), [(1, 0), (2, 22)]);
        }
    }
}

#[test]
fn a_snapshot_does_not_move_past_a_write_to_a_row_that_was_written() {
    let mut pair = Pair::new();
    let mut other = pair.cluster.session(2);
    pair.begin(0);
    pair.done(0, Request::Run(vec![update("t", 1, 0)]));
    pair.cluster.run(&mut other, vec![update("t", 1, 5), update("t", 2, 5)]).expect("nobody is in its way");
    let reply = pair.run(0, vec![add("t", 2, 1)]).expect("nobody of this node is in its way");
    assert!(matches!(reply, Err(Error::Conflict { .. })), "{reply:?}");
}

/// What a client was told rests on what was read, whether or not it left a trace in the write-set.
#[test]
fn a_snapshot_does_not_move_past_an_answer() {
    let sql = |text: &str| Request::Sql { text: text.to_owned(), multi: true };
    let absent = || Request::Run(vec![update("t", 9, 1), delete("t", 9)]);
    let taken_back = sql("SAVEPOINT s; UPDATE shop.t SET v = v + 1 WHERE id = 1; ROLLBACK TO SAVEPOINT s");
    let failed = sql("UPDATE shop.t SET v = v * 1000000000000000000 WHERE id = 1");
    for (told, meanwhile) in
        [(absent(), insert("t", 9, 9)), (taken_back, delete("t", 1)), (failed, delete("t", 1))]
    {
        let mut pair = Pair::new();
        let mut other = pair.cluster.session(2);
        pair.begin(0);
        let answer = pair.ask(0, told).expect("nobody of this node is in its way");
        pair.cluster.run(&mut other, vec![meanwhile, update("t", 2, 21)]).expect("nobody is in its way");
        let reply = pair.run(0, vec![add("t", 2, 1)]).expect("nobody of this node is in its way");
        assert!(matches!(reply, Err(Error::Conflict { .. })), "after {answer:?}: {reply:?}");
    }
}
