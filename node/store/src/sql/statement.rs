//! One statement on tables, from its plan to its result.

use super::change::Change;
use super::explain::explain;
use super::insert::Insert;
use super::prepared::Prepare;
use super::schema::Listed;
use super::select::{Place, Select};
use super::show::Show;
use super::tree::{ChangeTree, InsertTree, SelectTree, TableRef};
use super::view::writable;
use crate::error::Error;
use crate::request::ColumnHead;
use crate::session::{Env, Turn};
use crate::store::Store;
use crate::table::TableInfo;
use crate::txn::Txn;
use std::cell::RefCell;
use std::sync::Arc;

/// What is asked, in trees; it stays as it is however often it is begun.
#[derive(Debug)]
// A statement has one of these, and lives as long as its session runs it: the size does not matter.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Query {
    Select(SelectTree),
    Insert(InsertTree),
    /// UPDATE or DELETE.
    Change(ChangeTree),
    Show(Show),
    /// How it would be run, and not what it gives.
    Explain(Box<Query>),
    /// Takes the transaction's snapshot now, and answers nothing.
    Snapshot,
    Prepare(Box<Prepare>),
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Stage {
    Begin,
    Select(Box<Select>),
    Insert(Box<Insert>),
    Change(Box<Change>),
    Explain(Box<Stage>),
    Show,
    Snapshot,
    Prepare,
}

/// A statement that may be run again from where it stopped, or, after [`restart`](Statement::restart), from the
/// beginning in a fresh transaction.
#[derive(Debug)]
pub(crate) struct Statement {
    query: Arc<Query>,
    stage: Stage,
}

impl Statement {
    pub fn new(query: Query) -> Statement {
        Statement::of(Arc::new(query))
    }

    /// One that others run too.
    pub fn of(query: Arc<Query>) -> Statement {
        Statement { query, stage: Stage::Begin }
    }

    /// The columns of what a query would answer.
    pub fn heads(query: &Arc<Query>, env: &mut Env<'_>) -> Result<Vec<ColumnHead>, Error> {
        Ok(match planned_as(query, env)? {
            Stage::Select(select) => select.heads().to_vec(),
            _ => Vec::new(),
        })
    }

    pub fn query(&self) -> Arc<Query> {
        Arc::clone(&self.query)
    }

    pub fn restart(&mut self) {
        self.stage = Stage::Begin;
    }

    /// Goes on until it yields, wants ids, or has pushed its result.
    pub fn run(&mut self, env: &mut Env<'_>) -> Turn {
        if matches!(self.stage, Stage::Begin) {
            if *env.budget == 0 {
                return Turn::Yield;
            }
            *env.budget -= 1;
            match self.begin(env) {
                Ok(stage) => self.stage = stage,
                Err(error) => return Turn::Done(Err(error)),
            }
        }
        match (&mut self.stage, &*self.query) {
            (Stage::Select(select), _) => select.run(env),
            (Stage::Insert(insert), Query::Insert(tree)) => insert.run(tree, env),
            (Stage::Change(change), _) => change.run(env),
            (Stage::Explain(stage), _) => explain(stage, env),
            (Stage::Show, Query::Show(show)) => show.run(env),
            (Stage::Snapshot, _) => Turn::Done(Ok(())),
            (Stage::Prepare, Query::Prepare(prepare)) => prepare.run(env),
            _ => unreachable!("a statement is run by what it was planned for"),
        }
    }

    fn begin(&self, env: &mut Env<'_>) -> Result<Stage, Error> {
        env.statement()?;
        planned_as(&self.query, env)
    }
}

fn planned_as(query: &Query, env: &mut Env<'_>) -> Result<Stage, Error> {
    Ok(match query {
        Query::Select(tree) => Stage::Select(Box::new(planned(tree, env)?)),
        Query::Insert(tree) => {
            let info = find(&tree.table, env)?;
            writable(&info, "INSERT")?;
            let insert = Insert::new(tree, info, env)?;
            Stage::Insert(Box::new(match &tree.source {
                None => insert,
                Some(source) => insert.of(planned(source, env)?)?,
            }))
        }
        Query::Change(tree) => {
            let info = find(&tree.table, env)?;
            writable(&info, if tree.set.is_some() { "UPDATE" } else { "DELETE" })?;
            let Env { txn, store, vars, ctx, .. } = env;
            let txn = RefCell::new(&mut **txn);
            let find = |table: &TableRef| txn.borrow_mut().table(store, vars.table(table)?);
            let list = || listed(&mut txn.borrow_mut(), store);
            let place = Place { vars, ctx, tables: Some(&find), list: Some(&list), outer: None };
            Stage::Change(Box::new(Change::new(tree, info, place)?))
        }
        Query::Explain(query) => Stage::Explain(Box::new(planned_as(query, env)?)),
        Query::Show(_) => Stage::Show,
        Query::Snapshot => Stage::Snapshot,
        Query::Prepare(_) => Stage::Prepare,
    })
}

/// Plans a query over the tables as the transaction sees them.
pub fn planned(tree: &SelectTree, env: &mut Env<'_>) -> Result<Select, Error> {
    let Env { txn, store, vars, ctx, .. } = env;
    let txn = RefCell::new(&mut **txn);
    let find = |table: &TableRef| txn.borrow_mut().table(store, vars.table(table)?);
    let list = || listed(&mut txn.borrow_mut(), store);
    Select::new(tree, Place { vars, ctx, tables: Some(&find), list: Some(&list), outer: None })
}

pub fn listed(txn: &mut Txn, store: &Store) -> Vec<Listed> {
    let count = |info: Arc<TableInfo>| {
        let (rows, next_id) = (store.rows_about(info.id), store.next_id_about(info.id));
        Listed { info, rows, next_id }
    };
    txn.tables(store).into_iter().map(count).collect()
}

fn find(table: &TableRef, env: &mut Env<'_>) -> Result<Arc<TableInfo>, Error> {
    let name = env.vars.table(table)?;
    env.txn.table(env.store, name)
}
