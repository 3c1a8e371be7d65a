//! What the simulated disk keeps and what it may lose.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;

const LOG: File = File::Segment(1);

fn write(token: u64, at: u64, bytes: &[u8]) -> Persist {
    Persist { token, ops: vec![Op::Write { file: LOG, at, bytes: Bytes::copy_from_slice(bytes) }] }
}

fn with_file(bytes: u64) -> SimDisk {
    let mut disk = SimDisk::default();
    assert!(disk.persist(Persist { token: 1, ops: vec![Op::Create { file: LOG, bytes }] }));
    assert_eq!(disk.synced(), Some((1, false)));
    disk
}

#[test]
fn a_sync_covers_what_was_queued_when_it_began() {
    let mut disk = with_file(8);
    assert!(disk.persist(write(2, 0, b"a")));
    assert!(!disk.persist(write(3, 1, b"b")));
    assert!(!disk.persist(write(4, 2, b"c")));
    assert_eq!(disk.synced(), Some((2, true)));
    assert_eq!(&disk.read(LOG).unwrap()[..3], b"a\0\0");
    assert_eq!(disk.synced(), Some((4, false)));
    assert_eq!(&disk.read(LOG).unwrap()[..3], b"abc");
}

#[test]
fn a_file_whose_creation_was_lost_takes_its_writes_with_it() {
    let mut lost = 0;
    for seed in 0..64 {
        let mut disk = SimDisk::default();
        disk.persist(Persist {
            token: 1,
            ops: vec![
                Op::Create { file: LOG, bytes: 4 },
                Op::Write { file: LOG, at: 0, bytes: Bytes::from_static(b"x") },
            ],
        });
        disk.power_loss(&mut Draws::new(seed, "test", 0), true);
        match disk.list().unwrap().as_slice() {
            [] => lost += 1,
            [LOG] => assert_eq!(disk.read(LOG).unwrap().len(), 4),
            other => panic!("{other:?}"),
        }
    }
    assert!((16..48).contains(&lost), "creation was lost in {lost} of 64 crashes");
}

#[test]
fn a_write_to_a_file_whose_making_was_refused_goes_astray() {
    let mut disk = SimDisk::default();
    disk.persist(Persist { token: 1, ops: vec![Op::Create { file: LOG, bytes: 8 }] });
    assert_eq!(disk.refused(&mut Draws::new(1, "test", 0)), Some(1), "nothing of one operation is kept");
    disk.persist(write(2, 0, b"a"));
    assert_eq!((disk.synced(), disk.astray.take()), (Some((2, false)), Some(LOG)));
    assert_eq!(disk.list().unwrap(), []);
}

#[test]
fn rot_spares_the_newest_writes() {
    let mut disk = with_file(4096);
    for i in 0..20 {
        disk.persist(write(2 + i, i * 10, &[7; 10]));
        disk.synced();
    }
    let newest = (20 - ROT_DISTANCE_WRITES as u64) * 10;
    for seed in 0..50 {
        let before = disk.read(LOG).unwrap();
        let (_, at) = disk.rot(&mut Draws::new(seed, "rot", 0)).expect("there are old writes");
        assert!(at < newest, "byte {at} belongs to one of the newest writes");
        let after = disk.read(LOG).unwrap();
        assert_eq!(before.iter().zip(&after).filter(|(a, b)| a != b).count(), 1);
    }
}

proptest! {
    /// What was reported survives any crash, byte for byte; what was not is old or new, sector by sector.
    #[test]
    fn reported_bytes_survive(
        seed: u64, kill: bool, synced in 0_usize..12,
        writes in prop::collection::vec((0_u64..40, 1_usize..2000, any::<u8>()), 1..12),
    ) {
        let mut disk = with_file(64 * 1024);
        let mut sure = vec![0_u8; 64 * 1024];
        let mut maybe: Vec<(usize, Vec<u8>)> = Vec::new();
        for (i, (sector, len, fill)) in writes.iter().enumerate() {
            let at = sector * 512;
            disk.persist(write(2 + i as u64, at, &vec![*fill; *len]));
            if i < synced {
                disk.synced();
                sure[at as usize..at as usize + len].fill(*fill);
            } else {
                maybe.push((at as usize, vec![*fill; *len]));
            }
        }
        let mut draws = Draws::new(seed, "crash", 0);
        if kill { disk.killed(&mut draws); } else { disk.power_loss(&mut draws, true); }
        let found = disk.read(LOG).unwrap();
        for (place, byte) in found.iter().enumerate() {
            let possible = *byte == sure[place]
                || maybe.iter().any(|(at, bytes)| (*at..at + bytes.len()).contains(&place) && bytes[place - at] == *byte);
            prop_assert!(possible, "byte {} is {}, which nobody wrote there", place, byte);
        }
        prop_assert!(!disk.busy());
    }
}

#[test]
fn a_misdirected_write_leaves_its_place_empty_and_spares_the_newest() {
    let mut moved = 0;
    for seed in 0..64 {
        let mut disk = with_file(200);
        for n in 0..20 {
            disk.persist(write(n + 2, n * 10, &[n as u8 + 1; 10]));
            disk.synced();
        }
        let newest = (20 - ROT_DISTANCE_WRITES) * 10;
        let (_, at) = disk.misdirect(&mut Draws::new(seed, "rot", 0)).expect("there are old writes");
        let bytes = disk.read(LOG).expect("the file is there");
        assert!(at < newest as u64);
        assert!(bytes[at as usize..at as usize + 10].iter().all(|byte| *byte == 0));
        assert!((newest..200).all(|place| bytes[place] == (place / 10) as u8 + 1), "the newest are spared");
        let lost = at as u8 / 10 + 1;
        moved += usize::from(bytes.contains(&lost));
    }
    assert_eq!(moved, 64, "what was meant for one place is at another");
}

#[test]
fn a_full_disk_keeps_a_part_of_what_it_was_given_and_says_what_it_did_not() {
    let mut disk = with_file(8);
    disk.persist(write(2, 0, b"a"));
    disk.persist(write(3, 1, b"b"));
    assert_eq!(disk.refused(&mut Draws::new(1, "disk.full", 0)), Some(2));
    assert_eq!(
        disk.read(LOG).expect("the file is there"),
        [0; 8],
        "the one write is the one that did not fit"
    );
}
