//! Registers that transactions write and read: who read whose value is certain, the order of the values is inferred.
//!
//! A value is written once to a key, which the caller has checked. The order of a key's values is known in part: the
//! initial state comes first; who reads a value and then writes one puts the second after the first; and where the
//! model promises it, what comes later in a process or in time comes later in the order. (Kingsbury, Alvaro, "Elle",
//! VLDB 2020, §5.) What that leaves open the solver of [`crate::exact`] tries out.

use crate::exact::{Problem, ReadOf};
use crate::found::Found;
use crate::graph::{Graph, Kinds, Node, PRW, RW, WR, WW};
use crate::model::{Model, Order};
use crate::txn::{Id, Mop, Txns};
use crate::value::Value;
use plait_base::map::Map;
use std::collections::{BTreeMap, BTreeSet};

/// A state of a key; `None` is its initial one.
type Version = Option<Id>;

#[derive(Debug, Clone, Copy)]
struct Writer {
    txn: usize,
    last: bool,
    /// Somebody read it, so it happened.
    seen: bool,
}

pub struct Registers<'a> {
    txns: &'a Txns,
    writers: Map<(Id, Id), Writer>,
    /// What nobody wrote and everybody may find: 0, where an initial state is written so.
    zero: Option<Id>,
    /// For each key, which version comes directly before which, as far as is known.
    versions: BTreeMap<Id, BTreeSet<(Version, Version)>>,
    readers: Map<(Id, Version), Vec<Node>>,
    /// Who found a key unborn because a condition did not find it, and the condition.
    misses: Map<(usize, Id), String>,
}

