//! SQL text: parsed, planned and run through the kernel's transactions.
//!
//! Intuition: a translator who writes nothing himself. A statement becomes reads and writes of a
//! [`Txn`](crate::Txn), which is the only way to the data; what it may not do there, SQL can't say.
//! Invariant: a statement either pushes one result or fails, and then the session takes back what it wrote; it may
//! stop between any two rows and go on later, or begin again in a fresh transaction.
//! The way of a text: [`text`] cuts it into statements, the parser makes trees, [`tree`] takes from them what this
//! store does and refuses the rest by name, [`compile`] turns names into places, [`access`] finds the keys to look
//! at, and [`select`], [`insert`] and [`change`] run.
//! Where the answer is a matter of taste, MySQL 8's is given, with its error numbers.
//! Not here: isolation, certification, ids (the kernel); bytes on a wire (`wire`).

mod access;
mod addition;
mod alter;
mod asking;
mod calendar;
mod call;
mod change;
mod check;
mod compile;
mod compound;
mod convert;
mod datum;
mod ddl;
mod decimal;
mod eval;
mod explain;
mod expr;
mod from;
mod function;
mod group;
mod insert;
mod join;
mod kind;
mod literal;
mod moment;
mod out;
mod plans;
mod prepared;
mod rows;
mod schema;
mod select;
mod session;
mod show;
mod sorted;
mod statement;
mod sub;
mod text;
mod time;
mod tree;
mod unsigned;
mod vars;
mod view;
mod written;

#[cfg(test)]
mod tests;

pub(crate) use addition::added;
pub(crate) use alter::Alter;
pub(crate) use asking::Asking;
pub(crate) use check::{Conditions, added as added_checks, admit as admit_checks};
pub(crate) use datum::{Datum, double};
pub use decimal::Decimal;
pub(crate) use decimal::SCALE_MAX;
pub(crate) use moment::{Moment, is_moment};
pub(crate) use plans::Plans;
pub(crate) use statement::{Query, Statement};
pub(crate) use vars::Vars;

use crate::error::Error;
use crate::named::Named;
use crate::request::{Column, Done, Param, StepResult};
use crate::session::{Action, Context, Drops, Work};
use crate::value::Value;
use asking::Asks;
use compile::{names, unsupported};
use prepared::{by_name, execute, prepare};
use session::{locks, modes_of, plain, savepoint, set};
use show::{About, Answer, Show, Wanted};
use sqlparser::ast::{self, Statement as Tree};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use text::Piece;
use view::View;

/// The statements of one request.
pub(crate) struct Script {
    sql: String,
    multi: bool,
    /// `None`: the text was not looked at yet.
    pieces: Option<VecDeque<Piece>>,
    /// Of the statement under way.
    actions: VecDeque<Action>,
    what: Asked,
}

/// What is to be done with the text.
enum Asked {
    Run,
    Prepare,
    /// There is no text, but a statement that was prepared; `None`: it was begun.
    Execute(Option<(u32, Vec<Param>)>),
}

impl Script {
    /// `multi`: the client may send several statements at once.
    pub fn new(sql: String, multi: bool) -> Script {
        Script { sql, multi, pieces: None, actions: VecDeque::new(), what: Asked::Run }
    }

    pub fn prepare(sql: String) -> Script {
        Script { what: Asked::Prepare, ..Script::new(sql, false) }
    }

    pub fn execute(number: u32, params: Vec<Param>) -> Script {
        Script { what: Asked::Execute(Some((number, params))), ..Script::new(String::new(), false) }
    }

    pub fn bytes(&self) -> usize {
        self.sql.len()
    }

