//! Transactions made of micro-operations on one table `(id, val)`: what Elle's workloads have in common.

use crate::settings::Isolation;
use crate::txn::{Begin, Do, Got, Rows, Script, Txn, number, one_cell};
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Micro {
    Append(u64, u64),
    /// Of a list or of a register, as the table is.
    Read(u64),
    /// Writes a register, whether or not its row is there.
    Write(u64, u64),
    /// Makes a row that never was.
    Insert(u64, u64),
    /// Changes a row that is there.
    Change(u64, u64),
    /// Takes away a row that is there.
    Delete(u64),
    /// The rows whose value lies between, both ends included.
    Between(u64, u64),
}

impl Micro {
    fn only_reads(&self) -> bool {
        matches!(self, Micro::Read(_) | Micro::Between(..))
    }

    fn json(&self, seen: Value) -> Value {
        match self {
            Micro::Append(key, value) => json!(["append", key, value]),
            Micro::Read(key) => json!(["r", key, seen]),
            Micro::Write(key, value) | Micro::Change(key, value) => json!(["w", key, value]),
            Micro::Insert(key, value) => json!(["insert", key, value]),
            Micro::Delete(key) => json!(["delete", key]),
            Micro::Between(lo, hi) => json!(["rp", ["between", lo, hi], seen]),
        }
    }
}

/// What a value of the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Numbers with commas between them.
    List,
    Register,
}

#[derive(Debug, Clone, Copy)]
pub struct Table {
    pub name: &'static str,
    pub cell: Cell,
}

#[derive(Debug)]
pub struct Micros {
    table: Table,
    ops: Vec<Micro>,
    /// Single-row reads are FOR UPDATE.
    lock: bool,
    seen: Vec<Value>,
}

/// A transaction of these, in this order.
pub fn txn(table: Table, ops: Vec<Micro>, lock: bool, begin: Begin, isolation: Isolation) -> Txn {
    assert!(
        begin == Begin::Transaction || ops.len() == 1,
        "several statements need a transaction around them"
    );
    let value = ops.iter().map(|op| op.json(Value::Null)).collect();
    let reads_only = ops.iter().all(Micro::only_reads);
    let script = Box::new(Micros { table, ops, lock, seen: Vec::new() });
    Txn { begin, isolation, f: "txn", value: Value::Array(value), reads_only, script }
}

impl Micros {
    fn sql(&self, op: &Micro) -> String {
        let table = self.table.name;
        let lock = if self.lock { " FOR UPDATE" } else { "" };
        match (op, self.table.cell) {
            (Micro::Append(key, value), _) => format!(
                "INSERT INTO {table} (id, val) VALUES ({key}, '{value}') ON DUPLICATE KEY UPDATE val = CONCAT(val, ',', '{value}')"
            ),
            (Micro::Read(key), _) => format!("SELECT val FROM {table} WHERE id = {key}{lock}"),
            (Micro::Write(key, value), _) => format!(
                "INSERT INTO {table} (id, val) VALUES ({key}, {value}) ON DUPLICATE KEY UPDATE val = {value}"
            ),
            (Micro::Insert(key, value), _) => {
                format!("INSERT INTO {table} (id, val) VALUES ({key}, {value})")
            }
            (Micro::Change(key, value), _) => format!("UPDATE {table} SET val = {value} WHERE id = {key}"),
            (Micro::Delete(key), _) => format!("DELETE FROM {table} WHERE id = {key}"),
            (Micro::Between(lo, hi), _) => {
                format!("SELECT id, val FROM {table} WHERE val BETWEEN {lo} AND {hi}")
            }
        }
    }

    fn saw(&self, op: &Micro, got: &Got) -> Value {
        match op {
            Micro::Between(..) => pairs(&got.rows),
            Micro::Read(_) => match (one_cell(&got.rows), self.table.cell) {
                (Err(odd), _) => odd,
                (Ok(None), _) => Value::Null,
                (Ok(cell), Cell::Register) => number(cell),
                (Ok(Some(text)), Cell::List) => text.split(',').map(|item| number(Some(item))).collect(),
            },
            _ => Value::Null,
        }
    }
}

impl Script for Micros {
    fn step(&mut self, last: Option<&Got>) -> Do {
        if let Some(got) = last {
            let op = self.ops[self.seen.len()];
            // It did nothing, so that it must not be told as if it had.
            if matches!(op, Micro::Change(..) | Micro::Delete(_)) && got.affected == 0 {
                return Do::Rollback(format!("there is no row for {}", op.json(Value::Null)));
            }
            self.seen.push(self.saw(&op, got));
        }
        match self.ops.get(self.seen.len()) {
            Some(op) => Do::Sql(self.sql(op)),
            None => Do::Commit,
        }
    }

    fn value(&mut self) -> Value {
        self.ops.iter().zip(std::mem::take(&mut self.seen)).map(|(op, seen)| op.json(seen)).collect()
    }
}

/// `{"key": value, …}` in the order of the keys.
pub fn pairs(rows: &Rows) -> Value {
    let mut found: Vec<(Value, Value)> = Vec::new();
    for row in rows {
        match row.as_slice() {
            [key, value] => found.push((number(key.as_deref()), number(value.as_deref()))),
            odd => return Value::from(format!("a row of {} columns where two were asked for", odd.len())),
        }
    }
    found.sort_by_key(|(key, _)| (key.as_i64(), key.to_string()));
    let mut map = Map::new();
    for (key, value) in found {
        let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        if map.insert(name.clone(), value).is_some() {
            return Value::from(format!("the key {name} was found twice"));
        }
    }
    Value::Object(map)
}
