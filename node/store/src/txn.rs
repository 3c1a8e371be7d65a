//! A transaction while it runs: a snapshot, what it would write laid over it, and what it read.
//!
//! Intuition: a sheet of tracing paper over a page that nobody can change under it. What is drawn on the paper is
//! handed in as a whole; who certifies it looks only at what was drawn, what was read, and when.
//! Invariant: `read_at` of a key is the snapshot in which it was first read or written, never the position at
//! commit; a row that this transaction wrote is what it reads from then on.
//! Not here: when a transaction begins, ends, or is tried again (`session`); what a statement means (`steps`,
//! `sql`).

use crate::apply::{PRIMARY, duplicate};
use crate::error::Error;
use crate::key;
use crate::named;
use crate::request::Isolation;
use crate::row;
use crate::session::replay::Said;
use crate::store::Store;
use crate::table::{Entry, TableId, TableInfo};
use crate::value::Value;
use plait_base::Seqno;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Read keys of one table that are certified one by one; beyond it the span that they lie in is certified.
const READ_KEYS_MAX: usize = 10_000;

mod encode;
mod extend;
mod foreign;
mod places;
mod savepoint;
mod scan;

use extend::Peeks;
pub use scan::{Scan, Visitor, Walk};

/// See the module's words.
#[derive(Debug)]
pub struct Txn {
    isolation: Isolation,
    /// Galera's rules instead of this store's: see [`Txn::as_galera`].
    galera: bool,
    snapshot: Option<Seqno>,
    tables: BTreeMap<TableId, Part>,
    /// What the statement under way replaced, to be put back if it fails: the newest last.
    undo: Vec<(TableId, Vec<u8>, Before)>,
    /// How long `undo` was at the last mark.
    mark: usize,
    /// Places to go back to: name, length of `undo`, bytes.
    savepoints: Vec<(String, usize, u64)>,
    /// What was read and is not certified, so that the snapshot may be moved on as long as it is as it was; and how
    /// much of it there was at the last mark.
    peeks: Peeks,
    peeks_at_mark: (usize, usize),
    /// Keys that the statement under way read under lock.
    locked: Vec<(TableId, Vec<u8>)>,
    /// What it noted to be certified: keys, or ranges, the newest last.
    noted: Vec<(TableId, Option<Vec<u8>>)>,
    /// Parents that it held.
    holding: Vec<(TableId, Vec<u8>)>,
    /// Bytes of keys and rows in the overlay, about; and at the last mark.
    bytes: u64,
    bytes_at_mark: u64,
    depends_on: Seqno,
    /// Whether foreign keys are looked at (MySQL's `foreign_key_checks`).
    pub(crate) foreign_checks: bool,
    /// What follows from the change under way, the next thing last.
    cascades: Vec<foreign::Cascade>,
    /// The tables through which the change under way came about.
    chain: Vec<TableId>,
    /// What it did, in statements, and what they answered.
    pub(crate) said: Said,
}

/// What a key of the overlay held before a write: nothing, or a row or its absence.
type Before = Option<Option<Vec<u8>>>;

/// What a write found under its key.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub row: Option<Vec<u8>>,
    /// Whether this transaction has written the key before.
    own: bool,
}

/// What concerns one table.
#[derive(Debug)]
struct Part {
    info: Arc<TableInfo>,
    writes: BTreeMap<Vec<u8>, Write>,
    /// Where the rows written stand in each secondary key: their entries there.
    places: Vec<BTreeSet<Vec<u8>>>,
    reads: BTreeMap<Vec<u8>, Seqno>,
    /// Rows that must still be there: parents of what was written.
    held: BTreeMap<Vec<u8>, Seqno>,
    ranges: Vec<Range>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Write {
    read_at: Seqno,
    /// The row when it was first read; `None`: it was not there.
    base: Option<Vec<u8>>,
    /// The row now; `None`: it is deleted.
    now: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    index: Option<usize>,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
    read_at: Seqno,
    /// Where children would stand of a parent that goes.
    foreign: bool,
}

impl Txn {
    pub fn new(isolation: Isolation) -> Txn {
        Txn {
            isolation,
            galera: false,
            snapshot: None,
            tables: BTreeMap::new(),
            undo: Vec::new(),
            bytes: 0,
            bytes_at_mark: 0,
            mark: 0,
            savepoints: Vec::new(),
            peeks: Peeks::default(),
            peeks_at_mark: (0, 0),
            locked: Vec::new(),
            noted: Vec::new(),
            holding: Vec::new(),
            depends_on: Seqno::ZERO,
            foreign_checks: true,
            cascades: Vec::new(),
            chain: Vec::new(),
            said: Said::default(),
        }
    }

    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// The position that its reads see; `None` before the first read.
    pub fn snapshot(&self) -> Option<Seqno> {
        self.snapshot
    }

