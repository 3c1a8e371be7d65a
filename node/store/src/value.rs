//! What a cell of a row holds.

pub use crate::sql::Decimal;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// One cell. The order is that of an index: `Null` first. A column holds values of one kind, but for one of unsigned
/// integers: those that fit 63 bits are `Int`, and the larger ones `UInt`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// Beyond what `Int` holds.
    UInt(u64),
    Dec(Decimal),
    Double(Real),
}

/// A floating point number that is one: finite, and without a negative zero. So it has an order.
#[derive(Debug, Clone, Copy)]
pub struct Real(f64);

impl Real {
    /// `None` for what is infinite or no number.
    pub fn new(n: f64) -> Option<Real> {
        n.is_finite().then_some(Real(if n == 0.0 { 0.0 } else { n }))
    }

    pub fn get(self) -> f64 {
        self.0
    }

    /// Bits whose order is the order of the numbers.
    pub fn sortable(self) -> u64 {
        let bits = self.0.to_bits();
        if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
    }

    /// The number of such bits, if they are of one.
    pub fn sorted(bits: u64) -> Option<Real> {
        Real::new(f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits }))
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Real) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Real) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Real) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Real {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Value {
    /// As a client sees it in the text protocol.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("NULL"),
            Value::Int(n) => write!(f, "{n}"),
            Value::UInt(n) => write!(f, "{n}"),
            Value::Dec(n) => write!(f, "{n}"),
            Value::Double(n) => f.write_str(&crate::sql::double(n.get())),
            Value::Text(text) => f.write_str(text),
            Value::Bytes(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
        }
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Int(n)
    }
}

impl Value {
    /// An integer without a sign.
    pub fn unsigned(n: u64) -> Value {
        i64::try_from(n).map_or(Value::UInt(n), Value::Int)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}
