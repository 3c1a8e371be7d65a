//! Statements on tables as this store understands them: the parser's trees, less all that it does not do.
//!
//! The parser knows many dialects and builds trees for what MySQL has not, and for what this store has not yet.
//! Nothing of that may be overlooked in silence: what is understood is taken out of a tree, and what is left over is
//! compared with an empty tree.

use super::compile::{names, unsupported};
use super::compound::{Scope, column_names, named, query};
use super::out::Direction;
use crate::error::Error;
use sqlparser::ast::{self, Expr as Ast, SetExpr, Statement as Tree};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use std::mem;
use std::sync::{Arc, OnceLock};

/// A table that is named in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRef {
    /// The database before the dot, if one is named; whether it is the one that there is, the session knows.
    pub database: Option<String>,
    pub name: String,
    /// What its columns are qualified with: the alias, else the name.
    pub alias: String,
}

#[derive(Debug)]
// A statement has a handful of them, once.
#[allow(clippy::large_enum_variant)]
pub enum Item {
    /// `*`, or `t.*`.
    All(Option<String>),
    One {
        tree: Arc<Ast>,
        name: String,
        /// Whether the name is an alias, and not its text.
        alias: bool,
    },
}

/// What rows come from.
#[derive(Debug)]
pub enum Factor {
    Table(TableRef),
    Derived {
        /// One query, or those of a UNION, each with whether what came by then is to be there once.
        parts: Vec<(SelectTree, bool)>,
        alias: String,
        /// Other names for its columns; empty: as they are.
        columns: Vec<String>,
        /// It may look at the row around the query that it stands in.
        lateral: bool,
    },
}

#[derive(Debug)]
pub struct Joined {
    pub factor: Factor,
    pub on: Option<Ast>,
    /// Columns of both sides that are equal, and one.
    pub using: Vec<String>,
    /// A LEFT JOIN.
    pub outer: bool,
    /// It was written before the one before it: a RIGHT JOIN, turned round.
    pub turned: bool,
}

#[derive(Debug)]
pub struct SelectTree {
    pub items: Vec<Item>,
    /// The tables, each joined to those before it.
    pub from: Vec<Joined>,
    pub filter: Option<Ast>,
    pub group: Vec<Ast>,
    pub having: Option<Ast>,
    pub order: Vec<(Ast, Direction)>,
    pub limit: Option<Ast>,
    pub offset: Option<Ast>,
    pub distinct: bool,
    pub lock: bool,
    /// What WITH gave a name to.
    pub scope: Scope,
}

/// What an insert does with a row whose key is there.
#[derive(Debug)]
pub enum OnDuplicate {
    Fail,
    Ignore,
    Replace,
    Update(Vec<(String, Ast)>),
}

#[derive(Debug)]
pub struct InsertTree {
    pub table: TableRef,
    /// Empty: all, in the table's order.
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Ast>>,
    /// The query that gives the rows, if they do not stand there.
    pub source: Option<Box<SelectTree>>,
    pub on_duplicate: OnDuplicate,
}

/// UPDATE (`set` is there) or DELETE.
#[derive(Debug)]
pub struct ChangeTree {
    pub table: TableRef,
    pub set: Option<Vec<(String, Ast)>>,
    pub filter: Option<Ast>,
    pub order: Vec<(Ast, Direction)>,
    pub limit: Option<Ast>,
}

/// The tree of a text of our own, to compare leftovers with.
fn blank(sql: &str) -> Tree {
    let mut trees = Parser::parse_sql(&MySqlDialect {}, sql).expect("our own text is SQL");
    trees.remove(0)
}

pub fn blank_select() -> &'static ast::Query {
    static BLANK: OnceLock<ast::Query> = OnceLock::new();
    BLANK.get_or_init(|| match blank("SELECT 1") {
        Tree::Query(query) => *query,
        _ => unreachable!("a SELECT is a query"),
    })
}

