//! Each workload against a store that is a plain map, so that the history it must give is known.

mod model;

use crate::*;
use model::Model;
use plait_base::Draws;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const CLIENTS: usize = 3;

/// What a run left behind: its statements, and its history, line by line.
struct Ran {
    statements: Vec<String>,
    lines: Vec<Value>,
    counts: Counts,
    store: Model,
}

impl Ran {
    fn of_type(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(move |line| line["type"] == kind)
    }

    /// The micro-operations of all transactions of this type, in the order of the lines.
    fn micros(&self, kind: &str) -> Vec<Value> {
        let txns = self.of_type(kind).filter(|line| line["f"] == "txn");
        txns.flat_map(|line| line["value"].as_array().expect("a list of micro-operations").clone()).collect()
    }
}

/// Takes one transaction to its end.
fn one(
    txn: Txn,
    client: usize,
    sessions: &mut [Session],
    answer: &mut impl FnMut(&str) -> Answer,
    history: &mut History,
    lines: &mut Vec<String>,
    statements: &mut Vec<String>,
) {
    let mut run = Run::new(txn);
    let time = lines.len() as u64;
    lines.push(history.invoke(time, client, "n1", run.txn()));
    let mut last = None;
    let end = loop {
        match run.next(&mut sessions[client], last.take()) {
            Next::Send(text) => {
                last = Some(answer(&text));
                statements.push(text);
            }
            Next::End(end) => break end,
        }
    };
    lines.push(history.complete(time + 1, client, &end));
    if !end.reusable {
        sessions[client] = Session::default();
    }
}

fn run_with(
    name: &str,
    settings: &Settings,
    n: u64,
    mut spoil: impl FnMut(&str, &mut Model) -> Option<Answer>,
) -> Ran {
    let mut workload = make(name, settings).expect("a known name");
    assert_eq!(workload.name(), name);
    let mut store = Model::default();
    workload.schema().iter().for_each(|statement| {
        store.done(statement);
    });
    let (mut lines, mut statements) = (Vec::new(), Vec::new());
    let mut sessions = vec![Session::default(); CLIENTS];
    let mut history = History::new(CLIENTS);
    let mut answer = |text: &str| spoil(text, &mut store).unwrap_or_else(|| store.answer(text));
    for i in 0..n {
        let txn = workload.next(&mut Draws::new(7, "load", i));
        let client = i as usize % CLIENTS;
        one(txn, client, &mut sessions, &mut answer, &mut history, &mut lines, &mut statements);
    }
    for txn in workload.last_reads() {
        one(txn, 0, &mut sessions, &mut answer, &mut history, &mut lines, &mut statements);
    }
    let lines =
        lines.iter().map(|line| serde_json::from_str(line).expect("a line is one JSON object")).collect();
    Ran { statements, lines, counts: history.counts(), store }
}

fn run(name: &str, n: u64) -> Ran {
    run_with(name, &Settings::default(), n, |_, _| None)
}

#[test]
fn a_twin_says_the_same() {
    for name in NAMES {
        let (first, second) = (run(name, 300), run(name, 300));
        assert_eq!(first.statements, second.statements, "{name}");
        assert_eq!(first.lines, second.lines, "{name}");
        assert!(first.statements.len() > 300, "{name}");
    }
}

#[test]
fn a_history_is_jepsens() {
    for name in NAMES {
        let ran = run(name, 300);
        let mut open = BTreeMap::new();
        for (index, line) in ran.lines.iter().enumerate() {
            assert_eq!(line["index"], index, "{name}: {line}");
            let process = line["process"].as_u64().expect("a number");
            match line["type"].as_str().expect("a word") {
                "invoke" => assert_eq!(open.insert(process, line["f"].clone()), None, "{name}: {line}"),
                "ok" | "fail" | "info" => {
                    assert_eq!(open.remove(&process).as_ref(), Some(&line["f"]), "{name}: {line}");
                    assert_eq!(line["error"].is_string(), line["type"] != "ok", "{name}: {line}");
                }
                other => panic!("{name}: type {other}"),
            }
            assert_eq!(line["node"], "n1");
        }
        assert!(open.is_empty(), "{name}: {open:?}");
        assert_eq!(ran.counts.all() * 2, ran.lines.len() as u64);
        assert!(ran.counts.ok * 10 > ran.counts.all() * 8, "{name}: {:?}", ran.counts);
        assert_eq!(ran.counts.info, 0, "{name}");
    }
}

