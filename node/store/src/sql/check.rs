//! CHECK: conditions over single rows, from their text in a definition to what a row is held against.
//!
//! Intuition: a form whose boxes say what may be written into them; each sheet can be judged by itself. So a row is
//! judged where it is written, before it is ordered, and needs no second look: who wrote it with an older definition
//! is refused by the table's schema version. Only a condition that is new is asked of all rows, in the ordered apply.
//! Invariant: whether a row meets a condition depends on the row alone: never on a session, a clock or other rows.
//! A condition that is unknown (NULL) is met.
//! Not here: where rows are written (`txn`), what SHOW CREATE makes of it (`written`).

use super::compile::{Columns, Compiler};
use super::ddl::refuse;
use super::expr::{Checks, Expr, Row};
use super::text;
use super::vars::Vars;
use crate::error::Error;
use crate::request::{Check, Column, ColumnHead, TableDef};
use crate::session::Context;
use crate::value::Value;
use plait_base::{Mono, Now, Slot, Wall};
use sqlparser::ast;
use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

/// How a condition names the place in which a name was not found.
pub const CLAUSE: &str = "CHECK";

/// The conditions of one table, compiled, in the order of its definition.
#[derive(Debug, Clone, Default)]
pub struct Conditions(Vec<Expr>);

/// They follow from the definition, which is compared beside them.
impl PartialEq for Conditions {
    fn eq(&self, _: &Conditions) -> bool {
        true
    }
}

impl Eq for Conditions {}

impl Conditions {
    /// Of a definition that was admitted.
    pub fn of(def: &TableDef) -> Conditions {
        Conditions::these(def, &def.checks)
    }

    /// Some of those of a definition that was admitted.
    pub fn these(def: &TableDef, checks: &[Check]) -> Conditions {
        let compiled = checks.iter().map(|check| compiled(def, check));
        Conditions(compiled.collect::<Result<_, _>>().expect("an admitted condition compiles"))
    }

    /// Refuses a row that fails one. `checks`: what they were compiled from.
    pub fn hold(&self, def: &TableDef, checks: &[Check], row: &[Value]) -> Result<(), Error> {
        for (condition, check) in self.0.iter().zip(checks) {
            holds(condition, def, check, row)?;
        }
        Ok(())
    }
}

fn holds(condition: &Expr, def: &TableDef, check: &Check, row: &[Value]) -> Result<(), Error> {
    let checks = Checks::strict();
    let datum = condition.eval(Row::of(row), &checks)?;
    if checks.truth(&datum)? != Some(false) {
        return Ok(());
    }
    let table = &def.name;
    // As MariaDB tells one that stands with a column.
    let name = if check.column.is_some() { format!("{table}.{}", check.name) } else { check.name.clone() };
    Err(Error::Check { table: table.clone(), name })
}

/// The conditions of `new` that the rows of `old` were not held against.
pub fn added(old: &TableDef, new: &TableDef) -> Vec<Check> {
    let known = |check: &Check| old.checks.iter().any(|was| was.condition == check.condition);
    new.checks.iter().filter(|check| !known(check)).cloned().collect()
}

/// What the conditions of a definition must be.
pub fn admit(def: &TableDef) -> Result<(), Error> {
    let mut tables = def.checks.iter().filter(|check| check.column.is_none());
    while let Some(check) = tables.next() {
        if tables.clone().any(|other| other.name.eq_ignore_ascii_case(&check.name)) {
            let message = format!("Duplicate CHECK constraint name '{}'", check.name);
            return Err(refuse(1826, "HY000", message));
        }
    }
    for check in &def.checks {
        if check.column.is_some_and(|at| at >= def.columns.len()) {
            return Err(Error::Misuse { why: "a condition stands with a column".into() });
        }
        let mut numbered = false;
        compiled(def, check)?.visit(&mut |part| {
            numbered |= matches!(part, Expr::Column(at) if def.auto_increment == Some(*at));
        });
        // A row has its id only when it is written.
        if numbered {
            return Err(not_here("AUTO_INCREMENT"));
        }
    }
    Ok(())
}

fn compiled(def: &TableDef, check: &Check) -> Result<Expr, Error> {
    let tree = text::condition(&check.condition)?;
    let head = |column: &Column| ColumnHead {
        name: column.name.clone(),
        kind: column.kind,
        ..ColumnHead::default()
    };
    let heads: Vec<_> = def.columns.iter().map(head).collect();
    // A session and a moment that nothing is asked of.
    let (vars, ctx) = (Vars::new(Slot::ALL[0]), Context::alone(Now { mono: Mono(0), wall: Wall(0) }));
    let columns = Columns { database: &vars.home, table: &def.name, heads: &heads };
    Compiler::new(&vars, &ctx, Some(columns), CLAUSE).compile(&tree)
}

/// 1901: what a condition may not ask.
pub fn not_here(what: &str) -> Error {
    let message = format!("Function or expression '{what}' cannot be used in the CHECK clause");
    refuse(1901, "HY000", message)
}

/// A condition as it is kept and shown: the columns' names in quotes, as they were defined, and words small.
pub fn written(tree: &ast::Expr, columns: &[Column]) -> String {
    let text = tree.to_string();
    // A tree is written without escapes, and read so again.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, &text).tokenize() else { return text };
    let mut out = String::with_capacity(text.len());
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::SingleQuotedString(value) => out += &super::written::text(value),
            Token::Word(word) if word.quote_style == Some('"') => out += &super::written::text(&word.value),
            Token::Word(word) if tokens.get(at + 1) != Some(&Token::LParen) => {
                let named = columns.iter().find(|column| column.name.eq_ignore_ascii_case(&word.value));
                match (named, word.quote_style) {
                    (Some(column), _) => out += &super::written::quoted(&column.name),
                    (None, Some(_)) => out += &super::written::quoted(&word.value),
                    (None, None) => out += &word.value.to_lowercase(),
                }
            }
            Token::Word(word) => out += &word.value.to_lowercase(),
            Token::Whitespace(Whitespace::Space) => out.push(' '),
            other => out += &other.to_string(),
        }
    }
    out
}
