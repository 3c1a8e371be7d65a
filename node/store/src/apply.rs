//! Apply: certifies one ordered operation, then does all of it or nothing.
//!
//! Intuition: two people edit copies of one page; the first to reach the printer wins, and the printer can tell by
//! the page's number alone. Here the log is the printer, and each row's newest version is the number.
//! Invariant: a verdict depends on the operations before it alone, never on a clock, a node, a map's order, what
//! was collected, or how often the work was interrupted.
//! Not here: ordering (consensus), duplicates (replica), trying again (session).
//! Source: Pedone, Guerraoui, Schiper, "The Database State Machine Approach", 2003; Galera's certification for the
//! shape, less its exception for write-sets of one node.
//!
//! A second line of defence stands in the same pass: an insert of a row that is there, an update of a row whose
//! hash is another. After certification only a node whose state has gone astray proposes such a thing, so every
//! sound node refuses it alike, the astray one's hash chain parts from theirs, and it has to leave. A panic here
//! would end the sound ones.

use crate::alter::{Altering, admitted};
use crate::error::Error;
use crate::key::{self, Key};
use crate::op::{self, Op, RowChange, RowOp, WriteSet};
use crate::request::TableDef;
use crate::store::{Store, TOMBSTONE_BYTES, row_key, row_value, table_key};
use crate::table::{Body, Entry, Marks, Table, TableHead, TableId, TableInfo, Version};
use crate::verdict::Verdict;
use crate::zoo::{self, Bug};
use crate::{catalogue, index, row};
use plait_base::{Bytes, Digest, ProposalId, Seqno, Slot};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An operation under way.
pub(crate) struct Work {
    seqno: Seqno,
    op: Op,
    stage: Stage,
    /// Where in the stage's list it goes on.
    at: usize,
    /// Where in a range it goes on.
    from: Option<Key>,
    /// The unique places that the rows so far would take: table, index, place.
    taken: BTreeSet<(usize, usize, Vec<u8>)>,
    /// What is made of a table that is altered.
    altering: Option<Box<Altering>>,
    verdict: Option<Verdict>,
}

/// In this order; every refusal leads to `Purge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Rows,
    Reads,
    Ranges,
    Write,
    Purge,
}

impl Store {
    /// Applies one ordered operation as `seqno`, the one after the last. `None`: the budget (about one row a unit)
    /// is spent; call again with the same arguments. Nothing is visible to readers before
    /// [`publish`](Store::publish).
    pub fn apply(&mut self, seqno: Seqno, id: ProposalId, op: &Bytes, budget: &mut u32) -> Option<Verdict> {
        let mut work = match self.work.take() {
            Some(work) => work,
            None => self.begin(seqno, id, op),
        };
        assert_eq!(work.seqno, seqno, "an operation that was begun is ended before the next");
        if !self.go_on(&mut work, id, budget) {
            self.work = Some(work);
            return None;
        }
        let verdict = work.verdict.expect("an operation that is done has a verdict");
        self.seal(seqno, op, &verdict, &work.op);
        Some(verdict)
    }

    fn begin(&mut self, seqno: Seqno, id: ProposalId, bytes: &Bytes) -> Work {
        assert_eq!(seqno, self.newest.next(), "the order has no gaps");
        self.added_over = None;
        #[cfg(feature = "zoo")]
        if zoo::on(Bug::SameOriginSkipped) {
            self.origins.insert(seqno, id.slot);
        }
        let mut work = Work {
            seqno,
            op: Op::WriteSet(WriteSet::default()),
            stage: Stage::Rows,
            at: 0,
            from: None,
            taken: BTreeSet::new(),
            altering: None,
            verdict: None,
        };
        match Op::decode(bytes) {
            Ok(op) => work.op = op,
            Err(error) => {
                let why = format!("operation {id} at seqno {seqno} is not readable: it {error}");
                work.refuse(Error::Internal { why });
            }
        }
        work
    }

