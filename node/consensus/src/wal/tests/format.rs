//! Format 3, to the byte: a log that was written once, and kept. What these tests read must be readable for ever.

use super::model::Model;
use super::*;
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/format-3")).join(name)
}

/// Each kind of record, a group over two segments, a second life, a file that is used again.
fn story() -> (Synced, Model) {
    let mut log = Synced::new();
    let mut value = Model::new();
    log.with(|wal, ops| wal.boot(BootEpoch(1 << 32 | 1), ops));
    value.boot(BootEpoch(1 << 32 | 1));
    for index in 1..=12 {
        let mut entry = entry(index, 1 + index / 8, 37 * index as usize);
        entry.kind = u8::from(index == 3);
        log.with(|wal, ops| wal.append(std::slice::from_ref(&entry), Some(hard(2, index / 2)), ops));
        value.append(&[entry], Some(hard(2, index / 2)));
    }
    log.with(|wal, ops| wal.append(&[entry(10, 3, 5), entry(11, 3, 1200), entry(12, 3, 900)], None, ops));
    value.append(&[entry(10, 3, 5), entry(11, 3, 1200), entry(12, 3, 900)], None);
    log.with(|wal, ops| wal.cut(Index(7), hard(3, 9), ops));
    value.cut(Index(7), hard(3, 9));
    let found = read_back(&log.disk);
    log.wal = found.wal;
    log.sync(found.ops);
    log.with(|wal, ops| wal.boot(BootEpoch(1 << 32 | 2), ops));
    value.boot(BootEpoch(1 << 32 | 2));
    log.with(|wal, ops| wal.append(&[entry(13, 4, 700), entry(14, 4, 700)], Some(hard(4, 12)), ops));
    value.append(&[entry(13, 4, 700), entry(14, 4, 700)], Some(hard(4, 12)));
    (log, value)
}

/// With `PLAIT_WRITE_GOLDEN=1` in the environment the files are written anew.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test may ask whether to write its golden files")]
fn the_bytes_are_those_of_format_3() {
    let (log, value) = story();
    let mut words = String::new();
    for (file, bytes) in log.disk.image() {
        words += &format!("{file}\n");
        describe(bytes).for_each(|line| words += &format!("  {line}\n"));
    }
    if std::env::var("PLAIT_WRITE_GOLDEN").is_ok() {
        std::fs::create_dir_all(fixture("")).expect("a directory");
        for (file, bytes) in log.disk.image() {
            std::fs::write(fixture(&file.to_string()), bytes).expect("written");
        }
        std::fs::write(fixture("wal.txt"), &words).expect("written");
    }
    let read = |name: &str| std::fs::read(fixture(name)).expect("the fixture is in the tree");
    let mut disk = TornDisk::default();
    for (file, bytes) in log.disk.image() {
        assert!(read(&file.to_string()) == *bytes, "{file} is not what format 3 writes");
        disk.image_mut().insert(*file, read(&file.to_string()));
    }
    assert_eq!(words, String::from_utf8(read("wal.txt")).expect("text"));
    assert_eq!(Model::of(&read_back(&disk)), value);
}

#[test]
fn damage_is_described_and_not_a_reason_to_stop() {
    let (log, _) = story();
    let bytes = log.disk.image().values().next().expect("a file");
    for at in (0..bytes.len()).step_by(7) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x55;
        assert!(describe(&bytes).count() >= 1);
        assert!(describe(&bytes[..at]).count() >= 1);
    }
}
