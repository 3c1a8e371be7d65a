//! EXPLAIN: for each table of a statement, through which key it is looked at, and how many rows that are.
//!
//! Honest: the access shown is the one that the statement would take if it began now. Rows are counted, not guessed:
//! the keys that lie in the spans, up to a bound; where that depends on the row before, as in a join, it is said so
//! by NULL. What a subquery has still to answer is not known yet, so its conditions don't narrow anything here.

use super::access::{Access, Span, access};
use super::join::{From, Level};
use super::select::Select;
use super::show::Answer;
use super::statement::Stage;
use crate::apply::PRIMARY;
use crate::error::Error;
use crate::request::{Rows, StepResult};
use crate::session::{Env, Turn};
use crate::store::Store;
use crate::table::TableInfo;
use crate::value::Value;
use std::ops::Bound;

/// Keys that are counted for one table; where there are more it is said.
const COUNTED_MAX: u64 = 1_000;

/// A subquery that is run for each row around it.
const DEPENDENT: &str = "DEPENDENT SUBQUERY";

struct Lines<'a> {
    store: &'a Store,
    answer: Answer,
    /// The number of the last SELECT.
    id: u32,
}

pub fn explain(stage: &Stage, env: &mut Env<'_>) -> Turn {
    let names = ["id", "select_type", "table", "type", "possible_keys", "key", "rows", "Extra"];
    let answer = Answer::new(&names).ints(&[0, 6]);
    let mut lines = Lines { store: env.store, answer, id: 1 };
    match stage {
        Stage::Select(select) => lines.select(select, "SIMPLE", 1),
        Stage::Insert(insert) => {
            lines.line(1, "INSERT", insert.info.name(), "ALL", None, None, None, String::new());
            if let Some(select) = &insert.select {
                lines.select(select, "SIMPLE", 1);
            }
        }
        Stage::Change(change) => {
            let what = if change.deletes() { "DELETE" } else { "UPDATE" };
            let found = access(&change.info, change.filter.as_ref());
            let filtered = change.filter.is_some();
            lines.table(1, what, change.info.name(), &change.info, &found, filtered, false);
            change.asked.selects().for_each(|select| lines.sub(select, change.info.heads.len()));
        }
        _ => {
            let what = "EXPLAIN of other statements than SELECT, INSERT, UPDATE and DELETE".to_owned();
            return Turn::Done(Err(Error::Unsupported { what }));
        }
    }
    env.vars.row_count = -1;
    let Answer { heads: columns, rows } = lines.answer;
    env.results.push(StepResult::Rows(Rows { columns, rows: rows.into() }));
    Turn::Done(Ok(()))
}

/// What kind of look a condition is, in MySQL's words.
fn kind(info: &TableInfo, found: &Access, joined: bool) -> &'static str {
    let whole = [Span::Range(Vec::new(), None)];
    let unique = found.index.is_none_or(|at| info.def.indexes[at].unique);
    match &found.spans[..] {
        spans if spans == whole => "ALL",
        // In a join the values are those of the row before.
        [] if joined && unique => "eq_ref",
        [] if joined => "ref",
        [Span::Point(_)] => "const",
        spans if found.index.is_some() && spans.iter().all(one_place) => "ref",
        _ => "range",
    }
}

/// Whether a range is that of all rows with the same values.
fn one_place(span: &Span) -> bool {
    matches!(span, Span::Range(from, Some(to)) if to.strip_prefix(&from[..]).is_some_and(|end| end == [0xff]))
}

