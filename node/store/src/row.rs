//! Rows as bytes, and whether a row fits its table.
//!
//! A row is its cells one after the other, each with a tag, so that a write-set can carry single cells and a row
//! can be patched without being decoded.
//! Invariant: equal rows have equal bytes, since the hash of a row stands in every update that replaces it.

use crate::error::Error;
use crate::request::{Column, ColumnType, Form, Members, TableDef};
use crate::sql::{Moment, SCALE_MAX, is_moment};
use crate::value::{Decimal, Real, Value};
use plait_base::codec::{self, Reader, Writer};

const NULL: u8 = 0;
const INT: u8 = 1;
const TEXT: u8 = 2;
const BYTES: u8 = 3;
const UINT: u8 = 4;
const DEC: u8 = 5;
const DOUBLE: u8 = 6;

pub fn encode(values: &[Value]) -> Vec<u8> {
    let mut w = Writer::with_capacity(values.len() * 12);
    values.iter().for_each(|value| push(&mut w, value));
    w.0
}

/// Appends one cell.
pub fn push(w: &mut Writer, value: &Value) {
    match value {
        Value::Null => w.u8(NULL),
        Value::Int(n) => w.u8(INT).varint(((n << 1) ^ (n >> 63)) as u64),
        Value::UInt(n) => w.u8(UINT).u64(*n),
        Value::Dec(n) => w.u8(DEC).u8(n.scale()).raw(&n.units().to_le_bytes()),
        Value::Double(n) => w.u8(DOUBLE).u64(n.get().to_bits()),
        Value::Text(text) => w.u8(TEXT).str(text),
        Value::Bytes(bytes) => w.u8(BYTES).bytes(bytes),
    };
}

/// Takes one cell.
pub fn pull(r: &mut Reader<'_>) -> Result<Value, codec::Error> {
    Ok(match r.u8()? {
        NULL => Value::Null,
        INT => {
            let n = r.varint()?;
            Value::Int((n >> 1) as i64 ^ -((n & 1) as i64))
        }
        TEXT => Value::Text(r.str("a text cell")?.to_owned()),
        BYTES => Value::Bytes(r.bytes()?.to_vec()),
        UINT => Value::UInt(r.u64()?),
        DEC => {
            let scale = r.u8()?;
            let units = i128::from_le_bytes(r.raw(16)?.try_into().expect("sixteen bytes"));
            if scale > SCALE_MAX {
                return Err(codec::Error::Tag { what: "the scale of a decimal", tag: scale.into() });
            }
            Value::Dec(Decimal::new(units, scale))
        }
        DOUBLE => {
            let bits = r.u64()?;
            let real = Real::new(f64::from_bits(bits));
            Value::Double(real.ok_or(codec::Error::Tag { what: "a double", tag: bits })?)
        }
        tag => return Err(codec::Error::Tag { what: "a cell", tag: tag.into() }),
    })
}

/// A cell as it lies in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    Null,
    Int(i64),
    UInt(u64),
    Dec(Decimal),
    Double(Real),
    /// The bytes of a text.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
}

/// Takes one cell off the front, without a copy. Whether a text is UTF-8 is not looked at.
#[inline]
pub fn view<'a>(rest: &mut &'a [u8]) -> Result<Cell<'a>, codec::Error> {
    let mut r = Reader::new(rest);
    let cell = match r.u8()? {
        TEXT => Cell::Text(r.bytes()?),
        BYTES => Cell::Bytes(r.bytes()?),
        _ => match pull(&mut Reader::new(skip(rest)?))? {
            Value::Int(n) => Cell::Int(n),
            Value::UInt(n) => Cell::UInt(n),
            Value::Dec(n) => Cell::Dec(n),
            Value::Double(n) => Cell::Double(n),
            Value::Null => Cell::Null,
            Value::Text(_) | Value::Bytes(_) => unreachable!("these were looked for before"),
        },
    };
    if matches!(cell, Cell::Text(_) | Cell::Bytes(_)) {
        *rest = &rest[rest.len() - r.left()..];
    }
    Ok(cell)
}

/// Notes where each of the first cells of a kept row ends.
#[inline]
pub fn ends(row: &[u8], ends: &mut [u32]) {
    let mut rest = row;
    for end in ends {
        skip(&mut rest).expect("a kept row was whole when it was applied");
        *end = (row.len() - rest.len()) as u32;
    }
}

