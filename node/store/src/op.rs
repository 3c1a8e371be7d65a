//! Operations: what the log carries for the store, as bytes.
//!
//! Everything that is not the same on all nodes (time, ids, who asked) was resolved where the operation was made;
//! these bytes and the state before them decide what happens.
//! Invariant: any bytes decode to an operation or to an error, on every node to the same one.
//! Not here: what an operation does (`apply`).

use crate::request::{
    Check, Column, ColumnType, ForeignKey, Form, IndexDef, IndexPart, Members, Referential, Stamp, TableDef,
};
use crate::row;
use crate::table::TableId;
use crate::value::Value;
use plait_base::codec::{Error, Reader, Writer};
use plait_base::{Bytes, Seqno, Slot};
use std::sync::Arc;

/// Version of these bytes; the first of them.
const VERSION: u8 = 2;

/// Most columns of a table. InnoDB's bound is the same.
pub const COLUMNS_MAX: usize = 1017;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    WriteSet(WriteSet),
    Create(TableDef),
    Drop(Drop),
    Alter(Alter),
    Add(Add),
    /// Asks for the next `count` ids of the class of `slot`, all above `above`.
    Reserve {
        table: TableId,
        slot: Slot,
        above: i64,
        count: u64,
    },
}

/// A table is to be no more.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Drop {
    pub name: String,
    pub if_exists: bool,
    /// Tables that the same statement drops: that they refer to this one is no hindrance.
    pub along: Vec<String>,
    /// Nobody's references are.
    pub unchecked: bool,
    /// A view is to be dropped, and no table; else a table, and no view.
    pub view: bool,
}

/// Another definition for a table, made from the one of `schema_version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alter {
    pub table: TableId,
    pub schema_version: u32,
    pub def: TableDef,
    /// Where the cells of each new column come from; `None`: all rows go, as TRUNCATE asks.
    pub cells: Option<Vec<Source>>,
}

/// A statement that is ordered as such: it adds to columns of one row as the row is when its turn comes. It read
/// nothing before, so it loses against nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    pub table: TableId,
    pub schema_version: u32,
    pub key: Bytes,
    /// Places of integer columns, ascending, and what is added to each.
    pub by: Vec<(usize, i64)>,
    /// Cells that the row has after it, if anything was changed.
    pub stamps: Vec<(usize, Bytes)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From a column of the table as it was.
    Column(usize),
    Value(Value),
}

/// What a transaction read and wrote. Certified as a whole, applied as a whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteSet {
    /// The snapshot of the first read: the lowest `read_at` of all that follows.
    pub read_at: Seqno,
    /// The tables and the schema versions that it was made with; the rest names them by place.
    pub tables: Vec<(TableId, u32)>,
    pub rows: Vec<RowOp>,
    pub reads: Vec<ReadKey>,
    pub ranges: Vec<ReadRange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowOp {
    /// Place in `tables`.
    pub table: usize,
    pub key: Bytes,
    /// When the key was read before it was written.
    pub read_at: Seqno,
    pub change: RowChange,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// The whole row.
    Insert(Bytes),
    /// Hash of the row before, then the cells that change, by ascending place.
    Update { before: u64, cells: Vec<(usize, Bytes)> },
    /// Hash of the row before.
    Delete { before: u64 },
}

/// A key that was read and must be as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadKey {
    pub table: usize,
    pub key: Bytes,
    pub read_at: Seqno,
    /// It is enough that a row is there, whatever else became of it: it is the parent of one that is written.
    pub held: bool,
}

/// A range of keys that was read and must be as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRange {
    pub table: usize,
    /// `None`: of the primary key; else the place of a secondary one in the definition.
    pub index: Option<usize>,
    pub from: Bytes,
    /// Not included; `None`: to the end of the table.
    pub to: Option<Bytes>,
    pub read_at: Seqno,
}

