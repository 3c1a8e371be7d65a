//! Steps: the transaction language without SQL, by primary key.

use crate::add::may_add;
use crate::error::Error;
use crate::key;
use crate::op::{Add, Op};
use crate::request::{Change, Done, Rows, Step, StepResult};
use crate::row;
use crate::rowlist::RowList;
use crate::session::{Env, Turn};
use crate::table::TableInfo;
use crate::txn::{Scan, Walk};
use crate::value::Value;
use plait_base::Bytes;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Rows that one step may return, in bytes as kept. Default 64 MiB; more is refused with `TooLarge`.
pub const RESULT_BYTES_MAX: u64 = 64 << 20;

/// A list of steps under way.
#[derive(Debug)]
pub(crate) struct Steps {
    steps: Vec<Step>,
    /// The next one.
    at: usize,
    /// Of the step under way.
    scan: Option<(Scan, RowList, u64)>,
    begun: bool,
    /// What the step gives when all that follows from it is done.
    given: Option<StepResult>,
}

impl Steps {
    pub fn new(steps: Vec<Step>) -> Steps {
        Steps { steps, at: 0, scan: None, begun: false, given: None }
    }

    pub fn restart(&mut self) {
        (self.at, self.scan, self.begun, self.given) = (0, None, false, None);
    }

    pub fn run(&mut self, env: &mut Env<'_>) -> Turn {
        while self.at < self.steps.len() {
            // Each step costs a unit, so that a long list of cheap ones yields too.
            if *env.budget == 0 {
                return Turn::Yield;
            }
            *env.budget -= 1;
            if !self.begun {
                if let Err(error) = env.statement() {
                    return Turn::Done(Err(error));
                }
                self.begun = true;
            }
            match self.addition(env) {
                Ok(None) => {}
                Ok(Some(add)) => return Turn::Order(Op::Add(add).encode()),
                Err(error) => return Turn::Done(Err(error)),
            }
            match self.step(env) {
                Turn::Done(Ok(())) => {
                    self.at += 1;
                    self.begun = false;
                }
                other => return other,
            }
        }
        Turn::Done(Ok(()))
    }

    /// The addition that all of the steps are, if they may be ordered as that.
    fn addition(&self, env: &mut Env<'_>) -> Result<Option<Add>, Error> {
        let (true, [Step::Update { table, key, set }]) = (env.alone, &self.steps[..]) else {
            return Ok(None);
        };
        let info = env.txn.table(env.store, table)?;
        let mut by = Vec::new();
        for (column, change) in set {
            let (at, Change::Add(amount)) = (column_of(&info, column)?, change) else { return Ok(None) };
            if !may_add(&info, at)
                || env.store.is_named(&info, at)
                || by.iter().any(|(other, _)| *other == at)
            {
                return Ok(None);
            }
            by.push((at, *amount));
        }
        by.sort_unstable();
        let key = Bytes::from(whole_key(&info, key)?);
        let (table, schema_version) = (info.id, info.schema_version);
        Ok(Some(Add { table, schema_version, key, by, stamps: Vec::new() }))
    }

    fn step(&mut self, env: &mut Env<'_>) -> Turn {
        let given = match self.given.take() {
            Some(given) => Ok(Some(given)),
            None => self.try_step(env),
        };
        match given {
            Ok(Some(result)) => match env.cascade() {
                Ok(true) => {
                    env.results.push(result);
                    Turn::Done(Ok(()))
                }
                Ok(false) => {
                    self.given = Some(result);
                    Turn::Yield
                }
                Err(error) => Turn::Done(Err(error)),
            },
            Ok(None) => match env.wants_ids.take() {
                Some(table) => Turn::Ids(table),
                None => Turn::Yield,
            },
            Err(error) => Turn::Done(Err(error)),
        }
    }

