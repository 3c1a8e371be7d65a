//! The write-ahead log: what this node promised the others, so that a power cut can't make it forget.
//!
//! Intuition: a bound ledger. Each line carries a running number and the check sum of the line before it, so a
//! page that is missing or smudged shows; and each line says up to which number the ink was known to be dry, so
//! a smudge in wet ink (a torn tail: nobody was told of it) is told from one in dry ink (damage).
//!
//! The log lives in segments: preallocated files of equal size, used in turn and, once nothing in them is needed,
//! used again. A segment begins with a head, then come records without a gap. An append is a group of records; a
//! group is recovered whole or not at all.
//!
//! Invariants:
//! - What is recovered is a prefix of the groups that were written, and every group whose `Persist` was reported
//!   is in it; if that can't be had, recovery says `DamagedMiddle` and changes nothing.
//! - A mark in a record ("all up to here was on disk when this was written") is true for ever: so the greatest
//!   mark found in any whole record header, wherever it lies, is a floor for what must be read back.
//! - Nothing is removed or overwritten before the record that makes it needless is known to be on disk.
//!
//! Not here: I/O (operations are handed to the caller), the entries' meaning, and repair from a peer.
//! Source: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018, for why a torn tail
//! and a damaged middle need different answers.

mod describe;
mod record;
mod recover;
mod state;

#[cfg(test)]
mod tests;

pub use describe::describe;
pub use recover::{RecoverError, Recovered, TornTail};

use plait_base::disk::{File, Op};
use plait_base::{BootEpoch, Bytes, ClusterId, Index, MemberId, Term};
use record::{Body, HEAD_BYTES, Head, Seed};
use state::{Kept, State};

/// Segments that are kept for use again when nothing in them is needed any more; others are removed.
pub const SPARE_SEGMENTS_MAX: usize = 3;
/// Records that may be written without word that earlier ones are on disk. Far above what the bounds of the group
/// allow; whoever meets it never calls [`Wal::synced`].
pub const UNSYNCED_RECORDS_MAX: u64 = 1 << 20;
/// The smallest size of a segment.
pub const SEGMENT_BYTES_MIN: u64 = 2048;

/// One entry of the Raft log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    pub index: Index,
    pub term: Term,
    /// 0: an ordinary entry; 1: a change of the membership.
    pub kind: u8,
    pub data: Bytes,
}

/// What a Raft node must not forget beside its entries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct HardState {
    pub term: Term,
    /// The raft number of the member that was voted for in `term`; 0 is none.
    pub vote: u64,
    pub commit: Index,
}

/// A segment that holds something that is needed.
#[derive(Debug, Clone)]
struct Segment {
    file: u32,
    /// The file's size.
    bytes: u64,
    first_sequence: u64,
    /// Where the next record goes.
    used: u64,
    /// The highest index of any entry in it, live or overwritten.
    top: Index,
}

/// A segment that is needed no more once record `after` is on disk.
#[derive(Debug, Clone)]
struct Retired {
    file: u32,
    bytes: u64,
    after: u64,
}

/// The log's writing end.
#[derive(Debug, Clone)]
pub struct Wal {
    cluster: ClusterId,
    member: MemberId,
    seed: Seed,
    segment_bytes: u64,
    /// How many times the log was opened: what a former life left behind the cut never continues this one.
    life: u32,
    /// Oldest first; the last one is written to.
    segments: Vec<Segment>,
    retired: Vec<Retired>,
    /// Files of `segment_bytes` that wait to be used again.
    spares: Vec<u32>,
    file_next: u32,
    /// Sequence number and check sum of the last record written.
    sequence: u64,
    link: u32,
    /// Everything up to this record is on disk.
    durable: u64,
    state: State,
}