impl Op {
    pub fn encode(&self) -> Bytes {
        let mut w = Writer::new();
        w.u8(VERSION);
        match self {
            Op::WriteSet(set) => set.encode(w.u8(1)),
            Op::Create(def) => table_def(w.u8(2), def),
            Op::Drop(Drop { name, if_exists, along, unchecked, view }) => {
                w.u8(3).str(name).bool(*if_exists).varint(along.len() as u64);
                for name in along {
                    w.str(name);
                }
                w.bool(*unchecked).bool(*view);
            }
            Op::Alter(alter) => {
                w.u8(5).varint(alter.table.0.into()).varint(alter.schema_version.into());
                table_def(&mut w, &alter.def);
                w.bool(alter.cells.is_some());
                let cells = alter.cells.as_deref().unwrap_or_default();
                w.varint(cells.len() as u64);
                for cell in cells {
                    match cell {
                        Source::Column(at) => drop(w.u8(1).varint(*at as u64)),
                        Source::Value(value) => row::push(w.u8(2), value),
                    }
                }
            }
            Op::Add(add) => {
                w.u8(6).varint(add.table.0.into()).varint(add.schema_version.into()).bytes(&add.key);
                w.varint(add.by.len() as u64);
                for (at, by) in &add.by {
                    w.varint(*at as u64).i64(*by);
                }
                cells(&mut w, &add.stamps);
            }
            Op::Reserve { table, slot, above, count } => {
                w.u8(4).varint(table.0.into()).u8(slot.get()).i64(*above).varint(*count);
            }
        }
        w.finish()
    }

    /// The table that ids are reserved in, if these bytes are a reservation.
    pub fn reserves_ids(bytes: &Bytes) -> Option<TableId> {
        match bytes.starts_with(&[VERSION, 4]).then(|| Op::decode(bytes)) {
            Some(Ok(Op::Reserve { table, .. })) => Some(table),
            _ => None,
        }
    }

    /// The parts of a write-set share the operation's memory.
    pub fn decode(bytes: &Bytes) -> Result<Op, Error> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            VERSION => {}
            other => return Err(Error::Format(other.into())),
        }
        let op = match r.u8()? {
            1 => Op::WriteSet(WriteSet::decode(&mut r, bytes)?),
            2 => Op::Create(read_table_def(&mut r)?),
            3 => {
                let (name, if_exists) = (r.str("a table's name")?.to_owned(), r.bool()?);
                let mut along = Vec::new();
                for _ in 0..r.count("the tables of a statement")? {
                    along.push(r.str("a table's name")?.to_owned());
                }
                Op::Drop(Drop { name, if_exists, along, unchecked: r.bool()?, view: r.bool()? })
            }
            4 => Op::Reserve {
                table: table_id(&mut r)?,
                slot: r.u8().map(Slot::new)?.ok_or(Error::Tag { what: "a slot", tag: 0 })?,
                above: r.i64()?,
                count: r.varint()?,
            },
            5 => {
                let (table, schema_version) = (table_id(&mut r)?, small(&mut r, "a schema version")?);
                let def = read_table_def(&mut r)?;
                let some = r.bool()?;
                let mut cells = Vec::new();
                for _ in 0..r.count("the columns of an alteration")? {
                    cells.push(match r.u8()? {
                        1 => Source::Column(r.varint()? as usize),
                        2 => Source::Value(row::pull(&mut r)?),
                        tag => return Err(Error::Tag { what: "a column's source", tag: tag.into() }),
                    });
                }
                Op::Alter(Alter { table, schema_version, def, cells: some.then_some(cells) })
            }
            6 => {
                let (table, schema_version) = (table_id(&mut r)?, small(&mut r, "a schema version")?);
                let key = bytes.slice_ref(r.bytes()?);
                let mut by = Vec::new();
                for _ in 0..r.count("the columns of an addition")? {
                    by.push((r.varint()? as usize, r.i64()?));
                }
                Op::Add(Add { table, schema_version, key, by, stamps: read_cells(&mut r, bytes)? })
            }
            tag => return Err(Error::Tag { what: "an operation", tag: tag.into() }),
        };
        r.end()?;
        Ok(op)
    }
}

fn cells(w: &mut Writer, cells: &[(usize, Bytes)]) {
    w.varint(cells.len() as u64);
    for (at, cell) in cells {
        w.varint(*at as u64).bytes(cell);
    }
}

