//! The bytes of a segment's head and of a record, format 3. All numbers are little-endian.
//!
//! Head, 512 bytes (one sector) at the start of a file: magic `plaitwal`, format u16, flags u16 (1: the file was
//! used before), file number u32, cluster 16 bytes, member u64, first sequence u64, check sum of the record before
//! u32, life u32, CRC-32C of all these u32; the rest is zero.
//!
//! Record, at a multiple of 8: header of 64 bytes, payload, zeros up to the next multiple of 8.
//! Header: magic u32, kind u8, flags u8 (1: the group goes on), entry kind u8, zero u8, payload length u32,
//! life u32, sequence u64, durable u64 (all up to this was on disk), index u64, term u64, check sum of the record
//! before u32, CRC-32C of payload and its padding u32, zero u32, CRC-32C of the header u32.
//!
//! A header's check sum is seeded with the cluster's id and the place in the file, so that a header inside some
//! client's data, or one that was written to the wrong place, is not taken for a record.

use super::state::Kept;
use super::{HardState, LogEntry};
use plait_base::{BootEpoch, Bytes, ClusterId, Index, MemberId, Reader, Term, Writer, codec};

pub(super) const HEAD_BYTES: usize = 512;
const HEAD_SUMMED_BYTES: usize = 56;
const HEAD_MAGIC: &[u8; 8] = b"plaitwal";
const HEAD_REUSED: u16 = 1;

pub(super) const HEADER_BYTES: usize = 64;
pub(super) const ALIGN: usize = 8;
const MAGIC: u32 = u32::from_le_bytes(*b"prec");
const OPEN: u8 = 1;

const ENTRY: u8 = 1;
const HARD: u8 = 2;
const BOOT: u8 = 3;
const BASE: u8 = 4;

/// What the check sums of a cluster's headers begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(u32);

impl Seed {
    pub(super) fn of(cluster: ClusterId) -> Seed {
        Seed(crc32c::crc32c(&cluster.0))
    }

    fn sum(self, at: u64, header: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &at.to_le_bytes()), header)
    }
}

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) file: u32,
    pub(super) cluster: ClusterId,
    pub(super) member: MemberId,
    pub(super) first_sequence: u64,
    pub(super) link: u32,
    pub(super) life: u32,
    pub(super) reused: bool,
}

/// Why a file has no head that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHead {
    /// A build that knows this format wrote it.
    Format(u16),
    Bad(&'static str),
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(HEAD_BYTES);
        w.raw(HEAD_MAGIC)
            .u16(plait_base::FORMAT)
            .u16(if self.reused { HEAD_REUSED } else { 0 })
            .u32(self.file);
        w.raw(&self.cluster.0).u64(self.member.raft()).u64(self.first_sequence).u32(self.link).u32(self.life);
        assert_eq!(w.0.len(), HEAD_SUMMED_BYTES, "the head's layout is fixed");
        let sum = crc32c::crc32c(&w.0);
        w.u32(sum);
        w.0.resize(HEAD_BYTES, 0);
        w.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Head, NoHead> {
        let Some(head) = bytes.get(..HEAD_BYTES) else {
            return Err(NoHead::Bad("the file is shorter than a head"));
        };
        if &head[..8] != HEAD_MAGIC {
            return Err(NoHead::Bad(if head.iter().all(|b| *b == 0) {
                "the head is zero"
            } else {
                "the head's magic is wrong"
            }));
        }
        let mut summed: [u8; HEAD_SUMMED_BYTES] =
            head[..HEAD_SUMMED_BYTES].try_into().expect("part of a head");
        let sum = u32::from_le_bytes(
            head[HEAD_SUMMED_BYTES..HEAD_SUMMED_BYTES + 4].try_into().expect("four bytes"),
        );
        let format = u16::from_le_bytes([head[8], head[9]]);
        if format == 0 {
            return Err(NoHead::Bad("the head was not written whole"));
        }
        if format != plait_base::FORMAT {
            // With the right format the sum fits: then the number is a flipped bit and no other build's.
            summed[8..10].copy_from_slice(&plait_base::FORMAT.to_le_bytes());
            let flipped = crc32c::crc32c(&summed) == sum;
            return Err(if flipped {
                NoHead::Bad("the head's format number is damaged")
            } else {
                NoHead::Format(format)
            });
        }
        if crc32c::crc32c(&summed) != sum {
            return Err(NoHead::Bad("the head's check sum is wrong"));
        }
        Head::fields(&summed).map_err(|_| NoHead::Bad("the head names no member"))
    }

    /// The head's fields, whether or not its check sum fits.
    pub(super) fn fields(summed: &[u8]) -> Result<Head, codec::Error> {
        let mut r = Reader::new(summed);
        r.raw(10)?;
        let reused = r.u16()? & HEAD_REUSED != 0;
        let file = r.u32()?;
        let cluster = ClusterId(r.raw(16)?.try_into().expect("raw gave 16 bytes"));
        let raft = r.u64()?;
        let member = MemberId::from_raft(raft).ok_or(codec::Error::Tag { what: "a member", tag: raft })?;
        Ok(Head { file, cluster, member, first_sequence: r.u64()?, link: r.u32()?, life: r.u32()?, reused })
    }
}