impl Wal {
    /// A new, empty log for this member; any file of that name is replaced.
    ///
    /// Have it on disk, and reported through [`Wal::synced`], before anything is promised on the strength of later
    /// records.
    pub fn create(cluster: ClusterId, member: MemberId, segment_bytes: u64, ops: &mut Vec<Op>) -> Wal {
        assert!(segment_bytes >= SEGMENT_BYTES_MIN, "a segment has room for its head and some records");
        let mut wal = Wal {
            cluster,
            member,
            seed: Seed::of(cluster),
            segment_bytes,
            life: 1,
            segments: Vec::new(),
            retired: Vec::new(),
            spares: Vec::new(),
            file_next: 1,
            sequence: 0,
            link: 0,
            durable: 0,
            state: State::default(),
        };
        wal.write(
            &[Body::Base { from: 1, base: (Index::ZERO, Term::ZERO), fresh: true, kept: &Kept::default() }
                .draft()],
            ops,
        );
        wal
    }

    /// Records that this start of the node goes by this epoch.
    pub fn boot(&mut self, epoch: BootEpoch, ops: &mut Vec<Op>) {
        assert!(epoch >= self.state.kept.epoch, "a node's boot epoch only grows");
        self.write(&[Body::Boot { epoch }.draft()], ops);
    }

    /// Appends entries and the hard state as one group. Entries are contiguous; if the first is not above the
    /// last one in the log, it and all above it are replaced.
    pub fn append(&mut self, entries: &[LogEntry], hard: Option<HardState>, ops: &mut Vec<Op>) {
        let mut next = match entries.first() {
            Some(first) => {
                assert!(
                    first.index > self.state.base.0,
                    "entry {} is below the log's beginning",
                    first.index
                );
                assert!(first.index <= self.state.last.next(), "entry {} leaves a gap", first.index);
                first.index
            }
            None => self.state.last,
        };
        for entry in entries {
            assert_eq!(entry.index, next, "the entries of an append are contiguous");
            next = next.next();
        }
        let mut drafts: Vec<_> = entries.iter().map(|entry| Body::Entry(entry).draft()).collect();
        drafts.extend(hard.map(|hard| Body::Hard(hard).draft()));
        self.write(&drafts, ops);
    }

    /// After an installed snapshot: nothing before counts any more, and the log begins after `index`. `conf` is
    /// the membership there in the caller's own form, given back by recovery. The commit index is lifted to
    /// `index`.
    pub fn reset(&mut self, index: Index, term: Term, conf: Bytes, ops: &mut Vec<Op>) {
        let hard = self.state.kept.hard;
        let hard = HardState { commit: hard.commit.max(index), ..hard };
        let kept = Kept { hard, epoch: self.state.kept.epoch, conf };
        // The segment being written holds the record that says so; all before it may go.
        self.rebase((index, term), true, &kept, self.segments.len() - 1, ops);
    }

    /// The entries below `below` are not needed any more; segments that hold nothing else may go. `hard` and the
    /// boot epoch are written again, so that they stay.
    pub fn cut(&mut self, below: Index, hard: HardState, ops: &mut Vec<Op>) {
        if below <= self.first() {
            return;
        }
        assert!(below <= self.state.last.next(), "the log is cut within itself");
        let base = Index(below.0 - 1);
        assert!(hard.commit >= base, "only what is committed is cut");
        let term = self.state.term_at(base).expect("an entry of the log has a term");
        let kept = Kept { hard, ..self.state.kept.clone() };
        let needless = self.segments.iter().take_while(|segment| segment.top < below).count();
        let keep_from = needless.min(self.segments.len() - 1);
        self.rebase((base, term), false, &kept, keep_from, ops);
    }

    fn rebase(&mut self, base: (Index, Term), fresh: bool, kept: &Kept, keep_from: usize, ops: &mut Vec<Op>) {
        let from = self.segments[keep_from].first_sequence;
        self.write(&[Body::Base { from, base, fresh, kept }.draft()], ops);
        let after = self.sequence;
        let gone = self.segments.drain(..keep_from);
        self.retired.extend(gone.map(|s| Retired { file: s.file, bytes: s.bytes, after }));
    }

    /// The sequence number of the last record written: what a `Persist` of the operations so far will make
    /// durable.
    pub fn written(&self) -> u64 {
        self.sequence
    }