    /// The next action; `None` after the last. An error ends the script.
    pub fn next(
        &mut self,
        vars: &mut Vars,
        plans: &mut Plans,
        ctx: &Context<'_>,
    ) -> Option<Result<Action, Error>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Some(Ok(action));
            }
            // A defect in the parser ends this statement and its session, not the node.
            let planned =
                catch_unwind(AssertUnwindSafe(|| self.plan(vars, plans, ctx))).unwrap_or_else(|panic| {
                    let why = panic.downcast_ref::<String>().map(String::as_str);
                    let why = why
                        .or_else(|| panic.downcast_ref::<&str>().copied())
                        .unwrap_or("a panic without words");
                    Err(Error::Internal { why: why.to_owned() })
                });
            match planned {
                Ok(Some(actions)) => self.actions = actions.into(),
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// What the next statement asks for; `None` after the last.
    fn plan(
        &mut self,
        vars: &mut Vars,
        plans: &mut Plans,
        ctx: &Context<'_>,
    ) -> Result<Option<Vec<Action>>, Error> {
        vars.params.clear();
        if let Asked::Execute(asked) = &mut self.what {
            let Some((number, params)) = asked.take() else { return Ok(None) };
            let form = vars.forms.get(number)?.clone();
            let params = params.into_iter().map(Datum::of_param).collect();
            return execute(&form, params, "mysqld_stmt_execute", vars, ctx).map(Some);
        }
        if matches!((&self.what, &self.pieces), (Asked::Run, None))
            && let Some(action) = plain(&self.sql, vars)
        {
            self.pieces = Some(VecDeque::new());
            return Ok(Some(vec![action]));
        }
        if matches!((&self.what, &self.pieces), (Asked::Run, None))
            && let Some((query, values)) = plans.get(&self.sql)
        {
            self.pieces = Some(VecDeque::new());
            vars.params = values;
            vars.warnings.clear();
            return Ok(Some(vec![Action::Work(Work::Sql(Box::new(Statement::of(query))))]));
        }
        let pieces = match &mut self.pieces {
            Some(pieces) => pieces,
            None => {
                let cut = text::pieces(&self.sql, vars.ansi_quotes())?;
                if cut.is_empty() && self.sql.trim_start().starts_with("/*M!") {
                    // For a MariaDB alone, and none of its texts asks for more than another setting.
                    self.pieces = Some(VecDeque::new());
                    return Ok(Some(vec![done()]));
                }
                if cut.is_empty() {
                    return Err(Error::Sql { code: 1065, state: "42000", message: "Query was empty".into() });
                }
                if cut.len() > 1 && !self.multi {
                    let place = cut[1].place();
                    let why = format!(
                        "a second statement begins at line {}, column {}, and this client did not ask for several",
                        place.line, place.column
                    );
                    return Err(Error::Syntax { why });
                }
                self.pieces.insert(cut.into())
            }
        };
        let Some(piece) = pieces.pop_front() else { return Ok(None) };
        match self.what {
            Asked::Prepare => prepare(piece, &self.sql, None, vars).map(Some),
            _ => statement(piece, &self.sql, vars, ctx).map(Some),
        }
    }
}

/// A value of another column's kind as `column` keeps it.
pub(crate) fn recast(column: &Column, value: &Value) -> Result<Value, Error> {
    convert::into_column(column, Datum::of(value))
}

fn done() -> Action {
    Action::Answer(StepResult::Done(Done::default()))
}

fn query(query: Query) -> Action {
    Action::Work(Work::Sql(Box::new(Statement::new(query))))
}

fn shown(answer: Answer, wanted: &Wanted, vars: &mut Vars, ctx: &Context<'_>) -> Result<Vec<Action>, Error> {
    vars.row_count = -1;
    Ok(vec![Action::Answer(answer.filtered(wanted, vars, ctx)?)])
}

/// Statements that are known and not done, by their first words. Of those that the parser does not know either this
/// is the only place.
const NOT_DONE: &[&[&str]] = &[
    &["ALTER", "DATABASE"],
    &["ALTER", "SEQUENCE"],
    &["ALTER", "USER"],
    &["ALTER", "VIEW"],
    &["ANALYZE"],
    &["BINLOG"],
    &["CACHE"],
    &["CALL"],
    &["CHANGE"],
    &["CHECK"],
    &["CHECKSUM"],
    &["CREATE", "DATABASE"],
    &["CREATE", "FUNCTION"],
    &["CREATE", "PROCEDURE"],
    &["CREATE", "SCHEMA"],
    &["CREATE", "SEQUENCE"],
    &["CREATE", "TRIGGER"],
    &["CREATE", "USER"],
    &["DROP", "DATABASE"],
    &["DROP", "SCHEMA"],
    &["DROP", "SEQUENCE"],
    &["DROP", "USER"],
    &["FLUSH"],
    &["GRANT"],
    &["HANDLER"],
    &["HELP"],
    &["INSTALL"],
    &["KILL"],
    &["LOAD"],
    &["LOCK", "INSTANCE"],
    &["OPTIMIZE"],
    &["PURGE"],
    &["RENAME", "USER"],
    &["REPAIR"],
    &["RESET"],
    &["REVOKE"],
    &["SET", "PASSWORD"],
    &["SET", "GLOBAL"],
    &["SET", "PERSIST"],
    &["SIGNAL"],
    &["STOP"],
    &["START", "SLAVE"],
    &["START", "REPLICA"],
    &["UNINSTALL"],
    &["UNLOCK", "INSTANCE"],
    &["XA"],
];

