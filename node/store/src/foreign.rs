//! Foreign keys among definitions: what may name what, who names whom, and through which key a row's parent or
//! children are found.
//!
//! Intuition: a footnote. It may only point to a page that can be looked up, and whoever takes pages out of the book
//! must know which footnotes point at them.
//! Invariant: whenever a table comes to name another, the other's schema version grows: who wrote it without knowing
//! of its children is refused. So rows need no second look in the ordered apply: what a transaction read to be sure
//! (its parents, the absence of children) is certified as any other read.
//! Not here: rows (`txn::foreign`), what a statement says (`sql::ddl`).

use crate::apply::PRIMARY;
use crate::catalogue::NAME_CHARS_MAX;
use crate::error::Error;
use crate::key;
use crate::op::Source;
use crate::request::{ColumnType, ForeignKey, Referential, TableDef};
use crate::store::Store;
use crate::table::{TableHead, TableId, TableInfo};
use crate::value::Value;
use plait_base::Seqno;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The key of a table by whose first columns rows are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// The whole primary key: one row or none.
    Row,
    /// Its first columns.
    Primary,
    Index(usize),
}

/// How rows are found by these columns, in this order.
pub(crate) fn path(def: &TableDef, columns: &[usize]) -> Option<Path> {
    if def.primary == columns {
        return Some(Path::Row);
    }
    if def.primary.starts_with(columns) {
        return Some(Path::Primary);
    }
    let begins = |index: &crate::IndexDef| {
        let parts = index.parts.iter().take(columns.len());
        index.parts.len() >= columns.len()
            && parts.zip(columns).all(|(part, column)| part.column == *column && part.prefix == 0)
    };
    // A unique one leads to one row.
    let unique = def.indexes.iter().position(|index| index.unique && begins(index));
    unique.or_else(|| def.indexes.iter().position(begins)).map(Path::Index)
}

/// The places of a parent's columns that a foreign key names; `None` if one is not there.
pub(crate) fn parent_columns(key: &ForeignKey, parent: &TableDef) -> Option<Vec<usize>> {
    let place = |name: &String| parent.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
    key.parent_columns.iter().map(place).collect()
}

/// The name of the parent's key by which a foreign key looks.
pub(crate) fn parent_key<'d>(key: &ForeignKey, parent: &'d TableDef) -> Option<&'d str> {
    Some(match path(parent, &parent_columns(key, parent)?)? {
        Path::Row | Path::Primary => PRIMARY,
        Path::Index(at) => &parent.indexes[at].name,
    })
}

/// The values of a row in some columns, as a key; `None` if one is NULL, which means nobody.
pub(crate) fn values(row: &[Value], columns: &[usize]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(columns.len() * 10);
    for at in columns {
        match &row[*at] {
            Value::Null => return None,
            value => key::push(&mut out, value),
        }
    }
    Some(out)
}

fn quoted(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    names.map(|name| format!("`{}`", name.as_ref().replace('`', "``"))).collect::<Vec<_>>().join(", ")
}

/// A foreign key as MySQL writes it.
pub(crate) fn shown(def: &TableDef, key: &ForeignKey) -> String {
    let columns = quoted(key.columns.iter().filter_map(|at| def.columns.get(*at)).map(|c| &c.name));
    let action = |when: &str, what: Referential| match what {
        Referential::NoAction => String::new(),
        other => format!(" ON {when} {}", rule(other)),
    };
    format!(
        "CONSTRAINT {} FOREIGN KEY ({columns}) REFERENCES {} ({}){}{}",
        quoted([&key.name].into_iter()),
        quoted([&key.parent].into_iter()),
        quoted(key.parent_columns.iter()),
        action("DELETE", key.on_delete),
        action("UPDATE", key.on_update),
    )
}

pub(crate) fn rule(action: Referential) -> &'static str {
    match action {
        Referential::NoAction => "NO ACTION",
        Referential::Restrict => "RESTRICT",
        Referential::Cascade => "CASCADE",
        Referential::SetNull => "SET NULL",
    }
}

pub(crate) fn no_parent(def: &TableDef, key: &ForeignKey) -> Error {
    Error::NoParent { table: def.name.clone(), constraint: shown(def, key) }
}

pub(crate) fn has_children(def: &TableDef, key: &ForeignKey) -> Error {
    Error::HasChildren { table: def.name.clone(), constraint: shown(def, key) }
}

fn refuse(code: u16, why: String) -> Error {
    Error::Cells { code, why }
}

