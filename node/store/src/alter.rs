//! ALTER TABLE in the ordered apply: another definition for a table, row by row, in slices.
//!
//! Intuition: where the rows may stay as they are, only the registers are written anew; where they may not, the book
//! is copied, and on the day that the copy is done it takes the old one's name.
//! Invariant: until it is done nothing of it can be seen, and if it is refused nothing has happened; who read the
//! table before may not commit on it after, for its schema version, or its id, is another.
//! Not here: what an ALTER statement means (`sql::alter`).

use crate::apply::{PRIMARY, class_of, duplicate, used_id};
use crate::error::Error;
use crate::foreign::{Renamed, no_parent};
use crate::index::{self, Index};
use crate::key::{self, Key};
use crate::op::{Alter, Source};
use crate::request::{Check, Column, ColumnType, ForeignKey, Form, IndexDef, TableDef};
use crate::sql::Conditions;
use crate::store::{Store, row_key, row_value, table_key};
use crate::table::{Body, Entry, Marks, Table, TableHead, TableId, TableInfo, Version};
use crate::value::Value;
use crate::verdict::Verdict;
use crate::{catalogue, row, sql};
use plait_base::Seqno;
use std::collections::BTreeSet;
use std::ops::Bound;

/// An alteration under way.
pub(crate) struct Altering {
    def: TableDef,
    /// The key of the last row that was looked at.
    from: Option<Key>,
    way: Way,
    /// Foreign keys that are new: the parents of all rows are looked for.
    foreign: Vec<ForeignKey>,
    /// Conditions that are new; of a copy, all: its columns may be others.
    checks: (Vec<Check>, Conditions),
    /// The least id that is handed out from then on.
    ids_from: i64,
    /// The definitions of other tables that follow.
    followers: Vec<(TableId, TableDef)>,
}

enum Way {
    /// The rows stay as they are.
    InPlace(Vec<Built>),
    /// Each row is written into another table.
    Copy(Box<Table>),
}

/// A secondary key of the new definition.
enum Built {
    /// As it is, from this place.
    Kept(usize),
    New {
        index: Index,
        /// The places in which rows stand now, of a unique key.
        taken: BTreeSet<Vec<u8>>,
    },
}

impl Store {
    /// Goes on with an alteration; `None`: the budget is spent.
    pub(crate) fn alter(
        &mut self,
        seqno: Seqno,
        alter: &Alter,
        under_way: &mut Option<Box<Altering>>,
        budget: &mut u32,
    ) -> Option<Result<Verdict, Error>> {
        let mut altering = match under_way.take() {
            Some(altering) => altering,
            None => match self.begin_alter(seqno, alter) {
                Ok(altering) => Box::new(altering),
                Err(error) => return Some(Err(error)),
            },
        };
        let table = &self.tables[&alter.table];
        let Altering { def, from, way, foreign, checks, .. } = &mut *altering;
        let none = match way {
            Way::InPlace(built) => {
                foreign.is_empty()
                    && checks.0.is_empty()
                    && built.iter().all(|built| matches!(built, Built::Kept(_)))
            }
            Way::Copy(_) => alter.cells.is_none(),
        };
        let lo = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut last: Option<&Key> = None;
        for (key, entry) in table.rows.range::<[u8], _>((lo, Bound::Unbounded)) {
            if none {
                break;
            }
            if *budget == 0 {
                *from = last.cloned().or_else(|| from.take());
                *under_way = Some(altering);
                return None;
            }
            *budget -= 1;
            last = Some(key);
            let done = match (&mut *way, entry.newest.row()) {
                (Way::InPlace(built), row) => {
                    let row = row.filter(|_| !foreign.is_empty() || !checks.0.is_empty()).map(row::kept);
                    let fits = row.map_or(Ok(()), |row| {
                        meets(def, checks, &row)?;
                        self.have_parents(seqno, def, foreign, &row)
                    });
                    fits.and_then(|()| enter(table.info(), def, built, key, entry))
                }
                (Way::Copy(_), None) => Ok(()),
                (Way::Copy(copy), Some(row)) => {
                    let cells = alter.cells.as_deref().unwrap_or_default();
                    copied(table.info(), copy, cells, key, row, seqno).and_then(|row| {
                        meets(def, checks, &row)?;
                        self.have_parents(seqno, def, foreign, &row)
                    })
                }
            };
            if let Err(error) = done {
                return Some(Err(error));
            }
        }
        self.end_alter(seqno, alter.table, *altering);
        Some(Ok(Verdict::done(seqno)))
    }

