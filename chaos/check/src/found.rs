//! Anomalies of transactions, with the names and sentences of their witnesses.

use crate::history::Kind;
use crate::txn::{Id, Txns};
use crate::verdict::{Anomaly, Edge, Operation, Told};

/// Each once, in the order in which they come first.
fn once(txns: &[usize]) -> Vec<usize> {
    let mut seen = Vec::new();
    for txn in txns {
        if !seen.contains(txn) {
            seen.push(*txn);
        }
    }
    seen
}

pub struct Found<'a> {
    txns: &'a Txns,
    pub told: Told,
}

impl<'a> Found<'a> {
    pub fn new(txns: &'a Txns) -> Found<'a> {
        Found { txns, told: Told::default() }
    }

    /// An anomaly of some transactions, which the sentence calls by the names that it is given.
    pub fn add(&mut self, name: &'static str, txns: &[usize], why: impl FnOnce(&[&str]) -> String) {
        if !self.told.count(name) {
            return;
        }
        let each = once(txns);
        let operations = self.operations(&each);
        let place = |txn: &usize| each.iter().position(|t| t == txn).expect("each is among them");
        let names: Vec<&str> = txns.iter().map(|txn| operations[place(txn)].name.as_str()).collect();
        let why = why(&names);
        self.told.anomalies.push(Anomaly { name, why, operations, cycle: Vec::new() });
    }

    /// A cycle through transactions, with a sentence for each edge.
    pub fn cycle(
        &mut self,
        name: &'static str,
        edges: &[(usize, usize, &'static str)],
        why: impl Fn(usize, usize, &'static str, &str, &str) -> String,
    ) {
        let froms: Vec<usize> = edges.iter().map(|(from, ..)| *from).collect();
        let txns = once(&froms);
        let operations = self.operations(&txns);
        let place =
            |txn: usize| txns.iter().position(|t| *t == txn).expect("a cycle leads where it comes from");
        let cycle: Vec<Edge> = edges
            .iter()
            .map(|(from, to, rel)| {
                let (a, b) = (place(*from), place(*to));
                let why = why(*from, *to, rel, &operations[a].name, &operations[b].name);
                Edge { from: a, to: b, rel, why }
            })
            .collect();
        let why = cycle.iter().map(|e| e.why.as_str()).collect::<Vec<_>>().join(" ");
        self.told.anomalies.push(Anomaly { name, why, operations, cycle });
    }

    /// Transactions as a witness shows them, named in the order in which they come.
    fn operations(&self, txns: &[usize]) -> Vec<Operation> {
        let one = |(at, txn): (usize, &usize)| {
            let t = &self.txns.all[*txn];
            Operation {
                name: format!("T{}", at + 1),
                index: t.index,
                line: t.line,
                process: t.process,
                node: t.node.clone(),
                outcome: match t.kind {
                    Kind::Ok => "ok",
                    Kind::Fail => "fail",
                    Kind::Info => "info",
                },
                value: self.txns.text(*txn),
            }
        };
        txns.iter().enumerate().map(one).collect()
    }

    // What lists and registers have in common.

    pub fn garbage(&mut self, reader: usize, key: Id, value: Id) {
        let txns = self.txns;
        let book = &txns.book;
        self.add("garbage-read", &[reader], |n| {
            format!("{} read {} in key {}, and nobody ever wrote it.", n[0], book.name(value), book.name(key))
        });
    }

    pub fn aborted_read(&mut self, reader: usize, writer: usize, key: Id, value: Id) {
        let txns = self.txns;
        let book = &txns.book;
        self.add("G1a", &[writer, reader], |n| {
            format!(
                "{} wrote {} to key {} and was refused, and yet {} read it.",
                n[0],
                book.name(value),
                book.name(key),
                n[1]
            )
        });
    }

    pub fn intermediate_read(&mut self, reader: usize, writer: usize, key: Id, value: Id) {
        let txns = self.txns;
        let book = &txns.book;
        self.add("G1b", &[writer, reader], |n| {
            format!(
                "{} read key {} as {} had left it in between, at {}: a later write of the same transaction is missing.",
                n[1],
                book.name(key),
                n[0],
                book.name(value)
            )
        });
    }

    pub fn repeated(&mut self, reader: usize, key: Id, value: Id, read: &[Id]) {
        let txns = self.txns;
        let book = &txns.book;
        self.add("duplicate-elements", &[reader], |n| {
            format!(
                "{} read {} more than once in key {}: {}. It was appended once.",
                n[0],
                book.name(value),
                book.name(key),
                book.list_text(read)
            )
        });
    }
}