impl<'a> Registers<'a> {
    pub fn new(txns: &'a Txns) -> Registers<'a> {
        let zero = txns.book.find(&Value::Int(0));
        let mut registers = Registers {
            txns,
            writers: Map::keyed(0),
            zero,
            versions: BTreeMap::new(),
            readers: Map::keyed(0),
            misses: Map::keyed(0),
        };
        for at in 0..txns.all.len() {
            let mops = txns.mops(at);
            for (i, mop) in mops.iter().enumerate() {
                if let Mop::Write { key, value } = *mop {
                    let again = |m: &Mop| matches!(m, Mop::Write { key: k, .. } if *k == key);
                    let last = !mops[i + 1..].iter().any(again);
                    registers.writers.insert((key, value), Writer { txn: at, last, seen: false });
                }
            }
        }
        for at in (0..txns.all.len()).filter(|at| txns.all[*at].ok()) {
            for (key, version) in registers.first_reads(at) {
                match registers.readers.get_mut(&(key, version)) {
                    Some(readers) => readers.push(at as Node),
                    None => _ = registers.readers.insert((key, version), vec![at as Node]),
                }
                if let Some(value) = version
                    && let Some(writer) = registers.writers.get_mut(&(key, value))
                {
                    writer.seen |= writer.txn != at;
                }
            }
        }
        registers
    }

    /// The same, of keys that were looked for by a condition.
    pub fn by_predicate(txns: &'a Txns, misses: Map<(usize, Id), String>) -> Registers<'a> {
        Registers { misses, ..Registers::new(txns) }
    }

    /// What a read of a register shows, 0 being the initial state where nobody wrote it.
    fn version(&self, key: Id, value: Option<Id>) -> Version {
        value.filter(|v| Some(*v) != self.zero || self.writers.contains_key(&(key, *v)))
    }

    /// What a transaction read of the keys that it had not written before, each once.
    fn first_reads(&self, at: usize) -> Vec<(Id, Version)> {
        let mops = self.txns.mops(at);
        let mut reads = Vec::new();
        for (i, mop) in mops.iter().enumerate() {
            if let Mop::Read { key, value } = *mop
                && !mops[..i].iter().any(|m| m.key() == key)
            {
                reads.push((key, self.version(key, value)));
            }
        }
        reads
    }

    /// What a transaction left in the keys that it wrote.
    fn last_writes(&self, at: usize) -> Vec<(Id, Id)> {
        let mops = self.txns.mops(at);
        let mut writes = Vec::new();
        for (i, mop) in mops.iter().enumerate() {
            if let Mop::Write { key, value } = *mop
                && !mops[i + 1..].iter().any(|m| matches!(m, Mop::Write { key: k, .. } if *k == key))
            {
                writes.push((key, value));
            }
        }
        writes
    }

    fn possible(&self, key: Id, value: Id) -> Option<usize> {
        self.writers.get(&(key, value)).map(|w| w.txn).filter(|txn| !self.txns.all[*txn].failed())
    }

    /// Infers the order of versions, source by source; one that contradicts the others is told and left out.
    pub fn infer(&mut self, model: Model, found: &mut Found) {
        self.source(self.initial(), "cyclic-versions", "", found);
        let parse = |name| Model::parse(name).expect("a model's name");
        if parse("read-committed").is_implied_by(model) {
            let how = "by what transactions read before they wrote";
            self.source(self.reads_before_writes(), "cyclic-versions", how, found);
        }
        match model.order() {
            Order::Process if parse("strong-session-snapshot-isolation").is_implied_by(model) => {
                let how = "by what each process saw one after the other";
                self.source(self.in_time(Order::Process), "cyclic-versions-process", how, found);
            }
            Order::Realtime if parse("strong-snapshot-isolation").is_implied_by(model) => {
                let how = "by what was seen one after the other";
                self.source(self.in_time(Order::Realtime), "cyclic-versions-realtime", how, found);
            }
            _ => {}
        }
    }

    fn source(
        &mut self,
        add: BTreeMap<Id, BTreeSet<(Version, Version)>>,
        name: &'static str,
        how: &str,
        found: &mut Found,
    ) {
        let book = &self.txns.book;
        for (key, add) in add {
            let mut both = self.versions.get(&key).cloned().unwrap_or_default();
            both.extend(add);
            match cycle(&both) {
                None => _ = self.versions.insert(key, both),
                Some(cycle) => {
                    let writers: Vec<usize> = cycle
                        .iter()
                        .filter_map(|v| v.and_then(|v| self.writers.get(&(key, v))).map(|w| w.txn))
                        .collect();
                    let names: Vec<String> = cycle
                        .iter()
                        .chain(cycle.first())
                        .map(|v| v.map_or("its initial state".into(), |v| book.name(v).to_string()))
                        .collect();
                    found.add(name, &writers, |_| {
                        format!("Key {} went, {how}, {}: in a circle.", book.name(key), names.join(", then "))
                    });
                }
            }
        }
    }

    fn initial(&self) -> BTreeMap<Id, BTreeSet<(Version, Version)>> {
        let mut graphs: BTreeMap<Id, BTreeSet<(Version, Version)>> = BTreeMap::new();
        for at in (0..self.txns.all.len()).filter(|at| !self.txns.all[*at].failed()) {
            let written = self.last_writes(at).into_iter().map(|(key, value)| (key, Some(value)));
            for (key, version) in written.chain(self.first_reads(at)) {
                if version.is_some() {
                    graphs.entry(key).or_default().insert((None, version));
                }
            }
        }
        graphs
    }

    fn reads_before_writes(&self) -> BTreeMap<Id, BTreeSet<(Version, Version)>> {
        let mut graphs: BTreeMap<Id, BTreeSet<(Version, Version)>> = BTreeMap::new();
        for at in (0..self.txns.all.len()).filter(|at| self.txns.all[*at].ok()) {
            let reads = self.first_reads(at);
            for (key, value) in self.last_writes(at) {
                if let Some((_, version)) =
                    reads.iter().find(|(k, v)| *k == key && v.is_some() && *v != Some(value))
                {
                    graphs.entry(key).or_default().insert((*version, Some(value)));
                }
            }
        }
        graphs
    }

    /// For each key, transactions in the order of a process or of time, as far as that orders them: the last version
    /// that the first had to do with comes before the first version of the second, or is the same.
    fn in_time(&self, order: Order) -> BTreeMap<Id, BTreeSet<(Version, Version)>> {
        struct Touch {
            txn: usize,
            first: Version,
            last: Version,
        }
        let mut touches: BTreeMap<Id, Vec<Touch>> = BTreeMap::new();
        for (at, txn) in self.txns.all.iter().enumerate().filter(|(_, t)| !t.failed()) {
            let writes = self.last_writes(at);
            let reads = if txn.ok() { self.first_reads(at) } else { Vec::new() };
            for (key, version) in &reads {
                let last = writes.iter().find(|(k, _)| k == key).map_or(*version, |(_, v)| Some(*v));
                touches.entry(*key).or_default().push(Touch { txn: at, first: *version, last });
            }
            for (key, value) in writes {
                if !reads.iter().any(|(k, _)| *k == key) {
                    touches.entry(key).or_default().push(Touch {
                        txn: at,
                        first: Some(value),
                        last: Some(value),
                    });
                }
            }
        }
        let mut graphs = BTreeMap::new();
        for (key, touches) in touches {
            let mut graph = BTreeSet::new();
            let mut link = |from: &Touch, to: &Touch| {
                if from.last != to.first {
                    graph.insert((from.last, to.first));
                }
            };
            match order {
                Order::None => {}
                Order::Process => {
                    let mut last: BTreeMap<i64, &Touch> = BTreeMap::new();
                    for touch in &touches {
                        let txn = &self.txns.all[touch.txn];
                        if let Some(before) = last.get(&txn.process) {
                            link(before, touch);
                        }
                        if txn.ok() {
                            last.insert(txn.process, touch);
                        }
                    }
                }
                Order::Realtime => {
                    let times: Vec<(u32, u32, bool)> = touches
                        .iter()
                        .map(|t| {
                            (
                                self.txns.all[t.txn].invoked,
                                self.txns.all[t.txn].ended,
                                self.txns.all[t.txn].ok(),
                            )
                        })
                        .collect();
                    crate::order::sweep(&times, &mut |a, b| link(&touches[a], &touches[b]));
                }
            }
            graphs.insert(key, graph);
        }
        graphs
    }

    pub fn edges(&self, edges: &mut Vec<(Node, Node, Kinds)>) -> Result<(), usize> {
        for at in (0..self.txns.all.len()).filter(|at| self.txns.all[*at].ok()) {
            for (key, version) in self.first_reads(at) {
                if let Some(writer) = version.and_then(|v| self.possible(key, v)) {
                    edges.push((writer as Node, at as Node, WR));
                }
            }
        }
        for (key, versions) in &self.versions {
            for (a, b) in versions {
                let Some(second) = b.and_then(|b| self.possible(*key, b)) else { continue };
                // Who left nobody a sign may not have happened; it can be in no cycle, for nothing follows it.
                if let Some(first) = a.and_then(|a| self.possible(*key, a)) {
                    edges.push((first as Node, second as Node, WW));
                }
                let readers = self.readers.get(&(*key, *a)).map_or(&[][..], Vec::as_slice);
                edges.extend(readers.iter().map(|reader| {
                    let missed = a.is_none() && self.misses.contains_key(&(*reader as usize, *key));
                    (*reader, second as Node, if missed { PRW } else { RW })
                }));
            }
            if edges.len() > crate::append::EDGES_MAX {
                return Err(edges.len());
            }
        }
        Ok(())
    }

    pub fn why(&self, from: usize, to: usize, kind: Kinds, a: &str, b: &str) -> String {
        let book = &self.txns.book;
        if kind == WR {
            let read = self.first_reads(to).into_iter().find_map(|(key, version)| {
                version.filter(|v| self.possible(key, *v) == Some(from)).map(|value| (key, value))
            });
            if let Some((key, value)) = read {
                return format!(
                    "{b} read {} in key {}, which {a} had written.",
                    book.name(value),
                    book.name(key)
                );
            }
        }
        let state = |v: Version| v.map_or("its initial state".into(), |v| book.name(v).to_string());
        for (key, versions) in &self.versions {
            for (x, y) in versions.iter().filter(|(_, y)| y.and_then(|y| self.possible(*key, y)) == Some(to))
            {
                if kind == WW && x.and_then(|x| self.possible(*key, x)) == Some(from) {
                    return format!(
                        "{b} wrote {} to key {}, which came after {}, which {a} wrote.",
                        state(*y),
                        book.name(*key),
                        state(*x)
                    );
                }
                if kind == PRW
                    && x.is_none()
                    && let Some(condition) = self.misses.get(&(from, *key))
                {
                    return format!(
                        "{a} asked for {condition} and did not find key {}, which {b} put there.",
                        book.name(*key)
                    );
                }
                if kind == RW && self.readers.get(&(*key, *x)).is_some_and(|r| r.contains(&(from as Node))) {
                    return format!(
                        "{a} read key {} as {}, before {b} wrote {} over it.",
                        book.name(*key),
                        state(*x),
                        state(*y)
                    );
                }
            }
        }
        format!("{a} comes before {b}.")
    }

    pub fn anomalies(&self, found: &mut Found) {
        let book = &self.txns.book;
        for at in (0..self.txns.all.len()).filter(|at| self.txns.all[*at].ok()) {
            let mops = self.txns.mops(at);
            for (i, mop) in mops.iter().enumerate() {
                let Mop::Read { key, value } = *mop else { continue };
                let version = self.version(key, value);
                let before = mops[..i].iter().rev().find_map(|m| match *m {
                    Mop::Write { key: k, value } if k == key => Some(Some(value)),
                    Mop::Read { key: k, value } if k == key => Some(self.version(key, value)),
                    _ => None,
                });
                if let Some(expected) = before.filter(|expected| *expected != version) {
                    let state = |v: Version| v.map_or("nil".to_owned(), |v| book.name(v).to_string());
                    found.add("internal", &[at], |n| {
                        format!(
                            "{} read {} in key {}, and by its own reads and writes before it should have read {}.",
                            n[0],
                            state(version),
                            book.name(key),
                            state(expected)
                        )
                    });
                }
                let Some(value) = version else { continue };
                match self.writers.get(&(key, value)).copied() {
                    None => found.garbage(at, key, value),
                    Some(w) if w.txn == at => {
                        let own = mops[i + 1..].contains(&Mop::Write { key, value });
                        if own {
                            found.add("future-read", &[at], |n| {
                                format!(
                                    "{} read {} in key {} before it wrote it itself.",
                                    n[0],
                                    book.name(value),
                                    book.name(key)
                                )
                            });
                        }
                    }
                    Some(w) => {
                        if self.txns.all[w.txn].failed() {
                            found.aborted_read(at, w.txn, key, value);
                        }
                        if !w.last {
                            found.intermediate_read(at, w.txn, key, value);
                        }
                    }
                }
            }
        }
    }

    /// The history as a problem of finding an order, for the solver: who reads from whom, who writes what.
    pub fn problem(&self) -> Problem {
        let mut problem = Problem::default();
        let mut number: Map<usize, usize> = Map::keyed(0);
        for (at, txn) in self.txns.all.iter().enumerate() {
            let writes = self.last_writes(at);
            // A write of unknown outcome that nobody saw can be left out: nothing depends on it.
            let seen = || writes.iter().any(|(k, v)| self.writers.get(&(*k, *v)).is_some_and(|w| w.seen));
            if txn.ok() || !txn.failed() && seen() {
                number.insert(at, problem.txns.len());
                let keys = writes.iter().map(|(key, _)| *key).collect();
                problem.add(at, keys, txn.invoked, txn.ended, txn.process, txn.ok());
            }
        }
        for (at, txn) in self.txns.all.iter().enumerate() {
            let Some(me) = number.get(&at).copied().filter(|_| txn.ok()) else { continue };
            for (key, version) in self.first_reads(at) {
                let of = match version {
                    None => ReadOf::Initial,
                    Some(value) => match self.possible(key, value).and_then(|w| number.get(&w)) {
                        Some(writer) if *writer != me => ReadOf::Txn(*writer),
                        // Garbage, or what was refused: told elsewhere.
                        _ => continue,
                    },
                };
                problem.txns[me].reads.push((key, of));
            }
        }
        problem
    }
}

impl Registers<'_> {
    /// What a transaction read and wrote, as far as it concerns others of a witness.
    pub fn saw(&self, at: usize, me: &str, core: &[usize], names: &[&str]) -> Vec<String> {
        let book = &self.txns.book;
        let name = |txn: usize| core.iter().position(|c| *c == txn).map(|i| names[i]);
        let mut said = Vec::new();
        for (key, version) in self.first_reads(at) {
            let key_name = book.name(key);
            match version {
                None if core.iter().any(|c| self.last_writes(*c).iter().any(|(k, _)| *k == key)) => {
                    said.push(format!("{me} read key {key_name} in its initial state."));
                }
                Some(value) => {
                    if let Some(writer) = self.possible(key, value).filter(|w| *w != at).and_then(name) {
                        said.push(format!("{me} read key {key_name} as {writer} wrote it."));
                    }
                }
                None => {}
            }
        }
        for (key, _) in self.last_writes(at) {
            said.push(format!("{me} wrote key {}.", book.name(key)));
        }
        said
    }
}

/// Some circle in an order of versions.
fn cycle(edges: &BTreeSet<(Version, Version)>) -> Option<Vec<Version>> {
    let mut versions: Vec<Version> = edges.iter().flat_map(|(a, b)| [*a, *b]).collect();
    versions.sort_unstable();
    versions.dedup();
    let place = |v: &Version| versions.binary_search(v).expect("it was put there") as Node;
    let graph = Graph::new(versions.len(), edges.iter().map(|(a, b)| (place(a), place(b), WW)).collect());
    let component = graph.components(WW).into_iter().next()?;
    // A shortest way from its first node back to it.
    let mut before: BTreeMap<Node, Node> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([component[0]]);
    while let Some(node) = queue.pop_front() {
        for (to, _) in graph.out(node).iter().filter(|(to, _)| component.binary_search(to).is_ok()) {
            if !before.contains_key(to) {
                before.insert(*to, node);
                queue.push_back(*to);
            }
        }
        if before.contains_key(&component[0]) {
            break;
        }
    }
    let mut circle = Vec::new();
    let mut node = component[0];
    loop {
        node = *before.get(&node)?;
        circle.push(versions[node as usize]);
        if node == component[0] {
            break;
        }
    }
    circle.reverse();
    Some(circle)
}
