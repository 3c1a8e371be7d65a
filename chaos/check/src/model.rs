//! Consistency models, and what each forbids.
//!
//! Three tables: which anomaly is a case of which, which model is stronger than which, and which anomalies a model
//! forbids by itself. All else follows: a history breaks a model if it shows an anomaly that the model, or one
//! that the model implies, forbids.
//! Sources: Adya, "Weak Consistency" (1999): PL-1, PL-2, PL-2.99, PL-SI, PL-3 and their phenomena; Adya, Liskov,
//! O'Neil, "Generalized Isolation Level Definitions" (2000); Bailis et al., "Highly Available Transactions" (2013);
//! Cerone, Bernardi, Gotsman (2015) for INT and EXT; Cerone, Gotsman, "Analysing Snapshot Isolation" (2016): SI forbids
//! every cycle without two adjacent anti-dependencies; Daudjee, Salem (2006) for strong and session SI; the map of
//! jepsen.io/consistency; Kingsbury, Alvaro, "Elle" (2020) for the anomalies of lists.

use std::collections::BTreeSet;

type Table = &'static [(&'static str, &'static [&'static str])];

/// An anomaly, and those that it is a case of.
const IS_ALSO: Table = &[
    ("G0", &["G1c", "G0-process"]),
    ("G0-process", &["G1c-process", "G0-realtime"]),
    ("G0-realtime", &["G1c-realtime"]),
    ("G1a", &["G1"]),
    ("G1b", &["G1"]),
    ("G1c", &["G1", "G1c-process"]),
    ("G1c-process", &["G1-process", "G1c-realtime"]),
    ("G1c-realtime", &["G1-realtime"]),
    ("G1", &["G1-process"]),
    ("G1-process", &["G1-realtime"]),
    ("G-single-item", &["G-single", "G-single-item-process", "G-nonadjacent-item"]),
    ("G-single-item-process", &["G-single-process", "G-single-item-realtime", "G-nonadjacent-item-process"]),
    ("G-single-item-realtime", &["G-single-realtime", "G-nonadjacent-item-realtime"]),
    ("G-single", &["G-nonadjacent", "G-single-process"]),
    ("G-single-process", &["G-nonadjacent-process", "G-single-realtime"]),
    ("G-single-realtime", &["G-nonadjacent-realtime"]),
    ("G-nonadjacent-item", &["G-nonadjacent", "G2-item", "G-nonadjacent-item-process"]),
    (
        "G-nonadjacent-item-process",
        &["G-nonadjacent-process", "G2-item-process", "G-nonadjacent-item-realtime"],
    ),
    ("G-nonadjacent-item-realtime", &["G-nonadjacent-realtime", "G2-item-realtime"]),
    ("G-nonadjacent", &["G2", "G-nonadjacent-process"]),
    ("G-nonadjacent-process", &["G2-process", "G-nonadjacent-realtime"]),
    ("G-nonadjacent-realtime", &["G2-realtime"]),
    ("G2-item", &["G2", "G2-item-process"]),
    ("G2-item-process", &["G2-process", "G2-item-realtime"]),
    ("G2-item-realtime", &["G2-realtime"]),
    ("G2", &["G2-process"]),
    ("G2-process", &["G2-realtime"]),
    // No order of appends gives both reads, so one of them saw what was taken back.
    ("incompatible-order", &["G1a"]),
    // Who sees what nobody wrote sees more than an aborted write.
    ("garbage-read", &["G1a"]),
    ("dirty-update", &["G1a"]),
    // A transaction that depends on its own later write: a cycle of one.
    ("future-read", &["G1c"]),
    ("lost-update", &["G2-item"]),
];

/// A model, and those that hold wherever it holds.
const IMPLIES: Table = &[
    (
        "strict-serializable",
        &["serializable", "strong-snapshot-isolation", "strong-session-serializable", "linearizable"],
    ),
    ("strong-session-serializable", &["serializable", "strong-session-snapshot-isolation"]),
    ("strong-snapshot-isolation", &["strong-session-snapshot-isolation", "strong-read-committed"]),
    ("strong-session-snapshot-isolation", &["snapshot-isolation", "strong-session-read-committed"]),
    ("strong-read-committed", &["strong-session-read-committed", "strong-read-uncommitted"]),
    ("strong-session-read-committed", &["read-committed", "strong-session-read-uncommitted"]),
    ("strong-read-uncommitted", &["strong-session-read-uncommitted"]),
    ("strong-session-read-uncommitted", &["read-uncommitted"]),
    ("serializable", &["repeatable-read", "snapshot-isolation", "update-serializable"]),
    (
        "snapshot-isolation",
        &[
            "forward-consistent-view",
            "monotonic-atomic-view",
            "monotonic-snapshot-read",
            "parallel-snapshot-isolation",
            "prefix",
        ],
    ),
    ("repeatable-read", &["cursor-stability", "monotonic-atomic-view"]),
    ("update-serializable", &["forward-consistent-view"]),
    ("forward-consistent-view", &["consistent-view"]),
    ("consistent-view", &["cursor-stability", "monotonic-view"]),
    ("parallel-snapshot-isolation", &["causal-cerone", "ROLA"]),
    ("prefix", &["causal-cerone"]),
    ("causal-cerone", &["read-atomic"]),
    ("ROLA", &["read-atomic"]),
    ("read-atomic", &["monotonic-atomic-view"]),
    ("monotonic-atomic-view", &["read-committed"]),
    ("monotonic-snapshot-read", &["read-committed"]),
    ("monotonic-view", &["read-committed"]),
    ("cursor-stability", &["read-committed"]),
    ("read-committed", &["read-uncommitted"]),
    ("read-uncommitted", &[]),
    ("linearizable", &["sequential"]),
    ("sequential", &["causal"]),
    ("causal", &[]),
];