/// What a record says.
#[derive(Debug)]
pub(super) enum Body<'a> {
    Entry(&'a LogEntry),
    Hard(HardState),
    Boot {
        epoch: BootEpoch,
    },
    /// The log begins after `base`, and recovery needs no record before `from`. `fresh`: no entry before this
    /// record counts. `kept` goes on.
    Base {
        from: u64,
        base: (Index, Term),
        fresh: bool,
        kept: &'a Kept,
    },
}

impl<'a> Body<'a> {
    pub(super) fn draft(self) -> Draft<'a> {
        let payload = match &self {
            Body::Entry(entry) => entry.data.clone(),
            Body::Hard(hard) => Writer::new().u64(hard.vote).0.clone().into(),
            Body::Boot { epoch } => Writer::new().u64(epoch.0).0.clone().into(),
            Body::Base { from, fresh, kept, .. } => {
                let mut w = Writer::new();
                w.u64(*from).bool(*fresh).u64(kept.hard.term.0).u64(kept.hard.vote).u64(kept.hard.commit.0);
                w.u64(kept.epoch.0).raw(&kept.conf);
                w.finish()
            }
        };
        Draft { body: self, payload }
    }
}

/// A record that is about to be written.
pub(super) struct Draft<'a> {
    pub(super) body: Body<'a>,
    payload: Bytes,
}

/// Where in the log a record is to stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) life: u32,
    pub(super) sequence: u64,
    pub(super) durable: u64,
    pub(super) link: u32,
    pub(super) open: bool,
}

impl Draft<'_> {
    pub(super) fn bytes(&self) -> u64 {
        (HEADER_BYTES + self.payload.len().next_multiple_of(ALIGN)) as u64
    }

    /// Appends the record's bytes; gives its check sum, to which the next one is linked.
    pub(super) fn encode(&self, seed: Seed, place: Place, out: &mut Vec<u8>) -> u32 {
        let (kind, entry_kind, index, term) = match &self.body {
            Body::Entry(entry) => (ENTRY, entry.kind, entry.index, entry.term),
            Body::Hard(hard) => (HARD, 0, hard.commit, hard.term),
            Body::Boot { .. } => (BOOT, 0, Index::ZERO, Term::ZERO),
            Body::Base { base: (index, term), .. } => (BASE, 0, *index, *term),
        };
        let padding = &[0; ALIGN][..self.payload.len().next_multiple_of(ALIGN) - self.payload.len()];
        let payload_sum = crc32c::crc32c_append(crc32c::crc32c(&self.payload), padding);
        let length = u32::try_from(self.payload.len()).expect("an entry is bounded far below 4 GiB");
        let mut w = Writer(std::mem::take(out));
        let start = w.0.len();
        w.u32(MAGIC).u8(kind).u8(if place.open { OPEN } else { 0 }).u8(entry_kind).u8(0).u32(length);
        w.u32(place.life).u64(place.sequence).u64(place.durable).u64(index.0).u64(term.0);
        w.u32(place.link).u32(payload_sum).u32(0);
        let sum = seed.sum(place.at, &w.0[start..]);
        w.u32(sum);
        assert_eq!(w.0.len() - start, HEADER_BYTES, "the header's layout is fixed");
        w.raw(&self.payload).raw(padding);
        *out = w.0;
        sum
    }
}

/// A header whose check sum fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    kind: u8,
    pub(super) open: bool,
    entry_kind: u8,
    length: u32,
    pub(super) life: u32,
    pub(super) sequence: u64,
    pub(super) durable: u64,
    index: Index,
    term: Term,
    pub(super) link: u32,
    payload_sum: u32,
    /// Its own check sum.
    pub(super) sum: u32,
}

