//! Lists that transactions append to and read: what a read shows is the history of its key.
//!
//! A list that was read tells in which order its elements were appended, so nearly every dependency between
//! transactions can be seen from outside (Kingsbury, Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
//! Observations", VLDB 2020). Appends are unique by key, which the caller has checked.

use crate::found::Found;
use crate::graph::{Kinds, Node, RW, WR, WW};
use crate::txn::{Id, Mop, Txns};
use plait_base::map::Map;
use std::collections::BTreeMap;

/// Who appended an element.
#[derive(Debug, Clone, Copy)]
struct Writer {
    txn: usize,
    /// No later append of the same transaction to the same key.
    last: bool,
    /// Its place in the order of its key.
    place: Option<u32>,
}

/// The order in which elements were appended to a key, as far as somebody saw it.
#[derive(Debug, Default)]
struct KeyOrder {
    /// The longest read: transaction, and where it lies in the book.
    longest: Option<(usize, u32, u32)>,
    /// The same without repetitions.
    elements: Vec<Id>,
    /// The first place of the longest read that must not be there, by what is wrong with it.
    garbage: Option<u32>,
    aborted: Option<u32>,
    repeated: Option<u32>,
    /// Appends that may have happened.
    appends: u32,
    only: Id,
    /// Transactions that read the key when it was empty.
    empty: Vec<Node>,
}

pub struct Lists<'a> {
    txns: &'a Txns,
    writers: Map<(Id, Id), Writer>,
    orders: BTreeMap<Id, KeyOrder>,
    /// Who read a key up to an element.
    readers: Map<(Id, Id), Vec<Node>>,
}

