//! Secondary keys in memory: for each, the places of rows by the values in it.
//!
//! Intuition: the register at the end of a book. It names pages, and whoever follows it reads the page itself; an
//! entry that a page has outgrown is a detour, never a wrong answer.
//! Invariant: for every version of a row that is kept there is an entry under the values of that version. An entry
//! without such a version goes when the last one does. So an index says nothing that the rows don't: it is neither
//! hashed nor exported, and a verdict looks through it at newest versions alone, whatever was collected.
//! Source: the version store of PostgreSQL, whose indexes name versions and know nothing of who sees them.

use crate::key::{self, Key};
use crate::request::{IndexDef, TableDef};
use crate::row;
use crate::table::{Entry, Table, Version};
use crate::value::Value;
use plait_base::Seqno;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    /// The values of a row, as a key, and behind them the row's own key.
    pub entries: BTreeSet<Key>,
    /// When a row last left a place: what the absence of a row from a place rests on.
    pub left: Seqno,
}

/// The first characters of a text, or bytes, that stand in a key; 0: all.
pub(crate) fn prefixed(value: Value, prefix: u32) -> Value {
    match (value, prefix as usize) {
        (value, 0) => value,
        (Value::Text(mut text), chars) => {
            if let Some((at, _)) = text.char_indices().nth(chars) {
                text.truncate(at);
            }
            Value::Text(text)
        }
        (Value::Bytes(mut bytes), count) => {
            bytes.truncate(count);
            Value::Bytes(bytes)
        }
        (value, _) => value,
    }
}

/// The values of a row in a key, encoded; with whether one of them is NULL.
pub(crate) fn place(def: &IndexDef, cell: impl Fn(usize) -> Value) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(def.parts.len() * 12 + 10);
    let mut null = false;
    for part in &def.parts {
        let value = prefixed(cell(part.column), part.prefix);
        null |= value == Value::Null;
        key::push(&mut out, &value);
    }
    (out, null)
}

/// The place of a kept row.
pub(crate) fn place_of(def: &IndexDef, row: &[u8]) -> (Vec<u8>, bool) {
    place(def, |column| row::cell(row, column))
}

/// A place and the key of a row in it, as an entry.
pub(crate) fn entry(mut place: Vec<u8>, key: &[u8]) -> Vec<u8> {
    place.extend_from_slice(key);
    place
}

/// An entry's place and row.
pub(crate) fn split<'e>(def: &IndexDef, entry: &'e [u8]) -> (&'e [u8], &'e [u8]) {
    entry.split_at(key::length(entry, def.parts.len()).expect("an entry begins with its index's values"))
}

/// Whether a version holds a row in this place.
pub(crate) fn stands(def: &IndexDef, version: Option<&Version>, place: &[u8]) -> bool {
    version.and_then(Version::row).is_some_and(|row| place_of(def, row).0 == place)
}

/// Enters a version of a row that is about to be written over `before`.
pub(crate) fn enter(
    indexes: &mut [Index],
    def: &TableDef,
    key: &[u8],
    before: Option<&Version>,
    now: &Version,
) {
    for (index, def) in indexes.iter_mut().zip(&def.indexes) {
        let old = before.and_then(Version::row).map(|row| place_of(def, row).0);
        let new = now.row().map(|row| place_of(def, row).0);
        if old == new {
            continue;
        }
        if old.is_some() {
            index.left = now.seqno;
        }
        if let Some(new) = new {
            index.entries.insert(Key::from(entry(new, key).as_slice()));
        }
    }
}

impl Table {
    /// Drops the versions of a row that no snapshot at or above `oldest` sees, and their places.
    pub fn prune(&mut self, key: &[u8], oldest: Seqno) {
        let Some(row) = self.rows.get_mut(key) else { return };
        if self.indexes.is_empty() {
            row.prune(oldest);
            return;
        }
        let gone = row.prune(oldest);
        let info = std::sync::Arc::clone(self.info());
        let row = &self.rows[key];
        for version in gone.iter().filter_map(Version::row) {
            for (index, def) in self.indexes.iter_mut().zip(&info.def.indexes) {
                let (place, _) = place_of(def, version);
                if !versions(row).any(|version| stands(def, Some(version), &place)) {
                    index.entries.remove(entry(place, key).as_slice());
                }
            }
        }
    }

    /// The key of another row than those of `except` whose newest version stands in a place; with what was looked
    /// at.
    pub fn holder(&self, at: usize, place: &[u8], except: impl Fn(&[u8]) -> bool) -> (Option<&Key>, u32) {
        let def = &self.info().def.indexes[at];
        let end = key::past(place);
        let mut looks = 0;
        for entry in self.indexes[at]
            .entries
            .range::<[u8], _>((std::ops::Bound::Included(place), std::ops::Bound::Excluded(end.as_slice())))
        {
            looks += 1;
            let (_, key) = split(def, entry);
            if except(key) {
                continue;
            }
            let Some((key, row)) = self.rows.get_key_value(key) else { continue };
            if stands(def, Some(&row.newest), place) {
                return (Some(key), looks);
            }
        }
        (None, looks)
    }
}

/// All that is kept of a row, the newest first.
pub(crate) fn versions(row: &Entry) -> impl Iterator<Item = &Version> {
    std::iter::once(&row.newest).chain(row.older.iter().rev())
}

/// Places in the definition's columns that are the first of some key, primary or not.
pub(crate) fn leads(def: &TableDef, column: usize) -> bool {
    def.primary.first() == Some(&column)
        || def.indexes.iter().any(|index| index.parts.first().is_some_and(|part| part.column == column))
}
