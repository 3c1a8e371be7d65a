//! Which transaction came before which in time, whatever they read and wrote.

use crate::graph::{Kinds, Node, PROCESS, REALTIME};
use crate::history::NEVER;
use crate::model::Order;
use crate::txn::Txns;

pub fn kind(order: Order) -> Kinds {
    match order {
        Order::None => 0,
        Order::Process => PROCESS,
        Order::Realtime => REALTIME,
    }
}

/// Edges of an order, as few as say it all.
pub fn edges(txns: &Txns, order: Order, edges: &mut Vec<(Node, Node, Kinds)>) {
    match order {
        Order::None => {}
        Order::Process => process(txns, edges),
        Order::Realtime => realtime(txns, edges),
    }
}

/// A process does one thing after the other; of what it was not told the outcome, nobody knows when it happened.
fn process(txns: &Txns, edges: &mut Vec<(Node, Node, Kinds)>) {
    let mut last: std::collections::BTreeMap<i64, Node> = Default::default();
    for (at, txn) in txns.all.iter().enumerate().filter(|(_, t)| !t.failed()) {
        if let Some(before) = last.get(&txn.process) {
            edges.push((*before, at as Node, PROCESS));
        }
        if txn.ok() {
            last.insert(txn.process, at as Node);
        }
    }
}

/// Who ended before another began.
pub fn realtime(txns: &Txns, edges: &mut Vec<(Node, Node, Kinds)>) {
    let times: Vec<(u32, u32, bool)> = txns.all.iter().map(|t| (t.invoked, t.ended, t.ok())).collect();
    let possible = |at: usize| !txns.all[at].failed();
    sweep(&times, &mut |a, b| {
        if possible(b) {
            edges.push((a as Node, b as Node, REALTIME));
        }
    });
}

/// Links whoever ended to whoever began after that, as few as say it all: one that ended is linked to those that begin
/// until one of these has ended too, for from then on that one stands for it (Elle's reduction; Kingsbury, Alvaro
/// 2020). `times` are begin, end, and whether the end is known to be one.
pub fn sweep(times: &[(u32, u32, bool)], link: &mut dyn FnMut(usize, usize)) {
    let mut happens: Vec<(u32, bool, usize)> = Vec::with_capacity(2 * times.len());
    for (at, (begin, end, known)) in times.iter().enumerate() {
        happens.push((*begin, false, at));
        if *known && *end != NEVER {
            happens.push((*end, true, at));
        }
    }
    happens.sort_unstable();
    let mut frontier: Vec<usize> = Vec::new();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); times.len()];
    for (_, ends, at) in happens {
        if ends {
            let mine = std::mem::take(&mut before[at]);
            frontier.retain(|other| !mine.contains(other));
            frontier.push(at);
        } else {
            frontier.iter().for_each(|other| link(*other, at));
            before[at].clone_from(&frontier);
        }
    }
}
