//! Clients' sessions: who runs, who waits for an order, whose reply is held.
//!
//! A reply leaves when everything that it rests on is stable: a *yes* when its commit is, a read when the newest
//! version it saw is, a definite *no* when what it rests on is.

use crate::api::{Output, SessionId, Ticket};
use crate::event::Event;
use crate::locks::{OWN_SESSION, OWN_TICKET};
use crate::node::Replica;
use plait_base::{Bytes, Index, Mono, Now, Outcome, ProposalId, Room, Seqno};
use plait_consensus::zoo::{self, Bug};
use plait_consensus::{Reads, Refusal, Seen, Strand};
use plait_store::{Context, Error, Progress, Reply, Request, Session, Verdict};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a session is doing.
enum Doing {
    Nothing,
    Running,
    /// Waits for the verdict of this proposal.
    Ordering,
    /// Stands in line for a key, at most until then.
    Waiting(Mono),
    /// Refused for want of a lease; starts anew when there is one, until the deadline.
    AwaitingLease(Request, Mono),
    /// Waits for the read index of this round, then to have applied as much; starts then, or at the deadline.
    AwaitingIndex {
        request: Request,
        round: u64,
        index: Option<Index>,
        deadline: Mono,
    },
    Held,
}

struct Client {
    session: Session,
    ticket: Ticket,
    doing: Doing,
    /// The request, kept while a lease is lacking, so that it can start anew.
    again: Option<(Request, Mono)>,
    /// A read index was got for the request under way, and everything up to it is applied.
    caught_up: bool,
    /// The last proposal of the request under way.
    ordered: Option<ProposalId>,
    /// What was applied here when it was handed in.
    ordered_at: Seqno,
}

struct Hold {
    session: SessionId,
    ticket: Ticket,
    /// The commit that a *yes* would confirm.
    commit: Option<ProposalId>,
    reply: Result<Reply, Error>,
    hangup: bool,
    deadline: Mono,
}

/// All sessions of this node.
pub(crate) struct Sessions {
    clients: BTreeMap<SessionId, Client>,
    run: VecDeque<SessionId>,
    ordering: BTreeMap<u64, SessionId>,
    held: BTreeMap<(Seqno, Ticket), Hold>,
    /// By when they wait no longer.
    waiting: BTreeSet<(Mono, SessionId)>,
    awaiting_lease: Vec<SessionId>,
    awaiting_index: Vec<SessionId>,
    /// How many have a transaction open.
    open: usize,
    max: usize,
}

/// Why a read is refused where reads go by the read index.
const NO_INDEX: &str = "no leader with a majority said in time how far the order is (read = index)";

impl Sessions {
    /// What was applied here when the operation was handed in; `None` if no session waits for it.
    pub fn proposed_at(&self, id: ProposalId) -> Option<Seqno> {
        let client = self.clients.get(self.ordering.get(&id.counter)?)?;
        (client.ordered == Some(id)).then_some(client.ordered_at)
    }

    pub fn new(max: usize) -> Sessions {
        Sessions {
            clients: BTreeMap::new(),
            run: VecDeque::new(),
            ordering: BTreeMap::new(),
            held: BTreeMap::new(),
            waiting: BTreeSet::new(),
            awaiting_lease: Vec::new(),
            awaiting_index: Vec::new(),
            open: 0,
            max,
        }
    }

    pub fn len(&self) -> usize {
        self.clients.len()
    }

    fn close(&mut self, id: SessionId) {
        if let Some(client) = self.clients.remove(&id) {
            self.open -= usize::from(client.session.in_transaction());
            if let Doing::Waiting(until) = client.doing {
                self.waiting.remove(&(until, id));
            }
        }
        self.awaiting_lease.retain(|other| *other != id);
        self.awaiting_index.retain(|other| *other != id);
    }

    /// The oldest snapshot that any session holds.
    pub fn oldest_snapshot(&self) -> Option<Seqno> {
        self.clients.values().filter_map(|c| c.session.snapshot()).min()
    }

