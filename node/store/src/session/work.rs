//! How a session runs work: in slices, until it is done, ordered, or lost and begun again.

use super::{Doing, Job, Move, Progress, Session, bounded};
use crate::action::{Env, Turn, Work};
use crate::error::Error;
use crate::ids::Local;
use crate::op::Op;
use crate::queue;
use crate::session::Context;
use crate::store::Store;
use crate::table::TableId;
use crate::txn::Txn;
use crate::verdict::Verdict;
use plait_base::{Mono, Seqno};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(super) struct Working {
    work: Work,
    /// Its own transaction, if it is one.
    pub(super) own: Option<Txn>,
    /// Whether it may still be ordered as a statement: not after that was refused.
    as_statement: bool,
    tries_left: u32,
    /// Results that stood before it.
    results_before: usize,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    Running,
    /// Waits for a block of ids that it asked for at this time.
    Ids(TableId, Mono),
    /// Waits for the verdict of its own transaction.
    Commit,
    /// Waits for the verdict of the operation that is all it does.
    Ordered,
    /// Waits for the verdict of the creation of a table that it needs.
    Made,
    /// Lost against an operation at this position, which may not be published yet. `Some`: in an open transaction,
    /// which fails with this if its snapshot can't be moved on behind it.
    Behind(Seqno, Option<Error>),
    /// Stands in line for a key since this time.
    Queued(Mono),
}

impl Session {
    pub(super) fn work(
        &mut self,
        job: &mut Job,
        mut working: Box<Working>,
        store: &Store,
        local: &mut Local,
        ctx: &Context<'_>,
        budget: &mut u32,
    ) -> Move {
        match working.stage {
            Stage::Running => {}
            Stage::Behind(winner, error) => {
                if store.applied() < winner {
                    working.stage = Stage::Behind(winner, error);
                    job.doing = Doing::Work(working);
                    return Move::Out(Progress::Yield);
                }
                if let (Some(error), Some(txn)) = (error, &mut self.txn)
                    && !txn.extend(store)
                {
                    self.txn = None;
                    return Move::Fail(error);
                }
            }
            Stage::Queued(since) if local.queues.waits(ctx.connection) => {
                let deadline = since + self.vars.lock_wait();
                if ctx.now.mono < deadline {
                    working.stage = Stage::Queued(since);
                    job.doing = Doing::Work(working);
                    return Move::Out(Progress::Wait(deadline));
                }
                local.queues.leave(ctx.connection);
                let waited_ms = self.vars.lock_wait().as_millis() as u64;
                let error =
                    Error::TimedOut { what: "another transaction of this node, for a row,", waited_ms };
                return self.failed(job, working, error, store);
            }
            Stage::Queued(_) => {}
            Stage::Ids(table, since) => match job.verdict.take().expect("it was waited for") {
                Ok(Verdict::Done { first, last, .. }) => {
                    local.tidy(store);
                    local.grant(table, first, last);
                }
                Ok(Verdict::Refused(error)) => {
                    job.rest_on(store.applied());
                    let named = match (error, store.tables.get(&table)) {
                        (Error::SchemaChanged { .. }, Some(table)) => {
                            Error::SchemaChanged { table: table.info().name().to_owned() }
                        }
                        (error, _) => error,
                    };
                    return self.failed(job, working, named, store);
                }
                // Whether or not the ids were reserved, nothing of the statement was.
                Err(Error::Unknown { .. }) => {
                    let waited_ms = ctx.now.mono.since(since).as_millis() as u64;
                    let error = Error::TimedOut { what: "a block of ids", waited_ms };
                    return self.failed(job, working, error, store);
                }
                Err(error) => return self.failed(job, working, error, store),
            },
            Stage::Ordered => {
                return match job.ruled(store) {
                    Ok((found, changed)) => {
                        let result = working.work.ordered(found as u64, changed as u64, &mut self.vars);
                        job.results.push(result);
                        Move::On
                    }
                    // Why it cannot be done is for the statement to say, over the row that it then sees.
                    Err(Error::OutOfRange { .. }) => {
                        working.as_statement = false;
                        self.again(job, working, Stage::Running)
                    }
                    Err(error) => {
                        let named = working.own.as_ref().map(|txn| txn.named(error.clone())).unwrap_or(error);
                        self.failed(job, working, named, store)
                    }
                };
            }
            Stage::Made => {
                return match job.ruled(store) {
                    Ok(_) | Err(Error::TableExists { .. }) => self.again(job, working, Stage::Running),
                    Err(error) => self.failed(job, working, error, store),
                };
            }
            Stage::Commit => {
                return match job.ruled(store) {
                    Ok(_) => self.finished(job, working, ctx, job.seqno),
                    Err(error) => {
                        let named = working.own.as_ref().map(|txn| txn.named(error.clone())).unwrap_or(error);
                        self.failed(job, working, named, store)
                    }
                };
            }
        }
        working.stage = Stage::Running;
        let txn = working.own.as_mut().or(self.txn.as_mut()).expect("work has a transaction");
        let mut env = Env {
            alone: working.as_statement && self.vars.locks.is_empty(),
            txn,
            store,
            local,
            ctx,
            budget,
            vars: &mut self.vars,
            results: &mut job.results,
            wants_ids: None,
        };
        let work = &mut working.work;
        // A defect in planning or executing ends this statement and its session, not the node.
        let turn = catch_unwind(AssertUnwindSafe(|| work.run(&mut env))).unwrap_or_else(|panic| {
            let why = (panic.downcast_ref::<String>().map(String::as_str))
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without words");
            Turn::Done(Err(Error::Internal { why: why.to_owned() }))
        });
        let rests_on = env.txn.depends_on();
        job.rest_on(rests_on);
        match turn {
            Turn::Yield => {
                job.doing = Doing::Work(working);
                Move::Out(Progress::Yield)
            }
            Turn::Ids(table) => {
                working.stage = Stage::Ids(table, ctx.now.mono);
                job.doing = Doing::Work(working);
                Move::Out(Progress::Order(local.reserve(store, table)))
            }
            Turn::Order(op) => {
                working.stage = Stage::Ordered;
                job.doing = Doing::Work(working);
                Move::Out(Progress::Order(op))
            }
            Turn::Create(def) => {
                working.stage = Stage::Made;
                job.doing = Doing::Work(working);
                Move::Out(Progress::Order(Op::Create(def).encode()))
            }
            Turn::Wait(until, what) => {
                local.queues.wait_for(ctx.connection, what);
                let _begun_again = self.again(job, working, Stage::Running);
                Move::Out(Progress::Wait(until))
            }
            Turn::Done(Err(error)) => self.failed(job, working, error, store),
            Turn::Done(Ok(())) => {
                let txn = working.own.as_ref().or(self.txn.as_ref()).expect("work has a transaction");
                let mut turn = queue::Turn::Now;
                // A lock function has a queue of its own, the cluster's.
                let stands_in_line = !matches!(working.work, Work::Named(_));
                for (table, key) in txn.touched().filter(|_| stands_in_line) {
                    turn = local.queues.ask(ctx.connection, table, key);
                    if turn != queue::Turn::Now {
                        break;
                    }
                }
                match turn {
                    queue::Turn::Now => {}
                    queue::Turn::Later => {
                        job.results.truncate(working.results_before);
                        if let (None, Some(txn)) = (&working.own, &mut self.txn) {
                            txn.forget();
                        }
                        return self.again(job, working, Stage::Queued(ctx.now.mono));
                    }
                    queue::Turn::Never => return self.failed(job, working, Error::Deadlock, store),
                }
                let Some(own) = &mut working.own else {
                    let txn = self.txn.as_mut().expect("work has a transaction");
                    txn.statement_ended();
                    self.note_said(job, &working.work, working.results_before);
                    return Move::On;
                };
                if stands_in_line && let Err(error) = self.vars.locks.stand_behind(own, store) {
                    return self.failed(job, working, error, store);
                }
                match own.encode(store) {
                    None => self.finished(job, working, ctx, None),
                    Some(op) => {
                        if let Err(error) = bounded(&op, store) {
                            return Move::Fail(error);
                        }
                        working.stage = Stage::Commit;
                        job.doing = Doing::Work(working);
                        Move::Out(Progress::Order(op))
                    }
                }
            }
        }
    }

