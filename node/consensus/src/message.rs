//! What nodes say to each other about the order: Raft's own messages in our codec, and what Plait adds.
//!
//! Raft's messages do not pass through a protobuf parser: every field here has a bound, so that no frame can make
//! a node allocate more than the frame's own size.

use crate::lease::Strand;
use crate::proposals::Proposal;
use plait_base::{BootEpoch, Bytes, Index, Reader, Term, Writer, codec};
use raft::eraftpb;

#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    Raft(Box<eraftpb::Message>),
    /// To whom the sender takes for the leader: order these.
    Forward(Vec<Proposal>),
    /// A node asks the leader of `term` for a lease, `applied` being what it has applied.
    LeaseAsk {
        strand: Strand,
        term: Term,
        epoch: BootEpoch,
        counter: u64,
        applied: Index,
    },
    /// Granted: the lease runs from when the ask was made; without a valid one, it is usable from `floor` on.
    LeaseGrant {
        strand: Strand,
        term: Term,
        epoch: BootEpoch,
        counter: u64,
        floor: Index,
    },
    /// "I have applied (and published) everything up to here; my hash chain there is this."
    Applied {
        strand: Strand,
        index: Index,
        chain: u64,
    },
    /// "Every node that may serve reads has applied everything up to here."
    Stable {
        strand: Strand,
        index: Index,
    },
    /// An empty node asks to be taken in. `nonce` tells this attempt from others.
    Join {
        nonce: u64,
    },
    /// It was: under this incarnation.
    Welcome {
        nonce: u64,
        incarnation: u32,
    },
    /// Please send the rows of the snapshot at `index` that follow `cursor`.
    SnapshotFetch {
        index: Index,
        cursor: Bytes,
    },
    /// Rows of the snapshot; with the last chunk comes the head.
    SnapshotChunk {
        index: Index,
        cursor: Bytes,
        chunk: Bytes,
    },
    /// The snapshot is no longer to be had here.
    SnapshotGone {
        index: Index,
    },
}

/// What a message is to somebody who watches from outside and knows the protocol's words, not its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Entries for a follower.
    Append,
    /// A follower has entries on its disk.
    AppendAck,
    VoteAsk,
    /// A vote for who asked.
    VoteGrant,
    LeaseGrant,
    Stable,
    SnapshotChunk,
    Other,
}

fn term_or_zero(r: &mut Reader) -> Result<Term, codec::Error> {
    Ok(Term(r.varint()?))
}

impl Message {
    /// Whether it reports what was applied, and no lease, vote or commit waits for it.
    pub(crate) fn is_report(&self) -> bool {
        matches!(self, Message::Applied { .. } | Message::Stable { .. })
    }

    pub fn sign(&self) -> Sign {
        use eraftpb::MessageType::*;
        match self {
            Message::Raft(m) => match m.get_msg_type() {
                MsgAppend if !m.entries.is_empty() => Sign::Append,
                MsgAppendResponse if !m.reject => Sign::AppendAck,
                MsgRequestVote => Sign::VoteAsk,
                MsgRequestVoteResponse if !m.reject => Sign::VoteGrant,
                _ => Sign::Other,
            },
            Message::LeaseGrant { .. } => Sign::LeaseGrant,
            Message::Stable { .. } => Sign::Stable,
            Message::SnapshotChunk { .. } => Sign::SnapshotChunk,
            _ => Sign::Other,
        }
    }

    /// First and last place in the log of what it carries, or the last one that it says to have; `None` if neither.
    pub fn places(&self) -> Option<(Index, Index)> {
        let last = match (self.sign(), self) {
            (Sign::Append, Message::Raft(m)) => {
                let ends = m.entries.first().zip(m.entries.last());
                return ends.map(|(first, last)| (Index(first.index), Index(last.index)));
            }
            (Sign::AppendAck, Message::Raft(m)) => Index(m.index),
            (_, Message::Stable { index, .. }) => *index,
            _ => return None,
        };
        Some((last, last))
    }

    /// Bytes of the entries that it carries; `None` if it is not Raft's.
    pub(crate) fn entry_bytes(&self) -> Option<usize> {
        let Message::Raft(message) = self else { return None };
        Some(message.entries.iter().map(|entry| entry.data.len()).sum())
    }

