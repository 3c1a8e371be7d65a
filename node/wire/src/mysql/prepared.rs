//! Prepared statements on the wire: COM_STMT_PREPARE's answer, the values of COM_STMT_EXECUTE, rows in binary.
//!
//! Invariant: what a connection keeps of its statements is their number, the kinds of their values as they were sent
//! last, and values that came in pieces; of these at most `packet_bytes_max` bytes, all together.
//! Not here: cursors. A client that asks for one gets all rows at once, as the protocol allows.

use super::error::Error;
use super::flag::kind;
use super::read::Fields;
use super::reply::{Cell, ColumnKind, counted};
use std::collections::BTreeMap;

/// A value of a `?`.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    Null,
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What is kept of a statement.
#[derive(Debug, Default)]
struct Statement {
    params: usize,
    /// Kind, and whether it has no sign.
    kinds: Vec<(u8, bool)>,
    long: BTreeMap<u16, Vec<u8>>,
}

/// A connection's statements.
#[derive(Debug, Default)]
pub struct Statements {
    known: BTreeMap<u32, Statement>,
    long_bytes: usize,
    /// More was sent in pieces than is kept; the next execution is refused.
    too_long: bool,
}

/// Why an execution is not handed on; the connection goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Unknown(u32),
    TooLong,
    Text(usize),
}

const MALFORMED: &str = "COM_STMT_EXECUTE";

fn cut() -> Error {
    Error::Malformed { what: MALFORMED, why: "it ends too soon" }
}

impl Statements {
    pub fn add(&mut self, number: u32, params: u16) {
        self.known.insert(number, Statement { params: params.into(), ..Statement::default() });
    }

    pub fn close(&mut self, number: u32) {
        if let Some(statement) = self.known.remove(&number) {
            self.long_bytes -= statement.long.values().map(Vec::len).sum::<usize>();
        }
    }

    pub fn clear(&mut self) {
        *self = Statements::default();
    }

    /// Forgets what came in pieces; whether the statement is known.
    pub fn reset(&mut self, number: u32) -> bool {
        let Some(statement) = self.known.get_mut(&number) else { return false };
        self.long_bytes -= statement.long.values().map(Vec::len).sum::<usize>();
        statement.long.clear();
        self.too_long = false;
        true
    }

    /// COM_STMT_SEND_LONG_DATA, which has no answer: a piece of a value.
    pub fn long(&mut self, body: &[u8], bytes_max: usize) {
        let mut fields = Fields(body);
        let (Some(number), Some(param)) = (fields.u32(), fields.u16()) else { return };
        let Some(statement) = self.known.get_mut(&number) else { return };
        if self.long_bytes + fields.0.len() > bytes_max || usize::from(param) >= statement.params {
            self.too_long = true;
            return;
        }
        self.long_bytes += fields.0.len();
        statement.long.entry(param).or_default().extend_from_slice(fields.0);
    }

    /// COM_STMT_EXECUTE: which statement, and its values.
    pub fn execute(&mut self, body: &[u8]) -> Result<Result<(u32, Vec<Param>), Refusal>, Error> {
        let mut fields = Fields(body);
        let number = fields.u32().ok_or_else(cut)?;
        let (_flags, _iterations) = (fields.u8().ok_or_else(cut)?, fields.u32().ok_or_else(cut)?);
        let Some(statement) = self.known.get_mut(&number) else { return Ok(Err(Refusal::Unknown(number))) };
        let count = statement.params;
        let mut params = Vec::with_capacity(count);
        if count > 0 {
            let nulls = fields.raw(count.div_ceil(8)).ok_or_else(cut)?;
            if fields.u8().ok_or_else(cut)? == 1 {
                statement.kinds.clear();
                for _ in 0..count {
                    let word = fields.u16().ok_or_else(cut)?;
                    statement.kinds.push((word as u8, word & 0x8000 != 0));
                }
            }
            if statement.kinds.len() != count {
                let why = "the kinds of its values were never sent";
                return Err(Error::Malformed { what: MALFORMED, why });
            }
            for at in 0..count {
                let (kind, unsigned) = statement.kinds[at];
                let null = nulls[at / 8] >> (at % 8) & 1 == 1;
                let long = u16::try_from(at).ok().and_then(|at| statement.long.remove(&at));
                params.push(match long {
                    Some(bytes) => {
                        self.long_bytes -= bytes.len();
                        match text(kind, bytes) {
                            Ok(param) => param,
                            Err(at) => return Ok(Err(Refusal::Text(at))),
                        }
                    }
                    None if null || kind == kind::NULL => Param::Null,
                    None => match value(kind, unsigned, &mut fields)? {
                        Ok(param) => param,
                        Err(at) => return Ok(Err(Refusal::Text(at))),
                    },
                });
            }
        }
        if std::mem::take(&mut self.too_long) {
            self.reset(number);
            return Ok(Err(Refusal::TooLong));
        }
        Ok(Ok((number, params)))
    }
}

