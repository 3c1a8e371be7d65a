//! Named locks: one holder in the whole cluster, waiting with an end, and no write under a lock that was lost.

use super::kit::*;
use crate::*;
use plait_base::{Mono, Now};
use std::time::Duration;

/// One session on each node.
struct Three {
    cluster: Cluster,
    sessions: [Session; 3],
    now: Now,
}

impl Three {
    fn new() -> Three {
        let mut cluster = Cluster::with(&[pairs("t")]);
        let mut session = cluster.session(3);
        cluster.run(&mut session, vec![insert("t", 1, 10)]).expect("the table is empty");
        let sessions = [cluster.session(1), cluster.session(2), cluster.session(3)];
        Three { cluster, sessions, now: Now::default() }
    }

    /// Goes on until there is a reply, or the session waits until that time.
    fn go_on(&mut self, n: usize) -> Result<Answer, Mono> {
        loop {
            let session = &mut self.sessions[n - 1];
            match self.cluster.nodes[n - 1].run_as(session, 1, self.now) {
                Progress::Yield => unreachable!("the kit goes on by itself"),
                Progress::Wait(until) => return Err(until),
                Progress::Order(op) => {
                    let verdict = self.cluster.order(op);
                    self.sessions[n - 1].resume(Ok(verdict));
                }
                Progress::Reply { reply, depends_on, hangup } => {
                    return Ok(Answer { reply, depends_on, hangup });
                }
            }
        }
    }

    fn ask(&mut self, n: usize, request: Request) -> Result<Answer, Mono> {
        self.sessions[n - 1].start(request).expect("nothing is under way");
        self.go_on(n)
    }

    fn sql(&mut self, n: usize, text: &str) -> Result<Answer, Mono> {
        self.ask(n, Request::Sql { text: text.to_owned(), multi: false })
    }

    /// The one value that a query gives.
    fn value(&mut self, n: usize, text: &str) -> Value {
        let answer = self.sql(n, text).expect("it does not wait");
        value_of(answer.reply.expect("nothing is in its way"))
    }

    fn run(&mut self, n: usize, text: &str) -> Result<Reply, Error> {
        self.sql(n, text).expect("it does not wait").reply
    }

    /// Whom more of the order calls on a node.
    fn called(&mut self, n: usize) -> Vec<u64> {
        let node = &mut self.cluster.nodes[n - 1];
        node.local.queues.applied(&node.store);
        node.local.queues.called()
    }

    /// Gives a lock away, as the others do when its holder's node is out of touch.
    fn give_away(&mut self, name: &str) {
        let mut session = self.cluster.session(3);
        let key = vec![Value::Text(name.to_owned())];
        let step = Step::Delete { table: LOCK_TABLE.to_owned(), key };
        self.cluster.run(&mut session, vec![step]).expect("the lock is there");
    }
}

fn value_of(reply: Reply) -> Value {
    match &reply.results[..] {
        [StepResult::Rows(rows)] => rows.rows.values()[0][0].clone(),
        other => panic!("one result was expected, not {other:?}"),
    }
}

#[test]
fn one_session_of_all_three_nodes_has_a_lock() {
    let mut three = Three::new();
    assert_eq!(three.value(1, "SELECT IS_FREE_LOCK('a')"), Value::Int(1));
    assert_eq!(three.value(1, "SELECT RELEASE_LOCK('a')"), Value::Null);
    assert_eq!(three.value(1, "SELECT GET_LOCK('a', 10)"), Value::Int(1));
    assert_eq!(three.value(2, "SELECT GET_LOCK('A', 0)"), Value::Int(0), "names know no case");
    assert_eq!(three.value(2, "SELECT IS_FREE_LOCK('a')"), Value::Int(0));
    assert_eq!(three.value(2, "SELECT IS_USED_LOCK('a')"), Value::Int(1));
    assert_eq!(three.value(2, "SELECT RELEASE_LOCK('a')"), Value::Int(0));
    assert_eq!(three.value(2, "SELECT GET_LOCK('b', 0) + 1"), Value::Int(2), "in an expression");
    // Taken twice, given back twice.
    assert_eq!(three.value(1, "SELECT GET_LOCK('a', 0)"), Value::Int(1));
    assert_eq!(three.value(1, "SELECT RELEASE_LOCK('a')"), Value::Int(1));
    assert_eq!(three.value(3, "SELECT GET_LOCK('a', 0)"), Value::Int(0));
    assert_eq!(three.value(1, "SELECT RELEASE_ALL_LOCKS()"), Value::Int(1));
    three.run(3, "DO GET_LOCK('a', 0)").expect("it is free");
    assert_eq!(three.value(1, "SELECT IS_FREE_LOCK('a')"), Value::Int(0));
    assert_eq!(three.cluster.nodes[1].store.named_locks().len(), 2);
}

