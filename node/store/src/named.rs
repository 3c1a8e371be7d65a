//! Named locks: `GET_LOCK` and its family, which hold in the whole cluster.
//!
//! Intuition: a lock is a row under its name. Who inserts it has the lock, who deletes it gives it back, and of two
//! who insert it at once the order decides, as with any row.
//! Invariant: what a session writes while it has a lock is certified against the lock's row. So whoever has lost a
//! lock without knowing (its node was cut off, and the others gave the lock away) commits nothing under it.
//! The table is made when the first lock is asked for, and shown to nobody.
//! Not here: who frees the locks of sessions and nodes that are gone (replica).

use crate::action::{Env, Turn};
use crate::error::Error;
use crate::key;
use crate::queue::Awaited;
use crate::request::{Column, ColumnType, Isolation, StepResult, TableDef};
use crate::row;
use crate::session::Context;
use crate::sql::{Asking, Vars};
use crate::store::Store;
use crate::table::TableInfo;
use crate::txn::Txn;
use crate::value::Value;
use crate::zoo::{self, Bug};
use plait_base::{BootEpoch, Mono, Seqno, Slot};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where the locks are; no client can name it.
pub const TABLE: &str = "plait$locks";
/// MySQL's bound of a name, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Locks that one session may have.
const LOCKS_MAX: usize = 1024;
/// What stands for *as long as it takes*.
pub const WAIT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// A lock as it stands in its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    pub name: String,
    pub slot: Slot,
    pub epoch: BootEpoch,
    pub session: u64,
    /// Sets apart two times that one session had it: the position at which it asked.
    pub turn: Seqno,
    /// What `IS_USED_LOCK` answers.
    pub connection: i64,
}

/// The columns of the table, the name first; the others are integers.
pub const COLUMNS: [&str; 6] = ["name", "slot", "epoch", "session", "turn", "connection"];

impl Lock {
    /// The integers of its row, in the order of [`COLUMNS`].
    pub fn numbers(&self) -> [i64; 5] {
        let slot = self.slot.at() as i64;
        // The bits of an epoch, whatever number they make.
        [slot, self.epoch.0 as i64, self.session as i64, self.turn.0 as i64, self.connection]
    }

    fn values(&self) -> Vec<Value> {
        let numbers = self.numbers().map(Value::Int);
        [Value::Text(self.name.clone())].into_iter().chain(numbers).collect()
    }

    fn read(row: &[u8]) -> Option<Lock> {
        let row = row::kept(row);
        let [Value::Text(name), rest @ ..] = &row[..] else { return None };
        let numbers: Vec<i64> =
            rest.iter().map_while(|value| if let Value::Int(n) = value { Some(*n) } else { None }).collect();
        let [slot, epoch, session, turn, connection] = numbers[..] else { return None };
        Some(Lock {
            name: name.clone(),
            slot: *Slot::ALL.get(usize::try_from(slot).ok()?)?,
            epoch: BootEpoch(epoch as u64),
            session: session as u64,
            turn: Seqno(turn as u64),
            connection,
        })
    }

    fn is_of(&self, who: &Lock) -> bool {
        (self.slot, self.epoch, self.session) == (who.slot, who.epoch, who.session)
    }
}

fn table() -> TableDef {
    let column = |name: &str, kind| Column { name: name.into(), kind, ..Column::default() };
    let kind = |at| match at {
        0 => ColumnType::Text { chars_max: NAME_CHARS_MAX as u32 },
        _ => ColumnType::Int { bits: 64 },
    };
    let columns = COLUMNS.iter().enumerate().map(|(at, name)| column(name, kind(at))).collect();
    TableDef { name: TABLE.to_owned(), columns, primary: vec![0], ..TableDef::default() }
}

impl Store {
    /// All named locks that are held now.
    pub fn named_locks(&self) -> Vec<Lock> {
        let Some(info) = self.table(TABLE, self.applied()) else { return Vec::new() };
        let rows = self.tables[&info.id].rows.values();
        rows.filter_map(|entry| Lock::read(entry.at(self.applied())?.row()?)).collect()
    }

    /// When a named lock was last taken or given back, applied or not yet published.
    pub fn named_locks_changed(&self) -> Seqno {
        let table = self.table(TABLE, self.applied()).and_then(|info| self.tables.get(&info.id));
        table.map_or(Seqno::ZERO, |table| table.changed)
    }
}