/// A record's content, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Entry(LogEntry),
    Hard(HardState),
    Boot { epoch: BootEpoch },
    Base { from: u64, base: (Index, Term), fresh: bool, kept: Kept },
}

impl Content {
    pub(super) fn body(&self) -> Body<'_> {
        match self {
            Content::Entry(entry) => Body::Entry(entry),
            Content::Hard(hard) => Body::Hard(*hard),
            Content::Boot { epoch } => Body::Boot { epoch: *epoch },
            Content::Base { from, base, fresh, kept } => {
                Body::Base { from: *from, base: *base, fresh: *fresh, kept }
            }
        }
    }
}

impl Header {
    pub(super) const BAD_SUM: &str = "a header whose check sum is wrong";

    /// The header at this place of a file, if there is a whole one.
    pub(super) fn read(seed: Seed, file: &[u8], at: usize) -> Result<Header, &'static str> {
        let Some(bytes) = file.get(at..at.saturating_add(HEADER_BYTES)) else {
            return Err("no room for a record's header");
        };
        if bytes[..4] != MAGIC.to_le_bytes() {
            return Err(if bytes.iter().all(|b| *b == 0) { "zeros" } else { "no record's magic" });
        }
        let mut r = Reader::new(bytes);
        Header::fields(&mut r)
            .ok()
            .filter(|header| header.sum == seed.sum(at as u64, &bytes[..HEADER_BYTES - 4]))
            .ok_or(Header::BAD_SUM)
    }

    /// All whole headers at places from `from` on where one may stand, in the log or not.
    pub(super) fn all(seed: Seed, file: &[u8], from: usize) -> impl Iterator<Item = (usize, Header)> + '_ {
        let from = from.next_multiple_of(ALIGN).min(file.len());
        let magic = MAGIC.to_le_bytes();
        let places =
            file[from..].chunks_exact(ALIGN).enumerate().filter(move |(_, word)| word.starts_with(&magic));
        places.filter_map(move |(i, _)| {
            let at = from + i * ALIGN;
            Some((at, Header::read(seed, file, at).ok()?))
        })
    }

    fn fields(r: &mut Reader<'_>) -> Result<Header, codec::Error> {
        r.u32()?;
        let (kind, flags, entry_kind, _) = (r.u8()?, r.u8()?, r.u8()?, r.u8()?);
        let header = Header {
            kind,
            open: flags & OPEN != 0,
            entry_kind,
            length: r.u32()?,
            life: r.u32()?,
            sequence: r.u64()?,
            durable: r.u64()?,
            index: Index(r.u64()?),
            term: Term(r.u64()?),
            link: r.u32()?,
            payload_sum: r.u32()?,
            sum: 0,
        };
        r.u32()?;
        Ok(Header { sum: r.u32()?, ..header })
    }

    /// Header, payload and padding.
    pub(super) fn bytes(&self) -> usize {
        HEADER_BYTES + (self.length as usize).next_multiple_of(ALIGN)
    }

    /// The content of the record at this place of a file.
    pub(super) fn content(&self, file: &[u8], at: usize) -> Result<Content, &'static str> {
        let padded = file
            .get(at + HEADER_BYTES..at + self.bytes())
            .ok_or("a payload that runs over the file's end")?;
        if crc32c::crc32c(padded) != self.payload_sum {
            return Err("a payload whose check sum is wrong");
        }
        self.parse(&padded[..self.length as usize]).map_err(|_| "a payload that doesn't parse")
    }

    fn parse(&self, payload: &[u8]) -> Result<Content, codec::Error> {
        let mut r = Reader::new(payload);
        let content = match self.kind {
            ENTRY => {
                let data = Bytes::copy_from_slice(r.raw(payload.len())?);
                Content::Entry(LogEntry { index: self.index, term: self.term, kind: self.entry_kind, data })
            }
            HARD => Content::Hard(HardState { term: self.term, vote: r.u64()?, commit: self.index }),
            BOOT => Content::Boot { epoch: BootEpoch(r.u64()?) },
            BASE => {
                let (from, fresh) = (r.u64()?, r.bool()?);
                let hard = HardState { term: Term(r.u64()?), vote: r.u64()?, commit: Index(r.u64()?) };
                let epoch = BootEpoch(r.u64()?);
                let conf = Bytes::copy_from_slice(r.raw(r.left())?);
                let kept = Kept { hard, epoch, conf };
                Content::Base { from, base: (self.index, self.term), fresh, kept }
            }
            kind => return Err(codec::Error::Tag { what: "a record", tag: kind.into() }),
        };
        r.end()?;
        Ok(content)
    }
}
