//! What a SELECT is planned from: its tables and their columns, and what its clauses may say of them.

use super::compile::Compiler;
use super::compound::Union;
use super::datum::Datum;
use super::expr::{Comparison, Expr};
use super::function;
use super::join::{From, Level};
use super::out::Direction;
use super::schema;
use super::select::Place;
use super::tree::{Factor, SelectTree};
use super::view;
use crate::error::Error;
use crate::request::ColumnHead;
use crate::table::TableInfo;
use sqlparser::ast::{self, Expr as Ast};
use std::collections::BTreeSet;
use std::sync::Arc;

/// `ORDER BY 2`: the second item.
pub(super) fn position(tree: &Ast) -> Option<&str> {
    match tree {
        Ast::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn picked(items: &[Expr], place: &str, clause: &str) -> Result<Expr, Error> {
    let at = place.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
    at.and_then(|at| items.get(at))
        .cloned()
        .ok_or_else(|| Error::NoColumn { column: place.into(), place: clause.into() })
}

/// A LIMIT or OFFSET: a number that is not negative, and as in MySQL no expression.
pub fn bound(tree: &Option<Ast>, otherwise: u64, compiler: &mut Compiler<'_>) -> Result<u64, Error> {
    let Some(tree) = tree else { return Ok(otherwise) };
    let wrong = || Error::Syntax { why: format!("LIMIT is a number that is not negative, not {tree}") };
    if !matches!(tree, Ast::Value(_)) {
        return Err(wrong());
    }
    let datum = compiler.value(tree)?;
    let n = match datum {
        Datum::Int(n) => u64::try_from(n).ok(),
        Datum::Dec(n) => n.as_whole().and_then(|n| u64::try_from(n).ok()),
        _ => None,
    };
    n.ok_or_else(wrong)
}

/// The conditions that must all be true.
pub(super) fn ands(filter: Option<Expr>) -> Vec<Expr> {
    match filter {
        Some(Expr::And(parts)) => parts,
        other => other.into_iter().collect(),
    }
}

/// The values of an ENUM are in the order in which its definition has them.
pub(super) fn by_member(expr: Expr, heads: &[ColumnHead]) -> Expr {
    let members = match &expr {
        Expr::Column(at) => heads.get(*at).and_then(|head| head.members.as_ref()),
        _ => None,
    };
    let (Some(members), Some(field)) = (members.filter(|members| !members.set), function::find("FIELD"))
    else {
        return expr;
    };
    let names = members.names.iter().map(|name| Expr::text(name.as_str()));
    let args = std::iter::once(expr.clone()).chain(names).collect();
    Expr::Call(field, args)
}

pub(super) fn has_aggregate(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit(&mut |part| found |= matches!(part, Expr::Aggregate(_)));
    found
}

/// How many columns a row must have for these expressions.
pub(super) fn columns_in<'e>(exprs: impl Iterator<Item = &'e Expr>) -> usize {
    let mut most = 0;
    for expr in exprs {
        expr.visit(&mut |part| {
            if let Expr::Column(at) = part {
                most = most.max(at + 1);
            }
        });
    }
    most
}

/// Notes a column that is looked at, by its place.
pub(super) fn note_column(wanted: &mut Vec<bool>, part: &Expr) {
    if let Expr::Column(at) = part {
        if wanted.len() <= *at {
            wanted.resize(at + 1, false);
        }
        wanted[*at] = true;
    }
}

/// Whether these are columns alone, each once.
pub(super) fn plain(items: &[Expr]) -> bool {
    if let [only] = items {
        return matches!(only, Expr::Column(_));
    }
    let mut found = BTreeSet::new();
    items.iter().all(|item| matches!(item, Expr::Column(at) if found.insert(*at)))
}

/// Whether a walk in key order puts out rows in this order already.
pub(super) fn in_key_order(order: &[(Expr, Direction)], info: &TableInfo, index: Option<usize>) -> bool {
    if order.is_empty() {
        return true;
    }
    // What stands in a key only in part says nothing of the order of the rest; behind its columns are the primary
    // key's.
    let parts = index.map_or(&[][..], |at| &info.def.indexes[at].parts);
    let sharp = parts.iter().take_while(|part| part.prefix == 0).map(|part| part.column);
    let all_sharp = parts.iter().all(|part| part.prefix == 0);
    let behind = info.def.primary.iter().copied().filter(|_| all_sharp);
    let key: Vec<usize> = sharp.chain(behind).collect();
    order.len() <= key.len()
        && order.iter().zip(&key).all(|((expr, direction), column)| {
            *direction == Direction::Up && matches!(expr, Expr::Column(at) if at == column)
        })
}

/// Refuses a column that has no one value in a group (MySQL's ONLY_FULL_GROUP_BY).
pub(super) fn full_group_by<'e>(
    shown: impl Iterator<Item = &'e Expr>,
    keys: &[Expr],
    levels: &[Level],
    heads: &[ColumnHead],
) -> Result<(), Error> {
    let keyed = |column: usize| keys.iter().any(|key| matches!(key, Expr::Column(at) if *at == column));
    // Whoever is grouped by a table's primary key has one row of it in each group.
    let one_row = |column: usize| {
        levels.iter().any(|level| match &level.from {
            From::Table(info) if (level.offset..level.offset + level.width).contains(&column) => {
                !info.hidden_key() && info.def.primary.iter().all(|part| keyed(level.offset + part))
            }
            _ => false,
        })
    };
    for expr in shown {
        if keys.iter().any(|key| format!("{key:?}") == format!("{expr:?}")) {
            continue;
        }
        let mut stray = None;
        expr.visit(&mut |part| {
            if let Expr::Column(at) = part
                && !keyed(*at)
                && !one_row(*at)
            {
                stray = Some(*at);
            }
        });
        if let Some(at) = stray {
            let name = &heads[at].name;
            let (code, rule) = match keys.is_empty() {
                true => (1140, "there is no GROUP BY, and an aggregate makes one row of all"),
                false => (1055, "it is neither in GROUP BY nor in an aggregate"),
            };
            let message =
                format!("Column '{name}' has no one value in a group: {rule} (sql_mode=only_full_group_by)");
            return Err(Error::Sql { code, state: "42000", message });
        }
    }
    Ok(())
}