/// A list read is what was appended until then, in this order; a register read is the last write.
#[test]
fn reads_of_keys_say_what_was_written() {
    for name in ["list-append", "rw-register", "write-skew", "long-fork", "predicate"] {
        let ran = run(name, 500);
        let mut rows: BTreeMap<u64, Value> = BTreeMap::new();
        let (mut reads, mut ranges) = (0, 0);
        for op in ran.micros("ok") {
            let key = op[1].as_u64();
            match op[0].as_str().expect("a word") {
                "append" => {
                    let list = rows.entry(key.expect("a key")).or_insert_with(|| json!([]));
                    list.as_array_mut().expect("a list").push(op[2].clone());
                }
                "w" | "insert" => _ = rows.insert(key.expect("a key"), op[2].clone()),
                "delete" => _ = rows.remove(&key.expect("a key")),
                "r" => {
                    let there = rows.get(&key.expect("a key")).cloned().unwrap_or_default();
                    assert_eq!(op[2], there, "{name}: {op}");
                    reads += usize::from(!there.is_null());
                }
                "rp" => {
                    assert_eq!(op[1][0], "between");
                    let bounds = op[1][1].as_u64().zip(op[1][2].as_u64()).expect("two numbers");
                    let inside =
                        |value: &Value| value.as_u64().is_some_and(|v| (bounds.0..=bounds.1).contains(&v));
                    let there: BTreeMap<String, &Value> = rows
                        .iter()
                        .filter(|(_, value)| inside(value))
                        .map(|(key, value)| (key.to_string(), value))
                        .collect();
                    assert_eq!(op[2], json!(there), "{op}");
                    ranges += usize::from(!there.is_empty());
                }
                other => panic!("{name}: {other}"),
            }
        }
        assert!(reads > 20, "{name}: {reads} reads found something");
        assert!(name != "predicate" || ranges > 100, "{ranges} ranges found something");
    }
}