    fn begin_alter(&self, seqno: Seqno, alter: &Alter) -> Result<Altering, Error> {
        let table = self.tables.get(&alter.table).filter(|table| table.dropped.is_none());
        let Some(table) = table.filter(|table| table.info().schema_version == alter.schema_version) else {
            return Err(Error::SchemaChanged { table: format!("#{}", alter.table.0) });
        };
        let mut def = admitted(&alter.def)?;
        let (old, unchecked) = (&table.info().def, alter.def.unchecked);
        if def.name != old.name && self.table(&def.name, seqno).is_some() {
            return Err(Error::TableExists { table: def.name });
        }
        let cells = alter.cells.as_deref();
        let strange = |cell: &Source| matches!(cell, Source::Column(at) if *at >= old.columns.len());
        if cells.is_some_and(|cells| cells.len() != def.columns.len() || cells.iter().any(strange)) {
            return Err(Error::Misuse { why: "an alteration names a source for each column".into() });
        }
        let renamed = Renamed { old, new: &def, cells };
        let (own, followers) = (renamed.own()?, self.followers(alter.table, &renamed, unchecked)?);
        def.foreign = own;
        self.admit_foreign(seqno, Some(table.info()), &def, unchecked)?;
        if def.name != old.name {
            self.admit_parent(&def, unchecked)?;
        }
        if cells.is_none() {
            self.admit_truncate(table.info(), unchecked)?;
        }
        let new = |key: &&ForeignKey| !unchecked && !old.foreign.iter().any(|old| old.name == key.name);
        let foreign = def.foreign.iter().filter(new).cloned().collect();
        let mut checks = sql::added_checks(old, &def);
        let way = if cells.is_some_and(|cells| rows_stay(old, &def, cells)) {
            let same = |a: &IndexDef, b: &IndexDef| a.parts == b.parts && a.unique == b.unique;
            let built = |index: &IndexDef| match old.indexes.iter().position(|kept| same(kept, index)) {
                Some(at) => Built::Kept(at),
                None => Built::New { index: Index::default(), taken: BTreeSet::new() },
            };
            Way::InPlace(def.indexes.iter().map(built).collect())
        } else {
            checks.clone_from(&def.checks);
            let info = TableInfo::new(TableId(self.next_table), 1, seqno, def.clone());
            // Ids that were used are not used again, unless all rows are thrown away and counting begins anew.
            let marks = if cells.is_some() { table.marks() } else { Marks::default() };
            Way::Copy(Box::new(Table::new(info, (seqno, marks))))
        };
        let ids_from = alter.def.ids_from;
        let conditions = Conditions::these(&def, &checks);
        Ok(Altering { def, from: None, way, foreign, checks: (checks, conditions), ids_from, followers })
    }

    fn have_parents(
        &self,
        seqno: Seqno,
        def: &TableDef,
        foreign: &[ForeignKey],
        row: &[Value],
    ) -> Result<(), Error> {
        match foreign.iter().find(|key| !self.has_parent(seqno, key, row)) {
            None => Ok(()),
            Some(key) => {
                let error = no_parent(def, key);
                Err(Error::Cells { code: error.code().0, why: error.to_string() })
            }
        }
    }

