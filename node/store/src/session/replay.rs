//! Transactions that lost their race at COMMIT, done once more instead of refused.
//!
//! Intuition: a client that only wrote, and was told "1 row" each time, can't tell at which moment that was. So if its
//! transaction loses, its statements are run again over the state as it is by then; if each answers what it answered
//! before, all that the client sees is that its COMMIT came through. (Galera replays too, but only transactions that
//! were certified and then aborted locally.)
//! Invariants: the lost write-set was refused by the order itself, so nothing is done twice. A transaction is replayed
//! only if every answer of it is remembered, and none showed a row or an id that was handed out.

use super::{Job, Move, Session};
use crate::action::{Action, Work};
use crate::error::Error;
use crate::request::{Done, Isolation, StepResult};
use crate::session::Context;
use crate::sql::{self, Datum, Query};
use crate::store::Store;
use crate::txn::Txn;
use crate::zoo::{self, Bug};
use std::sync::Arc;

/// Statements of a transaction that is remembered.
const STATEMENTS_MAX: usize = 64;
/// Bytes of their texts and of the values that came beside them.
const BYTES_MAX: usize = 64 << 10;
/// How often one COMMIT is tried after it lost.
const REPLAYS_MAX: u32 = 4;

/// What a transaction did so far, as long as it can be done again.
#[derive(Debug, Default)]
pub(crate) struct Said {
    parts: Vec<Part>,
    bytes: usize,
    /// Something is in it that is not remembered.
    lost: bool,
}

#[derive(Debug, Clone)]
struct Part {
    query: Arc<Query>,
    params: Vec<Datum<'static>>,
    answer: Answer,
}

/// What a client was told of a statement, or can ask for after it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    done: Done,
    warnings: u16,
    last_insert_id: i64,
}

/// A replay under way.
pub(super) struct Replay {
    parts: Vec<Part>,
    at: usize,
    isolation: Isolation,
    /// Why the COMMIT was refused.
    lost: Error,
    tries_left: u32,
    /// What goes on after it.
    then: Option<Action>,
    /// Results of the request that stood before it.
    results: usize,
    row_count: i64,
}

impl Said {
    /// It can't be done again.
    pub(crate) fn forget(&mut self) {
        *self = Said { lost: true, ..Said::default() };
    }

    fn push(&mut self, part: Part, text_bytes: usize) {
        self.bytes += text_bytes + part.params.iter().map(Datum::bytes).sum::<usize>();
        if self.parts.len() >= STATEMENTS_MAX || self.bytes > BYTES_MAX {
            return self.forget();
        }
        self.parts.push(part);
    }
}

impl Session {
    /// A statement of the open transaction is through; its results stand from `before` on.
    pub(super) fn note_said(&mut self, job: &Job, work: &Work, before: usize) {
        let Some(txn) = self.txn.as_mut().filter(|txn| !txn.said.lost) else { return };
        let generated =
            |answer: &Answer| matches!(answer.done.insert_id, id if id != 0 && id == answer.last_insert_id);
        let answer = answer(job, before, &self.vars).filter(|answer| !generated(answer));
        match (work, answer) {
            (Work::Sql(statement), Some(answer)) => {
                let (query, params) = (statement.query(), std::mem::take(&mut self.vars.params));
                txn.said.push(Part { query, params, answer }, job.text_bytes());
            }
            _ => txn.said.forget(),
        }
    }

    /// The transaction lost at COMMIT with this error: does it once more, if it can.
    pub(super) fn replay(
        &mut self,
        job: &mut Job,
        txn: &mut Txn,
        then: Option<Action>,
        error: Error,
        ctx: &Context<'_>,
    ) -> Move {
        let tries_left = job.replays_left.unwrap_or(REPLAYS_MAX);
        let parts = std::mem::take(&mut txn.said.parts);
        let lost = matches!(error, Error::Conflict { .. });
        if !lost || ctx.galera || txn.said.lost || parts.is_empty() || tries_left == 0 {
            return Move::Fail(error);
        }
        job.replays_left = Some(tries_left - 1);
        let isolation = txn.isolation();
        self.txn = Some(Txn::new(isolation));
        job.replay = Some(Box::new(Replay {
            parts,
            at: 0,
            isolation,
            lost: error,
            tries_left: REPLAYS_MAX,
            then,
            results: job.results.len(),
            row_count: self.vars.row_count,
        }));
        Move::On
    }

    /// Goes on with a replay: looks at what its last statement answered, and begins the next, or the COMMIT.
    pub(super) fn go_on_replaying(&mut self, job: &mut Job, store: &Store, ctx: &Context<'_>) -> Move {
        let replay = job.replay.as_mut().expect("a replay is under way");
        if replay.at > 0 {
            let (results, before) = (replay.results, replay.parts[replay.at - 1].answer.clone());
            let same = answer(job, results, &self.vars) == Some(before);
            job.results.truncate(results);
            if !same && !zoo::on(Bug::ReplayBlind) {
                let replay = job.replay.take().expect("it was there a moment ago");
                self.txn = None;
                return Move::Fail(replay.lost);
            }
        }
        let replay = job.replay.as_mut().expect("a replay is under way");
        let Some(part) = replay.parts.get(replay.at) else {
            let replay = job.replay.take().expect("it was there a moment ago");
            self.vars.row_count = replay.row_count;
            self.vars.warnings.clear();
            self.replays += 1;
            return self.commit(job, store, ctx, replay.then);
        };
        replay.at += 1;
        self.vars.params = part.params.clone();
        self.vars.warnings.clear();
        let statement = sql::Statement::of(Arc::clone(&part.query));
        self.act(job, Action::Work(Work::Sql(Box::new(statement))), store, ctx)
    }

    /// A statement of a replay failed: begins the replay anew if it lost another race. `Err`: what the client is told.
    pub(super) fn replay_failed(&mut self, job: &mut Job, error: Error) -> Result<(), Error> {
        let Some(replay) = &mut job.replay else { return Err(error) };
        job.results.truncate(replay.results);
        if matches!(error, Error::Conflict { .. } | Error::Deadlock | Error::TooOld { .. })
            && replay.tries_left > 0
        {
            replay.tries_left -= 1;
            replay.at = 0;
            self.txn = Some(Txn::new(replay.isolation));
            return Ok(());
        }
        let replay = job.replay.take().expect("it was there a moment ago");
        self.txn = None;
        Err(match error {
            Error::Internal { .. } => error,
            _ => replay.lost,
        })
    }
}

/// The one answer that stands behind `before`; `None`: there is none, or it shows rows.
fn answer(job: &Job, before: usize, vars: &sql::Vars) -> Option<Answer> {
    match &job.results[before.min(job.results.len())..] {
        [StepResult::Done(done)] => Some(Answer {
            done: done.clone(),
            warnings: vars.warnings(),
            last_insert_id: vars.last_insert_id,
        }),
        _ => None,
    }
}