/// A table's name.
pub fn table_name(name: &ast::ObjectName) -> Result<TableRef, Error> {
    let (database, table) = match names(name)?[..] {
        [table] => (None, table),
        [database, table] => (Some(database), table),
        _ => return Err(Error::Syntax { why: format!("'{name}' is no name of a table") }),
    };
    const NOT_OURS: [&str; 3] = ["performance_schema", "mysql", "sys"];
    if let Some(database) = database.filter(|name| NOT_OURS.iter().any(|not| not.eq_ignore_ascii_case(name)))
    {
        return unsupported(format!("the tables of {database}"));
    }
    Ok(TableRef { database: database.map(str::to_owned), name: table.to_owned(), alias: table.to_owned() })
}

/// All tables of a list, in their order.
fn joined(from: Vec<ast::TableWithJoins>, scope: &Scope) -> Result<Vec<Joined>, Error> {
    use ast::{JoinConstraint as On, JoinOperator as Op};
    let mut all = Vec::new();
    for ast::TableWithJoins { relation, joins } in from {
        let Some(first) = factor(relation, scope)? else {
            if joins.is_empty() {
                continue;
            }
            return unsupported("DUAL in a JOIN");
        };
        all.push(Joined { factor: first, on: None, using: Vec::new(), outer: false, turned: false });
        for join in joins {
            let mut turned = false;
            let (outer, constraint) = match join.join_operator {
                Op::Join(on) | Op::Inner(on) | Op::CrossJoin(on) | Op::StraightJoin(on) => (false, on),
                Op::Left(on) | Op::LeftOuter(on) => (true, on),
                Op::Right(on) | Op::RightOuter(on) if all.len() == 1 => {
                    turned = true;
                    (true, on)
                }
                Op::Right(_) | Op::RightOuter(_) => return unsupported("RIGHT JOIN behind other tables"),
                Op::FullOuter(_) => return unsupported("FULL JOIN"),
                _ => return unsupported("this kind of JOIN"),
            };
            let (on, using) = match constraint {
                On::On(tree) => (Some(tree), Vec::new()),
                On::Using(list) => {
                    let name = |name: &ast::ObjectName| Ok(names(name)?.join("."));
                    (None, list.iter().map(name).collect::<Result<_, Error>>()?)
                }
                On::None if !outer => (None, Vec::new()),
                On::None => return Err(Error::Syntax { why: "a LEFT or RIGHT JOIN wants ON".into() }),
                On::Natural => return unsupported("NATURAL JOIN"),
                On::UsingAlias(..) => return unsupported("USING … AS"),
            };
            let Some(mut factor) = factor(join.relation, scope)? else {
                return unsupported("DUAL in a JOIN");
            };
            if turned {
                mem::swap(&mut all[0].factor, &mut factor);
            }
            all.push(Joined { factor, on, using, outer, turned });
        }
    }
    // InnoDB's bound is the same.
    const TABLES_MAX: usize = 61;
    if all.len() > TABLES_MAX {
        let message = format!("Too many tables; MySQL can only use {TABLES_MAX} tables in a join");
        return Err(Error::Sql { code: 1116, state: "HY000", message });
    }
    Ok(all)
}

fn factor(relation: ast::TableFactor, scope: &Scope) -> Result<Option<Factor>, Error> {
    match relation {
        ast::TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
            let Some(alias) = alias else {
                let message = "Every derived table must have its own alias".into();
                return Err(Error::Sql { code: 1248, state: "42000", message });
            };
            let columns = column_names(&alias)?;
            let parts = vec![(query(*subquery, &[], scope)?, false)];
            Ok(Some(Factor::Derived { parts, alias: alias.name.value, columns, lateral: false }))
        }
        other => {
            let table = ast::TableWithJoins { relation: other, joins: Vec::new() };
            let Some(table) = one_table(vec![table])? else { return Ok(None) };
            let found = named(scope, &table.name).filter(|_| table.database.is_none());
            let Some((tree, columns, scope)) = found else { return Ok(Some(Factor::Table(table))) };
            let (parts, columns) = (vec![(query(tree.clone(), &[], scope)?, false)], columns.to_vec());
            Ok(Some(Factor::Derived { parts, alias: table.alias, columns, lateral: false }))
        }
    }
}

