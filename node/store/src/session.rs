//! Sessions: what a client's requests mean, one after the other.
//!
//! Intuition: an interpreter that can stop anywhere. It runs until its slice of work is spent, until something must
//! be ordered, or until it has an answer; whoever drives it decides what comes in between.
//! Invariant: a reply names the newest position that it rests on, a *no* as well as a *yes*; whoever sends it holds
//! it until that position is stable. A write of a transaction is visible to nobody before its operation is applied.
//! Not here: leases, proposals, time-outs (replica); SQL text (`sql`).

pub(crate) mod replay;
mod work;

pub(crate) use crate::action::{Action, Drops, Env, Savepoint, Turn, Work};
use crate::catalogue;
use crate::error::Error;
use crate::ids::Local;
use crate::op::{self, Op};
use crate::request::{Done, Isolation, Reply, Request, StepResult};
use crate::sql;
use crate::steps::Steps;
use crate::store::Store;
use crate::txn::Txn;
use crate::verdict::Verdict;
use plait_base::{BootEpoch, Bytes, ClusterId, Mono, Now, ProposalId, Seqno, Slot};
use replay::Replay;
use work::{Stage, Working};

/// How often a statement that is a transaction of its own is tried again after a conflict.
pub const RETRIES_MAX: u32 = 4;

/// What a session is told about the node and the moment.
pub struct Context<'a> {
    pub now: Now,
    /// Whether a snapshot taken now would be one of the present; else why not.
    pub may_read: Result<(), String>,
    /// The node's `wsrep_…` rows.
    pub status: &'a dyn Fn() -> Vec<(String, String)>,
    /// The session's number, for `CONNECTION_ID()`.
    pub connection: u64,
    /// `galera_compat`: transactions go by Galera's rules.
    pub galera: bool,
    /// Which start of the node this is: what a named lock's holder is known by.
    pub epoch: BootEpoch,
    pub cluster: ClusterId,
    /// The newest position that is published here.
    pub applied: Seqno,
    /// Whether a proposal was done or refused, as far as this node remembers.
    pub verdict: &'a dyn Fn(ProposalId) -> Option<bool>,
}

impl Context<'static> {
    /// Of the first session of a node that serves and knows of no other.
    pub fn alone(now: Now) -> Context<'static> {
        Context {
            now,
            may_read: Ok(()),
            status: &Vec::new,
            connection: 1,
            galera: false,
            epoch: BootEpoch::ZERO,
            cluster: ClusterId([0; 16]),
            applied: Seqno::ZERO,
            verdict: &|_| None,
        }
    }
}

/// Why [`Session::run`] came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The budget is spent (or something must be published first): run it again later.
    Yield,
    /// It stands in line for a key: run it again when it is called ([`Queues::called`](crate::Queues::called)), or
    /// at this time.
    Wait(Mono),
    /// This operation is to be ordered; then [`Session::resume`] and run again.
    Order(Bytes),
    /// The request is done. `depends_on`: the newest position that the reply rests on. `hangup`: the client's
    /// connection is to be closed after the reply.
    Reply { reply: Result<Reply, Error>, depends_on: Seqno, hangup: bool },
}

/// One client's session.
pub struct Session {
    slot: Slot,
    /// The open transaction.
    txn: Option<Txn>,
    job: Option<Job>,
    pub(crate) vars: sql::Vars,
    /// How often a transaction that lost at COMMIT answered as before and was ordered again, since this was set to 0.
    pub replays: u64,
}

/// The request under way.
struct Job {
    plan: Plan,
    results: Vec<StepResult>,
    seqno: Option<Seqno>,
    depends_on: Seqno,
    doing: Doing,
    verdict: Option<Result<Verdict, Error>>,
    /// The transaction that lost at COMMIT is done once more.
    replay: Option<Box<Replay>>,
    replays_left: Option<u32>,
}

/// Where the next action comes from.
enum Plan {
    One(Option<Action>),
    Sql(sql::Script),
}

// One lives in a session while it works: its size does not matter.
#[allow(clippy::large_enum_variant)]
enum Doing {
    /// The next action is to be fetched.
    Next,
    Work(Box<Working>),
    /// Waits for the verdict of a commit; then goes on with an action that had to wait for it.
    Commit {
        txn: Box<Txn>,
        then: Option<Action>,
    },
    /// Waits for the verdict of a table's creation.
    Create,
    /// Waits for the verdict of a change of a table's definition; begins it again if somebody was faster.
    Alter {
        alter: Box<sql::Alter>,
        tries_left: u32,
    },
    /// Waits for the verdict of the first one's removal.
    Drop(Drops),
}

