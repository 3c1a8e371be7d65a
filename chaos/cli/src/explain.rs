//! From a run to what its report shows: operations, faults, messages, events, and the anomalies that were found.
//!
//! A simulated run is run again with somebody who watches; of a run on real processes there are the files that it left.

use crate::cli::Usage;
use plait_base::Outcome;
use plait_check::{Ask, Format, Model, Verdict, Workload};
use plait_world::plan::Plan;
use plait_world::run::Report;
use plait_world::world::diagram::Diagram;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub const SCHEMA: &str = "plait.report/1";

/// Operations are numbered through all histories of a run: each history begins at the next multiple of this.
const HISTORY: u64 = 10_000_000;
/// And what was not written into a history begins here.
const OTHERS: u64 = 1_000_000_000;

fn ms(ns: u64) -> f64 {
    (ns as f64 / 1e3).round() / 1e3
}

/// A simulated run that was watched.
pub fn of_run(plan: &Plan, report: &Report, command: &str) -> Value {
    let (mut operations, mut anomalies, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for (n, recorded) in report.histories.iter().enumerate() {
        let base = n as u64 * HISTORY;
        operations.extend(operations_of(&recorded.text, recorded.workload, base));
        let Some((workload, model)) = Workload::parse(recorded.workload).zip(Model::parse(recorded.model))
        else {
            continue;
        };
        let ask = Ask { workload, model, format: Some(Format::Json), total: None, exact: true };
        // A run that ended early may end in the middle of an operation; that is no defect of the history.
        if let Ok(verdict) = plait_check::check(recorded.text.as_bytes(), &ask) {
            anomalies.extend(anomalies_of(&verdict.json(), recorded.workload, base));
            verdicts.push(verdict_of(&verdict, recorded.workload));
        }
    }
    let diagram = report.diagram.as_ref();
    let written: Vec<&str> = report.histories.iter().map(|h| h.workload).collect();
    for op in diagram.iter().flat_map(|d| &d.ops).filter(|op| !written.contains(&op.workload.as_str())) {
        operations.push(json!({
            "id": OTHERS + op.op, "workload": op.workload, "process": op.client, "client": op.client,
            "node": op.slot.to_string(), "f": op.workload, "asked": op.form, "got": "",
            "outcome": match op.outcome { Outcome::Yes => "ok", Outcome::No => "fail", Outcome::Unknown => "info" },
            "error": op.error, "from_ms": ms(op.from_ns),
            "to_ms": (op.outcome != Outcome::Unknown).then(|| ms(op.to_ns)),
        }));
    }
    let write_sets = diagram.map(|d| write_sets(d, &mut operations)).unwrap_or_default();
    let mut of = ways(diagram, &anomalies, &write_sets);
    let messages: Vec<Value> = diagram
        .iter()
        .flat_map(|d| &d.messages)
        .enumerate()
        .map(|(at, m)| {
            json!({ "from": m.from.to_string(), "to": m.to.to_string(), "kind": m.kind, "from_ms": ms(m.from_ns),
                "to_ms": m.to_ns.map(ms), "lost": m.to_ns.is_none(), "of": of.remove(&at) })
        })
        .collect();
    let events: Vec<Value> = report
        .story
        .iter()
        .filter(|line| line.who.starts_with('n'))
        .map(|line| json!({ "node": line.who, "at_ms": ms(line.at_ns), "what": line.what }))
        .collect();
    let faults: Vec<Value> = plan
        .faults
        .iter()
        .map(|f| {
            let nodes: Vec<String> = f.kind.slots().iter().map(|n| format!("n{n}")).collect();
            json!({ "id": f.id, "kind": f.kind.name(), "say": f.kind.say(), "nodes": nodes, "from_ms": f.at_ms,
                "to_ms": f.until_ms })
        })
        .collect();
    let violations: Vec<Value> = report
        .violations
        .iter()
        .map(|v| json!({ "invariant": v.invariant, "at_ms": ms(v.at_ns), "what": v.what }))
        .collect();
    let bug = plan.bug.as_ref().map_or(String::new(), |bug| format!(", planted bug {bug}"));
    json!({
        "schema": SCHEMA, "title": format!("seed {} of {}{bug}", plan.seed, plan.profile), "source": "simulated",
        "command": command, "verdict": report.verdict, "why": report.why, "verdicts": verdicts,
        "violations": violations, "from_ms": 0, "to_ms": report.simulated_ms, "nodes": ["n1", "n2", "n3"],
        "faults": faults, "operations": operations, "events": events, "messages": messages, "anomalies": anomalies,
        "outages": [], "left_out": { "messages": diagram.map_or(0, |d| d.dropped), "operations": 0 },
    })
}

/// The seqno of each operation's write-set, by the operation's id; its place in the log is put into the operation.
/// A history names no place, so its operations are known again by their node, workload and end.
fn write_sets(diagram: &Diagram, operations: &mut [Value]) -> BTreeMap<u64, u64> {
    let key =
        |workload: &str, node: &str, to_ms: f64| (workload.to_owned(), node.to_owned(), to_ms.to_bits());
    let ended: BTreeMap<_, u64> = diagram
        .ops
        .iter()
        .filter_map(|op| Some((key(&op.workload, &op.slot.to_string(), ms(op.to_ns)), op.seqno?)))
        .collect();
    let mut seqnos = BTreeMap::new();
    for op in operations {
        let word = |field: &str| op[field].as_str().unwrap_or_default();
        let seqno = op["to_ms"].as_f64().and_then(|to| ended.get(&key(word("workload"), word("node"), to)));
        if let (Some(seqno), Some(id)) = (seqno.copied(), op["id"].as_u64()) {
            op["place"] = diagram.ordered.get(&seqno).map(|(place, _)| *place).into();
            seqnos.insert(id, seqno);
        }
    }
    seqnos
}

/// Which messages took part in ordering the operations of the anomalies: by the message's position, the operations.
fn ways(
    diagram: Option<&Diagram>,
    anomalies: &[Value],
    write_sets: &BTreeMap<u64, u64>,
) -> BTreeMap<usize, Vec<u64>> {
    let members = anomalies.iter().flat_map(|anomaly| anomaly["operations"].as_array().into_iter().flatten());
    let ids: BTreeSet<u64> = members.filter_map(|op| op["id"].as_u64()).collect();
    let mut of: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for id in ids {
        for at in diagram.zip(write_sets.get(&id)).map(|(d, seqno)| d.way(*seqno)).unwrap_or_default() {
            of.entry(at).or_default().push(id);
        }
    }
    of
}

/// What a run on real processes left in its directory.
pub fn of_directory(dir: &Path) -> Result<Value, Usage> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read_to_string(&path).map_err(|why| {
            Usage(format!("{}: {why}; name a directory that `live` wrote, or a plan", path.display()))
        })
    };
    let history = read("history.jsonl")?;
    let document: Value = serde_json::from_str(&read("verdict.json")?)
        .map_err(|why| Usage(format!("{}: not a verdict: {why}", dir.join("verdict.json").display())))?;
    let workload = document["workload"].as_str().unwrap_or("history").to_owned();
    let operations = operations_of(&history, &workload, 0);
    let judged = &document["judged"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let end = operations
        .iter()
        .filter_map(|op| op["to_ms"].as_f64().or(op["from_ms"].as_f64()))
        .fold(0.0, f64::max);
    let mut nodes: Vec<String> =
        operations.iter().filter_map(|op| op["node"].as_str().map(str::to_owned)).collect();
    nodes.sort();
    nodes.dedup();
    let faults: Vec<Value> = list(&document["outages"])
        .iter()
        .map(|o| {
            let on = o["on"].as_str().unwrap_or_default();
            let named: Vec<&String> = nodes.iter().filter(|n| on.contains(n.as_str())).collect();
            json!({ "id": o["id"], "kind": o["fault"], "say": format!("{} {on}", o["fault"].as_str().unwrap_or_default()),
                "nodes": named, "from_ms": o["begun_ms"], "to_ms": o["ended_ms"] })
        })
        .collect();
    let outages: Vec<Value> = list(&document["outages"])
        .iter()
        .map(|o| {
            json!({ "fault": o["id"], "what": format!("{} {}", o["fault"].as_str().unwrap_or_default(), o["on"].as_str().unwrap_or_default()),
                "longest_ms": o["longest_gap_ms"], "node_ms": o["node_gap_ms"] })
        })
        .collect();
    let (source, on) = match document["target"] == "plait" {
        true => ("live", "on real processes"),
        false => ("foreign", "on a foreign cluster"),
    };
    let model = document["model"].as_str().unwrap_or_default();
    // What was found beside the verdict stands with the anomalies; only what is unknown needs a reason here.
    let why = if document["verdict"] == "unknown" { document["why"].clone() } else { Value::Null };
    Ok(json!({
        "schema": SCHEMA, "title": format!("{workload} {on}, seed {}", document["seed"]), "source": source,
        "command": format!(
            "plait chaos check {} --workload {workload} --model {model}",
            dir.join("history.jsonl").display()
        ),
        "verdict": document["verdict"], "why": why,
        "verdicts": [{ "workload": workload, "model": document["model"], "valid": judged["valid"],
            "why": why, "counts": judged["counts"] }],
        "violations": [], "from_ms": 0, "to_ms": end, "nodes": nodes, "faults": faults, "operations": operations,
        "events": [], "messages": [], "anomalies": anomalies_of(judged, &workload, 0), "outages": outages,
        "left_out": { "messages": 0, "operations": 0 },
    }))
}

