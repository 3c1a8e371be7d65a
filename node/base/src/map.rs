//! Maps for pure rooms: fast look-up with a fixed hasher, or ordered iteration. Nothing else.
//!
//! A hash map's order must never reach an output, so [`Map`] offers no iteration at all; whoever needs to walk
//! keeps a `BTreeMap`. The hasher is keyed by the cluster, so that a client cannot choose colliding keys.

#[allow(clippy::disallowed_types)]
type Inner<K, V> = std::collections::HashMap<K, V, Keyed>;

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher};

/// A hash map for look-up alone.
#[derive(Debug, Clone)]
pub struct Map<K, V>(Inner<K, V>);

impl<K: Eq + Hash, V> Map<K, V> {
    /// `key` is the cluster's: the same on its three nodes, another in each cluster.
    pub fn keyed(key: u64) -> Map<K, V> {
        Map(Inner::with_hasher(Keyed(key)))
    }

    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    pub fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.0.get_mut(key)
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.remove(key)
    }

    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug, Clone, Copy)]
struct Keyed(u64);

impl BuildHasher for Keyed {
    type Hasher = Mixer;
    fn build_hasher(&self) -> Mixer {
        Mixer(self.0)
    }
}

/// Folds eight bytes at a time with a multiply, as FxHash does, and finishes with an avalanche.
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_u64(bytes.len() as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        crate::draw::draw(self.0, 0, 0, 0)
    }
}