    /// Whether it is done.
    fn go_on(&mut self, work: &mut Work, id: ProposalId, budget: &mut u32) -> bool {
        if work.stage != Stage::Purge {
            let seqno = work.seqno;
            match &work.op {
                Op::WriteSet(_) => {
                    if !self.write_set(work, id.slot, budget) {
                        return false;
                    }
                }
                Op::Create(def) => {
                    let verdict = self.create(seqno, def);
                    work.rule(verdict);
                }
                Op::Drop(drop) => {
                    let verdict = self.drop_table(seqno, drop);
                    work.rule(verdict);
                }
                Op::Alter(_) => {
                    let Op::Alter(alter) = std::mem::replace(&mut work.op, Op::WriteSet(WriteSet::default()))
                    else {
                        unreachable!("the caller looked");
                    };
                    let altered = self.alter(seqno, &alter, &mut work.altering, budget);
                    work.op = Op::Alter(alter);
                    match altered {
                        None => return false,
                        Some(verdict) => work.rule(verdict),
                    }
                }
                Op::Add(add) => {
                    *budget = budget.saturating_sub(1);
                    let verdict = self.add(seqno, add);
                    work.rule(verdict);
                }
                Op::Reserve { table, slot, above, count } => {
                    let verdict = self.reserve(seqno, *table, *slot, *above, *count);
                    work.rule(verdict);
                }
            }
        }
        self.purge(work.seqno, budget)
    }

    /// Certifies, then writes. Whether it is done with both.
    fn write_set(&mut self, work: &mut Work, origin: Slot, budget: &mut u32) -> bool {
        let Op::WriteSet(set) = std::mem::replace(&mut work.op, Op::WriteSet(WriteSet::default())) else {
            unreachable!("the caller looked");
        };
        let begins = work.stage == Stage::Rows && work.at == 0;
        if begins && let Err(error) = self.admit(&set, work.seqno) {
            work.refuse(error);
        }
        while work.stage != Stage::Purge && *budget > 0 {
            let length = match work.stage {
                Stage::Rows | Stage::Write => set.rows.len(),
                Stage::Reads => set.reads.len(),
                Stage::Ranges => set.ranges.len(),
                Stage::Purge => unreachable!("the loop ends there"),
            };
            if work.at == length {
                work.at = 0;
                work.stage = match work.stage {
                    Stage::Rows => Stage::Reads,
                    Stage::Reads => Stage::Ranges,
                    Stage::Ranges => Stage::Write,
                    Stage::Write | Stage::Purge => {
                        work.rule(Ok(Verdict::done(work.seqno)));
                        break;
                    }
                };
                continue;
            }
            let certified = match work.stage {
                Stage::Rows => {
                    *budget -= 1;
                    self.certify_row(&set, work.at, origin)
                        .and_then(|()| self.certify_unique(&set, work.at, &mut work.taken, budget))
                }
                Stage::Reads => {
                    *budget -= 1;
                    let read = &set.reads[work.at];
                    if zoo::on(Bug::ReadKeysDropped) { Ok(()) } else { self.certify_read(&set, read, origin) }
                }
                Stage::Ranges => match self.certify_range(&set, work.at, &mut work.from, origin, budget) {
                    Some(certified) => certified,
                    None => break,
                },
                Stage::Write => {
                    *budget -= 1;
                    self.write(&set, &set.rows[work.at], work.seqno);
                    Ok(())
                }
                Stage::Purge => unreachable!("the loop ends there"),
            };
            match certified {
                Ok(()) => work.at += 1,
                Err(error) => work.refuse(error),
            }
        }
        work.op = Op::WriteSet(set);
        work.stage == Stage::Purge
    }

    /// What can be told without looking at a row.
    fn admit(&self, set: &WriteSet, seqno: Seqno) -> Result<(), Error> {
        for (id, schema_version) in &set.tables {
            // A dropped table may or may not still be in memory here, so nothing of it may reach the verdict.
            let table = self.tables.get(id).filter(|table| table.dropped.is_none());
            if table.is_none_or(|table| table.info().schema_version != *schema_version) {
                return Err(Error::SchemaChanged { table: format!("#{}", id.0) });
            }
        }
        if set.read_at < self.horizon {
            return Err(Error::TooOld { read_at: set.read_at, horizon: self.horizon });
        }
        let latest = set.rows.iter().map(|row| row.read_at).max();
        if latest.is_some_and(|latest| latest >= seqno) {
            return Err(Error::Internal {
                why: format!("a write-set at seqno {seqno} says that it read later"),
            });
        }
        Ok(())
    }