fn verdict_of(verdict: &Verdict, workload: &str) -> Value {
    let judged = verdict.json();
    json!({ "workload": workload, "model": judged["model"], "valid": judged["valid"], "why": judged["why"],
        "counts": judged["counts"] })
}

/// Invocations and completions of a history put together; each has the number by which its judge calls it.
fn operations_of(history: &str, workload: &str, base: u64) -> Vec<Value> {
    let mut open: BTreeMap<u64, usize> = BTreeMap::new();
    let mut operations: Vec<Value> = Vec::new();
    let lines = history.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    for line in lines {
        let Some(process) = line["process"].as_u64() else { continue };
        let (index, at_ms) =
            (base + line["index"].as_u64().unwrap_or(0), ms(line["time"].as_u64().unwrap_or(0)));
        if line["type"] == "invoke" {
            open.insert(process, operations.len());
            operations.push(json!({
                "id": index, "workload": workload, "process": process, "client": process, "node": line["node"],
                "f": line["f"], "asked": line["value"].to_string(), "got": "", "outcome": "info", "error": null,
                "from_ms": at_ms, "to_ms": null,
            }));
        } else if let Some(at) = open.remove(&process) {
            let op = &mut operations[at];
            op["id"] = index.into();
            op["outcome"] = line["type"].clone();
            op["got"] = if line["type"] == "ok" { line["value"].to_string().into() } else { "".into() };
            op["error"] = line["error"].clone();
            // Who was not told the outcome does not know when it ended.
            if line["type"] != "info" {
                op["to_ms"] = at_ms.into();
            }
        }
    }
    operations
}

/// The judge's anomalies, with operations by their numbers in the report.
fn anomalies_of(judged: &Value, workload: &str, base: u64) -> Vec<Value> {
    let mut anomalies = judged["anomalies"].as_array().cloned().unwrap_or_default();
    for anomaly in &mut anomalies {
        anomaly["workload"] = workload.into();
        for op in anomaly["operations"].as_array_mut().into_iter().flatten() {
            op["id"] = (base + op["index"].as_u64().unwrap_or(0)).into();
        }
    }
    anomalies
}