    /// The newest position that anything read so far rests on.
    pub fn depends_on(&self) -> Seqno {
        self.depends_on
    }

    /// Whether a commit has anything to order.
    pub fn has_writes(&self) -> bool {
        self.tables.values().any(|part| part.writes.values().any(Write::changes))
    }

    /// Begins a statement: takes the snapshot if there is none, and a fresh one at `READ COMMITTED`. `may_read`
    /// says whether this node may take one now.
    pub fn statement(&mut self, store: &Store, may_read: &Result<(), String>) -> Result<(), Error> {
        may_read.as_ref().map_err(|why| Error::NotPrimary { why: why.clone() })?;
        if self.snapshot.is_none() || self.isolation == Isolation::ReadCommitted {
            self.snapshot = Some(store.applied());
        }
        Ok(())
    }

    /// From here on with Galera's rules, for a lesson: a write, and a read under lock, is of the row as it is by then,
    /// whatever this transaction read before; what is certified is what was written, and from then on. So updates
    /// are lost and writes skewed, as in MariaDB 10.11 with galera-4 26.4.
    pub(crate) fn as_galera(&mut self, on: bool) {
        self.galera = on;
    }

    /// Reads from here on see the newest state.
    pub(crate) fn look_now(&mut self, store: &Store) {
        self.snapshot = Some(store.applied());
    }

    /// Between two statements at `READ COMMITTED` nothing is read, so no old version is held for it.
    pub(crate) fn statement_ended(&mut self) {
        if self.isolation == Isolation::ReadCommitted {
            self.snapshot = None;
        }
    }

    /// From here on [`undo`](Txn::undo) takes writes back.
    pub fn mark(&mut self) {
        if self.savepoints.is_empty() {
            self.undo.clear();
        }
        self.mark = self.undo.len();
        self.bytes_at_mark = self.bytes;
        self.peeks_at_mark = self.peeks.len();
        self.locked.clear();
        self.noted.clear();
        self.holding.clear();
    }

    /// Keys that were written, or read under lock, since the mark.
    pub(crate) fn touched(&self) -> impl Iterator<Item = (TableId, &[u8])> {
        let written = self.undo[self.mark..].iter().map(|(table, key, _)| (*table, key.as_slice()));
        written.chain(self.locked.iter().map(|(table, key)| (*table, key.as_slice())))
    }

    /// Takes back all writes since the mark. What was read stays read.
    pub fn undo(&mut self) {
        // What the writes found goes with them, and the client is told of it.
        if self.undo.len() > self.mark {
            self.peeks.give_up();
        }
        self.take_back();
    }

    fn take_back(&mut self) {
        self.cascades.clear();
        self.chain.clear();
        self.undo_to(self.mark, self.bytes_at_mark);
        self.locked.clear();
    }

    /// Takes back all that was done since the mark, reads too: for a statement that nobody was told of.
    pub(crate) fn forget(&mut self) {
        self.take_back();
        self.peeks.truncate(self.peeks_at_mark);
        while let Some((table, key)) = self.holding.pop() {
            let part = self.tables.get_mut(&table).expect("who is held has its part");
            part.held.remove(&key);
        }
        while let Some((table, key)) = self.noted.pop() {
            let part = self.tables.get_mut(&table).expect("what was read has its part");
            match key {
                Some(key) => drop(part.reads.remove(&key)),
                None => drop(part.ranges.pop()),
            }
        }
    }