    /// Writes one certified row: a version on top of the key's others. Keeps hash, tombstones and counts in step.
    pub(crate) fn write(&mut self, set: &WriteSet, op: &RowOp, seqno: Seqno) {
        let (id, key) = (set.tables[op.table].0, op.key.as_ref());
        if let RowChange::Insert(row) = &op.change {
            self.note_id(id, key, row, seqno);
        }
        let table = self.tables.get_mut(&id).expect("the write-set was certified against this table");
        let export_key = row_key(id, key);
        let tombstone_bytes = key.len() as u64 + TOMBSTONE_BYTES;
        table.changed = seqno;
        let info = Arc::clone(table.info());
        let entry = table.rows.get_mut(key);
        let body = match (&op.change, &entry) {
            (RowChange::Insert(row), _) => Body::Row(row.as_ref().into()),
            (RowChange::Delete { .. }, _) => Body::Tombstone { purged: Seqno::ZERO },
            (RowChange::Update { cells, .. }, entry) => {
                let now = entry.as_ref().and_then(|entry| entry.newest.row());
                let cells = cells.iter().map(|(at, cell)| (*at, cell.as_ref()));
                let row = now.and_then(|now| row::patch(now, cells));
                Body::Row(row.expect("the update was certified against this row").into())
            }
        };
        let version = Version { seqno, body };
        let gone = version.row().is_none();
        let value = row_value(&version).expect("a new version is remembered");
        let before = entry.as_ref().map(|entry| &entry.newest);
        index::enter(&mut table.indexes, &info.def, key, before, &version);
        match entry {
            Some(entry) => {
                if let Some(value) = row_value(&entry.newest) {
                    Store::hash_out(&mut self.state, &mut table.hash, &export_key, &value);
                }
                match entry.newest.body {
                    Body::Row(_) => table.live -= 1,
                    Body::Tombstone { purged: Seqno::ZERO } => {
                        table.tombstone_bytes -= tombstone_bytes;
                        self.tombstone_bytes -= tombstone_bytes;
                        self.tombstones.remove(&(entry.newest.seqno, id, Key::from(key)));
                    }
                    Body::Tombstone { .. } => {}
                }
                if gone && zoo::on(Bug::TombstonesForgotten) {
                    table.rows.remove(key);
                    return;
                }
                let replaced = std::mem::replace(&mut entry.newest, version);
                entry.older.push(replaced);
                self.superseded.push_back((seqno, id, Key::from(key)));
            }
            None => {
                assert!(!gone, "a delete was certified against a row");
                table.rows.insert(Key::from(key), Entry::new(version));
            }
        }
        Store::hash_in(&mut self.state, &mut table.hash, &export_key, &value);
        if gone {
            table.tombstone_bytes += tombstone_bytes;
            self.tombstone_bytes += tombstone_bytes;
            self.tombstones.insert((seqno, id, Key::from(key)));
        } else {
            table.live += 1;
        }
    }

    /// An id that was used lifts the mark of its class, whoever chose it, so that it is never handed out again.
    fn note_id(&mut self, id: TableId, key: &[u8], row: &[u8], seqno: Seqno) {
        let table = self.tables.get_mut(&id).expect("the write-set was certified against this table");
        let Some(value) = used_id(table.info(), key, row) else { return };
        table.known_max = table.known_max.max(value);
        let slot = class_of(value);
        let mut marks = table.marks();
        if value > marks.of(slot) {
            marks.lift(slot, value);
            self.set_marks(id, seqno, marks);
        }
    }