#[test]
fn who_waits_is_called_when_it_is_given_back_and_gives_up_in_time() {
    let mut three = Three::new();
    assert_eq!(three.value(1, "SELECT GET_LOCK('a', 0)"), Value::Int(1));
    let until = three.sql(2, "SELECT GET_LOCK('a', 2)").err().expect("it waits");
    assert_eq!(until, Mono(0) + Duration::from_secs(2));
    assert_eq!(three.called(2), [] as [u64; 0]);
    // What does not concern it does not wake it.
    three.run(1, "UPDATE t SET v = 11 WHERE id = 1").expect("nobody else writes");
    assert_eq!(three.called(2), [] as [u64; 0]);
    assert_eq!(three.value(1, "SELECT RELEASE_LOCK('a')"), Value::Int(1));
    assert_eq!(three.called(2), [1]);
    let answer = three.go_on(2).expect("the lock is free").reply.expect("nothing is in its way");
    assert_eq!(value_of(answer), Value::Int(1));

    let until = three.sql(3, "SELECT GET_LOCK('a', 1)").err().expect("it waits");
    three.now.mono = until;
    let answer = three.go_on(3).expect("its time is up").reply.expect("that is no error");
    assert_eq!(value_of(answer), Value::Int(0));
}

#[test]
fn a_lock_outlives_transactions_and_stands_beside_them() {
    let mut three = Three::new();
    three.run(1, "BEGIN").expect("it can");
    three.run(1, "UPDATE t SET v = 20 WHERE id = 1").expect("it can");
    assert_eq!(three.value(1, "SELECT GET_LOCK('a', 0)"), Value::Int(1));
    three.run(1, "ROLLBACK").expect("it can");
    assert_eq!(three.value(2, "SELECT IS_FREE_LOCK('a')"), Value::Int(0));
    assert_eq!(three.value(2, "SELECT v FROM t WHERE id = 1"), Value::Int(10));
    // A transaction that began before the lock was taken goes on as it was.
    three.run(1, "BEGIN").expect("it can");
    three.value(1, "SELECT v FROM t WHERE id = 1");
    assert_eq!(three.value(1, "SELECT GET_LOCK('b', 0)"), Value::Int(1));
    three.run(1, "UPDATE t SET v = 30 WHERE id = 1").expect("it can");
    three.run(1, "COMMIT").expect("it has both locks");
    assert_eq!(three.value(2, "SELECT v FROM t WHERE id = 1"), Value::Int(30));
}

#[test]
fn who_lost_a_lock_commits_nothing_under_it() {
    plant();
    let mut three = Three::new();
    assert_eq!(three.value(1, "SELECT GET_LOCK('a', 0)"), Value::Int(1));
    three.run(1, "BEGIN").expect("it can");
    three.run(1, "UPDATE t SET v = 20 WHERE id = 1").expect("it has the lock");
    // Its commit is on the way when the others give the lock away.
    three.sessions[0].start(Request::Commit).expect("nothing is under way");
    let now = three.now;
    let Progress::Order(late) = three.cluster.nodes[0].run_as(&mut three.sessions[0], 1, now) else {
        panic!("a commit is ordered");
    };
    three.give_away("a");
    let verdict = three.cluster.order(late);
    three.sessions[0].resume(Ok(verdict));
    let answer = three.go_on(1).expect("it does not wait");
    assert!(matches!(answer.reply, Err(Error::Conflict { .. })), "{:?}", answer.reply);
    assert_eq!(three.value(2, "SELECT v FROM t WHERE id = 1"), Value::Int(10));
    // And whatever it does next, it is told.
    let answer = three.sql(1, "SELECT 1 FROM t").expect("it does not wait");
    assert!(matches!(answer.reply, Err(Error::LockLost { .. })) && answer.hangup, "{:?}", answer.reply);
}