/// What a model forbids beyond what the weaker ones do.
const FORBIDS: Table = &[
    // An answer that nothing can give, and a promise that was not kept, break whatever was promised.
    (
        "read-uncommitted",
        &[
            "G0",
            "duplicate-elements",
            "cyclic-versions",
            "lost-acknowledgement",
            "duplicate-ids",
            "missing-account",
        ],
    ),
    ("read-committed", &["G1"]),
    ("cursor-stability", &["G1", "lost-update"]),
    ("consistent-view", &["G1", "G-single", "wrong-total", "negative-balance"]),
    ("read-atomic", &["internal", "G1a", "future-read"]),
    ("ROLA", &["lost-update"]),
    ("repeatable-read", &["G1", "G2-item", "lost-update", "wrong-total", "negative-balance"]),
    ("snapshot-isolation", &["internal", "G1", "G-nonadjacent", "not-snapshot-isolation"]),
    ("serializable", &["internal", "G1", "G2", "not-serializable", "predicate-read-miss"]),
    ("strong-session-read-uncommitted", &["G0-process"]),
    ("strong-session-read-committed", &["G1c-process"]),
    (
        "strong-session-snapshot-isolation",
        &[
            "internal",
            "G1-process",
            "G-nonadjacent-process",
            "cyclic-versions-process",
            "not-strong-session-snapshot-isolation",
        ],
    ),
    ("strong-session-serializable", &["G1-process", "G2-process", "not-strong-session-serializable"]),
    ("strong-read-uncommitted", &["G0-realtime"]),
    ("strong-read-committed", &["G1c-realtime"]),
    (
        "strong-snapshot-isolation",
        &[
            "internal",
            "G1-realtime",
            "G-nonadjacent-realtime",
            "cyclic-versions-realtime",
            "not-strong-snapshot-isolation",
            "stale-read",
        ],
    ),
    ("strict-serializable", &["G1", "G1c-realtime", "G2-realtime", "not-strict-serializable"]),
    ("linearizable", &["not-linearizable", "stale-read"]),
];

/// Other names of the same.
const ALIASES: &[(&str, &str)] = &[
    ("strong-serializable", "strict-serializable"),
    ("PL-SS", "strict-serializable"),
    ("PL-3", "serializable"),
    ("conflict-serializable", "serializable"),
    ("view-serializable", "serializable"),
    ("PL-SI", "snapshot-isolation"),
    ("si", "snapshot-isolation"),
    ("PL-2.99", "repeatable-read"),
    ("PL-2+", "consistent-view"),
    ("PL-CS", "cursor-stability"),
    ("PL-FCV", "forward-consistent-view"),
    ("PL-MSR", "monotonic-snapshot-read"),
    ("PL-2L", "monotonic-view"),
    ("PL-3U", "update-serializable"),
    ("PL-2", "read-committed"),
    ("PL-1", "read-uncommitted"),
    ("strong-session-PL-1", "strong-session-read-uncommitted"),
    ("strong-session-PL-2", "strong-session-read-committed"),
    ("strong-PL-1", "strong-read-uncommitted"),
    ("strong-PL-2", "strong-read-committed"),
];

/// Every model's name, strongest first.
pub fn names() -> Vec<&'static str> {
    IMPLIES.iter().map(|(name, _)| *name).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Model(&'static str);

/// What orders transactions beside what they read and wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    None,
    Process,
    Realtime,
}

