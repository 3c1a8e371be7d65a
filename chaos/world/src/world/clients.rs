//! Clients: they carry a workload's transactions to the nodes, with latency and pauses, and say how each ended.
//!
//! A transaction ends *yes* when its last request was answered so; *no* when it was refused, or when its connection
//! broke before a request that could commit had reached the node; *unknown* otherwise. A client never takes
//! *unknown* for *no*, and never tries an unknown transaction again.
//! For the judge a request begins when the node takes it, and ends when the node answers; what the way to the
//! client adds is the client's own affair, and would only make promises weaker.

mod clerk;

pub(super) use clerk::Clerk;

use super::story::Level;
use super::{Happening, MS, World};
use crate::invariant::stall;
use crate::marks::Mark;
use crate::plan::{OpPlan, Plan};
use crate::workload::{At, End, Form, Next, Run, Writes};
use plait_base::{Draws, Outcome, Slot};
use plait_replica::{Input, Request, SessionId, Ticket};
use plait_store::{self as store, Error, Isolation, Reply, StepResult};
use std::collections::VecDeque;

pub(super) struct Client {
    load: usize,
    /// Its number within its load.
    local: usize,
    home: Slot,
    at: Slot,
    /// A session belongs to one life of one node.
    session: Option<(SessionId, u32)>,
    running: Option<Running>,
    draws: Draws,
    idle: bool,
    /// What it is still to do, if the plan lists that.
    listed: Option<VecDeque<OpPlan>>,
}

struct Running {
    at: At,
    form: Form,
    writes: bool,
    stage: Stage,
    /// When the first statement reached the node; `u64::MAX`: it has not.
    begun_ns: u64,
    asked_ns: u64,
    waiting: Option<Ticket>,
    arrived: bool,
    /// Of its write-set, once a node has said it.
    seqno: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// One request is all.
    Whole,
    Begin,
    Statement(u32),
    Commit,
    Rollback,
}

/// A request on its way to a node.
pub(super) struct Ask {
    client: usize,
    slot: Slot,
    life: u32,
    ticket: Ticket,
    session: SessionId,
    request: store::Request,
}

/// A ticket's low part names its client; this is the clerk.
const CLERK: usize = 0xfff;
/// A client that waited so long for one answer gives up: the outcome is then unknown.
const PATIENCE_NS: u64 = 9_000 * MS;
/// The tables must be there by then, or the run shows nothing.
const SET_UP_NS_MAX: u64 = 12_000 * MS;

pub(super) fn all(plan: &Plan) -> Vec<Client> {
    let mut clients = Vec::new();
    for (load, of) in plan.loads.iter().enumerate() {
        for local in 0..of.clients as usize {
            let number = clients.len() as u64;
            let mut draws = Draws::new(plan.seed, &format!("client.{}", of.kind), local as u64);
            let home = Slot::ALL[(number as usize + draws.below(3) as usize) % 3];
            let listed = plan.ops.as_ref().map(|ops| {
                let mine = |op: &&OpPlan| op.load == of.kind && op.client as usize == local;
                let mut ops: Vec<OpPlan> = ops.iter().filter(mine).cloned().collect();
                ops.sort_by_key(|op| (op.at_ns, op.op));
                VecDeque::from(ops)
            });
            clients.push(Client {
                load,
                local,
                home,
                at: home,
                session: None,
                running: None,
                draws,
                idle: listed.as_ref().is_some_and(VecDeque::is_empty),
                listed,
            });
        }
    }
    clients
}

fn client_of(ticket: Ticket) -> usize {
    (ticket.0 & 0xfff) as usize
}