/// What a definition's foreign keys must be by themselves.
pub(crate) fn own(def: &TableDef) -> Result<(), Error> {
    for (at, key) in def.foreign.iter().enumerate() {
        let name = &key.name;
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
            return Err(refuse(1059, format!("Identifier name '{shown}…' is too long")));
        }
        if def.foreign[..at].iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
            return Err(refuse(1826, format!("Duplicate foreign key constraint name '{name}'")));
        }
        if key.columns.is_empty() || key.columns.len() != key.parent_columns.len() {
            let why = format!(
                "Incorrect foreign key definition for '{name}': Key reference and table reference don't match"
            );
            return Err(refuse(1239, why));
        }
        if let Some(at) = key.columns.iter().find(|at| **at >= def.columns.len()) {
            return Err(refuse(1072, format!("Key column {at} doesn't exist in table")));
        }
        if path(def, &key.columns).is_none() {
            let why = format!("foreign key '{name}' has no key of its table that begins with its columns");
            return Err(Error::Misuse { why });
        }
        let sets_null = [key.on_delete, key.on_update].contains(&Referential::SetNull);
        let fixed = key.columns.iter().map(|at| &def.columns[*at]).find(|column| !column.nullable);
        if let Some(column) = fixed.filter(|_| sets_null) {
            let why = format!(
                "Column '{}' cannot be NOT NULL: needed in a foreign key constraint '{name}' SET NULL",
                column.name
            );
            return Err(refuse(1830, why));
        }
    }
    Ok(())
}

/// Whether a foreign key can be of this parent.
fn fits(def: &TableDef, key: &ForeignKey, parent: &TableDef) -> Result<(), Error> {
    let name = &key.name;
    let Some(places) = parent_columns(key, parent) else {
        let missing = key.parent_columns.iter().find(|n| !parent.columns.iter().any(|c| c.name == **n));
        let missing = missing.map_or("", String::as_str);
        let why = format!(
            "Failed to add the foreign key constraint. Missing column '{missing}' for constraint '{name}' in the \
             referenced table '{}'",
            parent.name
        );
        return Err(refuse(3734, why));
    };
    for (own, theirs) in key.columns.iter().zip(&places) {
        let (own, theirs) = (&def.columns[*own], &parent.columns[*theirs]);
        let alike = match (own.kind, theirs.kind) {
            (ColumnType::Text { .. }, ColumnType::Text { .. })
            | (ColumnType::Bytes { .. }, ColumnType::Bytes { .. }) => true,
            (a, b) => a == b,
        };
        if !alike {
            let why = format!(
                "Referencing column '{}' and referenced column '{}' in foreign key constraint '{name}' are \
                 incompatible.",
                own.name, theirs.name
            );
            return Err(refuse(3780, why));
        }
    }
    if path(parent, &places).is_none() {
        let why = format!(
            "Failed to add the foreign key constraint. Missing index for constraint '{name}' in the referenced \
             table '{}'",
            parent.name
        );
        return Err(refuse(1822, why));
    }
    Ok(())
}

/// Where the columns of a table went that is altered: its new name, and its old columns' new names.
pub(crate) struct Renamed<'a> {
    pub old: &'a TableDef,
    pub new: &'a TableDef,
    /// `None`: as they were.
    pub cells: Option<&'a [Source]>,
}

impl Renamed<'_> {
    /// The own foreign keys of the table that name it itself.
    pub(crate) fn own(&self) -> Result<Vec<ForeignKey>, Error> {
        let was = |key: &ForeignKey| self.old.foreign.iter().any(|old| old.name == key.name);
        let one = |key: &ForeignKey| match key.parent == self.old.name && was(key) {
            true => self.followed(&self.new.name, key),
            false => Ok(key.clone()),
        };
        self.new.foreign.iter().map(one).collect()
    }

    /// A foreign key that named the table as it was, and names it now as it is to be. Refused if a column of it is
    /// gone.
    fn followed(&self, child: &str, key: &ForeignKey) -> Result<ForeignKey, Error> {
        let mut key = ForeignKey { parent: self.new.name.clone(), ..key.clone() };
        let Some(cells) = self.cells else { return Ok(key) };
        for name in &mut key.parent_columns {
            let Some(old) = self.old.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name)) else {
                continue;
            };
            match cells.iter().position(|cell| *cell == Source::Column(old)) {
                Some(new) => name.clone_from(&self.new.columns[new].name),
                None => {
                    let why = format!(
                        "Cannot drop column '{name}': needed in a foreign key constraint '{}' of table '{child}'",
                        key.name
                    );
                    return Err(refuse(1829, why));
                }
            }
        }
        Ok(key)
    }
}

