//! Rows that go out as they are kept are those that come out when every cell is looked at, in the same order.
//!
//! What is asked of a table directly is also asked of the same rows as a derived table, whose cells are values. In the
//! range are rows that another session committed, and rows that the asking one wrote, changed and deleted itself.

use super::{Node, rows};
use crate::StepResult;
use proptest::prelude::*;

/// Texts that are near each other: case, accents, blanks at the end and before it, a byte of zero.
const TEXTS: &[&str] =
    &["a", "A", "a ", "a  ", " a", "", " ", "é", "e", "É", "éa", "日本", "ab", "aB", "b", "a\u{1}", "a!"];

fn text(n: i64) -> &'static str {
    TEXTS[n.rem_euclid(TEXTS.len() as i64) as usize]
}

/// Rows of ids 0 to 59, some of them this session's own and not committed.
fn node(slice: u32) -> Node {
    let mut node = Node::new(slice);
    rows(
        &mut node,
        "CREATE TABLE t (id INT PRIMARY KEY, k INT, c VARCHAR(9), d CHAR(4), u BIGINT UNSIGNED, n DECIMAL(6,2), \
         m ENUM('z','y'), KEY (k))",
    );
    let insert = |node: &mut Node, id: i64| {
        let k = if id % 7 == 0 { "NULL".to_owned() } else { (id % 5).to_string() };
        let c = if id % 11 == 0 { "NULL".to_owned() } else { format!("'{}'", text(id)) };
        let u = if id % 2 == 0 { "18446744073709551615" } else { "3" };
        let values = format!(
            "{id}, {k}, {c}, '{}', {u}, {}, '{}'",
            text(id * 3).trim_end(),
            id % 4,
            ["z", "y"][id as usize % 2]
        );
        rows(node, &format!("INSERT INTO t VALUES ({values})"));
    };
    (0..60).filter(|id| id % 10 != 4).for_each(|id| insert(&mut node, id));
    rows(&mut node, "BEGIN");
    (0..60).filter(|id| id % 10 == 4).for_each(|id| insert(&mut node, id));
    rows(&mut node, "UPDATE t SET c = 'B ', k = 9 WHERE id IN (7, 23, 30)");
    rows(&mut node, "DELETE FROM t WHERE id IN (12, 31)");
    node
}

fn shown(node: &mut Node, text: &str) -> Vec<Vec<String>> {
    match rows(node, text).remove(0) {
        StepResult::Rows(rows) => {
            rows.rows.values().iter().map(|row| row.iter().map(|cell| format!("{cell}|")).collect()).collect()
        }
        StepResult::Done(_) => panic!("rows were asked for"),
    }
}

fn condition() -> impl Strategy<Value = String> {
    let bound = -2..62_i64;
    prop_oneof![
        Just("TRUE".to_owned()),
        (bound.clone(), bound.clone()).prop_map(|(a, b)| format!("id BETWEEN {a} AND {b}")),
        (bound.clone(), bound.clone()).prop_map(|(a, b)| format!("id >= {a} AND {b} > id AND c <> 'b'")),
        bound.clone().prop_map(|a| format!("id = {a}")),
        (bound.clone(), bound).prop_map(|(a, b)| format!("id IN ({a}, {b}, 4) AND id > {a}")),
        (0..10_i64).prop_map(|k| format!("k = {k} AND c IS NOT NULL")),
        (0..5_i64).prop_map(|k| format!("k < {k}")),
        (0..5_i64).prop_map(|k| format!("k <= {k} AND k <> 2 AND id > 10.5")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn rows_go_out_as_if_they_were_looked_at(
        condition in condition(),
        items in prop_oneof![Just("c"), Just("d"), Just("id, c"), Just("c, k"), Just("k"), Just("u, c"), Just("n"), Just("m"), Just("*")],
        distinct: bool,
        order in prop_oneof![
            Just(""), Just("ORDER BY c"), Just("ORDER BY c DESC"), Just("ORDER BY d, c DESC"), Just("ORDER BY k, c"),
            Just("ORDER BY u DESC, c"), Just("ORDER BY n, id DESC"), Just("ORDER BY m, id"), Just("ORDER BY id"), Just("ORDER BY k DESC"),
        ],
        limit in proptest::option::of((0..20_u32, 0..5_u32)),
        slice in prop_oneof![Just(1_u32), Just(7), Just(1000)],
    ) {
        let mut node = node(slice);
        let distinct = if distinct { "DISTINCT " } else { "" };
        let limit = limit.map_or_else(String::new, |(limit, skip)| format!("LIMIT {limit} OFFSET {skip}"));
        // A key gives rows in its own order: of those, the derived table has them too.
        let direct = format!("SELECT {distinct}{items} FROM t WHERE {condition} {order} {limit}");
        let looked = format!("SELECT {distinct}{items} FROM (SELECT * FROM t WHERE {condition}) AS t {order} {limit}");
        prop_assert_eq!(shown(&mut node, &direct), shown(&mut node, &looked), "{}", direct);
    }
}

/// More rows than are sorted in one go come out in the same order, however small the slices are.
#[test]
fn many_rows_are_sorted_as_few_are() {
    let mut all = Vec::new();
    for slice in [1, 1000] {
        let mut node = Node::new(slice);
        rows(&mut node, "CREATE TABLE t (id INT PRIMARY KEY, k INT, c VARCHAR(200))");
        for from in (0..3000_i64).step_by(500) {
            let row = |id: i64| {
                format!("({id}, {}, '{}{}')", id * 37 % 50, text(id), "x".repeat(id as usize % 150))
            };
            let list: Vec<_> = (from..from + 500).map(row).collect();
            rows(&mut node, &format!("INSERT INTO t VALUES {}", list.join(", ")));
        }
        let texts = [
            "SELECT c, id FROM t ORDER BY c",
            "SELECT DISTINCT c FROM t ORDER BY c DESC",
            "SELECT DISTINCT k FROM t ORDER BY k LIMIT 20 OFFSET 5",
            "SELECT c FROM t ORDER BY k, c LIMIT 30 OFFSET 2",
            "SELECT DISTINCT k FROM t",
        ];
        let mut found = Vec::new();
        for text in texts {
            let looked = text.replace("FROM t", "FROM (SELECT * FROM t) AS t");
            let direct = shown(&mut node, text);
            assert_eq!(direct, shown(&mut node, &looked), "{text}");
            found.push(direct);
        }
        all.push(found);
    }
    assert_eq!(all[0], all[1]);
    assert_eq!((all[0][0].len(), all[0][2].len()), (3000, 20));
}