/// Steps over one cell and returns its bytes. Whether a text is UTF-8 is not looked at.
#[inline]
fn skip<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], codec::Error> {
    let mut r = Reader::new(rest);
    match r.u8()? {
        NULL => {}
        INT => drop(r.varint()?),
        UINT | DOUBLE => drop(r.raw(8)?),
        DEC => drop(r.raw(17)?),
        TEXT | BYTES => drop(r.bytes()?),
        tag => return Err(codec::Error::Tag { what: "a cell", tag: tag.into() }),
    }
    let (cell, after) = rest.split_at(rest.len() - r.left());
    *rest = after;
    Ok(cell)
}

/// The cells of a row, each as its bytes.
pub fn cells(mut row: &[u8]) -> Result<Vec<&[u8]>, codec::Error> {
    let mut cells = Vec::with_capacity(8);
    while !row.is_empty() {
        cells.push(skip(&mut row)?);
    }
    Ok(cells)
}

pub fn decode(row: &[u8]) -> Result<Vec<Value>, codec::Error> {
    let mut r = Reader::new(row);
    let mut values = Vec::with_capacity(8);
    while r.left() > 0 {
        values.push(pull(&mut r)?);
    }
    Ok(values)
}

/// Puts the cells of a kept row that somebody looks at into `cells`; in the place of the others before the last of them
/// stands NULL. What lies there from the row before is used again: a text has its room already.
pub fn pick(row: &[u8], wanted: &[bool], cells: &mut Vec<Value>) {
    const WHOLE: &str = "a kept row was whole when it was applied";
    cells.resize(wanted.len(), Value::Null);
    let mut rest = row;
    for (wanted, cell) in wanted.iter().zip(cells) {
        let bytes = skip(&mut rest).expect(WHOLE);
        match cell {
            _ if !wanted => *cell = Value::Null,
            Value::Text(text) if bytes[0] == TEXT => {
                text.clear();
                text.push_str(Reader::new(&bytes[1..]).str("a text cell").expect(WHOLE));
            }
            cell => *cell = pull(&mut Reader::new(bytes)).expect(WHOLE),
        }
    }
}

/// A row that this store keeps, and which therefore decodes.
pub fn kept(row: &[u8]) -> Vec<Value> {
    decode(row).expect("a kept row was whole when it was applied")
}

/// One cell of a row that this store keeps.
pub fn cell(row: &[u8], at: usize) -> Value {
    let mut rest = row;
    for _ in 0..at {
        skip(&mut rest).expect("a kept row was whole when it was applied");
    }
    pull(&mut Reader::new(rest)).expect("a kept row has a cell for each column")
}

/// Whether these bytes are this many whole cells.
pub fn whole(row: &[u8], columns: usize) -> bool {
    let readable = |cell: &&[u8]| cell[0] != TEXT || Reader::new(&cell[1..]).str("a text cell").is_ok();
    cells(row).is_ok_and(|cells| cells.len() == columns && cells.iter().all(readable))
}

/// Places and bytes of the cells in which `new` differs from `old`.
pub fn diff<'a>(old: &[u8], new: &'a [u8]) -> Vec<(usize, &'a [u8])> {
    let (old, new) = (cells(old).expect("a kept row is whole"), cells(new).expect("an encoded row is whole"));
    new.into_iter().enumerate().filter(|(at, cell)| old.get(*at) != Some(cell)).collect()
}

/// `old` with other cells in some places, which come in ascending order. `None` if they do not fit the row.
pub fn patch<'a>(old: &[u8], changes: impl Iterator<Item = (usize, &'a [u8])>) -> Option<Vec<u8>> {
    let mut cells = cells(old).ok()?;
    let mut bytes = old.len();
    for (at, cell) in changes {
        let place = cells.get_mut(at)?;
        bytes += cell.len();
        *place = cell;
    }
    let mut row = Vec::with_capacity(bytes);
    cells.iter().for_each(|cell| row.extend_from_slice(cell));
    Some(row)
}

