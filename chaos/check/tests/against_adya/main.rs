//! The judge against another: `adya`, which agrees with Elle.
//!
//! Histories of databases that keep a promise and of such that break one, as they are and broken on purpose. Where
//! the two differ the difference has a known reason, and this judge is right; any other is a failure.

mod db;

use db::{PROMISES, Shape};
use plait_base::Draws;
use plait_check::{Ask, Model, Valid, Workload, check};
use std::collections::{BTreeMap, BTreeSet};

const MODELS: [&str; 5] = [
    "read-committed",
    "snapshot-isolation",
    "serializable",
    "strong-session-serializable",
    "strict-serializable",
];

/// Classes that must come up often, or the comparison says little about them.
const OFTEN: [&str; 23] = [
    "G0",
    "G0-process",
    "G0-realtime",
    "G1a",
    "G1b",
    "G1c",
    "G1c-process",
    "G1c-realtime",
    "G-single-item",
    "G-single-item-process",
    "G-single-item-realtime",
    "G-nonadjacent-item",
    "G-nonadjacent-item-process",
    "G-nonadjacent-item-realtime",
    "G2-item",
    "G2-item-process",
    "G2-item-realtime",
    "future-read",
    "internal",
    "incompatible-order",
    "duplicate-elements",
    "dirty-update",
    "lost-update",
];

/// The verdict, its anomalies, and whether a witness has a transaction of unknown outcome.
fn ours(text: &str, workload: Workload, model: &str) -> (Valid, BTreeSet<String>, bool) {
    let model = Model::parse(model).unwrap();
    // adya infers, and does not solve.
    let ask = Ask { workload, model, format: None, total: None, exact: false };
    let verdict = check(text.as_bytes(), &ask).unwrap_or_else(|bad| panic!("{bad}\n{text}"));
    let unknown = verdict.anomalies.iter().flat_map(|a| &a.operations).any(|op| op.outcome == "info");
    (verdict.valid, verdict.types().into_iter().map(str::to_owned).collect(), unknown)
}

fn theirs(text: &str, workload: Workload, model: &str) -> (Valid, BTreeSet<String>) {
    let history = adya::History::from_json(text).unwrap();
    let order = Model::parse(model).unwrap().order();
    let options = adya::Opts {
        models: vec![model.to_owned()],
        wfr_keys: true,
        sequential_keys: order == plait_check::model::Order::Process,
        linearizable_keys: order == plait_check::model::Order::Realtime,
        ..adya::Opts::default()
    };
    let workload = match workload {
        Workload::ListAppend => adya::Workload::ListAppend,
        _ => adya::Workload::RwRegister,
    };
    let report = adya::check(&history, workload, &options);
    let valid = match report.valid {
        adya::Valid::True => Valid::Yes,
        adya::Valid::False => Valid::No,
        adya::Valid::Unknown => Valid::Unknown,
    };
    (valid, report.anomaly_types.into_iter().collect())
}

#[derive(Default)]
struct Sum {
    histories: usize,
    checks: usize,
    invalid: usize,
    by_class: BTreeMap<String, usize>,
    /// Why the two differ, and how often.
    differs: BTreeMap<&'static str, usize>,
    unexplained: Vec<String>,
    /// Same verdict, other names.
    names_differ: BTreeMap<String, usize>,
}

impl Sum {
    fn compare(&mut self, what: &str, text: &str, workload: Workload) {
        self.histories += 1;
        let mut classes = BTreeSet::new();
        for model in MODELS {
            self.checks += 1;
            let (mine, my_types, unknown) = ours(text, workload, model);
            let (other, other_types) = theirs(text, workload, model);
            self.invalid += usize::from(mine == Valid::No);
            classes.extend(my_types.iter().cloned());
            if mine != other {
                let reason = if mine != Valid::No {
                    None
                } else if my_types.contains("garbage-read") {
                    Some("a read of what nobody wrote, which adya accepts")
                } else if workload == Workload::Register && unknown {
                    Some("a write of unknown outcome that was read, so that it happened; adya leaves it out")
                } else {
                    None
                };
                match reason {
                    Some(reason) => *self.differs.entry(reason).or_default() += 1,
                    None => self.unexplained.push(format!(
                        "{what} at {model}: {mine:?} {my_types:?}, adya {other:?} {other_types:?}"
                    )),
                }
            } else if my_types != other_types && !my_types.contains("incompatible-order") {
                // Where reads contradict each other each judge may take another for the order of appends.
                let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
                    a.difference(b).cloned().collect::<Vec<_>>().join(" ")
                };
                let key = format!(
                    "ours alone: {}; adya's alone: {}",
                    only(&my_types, &other_types),
                    only(&other_types, &my_types)
                );
                *self.names_differ.entry(key).or_default() += 1;
            }
        }
        for class in classes {
            *self.by_class.entry(class).or_default() += 1;
        }
    }

    fn tell(&self) {
        println!(
            "{} histories, {} verdicts, {} of them invalid; differ for a known reason: {:?}",
            self.histories, self.checks, self.invalid, self.differs
        );
        println!("classes: {:?}", self.by_class);
        self.names_differ.iter().for_each(|(key, n)| println!("{n:>6}  {key}"));
        self.unexplained.iter().take(12).for_each(|line| println!("UNEXPLAINED {line}"));
    }
}

#[test]
fn lists_are_judged_as_adya_judges_them() {
    let mut sum = Sum::default();
    for seed in 0..1200 {
        let promise = PROMISES[seed as usize % PROMISES.len()];
        let lines = db::history(seed, promise, Shape::Lists, 50);
        sum.compare(&format!("seed {seed} {promise:?}"), &db::text(&lines), Workload::ListAppend);
        let mut broken = lines.clone();
        let how = db::mutate(&mut broken, &mut Draws::new(seed, "mutate", 0));
        sum.compare(&format!("seed {seed} {promise:?}, {how}"), &db::text(&broken), Workload::ListAppend);
    }
    for (i, (name, steps)) in db::PLANTS.iter().enumerate() {
        for seed in 0..110 {
            let mut lines = db::history(seed << 8 | i as u64, db::Promise::Serializable, Shape::Lists, 15);
            db::plant(&mut lines, steps);
            sum.compare(&format!("planted {name}, seed {seed}"), &db::text(&lines), Workload::ListAppend);
        }
    }
    sum.tell();
    assert!(sum.unexplained.is_empty(), "{} verdicts differ without a known reason", sum.unexplained.len());
    let seldom: Vec<&str> =
        OFTEN.iter().copied().filter(|class| sum.by_class.get(*class).is_none_or(|n| *n < 100)).collect();
    assert!(seldom.is_empty(), "came up less than 100 times: {seldom:?}");
}

#[test]
fn registers_are_judged_as_adya_judges_them() {
    let mut sum = Sum::default();
    for seed in 0..800 {
        let promise = PROMISES[seed as usize % PROMISES.len()];
        let lines = db::history(seed, promise, Shape::Registers, 50);
        sum.compare(&format!("seed {seed} {promise:?}"), &db::text(&lines), Workload::Register);
    }
    sum.tell();
    assert!(sum.unexplained.is_empty(), "{} verdicts differ without a known reason", sum.unexplained.len());
}
