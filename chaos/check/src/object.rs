//! Single objects that are read, written and swapped: each is linearizable, or it is not.
//!
//! Operations are `read`, `write` and `cas` with a value, or with a key and a value where there are many objects
//! (jepsen.independent). Linearizability is local: a history is linearizable if each object's part is (Herlihy, Wing,
//! 1990).

use crate::history::{Call, History, Kind, NEVER, short};
use crate::linear::{self, Done, Kind as Did};
use crate::model::Model;
use crate::value::Value;
use crate::verdict::{Anomaly, Operation, Valid, Verdict};
use std::collections::BTreeMap;

/// Steps of the search for one object before it is given up.
const STEPS_MAX: usize = 30_000_000;

/// Values of operations come as `[key value]` if all of them do.
fn is_keyed(history: &History<Value>) -> bool {
    let pair = |value: &Value| value.list().is_some_and(|l| l.len() == 2);
    let mut any = false;
    history.calls.iter().flat_map(|c| [Some(&c.asked), c.got.as_ref()]).flatten().all(|value| {
        any |= !value.is_nil();
        value.is_nil() || pair(value)
    }) && any
        && history
            .calls
            .iter()
            .filter(|c| c.f == "cas")
            .all(|c| matches!(c.asked.list(), Some([_, swap]) if pair(swap)))
}

pub fn judge(history: &History<Value>, workload: &'static str, model: Model) -> Result<Verdict, crate::Bad> {
    let keyed = is_keyed(history);
    let mut values: BTreeMap<Value, i64> = BTreeMap::from([(Value::Nil, 0)]);
    // What nobody wrote and may be found all the same: 0, where an initial state is written so.
    let part = |value: &Value| match value.list() {
        Some([_, value]) if keyed => value.clone(),
        _ => value.clone(),
    };
    let writes = |c: &Call<Value>| match part(&c.asked) {
        Value::List(pair) => pair.last() == Some(&Value::Int(0)),
        value => value == Value::Int(0),
    };
    if !history.calls.iter().any(|c| !matches!(c.f.as_str(), "read" | "r") && writes(c)) {
        values.insert(Value::Int(0), 0);
    }
    let mut number = |value: &Value| {
        let next = values.len() as i64;
        *values.entry(value.clone()).or_insert(next)
    };
    let mut objects: BTreeMap<Value, Vec<(Done, usize)>> = BTreeMap::new();
    for (at, call) in history.calls.iter().enumerate() {
        let bad = |what: String| crate::Bad::new(call.line, what);
        let split = |value: &Value| match value.list() {
            Some([key, value]) if keyed => (key.clone(), value.clone()),
            _ => (Value::Nil, value.clone()),
        };
        // What is asked for names the key; what comes back has the value that was read.
        let (key, asked) = split(&call.asked);
        let got = call.got.as_ref().map(|got| split(got).1);
        let kind = match call.f.as_str() {
            "read" | "r" => match (call.ok(), got) {
                (true, Some(found)) => Did::Read(number(&found)),
                // A read of an unwritten object finds nothing; some histories leave the value out then.
                (true, None) => Did::Read(0),
                _ => continue,
            },
            _ if call.kind == Kind::Fail => continue,
            "write" | "w" => Did::Write(number(&asked)),
            "cas" => match asked.list() {
                Some([from, to]) => Did::Swap(number(from), number(to)),
                _ => {
                    return Err(bad(format!("a cas asks for [old new], and this one for {}", short(&asked))));
                }
            },
            other => {
                return Err(bad(format!(
                    "'{other}' is no operation on a register; there are read, write and cas"
                )));
            }
        };
        let ended_ns = if call.ok() { call.ended.into() } else { u64::MAX };
        let done = Done { op: at as u64, begun_ns: call.invoked.into(), ended_ns, kind };
        objects.entry(key).or_default().push((done, at));
    }
    if objects.is_empty() {
        return Ok(Verdict::unknown(workload, model, history.tally(), "no operation had an outcome"));
    }
    let names: BTreeMap<i64, Value> = values.into_iter().map(|(value, n)| (n, value)).collect();
    let (mut found, mut undecided) = (Vec::new(), Vec::new());
    for (key, ops) in &objects {
        let ops: Vec<Done> = ops.iter().map(|(done, _)| *done).collect();
        if let Some((read, value)) = from_nowhere(&ops) {
            let operations = vec![operation(&history.calls[read.op as usize], "T1".into())];
            let why =
                format!("T1 found {}, and nobody ever wrote it.", names.get(&value).unwrap_or(&Value::Nil));
            found.push(Anomaly { name: "garbage-read", why, operations, cycle: Vec::new() });
            continue;
        }
        // The quick way first; it gives up where much overlaps.
        let quick = match linear::check(0, &ops) {
            linear::Verdict::Undecided => linear::search::check(0, &ops, STEPS_MAX),
            decided => decided,
        };
        match quick {
            linear::Verdict::Linearizable => {}
            linear::Verdict::Undecided => undecided.push(key.to_string()),
            linear::Verdict::Not(stuck) => found.push(explain(history, key, keyed, &names, &stuck)),
        }
    }
    let mut verdict = Verdict::of(workload, model, history.tally(), found);
    if verdict.valid == Valid::Yes && !undecided.is_empty() {
        verdict.valid = Valid::Unknown;
        verdict.why = Some(format!("the search was given up for the objects {}", undecided.join(", ")));
    }
    Ok(verdict)
}