/// The tables of a query, each with its place in a row, and all their columns.
/// If there is but one and it goes by its own name, its columns stand in its definition, and are not copied.
#[allow(clippy::type_complexity)]
pub(super) fn tables(
    tree: &SelectTree,
    place: Place<'_>,
) -> Result<(Vec<Level>, Option<Arc<TableInfo>>, Vec<ColumnHead>), Error> {
    let mut levels: Vec<Level> = Vec::new();
    let mut heads: Vec<ColumnHead> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for joined in &tree.from {
        let (from, own, alias) = match &joined.factor {
            Factor::Table(table)
                if table.database.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(schema::NAME)) =>
            {
                let list = place.list.map_or_else(Vec::new, |list| list());
                let made = schema::table(&table.name, &list, place.vars).ok_or_else(|| Error::Sql {
                    code: 1109,
                    state: "42S02",
                    message: format!("Unknown table '{}' in information_schema", table.name),
                })?;
                (From::Given(made.rows.into()), made.heads, &table.alias)
            }
            Factor::Table(table) => {
                let find = place.tables.expect("a query with tables is planned where there are some");
                let info = find(table)?;
                if info.is_view() {
                    let union = view::expanded(&info, place)?;
                    let heads = union.heads().to_vec();
                    (From::Derived(Box::new(union), None), heads, &table.alias)
                } else if tree.from.len() == 1 && table.alias == info.name() {
                    let level = Level::new(From::Table(Arc::clone(&info)), 0, info.heads.len(), false, None);
                    return Ok((vec![level], Some(info), Vec::new()));
                } else {
                    (From::Table(Arc::clone(&info)), info.heads.clone(), &table.alias)
                }
            }
            Factor::Derived { parts, alias, columns, lateral } => {
                let outer = place.outer.filter(|_| *lateral);
                let union = Union::new(parts, columns, Place { outer, ..place })?;
                let heads = union.heads().to_vec();
                (From::Derived(Box::new(union), None), heads, alias)
            }
        };
        if names.contains(&alias.as_str()) {
            let message = format!("Not unique table/alias: '{alias}'");
            return Err(Error::Sql { code: 1066, state: "42000", message });
        }
        names.push(alias);
        levels.push(Level::new(from, heads.len(), own.len(), joined.outer, None));
        heads.extend(own.into_iter().map(|head| ColumnHead { table: alias.clone(), ..head }));
    }
    Ok((levels, None, heads))
}

/// What USING makes of columns with one name.
#[derive(Default)]
pub(super) struct Merged {
    /// Those that are one with an earlier one.
    pub(super) later: Vec<usize>,
    /// That they are equal, for each level.
    pub(super) on: Vec<(usize, Expr)>,
}

pub(super) fn merged(tree: &SelectTree, levels: &[Level], heads: &[ColumnHead]) -> Result<Merged, Error> {
    let mut merged = Merged::default();
    for (at, (joined, level)) in tree.from.iter().zip(levels).enumerate() {
        let mut equal = Vec::new();
        for name in &joined.using {
            let named = |place: &usize| heads[*place].name.eq_ignore_ascii_case(name);
            let before = (0..level.offset).filter(|place| !merged.later.contains(place)).find(named);
            let own = (level.offset..level.offset + level.width).find(named);
            let (Some(before), Some(own)) = (before, own) else {
                return Err(Error::NoColumn { column: name.clone(), place: "from clause".into() });
            };
            merged.later.push(own);
            let pair = Box::new([Expr::Column(before), Expr::Column(own)]);
            equal.push(Expr::Compare(Comparison::Eq, pair));
        }
        if !equal.is_empty() {
            merged.on.push((at, Expr::And(equal)));
        }
    }
    Ok(merged)
}
