//! A power cut, played on a real file: of what was not synced, part is lost, part is torn, part survives.
//!
//! SIGKILL alone proves nothing about durability, for the page cache outlives the process. Here a write reaches
//! the file only when it is synced; at a power cut each waiting change is lost, survives, or, where it is a write,
//! leaves some of its sectors, in any order, as a disk with a volatile cache may do.

use bytes::Bytes;
use plait_base::Draws;
use plait_base::disk::Op;

/// What a disk writes as a whole.
pub const SECTOR_BYTES: u64 = 512;

/// The changes that survive, drawn from the seed.
pub fn survivors(seed: u64, unsynced: Vec<Op>) -> Vec<Op> {
    let mut draws = Draws::new(seed, "power-off", 0);
    unsynced.into_iter().flat_map(|op| survivor(&mut draws, op)).collect()
}

fn survivor(draws: &mut Draws, op: Op) -> Vec<Op> {
    match (draws.below(3), op) {
        (0, _) => Vec::new(),
        (1, Op::Write { file, at, bytes }) => sectors(at, &bytes)
            .into_iter()
            .filter(|_| draws.chance(500))
            .map(|(at, bytes)| Op::Write { file, at, bytes })
            .collect(),
        (_, op) => vec![op],
    }
}

/// A write cut at the borders of sectors.
fn sectors(at: u64, bytes: &Bytes) -> Vec<(u64, Bytes)> {
    let mut parts = Vec::new();
    let mut done = 0;
    while done < bytes.len() {
        let place = at + done as u64;
        let room = (SECTOR_BYTES - place % SECTOR_BYTES) as usize;
        let end = bytes.len().min(done + room);
        parts.push((place, bytes.slice(done..end)));
        done = end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use plait_base::disk::File;

    #[test]
    fn sectors_meet_at_multiples_and_cover_the_write() {
        let parts = sectors(500, &Bytes::from(vec![7; 1100]));
        let ends: Vec<(u64, usize)> = parts.iter().map(|(at, bytes)| (*at, bytes.len())).collect();
        assert_eq!(ends, [(500, 12), (512, 512), (1024, 512), (1536, 64)]);
    }

    #[test]
    fn some_are_lost_some_torn_some_whole() {
        let write =
            |n: u64| Op::Write { file: File::Segment(1), at: n * 4096, bytes: Bytes::from(vec![1; 2048]) };
        let (mut lost, mut torn, mut whole) = (0, 0, 0);
        for seed in 0..100 {
            match survivors(seed, vec![write(seed)]).as_slice() {
                [] => lost += 1,
                [op] if *op == write(seed) => whole += 1,
                _ => torn += 1,
            }
        }
        assert!(lost > 10 && torn > 10 && whole > 10, "lost {lost}, torn {torn}, whole {whole}");
    }

    #[test]
    fn the_same_seed_loses_the_same() {
        let ops: Vec<Op> = (0..50).map(|n| Op::Remove { file: File::Segment(n) }).collect();
        assert_eq!(survivors(9, ops.clone()), survivors(9, ops.clone()));
        assert_ne!(survivors(9, ops.clone()), survivors(10, ops));
    }
}