impl Lines<'_> {
    #[allow(clippy::too_many_arguments)]
    fn line(
        &mut self,
        id: u32,
        what: &str,
        table: &str,
        kind: &str,
        possible: Option<String>,
        key: Option<String>,
        rows: Option<u64>,
        extra: String,
    ) {
        let text = |text: &str| Some(text.to_owned());
        let (id, rows) = (Some(id.to_string()), rows.map(|rows| rows.to_string()));
        self.answer.push([id, text(what), text(table), text(kind), possible, key, rows, Some(extra)]);
    }

    // One argument a column.
    #[allow(clippy::too_many_arguments)]
    fn table(
        &mut self,
        id: u32,
        what: &str,
        name: &str,
        info: &TableInfo,
        found: &Access,
        filtered: bool,
        joined: bool,
    ) {
        let kind = kind(info, found, joined);
        let key_name =
            |at: Option<usize>| at.map_or(PRIMARY, |at| info.def.indexes[at].name.as_str()).to_owned();
        let mut all = Vec::new();
        if !info.hidden_key() {
            all.push(PRIMARY);
        }
        all.extend(info.def.indexes.iter().map(|index| index.name.as_str()));
        let (possible, key) = match kind {
            "ALL" => (None, None),
            _ => (Some(all.join(",")), Some(key_name(found.index))),
        };
        let rows = match kind {
            "eq_ref" => Some((1, false)),
            "ref" if joined => None,
            "ALL" => Some((self.store.rows_about(info.id), false)),
            _ => Some(self.count(info, found)),
        };
        let mut extra = Vec::new();
        if filtered {
            extra.push("Using where".to_owned());
        }
        if rows.is_some_and(|(_, more)| more) {
            extra.push("more than these rows".to_owned());
        }
        self.line(id, what, name, kind, possible, key, rows.map(|(rows, _)| rows), extra.join("; "));
    }

    /// How many keys lie in the spans, and whether there are more than were counted.
    fn count(&self, info: &TableInfo, found: &Access) -> (u64, bool) {
        let Some(table) = self.store.tables.get(&info.id) else { return (0, false) };
        let mut count = 0;
        for span in &found.spans {
            count += match (span, found.index) {
                (Span::Point(_), _) => 1,
                (Span::Range(from, to), index) => {
                    let lo = Bound::Included(from.as_slice());
                    let hi = to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(to.as_slice()));
                    let left = (COUNTED_MAX + 1).saturating_sub(count) as usize;
                    match index {
                        Some(at) => table.indexes[at].entries.range::<[u8], _>((lo, hi)).take(left).count(),
                        None => table.rows.range::<[u8], _>((lo, hi)).take(left).count(),
                    }
                }
                .try_into()
                .unwrap_or(u64::MAX),
            };
            if count > COUNTED_MAX {
                return (COUNTED_MAX, true);
            }
        }
        (count, false)
    }

    /// `width`: of the row around it.
    fn sub(&mut self, select: &Select, width: usize) {
        self.id += 1;
        let (mut select, depends) = (select.clone(), select.correlated());
        select.bind(&vec![Value::Null; width]);
        let what = if depends { DEPENDENT } else { "SUBQUERY" };
        self.select(&select, what, self.id);
    }

    fn select(&mut self, select: &Select, what: &str, id: u32) {
        let subs = select.asked.selects().count() > 0;
        let derived = |level: &Level| matches!(level.from, From::Derived(..));
        let Some(join) = &select.join else {
            self.line(id, what, "", "", None, None, None, "No tables used".to_owned());
            return select.asked.selects().for_each(|select| self.sub(select, 0));
        };
        let what = match what {
            "SIMPLE" if subs || join.levels.iter().any(derived) => "PRIMARY",
            other => other,
        };
        let parts = super::from::ands(select.filter.clone());
        let filtered = !parts.is_empty();
        let mut join = join.clone();
        if let [Level { from: From::Table(info), .. }] = &join.levels[..] {
            let found = access(info, select.filter.as_ref());
            self.table(id, what, info.name(), info, &found, filtered, what == DEPENDENT);
        } else {
            let (posts, _) = join.spread(parts);
            for (level, post) in join.levels.iter_mut().zip(posts) {
                level.post = (!post.is_empty()).then_some(super::expr::Expr::And(post));
            }
            // What the rows before would say is not known: NULL stands for it, of which there is no row.
            for (at, level) in join.levels.iter().enumerate() {
                let before = vec![Value::Null; level.offset];
                match &level.from {
                    From::Table(info) => {
                        let found = level.access(info, &before);
                        let joined = at > 0 || what == DEPENDENT;
                        self.table(id, what, info.name(), info, &found, level.asks_row(), joined);
                    }
                    From::Given(rows) => {
                        let rows = Some(rows.len() as u64);
                        self.line(id, what, "information_schema", "ALL", None, None, rows, String::new());
                    }
                    From::Derived(union, _) => {
                        self.line(id, what, "<derived>", "ALL", None, None, None, String::new());
                        for select in union.selects() {
                            self.id += 1;
                            self.select(select, "DERIVED", self.id);
                        }
                    }
                }
            }
        }
        if let Some(row) = self.answer.rows.iter_mut().rfind(|row| row[0] == Value::Int(id.into())) {
            let mut extra: Vec<&str> = Vec::new();
            if select.groups.is_some() {
                extra.push("Using temporary");
            }
            if !select.out.order.is_empty() && !select.ordered_by_key() {
                extra.push("Using filesort");
            }
            if let Value::Text(text) = &mut row[7] {
                for one in extra {
                    let comma = if text.is_empty() { "" } else { "; " };
                    *text += &format!("{comma}{one}");
                }
            }
        }
        let width = join.levels.iter().map(|level| level.width).sum();
        select.asked.selects().for_each(|select| self.sub(select, width));
    }
}