fn read_cells(r: &mut Reader<'_>, op: &Bytes) -> Result<Vec<(usize, Bytes)>, Error> {
    let mut cells = Vec::new();
    for _ in 0..r.count("the cells of a change")? {
        let at = r.varint()? as usize;
        cells.push((at, op.slice_ref(r.bytes()?)));
    }
    Ok(cells)
}

fn table_id(r: &mut Reader<'_>) -> Result<TableId, Error> {
    small(r, "a table's id").map(TableId)
}

fn small(r: &mut Reader<'_>, what: &'static str) -> Result<u32, Error> {
    let n = r.varint()?;
    u32::try_from(n).map_err(|_| Error::TooLarge { what, got: n, max: u32::MAX.into() })
}

impl WriteSet {
    fn encode(&self, w: &mut Writer) {
        let delta =
            |at: Seqno| at.0.checked_sub(self.read_at.0).expect("the header carries the lowest read_at");
        w.varint(self.read_at.0).varint(self.tables.len() as u64);
        for (id, schema_version) in &self.tables {
            w.varint(id.0.into()).varint((*schema_version).into());
        }
        w.varint(self.rows.len() as u64);
        for row in &self.rows {
            w.varint(row.table as u64).bytes(&row.key).varint(delta(row.read_at));
            match &row.change {
                RowChange::Insert(bytes) => drop(w.u8(1).bytes(bytes)),
                RowChange::Update { before, cells: changed } => cells(w.u8(2).u64(*before), changed),
                RowChange::Delete { before } => drop(w.u8(3).u64(*before)),
            }
        }
        w.varint(self.reads.len() as u64);
        for read in &self.reads {
            w.varint(read.table as u64).bytes(&read.key).varint(delta(read.read_at)).bool(read.held);
        }
        w.varint(self.ranges.len() as u64);
        for range in &self.ranges {
            let index = range.index.map_or(0, |at| at as u64 + 1);
            w.varint(range.table as u64).varint(index).bytes(&range.from).bool(range.to.is_some());
            if let Some(to) = &range.to {
                w.bytes(to);
            }
            w.varint(delta(range.read_at));
        }
    }

    fn decode(r: &mut Reader<'_>, op: &Bytes) -> Result<WriteSet, Error> {
        let read_at = Seqno(r.varint()?);
        let mut tables = Vec::new();
        for _ in 0..r.count("the tables of a write-set")? {
            tables.push((table_id(r)?, small(r, "a schema version")?));
        }
        let mut set = WriteSet { read_at, ..WriteSet::default() };
        let place = |r: &mut Reader<'_>| match r.varint()? {
            n if n < tables.len() as u64 => Ok(n as usize),
            n => Err(Error::TooLarge { what: "a table's place", got: n, max: tables.len() as u64 }),
        };
        let when = |r: &mut Reader<'_>| Ok::<_, Error>(Seqno(read_at.0.saturating_add(r.varint()?)));
        for _ in 0..r.count("the rows of a write-set")? {
            let (table, key) = (place(r)?, op.slice_ref(r.bytes()?));
            let read_at = when(r)?;
            let change = match r.u8()? {
                1 => RowChange::Insert(op.slice_ref(r.bytes()?)),
                2 => RowChange::Update { before: r.u64()?, cells: read_cells(r, op)? },
                3 => RowChange::Delete { before: r.u64()? },
                tag => return Err(Error::Tag { what: "a row's change", tag: tag.into() }),
            };
            set.rows.push(RowOp { table, key, read_at, change });
        }
        for _ in 0..r.count("the reads of a write-set")? {
            let (table, key) = (place(r)?, op.slice_ref(r.bytes()?));
            set.reads.push(ReadKey { table, key, read_at: when(r)?, held: r.bool()? });
        }
        for _ in 0..r.count("the ranges of a write-set")? {
            let (table, index) = (place(r)?, (r.varint()? as usize).checked_sub(1));
            let from = op.slice_ref(r.bytes()?);
            let to = if r.bool()? { Some(op.slice_ref(r.bytes()?)) } else { None };
            set.ranges.push(ReadRange { table, index, from, to, read_at: when(r)? });
        }
        set.tables = tables;
        Ok(set)
    }
}

