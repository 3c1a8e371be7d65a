//! A toy database that keeps one promise or breaks it in one way, and writes down what its clients saw.

use plait_base::Draws;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    Serializable,
    Snapshot,
    /// Each read finds what was committed when it ran.
    ReadCommitted,
    /// Each read finds whatever lies there, and a refused transaction leaves its writes.
    Dirty,
    /// Snapshots are old at times.
    Stale,
    /// Snapshots, and who commits last wins.
    NoConflicts,
}

pub const PROMISES: [Promise; 6] = [
    Promise::Serializable,
    Promise::Snapshot,
    Promise::ReadCommitted,
    Promise::Dirty,
    Promise::Stale,
    Promise::NoConflicts,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Lists,
    Registers,
}

type Row = Vec<u64>;

#[derive(Default)]
struct Txn {
    /// (key, element to write or none)
    todo: Vec<(u64, Option<u64>)>,
    done: Vec<Value>,
    snapshot: usize,
    wrote: BTreeMap<u64, Row>,
    read: BTreeMap<u64, Row>,
    process: u64,
    doomed: bool,
    asked: Value,
}

/// One line of a history.
pub fn line(process: u64, kind: &str, value: Value) -> Value {
    json!({ "type": kind, "process": process, "f": "txn", "value": value })
}

/// A history of about `count` transactions.
pub fn history(seed: u64, promise: Promise, shape: Shape, count: usize) -> Vec<Value> {
    let mut d = Draws::new(seed, "history", 0);
    let mut lines = Vec::new();
    // Every committed state of every key, oldest first.
    let mut states: Vec<BTreeMap<u64, Row>> = vec![BTreeMap::new()];
    let mut dirty: BTreeMap<u64, Row> = BTreeMap::new();
    let mut open: Vec<Txn> = Vec::new();
    let (mut next_value, mut next_process, mut begun) = (1, 0, 0);
    let keys = d.between(2, 5);
    let free: &mut Vec<u64> = &mut (0..4).collect();
    next_process += 4;
    let write = |row: &mut Row, value: u64| match shape {
        Shape::Lists => row.push(value),
        Shape::Registers => *row = vec![value],
    };
    while begun < count || !open.is_empty() {
        if begun < count && !free.is_empty() && d.chance(500) {
            let process = free.remove(d.below(free.len() as u64) as usize);
            let mut txn = Txn { process, snapshot: states.len() - 1, ..Txn::default() };
            if promise == Promise::Stale && d.chance(300) {
                txn.snapshot = txn.snapshot.saturating_sub(d.below(6) as usize);
            }
            for _ in 0..d.between(1, 4) {
                // Keys are retired, as lists would grow for ever.
                let key = d.below(keys) + begun as u64 / 12 * keys;
                let value = d.chance(550).then(|| {
                    next_value += 1;
                    next_value
                });
                txn.todo.push((key, value));
            }
            let asked: Vec<Value> =
                txn.todo.iter().map(|(key, value)| mop(shape, *key, *value, Value::Null)).collect();
            txn.asked = asked.into();
            lines.push(line(process, "invoke", txn.asked.clone()));
            txn.todo.reverse();
            open.push(txn);
            begun += 1;
            continue;
        }
        if open.is_empty() {
            continue;
        }
        let at = d.below(open.len() as u64) as usize;
        if let Some((key, value)) = open[at].todo.pop() {
            let newest = states.len() - 1;
            let txn = &mut open[at];
            let committed = |at: usize| states[at].get(&key).cloned().unwrap_or_default();
            let base = match promise {
                Promise::Dirty => dirty.get(&key).cloned().unwrap_or_default(),
                Promise::ReadCommitted => txn.wrote.get(&key).cloned().unwrap_or_else(|| committed(newest)),
                _ => txn.wrote.get(&key).cloned().unwrap_or_else(|| committed(txn.snapshot)),
            };
            match value {
                None => {
                    let seen = match shape {
                        Shape::Lists => json!(base),
                        Shape::Registers => base.last().map_or(Value::Null, |v| json!(v)),
                    };
                    txn.done.push(mop(shape, key, None, seen));
                    txn.read.entry(key).or_insert(base);
                }
                Some(value) => {
                    let mut row = base;
                    write(&mut row, value);
                    txn.done.push(mop(shape, key, Some(value), Value::Null));
                    if promise == Promise::Dirty {
                        dirty.insert(key, row.clone());
                    }
                    txn.wrote.insert(key, row);
                }
            }
            continue;
        }
        let mut txn = open.swap_remove(at);
        let since = &states[txn.snapshot + 1..];
        let touched = |key: &u64| since.iter().any(|state| state.get(key) != states[txn.snapshot].get(key));
        txn.doomed = match promise {
            Promise::Serializable => txn.wrote.keys().chain(txn.read.keys()).any(touched),
            Promise::Snapshot | Promise::Stale => txn.wrote.keys().any(touched),
            Promise::ReadCommitted | Promise::Dirty | Promise::NoConflicts => false,
        } || d.chance(60);
        let unknown = d.chance(40);
        if !txn.doomed && (!unknown || !d.chance(500)) {
            let mut state = states[states.len() - 1].clone();
            for (key, row) in &txn.wrote {
                // Under read committed a write goes on top of what is there by now.
                let mine: Vec<u64> = match promise {
                    Promise::ReadCommitted => own(&txn.done, *key),
                    _ => Vec::new(),
                };
                if mine.is_empty() {
                    state.insert(*key, row.clone());
                } else {
                    let row = state.entry(*key).or_default();
                    mine.iter().for_each(|value| write(row, *value));
                }
            }
            states.push(if promise == Promise::Dirty { dirty.clone() } else { state });
        }
        match (txn.doomed, unknown) {
            (_, true) => {
                lines.push(line(txn.process, "info", txn.asked));
                free.push(next_process);
                next_process += 1;
                continue;
            }
            (true, _) => lines.push(line(txn.process, "fail", txn.asked)),
            _ => lines.push(line(txn.process, "ok", txn.done.into())),
        }
        free.push(txn.process);
    }
    lines
}

