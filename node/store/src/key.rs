//! Keys as bytes whose order is the order of the values: what an index is sorted by.
//!
//! Intuition: a tag a kind, then the value so written that comparing bytes compares values. A shorter key is a
//! prefix of the longer ones that begin with it, so a range over a prefix is a range over bytes.
//! Invariant: `a < b` as lists of [`Value`]s exactly if `encode(a) < encode(b)`; every key decodes to what it was,
//! but for those blanks.
//! Text is ordered as under `utf8mb4_bin`: by its bytes, and blanks at its end are none, so a key does not have them.
//! The escape of zero bytes is the one of Orderly and of MyRocks' "memcomparable" format.

use crate::value::{Decimal, Real, Value};
use plait_base::codec::{Error, Reader};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::ops::Deref;

const NULL: u8 = 0;
const INT: u8 = 1;
const TEXT: u8 = 2;
const BYTES: u8 = 3;
/// An integer above those of `INT`.
const UINT: u8 = 4;
const DEC: u8 = 5;
const DOUBLE: u8 = 6;
/// Above every tag: ends the keys that begin with a prefix.
const PAST: u8 = 0xff;

/// Bytes of a key that are kept in place; the key of an integer column has nine.
const INLINE: usize = 22;

/// A kept key. A short one lies in the tree itself, so that a look-up does not follow a pointer at each comparison.
#[derive(Clone)]
pub(crate) struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Here { len: u8, bytes: [u8; INLINE] },
    There(Box<[u8]>),
}

impl From<&[u8]> for Key {
    fn from(key: &[u8]) -> Key {
        if key.len() > INLINE {
            return Key(Repr::There(key.into()));
        }
        let mut bytes = [0; INLINE];
        bytes[..key.len()].copy_from_slice(key);
        Key(Repr::Here { len: key.len() as u8, bytes })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(self))
    }
}

impl Deref for Key {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Here { len, bytes } => &bytes[..usize::from(*len)],
            Repr::There(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        **self == **other
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        (**self).cmp(&**other)
    }
}

/// Longest key, in bytes as encoded. InnoDB's bound is the same.
pub const KEY_BYTES_MAX: usize = 3072;

pub fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() * 10);
    values.iter().for_each(|value| push(&mut out, value));
    out
}

/// Appends one value to a key.
pub fn push(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(NULL),
        Value::Int(n) => {
            out.push(INT);
            out.extend_from_slice(&((*n as u64) ^ (1 << 63)).to_be_bytes());
        }
        Value::UInt(n) => {
            out.push(UINT);
            out.extend_from_slice(&n.to_be_bytes());
        }
        Value::Dec(n) => {
            out.push(DEC);
            out.extend_from_slice(&n.sortable());
            out.push(n.scale());
        }
        Value::Double(n) => {
            out.push(DOUBLE);
            out.extend_from_slice(&n.sortable().to_be_bytes());
        }
        Value::Text(text) => push_text(out, text),
        Value::Bytes(bytes) => push_bytes(out, bytes),
    }
}

/// A text as it is compared: MySQL fills the shorter one up with blanks. (Against a character below the blank that
/// would say otherwise; here the shorter text comes first.)
pub fn padded(text: &str) -> &str {
    text.trim_end_matches(' ')
}

pub fn push_text(out: &mut Vec<u8>, text: &str) {
    push_text_bytes(out, text.as_bytes());
}

/// The same for the bytes of a text: a blank is a byte, and none of another character.
pub fn push_text_bytes(out: &mut Vec<u8>, text: &[u8]) {
    let end = text.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
    escaped(out, TEXT, &text[..end]);
}

pub fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    escaped(out, BYTES, bytes);
}

/// A zero byte becomes `00 ff`, the end is `00 01`: below every continuation, so that a prefix sorts first.
fn escaped(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.reserve(bytes.len() + 3);
    out.push(tag);
    // Few have one, and that there is none is seen quickly.
    if !bytes.contains(&0) {
        out.extend_from_slice(bytes);
        out.extend_from_slice(&[0, 1]);
        return;
    }
    let mut parts = bytes.split(|byte| *byte == 0);
    out.extend_from_slice(parts.next().expect("there is a first part, be it empty"));
    for part in parts {
        out.extend_from_slice(&[0, 0xff]);
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&[0, 1]);
}

