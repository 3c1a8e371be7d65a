//! The rows of an answer, as bytes: cells one behind the other, each as a table keeps it.
//!
//! Intuition: what a table keeps is shown as it is. A text that goes from a row to a client does not become a value of
//! its own on the way.
//! Invariant: all rows have the same number of cells, and each is whole.

use crate::row::{self, Cell};
use crate::value::Value;
use plait_base::codec::Writer;
use std::{fmt, mem};

/// Room that is made when a second row comes.
const SECOND_BYTES: usize = 4 << 10;

#[derive(Default, Clone)]
pub struct RowList {
    bytes: Vec<u8>,
    width: usize,
    count: usize,
}

impl RowList {
    /// Rows of so many cells.
    pub fn new(width: usize) -> RowList {
        RowList { bytes: Vec::new(), width, count: 0 }
    }

    pub fn push(&mut self, row: &[Value]) {
        assert_eq!(row.len(), self.width, "all rows of a list are as wide");
        let mut w = Writer(mem::take(&mut self.bytes));
        row.iter().for_each(|value| row::push(&mut w, value));
        self.bytes = w.0;
        self.count += 1;
    }

    /// A row of cells that are bytes already.
    pub fn push_cells<'c>(&mut self, cells: impl IntoIterator<Item = &'c [u8]>) {
        // Where there are two rows there are mostly more.
        if self.count == 1 {
            self.bytes.reserve(SECOND_BYTES);
        }
        cells.into_iter().for_each(|cell| self.bytes.extend_from_slice(cell));
        self.count += 1;
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Of all cells together.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The cells of all rows, one row behind the other.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| row::view(&mut rest).expect("a cell was whole when it was pushed"))
        })
    }

    /// The rows as values.
    pub fn values(&self) -> Vec<Vec<Value>> {
        let mut cells = row::kept(&self.bytes).into_iter();
        (0..self.count).map(|_| cells.by_ref().take(self.width).collect()).collect()
    }
}

/// How wide its rows would be does not tell an empty list from another.
impl PartialEq for RowList {
    fn eq(&self, other: &RowList) -> bool {
        (&self.bytes, self.count) == (&other.bytes, other.count)
    }
}

impl Eq for RowList {}

impl From<Vec<Vec<Value>>> for RowList {
    fn from(rows: Vec<Vec<Value>>) -> RowList {
        let mut list = RowList::new(rows.first().map_or(0, Vec::len));
        rows.iter().for_each(|row| list.push(row));
        list
    }
}

impl fmt::Debug for RowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Decimal, Real};

    #[test]
    fn rows_come_back_as_they_were() {
        let rows = vec![
            vec![Value::Null, Value::Int(-7), "é ".into(), Value::Bytes(vec![0, 0xff])],
            vec![
                Value::UInt(u64::MAX),
                Value::Dec(Decimal::new(-15, 1)),
                "".into(),
                Value::Double(Real::new(1.5).expect("it is a number")),
            ],
        ];
        let list = RowList::from(rows.clone());
        assert_eq!((list.values(), list.len()), (rows, 2));
        let texts: Vec<_> = list.cells().filter(|cell| matches!(cell, Cell::Text(_))).collect();
        assert_eq!(texts, [Cell::Text("é ".as_bytes()), Cell::Text(b"")]);
        assert!(RowList::from(Vec::new()).values().is_empty());
    }
}