    /// The position whose rows writes and locking reads are of.
    fn written_at(&self, store: &Store) -> Seqno {
        if self.galera { store.applied() } else { self.at() }
    }

    fn at(&self) -> Seqno {
        self.snapshot.expect("a statement was begun before it read")
    }

    fn rest_on(&mut self, seqno: Seqno) {
        self.depends_on = self.depends_on.max(seqno);
    }

    /// The definition of a table, which the commit will insist on.
    pub fn table(&mut self, store: &Store, name: &str) -> Result<Arc<TableInfo>, Error> {
        let at = self.at();
        let Some(info) = store.table(name, at) else {
            self.rest_on(store.catalogue_changed());
            self.peeks.give_up();
            // A table that was created after the snapshot is there for everybody else: begin again and see it.
            return Err(match store.table(name, store.applied_unpublished()) {
                Some(_) => Error::SchemaChanged { table: name.to_owned() },
                None => Error::NoTable { table: name.to_owned() },
            });
        };
        // Dropped or altered since: who goes on with it can't commit.
        let now = store.tables.get(&info.id).filter(|table| table.dropped.is_none());
        let now = now.and_then(|table| table.head_at(store.applied()));
        if now.is_none_or(|head| head.info.schema_version != info.schema_version) {
            self.rest_on(store.catalogue_changed());
            return Err(Error::SchemaChanged { table: name.to_owned() });
        }
        let info = Arc::clone(info);
        self.rest_on(info.created);
        Ok(info)
    }

    /// All tables, by name.
    pub fn tables(&mut self, store: &Store) -> Vec<Arc<TableInfo>> {
        // The list rests on what is not in it as well, and nobody notes that.
        self.peeks.give_up();
        self.rest_on(store.catalogue_changed());
        let mut tables = store.tables(self.at());
        tables.retain(|info| info.name() != named::TABLE);
        tables
    }

    fn part(&mut self, info: &Arc<TableInfo>) -> &mut Part {
        self.tables.entry(info.id).or_insert_with(|| Part {
            info: Arc::clone(info),
            writes: BTreeMap::new(),
            places: info.def.indexes.iter().map(|_| BTreeSet::new()).collect(),
            reads: BTreeMap::new(),
            held: BTreeMap::new(),
            ranges: Vec::new(),
        })
    }

    /// A row by its encoded key, as this transaction sees it. `lock`: as `FOR UPDATE`, what was read is certified,
    /// and a row that somebody wrote after the snapshot is refused at once.
    pub fn get(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        key: &[u8],
        lock: bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.look(store, info, key, lock)?.map(<[u8]>::to_vec))
    }

