//! Named locks whose holders are gone: a session that ended, an earlier start of a node, a node that died.
//!
//! Intuition: a caretaker who goes round, looks whose locks they are, and opens those of people who have left. That
//! somebody was away when his lock was opened he learns when he wants to do something under it.
//! Invariant: this decides nothing about safety. It deletes rows as any session might, on condition that they are as
//! they were when it looked; what a holder writes is certified against its lock's row (`plait_store`, `named`).
//! Each node looks after its own slot's locks; the leader after those of nodes that it has not heard of for long.

use crate::api::{SessionId, Ticket};
use crate::event::Event;
use crate::node::Replica;
use plait_base::{Mono, Now, Slot};
use plait_store::{Isolation, LOCK_COLUMNS, LOCK_TABLE, Lock, Request, Step, Value};

/// The node's own session, and its tickets; no client has them.
pub(crate) const OWN_SESSION: SessionId = SessionId(u64::MAX);
pub(crate) const OWN_TICKET: Ticket = Ticket(u64::MAX);
/// Locks that are freed at once.
const LOCKS_MAX: usize = 64;

/// When a leader last heard of each node.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Heard([Mono; 3]);

impl Heard {
    pub fn from(&mut self, slot: Slot, now: Now) {
        self.0[slot.at()] = now.mono;
    }
}

impl Replica {
    /// Frees the locks of who is gone; at a tick.
    pub(crate) fn tend_locks(&mut self, now: Now) {
        if !self.consensus.leads() {
            // Followers hear of the leader alone: only silence that begins now says anything.
            self.heard = Heard([now.mono; 3]);
        }
        if self.store.named_locks_changed().0 == 0
            || self.refused_entry.is_some()
            || self.sessions.is_busy(OWN_SESSION)
        {
            return;
        }
        let mut gone = self.store.named_locks();
        gone.retain(|lock| self.is_gone(lock, now));
        gone.truncate(LOCKS_MAX);
        if gone.is_empty() {
            return;
        }
        for Lock { name, slot, epoch, .. } in &gone {
            let (name, slot) = (name.clone(), *slot);
            let own = slot == self.config.slot;
            let earlier = *epoch != self.consensus.epoch();
            self.event(if own {
                Event::LockFreed { name, earlier }
            } else {
                Event::LockGivenAway { name, slot }
            });
        }
        let steps = gone.into_iter().flat_map(freed).collect();
        let request = Request::Script { isolation: Isolation::ReadCommitted, steps };
        self.start_request(now, OWN_TICKET, OWN_SESSION, request);
    }

    fn is_gone(&self, lock: &Lock, now: Now) -> bool {
        if lock.slot != self.config.slot {
            let silent = now.mono.since(self.heard.0[lock.slot.at()]);
            return self.consensus.leads() && silent >= self.config.limits.lock_timeout;
        }
        lock.epoch != self.consensus.epoch() || self.sessions.has_let_go(SessionId(lock.session), &lock.name)
    }
}

/// Deletes a lock's row if it is as it was.
fn freed(lock: Lock) -> Vec<Step> {
    let key = vec![Value::Text(lock.name.clone())];
    let check = |(column, number): (&&str, i64)| Step::Check {
        table: LOCK_TABLE.to_owned(),
        key: key.clone(),
        column: (*column).to_owned(),
        least: number,
        most: number,
    };
    let mut steps: Vec<Step> = LOCK_COLUMNS[1..].iter().zip(lock.numbers()).map(check).collect();
    steps.push(Step::Delete { table: LOCK_TABLE.to_owned(), key: key.clone() });
    steps
}