    fn set_marks(&mut self, id: TableId, seqno: Seqno, marks: Marks) {
        if zoo::on(Bug::IdMarkLost) {
            return;
        }
        let info = Arc::clone(self.tables[&id].info());
        self.set_head(id, TableHead { seqno, info, marks });
    }

    pub(crate) fn set_head(&mut self, id: TableId, head: TableHead) {
        let table = self.tables.get_mut(&id).expect("a head belongs to a table");
        let before = catalogue::value(table.head());
        Store::hash_out(&mut self.state, &mut table.hash, &table_key(id), &before);
        table.set_head(head);
        let after = catalogue::value(table.head());
        Store::hash_in(&mut self.state, &mut table.hash, &table_key(id), &after);
    }

    fn create(&mut self, seqno: Seqno, def: &TableDef) -> Result<Verdict, Error> {
        if self.table(&def.name, seqno).is_some() {
            return if def.if_not_exists {
                Ok(Verdict::done(seqno))
            } else {
                Err(Error::TableExists { table: def.name.clone() })
            };
        }
        let unchecked = def.unchecked;
        let (ids_from, marks) = (def.ids_from, Marks::default().all_below(def.ids_from));
        let def = admitted(def)?;
        self.admit_foreign(seqno, None, &def, unchecked)?;
        self.admit_parent(&def, unchecked)?;
        self.tell_parents(seqno, &def);
        let id = TableId(self.next_table);
        self.next_table += 1;
        let mut table = Table::new(TableInfo::new(id, 1, seqno, def), (seqno, marks));
        table.known_max = ids_from.saturating_sub(1).max(0);
        let value = catalogue::value(table.head());
        Store::hash_in(&mut self.state, &mut table.hash, &table_key(id), &value);
        self.add_table(table);
        self.catalogue_changed = seqno;
        self.refer();
        Ok(Verdict::done(seqno))
    }

    fn drop_table(&mut self, seqno: Seqno, drop: &op::Drop) -> Result<Verdict, Error> {
        let found = self.table(&drop.name, seqno).filter(|info| info.is_view() == drop.view);
        let Some(info) = found.map(Arc::clone) else {
            return if drop.if_exists {
                Ok(Verdict::done(seqno))
            } else {
                Err(Error::NoTable { table: drop.name.clone() })
            };
        };
        self.admit_drop(&info, &drop.along, drop.unchecked)?;
        self.take_out(seqno, info.id);
        self.refer();
        Ok(Verdict::done(seqno))
    }

    /// A table is no more from here on. Its rows leave the state at once and the memory later.
    pub(crate) fn take_out(&mut self, seqno: Seqno, id: TableId) {
        let table = self.tables.get_mut(&id).expect("the caller looked");
        table.dropped = Some(seqno);
        table.changed = seqno;
        self.state.part(&table.hash);
        self.tombstone_bytes -= table.tombstone_bytes;
        self.dropped.push_back((seqno, id));
        self.catalogue_changed = seqno;
    }

