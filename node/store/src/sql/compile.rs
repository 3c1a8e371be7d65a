//! From a parsed expression to one that can be evaluated: names become places, and what the statement knows already
//! becomes a constant.
//!
//! What it is not: clever. It folds what has no column in it, and leaves the order of evaluation as it was written.

use super::call::call;
use super::check;
use super::compound::{self, Scope};
use super::datum::Datum;
use super::expr::{Arith, Bits, Checks, Comparison, Expr, Row, Target};
use super::group::Aggregate;
use super::kind::Kinds;
use super::literal::{literal, target};
use super::moment::{Moment, is_moment};
use super::schema::Listed;
use super::select::{Place, Select};
use super::sub::{Kind, Sub};
use super::text::EXPR_DEPTH_MAX;
use super::tree::{Item, TableRef};
use super::vars::Vars;
use crate::error::Error;
use crate::request::{ColumnHead, ColumnType};
use crate::session::Context;
use crate::table::TableInfo;
use sqlparser::ast::{self, BinaryOperator, Expr as Ast, UnaryOperator};
use std::cell::RefCell;
use std::sync::Arc;

/// The columns that names can mean.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    pub database: &'a str,
    /// The table's name or alias; empty: each column says its own.
    pub table: &'a str,
    pub heads: &'a [ColumnHead],
}

impl Columns<'_> {
    /// The place of a column, by its name and what stands before it.
    pub fn find(&self, names: &[&str]) -> Option<usize> {
        self.all(names).next()
    }

    fn all<'n>(&'n self, names: &'n [&str]) -> impl Iterator<Item = usize> {
        let (of, column) = match *names {
            [column] => (None, column),
            [table, column] => (Some(table), column),
            [database, table, column] if database == self.database => (Some(table), column),
            _ => (Some("."), ""),
        };
        let owner = move |head: &ColumnHead| {
            of.is_none_or(|of| of == if self.table.is_empty() { &head.table } else { self.table })
        };
        (self.heads.iter().enumerate())
            .filter(move |(_, head)| head.name.eq_ignore_ascii_case(column) && owner(head))
            .map(|(at, _)| at)
    }

    /// The place that a name means; refused if it means two.
    fn meant(&self, names: &[&str], merged: &[usize], clause: &str) -> Result<Option<usize>, Error> {
        let mut places = self.all(names).filter(|at| names.len() > 1 || !merged.contains(at));
        let first = places.next();
        if places.next().is_some() {
            let name = names.join(".");
            let message = format!("Column '{name}' in {clause} is ambiguous");
            return Err(Error::Sql { code: 1052, state: "23000", message });
        }
        Ok(first)
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
    pub aliases: Vec<(String, Arc<Ast>)>,
    /// Whether aliases come before columns.
    pub aliases_first: bool,
    /// Finds tables, for subqueries; `None`: none may stand here.
    pub tables: Option<Tables<'a>>,
    /// As [`Place::list`].
    pub list: Option<List<'a>>,
    /// What WITH gave a name to.
    pub scope: Option<&'a Scope>,
    /// The columns of the query around this one.
    pub outer: Option<Columns<'a>>,
    /// What the expressions of one query gather.
    pub gathered: Option<&'a RefCell<Gathered>>,
    /// Columns that USING made one with an earlier one.
    pub merged: &'a [usize],
    /// In the assignments of `ON DUPLICATE KEY UPDATE`: where the new row's cells begin, for `VALUES(column)`.
    pub new_row: Option<usize>,
}

/// Lists all tables, with how many rows they have.
pub type List<'a> = &'a dyn Fn() -> Vec<Listed>;

/// Finds a table's definition.
pub type Tables<'a> = &'a dyn Fn(&TableRef) -> Result<Arc<TableInfo>, Error>;

