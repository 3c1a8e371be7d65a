//! The certifier against a naive one: a plain list of all write-sets, looked through from end to end.
//!
//! The same operations are applied by several stores that differ in everything that must not matter: how small
//! their slices of work are, when they collect, whether they were exported and imported on the way.

use super::kit::{pairs, plant, proposal};
use crate::op::{Op, ReadKey, ReadRange, RowChange, RowOp, WriteSet};
use crate::*;
use plait_base::{Bytes, Seqno};
use proptest::prelude::*;
use std::collections::BTreeMap;

const KEYS: i64 = 6;
const LAG_MAX: u64 = 8;
const WINDOW: u64 = 12;

fn settings() -> Settings {
    Settings { tombstone_seqnos_max: WINDOW, ..Settings::default() }
}

/// What one generated transaction touches. Seqnos are given as lags behind the newest one.
#[derive(Debug, Clone)]
struct Draft {
    writes: BTreeMap<i64, (u64, bool)>,
    reads: BTreeMap<i64, u64>,
    ranges: Vec<(i64, Option<i64>, u64)>,
    value: i64,
}

fn draft() -> impl Strategy<Value = Draft> {
    let lag = || prop_oneof![3 => Just(0), 3 => 0..3_u64, 1 => 0..LAG_MAX, 1 => Just(WINDOW + 4)];
    let writes = proptest::collection::btree_map(0..KEYS, (lag(), proptest::bool::weighted(0.3)), 1..3);
    let reads = proptest::collection::btree_map(0..KEYS, lag(), 0..2);
    let ranges =
        proptest::collection::vec((0..KEYS, proptest::option::of(0..KEYS), lag()), 0..2).prop_map(|ranges| {
            ranges.into_iter().filter(|(from, to, _)| to.is_none_or(|to| *from <= to)).collect()
        });
    (writes, reads, ranges, any::<i64>()).prop_map(|(writes, reads, ranges, value)| Draft {
        writes,
        reads,
        ranges,
        value,
    })
}

/// Everything that ever happened, kept in the plainest way.
struct Oracle {
    /// States after each seqno; the first is after the table was created.
    states: Vec<BTreeMap<i64, i64>>,
    /// Committed write-sets: seqno and the keys that it wrote, with whether it deleted.
    history: Vec<(u64, BTreeMap<i64, bool>)>,
    forgotten: Vec<(u64, i64)>,
    horizon: u64,
}

#[derive(Debug, PartialEq)]
enum Ruling {
    Done,
    Conflict,
    TooOld,
}

impl Oracle {
    fn newest(&self) -> u64 {
        self.states.len() as u64
    }

    fn state(&self, at: u64) -> &BTreeMap<i64, i64> {
        &self.states[at as usize - 1]
    }

    fn wrote_after(&self, keys: impl Fn(i64) -> bool, at: u64) -> bool {
        self.history.iter().any(|(seqno, wrote)| *seqno > at && wrote.keys().any(|key| keys(*key)))
    }

    fn rule(&self, draft: &Draft, at: impl Fn(u64) -> u64) -> Ruling {
        let all = (draft.writes.values().map(|(lag, _)| *lag))
            .chain(draft.reads.values().copied())
            .chain(draft.ranges.iter().map(|range| range.2));
        if all.map(&at).min().expect("something is written") < self.horizon {
            return Ruling::TooOld;
        }
        let lost = draft.writes.iter().any(|(key, (lag, _))| self.wrote_after(|k| k == *key, at(*lag)))
            || draft.reads.iter().any(|(key, lag)| self.wrote_after(|k| k == *key, at(*lag)))
            || draft.ranges.iter().any(|(from, to, lag)| {
                self.wrote_after(|k| k >= *from && to.is_none_or(|to| k < to), at(*lag))
            });
        if lost { Ruling::Conflict } else { Ruling::Done }
    }