#[test]
fn two_who_ask_at_once_do_not_both_get_it() {
    let mut three = Three::new();
    // The table is there from now on.
    assert_eq!(three.value(3, "SELECT GET_LOCK('other', 0)"), Value::Int(1));
    let now = three.now;
    let mut ask = |n: usize| {
        let request = Request::Sql { text: "SELECT GET_LOCK('a', 0)".into(), multi: false };
        three.sessions[n - 1].start(request).expect("nothing is under way");
        match three.cluster.nodes[n - 1].run_as(&mut three.sessions[n - 1], 1, now) {
            Progress::Order(op) => op,
            other => panic!("a lock is taken by an order, not {other:?}"),
        }
    };
    let (first, second) = (ask(1), ask(2));
    let verdict = three.cluster.order(first);
    three.sessions[0].resume(Ok(verdict));
    let verdict = three.cluster.order(second);
    three.sessions[1].resume(Ok(verdict));
    let got = [1, 2].map(|n| value_of(three.go_on(n).expect("it does not wait").reply.expect("no error")));
    assert_eq!(got, [Value::Int(1), Value::Int(0)]);
}

#[test]
fn the_table_of_the_locks_is_nobodys() {
    let mut three = Three::new();
    assert_eq!(three.value(1, "SELECT GET_LOCK('a', 0)"), Value::Int(1));
    for statement in ["SELECT * FROM `plait$locks`", "DROP TABLE `plait$locks`", "DELETE FROM `plait$locks`"]
    {
        let error = three.run(2, statement).expect_err(statement);
        assert_eq!(error.code().0, 1146, "{statement}: {error}");
    }
    let error = three.run(2, "CREATE TABLE `plait$locks` (id INT PRIMARY KEY)").expect_err("it has a name");
    assert_eq!(error.code().0, 1146, "{error}");
    three.run(2, "RENAME TABLE t TO `plait$locks`").expect_err("the name is taken");
    let Ok(Reply { results, .. }) = three.run(2, "SHOW TABLES") else { panic!("tables can be shown") };
    assert!(!format!("{results:?}").contains("plait$"), "{results:?}");
}

#[test]
fn what_is_asked_wrongly_is_told() {
    let mut three = Three::new();
    for (statement, code) in [
        ("SELECT GET_LOCK('', 1)", 3057),
        ("SELECT GET_LOCK(NULL, 1)", 3057),
        ("SELECT GET_LOCK(REPEAT('x', 65), 1)", 3057),
        ("SELECT GET_LOCK('a')", 1582),
        ("SELECT GET_LOCK('a', 1), GET_LOCK('b', 1)", 1235),
        ("SELECT GET_LOCK('a', 1) FROM t", 1235),
        ("SELECT WSREP_SYNC_WAIT_UPTO_GTID(NULL)", 1210),
        ("SELECT WSREP_SYNC_WAIT_UPTO_GTID('nonsense')", 1941),
        ("SELECT WSREP_TRX_STATUS('nonsense')", 1210),
    ] {
        let error = three.run(1, statement).expect_err(statement);
        assert_eq!(error.code().0, code, "{statement}: {error}");
    }
}

#[test]
fn a_position_can_be_waited_for() {
    let mut three = Three::new();
    assert_eq!(
        three.value(1, "SELECT WSREP_LAST_WRITTEN_GTID()"),
        Value::Text("00000000-0000-0000-0000-000000000000:-1".into())
    );
    three.run(1, "UPDATE t SET v = 11 WHERE id = 1").expect("it can");
    let Value::Text(written) = three.value(1, "SELECT WSREP_LAST_WRITTEN_GTID()") else { panic!("a text") };
    let at: u64 = written.rsplit_once(':').and_then(|(_, n)| n.parse().ok()).expect("a position");
    assert_eq!(at, three.cluster.log.len() as u64);
    assert_eq!(three.value(2, &format!("SELECT WSREP_SYNC_WAIT_UPTO_GTID('{written}', 1)")), Value::Int(1));
    let next = written.replace(&format!(":{at}"), &format!(":{}", at + 1));
    three.sql(2, &format!("SELECT WSREP_SYNC_WAIT_UPTO_GTID('{next}', 5)")).err().expect("it waits");
    three.run(3, "UPDATE t SET v = 12 WHERE id = 1").expect("it can");
    assert_eq!(three.called(2), [1]);
    let answer = three.go_on(2).expect("it is there").reply.expect("no error");
    assert_eq!(value_of(answer), Value::Int(1));
    // And in vain.
    let far = format!("SELECT WSREP_SYNC_WAIT_UPTO_GTID('{next}9', 1)");
    three.now.mono = three.sql(2, &far).err().expect("it waits");
    let answer = three.go_on(2).expect("its time is up");
    assert_eq!(answer.reply.expect_err("it did not come").code().0, 1205);
}
