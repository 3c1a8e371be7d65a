//! A cluster comes up, stays up, and goes without a trace.

use plait_tests::cluster::{Cluster, Process};
use plait_tests::{need, wait};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn up_gives_three_nodes_that_serve_and_down_leaves_nothing() {
    let cluster = Cluster::new("life");
    let card = cluster.start();
    assert_eq!(card["schema"], "plait.up/1");
    assert_eq!(card["port_base"], cluster.base);
    let status = cluster.status();
    assert_eq!((&status["available"], &status["chains_agree"]), (&true.into(), &true.into()), "{status}");
    assert_eq!(status["nodes"].as_array().map(Vec::len), Some(3));
    assert_eq!(cluster.note().len(), 4, "three nodes and the supervisor");

    // Once more is no harm: the same processes, the same cluster.
    let again = cluster.start();
    assert_eq!(
        (&again["already_up"], &again["pids"], &again["id"]),
        (&true.into(), &card["pids"], &card["id"])
    );

    cluster.down();
    let outside: Vec<_> =
        std::fs::read_dir(&cluster.home).expect("its home").flatten().map(|e| e.file_name()).collect();
    assert_eq!(outside, ["t"], "nothing outside the cluster's own directory");
    cluster.plait(&["down"]).ok();

    // The same data, the same ports.
    let third = cluster.start();
    assert_eq!((&third["id"], &third["port_base"]), (&card["id"], &card["port_base"]));
    cluster.plait(&["down", "--wipe"]).ok();
    cluster.nothing_runs();
    assert!(!cluster.dir().exists(), "--wipe removes the directory");
}

#[test]
fn a_node_is_ended_and_started_in_every_way() {
    let cluster = Cluster::up("ways");
    for (end, back) in [("kill", "start"), ("stop", "start"), ("pause", "resume")] {
        for node in ["n1", "n2", "n3"] {
            cluster.plait(&[end, node]).ok();
            cluster.plait(&[back, node]).ok();
            cluster.note();
            cluster.whole();
        }
    }
    cluster.down();
}

/// Who stops a leader has another before its process ends, so writers find one at once.
#[test]
fn a_leader_that_is_stopped_hands_over() {
    let cluster = Cluster::up("handover");
    for _ in 0..3 {
        let leader = cluster.leader();
        let name = format!("n{leader}");
        cluster.plait(&["stop", &name]).ok();
        let events = std::fs::read_to_string(cluster.dir().join(&name).join("events.ndjson"))
            .expect("a node writes its events down");
        let handed = events.lines().rev().find(|line| line.contains("handed_over"));
        assert!(handed.is_some_and(|line| line.contains("about to end")), "{name}: {events}");
        let deposed = events.lines().rev().find(|line| line.contains("stepped_down"));
        assert!(deposed.is_some(), "it stayed until somebody had taken over: {events}");
        cluster.plait(&["start", &name]).ok();
        cluster.note();
        cluster.whole();
    }
    cluster.down();
}

#[test]
fn a_dead_supervisor_takes_the_nodes_along_and_up_recovers() {
    let cluster = Cluster::up("supervisor");
    cluster.plait(&["load", "counter", "--for", "1s", "--clients", "2", "--json"]).ok();
    let processes = cluster.note();
    cluster.supervisor().signal(libc::SIGKILL);
    wait::until("the nodes follow their supervisor", Duration::from_secs(30), || {
        let alive: Vec<_> = processes.iter().filter(|process| process.alive()).collect();
        if alive.is_empty() { Ok(()) } else { Err(format!("{alive:?}")) }
    });
    cluster.start();
    cluster.whole();
    cluster.down();
}

/// `plait up 2>&1 | head -1`: who reads what it says goes away, and it goes on.
#[test]
fn an_up_that_nobody_listens_to_goes_on() {
    let cluster = Cluster::new("unheard");
    let mut up = cluster
        .command(&["up", "--port-base", &cluster.base.to_string()])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("plait can be started");
    drop(up.stderr.take());
    let ended = wait::until("the end of `up`", Duration::from_secs(60), || {
        up.try_wait().expect("it is our child").ok_or_else(|| "it runs".to_owned())
    });
    assert_eq!(ended.code(), Some(0));
    cluster.note();
    cluster.whole();
    cluster.down();
}

/// At whatever instant `up` is interrupted: no process, no port.
#[test]
fn an_interrupted_up_leaves_nothing_running() {
    let cluster = Cluster::new("interrupt");
    let base = cluster.base.to_string();
    for round in 0..need::rounds(8) {
        let up = cluster.begin(&["up", "--port-base", &base]);
        let instant = Duration::from_millis(13 + 170 * round % 1360);
        wait::until("the instant of the interrupt", Duration::from_secs(30), || {
            let over = up.running_for() >= instant || up.process().is_none();
            if over { Ok(()) } else { Err("it has not come".to_owned()) }
        });
        let mut started = Vec::new();
        if let Some(process) = up.process() {
            started = descendants(process.pid);
            process.signal(libc::SIGINT);
        }
        let ran = up.end(Duration::from_secs(60));
        if ran.code == Some(0) {
            // It was ready before the interrupt came.
            cluster.note();
            cluster.plait(&["down"]).ok();
        } else {
            assert_eq!(ran.code, Some(130), "{ran}");
        }
        let alive: Vec<_> = started.iter().filter(|process| process.alive()).collect();
        assert!(alive.is_empty(), "round {round}: {alive:?} are left of {ran}");
        cluster.nothing_runs();
    }
    cluster.start();
    cluster.whole();
    cluster.down();
}

/// All processes below this one.
fn descendants(pid: u32) -> Vec<Process> {
    let mut found = Vec::new();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    for task in tasks {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            found.extend(Process::of(child));
            found.extend(descendants(child));
        }
    }
    found
}

#[test]
fn a_taken_port_is_refused_by_the_name_of_its_holder() {
    let cluster = Cluster::new("port");
    let holder = TcpListener::bind(("127.0.0.1", cluster.sql_port(2))).expect("a free port");
    let base = cluster.base.to_string();
    let ran = cluster.plait(&["up", "--port-base", &base]).refused(5);
    let pid = std::process::id().to_string();
    assert!(ran.err.contains(&cluster.sql_port(2).to_string()) && ran.err.contains(&pid), "{ran}");
    drop(holder);
    cluster.start();
    cluster.down();
}
