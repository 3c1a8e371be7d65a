//! Rows that come, change and go, and readers who ask by a condition (Elle's closed predicates).
//!
//! A key is born once and dies at most once, and no value is written twice. Then a reader by a condition says something
//! about every key: of one that it found, which version it saw; of one that it did not find, that it saw none that
//! fits. If all that was ever written to that key fits and nobody took it away, it saw the key unborn, which is an
//! anti-dependency by predicate on whoever made it: a phantom, if it closes a circle (Adya 1999, §3.1).

use crate::history::{Call, Kind, Line, short};
use crate::read::{Bad, Format};
use crate::txn::{Book, Id, Mop, Shape, Txn, Txns};
use crate::value::Value;
use plait_base::map::Map;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
enum Raw {
    Write(Value, Value),
    Delete(Value),
    /// `None`: nobody got the answer.
    Read(Value, Option<Value>),
    Where(Value, Option<Vec<(Value, Value)>>),
}

pub struct Predicates {
    pub txns: Txns,
    /// Which transaction found which key unborn by a condition, and the condition.
    pub misses: Map<(usize, Id), String>,
    /// Answers that do not fit what was asked: transaction, and what is wrong.
    pub wrong: Vec<(usize, &'static str, String)>,
}

pub fn parse(bytes: &[u8], format: Option<Format>) -> Result<Predicates, Bad> {
    let history = crate::history::parse(bytes, format, &mut |line, value| take(line, value))?;
    let known = Known::of(&history.calls);
    let mut book = Book::new();
    let mut misses = Map::keyed(0);
    let (mut wrong, mut all) = (Vec::new(), Vec::new());
    for (at, call) in history.calls.iter().enumerate() {
        let begin = book.mops.len();
        let mut own: BTreeMap<&Value, Option<&Value>> = BTreeMap::new();
        let mut touched: BTreeSet<&Value> = BTreeSet::new();
        for raw in call.known() {
            match raw {
                Raw::Write(key, value) => {
                    own.insert(key, Some(value));
                    touched.insert(key);
                    let (key, value) = (book.id(key.clone()), book.id(value.clone()));
                    book.mops.push(Mop::Write { key, value });
                }
                Raw::Delete(key) => {
                    own.insert(key, None);
                    touched.insert(key);
                    let value = book.id(Value::List(vec![Value::Text("dead".into()), key.clone()]));
                    let key = book.id(key.clone());
                    book.mops.push(Mop::Write { key, value });
                }
                Raw::Read(key, found) => {
                    let id = book.id(key.clone());
                    let mine = own.contains_key(key);
                    touched.insert(key);
                    match found {
                        Some(Value::Nil) if mine || known.dead.contains(key) => {}
                        Some(Value::Nil) => book.mops.push(Mop::Read { key: id, value: None }),
                        Some(value) => {
                            let value = Some(book.id(value.clone()));
                            book.mops.push(Mop::Read { key: id, value });
                        }
                        None => book.mops.push(Mop::Asked { key: id }),
                    }
                }
                Raw::Where(condition, found) => {
                    let Some(found) = found else { continue };
                    for (key, value) in found {
                        if fits(condition, value) != Some(true) {
                            wrong.push((
                                at,
                                "predicate-mismatch",
                                format!("asked for {condition} and got {value} in key {key}"),
                            ));
                        }
                        touched.insert(key);
                        let (key, value) = (book.id(key.clone()), Some(book.id(value.clone())));
                        book.mops.push(Mop::Read { key, value });
                    }
                    for (key, mine) in own.iter().filter(|(key, _)| !found.iter().any(|(k, _)| k == **key)) {
                        if mine.is_some_and(|value| fits(condition, value) == Some(true)) {
                            wrong.push((at, "internal", format!("asked for {condition} and did not get key {key}, which it had written itself")));
                        }
                    }
                    for key in known.unborn_if_missed(condition) {
                        if touched.insert(key) {
                            let key = book.id(key.clone());
                            book.mops.push(Mop::Read { key, value: None });
                            misses.insert((at, key), condition.to_string());
                        }
                    }
                }
            }
        }
        all.push(Txn {
            process: call.process,
            kind: call.kind,
            mops: begin..book.mops.len(),
            invoked: call.invoked,
            ended: call.ended,
            line: call.line,
            index: call.index,
            node: call.node.clone(),
            last: call.last,
        });
    }
    Ok(Predicates { txns: Txns { shape: Shape::Registers, book, all }, misses, wrong })
}

/// What may have been done to each key.
struct Known {
    values: BTreeMap<Value, Vec<Value>>,
    dead: BTreeSet<Value>,
}

impl Known {
    fn of(calls: &[Call<Vec<Raw>>]) -> Known {
        let mut known = Known { values: BTreeMap::new(), dead: BTreeSet::new() };
        for raw in calls.iter().filter(|c| c.kind != Kind::Fail).flat_map(|c| c.known()) {
            match raw {
                Raw::Write(key, value) => known.values.entry(key.clone()).or_default().push(value.clone()),
                Raw::Delete(key) => _ = known.dead.insert(key.clone()),
                _ => {}
            }
        }
        known
    }

