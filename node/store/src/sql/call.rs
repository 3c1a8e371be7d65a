//! Calls in an expression: functions of values, of the session and the moment, aggregates.

use super::asking;
use super::check;
use super::compile::{Compiler, names, unsupported};
use super::datum::Datum;
use super::decimal::Decimal;
use super::expr::Expr;
use super::function;
use super::group::{Aggregate, What};
use super::vars::VERSION;
use crate::error::Error;
use sqlparser::ast::{self, Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments};

impl Compiler<'_> {
    pub(super) fn function(&mut self, function: &ast::Function, depth: usize) -> Result<Expr, Error> {
        let name = match names(&function.name)?[..] {
            [name] => name.to_ascii_uppercase(),
            _ => return unsupported(format!("function {}", function.name)),
        };
        if function.over.is_some() {
            return unsupported("window functions");
        }
        let list: &[FunctionArg] = match &function.args {
            FunctionArguments::None => &[],
            FunctionArguments::Subquery(_) => return unsupported("subqueries"),
            FunctionArguments::List(list) => {
                if !list.clauses.is_empty() {
                    return unsupported(format!("clauses in the arguments of {name}"));
                }
                &list.args
            }
        };
        let plain = matches!(function.parameters, FunctionArguments::None)
            && function.within_group.is_empty()
            && function.filter.is_none()
            && function.null_treatment.is_none();
        if !plain {
            return unsupported(format!("clauses of {name}"));
        }
        if let Some(what) = What::named(&name) {
            return self.aggregate(&name, what, function, list, depth);
        }
        if name == "VALUES" {
            return self.new_value(list);
        }
        let sign = match name.as_str() {
            "DATE_ADD" | "ADDDATE" => 1,
            "DATE_SUB" | "SUBDATE" => -1,
            _ => 0,
        };
        if let [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(at)),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(by)),
        ] = list
            && sign != 0
        {
            let at = self.part(at, depth)?;
            return self.shifted(at, by, sign, depth);
        }
        let mut args = Vec::with_capacity(list.len());
        for (n, arg) in list.iter().enumerate() {
            match arg {
                // The unit of a difference is a word, and no column.
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Ast::Identifier(unit)))
                    if n == 0 && name == "TIMESTAMPDIFF" =>
                {
                    args.push(Expr::text(unit.value.clone()));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) => args.push(self.part(tree, depth)?),
                _ => return Err(Error::Syntax { why: format!("'{arg}' is no argument of {name}") }),
            }
        }
        match (name.as_str(), args.len()) {
            ("IF", 3) => {
                let mut args = args.into_iter();
                let arms = args.next().zip(args.next()).into_iter().collect();
                return Ok(Expr::Case { operand: None, arms, other: args.next().map(Box::new) });
            }
            // Of aggregates alone, and groups have one value of it.
            ("ANY_VALUE", 1) => return Ok(args.remove(0)),
            _ => {}
        }
        if self.clause == check::CLAUSE && (self.known(&name, args.len()).is_some() || name == "RAND") {
            return Err(check::not_here(&format!("{}()", name.to_lowercase())));
        }
        if let Some(datum) = asking::function(self.vars, self.ctx, &name, &args)? {
            return Ok(Expr::Const(datum));
        }
        if let Some(datum) = self.known(&name, args.len()) {
            return Ok(Expr::Const(datum));
        }
        call(&name, args)
    }

    /// Functions of the session and the moment.
    pub(super) fn known(&self, name: &str, args: usize) -> Option<Datum<'static>> {
        if args > 0
            && !matches!(name, "NOW" | "CURRENT_TIMESTAMP" | "SYSDATE" | "LOCALTIMESTAMP" | "LOCALTIME")
        {
            return None;
        }
        Some(match name {
            "VERSION" => Datum::text(VERSION),
            "DATABASE" | "SCHEMA" => self.vars.database.clone().map_or(Datum::Null, Datum::text),
            "USER" | "SESSION_USER" | "SYSTEM_USER" => Datum::text(self.vars.user()),
            "CURRENT_USER" => Datum::text(format!("{}@%", self.vars.client.user)),
            "CONNECTION_ID" => Datum::Int(self.vars.connection(self.ctx)),
            "LAST_INSERT_ID" => Datum::Int(self.vars.last_insert_id),
            "ROW_COUNT" => Datum::Int(self.vars.row_count),
            "NOW" | "CURRENT_TIMESTAMP" | "SYSDATE" | "LOCALTIMESTAMP" | "LOCALTIME" | "UTC_TIMESTAMP" => {
                Datum::text(super::time::date_time(self.ctx.now.wall))
            }
            "CURDATE" | "CURRENT_DATE" | "UTC_DATE" => Datum::text(super::time::date(self.ctx.now.wall)),
            "CURTIME" | "CURRENT_TIME" | "UTC_TIME" => Datum::text(super::time::time(self.ctx.now.wall)),
            "UNIX_TIMESTAMP" if args == 0 => Datum::Int(self.ctx.now.wall.0.div_euclid(1_000_000)),
            "PI" => Datum::Dec(Decimal::new(3_141_593, 6)),
            _ => return None,
        })
    }

    pub(super) fn aggregate(
        &mut self,
        name: &str,
        what: What,
        function: &ast::Function,
        list: &[FunctionArg],
        depth: usize,
    ) -> Result<Expr, Error> {
        let distinct = match &function.args {
            FunctionArguments::List(list) => {
                list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct)
            }
            _ => false,
        };
        let Some(known) = self.aggregates.take() else {
            return Err(Error::Sql {
                code: 1111,
                state: "HY000",
                message: "Invalid use of group function".into(),
            });
        };
        let compiled = match list {
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] if what == What::Count && !distinct => {
                Ok((What::Rows, Expr::Const(Datum::Int(1))))
            }
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(tree))] => {
                self.part(tree, depth).map(|arg| (what, arg))
            }
            [_, _, ..] if what == What::Count && distinct => {
                unsupported("COUNT(DISTINCT) of several expressions")
            }
            _ => Err(Error::Syntax { why: format!("{name} has one argument") }),
        };
        let mut aggregates = known;
        let result = compiled.map(|(what, arg)| {
            aggregates.push(Aggregate { what, distinct, arg });
            Expr::Aggregate(aggregates.len() - 1)
        });
        self.aggregates = Some(aggregates);
        result
    }

    /// `VALUES(column)` in `ON DUPLICATE KEY UPDATE`.
    pub(super) fn new_value(&mut self, list: &[FunctionArg]) -> Result<Expr, Error> {
        let (Some(begin), Some(columns)) = (self.new_row, self.columns) else {
            return unsupported("VALUES() outside of ON DUPLICATE KEY UPDATE");
        };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Ast::Identifier(ident)))] = list else {
            return Err(Error::Syntax { why: "VALUES has one argument, a column".into() });
        };
        let at = columns.find(&[&ident.value]);
        let at =
            at.ok_or_else(|| Error::NoColumn { column: ident.value.clone(), place: self.clause.into() })?;
        Ok(Expr::Column(begin + at))
    }
}

pub(super) fn call(name: &str, args: Vec<Expr>) -> Result<Expr, Error> {
    let Some(function) = function::find(name) else {
        return unsupported(format!("function {}", name.to_ascii_lowercase()));
    };
    if args.len() < function.args_min || args.len() > function.args_max {
        let name = name.to_ascii_lowercase();
        let message = format!("Incorrect parameter count in the call to native function '{name}'");
        return Err(Error::Sql { code: 1582, state: "42000", message });
    }
    Ok(Expr::Call(function, args))
}
