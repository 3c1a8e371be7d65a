//! Any sequence of operations, any crash, again and again: recovery gives exactly a prefix of what was written,
//! and all of what was reported.

use super::disk::Fate;
use super::model::Model;
use super::*;
use plait_base::Draws;
use proptest::prelude::*;

/// A log in use, and every value it went through that a crash may lead back to.
struct Life {
    draws: Draws,
    disk: TornDisk,
    wal: Wal,
    /// Values after each operation since the last one that is certain; the first is certain.
    values: Vec<Model>,
    /// For each outstanding `Persist`: unsynced operations of the disk it ends at, the place in `values`, and
    /// what the log had written.
    outstanding: Vec<(usize, usize, u64)>,
    epoch: u64,
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut ops = Vec::new();
        let wal = Wal::create(CLUSTER, member(), SEGMENT_BYTES, &mut ops);
        let draws = Draws::new(seed, "wal", 0);
        let values = vec![Model::new()];
        let mut life =
            Life { draws, disk: TornDisk::default(), wal, values, outstanding: Vec::new(), epoch: 0 };
        life.persist(ops);
        life
    }

    fn value(&self) -> Model {
        self.values.last().expect("never empty").clone()
    }

    fn persist(&mut self, ops: Vec<Op>) {
        self.disk.write(ops);
        self.outstanding.push((self.disk.unsynced(), self.values.len() - 1, self.wal.written()));
    }

    /// Some of the outstanding ones are on disk; the log is told now or, as it happens, later.
    fn sync_some(&mut self, tell: bool) {
        let n = self.draws.below(self.outstanding.len() as u64 + 1) as usize;
        let Some((ops, value, written)) = self.outstanding.get(n.wrapping_sub(1)).copied() else { return };
        self.disk.sync_first(ops);
        self.values.drain(..value);
        self.outstanding.drain(..n);
        for (later_ops, later_value, _) in &mut self.outstanding {
            *later_ops -= ops;
            *later_value -= value;
        }
        if tell {
            self.wal.synced(written);
        }
    }

    fn step(&mut self) {
        let mut value = self.value();
        let mut ops = Vec::new();
        match self.draws.below(100) {
            0..=59 => self.append(&mut value, &mut ops),
            60..=64 => {
                self.epoch += 1;
                self.wal.boot(BootEpoch(self.epoch), &mut ops);
                value.boot(BootEpoch(self.epoch));
            }
            65..=67 => {
                let index = Index(value.last().0 + self.draws.below(20));
                let (term, conf) = (Term(value.hard.term.0 + 1), Bytes::from(index.0.to_le_bytes().to_vec()));
                self.wal.reset(index, term, conf.clone(), &mut ops);
                value.reset(index, term, conf);
            }
            68..=77 if !value.entries.is_empty() => {
                let below = Index(value.base.0.0 + 2 + self.draws.below(value.entries.len() as u64));
                let hard = HardState { commit: value.hard.commit.max(Index(below.0 - 1)), ..value.hard };
                self.wal.cut(below, hard, &mut ops);
                value.cut(below, hard);
            }
            _ => {
                let tell = self.draws.chance(900);
                return self.sync_some(tell);
            }
        }
        assert_eq!((self.wal.base(), self.wal.last()), (value.base, value.last()));
        self.values.push(value);
        self.persist(ops);
    }

    fn append(&mut self, value: &mut Model, ops: &mut Vec<Op>) {
        let mut first = value.last().0 + 1;
        let above_commit = value.base.0.max(value.hard.commit.min(value.last())).0 + 1;
        let mut term = value.hard.term.0.max(1);
        if self.draws.chance(150) {
            first = self.draws.between(above_commit.min(first), first);
            term += 1;
        }
        let entries: Vec<_> = (0..self.draws.below(5))
            .map(|i| {
                let most = if self.draws.chance(30) { 2 * SEGMENT_BYTES } else { 300 };
                entry(first + i, term, self.draws.below(most) as usize)
            })
            .collect();
        let last = entries.last().map_or(value.last().0, |entry| entry.index.0);
        let hard = self.draws.chance(500).then(|| HardState {
            term: Term(term),
            vote: self.draws.below(3),
            commit: Index(self.draws.between(above_commit - 1, last.max(above_commit - 1))),
        });
        self.wal.append(&entries, hard, ops);
        value.append(&entries, hard);
    }

    /// The power fails, or only the process dies; then the log is read back.
    fn crash(&mut self) -> Result<(), TestCaseError> {
        let power = self.draws.chance(800);
        if power {
            let (lost, torn) = (self.draws.below(1000), self.draws.below(300));
            let swap = self.draws.chance(300);
            let draws = &mut self.draws;
            let fate = || match draws.below(1000) {
                n if n < lost => Fate::Lost,
                n if n < lost + torn => Fate::Torn(draws.below(512) as u16),
                _ => Fate::Kept,
            };
            self.disk.crash(fate, swap);
        }
        let image = self.disk.image().clone();
        let found = Wal::recover(&self.disk, CLUSTER, SEGMENT_BYTES);
        let found = match found {
            Ok(Some(found)) => found,
            Ok(None) => {
                // Only the very first `Persist` may be lost whole.
                prop_assert!(self.wal.durable == 0 && self.values[0] == Model::new(), "the log is gone");
                let seed = self.draws.next_u64();
                *self = Life::new(seed);
                return Ok(());
            }
            Err(why) => return Err(TestCaseError::fail(format!("{why}"))),
        };
        prop_assert_eq!(&image, self.disk.image());
        let value = Model::of(&found);
        let place = self.values.iter().rposition(|one| *one == value);
        prop_assert!(place.is_some(), "recovered {:#?}\nwhich is none of {:#?}", value, self.values);
        let (mut wal, ops) = (found.wal, found.ops);
        // The same disk read again gives the same; so does a crash in the middle of the repair.
        let mut again = self.disk.clone();
        again.write(ops.clone());
        prop_assert_eq!(Model::of(&read_back(&again)), value.clone());
        self.epoch = value.epoch.0 + 1;
        let mut place = place.expect("checked");
        self.values.truncate(place + 1);
        if power {
            self.values.drain(..place);
            place = 0;
        }
        // When only the process died, what was read is not certain before it was written again.
        self.outstanding.clear();
        let mut started = Vec::new();
        wal.boot(BootEpoch(self.epoch), &mut started);
        let mut booted = value.clone();
        booted.boot(BootEpoch(self.epoch));
        self.wal = wal;
        self.disk.write(ops);
        self.outstanding.push((self.disk.unsynced(), place, self.wal.durable));
        self.values.push(booted);
        self.persist(started);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn recovery_gives_a_prefix_that_holds_all_that_was_reported(seed: u64) {
        let mut life = Life::new(seed);
        for _ in 0..6 {
            for _ in 0..life.draws.below(60) {
                life.step();
            }
            life.crash()?;
        }
    }
}