    /// The same where it lies.
    pub fn look<'s>(
        &'s mut self,
        store: &'s Store,
        info: &Arc<TableInfo>,
        key: &[u8],
        lock: bool,
    ) -> Result<Option<&'s [u8]>, Error> {
        if self.tables.get(&info.id).is_some_and(|part| part.writes.contains_key(key)) {
            return Ok(self.tables[&info.id].writes[key].now.as_deref());
        }
        let (at, entry) = (self.at(), entry(store, info, key));
        // Early refusal: what would lose at commit may as well lose now.
        let at = if lock { self.written_at(store) } else { at };
        if let Some(winner) = entry.map(|e| e.newest.seqno).filter(|winner| lock && *winner > at) {
            return Err(self.lost(info, key, winner));
        }
        let row = entry.and_then(|entry| entry.at(at)).and_then(|version| {
            self.rest_on(version.seqno);
            version.row()
        });
        if lock {
            self.note_locked(info.id, key);
        }
        if lock || self.isolation == Isolation::Serializable {
            self.note_read(info, key);
        } else {
            self.peeks.key(info.id, key);
        }
        Ok(row)
    }

    fn note_read(&mut self, info: &Arc<TableInfo>, key: &[u8]) {
        let at = self.at();
        let part = self.part(info);
        if !part.reads.contains_key(key) {
            part.reads.insert(key.to_vec(), at);
            if part.reads.len() > READ_KEYS_MAX {
                part.coarsen();
                self.noted.clear();
            } else {
                self.noted.push((info.id, Some(key.to_vec())));
            }
        }
    }

    /// The row that a write of this key would replace, which is read for it (and refused if somebody wrote it after
    /// the snapshot).
    pub fn get_to_write(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.find(store, info, key)?.row)
    }

    /// As above, with what the write itself will need, so that a row is looked up once.
    pub(crate) fn find(&mut self, store: &Store, info: &Arc<TableInfo>, key: &[u8]) -> Result<Found, Error> {
        if let Some(write) = self.tables.get(&info.id).and_then(|part| part.writes.get(key)) {
            return Ok(Found { row: write.now.clone(), own: true });
        }
        let at = self.written_at(store);
        let entry = entry(store, info, key);
        if let Some(winner) = entry.map(|entry| entry.newest.seqno).filter(|winner| *winner > at) {
            return Err(self.lost(info, key, winner));
        }
        if self.isolation == Isolation::Serializable {
            self.note_read(info, key);
        }
        // Nothing is newer, so the newest is what it sees.
        let row = entry.and_then(|entry| {
            self.rest_on(entry.newest.seqno);
            entry.newest.row().map(<[u8]>::to_vec)
        });
        // That there is nothing to change is an answer, which rests on the absence.
        if row.is_none() {
            self.peeks.key(info.id, key);
        }
        Ok(Found { row, own: false })
    }

    fn lost(&mut self, info: &TableInfo, key: &[u8], winner: Seqno) -> Error {
        self.rest_on(winner);
        let (table, key, read_at) = (info.name().to_owned(), key::show(key), self.at());
        Error::Conflict { table, key, read_at, winner }
    }

    /// Puts a row (`None`: its absence) into the overlay, over what was found there.
    fn set(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        key: Vec<u8>,
        found: Found,
        now: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        if key.len() > key::KEY_BYTES_MAX {
            let (got, max) = (key.len() as u64, key::KEY_BYTES_MAX as u64);
            return Err(Error::TooLarge { what: "a key, in bytes,", got, max });
        }
        self.bytes += key.len() as u64 + now.as_ref().map_or(0, |row| row.len() as u64) + 16;
        let max = store.settings().writeset_bytes_max;
        if self.bytes > max {
            return Err(Error::TooLarge { what: "the size of a write-set, in bytes,", got: self.bytes, max });
        }
        let (id, at, galera) = (info.id, self.written_at(store), self.galera);
        // What an earlier statement read stays remembered: this one may yet be taken back.
        if self.peeks.len().0 > self.peeks_at_mark.0 {
            self.peeks.written(id, &key);
        }
        let part = self.part(info);
        let before = if found.own {
            let write = part.writes.get_mut(&key).expect("it was found in the overlay");
            let before = std::mem::replace(&mut write.now, now.clone());
            part.moved(&key, before.as_deref(), now.as_deref());
            Some(before)
        } else {
            part.moved(&key, None, now.as_deref());
            // A key that was read in an earlier snapshot must be as it was then.
            let read_at = part.reads.get(&key).filter(|_| !galera).map_or(at, |read_at| at.min(*read_at));
            part.writes.insert(key.clone(), Write { read_at, base: found.row, now });
            None
        };
        self.undo.push((id, key, before));
        Ok(())
    }

    /// Inserts a row under a key that must not be there.
    pub fn insert(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        key: Vec<u8>,
        values: &[Value],
    ) -> Result<(), Error> {
        info.admits(values)?;
        let found = self.find(store, info, &key)?;
        if found.row.is_some() {
            return Err(self.duplicate(info, PRIMARY, &key, &key));
        }
        self.unique(store, info, &[&key], values)?;
        self.parents(store, info, None, values)?;
        self.set(store, info, key, found, Some(row::encode(values)))
    }

    /// The row's presence is told to the client, who may rely on it: certified like a locking read.
    fn duplicate(&mut self, info: &Arc<TableInfo>, index: &str, place: &[u8], key: &[u8]) -> Error {
        self.note_read(info, key);
        duplicate(info, index, place)
    }

    /// Inserts a row or replaces it. Whether there was one.
    pub fn put(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        key: Vec<u8>,
        values: &[Value],
    ) -> Result<bool, Error> {
        info.admits(values)?;
        let found = self.find(store, info, &key)?;
        let before = found.row.clone();
        self.unique(store, info, &[&key], values)?;
        self.parents(store, info, before.as_deref(), values)?;
        self.set(store, info, key, found, Some(row::encode(values)))?;
        self.changed(store, info, before.as_deref(), Some(values))?;
        Ok(before.is_some())
    }

    /// Replaces the row under `key`, if there is one, by `values`; these may have another key. Whether anything
    /// changed.
    pub fn replace(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        key: Vec<u8>,
        values: &[Value],
    ) -> Result<bool, Error> {
        let found = self.find(store, info, &key)?;
        if found.row.is_none() {
            return Ok(false);
        }
        self.replace_found(store, info, key, found, values)
    }

    pub(crate) fn replace_found(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        key: Vec<u8>,
        found: Found,
        values: &[Value],
    ) -> Result<bool, Error> {
        info.admits(values)?;
        let after = row::encode(values);
        if found.row.as_ref() == Some(&after) {
            // Nothing changes, yet the row is locked as a change would have locked it.
            self.note_read(info, &key);
            return Ok(false);
        }
        self.parents(store, info, found.row.as_deref(), values)?;
        let before = found.row.clone().filter(|_| self.has_children(store, info));
        let moved =
            if info.hidden_key() { None } else { Some(info.key_of(values)).filter(|moved| *moved != key) };
        match moved {
            None => {
                self.unique(store, info, &[&key], values)?;
                self.set(store, info, key, found, Some(after))?;
            }
            Some(moved) => {
                let there = self.find(store, info, &moved)?;
                if there.row.is_some() {
                    return Err(self.duplicate(info, PRIMARY, &moved, &moved));
                }
                self.unique(store, info, &[&key, &moved], values)?;
                self.set(store, info, key, found, None)?;
                self.set(store, info, moved, there, Some(after))?;
            }
        }
        self.changed(store, info, before.as_deref(), Some(values))?;
        Ok(true)
    }

    /// What follows from a change, if there was a row before it.
    fn changed(
        &mut self,
        store: &Store,
        info: &Arc<TableInfo>,
        before: Option<&[u8]>,
        after: Option<&[Value]>,
    ) -> Result<(), Error> {
        match before.filter(|_| self.has_children(store, info)) {
            Some(before) => self.set_off(store, info, before, after),
            None => Ok(()),
        }
    }

    /// Deletes a row. Whether there was one.
    pub fn delete(&mut self, store: &Store, info: &Arc<TableInfo>, key: Vec<u8>) -> Result<bool, Error> {
        let found = self.find(store, info, &key)?;
        if found.row.is_none() {
            return Ok(false);
        }
        let before = found.row.clone().filter(|_| self.has_children(store, info));
        self.set(store, info, key, found, None)?;
        self.changed(store, info, before.as_deref(), None)?;
        Ok(true)
    }

    /// The name of a table that a refusal calls `#id`, since apply may not look at what is gone.
    pub(crate) fn named(&self, error: Error) -> Error {
        if let Error::SchemaChanged { table } = &error {
            let id = table.strip_prefix('#').and_then(|id| id.parse().ok()).map(TableId);
            if let Some(part) = id.and_then(|id| self.tables.get(&id)) {
                return Error::SchemaChanged { table: part.info.name().to_owned() };
            }
        }
        error
    }

    /// Bytes that the overlay holds, about.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Write {
    fn changes(&self) -> bool {
        match (&self.base, &self.now) {
            (None, None) => false,
            (Some(base), Some(now)) => base != now,
            _ => true,
        }
    }
}

fn entry<'s>(store: &'s Store, info: &TableInfo, key: &[u8]) -> Option<&'s Entry> {
    store.tables.get(&info.id)?.rows.get(key)
}