/// Bytes of a string's kind. `Err`: where they are no UTF-8.
fn text(kind: u8, bytes: Vec<u8>) -> Result<Param, usize> {
    if matches!(kind, kind::TINY_BLOB | kind::MEDIUM_BLOB | kind::LONG_BLOB | kind::BLOB) {
        // What a client binds as bytes may be text all the same: bytes fit where a text does if they are UTF-8.
        return Ok(Param::Bytes(bytes));
    }
    String::from_utf8(bytes).map(Param::Text).map_err(|bad| bad.utf8_error().valid_up_to())
}

fn value(kind: u8, unsigned: bool, fields: &mut Fields<'_>) -> Result<Result<Param, usize>, Error> {
    let int = |signed: i64, plain: u64| if unsigned { Param::UInt(plain) } else { Param::Int(signed) };
    Ok(Ok(match kind {
        kind::TINY => {
            let n = fields.u8().ok_or_else(cut)?;
            int((n as i8).into(), n.into())
        }
        kind::SHORT | kind::YEAR => {
            let n = fields.u16().ok_or_else(cut)?;
            int((n as i16).into(), n.into())
        }
        kind::LONG | kind::INT24 => {
            let n = fields.u32().ok_or_else(cut)?;
            int((n as i32).into(), n.into())
        }
        kind::LONGLONG => {
            let n = fields.u64().ok_or_else(cut)?;
            int(n as i64, n)
        }
        kind::FLOAT => {
            let n = f32::from_bits(fields.u32().ok_or_else(cut)?);
            // As it is written, not as it is extended: 0.1 and not 0.10000000149.
            Param::Double(n.to_string().parse().unwrap_or(f64::from(n)))
        }
        kind::DOUBLE => Param::Double(f64::from_bits(fields.u64().ok_or_else(cut)?)),
        kind::DATE | kind::DATETIME | kind::TIMESTAMP => {
            let length = fields.u8().ok_or_else(cut)?;
            moment(kind, fields.raw(length.into()).ok_or_else(cut)?)?
        }
        kind::TIME => {
            let length = fields.u8().ok_or_else(cut)?;
            time(fields.raw(length.into()).ok_or_else(cut)?)?
        }
        _ => return Ok(text(kind, fields.counted().ok_or_else(cut)?.to_vec())),
    }))
}

fn micros(fields: &mut Fields<'_>) -> String {
    fields.u32().map_or_else(String::new, |micros| format!(".{:06}", micros.min(999_999)))
}

fn moment(kind: u8, raw: &[u8]) -> Result<Param, Error> {
    let mut fields = Fields(raw);
    let date = match (fields.u16(), fields.u8(), fields.u8()) {
        (Some(year), Some(month), Some(day)) => format!("{year:04}-{month:02}-{day:02}"),
        _ if raw.is_empty() => "0000-00-00".into(),
        _ => return Err(cut()),
    };
    let time = match (fields.u8(), fields.u8(), fields.u8()) {
        (Some(h), Some(m), Some(s)) => format!(" {h:02}:{m:02}:{s:02}{}", micros(&mut fields)),
        _ if kind == kind::DATE => String::new(),
        _ => " 00:00:00".into(),
    };
    Ok(Param::Text(date + &time))
}