/// What an update or delete says about the row that it replaces: 64 bits that tell a diverged row from the right
/// one. Against faults, not against a forger, so it may be fast: each word is mixed in by steps that lose nothing,
/// so two rows that differ in one word never agree.
pub fn hash(row: &[u8]) -> u64 {
    row.chunks(8).fold(row.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

/// Whether a row may stand in a table: number of cells, kinds, ranges, lengths, nulls. An auto-increment column
/// must have been filled before.
pub fn check(table: &TableDef, row: &[Value]) -> Result<(), Error> {
    if row.len() != table.columns.len() {
        return Err(Error::Sql {
            code: 1136,
            state: "21S01",
            message: format!(
                "column count doesn't match value count: table {} has {} columns, the row has {} values",
                table.name,
                table.columns.len(),
                row.len()
            ),
        });
    }
    table.columns.iter().zip(row).try_for_each(|(column, value)| fits(column, value))
}

/// Whether a value may stand in a column.
pub fn fits(column: &Column, value: &Value) -> Result<(), Error> {
    let bad = |kind| {
        Err(Error::BadValue {
            kind,
            value: value.to_string().chars().take(64).collect(),
            column: column.name.clone(),
        })
    };
    match (column.kind, value) {
        (_, Value::Null) if column.nullable => Ok(()),
        (_, Value::Null) => Err(Error::NotNull { column: column.name.clone() }),
        (ColumnType::Int { bits }, Value::Int(n)) => {
            let spare = 64 - u32::from(bits.clamp(1, 64));
            if (n << spare) >> spare == *n {
                Ok(())
            } else {
                Err(Error::OutOfRange { column: column.name.clone() })
            }
        }
        (ColumnType::UInt { bits }, Value::Int(n)) => {
            let fits = u64::try_from(*n).is_ok_and(|n| bits >= 64 || n >> bits == 0);
            if fits { Ok(()) } else { Err(Error::OutOfRange { column: column.name.clone() }) }
        }
        (ColumnType::UInt { bits: 64 }, Value::UInt(_)) => Ok(()),
        (ColumnType::UInt { .. }, Value::UInt(_)) => Err(Error::OutOfRange { column: column.name.clone() }),
        (ColumnType::Decimal { digits, scale }, Value::Dec(n)) if n.scale() == scale => {
            let most = 10_i128.checked_pow(digits.into()).unwrap_or(i128::MAX);
            if n.units().abs() < most {
                Ok(())
            } else {
                Err(Error::OutOfRange { column: column.name.clone() })
            }
        }
        (ColumnType::Decimal { .. }, _) => bad("decimal"),
        (ColumnType::Double | ColumnType::Float, Value::Double(_)) => Ok(()),
        (ColumnType::Double | ColumnType::Float, _) => bad("double"),
        (kind, Value::Text(text)) if is_moment(kind) => {
            // In any other form it would not stand in an index where it belongs.
            match Moment::parse(text).and_then(|moment| moment.kept(kind)) {
                Some(kept) if kept == *text => Ok(()),
                _ => bad("datetime"),
            }
        }
        (
            ColumnType::Date | ColumnType::Time | ColumnType::DateTime { .. } | ColumnType::Timestamp { .. },
            _,
        ) => bad("datetime"),
        (ColumnType::Int { .. } | ColumnType::UInt { .. }, _) => bad("integer"),
        (ColumnType::Text { .. }, Value::Text(text)) if column.members.is_some() => {
            let members = column.members.as_ref().expect("it has some");
            let kept = members.kept(text).filter(|kept| kept == text);
            kept.map(drop).ok_or_else(|| Members::misfit(column))
        }
        // It would be shown as another than it is kept.
        (ColumnType::Text { .. }, Value::Text(text)) if column.form == Form::Fixed && text.ends_with(' ') => {
            bad("string")
        }
        (ColumnType::Text { chars_max }, Value::Text(text)) => {
            // Counting characters is dear; a text with no more bytes than that has no more characters either.
            if text.len() <= chars_max as usize || text.chars().count() <= chars_max as usize {
                Ok(())
            } else {
                Err(Error::TooLong { column: column.name.clone() })
            }
        }
        (ColumnType::Text { .. }, _) => bad("string"),
        (ColumnType::Bytes { bytes_max }, Value::Bytes(bytes))
            if column.form == Form::Fixed && bytes.len() < bytes_max as usize =>
        {
            bad("binary")
        }
        (ColumnType::Bytes { bytes_max }, Value::Bytes(bytes)) => {
            if bytes.len() <= bytes_max as usize {
                Ok(())
            } else {
                Err(Error::TooLong { column: column.name.clone() })
            }
        }
        (ColumnType::Bytes { .. }, _) => bad("binary"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            (i64::MAX as u64 + 1..).prop_map(Value::UInt),
            any::<i64>().prop_map(|n| Value::Dec(Decimal::new(n.into(), 3))),
            proptest::num::f64::NORMAL.prop_map(|n| Value::Double(Real::new(n).expect("it is a number"))),
            ".{0,20}".prop_map(Value::Text),
            any::<Vec<u8>>().prop_map(Value::Bytes),
        ]
    }

    #[test]
    fn a_text_that_is_not_utf8_makes_no_whole_row() {
        let row = encode(&[Value::Int(1), Value::Text("ab".into())]);
        assert!(whole(&row, 2) && !whole(&row, 1));
        let mut bad = row;
        *bad.last_mut().unwrap() = 0xff;
        assert!(!whole(&bad, 2));
    }

    #[test]
    fn picked_cells_are_those_asked_for() {
        let row = encode(&[Value::Int(1), Value::Text("ab".into()), Value::Null, Value::Int(-7)]);
        let next = encode(&[Value::Int(2), Value::Text("c".into()), Value::Null, Value::Int(-8)]);
        let mut cells = Vec::new();
        pick(&row, &[false, true], &mut cells);
        assert_eq!(cells, [Value::Null, Value::Text("ab".into())]);
        pick(&next, &[false, true, true], &mut cells);
        assert_eq!(cells, [Value::Null, Value::Text("c".into()), Value::Null]);
        pick(&row, &[true, false, false, true], &mut cells);
        assert_eq!(cells, [Value::Int(1), Value::Null, Value::Null, Value::Int(-7)]);
        pick(&row, &[], &mut cells);
        assert!(cells.is_empty());
    }

    proptest! {
        #[test]
        fn a_row_comes_back(row in proptest::collection::vec(value(), 0..6)) {
            let bytes = encode(&row);
            prop_assert!(whole(&bytes, row.len()));
            let (mut places, mut from) = (vec![0; row.len()], 0);
            ends(&bytes, &mut places);
            for (at, value) in row.iter().enumerate() {
                prop_assert_eq!(&cell(&bytes, at), value);
                prop_assert_eq!(&decode(&bytes[from..places[at] as usize]), &Ok(vec![value.clone()]));
                from = places[at] as usize;
            }
            prop_assert_eq!(decode(&bytes), Ok(row));
        }

        #[test]
        fn the_difference_makes_the_new_row_from_the_old(
            pairs in proptest::collection::vec((value(), value(), any::<bool>()), 1..6),
        ) {
            let old: Vec<Value> = pairs.iter().map(|(a, _, _)| a.clone()).collect();
            let new: Vec<Value> = pairs.iter().map(|(a, b, same)| if *same { a } else { b }.clone()).collect();
            let (old, new) = (encode(&old), encode(&new));
            let changes = diff(&old, &new);
            prop_assert_eq!(patch(&old, changes.iter().copied()), Some(new.clone()));
            prop_assert_eq!(changes.is_empty(), old == new);
        }

        #[test]
        fn one_bit_changes_the_hash(mut row in proptest::collection::vec(any::<u8>(), 1..200), at: usize) {
            let before = hash(&row);
            let at = at % (row.len() * 8);
            row[at / 8] ^= 1 << (at % 8);
            prop_assert_ne!(before, hash(&row));
        }

        #[test]
        fn no_bytes_panic_the_decoder(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = cells(&bytes);
        }
    }

    #[test]
    fn an_integer_must_fit_its_bits() {
        let column = |bits| Column {
            name: "c".into(),
            kind: ColumnType::Int { bits },
            nullable: false,
            ..Column::default()
        };
        for (bits, most) in [(8, 127), (16, 32_767), (24, 8_388_607), (32, 2_147_483_647), (64, i64::MAX)] {
            assert_eq!(fits(&column(bits), &Value::Int(most)), Ok(()));
            assert_eq!(fits(&column(bits), &Value::Int(-most - 1)), Ok(()));
            if bits < 64 {
                assert_eq!(
                    fits(&column(bits), &Value::Int(most + 1)),
                    Err(Error::OutOfRange { column: "c".into() })
                );
                assert_eq!(
                    fits(&column(bits), &Value::Int(-most - 2)),
                    Err(Error::OutOfRange { column: "c".into() })
                );
            }
        }
    }

    #[test]
    fn text_is_counted_in_characters_and_bytes_in_bytes() {
        let text = Column {
            name: "c".into(),
            kind: ColumnType::Text { chars_max: 2 },
            nullable: true,
            ..Column::default()
        };
        assert_eq!(fits(&text, &"éé".into()), Ok(()));
        assert_eq!(fits(&text, &"abc".into()), Err(Error::TooLong { column: "c".into() }));
        assert_eq!(fits(&text, &Value::Null), Ok(()));
        assert!(matches!(fits(&text, &Value::Int(1)), Err(Error::BadValue { kind: "string", .. })));
    }
}