/// The one table of a list of tables.
fn one_table(mut from: Vec<ast::TableWithJoins>) -> Result<Option<TableRef>, Error> {
    if from.len() > 1 || from.iter().any(|table| !table.joins.is_empty()) {
        return unsupported("JOIN");
    }
    let Some(ast::TableWithJoins { relation, .. }) = from.pop() else { return Ok(None) };
    match relation {
        // Hints of indexes are hints.
        ast::TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_directives: _,
            inheritance: None,
        } if with_hints.is_empty() && partitions.is_empty() => {
            let mut table = table_name(&name)?;
            if table.database.is_none() && table.name.eq_ignore_ascii_case("DUAL") {
                return Ok(None);
            }
            if let Some(alias) = alias {
                if !alias.columns.is_empty() || alias.at.is_some() {
                    return unsupported("column aliases of a table");
                }
                table.alias = alias.name.value;
            }
            Ok(Some(table))
        }
        ast::TableFactor::Derived { .. } => unsupported("subqueries"),
        ast::TableFactor::NestedJoin { .. } => unsupported("JOIN"),
        other => unsupported(format!("FROM {}", clipped(&other))),
    }
}

fn target_table(table: ast::TableWithJoins) -> Result<TableRef, Error> {
    one_table(vec![table])?.ok_or_else(|| Error::Syntax { why: "DUAL holds nothing to change".into() })
}

fn clipped(tree: &impl std::fmt::Display) -> String {
    tree.to_string().chars().take(80).collect()
}

pub fn order(by: Option<ast::OrderBy>) -> Result<Vec<(Ast, Direction)>, Error> {
    match by {
        None => Ok(Vec::new()),
        Some(ast::OrderBy { kind: ast::OrderByKind::Expressions(list), interpolate: None }) => {
            order_list(list)
        }
        Some(other) => unsupported(clipped(&other)),
    }
}

fn order_list(list: Vec<ast::OrderByExpr>) -> Result<Vec<(Ast, Direction)>, Error> {
    let one = |by: ast::OrderByExpr| {
        let direction = match by.options.sort {
            None | Some(ast::OrderBySort::Asc) => Direction::Up,
            Some(ast::OrderBySort::Desc) => Direction::Down,
            #[allow(unreachable_patterns)]
            Some(_) => return unsupported("ORDER BY USING"),
        };
        if by.options.nulls_first.is_some() || by.with_fill.is_some() {
            return unsupported("NULLS FIRST and NULLS LAST");
        }
        Ok((by.expr, direction))
    };
    list.into_iter().map(one).collect()
}

/// LIMIT and OFFSET.
pub fn bounds(clause: Option<ast::LimitClause>) -> Result<(Option<Ast>, Option<Ast>), Error> {
    match clause {
        None => Ok((None, None)),
        Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            Ok((limit, offset.map(|offset| offset.value)))
        }
        Some(ast::LimitClause::OffsetCommaLimit { offset, limit }) => Ok((Some(limit), Some(offset))),
        Some(other) => unsupported(clipped(&other)),
    }
}

