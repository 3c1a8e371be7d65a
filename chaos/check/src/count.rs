//! Judges of sums and sets: bank, counter, set, ids. Each reads single operations, not transactions.

use crate::Bad;
use crate::history::{Call, History, Kind, short};
use crate::model::{Model, Order};
use crate::object::{before, operation};
use crate::value::Value;
use crate::verdict::{Anomaly, Told, Verdict};
use std::collections::BTreeMap;

#[derive(Default)]
struct Found(Told);

impl Found {
    fn add(&mut self, name: &'static str, calls: &[&Call<Value>], why: impl FnOnce() -> String) {
        if !self.0.count(name) {
            return;
        }
        let operations = calls.iter().enumerate().map(|(i, call)| operation(call, format!("T{}", i + 1)));
        let operations = operations.collect();
        self.0.anomalies.push(Anomaly { name, why: why(), operations, cycle: Vec::new() });
    }

    fn verdict(self, workload: &'static str, model: Model, history: &History<Value>) -> Verdict {
        let mut verdict = Verdict::of(workload, model, history.tally(), self.0.anomalies);
        verdict.counts = self.0.counts;
        verdict
    }
}

/// Whether the model lets nobody read what was over before he asked.
fn in_time(model: Model) -> bool {
    model.order() == Order::Realtime || model.name() == "linearizable"
}

fn reads(history: &History<Value>) -> impl Iterator<Item = &Call<Value>> {
    history.calls.iter().filter(|c| c.ok() && matches!(c.f.as_str(), "read" | "r"))
}

fn bad_f(call: &Call<Value>, known: &str) -> Bad {
    Bad::new(call.line, format!("'{}' is no operation of this workload, which has {known}", call.f))
}

/// Money moves between accounts, and no read may show more or less of it than there is (Jepsen's bank). `total`:
/// how much there is; else what the first read shows.
pub fn bank(history: &History<Value>, total: Option<i64>, model: Model) -> Result<Verdict, Bad> {
    for call in &history.calls {
        if !matches!(call.f.as_str(), "read" | "r" | "transfer" | "deposit") {
            return Err(bad_f(call, "transfer and read"));
        }
    }
    let mut found = Found::default();
    let mut wanted = total.map(i128::from);
    let mut accounts: Option<Vec<Value>> = None;
    for call in reads(history) {
        let balances = balances(call)?;
        let names: Vec<Value> = balances.iter().map(|(name, _)| name.clone()).collect();
        if let Some(nil) = balances.iter().find(|(_, b)| b.is_none()) {
            found.add("missing-account", &[call], || format!("T1 read no balance for account {}.", nil.0));
            continue;
        }
        if *accounts.get_or_insert_with(|| names.clone()) != names {
            found.add("missing-account", &[call], || {
                "T1 did not read the same accounts as the reads before it.".to_owned()
            });
            continue;
        }
        // Wider than any balance, so that no history makes it overflow.
        let sum: i128 = balances.iter().filter_map(|(_, b)| b.map(i128::from)).sum();
        let wanted = *wanted.get_or_insert(sum);
        if sum != wanted {
            found.add("wrong-total", &[call], || {
                format!("T1 read balances that add up to {sum}; there is {wanted} in all.")
            });
        }
        if let Some((name, balance)) = balances.iter().find(|(_, b)| b.is_some_and(|b| b < 0)) {
            let balance = balance.unwrap_or_default();
            found.add("negative-balance", &[call], || {
                format!("T1 read {balance} for account {name}, and nobody may spend what is not there.")
            });
        }
    }
    if accounts.is_none() && found.0.counts.is_empty() {
        return Ok(Verdict::unknown("bank", model, history.tally(), "nobody read the balances"));
    }
    Ok(found.verdict("bank", model, history))
}

fn balances(call: &Call<Value>) -> Result<Vec<(Value, Option<i64>)>, Bad> {
    let bad = |v: &Value| {
        Bad::new(
            call.line,
            format!("a read of a bank gives accounts with balances, and this one {}", short(v)),
        )
    };
    let value = call.got.as_ref().ok_or_else(|| bad(&Value::Nil))?;
    let pairs: Vec<(Value, Value)> = match value {
        Value::Map(pairs) => pairs.clone(),
        Value::List(items) => items
            .iter()
            .enumerate()
            .map(|(i, item)| match item.list() {
                Some([name, balance]) => (name.clone(), balance.clone()),
                _ => (Value::Int(i as i64), item.clone()),
            })
            .collect(),
        other => return Err(bad(other)),
    };
    let mut balances = Vec::new();
    for (name, balance) in pairs {
        let amount = match &balance {
            Value::Nil => None,
            other => Some(other.int().ok_or_else(|| bad(value))?),
        };
        balances.push((name, amount));
    }
    balances.sort();
    Ok(balances)
}

