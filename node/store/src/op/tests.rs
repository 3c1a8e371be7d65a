//! The bytes of an ordered operation: they come back, and no bytes harm the reader.

use super::*;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from)
}

fn write_set() -> impl Strategy<Value = Op> {
    let row = (0..2_usize, bytes(), 0..9_u64, bytes(), any::<u64>(), 0..3_u8).prop_map(
        |(table, key, delta, value, before, kind)| RowOp {
            table,
            key,
            read_at: Seqno(100 + delta),
            change: match kind {
                0 => RowChange::Insert(value),
                1 => RowChange::Update { before, cells: vec![(3, value.clone()), (7, value)] },
                _ => RowChange::Delete { before },
            },
        },
    );
    let read = (0..2_usize, bytes(), 0..9_u64, any::<bool>()).prop_map(|(table, key, delta, held)| ReadKey {
        table,
        key,
        read_at: Seqno(100 + delta),
        held,
    });
    let range =
        (0..2_usize, proptest::option::of(0..3_usize), bytes(), proptest::option::of(bytes()), 0..9_u64)
            .prop_map(|(table, index, from, to, delta)| ReadRange {
                table,
                index,
                from,
                to,
                read_at: Seqno(100 + delta),
            });
    (
        proptest::collection::vec(row, 0..5),
        proptest::collection::vec(read, 0..5),
        proptest::collection::vec(range, 0..5),
    )
        .prop_map(|(rows, reads, ranges)| {
            let tables = vec![(TableId(1), 1), (TableId(70_000), 3)];
            Op::WriteSet(WriteSet { read_at: Seqno(100), tables, rows, reads, ranges })
        })
}

proptest! {
    #[test]
    fn a_write_set_comes_back(op in write_set()) {
        prop_assert_eq!(Op::decode(&op.encode()), Ok(op));
    }

    #[test]
    fn no_bytes_panic_the_decoder(bytes: Vec<u8>, kind in 1..7_u8) {
        let _ = Op::decode(&Bytes::from(bytes.clone()));
        let _ = Op::decode(&Bytes::from([vec![VERSION, kind], bytes].concat()));
    }

    #[test]
    fn no_cut_write_set_is_taken_for_a_whole_one(op in write_set(), at: usize) {
        let whole = op.encode();
        prop_assert!(Op::decode(&whole.slice(..at % whole.len())).is_err());
    }
}

#[test]
fn the_others_come_back() {
    let def = TableDef {
        name: "t".into(),
        columns: vec![
            Column {
                name: "id".into(),
                kind: ColumnType::Int { bits: 64 },
                form: Form::Width(3),
                nullable: false,
                ..Column::default()
            },
            Column {
                name: "name".into(),
                kind: ColumnType::Text { chars_max: 20 },
                nullable: true,
                form: Form::Fixed,
                comment: "é".into(),
                default: Some("x".into()),
                members: Some(Arc::new(Members { names: vec!["x".into(), "y".into()], set: true })),
            },
            Column {
                name: "b".into(),
                kind: ColumnType::Bytes { bytes_max: 9 },
                nullable: true,
                ..Column::default()
            },
        ],
        primary: vec![0, 2],
        auto_increment: Some(0),
        indexes: vec![IndexDef {
            name: "k".into(),
            parts: vec![IndexPart { column: 1, prefix: 9, desc: true }, IndexPart::default()],
            unique: true,
            comment: "of a key".into(),
        }],
        stamps: Vec::new(),
        foreign: vec![ForeignKey {
            name: "f".into(),
            columns: vec![0, 1],
            parent: "p".into(),
            parent_columns: vec!["a".into(), "b".into()],
            on_delete: Referential::SetNull,
            on_update: Referential::Cascade,
        }],
        checks: vec![
            Check { name: "b".into(), column: Some(2), condition: "`b` <> ''".into() },
            Check { name: "c".into(), column: None, condition: "`id` > 0".into() },
        ],
        query: Some("SELECT 1".into()),
        comment: "of a table".into(),
        if_not_exists: true,
        unchecked: true,
        ids_from: 9,
    };
    let cells = vec![Source::Column(1), Source::Value("x".into()), Source::Value(Value::Null)];
    let alter = |cells| Alter { table: TableId(7), schema_version: 3, def: def.clone(), cells };
    for op in [
        Op::Alter(alter(Some(cells))),
        Op::Alter(alter(None)),
        Op::Create(def.clone()),
        Op::Add(Add {
            table: TableId(300),
            schema_version: 2,
            key: Bytes::from_static(b"k"),
            by: vec![(1, -1), (4, i64::MAX)],
            stamps: vec![(2, Bytes::from_static(b"v"))],
        }),
        Op::Drop(Drop {
            name: "t".into(),
            if_exists: true,
            along: vec!["t".into(), "u".into()],
            unchecked: true,
            view: true,
        }),
        Op::Reserve { table: TableId(4), slot: Slot::ALL[1], above: -5, count: 1000 },
    ] {
        assert_eq!(Op::decode(&op.encode()), Ok(op));
    }
}

/// The bytes of format 3. If this changes, `plait_base::FORMAT` changes too.
#[test]
fn the_bytes_are_these() {
    let op = Op::WriteSet(WriteSet {
        read_at: Seqno(300),
        tables: vec![(TableId(2), 1)],
        rows: vec![
            RowOp {
                table: 0,
                key: Bytes::from_static(b"k"),
                read_at: Seqno(300),
                change: RowChange::Update { before: 0x0102, cells: vec![(1, Bytes::from_static(b"v"))] },
            },
            RowOp {
                table: 0,
                key: Bytes::from_static(b"l"),
                read_at: Seqno(305),
                change: RowChange::Insert(Bytes::from_static(b"row")),
            },
        ],
        reads: vec![ReadKey { table: 0, key: Bytes::from_static(b"m"), read_at: Seqno(301), held: true }],
        ranges: vec![ReadRange {
            table: 0,
            index: None,
            from: Bytes::from_static(b"a"),
            to: None,
            read_at: Seqno(300),
        }],
    });
    let hex: String = op.encode().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        concat!(
            "0201",
            "ac02",
            "010201", // version, kind; read_at; one table
            "02",
            "00016b00",
            "020201000000000000",
            "01010176", // two rows; an update of one cell
            "00016c05",
            "0103726f77", // an insert, read five later
            "0100016d0101",
            "010000016100",
            "00", // a read; a range without end
        )
    );
}