impl Model {
    pub fn parse(name: &str) -> Option<Model> {
        let name = name.trim_start_matches(':');
        let name =
            ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map_or(name, |(_, m)| m);
        IMPLIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(known, _)| Model(known))
    }

    pub fn name(self) -> &'static str {
        self.0
    }

    /// Everything that must not be seen where this model holds.
    pub fn forbids(self, anomaly: &str) -> bool {
        let broken = broken_by(&[anomaly]);
        // One object alone: what no transaction may show it may not show either.
        broken.contains(self.0) || self.0 == "linearizable" && broken.contains("strict-serializable")
    }

    /// Whether this model holds wherever `other` holds.
    pub fn is_implied_by(self, other: Model) -> bool {
        closure(IMPLIES, &[other.0]).contains(self.0)
    }

    pub fn order(self) -> Order {
        match self.0 {
            "strict-serializable" => Order::Realtime,
            name if name.starts_with("strong-session") => Order::Process,
            name if name.starts_with("strong-") => Order::Realtime,
            _ => Order::None,
        }
    }
}

/// `from`, and all that is reached from there.
fn closure(table: Table, from: &[&'static str]) -> BTreeSet<&'static str> {
    let mut found: BTreeSet<&'static str> = from.iter().copied().collect();
    let mut open: Vec<&'static str> = from.to_vec();
    while let Some(next) = open.pop() {
        let out = table.iter().find(|(name, _)| *name == next).map_or(&[][..], |(_, out)| out);
        for other in out {
            if found.insert(other) {
                open.push(other);
            }
        }
    }
    found
}

/// The anomalies that an anomaly is a case of, itself among them.
pub fn is_also(anomaly: &str) -> BTreeSet<&'static str> {
    let known = IS_ALSO.iter().chain(FORBIDS.iter().flat_map(|_| IS_ALSO)).map(|(name, _)| *name);
    let all = known.chain(FORBIDS.iter().flat_map(|(_, list)| list.iter().copied()));
    match all.into_iter().find(|name| *name == anomaly) {
        Some(name) => closure(IS_ALSO, &[name]),
        None => BTreeSet::new(),
    }
}

/// Every model that cannot hold where these were seen.
pub fn broken_by(anomalies: &[&str]) -> BTreeSet<&'static str> {
    let seen: BTreeSet<&str> = anomalies.iter().flat_map(|a| is_also(a)).collect();
    let forbids = |name: &str| {
        let list = FORBIDS.iter().find(|(model, _)| *model == name).map_or(&[][..], |(_, list)| list);
        list.iter().any(|a| seen.contains(a))
    };
    let broken: Vec<&'static str> = IMPLIES.iter().map(|(name, _)| *name).filter(|n| forbids(n)).collect();
    let falls = |name: &&'static str| closure(IMPLIES, &[name]).iter().any(|m| broken.contains(m));
    IMPLIES.iter().map(|(name, _)| *name).filter(falls).collect()
}

/// Of the broken models the weakest, which say it all, and the rest.
pub fn boundary(anomalies: &[&str]) -> (Vec<&'static str>, Vec<&'static str>) {
    let broken = broken_by(anomalies);
    let weakest = |name: &&'static str| {
        let below = closure(IMPLIES, &[name]);
        !below.iter().any(|m| m != name && broken.contains(m))
    };
    broken.iter().copied().partition(|name| weakest(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_name_only_what_they_know() {
        for (model, implied) in IMPLIES {
            for other in *implied {
                assert!(IMPLIES.iter().any(|(m, _)| m == other), "{model} implies {other}");
            }
        }
        for (model, _) in FORBIDS {
            assert!(IMPLIES.iter().any(|(m, _)| m == model), "{model}");
        }
        for (alias, model) in ALIASES {
            assert_eq!(Model::parse(alias).map(Model::name), Some(*model));
        }
    }

    #[test]
    fn what_breaks_what() {
        let not = |anomaly: &str| boundary(&[anomaly]).0;
        assert_eq!(not("G0"), ["read-uncommitted"]);
        assert_eq!(not("G1a"), ["read-committed"]);
        assert_eq!(not("internal"), ["read-atomic"]);
        assert_eq!(not("G-single-item"), ["consistent-view", "repeatable-read"]);
        assert_eq!(not("G-nonadjacent-item"), ["repeatable-read", "snapshot-isolation"]);
        assert_eq!(not("G2-item"), ["repeatable-read"]);
        assert_eq!(not("G2-item-realtime"), ["strict-serializable"]);
        assert_eq!(not("G-single-item-realtime"), ["strong-snapshot-isolation"]);
        assert_eq!(not("G-single-item-process"), ["strong-session-snapshot-isolation"]);
        assert_eq!(not("lost-update"), ["ROLA", "cursor-stability"]);
        assert_eq!(not("not-linearizable"), ["linearizable"]);
        assert!(not("no-such-anomaly").is_empty());
        let si = Model::parse("snapshot-isolation").unwrap();
        assert!(si.forbids("G-nonadjacent-item") && si.forbids("lost-update") && si.forbids("garbage-read"));
        assert!(!si.forbids("G2-item") && !si.forbids("G-single-item-realtime"));
        assert!(Model::parse("Strict-Serializable").unwrap().forbids("G0-realtime"));
    }
}
