//! A node's checkpoints: two generations of rows, of which one is whole at any instant.
//!
//! Intuition: two notebooks. While one is being copied out, the other is not touched; a page count at the end says
//! whether the copy may be trusted.
//! Invariant: a generation is listed only after `Finish` found its rows to have the digest that it was given. A
//! crash loses every generation that was not finished, and with it the one it was written over.

use plait_base::disk;
use plait_base::kv::{Answer, Kv, Op};
use plait_base::{Bytes, Digest, SetHash};
use std::collections::BTreeMap;

#[derive(Debug, Default, Clone)]
struct Generation {
    rows: BTreeMap<Bytes, Bytes>,
    /// Written by `Finish`, so its presence says that the generation counts.
    head: Option<Bytes>,
    /// Why it cannot be opened any more: its medium went bad.
    rotten: Option<String>,
}

#[derive(Debug, Default, Clone)]
pub struct SimKv {
    generations: BTreeMap<u64, Generation>,
}

/// What the world is to report for an operation.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    Nothing,
    Answer(Answer),
}

impl SimKv {
    /// Does one operation. `fail` is an injected fault: the step is not done and the generation is given up.
    pub fn apply(&mut self, op: Op, fail: bool) -> Done {
        match op {
            Op::Begin { generation, over } => self.begin(generation, over),
            Op::Write { generation, .. } | Op::Finish { generation, .. } if fail => {
                self.generations.remove(&generation);
                failed(generation, "no space left on device (injected)")
            }
            Op::Write { generation, rows } => match self.generations.get_mut(&generation) {
                None => failed(generation, "a write to a generation that was given up"),
                Some(open) => {
                    for (key, value) in rows {
                        match value {
                            Some(value) => open.rows.insert(key, value),
                            None => open.rows.remove(&key),
                        };
                    }
                    Done::Answer(Answer::Written { generation })
                }
            },
            Op::Finish { generation, head, digest } => self.finish(generation, head, digest),
        }
    }

    fn begin(&mut self, generation: u64, over: Option<u64>) -> Done {
        assert!(
            self.finished(generation).is_none(),
            "generation {generation} is finished and is begun again"
        );
        let base = match over {
            None => Generation::default(),
            Some(g) => {
                assert!(
                    g < generation && g % 2 == generation % 2,
                    "{generation} is written over {g}, in another place"
                );
                match self.generations.remove(&g) {
                    Some(base) if base.head.is_some() && base.rotten.is_none() => base,
                    _ => return failed(generation, "the generation to write over is not whole"),
                }
            }
        };
        // Two directories: a new generation takes the place of whatever has its parity.
        self.generations.retain(|g, _| g % 2 != generation % 2);
        self.generations.insert(generation, Generation { rows: base.rows, head: None, rotten: None });
        Done::Nothing
    }

    fn finish(&mut self, generation: u64, head: Bytes, digest: Digest) -> Done {
        let Some(open) = self.generations.get_mut(&generation) else {
            return failed(generation, "the end of a generation that was given up");
        };
        let mut sum = SetHash::default();
        open.rows.iter().for_each(|(key, value)| sum.add(key, value));
        if sum.digest() != digest {
            self.generations.remove(&generation);
            return failed(generation, MISMATCH);
        }
        open.head = Some(head);
        Done::Answer(Answer::Done { generation })
    }

    fn finished(&self, generation: u64) -> Option<&Generation> {
        self.generations.get(&generation).filter(|g| g.head.is_some() && g.rotten.is_none())
    }

    /// Process or power is gone: what was not finished is lost.
    pub fn crash(&mut self) {
        self.generations.retain(|_, g| g.head.is_some());
    }

    /// The medium under the newest finished generation goes bad. `false` if there is none.
    pub fn rot_newest(&mut self) -> bool {
        match self.generations.iter_mut().rev().find(|(_, g)| g.head.is_some() && g.rotten.is_none()) {
            Some((n, generation)) => {
                generation.rotten = Some(format!("checkpoint {n}: checksum differs (injected rot)"));
                true
            }
            None => false,
        }
    }

    /// How many generations could be opened now.
    pub fn usable(&self) -> usize {
        self.generations.values().filter(|g| g.head.is_some() && g.rotten.is_none()).count()
    }

    pub fn wipe(&mut self) {
        self.generations.clear();
    }