    fn reserve(
        &mut self,
        seqno: Seqno,
        id: TableId,
        slot: Slot,
        above: i64,
        count: u64,
    ) -> Result<Verdict, Error> {
        let Some(table) = self.tables.get(&id).filter(|table| table.dropped.is_none()) else {
            return Err(Error::SchemaChanged { table: format!("#{}", id.0) });
        };
        let mut marks = table.marks();
        let first = id_above(slot, marks.of(slot).max(above));
        let last = first.and_then(|first| {
            let steps = i64::try_from(count.clamp(1, 1 << 40) - 1).ok()?;
            // Near the end of the range the block is what is left.
            Some(first.saturating_add(steps * 3)).map(|last| last - (last - first).rem_euclid(3))
        });
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Error::Misuse { why: format!("table {} has no more ids", table.info().name()) });
        };
        marks.lift(slot, last);
        self.set_marks(id, seqno, marks);
        Ok(Verdict::Done { seqno, first, last })
    }

    /// Forgets tombstones beyond the two bounds. Whether it is done.
    fn purge(&mut self, seqno: Seqno, budget: &mut u32) -> bool {
        loop {
            let Some((at, id, _)) = self.tombstones.first() else { return true };
            let (at, id) = (*at, *id);
            let aged = seqno.0 - at.0 >= self.settings.tombstone_seqnos_max;
            if !aged && self.tombstone_bytes <= self.settings.tombstone_bytes_max {
                return true;
            }
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            let (_, _, key) = self.tombstones.pop_first().expect("it was there a moment ago");
            let Some(table) = self.tables.get_mut(&id).filter(|table| table.dropped.is_none()) else {
                continue;
            };
            let bytes = key.len() as u64 + TOMBSTONE_BYTES;
            table.tombstone_bytes -= bytes;
            self.tombstone_bytes -= bytes;
            self.horizon = self.horizon.max(at);
            table.changed = seqno;
            let entry =
                table.rows.get_mut(&key).expect("a remembered tombstone is the newest version of its key");
            assert_eq!(entry.newest.seqno, at, "a remembered tombstone is the newest version of its key");
            let value = row_value(&entry.newest).expect("it was remembered until now");
            Store::hash_out(&mut self.state, &mut table.hash, &row_key(id, &key), &value);
            entry.newest.body = Body::Tombstone { purged: seqno };
            self.purged.push_back((seqno, id, key));
        }
    }

    /// Ends an operation: the chain takes it in.
    fn seal(&mut self, seqno: Seqno, bytes: &Bytes, verdict: &Verdict, op: &Op) {
        self.newest = seqno;
        let (n, state, verdict) = (seqno.0.to_le_bytes(), self.state.digest(), verdict.chained());
        let extra = extra(op);
        self.chain = Digest::of(&[&self.chain.0, &n, bytes, &verdict, &state.0, &extra]);
    }
}

impl Work {
    fn refuse(&mut self, error: Error) {
        self.verdict = Some(Verdict::Refused(error));
        self.stage = Stage::Purge;
    }

    fn rule(&mut self, verdict: Result<Verdict, Error>) {
        self.verdict = Some(verdict.unwrap_or_else(Verdict::Refused));
        self.stage = Stage::Purge;
    }
}

/// The name of the primary key.
pub(crate) const PRIMARY: &str = "PRIMARY";

pub(crate) fn duplicate(info: &TableInfo, index: &str, key: &[u8]) -> Error {
    Error::DuplicateKey { table: info.name().to_owned(), index: index.to_owned(), key: key::show(key) }
}

/// What else goes into the chain: nothing, unless a planted bug puts there what no node shares with another.
fn extra(op: &Op) -> Vec<u8> {
    let mut extra = Vec::new();
    if zoo::on(Bug::HashOrder)
        && let Op::WriteSet(set) = op
    {
        #[allow(clippy::disallowed_types)]
        let keys: std::collections::HashSet<&[u8]> = set.rows.iter().map(|row| row.key.as_ref()).collect();
        keys.iter().for_each(|key| extra.extend_from_slice(key));
    }
    if zoo::on(Bug::ClockRead) {
        #[allow(clippy::disallowed_methods, clippy::disallowed_types)]
        let now = std::time::SystemTime::now();
        extra.extend(format!("{now:?}").into_bytes());
    }
    extra
}

/// The id that a row uses, if it uses one.
pub(crate) fn used_id(info: &TableInfo, key: &[u8], row: &[u8]) -> Option<i64> {
    let value = match info.def.auto_increment {
        Some(at) => row::cell(row, at),
        None if info.hidden_key() => key::decode(key).ok()?.pop()?,
        None => return None,
    };
    match value {
        crate::Value::Int(n) if n > 0 => Some(n),
        _ => None,
    }
}

/// Whose class an id above 0 is in.
pub(crate) fn class_of(id: i64) -> Slot {
    Slot::ALL[(id - 1).rem_euclid(3) as usize]
}

/// The lowest id of a slot's class above `above` and above 0; `None` if there is none.
pub(crate) fn id_above(slot: Slot, above: i64) -> Option<i64> {
    let from = above.max(0).checked_add(1)?;
    from.checked_add((i64::from(slot.get()) - from).rem_euclid(3))
}
