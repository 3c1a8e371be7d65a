//! The small file that makes a generation count: its number, its digest, and what the machine keeps beside rows.

use plait_base::{Bytes, Digest, FORMAT, Reader, Writer};
use std::fmt;

const MAGIC: &[u8; 8] = b"plaithd\n";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub generation: u64,
    pub rows: u64,
    pub digest: Digest,
    pub head: Bytes,
}

impl Head {
    /// Magic, format, the fields, and the hash of all that is before it.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(MAGIC).u16(FORMAT).u64(self.generation).u64(self.rows).raw(&self.digest.0).bytes(&self.head);
        let sum = Digest::of(&[&w.0]);
        w.raw(&sum.0);
        w.0
    }

    pub fn decode(bytes: &[u8]) -> Result<Head, String> {
        let Some(body) = bytes.len().checked_sub(32) else {
            return Err(format!("has {} bytes, and a head has more", bytes.len()));
        };
        let (body, sum) = bytes.split_at(body);
        if !body.starts_with(MAGIC) {
            return Err("is not a checkpoint's head".into());
        }
        let mut r = Reader::new(&body[MAGIC.len()..]);
        let format = r.u16().map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(plait_base::codec::Error::Format(format).to_string());
        }
        if Digest::of(&[body]).0 != sum {
            return Err("its checksum does not fit its bytes".into());
        }
        let mut read = || -> Result<Head, plait_base::codec::Error> {
            Ok(Head {
                generation: r.u64()?,
                rows: r.u64()?,
                digest: Digest(r.raw(32)?.try_into().expect("raw gave 32 bytes")),
                head: Bytes::copy_from_slice(r.bytes()?),
            })
        };
        let head = read().map_err(|error| error.to_string())?;
        r.end().map_err(|error| error.to_string())?;
        Ok(head)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { generation, rows, digest, head } = self;
        write!(f, "generation {generation}: {rows} rows, digest {digest}, {} bytes of head", head.len())
    }
}
