//! Checkpoint generations: whole or not there, and two of them.

use super::super::{Checkpoints, Done, Report};
use super::*;
use kv::{Answer, Op};
use std::collections::BTreeMap;
use tokio::sync::mpsc::UnboundedReceiver;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

struct Bench {
    dir: crate::scratch::Scratch,
    kv: SledCheckpoints,
    done: UnboundedReceiver<Done>,
}

impl Bench {
    fn new(name: &str) -> Bench {
        Bench::at(crate::scratch::Scratch::new(name))
    }

    fn at(dir: crate::scratch::Scratch) -> Bench {
        let (report, done) = Report::new();
        let bounds = Bounds { cache_bytes: 1 << 20, bytes_per_s: 0 };
        let kv = SledCheckpoints::open(dir.path(), bounds, report).unwrap();
        Bench { dir, kv, done }
    }

    /// Closes and opens again, as a restart does.
    fn again(self) -> Bench {
        let Bench { dir, mut kv, .. } = self;
        kv.close();
        Bench::at(dir)
    }

    fn ask(&mut self, op: Op) -> Answer {
        self.kv.submit(op);
        match self.done.blocking_recv() {
            Some(Done::Checkpoint(answer)) => answer,
            other => panic!("a checkpoint answers for itself, and got {other:?}"),
        }
    }

    fn write(
        &mut self,
        generation: u64,
        over: Option<u64>,
        changes: &[(u32, Option<u32>)],
        all: &Rows,
    ) -> Answer {
        self.kv.submit(Op::Begin { generation, over });
        let bytes = |n: u32| Bytes::copy_from_slice(&n.to_be_bytes());
        let rows = changes.iter().map(|(key, value)| (bytes(*key), value.map(bytes))).collect();
        match self.ask(Op::Write { generation, rows }) {
            Answer::Written { .. } => {}
            other => return other,
        }
        self.ask(Op::Finish {
            generation,
            head: Bytes::from(format!("head {generation}")),
            digest: digest(all),
        })
    }

    fn stored(&self, generation: u64) -> Rows {
        let mut rows = Rows::new();
        self.kv
            .stored()
            .scan(generation, &mut |key, value| {
                rows.insert(key.to_vec(), value.to_vec());
            })
            .unwrap();
        rows
    }

    fn generations(&self) -> Vec<u64> {
        self.kv.stored().generations().0.into_iter().map(|(generation, _)| generation).collect()
    }
}

fn digest(rows: &Rows) -> plait_base::Digest {
    let mut sum = SetHash::default();
    rows.iter().for_each(|(key, value)| sum.add(key, value));
    sum.digest()
}

fn rows(pairs: &[(u32, u32)]) -> Rows {
    pairs.iter().map(|(key, value)| (key.to_be_bytes().to_vec(), value.to_be_bytes().to_vec())).collect()
}

#[test]
fn two_generations_stand_and_the_third_is_written_over_the_first() {
    let mut bench = Bench::new("kv-three");
    let one = rows(&[(1, 10), (2, 20)]);
    assert_eq!(bench.write(1, None, &[(1, Some(10)), (2, Some(20))], &one), Answer::Done { generation: 1 });
    let two = rows(&[(1, 11)]);
    assert_eq!(bench.write(2, None, &[(1, Some(11))], &two), Answer::Done { generation: 2 });
    let three = rows(&[(2, 20), (3, 30)]);
    assert_eq!(bench.write(3, Some(1), &[(1, None), (3, Some(30))], &three), Answer::Done { generation: 3 });
    let bench = bench.again();
    assert_eq!(bench.generations(), [3, 2]);
    assert_eq!(bench.kv.stored().generations().0[0].1, Bytes::from("head 3"));
    assert_eq!(bench.stored(3), three);
    assert_eq!(bench.stored(2), two);
}