    /// Whether this session is over, or has not got this lock and is not about to.
    pub fn has_let_go(&self, session: SessionId, lock: &str) -> bool {
        let client = self.clients.get(&session).map(|client| &client.session);
        client.is_none_or(|session| !session.busy() && !session.has_lock(lock))
    }

    pub fn is_busy(&self, session: SessionId) -> bool {
        self.clients.get(&session).is_some_and(|client| !matches!(client.doing, Doing::Nothing))
    }

    pub fn has_runnable(&self) -> bool {
        !self.run.is_empty()
    }
}

impl Replica {
    pub(crate) fn start_request(&mut self, now: Now, ticket: Ticket, id: SessionId, request: Request) {
        let sessions = &mut self.sessions;
        if !sessions.clients.contains_key(&id) && sessions.clients.len() >= sessions.max {
            let reply = Err(Error::Busy { what: "sessions_max", max: sessions.max as u64 });
            self.tell(ticket, reply);
            return;
        }
        let slot = self.config.slot;
        let client = sessions.clients.entry(id).or_insert_with(|| Client {
            session: Session::new(slot),
            ticket,
            doing: Doing::Nothing,
            again: None,
            caught_up: false,
            ordered: None,
            ordered_at: Seqno::ZERO,
        });
        if !matches!(client.doing, Doing::Nothing) {
            let why = "the session's last request is not answered yet; wait for its reply".to_owned();
            self.tell(ticket, Err(Error::Misuse { why }));
            return;
        }
        client.ticket = ticket;
        client.ordered = None;
        client.caught_up = false;
        let deadline = now.mono + self.config.limits.lease_timeout;
        if self.config.reads() == Reads::Index
            && self.refused_entry.is_none()
            && let Some(round) = self.consensus.ask_read_index()
        {
            client.doing = Doing::AwaitingIndex { request, round, index: None, deadline };
            self.sessions.awaiting_index.push(id);
            return;
        }
        let lacking =
            !client.session.in_transaction() && self.consensus.may_read(now, Strand::Store).is_err();
        let again = lacking && self.refused_entry.is_none();
        client.again = again.then(|| (request.clone(), deadline));
        self.begin(id, request);
    }

    fn begin(&mut self, id: SessionId, request: Request) {
        let client = self.sessions.clients.get_mut(&id).expect("a session that begins is there");
        client.doing = Doing::Running;
        match client.session.start(request) {
            Ok(()) => self.sessions.run.push_back(id),
            Err(error) => {
                client.doing = Doing::Nothing;
                let ticket = client.ticket;
                self.tell(ticket, Err(error));
            }
        }
    }

