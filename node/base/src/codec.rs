//! Bytes in, values out: the little-endian codec of everything that Plait itself stores or sends.
//!
//! Every length is checked against what is left before anything is allocated, so a hostile frame costs its own
//! size and no more.

use bytes::Bytes;

/// Why bytes could not be read as what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("ends after {have} bytes where {need} are needed")]
    Short { need: usize, have: usize },
    #[error("has {0} bytes after its end")]
    Trailing(usize),
    #[error("{what} has the unknown tag {tag}")]
    Tag { what: &'static str, tag: u64 },
    #[error("{what} is {got}, and at most {max} is allowed")]
    TooLarge { what: &'static str, got: u64, max: u64 },
    #[error("format {0} is unknown to this build, which writes format {current}", current = crate::FORMAT)]
    Format(u16),
    #[error("has the checksum {found:08x} and says that it is {said:08x}")]
    Checksum { found: u32, said: u32 },
    #[error("{0} is not valid UTF-8")]
    Text(&'static str),
}

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn new() -> Writer {
        Writer(Vec::new())
    }

    pub fn with_capacity(bytes: usize) -> Writer {
        Writer(Vec::with_capacity(bytes))
    }

    #[inline]
    pub fn u8(&mut self, v: u8) -> &mut Self {
        self.0.push(v);
        self
    }

    #[inline]
    pub fn u16(&mut self, v: u16) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }

    #[inline]
    pub fn u32(&mut self, v: u32) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }

    #[inline]
    pub fn u64(&mut self, v: u64) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }

    pub fn i64(&mut self, v: i64) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }

    /// Seven bits a byte, low bits first; one byte for numbers below 128.
    #[inline]
    pub fn varint(&mut self, mut v: u64) -> &mut Self {
        while v >= 0x80 {
            self.0.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.0.push(v as u8);
        self
    }

    pub fn bool(&mut self, v: bool) -> &mut Self {
        self.u8(u8::from(v))
    }

    /// Length, then bytes.
    #[inline]
    pub fn bytes(&mut self, v: &[u8]) -> &mut Self {
        self.varint(v.len() as u64).raw(v)
    }

    #[inline]
    pub fn str(&mut self, v: &str) -> &mut Self {
        self.bytes(v.as_bytes())
    }

    /// Bytes alone; the reader must know how many.
    #[inline]
    pub fn raw(&mut self, v: &[u8]) -> &mut Self {
        self.0.extend_from_slice(v);
        self
    }

    pub fn finish(self) -> Bytes {
        Bytes::from(self.0)
    }
}

/// Takes values off the front of a slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub fn raw(&mut self, n: usize) -> Result<&'a [u8], Error> {
        if n > self.rest.len() {
            return Err(Error::Short { need: n, have: self.rest.len() });
        }
        let (head, rest) = self.rest.split_at(n);
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        Ok(self.raw(N)?.try_into().expect("raw gave N bytes"))
    }

    #[inline]
    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    #[inline]
    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[inline]
    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, Error> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub fn bool(&mut self) -> Result<bool, Error> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(Error::Tag { what: "a yes-or-no", tag: tag.into() }),
        }
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::TooLarge { what: "a number", got: u64::MAX, max: u64::MAX })
    }

    /// A count of things of which each takes at least one byte, so that it cannot promise more than there is.
    pub fn count(&mut self, what: &'static str) -> Result<usize, Error> {
        let n = self.varint()?;
        if n > self.rest.len() as u64 {
            return Err(Error::TooLarge { what, got: n, max: self.rest.len() as u64 });
        }
        Ok(n as usize)
    }

    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let n = self.varint()?;
        self.raw(usize::try_from(n).unwrap_or(usize::MAX))
    }

    #[inline]
    pub fn str(&mut self, what: &'static str) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Error::Text(what))
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Trailing(self.rest.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_varint_comes_back(v: u64) {
            let mut w = Writer::new();
            w.varint(v);
            let mut r = Reader::new(&w.0);
            prop_assert_eq!(r.varint(), Ok(v));
            prop_assert_eq!(r.end(), Ok(()));
        }

        #[test]
        fn no_bytes_panic_the_reader(bytes: Vec<u8>) {
            let mut r = Reader::new(&bytes);
            while r.left() > 0 {
                if r.bytes().is_err() || r.varint().is_err() || r.count("x").is_err() || r.bool().is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        let mut w = Writer::new();
        w.varint(1 << 40).raw(b"abc");
        assert_eq!(Reader::new(&w.0).bytes(), Err(Error::Short { need: 1 << 40, have: 3 }));
    }
}
