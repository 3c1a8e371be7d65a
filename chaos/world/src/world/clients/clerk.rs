//! The clerk: makes the tables at first, and when all is quiet writes on each node and reads everything on each.
//!
//! Her requests travel as a client's do. What she cannot get done within a bound, once every fault is over, is a
//! broken promise of liveness.

use super::super::{Happening, MS, World};
use super::{Ask, CLERK};
use crate::invariant::{Look, ledger, live};
use plait_base::{Outcome, Slot};
use plait_replica::{SessionId, State, Ticket};
use plait_store::{self as store, Error, Isolation, Reply};

/// Who makes the tables at first and reads everything at last.
pub(in crate::world) struct Clerk {
    stage: usize,
    session: Option<(SessionId, Slot, u32)>,
    pub(super) waiting: Option<(Ticket, Slot, u64)>,
    /// The transaction of the last writes.
    op: Option<u64>,
    pub(super) begun_ns: u64,
    pub(super) ready: bool,
}

impl Clerk {
    pub(in crate::world) fn new() -> Clerk {
        Clerk { stage: 0, session: None, waiting: None, op: None, begun_ns: 0, ready: false }
    }
}

impl World {
    pub(super) fn clerk_again(&mut self) {
        self.clerk.waiting = None;
        self.clerk.session = None;
        if let Some(op) = self.clerk.op.take() {
            let found = self.judge.ledger.end(op, Outcome::Unknown, self.now_ns);
            debug_assert!(found.is_ok(), "an unknown outcome contradicts nothing");
        }
        self.after(50 * MS, Happening::Clerk);
    }

    /// Requests that make what the workloads need.
    fn set_up(&self) -> Vec<store::Request> {
        let mut requests = Vec::new();
        for load in &self.loads {
            requests.extend(load.tables().into_iter().map(|def| store::Request::CreateTable(def.into())));
            let steps = load.rows();
            if !steps.is_empty() {
                requests.push(store::Request::Script { isolation: Isolation::RepeatableRead, steps });
            }
            let texts = load.texts().into_iter();
            requests.extend(texts.map(|text| store::Request::Sql { text, multi: true }));
        }
        requests
    }

    /// What is read on each node at last, with the workload that a text belongs to and its number there; the first
    /// request reads for all that read step by step.
    fn last_requests(&self) -> Vec<(store::Request, Option<(usize, usize)>)> {
        let steps = self.loads.iter().flat_map(|load| load.last_read()).collect();
        let mut all = vec![(store::Request::Script { isolation: Isolation::RepeatableRead, steps }, None)];
        for (at, load) in self.loads.iter().enumerate() {
            let texts = load.last_texts().into_iter().enumerate();
            all.extend(texts.map(|(n, text)| (store::Request::Sql { text, multi: true }, Some((at, n)))));
        }
        all
    }

    pub(in crate::world) fn clerk_acts(&mut self) {
        if self.clerk.waiting.is_some() || self.finished {
            return;
        }
        let (slot, request) = if !self.clerk.ready {
            let mut set_up = self.set_up();
            if self.clerk.stage == set_up.len() {
                self.clerk.ready = true;
                for c in 0..self.clients.len() {
                    let wait_ns = self.clients[c].draws.below(200 * MS);
                    self.wake_later(c, wait_ns);
                }
                return;
            }
            (Slot::ALL[(self.clerk.stage + self.tickets as usize) % 3], set_up.swap_remove(self.clerk.stage))
        } else if self.clerk.stage < 3 {
            // A write on each node, then a read of everything on each.
            let op = self.judge.ledger.begin();
            self.judge.ledger.writes(op);
            self.clerk.op = Some(op);
            let steps = vec![ledger::row(op, CLERK as u32)];
            (
                Slot::ALL[self.clerk.stage],
                store::Request::Script { isolation: Isolation::RepeatableRead, steps },
            )
        } else {
            let mut requests = self.last_requests();
            let (at, n) = ((self.clerk.stage - 3) / requests.len(), (self.clerk.stage - 3) % requests.len());
            (Slot::ALL[at], requests.swap_remove(n).0)
        };
        let host = &self.hosts[slot.at()];
        let life = host.life;
        if !host.runs() {
            return self.clerk_again();
        }
        let session = match self.clerk.session {
            Some((session, at, of)) if (at, of) == (slot, life) => session,
            _ => {
                let session = self.new_session();
                self.clerk.session = Some((session, slot, life));
                session
            }
        };
        let ticket = self.ticket(CLERK);
        self.clerk.waiting = Some((ticket, slot, self.now_ns));
        let ask = Ask { client: CLERK, slot, life, ticket, session, request };
        self.after(100_000, Happening::Ask(Box::new(ask)));
    }

