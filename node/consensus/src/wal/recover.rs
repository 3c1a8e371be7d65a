//! Reads the log back at start, and tells a torn tail from a damaged middle.
//!
//! Intuition: first read each segment for itself, then join those that continue one another into runs, take the
//! newest run that needs nothing before it, and stop at its last whole group. Then ask whether that may be the
//! end: if any record header anywhere says that more than this was on disk, it may not.
//!
//! Invariant: nothing is changed here; what must be written goes into `ops`, and none of it destroys a byte that
//! an equal recovery after a crash half way through would need.

use super::record::{Content, HEAD_BYTES, Head, Header, NoHead, Seed};
use super::state::{Kept, State};
use super::{HardState, LogEntry, Retired, Segment, Wal};
use crate::zoo::{self, Bug};
use plait_base::disk::{self, Disk, File, Op};
use plait_base::{BootEpoch, Bytes, ClusterId, Index, MemberId, Term};

/// The log as it was found.
#[derive(Debug)]
pub struct Recovered {
    pub wal: Wal,
    pub member: MemberId,
    /// The last epoch that was recorded; `BootEpoch(0)` if none was.
    pub epoch: BootEpoch,
    pub hard: HardState,
    /// Index and term before the first entry.
    pub base: (Index, Term),
    /// The membership that the last [`Wal::reset`] was given; empty if there was none.
    pub conf: Bytes,
    pub entries: Vec<LogEntry>,
    /// What was cut, if the last life ended in the middle of a write.
    pub cut_tail: Option<TornTail>,
    /// To be persisted before anything that was read here is relied on, and then reported through
    /// [`Wal::synced`]: bytes that no record proves durable are written again (what was read may stand in the
    /// system's cache alone), a torn tail is overwritten with zeros.
    pub ops: Vec<Op>,
}

/// The end of the log, behind its last whole group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    pub file: File,
    pub at: u64,
    pub why: &'static str,
    /// The sequence number of the last record that stands.
    pub last_valid: u64,
}

/// Why the log can't be used. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// Something that was once on disk can't be read back. To go on without it could mean to forget a promise.
    #[error(
        "{file} is damaged at byte {at}: {why}; record {last_valid} is the last that can be read, and a later one \
         proves that all up to {later_valid} were on disk; nothing was changed: move this node's files aside and \
         let it join anew from the others"
    )]
    DamagedMiddle { file: File, at: u64, why: &'static str, last_valid: u64, later_valid: u64 },
    #[error(
        "the log is of format {0}, which this build (format {current}) doesn't know; nothing was changed: start \
         it with the build that wrote it", current = plait_base::FORMAT
    )]
    Format(u16),
    #[error(
        "{file} belongs to cluster {found}, and this node to {expected}; nothing was changed: give it its own directory"
    )]
    WrongCluster { file: File, found: ClusterId, expected: ClusterId },
    #[error(
        "{file} belongs to member {found}, and other segments to {expected}; nothing was changed: give each node its own directory"
    )]
    WrongMember { file: File, found: MemberId, expected: MemberId },
    #[error(transparent)]
    Disk(#[from] disk::Error),
}

/// One record of a segment's chain.
struct Found {
    at: usize,
    header: Header,
    content: Content,
}

/// One file, read for itself.
struct Scan {
    file: u32,
    bytes: Vec<u8>,
    head: Head,
    records: Vec<Found>,
    /// Where the chain ends, and why.
    end: usize,
    why: &'static str,
}

impl Scan {
    fn read(seed: Seed, file: u32, bytes: Vec<u8>, head: Head) -> Scan {
        let mut scan = Scan { file, bytes, head, records: Vec::new(), end: HEAD_BYTES, why: "" };
        scan.why = loop {
            let (sequence, link, life) = scan.last();
            let header = match Header::read(seed, &scan.bytes, scan.end) {
                Ok(header) => header,
                Err(why) => break why,
            };
            if header.sequence != sequence + 1 || header.link != link || header.life < life {
                break "a record that doesn't continue the one before it";
            }
            match header.content(&scan.bytes, scan.end) {
                Ok(content) => scan.records.push(Found { at: scan.end, header, content }),
                Err(why) => break why,
            }
            scan.end += header.bytes();
        };
        scan
    }

