//! Bad input: a clear refusal, the others unharmed, nothing acknowledged lost.

use plait_tests::cluster::{Cluster, binary};
use plait_tests::wait;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Sends these bytes and reads until the node closes or says no more.
fn throw(port: u16, bytes: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let patience = Some(Duration::from_millis(300));
    stream.set_read_timeout(patience).and_then(|()| stream.set_write_timeout(patience)).expect("a socket");
    let _ = stream.write_all(bytes);
    let mut answer = [0; 4096];
    while matches!(stream.read(&mut answer), Ok(n) if n > 0) {}
}

/// Bytes that depend on the number alone.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[test]
fn noise_on_any_port_harms_nobody() {
    let cluster = Cluster::up("noise");
    let before = cluster.note();
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let load = cluster.begin(&["load", "bank", "--for", "5s", "--clients", "4", "--json"]);
    for node in [1, 2, 3] {
        for port in [cluster.grpc_port(node), cluster.sql_port(node), cluster.admin_port(node)] {
            throw(port, b"");
            throw(port, b"GET / HTTP/1.1\r\n\r\n");
            throw(port, &[0xff; 70_000]);
            throw(port, &[http2.as_slice(), &noise(u64::from(port), 20_000)].concat());
            // A frame that promises 16 MiB and brings nothing.
            throw(port, &[http2.as_slice(), &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat());
            for seed in 0..4 {
                throw(port, &noise(seed, 3000));
            }
        }
    }
    let ran = load.end(Duration::from_secs(120));
    assert_eq!((ran.code, ran.json()["verdict"].as_str()), (Some(0), Some("valid")), "{ran}");
    assert!(before.iter().all(|process| process.alive()), "a process ended");
    cluster.whole();
    cluster.down();
}

#[test]
fn a_wrong_command_line_says_what_was_meant() {
    let cluster = Cluster::new("usage");
    let ran = cluster.plait(&["statsu"]).refused(2);
    assert!(ran.err.contains("status"), "{ran}");
    cluster.plait(&["kill", "n4"]).refused(2);
    cluster.plait(&["status"]).refused(6);
    cluster.plait(&["up", "--port-base", "80"]).refused(2);
}

#[test]
fn a_wrong_key_in_the_configuration_is_refused_with_the_right_one() {
    let cluster = Cluster::up("config");
    cluster.down();
    let path = cluster.dir().join("cluster.toml");
    let text = std::fs::read_to_string(&path).expect("cluster.toml");
    std::fs::write(&path, format!("{text}\n[limits]\nleese = \"300ms\"\n")).expect("written");
    let ran = cluster.plait(&["up"]).refused(2);
    assert!(ran.err.contains("leese") && ran.err.contains("lease"), "{ran}");
    cluster.plait(&["config", "check"]).refused(2);
    std::fs::write(&path, text).expect("written");
    cluster.start();
    cluster.whole();
    cluster.down();
}

/// A node of another cluster at the place of n3 is refused by both sides, and neither learns anything from the other.
#[test]
fn a_node_of_another_cluster_is_refused() {
    let cluster = Cluster::up("stranger");
    cluster.plait(&["kill", "n3"]).ok();
    let mut stranger = Command::new(binary("plait-node"))
        .arg("--config")
        .arg(cluster.dir().join("run/n3.toml"))
        .args(["--set", "cluster=11111111-2222-3333-4444-555555555555", "--set"])
        .arg(format!("data_dir={}", cluster.home.join("stranger").display()))
        .args(["--lifeline"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(stranger.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let said = lines.find(|line| line.contains("refused: cluster 11111111-2222-3333-4444-555555555555"));
    assert!(said.is_some_and(|line| line.contains("correct `peers` or `cluster`")), "it is told why");
    assert_eq!(cluster.status()["available"], true, "the two others serve");
    drop(stranger.stdin.take());
    // Its pipe is drained to the end, so that it can end.
    lines.for_each(drop);
    let status = stranger.wait().expect("our own child");
    assert_eq!(status.code(), Some(0), "it ends in order with its life-line");
    let log = std::fs::read_to_string(cluster.dir().join("logs/n1.log")).expect("its log");
    assert!(log.contains("cluster 11111111-2222-3333-4444-555555555555 was named"), "n1 says who called");
    cluster.plait(&["start", "n3"]).ok();
    cluster.note();
    cluster.whole();
    cluster.down();
}

/// One flipped bit in the middle of a log is damage: the node re-seeds itself and nothing is lost.
#[test]
fn a_damaged_log_is_replaced_from_the_others() {
    let cluster = Cluster::up("damage");
    cluster.plait(&["load", "counter", "--for", "3s", "--clients", "4", "--json"]).ok();
    cluster.plait(&["stop", "n2"]).ok();
    let log = cluster.dir().join("n2");
    let segment = find(&log, "wal-00000001").expect("the first segment of the log");
    let mut bytes = std::fs::read(&segment).expect("readable");
    // The third record's header or payload: far before the end of what was written.
    bytes[700] ^= 0x10;
    std::fs::write(&segment, bytes).expect("written");
    cluster.plait(&["start", "n2"]).ok();
    cluster.note();
    cluster.whole();
    let member = cluster.status()["nodes"][1]["account"]["member"].as_str().map(str::to_owned);
    assert_eq!(member.as_deref(), Some("n2.2"), "it joined anew");
    assert!(find(&log, "wal-00000001").is_some(), "it has a log again");
    let aside = std::fs::read_dir(&log).expect("its directory").flatten();
    let kept = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("aside-")).count();
    assert_eq!(kept, 1, "what was there is moved aside, not deleted");
    cluster.down();
}

#[test]
fn an_unknown_format_is_refused_and_left_as_it_is() {
    let cluster = Cluster::up("format");
    cluster.down();
    let segment = find(&cluster.dir().join("n1"), "wal-00000001").expect("the first segment");
    let mut bytes = std::fs::read(&segment).expect("readable");
    bytes[8..10].copy_from_slice(&9_u16.to_le_bytes());
    // A whole head of that format: its check sum is right.
    let sum = crc32c(&bytes[..56]);
    bytes[56..60].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&segment, &bytes).expect("written");
    let ran = cluster.plait(&["up"]);
    assert_ne!(ran.code, Some(0), "{ran}");
    assert!(ran.err.contains("format 9"), "{ran}");
    assert_eq!(std::fs::read(&segment).expect("readable"), bytes, "nothing was changed");
    cluster.nothing_runs();
}

/// A file below this directory.
fn find(dir: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    for entry in std::fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() && !entry.file_name().to_string_lossy().starts_with("aside-") {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if entry.file_name().to_string_lossy() == name {
            return Some(path);
        }
    }
    None
}

/// CRC-32C (Castagnoli), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
    let byte = |sum: u32, byte: &u8| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum));
    !bytes.iter().fold(!0, byte)
}