    /// Runs sessions in turn until each waits for something or the budget is spent.
    pub(crate) fn run_sessions(&mut self, now: Now) {
        self.try_leases_again(now);
        self.try_indexes_again(now);
        self.wake_late(now);
        self.local.queues.applied(&self.store);
        self.call_waiting();
        let mut budget = self.config.limits.step_work_max;
        while budget > 0 {
            let Some(id) = self.sessions.run.pop_front() else { return };
            let mut may_read = self.may_read(now);
            let open = (self.sessions.len(), self.sessions.open);
            let Some(client) = self.sessions.clients.get_mut(&id) else { continue };
            if !matches!(client.doing, Doing::Running) {
                continue;
            }
            budget -= 1;
            if self.config.reads() == Reads::Index && self.refused_entry.is_none() {
                may_read = if client.caught_up { Ok(()) } else { Err(NO_INDEX.to_owned()) };
            }
            let status = || {
                crate::status::wsrep_rows(
                    &self.config,
                    &self.consensus,
                    &self.counters,
                    &self.store,
                    self.history.chain(),
                    self.state,
                    open,
                )
            };
            let verdict = |id| match self.verdicts.seen(id) {
                Seen::Before(bytes) => {
                    Verdict::decode(&bytes).ok().map(|verdict| matches!(verdict, Verdict::Done { .. }))
                }
                Seen::New | Seen::Stale => None,
            };
            let ctx = Context {
                now,
                may_read,
                status: &status,
                connection: id.0,
                galera: self.config.galera_compat,
                epoch: self.consensus.epoch(),
                cluster: self.config.cluster,
                applied: self.store.applied(),
                verdict: &verdict,
            };
            let (session, store, local) = (&mut client.session, &self.store, &mut self.local);
            let had = session.in_transaction();
            let ran = catch_unwind(AssertUnwindSafe(|| session.run(store, local, &ctx, &mut budget)));
            self.sessions.open =
                self.sessions.open + usize::from(session.in_transaction()) - usize::from(had);
            let replays = std::mem::take(&mut session.replays);
            if replays > 0 {
                self.counters.local_replays += replays;
                self.out.push(Output::Event(Event::Replayed { session: id.0 }));
            }
            match ran {
                Ok(Progress::Yield) => self.sessions.run.push_back(id),
                Ok(Progress::Wait(until)) => {
                    client.doing = Doing::Waiting(until);
                    self.sessions.waiting.insert((until, id));
                }
                Ok(Progress::Order(op)) => self.order(now, id, op),
                Ok(Progress::Reply { reply, depends_on, hangup }) => {
                    if let Err(Error::Internal { why }) = &reply {
                        self.event(Event::StatementPanicked { why: why.clone() });
                    }
                    self.answered(now, id, reply, depends_on, hangup);
                }
                Err(panic) => {
                    let why = panic_text(&*panic);
                    self.event(Event::StatementPanicked { why: why.clone() });
                    self.answered(now, id, Err(Error::Internal { why }), Seqno::ZERO, true);
                }
            }
            self.call_waiting();
        }
    }

    /// Runs the sessions whose turn at a key has come.
    fn call_waiting(&mut self) {
        for id in self.local.queues.called().into_iter().map(SessionId) {
            self.wake(id);
        }
    }

    fn wake(&mut self, id: SessionId) {
        if let Some(client) = self.sessions.clients.get_mut(&id)
            && let Doing::Waiting(until) = client.doing
        {
            client.doing = Doing::Running;
            self.sessions.waiting.remove(&(until, id));
            self.sessions.run.push_back(id);
        }
    }

    /// Those who have waited long enough are run to say so.
    fn wake_late(&mut self, now: Now) {
        while self.sessions.waiting.first().is_some_and(|(until, _)| *until <= now.mono) {
            let (_, id) = self.sessions.waiting.pop_first().expect("there is a first one");
            self.wake(id);
        }
    }

    /// A session is over, and with it what it holds.
    pub(crate) fn close_session(&mut self, id: SessionId) {
        self.sessions.close(id);
        self.local.queues.release(id.0);
        self.call_waiting();
    }

    fn order(&mut self, now: Now, id: SessionId, op: Bytes) {
        let bytes = op.len() as u64;
        match self.consensus.propose(now, Room::Store, op) {
            Ok(proposal) => {
                self.counters.replicated += 1;
                self.counters.replicated_bytes += bytes;
                self.sessions.ordering.insert(proposal.counter, id);
                let client = self.sessions.clients.get_mut(&id).expect("it ran a moment ago");
                client.doing = Doing::Ordering;
                client.ordered = Some(proposal);
                client.ordered_at = self.store.applied();
            }
            Err(refusal) => {
                let error = match refusal {
                    Refusal::TooMany { max, .. } => Error::Busy { what: "proposals_max", max: max as u64 },
                    Refusal::NotStarted => Error::NotPrimary { why: refusal.to_string() },
                };
                self.sessions.clients.get_mut(&id).expect("it ran a moment ago").session.resume(Err(error));
                self.sessions.run.push_back(id);
            }
        }
    }