impl Store {
    /// The tables that name this one in a foreign key, after the newest applied operation.
    pub(crate) fn referrers(&self, name: &str) -> &[TableId] {
        self.referrers.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a foreign key names this column of a table.
    pub(crate) fn is_named(&self, info: &TableInfo, column: usize) -> bool {
        let name = &info.def.columns[column].name;
        let names = |key: &ForeignKey| {
            key.parent == info.name() && key.parent_columns.iter().any(|one| one.eq_ignore_ascii_case(name))
        };
        self.referrers(info.name()).iter().any(|id| self.tables[id].info().def.foreign.iter().any(names))
    }

    /// Looks up anew who names whom. After each change of the catalogue, of which there are few.
    pub(crate) fn refer(&mut self) {
        let mut referrers: BTreeMap<String, Vec<TableId>> = BTreeMap::new();
        for (id, table) in self.tables.iter().filter(|(_, table)| table.dropped.is_none()) {
            for key in &table.info().def.foreign {
                let list = referrers.entry(key.parent.clone()).or_default();
                if list.last() != Some(id) {
                    list.push(*id);
                }
            }
        }
        self.referrers = referrers;
    }

    /// The definitions of the tables that name this one and are others than `besides`.
    fn children(
        &self,
        name: &str,
        besides: Option<TableId>,
    ) -> impl Iterator<Item = (TableId, Arc<TableInfo>)> {
        let others = self.referrers(name).iter().filter(move |id| Some(**id) != besides);
        others.map(|id| (*id, Arc::clone(self.tables[id].info()))).collect::<Vec<_>>().into_iter()
    }

    /// Whether a new or altered definition may stand beside the others; `was`: the table that it is of by now.
    pub(crate) fn admit_foreign(
        &self,
        seqno: Seqno,
        was: Option<&TableInfo>,
        def: &TableDef,
        unchecked: bool,
    ) -> Result<(), Error> {
        for key in &def.foreign {
            let others = self.tables.iter().filter(|(_, table)| table.dropped.is_none());
            let mut others = others.filter(|(other, _)| was.is_none_or(|was| was.id != **other));
            let taken = |other: &ForeignKey| other.name.eq_ignore_ascii_case(&key.name);
            if others.any(|(_, table)| table.info().def.foreign.iter().any(taken)) {
                return Err(refuse(1826, format!("Duplicate foreign key constraint name '{}'", key.name)));
            }
            if unchecked {
                continue;
            }
            let old = was.filter(|was| was.def.foreign.iter().any(|old| old.name == key.name));
            if key.parent == def.name {
                fits(def, key, def)?;
                // Its rows are looked for while the keys of the altered table are being made.
                if let (Some(was), None) = (was, old) {
                    fits(def, key, &was.def)?;
                }
                continue;
            }
            match self.table(&key.parent, seqno) {
                Some(parent) => fits(def, key, &parent.def)?,
                // It was not there before, either.
                None if old.is_some() => {}
                None => {
                    let why = format!("Failed to open the referenced table '{}'", key.parent);
                    return Err(refuse(1824, why));
                }
            }
        }
        Ok(())
    }

    /// Whether those who name a table that comes into being can be its children.
    pub(crate) fn admit_parent(&self, def: &TableDef, unchecked: bool) -> Result<(), Error> {
        let children = self.children(&def.name, None).filter(|_| !unchecked);
        for (_, child) in children {
            for key in child.def.foreign.iter().filter(|key| key.parent == def.name) {
                fits(&child.def, key, def)?;
            }
        }
        Ok(())
    }

    /// The definitions of the other tables that name a table which is altered, as they are to be after it; refused
    /// if they could not be its children any more. Its own foreign keys that name it follow in `renamed.new`.
    pub(crate) fn followers(
        &self,
        id: TableId,
        renamed: &Renamed<'_>,
        unchecked: bool,
    ) -> Result<Vec<(TableId, TableDef)>, Error> {
        let mut followers = Vec::new();
        for (child, info) in self.children(&renamed.old.name, Some(id)) {
            let mut def = info.def.clone();
            for key in def.foreign.iter_mut().filter(|key| key.parent == renamed.old.name) {
                *key = match renamed.followed(info.name(), key) {
                    Err(_) if unchecked => continue,
                    followed => followed?,
                };
            }
            for key in def.foreign.iter().filter(|key| key.parent == renamed.new.name && !unchecked) {
                self.still(&info, key, renamed)?;
            }
            if def != info.def {
                followers.push((child, def));
            }
        }
        Ok(followers)
    }

    /// Whether a table that is altered can still be the parent; else it has lost a key, or a column its kind.
    fn still(&self, child: &TableInfo, key: &ForeignKey, renamed: &Renamed<'_>) -> Result<(), Error> {
        let lost = match fits(&child.def, key, renamed.new) {
            Err(Error::Cells { code: 1822, .. }) => renamed.lost(child, key),
            other => return other,
        };
        let why = format!("Cannot drop index '{lost}': needed in a foreign key constraint");
        Err(refuse(1553, why))
    }

    /// Lets the tables that a definition names know that they have a child: whoever wrote them without knowing it
    /// can't commit any more.
    pub(crate) fn tell_parents(&mut self, seqno: Seqno, def: &TableDef) {
        for key in def.foreign.iter().filter(|key| key.parent != def.name) {
            let Some(info) = self.table(&key.parent, seqno).map(Arc::clone) else { continue };
            let id = info.id;
            self.redefine(seqno, id, info.def.clone());
        }
    }

    /// Puts another definition in the place of a table's, under the next schema version.
    pub(crate) fn redefine(&mut self, seqno: Seqno, id: TableId, def: TableDef) {
        let table = &self.tables[&id];
        let (info, marks) = (table.info(), table.marks());
        let info = TableInfo::new(id, info.schema_version + 1, info.created, def);
        self.set_head(id, TableHead { seqno, info: info.into(), marks });
    }

    /// Whether a table that others name may go.
    pub(crate) fn admit_drop(
        &self,
        info: &TableInfo,
        along: &[String],
        unchecked: bool,
    ) -> Result<(), Error> {
        let mut children = self.children(info.name(), Some(info.id));
        let left = children.find(|(_, child)| !along.iter().any(|name| name == child.name()));
        match left.filter(|_| !unchecked) {
            None => Ok(()),
            Some((_, child)) => {
                let key = child.def.foreign.iter().find(|key| key.parent == info.name());
                let why = format!(
                    "Cannot drop table '{}' referenced by a foreign key constraint '{}' on table '{}'.",
                    info.name(),
                    key.map_or("", |key| &key.name),
                    child.name()
                );
                Err(refuse(3730, why))
            }
        }
    }

    /// Whether all rows of a table that others name may go at once.
    pub(crate) fn admit_truncate(&self, info: &TableInfo, unchecked: bool) -> Result<(), Error> {
        let child = self.children(info.name(), Some(info.id)).next().filter(|_| !unchecked);
        let Some((_, child)) = child else { return Ok(()) };
        let key = child.def.foreign.iter().find(|key| key.parent == info.name());
        let constraint = key.map_or_else(String::new, |key| shown(&child.def, key));
        let why = format!(
            "Cannot truncate a table referenced in a foreign key constraint (`{}`, {constraint})",
            child.name()
        );
        Err(refuse(1701, why))
    }

    /// Whether a child's row has its parent among the newest rows.
    pub(crate) fn has_parent(&self, seqno: Seqno, key: &ForeignKey, row: &[Value]) -> bool {
        let Some(place) = values(row, &key.columns) else { return true };
        let Some(parent) = self.table(&key.parent, seqno) else { return false };
        let Some(columns) = parent_columns(key, &parent.def) else { return false };
        let table = &self.tables[&parent.id];
        let end = key::past(&place);
        let range = (Bound::Included(place.as_slice()), Bound::Excluded(end.as_slice()));
        match path(&parent.def, &columns) {
            None => false,
            Some(Path::Row) => {
                table.rows.get(place.as_slice()).is_some_and(|entry| entry.newest.row().is_some())
            }
            Some(Path::Primary) => {
                table.rows.range::<[u8], _>(range).any(|(_, entry)| entry.newest.row().is_some())
            }
            Some(Path::Index(at)) => {
                let def = &parent.def.indexes[at];
                table.indexes[at].entries.range::<[u8], _>(range).any(|entry| {
                    let (values, key) = crate::index::split(def, entry);
                    let newest = table.rows.get(key).map(|row| &row.newest);
                    crate::index::stands(def, newest, values)
                })
            }
        }
    }
}

impl Renamed<'_> {
    /// The name of the key by which the parent was found, and which is gone.
    fn lost(&self, child: &TableInfo, key: &ForeignKey) -> String {
        let before = child.def.foreign.iter().find(|before| before.name == key.name).unwrap_or(key);
        parent_key(before, self.old).unwrap_or(PRIMARY).to_owned()
    }
}
