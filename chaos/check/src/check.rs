//! One history, one workload, one model: the verdict.

use crate::append::{EDGES_MAX, Lists};
use crate::cycle;
use crate::exact::{Answer, InTime, Wanted};
use crate::found::Found;
use crate::graph::{Graph, Kinds, Node, PROCESS, PRW, REALTIME, RW, WR, WW};
use crate::model::{Model, Order};
use crate::read::{Bad, Format};
use crate::register::Registers;
use crate::txn::{Shape, Txns};
use crate::value::Value;
use crate::verdict::{Anomaly, Valid, Verdict};
use crate::{count, object, order, predicate};
use plait_base::map::Map;

/// What the clients did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    ListAppend,
    Register,
    Predicate,
    Bank,
    Counter,
    Set,
    Ids,
}

impl Workload {
    pub const ALL: [Workload; 7] = [
        Workload::ListAppend,
        Workload::Register,
        Workload::Predicate,
        Workload::Bank,
        Workload::Counter,
        Workload::Set,
        Workload::Ids,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Workload::ListAppend => "list-append",
            Workload::Register => "register",
            Workload::Predicate => "predicate",
            Workload::Bank => "bank",
            Workload::Counter => "counter",
            Workload::Set => "set",
            Workload::Ids => "ids",
        }
    }

    /// By its name, or by a name that another tool has for it.
    pub fn parse(name: &str) -> Option<Workload> {
        Some(match name.trim_start_matches(':') {
            "list-append" | "append" => Workload::ListAppend,
            "register" | "rw-register" | "wr" | "cas-register" | "write-skew" | "long-fork" => {
                Workload::Register
            }
            "predicate" | "closed-predicate" => Workload::Predicate,
            "bank" => Workload::Bank,
            "counter" => Workload::Counter,
            "set" | "set-full" => Workload::Set,
            "ids" | "unique-ids" => Workload::Ids,
            _ => return None,
        })
    }

    /// What is asked about if nothing else is said.
    pub fn model(self) -> Model {
        let name = match self {
            Workload::ListAppend | Workload::Register | Workload::Predicate | Workload::Bank => {
                "strict-serializable"
            }
            Workload::Counter | Workload::Set | Workload::Ids => "linearizable",
        };
        Model::parse(name).expect("a model's name")
    }
}

/// What is asked about a history.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    pub workload: Workload,
    pub model: Model,
    /// How it is written; else that is guessed.
    pub format: Option<Format>,
    /// What a bank's balances add up to; else what its first read shows.
    pub total: Option<i64>,
    /// Whether registers that inference lets pass are tried exactly.
    pub exact: bool,
}

pub fn check(bytes: &[u8], ask: &Ask) -> Result<Verdict, Bad> {
    let linearizable = ask.model.name() == "linearizable";
    match ask.workload {
        Workload::ListAppend => lists(&Txns::parse(bytes, ask.format, Shape::Lists)?, ask.model),
        Workload::Register if linearizable && !transactions(bytes, ask.format)? => {
            object::judge(&values(bytes, ask.format)?, Workload::Register.name(), ask.model)
        }
        Workload::Register => {
            let txns = Txns::parse(bytes, ask.format, Shape::Registers)?;
            registers(&txns, Registers::new(&txns), ask, &[])
        }
        Workload::Predicate => {
            let read = predicate::parse(bytes, ask.format)?;
            registers(&read.txns, Registers::by_predicate(&read.txns, read.misses), ask, &read.wrong)
        }
        Workload::Bank => count::bank(&values(bytes, ask.format)?, ask.total, ask.model),
        Workload::Counter => count::counter(&values(bytes, ask.format)?, ask.model),
        Workload::Set => count::set(&values(bytes, ask.format)?, ask.model),
        Workload::Ids => count::ids(&values(bytes, ask.format)?, ask.model),
    }
}

fn values(bytes: &[u8], format: Option<Format>) -> Result<crate::history::History<Value>, Bad> {
    crate::history::parse(bytes, format, &mut |_, value| Ok((!value.is_nil()).then_some(value)))
}

/// Whether a history of registers is one of transactions rather than of single reads and writes.
fn transactions(bytes: &[u8], format: Option<Format>) -> Result<bool, Bad> {
    let mut any = false;
    crate::history::parse(bytes, format, &mut |line, _| {
        any |= line.f == "txn";
        Ok(None::<()>)
    })?;
    Ok(any)
}