    /// Sequence number, check sum and life of the last record.
    fn last(&self) -> (u64, u32, u32) {
        self.records.last().map_or((self.head.first_sequence - 1, self.head.link, self.head.life), |found| {
            (found.header.sequence, found.header.sum, found.header.life)
        })
    }

    fn continues(&self, before: &Scan) -> bool {
        let (sequence, link, life) = before.last();
        self.head.first_sequence > before.head.first_sequence
            && self.head.first_sequence == sequence + 1
            && self.head.link == link
            && self.head.life >= life
    }
}

/// What record headers, in the chain or not, say of the log as a whole.
#[derive(Default)]
struct Marks {
    /// All up to this was on disk at some time.
    durable: u64,
    sequence: u64,
    life: u32,
}

impl Marks {
    fn note(&mut self, header: &Header) {
        self.durable = self.durable.max(header.durable);
        self.sequence = self.sequence.max(header.sequence);
        self.life = self.life.max(header.life);
    }

    /// Looks for headers outside the chain, at every place where one may stand.
    fn search(&mut self, seed: Seed, bytes: &[u8], from: usize) {
        for header in Header::all(seed, bytes, from).map(|(_, header)| header) {
            self.note(&header);
        }
    }
}

impl Wal {
    /// Reads the files back. `None`: there is no log, at most one whose creation never became durable.
    pub fn recover(
        disk: &dyn Disk,
        cluster: ClusterId,
        segment_bytes: u64,
    ) -> Result<Option<Recovered>, RecoverError> {
        let seed = Seed::of(cluster);
        let mut marks = Marks::default();
        let mut scans: Vec<Scan> = Vec::new();
        let mut headless: Vec<(u32, u64, &'static str)> = Vec::new();
        let mut file_last = 0;
        for file in disk.list()? {
            let File::Segment(number) = file else { continue };
            file_last = file_last.max(number);
            let bytes = disk.read(file)?;
            let head = match Head::decode(&bytes) {
                Ok(head) if head.file != number => Err("the head is that of another file"),
                Ok(head) => Ok(head),
                Err(NoHead::Format(format)) => return Err(RecoverError::Format(format)),
                Err(NoHead::Bad(why)) => Err(why),
            };
            match head {
                Ok(head) => {
                    if head.cluster != cluster {
                        return Err(RecoverError::WrongCluster {
                            file,
                            found: head.cluster,
                            expected: cluster,
                        });
                    }
                    if let Some(other) = scans.first().filter(|other| other.head.member != head.member) {
                        let expected = other.head.member;
                        return Err(RecoverError::WrongMember { file, found: head.member, expected });
                    }
                    let scan = Scan::read(seed, number, bytes, head);
                    scan.records.iter().for_each(|found| marks.note(&found.header));
                    marks.search(seed, &scan.bytes, scan.end);
                    marks.life = marks.life.max(scan.head.life);
                    scans.push(scan);
                }
                Err(why) => {
                    marks.search(seed, &bytes, HEAD_BYTES);
                    headless.push((number, bytes.len() as u64, why));
                }
            }
        }
        let Some(run) = newest_run(&mut scans) else {
            if marks.durable == 0 {
                return Ok(None);
            }
            let (file, at, why) = match (headless.first(), scans.first()) {
                (Some((file, _, why)), _) => (*file, 0, *why),
                (None, Some(scan)) => (scan.file, 0, "the segments before it are missing"),
                (None, None) => unreachable!("a mark was read in some file"),
            };
            let (file, last_valid, later_valid) = (File::Segment(file), 0, marks.durable);
            return Err(RecoverError::DamagedMiddle { file, at, why, last_valid, later_valid });
        };
        let end = run.sequence();
        if end < marks.durable && !zoo::on(Bug::MiddleCutAsTail) {
            let broken = run.scans.last().expect("a run has a segment");
            return Err(RecoverError::DamagedMiddle {
                file: File::Segment(broken.file),
                at: broken.end as u64,
                why: broken.why,
                last_valid: end,
                later_valid: marks.durable,
            });
        }
        let others = scans.iter().map(|scan| (scan.file, scan.bytes.len() as u64));
        let others = others.chain(headless.iter().map(|(file, bytes, _)| (*file, *bytes))).collect();
        Ok(Some(run.open(cluster, segment_bytes, &marks, others, file_last)))
    }
}

/// Segments that continue one another, oldest first, up to a whole group.
struct Run {
    scans: Vec<Scan>,
    /// How many records of the last segment belong to whole groups.
    whole: usize,
    /// No record before this one is needed.
    from: u64,
}

/// Takes the segments of the newest self-sufficient run out of `scans`: one in which a record says that nothing
/// before the run is needed.
fn newest_run(scans: &mut Vec<Scan>) -> Option<Run> {
    scans.sort_by_key(|scan| (scan.head.first_sequence, scan.head.life, scan.file));
    for start in (0..scans.len()).rev() {
        if scans.iter().any(|before| scans[start].continues(before)) {
            continue;
        }
        let mut chain = vec![start];
        while let Some(next) = (0..scans.len())
            .rev()
            .find(|next| scans[*next].continues(&scans[*chain.last().expect("not empty")]))
        {
            chain.push(next);
        }
        let closed = chain.iter().enumerate().rev().find_map(|(place, scan)| {
            scans[*scan]
                .records
                .iter()
                .rposition(|found| !found.header.open)
                .map(|record| (place, record + 1))
        });
        let Some((mut last, mut whole)) = closed else { continue };
        // A segment that begins right behind the last whole group is the one to go on in.
        if whole == scans[chain[last]].records.len() && last + 1 < chain.len() {
            (last, whole) = (last + 1, 0);
        }
        let records = chain[..=last].iter().enumerate().flat_map(|(place, scan)| {
            let records = &scans[*scan].records;
            if place == last { &records[..whole] } else { records }
        });
        let from = records.filter_map(|found| match found.content {
            Content::Base { from, .. } => Some(from),
            _ => None,
        });
        let Some(from) = from.max().filter(|from| *from >= scans[start].head.first_sequence) else {
            continue;
        };
        let mut taken: Vec<Option<Scan>> = std::mem::take(scans).into_iter().map(Some).collect();
        let mut run: Vec<Scan> =
            chain.iter().map(|scan| taken[*scan].take().expect("a chain has no circle")).collect();
        scans.extend(taken.into_iter().flatten());
        // What lies behind the last whole group is not part of the run.
        scans.extend(run.drain(last + 1..));
        return Some(Run { scans: run, whole, from });
    }
    None
}

impl Run {
    fn records(&self) -> impl Iterator<Item = &Found> {
        let last = self.scans.len() - 1;
        self.scans.iter().enumerate().flat_map(move |(place, scan)| {
            if place == last { &scan.records[..self.whole] } else { &scan.records[..] }
        })
    }

