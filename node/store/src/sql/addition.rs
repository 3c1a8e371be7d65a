//! Which UPDATE may be ordered as a statement: one that adds constants to columns of the row with a given key.
//!
//! `UPDATE t SET n = n + 1 WHERE id = 7`, by itself, reads nothing that anybody could change under it, if its row is
//! read where it is ordered. So hot counters lose against nobody.

use super::convert::now;
use super::datum::Datum;
use super::expr::{Arith, Comparison, Expr};
use super::function::UNSIGNED;
use super::insert::Assigned;
use super::vars::Vars;
use crate::add::may_add;
use crate::key;
use crate::op::Add;
use crate::request::{ColumnType, Done, StepResult};
use crate::row;
use crate::table::TableInfo;
use crate::value::Value;
use plait_base::{Bytes, Wall};

/// The addition that a planned UPDATE is; `None`: it is something else, or more.
pub fn addition(
    info: &TableInfo,
    filter: Option<&Expr>,
    set: &[(usize, Assigned)],
    wall: Wall,
) -> Option<Add> {
    let key = point(info, filter?)?;
    let mut by = Vec::with_capacity(set.len());
    for (at, value) in set {
        let (arith, sides) = sum(value)?;
        let amount = match (arith, sides) {
            (Arith::Add, [Expr::Column(from), Expr::Const(Datum::Int(n))])
            | (Arith::Add, [Expr::Const(Datum::Int(n)), Expr::Column(from)])
                if from == at =>
            {
                *n
            }
            (Arith::Sub, [Expr::Column(from), Expr::Const(Datum::Int(n))]) if from == at => {
                n.checked_neg()?
            }
            _ => return None,
        };
        if !may_add(info, *at) || by.iter().any(|(other, _)| other == at) {
            return None;
        }
        by.push((*at, amount));
    }
    by.sort_unstable();
    let stamps = info.def.stamps.iter().filter(|stamp| stamp.on_update);
    let stamp = |column: usize| {
        let cell = row::encode(&[Value::Text(now(info.def.columns[column].kind, wall))]);
        (column, Bytes::from(cell))
    };
    Some(Add {
        table: info.id,
        schema_version: info.schema_version,
        key: Bytes::from(key),
        by,
        stamps: stamps.map(|at| stamp(at.column)).collect(),
    })
}

/// The sum that is assigned. That of an unsigned column is asked to be one too, which its column does as well.
fn sum(value: &Assigned) -> Option<(Arith, &[Expr; 2])> {
    let Assigned::Of(expr) = value else { return None };
    let mut expr = expr;
    if let Expr::Call(function, args) = expr
        && std::ptr::eq(*function, &raw const UNSIGNED)
    {
        expr = &args[0];
    }
    match expr {
        Expr::Arith(arith, sides) => Some((*arith, sides)),
        _ => None,
    }
}

/// The one key that a condition names, if it says `column = integer` of each column of the key and no more.
fn point(info: &TableInfo, filter: &Expr) -> Option<Vec<u8>> {
    let parts: &[Expr] = match filter {
        Expr::And(parts) => parts,
        one => std::slice::from_ref(one),
    };
    let primary = &info.def.primary;
    if primary.is_empty() || parts.len() != primary.len() {
        return None;
    }
    let mut values = vec![None; primary.len()];
    for part in parts {
        let Expr::Compare(Comparison::Eq, sides) = part else { return None };
        let (column, n) = match &**sides {
            [Expr::Column(column), Expr::Const(Datum::Int(n))]
            | [Expr::Const(Datum::Int(n)), Expr::Column(column)] => (column, *n),
            _ => return None,
        };
        let fits = match info.def.columns[*column].kind {
            ColumnType::Int { .. } => true,
            ColumnType::UInt { .. } => n >= 0,
            _ => false,
        };
        let place = primary.iter().position(|at| at == column).filter(|_| fits)?;
        if values[place].replace(Value::Int(n)).is_some() {
            return None;
        }
    }
    Some(key::encode(&values.into_iter().collect::<Option<Vec<_>>>()?))
}

/// The result of an addition that was done.
pub fn added(found: u64, changed: u64, vars: &mut Vars) -> StepResult {
    updated(found, changed, 0, vars)
}

/// What an UPDATE answers.
pub fn updated(found: u64, changed: u64, warnings: usize, vars: &mut Vars) -> StepResult {
    let affected = if vars.client.found_rows { found } else { changed };
    vars.row_count = affected as i64;
    let info = format!("Rows matched: {found}  Changed: {changed}  Warnings: {warnings}");
    StepResult::Done(Done { affected, insert_id: 0, info })
}