pub fn decode(key: &[u8]) -> Result<Vec<Value>, Error> {
    let mut r = Reader::new(key);
    let mut values = Vec::new();
    while r.left() > 0 {
        values.push(match r.u8()? {
            NULL => Value::Null,
            INT => Value::Int(
                (u64::from_be_bytes(r.raw(8)?.try_into().expect("eight bytes")) ^ (1 << 63)) as i64,
            ),
            TEXT => Value::Text(String::from_utf8(unescaped(&mut r)?).map_err(|_| Error::Text("a key"))?),
            BYTES => Value::Bytes(unescaped(&mut r)?),
            UINT => Value::UInt(u64::from_be_bytes(r.raw(8)?.try_into().expect("eight bytes"))),
            DEC => {
                let bytes = r.raw(32)?.try_into().expect("32 bytes");
                let scale = r.u8()?;
                let bad = Error::Tag { what: "a decimal in a key", tag: scale.into() };
                Value::Dec(Decimal::sorted(bytes, scale).ok_or(bad)?)
            }
            DOUBLE => {
                let bits = u64::from_be_bytes(r.raw(8)?.try_into().expect("eight bytes"));
                Value::Double(Real::sorted(bits).ok_or(Error::Tag { what: "a double in a key", tag: bits })?)
            }
            tag => return Err(Error::Tag { what: "a key's part", tag: tag.into() }),
        });
    }
    Ok(values)
}

/// How many bytes the first `count` values of a key take; `None` if it has not so many.
pub fn length(key: &[u8], count: usize) -> Option<usize> {
    let mut at = 0;
    for _ in 0..count {
        at += match *key.get(at)? {
            NULL => 1,
            INT | UINT | DOUBLE => 9,
            DEC => 34,
            TEXT | BYTES => {
                let mut end = at + 1;
                loop {
                    match (*key.get(end)?, key.get(end + 1)) {
                        (0, Some(1)) => break end + 2 - at,
                        (0, Some(_)) => end += 2,
                        (0, None) => return None,
                        _ => end += 1,
                    }
                }
            }
            _ => return None,
        };
    }
    (at <= key.len()).then_some(at)
}

fn unescaped(r: &mut Reader<'_>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    loop {
        match r.u8()? {
            0 => match r.u8()? {
                1 => return Ok(bytes),
                0xff => bytes.push(0),
                tag => return Err(Error::Tag { what: "an escape in a key", tag: tag.into() }),
            },
            byte => bytes.push(byte),
        }
    }
}

/// The lowest key above this one.
pub fn after(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

/// Above every key that begins with this prefix, and below all others that are above it. With it,
/// `k > prefix` is the range from `past(prefix)` on, and `k = prefix…` the range `prefix .. past(prefix)`.
pub fn past(prefix: &[u8]) -> Vec<u8> {
    let mut end = Vec::with_capacity(prefix.len() + 1);
    end.extend_from_slice(prefix);
    push_past(&mut end);
    end
}

/// Makes that of a prefix.
pub fn push_past(prefix: &mut Vec<u8>) {
    prefix.push(PAST);
}

/// A key in words, as MySQL names it in a duplicate entry: `7` or `7-blue`. Bytes that are no key are shown in
/// hexadecimal digits.
pub fn show(key: &[u8]) -> String {
    match decode(key) {
        Ok(values) => values.iter().map(Value::to_string).collect::<Vec<_>>().join("-"),
        Err(_) => key.iter().fold(String::from("0x"), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        }),
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
            (-3..3_i64).prop_map(Value::Int),
            (i64::MAX as u64 + 1..).prop_map(Value::UInt),
            any::<i64>().prop_map(|n| Value::Dec(Decimal::new(n.into(), 3))),
            proptest::num::f64::NORMAL.prop_map(|n| Value::Double(Real::new(n).expect("it is a number"))),
            // Without blanks at its end, which a key does not have.
            "([\\x00ab ]{0,3}[\\x00ab])?".prop_map(Value::Text),
            proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0xff), any::<u8>()], 0..4)
                .prop_map(Value::Bytes),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn bytes_are_ordered_as_the_values_are(
            a in proptest::collection::vec(value(), 0..4),
            b in proptest::collection::vec(value(), 0..4),
        ) {
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.cmp(&b));
        }

        #[test]
        fn a_key_comes_back(values in proptest::collection::vec(value(), 0..4)) {
            prop_assert_eq!(decode(&encode(&values)), Ok(values));
        }

        #[test]
        fn a_prefix_ends_where_its_keys_end(
            prefix in proptest::collection::vec(value(), 0..3),
            key in proptest::collection::vec(value(), 0..4),
        ) {
            let (lo, key_bytes) = (encode(&prefix), encode(&key));
            let within = lo <= key_bytes && key_bytes < past(&lo);
            prop_assert_eq!(within, key.starts_with(&prefix));
            prop_assert!(key_bytes < after(&key_bytes));
            prop_assert_eq!(length(&[lo.clone(), key_bytes].concat(), prefix.len()), Some(lo.len()));
        }

        #[test]
        fn no_bytes_panic_the_decoder(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = show(&bytes);
        }
    }
}
