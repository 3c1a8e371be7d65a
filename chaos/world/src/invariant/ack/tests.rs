//! The book of the disks, on records as the log writes them.

use super::*;

fn record(kind: u8, index: u64, term: u64, payload: usize) -> Vec<u8> {
    let mut bytes = vec![0_u8; HEADER_BYTES + payload.next_multiple_of(8)];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4] = kind;
    bytes[8..12].copy_from_slice(&(payload as u32).to_le_bytes());
    bytes[32..40].copy_from_slice(&index.to_le_bytes());
    bytes[40..48].copy_from_slice(&term.to_le_bytes());
    bytes
}

fn write(acks: &mut Acks, slot: u8, records: &[Vec<u8>]) {
    let bytes = Bytes::from(records.concat());
    let op = Op::Write { file: File::Segment(1), at: 512, bytes };
    acks.durable(Slot::new(slot).expect("1, 2 or 3"), &op);
}

fn n1() -> Slot {
    Slot::ALL[0]
}

#[test]
fn one_disk_is_not_a_majority() {
    let mut acks = Acks::default();
    write(&mut acks, 1, &[record(ENTRY, 5, 2, 13)]);
    acks.applied(40, 5);
    assert!(acks.yes(n1(), 40, 40, 5).is_err());
    write(&mut acks, 3, &[record(ENTRY, 4, 2, 0), record(ENTRY, 5, 2, 100)]);
    assert_eq!(acks.yes(n1(), 40, 40, 5), Ok(()));
}

#[test]
fn entries_of_two_terms_are_not_the_same_entry() {
    let mut acks = Acks::default();
    write(&mut acks, 1, &[record(ENTRY, 5, 2, 8)]);
    write(&mut acks, 2, &[record(ENTRY, 5, 3, 8)]);
    acks.applied(40, 5);
    assert!(acks.yes(n1(), 40, 40, 5).is_err());
}

#[test]
fn a_later_record_takes_the_place_of_what_lies_above_it() {
    let mut acks = Acks::default();
    write(&mut acks, 1, &[record(ENTRY, 5, 2, 8), record(ENTRY, 6, 2, 8)]);
    write(&mut acks, 2, &[record(ENTRY, 5, 2, 8), record(ENTRY, 6, 2, 8), record(ENTRY, 5, 3, 8)]);
    acks.applied(41, 6);
    assert!(acks.yes(n1(), 41, 41, 6).is_err(), "the second disk gave index 6 up");
}

#[test]
fn a_record_over_itself_takes_nothing_away() {
    let mut acks = Acks::default();
    let log = [record(ENTRY, 5, 2, 8), record(ENTRY, 6, 3, 8)];
    write(&mut acks, 1, &log);
    write(&mut acks, 2, &log);
    write(&mut acks, 2, &log[..1]);
    acks.applied(41, 6);
    assert_eq!(acks.yes(n1(), 41, 41, 6), Ok(()), "a kill within the second write left the rest as it was");
}

#[test]
fn a_snapshot_counts_for_all_below_it() {
    let mut acks = Acks::default();
    write(&mut acks, 1, &[record(ENTRY, 5, 2, 8)]);
    write(&mut acks, 2, &[record(BASE, 9, 2, 8)]);
    acks.applied(40, 5);
    assert_eq!(acks.yes(n1(), 40, 40, 5), Ok(()));
}

#[test]
fn nobody_answers_before_it_has_applied() {
    let mut acks = Acks::default();
    assert!(acks.yes(n1(), 7, 6, 3).is_err_and(|why| why.contains("applied only 6")));
}