    pub fn encode(&self, w: &mut Writer) {
        match self {
            Message::Raft(m) => {
                w.u8(1);
                encode_raft(m, w);
            }
            Message::Forward(proposals) => {
                w.u8(2).varint(proposals.len() as u64);
                proposals.iter().for_each(|p| p.encode(w));
            }
            Message::LeaseAsk { strand, term, epoch, counter, applied } => {
                w.u8(3).u8(*strand as u8).varint(term.0).u64(epoch.0).varint(*counter).varint(applied.0);
            }
            Message::LeaseGrant { strand, term, epoch, counter, floor } => {
                w.u8(4).u8(*strand as u8).varint(term.0).u64(epoch.0).varint(*counter).varint(floor.0);
            }
            Message::Applied { strand, index, chain } => {
                w.u8(5).u8(*strand as u8).varint(index.0).u64(*chain);
            }
            Message::Stable { strand, index } => {
                w.u8(6).u8(*strand as u8).varint(index.0);
            }
            Message::Join { nonce } => {
                w.u8(7).u64(*nonce);
            }
            Message::Welcome { nonce, incarnation } => {
                w.u8(8).u64(*nonce).u32(*incarnation);
            }
            Message::SnapshotFetch { index, cursor } => {
                w.u8(9).varint(index.0).bytes(cursor);
            }
            Message::SnapshotChunk { index, cursor, chunk } => {
                w.u8(10).varint(index.0).bytes(cursor).bytes(chunk);
            }
            Message::SnapshotGone { index } => {
                w.u8(11).varint(index.0);
            }
        }
    }

    pub fn decode(r: &mut Reader) -> Result<Message, codec::Error> {
        let tag = r.u8()?;
        Ok(match tag {
            1 => Message::Raft(Box::new(decode_raft(r)?)),
            2 => {
                let n = r.count("forwarded proposals")?;
                Message::Forward((0..n).map(|_| Proposal::decode(r)).collect::<Result<_, _>>()?)
            }
            3 | 4 => {
                let (strand, term) = (Strand::decode(r)?, term_or_zero(r)?);
                let (epoch, counter, index) = (BootEpoch(r.u64()?), r.varint()?, Index(r.varint()?));
                if tag == 3 {
                    Message::LeaseAsk { strand, term, epoch, counter, applied: index }
                } else {
                    Message::LeaseGrant { strand, term, epoch, counter, floor: index }
                }
            }
            5 => Message::Applied { strand: Strand::decode(r)?, index: Index(r.varint()?), chain: r.u64()? },
            6 => Message::Stable { strand: Strand::decode(r)?, index: Index(r.varint()?) },
            7 => Message::Join { nonce: r.u64()? },
            8 => Message::Welcome { nonce: r.u64()?, incarnation: r.u32()? },
            9 => Message::SnapshotFetch { index: Index(r.varint()?), cursor: owned(r.bytes()?) },
            10 => Message::SnapshotChunk {
                index: Index(r.varint()?),
                cursor: owned(r.bytes()?),
                chunk: owned(r.bytes()?),
            },
            11 => Message::SnapshotGone { index: Index(r.varint()?) },
            tag => return Err(codec::Error::Tag { what: "a peer's message", tag: tag.into() }),
        })
    }
}

