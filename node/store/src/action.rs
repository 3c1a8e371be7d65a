//! What a session does one after the other, and what it is done with.

use crate::error::Error;
use crate::ids::Local;
use crate::named::Named;
use crate::queue::Awaited;
use crate::request::{Client, Done, Isolation, StepResult, TableDef};
use crate::session::Context;
use crate::sql;
use crate::steps::Steps;
use crate::store::Store;
use crate::table::{TableId, TableInfo};
use crate::txn::Txn;
use plait_base::{Bytes, Mono};
use std::collections::VecDeque;

/// One thing that a request asks for.
pub(crate) enum Action {
    /// Opens a transaction; `None`: at the session's isolation. An open one is committed first, as in MySQL.
    Begin(Option<Isolation>),
    Commit,
    Rollback,
    /// Reads and writes: in the open transaction, else as a transaction of its own.
    Work(Work),
    /// As above, but always beside the open transaction.
    Aside(Work),
    /// As above, but always a transaction of its own, never tried again.
    Whole(Isolation, Work),
    /// Each commits the open transaction first, as in MySQL.
    Create(TableDef),
    Alter(Box<sql::Alter>),
    Savepoint(Savepoint),
    Drop(Drops),
    /// Another client takes over: what was open is rolled back, what was set is forgotten.
    Attach(Client),
    /// Known without reading anything.
    Answer(StepResult),
}

/// A place in the open transaction, by its name.
pub(crate) enum Savepoint {
    Set(String),
    Back(String),
    Release(String),
}

/// Tables to be dropped, one operation each, in order.
pub(crate) struct Drops {
    pub(crate) names: VecDeque<String>,
    pub(crate) if_exists: bool,
    /// All of them.
    pub(crate) along: Vec<String>,
    /// Those that were not there.
    pub(crate) missing: Vec<String>,
    /// Whoever refers to them.
    pub(crate) unchecked: bool,
    /// They are views.
    pub(crate) view: bool,
}

impl Drops {
    pub fn new(names: impl IntoIterator<Item = String>, if_exists: bool, unchecked: bool) -> Drops {
        let names: VecDeque<String> = names.into_iter().collect();
        let along = Vec::from(names.clone());
        Drops { names, if_exists, along, missing: Vec::new(), unchecked, view: false }
    }
}

/// Something resumable that reads and writes through a transaction.
// One lives in a session while it works: its size does not matter.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Work {
    Steps(Steps),
    Sql(Box<sql::Statement>),
    Named(Box<Named>),
}

/// What work came back with.
pub(crate) enum Turn {
    Yield,
    /// Ids of this table must be reserved; then it is run again and goes on.
    Ids(TableId),
    /// This operation is all that it does, and the operation's verdict is its result: see [`Work::ordered`].
    Order(Bytes),
    /// This table is to be made, if nobody has made it yet; then it begins again.
    Create(TableDef),
    /// It begins again when that has come about, or at this time.
    Wait(Mono, Awaited),
    /// Its results were pushed, or it failed. Its writes are then taken back by the session.
    Done(Result<(), Error>),
}

/// All that work may touch.
pub(crate) struct Env<'a> {
    /// Whether it is the whole of a transaction that commits by itself, and may be ordered as a statement.
    pub alone: bool,
    pub txn: &'a mut Txn,
    pub store: &'a Store,
    pub local: &'a mut Local,
    pub ctx: &'a Context<'a>,
    /// What is left of this slice; about one row a unit.
    pub budget: &'a mut u32,
    pub vars: &'a mut sql::Vars,
    pub results: &'a mut Vec<StepResult>,
    /// The table of which [`Env::next_id`] had no id.
    pub wants_ids: Option<TableId>,
}

impl Env<'_> {
    /// Begins a statement: takes a snapshot where the isolation level asks for one. Before any read.
    pub fn statement(&mut self) -> Result<(), Error> {
        self.txn.as_galera(self.ctx.galera);
        self.txn.foreign_checks = self.vars.foreign_checks();
        self.txn.statement(self.store, &self.ctx.may_read)
    }

    /// Does what follows from the last change of a row; whether it is done. Before the next change.
    pub fn cascade(&mut self) -> Result<bool, Error> {
        self.txn.cascade(self.store, self.budget)
    }

    /// An id for a new row; `None`: come back with `Turn::Ids` of this table.
    pub fn next_id(&mut self, info: &TableInfo) -> Option<i64> {
        let id = self.local.next_id(self.store, info.id);
        if id.is_none() {
            self.wants_ids = Some(info.id);
        }
        id
    }
}

impl Work {
    pub(crate) fn run(&mut self, env: &mut Env<'_>) -> Turn {
        match self {
            Work::Steps(steps) => steps.run(env),
            Work::Sql(statement) => statement.run(env),
            Work::Named(named) => named.run(env),
        }
    }

    /// The operation that it ordered was done: pushes its result. `found`: rows that were there; `changed`: rows
    /// that are not as they were.
    pub(crate) fn ordered(&mut self, found: u64, changed: u64, vars: &mut sql::Vars) -> StepResult {
        match self {
            Work::Steps(_) => StepResult::Done(Done { affected: changed, ..Done::default() }),
            Work::Sql(_) => sql::added(found, changed, vars),
            Work::Named(_) => unreachable!("a lock function orders rows of its own"),
        }
    }

    pub(crate) fn restart(&mut self) {
        match self {
            Work::Steps(steps) => steps.restart(),
            Work::Sql(statement) => statement.restart(),
            Work::Named(named) => named.restart(),
        }
    }
}