/// What a lock function asks for; names in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Get {
        name: String,
        wait: Duration,
    },
    Release {
        name: String,
    },
    ReleaseAll,
    IsFree {
        name: String,
    },
    IsUsed {
        name: String,
    },
    /// Waits until this much of the order is applied here.
    Upto {
        seqno: Seqno,
        wait: Duration,
    },
}

/// The locks of one session.
#[derive(Debug, Default)]
pub(crate) struct Held(BTreeMap<String, Hold>);

#[derive(Debug)]
struct Hold {
    /// How often it was taken and not yet given back.
    times: i64,
    row: Vec<u8>,
    since: Seqno,
}

impl Held {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A lock that it has no more, since others gave it away.
    pub fn lost(&self, store: &Store) -> Option<Error> {
        if self.0.is_empty() || zoo::on(Bug::LockNotFenced) {
            return None;
        }
        let rows = store.table(TABLE, store.applied()).map(|info| &store.tables[&info.id].rows);
        let row_of = |name: &str| rows?.get(&key_of(name)[..])?.at(store.applied())?.row();
        let lost = self.0.iter().find(|(name, hold)| row_of(name) != Some(&hold.row));
        lost.map(|(name, _)| Error::LockLost { name: name.clone() })
    }

    /// Makes the commit of a transaction rest on each lock that was there when it read.
    pub fn stand_behind(&self, txn: &mut Txn, store: &Store) -> Result<(), Error> {
        if self.0.is_empty() || !txn.has_writes() || zoo::on(Bug::LockNotFenced) {
            return Ok(());
        }
        for (name, hold) in &self.0 {
            if txn.insist(store, TABLE, &key_of(name), &hold.row, hold.since)? {
                continue;
            }
            return Err(Error::LockLost { name: name.clone() });
        }
        Ok(())
    }
}

fn key_of(name: &str) -> Vec<u8> {
    key::encode(&[Value::Text(name.to_owned())])
}

/// A lock function under way, with the statement that it stands in.
pub(crate) struct Named {
    ask: Ask,
    statement: Asking,
    deadline: Option<Mono>,
    found: Found,
}

/// What is to be done and answered once the transaction is through.
enum Found {
    Nothing,
    /// The lock was free.
    Took(Lock),
    /// It was this session's before.
    Again,
    Gave(Vec<String>),
    /// Given back once less than it was taken.
    Less,
    Answer(Option<i64>),
}

impl Named {
    pub fn new(ask: Ask, statement: Asking) -> Named {
        Named { ask, statement, deadline: None, found: Found::Nothing }
    }

    pub fn restart(&mut self) {
        self.found = Found::Nothing;
    }

    pub fn run(&mut self, env: &mut Env<'_>) -> Turn {
        if *env.budget == 0 {
            return Turn::Yield;
        }
        *env.budget -= 1;
        self.try_run(env).unwrap_or_else(|error| Turn::Done(Err(error)))
    }

    fn try_run(&mut self, env: &mut Env<'_>) -> Result<Turn, Error> {
        if let Ask::Upto { seqno, wait } = &self.ask {
            return self.wait_upto(*seqno, *wait, env);
        }
        env.statement()?;
        let me = Lock {
            name: String::new(),
            slot: env.local.slot(),
            epoch: env.ctx.epoch,
            session: env.ctx.connection,
            turn: env.store.applied(),
            connection: env.vars.connection(env.ctx),
        };
        let info = match (env.txn.table(env.store, TABLE), &self.ask) {
            (Ok(info), _) => info,
            (Err(Error::NoTable { .. }), Ask::Get { .. }) => return Ok(Turn::Create(table())),
            // Nobody has ever had a lock.
            (Err(Error::NoTable { .. }), ask) => {
                self.found = Found::Answer(match ask {
                    Ask::IsFree { .. } => Some(1),
                    Ask::ReleaseAll => Some(0),
                    _ => None,
                });
                return Ok(Turn::Done(Ok(())));
            }
            (Err(error), _) => return Err(error),
        };
        let mut look = |name: &str, lock| -> Result<Option<Lock>, Error> {
            let row = env.txn.get(env.store, &info, &key_of(name), lock)?;
            Ok(row.and_then(|row| Lock::read(&row)))
        };
        self.found = match &self.ask {
            Ask::IsFree { name } => Found::Answer(Some(i64::from(look(name, false)?.is_none()))),
            Ask::IsUsed { name } => Found::Answer(look(name, false)?.map(|lock| lock.connection)),
            Ask::Get { name, wait } => match look(name, true)? {
                None => {
                    let (held, max) = (env.vars.locks.0.len(), LOCKS_MAX);
                    if held >= max {
                        let (got, max) = (held as u64 + 1, max as u64);
                        return Err(Error::TooLarge { what: "the number of a session's locks", got, max });
                    }
                    let lock = Lock { name: name.clone(), ..me };
                    env.txn.insert(env.store, &info, key_of(name), &lock.values())?;
                    Found::Took(lock)
                }
                Some(lock) if lock.is_of(&me) && env.vars.locks.has(name) => Found::Again,
                Some(_) => {
                    let now = env.ctx.now.mono;
                    let deadline = *self.deadline.get_or_insert(now + *wait);
                    if now < deadline {
                        let changed = env.store.named_locks_changed();
                        return Ok(Turn::Wait(deadline, Awaited::Lock { changed }));
                    }
                    Found::Answer(Some(0))
                }
            },
            Ask::Release { name } => match look(name, true)? {
                None => Found::Answer(None),
                Some(lock) if !lock.is_of(&me) => Found::Answer(Some(0)),
                Some(_) if env.vars.locks.0.get(name).is_some_and(|hold| hold.times > 1) => Found::Less,
                Some(_) => give_back(env, &info, vec![name.clone()])?,
            },
            Ask::ReleaseAll => {
                let names = env.vars.locks.0.keys().cloned().collect();
                give_back(env, &info, names)?
            }
            Ask::Upto { .. } => unreachable!("it touches no lock"),
        };
        Ok(Turn::Done(Ok(())))
    }

