//! What an identity file says when it is whole, damaged, or of another build.

use super::*;
use plait_base::Slot;

fn file() -> Vec<u8> {
    let slot = Slot::new(2).expect("a slot");
    identity(ClusterId(*b"a cluster of two"), MemberId::first(slot), true).to_vec()
}

#[test]
fn any_flipped_bit_makes_it_unreadable_and_never_foreign() {
    let whole = file();
    assert!(matches!(read_identity(&whole), Ok((_, _, true))));
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(read_identity(&damaged), Err(NoIdentity::Unreadable)), "bit {bit}");
    }
    for length in 0..whole.len() {
        assert!(matches!(read_identity(&whole[..length]), Err(NoIdentity::Unreadable)), "{length} bytes");
    }
}

#[test]
fn a_file_of_another_build_is_named_as_such() {
    let mut bytes = file();
    bytes[8..10].copy_from_slice(&(FORMAT + 1).to_le_bytes());
    let summed = bytes.len() - 4;
    let crc = crc32c::crc32c(&bytes[..summed]);
    bytes[summed..].copy_from_slice(&crc.to_le_bytes());
    let Err(NoIdentity::Foreign(why)) = read_identity(&bytes) else { panic!("it is of another format") };
    assert!(why.contains("unknown to this build"), "{why}");
}