/// One SELECT. `texts`: the items as they were written, if they were asked for.
pub fn select(mut query: ast::Query, texts: &[&str], scope: &Scope) -> Result<SelectTree, Error> {
    let order = order(query.order_by.take())?;
    let (limit, offset) = bounds(query.limit_clause.take())?;
    let mut lock = false;
    for clause in mem::take(&mut query.locks) {
        if clause.of.is_some() {
            return unsupported("FOR UPDATE OF");
        }
        // Nobody ever waits for a row here, so NOWAIT is always so; rows can't be skipped.
        if clause.nonblock == Some(ast::NonBlock::SkipLocked) {
            return unsupported("SKIP LOCKED");
        }
        lock = true;
    }
    let blank = blank_select();
    let mut select = match *mem::replace(&mut query.body, blank.body.clone()) {
        SetExpr::Select(select) => *select,
        SetExpr::Values(_) => return unsupported("VALUES as a query"),
        SetExpr::Table(_) => return unsupported("TABLE as a query"),
        other => return unsupported(clipped(&other)),
    };
    if query != *blank {
        return unsupported(format!("the clauses of {}", clipped(&query)));
    }
    let SetExpr::Select(blank) = &*blank.body else { unreachable!("a SELECT is a select") };
    let projection = mem::replace(&mut select.projection, blank.projection.clone());
    let from = joined(mem::take(&mut select.from), scope)?;
    let filter = select.selection.take();
    let having = select.having.take();
    let distinct = match select.distinct.take() {
        None | Some(ast::Distinct::All) => false,
        Some(ast::Distinct::Distinct) => true,
        Some(other) => return unsupported(clipped(&other)),
    };
    let group = match mem::replace(&mut select.group_by, blank.group_by.clone()) {
        ast::GroupByExpr::Expressions(list, modifiers) if modifiers.is_empty() => list,
        other => return unsupported(clipped(&other)),
    };
    select.optimizer_hints.clear();
    if let Some(modifiers) = select.select_modifiers.take()
        && modifiers.to_string().to_ascii_uppercase().contains("SQL_CALC_FOUND_ROWS")
    {
        return unsupported("SQL_CALC_FOUND_ROWS");
    }
    if !select.named_window.is_empty() {
        return unsupported("window functions");
    }
    if select.into.is_some() {
        return unsupported("SELECT INTO");
    }
    if select != **blank {
        return unsupported(format!("the clauses of {}", clipped(&select)));
    }
    let texts = if texts.len() == projection.len() { texts } else { &[] };
    let mut items = Vec::with_capacity(projection.len());
    for (at, item) in projection.into_iter().enumerate() {
        items.push(match item {
            ast::SelectItem::UnnamedExpr(tree) => {
                let name = match &tree {
                    Ast::Identifier(ident) => ident.value.clone(),
                    Ast::CompoundIdentifier(parts) if !parts[0].value.starts_with('@') => {
                        parts.last().map_or_else(String::new, |part| part.value.clone())
                    }
                    // A text is named by itself, without its quotes.
                    Ast::Value(value) => match &value.value {
                        ast::Value::SingleQuotedString(text) | ast::Value::DoubleQuotedString(text) => {
                            text.clone()
                        }
                        _ => texts.get(at).map_or_else(|| tree.to_string(), |text| (*text).to_owned()),
                    },
                    _ => texts.get(at).map_or_else(|| tree.to_string(), |text| (*text).to_owned()),
                };
                Item::One { tree: Arc::new(tree), name, alias: false }
            }
            ast::SelectItem::ExprWithAlias { expr, alias } => {
                Item::One { tree: Arc::new(expr), name: alias.value, alias: true }
            }
            ast::SelectItem::Wildcard(options) if options == ast::WildcardAdditionalOptions::default() => {
                Item::All(None)
            }
            ast::SelectItem::QualifiedWildcard(
                ast::SelectItemQualifiedWildcardKind::ObjectName(name),
                options,
            ) if options == ast::WildcardAdditionalOptions::default() => {
                let of = names(&name)?.last().map(|name| (*name).to_owned());
                Item::All(of)
            }
            other => return unsupported(clipped(&other)),
        });
    }
    let scope = scope.clone();
    Ok(SelectTree { items, from, filter, group, having, order, limit, offset, distinct, lock, scope })
}

/// Column and value of each assignment.
fn assignments(list: Vec<ast::Assignment>) -> Result<Vec<(String, Ast)>, Error> {
    let one = |assignment: ast::Assignment| match &assignment.target {
        ast::AssignmentTarget::ColumnName(name) => match names(name)?.last() {
            Some(column) => Ok(((*column).to_owned(), assignment.value)),
            None => Err(Error::Syntax { why: "an assignment has a column".into() }),
        },
        ast::AssignmentTarget::Tuple(_) => unsupported("assignments to row values"),
    };
    list.into_iter().map(one).collect()
}

