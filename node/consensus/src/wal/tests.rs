//! What the log must hold, against a disk that loses and tears what was not synced.

mod crash;
mod damage;
mod disk;
mod format;
mod model;

use super::*;
use disk::TornDisk;
use plait_base::Slot;

pub(super) const CLUSTER: ClusterId = ClusterId([7; 16]);
pub(super) const SEGMENT_BYTES: u64 = SEGMENT_BYTES_MIN;

pub(super) fn member() -> MemberId {
    MemberId::first(Slot::ALL[0])
}

pub(super) fn entry(index: u64, term: u64, bytes: usize) -> LogEntry {
    let data = vec![(index as u8) ^ (term as u8); bytes].into();
    LogEntry { index: Index(index), term: Term(term), kind: 0, data }
}

pub(super) fn hard(term: u64, commit: u64) -> HardState {
    HardState { term: Term(term), vote: member().raft(), commit: Index(commit) }
}

pub(super) fn read_back(disk: &TornDisk) -> Recovered {
    Wal::recover(disk, CLUSTER, SEGMENT_BYTES).expect("the log is whole").expect("there is a log")
}

/// A log and its disk, each step synced and reported.
pub(super) struct Synced {
    pub(super) wal: Wal,
    pub(super) disk: TornDisk,
}

impl Synced {
    pub(super) fn new() -> Synced {
        let mut ops = Vec::new();
        let wal = Wal::create(CLUSTER, member(), SEGMENT_BYTES, &mut ops);
        let mut synced = Synced { wal, disk: TornDisk::default() };
        synced.sync(ops);
        synced
    }

    pub(super) fn with(&mut self, write: impl FnOnce(&mut Wal, &mut Vec<Op>)) {
        let mut ops = Vec::new();
        write(&mut self.wal, &mut ops);
        self.sync(ops);
    }

    fn sync(&mut self, ops: Vec<Op>) {
        self.disk.write(ops);
        self.disk.sync();
        self.wal.synced(self.wal.written());
    }
}

#[test]
fn no_files_no_log() {
    assert!(matches!(Wal::recover(&TornDisk::default(), CLUSTER, SEGMENT_BYTES), Ok(None)));
}

#[test]
fn what_was_written_is_read_back() {
    let mut log = Synced::new();
    log.with(|wal, ops| wal.boot(BootEpoch(1 << 32 | 1), ops));
    log.with(|wal, ops| wal.append(&[entry(1, 1, 10), entry(2, 1, 0)], Some(hard(1, 1)), ops));
    log.with(|wal, ops| wal.append(&[], Some(hard(3, 2)), ops));
    let found = read_back(&log.disk);
    assert_eq!(found.member, member());
    assert_eq!(found.epoch, BootEpoch(1 << 32 | 1));
    assert_eq!(found.hard, hard(3, 2));
    assert_eq!(found.base, (Index::ZERO, Term::ZERO));
    assert_eq!(found.entries, [entry(1, 1, 10), entry(2, 1, 0)]);
    assert_eq!(found.cut_tail, None);
    assert_eq!((found.wal.first(), found.wal.last()), (Index(1), Index(2)));
}

#[test]
fn an_append_below_the_end_replaces_what_follows() {
    let mut log = Synced::new();
    log.with(|wal, ops| wal.append(&[entry(1, 1, 8), entry(2, 1, 8), entry(3, 1, 8)], None, ops));
    log.with(|wal, ops| wal.append(&[entry(2, 2, 9)], Some(hard(2, 0)), ops));
    assert_eq!(log.wal.last(), Index(2));
    assert_eq!(read_back(&log.disk).entries, [entry(1, 1, 8), entry(2, 2, 9)]);
}

#[test]
fn an_entry_larger_than_a_segment_gets_a_larger_file() {
    let mut log = Synced::new();
    let large = entry(1, 1, 5 * SEGMENT_BYTES as usize);
    log.with(|wal, ops| wal.append(&[large.clone(), entry(2, 1, 3)], None, ops));
    assert_eq!(read_back(&log.disk).entries, [large, entry(2, 1, 3)]);
}