#[test]
fn what_is_read_is_null_when_it_is_asked_for() {
    for name in NAMES {
        let ran = run(name, 200);
        for line in ran.of_type("invoke") {
            match line["f"].as_str().expect("a word") {
                "read" | "generate" => assert!(line["value"].is_null(), "{name}: {line}"),
                "txn" => {
                    for op in line["value"].as_array().expect("a list") {
                        let read = op[0] == "r" || op[0] == "rp";
                        assert!(!read || op[2].is_null(), "{name}: {line}");
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn no_value_is_written_twice_to_a_key_and_keys_retire() {
    for name in ["list-append", "rw-register", "write-skew", "long-fork", "predicate"] {
        let ran = run(name, 1_000);
        let mut seen = BTreeSet::new();
        let mut writes: BTreeMap<u64, u64> = BTreeMap::new();
        let mut born = BTreeSet::new();
        for op in ran.micros("invoke") {
            let kind = op[0].as_str().expect("a word");
            if !["append", "w", "insert"].contains(&kind) {
                continue;
            }
            let key = op[1].as_u64().expect("a key");
            assert!(seen.insert((key, op[2].to_string())), "{name}: {op} a second time");
            assert!(kind != "insert" || born.insert(key), "{name}: {op}, and the key was born before");
            *writes.entry(key).or_default() += 1;
        }
        let most = match name {
            "long-fork" => 1,
            "predicate" => u64::MAX,
            _ => Settings::default().writes_per_key,
        };
        assert!(writes.values().all(|n| *n <= most), "{name}: {writes:?}");
        assert!(writes.len() > Settings::default().keys as usize, "{name}: no key was ever replaced");
    }
}

#[test]
fn the_last_reads_see_every_key() {
    let ran = run("list-append", 500);
    let last: Vec<&Value> = ran.of_type("ok").collect();
    let read: BTreeSet<u64> = last[last.len() - 3..]
        .iter()
        .flat_map(|line| line["value"].as_array().expect("a list"))
        .filter(|op| op[0] == "r")
        .filter_map(|op| op[1].as_u64())
        .collect();
    let written = ran.micros("ok").into_iter().filter(|op| op[0] == "append").filter_map(|op| op[1].as_u64());
    assert!(written.collect::<BTreeSet<u64>>().is_subset(&read));
}

#[test]
fn money_moves_and_stays() {
    let ran = run("bank", 500);
    let mut reads = 0;
    for line in ran.of_type("ok").filter(|line| line["f"] == "read") {
        let balances = line["value"].as_object().expect("account and balance");
        assert_eq!(balances.len(), 10);
        assert_eq!(balances.values().filter_map(Value::as_i64).sum::<i64>(), 1_000, "{line}");
        assert!(balances.values().all(|b| b.as_i64() >= Some(0)), "{line}");
        reads += 1;
    }
    assert!(reads > 100);
    let locks = ran.statements.iter().filter(|text| text.ends_with("FOR UPDATE")).count();
    let plain = ran.statements.iter().filter(|text| text.ends_with("ORDER BY id")).count();
    assert!(locks > 50 && plain > 50, "{locks} and {plain}");
    let settings = Settings { isolation: Isolation::ReadCommitted, lock: Lock::Plain, ..Settings::default() };
    let ran = run_with("bank", &settings, 200, |_, _| None);
    assert!(
        !ran.statements.iter().any(|text| text.ends_with("ORDER BY id")),
        "below it nothing else is safe"
    );
}

#[test]
fn a_counter_is_the_sum() {
    let ran = run("counter", 300);
    let mut sum = 0;
    for line in ran.of_type("ok") {
        let value = line["value"].as_u64().expect("a number");
        match line["f"] == "add" {
            true => sum += value,
            false => assert_eq!(value, sum),
        }
    }
    assert!(sum > 100);
}

#[test]
fn a_set_has_all_that_was_added_and_ids_differ() {
    let ran = run("set", 300);
    let added: Vec<&Value> =
        ran.of_type("ok").filter(|line| line["f"] == "add").map(|line| &line["value"]).collect();
    let last = ran.lines.last().expect("the last read");
    assert_eq!(last["value"].as_array().expect("all elements").iter().collect::<Vec<_>>(), added);

    let ran = run("ids", 300);
    let ids: Vec<u64> = ran
        .of_type("ok")
        .filter(|line| line["f"] == "generate")
        .filter_map(|l| l["value"].as_u64())
        .collect();
    assert_eq!(ids.len(), 300);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 300);
    assert_eq!(ran.lines.last().expect("the last read")["value"], json!(ids));
    for way in ["SELECT LAST_INSERT_ID()", "COMMIT"] {
        assert!(ran.statements.iter().any(|text| text == way), "{way}");
    }
}

#[test]
fn skew_reads_lock_below_serializable_only() {
    let locks = |isolation| {
        let ran = run_with("write-skew", &Settings { isolation, ..Settings::default() }, 100, |_, _| None);
        ran.statements.iter().filter(|text| text.ends_with("FOR UPDATE")).count()
    };
    assert!(locks(Isolation::RepeatableRead) > 50);
    assert_eq!(locks(Isolation::Serializable), 0);
}

/// The connection breaks at each kind of statement: only where something may have been done is the outcome unknown, and
/// that process is never heard of again.
#[test]
fn an_answer_that_never_came_is_unknown_only_where_something_may_have_happened() {
    for name in NAMES {
        let mut draws = Draws::new(3, "lost", 0);
        let ran = run_with(name, &Settings::default(), 600, |text, store| {
            draws.chance(80).then(|| {
                // Half of them are done before the answer is lost.
                if draws.chance(500) {
                    store.answer(text);
                }
                store.hang_up();
                Answer::Lost(format!("lost at: {text}"))
            })
        });
        let mut gone = BTreeSet::new();
        let (mut unknown, mut no) = (0, 0);
        for line in &ran.lines {
            let process = line["process"].as_u64().expect("a number");
            assert!(!gone.contains(&process), "{name}: process {process} is used again: {line}");
            let error = line["error"].as_str().unwrap_or_default();
            match line["type"].as_str().expect("a word") {
                "info" => {
                    gone.insert(process);
                    unknown += 1;
                    let at = error.strip_prefix("lost at: ").unwrap_or_else(|| panic!("{name}: {line}"));
                    let may = ["COMMIT", "INSERT", "UPDATE", "DELETE", "SELECT LAST_INSERT_ID()"];
                    assert!(may.iter().any(|word| at.starts_with(word)), "{name}: {line}");
                }
                "fail" if error.starts_with("lost at: ") => no += 1,
                _ => {}
            }
        }
        assert!(unknown > 5 && no > 5, "{name}: {unknown} unknown, {no} refused");
    }
}

#[test]
fn a_refusal_undoes_and_tells_why() {
    let mut n = 0;
    let ran = run_with("bank", &Settings::default(), 300, |text, store| {
        n += 1;
        let at_commit = text == "COMMIT";
        (at_commit && n % 3 == 0).then(|| {
            store.hang_up();
            Answer::Refused { code: if n % 2 == 0 { 1213 } else { 1180 }, text: "refused".to_owned() }
        })
    });
    let errors = |kind: &str| -> BTreeSet<String> {
        ran.of_type(kind).filter_map(|line| line["error"].as_str().map(str::to_owned)).collect()
    };
    assert!(errors("fail").contains("1213: refused"));
    assert_eq!(errors("info").into_iter().collect::<Vec<_>>(), ["1180: refused"]);
    let commits = ran.statements.iter().zip(ran.statements.iter().skip(1));
    assert!(commits.clone().any(|(text, next)| text == "COMMIT" && next == "ROLLBACK"));
    assert_eq!(ran.store.sum("chaos_accounts"), 1_000);
}

#[test]
fn what_is_not_a_number_is_kept_for_the_judge() {
    let mut history = History::new(1);
    let mut workload =
        make("counter", &Settings { read_per_mille: 1_000, ..Settings::default() }).expect("known");
    let mut answer = |text: &str| match text.starts_with("SELECT") {
        true => Answer::Done(Got { rows: vec![vec![Some("many".to_owned())]], ..Got::default() }),
        false => Answer::Done(Got::default()),
    };
    let (mut lines, mut sessions) = (Vec::new(), vec![Session::default()]);
    let txn = workload.next(&mut Draws::new(1, "load", 0));
    one(txn, 0, &mut sessions, &mut answer, &mut history, &mut lines, &mut Vec::new());
    let line: Value = serde_json::from_str(&lines[1]).expect("JSON");
    assert_eq!((&line["type"], &line["value"]), (&json!("ok"), &json!("many")));
}

#[test]
fn a_fault_is_an_operation_of_the_nemesis() {
    let mut history = History::new(1);
    let line: Value = serde_json::from_str(&history.nemesis(5, "kill", &json!("n2"))).expect("JSON");
    let wanted =
        json!({ "index": 0, "time": 5, "process": "nemesis", "type": "info", "f": "kill", "value": "n2" });
    assert_eq!(line, wanted);
}

#[test]
fn a_slip_in_a_name_gets_the_list() {
    let why = make("bnak", &Settings::default()).err().expect("no such workload").to_string();
    assert!(why.contains("'bnak'") && why.contains("list-append, rw-register, bank"), "{why}");
}