    /// Takes in what happened at the next seqno.
    fn go_on(&mut self, wrote: Option<(BTreeMap<i64, bool>, i64)>) {
        let mut state = self.states.last().expect("there is a first state").clone();
        let seqno = self.newest() + 1;
        if let Some((wrote, value)) = wrote {
            for (key, deleted) in &wrote {
                if *deleted {
                    state.remove(key);
                } else {
                    state.insert(*key, value);
                }
            }
            self.history.push((seqno, wrote));
        }
        self.states.push(state);
        // A delete that nobody wrote over within the window is forgotten.
        for key in 0..KEYS {
            let last = self.history.iter().rev().find_map(|(at, wrote)| Some((*at, *wrote.get(&key)?)));
            if let Some((at, true)) = last
                && seqno - at >= WINDOW
                && !self.forgotten.contains(&(at, key))
            {
                self.forgotten.push((at, key));
                self.horizon = self.horizon.max(at);
            }
        }
    }
}

fn key_of(id: i64) -> Bytes {
    key::encode(&[Value::Int(id)]).into()
}

/// The operation of a draft, true to what the oracle says was there when it was read. `None`: it changes nothing.
fn operation(
    draft: &Draft,
    oracle: &Oracle,
    at: impl Fn(u64) -> u64,
) -> (Option<Bytes>, BTreeMap<i64, bool>) {
    let mut set = WriteSet { tables: vec![(TableId(1), 1)], ..WriteSet::default() };
    let mut wrote = BTreeMap::new();
    for (id, (lag, delete)) in &draft.writes {
        let read_at = at(*lag);
        let now = oracle.state(read_at).get(id).map(|v| row::encode(&[(*id).into(), (*v).into()]));
        let new = row::encode(&[(*id).into(), draft.value.into()]);
        let change = match (now, delete) {
            (None, true) => {
                set.reads.push(ReadKey { table: 0, key: key_of(*id), read_at: Seqno(read_at), held: false });
                continue;
            }
            (None, false) => RowChange::Insert(new.into()),
            (Some(now), true) => RowChange::Delete { before: row::hash(&now) },
            (Some(now), false) => RowChange::Update {
                before: row::hash(&now),
                cells: row::diff(&now, &new)
                    .into_iter()
                    .map(|(at, cell)| (at, Bytes::copy_from_slice(cell)))
                    .collect(),
            },
        };
        wrote.insert(*id, *delete);
        set.rows.push(RowOp { table: 0, key: key_of(*id), read_at: Seqno(read_at), change });
    }
    for (id, lag) in &draft.reads {
        set.reads.push(ReadKey { table: 0, key: key_of(*id), read_at: Seqno(at(*lag)), held: false });
    }
    for (from, to, lag) in &draft.ranges {
        let (from, to) = (key_of(*from), to.map(key_of));
        set.ranges.push(ReadRange { table: 0, index: None, from, to, read_at: Seqno(at(*lag)) });
    }
    let rows = set.rows.iter().map(|row| row.read_at);
    let reads = set.reads.iter().map(|read| read.read_at);
    let read_at = rows.chain(reads).chain(set.ranges.iter().map(|range| range.read_at)).min();
    set.read_at = read_at.expect("something is written or read");
    (Some(Op::WriteSet(set).encode()), wrote)
}

fn apply(store: &mut Store, n: u64, op: &Bytes, slice: u32) -> Verdict {
    loop {
        if let Some(verdict) = store.apply(Seqno(n), proposal(n), op, &mut { slice }) {
            store.publish();
            return verdict;
        }
    }
}