    /// `None`: it goes on later.
    fn try_step(&mut self, env: &mut Env<'_>) -> Result<Option<StepResult>, Error> {
        match &self.steps[self.at] {
            Step::Get { table, key, lock } => {
                let info = env.txn.table(env.store, table)?;
                let key = whole_key(&info, key)?;
                let mut found = RowList::new(info.heads.len());
                if let Some(row) = env.txn.look(env.store, &info, &key, *lock)? {
                    found.push_cells([row]);
                }
                Ok(Some(rows(&info, found)))
            }
            Step::Scan { table, from, to, limit, lock } => {
                let (mut scan, mut found, mut bytes) = match self.scan.take() {
                    Some(under_way) => under_way,
                    None => {
                        let info = env.txn.table(env.store, table)?;
                        prefix(&info, from)?;
                        prefix(&info, to)?;
                        let to = (!to.is_empty()).then(|| key::encode(to));
                        let found = RowList::new(info.heads.len());
                        (Scan::new(info, key::encode(from), to, *lock), found, 0)
                    }
                };
                let limit = if *limit == 0 { u64::MAX } else { *limit };
                let walk = env.txn.walk(env.store, &mut scan, env.budget, &mut |_, row| {
                    found.push_cells([row]);
                    bytes += row.len() as u64;
                    if found.len() as u64 == limit || bytes > RESULT_BYTES_MAX {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                })?;
                if bytes > RESULT_BYTES_MAX {
                    return Err(Error::TooLarge {
                        what: "a result, in bytes,",
                        got: bytes,
                        max: RESULT_BYTES_MAX,
                    });
                }
                if walk == Walk::Yield {
                    self.scan = Some((scan, found, bytes));
                    return Ok(None);
                }
                Ok(Some(rows(scan.info(), found)))
            }
            Step::Insert { table, row } => {
                let info = env.txn.table(env.store, table)?;
                let Some((key, row, id)) = place(env, &info, row)? else { return Ok(None) };
                env.txn.insert(env.store, &info, key, &row)?;
                Ok(Some(done(1, id)))
            }
            Step::Put { table, row } => {
                let info = env.txn.table(env.store, table)?;
                let Some((key, row, id)) = place(env, &info, row)? else { return Ok(None) };
                // As MySQL counts a REPLACE: the row that went and the row that came.
                let there = env.txn.put(env.store, &info, key, &row)?;
                Ok(Some(done(1 + u64::from(there), id)))
            }
            Step::Update { table, key, set } => {
                let info = env.txn.table(env.store, table)?;
                let key = whole_key(&info, key)?;
                let found = env.txn.find(env.store, &info, &key)?;
                let Some(row) = &found.row else { return Ok(Some(done(0, 0))) };
                let mut row = row::kept(row);
                for (column, change) in set {
                    let at = column_of(&info, column)?;
                    row[at] = changed(&row[at], change, &info.def.columns[at].name)?;
                }
                let changed = env.txn.replace_found(env.store, &info, key, found, &row)?;
                Ok(Some(done(u64::from(changed), 0)))
            }
            Step::Delete { table, key } => {
                let info = env.txn.table(env.store, table)?;
                let key = whole_key(&info, key)?;
                let there = env.txn.delete(env.store, &info, key)?;
                Ok(Some(done(u64::from(there), 0)))
            }
            Step::Check { table, key, column, least, most } => {
                let info = env.txn.table(env.store, table)?;
                let at = column_of(&info, column)?;
                let place = whole_key(&info, key)?;
                // What was checked must hold at the commit too.
                let row = env.txn.get(env.store, &info, &place, true)?;
                let found = row.map(|row| row::cell(&row, at));
                match found {
                    Some(Value::Int(n)) if (*least..=*most).contains(&n) => Ok(Some(done(0, 0))),
                    found => Err(Error::Unmet {
                        table: table.clone(),
                        key: key::show(&place),
                        column: column.clone(),
                        found: found.map_or_else(|| "no row".to_owned(), |value| value.to_string()),
                    }),
                }
            }
        }
    }
}

fn rows(info: &TableInfo, rows: RowList) -> StepResult {
    StepResult::Rows(Rows { columns: info.heads.clone(), rows })
}

fn done(affected: u64, insert_id: i64) -> StepResult {
    StepResult::Done(Done { affected, insert_id, info: String::new() })
}

fn column_of(info: &TableInfo, column: &str) -> Result<usize, Error> {
    info.column(column)
        .ok_or_else(|| Error::NoColumn { column: column.to_owned(), place: info.name().to_owned() })
}

/// How many values a key of this table has.
fn key_width(info: &TableInfo) -> usize {
    info.def.primary.len().max(1)
}

fn prefix(info: &TableInfo, key: &[Value]) -> Result<(), Error> {
    if key.len() > key_width(info) {
        let (name, width) = (info.name(), key_width(info));
        let why = format!("the key of table {name} has {width} parts, and {} were given", key.len());
        return Err(Error::Misuse { why });
    }
    Ok(())
}

fn whole_key(info: &TableInfo, key: &[Value]) -> Result<Vec<u8>, Error> {
    if key.len() != key_width(info) {
        let (name, width) = (info.name(), key_width(info));
        let why = format!("the key of table {name} has {width} parts, and {} were given", key.len());
        return Err(Error::Misuse { why });
    }
    Ok(key::encode(key))
}

fn changed(now: &Value, change: &Change, column: &str) -> Result<Value, Error> {
    match (change, now) {
        (Change::To(value), _) => Ok(value.clone()),
        (Change::Add(_), Value::Null) => Ok(Value::Null),
        (Change::Add(by), Value::Int(n)) => {
            let sum = n.checked_add(*by);
            sum.map(Value::Int).ok_or_else(|| Error::OutOfRange { column: column.to_owned() })
        }
        (Change::Add(_), other) => Err(Error::BadValue {
            kind: "integer",
            value: other.to_string().chars().take(64).collect(),
            column: column.to_owned(),
        }),
    }
}

/// Key and row of a row to be inserted, with an id where one is asked for. `None`: ids must be reserved first.
#[allow(clippy::type_complexity)]
fn place(
    env: &mut Env<'_>,
    info: &Arc<TableInfo>,
    row: &[Value],
) -> Result<Option<(Vec<u8>, Vec<Value>, i64)>, Error> {
    let mut row = row.to_vec();
    let mut given = 0;
    if let Some(at) = info.def.auto_increment
        && row.get(at) == Some(&Value::Null)
    {
        let Some(id) = env.next_id(info) else { return Ok(None) };
        (row[at], given) = (Value::Int(id), id);
    }
    // The key is made from the row, so the row must have the table's shape before.
    row::check(&info.def, &row)?;
    let key = if info.hidden_key() {
        let Some(id) = env.next_id(info) else { return Ok(None) };
        key::encode(&[Value::Int(id)])
    } else {
        info.key_of(&row)
    };
    Ok(Some((key, row, given)))
}