/// What a step of the interpreter led to.
enum Move {
    On,
    Out(Progress),
    Fail(Error),
}

impl Session {
    pub fn new(slot: Slot) -> Session {
        Session { slot, txn: None, job: None, vars: sql::Vars::new(slot), replays: 0 }
    }

    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Takes a request; refused while another is under way, which is not disturbed.
    pub fn start(&mut self, request: Request) -> Result<(), Error> {
        if self.job.is_some() {
            return Err(Error::Misuse {
                why: "a session has one request at a time; wait for the reply, or use another session".into(),
            });
        }
        let action = match request {
            Request::Begin { isolation } => Action::Begin(Some(isolation)),
            Request::Run(steps) => Action::Work(Work::Steps(Steps::new(steps))),
            Request::Commit => Action::Commit,
            Request::Rollback => Action::Rollback,
            Request::Script { isolation, steps } => Action::Whole(isolation, Work::Steps(Steps::new(steps))),
            Request::CreateTable(def) => Action::Create(*def),
            Request::DropTable { name, if_exists } => Action::Drop(Drops::new([name], if_exists, false)),
            Request::Attach(client) => Action::Attach(client),
            Request::Close(number) => {
                self.vars.forms.close(number);
                self.job = Some(Job::new(Plan::One(None)));
                return Ok(());
            }
            Request::Prepare(text) => {
                self.job = Some(Job::new(Plan::Sql(sql::Script::prepare(text))));
                return Ok(());
            }
            Request::Execute { number, params } => {
                self.job = Some(Job::new(Plan::Sql(sql::Script::execute(number, params))));
                return Ok(());
            }
            Request::Sql { text, multi } => {
                let script = sql::Script::new(text, multi);
                self.job = Some(Job::new(Plan::Sql(script)));
                return Ok(());
            }
        };
        self.job = Some(Job::new(Plan::One(Some(action))));
        Ok(())
    }

    /// Whether it has this named lock, as far as it knows.
    pub fn has_lock(&self, name: &str) -> bool {
        self.vars.locks.has(name)
    }

    /// Whether a request is under way.
    pub fn busy(&self) -> bool {
        self.job.is_some()
    }

    pub fn in_transaction(&self) -> bool {
        self.txn.is_some()
    }

    /// The oldest snapshot that is still read from.
    pub fn snapshot(&self) -> Option<Seqno> {
        let own = match self.job.as_ref().map(|job| &job.doing) {
            Some(Doing::Work(working)) => working.own.as_ref().and_then(Txn::snapshot),
            _ => None,
        };
        let open = self.txn.as_ref().and_then(Txn::snapshot);
        own.into_iter().chain(open).min()
    }

    /// What came of the operation that was asked to be ordered. With `Ok` its position was published here before.
    pub fn resume(&mut self, verdict: Result<Verdict, Error>) {
        let job = self.job.as_mut().expect("a verdict comes for a request");
        assert!(
            job.waits() && job.verdict.is_none(),
            "a verdict comes once, for the operation that was ordered"
        );
        job.verdict = Some(verdict);
    }

    /// Goes on with the request until it yields, waits, needs an operation ordered, or has its reply.
    pub fn run(&mut self, store: &Store, local: &mut Local, ctx: &Context<'_>, budget: &mut u32) -> Progress {
        let progress = self.go_on(store, local, ctx, budget);
        let own =
            matches!(self.job.as_ref().map(|job| &job.doing), Some(Doing::Work(_) | Doing::Commit { .. }));
        if self.txn.is_none() && !own {
            local.queues.release(ctx.connection);
        }
        progress
    }

