//! Exports: whole and incremental, while the store goes on.

use super::kit::*;
use crate::*;
use plait_base::{Bytes, Seqno, SetHash};
use proptest::prelude::*;
use std::collections::BTreeMap;

type State = BTreeMap<Bytes, Bytes>;

fn digest(state: &State) -> plait_base::Digest {
    let mut hash = SetHash::default();
    state.iter().for_each(|(key, value)| hash.add(key, value));
    hash.digest()
}

/// One step of what happens beside an export.
#[derive(Debug, Clone)]
enum Deed {
    Put(i64, i64),
    Delete(i64),
    InsertNew(i64),
    Drop,
    Create,
    Collect,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..8_i64, any::<i64>()).prop_map(|(id, v)| Deed::Put(id, v)),
        4 => (0..8_i64).prop_map(Deed::Delete),
        1 => (0..9_i64).prop_map(Deed::InsertNew),
        1 => Just(Deed::Drop),
        1 => Just(Deed::Create),
        2 => Just(Deed::Collect),
    ]
}

fn do_it(cluster: &mut Cluster, deed: &Deed, oldest: Seqno, kept: Seqno) {
    let mut session = cluster.session(1);
    let request = match deed {
        Deed::Put(id, v) => Request::Run(vec![put("t", *id, *v)]),
        Deed::Delete(id) => Request::Run(vec![delete("t", *id)]),
        Deed::InsertNew(v) => Request::Run(vec![insert_new("n", *v)]),
        Deed::Drop => Request::DropTable { name: "t".into(), if_exists: true },
        Deed::Create => Request::CreateTable(TableDef { if_not_exists: true, ..pairs("t") }.into()),
        Deed::Collect => {
            for node in &mut cluster.nodes {
                node.store.forget_removed(kept);
                while node.store.collect(oldest, &mut 2) {}
            }
            return;
        }
    };
    let answer = cluster.ask(&mut session, request);
    assert!(matches!(answer.reply, Ok(_) | Err(Error::NoTable { .. })), "{:?}", answer.reply);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Two generations, written in turn as checkpoints are, each over the one before the last, while operations go
    /// on; each hashes to the digest of its position and opens as the same store.
    #[test]
    fn an_incremental_export_makes_the_same_state_as_a_whole_one(
        rounds in proptest::collection::vec(
            (proptest::collection::vec(deed(), 0..12), proptest::collection::vec(deed(), 0..6), 1..9_u32),
            1..6,
        ),
    ) {
        let settings = Settings { tombstone_seqnos_max: 6, ..Settings::default() };
        let mut cluster = Cluster::new(settings);
        let mut session = cluster.session(1);
        for def in [pairs("t"), numbered("n")] {
            prop_assert!(cluster.ask(&mut session, Request::CreateTable(def.into())).reply.is_ok());
        }
        let mut generations: [(Seqno, State); 2] = [(Seqno::ZERO, State::new()), (Seqno::ZERO, State::new())];
        for (round, (before, during, slice)) in rounds.iter().enumerate() {
            for deed in before {
                let kept = generations.iter().map(|(at, _)| *at).min().expect("there are two");
                let applied = cluster.nodes[0].store.applied();
                do_it(&mut cluster, deed, applied, kept);
            }
            let node = &cluster.nodes[0];
            let (at, head) = (node.store.applied(), node.store.head());
            let (expected, chain) = (node.store.state_digest(), node.store.chain());
            let (since, mut state) = generations[round % 2].clone();
            let mut cursor = Vec::new();
            let mut during = during.iter();
            loop {
                let chunk = cluster.nodes[0].store.export(at, since, &cursor, 60, &mut { *slice });
                for (key, value) in chunk.rows {
                    match value {
                        Some(value) => drop(state.insert(key, value)),
                        None => drop(state.remove(&key)),
                    }
                }
                let Some(next) = chunk.next else { break };
                cursor = next;
                if let Some(deed) = during.next() {
                    do_it(&mut cluster, deed, at, since);
                }
            }
            prop_assert_eq!(digest(&state), expected, "generation {} at {} over {}", round, at, since);
            let mut importer = Importer::new(Settings::default(), 3);
            for (key, value) in &state {
                prop_assert_eq!(importer.row(key, value), Ok(()));
            }
            let opened = importer.finish(&head);
            let opened = match opened {
                Ok(store) => store,
                Err(why) => return Err(TestCaseError::fail(why)),
            };
            prop_assert_eq!((opened.applied(), opened.chain(), opened.head()), (at, chain, head));
            generations[round % 2] = (at, state);
        }
    }
}

#[test]
fn a_head_or_row_that_was_touched_is_refused() {
    let mut cluster = Cluster::with(&[pairs("t")]);
    let mut session = cluster.session(1);
    cluster.run(&mut session, vec![put("t", 1, 2)]).expect("nothing is in its way");
    let store = &cluster.nodes[0].store;
    let chunk = store.export(store.applied(), Seqno::ZERO, &[], 1 << 20, &mut 1000);
    assert_eq!(chunk.next, None);
    let head = store.head();
    let import = |head: &[u8], value: &dyn Fn(usize, &[u8]) -> Vec<u8>| -> Result<Store, String> {
        let mut importer = Importer::new(Settings::default(), 3);
        for (at, (key, row)) in chunk.rows.iter().enumerate() {
            let row = row.as_ref().expect("a whole export removes nothing");
            importer.row(key, &value(at, row)).map_err(|error| error.to_string())?;
        }
        importer.finish(head)
    };
    assert!(import(&head, &|_, row| row.to_vec()).is_ok());
    for at in 0..head.len() {
        let mut bad = head.to_vec();
        bad[at] ^= 1;
        assert!(import(&bad, &|_, row| row.to_vec()).is_err(), "byte {at} of the head");
    }
    for row in 0..chunk.rows.len() {
        for at in 0..chunk.rows[row].1.as_ref().map_or(0, Bytes::len) {
            let spoil = |n: usize, value: &[u8]| {
                let mut value = value.to_vec();
                if n == row {
                    value[at] ^= 1;
                }
                value
            };
            assert!(import(&head, &spoil).is_err(), "byte {at} of row {row}");
        }
    }
    assert_eq!(head_seqno(&head), Some(store.applied()));
    assert_eq!(head_seqno(&head[1..]), None);
}