    /// Keys that whoever asks by this condition finds, unless they are not born yet.
    fn unborn_if_missed<'a>(&'a self, condition: &'a Value) -> impl Iterator<Item = &'a Value> {
        let always = |values: &Vec<Value>| values.iter().all(|v| fits(condition, v) == Some(true));
        self.values
            .iter()
            .filter(move |(key, values)| !self.dead.contains(*key) && always(values))
            .map(|(key, _)| key)
    }
}

/// Whether a value fits a condition: `true`, `[between low high]`, `[= value]`, `[mod divisor rest]`.
fn fits(condition: &Value, value: &Value) -> Option<bool> {
    if *condition == Value::Bool(true) || condition.text() == Some("true") {
        return Some(true);
    }
    let parts = condition.list()?;
    Some(match (parts.first()?.text()?, &parts[1..]) {
        ("between", [low, high]) => (low.int()?..=high.int()?).contains(&value.int()?),
        ("=", [wanted]) => wanted == value,
        ("mod", [divisor, rest]) => value.int()?.checked_rem_euclid(divisor.int()?)? == rest.int()?,
        _ => return None,
    })
}

/// Keys of a JSON object are texts; they are the same keys as numbers elsewhere.
fn key(value: Value) -> Value {
    value.int_key().map_or(value, Value::Int)
}

fn take(line: &Line, value: Value) -> Result<Option<Vec<Raw>>, Bad> {
    let bad = |what: String| Bad::new(line.line, what);
    let knows = !line.invokes && line.kind == Kind::Ok;
    let mops = match value {
        Value::List(mops) => mops,
        Value::Nil if !knows => return Ok(None),
        _ if !line.invokes && !knows => return Ok(None),
        other => {
            return Err(bad(format!(
                "a transaction is a list of micro-operations, and this is {}",
                short(&other)
            )));
        }
    };
    let mut raw = Vec::with_capacity(mops.len());
    for mop in mops {
        let shown = short(&mop);
        let Value::List(parts) = mop else {
            return Err(bad(format!("a micro-operation is written as [f key value], and this is {shown}")));
        };
        let mut parts = parts.into_iter();
        let f = parts.next().unwrap_or(Value::Nil);
        let (first, second) = (parts.next(), parts.next());
        let nothing = Value::Nil;
        raw.push(match (f.text(), first, second) {
            (Some("insert" | "w"), Some(k), Some(v)) if v != nothing => Raw::Write(key(k), v),
            (Some("delete"), Some(k), _) => Raw::Delete(key(k)),
            (Some("r"), Some(k), v) => Raw::Read(key(k), knows.then(|| v.unwrap_or(Value::Nil))),
            (Some("rp"), Some(condition), found) => {
                if fits(&condition, &Value::Int(0)).is_none() {
                    return Err(bad(format!("{} is no condition that this judge knows", short(&condition))));
                }
                let found = match (found, knows) {
                    (_, false) => None,
                    (Some(Value::Map(pairs)), _) => {
                        Some(pairs.into_iter().map(|(k, v)| (key(k), v)).collect())
                    }
                    (other, _) => {
                        let other = other.unwrap_or(Value::Nil);
                        return Err(bad(format!(
                            "a read by a condition gives keys with values, and this one {}",
                            short(&other)
                        )));
                    }
                };
                Raw::Where(condition, found)
            }
            _ => return Err(bad(format!("{shown} is none of insert, w, delete, r and rp"))),
        });
    }
    Ok(Some(raw))
}
