//! Files under the log: what is durable, what a loss of power takes, what a failing disk says.

use super::super::{Done, Files, Report};
use super::*;
use crate::scratch::Scratch;
use bytes::Bytes;
use plait_base::disk::Disk;
use tokio::sync::mpsc::UnboundedReceiver;

const SEGMENT: File = File::Segment(1);

fn open(dir: &Scratch, mode: Mode) -> (FileDisk, UnboundedReceiver<Done>) {
    let (report, done) = Report::new();
    (FileDisk::open(dir.path(), mode, report).unwrap(), done)
}

fn write(at: u64, bytes: &'static [u8]) -> Op {
    Op::Write { file: SEGMENT, at, bytes: Bytes::from_static(bytes) }
}

fn wait_for(done: &mut UnboundedReceiver<Done>, token: u64) {
    loop {
        match done.blocking_recv() {
            Some(Done::Persisted { token: reached }) if reached >= token => return,
            Some(Done::Persisted { .. }) => {}
            other => panic!("token {token} is reported, and got {other:?}"),
        }
    }
}

#[test]
fn what_was_persisted_is_read_back_after_a_restart() {
    let dir = Scratch::new("disk-back");
    let (mut disk, mut done) = open(&dir, Mode::default());
    disk.submit(Persist {
        token: 1,
        ops: vec![Op::Create { file: SEGMENT, bytes: 4096 }, write(10, b"abc")],
    });
    disk.submit(Persist { token: 2, ops: vec![write(13, b"def")] });
    wait_for(&mut done, 2);
    disk.close();
    let (disk, _done) = open(&dir, Mode::default());
    assert_eq!(disk.stored().list().unwrap(), [SEGMENT]);
    let bytes = disk.stored().read(SEGMENT).unwrap();
    assert_eq!(bytes.len(), 4096);
    assert_eq!(&bytes[10..16], b"abcdef");
    assert!(bytes[16..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_second_segment_comes_from_the_spare_and_is_all_zeros() {
    let dir = Scratch::new("disk-spare");
    let (mut disk, mut done) = open(&dir, Mode::default());
    let bytes = 3 * SPARE_SLICE_BYTES / 2;
    disk.submit(Persist { token: 1, ops: vec![Op::Create { file: SEGMENT, bytes }, write(0, b"x")] });
    wait_for(&mut done, 1);
    let spare = dir.path().join(SPARE);
    crate::scratch::until("the spare is filled", || {
        fs::metadata(&spare).is_ok_and(|meta| meta.len() == bytes)
    });
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&spare).unwrap());
    let second = File::Segment(2);
    disk.submit(Persist {
        token: 2,
        ops: vec![Op::Create { file: second, bytes }, Op::Remove { file: SEGMENT }],
    });
    wait_for(&mut done, 2);
    let meta = fs::metadata(dir.path().join(second.to_string())).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&meta), inode);
    let read = disk.stored().read(second).unwrap();
    assert_eq!(read.len() as u64, bytes);
    assert!(read.iter().all(|byte| *byte == 0));
    assert_eq!(disk.stored().list().unwrap(), [second]);
    disk.close();
    assert!(!spare.exists());
}

#[test]
fn what_waited_becomes_durable_in_one_group() {
    let dir = Scratch::new("disk-group");
    let (mut disk, mut done) = open(&dir, Mode::default());
    disk.submit(Persist { token: 1, ops: vec![Op::Create { file: SEGMENT, bytes: 8 << 20 }] });
    for token in 2..=200 {
        disk.submit(Persist { token, ops: vec![write(token * 3, b"abc")] });
    }
    wait_for(&mut done, 200);
    let figures = disk.figures();
    assert_eq!((figures.persists, figures.queued_bytes, figures.bytes), (200, 0, 199 * 3));
    assert!(figures.groups < 200 && figures.syncs < 200, "{figures:?}");
}

#[test]
fn a_file_put_aside_is_kept_under_its_name() {
    let dir = Scratch::new("disk-aside");
    let (mut disk, mut done) = open(&dir, Mode::default());
    disk.submit(Persist {
        token: 1,
        ops: vec![Op::Create { file: SEGMENT, bytes: 16 }, write(0, b"keep me")],
    });
    disk.submit(Persist { token: 2, ops: vec![Op::Aside { file: SEGMENT }] });
    wait_for(&mut done, 2);
    assert_eq!(disk.stored().list().unwrap(), []);
    let aside = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let aside = aside.into_iter().find(|path| path.is_dir()).unwrap();
    assert!(fs::read(aside.join("wal-00000001")).unwrap().starts_with(b"keep me"));
}

#[test]
fn a_write_into_a_file_that_is_not_there_fails_by_name_and_nothing_is_reported_after_it() {
    let dir = Scratch::new("disk-fails");
    let (mut disk, mut done) = open(&dir, Mode::default());
    disk.submit(Persist { token: 1, ops: vec![write(0, b"x")] });
    match done.blocking_recv() {
        Some(Done::DiskFailed { token: 1, why }) => assert!(why.starts_with("wal-00000001: "), "{why}"),
        other => panic!("{other:?}"),
    }
    disk.submit(Persist { token: 2, ops: vec![Op::Create { file: SEGMENT, bytes: 16 }] });
    assert_eq!(done.blocking_recv(), None);
}

#[test]
fn power_off_is_refused_outside_power_mode() {
    let dir = Scratch::new("disk-no-power");
    let (mut disk, _done) = open(&dir, Mode::default());
    assert!(disk.power_off().unwrap_err().contains("power = true"));
}

#[test]
fn without_syncs_what_was_reported_is_lost_with_the_power() {
    let dir = Scratch::new("disk-no-sync");
    let (report, mut done) = Report::new();
    let disk = FileDisk::open(dir.path(), Mode { power: true, no_sync: true }, report).unwrap();
    disk.tell(|queue| {
        let ops = |token| Persist {
            token,
            ops: vec![Op::Create { file: File::Segment(token as u32), bytes: 512 }],
        };
        queue.persists.extend((1..=64).map(ops));
    });
    wait_for(&mut done, 64);
    assert_eq!(disk.stored.list().unwrap(), [], "nothing is in the directory before the power goes");
    disk.tell(|queue| queue.power_off = Some(7));
    assert_eq!(done.blocking_recv(), None, "the thread ends");
    let left = disk.stored.list().unwrap().len();
    assert!(left > 0 && left < 64, "{left} of 64 survive");
}