/// Linearizability speaks of single objects: transactions of one micro-operation each are such, and for them it is
/// strict serializability (it is local, Herlihy and Wing 1990).
fn for_objects(txns: &Txns, model: Model) -> Result<Model, Bad> {
    if !matches!(model.name(), "linearizable" | "sequential" | "causal") {
        return Ok(model);
    }
    if model.name() != "linearizable" {
        return Err(Bad::new(
            1,
            format!("{} is not judged for transactions; ask for a transactional model", model.name()),
        ));
    }
    match txns.all.iter().find(|t| t.mops.len() > 1) {
        Some(txn) => {
            let what = "linearizability is about single objects, and this transaction touches several; ask for \
                        strict-serializable";
            Err(Bad::new(txn.line, what))
        }
        None => Ok(Model::parse("strict-serializable").expect("a model's name")),
    }
}

/// What both kinds of transactions are refused for.
fn not_judged(txns: &Txns, workload: &'static str, model: Model) -> Option<Verdict> {
    let unknown = |why: String| Some(Verdict::unknown(workload, model, txns.tally(), why));
    if txns.says_nothing() {
        return unknown("no transaction ended ok: nothing is known about what it saw".into());
    }
    let (a, b, mop) = txns.twice_written()?;
    unknown(format!(
        "{} is written by the transactions on lines {} and {}: who wrote what was read cannot be told",
        txns.book.mop_text(mop, txns.shape),
        txns.all[a].line,
        txns.all[b].line
    ))
}

fn lists(txns: &Txns, asked: Model) -> Result<Verdict, Bad> {
    let name = Workload::ListAppend.name();
    let model = for_objects(txns, asked)?;
    if let Some(verdict) = not_judged(txns, name, asked) {
        return Ok(verdict);
    }
    let lists = Lists::new(txns);
    let mut found = Found::new(txns);
    lists.anomalies(&mut found);
    lost_updates(txns, &mut found);
    let mut edges = Vec::new();
    let enough = lists.edges(&mut edges).is_ok();
    let explain = |from: usize, to: usize, kind: Kinds, a: &str, b: &str| lists.why(from, to, kind, a, b);
    Ok(finish(txns, name, (asked, model), found, enough.then_some(edges), &explain))
}

