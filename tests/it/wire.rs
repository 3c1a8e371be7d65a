//! A client that speaks MySQL's protocol wrongly, or rightly and too much: an error of MySQL's, and nobody else
//! notices.

use plait_tests::cluster::{Cluster, Process};
use plait_tests::raw::{
    COM_PING, COM_QUERY, COM_QUIT, COM_STMT_EXECUTE, COM_STMT_PREPARE, Raw, Told, response,
};
use plait_tests::wait;
use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

/// A cluster with a table, and the processes that must outlive the test.
fn cluster(test: &str) -> (Cluster, Vec<Process>) {
    let cluster = Cluster::up(test);
    let before = cluster.note();
    Raw::open(&cluster, 1).ok("CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)");
    (cluster, before)
}

/// Another client commits on each node, reads what it wrote, and all chains are equal.
#[track_caller]
fn unharmed(cluster: &Cluster, before: &[Process]) {
    for node in [1, 2, 3] {
        let mut other = Raw::open(cluster, node);
        other.ok("BEGIN");
        other.ok(&format!("REPLACE INTO t VALUES (-{node}, 'other')"));
        other.ok("COMMIT");
        let read = other.query(&format!("SELECT v FROM t WHERE id = -{node}"));
        assert_eq!(read, Told::Rows(vec![vec![Some("other".to_owned())]]));
    }
    assert!(before.iter().all(|process| process.alive()), "a process ended");
    cluster.whole();
}

#[test]
fn a_client_that_does_not_keep_to_the_protocol_is_told_so() {
    let (cluster, before) = cluster("protocol");
    let port = cluster.sql_port(1);
    // Before it is let in.
    let hello = |bytes: &[u8], sequence: u8| {
        let (mut raw, _) = Raw::greeted(port);
        let _ = raw.send(sequence, bytes);
        raw.told()
    };
    let (_, salt) = Raw::greeted(port);
    assert_eq!(hello(b"", 1).error(), Some(1043), "an empty answer");
    assert_eq!(hello(&[0xff; 40], 1).error(), Some(1043), "an answer of noise");
    assert_eq!(hello(&response(&salt)[..20], 1).error(), Some(1043), "half an answer");
    assert_eq!(hello(&response(&salt), 7).error(), Some(1156), "a number that is not due");
    assert_eq!(hello(&response(&salt), 1).error(), Some(1045), "the proof of another greeting");
    assert_eq!(hello(&vec![b'a'; 200_000], 1).error(), Some(1153), "more than a login has");

    // What is no command, or no statement: the connection goes on.
    let mut raw = Raw::open(&cluster, 1);
    for unknown in [0x00, 0x06, 0x1e, 0x20, 0x7f, 0xfe, 0xff] {
        assert_eq!(raw.command(unknown, b"x").error(), Some(1047), "command {unknown:#x}");
    }
    assert_eq!(raw.command(COM_QUERY, b"").error(), Some(1065));
    assert_eq!(raw.command(COM_QUERY, b"SELECT \xff\xfe").error(), Some(1300));
    let bytes = raw.command(COM_QUERY, b"SELECT HEX(_binary'\xff\xfe')");
    assert_eq!(bytes, Told::Rows(vec![vec![Some("FFFE".to_owned())]]), "bytes in a literal are bytes");
    assert_eq!(raw.command(COM_QUERY, b"\0\0\0").error(), Some(1064));
    assert_eq!(raw.command(COM_STMT_PREPARE, b"SELEKT 1").error(), Some(1064));
    assert_eq!(raw.command(COM_STMT_EXECUTE, &[9, 0, 0, 0, 0, 1, 0, 0, 0]).error(), Some(1243));
    assert_eq!(raw.command(COM_PING, b""), Told::Ok);

    // What leaves it open where the next packet begins ends the connection.
    let mut raw = Raw::open(&cluster, 1);
    raw.send(9, &[COM_PING]).expect("it listens");
    assert_eq!(raw.told().error(), Some(1156));
    assert_eq!(raw.told(), Told::Gone);
    let mut raw = Raw::open(&cluster, 1);
    assert_eq!(raw.command(COM_STMT_EXECUTE, &[1]).error(), Some(1835), "an execute that is cut off");
    assert_eq!(raw.told(), Told::Gone);
    // A header that promises more than comes.
    let mut raw = Raw::open(&cluster, 1);
    raw.stream.write_all(&[0xff, 0xff, 0x7f, 0, COM_QUERY]).expect("it listens");
    raw.stream.shutdown(Shutdown::Write).expect("a socket");
    assert_eq!(raw.told(), Told::Gone);
    unharmed(&cluster, &before);
    cluster.down();
}