    pub(super) fn clerk_replied(&mut self, slot: Slot, ticket: Ticket, reply: Result<Reply, Error>) {
        if self.clerk.waiting.is_none_or(|(t, ..)| t != ticket) {
            return;
        }
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                if crate::workload::unexpected(&error) {
                    self.judge.broken(
                        crate::workload::blame(&error),
                        format!("the clerk's request on {slot}: {error}"),
                    );
                }
                if let Some(op) = self.clerk.op.take() {
                    let found = self.judge.ledger.end(op, error.outcome(), self.now_ns);
                    if let Err(why) = found {
                        self.judge.broken("ledger", why);
                    }
                }
                return self.clerk_again();
            }
        };
        self.clerk.waiting = None;
        if let Some(op) = self.clerk.op.take() {
            let found = self.judge.ledger.end(op, Outcome::Yes, self.now_ns);
            if let Err(why) = found {
                self.judge.broken("ledger", why);
            }
        } else if self.clerk.ready {
            self.last_answer(slot, &reply);
        }
        self.clerk.stage += 1;
        if self.clerk.ready && self.clerk.stage == 3 + 3 * self.last_requests().len() {
            for load in &mut self.loads {
                load.judged(&mut self.judge);
            }
            self.counts.healed_after_ms = (self.now_ns - self.ended_ns) / MS;
            self.finished = true;
            return;
        }
        self.after(0, Happening::Clerk);
    }

    /// The answer to one of the last reads.
    fn last_answer(&mut self, slot: Slot, reply: &Reply) {
        let requests = self.last_requests();
        match requests[(self.clerk.stage - 3) % requests.len()].1 {
            Some((at, n)) => self.loads[at].last_texts_check(slot, n, &reply.results, &mut self.judge),
            None => {
                let mut results = &reply.results[..];
                for load in &mut self.loads {
                    let (mine, rest) = results.split_at(load.last_read().len().min(results.len()));
                    load.last_check(slot, mine, &mut self.judge);
                    results = rest;
                }
            }
        }
    }

    // ---- the end

    /// Clients finish what they do and begin nothing; faults are over.
    pub(in crate::world) fn span_ends(&mut self) {
        self.ending = true;
        self.ended_ns = self.now_ns;
        for fault in 0..self.plan.faults.len() {
            self.fault_off(fault);
        }
        if !self.clerk.ready {
            return;
        }
        self.clerk.stage = 0;
    }

    /// Once all is quiet and whole, the clerk takes the last look. It must come to that within a bound.
    pub(in crate::world) fn settle(&mut self, looks: &[Option<Look>; 3]) {
        if self.now_ns > self.ended_ns + live::HEAL_NS_MAX {
            let why = self.what_hangs(looks);
            return self.judge.broken(
                "live",
                format!("{} s after the last fault: {why}", live::HEAL_NS_MAX / 1_000_000_000),
            );
        }
        let idle = self.clients.iter().all(|c| c.idle);
        let whole = looks.iter().all(|look| look.as_ref().is_some_and(|l| l.status.state == State::Synced));
        let equal = looks.iter().flatten().all(|look| {
            let s = &look.status;
            looks[0].as_ref().is_some_and(|first| s.seqno == first.status.seqno)
                && s.applied_index == s.commit_index
                && s.voters.len() == 3
                && s.learners.is_empty()
        });
        if idle && whole && equal && self.clerk.ready && self.clerk.stage == 0 && self.clerk.waiting.is_none()
        {
            self.clerk_acts();
        }
    }

    fn what_hangs(&self, looks: &[Option<Look>; 3]) -> String {
        let mut parts = Vec::new();
        for (slot, look) in Slot::ALL.iter().zip(looks) {
            parts.push(match look {
                None => format!("{slot} is down"),
                Some(look) => {
                    let s = &look.status;
                    let leader = s.leader.map_or("none".to_owned(), |l| l.to_string());
                    format!(
                        "{slot} is {:?} (term {}, leader {leader}, commit {}, applied {}, stable {}, {} voters, {} learners)",
                        s.state, s.term, s.commit_index, s.applied_index, s.stable_index, s.voters.len(), s.learners.len()
                    )
                }
            });
        }
        let waiting: Vec<String> = self
            .clients
            .iter()
            .enumerate()
            .filter(|(_, c)| !c.idle)
            .map(|(n, c)| match &c.running {
                Some(r) => format!("client {n} waits on {} ({:?})", r.at.slot, r.stage),
                None => format!("client {n} has not come to rest"),
            })
            .collect();
        parts.extend(waiting);
        if let Some((_, slot, _)) = self.clerk.waiting {
            parts.push(format!("the last request on {slot} is not answered"));
        }
        parts.join("; ")
    }
}
