//! Unsigned integers in an expression: what is calculated of one is one, or error 1690 in MariaDB's words.

use super::compile::Compiler;
use super::expr::{Arith, Expr, Target};
use super::function::UNSIGNED;
use super::kind::Kinds;
use crate::error::Error;
use crate::request::{ColumnHead, ColumnType};
use std::borrow::Cow;

impl Compiler<'_> {
    /// What is calculated of an unsigned integer is one, or an error.
    pub(super) fn unsigned(&self, expr: Expr) -> Result<Expr, Error> {
        let Expr::Arith(how, sides) = &expr else { return Ok(expr) };
        let heads = self.columns.map_or(&[][..], |columns| columns.heads);
        let kinds = Kinds { heads, aggregates: &[] };
        let aggregate = |side: &Expr| {
            let mut found = false;
            side.visit(&mut |part| found |= matches!(part, Expr::Aggregate(_)));
            found
        };
        let whole = matches!(how, Arith::Add | Arith::Sub | Arith::Mul);
        if !whole || sides.iter().any(aggregate) || kinds.of(&expr) != (ColumnType::UInt { bits: 64 }) {
            return Ok(expr);
        }
        let text = shown(&expr, heads, &self.vars.home);
        Ok(Expr::Call(&UNSIGNED, vec![expr, Expr::text(text)]))
    }
}

/// An expression in the words of an error.
fn shown(expr: &Expr, heads: &[ColumnHead], database: &str) -> String {
    let shown = |part: &Expr| shown(part, heads, database);
    match expr {
        Expr::Column(at) => match heads.get(*at) {
            Some(head) if head.table.is_empty() => format!("`{}`", head.name),
            Some(head) => format!("`{database}`.`{}`.`{}`", head.table, head.name),
            None => "?".into(),
        },
        Expr::Const(datum) => datum.to_text().map_or_else(|| "NULL".into(), Cow::into_owned),
        Expr::Arith(how, sides) => format!("{} {} {}", shown(&sides[0]), how.sign(), shown(&sides[1])),
        Expr::Call(function, args) if std::ptr::eq(*function, &raw const UNSIGNED) => shown(&args[0]),
        Expr::Call(function, args) => {
            let args: Vec<_> = args.iter().map(shown).collect();
            format!("{}({})", function.name.to_lowercase(), args.join(","))
        }
        Expr::Cast(Target::Unsigned, inner) => format!("cast({} as unsigned)", shown(inner)),
        Expr::Cast(Target::Signed, inner) => format!("cast({} as signed)", shown(inner)),
        _ => "…".into(),
    }
}