/// A read, or a swap that was done, of a value that nobody can have written.
fn from_nowhere(ops: &[Done]) -> Option<(&Done, i64)> {
    let wrote = |value: i64| {
        ops.iter().any(|op| matches!(op.kind, Did::Write(v) | Did::Swap(_, v) if v == value)) || value == 0
    };
    let seen = |op: &Done| match op.kind {
        Did::Read(v) => Some(v),
        Did::Swap(v, _) if op.ended_ns != u64::MAX => Some(v),
        _ => None,
    };
    ops.iter().find_map(|op| seen(op).filter(|v| !wrote(*v)).map(|v| (op, v)))
}

fn explain(
    history: &History<Value>,
    key: &Value,
    keyed: bool,
    names: &BTreeMap<i64, Value>,
    stuck: &linear::Stuck,
) -> Anomaly {
    let operations: Vec<Operation> = stuck
        .open
        .iter()
        .enumerate()
        .map(|(i, done)| operation(&history.calls[done.op as usize], format!("T{}", i + 1)))
        .collect();
    let value = |n: i64| names.get(&n).map_or_else(String::new, Value::to_string);
    let tries: Vec<String> = stuck
        .open
        .iter()
        .zip(&operations)
        .map(|(done, op)| match done.kind {
            Did::Read(v) => format!("{} reads {}", op.name, value(v)),
            Did::Write(v) => format!("{} writes {}", op.name, value(v)),
            Did::Swap(a, b) => format!("{} changes {} to {}", op.name, value(a), value(b)),
        })
        .collect();
    let what = if keyed { format!("object {key}") } else { "the object".to_owned() };
    let why = format!(
        "In the longest order that fits, {what} is at {} after {} operation{}, and what must come next does not fit: {}.",
        value(stuck.value),
        stuck.after,
        if stuck.after == 1 { "" } else { "s" },
        tries.join(", ")
    );
    Anomaly { name: "not-linearizable", why, operations, cycle: Vec::new() }
}

/// A call as part of a witness.
pub fn operation(call: &Call<Value>, name: String) -> Operation {
    let outcome = match call.kind {
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Info => "info",
    };
    let value = match &call.got {
        Some(got) => format!("{} {got}", call.f),
        None => format!("{} {}", call.f, call.asked),
    };
    Operation {
        name,
        index: call.index,
        line: call.line,
        process: call.process,
        node: call.node.clone(),
        outcome,
        value,
    }
}

/// Whether a call had ended before another began.
pub fn before(a: &Call<Value>, b: &Call<Value>) -> bool {
    a.ok() && a.ended != NEVER && a.ended < b.invoked
}

/// An operation on one object as a transaction of micro-operations.
pub fn as_mops(f: &str, value: Value) -> Result<Vec<Value>, String> {
    let (key, value) = match value {
        Value::List(mut pair)
            if pair.len() == 2 && f != "cas" || matches!(&pair[..], [_, Value::List(_)]) =>
        {
            let value = pair.pop().unwrap_or(Value::Nil);
            (pair.pop().unwrap_or(Value::Nil), value)
        }
        value => (Value::Text("register".into()), value),
    };
    let mop = |f: &str, value: Value| Value::List(vec![Value::Text(f.into()), key.clone(), value]);
    match f {
        "read" | "r" => Ok(vec![mop("r", value)]),
        "append" => Ok(vec![mop("append", value)]),
        "cas" => match value {
            Value::List(mut pair) if pair.len() == 2 => {
                let to = pair.pop().unwrap_or(Value::Nil);
                let from = pair.pop().unwrap_or(Value::Nil);
                Ok(vec![mop("r", from), mop("w", to)])
            }
            other => Err(format!("a cas asks for [old new], and this one for {}", short(&other))),
        },
        _ => Ok(vec![mop("w", value)]),
    }
}