fn registers(
    txns: &Txns,
    mut registers: Registers,
    ask: &Ask,
    wrong: &[(usize, &'static str, String)],
) -> Result<Verdict, Bad> {
    let (name, asked) = (ask.workload.name(), ask.model);
    let model = for_objects(txns, asked)?;
    if let Some(verdict) = not_judged(txns, name, asked) {
        return Ok(verdict);
    }
    let mut found = Found::new(txns);
    for (txn, anomaly, what) in wrong {
        found.add(anomaly, &[*txn], |n| format!("{} {what}.", n[0]));
    }
    registers.anomalies(&mut found);
    lost_updates(txns, &mut found);
    registers.infer(model, &mut found);
    let mut edges = Vec::new();
    let enough = registers.edges(&mut edges).is_ok();
    let explain = |from: usize, to: usize, kind: Kinds, a: &str, b: &str| registers.why(from, to, kind, a, b);
    let mut verdict = finish(txns, name, (asked, model), found, enough.then_some(edges), &explain);
    // Repeatable read allows phantoms, which the solver does not tell from other anti-dependencies.
    let phantoms = ask.workload == Workload::Predicate && model.name() == "repeatable-read";
    if ask.exact && !phantoms && verdict.valid == Valid::Yes {
        exactly(txns, &registers, model, &mut verdict);
    }
    Ok(verdict)
}

/// What inference let pass is tried exactly, where the model says what an order must be like.
fn exactly(txns: &Txns, registers: &Registers, model: Model, verdict: &mut Verdict) {
    let time = match model.order() {
        Order::None => InTime::No,
        Order::Process => InTime::Process,
        Order::Realtime => InTime::Realtime,
    };
    let (wanted, name) = match model.name() {
        "serializable" | "repeatable-read" | "update-serializable" => {
            (Wanted::Serializable, "not-serializable")
        }
        "strong-session-serializable" => (Wanted::Serializable, "not-strong-session-serializable"),
        "strict-serializable" => (Wanted::Serializable, "not-strict-serializable"),
        "snapshot-isolation" => (Wanted::Snapshot, "not-snapshot-isolation"),
        "strong-session-snapshot-isolation" => (Wanted::Snapshot, "not-strong-session-snapshot-isolation"),
        "strong-snapshot-isolation" => (Wanted::Snapshot, "not-strong-snapshot-isolation"),
        _ => return,
    };
    match registers.problem().solve(wanted, time) {
        Answer::Yes => verdict.notes.push("an order that fits was found by the exact solver".into()),
        Answer::Unknown(why) => verdict.notes.push(format!("{why}: the verdict rests on inference alone")),
        Answer::No(core) => {
            let mut found = Found::new(txns);
            found.add(name, &core, |n| {
                let reads: Vec<String> = core.iter().zip(n).flat_map(|(at, me)| registers.saw(*at, me, &core, n)).collect();
                format!(
                    "No order of {} gives each what it read, whichever of two writes of a key comes first. {}",
                    n.join(", "),
                    reads.join(" ")
                )
            });
            verdict.valid = Valid::No;
            verdict.anomalies = found.told.anomalies;
            verdict.counts.extend(found.told.counts);
        }
    }
}

/// Two transactions that read the same state of a key and both wrote it: one of the writes is lost.
fn lost_updates(txns: &Txns, found: &mut Found) {
    use crate::txn::{Id, Mop};
    let mut seen: Map<(Id, u32, Option<Id>), usize> = Map::keyed(0);
    for (at, _) in txns.all.iter().enumerate().filter(|(_, t)| t.ok()) {
        let mops = txns.mops(at);
        for (i, mop) in mops.iter().enumerate() {
            let key = mop.key();
            let state = match *mop {
                Mop::List { from, len, .. } => {
                    (len, len.checked_sub(1).map(|last| txns.book.elements[(from + last) as usize]))
                }
                Mop::Read { value, .. } => (0, value),
                _ => continue,
            };
            let first = !mops[..i].iter().any(|m| m.key() == key);
            let writes = mops[i..].iter().any(|m| matches!(m, Mop::Write { key: k, .. } if *k == key));
            if !first || !writes {
                continue;
            }
            if let Some(other) = seen.insert((key, state.0, state.1), at) {
                found.add("lost-update", &[other, at], |n| {
                    let state = state.1.map_or("in its initial state".to_owned(), |v| format!("at {}", txns.book.name(v)));
                    format!(
                        "{} and {} both read key {} {state} and both wrote it: one did not see what the other did.",
                        n[0],
                        n[1],
                        txns.book.name(key)
                    )
                });
            }
        }
    }
}

type Explain<'a> = &'a dyn Fn(usize, usize, Kinds, &str, &str) -> String;

/// `models`: the one that was asked about, and the one that is judged.
fn finish(
    txns: &Txns,
    workload: &'static str,
    models: (Model, Model),
    mut found: Found,
    edges: Option<Vec<(Node, Node, Kinds)>>,
    explain: Explain,
) -> Verdict {
    let (asked, model) = models;
    let Some(mut edges) = edges else {
        return Verdict::unknown(
            workload,
            asked,
            txns.tally(),
            format!("more than {EDGES_MAX} dependencies: too many to look at"),
        );
    };
    order::edges(txns, model.order(), &mut edges);
    let graph = Graph::new(txns.all.len(), edges);
    let (cycles, counts) = cycle::search(&graph, order::kind(model.order()));
    for (name, n) in counts {
        found.told.counts.push((name, n));
    }
    for cycle in cycles {
        let steps: Vec<(usize, usize, &'static str)> =
            cycle.steps.iter().map(|s| (s.from as usize, s.to as usize, rel(s.kind))).collect();
        found.cycle(cycle.name, &steps, |from, to, rel, a, b| sentence(txns, explain, (from, to), rel, a, b));
    }
    let mut anomalies: Vec<Anomaly> = found.told.anomalies;
    anomalies.sort_by_key(|a| std::cmp::Reverse(crate::model::broken_by(&[a.name]).len()));
    let mut verdict = Verdict::of(workload, model, txns.tally(), anomalies);
    verdict.model = asked;
    verdict.counts = found.told.counts;
    verdict
}

fn rel(kind: Kinds) -> &'static str {
    match kind {
        WW => "ww",
        WR => "wr",
        RW => "rw",
        PRW => "prw",
        PROCESS => "process",
        REALTIME => "realtime",
        _ => "?",
    }
}

fn sentence(txns: &Txns, explain: Explain, edge: (usize, usize), rel: &str, a: &str, b: &str) -> String {
    let (from, to) = edge;
    let (first, second) = (&txns.all[from], &txns.all[to]);
    match rel {
        "process" => format!("Process {} did {a} before {b}.", first.process),
        "realtime" => {
            format!("{a} was over (line {}) before {b} began (it ends on line {}).", first.line, second.line)
        }
        "ww" => explain(from, to, WW, a, b),
        "wr" => explain(from, to, WR, a, b),
        "prw" => explain(from, to, PRW, a, b),
        _ => explain(from, to, RW, a, b),
    }
}