    /// `WSREP_SYNC_WAIT_UPTO_GTID`: reads nothing, so it needs no lease either.
    fn wait_upto(&mut self, seqno: Seqno, wait: Duration, env: &Env<'_>) -> Result<Turn, Error> {
        if env.store.applied() >= seqno {
            self.found = Found::Answer(Some(1));
            return Ok(Turn::Done(Ok(())));
        }
        let now = env.ctx.now.mono;
        let deadline = *self.deadline.get_or_insert(now + wait);
        if now < deadline {
            return Ok(Turn::Wait(deadline, Awaited::Position(seqno)));
        }
        Err(Error::TimedOut { what: "the position of a GTID", waited_ms: wait.as_millis() as u64 })
    }

    /// What it asked for is done, at `seqno` if anything was ordered: notes it and answers.
    pub fn finish(
        &mut self,
        vars: &mut Vars,
        ctx: &Context<'_>,
        seqno: Option<Seqno>,
    ) -> Result<StepResult, Error> {
        let held = &mut vars.locks.0;
        let answer = match (std::mem::replace(&mut self.found, Found::Nothing), &self.ask) {
            (Found::Took(lock), _) => {
                let since = seqno.expect("a lock is taken by an order");
                let row = row::encode(&lock.values());
                held.insert(lock.name, Hold { times: 1, row, since });
                Some(1)
            }
            (Found::Again, Ask::Get { name, .. }) => {
                held.get_mut(name).expect("it was there a moment ago").times += 1;
                Some(1)
            }
            (Found::Less, Ask::Release { name }) => {
                held.get_mut(name).expect("it was there a moment ago").times -= 1;
                Some(1)
            }
            (Found::Gave(names), ask) => {
                let times: i64 =
                    names.iter().filter_map(|name| held.remove(name)).map(|hold| hold.times).sum();
                Some(if matches!(ask, Ask::ReleaseAll) { times } else { 1 })
            }
            (Found::Answer(answer), _) => answer,
            (Found::Nothing | Found::Again | Found::Less, _) => {
                unreachable!("it is run before it is finished")
            }
        };
        self.statement.answer(answer, vars, ctx)
    }
}

fn give_back(env: &mut Env<'_>, info: &Arc<TableInfo>, names: Vec<String>) -> Result<Found, Error> {
    for name in &names {
        env.txn.delete(env.store, info, key_of(name))?;
    }
    Ok(Found::Gave(names))
}

impl Txn {
    /// Lets the commit rest on a row being as it is, which was written at `since`; whether it is. What this
    /// transaction read before `since` it read without.
    fn insist(
        &mut self,
        store: &Store,
        table: &str,
        key: &[u8],
        row: &[u8],
        since: Seqno,
    ) -> Result<bool, Error> {
        if self.isolation() == Isolation::ReadCommitted {
            self.look_now(store);
        }
        if self.snapshot().is_none_or(|at| at < since) {
            return Ok(true);
        }
        let info = self.table(store, table)?;
        Ok(self.get(store, &info, key, true)?.as_deref() == Some(row))
    }
}
