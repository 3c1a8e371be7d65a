//! From a parsed expression to one that can be evaluated: names become places, and what the statement knows already
//! becomes a constant.
//!
//! What it is not: clever. It folds what has no column in it, and leaves the order of evaluation as it was written.

use super::datum::Datum;
use super::decimal::Decimal;
use super::expr::{Arith, Bits, Checks, Comparison, Expr, Row, Target};
use super::function::{self, from_hex};
use super::group::{Aggregate, What};
use super::text::NESTING_MAX;
use super::vars::{VERSION, Vars};
use crate::error::Error;
use crate::request::ColumnHead;
use crate::session::Context;
use sqlparser::ast::{
    self, BinaryOperator, Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator,
};
use std::borrow::Cow;

/// The columns that names can mean.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    pub database: &'a str,
    /// The table's name or alias.
    pub table: &'a str,
    pub heads: &'a [ColumnHead],
}

impl Columns<'_> {
    /// The place of a column, by its name and what stands before it.
    pub fn find(&self, names: &[&str]) -> Option<usize> {
        let column = match names {
            [column] => column,
            [table, column] if *table == self.table => column,
            [database, table, column] if *database == self.database && *table == self.table => column,
            _ => return None,
        };
        self.heads.iter().position(|head| head.name.eq_ignore_ascii_case(column))
    }
}

/// What an expression is compiled with.
pub struct Compiler<'a> {
    pub vars: &'a Vars,
    pub ctx: &'a Context<'a>,
    /// `None`: there is no table.
    pub columns: Option<Columns<'a>>,
    /// Where the expression stands, as MySQL names it in an unknown column's error.
    pub clause: &'static str,
    /// Where aggregates go; `None`: none may stand here.
    pub aggregates: Option<Vec<Aggregate>>,
    /// What names mean before they mean a column (`HAVING`, `ORDER BY`) or after (`GROUP BY`).
    pub aliases: Vec<(String, Ast)>,
    /// Whether aliases come before columns.
    pub aliases_first: bool,
    /// In the assignments of `ON DUPLICATE KEY UPDATE`: where the new row's cells begin, for `VALUES(column)`.
    pub new_row: Option<usize>,
}

/// 1235, by name.
pub fn unsupported<T>(what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Unsupported { what: what.into() })
}

/// The plain names in a dotted name.
pub fn names(name: &ast::ObjectName) -> Result<Vec<&str>, Error> {
    let part = |part: &'_ ast::ObjectNamePart| match part {
        ast::ObjectNamePart::Identifier(_) => Ok(()),
        ast::ObjectNamePart::Function(_) => unsupported("a function as a name"),
    };
    name.0.iter().try_for_each(part)?;
    Ok(name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect())
}

impl<'a> Compiler<'a> {
    pub fn new(
        vars: &'a Vars,
        ctx: &'a Context<'a>,
        columns: Option<Columns<'a>>,
        clause: &'static str,
    ) -> Self {
        Compiler {
            vars,
            ctx,
            columns,
            clause,
            aggregates: None,
            aliases: Vec::new(),
            aliases_first: false,
            new_row: None,
        }
    }

    pub fn compile(&mut self, tree: &Ast) -> Result<Expr, Error> {
        self.part(tree, 0)
    }