fn statement(mut piece: Piece, sql: &str, vars: &mut Vars, ctx: &Context<'_>) -> Result<Vec<Action>, Error> {
    if piece.begins(&["SHOW"]) {
        return show(piece, vars, ctx);
    }
    if let Some(actions) = by_name(&piece, vars, ctx)? {
        return Ok(actions);
    }
    if piece.begins(&["UPDATE"]) && piece.is_comma(2) {
        return unsupported("UPDATE of several tables");
    }
    if let Some(words) = NOT_DONE.iter().find(|words| piece.begins(words)) {
        return unsupported(words.join(" "));
    }
    if piece.begins(&["SHUTDOWN"]) {
        let message =
            "Access denied: a node is stopped by its supervisor, 'plait stop', not by a client".to_owned();
        return Err(Error::Sql { code: 1227, state: "42000", message });
    }
    if let Some(actions) = savepoint(&piece).or_else(|| locks(&piece, vars)) {
        return Ok(actions);
    }
    let only_done = piece.begins(&["DO"]);
    if only_done {
        piece.instead_of_first("SELECT");
    }
    let snapshot =
        piece.begins(&["START", "TRANSACTION"]) && piece.cut_end(&["WITH", "CONSISTENT", "SNAPSHOT"]);
    if piece.begins(&["SET", "GLOBAL", "TRANSACTION"]) {
        return unsupported("SET GLOBAL TRANSACTION");
    }
    // The parser drops the scope; without one the level is that of the next transaction alone.
    let for_session =
        piece.begins(&["SET", "SESSION", "TRANSACTION"]) || piece.begins(&["SET", "LOCAL", "TRANSACTION"]);
    let texts = if piece.begins(&["SELECT"]) && !only_done && !piece.lists_columns() {
        piece.items(sql)
    } else {
        Vec::new()
    };
    let asks = piece.count("SELECT") > 1;
    if only_done && (asks || piece.count("FROM") > 0) {
        return unsupported("DO with a query in it");
    }
    let defines = piece.begins(&["CREATE", "TABLE"]) || piece.begins(&["ALTER", "TABLE"]);
    let collations = if defines { piece.collations() } else { Vec::new() };
    let parts = |what: &&str| piece.has(&[what, "PARTITION"]);
    if defines
        && (piece.has(&["PARTITION", "BY"]) || ["ADD", "DROP", "TRUNCATE", "REORGANIZE"].iter().any(parts))
    {
        return unsupported("PARTITION BY");
    }
    if defines && piece.has(&["SYSTEM", "VERSIONING"]) {
        return unsupported("SYSTEM VERSIONING");
    }
    let behind_as = if piece.begins(&["CREATE"]) { piece.behind_as() } else { None };
    let options = piece.cut_options().map(|mut piece| piece.parse()).transpose()?;
    let tree = piece.parse()?;
    // What the last statement warned of can still be asked for while a SELECT of `@@warning_count` is planned.
    let before = std::mem::take(&mut vars.warnings);
    for name in collations {
        vars.collation(&name)?;
    }
    match tree {
        Tree::Query(tree) => {
            let tree = compound::query(*tree, &texts, &None)?;
            if !tree.from.is_empty() || asks {
                return Ok(vec![query(Query::Select(tree))]);
            }
            vars.warnings = before;
            vars.asks = Asks::gather();
            let place = select::Place { vars, ctx, tables: None, list: None, outer: None };
            let planned = select::Select::new(&tree, place);
            let asked = vars.asks.gathered();
            let select = planned?;
            vars.warnings = Vec::new();
            if let Some(ask) = asked? {
                let named = Named::new(ask, Asking::new(tree, only_done));
                return Ok(vec![Action::Aside(Work::Named(Box::new(named)))]);
            }
            let answer = select.answer(vars)?;
            if only_done {
                vars.row_count = 0;
                return Ok(vec![done()]);
            }
            Ok(vec![Action::Answer(answer)])
        }
        Tree::Insert(tree) => Ok(vec![query(Query::Insert(tree::insert(tree)?))]),
        Tree::Update(tree) => Ok(vec![query(Query::Change(tree::update(tree)?))]),
        Tree::Delete(tree) => Ok(vec![query(Query::Change(tree::delete(tree)?))]),
        Tree::StartTransaction {
            modes,
            statements,
            exception: None,
            has_end_keyword: false,
            modifier: None,
            ..
        } if statements.is_empty() => {
            modes_of(&modes)?;
            vars.locked = false;
            let mut actions = vec![Action::Begin(None)];
            if snapshot {
                actions.push(query(Query::Snapshot));
            }
            Ok(actions)
        }
        Tree::Commit { chain: false, end: false, modifier: None } => Ok(vec![Action::Commit]),
        Tree::Rollback { chain: false, savepoint: None } => Ok(vec![Action::Rollback]),
        Tree::Commit { chain: true, .. } | Tree::Rollback { chain: true, .. } => unsupported("AND CHAIN"),
        Tree::CreateTable(tree) => match ddl::like(&tree)? {
            Some(alter) => Ok(vec![Action::Alter(Box::new(alter))]),
            None => Ok(vec![Action::Create(ddl::create(tree, vars, ctx)?)]),
        },
        Tree::AlterTable(tree) => {
            Ok(vec![Action::Alter(Box::new(Alter::table(tree, options.as_ref(), vars)?))])
        }
        Tree::CreateIndex(tree) => Ok(vec![Action::Alter(Box::new(Alter::add_index(tree)?))]),
        Tree::Truncate(tree) => Ok(vec![Action::Alter(Box::new(Alter::truncate(tree)?))]),
        Tree::RenameTable(list) => {
            let one = |one: &ast::RenameTable| {
                Ok(Action::Alter(Box::new(Alter::rename(&one.old_name, &one.new_name)?)))
            };
            match &list[..] {
                [only] => Ok(vec![one(only)?]),
                _ => unsupported("RENAME of several tables in one statement"),
            }
        }
        Tree::Drop {
            object_type: ast::ObjectType::Index,
            if_exists: false,
            names,
            table: Some(table),
            ..
        } if names.len() == 1 => Ok(vec![Action::Alter(Box::new(Alter::drop_index(&names[0], &table)?))]),
        Tree::Drop {
            object_type: ast::ObjectType::Table,
            if_exists,
            names,
            temporary: false,
            table: None,
            ..
        } => {
            let mut list = Vec::new();
            for name in &names {
                list.push(vars.table(&tree::table_name(name)?)?.to_owned());
            }
            Ok(vec![Action::Drop(Drops::new(list, if_exists, !vars.foreign_checks()))])
        }
        Tree::CreateView(tree) => {
            let view = View::new(tree, behind_as.unwrap_or_default())?;
            Ok(vec![Action::Alter(Box::new(Alter::view(view)))])
        }
        Tree::Drop { object_type: ast::ObjectType::View, if_exists, names, temporary: false, .. } => {
            let mut list = Vec::new();
            for name in &names {
                list.push(vars.table(&tree::table_name(name)?)?.to_owned());
            }
            Ok(vec![Action::Drop(Drops { view: true, ..Drops::new(list, if_exists, false) })])
        }
        Tree::Use(tree) => {
            let name = match &tree {
                ast::Use::Object(name) | ast::Use::Database(name) | ast::Use::Schema(name) => {
                    names(name)?.join(".")
                }
                other => return unsupported(other.to_string()),
            };
            vars.use_database(&name)?;
            Ok(vec![done()])
        }
        Tree::Set(tree) => set(tree, for_session, vars, ctx),
        Tree::ExplainTable { table_name, .. } => {
            let about = About::Columns { table: tree::table_name(&table_name)?, full: false };
            Ok(vec![query(Query::Show(Show { about, wanted: Wanted::All }))])
        }
        Tree::Explain {
            analyze: false,
            verbose: false,
            query_plan: false,
            estimate: false,
            statement,
            format: None,
            options: None,
            ..
        } => match prepared::tables_of(*statement, &[])? {
            Some(explained) => Ok(vec![query(Query::Explain(Box::new(explained)))]),
            None => unsupported("EXPLAIN of other statements than SELECT, INSERT, UPDATE and DELETE"),
        },
        Tree::Explain { .. } => unsupported("EXPLAIN ANALYZE and EXPLAIN FORMAT"),
        other => {
            let shown: String = other.to_string().chars().take(80).collect();
            unsupported(shown)
        }
    }
}

