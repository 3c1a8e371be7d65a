//! Takes the protocol's fields off the front of a packet.

/// What is left of a packet. A field that is not there whole is `None`.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn raw(&mut self, n: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(field)
    }

    pub fn u8(&mut self) -> Option<u8> {
        Some(self.raw(1)?[0])
    }

    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.raw(2)?.try_into().expect("two bytes")))
    }

    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.raw(4)?.try_into().expect("four bytes")))
    }

    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.raw(8)?.try_into().expect("eight bytes")))
    }

    /// Bytes up to a zero, which is taken too.
    pub fn zero_ended(&mut self) -> Option<&'a [u8]> {
        let len = self.0.iter().position(|byte| *byte == 0)?;
        let field = self.raw(len)?;
        self.0 = &self.0[1..];
        Some(field)
    }

    /// Bytes up to a zero or the end: some clients leave the last zero out.
    pub fn zero_or_end(&mut self) -> &'a [u8] {
        self.zero_ended().unwrap_or_else(|| std::mem::take(&mut self.0))
    }

    /// A number of 1, 3, 4 or 9 bytes.
    pub fn lenenc(&mut self) -> Option<u64> {
        let wide = match self.u8()? {
            small @ 0..=250 => return Some(small.into()),
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            _ => return None,
        };
        let mut word = [0; 8];
        word[..wide].copy_from_slice(self.raw(wide)?);
        Some(u64::from_le_bytes(word))
    }

    /// A length, then that many bytes.
    pub fn counted(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.lenenc()?).ok()?;
        self.raw(len)
    }
}