#[test]
fn a_group_is_one_write_in_each_segment_it_touches() {
    let mut log = Synced::new();
    let entries: Vec<_> = (1..=20).map(|index| entry(index, 1, 200)).collect();
    let mut ops = Vec::new();
    log.wal.append(&entries, Some(hard(1, 0)), &mut ops);
    let mut writes = Vec::new();
    for op in &ops {
        if let Op::Write { file, .. } = op {
            assert!(!writes.contains(file), "{file} is written twice");
            writes.push(*file);
        }
    }
    assert!(writes.len() >= 3, "twenty entries of 200 bytes take several segments of 2 KiB");
}

/// Room is bounded however long the log is used: what is cut is used again or removed.
#[test]
fn a_log_that_is_cut_uses_its_files_again() {
    let mut log = Synced::new();
    let mut created = 0;
    for index in 1..=2000_u64 {
        log.with(|wal, ops| {
            wal.append(&[entry(index, 1, 100)], Some(hard(1, index)), ops);
            created += ops.iter().filter(|op| matches!(op, Op::Create { .. })).count();
        });
        if index.is_multiple_of(10) && index > 20 {
            log.with(|wal, ops| wal.cut(Index(index - 20), hard(1, index), ops));
            assert_eq!(log.wal.first(), Index(index - 20));
        }
    }
    // Six appends fit in a segment; thirty entries live at most, and there are the spares.
    assert!(log.disk.files() <= 6 + SPARE_SEGMENTS_MAX, "{} files", log.disk.files());
    assert!(created <= 20, "{created} files were made for 330 segments");
    let found = read_back(&log.disk);
    assert_eq!(found.base, (Index(1979), Term(1)));
    assert_eq!(found.entries.first(), Some(&entry(1980, 1, 100)));
    assert_eq!(found.entries.last(), Some(&entry(2000, 1, 100)));
    assert_eq!(found.cut_tail, None, "old bytes of a file that is used again are no torn tail");
}

#[test]
fn after_a_reset_the_log_begins_there() {
    let mut log = Synced::new();
    log.with(|wal, ops| wal.boot(BootEpoch(5), ops));
    log.with(|wal, ops| wal.append(&[entry(1, 1, 8), entry(2, 1, 8)], Some(hard(1, 1)), ops));
    log.with(|wal, ops| wal.reset(Index(100), Term(4), Bytes::from_static(b"conf"), ops));
    assert_eq!((log.wal.first(), log.wal.last()), (Index(101), Index(100)));
    log.with(|wal, ops| wal.append(&[entry(101, 4, 8)], None, ops));
    let found = read_back(&log.disk);
    assert_eq!((found.base, found.epoch), ((Index(100), Term(4)), BootEpoch(5)));
    assert_eq!(found.hard, HardState { commit: Index(100), ..hard(1, 1) });
    assert_eq!(found.conf, Bytes::from_static(b"conf"));
    assert_eq!(found.entries, [entry(101, 4, 8)]);
}

/// The process was killed, the system's cache was not lost: what was read may not be on the disk yet.
#[test]
fn what_no_record_proves_durable_is_written_again() {
    let mut log = Synced::new();
    let mut ops = Vec::new();
    log.wal.append(&[entry(1, 1, 40)], Some(hard(1, 0)), &mut ops);
    log.disk.write(ops);
    log.disk.sync();
    let found = read_back(&log.disk);
    let mut again = TornDisk::default();
    again.write(found.ops);
    assert!(
        again.unsynced_bytes() >= 40 + 2 * record::HEADER_BYTES as u64,
        "the last group is written again: {} bytes",
        again.unsynced_bytes()
    );
}

#[test]
#[should_panic(expected = "leaves a gap")]
fn a_gap_is_a_defect() {
    Synced::new().with(|wal, ops| wal.append(&[entry(2, 1, 1)], None, ops));
}
