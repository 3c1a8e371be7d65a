//! What was acknowledged is there, whatever was killed, cut off or lost its power.
//!
//! `plait load` keeps the account: it knows what was answered *yes*, *no* and *unknown*, and looks for each on
//! every node at the end.

use plait_tests::cluster::{Cluster, Running, run};
use plait_tests::sql::Session;
use plait_tests::{need, wait};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LOAD_MAX: Duration = Duration::from_secs(180);

fn bank(cluster: &Cluster, span: &str) -> Running {
    cluster.begin(&["load", "bank", "--for", span, "--clients", "6", "--json"])
}

/// The load's verdict is *valid*, and enough happened that the verdict means something.
#[track_caller]
fn valid(load: Running) -> Value {
    let ran = load.end(LOAD_MAX);
    let verdict = ran.json();
    assert_eq!((ran.code, verdict["verdict"].as_str()), (Some(0), Some("valid")), "{ran}");
    assert_eq!(verdict["violations"], Value::Array(vec![]), "{ran}");
    assert!(verdict["yes"].as_u64() > Some(50), "too little was done: {ran}");
    verdict
}

#[test]
fn a_bank_survives_a_kill_of_each_node_in_turn() {
    let cluster = Cluster::up("kill");
    let load = bank(&cluster, "12s");
    for node in ["n1", "n2", "n3"] {
        wait::pass(Duration::from_secs(1));
        cluster.plait(&["kill", node]).ok();
        wait::pass(Duration::from_secs(1));
        cluster.plait(&["start", node]).ok();
        cluster.note();
    }
    let verdict = valid(load);
    assert_eq!(verdict["chains_equal"], true);
    cluster.whole();
    cluster.down();
}

#[test]
fn a_bank_survives_a_cut_and_a_pause() {
    let cluster = Cluster::up("cut");
    let load = bank(&cluster, "12s");
    cluster.plait(&["cut", "n1|n2,n3"]).ok();
    wait::pass(Duration::from_secs(2));
    cluster.plait(&["heal"]).ok();
    cluster.plait(&["cut", "n2>n3"]).ok();
    wait::pass(Duration::from_secs(2));
    cluster.plait(&["heal"]).ok();
    let leader = format!("n{}", cluster.leader());
    cluster.plait(&["pause", &leader]).ok();
    wait::pass(Duration::from_secs(2));
    cluster.plait(&["resume", &leader]).ok();
    valid(load);
    cluster.whole();
    cluster.down();
}

/// A laptop's lid, closed for a while: all three stand still, and their leases run out meanwhile.
#[test]
fn a_bank_survives_that_all_three_stand_still() {
    let cluster = Cluster::up("still");
    let load = bank(&cluster, "18s");
    wait::pass(Duration::from_secs(2));
    let each =
        |verb: &str| ["n1", "n2", "n3"].iter().for_each(|node| drop(cluster.plait(&[verb, node]).ok()));
    each("pause");
    wait::pass(Duration::from_secs(10));
    each("resume");
    let verdict = valid(load);
    assert_eq!(verdict["chains_equal"], true);
    cluster.whole();
    cluster.down();
}

/// Leases and elections go by a clock that nobody sets; a date is a value, and of the node that was asked.
#[test]
fn a_bank_survives_wall_clocks_that_are_an_hour_off() {
    let cluster = Cluster::up("clock");
    let term = |cluster: &Cluster| cluster.status()["nodes"][0]["account"]["term"].as_u64();
    let before = term(&cluster);
    let load = bank(&cluster, "8s");
    let mut on_n2 = Session::open(&cluster, 2);
    on_n2.rows("CREATE TABLE t (id INT PRIMARY KEY, at DATETIME NOT NULL)");
    on_n2.rows("INSERT INTO t VALUES (1, NOW())");
    cluster.plait(&["clock", "n2", "+1h"]).ok();
    wait::pass(Duration::from_secs(1));
    cluster.plait(&["clock", "n1,n3", "-1h"]).ok();
    on_n2.rows("INSERT INTO t VALUES (2, NOW())");
    wait::pass(Duration::from_secs(1));
    let mut on_n3 = Session::open(&cluster, 3);
    let minutes = "SELECT TIMESTAMPDIFF(MINUTE, a.at, b.at) >= 60, b.at > NOW() FROM t a JOIN t b ON a.id = 1 AND b.id = 2";
    assert_eq!(on_n3.rows(minutes), ["1\t1"], "a date is what its node held for right, everywhere");
    cluster.plait(&["heal"]).ok();
    let verdict = valid(load);
    assert_eq!(verdict["chains_equal"], true);
    assert_eq!(term(&cluster), before, "nobody was elected for it");
    cluster.whole();
    cluster.down();
}

#[test]
fn a_bank_survives_slow_and_lossy_links() {
    let cluster = Cluster::up("links");
    let load = bank(&cluster, "8s");
    cluster.plait(&["slow", "n1-n2", "--delay", "30ms", "--jitter", "20ms"]).ok();
    cluster.plait(&["drop", "n1>n3", "--loss", "20%"]).ok();
    cluster.plait(&["drop", "n3>n2", "--loss", "20%"]).ok();
    let faults = cluster.status()["faults"].as_array().map(Vec::len);
    assert_eq!(faults, Some(3));
    wait::pass(Duration::from_secs(4));
    cluster.plait(&["heal"]).ok();
    valid(load);
    cluster.whole();
    cluster.down();
}