    /// A constant expression's value now.
    pub fn value(&mut self, tree: &Ast) -> Result<Datum<'static>, Error> {
        let compiled = self.compile(tree)?;
        Ok(compiled.eval(Row::EMPTY, &Checks { strict: true, ..Checks::default() })?.into_owned())
    }

    fn pair(&mut self, a: &Ast, b: &Ast, depth: usize) -> Result<Box<[Expr; 2]>, Error> {
        Ok(Box::new([self.part(a, depth)?, self.part(b, depth)?]))
    }

    fn part(&mut self, tree: &Ast, depth: usize) -> Result<Expr, Error> {
        // Chains are bounded by text::CHAIN_MAX and nesting by the parser; both together by this.
        const DEPTH_MAX: usize = super::text::CHAIN_MAX + NESTING_MAX;
        if depth > DEPTH_MAX {
            let (got, max) = (depth as u64, DEPTH_MAX as u64);
            return Err(Error::TooLarge { what: "the depth of an expression", got, max });
        }
        let deeper = depth + 1;
        let compiled = match tree {
            Ast::Nested(inner) => return self.part(inner, deeper),
            Ast::Value(value) => return literal(&value.value),
            Ast::Identifier(ident) => return self.name(&[ident], depth),
            Ast::CompoundIdentifier(parts) => return self.name(&parts.iter().collect::<Vec<_>>(), depth),
            Ast::BinaryOp { left, op, right } => self.binary(left, op, right, deeper)?,
            Ast::UnaryOp { op, expr } => match op {
                UnaryOperator::Not | UnaryOperator::BangNot => Expr::Not(Box::new(self.part(expr, deeper)?)),
                UnaryOperator::Minus => Expr::Negate(Box::new(self.part(expr, deeper)?)),
                UnaryOperator::Plus => self.part(expr, deeper)?,
                UnaryOperator::BitwiseNot => Expr::Invert(Box::new(self.part(expr, deeper)?)),
                other => return unsupported(format!("operator {other}")),
            },
            Ast::IsNull(inner) => Expr::IsNull(Box::new(self.part(inner, deeper)?)),
            Ast::IsNotNull(inner) => negated(true, Expr::IsNull(Box::new(self.part(inner, deeper)?))),
            Ast::IsUnknown(inner) => Expr::IsNull(Box::new(self.part(inner, deeper)?)),
            Ast::IsNotUnknown(inner) => negated(true, Expr::IsNull(Box::new(self.part(inner, deeper)?))),
            Ast::IsTrue(inner) => Expr::Is(true, Box::new(self.part(inner, deeper)?)),
            Ast::IsNotTrue(inner) => negated(true, Expr::Is(true, Box::new(self.part(inner, deeper)?))),
            Ast::IsFalse(inner) => Expr::Is(false, Box::new(self.part(inner, deeper)?)),
            Ast::IsNotFalse(inner) => negated(true, Expr::Is(false, Box::new(self.part(inner, deeper)?))),
            Ast::In { expr, target: ast::InTarget::List(list), negated: not, .. } => {
                let mut parts = Vec::with_capacity(list.len() + 1);
                parts.push(self.part(expr, deeper)?);
                for item in list {
                    parts.push(self.part(item, deeper)?);
                }
                negated(*not, Expr::In(parts))
            }
            Ast::In { .. }
            | Ast::Subquery(_)
            | Ast::Exists { .. }
            | Ast::AnyOp { .. }
            | Ast::AllOp { .. } => {
                return unsupported("subqueries");
            }
            Ast::Between { expr, negated: not, low, high } => {
                let parts = [self.part(expr, deeper)?, self.part(low, deeper)?, self.part(high, deeper)?];
                negated(*not, Expr::Between(Box::new(parts)))
            }
            Ast::Like { negated: not, any: false, expr, pattern, escape_char } => {
                let escape = match escape_char.as_deref() {
                    None => None,
                    Some(tree) => {
                        let text = self.value(tree)?;
                        let text = text.to_text().unwrap_or_default();
                        let mut chars = text.chars();
                        match (chars.next(), chars.next()) {
                            (escape, None) => escape,
                            _ => {
                                let message = "Incorrect arguments to ESCAPE".to_owned();
                                return Err(Error::Sql { code: 1210, state: "HY000", message });
                            }
                        }
                    }
                };
                let text = Box::new(self.part(expr, deeper)?);
                negated(*not, Expr::Like { text, pattern: Box::new(self.part(pattern, deeper)?), escape })
            }
            Ast::RLike { .. } => return unsupported("REGEXP"),
            Ast::Case { operand, conditions, else_result, .. } => {
                let operand = self.boxed(operand.as_deref(), deeper)?;
                let mut arms = Vec::with_capacity(conditions.len());
                for arm in conditions {
                    arms.push((self.part(&arm.condition, deeper)?, self.part(&arm.result, deeper)?));
                }
                Expr::Case { operand, arms, other: self.boxed(else_result.as_deref(), deeper)? }
            }
            Ast::Cast { kind: ast::CastKind::Cast, expr, data_type, format: None, .. } => {
                Expr::Cast(target(data_type)?, Box::new(self.part(expr, deeper)?))
            }
            Ast::Convert { expr, data_type: Some(data_type), .. } => {
                Expr::Cast(target(data_type)?, Box::new(self.part(expr, deeper)?))
            }
            // CONVERT(x USING utf8mb4): every text here is of that set.
            Ast::Convert { expr, data_type: None, .. } => {
                Expr::Cast(Target::Text { chars_max: None }, Box::new(self.part(expr, deeper)?))
            }
            Ast::Collate { expr, collation } => match names(collation)?[..] {
                [name] if name.eq_ignore_ascii_case("utf8mb4_bin") || name.eq_ignore_ascii_case("binary") => {
                    self.part(expr, deeper)?
                }
                _ => return unsupported(format!("COLLATE {collation}")),
            },
            Ast::Prefixed { prefix, value } => self.prefixed(prefix, value, deeper)?,
            Ast::Substring { expr, substring_from, substring_for, .. } => {
                let Some(from) = substring_from else { return unsupported("SUBSTRING without a position") };
                let mut args = vec![self.part(expr, deeper)?, self.part(from, deeper)?];
                if let Some(count) = substring_for {
                    args.push(self.part(count, deeper)?);
                }
                call("SUBSTRING", args)?
            }
            Ast::Trim { expr, trim_where, trim_what: None, trim_characters: None } => {
                let name = match trim_where {
                    None | Some(ast::TrimWhereField::Both) => "TRIM",
                    Some(ast::TrimWhereField::Leading) => "LTRIM",
                    Some(ast::TrimWhereField::Trailing) => "RTRIM",
                };
                call(name, vec![self.part(expr, deeper)?])?
            }
            Ast::Trim { .. } => return unsupported("TRIM of other characters than blanks"),
            Ast::Position { expr, r#in } => {
                call("LOCATE", vec![self.part(expr, deeper)?, self.part(r#in, deeper)?])?
            }
            Ast::Ceil { expr, .. } => call("CEIL", vec![self.part(expr, deeper)?])?,
            Ast::Floor { expr, .. } => call("FLOOR", vec![self.part(expr, deeper)?])?,
            Ast::Function(function) => self.function(function, deeper)?,
            Ast::Tuple(_) => return unsupported("row values"),
            Ast::Interval(_) => return unsupported("INTERVAL"),
            Ast::Extract { .. } => return unsupported("EXTRACT"),
            Ast::TypedString(_) => return unsupported("DATE, TIME and TIMESTAMP literals"),
            Ast::MatchAgainst { .. } => return unsupported("MATCH AGAINST"),
            Ast::JsonAccess { .. } => return unsupported("JSON"),
            other => {
                let shown: String = other.to_string().chars().take(80).collect();
                return unsupported(format!("the expression {shown}"));
            }
        };
        Ok(folded(compiled))
    }

    fn boxed(&mut self, tree: Option<&Ast>, depth: usize) -> Result<Option<Box<Expr>>, Error> {
        tree.map(|tree| self.part(tree, depth).map(Box::new)).transpose()
    }

    /// A column, or something that the session knows.
    fn name(&mut self, parts: &[&ast::Ident], depth: usize) -> Result<Expr, Error> {
        let first = parts[0];
        if first.quote_style.is_none() && first.value.starts_with('@') {
            return self.variable(parts);
        }
        let texts: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        let alias = match texts[..] {
            [name] => {
                self.aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map(|(_, tree)| tree)
            }
            _ => None,
        };
        let column = self.columns.and_then(|columns| columns.find(&texts));
        match (alias, column) {
            (Some(tree), None) => self.alias(&tree.clone(), depth),
            (Some(tree), Some(_)) if self.aliases_first => self.alias(&tree.clone(), depth),
            (_, Some(at)) => Ok(Expr::Column(at)),
            (None, None) => Err(Error::NoColumn { column: texts.join("."), place: self.clause.into() }),
        }
    }

    /// What an alias stands for, in which it is no alias itself.
    fn alias(&mut self, tree: &Ast, depth: usize) -> Result<Expr, Error> {
        let aliases = std::mem::take(&mut self.aliases);
        let compiled = self.part(tree, depth + 1);
        self.aliases = aliases;
        compiled
    }

    fn variable(&self, parts: &[&ast::Ident]) -> Result<Expr, Error> {
        let texts: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        let datum = match texts[..] {
            [name] => match name.strip_prefix("@@") {
                Some(name) => self.vars.system(name, self.ctx)?,
                None => self.vars.user_var(&name[1..]),
            },
            [scope, name]
                if ["@@session", "@@local", "@@global"]
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(scope)) =>
            {
                self.vars.system(name, self.ctx)?
            }
            _ => return Err(Error::NoColumn { column: texts.join("."), place: self.clause.into() }),
        };
        Ok(Expr::Const(datum))
    }

    fn binary(&mut self, left: &Ast, op: &BinaryOperator, right: &Ast, depth: usize) -> Result<Expr, Error> {
        let compare = |how| move |pair| Expr::Compare(how, pair);
        let arith = |how| move |pair| Expr::Arith(how, pair);
        let bits = |how| move |pair| Expr::Bits(how, pair);
        let pair = |this: &mut Self| this.pair(left, right, depth);
        Ok(match op {
            BinaryOperator::And | BinaryOperator::Overlaps | BinaryOperator::PGOverlap => {
                Expr::And(self.chain(left, op, right, depth)?)
            }
            BinaryOperator::Or | BinaryOperator::StringConcat => {
                Expr::Or(self.chain(left, op, right, depth)?)
            }
            BinaryOperator::Xor => Expr::Xor(pair(self)?),
            BinaryOperator::Eq => compare(Comparison::Eq)(pair(self)?),
            BinaryOperator::NotEq => compare(Comparison::NotEq)(pair(self)?),
            BinaryOperator::Lt => compare(Comparison::Less)(pair(self)?),
            BinaryOperator::LtEq => compare(Comparison::LessEq)(pair(self)?),
            BinaryOperator::Gt => compare(Comparison::More)(pair(self)?),
            BinaryOperator::GtEq => compare(Comparison::MoreEq)(pair(self)?),
            BinaryOperator::Spaceship => compare(Comparison::Same)(pair(self)?),
            BinaryOperator::Plus => arith(Arith::Add)(pair(self)?),
            BinaryOperator::Minus => arith(Arith::Sub)(pair(self)?),
            BinaryOperator::Multiply => arith(Arith::Mul)(pair(self)?),
            BinaryOperator::Divide => arith(Arith::Div)(pair(self)?),
            BinaryOperator::MyIntegerDivide => arith(Arith::Whole)(pair(self)?),
            BinaryOperator::Modulo => arith(Arith::Rem)(pair(self)?),
            BinaryOperator::BitwiseAnd => bits(Bits::And)(pair(self)?),
            BinaryOperator::BitwiseOr => bits(Bits::Or)(pair(self)?),
            BinaryOperator::BitwiseXor => bits(Bits::Xor)(pair(self)?),
            BinaryOperator::PGBitwiseShiftLeft => bits(Bits::Left)(pair(self)?),
            BinaryOperator::PGBitwiseShiftRight => bits(Bits::Right)(pair(self)?),
            other => return unsupported(format!("operator {other}")),
        })
    }

    /// `a AND b AND c`, which the parser nests to the left, as one list; without recursion along the chain.
    fn chain(
        &mut self,
        left: &Ast,
        op: &BinaryOperator,
        right: &Ast,
        depth: usize,
    ) -> Result<Vec<Expr>, Error> {
        let mut trees = vec![right];
        let mut rest = left;
        while let Ast::BinaryOp { left, op: inner, right } = rest {
            if inner != op {
                break;
            }
            trees.push(right);
            rest = left;
        }
        trees.push(rest);
        trees.into_iter().rev().map(|tree| self.part(tree, depth)).collect()
    }

    /// `_utf8mb4'x'`, `N'x'`, `BINARY x`.
    fn prefixed(&mut self, prefix: &ast::Ident, value: &Ast, depth: usize) -> Result<Expr, Error> {
        let inner = self.part(value, depth)?;
        match prefix.value.to_ascii_lowercase().as_str() {
            "_utf8mb4" | "_utf8" | "_utf8mb3" | "_ascii" => {
                Ok(Expr::Cast(Target::Text { chars_max: None }, Box::new(inner)))
            }
            "_binary" | "binary" => Ok(Expr::Cast(Target::Bytes { bytes_max: None }, Box::new(inner))),
            _ => unsupported(format!("the introducer {prefix}")),
        }
    }

    fn function(&mut self, function: &ast::Function, depth: usize) -> Result<Expr, Error> {
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
        let mut args = Vec::with_capacity(list.len());
        for arg in list {
            match arg {
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
        if let Some(datum) = self.known(&name, args.len()) {
            return Ok(Expr::Const(datum));
        }
        call(&name, args)
    }

    /// Functions of the session and the moment.
    fn known(&self, name: &str, args: usize) -> Option<Datum<'static>> {
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
            "UNIX_TIMESTAMP" => Datum::Int(self.ctx.now.wall.0.div_euclid(1_000_000)),
            "PI" => Datum::Dec(Decimal::new(3_141_593, 6)),
            _ => return None,
        })
    }

    fn aggregate(
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
    fn new_value(&mut self, list: &[FunctionArg]) -> Result<Expr, Error> {
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

fn negated(not: bool, inner: Expr) -> Expr {
    if not { Expr::Not(Box::new(inner)) } else { inner }
}

fn call(name: &str, args: Vec<Expr>) -> Result<Expr, Error> {
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

/// Evaluates at once what has only constants in it and can't go wrong in one way now and another later.
fn folded(expr: Expr) -> Expr {
    let foldable = match &expr {
        Expr::Negate(inner) => {
            inner.constant().is_some_and(|datum| !matches!(datum, Datum::Text(_) | Datum::Bytes(_)))
        }
        Expr::Arith(_, pair) => pair
            .iter()
            .all(|part| matches!(part.constant(), Some(Datum::Int(_) | Datum::Dec(_) | Datum::Double(_)))),
        Expr::Cast(Target::Text { chars_max: None } | Target::Bytes { bytes_max: None }, inner) => {
            inner.constant().is_some()
        }
        _ => false,
    };
    if !foldable {
        return expr;
    }
    let checks = Checks { strict: true, ..Checks::default() };
    let value = expr.eval(Row::EMPTY, &checks).map(Datum::into_owned);
    // An overflow or a division by zero is met again, and reported, when a row is evaluated.
    match value {
        Ok(datum) => Expr::Const(datum),
        Err(_) => expr,
    }
}

fn literal(value: &ast::Value) -> Result<Expr, Error> {
    use ast::Value::*;
    let text = |text: &str| Expr::text(text);
    Ok(match value {
        Null => Expr::Const(Datum::Null),
        Boolean(yes) => Expr::Const(Datum::truth(*yes)),
        Number(digits, _) => Expr::Const(number(digits)?),
        SingleQuotedString(s) | DoubleQuotedString(s) | NationalStringLiteral(s) => text(s),
        HexStringLiteral(digits) => match from_hex(digits) {
            Some(bytes) => Expr::Const(Datum::Bytes(Cow::Owned(bytes))),
            None => return Err(Error::Syntax { why: format!("x'{digits}' is no hexadecimal literal") }),
        },
        SingleQuotedByteStringLiteral(bits) => match bit_literal(bits) {
            Some(bytes) => Expr::Const(Datum::Bytes(Cow::Owned(bytes))),
            None => return Err(Error::Syntax { why: format!("b'{bits}' is no bit literal") }),
        },
        Placeholder(_) => {
            return Err(Error::Syntax {
                why: "a placeholder stands in a statement that was not prepared".into(),
            });
        }
        other => return Err(Error::Syntax { why: format!("{other} is no MySQL literal") }),
    })
}

/// `b'101'`: bits, the last one lowest.
fn bit_literal(bits: &str) -> Option<Vec<u8>> {
    if !bits.bytes().all(|bit| matches!(bit, b'0' | b'1')) {
        return None;
    }
    let width = bits.len().div_ceil(8) * 8;
    let padded = format!("{bits:0>width$}");
    (0..width).step_by(8).map(|at| u8::from_str_radix(&padded[at..at + 8], 2).ok()).collect()
}

/// An integer if it is one of 64 bits, a decimal if it has a point or is larger, a double if it has an exponent.
fn number(digits: &str) -> Result<Datum<'static>, Error> {
    if let Ok(n) = digits.parse::<i64>() {
        return Ok(Datum::Int(n));
    }
    if let Some(n) = Decimal::parse(digits) {
        return Ok(Datum::Dec(n));
    }
    let n = digits.parse::<f64>().ok().filter(|n| n.is_finite());
    n.map(Datum::Double).ok_or_else(|| Error::Sql {
        code: 1367,
        state: "22007",
        message: format!(
            "Illegal double '{}' value found during parsing",
            digits.chars().take(64).collect::<String>()
        ),
    })
}

fn target(data_type: &ast::DataType) -> Result<Target, Error> {
    use ast::DataType as T;
    let chars = |length: &Option<ast::CharacterLength>| match length {
        None => Ok(None),
        Some(ast::CharacterLength::IntegerLength { length, .. }) => {
            Ok(Some(u32::try_from(*length).unwrap_or(u32::MAX)))
        }
        Some(ast::CharacterLength::Max) => unsupported("CHAR(MAX)"),
    };
    Ok(match data_type {
        T::Signed | T::SignedInteger | T::Int(_) | T::Integer(_) | T::BigInt(_) => Target::Signed,
        T::Unsigned | T::UnsignedInteger => Target::Unsigned,
        T::Char(length) | T::Character(length) | T::Varchar(length) => {
            Target::Text { chars_max: chars(length)? }
        }
        T::Binary(length) => {
            Target::Bytes { bytes_max: length.map(|length| u32::try_from(length).unwrap_or(u32::MAX)) }
        }
        T::Decimal(info) | T::Dec(info) | T::Numeric(info) => {
            let (digits, scale) = match info {
                ast::ExactNumberInfo::None => (10, 0),
                ast::ExactNumberInfo::Precision(digits) => (*digits, 0),
                ast::ExactNumberInfo::PrecisionAndScale(digits, scale) => (*digits, *scale),
            };
            let bad = |what: &str| Error::Sql {
                code: 1426,
                state: "42000",
                message: format!(
                    "Too big {what} specified for 'CAST'. Maximum is 38 digits, 30 behind the point"
                ),
            };
            let digits =
                u8::try_from(digits).ok().filter(|n| (1..=38).contains(n)).ok_or_else(|| bad("precision"))?;
            let scale =
                u8::try_from(scale).ok().filter(|n| *n <= 30 && *n <= digits).ok_or_else(|| bad("scale"))?;
            Target::Decimal { digits, scale }
        }
        T::Double(_) | T::Real | T::Float(_) | T::DoublePrecision => Target::Double,
        other => return unsupported(format!("CAST to {other}")),
    })
}