impl World {
    fn ticket(&mut self, client: usize) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets << 12 | client as u64)
    }

    fn new_session(&mut self) -> SessionId {
        self.sessions += 1;
        SessionId(self.sessions)
    }

    // ---- a client's transaction

    pub(super) fn wake(&mut self, c: usize) {
        if self.clients[c].running.is_some() {
            return;
        }
        if self.ending {
            self.clients[c].idle = true;
            return;
        }
        if self.clients[c].listed.is_some() {
            return self.wake_listed(c);
        }
        let plan = &self.plan.loads[self.clients[c].load];
        let roam = plan.roam_per_mille;
        let client = &mut self.clients[c];
        if client.draws.chance(roam) {
            client.at = Slot::ALL[client.draws.below(3) as usize];
        } else if client.draws.chance(300) {
            client.at = client.home;
        }
        // Whoever cannot connect tries the next node at once.
        let Some(slot) =
            (0..3).map(|i| Slot::ALL[(client.at.at() + i) % 3]).find(|s| self.hosts[s.at()].runs())
        else {
            return self.after(50 * MS, Happening::Wake { client: c });
        };
        let leaves = slot != client.at;
        if leaves {
            client.at = slot;
            self.leave_session(c);
        }
        let op = self.judge.ledger.begin();
        if let Some(made) = &mut self.made {
            let client = &self.clients[c];
            made.push(OpPlan {
                op,
                load: self.plan.loads[client.load].kind.clone(),
                client: client.local as u32,
                node: slot.get(),
                at_ns: self.now_ns,
                draws: client.draws.drawn(),
                leaves,
            });
        }
        self.begin(c, At { op, client: c as u32, slot });
    }

    /// The next transaction of a client whose transactions are listed. At a closed door it is not made.
    fn wake_listed(&mut self, c: usize) {
        let client = &mut self.clients[c];
        let Some(next) = client.listed.as_mut().and_then(VecDeque::pop_front) else {
            client.idle = true;
            return;
        };
        let slot = Slot::new(next.node).expect("a plan was checked when it was read");
        if !self.hosts[slot.at()].runs() {
            return self.wake_later(c, 0);
        }
        let client = &mut self.clients[c];
        client.at = slot;
        client.draws.skip_to(next.draws);
        if next.leaves {
            self.leave_session(c);
        }
        self.judge.ledger.begin_as(next.op);
        if let Some(made) = &mut self.made {
            made.push(next.clone());
        }
        self.begin(c, At { op: next.op, client: c as u32, slot });
    }

    /// When a client begins its next transaction: after a pause, or when the plan says.
    pub(super) fn wake_later(&mut self, c: usize, pause_ns: u64) {
        match &self.clients[c].listed {
            None => self.after(pause_ns, Happening::Wake { client: c }),
            Some(listed) => match listed.front() {
                Some(next) => self.queue.push(next.at_ns, Happening::Wake { client: c }),
                None => self.clients[c].idle = true,
            },
        }
    }

    fn begin(&mut self, c: usize, at: At) {
        let client = &mut self.clients[c];
        let (form, writes) = self.loads[client.load].start(client.local, at, &self.judge, &mut client.draws);
        if writes == Writes::Noted {
            self.judge.ledger.writes(at.op);
        }
        let stage = match form {
            Form::Session(_) => Stage::Begin,
            Form::Statements => Stage::Statement(0),
            _ => Stage::Whole,
        };
        let running = Running {
            at,
            form,
            writes: writes.any(),
            stage,
            begun_ns: u64::MAX,
            asked_ns: self.now_ns,
            waiting: None,
            arrived: false,
            seqno: None,
        };
        self.clients[c].running = Some(running);
        let request = match form {
            Form::Session(isolation) => store::Request::Begin { isolation },
            Form::Script(isolation) => match self.next_of(c, 0, &[]) {
                Next::Run(steps) => store::Request::Script { isolation, steps },
                _ => unreachable!("a script has steps"),
            },
            Form::Auto => match self.next_of(c, 0, &[]) {
                Next::Run(steps) => store::Request::Run(steps),
                _ => unreachable!("a statement has steps"),
            },
            Form::Text | Form::Statements => match self.next_of(c, 0, &[]) {
                Next::Text(text) => store::Request::Sql { text, multi: true },
                _ => unreachable!("a text is a text"),
            },
        };
        self.request(c, request, 0);
    }

    fn next_of(&mut self, c: usize, stage: u32, last: &[StepResult]) -> Next {
        let client = &mut self.clients[c];
        let running = client.running.as_ref().expect("a transaction is under way");
        let mut run = Run {
            at: running.at,
            script: !matches!(running.form, Form::Session(_)),
            begun_ns: running.begun_ns,
            judge: &mut self.judge,
            draws: &mut client.draws,
        };
        self.loads[client.load].run(client.local, stage, last, &mut run)
    }

    /// Sends a request after a pause of `think_ns`.
    fn request(&mut self, c: usize, request: store::Request, think_ns: u64) {
        let ticket = self.ticket(c);
        let slot = self.clients[c].running.as_ref().expect("a transaction is under way").at.slot;
        let life = self.hosts[slot.at()].life;
        let session = match self.clients[c].session {
            Some((session, of)) if of == life => session,
            _ => {
                let session = self.new_session();
                self.clients[c].session = Some((session, life));
                session
            }
        };
        let running = self.clients[c].running.as_mut().expect("a transaction is under way");
        running.waiting = Some(ticket);
        running.arrived = false;
        running.asked_ns = self.now_ns + think_ns;
        let delay_ns = self.plan.net.client_delay_us * 1000;
        let ask = Ask { client: c, slot, life, ticket, session, request };
        self.after(think_ns + delay_ns, Happening::Ask(Box::new(ask)));
    }

    /// A request comes to the node's door.
    pub(super) fn ask(&mut self, ask: Ask) {
        let Ask { client, slot, life, ticket, session, request } = ask;
        let host = &self.hosts[slot.at()];
        if !host.runs() || host.life != life {
            return match client {
                CLERK => self.clerk_again(),
                c if self.waits(c, ticket) => self.broken(c),
                _ => {}
            };
        }
        if client != CLERK && !self.waits(client, ticket) {
            return;
        }
        self.input(slot, Input::Request { ticket, session, request: Request::Store(request) });
    }

    fn waits(&self, c: usize, ticket: Ticket) -> bool {
        let running = self.clients.get(c).and_then(|client| client.running.as_ref());
        running.is_some_and(|r| r.waiting == Some(ticket))
    }

    /// The node takes a request in.
    pub(super) fn asked(&mut self, _slot: Slot, ticket: Ticket) {
        let c = client_of(ticket);
        if c == CLERK {
            self.clerk.begun_ns = self.now_ns;
            return;
        }
        if !self.waits(c, ticket) {
            return;
        }
        let now_ns = self.now_ns;
        let client = &mut self.clients[c];
        let running = client.running.as_mut().expect("it waits");
        running.arrived = true;
        if matches!(running.stage, Stage::Whole | Stage::Statement(0)) {
            running.begun_ns = now_ns;
            self.loads[client.load].begun(client.local, &self.judge);
        }
    }

    pub(super) fn replied(&mut self, slot: Slot, ticket: Ticket, reply: Result<Reply, Error>) {
        if let Ok(Reply { seqno: Some(seqno), .. }) = &reply
            && let Some(look) = self.look_at(slot)
        {
            let applied = self.ordered[slot.at()];
            let index = look.status.applied_index;
            let found = self.judge.acks.yes(slot, seqno.0, applied, index);
            if let Err(why) = found {
                self.judge.broken("ack", why);
            }
        }
        let c = client_of(ticket);
        if c == CLERK {
            return self.clerk_replied(slot, ticket, reply);
        }
        if !self.waits(c, ticket) {
            return;
        }
        self.waited(c, || match &reply {
            Ok(_) => "then it was answered".to_owned(),
            Err(error) => format!("then it was told: {error}"),
        });
        let running = self.clients[c].running.as_mut().expect("it waits");
        running.waiting = None;
        if let Ok(Reply { seqno: Some(seqno), .. }) = &reply {
            running.seqno = Some(seqno.0);
        }
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                if running.form == Form::Text || !matches!(running.stage, Stage::Whole) {
                    // Whether or not the node rolled back, this client begins anew.
                    self.leave_session(c);
                }
                return self.end(c, error.outcome(), &[], Some(&error));
            }
        };
        let (stage, form) = (running.stage, running.form);
        let next = match stage {
            Stage::Whole | Stage::Commit => {
                if form == Form::Statements && self.clients[c].draws.chance(700) {
                    // What the session still has is for the node to take back.
                    self.leave_session(c);
                }
                return self.end(c, Outcome::Yes, &reply.results, None);
            }
            Stage::Rollback => return self.end(c, Outcome::No, &[], None),
            Stage::Begin => self.next_of(c, 0, &[]),
            Stage::Statement(n) => self.next_of(c, n + 1, &reply.results),
        };
        let (stage, request) = match (next, stage) {
            (Next::Text(text), Stage::Begin) => {
                (Stage::Statement(0), store::Request::Sql { text, multi: true })
            }
            (Next::Text(text), Stage::Statement(n)) => {
                (Stage::Statement(n + 1), store::Request::Sql { text, multi: true })
            }
            (Next::Write(steps), _) => {
                let isolation = Isolation::ReadCommitted;
                (Stage::Commit, store::Request::Script { isolation, steps })
            }
            (Next::Rollback, _) if form == Form::Statements => {
                // It wrote nothing, and nothing is there to be rolled back.
                self.clients[c].running.as_mut().expect("it waits").writes = false;
                return self.end(c, Outcome::No, &[], None);
            }
            (Next::Run(steps), Stage::Begin) => (Stage::Statement(0), store::Request::Run(steps)),
            (Next::Run(steps), Stage::Statement(n)) => (Stage::Statement(n + 1), store::Request::Run(steps)),
            (Next::Commit, _) => (Stage::Commit, store::Request::Commit),
            (Next::Rollback, _) => (Stage::Rollback, store::Request::Rollback),
            (Next::Run(_) | Next::Text(_), _) => unreachable!("other stages have returned"),
        };
        let client = &mut self.clients[c];
        client.running.as_mut().expect("it waits").stage = stage;
        let think_ns = client.draws.below(self.plan.loads[client.load].think_us * 2000);
        self.request(c, request, think_ns);
    }

    /// Whether a client on such a node waits for the answer to a request that may commit.
    pub(super) fn write_under_way(&self, on: impl Fn(Slot) -> bool) -> bool {
        self.clients.iter().filter_map(|c| c.running.as_ref()).any(|r| {
            let commits = r.writes && matches!(r.stage, Stage::Whole | Stage::Commit);
            commits && r.waiting.is_some() && r.arrived && on(r.at.slot)
        })
    }

    /// Looks at how long a client has waited for the answer to its request.
    fn waited(&mut self, c: usize, what: impl Fn() -> String) {
        let Some(running) = &self.clients[c].running else { return };
        let (slot, asked_ns, now_ns) = (running.at.slot, running.asked_ns, self.now_ns);
        let whole = Slot::ALL.map(|slot| self.hosts[slot.at()].caught_up);
        let longest_ns = self.judge.stalls.longest_ns;
        let found = self.judge.stalls.waited(slot, asked_ns, now_ns, whole, &what);
        let news = self.judge.stalls.longest_ns > longest_ns.max(stall::TOLD_NS_MIN);
        if news && self.tells(Level::Story) {
            let waited_ms = self.judge.stalls.longest_ns / MS;
            let why = what();
            self.tell(
                format!("client {c}"),
                format!("has waited {waited_ms} ms for a sound node ({slot}), {why}"),
                None,
            );
        }
        if let Err(why) = found {
            self.judge.broken("stall", why);
        }
    }

    /// The client's session is over: the node rolls back what was open.
    fn leave_session(&mut self, c: usize) {
        let slot = self.clients[c].running.as_ref().map_or(self.clients[c].at, |r| r.at.slot);
        if let Some((session, life)) = self.clients[c].session.take()
            && self.hosts[slot.at()].life == life
        {
            self.input(slot, Input::Closed { session });
        }
    }

    pub(super) fn hung_up(&mut self, _slot: Slot, session: SessionId) {
        let Some(c) = self.clients.iter().position(|c| c.session.is_some_and(|(s, _)| s == session)) else {
            return;
        };
        self.clients[c].session = None;
        if self.clients[c].running.as_ref().is_some_and(|r| r.waiting.is_some()) {
            self.broken(c);
        }
    }

    /// The connection broke with a request under way.
    fn broken(&mut self, c: usize) {
        let running = self.clients[c].running.as_mut().expect("a request is under way");
        let could_commit = running.writes && matches!(running.stage, Stage::Whole | Stage::Commit);
        let outcome = if could_commit && running.arrived { Outcome::Unknown } else { Outcome::No };
        running.waiting = None;
        self.clients[c].session = None;
        self.end(c, outcome, &[], None);
    }

    /// A process is gone, and with it its connections.
    pub(super) fn break_clients(&mut self, slot: Slot) {
        for c in 0..self.clients.len() {
            let client = &mut self.clients[c];
            match &client.running {
                // What is still on its way finds a closed door when it comes.
                Some(r) if r.at.slot == slot && r.waiting.is_some() && r.arrived => self.broken(c),
                None if client.at == slot => client.session = None,
                _ => {}
            }
        }
        if self.clerk.waiting.is_some_and(|(_, at, _)| at == slot) {
            self.clerk_again();
        }
    }

    fn end(&mut self, c: usize, outcome: Outcome, results: &[StepResult], error: Option<&Error>) {
        let now_ns = self.now_ns;
        let client = &mut self.clients[c];
        let running = client.running.take().expect("a transaction ends once");
        let found = self.judge.ledger.end(running.at.op, outcome, now_ns);
        if let Err(why) = found {
            self.judge.broken("ledger", why);
        }
        if matches!(error, Some(Error::NotPrimary { .. })) {
            self.marks.set(Mark::NotPrimary);
            let slot = running.at.slot;
            let apart = |other: Slot| {
                !self.hosts[other.at()].runs() || self.net.is_cut(slot, other) || self.net.is_cut(other, slot)
            };
            if !running.writes && slot.others().all(apart) {
                self.marks.set(Mark::MinorityRefusedRead);
            }
        }
        if matches!((error, running.form), (Some(Error::SchemaChanged { .. }), Form::Session(_))) {
            self.marks.set(Mark::SchemaMoved);
        }
        let end = End { at: running.at, outcome, results, error, begun_ns: running.begun_ns };
        let client = &self.clients[c];
        self.loads[client.load].done(client.local, &end, &mut self.judge);
        if running.writes {
            match outcome {
                Outcome::Yes => self.counts.yes += 1,
                Outcome::No => self.counts.no += 1,
                Outcome::Unknown => self.counts.unknown += 1,
            }
            let calm = running.begun_ns != u64::MAX && self.is_calm(running.begun_ns, now_ns);
            self.counts.calm += u64::from(calm);
            self.counts.calm_yes += u64::from(calm && outcome == Outcome::Yes);
        } else {
            self.counts.reads += u64::from(outcome == Outcome::Yes);
        }
        if self.tells(Level::Story) {
            self.tell_end(c, &running, outcome, error);
        }
        if let Some(diagram) = &mut self.diagram {
            diagram.ops.push(super::diagram::Op {
                op: running.at.op,
                workload: self.plan.loads[self.clients[c].load].kind.clone(),
                client: c,
                slot: running.at.slot,
                form: format!("{:?}{}", running.form, if running.writes { "" } else { ", reads only" }),
                from_ns: if running.begun_ns == u64::MAX { running.asked_ns } else { running.begun_ns },
                to_ns: now_ns,
                outcome,
                error: error.map(ToString::to_string),
                seqno: running.seqno,
            });
        }
        let client = &mut self.clients[c];
        let mut wait_ns = client.draws.below(self.plan.loads[client.load].pause_us * 2000);
        if matches!(error, Some(Error::NotPrimary { .. } | Error::TimedOut { .. }))
            || outcome == Outcome::Unknown
        {
            client.at = Slot::ALL[(running.at.slot.at() + 1 + client.draws.below(2) as usize) % 3];
            client.session = None;
            wait_ns += client.draws.below(100 * MS);
        }
        self.wake_later(c, wait_ns);
    }

    fn tell_end(&mut self, c: usize, running: &Running, outcome: Outcome, error: Option<&Error>) {
        let load = &self.plan.loads[self.clients[c].load].kind;
        let said = match outcome {
            Outcome::Yes => "yes",
            Outcome::No => "no",
            Outcome::Unknown => "unknown",
        };
        let mut what = format!("{load} transaction {} on {}: {said}", running.at.op, running.at.slot);
        if !running.writes {
            what.push_str(" (reads only)");
        }
        if let Some(error) = error {
            what.push_str(&format!(" ({error})"));
        } else if outcome != Outcome::Yes && running.stage != Stage::Rollback {
            what.push_str(" (the connection broke)");
        }
        self.tell(format!("client {c}"), what, None);
    }

    /// Clients that wait too long give up.
    pub(super) fn sweep_clients(&mut self) {
        for c in 0..self.clients.len() {
            let Some(running) = &self.clients[c].running else { continue };
            if running.waiting.is_some() && running.arrived {
                self.waited(c, || "and it still waits".to_owned());
            }
            let running = self.clients[c].running.as_ref().expect("looking changes nothing");
            if running.waiting.is_some() && running.asked_ns + PATIENCE_NS < self.now_ns {
                let slot = running.at.slot;
                let session = self.clients[c].session;
                self.broken(c);
                if let Some((session, life)) = session.filter(|(_, life)| *life == self.hosts[slot.at()].life)
                {
                    let _ = life;
                    self.input(slot, Input::Closed { session });
                }
            }
        }
        if !self.clerk.ready && self.now_ns > SET_UP_NS_MAX {
            self.judge.broken("live", "the tables could not be made, and no fault had begun".to_owned());
        }
        if self.clerk.waiting.is_some_and(|(_, _, asked_ns)| asked_ns + PATIENCE_NS < self.now_ns) {
            self.clerk_again();
        }
    }
}