#[test]
fn what_is_too_large_is_refused_and_what_is_large_is_not() {
    let (cluster, before) = cluster("large");
    let literal = |bytes: usize| format!("SELECT LENGTH('{}')", "x".repeat(bytes));
    let mut raw = Raw::open(&cluster, 1);
    assert_eq!(raw.query(&literal(15 << 20)), Told::Rows(vec![vec![Some((15 << 20).to_string())]]));
    assert_eq!(raw.query(&literal(64 << 20)).error(), Some(1153), "beyond max_allowed_packet");
    assert_eq!(raw.told(), Told::Gone);

    let mut raw = Raw::open(&cluster, 1);
    let list: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    raw.ok("INSERT INTO t VALUES (1,'a'),(9999,'b'),(10000,'c')");
    let asked = raw.query(&format!("SELECT id FROM t WHERE id IN ({}) ORDER BY id", list.join(",")));
    let cell = |text: &str| vec![Some(text.to_owned())];
    assert_eq!(asked, Told::Rows(vec![cell("1"), cell("9999")]));
    let ors: Vec<String> = (0..10_000).map(|n| format!("id={n}")).collect();
    let asked = raw.query(&format!("SELECT id FROM t WHERE {} ORDER BY id", ors.join(" OR ")));
    assert!(matches!(&asked, Told::Rows(_)) || asked.error() == Some(1105), "{asked:?}");

    for (open, close) in [("(", ")"), ("NOT ", ""), ("-", ""), ("CASE WHEN 1 THEN ", " END"), ("ABS(", ")")] {
        for depth in [1_000, 100_000] {
            let text = format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
            let told = raw.query(&text);
            assert!(matches!(told.error(), Some(1105 | 1064 | 1436)), "{open} {depth}: {told:?}");
        }
    }
    let nested = format!("SELECT {}1{}", "(SELECT ".repeat(3_000), ")".repeat(3_000));
    assert!(matches!(raw.query(&nested).error(), Some(1105 | 1064 | 1436)));
    let long = format!("SELECT {} FROM t", vec!["1"; 10_000].join(","));
    let told = raw.query(&long);
    assert!(matches!(told, Told::Rows(_)) || told.error() == Some(1117), "{told:?}");
    raw.ok(&format!("INSERT INTO t VALUES (5, '{}')", "y".repeat(12 << 20)));
    let length = raw.query("SELECT LENGTH(v) FROM t WHERE id = 5");
    assert_eq!(length, Told::Rows(vec![vec![Some((12 << 20).to_string())]]));
    unharmed(&cluster, &before);
    cluster.down();
}