    fn go_on(&mut self, store: &Store, local: &mut Local, ctx: &Context<'_>, budget: &mut u32) -> Progress {
        let mut job = self.job.take().expect("a session is run for a request");
        assert!(!job.waits() || job.verdict.is_some(), "a session that waits for a verdict is not run");
        loop {
            match self.advance(&mut job, store, local, ctx, budget) {
                Move::On => {}
                Move::Out(progress) => {
                    if !matches!(progress, Progress::Reply { .. }) {
                        self.job = Some(job);
                    }
                    return progress;
                }
                Move::Fail(error) => {
                    let Err(error) = self.replay_failed(&mut job, error) else { continue };
                    self.vars.failed(&error);
                    let after = matches!(job.plan, Plan::Sql(_)) && !job.results.is_empty();
                    let hangup = matches!(
                        error,
                        Error::Unknown { .. } | Error::Internal { .. } | Error::LockLost { .. }
                    );
                    if hangup {
                        self.txn = None;
                    }
                    let error = if after {
                        Error::After { done: std::mem::take(&mut job.results), error: Box::new(error) }
                    } else {
                        error
                    };
                    return Progress::Reply { reply: Err(error), depends_on: job.depends_on, hangup };
                }
            }
        }
    }

    fn advance(
        &mut self,
        job: &mut Job,
        store: &Store,
        local: &mut Local,
        ctx: &Context<'_>,
        budget: &mut u32,
    ) -> Move {
        match std::mem::replace(&mut job.doing, Doing::Next) {
            Doing::Next if job.replay.is_some() => self.go_on_replaying(job, store, ctx),
            Doing::Next => match job.next(&mut self.vars, &mut local.plans, ctx) {
                Some(Ok(action)) => self.act(job, action, store, ctx),
                Some(Err(error)) => Move::Fail(error),
                None => Move::Out(Progress::Reply {
                    depends_on: job.depends_on,
                    reply: Ok(Reply {
                        results: std::mem::take(&mut job.results),
                        seqno: job.seqno,
                        in_transaction: self.txn.is_some(),
                        autocommit: self.vars.autocommit,
                        warnings: self.vars.warnings(),
                        prepared: self.vars.prepared.take(),
                    }),
                    hangup: false,
                }),
            },
            Doing::Work(working) => self.work(job, working, store, local, ctx, budget),
            Doing::Commit { mut txn, then } => {
                if let Err(error) = job.ruled(store) {
                    let error = txn.named(error);
                    return self.replay(job, &mut txn, then, error, ctx);
                }
                self.committed(job, store, ctx, then)
            }
            Doing::Create => match job.ruled(store) {
                Ok(_) => {
                    job.results.push(StepResult::Done(Done::default()));
                    Move::On
                }
                Err(error) => Move::Fail(error),
            },
            Doing::Alter { alter, tries_left } => match job.ruled(store) {
                Ok(_) => {
                    job.results.push(StepResult::Done(Done::default()));
                    Move::On
                }
                Err(Error::SchemaChanged { .. }) if tries_left > 0 => {
                    self.alter(job, store, ctx, alter, tries_left - 1)
                }
                Err(Error::SchemaChanged { .. }) => {
                    Move::Fail(Error::SchemaChanged { table: alter.table.name.clone() })
                }
                Err(error) => Move::Fail(error),
            },
            Doing::Drop(mut drops) => {
                let name = drops.names.pop_front();
                match job.ruled(store) {
                    Ok(_) => {}
                    Err(Error::NoTable { .. }) => drops.missing.extend(name),
                    Err(error) => return Move::Fail(error),
                }
                self.drop_next(job, drops)
            }
        }
    }

