//! Additions: a statement that is ordered as such and reads its row only when its turn comes.
//!
//! Intuition: who wants to count a visitor need not know how many there were. He hands in "one more", and whoever
//! keeps the book adds it to what stands there; nobody has to begin again because another came first.
//! Invariant: what is done depends on the operations before it alone, and a refusal changes nothing.
//! Not here: which statements may travel so (`sql::addition`).

use crate::error::Error;
use crate::op::{Add, RowChange, RowOp, WriteSet};
use crate::request::ColumnType;
use crate::row;
use crate::store::Store;
use crate::table::TableInfo;
use crate::value::Value;
use crate::verdict::Verdict;
use crate::zoo::{self, Bug};
use plait_base::{Bytes, Seqno};

/// Whether a column may be added to without certification: an integer that no row is found or told apart by, or
/// numbered with.
pub(crate) fn may_add(info: &TableInfo, column: usize) -> bool {
    let def = &info.def;
    let unique = || def.indexes.iter().filter(|index| index.unique).flat_map(|index| &index.parts);
    matches!(
        def.columns.get(column).map(|column| column.kind),
        Some(ColumnType::Int { .. } | ColumnType::UInt { .. })
    ) && !def.primary.contains(&column)
        && def.auto_increment != Some(column)
        && !unique().any(|part| part.column == column)
        && !def.foreign.iter().any(|key| key.columns.contains(&column))
        // A condition is asked of a row that is known.
        && def.checks.is_empty()
}

impl Store {
    /// When the row was written that the operation applied last added to; `None`: it added to none.
    pub fn added_over(&self) -> Option<Seqno> {
        self.added_over
    }

    /// Adds. Its verdict says whether the row was there (`first`) and whether it changed (`last`), 1 or 0 each.
    pub(crate) fn add(&mut self, seqno: Seqno, add: &Add) -> Result<Verdict, Error> {
        let table = self.tables.get(&add.table).filter(|table| table.dropped.is_none());
        let Some(table) = table.filter(|table| table.info().schema_version == add.schema_version) else {
            return Err(Error::SchemaChanged { table: format!("#{}", add.table.0) });
        };
        let info = table.info();
        let stamps = || add.stamps.iter().map(|(at, _)| at);
        if !add.by.iter().all(|(at, _)| may_add(info, *at))
            || !stamps().all(|at| info.def.stamps.iter().any(|stamp| stamp.on_update && stamp.column == *at))
            || !add.stamps.iter().all(|(_, cell)| row::whole(cell, 1))
        {
            let why = format!("an addition to table {} names columns that it may not touch", info.name());
            return Err(Error::Internal { why });
        }
        let Some(before) = table.rows.get(add.key.as_ref()).and_then(|entry| entry.newest.row()) else {
            return Ok(Verdict::Done { seqno, first: 0, last: 0 });
        };
        let mut cells = Vec::new();
        for (at, by) in &add.by {
            let column = &info.def.columns[*at];
            let sum = match row::cell(before, *at) {
                Value::Int(n) => i128::from(n) + i128::from(*by),
                Value::UInt(n) => i128::from(n) + i128::from(*by),
                // Nothing and something is nothing.
                _ => continue,
            };
            let out_of_range = || Error::OutOfRange { column: column.name.clone() };
            let sum = match (i64::try_from(sum), u64::try_from(sum)) {
                (Ok(sum), _) => Value::Int(sum),
                (_, Ok(sum)) => Value::UInt(sum),
                _ => return Err(out_of_range()),
            };
            row::fits(column, &sum).map_err(|_| out_of_range())?;
            if *by != 0 {
                cells.push((*at, Bytes::from(row::encode(&[sum]))));
            }
        }
        let newest = table.rows[add.key.as_ref()].newest.seqno;
        self.added_over = Some(newest);
        if cells.is_empty() || (zoo::on(Bug::AdditionLost) && newest.next() == seqno) {
            return Ok(Verdict::Done { seqno, first: 1, last: 0 });
        }
        cells.extend(add.stamps.iter().cloned());
        cells.sort_by_key(|(at, _)| *at);
        let change = RowChange::Update { before: row::hash(before), cells };
        let row = RowOp { table: 0, key: add.key.clone(), read_at: self.newest, change };
        let tables = vec![(add.table, add.schema_version)];
        let set = WriteSet { read_at: self.newest, tables, ..WriteSet::default() };
        self.write(&set, &row, seqno);
        Ok(Verdict::Done { seqno, first: 1, last: 1 })
    }
}