/// A number that only grows by what is added: a read shows at least what was added before it, at most what was tried
/// by its end.
pub fn counter(history: &History<Value>, model: Model) -> Result<Verdict, Bad> {
    let mut adds: Vec<(&Call<Value>, i64)> = Vec::new();
    for call in &history.calls {
        match call.f.as_str() {
            "add" | "increment" | "inc" => {
                let amount = match &call.asked {
                    Value::Nil => 1,
                    other => other.int().ok_or_else(|| {
                        Bad::new(
                            call.line,
                            format!("an add has a whole number, and this one {}", short(other)),
                        )
                    })?,
                };
                if call.kind != Kind::Fail {
                    adds.push((call, amount));
                }
            }
            "read" | "r" => {}
            _ => return Err(bad_f(call, "add and read")),
        }
    }
    let mut found = Found::default();
    let mut any = false;
    for call in reads(history) {
        any = true;
        let shown = call.got.as_ref().and_then(Value::int).ok_or_else(|| {
            let got = call.got.as_ref().map_or_else(|| "nothing".to_owned(), short);
            Bad::new(call.line, format!("a read of a counter gives a whole number, and this one {got}"))
        })?;
        // What is certain counts always; what was under way, or is unknown, may count.
        let (mut low, mut high) = (0_i128, 0_i128);
        for (add, amount) in &adds {
            if add.invoked > call.ended {
                continue;
            }
            let certain = before(add, call) && (call.last || in_time(model));
            let amount = i128::from(*amount);
            low += if certain { amount } else { amount.min(0) };
            high += if certain { amount } else { amount.max(0) };
        }
        let shown = i128::from(shown);
        if shown < low {
            let name = if call.last { "lost-acknowledgement" } else { "stale-read" };
            found.add(name, &[call], || {
                format!("T1 read {shown}, and what was acknowledged before it adds up to {low} at least.")
            });
        } else if shown > high {
            found.add("garbage-read", &[call], || {
                format!("T1 read {shown}, and all that anybody tried to add by then comes to {high} at most.")
            });
        }
    }
    if !any {
        return Ok(Verdict::unknown("counter", model, history.tally(), "nobody read the counter"));
    }
    Ok(found.verdict("counter", model, history))
}

/// Elements that are added once each: whoever reads finds what was acknowledged, nothing twice, nothing else (Jepsen's
/// set and set-full).
pub fn set(history: &History<Value>, model: Model) -> Result<Verdict, Bad> {
    let mut adds: BTreeMap<&Value, &Call<Value>> = BTreeMap::new();
    for call in &history.calls {
        match call.f.as_str() {
            "add" | "insert" => {
                if let Some(other) = adds.insert(&call.asked, call) {
                    let what =
                        format!("element {} is added on line {} already", short(&call.asked), other.line);
                    return Err(Bad::new(call.line, what));
                }
            }
            "read" | "r" => {}
            _ => return Err(bad_f(call, "add and read")),
        }
    }
    let mut found = Found::default();
    let mut read: Vec<(&Call<Value>, std::collections::BTreeSet<&Value>)> = Vec::new();
    for call in reads(history) {
        let items = call.got.as_ref().and_then(Value::list).ok_or_else(|| {
            let got = call.got.as_ref().map_or_else(|| "nothing".to_owned(), short);
            Bad::new(call.line, format!("a read of a set gives a list, and this one {got}"))
        })?;
        let mut has = std::collections::BTreeSet::new();
        for item in items {
            if !has.insert(item) {
                found.add("duplicate-elements", &[call], || format!("T1 read {item} more than once."));
            }
            match adds.get(item) {
                None => {
                    found.add("garbage-read", &[call], || format!("T1 read {item}, which nobody ever added."))
                }
                Some(add) if add.kind == Kind::Fail => found.add("G1a", &[add, call], || {
                    format!("T1 was refused when it added {item}, and yet T2 read it.")
                }),
                Some(add) if add.invoked > call.ended => {
                    found.add("future-read", &[call, add], || format!("T1 read {item} before T2 added it."))
                }
                Some(_) => {}
            }
        }
        read.push((call, has));
    }
    if read.is_empty() {
        return Ok(Verdict::unknown("set", model, history.tally(), "nobody read the set"));
    }
    for (element, add) in adds.iter().filter(|(_, add)| add.ok()) {
        let lacks = |(call, has): &&(&Call<Value>, std::collections::BTreeSet<&Value>)| {
            before(add, call) && !has.contains(*element)
        };
        let Some((call, _)) = read.iter().find(lacks) else { continue };
        let later = read.iter().any(|(other, has)| other.ended > call.invoked && has.contains(*element));
        if !later || call.last {
            found.add("lost-acknowledgement", &[add, call], || {
                format!("T1 was told that {element} is added; T2 read the set after that without it, and nobody read it later.")
            });
        } else if in_time(model) {
            found.add("stale-read", &[add, call], || {
                format!("T1 was told that {element} is added; T2 read the set after that without it, and others found it later.")
            });
        }
    }
    Ok(found.verdict("set", model, history))
}

/// Ids that are handed out: none twice, and a read of all of them when all is over lacks none.
pub fn ids(history: &History<Value>, model: Model) -> Result<Verdict, Bad> {
    let mut seen: BTreeMap<&Value, &Call<Value>> = BTreeMap::new();
    let mut found = Found::default();
    for call in &history.calls {
        if !matches!(call.f.as_str(), "generate" | "read" | "r") {
            return Err(bad_f(call, "generate"));
        }
        if call.f != "generate" || !call.ok() {
            continue;
        }
        let id = call
            .got
            .as_ref()
            .filter(|id| !id.is_nil())
            .ok_or_else(|| Bad::new(call.line, "an id was generated and is not there"))?;
        if let Some(other) = seen.insert(id, call) {
            found.add("duplicate-ids", &[other, call], || format!("T1 and T2 were both given {id}."));
        }
    }
    for call in reads(history).filter(|c| c.last) {
        let Some(items) = call.got.as_ref().and_then(Value::list) else { continue };
        let has: std::collections::BTreeSet<&Value> = items.iter().collect();
        for (id, given) in seen.iter().filter(|(id, given)| !has.contains(*id) && before(given, call)) {
            found.add("lost-acknowledgement", &[given, call], || {
                format!("T1 was given {id}; T2 read all ids after all was over, and it is not there.")
            });
        }
    }
    if seen.is_empty() {
        return Ok(Verdict::unknown("ids", model, history.tally(), "no id was generated"));
    }
    Ok(found.verdict("ids", model, history))
}