fn owned(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// Which fields of a Raft message are there; most messages have few.
mod has {
    pub const LOG: u8 = 1;
    pub const ENTRIES: u8 = 2;
    pub const COMMIT: u8 = 4;
    pub const REJECT: u8 = 8;
    pub const CONTEXT: u8 = 16;
    pub const SNAPSHOT: u8 = 32;
    pub const REQUEST_SNAPSHOT: u8 = 64;
    pub const PRIORITY: u8 = 128;
}

fn encode_raft(m: &eraftpb::Message, w: &mut Writer) {
    let mut fields = 0;
    let mut mark = |there: bool, field: u8| {
        if there {
            fields |= field;
        }
    };
    mark(m.log_term != 0 || m.index != 0, has::LOG);
    mark(!m.entries.is_empty(), has::ENTRIES);
    mark(m.commit != 0 || m.commit_term != 0, has::COMMIT);
    mark(m.reject || m.reject_hint != 0, has::REJECT);
    mark(!m.context.is_empty(), has::CONTEXT);
    mark(m.has_snapshot(), has::SNAPSHOT);
    mark(m.request_snapshot != 0, has::REQUEST_SNAPSHOT);
    mark(m.priority != 0, has::PRIORITY);
    w.u8(m.msg_type as u8).u8(fields).u64(m.from).u64(m.to).varint(m.term);
    if fields & has::LOG != 0 {
        w.varint(m.log_term).varint(m.index);
    }
    if fields & has::ENTRIES != 0 {
        w.varint(m.entries.len() as u64);
        for e in &m.entries {
            w.u8(e.entry_type as u8).varint(e.term).varint(e.index).bytes(&e.data).bytes(&e.context);
        }
    }
    if fields & has::COMMIT != 0 {
        w.varint(m.commit).varint(m.commit_term);
    }
    if fields & has::REJECT != 0 {
        w.bool(m.reject).varint(m.reject_hint);
    }
    if fields & has::CONTEXT != 0 {
        w.bytes(&m.context);
    }
    if fields & has::SNAPSHOT != 0 {
        let meta = m.get_snapshot().get_metadata();
        w.varint(meta.index).varint(meta.term).bytes(&m.get_snapshot().data);
        for list in [meta.get_conf_state().get_voters(), meta.get_conf_state().get_learners()] {
            w.varint(list.len() as u64);
            list.iter().for_each(|id| {
                w.u64(*id);
            });
        }
    }
    if fields & has::REQUEST_SNAPSHOT != 0 {
        w.varint(m.request_snapshot);
    }
    if fields & has::PRIORITY != 0 {
        w.i64(m.priority);
    }
}

/// The kinds that travel; the others are a node's word to itself.
fn kind(n: u8) -> Result<eraftpb::MessageType, codec::Error> {
    use eraftpb::MessageType::*;
    [
        MsgAppend,
        MsgAppendResponse,
        MsgRequestVote,
        MsgRequestVoteResponse,
        MsgSnapshot,
        MsgHeartbeat,
        MsgHeartbeatResponse,
        MsgTransferLeader,
        MsgTimeoutNow,
        MsgReadIndex,
        MsgReadIndexResp,
        MsgRequestPreVote,
        MsgRequestPreVoteResponse,
    ]
    .into_iter()
    .find(|kind| *kind as u8 == n)
    .ok_or(codec::Error::Tag { what: "a Raft message", tag: n.into() })
}

fn decode_raft(r: &mut Reader) -> Result<eraftpb::Message, codec::Error> {
    let mut m = eraftpb::Message::default();
    m.set_msg_type(kind(r.u8()?)?);
    let fields = r.u8()?;
    m.from = r.u64()?;
    m.to = r.u64()?;
    m.term = r.varint()?;
    if fields & has::LOG != 0 {
        m.log_term = r.varint()?;
        m.index = r.varint()?;
    }
    if fields & has::ENTRIES != 0 {
        let n = r.count("entries")?;
        let mut next = m.index;
        for _ in 0..n {
            let mut e = eraftpb::Entry::default();
            e.set_entry_type(match r.u8()? {
                0 => eraftpb::EntryType::EntryNormal,
                1 => eraftpb::EntryType::EntryConfChange,
                tag => return Err(codec::Error::Tag { what: "an entry", tag: tag.into() }),
            });
            e.term = r.varint()?;
            e.index = r.varint()?;
            e.data = owned(r.bytes()?);
            e.context = owned(r.bytes()?);
            next += 1;
            // The question for a read index travels as an entry that has no place in the log.
            let has_place = m.get_msg_type() == eraftpb::MessageType::MsgAppend;
            if has_place && (e.index != next || e.term > m.term) {
                return Err(codec::Error::Tag { what: "an entry's place", tag: e.index });
            }
            m.entries.push(e);
        }
    }
    if fields & has::COMMIT != 0 {
        m.commit = r.varint()?;
        m.commit_term = r.varint()?;
    }
    if fields & has::REJECT != 0 {
        m.reject = r.bool()?;
        m.reject_hint = r.varint()?;
    }
    if fields & has::CONTEXT != 0 {
        m.context = owned(r.bytes()?);
    }
    if fields & has::SNAPSHOT != 0 {
        let mut snapshot = eraftpb::Snapshot::default();
        snapshot.mut_metadata().index = r.varint()?;
        snapshot.mut_metadata().term = r.varint()?;
        snapshot.data = owned(r.bytes()?);
        for learners in [false, true] {
            for _ in 0..r.count("members of a snapshot")? {
                let id = r.u64()?;
                let conf = snapshot.mut_metadata().mut_conf_state();
                if learners { conf.mut_learners().push(id) } else { conf.mut_voters().push(id) }
            }
        }
        m.set_snapshot(snapshot);
    }
    if fields & has::REQUEST_SNAPSHOT != 0 {
        m.request_snapshot = r.varint()?;
    }
    if fields & has::PRIORITY != 0 {
        m.priority = r.i64()?;
    }
    Ok(m)
}