    /// Work is done, and its own transaction through, at `seqno` if it wrote.
    fn finished(
        &mut self,
        job: &mut Job,
        working: Box<Working>,
        ctx: &Context<'_>,
        seqno: Option<Seqno>,
    ) -> Move {
        let Work::Named(mut named) = working.work else { return Move::On };
        match named.finish(&mut self.vars, ctx, seqno) {
            Ok(result) => {
                job.results.push(result);
                Move::On
            }
            Err(error) => Move::Fail(error),
        }
    }

    /// A statement failed: tries it again if it is a transaction of its own that lost a race; else takes back what
    /// it wrote, or all of its transaction if only beginning again can help.
    fn failed(&mut self, job: &mut Job, mut working: Box<Working>, error: Error, store: &Store) -> Move {
        job.results.truncate(working.results_before);
        let lost = matches!(
            error,
            Error::Conflict { .. } | Error::TooOld { .. } | Error::SchemaChanged { .. } | Error::Deadlock
        );
        if working.own.is_some() {
            if lost && working.tries_left > 0 {
                working.tries_left -= 1;
                let stage = match error {
                    Error::Conflict { winner, .. } if winner > store.applied() => Stage::Behind(winner, None),
                    _ => Stage::Running,
                };
                return self.again(job, working, stage);
            }
        } else if let (Error::Conflict { winner, .. }, Some(txn)) = (&error, &mut self.txn)
            && working.tries_left > 0
        {
            // A row that this statement found changed may be one that the transaction had not looked at before.
            working.tries_left -= 1;
            txn.forget();
            let stage = Stage::Behind(*winner, Some(error));
            return self.again(job, working, stage);
        } else if error.retry() && !matches!(error, Error::TimedOut { .. }) {
            self.txn = None;
        } else if let Some(txn) = &mut self.txn {
            txn.undo();
            txn.statement_ended();
            txn.said.forget();
        }
        Move::Fail(error)
    }

    /// Begins work from the beginning, in a fresh transaction if it is one of its own.
    fn again(&mut self, job: &mut Job, mut working: Box<Working>, stage: Stage) -> Move {
        working.own = working.own.map(|own| Txn::new(own.isolation()));
        working.work.restart();
        working.stage = stage;
        job.doing = Doing::Work(working);
        Move::On
    }
}

impl Working {
    pub(super) fn new(work: Work, own: Option<Txn>, tries_left: u32, results_before: usize) -> Box<Working> {
        let as_statement = own.is_some();
        Box::new(Working { work, own, as_statement, tries_left, results_before, stage: Stage::Running })
    }
}