/// As many prepared statements as one connection may have; the next is refused, and the others still run.
#[test]
fn prepared_statements_have_a_bound() {
    let (cluster, before) = cluster("prepared");
    let mut raw = Raw::open(&cluster, 2);
    let mut refused = 0;
    let mut last = Vec::new();
    for n in 0..5_000 {
        raw.send(0, &[&[COM_STMT_PREPARE], format!("SELECT {n}").as_bytes()].concat()).expect("it listens");
        let (_, first) = raw.packet().expect("an answer");
        match first[0] {
            0x00 => {
                last = first[1..5].to_vec();
                // One column, and the end of the columns.
                raw.packet().expect("a column");
                raw.packet().expect("an end");
            }
            _ => {
                assert_eq!(
                    u16::from_le_bytes([first[1], first[2]]),
                    1461,
                    "{}",
                    String::from_utf8_lossy(&first)
                );
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 5_000 - 4_096, "MySQL's bound is one of the server, this one of each connection");
    raw.send(0, &[&[COM_STMT_EXECUTE], &last[..], &[0, 1, 0, 0, 0]].concat()).expect("it listens");
    let (_, first) = raw.packet().expect("an answer");
    assert_eq!(first, [1], "one column");
    unharmed(&cluster, &before);
    cluster.down();
}

/// Who holds a transaction open for long sees its snapshot to the end, and holds nobody up.
#[test]
fn a_transaction_that_stays_open_for_a_minute() {
    let (cluster, before) = cluster("minute");
    let mut raw = Raw::open(&cluster, 3);
    raw.ok("INSERT INTO t VALUES (1, 'then')");
    raw.ok("BEGIN");
    assert_eq!(raw.query("SELECT v FROM t WHERE id = 1"), Told::Rows(vec![vec![Some("then".to_owned())]]));
    raw.ok("INSERT INTO t VALUES (2, 'mine')");
    let load = cluster.begin(&["load", "bank", "--for", "60s", "--clients", "6", "--json"]);
    let mut other = Raw::open(&cluster, 1);
    let mut n = 0;
    while load.running_for() < Duration::from_secs(60) {
        n += 1;
        other.ok(&format!("UPDATE t SET v = 'now {n}' WHERE id = 1"));
        let read = raw.query("SELECT v FROM t WHERE id = 1");
        assert_eq!(read, Told::Rows(vec![vec![Some("then".to_owned())]]), "its snapshot");
        wait::pass(Duration::from_millis(200));
    }
    let ran = load.end(Duration::from_secs(120));
    assert_eq!((ran.code, ran.json()["verdict"].as_str()), (Some(0), Some("valid")), "{ran}");
    raw.ok("COMMIT");
    let read = other.query("SELECT v FROM t WHERE id = 2");
    assert_eq!(read, Told::Rows(vec![vec![Some("mine".to_owned())]]));
    unharmed(&cluster, &before);
    cluster.down();
}

/// A client that goes in the middle takes its transaction along.
#[test]
fn a_client_that_is_gone_leaves_nothing() {
    let (cluster, before) = cluster("gone");
    let mut other = Raw::open(&cluster, 1);
    for round in 0..20 {
        let mut raw = Raw::open(&cluster, 1 + round % 3);
        raw.ok("BEGIN");
        raw.ok(&format!("INSERT INTO t VALUES ({}, 'gone')", 100 + round));
        match round % 5 {
            // In the middle of a packet, of a statement that runs, of an answer that is long; and in order.
            0 => raw.stream.write_all(&[200, 0, 0, 0, COM_QUERY, b'S']).expect("it listens"),
            1 => raw.send(0, b"\x03SELECT COUNT(*) FROM t a, t b, t c, t d, t e").expect("it listens"),
            2 => raw.send(0, b"\x03SELECT REPEAT('x', 1000000)").expect("it listens"),
            3 => raw.send(0, &[COM_QUIT]).expect("it listens"),
            _ => {}
        }
        drop(raw);
        // A row of its that was left behind would be a duplicate or a conflict.
        other.ok(&format!("INSERT INTO t VALUES ({}, 'kept')", 100 + round));
    }
    assert_eq!(
        other.query("SELECT COUNT(*), MIN(v), MAX(v) FROM t WHERE id >= 100"),
        Told::Rows(vec![vec![Some("20".to_owned()), Some("kept".to_owned()), Some("kept".to_owned())]])
    );
    unharmed(&cluster, &before);
    cluster.down();
}

/// Connections that say nothing cost little, and the next one is served.
#[test]
fn two_thousand_connections_that_are_idle() {
    let (cluster, before) = cluster("idle");
    let memory = |process: &Process| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number")
    };
    let node = cluster.process(1).expect("it runs");
    let empty = memory(&node);
    let idle: Vec<Raw> = (0..2_000).map(|_| Raw::open(&cluster, 1)).collect();
    let a_connection = memory(&node).saturating_sub(empty) * 1024 / 2_000;
    println!("an idle connection takes about {a_connection} bytes");
    assert!(a_connection < 64 << 10, "an idle connection takes {a_connection} bytes");
    let load = cluster.begin(&["load", "bank", "--for", "5s", "--clients", "6", "--json"]);
    let ran = load.end(Duration::from_secs(120));
    assert_eq!((ran.code, ran.json()["verdict"].as_str()), (Some(0), Some("valid")), "{ran}");
    unharmed(&cluster, &before);
    for mut raw in idle {
        assert_eq!(raw.command(COM_PING, b""), Told::Ok);
    }
    unharmed(&cluster, &before);
    cluster.down();
}
