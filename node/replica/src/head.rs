//! The head of a checkpoint or snapshot: everything replicated that is not a row.

use plait_base::{Bytes, Index, Reader, Term, Writer, codec};
use plait_consensus::{Members, Verdicts};

/// The state at the end of the entry at `index`.
#[derive(Debug, Clone)]
pub struct Head {
    pub index: Index,
    pub term: Term,
    pub members: Members,
    pub verdicts: Verdicts,
    /// The store's own head.
    pub store: Bytes,
}

impl Head {
    pub fn encode(&self) -> Bytes {
        let mut w = Writer::new();
        w.u16(plait_base::FORMAT).u64(self.index.0).u64(self.term.0);
        self.members.encode(&mut w);
        self.verdicts.encode(&mut w);
        w.bytes(&self.store);
        w.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Head, codec::Error> {
        let mut r = Reader::new(bytes);
        let format = r.u16()?;
        if format != plait_base::FORMAT {
            return Err(codec::Error::Format(format));
        }
        let head = Head {
            index: Index(r.u64()?),
            term: Term(r.u64()?),
            members: Members::decode(&mut r)?,
            verdicts: Verdicts::decode(&mut r)?,
            store: Bytes::copy_from_slice(r.bytes()?),
        };
        r.end()?;
        Ok(head)
    }
}
