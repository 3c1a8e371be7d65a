//! What a server answers: OK, ERR, the end of rows, column definitions, rows.

use super::flag::{charset, column, kind, track};

/// What an OK tells. The default is the plainest: nothing changed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Okay<'a> {
    pub affected: u64,
    pub insert_id: u64,
    pub warnings: u16,
    /// For a person's eyes, as "Rows matched: 1  Changed: 1  Warnings: 0".
    pub info: &'a str,
    /// The position of what was committed, `uuid:seqno`; sent to clients that track the session.
    pub gtid: Option<&'a str>,
    /// The database that is now used, if that changed; sent to clients that track the session.
    pub schema: Option<&'a str>,
}

/// A column of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    pub schema: &'a str,
    pub table: &'a str,
    pub name: &'a str,
    pub kind: ColumnKind,
    /// Bits of [`flag::column`](super::flag::column) beyond those that the kind brings.
    pub flags: u16,
}

/// A column's type as a client is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// An integer of 8, 16, 24, 32 or 64 bits. `width`: of its display; 0: the kind's own.
    Int {
        bits: u8,
        unsigned: bool,
        width: u8,
    },
    /// Text of at most this many characters.
    Text {
        chars_max: u32,
    },
    /// Bytes, at most this many.
    Bytes {
        bytes_max: u32,
    },
    /// CHAR of so many characters.
    Char {
        chars: u32,
    },
    /// BINARY of so many bytes.
    Binary {
        bytes: u32,
    },
    /// A decimal number with this many digits, of which `scale` are behind the point.
    Decimal {
        digits: u8,
        scale: u8,
    },
    /// A floating point number of 64 bits.
    Double,
    /// A date and a time of day.
    DateTime,
    Date,
    Time,
    /// A column in which nothing but NULL can stand.
    Null,
}

/// Text and bytes longer than this are announced as BLOB kinds, as a server does with TEXT and BLOB columns.
const VARCHAR_MAX: u32 = 16_383;

impl ColumnKind {
    /// (type, display length in bytes, decimals, flags, character set)
    fn wire(self) -> (u8, u32, u8, u16, u8) {
        match self {
            ColumnKind::Int { bits, unsigned, width } => {
                let (code, own) = match bits {
                    8 => (kind::TINY, if unsigned { 3 } else { 4 }),
                    16 => (kind::SHORT, if unsigned { 5 } else { 6 }),
                    24 => (kind::INT24, if unsigned { 8 } else { 9 }),
                    32 => (kind::LONG, if unsigned { 10 } else { 11 }),
                    _ => (kind::LONGLONG, 20),
                };
                let width = if width == 0 { own } else { u32::from(width) };
                let sign = if unsigned { column::UNSIGNED } else { 0 };
                (code, width, 0, column::NUM | column::BINARY | sign, charset::BINARY)
            }
            ColumnKind::Text { chars_max } if chars_max > VARCHAR_MAX => {
                (kind::BLOB, chars_max.saturating_mul(4), 0, column::BLOB, charset::UTF8MB4)
            }
            ColumnKind::Text { chars_max } => (kind::VAR_STRING, chars_max * 4, 0, 0, charset::UTF8MB4),
            ColumnKind::Bytes { bytes_max } if bytes_max > 4 * VARCHAR_MAX => {
                (kind::BLOB, bytes_max, 0, column::BLOB | column::BINARY, charset::BINARY)
            }
            ColumnKind::Char { chars } => (kind::STRING, chars * 4, 0, 0, charset::UTF8MB4),
            ColumnKind::Binary { bytes } => (kind::STRING, bytes, 0, column::BINARY, charset::BINARY),
            ColumnKind::Bytes { bytes_max } => {
                (kind::VAR_STRING, bytes_max, 0, column::BINARY, charset::BINARY)
            }
            ColumnKind::Decimal { digits, scale } => {
                let point = u32::from(scale > 0);
                let flags = column::NUM | column::BINARY;
                (kind::NEWDECIMAL, u32::from(digits) + point + 1, scale, flags, charset::BINARY)
            }
            // 31 decimals stand for a point that floats.
            ColumnKind::Double => (kind::DOUBLE, 23, 31, column::NUM | column::BINARY, charset::BINARY),
            ColumnKind::DateTime => (kind::DATETIME, 19, 0, column::BINARY, charset::BINARY),
            ColumnKind::Date => (kind::DATE, 10, 0, column::BINARY, charset::BINARY),
            ColumnKind::Time => (kind::TIME, 10, 0, column::BINARY, charset::BINARY),
            ColumnKind::Null => (kind::NULL, 0, 0, column::BINARY, charset::BINARY),
        }
    }
}

/// A cell of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    Null,
    Int(i64),
    UInt(u64),
    /// Text or bytes as they are.
    Bytes(&'a [u8]),
}

/// A number of 1, 3, 4 or 9 bytes.
pub(super) fn lenenc(out: &mut Vec<u8>, n: u64) {
    match n {
        0..=250 => out.push(n as u8),
        251..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&(n as u16).to_le_bytes());
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&n.to_le_bytes()[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&n.to_le_bytes());
        }
    }
}

pub(super) fn counted(out: &mut Vec<u8>, bytes: &[u8]) {
    lenenc(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn cell(out: &mut Vec<u8>, cell: Cell) {
    match cell {
        Cell::Null => out.push(0xfb),
        Cell::Bytes(bytes) => counted(out, bytes),
        Cell::UInt(n) => counted(out, n.to_string().as_bytes()),
        Cell::Int(n) => {
            let mut digits = [0; 20];
            let mut at = digits.len();
            let mut left = n.unsigned_abs();
            loop {
                at -= 1;
                digits[at] = b'0' + (left % 10) as u8;
                left /= 10;
                if left == 0 {
                    break;
                }
            }
            let sign = usize::from(n < 0);
            out.push((digits.len() - at + sign) as u8);
            if n < 0 {
                out.push(b'-');
            }
            out.extend_from_slice(&digits[at..]);
        }
    }
}

/// A column definition. `default`: COM_FIELD_LIST's answers tell the default value too.
pub(super) fn definition(out: &mut Vec<u8>, column: &Column, default: Option<Cell>) {
    let (code, length, decimals, flags, charset) = column.kind.wire();
    counted(out, b"def");
    counted(out, column.schema.as_bytes());
    counted(out, column.table.as_bytes());
    counted(out, column.table.as_bytes());
    counted(out, column.name.as_bytes());
    counted(out, column.name.as_bytes());
    lenenc(out, 12);
    out.extend_from_slice(&u16::from(charset).to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.push(code);
    out.extend_from_slice(&(flags | column.flags).to_le_bytes());
    out.push(decimals);
    out.extend_from_slice(&[0; 2]);
    if let Some(default) = default {
        cell(out, default);
    }
}

/// The session state of an OK: a list of what changed, each entry with its kind and length.
pub(super) fn state(out: &mut Vec<u8>, okay: &Okay) {
    let mut list = Vec::new();
    if let Some(schema) = okay.schema {
        let mut entry = Vec::new();
        counted(&mut entry, schema.as_bytes());
        list.push(track::SCHEMA);
        counted(&mut list, &entry);
    }
    if let Some(gtid) = okay.gtid {
        let mut entry = vec![0]; // how what follows is encoded: as text
        counted(&mut entry, gtid.as_bytes());
        list.push(track::GTIDS);
        counted(&mut list, &entry);
    }
    counted(out, &list);
}