#[test]
fn a_wrong_digest_fails_and_the_generation_before_stands() {
    let mut bench = Bench::new("kv-digest");
    let one = rows(&[(1, 10)]);
    assert_eq!(bench.write(1, None, &[(1, Some(10))], &one), Answer::Done { generation: 1 });
    let answer = bench.write(2, None, &[(1, Some(11))], &one);
    assert!(
        matches!(&answer, Answer::Failed { generation: 2, why } if why.contains("reads back as")),
        "{answer:?}"
    );
    let mut bench = bench.again();
    assert_eq!(bench.generations(), [1]);
    // And the next attempt, which begins empty, is not hindered by what the failed one left.
    let two = rows(&[(5, 50)]);
    assert_eq!(bench.write(2, None, &[(5, Some(50))], &two), Answer::Done { generation: 2 });
    assert_eq!(bench.stored(2), two);
}

#[test]
fn an_unfinished_generation_is_not_there_after_a_restart() {
    let mut bench = Bench::new("kv-unfinished");
    let one = rows(&[(1, 10)]);
    bench.write(1, None, &[(1, Some(10))], &one);
    bench.write(2, None, &[(1, Some(10))], &one);
    bench.kv.submit(Op::Begin { generation: 3, over: Some(1) });
    let row = (Bytes::from_static(b"half"), Some(Bytes::from_static(b"way")));
    assert_eq!(bench.ask(Op::Write { generation: 3, rows: vec![row] }), Answer::Written { generation: 3 });
    let mut bench = bench.again();
    assert_eq!(bench.generations(), [2]);
    let answer = bench.write(3, Some(1), &[], &one);
    assert!(matches!(&answer, Answer::Failed { generation: 3, .. }), "{answer:?}");
    assert_eq!(bench.write(3, None, &[(1, Some(10))], &one), Answer::Done { generation: 3 });
}

#[test]
fn a_damaged_head_is_named_and_the_other_generation_serves() {
    let mut bench = Bench::new("kv-head");
    let one = rows(&[(1, 10)]);
    bench.write(1, None, &[(1, Some(10))], &one);
    bench.write(2, None, &[(1, Some(10))], &one);
    let path = bench.dir.path().join("checkpoint-a.head");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let bench = bench.again();
    let (whole, broken) = bench.kv.stored().generations();
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].0, 1);
    assert!(broken[0].1.contains("checksum"), "{broken:?}");
}

#[test]
fn a_directory_that_does_not_open_is_left_out_by_name() {
    let mut bench = Bench::new("kv-broken");
    let one = rows(&[(1, 10)]);
    bench.write(1, None, &[(1, Some(10))], &one);
    bench.write(2, None, &[(1, Some(10))], &one);
    let conf = bench.dir.path().join("checkpoint-a/conf");
    fs::write(conf, b"not a configuration").unwrap();
    let mut bench = bench.again();
    let (whole, broken) = bench.kv.stored().generations();
    assert_eq!(whole.iter().map(|(generation, _)| *generation).collect::<Vec<_>>(), [1]);
    assert_eq!(broken[0].0, 2);
    assert!(broken[0].1.contains("does not open"), "{broken:?}");
    // Written over, it goes aside, whole.
    assert_eq!(bench.write(2, None, &[(1, Some(10))], &one), Answer::Done { generation: 2 });
    let aside = fs::read_dir(bench.dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let aside = aside.into_iter().find(|path| path.to_string_lossy().contains("aside-")).unwrap();
    assert!(aside.join("checkpoint-a/conf").exists());
}

#[test]
fn a_large_generation_in_many_batches_reads_back() {
    let mut bench = Bench::new("kv-large");
    let all: Vec<(u32, u32)> = (0..20_000).map(|n| (n, n ^ 0xffff)).collect();
    let changes: Vec<(u32, Option<u32>)> = all.iter().map(|(key, value)| (*key, Some(*value))).collect();
    assert_eq!(bench.write(1, None, &changes, &rows(&all)), Answer::Done { generation: 1 });
    assert_eq!(bench.stored(1).len(), 20_000);
}