    fn act(&mut self, job: &mut Job, action: Action, store: &Store, ctx: &Context<'_>) -> Move {
        if let Some(lost) = self.vars.locks.lost(store) {
            return Move::Fail(lost);
        }
        match action {
            Action::Begin(isolation) => {
                if self.txn.is_some() {
                    return self.commit(job, store, ctx, Some(Action::Begin(isolation)));
                }
                let isolation = isolation.unwrap_or_else(|| self.vars.take_isolation());
                self.txn = Some(Txn::new(isolation));
                job.results.push(StepResult::Done(Done::default()));
                Move::On
            }
            Action::Commit => self.commit(job, store, ctx, None),
            Action::Rollback => {
                self.txn = None;
                job.results.push(StepResult::Done(Done::default()));
                Move::On
            }
            Action::Work(work) => {
                let own = match &mut self.txn {
                    Some(txn) => {
                        txn.mark();
                        None
                    }
                    None if !self.vars.autocommit => {
                        let mut txn = Txn::new(self.vars.take_isolation());
                        txn.mark();
                        self.txn = Some(txn);
                        None
                    }
                    None => Some(Txn::new(self.vars.take_isolation())),
                };
                job.doing = Doing::Work(Working::new(work, own, RETRIES_MAX, job.results.len()));
                Move::On
            }
            Action::Aside(work) => {
                let own = Some(Txn::new(Isolation::ReadCommitted));
                // Who waits for a lock waits as long as it said, however often another was faster.
                let tries = if matches!(work, Work::Named(_)) { u32::MAX } else { RETRIES_MAX };
                job.doing = Doing::Work(Working::new(work, own, tries, job.results.len()));
                Move::On
            }
            Action::Whole(isolation, work) => {
                if self.txn.is_some() {
                    return Move::Fail(Error::Misuse {
                        why: "a transaction is open in this session; end it before a one-shot transaction"
                            .into(),
                    });
                }
                job.doing = Doing::Work(Working::new(work, Some(Txn::new(isolation)), 0, job.results.len()));
                Move::On
            }
            Action::Create(def) => {
                if self.txn.is_some() {
                    return self.commit(job, store, ctx, Some(Action::Create(def)));
                }
                if let Err(error) = catalogue::normal(&def) {
                    return Move::Fail(error);
                }
                job.doing = Doing::Create;
                Move::Out(Progress::Order(Op::Create(def).encode()))
            }
            Action::Savepoint(what) => {
                self.txn.iter_mut().for_each(|txn| txn.said.forget());
                if self.txn.is_none() && !self.vars.autocommit {
                    self.txn = Some(Txn::new(self.vars.take_isolation()));
                }
                let done = match (&mut self.txn, what) {
                    (Some(txn), Savepoint::Set(name)) => txn.savepoint(name),
                    (Some(txn), Savepoint::Back(name)) => txn.back_to(&name),
                    (Some(txn), Savepoint::Release(name)) => txn.release(&name),
                    // Outside of a transaction a place ends with the statement that made it.
                    (None, Savepoint::Set(_)) => Ok(()),
                    (None, Savepoint::Back(name) | Savepoint::Release(name)) => Err(Txn::no_savepoint(&name)),
                };
                match done {
                    Ok(()) => {
                        job.results.push(StepResult::Done(Done::default()));
                        Move::On
                    }
                    Err(error) => Move::Fail(error),
                }
            }
            Action::Alter(alter) => {
                if self.txn.is_some() {
                    return self.commit(job, store, ctx, Some(Action::Alter(alter)));
                }
                self.alter(job, store, ctx, alter, RETRIES_MAX)
            }
            Action::Drop(drops) => {
                if self.txn.is_some() {
                    return self.commit(job, store, ctx, Some(Action::Drop(drops)));
                }
                self.drop_next(job, drops)
            }
            Action::Attach(client) => {
                self.txn = None;
                self.vars = sql::Vars::new(self.slot);
                match self.vars.attach(client) {
                    Ok(()) => Move::On,
                    Err(error) => Move::Fail(error),
                }
            }
            Action::Answer(result) => {
                // It may have set what a statement before it looked at.
                self.txn.iter_mut().for_each(|txn| txn.said.forget());
                job.results.push(result);
                Move::On
            }
        }
    }

    /// Works out what a table's definition is to be, and orders that.
    fn alter(
        &mut self,
        job: &mut Job,
        store: &Store,
        ctx: &Context<'_>,
        alter: Box<sql::Alter>,
        tries_left: u32,
    ) -> Move {
        let mut txn = Txn::new(Isolation::ReadCommitted);
        let planned = txn
            .statement(store, &ctx.may_read)
            .and_then(|()| alter.planned(&mut txn, store, &self.vars, ctx));
        job.rest_on(txn.depends_on());
        match planned {
            Err(error) => Move::Fail(error),
            Ok(None) => {
                job.results.push(StepResult::Done(Done::default()));
                Move::On
            }
            Ok(Some(op)) => {
                job.doing = Doing::Alter { alter, tries_left };
                Move::Out(Progress::Order(op.encode()))
            }
        }
    }