    /// The sequence number of the last record in a whole group.
    fn sequence(&self) -> u64 {
        self.records().last().expect("a run has a whole group").header.sequence
    }

    /// Where the last whole group ends in the last segment.
    fn used(&self) -> usize {
        let records = &self.scans.last().expect("a run has a segment").records[..self.whole];
        records.last().map_or(HEAD_BYTES, |found| found.at + found.header.bytes())
    }

    fn open(
        self,
        cluster: ClusterId,
        segment_bytes: u64,
        marks: &Marks,
        others: Vec<(u32, u64)>,
        file_last: u32,
    ) -> Recovered {
        let sequence = self.sequence();
        let mut state = State::default();
        let mut entries: Vec<LogEntry> = Vec::new();
        for found in self.records() {
            match &found.content {
                Content::Entry(entry) => {
                    while entries.last().is_some_and(|last| last.index >= entry.index) {
                        entries.pop();
                    }
                    entries.push(entry.clone());
                }
                Content::Base { fresh: true, .. } => entries.clear(),
                Content::Base { base, .. } => entries.retain(|entry| entry.index > base.0),
                Content::Hard(_) | Content::Boot { .. } => {}
            }
            state.apply(&found.content.body());
        }
        let used = self.used();
        let tail = self.scans.last().expect("a run has a segment");
        let mut ops = Vec::new();
        let cut_tail = self.torn(marks, used).then(|| {
            if let Some(last) = tail.bytes[used..].iter().rposition(|byte| *byte != 0) {
                let bytes = vec![0; last + 1].into();
                ops.push(Op::Write { file: File::Segment(tail.file), at: used as u64, bytes });
            }
            let why = if tail.end == used { tail.why } else { "a group that wasn't written whole" };
            TornTail { file: File::Segment(tail.file), at: used as u64, why, last_valid: sequence }
        });
        let mut segments = Vec::new();
        let mut retired = Vec::new();
        let place = |file, bytes| Retired { file, bytes, after: sequence };
        for (i, scan) in self.scans.iter().enumerate() {
            let is_tail = i + 1 == self.scans.len();
            let records = if is_tail { &scan.records[..self.whole] } else { &scan.records[..] };
            if scan.head.first_sequence < self.from {
                retired.push(place(scan.file, scan.bytes.len() as u64));
                continue;
            }
            let used = if is_tail { used } else { scan.end };
            ops.extend(rewrite(scan, records, used, marks.durable));
            let top = records.iter().filter_map(|found| match &found.content {
                Content::Entry(entry) => Some(entry.index),
                _ => None,
            });
            segments.push(Segment {
                file: scan.file,
                bytes: scan.bytes.len() as u64,
                first_sequence: scan.head.first_sequence,
                used: used as u64,
                top: top.max().unwrap_or_default(),
            });
        }
        retired.extend(others.into_iter().map(|(file, bytes)| place(file, bytes)));
        let link = self.records().last().expect("a run has a whole group").header.sum;
        let member = tail.head.member;
        let wal = Wal {
            cluster,
            member,
            seed: Seed::of(cluster),
            segment_bytes,
            life: marks.life + 1,
            segments,
            retired,
            spares: Vec::new(),
            file_next: file_last + 1,
            sequence,
            link,
            durable: marks.durable,
            state,
        };
        let Kept { hard, epoch, conf } = wal.state.kept.clone();
        Recovered { base: wal.base(), wal, member, epoch, hard, conf, entries, cut_tail, ops }
    }

    /// Whether something was being written behind the last whole group. Old bytes of a segment that is used again
    /// are not that.
    fn torn(&self, marks: &Marks, used: usize) -> bool {
        let tail = self.scans.last().expect("a run has a segment");
        let fresh = !tail.head.reused && tail.bytes[used..].iter().any(|byte| *byte != 0);
        marks.sequence > self.sequence() || fresh || tail.why == Header::BAD_SUM
    }
}

/// What of a segment is not known to be on disk is written again as it is.
fn rewrite(scan: &Scan, records: &[Found], used: usize, durable: u64) -> Option<Op> {
    let from = if scan.head.first_sequence > durable {
        Some(0)
    } else {
        records.iter().find(|found| found.header.sequence > durable).map(|found| found.at)
    };
    from.map(|from| {
        let bytes = Bytes::copy_from_slice(&scan.bytes[from..used]);
        Op::Write { file: File::Segment(scan.file), at: from as u64, bytes }
    })
}
