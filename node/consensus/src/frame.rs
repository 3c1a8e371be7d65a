//! One frame: what one step of a node says to one peer on one lane.
//!
//! Everything due at the end of a step leaves together, so a commit costs a handful of frames and not a handful a
//! transaction.
//! Invariant: a frame that was changed on its way is refused, whatever changed it: its last four bytes are the CRC-32C
//! of all before them. TCP's own sum is 16 bits, and a proxy or a network card may make a new one over what it spoiled.

use crate::message::Message;
use crate::zoo::{self, Bug};
use plait_base::{Bytes, FORMAT, MemberId, Reader, Slot, Writer, codec};

/// Which way a frame travels. Each lane keeps its order; lanes overtake one another, and a frame may be lost with
/// its connection. Leases and heartbeats never queue behind bulk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Lane {
    /// Heartbeats, votes, answers to appends, leases, applied and stable indexes: small, never delayed.
    Fast = 1,
    /// Appends (with what a leader applied, where that leaves together with them) and forwarded proposals.
    Bulk = 2,
    /// Snapshot chunks.
    Transfer = 3,
}

impl Lane {
    pub const ALL: [Lane; 3] = [Lane::Fast, Lane::Bulk, Lane::Transfer];

    pub fn from_u8(n: u8) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| *lane as u8 == n)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// `None` from a node that has not been taken in yet.
    pub from: Option<MemberId>,
    pub messages: Vec<Message>,
}

/// Messages in one frame; a frame with more was not made by us.
const MESSAGES_MAX: u64 = 1 << 16;
const SUM_BYTES: usize = 4;

impl Frame {
    pub fn encode(&self) -> Bytes {
        let mut w = Writer::with_capacity(256);
        w.u16(FORMAT).u64(self.from.map_or(0, MemberId::raft)).varint(self.messages.len() as u64);
        for message in &self.messages {
            message.encode(&mut w);
        }
        Frame::seal(w)
    }

    /// The bytes of a frame, with the checksum that it ends with.
    pub fn seal(mut body: Writer) -> Bytes {
        let sum = crc32c::crc32c(&body.0);
        body.u32(sum);
        body.finish()
    }

    /// Whether these bytes are as they were sent; what is before their checksum.
    pub fn sound(bytes: &Bytes) -> Result<&[u8], codec::Error> {
        let Some((body, sum)) = bytes.split_last_chunk::<SUM_BYTES>() else {
            return Err(codec::Error::Short { need: SUM_BYTES, have: bytes.len() });
        };
        let (found, said) = (crc32c::crc32c(body), u32::from_le_bytes(*sum));
        if found != said && !zoo::on(Bug::FrameNotChecked) {
            return Err(codec::Error::Checksum { found, said });
        }
        Ok(body)
    }

    /// `from` is the slot whose connection brought it; a frame that says otherwise is refused.
    pub fn decode(from: Slot, bytes: &Bytes) -> Result<Frame, codec::Error> {
        let mut r = Reader::new(Frame::sound(bytes)?);
        let format = r.u16()?;
        if format != FORMAT {
            return Err(codec::Error::Format(format));
        }
        let id = r.u64()?;
        let member = match id {
            0 => None,
            id => match MemberId::from_raft(id) {
                Some(member) if member.slot == from => Some(member),
                _ => return Err(codec::Error::Tag { what: "the sender", tag: id }),
            },
        };
        let count = r.varint()?;
        if count > MESSAGES_MAX {
            return Err(codec::Error::TooLarge {
                what: "messages in a frame",
                got: count,
                max: MESSAGES_MAX,
            });
        }
        let mut messages = Vec::new();
        for _ in 0..count {
            messages.push(Message::decode(&mut r)?);
        }
        r.end()?;
        Ok(Frame { from: member, messages })
    }
}