/// A session that sits in a transaction, and a statement that takes long, hold nobody up.
#[test]
fn a_hog_holds_nobody_up() {
    if !plait_tests::need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("hog");
    let mut hog = plait_tests::sql::Session::open(&cluster, 1);
    hog.rows("CREATE TABLE big (id INT PRIMARY KEY, v VARCHAR(100))");
    for chunk in 0..20 {
        let rows: Vec<String> = (0..500).map(|i| format!("({}, REPEAT('x', 90))", chunk * 500 + i)).collect();
        hog.rows(&format!("INSERT INTO big VALUES {}", rows.join(",")));
    }
    let leader = cluster.leader();
    let load = cluster.begin(&["load", "bank", "--for", "6s", "--clients", "4", "--json"]);
    hog.rows("BEGIN");
    wait::until("the load is over", Duration::from_secs(60), || {
        assert_eq!(hog.rows("SELECT COUNT(*) FROM big WHERE v LIKE '%y%'"), ["0"]);
        if load.process().is_none() { Ok(()) } else { Err("it runs".to_owned()) }
    });
    let ran = load.end(Duration::from_secs(60));
    assert_eq!(ran.json()["verdict"], "valid", "{ran}");
    assert_eq!(cluster.leader(), leader, "nobody was elected meanwhile");
    cluster.down();
}