fn show(mut piece: Piece, vars: &mut Vars, ctx: &Context<'_>) -> Result<Vec<Action>, Error> {
    let words = piece.words(1);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // What the parser does not know.
    match words[..] {
        ["WARNINGS", ..] => return shown(show::warnings(vars, false), &Wanted::All, vars, ctx),
        ["ERRORS", ..] => return shown(show::warnings(vars, true), &Wanted::All, vars, ctx),
        ["COUNT", ..] => return unsupported("SHOW COUNT(*)"),
        ["ENGINES"] | ["STORAGE", "ENGINES"] => return shown(show::engines(), &Wanted::All, vars, ctx),
        ["PLUGINS"] => {
            let names = ["Name", "Status", "Type", "Library", "License"];
            return shown(Answer::new(&names), &Wanted::All, vars, ctx);
        }
        ["INDEX" | "INDEXES" | "KEYS", "FROM" | "IN", ..] => {
            let table = match (piece.len(), piece.name(3)) {
                (6, Some(name)) if piece.is(4, "FROM") || piece.is(4, "IN") => tree::TableRef {
                    database: piece.name(5).map(str::to_owned),
                    name: name.into(),
                    alias: name.into(),
                },
                (4, Some(name)) => tree::TableRef { database: None, name: name.into(), alias: name.into() },
                _ => return unsupported("this form of SHOW INDEX"),
            };
            return Ok(vec![query(Query::Show(Show { about: About::Index(table), wanted: Wanted::All }))]);
        }
        ["TRIGGERS", ..] => return shown(Answer::new(show::TRIGGERS), &Wanted::All, vars, ctx),
        ["EVENTS", ..] => return shown(Answer::new(show::EVENTS), &Wanted::All, vars, ctx),
        ["FUNCTION" | "PROCEDURE" | "PACKAGE", "STATUS", ..] | ["PACKAGE", "BODY", "STATUS", ..] => {
            return shown(Answer::new(show::ROUTINES), &Wanted::All, vars, ctx);
        }
        ["SLAVE" | "REPLICA", "STATUS", ..] | ["ALL", "SLAVES", "STATUS", ..] => {
            return shown(Answer::new(show::REPLICAS), &Wanted::All, vars, ctx);
        }
        ["PROCESSLIST"] | ["FULL", "PROCESSLIST"] => {
            return shown(show::processes(vars, ctx), &Wanted::All, vars, ctx);
        }
        ["GRANTS", ..] => return shown(show::grants(vars), &Wanted::All, vars, ctx),
        ["CREATE", "DATABASE" | "SCHEMA", ..] => {
            return shown(show::create_database(vars), &Wanted::All, vars, ctx);
        }
        ["TABLE", "STATUS", ..] => {
            let wanted =
                match (piece.begins(&["SHOW", "TABLE", "STATUS", "LIKE"]), piece.literal(4), piece.len()) {
                    (_, _, 3) => Wanted::All,
                    (true, Some(pattern), 5) => Wanted::Like(pattern.to_owned()),
                    _ => return unsupported("this form of SHOW TABLE STATUS"),
                };
            return Ok(vec![query(Query::Show(Show { about: About::TableStatus, wanted }))]);
        }
        _ => {}
    }
    let tree = piece.parse()?;
    vars.warnings.clear();
    let about = |about, wanted| Ok(vec![query(Query::Show(Show { about, wanted }))]);
    match tree {
        Tree::ShowDatabases { show_options, .. } | Tree::ShowSchemas { show_options, .. } => {
            let (wanted, _) = show::options(show_options)?;
            shown(show::databases(vars), &wanted, vars, ctx)
        }
        Tree::ShowVariables { filter, .. } => {
            shown(show::variables(vars, ctx), &show::wanted(filter)?, vars, ctx)
        }
        Tree::ShowStatus { filter, .. } => shown(show::status(ctx), &show::wanted(filter)?, vars, ctx),
        Tree::ShowCollation { filter } => shown(show::collations(), &show::wanted(filter)?, vars, ctx),
        Tree::ShowCharset(tree) => shown(show::charsets(), &show::wanted(tree.filter)?, vars, ctx),
        Tree::ShowTables { full, show_options, .. } => {
            let (wanted, database) = show::options(show_options)?;
            let database = database.as_ref().map(names).transpose()?.map(|names| names.join("."));
            match database.or_else(|| vars.database.clone()) {
                None => {
                    Err(Error::Sql { code: 1046, state: "3D000", message: "No database selected".into() })
                }
                Some(name) => {
                    vars.is_home(&name)?;
                    about(About::Tables { full }, wanted)
                }
            }
        }
        Tree::ShowColumns { full, show_options, .. } => {
            let (wanted, table) = show::options(show_options)?;
            let Some(table) = table else {
                return Err(Error::Syntax { why: "SHOW COLUMNS wants a table".into() });
            };
            about(About::Columns { table: tree::table_name(&table)?, full }, wanted)
        }
        Tree::ShowCreate { obj_type, obj_name }
            if matches!(obj_type, ast::ShowCreateObject::Table | ast::ShowCreateObject::View) =>
        {
            let view = obj_type == ast::ShowCreateObject::View;
            about(About::Create { table: tree::table_name(&obj_name)?, view }, Wanted::All)
        }
        other => {
            let words: Vec<_> = other.to_string().split_whitespace().take(3).map(str::to_owned).collect();
            unsupported(words.join(" "))
        }
    }
}