    /// All records up to `sequence` (what [`Wal::written`] said when the `Persist` was made) are on disk. Call it
    /// for each `Persisted`: later records carry it as proof, and only now may what they replace be used again.
    pub fn synced(&mut self, sequence: u64) {
        assert!(sequence <= self.sequence, "only what was written can be on disk");
        self.durable = self.durable.max(sequence);
    }

    /// The index of the first entry, or of the next one if there is none.
    pub fn first(&self) -> Index {
        self.state.base.0.next()
    }

    /// The index of the last entry, or the one before the first if there is none.
    pub fn last(&self) -> Index {
        self.state.last
    }

    /// Index and term before the first entry.
    pub fn base(&self) -> (Index, Term) {
        self.state.base
    }

    pub fn member(&self) -> MemberId {
        self.member
    }

    /// Bytes of the log that are needed, heads and overwritten entries included.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.used).sum()
    }

    /// Writes one group: a contiguous range in each segment it touches.
    fn write(&mut self, drafts: &[record::Draft], ops: &mut Vec<Op>) {
        self.release(ops);
        assert!(
            self.sequence - self.durable < UNSYNCED_RECORDS_MAX,
            "whoever writes the log also tells it what is on disk"
        );
        let mut at = self.segments.last().map_or(0, |segment| segment.used);
        let mut bytes = Vec::new();
        for (i, draft) in drafts.iter().enumerate() {
            let size = draft.bytes();
            if self.segments.last().is_none_or(|segment| segment.used + size > segment.bytes) {
                self.flush(at, std::mem::take(&mut bytes), ops);
                bytes = self.roll(size, ops);
                at = 0;
            }
            let segment = self.segments.last_mut().expect("a segment was opened");
            self.sequence += 1;
            let place = record::Place {
                at: segment.used,
                life: self.life,
                sequence: self.sequence,
                durable: self.durable,
                link: self.link,
                open: i + 1 < drafts.len(),
            };
            self.link = draft.encode(self.seed, place, &mut bytes);
            segment.used += size;
            if let Body::Entry(entry) = &draft.body {
                segment.top = segment.top.max(entry.index);
            }
            self.state.apply(&draft.body);
        }
        self.flush(at, bytes, ops);
    }

    fn flush(&self, at: u64, bytes: Vec<u8>, ops: &mut Vec<Op>) {
        if let Some(segment) = self.segments.last().filter(|_| !bytes.is_empty()) {
            ops.push(Op::Write { file: File::Segment(segment.file), at, bytes: bytes.into() });
        }
    }

    /// Opens the next segment, with room for a record of `size`; gives its first bytes.
    fn roll(&mut self, size: u64, ops: &mut Vec<Op>) -> Vec<u8> {
        let need = HEAD_BYTES as u64 + size;
        let unused = self.segments.pop_if(|segment| segment.first_sequence > self.sequence);
        let spare = self.spares.pop_if(|_| unused.is_none() && need <= self.segment_bytes);
        let bytes = self.segment_bytes.max(need);
        let file = spare.or(unused.map(|segment| segment.file)).unwrap_or_else(|| {
            self.file_next += 1;
            self.file_next - 1
        });
        if spare.is_none() {
            ops.push(Op::Create { file: File::Segment(file), bytes });
        }
        let first_sequence = self.sequence + 1;
        let head = Head {
            file,
            cluster: self.cluster,
            member: self.member,
            first_sequence,
            link: self.link,
            life: self.life,
            reused: spare.is_some(),
        };
        self.segments.push(Segment {
            file,
            bytes,
            first_sequence,
            used: HEAD_BYTES as u64,
            top: Index::ZERO,
        });
        head.encode()
    }

    /// Lets go of the segments that are needless for certain.
    fn release(&mut self, ops: &mut Vec<Op>) {
        let durable = self.durable;
        for gone in self.retired.extract_if(.., |segment| segment.after <= durable) {
            if gone.bytes == self.segment_bytes && self.spares.len() < SPARE_SEGMENTS_MAX {
                self.spares.push(gone.file);
            } else {
                ops.push(Op::Remove { file: File::Segment(gone.file) });
            }
        }
    }
}