    /// What came of a proposal of this node's; its session goes on.
    pub(crate) fn resume(&mut self, id: ProposalId, verdict: Result<Verdict, Error>) {
        let Some(session) = self.sessions.ordering.remove(&id.counter) else { return };
        let Some(client) = self.sessions.clients.get_mut(&session) else { return };
        if matches!(client.doing, Doing::Ordering) {
            client.doing = Doing::Running;
            client.session.resume(verdict);
            self.sessions.run.push_back(session);
        }
    }

    /// The bug that takes *committed* for *certified and applied*.
    pub(crate) fn acknowledge_unapplied(&mut self, group: &[plait_consensus::Proposal]) {
        let (seqno, me) = (self.store.applied().next(), self.config.slot);
        for id in group.iter().map(|p| p.id).filter(|id| id.slot == me) {
            if self.consensus.settle(id) {
                self.resume(id, Ok(Verdict::done(seqno)));
            }
        }
    }

    pub(crate) fn unresolved(&mut self, id: ProposalId, sent: bool) {
        if sent {
            self.counters.unknown += 1;
            return self.resume(id, Err(Error::Unknown { id }));
        }
        let waited_ms = self.config.limits.commit_timeout.as_millis() as u64;
        self.resume(id, Err(Error::TimedOut { what: "a leader to order the commit", waited_ms }));
    }

    fn answered(
        &mut self,
        now: Now,
        id: SessionId,
        reply: Result<Reply, Error>,
        depends_on: Seqno,
        hangup: bool,
    ) {
        let stable_timeout = self.config.limits.stable_timeout;
        let client = self.sessions.clients.get_mut(&id).expect("it ran a moment ago");
        if let Some((request, deadline)) = client.again.take()
            && matches!(reply, Err(Error::NotPrimary { .. }))
            && !hangup
            && now.mono < deadline
        {
            client.doing = Doing::AwaitingLease(request, deadline);
            self.sessions.awaiting_lease.push(id);
            return;
        }
        client.doing = Doing::Held;
        let ticket = client.ticket;
        let commit = client.ordered.filter(|_| reply.as_ref().is_ok_and(|r| r.seqno.is_some()));
        let hold = Hold { session: id, ticket, commit, reply, hangup, deadline: now.mono + stable_timeout };
        let free = match commit {
            Some(_) => zoo::on(Bug::AckBeforeStable) || zoo::on(Bug::AckBeforeApply),
            None => zoo::on(Bug::ReadNotHeld),
        };
        // *Unknown* tells nothing that could turn out to be too new, and nothing may turn it into a *no* any more.
        let unknown = hold.reply.as_ref().is_err_and(|error| error.outcome() == Outcome::Unknown);
        if free || unknown || depends_on <= self.stable_seqno() {
            return self.reply(hold);
        }
        self.out.push(Output::Event(Event::Held { seqno: depends_on }));
        self.sessions.held.insert((depends_on, ticket), hold);
    }

    fn reply(&mut self, hold: Hold) {
        if let Some(client) = self.sessions.clients.get_mut(&hold.session) {
            client.doing = Doing::Nothing;
        }
        self.tell(hold.ticket, hold.reply);
        if hold.hangup {
            self.close_session(hold.session);
            if hold.session != OWN_SESSION {
                self.out.push(Output::Hangup { session: hold.session });
            }
        }
    }

    /// Lets go of the replies whose position is stable now.
    pub(crate) fn release(&mut self) {
        if self.sessions.held.is_empty() {
            return;
        }
        let stable = self.stable_seqno();
        while self.sessions.held.first_key_value().is_some_and(|((seqno, _), _)| *seqno <= stable) {
            let (_, hold) = self.sessions.held.pop_first().expect("there is a first one");
            self.reply(hold);
        }
    }