pub fn insert(mut insert: ast::Insert) -> Result<InsertTree, Error> {
    static BLANK: OnceLock<ast::Insert> = OnceLock::new();
    let blank = BLANK.get_or_init(|| match blank("INSERT INTO t VALUES (1)") {
        Tree::Insert(insert) => insert,
        _ => unreachable!("an INSERT is an insert"),
    });
    let table = match mem::replace(&mut insert.table, blank.table.clone()) {
        ast::TableObject::TableName(name) => table_name(&name)?,
        other => return unsupported(format!("INSERT INTO {}", clipped(&other))),
    };
    let mut columns = Vec::new();
    for name in mem::take(&mut insert.columns) {
        columns.push(names(&name)?.last().map_or_else(String::new, |name| (*name).to_owned()));
    }
    let source = mem::replace(&mut insert.source, blank.source.clone());
    let set = assignments(mem::take(&mut insert.assignments))?;
    let mut from = None;
    let rows = match source.map(|query| *query) {
        None if !set.is_empty() => {
            let (names, values) = set.into_iter().unzip();
            columns = names;
            vec![values]
        }
        Some(asked) if !matches!(*asked.body, SetExpr::Values(_)) => {
            from = Some(Box::new(query(asked, &[], &None)?));
            Vec::new()
        }
        Some(asked) => match *asked.body {
            SetExpr::Values(values) => values.rows.into_iter().map(|row| row.content).collect(),
            other => return unsupported(format!("INSERT … {}", clipped(&other))),
        },
        None => return Err(Error::Syntax { why: "INSERT has no VALUES".into() }),
    };
    let ignore = mem::take(&mut insert.ignore);
    let replace = mem::take(&mut insert.replace_into);
    let on_duplicate = match (insert.on.take(), replace, ignore) {
        (None, true, false) => OnDuplicate::Replace,
        (None, false, true) => OnDuplicate::Ignore,
        (None, false, false) => OnDuplicate::Fail,
        (Some(ast::OnInsert::DuplicateKeyUpdate(list)), false, false) => {
            OnDuplicate::Update(assignments(list)?)
        }
        (Some(on), ..) => return unsupported(clipped(&on)),
        (None, true, true) => return unsupported("REPLACE IGNORE"),
    };
    insert.into = blank.into;
    if insert.insert_alias.is_some() {
        return unsupported("an alias of the new row");
    }
    insert.optimizer_hints.clear();
    if insert != *blank {
        return unsupported(format!("the clauses of {}", clipped(&insert)));
    }
    Ok(InsertTree { table, columns, rows, source: from, on_duplicate })
}

pub fn update(mut update: ast::Update) -> Result<ChangeTree, Error> {
    static BLANK: OnceLock<ast::Update> = OnceLock::new();
    let blank = BLANK.get_or_init(|| match blank("UPDATE t SET a = 1") {
        Tree::Update(update) => update,
        _ => unreachable!("an UPDATE is an update"),
    });
    let table = target_table(mem::replace(&mut update.table, blank.table.clone()))?;
    let set = assignments(mem::replace(&mut update.assignments, blank.assignments.clone()))?;
    let (filter, limit) = (update.selection.take(), update.limit.take());
    let order = order_list(mem::take(&mut update.order_by))?;
    update.optimizer_hints.clear();
    if update != *blank {
        return unsupported(format!("the clauses of {}", clipped(&update)));
    }
    Ok(ChangeTree { table, set: Some(set), filter, order, limit })
}

pub fn delete(mut delete: ast::Delete) -> Result<ChangeTree, Error> {
    static BLANK: OnceLock<ast::Delete> = OnceLock::new();
    let blank = BLANK.get_or_init(|| match blank("DELETE FROM t") {
        Tree::Delete(delete) => delete,
        _ => unreachable!("a DELETE is a delete"),
    });
    if !delete.tables.is_empty() || delete.using.is_some() {
        return unsupported("DELETE from several tables");
    }
    let table = match mem::replace(&mut delete.from, blank.from.clone()) {
        ast::FromTable::WithFromKeyword(mut list) if list.len() == 1 => target_table(list.remove(0))?,
        ast::FromTable::WithFromKeyword(_) => return unsupported("DELETE from several tables"),
        ast::FromTable::WithoutKeyword(_) => return Err(Error::Syntax { why: "DELETE wants FROM".into() }),
    };
    let (filter, limit) = (delete.selection.take(), delete.limit.take());
    let order = order_list(mem::take(&mut delete.order_by))?;
    delete.optimizer_hints.clear();
    if delete != *blank {
        return unsupported(format!("the clauses of {}", clipped(&delete)));
    }
    Ok(ChangeTree { table, set: None, filter, order, limit })
}