fn rows_now(store: &Store) -> BTreeMap<i64, i64> {
    let mut txn = Txn::new(Isolation::RepeatableRead);
    txn.statement(store, &Ok(())).expect("it may read");
    let info = txn.table(store, "t").expect("it is there");
    let mut scan = Scan::new(info, Vec::new(), None, false);
    let mut rows = BTreeMap::new();
    let walk = txn.walk(store, &mut scan, &mut 1000, &mut |_, row| {
        let row = row::kept(row);
        match (&row[0], &row[1]) {
            (Value::Int(id), Value::Int(v)) => drop(rows.insert(*id, *v)),
            other => panic!("integers were expected, not {other:?}"),
        }
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!(walk, Ok(Walk::End));
    rows
}

fn reimported(store: &Store, slice: u32) -> Store {
    let mut importer = Importer::new(Settings::default(), 99);
    let mut cursor = Vec::new();
    loop {
        let chunk = store.export(store.applied(), Seqno::ZERO, &cursor, 40, &mut { slice });
        for (key, value) in chunk.rows {
            importer
                .row(&key, &value.expect("a whole export removes nothing"))
                .expect("an exported row is read");
        }
        match chunk.next {
            Some(next) => cursor = next,
            None => return importer.finish(&store.head()).expect("digests agree"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_verdict_is_the_naive_one(
        drafts in proptest::collection::vec((draft(), 0..8_u8, 1..4_u32), 1..60),
    ) {
        plant();
        let create = Op::Create(pairs("t")).encode();
        let mut stores: Vec<Store> = (0..3).map(|_| Store::new(settings(), 7)).collect();
        for store in &mut stores {
            apply(store, 1, &create, 9);
        }
        let mut oracle = Oracle {
            states: vec![BTreeMap::new()],
            history: Vec::new(),
            forgotten: Vec::new(),
            horizon: 0,
        };
        for (draft, whim, slice) in drafts {
            let newest = oracle.newest();
            let at = |lag: u64| newest.saturating_sub(lag).max(1);
            let (op, wrote) = operation(&draft, &oracle, at);
            let Some(op) = op else { continue };
            let n = newest + 1;
            let verdict = apply(&mut stores[0], n, &op, 1000);
            prop_assert_eq!(&apply(&mut stores[1], n, &op, slice), &verdict);
            prop_assert_eq!(&apply(&mut stores[2], n, &op, 1), &verdict);
            let ruling = match &verdict {
                Verdict::Done { seqno, first: 0, last: 0 } => {
                    prop_assert_eq!(*seqno, Seqno(n));
                    Ruling::Done
                }
                Verdict::Refused(Error::Conflict { winner, read_at, .. }) => {
                    prop_assert!(winner > read_at);
                    Ruling::Conflict
                }
                Verdict::Refused(Error::TooOld { .. }) => Ruling::TooOld,
                other => panic!("nothing else is to be expected: {other:?}"),
            };
            prop_assert_eq!(&ruling, &oracle.rule(&draft, at), "at {} for {:?}", n, draft);
            oracle.go_on((ruling == Ruling::Done).then_some((wrote, draft.value)));
            prop_assert_eq!(stores[0].horizon(), Seqno(oracle.horizon));

            // What must not matter.
            let applied = stores[1].applied();
            match whim {
                0 => while stores[1].collect(applied, &mut { slice }) {},
                1 => {
                    stores[1].forget_removed(applied);
                    stores[1].collect(applied, &mut { slice });
                }
                2 => stores[2] = reimported(&stores[2], slice),
                _ => {}
            }
            prop_assert_eq!(stores[1].chain(), stores[0].chain());
            prop_assert_eq!(stores[2].chain(), stores[0].chain());
            prop_assert_eq!(stores[2].state_digest(), stores[0].state_digest());
        }
        for store in &stores {
            prop_assert_eq!(&rows_now(store), oracle.states.last().expect("there is one"));
        }
        prop_assert_eq!(
            reimported(&stores[0], 3).state_digest(),
            stores[1].state_digest()
        );
    }
}

/// Whatever the log carries, apply rules, and rules alike.
#[test]
fn bytes_that_are_no_operation_are_refused_by_all() {
    proptest!(|(tail: Vec<u8>, kind in 0..6_u8)| {
        let mut stores = [Store::new(settings(), 1), Store::new(settings(), 2)];
        let create = Op::Create(pairs("t")).encode();
        let op = Bytes::from([vec![1, kind], tail].concat());
        let verdicts = stores.each_mut().map(|store| {
            apply(store, 1, &create, 5);
            apply(store, 2, &op, 5)
        });
        prop_assert_eq!(&verdicts[0], &verdicts[1]);
        prop_assert_eq!(stores[0].chain(), stores[1].chain());
    });
}

fn one_row(change: RowChange, read_at: u64) -> Bytes {
    let row = RowOp { table: 0, key: key_of(1), read_at: Seqno(read_at), change };
    let set = WriteSet {
        read_at: Seqno(read_at),
        tables: vec![(TableId(1), 1)],
        rows: vec![row],
        ..WriteSet::default()
    };
    Op::WriteSet(set).encode()
}

/// A node whose memory has gone astray proposes an update of a row that nobody else holds so.
#[test]
fn a_row_with_another_hash_is_refused_without_harm() {
    let mut store = Store::new(settings(), 1);
    apply(&mut store, 1, &Op::Create(pairs("t")).encode(), 9);
    let row = row::encode(&[1.into(), 5.into()]);
    apply(&mut store, 2, &one_row(RowChange::Insert(row.clone().into()), 1), 9);
    let state = store.state_digest();
    let cells = vec![(1, Bytes::from(row::encode(&[6.into()])))];
    for (n, change) in [
        (3, RowChange::Update { before: row::hash(&row) ^ 1, cells: cells.clone() }),
        (4, RowChange::Update { before: row::hash(&row), cells: vec![(2, cells[0].1.clone())] }),
        (5, RowChange::Update { before: row::hash(&row), cells: vec![(1, Bytes::from_static(b"\x09"))] }),
        (6, RowChange::Delete { before: 0 }),
    ] {
        let verdict = apply(&mut store, n, &one_row(change, 2), 9);
        assert!(matches!(verdict, Verdict::Refused(Error::Internal { .. })), "{verdict:?}");
    }
    let verdict = apply(&mut store, 7, &one_row(RowChange::Insert(row.into()), 2), 9);
    assert!(matches!(verdict, Verdict::Refused(Error::DuplicateKey { .. })), "{verdict:?}");
    assert_eq!(store.state_digest(), state);
    let absent =
        Op::WriteSet(WriteSet { read_at: Seqno(7), tables: vec![(TableId(9), 1)], ..WriteSet::default() });
    assert_eq!(
        apply(&mut store, 8, &absent.encode(), 9),
        Verdict::Refused(Error::SchemaChanged { table: "#9".into() })
    );
}

/// The byte bound forgets the oldest deletes first, on every node at the same operation.
#[test]
fn tombstones_beyond_their_bytes_are_forgotten_oldest_first() {
    let settings = Settings { tombstone_bytes_max: 3 * 25, ..Settings::default() };
    let mut store = Store::new(settings, 1);
    apply(&mut store, 1, &Op::Create(pairs("t")).encode(), 9);
    let set = |id: i64, read_at: u64, change: RowChange| {
        Op::WriteSet(WriteSet {
            read_at: Seqno(read_at),
            tables: vec![(TableId(1), 1)],
            rows: vec![RowOp { table: 0, key: key_of(id), read_at: Seqno(read_at), change }],
            ..WriteSet::default()
        })
        .encode()
    };
    let mut n = 1;
    for id in 1..=5 {
        let row = row::encode(&[id.into(), 0.into()]);
        let insert = set(id, n, RowChange::Insert(row.clone().into()));
        let delete = set(id, n + 1, RowChange::Delete { before: row::hash(&row) });
        for op in [insert, delete] {
            n += 1;
            assert_eq!(apply(&mut store, n, &op, 9), Verdict::done(Seqno(n)));
        }
    }
    // Deletes at 3, 5, 7, 9, 11; three of 9 + 16 bytes are kept.
    assert_eq!(store.horizon(), Seqno(5));
    let late = set(1, 4, RowChange::Insert(row::encode(&[1.into(), 1.into()]).into()));
    assert_eq!(
        apply(&mut store, n + 1, &late, 9),
        Verdict::Refused(Error::TooOld { read_at: Seqno(4), horizon: Seqno(5) })
    );
    let fresh = set(1, 5, RowChange::Insert(row::encode(&[1.into(), 1.into()]).into()));
    assert_eq!(apply(&mut store, n + 2, &fresh, 9), Verdict::done(Seqno(n + 2)));
}