    fn end_alter(&mut self, seqno: Seqno, id: TableId, altering: Altering) {
        let Altering { def, way, ids_from, followers, .. } = altering;
        if def.foreign != self.tables[&id].info().def.foreign {
            self.tell_parents(seqno, &def);
        }
        for (child, def) in followers {
            self.redefine(seqno, child, def);
        }
        match way {
            Way::InPlace(built) => {
                let table = self.tables.get_mut(&id).expect("the alteration began with it");
                let mut old = std::mem::take(&mut table.indexes);
                let mut indexes: Vec<Index> = Vec::with_capacity(built.len());
                // Where what is kept went: it is moved, for a copy would be a long step, unless two keys are made of
                // one.
                let mut went: Vec<Option<usize>> = vec![None; old.len()];
                for built in built {
                    let index = match built {
                        Built::Kept(at) => match went[at].replace(indexes.len()) {
                            None => std::mem::take(&mut old[at]),
                            Some(there) => indexes[there].clone(),
                        },
                        Built::New { mut index, .. } => {
                            index.left = seqno;
                            index
                        }
                    };
                    indexes.push(index);
                }
                table.indexes = indexes;
                let info = table.info();
                let info = TableInfo::new(id, info.schema_version + 1, info.created, def);
                let (name, marks) = (info.name().to_owned(), table.marks().all_below(ids_from));
                table.known_max = table.known_max.max(ids_from.saturating_sub(1));
                if !table.names.contains(&name) {
                    table.names.push(name.clone());
                }
                self.set_head(id, TableHead { seqno, info: info.into(), marks });
                self.name(id, name);
            }
            Way::Copy(mut copy) => {
                self.next_table += 1;
                let new = copy.info().id;
                copy.heads[0].marks = copy.heads[0].marks.all_below(ids_from);
                copy.known_max = copy.known_max.max(ids_from.saturating_sub(1));
                copy.hash.add(&table_key(new), &catalogue::value(copy.head()));
                self.state.join(&copy.hash);
                self.take_out(seqno, id);
                self.add_table(*copy);
            }
        }
        self.catalogue_changed = seqno;
        self.refer();
    }
}

/// A definition as it is kept. A misfit of its foreign keys has a code of its own.
pub(crate) fn admitted(def: &TableDef) -> Result<TableDef, Error> {
    catalogue::normal(def).map_err(|error| match error {
        Error::Cells { .. } => error,
        error => Error::Misuse { why: error.to_string() },
    })
}

/// Whether every row of the old definition is, as it stands, a row of the new one.
fn rows_stay(old: &TableDef, new: &TableDef, cells: &[Source]) -> bool {
    let wider = |a: ColumnType, b: ColumnType| match (a, b) {
        (ColumnType::Text { chars_max: a }, ColumnType::Text { chars_max: b }) => a <= b,
        (ColumnType::Bytes { bytes_max: a }, ColumnType::Bytes { bytes_max: b }) => a <= b,
        (a, b) => a == b,
    };
    // A CHAR is a VARCHAR of its length; any other way the bytes may differ.
    let form = |a: &Column, b: &Column| match (a.form, b.form) {
        (Form::Fixed, Form::Fixed) => a.kind == b.kind || matches!(a.kind, ColumnType::Text { .. }),
        (_, Form::Fixed) => false,
        _ => true,
    };
    // A text that was allowed stays so.
    let more = |a: &Column, b: &Column| match (&a.members, &b.members) {
        (_, None) => true,
        (Some(a), Some(b)) => a.set == b.set && b.names.starts_with(&a.names),
        (None, Some(_)) => false,
    };
    let in_turn = |(at, cell): (usize, &Source)| *cell == Source::Column(at);
    cells.iter().enumerate().all(in_turn)
        && old.columns.len() == new.columns.len()
        && old.primary == new.primary
        && old.auto_increment == new.auto_increment
        && (old.columns.iter().zip(&new.columns))
            .all(|(a, b)| wider(a.kind, b.kind) && form(a, b) && (b.nullable || !a.nullable) && more(a, b))
}