/// SIGKILL of all three proves little about the disk, but the way back up must work unattended.
#[test]
fn all_three_are_killed_and_come_back() {
    let cluster = Cluster::up("all");
    for round in 0..3 {
        let load = bank(&cluster, "3s");
        wait::pass(Duration::from_secs(1));
        for node in ["n1", "n2", "n3"] {
            cluster.plait(&["kill", node]).ok();
        }
        for node in ["n1", "n2", "n3"] {
            cluster.plait(&["start", node, "--no-wait"]).ok();
        }
        cluster.note();
        let ran = load.end(LOAD_MAX);
        assert_ne!(ran.json()["verdict"], "invalid", "round {round}: {ran}");
        cluster.whole();
    }
    cluster.down();
}

/// Writers of the ordinary kind, beside those that keep account.
fn sysbench(cluster: &Cluster, step: &str) -> Command {
    let ports = [1, 2, 3].map(|node| cluster.sql_port(node).to_string());
    let mut command = Command::new("sysbench");
    command.args([
        "oltp_write_only",
        "--mysql-host=127.0.0.1",
        "--mysql-user=plait",
        "--mysql-password=plait",
    ]);
    command.args(["--mysql-db=shop", "--tables=2", "--table-size=500", "--threads=8", "--time=60"]);
    command.args(&[format!("--mysql-port={}", ports.join(",")), step.to_owned()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Ends with the test, however that ends.
struct Crowd(Child);

impl Crowd {
    fn of(command: &mut Command) -> Crowd {
        Crowd(command.spawn().expect("it was there a moment ago"))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// The power goes on all nodes: what was not synced is lost, and nothing that was acknowledged is among it.
#[test]
fn nothing_acknowledged_is_lost_with_the_power() {
    let cluster = Cluster::up("power");
    let crowded = need::program("sysbench");
    if crowded {
        let ran = run(&mut sysbench(&cluster, "prepare"), LOAD_MAX);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    for round in 0..need::rounds(5) {
        let load = bank(&cluster, "3s");
        let crowd = crowded.then(|| Crowd::of(sysbench(&cluster, "run").arg("--mysql-ignore-errors=all")));
        // At another moment each time, and never before the load has begun to write.
        wait::pass(Duration::from_millis(700 + 137 * round % 1500));
        cluster.plait(&["power-off", "site"]).ok();
        drop(crowd);
        cluster.start();
        let ran = load.end(LOAD_MAX);
        let verdict = ran.json();
        assert_ne!(verdict["verdict"], "invalid", "round {round}: {ran}");
        assert!(verdict["yes"].as_u64() > Some(20), "round {round}: too little was done: {ran}");
        cluster.whole();
    }
    cluster.down();
}

/// The test above can fail: with a sync that does nothing, a loss of power is seen within three rounds, as a
/// verdict, as a log that is damaged, or as a cluster that doesn't come up.
#[test]
fn a_sync_that_does_nothing_is_seen() {
    // The bug comes to a cluster whose files are on disk, as a wrong mount option would.
    let mut cluster = Cluster::up("nosync");
    cluster.down();
    cluster.plant("NoSync");
    cluster.start();
    let log = std::fs::read_to_string(cluster.dir().join("logs/n1.log")).unwrap_or_default();
    if !need::met("zoo", log.contains("PLAIT_ZOO=NoSync"), "is not built into plait-node (feature zoo)") {
        return;
    }
    for round in 0..3 {
        let load = bank(&cluster, "3s");
        wait::pass(Duration::from_millis(1500));
        cluster.plait(&["power-off", "site"]).ok();
        let base = cluster.base.to_string();
        let up = cluster.plait(&["up", "--timeout", "20s", "--port-base", &base]);
        if up.code != Some(0) {
            // The load has nobody left to ask; its account is not needed.
            load.end(Duration::ZERO);
            return println!("seen in round {round}: the cluster doesn't come up");
        }
        let ran = load.end(LOAD_MAX);
        if ran.json()["verdict"] == "invalid" {
            return println!("seen in round {round}: {}", ran.json()["violations"]);
        }
        cluster.note();
    }
    panic!("three losses of power with a sync that does nothing, and nothing was missed");
}

#[test]
fn a_wiped_node_joins_as_its_next_incarnation() {
    let cluster = Cluster::up("wiped");
    cluster.plait(&["load", "counter", "--for", "2s", "--clients", "4", "--json"]).ok();
    cluster.plait(&["stop", "n3"]).ok();
    std::fs::remove_dir_all(cluster.dir().join("n3")).expect("the node's directory");
    cluster.plait(&["start", "n3"]).ok();
    cluster.note();
    cluster.whole();
    let status = cluster.status();
    let member = status["nodes"][2]["account"]["member"].as_str().map(str::to_owned);
    assert_eq!(member.as_deref(), Some("n3.2"), "{status}");
    valid(bank(&cluster, "3s"));
    cluster.down();
}

#[test]
fn two_of_three_wiped_is_refused() {
    let cluster = Cluster::up("two-wiped");
    cluster.plait(&["load", "counter", "--for", "1s", "--clients", "2", "--json"]).ok();
    cluster.down();
    for node in ["n2", "n3"] {
        std::fs::remove_dir_all(cluster.dir().join(node)).expect("the node's directory");
    }
    let files = |node: &str| std::fs::read_dir(cluster.dir().join(node)).map(|d| d.count()).unwrap_or(0);
    let before = files("n1");
    let ran = cluster.plait(&["up"]).refused(7);
    assert!(ran.err.contains("bootstrap"), "the way out is named: {ran}");
    assert_eq!(files("n1"), before, "what is left is as it was");
    cluster.nothing_runs();
}