impl<'a> Lists<'a> {
    pub fn new(txns: &'a Txns) -> Lists<'a> {
        let mut lists =
            Lists { txns, writers: Map::keyed(0), orders: BTreeMap::new(), readers: Map::keyed(0) };
        lists.index();
        lists
    }

    fn index(&mut self) {
        let book = &self.txns.book;
        for (at, txn) in self.txns.all.iter().enumerate() {
            let mops = self.txns.mops(at);
            for (i, mop) in mops.iter().enumerate() {
                match *mop {
                    Mop::Write { key, value } => {
                        let again = |m: &Mop| matches!(m, Mop::Write { key: k, .. } if *k == key);
                        let last = !mops[i + 1..].iter().any(again);
                        self.writers.insert((key, value), Writer { txn: at, last, place: None });
                        if !txn.failed() {
                            let order = self.orders.entry(key).or_default();
                            order.appends += 1;
                            order.only = value;
                        }
                    }
                    Mop::List { key, from, len } => {
                        let order = self.orders.entry(key).or_default();
                        if len >= order.longest.map_or(1, |(_, _, len)| len) {
                            order.longest = Some((at, from, len));
                        }
                        if len == 0 {
                            if order.empty.last() != Some(&(at as Node)) {
                                order.empty.push(at as Node);
                            }
                            continue;
                        }
                        let last = book.elements[(from + len - 1) as usize];
                        match self.readers.get_mut(&(key, last)) {
                            Some(readers) if readers.last() == Some(&(at as Node)) => {}
                            Some(readers) => readers.push(at as Node),
                            None => _ = self.readers.insert((key, last), vec![at as Node]),
                        }
                    }
                    Mop::Read { .. } | Mop::Asked { .. } => {}
                }
            }
        }
        for (key, order) in &mut self.orders {
            let Some((_, from, len)) = order.longest else {
                if order.appends == 1 {
                    order.elements = vec![order.only];
                    if let Some(writer) = self.writers.get_mut(&(*key, order.only)) {
                        writer.place = Some(0);
                    }
                }
                continue;
            };
            let mut seen: Map<Id, ()> = Map::keyed(0);
            for (at, element) in book.list(from, len).iter().enumerate() {
                let at = at as u32;
                if seen.insert(*element, ()).is_some() {
                    order.repeated.get_or_insert(at);
                    continue;
                }
                match self.writers.get_mut(&(*key, *element)) {
                    Some(writer) => {
                        writer.place = Some(order.elements.len() as u32);
                        if self.txns.all[writer.txn].failed() {
                            order.aborted.get_or_insert(at);
                        }
                    }
                    None => _ = order.garbage.get_or_insert(at),
                }
                order.elements.push(*element);
            }
        }
    }

    fn writer(&self, key: Id, element: Id) -> Option<Writer> {
        self.writers.get(&(key, element)).copied()
    }

    /// The same, if it may have committed.
    fn possible(&self, key: Id, element: Id) -> Option<usize> {
        self.writer(key, element).map(|w| w.txn).filter(|txn| !self.txns.all[*txn].failed())
    }

    /// The element after which another was appended; `None`: it was the first, or nothing is known but that.
    fn before(&self, key: Id, element: Id) -> Option<Id> {
        let elements = &self.orders.get(&key)?.elements;
        match self.writer(key, element).and_then(|w| w.place) {
            Some(0) => None,
            Some(place) => Some(elements[place as usize - 1]),
            // An append that nobody saw came after all that somebody saw.
            None => elements.last().copied(),
        }
    }

    fn readers_of(&self, key: Id, element: Option<Id>) -> &[Node] {
        match element {
            Some(element) => self.readers.get(&(key, element)).map_or(&[], Vec::as_slice),
            None => self.orders.get(&key).map_or(&[], |order| order.empty.as_slice()),
        }
    }

    /// Every dependency that can be seen. `Err`: there are too many to look at.
    pub fn edges(&self, edges: &mut Vec<(Node, Node, Kinds)>) -> Result<(), usize> {
        for (at, _) in self.txns.all.iter().enumerate().filter(|(_, t)| !t.failed()) {
            let me = at as Node;
            for mop in self.txns.mops(at) {
                match *mop {
                    Mop::Write { key, value } => {
                        let before = self.before(key, value);
                        if let Some(writer) = before.and_then(|e| self.possible(key, e)) {
                            edges.push((writer as Node, me, WW));
                        }
                        edges.extend(self.readers_of(key, before).iter().map(|reader| (*reader, me, RW)));
                    }
                    Mop::List { key, from, len } if len > 0 => {
                        let last = self.txns.book.elements[(from + len - 1) as usize];
                        if let Some(writer) = self.possible(key, last) {
                            edges.push((writer as Node, me, WR));
                        }
                    }
                    _ => {}
                }
            }
            if edges.len() > EDGES_MAX {
                return Err(edges.len());
            }
        }
        Ok(())
    }

    /// One sentence for an edge. `a` and `b` are what the two are called.
    pub fn why(&self, from: usize, to: usize, kind: Kinds, a: &str, b: &str) -> String {
        let book = &self.txns.book;
        for mop in self.txns.mops(to) {
            match *mop {
                Mop::Write { key, value } if kind == WW => {
                    let before = self.before(key, value);
                    if let Some(e) = before.filter(|e| self.possible(key, *e) == Some(from)) {
                        let seen = self.writer(key, value).is_some_and(|w| w.place.is_some());
                        let how = match seen {
                            true => "right after",
                            false => "after all that was ever read of it, which ends in",
                        };
                        return format!(
                            "{b} appended {} to key {} {how} {}, which {a} had appended.",
                            book.name(value),
                            book.name(key),
                            book.name(e)
                        );
                    }
                }
                Mop::Write { key, value } if kind == RW => {
                    let before = self.before(key, value);
                    if self.readers_of(key, before).contains(&(from as Node)) {
                        let state = match before {
                            Some(e) => format!("up to {}", book.name(e)),
                            None => "empty".to_owned(),
                        };
                        return format!(
                            "{a} read key {} {state}, without {}, which {b} appended next.",
                            book.name(key),
                            book.name(value)
                        );
                    }
                }
                Mop::List { key, from: at, len } if kind == WR && len > 0 => {
                    let last = book.elements[(at + len - 1) as usize];
                    if self.possible(key, last) == Some(from) {
                        return format!(
                            "{b} read key {} up to {}, which {a} had appended.",
                            book.name(key),
                            book.name(last)
                        );
                    }
                }
                _ => {}
            }
        }
        format!("{a} comes before {b}.")
    }

    /// What is wrong without any cycle.
    pub fn anomalies(&self, found: &mut Found) {
        let book = &self.txns.book;
        let last_reads = self.txns.all.iter().any(|t| t.ok() && t.last);
        let acknowledged = if last_reads { self.acknowledged() } else { BTreeMap::new() };
        for (at, txn) in self.txns.all.iter().enumerate().filter(|(_, t)| t.ok()) {
            for mop in self.txns.mops(at) {
                let Mop::List { key, from, len } = *mop else { continue };
                let order = &self.orders[&key];
                let read = book.list(from, len);
                let longest = order.longest.map_or(&[][..], |(_, from, len)| book.list(from, len));
                if longest.get(..read.len()) != Some(read) {
                    self.odd_one(at, key, read, longest, found);
                    continue;
                }
                let reaches =
                    |place: Option<u32>| place.filter(|place| *place < len).map(|p| read[p as usize]);
                if let Some(element) = reaches(order.garbage) {
                    found.garbage(at, key, element);
                }
                if let Some(element) = reaches(order.aborted) {
                    self.aborted_read(at, key, element, found);
                }
                if let Some(element) = reaches(order.repeated) {
                    found.repeated(at, key, element, read);
                }
                self.intermediate(at, key, read, found);
            }
            self.inside(at, found);
            if txn.last {
                self.last_read(at, &acknowledged, found);
            }
        }
        self.dirty_updates(found);
    }

    /// A read that the longest one does not continue.
    fn odd_one(&self, at: usize, key: Id, read: &[Id], longest: &[Id], found: &mut Found) {
        let book = &self.txns.book;
        let other = self.orders[&key].longest.map_or(at, |(txn, ..)| txn);
        let split = read.iter().zip(longest).take_while(|(a, b)| a == b).count();
        found.add("incompatible-order", &[at, other], |n| {
            format!(
                "{} read key {} as {} and {} as {}: from element {} on no order of appends gives both.",
                n[0],
                book.name(key),
                book.list_text(read),
                n[1],
                book.list_text(longest),
                split + 1
            )
        });
        let mut seen: Map<Id, ()> = Map::keyed(0);
        for element in read {
            if seen.insert(*element, ()).is_some() {
                found.repeated(at, key, *element, read);
            }
            match self.writer(key, *element) {
                None => found.garbage(at, key, *element),
                Some(w) if self.txns.all[w.txn].failed() => self.aborted_read(at, key, *element, found),
                Some(_) => {}
            }
        }
        self.intermediate(at, key, read, found);
    }

    fn aborted_read(&self, at: usize, key: Id, element: Id, found: &mut Found) {
        let Some(writer) = self.writer(key, element) else { return };
        found.aborted_read(at, writer.txn, key, element);
    }

    fn intermediate(&self, at: usize, key: Id, read: &[Id], found: &mut Found) {
        let Some(last) = read.last() else { return };
        if let Some(writer) = self.writer(key, *last).filter(|w| !w.last && w.txn != at) {
            found.intermediate_read(at, writer.txn, key, *last);
        }
    }

    /// A transaction against itself: what it read before, and what it appended.
    fn inside(&self, at: usize, found: &mut Found) {
        let (book, mops) = (&self.txns.book, self.txns.mops(at));
        for (i, mop) in mops.iter().enumerate() {
            let Mop::List { key, from, len } = *mop else { continue };
            let read = book.list(from, len);
            // What it must be: the last read before, if there was one, and then what was appended since.
            let earlier = mops[..i].iter().rposition(|m| matches!(m, Mop::List { key: k, .. } if *k == key));
            let appended: Vec<Id> = mops[earlier.map_or(0, |e| e + 1)..i]
                .iter()
                .filter_map(|m| match *m {
                    Mop::Write { key: k, value } if k == key => Some(value),
                    _ => None,
                })
                .collect();
            let fits = match earlier.map(|e| mops[e]) {
                Some(Mop::List { from, len, .. }) => {
                    let base = book.list(from, len);
                    read.strip_prefix(base) == Some(&appended[..])
                }
                _ => read.ends_with(&appended),
            };
            if !fits {
                let base = match earlier.map(|e| mops[e]) {
                    Some(Mop::List { from, len, .. }) => book.list(from, len),
                    _ => &[],
                };
                let whole: Vec<Id> = base.iter().chain(&appended).copied().collect();
                let head = if earlier.is_some() { "" } else { "something that ends in " };
                found.add("internal", &[at], |n| {
                    format!(
                        "{} read key {} as {}, and by its own reads and appends before it should have read {head}{}.",
                        n[0],
                        book.name(key),
                        book.list_text(read),
                        book.list_text(&whole)
                    )
                });
                return;
            }
            let later = mops[i + 1..].iter().find_map(|m| match *m {
                Mop::Write { key: k, value } if k == key && read.contains(&value) => Some(value),
                _ => None,
            });
            if let Some(value) = later {
                found.add("future-read", &[at], |n| {
                    format!(
                        "{} read {} in key {} before it appended it itself.",
                        n[0],
                        book.name(value),
                        book.name(key)
                    )
                });
                return;
            }
        }
    }

    /// In the order of a key, what was committed on top of what was taken back.
    fn dirty_updates(&self, found: &mut Found) {
        let book = &self.txns.book;
        for (key, order) in &self.orders {
            let mut aborted: Option<(Id, usize)> = None;
            for element in &order.elements {
                let Some(writer) = self.writer(*key, *element) else { continue };
                let txn = &self.txns.all[writer.txn];
                if txn.failed() {
                    aborted = aborted.or(Some((*element, writer.txn)));
                } else if txn.ok()
                    && let Some((dirty, from)) = aborted.take()
                {
                    found.add("dirty-update", &[from, writer.txn], |n| {
                        format!(
                            "{} appended {} to key {} and was refused, and yet {} appended {} on top of it.",
                            n[0],
                            book.name(dirty),
                            book.name(*key),
                            n[1],
                            book.name(*element)
                        )
                    });
                }
            }
        }
    }

    /// A read after all was over shows whatever was acknowledged.
    fn last_read(&self, at: usize, acknowledged: &BTreeMap<Id, Vec<(Id, usize)>>, found: &mut Found) {
        let book = &self.txns.book;
        for mop in self.txns.mops(at) {
            let Mop::List { key, from, len } = *mop else { continue };
            let read = book.list(from, len);
            let mut has: Map<Id, ()> = Map::keyed(0);
            read.iter().for_each(|e| _ = has.insert(*e, ()));
            for (element, writer) in acknowledged.get(&key).map_or(&[][..], Vec::as_slice) {
                if has.contains_key(element) || self.txns.all[*writer].ended > self.txns.all[at].invoked {
                    continue;
                }
                found.add("lost-acknowledgement", &[*writer, at], |n| {
                    format!(
                        "{} was told that its append of {} to key {} is done, and {}, which read the key after all was over, \
                         found {}.",
                        n[0],
                        book.name(*element),
                        book.name(key),
                        n[1],
                        book.list_text(read)
                    )
                });
            }
        }
    }

    /// For each key what somebody was told is in it, and who was told.
    fn acknowledged(&self) -> BTreeMap<Id, Vec<(Id, usize)>> {
        let mut all: BTreeMap<Id, Vec<(Id, usize)>> = BTreeMap::new();
        for (at, _) in self.txns.all.iter().enumerate().filter(|(_, t)| t.ok()) {
            for mop in self.txns.mops(at) {
                if let Mop::Write { key, value } = *mop {
                    all.entry(key).or_default().push((value, at));
                }
            }
        }
        all
    }
}

/// More edges than this are not looked at.
pub const EDGES_MAX: usize = 60_000_000;
