//! Key queues: of the transactions of one node, one at a time writes a row; the others stand in line for it.
//!
//! Intuition: two people who want to change one line of a book would only spoil each other's page. If they sit in one
//! room, the second can as well wait until the first has handed in.
//! Invariant: this saves work and decides nothing. Certification is the judge, and knows of no queue; transactions of
//! other nodes stand in none.
//! A transaction holds a key from the end of the statement that wrote it (or read it `FOR UPDATE`) until it is over.
//! Who would wait for somebody who waits for him is refused at once.
//! Not here: when a statement is run again (`session`), when a session is woken (replica).

use crate::key::Key;
use crate::store::Store;
use crate::table::TableId;
use crate::zoo::{self, Bug};
use plait_base::Seqno;
use std::collections::{BTreeMap, VecDeque};

type Place = (TableId, Key);

/// Who holds which keys, and who waits; sessions by their number.
#[derive(Debug, Default)]
pub struct Queues {
    lines: BTreeMap<Place, Line>,
    held: BTreeMap<u64, Vec<Place>>,
    waiting: BTreeMap<u64, Place>,
    /// Those that wait for something else than a key.
    awaiting: BTreeMap<u64, Awaited>,
    /// Sessions whose turn has come.
    called: Vec<u64>,
}

/// What a session waits for that others bring about, on whichever node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// That a named lock is taken or given back after this position.
    Lock { changed: Seqno },
    /// That this much is applied.
    Position(Seqno),
}

#[derive(Debug)]
struct Line {
    holder: u64,
    next: VecDeque<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// Stands in line.
    Later,
    /// Would wait for itself.
    Never,
}

impl Queues {
    /// Asks for a key on behalf of a session that waits for none.
    pub(crate) fn ask(&mut self, me: u64, table: TableId, key: &[u8]) -> Turn {
        let place = (table, Key::from(key));
        let Some(line) = self.lines.get_mut(&place) else {
            self.held.entry(me).or_default().push(place.clone());
            self.lines.insert(place, Line { holder: me, next: VecDeque::new() });
            return Turn::Now;
        };
        if line.holder == me {
            return Turn::Now;
        }
        let mut other = line.holder;
        while let Some(place) = self.waiting.get(&other) {
            other = self.lines[place].holder;
            if other == me {
                return Turn::Never;
            }
        }
        self.lines.get_mut(&place).expect("it was there a moment ago").next.push_back(me);
        self.waiting.insert(me, place);
        Turn::Later
    }

    pub(crate) fn waits(&self, session: u64) -> bool {
        self.waiting.contains_key(&session)
    }

    pub(crate) fn wait_for(&mut self, session: u64, what: Awaited) {
        self.awaiting.insert(session, what);
    }

    /// More is applied: calls those whose wait may be over.
    pub fn applied(&mut self, store: &Store) {
        if self.awaiting.is_empty() {
            return;
        }
        let (applied, locks_changed) = (store.applied(), store.named_locks_changed());
        let called = &mut self.called;
        self.awaiting.retain(|session, what| {
            let over = match *what {
                Awaited::Lock { changed } => locks_changed > changed,
                Awaited::Position(seqno) => applied >= seqno,
            };
            if over {
                called.push(*session);
            }
            !over
        });
    }

    /// A session waits no longer.
    pub(crate) fn leave(&mut self, session: u64) {
        self.awaiting.remove(&session);
        if let Some(place) = self.waiting.remove(&session) {
            let line = self.lines.get_mut(&place).expect("who waits stands in a line");
            line.next.retain(|other| *other != session);
        }
    }

    /// A session's transaction is over, or the session is.
    pub fn release(&mut self, session: u64) {
        self.leave(session);
        for place in self.held.remove(&session).unwrap_or_default() {
            let line = self.lines.get_mut(&place).expect("who holds a key has its line");
            match line.next.pop_front() {
                None => drop(self.lines.remove(&place)),
                Some(next) => {
                    line.holder = next;
                    self.waiting.remove(&next);
                    self.held.entry(next).or_default().push(place);
                    if !zoo::on(Bug::WaiterForgotten) {
                        self.called.push(next);
                    }
                }
            }
        }
    }

    /// Sessions whose turn has come since the last call.
    pub fn called(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.called)
    }

    /// Nobody holds or waits for anything any more.
    pub fn clear(&mut self) {
        *self = Queues::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TableId = TableId(1);

    #[test]
    fn each_in_turn() {
        crate::tests::plant();
        let mut queues = Queues::default();
        assert_eq!(queues.ask(1, T, b"a"), Turn::Now);
        assert_eq!(queues.ask(1, T, b"a"), Turn::Now);
        assert_eq!(queues.ask(2, T, b"b"), Turn::Now);
        assert_eq!(queues.ask(2, T, b"a"), Turn::Later);
        assert_eq!(queues.ask(3, T, b"a"), Turn::Later);
        queues.release(1);
        assert_eq!(queues.called(), [2]);
        assert!(!queues.waits(2) && queues.waits(3));
        queues.release(2);
        assert_eq!(queues.called(), [3]);
        queues.release(3);
        assert!(queues.lines.is_empty() && queues.held.is_empty() && queues.called().is_empty());
    }

    #[test]
    fn nobody_waits_for_himself() {
        let mut queues = Queues::default();
        for (session, key) in [(1, b"a"), (2, b"b"), (3, b"c")] {
            assert_eq!(queues.ask(session, T, key), Turn::Now);
        }
        assert_eq!(queues.ask(1, T, b"b"), Turn::Later);
        assert_eq!(queues.ask(2, T, b"c"), Turn::Later);
        assert_eq!(queues.ask(3, T, b"a"), Turn::Never);
        queues.release(3);
        assert_eq!(queues.called(), [2]);
    }

    #[test]
    fn who_leaves_the_line_is_not_called() {
        let mut queues = Queues::default();
        queues.ask(1, T, b"a");
        queues.ask(2, T, b"a");
        queues.ask(3, T, b"a");
        queues.leave(2);
        queues.release(1);
        assert_eq!(queues.called(), [3]);
        assert!(!queues.waits(3));
    }
}