    fn try_leases_again(&mut self, now: Now) {
        if self.sessions.awaiting_lease.is_empty() {
            return;
        }
        let may_read = self.may_read(now).is_ok();
        for id in std::mem::take(&mut self.sessions.awaiting_lease) {
            let Some(client) = self.sessions.clients.get_mut(&id) else { continue };
            match std::mem::replace(&mut client.doing, Doing::Nothing) {
                Doing::AwaitingLease(request, deadline) if may_read || now.mono >= deadline => {
                    self.begin(id, request);
                }
                waiting => {
                    client.doing = waiting;
                    self.sessions.awaiting_lease.push(id);
                }
            }
        }
    }

    pub(crate) fn read_index_known(&mut self, round: u64, read_index: Index) {
        for id in &self.sessions.awaiting_index {
            if let Some(Client { doing: Doing::AwaitingIndex { round: asked, index, .. }, .. }) =
                self.sessions.clients.get_mut(id)
                && *asked <= round
            {
                index.get_or_insert(read_index);
            }
        }
    }

    fn try_indexes_again(&mut self, now: Now) {
        if self.sessions.awaiting_index.is_empty() {
            return;
        }
        let applied = self.consensus.applied_index();
        for id in std::mem::take(&mut self.sessions.awaiting_index) {
            let Some(client) = self.sessions.clients.get_mut(&id) else { continue };
            let Doing::AwaitingIndex { index, deadline, .. } = &client.doing else { continue };
            client.caught_up = index.is_some_and(|i| i <= applied || zoo::on(Bug::IndexNotAwaited));
            if !client.caught_up && now.mono < *deadline {
                self.sessions.awaiting_index.push(id);
            } else if let Doing::AwaitingIndex { request, .. } =
                std::mem::replace(&mut client.doing, Doing::Nothing)
            {
                self.begin(id, request);
            }
        }
    }

    /// Held replies whose stable position did not come in time.
    pub(crate) fn expire_sessions(&mut self, now: Now) {
        let late: Vec<_> = self
            .sessions
            .held
            .iter()
            .filter(|(_, hold)| hold.deadline <= now.mono)
            .map(|(key, _)| *key)
            .collect();
        let waited_ms = self.config.limits.stable_timeout.as_millis() as u64;
        for key in late {
            let mut hold = self.sessions.held.remove(&key).expect("it was found a moment ago");
            self.event(Event::HoldExpired { seqno: key.0 });
            if let Some(id) = hold.commit {
                // It is committed, but a node that is cut off may still serve what was before: not a *yes* yet.
                self.counters.unknown += 1;
                hold.reply = Err(Error::Unknown { id });
                hold.hangup = true;
            } else {
                hold.reply = Err(Error::TimedOut { what: "a stable position for what was read", waited_ms });
            }
            self.reply(hold);
        }
    }

    /// The state was replaced by a snapshot: no session's view of it holds any more.
    pub(crate) fn reset_sessions(&mut self) {
        let ids: Vec<_> = self.sessions.clients.keys().copied().collect();
        self.sessions.held.clear();
        self.sessions.ordering.clear();
        self.sessions.run.clear();
        self.sessions.waiting.clear();
        self.local.queues.clear();
        self.sessions.awaiting_lease.clear();
        self.sessions.awaiting_index.clear();
        for session in ids {
            let client = self.sessions.clients.remove(&session).expect("it was found a moment ago");
            if !matches!(client.doing, Doing::Nothing) {
                let why = "its state was replaced by a snapshot while the request was under way".to_owned();
                let reply = match client.ordered {
                    Some(id) => Err(Error::Unknown { id }),
                    None => Err(Error::NotPrimary { why }),
                };
                self.tell(client.ticket, reply);
            }
            if session != OWN_SESSION {
                self.out.push(Output::Hangup { session });
            }
        }
    }

    /// Answers a request, unless it was this node's own.
    fn tell(&mut self, ticket: Ticket, reply: Result<Reply, Error>) {
        if ticket != OWN_TICKET {
            self.out.push(Output::Reply { ticket, reply });
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