    /// Orders the next table's removal. After the last one, those that were not there are an error or, if that was
    /// allowed for, a note; as in MySQL, the others are gone all the same.
    fn drop_next(&mut self, job: &mut Job, drops: Drops) -> Move {
        if let Some(name) = drops.names.front() {
            let (name, along, unchecked) = (name.clone(), drops.along.clone(), drops.unchecked);
            let op = op::Drop { name, if_exists: false, along, unchecked, view: drops.view };
            let op = Op::Drop(op).encode();
            job.doing = Doing::Drop(drops);
            return Move::Out(Progress::Order(op));
        }
        if !drops.missing.is_empty() {
            let names: Vec<_> =
                drops.missing.iter().map(|name| format!("{}.{name}", self.vars.home)).collect();
            let (code, what) = if drops.view { (4092, "VIEW:") } else { (1051, "table") };
            let message = format!("Unknown {what} '{}'", names.join(","));
            if !drops.if_exists {
                return Move::Fail(Error::Sql { code, state: "42S02", message });
            }
            self.vars.note(code, message);
        }
        job.results.push(StepResult::Done(Done::default()));
        Move::On
    }

    /// Goes on after a commit: with what had to wait for it, or, if it was asked for by itself, with its result.
    fn committed(&mut self, job: &mut Job, store: &Store, ctx: &Context<'_>, then: Option<Action>) -> Move {
        match then {
            Some(action) => self.act(job, action, store, ctx),
            None => {
                job.results.push(StepResult::Done(Done::default()));
                Move::On
            }
        }
    }

    /// Ends the open transaction, if there is one, and goes on with `then`.
    fn commit(&mut self, job: &mut Job, store: &Store, ctx: &Context<'_>, then: Option<Action>) -> Move {
        let Some(mut txn) = self.txn.take() else { return self.committed(job, store, ctx, then) };
        if let Err(error) = self.vars.locks.stand_behind(&mut txn, store) {
            return Move::Fail(error);
        }
        job.rest_on(txn.depends_on());
        match txn.encode(store) {
            Some(op) => {
                if let Err(error) = bounded(&op, store) {
                    return Move::Fail(error);
                }
                job.doing = Doing::Commit { txn: Box::new(txn), then };
                Move::Out(Progress::Order(op))
            }
            None => self.committed(job, store, ctx, then),
        }
    }
}

impl Job {
    fn new(plan: Plan) -> Job {
        Job {
            plan,
            results: Vec::new(),
            seqno: None,
            depends_on: Seqno::ZERO,
            doing: Doing::Next,
            verdict: None,
            replay: None,
            replays_left: None,
        }
    }

    fn next(
        &mut self,
        vars: &mut sql::Vars,
        plans: &mut sql::Plans,
        ctx: &Context<'_>,
    ) -> Option<Result<Action, Error>> {
        match &mut self.plan {
            Plan::One(action) => action.take().map(Ok),
            Plan::Sql(script) => {
                vars.last_written = self.seqno.or(vars.last_written);
                script.next(vars, plans, ctx)
            }
        }
    }

    /// Of the request's text.
    fn text_bytes(&self) -> usize {
        match &self.plan {
            Plan::One(_) => 0,
            Plan::Sql(script) => script.bytes(),
        }
    }

    /// Whether an operation of it is being ordered.
    fn waits(&self) -> bool {
        match &self.doing {
            Doing::Next => false,
            Doing::Work(working) => {
                matches!(working.stage, Stage::Ids(..) | Stage::Commit | Stage::Ordered | Stage::Made)
            }
            Doing::Commit { .. } | Doing::Create | Doing::Alter { .. } | Doing::Drop(_) => true,
        }
    }

    fn rest_on(&mut self, seqno: Seqno) {
        self.depends_on = self.depends_on.max(seqno);
    }

    /// Takes the verdict that was waited for: its two numbers. A refusal rests on its own position, which is
    /// published.
    fn ruled(&mut self, store: &Store) -> Result<(i64, i64), Error> {
        match self.verdict.take().expect("it was waited for") {
            Ok(Verdict::Done { seqno, first, last }) => {
                self.seqno = Some(seqno);
                self.rest_on(seqno);
                Ok((first, last))
            }
            Ok(Verdict::Refused(error)) => {
                self.rest_on(store.applied());
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}

fn bounded(op: &Bytes, store: &Store) -> Result<(), Error> {
    let (got, max) = (op.len() as u64, store.settings().writeset_bytes_max);
    if got > max {
        return Err(Error::TooLarge { what: "the size of a write-set, in bytes,", got, max });
    }
    Ok(())
}
