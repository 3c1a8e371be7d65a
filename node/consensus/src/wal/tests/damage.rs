//! One flipped bit in what was on disk is never passed over in silence.

use super::model::Model;
use super::*;
use plait_base::Draws;
use proptest::prelude::*;

/// A log of several segments, some used again, with entries overwritten and cut, and all of it on disk.
fn long_log(seed: u64) -> Synced {
    let mut draws = Draws::new(seed, "damage", 0);
    let mut log = Synced::new();
    let mut commit = 0;
    for _ in 0..draws.between(10, 80) {
        let last = log.wal.last().0;
        let bytes = draws.below(300) as usize;
        let first = draws.between(commit.max(last.saturating_sub(2)) + 1, last + 1);
        log.with(|wal, ops| wal.append(&[entry(first, 1, bytes)], Some(hard(1, commit)), ops));
        commit = first.saturating_sub(3).max(commit);
        if draws.chance(100) && commit > log.wal.first().0 {
            log.with(|wal, ops| wal.cut(Index(commit), hard(1, commit), ops));
        }
    }
    // One more, so that all before it is known to have been on disk.
    log.with(|wal, ops| wal.append(&[], Some(hard(2, commit)), ops));
    log
}

/// The ranges of bytes that hold heads and records whose loss some later record would show.
fn proven_ranges(log: &Synced) -> Vec<(File, usize, usize)> {
    let last = log.wal.segments.len() - 1;
    let tail_record = record::HEADER_BYTES + 8;
    let range = |(i, s): (usize, &Segment)| {
        let end = s.used as usize - if i == last { tail_record } else { 0 };
        [(File::Segment(s.file), 0, 60), (File::Segment(s.file), HEAD_BYTES, end)]
    };
    // If the tail holds nothing but the last record, its head and that record are proven by nobody.
    let ranges = log.wal.segments.iter().enumerate().flat_map(range);
    let bare = log.wal.segments[last].first_sequence == log.wal.sequence;
    ranges.filter(|(file, _, _)| !(bare && *file == File::Segment(log.wal.segments[last].file))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_is_seen(seed: u64, place: u64, bit in 0_u8..8) {
        let mut log = long_log(seed);
        let ranges = proven_ranges(&log);
        let total: usize = ranges.iter().map(|(_, from, to)| to - from).sum();
        let mut at = (place % total as u64) as usize;
        for (file, from, to) in ranges {
            if at < to - from {
                log.disk.flip(file, from + at, bit);
                let image = log.disk.image().clone();
                let found = Wal::recover(&log.disk, CLUSTER, SEGMENT_BYTES);
                let said = matches!(found, Err(RecoverError::DamagedMiddle { .. }));
                prop_assert!(said, "byte {} of {file}: {found:?}", from + at);
                prop_assert_eq!(&image, log.disk.image());
                break;
            }
            at -= to - from;
        }
    }

    /// A whole segment that is missing is damage too.
    #[test]
    fn a_lost_segment_is_seen(seed: u64, place: usize) {
        let mut log = long_log(seed);
        let segments = &log.wal.segments;
        prop_assume!(segments.len() > 1);
        let file = File::Segment(segments[place % (segments.len() - 1)].file);
        log.disk.remove(file);
        let found = Wal::recover(&log.disk, CLUSTER, SEGMENT_BYTES);
        prop_assert!(matches!(found, Err(RecoverError::DamagedMiddle { .. })), "{found:?}");
    }

    /// Files that are no longer needed may be damaged or gone.
    #[test]
    fn damage_in_what_is_not_needed_is_no_damage(seed: u64, byte: usize, bit in 0_u8..8) {
        let mut log = long_log(seed);
        let before = Model::of(&read_back(&log.disk));
        let live: Vec<_> = log.wal.segments.iter().map(|s| File::Segment(s.file)).collect();
        let dead: Vec<_> = log.disk.image().keys().copied().filter(|file| !live.contains(file)).collect();
        for file in dead {
            let size = log.disk.image()[&file].len();
            log.disk.flip(file, byte % size, bit);
            // A number that no build has written yet would be refused, rightly.
            if matches!(byte % size, 8 | 9) {
                log.disk.flip(file, byte % size, bit);
            }
        }
        prop_assert_eq!(Model::of(&read_back(&log.disk)), before);
    }
}

#[test]
fn an_unknown_format_is_left_alone() {
    let mut log = Synced::new();
    let (file, head) = log.disk.image_mut().first_key_value().map(|(f, b)| (*f, b.clone())).expect("a file");
    let mut head = head;
    head[8..10].copy_from_slice(&9_u16.to_le_bytes());
    let sum = crc32c::crc32c(&head[..56]);
    head[56..60].copy_from_slice(&sum.to_le_bytes());
    log.disk.image_mut().insert(file, head);
    let found = Wal::recover(&log.disk, CLUSTER, SEGMENT_BYTES);
    assert_eq!(found.err(), Some(RecoverError::Format(9)));
}

#[test]
fn another_clusters_log_is_refused() {
    let log = Synced::new();
    let other = ClusterId([8; 16]);
    let found = Wal::recover(&log.disk, other, SEGMENT_BYTES);
    let file = File::Segment(1);
    let refused = RecoverError::WrongCluster { file, found: CLUSTER, expected: other };
    assert_eq!(found.err(), Some(refused));
}

/// The bytes of a log that some client stored as data are not taken for records, torn or not.
#[test]
fn a_log_within_an_entry_is_data() {
    let mut inner = Synced::new();
    for index in 1..=8 {
        inner.with(|wal, ops| wal.append(&[entry(index, 1, 40)], Some(hard(1, index)), ops));
    }
    let bytes = inner.disk.image().values().next().expect("a file").clone();
    let mut log = Synced::new();
    let mut ops = Vec::new();
    let data = Bytes::from(bytes[HEAD_BYTES..].to_vec());
    log.wal.append(&[LogEntry { data, ..entry(1, 1, 0) }, entry(2, 1, 5)], None, &mut ops);
    // Its own header is lost, the data is not.
    for op in ops {
        if let Op::Write { file, at, bytes } = op {
            log.disk.write(vec![Op::Write { file, at: at + 512, bytes: bytes.slice(512..) }]);
        } else {
            log.disk.write(vec![op]);
        }
    }
    log.disk.sync();
    assert_eq!(read_back(&log.disk).entries, []);
}
