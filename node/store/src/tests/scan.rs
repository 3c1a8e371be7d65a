//! Walks over ranges: what a transaction sees there, and what it answers for.

use super::kit::*;
use crate::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The store's rows, deletes and all, with a transaction's own laid over, in slices of any size.
    #[test]
    fn a_walk_sees_the_snapshot_with_the_own_writes_over_it(
        before in proptest::collection::vec((0..12_i64, proptest::option::of(0..9_i64)), 0..20),
        own in proptest::collection::vec((0..12_i64, proptest::option::of(0..9_i64)), 0..12),
        after in proptest::collection::vec((0..12_i64, proptest::option::of(0..9_i64)), 0..6),
        from in proptest::option::of(0..13_i64),
        to in proptest::option::of(0..13_i64),
        slice in 1..6_u32,
        stop_every in 1..5_usize,
    ) {
        let mut cluster = Cluster::with(&[pairs("t")]);
        let mut session = cluster.session(1);
        let step = |(id, v): &(i64, Option<i64>)| match v {
            Some(v) => put("t", *id, *v),
            None => delete("t", *id),
        };
        let mut model = BTreeMap::new();
        let play = |model: &mut BTreeMap<i64, i64>, (id, v): &(i64, Option<i64>)| match v {
            Some(v) => drop(model.insert(*id, *v)),
            None => drop(model.remove(id)),
        };
        for deed in &before {
            prop_assert!(cluster.run(&mut session, vec![step(deed)]).is_ok());
            play(&mut model, deed);
        }
        let mut txn = Txn::new(Isolation::RepeatableRead);
        let store = &cluster.nodes[0].store;
        txn.statement(store, &Ok(())).expect("it may read");
        let info = txn.table(store, "t").expect("it is there");
        for deed in &own {
            let key = key::encode(&[deed.0.into()]);
            match deed.1 {
                Some(v) => drop(txn.put(store, &info, key, &[deed.0.into(), v.into()]).expect("it is free")),
                None => drop(txn.delete(store, &info, key).expect("it is free")),
            }
            play(&mut model, deed);
        }
        for deed in &after {
            prop_assert!(cluster.run(&mut session, vec![step(deed)]).is_ok());
        }
        let store = &cluster.nodes[0].store;
        let bound = |id: Option<i64>| id.map(|id| key::encode(&[id.into()]));
        let mut scan = Scan::new(info, bound(from).unwrap_or_default(), bound(to), false);
        let mut seen = Vec::new();
        loop {
            let mut shown = 0;
            let walk = txn.walk(store, &mut scan, &mut { slice }, &mut |_, row| {
                let row = row::kept(row);
                seen.push((row[0].clone(), row[1].clone()));
                shown += 1;
                if shown == stop_every { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if walk == Ok(Walk::End) {
                break;
            }
            prop_assert!(walk.is_ok());
        }
        let within = |id: &i64| from.is_none_or(|from| *id >= from) && to.is_none_or(|to| *id < to);
        let expected: Vec<(Value, Value)> = model
            .into_iter()
            .filter(|(id, _)| within(id))
            .map(|(id, v)| (id.into(), v.into()))
            .collect();
        prop_assert_eq!(seen, expected);
    }
}

/// More reads than are certified one by one: the span that they lie in answers for them, and nothing outside does.
#[test]
fn many_reads_are_certified_as_a_span() {
    for (outside, id) in [(false, 5_001), (true, 30_000)] {
        let mut cluster = Cluster::with(&[pairs("t")]);
        let (mut a, mut b) = (cluster.session(1), cluster.session(2));
        cluster.begin(&mut a, Isolation::Serializable);
        // Even ids alone: the odd ones between them are in the span.
        let reads = (0..10_500).map(|n| get("t", n * 2)).collect();
        cluster.run(&mut a, reads).expect("it may read");
        cluster.run(&mut a, vec![put("t", -1, 0)]).expect("nobody is in its way");
        cluster.run(&mut b, vec![put("t", id, 0)]).expect("nobody is in its way");
        assert_eq!(cluster.commit(&mut a).is_ok(), outside);
    }
}

#[test]
fn the_parts_of_a_key_are_scanned_by_prefix() {
    let def = TableDef { columns: vec![int("a"), int("b"), int("v")], primary: vec![0, 1], ..pairs("t") };
    let mut cluster = Cluster::with(&[def]);
    let mut a = cluster.session(1);
    let steps = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]
        .into_iter()
        .map(|(x, y)| Step::Insert { table: "t".into(), row: vec![x.into(), y.into(), 0.into()] });
    cluster.run(&mut a, steps.collect()).expect("the table is empty");
    let mut look = |from: Vec<Value>, to: Vec<Value>, limit| {
        let step = Step::Scan { table: "t".into(), from, to, limit, lock: false };
        pairs_of(&cluster.run(&mut a, vec![step]).expect("it may read").results[0])
    };
    assert_eq!(look(vec![2.into()], vec![3.into()], 0), [(2, 1), (2, 2)]);
    assert_eq!(look(vec![1.into(), 2.into()], vec![2.into(), 2.into()], 0), [(1, 2), (2, 1)]);
    assert_eq!(look(vec![], vec![], 2), [(1, 1), (1, 2)]);
    assert_eq!(look(vec![3.into()], vec![2.into()], 0), []);
}