fn time(raw: &[u8]) -> Result<Param, Error> {
    let mut fields = Fields(raw);
    let parts = (fields.u8(), fields.u32(), fields.u8(), fields.u8(), fields.u8());
    let (Some(minus), Some(days), Some(h), Some(m), Some(s)) = parts else {
        return if raw.is_empty() { Ok(Param::Text("00:00:00".into())) } else { Err(cut()) };
    };
    let sign = if minus == 1 { "-" } else { "" };
    let hours = u64::from(days) * 24 + u64::from(h);
    Ok(Param::Text(format!("{sign}{hours:02}:{m:02}:{s:02}{}", micros(&mut fields))))
}

/// A row in binary: which cells are NULL, then the others, each as its column's kind says.
pub fn row<'a>(out: &mut Vec<u8>, kinds: &[ColumnKind], cells: impl IntoIterator<Item = Cell<'a>>) {
    out.push(0);
    let nulls = out.len();
    out.resize(nulls + (kinds.len() + 9) / 8, 0);
    for (at, (kind, cell)) in kinds.iter().zip(cells).enumerate() {
        match cell {
            Cell::Null => out[nulls + (at + 2) / 8] |= 1 << ((at + 2) % 8),
            cell => value_out(out, *kind, cell),
        }
    }
}

fn value_out(out: &mut Vec<u8>, kind: ColumnKind, cell: Cell<'_>) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    match (kind, cell) {
        (_, Cell::Null) => unreachable!("NULLs are marked before"),
        (ColumnKind::Int { bits, .. }, cell) => {
            let n = match cell {
                Cell::Int(n) => n,
                Cell::UInt(n) => n as i64,
                Cell::Bytes(bytes) => {
                    let text = text(bytes);
                    text.parse::<i64>().ok().or(text.parse::<u64>().ok().map(|n| n as i64)).unwrap_or(0)
                }
                Cell::Null => 0,
            };
            let width = match bits {
                8 => 1,
                16 => 2,
                24 | 32 => 4,
                _ => 8,
            };
            out.extend_from_slice(&n.to_le_bytes()[..width]);
        }
        (ColumnKind::Double, cell) => {
            let n = match cell {
                Cell::Int(n) => n as f64,
                Cell::UInt(n) => n as f64,
                Cell::Bytes(bytes) => text(bytes).parse().unwrap_or(0.0),
                Cell::Null => 0.0,
            };
            out.extend_from_slice(&n.to_le_bytes());
        }
        (ColumnKind::DateTime | ColumnKind::Date, Cell::Bytes(bytes)) => moment_out(out, text(bytes)),
        (ColumnKind::Time, Cell::Bytes(bytes)) => time_out(out, text(bytes)),
        (_, Cell::Int(n)) => counted(out, n.to_string().as_bytes()),
        (_, Cell::UInt(n)) => counted(out, n.to_string().as_bytes()),
        (_, Cell::Bytes(bytes)) => counted(out, bytes),
    }
}

/// The numbers in a date or time as it is written; the last is of microseconds.
fn numbers(text: &str) -> [u32; 7] {
    let mut numbers = [0; 7];
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    for (at, part) in whole.split(['-', ' ', ':', 'T']).filter(|part| !part.is_empty()).take(6).enumerate() {
        numbers[at] = part.parse().unwrap_or(0);
    }
    numbers[6] = format!("{fraction:0<6}").get(..6).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    numbers
}

fn moment_out(out: &mut Vec<u8>, text: &str) {
    let n = numbers(text);
    let length: u8 = if n[6] > 0 {
        11
    } else if n[3..6].iter().any(|n| *n > 0) {
        7
    } else {
        4
    };
    out.push(length);
    out.extend_from_slice(&(n[0] as u16).to_le_bytes());
    out.extend([n[1] as u8, n[2] as u8]);
    if length > 4 {
        out.extend([n[3] as u8, n[4] as u8, n[5] as u8]);
    }
    if length > 7 {
        out.extend_from_slice(&n[6].to_le_bytes());
    }
}

fn time_out(out: &mut Vec<u8>, text: &str) {
    let n = numbers(text.trim_start_matches('-'));
    let length: u8 = if n[6] > 0 { 12 } else { 8 };
    out.push(length);
    out.push(u8::from(text.starts_with('-')));
    out.extend_from_slice(&(n[0] / 24).to_le_bytes());
    out.extend([(n[0] % 24) as u8, n[1] as u8, n[2] as u8]);
    if length > 8 {
        out.extend_from_slice(&n[6].to_le_bytes());
    }
}
