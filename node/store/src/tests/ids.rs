//! Ids over three nodes, crashes and deletes.

use super::kit::*;
use crate::*;
use plait_base::Seqno;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn insert_id(cluster: &mut Cluster, node: u8, table: &str) -> i64 {
    let mut session = cluster.session(node);
    let reply = cluster.run(&mut session, vec![insert_new(table, 0)]).expect("a new row has a new id");
    match &reply.results[0] {
        StepResult::Done(done) => done.insert_id,
        StepResult::Rows(_) => panic!("no rows were expected"),
    }
}

/// The pattern of Galera's own description of steps and offsets.
#[test]
fn ids_read_as_those_of_a_galera_cluster() {
    let mut cluster = Cluster::with(&[numbered("t")]);
    let mut take = |node, n| (0..n).map(|_| insert_id(&mut cluster, node, "t")).collect::<Vec<_>>();
    assert_eq!(take(3, 3), [3, 6, 9]);
    assert_eq!(take(1, 3), [10, 13, 16]);
    assert_eq!(take(2, 2), [17, 20]);
}

#[test]
fn an_id_is_not_used_again_after_delete_and_restart() {
    let mut cluster = Cluster::with(&[numbered("t")]);
    let first = insert_id(&mut cluster, 1, "t");
    let mut session = cluster.session(1);
    cluster.run(&mut session, vec![delete("t", first)]).expect("it is there");
    cluster.nodes[0].local = Local::new(slot(1));
    let second = insert_id(&mut cluster, 1, "t");
    assert_eq!(second, 1 + 3 * 1000, "the block of the first life is spent");
    // Chosen by hand, deleted, and then the state was exported and imported: the mark remembers.
    cluster.run(&mut session, vec![insert("t", 9001, 0)]).expect("it is free");
    cluster.run(&mut session, vec![delete("t", 9001)]).expect("it is there");
    for node in &mut cluster.nodes {
        let store = &node.store;
        let chunk = store.export(store.applied(), Seqno::ZERO, &[], 1 << 20, &mut 1000);
        let mut importer = Importer::new(Settings::default(), 1);
        for (key, value) in chunk.rows {
            importer.row(&key, &value.expect("a whole export removes nothing")).expect("it is sound");
        }
        node.store = importer.finish(&store.head()).expect("digests agree");
        node.local = Local::new(slot(1));
    }
    assert_eq!(insert_id(&mut cluster, 1, "t"), 9004);
}

#[test]
fn a_table_made_anew_begins_anew() {
    let mut cluster = Cluster::with(&[numbered("t")]);
    assert_eq!(insert_id(&mut cluster, 2, "t"), 2);
    let mut session = cluster.session(2);
    let drop = Request::DropTable { name: "t".into(), if_exists: false };
    cluster.ask(&mut session, drop).reply.expect("it is there");
    cluster.ask(&mut session, Request::CreateTable(numbered("t").into())).reply.expect("the name is free");
    assert_eq!(insert_id(&mut cluster, 2, "t"), 2);
}

#[test]
fn ids_end_with_an_error_and_not_with_a_duplicate() {
    let mut cluster = Cluster::with(&[numbered("t")]);
    let mut session = cluster.session(1);
    cluster.run(&mut session, vec![insert("t", i64::MAX - 3, 0)]).expect("it is free");
    // i64::MAX is in the class of slot 1 and is the last of it.
    assert_eq!(i64::MAX % 3, 1);
    assert_eq!(insert_id(&mut cluster, 1, "t"), i64::MAX);
    let error = cluster.run(&mut session, vec![insert_new("t", 0)]).expect_err("there are no more");
    assert!(error.to_string().contains("no more ids"), "{error}");
}

#[test]
fn rows_without_a_key_get_hidden_ones() {
    let def = TableDef { primary: vec![], ..pairs("t") };
    let mut cluster = Cluster::with(&[def]);
    for node in [1, 2, 3, 1] {
        let mut session = cluster.session(node);
        cluster.run(&mut session, vec![insert("t", 7, 7)]).expect("equal rows may stand beside each other");
    }
    let mut session = cluster.session(3);
    let reply = cluster.run(&mut session, vec![scan("t")]).expect("it is there");
    assert_eq!(pairs_of(&reply.results[0]), [(7, 7); 4]);
}

#[derive(Debug, Clone)]
enum Deed {
    Insert(u8),
    InsertGiven(u8, i64),
    DeleteAll,
    Restart(u8),
    Reimport(u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (1..=3_u8).prop_map(Deed::Insert),
        2 => (1..=3_u8, 1..60_i64).prop_map(|(n, id)| Deed::InsertGiven(n, id)),
        1 => Just(Deed::DeleteAll),
        1 => (1..=3_u8).prop_map(Deed::Restart),
        1 => (1..=3_u8).prop_map(Deed::Reimport),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_id_is_handed_out_twice_nor_outside_its_class(deeds in proptest::collection::vec(deed(), 1..60)) {
        plant();
        let mut cluster = Cluster::new(Settings { id_block: 4, ..Settings::default() });
        let mut session = cluster.session(1);
        prop_assert!(cluster.ask(&mut session, Request::CreateTable(numbered("t").into())).reply.is_ok());
        let mut used = BTreeSet::new();
        for deed in deeds {
            match deed {
                Deed::Insert(node) => {
                    let id = insert_id(&mut cluster, node, "t");
                    prop_assert_eq!(id.rem_euclid(3), i64::from(node % 3));
                    prop_assert!(used.insert(id), "{} was used before", id);
                }
                Deed::InsertGiven(node, id) => {
                    let mut session = cluster.session(node);
                    if cluster.run(&mut session, vec![insert("t", id, 0)]).is_ok() {
                        used.insert(id);
                    }
                }
                Deed::DeleteAll => {
                    let reply = cluster.run(&mut session, vec![scan("t")]).expect("it is there");
                    let steps = pairs_of(&reply.results[0]).iter().map(|(id, _)| delete("t", *id)).collect();
                    prop_assert!(cluster.run(&mut session, steps).is_ok());
                }
                Deed::Restart(node) => cluster.nodes[usize::from(node) - 1].local = Local::new(slot(node)),
                Deed::Reimport(node) => {
                    let node = &mut cluster.nodes[usize::from(node) - 1];
                    let store = &node.store;
                    let chunk = store.export(store.applied(), Seqno::ZERO, &[], 1 << 20, &mut 10_000);
                    let mut importer = Importer::new(Settings::default(), 1);
                    for (key, value) in chunk.rows {
                        let value = value.expect("a whole export removes nothing");
                        prop_assert_eq!(importer.row(&key, &value), Ok(()));
                    }
                    node.store = importer.finish(&store.head()).expect("digests agree");
                    node.local = Local::new(node.local.slot());
                }
            }
        }
    }
}
