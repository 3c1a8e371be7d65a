//! Keyed draws: each random decision is a function of (seed, stream, entity, counter).
//!
//! Intuition: one shared sequence of random numbers ties all decisions together, so that taking one fault out of
//! a schedule changes every later one. A keyed draw ties a decision to what it is about and to nothing else.
//! The mixing function is SplitMix64's finaliser (Steele, Lea, Flood, "Fast splittable pseudorandom number
//! generators", 2014), applied after each part of the key.

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number that depends on the four parts of the key alone.
pub fn draw(seed: u64, stream: u64, entity: u64, counter: u64) -> u64 {
    mix(mix(mix(mix(seed) ^ stream) ^ entity) ^ counter)
}

/// A stream's number from its name, so that streams are told apart by what they are called.
pub const fn stream(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

/// The draws of one entity in one stream, in turn.
#[derive(Debug, Clone)]
pub struct Draws {
    seed: u64,
    stream: u64,
    entity: u64,
    counter: u64,
}

impl Draws {
    pub fn new(seed: u64, stream_name: &str, entity: u64) -> Draws {
        Draws { seed, stream: stream(stream_name), entity, counter: 0 }
    }

    /// How many have been drawn.
    pub fn drawn(&self) -> u64 {
        self.counter
    }

    /// Goes to where so many have been drawn, whether or not they were.
    pub fn skip_to(&mut self, drawn: u64) {
        self.counter = drawn;
    }

    pub fn next_u64(&mut self) -> u64 {
        self.counter += 1;
        draw(self.seed, self.stream, self.entity, self.counter)
    }

    /// Uniform in `0..n`; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform in `lo..=hi`.
    pub fn between(&mut self, lo: u64, hi: u64) -> u64 {
        assert!(lo <= hi, "an empty range has no draw");
        lo + self.below((hi - lo).saturating_add(1))
    }

    /// True in `per_mille` of 1,000 draws.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of the items; panics on an empty slice.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}