/// Refuses a row that fails a condition; what it says then is the alteration's own refusal.
fn meets(def: &TableDef, checks: &(Vec<Check>, Conditions), row: &[Value]) -> Result<(), Error> {
    checks.1.hold(def, &checks.0, row).map_err(|error| match error {
        failed @ Error::Check { .. } => failed,
        error => Error::Cells { code: error.code().0, why: error.to_string() },
    })
}

/// Enters all versions of a row in the keys that are made.
fn enter(
    info: &TableInfo,
    def: &TableDef,
    built: &mut [Built],
    key: &[u8],
    row: &Entry,
) -> Result<(), Error> {
    for (built, index_def) in built.iter_mut().zip(&def.indexes) {
        let Built::New { index, taken } = built else { continue };
        if let Some(now) = row.newest.row() {
            let (place, null) = index::place_of(index_def, now);
            fits(&place, key)?;
            if index_def.unique && !null && !taken.insert(place.clone()) {
                return Err(duplicate(info, &index_def.name, &place));
            }
        }
        for version in index::versions(row).filter_map(Version::row) {
            let (place, _) = index::place_of(index_def, version);
            index.entries.insert(Key::from(index::entry(place, key).as_slice()));
        }
    }
    Ok(())
}

fn fits(place: &[u8], key: &[u8]) -> Result<(), Error> {
    if place.len().max(key.len()) <= key::KEY_BYTES_MAX {
        return Ok(());
    }
    let why = format!("Specified key was too long; max key length is {} bytes", key::KEY_BYTES_MAX);
    Err(Error::Cells { code: 1071, why })
}

/// Writes a row of the old table into the new one; what it is there.
fn copied(
    old: &TableInfo,
    copy: &mut Table,
    cells: &[Source],
    key: &[u8],
    row: &[u8],
    seqno: Seqno,
) -> Result<Vec<Value>, Error> {
    let info = std::sync::Arc::clone(copy.info());
    let values = row::kept(row);
    let misfit = |error: Error| match error {
        Error::NotNull { .. } => Error::Cells { code: 1138, why: "Invalid use of NULL value".into() },
        error => Error::Cells { code: error.code().0, why: error.to_string() },
    };
    let mut new = Vec::with_capacity(cells.len());
    for (cell, column) in cells.iter().zip(&info.def.columns) {
        new.push(match cell {
            Source::Value(value) => value.clone(),
            Source::Column(at) if old.def.columns[*at].kind == column.kind && column.form != Form::Fixed => {
                values[*at].clone()
            }
            Source::Column(at) => sql::recast(column, &values[*at]).map_err(misfit)?,
        });
    }
    row::check(&info.def, &new).map_err(misfit)?;
    let key = match (info.hidden_key(), old.hidden_key()) {
        (false, _) => info.key_of(&new),
        (true, true) => key.to_vec(),
        (true, false) => key::encode(&[Value::Int(copy.known_max + 1)]),
    };
    if copy.rows.contains_key(key.as_slice()) {
        return Err(duplicate(&info, PRIMARY, &key));
    }
    for (at, def) in info.def.indexes.iter().enumerate() {
        let (place, null) = index::place(def, |column| new[column].clone());
        fits(&place, &key)?;
        if def.unique && !null && copy.holder(at, &place, |_| false).0.is_some() {
            return Err(duplicate(&info, &def.name, &place));
        }
    }
    fits(&[], &key)?;
    let version = Version { seqno, body: Body::Row(row::encode(&new).into()) };
    if let Some(id) = version.row().and_then(|row| used_id(&info, &key, row)) {
        copy.known_max = copy.known_max.max(id);
        copy.heads[0].marks.lift(class_of(id), id);
    }
    let value = row_value(&version).expect("a row is remembered");
    copy.hash.add(&row_key(info.id, &key), &value);
    copy.live += 1;
    index::enter(&mut copy.indexes, &info.def, &key, None, &version);
    copy.rows.insert(Key::from(key.as_slice()), Entry::new(version));
    Ok(new)
}