/// What the expressions of one query have in common.
#[derive(Debug, Default)]
pub struct Gathered {
    pub subs: Vec<Sub>,
    /// One looks at the row around the query.
    pub outer: bool,
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
            tables: None,
            list: None,
            scope: None,
            outer: None,
            gathered: None,
            merged: &[],
        }
    }

    pub fn compile(&mut self, tree: &Ast) -> Result<Expr, Error> {
        self.part(tree, 0)
    }

    /// A constant expression's value now.
    pub fn value(&mut self, tree: &Ast) -> Result<Datum<'static>, Error> {
        let compiled = self.compile(tree)?;
        Ok(compiled.eval(Row::EMPTY, &Checks::strict())?.into_owned())
    }

    /// Each kind of tree has a function of its own, and this one little but their calls: the deepest recursion is
    /// through here, and what a frame holds is held once a level.
    pub(super) fn part(&mut self, tree: &Ast, depth: usize) -> Result<Expr, Error> {
        if depth > EXPR_DEPTH_MAX {
            let (got, max) = (depth as u64, EXPR_DEPTH_MAX as u64);
            return Err(Error::TooLarge { what: "the depth of an expression", got, max });
        }
        let deeper = depth + 1;
        match tree {
            Ast::Nested(inner) => self.part(inner, deeper),
            Ast::Value(value) => match &value.value {
                ast::Value::Placeholder(name) => self.blank(name),
                other => literal(other),
            },
            Ast::Identifier(ident) => self.name(std::slice::from_ref(ident), depth),
            Ast::CompoundIdentifier(parts) => self.name(parts, depth),
            Ast::BinaryOp { .. } => self.binary(tree, depth),
            Ast::UnaryOp { op, expr } => self.unary(op, expr, deeper),
            Ast::IsNull(_)
            | Ast::IsNotNull(_)
            | Ast::IsUnknown(_)
            | Ast::IsNotUnknown(_)
            | Ast::IsTrue(_)
            | Ast::IsNotTrue(_)
            | Ast::IsFalse(_)
            | Ast::IsNotFalse(_) => self.is(tree, deeper),
            Ast::In { expr, target: ast::InTarget::List(list), negated, .. } => {
                self.in_list(expr, list, *negated, deeper)
            }
            Ast::In { expr, target: ast::InTarget::Subquery(query), negated: not, .. } => {
                let sought = Box::new(self.part(expr, deeper)?);
                let (at, _) = self.sub(query, Kind::List)?;
                Ok(negated(*not, Expr::InSub(sought, at)))
            }
            Ast::Subquery(query) => match self.bare(query, deeper)? {
                Some(item) => Ok(item),
                None => self.sub(query, Kind::Scalar).map(|(at, kind)| Expr::Sub(at, kind)),
            },
            Ast::Exists { subquery, negated: not } => {
                let (at, kind) = self.sub(subquery, Kind::Exists)?;
                Ok(negated(*not, Expr::Sub(at, kind)))
            }
            Ast::Between { .. } => self.between(tree, deeper),
            Ast::Like { .. } => self.like(tree, deeper),
            Ast::Case { .. } => self.case(tree, deeper),
            Ast::Cast { .. } | Ast::Convert { .. } | Ast::Collate { .. } | Ast::Prefixed { .. } => {
                self.conversion(tree, deeper)
            }
            Ast::Substring { .. }
            | Ast::Trim { .. }
            | Ast::Position { .. }
            | Ast::Ceil { .. }
            | Ast::Extract { .. }
            | Ast::Floor { .. } => self.special_call(tree, deeper),
            Ast::TypedString(typed) => self.typed(typed),
            Ast::Function(function) => self.function(function, deeper),
            other => not_done(other),
        }
    }

    /// `?`: the value that it was given.
    fn blank(&self, name: &str) -> Result<Expr, Error> {
        let at = name.strip_prefix('?').and_then(|number| number.parse::<usize>().ok());
        let value = at.and_then(|at| self.vars.params.get(at));
        let why = "a placeholder stands in a statement that was not prepared";
        value.cloned().map(Expr::Const).ok_or_else(|| Error::Syntax { why: why.into() })
    }

    /// `DATE '2024-02-29'`, `TIMESTAMP '…'`.
    fn typed(&self, typed: &ast::TypedString) -> Result<Expr, Error> {
        let Target::Moment(kind) = target(&typed.data_type)? else { return unsupported(typed.to_string()) };
        let ast::Value::SingleQuotedString(text) = &typed.value.value else {
            return unsupported(typed.to_string());
        };
        let kept = Moment::parse(text).and_then(|moment| moment.compared(kind));
        kept.map(Expr::text).ok_or_else(|| Error::Sql {
            code: 1525,
            state: "HY000",
            message: format!("Incorrect {} value: '{text}'", typed.data_type),
        })
    }

    fn unary(&mut self, op: &UnaryOperator, inner: &Ast, depth: usize) -> Result<Expr, Error> {
        let inner = self.part(inner, depth)?;
        Ok(match op {
            UnaryOperator::Not | UnaryOperator::BangNot => Expr::Not(Box::new(inner)),
            UnaryOperator::Minus => folded(Expr::Negate(Box::new(inner))),
            UnaryOperator::Plus => inner,
            UnaryOperator::BitwiseNot => Expr::Invert(Box::new(inner)),
            other => return unsupported(format!("operator {other}")),
        })
    }

    fn is(&mut self, tree: &Ast, depth: usize) -> Result<Expr, Error> {
        let (inner, want, not) = match tree {
            Ast::IsNull(inner) | Ast::IsUnknown(inner) => (inner, None, false),
            Ast::IsNotNull(inner) | Ast::IsNotUnknown(inner) => (inner, None, true),
            Ast::IsTrue(inner) => (inner, Some(true), false),
            Ast::IsNotTrue(inner) => (inner, Some(true), true),
            Ast::IsFalse(inner) => (inner, Some(false), false),
            Ast::IsNotFalse(inner) => (inner, Some(false), true),
            other => return not_done(other),
        };
        let inner = Box::new(self.part(inner, depth)?);
        let asked = match want {
            None => Expr::IsNull(inner),
            Some(want) => Expr::Is(want, inner),
        };
        Ok(negated(not, asked))
    }

    fn in_list(&mut self, sought: &Ast, list: &[Ast], not: bool, depth: usize) -> Result<Expr, Error> {
        let mut parts = Vec::with_capacity(list.len() + 1);
        parts.push(self.part(sought, depth)?);
        for item in list {
            parts.push(self.part(item, depth)?);
        }
        self.in_one_form(&mut parts);
        Ok(negated(not, Expr::In(parts)))
    }

    fn between(&mut self, tree: &Ast, depth: usize) -> Result<Expr, Error> {
        let Ast::Between { expr, negated: not, low, high } = tree else { return not_done(tree) };
        let mut parts = Box::new([self.part(expr, depth)?, self.part(low, depth)?, self.part(high, depth)?]);
        self.in_one_form(&mut *parts);
        Ok(negated(*not, Expr::Between(parts)))
    }

    fn like(&mut self, tree: &Ast, depth: usize) -> Result<Expr, Error> {
        let Ast::Like { negated: not, any: false, expr, pattern, escape_char } = tree else {
            return not_done(tree);
        };
        let escape = match escape_char {
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
        let text = Box::new(self.part(expr, depth)?);
        let pattern = Box::new(self.part(pattern, depth)?);
        Ok(negated(*not, Expr::Like { text, pattern, escape }))
    }

    fn case(&mut self, tree: &Ast, depth: usize) -> Result<Expr, Error> {
        let Ast::Case { operand, conditions, else_result, .. } = tree else { return not_done(tree) };
        let operand = self.boxed(operand.as_deref(), depth)?;
        let mut arms = Vec::with_capacity(conditions.len());
        for arm in conditions {
            arms.push((self.part(&arm.condition, depth)?, self.part(&arm.result, depth)?));
        }
        Ok(Expr::Case { operand, arms, other: self.boxed(else_result.as_deref(), depth)? })
    }

    fn conversion(&mut self, tree: &Ast, depth: usize) -> Result<Expr, Error> {
        match tree {
            Ast::Cast { kind: ast::CastKind::Cast, expr, data_type, format: None, .. }
            | Ast::Convert { expr, data_type: Some(data_type), .. } => {
                let target = target(data_type)?;
                Ok(folded(Expr::Cast(target, Box::new(self.part(expr, depth)?))))
            }
            // CONVERT(x USING utf8mb4): every text here is of that set.
            Ast::Convert { expr, data_type: None, .. } => {
                let target = Target::Text { chars_max: None };
                Ok(folded(Expr::Cast(target, Box::new(self.part(expr, depth)?))))
            }
            Ast::Collate { expr, collation } => match names(collation)?[..] {
                [name] if name.eq_ignore_ascii_case("utf8mb4_bin") || name.eq_ignore_ascii_case("binary") => {
                    self.part(expr, depth)
                }
                _ => unsupported(format!("COLLATE {collation}")),
            },
            Ast::Prefixed { prefix, value } => self.prefixed(prefix, value, depth),
            other => not_done(other),
        }
    }

    /// Functions that the parser knows by their own syntax.
    fn special_call(&mut self, tree: &Ast, depth: usize) -> Result<Expr, Error> {
        let (name, args): (&str, Vec<&Ast>) = match tree {
            Ast::Substring { expr, substring_from: Some(from), substring_for: None, .. } => {
                ("SUBSTRING", vec![expr, from])
            }
            Ast::Substring { expr, substring_from: Some(from), substring_for: Some(count), .. } => {
                ("SUBSTRING", vec![expr, from, count])
            }
            Ast::Trim { expr, trim_where, trim_what: None, trim_characters: None } => match trim_where {
                None | Some(ast::TrimWhereField::Both) => ("TRIM", vec![expr]),
                Some(ast::TrimWhereField::Leading) => ("LTRIM", vec![expr]),
                Some(ast::TrimWhereField::Trailing) => ("RTRIM", vec![expr]),
            },
            Ast::Trim { .. } => return unsupported("TRIM of other characters than blanks"),
            Ast::Position { expr, r#in } => ("LOCATE", vec![expr, r#in]),
            Ast::Ceil { expr, .. } => ("CEIL", vec![expr]),
            Ast::Floor { expr, .. } => ("FLOOR", vec![expr]),
            Ast::Extract { field, expr, .. } => {
                let arg = self.part(expr, depth)?;
                return call(&field.to_string().to_ascii_uppercase(), vec![arg]);
            }
            other => return not_done(other),
        };
        let args = args.into_iter().map(|arg| self.part(arg, depth)).collect::<Result<_, _>>()?;
        call(name, args)
    }

    pub(super) fn boxed(&mut self, tree: Option<&Ast>, depth: usize) -> Result<Option<Box<Expr>>, Error> {
        tree.map(|tree| self.part(tree, depth).map(Box::new)).transpose()
    }

    /// A subquery that is an expression in parentheses and `SELECT`: as MariaDB, it stands for the expression itself,
    /// with the digits that it hides.
    fn bare(&mut self, query: &ast::Query, depth: usize) -> Result<Option<Expr>, Error> {
        let no_table = matches!(&*query.body, ast::SetExpr::Select(select) if select.from.is_empty());
        if !no_table || self.clause == check::CLAUSE {
            return Ok(None);
        }
        let tree = compound::query(query.clone(), &[], self.scope.unwrap_or(&None))?;
        let [Item::One { tree: item, .. }] = &tree.items[..] else { return Ok(None) };
        let plain = tree.from.is_empty() && tree.filter.is_none() && tree.having.is_none();
        let item = Arc::clone(item);
        if !plain || !tree.group.is_empty() || tree.limit.is_some() || tree.offset.is_some() || asks(&item) {
            return Ok(None);
        }
        let (aggregates, aliases) = (self.aggregates.take(), std::mem::take(&mut self.aliases));
        let compiled = self.part(&item, depth);
        (self.aggregates, self.aliases) = (aggregates, aliases);
        // An aggregate of one row, which is a query's own business.
        Ok(compiled.ok())
    }

    /// Plans a subquery; its number, and the kind of its value.
    fn sub(&mut self, query: &ast::Query, kind: Kind) -> Result<(usize, ColumnType), Error> {
        let (Some(tables), Some(gathered)) = (self.tables, self.gathered) else {
            return unsupported("subqueries in this place");
        };
        let tree = compound::query(query.clone(), &[], self.scope.unwrap_or(&None))?;
        let place = Place {
            vars: self.vars,
            ctx: self.ctx,
            tables: Some(tables),
            list: self.list,
            outer: self.columns,
        };
        let mut select = Select::new(&tree, place)?;
        let columns = select.heads().len();
        let value = match kind {
            Kind::Exists => {
                select.only_first();
                ColumnType::Int { bits: 64 }
            }
            _ if columns != 1 => {
                let message = "Operand should contain 1 column(s)".into();
                return Err(Error::Sql { code: 1241, state: "21000", message });
            }
            _ => select.heads()[0].kind,
        };
        let subs = &mut gathered.borrow_mut().subs;
        subs.push(Sub { kind, correlated: select.correlated(), select: Box::new(select) });
        Ok((subs.len() - 1, value))
    }

    /// A column, or something that the session knows.
    fn name(&mut self, parts: &[ast::Ident], depth: usize) -> Result<Expr, Error> {
        let first = &parts[0];
        if first.quote_style.is_none() && first.value.starts_with('@') {
            return self.variable(parts);
        }
        // Mostly there is one, and no list has to be made.
        let (one, several);
        let texts: &[&str] = match parts {
            [only] => {
                one = [only.value.as_str()];
                &one
            }
            parts => {
                several = parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>();
                &several
            }
        };
        let alias = match texts[..] {
            [name] => {
                self.aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map(|(_, tree)| tree)
            }
            _ => None,
        };
        let column = match self.columns {
            Some(columns) => columns.meant(texts, self.merged, self.clause)?,
            None => None,
        };
        let outer = match (self.outer, column, alias) {
            (Some(outer), None, None) => outer.meant(texts, &[], self.clause)?,
            _ => None,
        };
        if let (Some(at), Some(gathered)) = (outer, self.gathered) {
            gathered.borrow_mut().outer = true;
            return Ok(Expr::Outer(at));
        }
        match (alias, column) {
            (Some(tree), None) => self.alias(&Arc::clone(tree), depth),
            (Some(tree), Some(_)) if self.aliases_first => self.alias(&Arc::clone(tree), depth),
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

    fn variable(&self, parts: &[ast::Ident]) -> Result<Expr, Error> {
        let texts: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        if self.clause == check::CLAUSE {
            return Err(check::not_here(&texts.join(".")));
        }
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

    /// An operator with two sides. A chain of operators, which the parser nests to the left, is gone along without
    /// recursion; its own depth counts all the same, since it is evaluated by recursion.
    fn binary(&mut self, tree: &Ast, depth: usize) -> Result<Expr, Error> {
        let mut chain = Vec::new();
        let mut rest = tree;
        while let Ast::BinaryOp { left, op, right } = rest {
            chain.push((op, &**right));
            rest = left;
        }
        let mut steps = depth;
        let mut all = self.part(rest, depth + 1)?;
        let mut last = None;
        while let Some((op, right)) = chain.pop() {
            if matches!(right, Ast::Interval(_)) && matches!(op, BinaryOperator::Plus | BinaryOperator::Minus)
            {
                let sign = if *op == BinaryOperator::Plus { 1 } else { -1 };
                (all, last) = (self.shifted(all, right, sign, depth)?, None);
                continue;
            }
            let right = self.part(right, depth + 1)?;
            // `a AND b AND c` is one list.
            match (&mut all, op) {
                (Expr::And(parts), BinaryOperator::And) if last == Some(op) => parts.push(right),
                (Expr::Or(parts), BinaryOperator::Or) if last == Some(op) => parts.push(right),
                _ => {
                    steps += 1;
                    if steps > EXPR_DEPTH_MAX {
                        let (got, max) = ((steps + chain.len()) as u64, EXPR_DEPTH_MAX as u64);
                        return Err(Error::TooLarge { what: "the depth of an expression", got, max });
                    }
                    all = self.compared(all, op, right)?;
                }
            }
            last = Some(op);
        }
        Ok(all)
    }

    /// A moment and so much more or less; a plain number is one of days.
    pub(super) fn shifted(&mut self, at: Expr, by: &Ast, sign: i64, depth: usize) -> Result<Expr, Error> {
        let (value, unit) = match by {
            Ast::Interval(ast::Interval { value, leading_field: Some(unit), last_field: None, .. }) => {
                (&**value, unit.to_string().to_ascii_uppercase())
            }
            Ast::Interval(other) => return unsupported(other.to_string()),
            days => (days, "DAY".to_owned()),
        };
        let args = vec![at, self.part(value, depth + 1)?, Expr::text(unit), Expr::Const(Datum::Int(sign))];
        call(super::calendar::SHIFT, args)
    }

    fn compared(&self, left: Expr, op: &BinaryOperator, right: Expr) -> Result<Expr, Error> {
        if *op == BinaryOperator::StringConcat && self.vars.pipes_concat() {
            return call("CONCAT", vec![left, right]);
        }
        let mut sides = [left, right];
        self.in_one_form(&mut sides);
        let [left, right] = sides;
        self.unsigned(operator(left, op, right)?)
    }

    /// Constants that are compared with a moment are put into the form in which moments are kept, for moments are
    /// ordered by their texts.
    fn in_one_form(&self, parts: &mut [Expr]) {
        let kinds = Kinds { heads: self.columns.map_or(&[], |columns| columns.heads), aggregates: &[] };
        let of = |part: &Expr| match part {
            Expr::Column(_) | Expr::Cast(..) | Expr::Call(..) => {
                Some(kinds.of(part)).filter(|kind| is_moment(*kind))
            }
            _ => None,
        };
        let Some(kind) = parts.iter().find_map(of) else { return };
        for part in parts {
            if let Expr::Const(datum) = part
                && let Some(text) = datum.to_text()
                && let Some(compared) = Moment::parse(&text).and_then(|moment| moment.compared(kind))
            {
                *part = Expr::text(compared);
            }
        }
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
}

/// Whether a query stands in an expression, or a call that may wait.
fn asks(tree: &Ast) -> bool {
    let text = tree.to_string().to_ascii_uppercase();
    text.contains("SELECT") || text.contains("LOCK")
}

/// What this store does not evaluate, by its name.
fn not_done<T>(tree: &Ast) -> Result<T, Error> {
    let what = match tree {
        Ast::In { .. } | Ast::Subquery(_) | Ast::Exists { .. } | Ast::AnyOp { .. } | Ast::AllOp { .. } => {
            "subqueries"
        }
        Ast::RLike { .. } => "REGEXP",
        Ast::Tuple(_) => "row values",
        Ast::Interval(_) => "INTERVAL",
        Ast::MatchAgainst { .. } => "MATCH AGAINST",
        Ast::JsonAccess { .. } => "JSON",
        other => {
            let shown: String = other.to_string().chars().take(80).collect();
            return unsupported(format!("the expression {shown}"));
        }
    };
    unsupported(what)
}

fn operator(left: Expr, op: &BinaryOperator, right: Expr) -> Result<Expr, Error> {
    enum Kind {
        Compare(Comparison),
        Arith(Arith),
        Bits(Bits),
    }
    let kind = match op {
        BinaryOperator::And | BinaryOperator::Overlaps | BinaryOperator::PGOverlap => {
            return Ok(Expr::And(vec![left, right]));
        }
        BinaryOperator::Or | BinaryOperator::StringConcat => return Ok(Expr::Or(vec![left, right])),
        BinaryOperator::Xor => return Ok(Expr::Xor(Box::new([left, right]))),
        BinaryOperator::Eq => Kind::Compare(Comparison::Eq),
        BinaryOperator::NotEq => Kind::Compare(Comparison::NotEq),
        BinaryOperator::Lt => Kind::Compare(Comparison::Less),
        BinaryOperator::LtEq => Kind::Compare(Comparison::LessEq),
        BinaryOperator::Gt => Kind::Compare(Comparison::More),
        BinaryOperator::GtEq => Kind::Compare(Comparison::MoreEq),
        BinaryOperator::Spaceship => Kind::Compare(Comparison::Same),
        BinaryOperator::Plus => Kind::Arith(Arith::Add),
        BinaryOperator::Minus => Kind::Arith(Arith::Sub),
        BinaryOperator::Multiply => Kind::Arith(Arith::Mul),
        BinaryOperator::Divide => Kind::Arith(Arith::Div),
        BinaryOperator::MyIntegerDivide => Kind::Arith(Arith::Whole),
        BinaryOperator::Modulo => Kind::Arith(Arith::Rem),
        BinaryOperator::BitwiseAnd => Kind::Bits(Bits::And),
        BinaryOperator::BitwiseOr => Kind::Bits(Bits::Or),
        BinaryOperator::BitwiseXor => Kind::Bits(Bits::Xor),
        BinaryOperator::PGBitwiseShiftLeft => Kind::Bits(Bits::Left),
        BinaryOperator::PGBitwiseShiftRight => Kind::Bits(Bits::Right),
        other => return unsupported(format!("operator {other}")),
    };
    let pair = Box::new([left, right]);
    Ok(match kind {
        Kind::Compare(how) => Expr::Compare(how, pair),
        Kind::Arith(how) => folded(Expr::Arith(how, pair)),
        Kind::Bits(how) => Expr::Bits(how, pair),
    })
}

fn negated(not: bool, inner: Expr) -> Expr {
    if not { Expr::Not(Box::new(inner)) } else { inner }
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
    let checks = Checks::strict();
    let value = expr.eval(Row::EMPTY, &checks).map(Datum::into_owned);
    // An overflow or a division by zero is met again, and reported, when a row is evaluated.
    match value {
        Ok(datum) => Expr::Const(datum),
        Err(_) => expr,
    }
}