/// A definition's bytes; also what stands in a checkpoint.
pub(crate) fn table_def(w: &mut Writer, def: &TableDef) {
    w.str(&def.name).varint(def.columns.len() as u64);
    for column in &def.columns {
        w.str(&column.name);
        match column.kind {
            ColumnType::Int { bits } => w.u8(1).u8(bits),
            ColumnType::Text { chars_max } => w.u8(2).u32(chars_max),
            ColumnType::Bytes { bytes_max } => w.u8(3).u32(bytes_max),
            ColumnType::UInt { bits } => w.u8(4).u8(bits),
            ColumnType::Decimal { digits, scale } => w.u8(5).u8(digits).u8(scale),
            ColumnType::Double => w.u8(6),
            ColumnType::Float => w.u8(7),
            ColumnType::DateTime { digits } => w.u8(8).u8(digits),
            ColumnType::Timestamp { digits } => w.u8(9).u8(digits),
            ColumnType::Date => w.u8(10),
            ColumnType::Time => w.u8(11),
        };
        match column.form {
            Form::Plain => w.u8(0),
            Form::Fixed => w.u8(1),
            Form::Width(width) => w.u8(2).u8(width),
        };
        w.str(&column.comment).bool(column.nullable).bool(column.default.is_some());
        if let Some(value) = &column.default {
            row::push(w, value);
        }
        w.bool(column.members.is_some());
        if let Some(members) = &column.members {
            w.bool(members.set).varint(members.names.len() as u64);
            for name in &members.names {
                w.str(name);
            }
        }
    }
    w.varint(def.primary.len() as u64);
    for at in &def.primary {
        w.varint(*at as u64);
    }
    w.varint(def.auto_increment.map_or(0, |at| at as u64 + 1)).varint(def.indexes.len() as u64);
    for index in &def.indexes {
        w.str(&index.name).str(&index.comment).bool(index.unique).varint(index.parts.len() as u64);
        for part in &index.parts {
            w.varint(part.column as u64).varint(part.prefix.into()).bool(part.desc);
        }
    }
    w.varint(def.stamps.len() as u64);
    for stamp in &def.stamps {
        w.varint(stamp.column as u64).bool(stamp.default).bool(stamp.on_update);
    }
    w.varint(def.foreign.len() as u64);
    for key in &def.foreign {
        let pairs = key.columns.iter().zip(&key.parent_columns);
        w.str(&key.name).str(&key.parent).varint(pairs.len() as u64);
        for (at, name) in pairs {
            w.varint(*at as u64).str(name);
        }
        w.u8(key.on_delete as u8).u8(key.on_update as u8);
    }
    w.varint(def.checks.len() as u64);
    for check in &def.checks {
        w.str(&check.name).varint(check.column.map_or(0, |at| at as u64 + 1)).str(&check.condition);
    }
    w.bool(def.query.is_some());
    if let Some(query) = &def.query {
        w.str(query);
    }
    w.str(&def.comment).bool(def.if_not_exists).bool(def.unchecked).i64(def.ids_from);
}

fn referential(r: &mut Reader<'_>) -> Result<Referential, Error> {
    use Referential::{Cascade, NoAction, Restrict, SetNull};
    let tag = r.u8()?;
    let known = [NoAction, Restrict, Cascade, SetNull].into_iter().find(|action| *action as u8 == tag);
    known.ok_or(Error::Tag { what: "what a foreign key does", tag: tag.into() })
}