    /// A hash of everything that is finished, for the twin check.
    pub fn digest(&self) -> Digest {
        let mut sum = SetHash::default();
        for (n, generation) in self.generations.iter().filter(|(_, g)| g.head.is_some()) {
            sum.add(&n.to_le_bytes(), generation.head.as_deref().unwrap_or_default());
            generation.rows.iter().for_each(|(key, value)| sum.add(key, value));
        }
        sum.digest()
    }
}

/// Why `Finish` failed without a fault of the world's: the machine's account of its own rows is wrong.
pub const MISMATCH: &str = "the rows that were read back do not have the digest that was announced";

fn failed(generation: u64, why: &str) -> Done {
    Done::Answer(Answer::Failed { generation, why: why.to_owned() })
}

impl Kv for SimKv {
    fn generations(&self) -> (Vec<(u64, Bytes)>, Vec<(u64, String)>) {
        let mut whole = Vec::new();
        let mut broken = Vec::new();
        for (n, generation) in self.generations.iter().rev() {
            match (&generation.head, &generation.rotten) {
                (_, Some(why)) => broken.push((*n, why.clone())),
                (Some(head), None) => whole.push((*n, head.clone())),
                (None, None) => {}
            }
        }
        (whole, broken)
    }

    fn scan(&self, generation: u64, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), disk::Error> {
        let Some(found) = self.finished(generation) else {
            let why = "no such finished generation".to_owned();
            return Err(disk::Error { file: format!("checkpoint {generation}"), why });
        };
        found.rows.iter().for_each(|(key, value)| each(key, value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &'static str, value: &'static str) -> (Bytes, Option<Bytes>) {
        (Bytes::from(key), Some(Bytes::from(value)))
    }

    fn digest(rows: &[(&str, &str)]) -> Digest {
        let mut sum = SetHash::default();
        rows.iter().for_each(|(k, v)| sum.add(k.as_bytes(), v.as_bytes()));
        sum.digest()
    }

    fn write(kv: &mut SimKv, generation: u64, over: Option<u64>, rows: Vec<(Bytes, Option<Bytes>)>) {
        assert_eq!(kv.apply(Op::Begin { generation, over }, false), Done::Nothing);
        assert_eq!(
            kv.apply(Op::Write { generation, rows }, false),
            Done::Answer(Answer::Written { generation })
        );
    }

    fn finish(kv: &mut SimKv, generation: u64, digest: Digest) -> Done {
        kv.apply(Op::Finish { generation, head: Bytes::from_static(b"head"), digest }, false)
    }

    #[test]
    fn a_generation_counts_once_it_was_read_back() {
        let mut kv = SimKv::default();
        write(&mut kv, 1, None, vec![row("a", "1")]);
        assert!(kv.generations().0.is_empty());
        assert_eq!(finish(&mut kv, 1, digest(&[("a", "1")])), Done::Answer(Answer::Done { generation: 1 }));
        assert_eq!(kv.generations().0.len(), 1);
    }

    #[test]
    fn a_wrong_digest_is_not_believed() {
        let mut kv = SimKv::default();
        write(&mut kv, 1, None, vec![row("a", "1")]);
        assert_eq!(finish(&mut kv, 1, digest(&[("a", "2")])), failed(1, MISMATCH));
        assert_eq!(kv.usable(), 0);
    }

    #[test]
    fn a_crash_in_the_third_generation_leaves_the_second() {
        let mut kv = SimKv::default();
        for g in 1..=2 {
            write(&mut kv, g, None, vec![row("a", "1")]);
            assert_eq!(
                finish(&mut kv, g, digest(&[("a", "1")])),
                Done::Answer(Answer::Done { generation: g })
            );
        }
        write(&mut kv, 3, Some(1), vec![row("b", "2")]);
        kv.crash();
        let listed: Vec<_> = kv.generations().0.iter().map(|(g, _)| *g).collect();
        assert_eq!(listed, [2]);
    }

    #[test]
    fn rows_stay_from_the_generation_written_over() {
        let mut kv = SimKv::default();
        for g in 1..=2 {
            write(&mut kv, g, None, vec![row("a", "1")]);
            finish(&mut kv, g, digest(&[("a", "1")]));
        }
        write(&mut kv, 3, Some(1), vec![row("b", "2")]);
        assert_eq!(
            finish(&mut kv, 3, digest(&[("a", "1"), ("b", "2")])),
            Done::Answer(Answer::Done { generation: 3 })
        );
        assert!(kv.rot_newest());
        assert_eq!(kv.generations().0.iter().map(|(g, _)| *g).collect::<Vec<_>>(), [2]);
        assert_eq!(kv.generations().1.len(), 1);
    }
}