fn mop(shape: Shape, key: u64, value: Option<u64>, seen: Value) -> Value {
    let f = if shape == Shape::Lists { "append" } else { "w" };
    match value {
        Some(value) => json!([f, key, value]),
        None => json!(["r", key, seen]),
    }
}

fn own(done: &[Value], key: u64) -> Vec<u64> {
    let of = |mop: &&Value| mop[0] != "r" && mop[1] == key;
    done.iter().filter(of).filter_map(|mop| mop[2].as_u64()).collect()
}

/// Breaks a history in one way that has a name.
pub fn mutate(lines: &mut [Value], d: &mut Draws) -> &'static str {
    let reads: Vec<(usize, usize)> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line["type"] == "ok")
        .flat_map(|(i, line)| {
            let mops = line["value"].as_array().cloned().unwrap_or_default();
            let long = |mop: &Value| mop[0] == "r" && mop[2].as_array().is_some_and(|l| l.len() > 1);
            mops.iter().enumerate().filter(|(_, m)| long(m)).map(|(j, _)| (i, j)).collect::<Vec<_>>()
        })
        .collect();
    let Some((i, j)) = reads.get(d.below(reads.len().max(1) as u64) as usize).copied() else {
        return "nothing";
    };
    let list = lines[i]["value"][j][2].as_array_mut().expect("a list was found there");
    let n = list.len();
    match d.below(6) {
        0 => {
            list.swap(n - 1, n - 2);
            "two elements change places in one read"
        }
        1 => {
            let last = list[n - 1].clone();
            list.push(last);
            "the last element stands twice"
        }
        2 => {
            list.truncate(n / 2);
            "a read is shorter"
        }
        3 => {
            list.remove(0);
            "a read lacks the first element"
        }
        4 => {
            // Who appended one of them is told that it was refused.
            let element = list[d.below(n as u64) as usize].clone();
            let key = lines[i]["value"][j][1].clone();
            let append = json!(["append", key, element]);
            let writes = |line: &&mut Value| {
                line["type"] == "ok" && line["value"].as_array().is_some_and(|mops| mops.contains(&append))
            };
            if let Some(line) = lines.iter_mut().find(writes) {
                line["type"] = "fail".into();
            }
            "an append that was read was refused"
        }
        _ => {
            list.push(json!(1_000_000));
            "a read has what nobody wrote"
        }
    }
}

/// A step of a planted anomaly: process, whether it ends (else it begins), and its micro-operations.
type Steps = &'static [(u64, bool, &'static str)];

/// Anomalies that come up too seldom by chance, each as the transactions that make it. `A` and `B` are keys of their own.
pub const PLANTS: &[(&str, Steps)] = &[
    (
        // A long fork: each of two readers sees the write that the other does not.
        "G-nonadjacent-item",
        &[
            (0, false, "r A []; r B [1]"),
            (1, false, "append A 1"),
            (2, false, "r A [1]; r B []"),
            (3, false, "append B 1"),
            (0, true, ""),
            (1, true, ""),
            (2, true, ""),
            (3, true, ""),
        ],
    ),
    (
        "G-nonadjacent-item-process",
        &[
            (0, false, "r A []; r B [1]"),
            (1, false, "append B 1"),
            (2, false, "append A 1"),
            (2, true, ""),
            (2, false, "r B []"),
            (2, true, ""),
            (1, true, ""),
            (0, true, ""),
        ],
    ),
    (
        "G-nonadjacent-item-realtime",
        &[
            (0, false, "r A []; r B [1]"),
            (1, false, "append B 1"),
            (2, false, "append A 1"),
            (2, true, ""),
            (3, false, "r B []"),
            (3, true, ""),
            (1, true, ""),
            (0, true, ""),
        ],
    ),
    (
        "G1c-process",
        &[
            (0, false, "append A 1; r B [1]"),
            (1, false, "r A [1]"),
            (1, true, ""),
            (1, false, "append B 1"),
            (1, true, ""),
            (0, true, ""),
        ],
    ),
    (
        "G1c-realtime",
        &[
            (0, false, "append A 1; r B [1]"),
            (1, false, "r A [1]"),
            (1, true, ""),
            (2, false, "append B 1"),
            (2, true, ""),
            (0, true, ""),
        ],
    ),
    (
        "G2-item-process",
        &[
            (0, false, "append A 1; r B []"),
            (1, false, "append B 1"),
            (1, true, ""),
            (1, false, "r A []"),
            (1, true, ""),
            (0, true, ""),
        ],
    ),
    ("future-read", &[(0, false, "r A [1]; append A 1"), (0, true, "")]),
];

/// Puts an anomaly at the end of a history, by processes of its own.
pub fn plant(lines: &mut Vec<Value>, steps: Steps) {
    let mut open: BTreeMap<u64, Value> = BTreeMap::new();
    for (process, ends, mops) in steps {
        let process = 1000 + *process;
        if *ends {
            lines.push(line(process, "ok", open.remove(&process).expect("it began")));
            continue;
        }
        let mops: Vec<Value> = mops
            .split("; ")
            .map(|mop| {
                let words: Vec<&str> = mop.split(' ').collect();
                json!([words[0], words[1], serde_json::from_str::<Value>(words[2]).expect("a value")])
            })
            .collect();
        lines.push(line(process, "invoke", json!(mops)));
        open.insert(process, json!(mops));
    }
}

pub fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
