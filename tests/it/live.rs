//! Live chaos from outside: a workload on real processes, with kills; its counts, its history, and its refusals.

use plait_tests::cluster::{Cluster, Ran, binary, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

const LIVE_MAX: Duration = Duration::from_secs(180);
/// What seed 7 has in 10 s with a period of 4 s.
const KILLS: usize = 3;

fn live(cluster: &Cluster, words: &[&str]) -> Ran {
    let all: Vec<&str> = ["chaos", "live"].iter().chain(words).copied().collect();
    run(&mut cluster.command(&all), LIVE_MAX)
}

/// Each line is one operation of Jepsen's; every process does one thing at a time, and none is heard of again after an
/// outcome that nobody knows. Completions by type, and what the nemesis did.
fn read_history(text: &str) -> (BTreeMap<String, u64>, Vec<String>) {
    let mut open: BTreeMap<u64, String> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let mut nemesis = Vec::new();
    let mut time = 0;
    for (index, line) in text.lines().enumerate() {
        let op: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert_eq!(op["index"], index, "{line}");
        let now = op["time"].as_u64().expect("nanoseconds");
        assert!(now >= time, "{line}");
        time = now;
        let word = |name: &str| op[name].as_str().unwrap_or_else(|| panic!("no {name}: {line}")).to_owned();
        let (kind, f) = (word("type"), word("f"));
        if op["process"] == "nemesis" {
            assert_eq!(kind, "info", "{line}");
            nemesis.push(format!("{f} {}", word("value")));
            continue;
        }
        let process = op["process"].as_u64().expect("a number");
        assert!(["n1", "n2", "n3"].contains(&word("node").as_str()), "{line}");
        assert!(!gone.contains(&process), "a process whose outcome is unknown goes on: {line}");
        if kind == "invoke" {
            assert_eq!(open.insert(process, f), None, "{line}");
            continue;
        }
        assert_eq!(open.remove(&process), Some(f), "{line}");
        assert_eq!(op["error"].is_string(), kind != "ok", "{line}");
        if kind == "info" {
            gone.insert(process);
        }
        *ends.entry(kind).or_default() += 1;
    }
    assert!(open.is_empty(), "begun and never ended: {open:?}");
    (ends, nemesis)
}

#[test]
fn what_was_due_is_accounted_for_while_nodes_are_killed() {
    let cluster = Cluster::up("live");
    let out = cluster.home.join("out");
    let out_word = out.to_str().expect("a path in ASCII");
    let words = ["--workload", "bank", "--faults", "kill", "--every", "4s", "--for", "10s", "--seed", "7"];
    let ran = live(&cluster, &[&words[..], &["--json", "--out", out_word]].concat());
    cluster.note();
    assert_eq!(ran.code, Some(0), "{ran}");
    let document = ran.json();
    let bank = &document["workloads"][0];
    assert_eq!(
        (bank["verdict"].as_str(), bank["judged"]["valid"].as_bool()),
        (Some("valid"), Some(true)),
        "{bank}"
    );
    assert!(out.join("report.html").is_file(), "a report lies beside the history");

    let count = |name: &str| bank["counts"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {bank}"));
    assert_eq!(count("scheduled"), 2_000, "an open loop asks as often as it was told: {bank}");
    assert_eq!(count("ok") + count("refused") + count("unknown"), count("scheduled"), "{bank}");
    assert!(count("ok") > 500, "two of three nodes serve at any time: {bank}");
    assert_eq!(bank["faults_made"], KILLS, "{bank}");
    let outages = bank["outages"].as_array().expect("a list");
    assert!(outages.iter().all(|one| one["longest_gap_ms"].as_f64() > Some(0.0)), "{bank}");
    assert_eq!(bank["troubles"], Value::Array(Vec::new()), "{bank}");

    let text = std::fs::read_to_string(out.join("history.jsonl")).expect("a history");
    let (ends, nemesis) = read_history(&text);
    for (kind, name) in [("ok", "ok"), ("fail", "fail"), ("info", "info")] {
        assert_eq!(bank["history"][name].as_u64(), Some(ends.get(kind).copied().unwrap_or(0)), "{bank}");
    }
    // The last reads, one on each node, are the history's alone; one that was refused was tried again.
    assert_eq!(ends["ok"], count("ok") + 3, "{bank}");
    let (fails, by_a_node) = (ends.get("fail").copied().unwrap_or(0), count("refused") - count("late"));
    assert!(fails >= by_a_node, "{fails} in the history: {bank}");
    assert_eq!(ends.get("info").copied().unwrap_or(0), count("unknown"), "{bank}");
    let of = |word: &str| nemesis.iter().filter(|deed| deed.starts_with(word)).count();
    assert_eq!((of("kill n"), of("start n"), of("healed")), (KILLS, KILLS, 1), "{nemesis:?}");

    let plan = std::fs::read_to_string(out.join("plan.json")).expect("a plan");
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    let faults = plan["faults"].as_array().expect("a list");
    assert_eq!(faults.len(), KILLS, "{plan}");
    assert!(faults.iter().all(|fault| fault["kind"] == "kill" && fault["begun_ms"].is_u64()), "{plan}");
    cluster.whole();
    cluster.down();
}

#[test]
fn what_can_not_be_run_is_refused_with_what_to_do() {
    let empty = std::env::temp_dir().join(format!("plait-{}-no-cluster", std::process::id()));
    let chaos = |words: &[&str]| {
        let mut command = Command::new(binary("plait-chaos"));
        command.arg("live").args(words).env("PLAIT_HOME", &empty).env_remove("PLAIT_NAME");
        run(&mut command, LIVE_MAX)
    };
    let none = chaos(&["--for", "1s"]).refused(5);
    assert!(none.err.contains("plait up"), "{none}");
    chaos(&["--workload", "bnak"]).refused(2);
    let target = "mysql://a:b@127.0.0.1:1/d";
    let foreign = chaos(&["--target", target, "--faults", "kill"]).refused(2);
    assert!(foreign.err.contains("foreign"), "{foreign}");
    let silent = chaos(&["--target", target, "--for", "1s"]).refused(5);
    assert!(silent.err.contains("127.0.0.1:1"), "{silent}");
    let lock = std::env::temp_dir().join("plait-chaos-live-127.0.0.1-1.lock");
    let held = std::fs::File::create(&lock).expect("a file can be made");
    held.try_lock().expect("nobody else runs on port 1");
    let second = chaos(&["--target", target, "--for", "1s"]).refused(5);
    assert!(second.err.contains("another live run"), "{second}");
    std::fs::remove_file(&lock).expect("it was made");
    chaos(&["--rate", "0"]).refused(2);
    assert_eq!(chaos(&["--for", "soon"]).code, Some(2));
    assert!(!empty.exists(), "nothing is made where nothing runs");
}
