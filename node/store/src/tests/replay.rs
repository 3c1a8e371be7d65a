//! Transactions that lose at COMMIT are done once more, if their clients can't tell.

use super::kit::*;
use crate::*;

fn sql(cluster: &mut Cluster, session: &mut Session, text: &str) -> Result<Reply, Error> {
    cluster.ask(session, Request::Sql { text: text.to_owned(), multi: false }).reply
}

/// Two sessions on two nodes; the first transaction has done what `begun` says when the other's `between` is committed.
/// The first one's COMMIT, and what is in the table after it.
fn race(begun: &[&str], between: &str) -> (Result<Reply, Error>, Vec<(i64, i64)>, u64) {
    let mut cluster = Cluster::with(&[pairs("t")]);
    let (mut one, mut two) = (cluster.session(1), cluster.session(2));
    cluster.run(&mut two, vec![insert("t", 1, 10), insert("t", 2, 20)]).expect("the table is empty");
    sql(&mut cluster, &mut one, "BEGIN").expect("it begins");
    for text in begun {
        sql(&mut cluster, &mut one, text).expect("nothing is in its way");
    }
    sql(&mut cluster, &mut two, between).expect("nothing is in its way");
    let reply = sql(&mut cluster, &mut one, "COMMIT");
    assert!(!one.in_transaction() || reply.is_err());
    let rows = cluster.run(&mut two, vec![scan("t")]).expect("it can be read");
    (reply, pairs_of(&rows.results[0]), one.replays)
}

const TAKE: &str = "UPDATE t SET v = v - 5 WHERE id = 1 AND v >= 5";
const GIVE: &str = "UPDATE t SET v = v + 5 WHERE id = 2";

#[test]
fn who_lost_is_done_once_more() {
    let (reply, rows, replays) = race(&[TAKE, GIVE], "UPDATE t SET v = v + 100 WHERE id = 1");
    assert_eq!(reply.expect("it is done once more").warnings, 0);
    assert_eq!((rows, replays), (vec![(1, 105), (2, 25)], 1));
}

#[test]
fn who_would_be_answered_otherwise_is_refused() {
    plant();
    // What is there no longer can't be taken; had nobody looked, five would be given away.
    let (reply, rows, replays) = race(&[TAKE, GIVE], "UPDATE t SET v = 1 WHERE id = 1");
    assert!(matches!(reply, Err(Error::Conflict { .. })), "{reply:?}");
    assert_eq!((rows, replays), (vec![(1, 1), (2, 20)], 0));
}

#[test]
fn who_saw_rows_or_set_something_is_refused() {
    let between = "UPDATE t SET v = v + 100 WHERE id = 1";
    for also in [
        "SELECT v FROM t WHERE id = 2",
        "SET @a = 1",
        "SAVEPOINT a",
        "INSERT INTO t (id, v) SELECT 3, v FROM t WHERE id = 9",
    ] {
        let (reply, rows, replays) = race(&[TAKE, also], between);
        if also.starts_with("INSERT") {
            assert!(reply.is_ok() && replays == 1, "what it read without showing it does not matter");
            continue;
        }
        assert!(matches!(reply, Err(Error::Conflict { .. })), "{also}: {reply:?}");
        assert_eq!((rows, replays), (vec![(1, 110), (2, 20)], 0), "{also}");
    }
}

#[test]
fn it_is_done_anew_as_often_as_it_loses_but_not_for_ever() {
    let mut cluster = Cluster::with(&[pairs("t")]);
    let (mut one, mut two) = (cluster.session(1), cluster.session(2));
    cluster.run(&mut two, vec![insert("t", 1, 0)]).expect("the table is empty");
    sql(&mut cluster, &mut one, "BEGIN").expect("it begins");
    sql(&mut cluster, &mut one, "UPDATE t SET v = v + 1 WHERE id = 1").expect("nothing is in its way");
    one.start(Request::Sql { text: "COMMIT".into(), multi: false }).expect("nothing is under way");
    let mut lost = 0;
    let reply = loop {
        match cluster.nodes[0].run(&mut one) {
            Progress::Order(op) => {
                // Somebody is always faster.
                sql(&mut cluster, &mut two, "UPDATE t SET v = v + 10 WHERE id = 1").expect("it is alone");
                let verdict = cluster.order(op);
                lost += u64::from(matches!(verdict, Verdict::Refused(_)));
                one.resume(Ok(verdict));
            }
            Progress::Reply { reply, .. } => break reply,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(reply, Err(Error::Conflict { .. })), "{reply:?}");
    assert_eq!(lost, 5);
    let rows = cluster.run(&mut two, vec![scan("t")]).expect("it can be read");
    assert_eq!(pairs_of(&rows.results[0]), [(1, 50)]);
}

#[test]
fn under_galeras_rules_nothing_is_replayed() {
    let mut cluster = Cluster::with(&[pairs("t")]);
    cluster.nodes.iter_mut().for_each(|node| node.galera = true);
    let (mut one, mut two) = (cluster.session(1), cluster.session(2));
    cluster.run(&mut two, vec![insert("t", 1, 10)]).expect("the table is empty");
    sql(&mut cluster, &mut one, "BEGIN").expect("it begins");
    sql(&mut cluster, &mut one, "UPDATE t SET v = v + 1 WHERE id = 1").expect("nothing is in its way");
    sql(&mut cluster, &mut two, "UPDATE t SET v = v + 1 WHERE id = 1").expect("nothing is in its way");
    let _ = sql(&mut cluster, &mut one, "COMMIT");
    assert_eq!(one.replays, 0);
}

#[test]
fn an_id_that_was_handed_out_is_not_handed_out_again_and_one_that_was_given_is_kept() {
    let row = insert("t", 1, 10);
    for (text, done) in [("INSERT INTO n (v) VALUES (5)", false), ("INSERT INTO n VALUES (50, 5)", true)] {
        let mut cluster = Cluster::with(&[pairs("t"), numbered("n")]);
        let (mut one, mut two) = (cluster.session(1), cluster.session(2));
        cluster.run(&mut two, vec![row.clone()]).expect("the table is empty");
        for text in ["BEGIN", text, TAKE] {
            sql(&mut cluster, &mut one, text).expect("nothing is in its way");
        }
        sql(&mut cluster, &mut two, "UPDATE t SET v = v + 1 WHERE id = 1").expect("nothing is in its way");
        assert_eq!(sql(&mut cluster, &mut one, "COMMIT").is_ok(), done, "{text}");
        assert_eq!(one.replays, u64::from(done));
        let rows = cluster.run(&mut two, vec![scan("n")]).expect("it can be read");
        assert_eq!(pairs_of(&rows.results[0]), if done { vec![(50, 5)] } else { vec![] });
    }
}

#[test]
fn what_is_too_long_is_not_remembered() {
    let fill = format!("UPDATE t SET v = v + 1 WHERE id IN ({})", vec!["2"; 100].join(", "));
    for (times, done) in [(8, true), (70, false)] {
        let begun: Vec<&str> = [TAKE].into_iter().chain(std::iter::repeat_n(&*fill, times)).collect();
        let (reply, _, replays) = race(&begun, "UPDATE t SET v = v + 100 WHERE id = 1");
        assert_eq!((reply.is_ok(), replays), (done, u64::from(done)), "{times}");
    }
}
