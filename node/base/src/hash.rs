//! Hashes that say whether two nodes hold the same thing.

use std::fmt;

/// A BLAKE3 hash.
#[derive(Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The hash of the parts, one after the other; each part's length counts, so parts cannot run into each other.
    pub fn of(parts: &[&[u8]]) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// The first eight bytes, for a place that has room for a number only.
    pub fn short(&self) -> u64 {
        u64::from_le_bytes(self.0[..8].try_into().expect("eight of thirty-two bytes"))
    }
}

impl fmt::Display for Digest {
    /// Sixteen hexadecimal digits: enough to compare by eye.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of a set of (key, value) pairs that is kept up to date by adding and removing one pair at a time: the
/// sum, in four lanes of 64 bits, of each pair's BLAKE3 hash. It tells faults apart, not a forger.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SetHash {
    lanes: [u64; 4],
    bytes: u64,
}

impl SetHash {
    fn of(key: &[u8], value: &[u8]) -> SetHash {
        let digest = Digest::of(&[key, value]);
        let lane = |i: usize| u64::from_le_bytes(digest.0[i * 8..i * 8 + 8].try_into().expect("eight bytes"));
        SetHash { lanes: [lane(0), lane(1), lane(2), lane(3)], bytes: (key.len() + value.len()) as u64 }
    }

    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.join(&SetHash::of(key, value));
    }

    pub fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.part(&SetHash::of(key, value));
    }

    /// Takes in all pairs of another set that has none of this one's.
    pub fn join(&mut self, other: &SetHash) {
        self.lanes.iter_mut().zip(other.lanes).for_each(|(sum, lane)| *sum = sum.wrapping_add(lane));
        self.bytes += other.bytes;
    }

    /// Gives up all pairs of a set that is part of this one.
    pub fn part(&mut self, other: &SetHash) {
        self.lanes.iter_mut().zip(other.lanes).for_each(|(sum, lane)| *sum = sum.wrapping_sub(lane));
        self.bytes -= other.bytes;
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn digest(&self) -> Digest {
        let mut bytes = [0; 32];
        for (i, lane) in self.lanes.iter().enumerate() {
            bytes[i * 8..i * 8 + 8].copy_from_slice(&lane.to_le_bytes());
        }
        Digest(bytes)
    }
}