pub(crate) fn read_table_def(r: &mut Reader<'_>) -> Result<TableDef, Error> {
    let name = r.str("a table's name")?.to_owned();
    let count = r.count("columns")?;
    if count > COLUMNS_MAX {
        return Err(Error::TooLarge {
            what: "the number of columns",
            got: count as u64,
            max: COLUMNS_MAX as u64,
        });
    }
    let mut columns = Vec::with_capacity(count);
    for _ in 0..count {
        let name = r.str("a column's name")?.to_owned();
        let kind = match r.u8()? {
            1 => ColumnType::Int { bits: r.u8()? },
            2 => ColumnType::Text { chars_max: r.u32()? },
            3 => ColumnType::Bytes { bytes_max: r.u32()? },
            4 => ColumnType::UInt { bits: r.u8()? },
            5 => ColumnType::Decimal { digits: r.u8()?, scale: r.u8()? },
            6 => ColumnType::Double,
            7 => ColumnType::Float,
            8 => ColumnType::DateTime { digits: r.u8()? },
            9 => ColumnType::Timestamp { digits: r.u8()? },
            10 => ColumnType::Date,
            11 => ColumnType::Time,
            tag => return Err(Error::Tag { what: "a column's type", tag: tag.into() }),
        };
        let form = match r.u8()? {
            0 => Form::Plain,
            1 => Form::Fixed,
            2 => Form::Width(r.u8()?),
            tag => return Err(Error::Tag { what: "a column's form", tag: tag.into() }),
        };
        let (comment, nullable) = (r.str("a column's comment")?.to_owned(), r.bool()?);
        let default = if r.bool()? { Some(row::pull(r)?) } else { None };
        let mut members = None;
        if r.bool()? {
            let (set, mut names) = (r.bool()?, Vec::new());
            for _ in 0..r.count("the texts of a column")? {
                names.push(r.str("a text of a column")?.to_owned());
            }
            members = Some(Arc::new(Members { names, set }));
        }
        columns.push(Column { name, kind, form, nullable, default, members, comment });
    }
    let mut primary = Vec::new();
    for _ in 0..r.count("key columns")? {
        primary.push(r.varint()? as usize);
    }
    let auto_increment = (r.varint()? as usize).checked_sub(1);
    let mut indexes = Vec::new();
    for _ in 0..r.count("secondary keys")? {
        let (name, comment) = (r.str("a key's name")?.to_owned(), r.str("a key's comment")?.to_owned());
        let unique = r.bool()?;
        let mut parts = Vec::new();
        for _ in 0..r.count("the columns of a key")? {
            let (column, prefix) = (r.varint()? as usize, small(r, "a key part's length")?);
            parts.push(IndexPart { column, prefix, desc: r.bool()? });
        }
        indexes.push(IndexDef { name, parts, unique, comment });
    }
    let mut stamps = Vec::new();
    for _ in 0..r.count("stamped columns")? {
        let (column, default, on_update) = (r.varint()? as usize, r.bool()?, r.bool()?);
        stamps.push(Stamp { column, default, on_update });
    }
    let mut foreign = Vec::new();
    for _ in 0..r.count("foreign keys")? {
        let (name, parent) = (r.str("a foreign key's name")?.to_owned(), r.str("a table's name")?.to_owned());
        let (mut columns, mut parent_columns) = (Vec::new(), Vec::new());
        for _ in 0..r.count("the columns of a foreign key")? {
            columns.push(r.varint()? as usize);
            parent_columns.push(r.str("a column's name")?.to_owned());
        }
        let (on_delete, on_update) = (referential(r)?, referential(r)?);
        foreign.push(ForeignKey { name, columns, parent, parent_columns, on_delete, on_update });
    }
    let mut checks = Vec::new();
    for _ in 0..r.count("conditions")? {
        let (name, column) = (r.str("a condition's name")?.to_owned(), (r.varint()? as usize).checked_sub(1));
        checks.push(Check { name, column, condition: r.str("a condition")?.to_owned() });
    }
    let query = if r.bool()? { Some(r.str("a view's query")?.to_owned()) } else { None };
    let comment = r.str("a table's comment")?.to_owned();
    let (if_not_exists, unchecked, ids_from) = (r.bool()?, r.bool()?, r.i64()?);
    Ok(TableDef {
        name,
        columns,
        primary,
        auto_increment,
        indexes,
        stamps,
        foreign,
        checks,
        query,
        comment,
        if_not_exists,
        unchecked,
        ids_from,
    })
}

#[cfg(test)]
mod tests;
