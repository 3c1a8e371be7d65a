//! SHOW: what clients ask of a server about itself and its tables.
//!
//! Each answer is a small table made on the spot; a LIKE or WHERE is applied to it as to any other.

use super::compile::{Columns, Compiler, unsupported};
use super::eval::like;
use super::expr::{Checks, Row};
use super::tree::TableRef;
use super::vars::Vars;
use super::view;
use super::written::{literal, show_create, type_of};
use crate::apply::PRIMARY;
use crate::error::Error;
use crate::request::{ColumnHead, ColumnType, IndexPart, Rows, StepResult, TableDef};
use crate::session::{Context, Env, Turn};
use crate::value::Value;
use sqlparser::ast::{self, ShowStatementFilter, ShowStatementFilterPosition};

/// Which rows of an answer are wanted.
#[derive(Debug, Default)]
pub enum Wanted {
    #[default]
    All,
    /// Those whose first column is like this.
    Like(String),
    Where(Box<ast::Expr>),
}

/// A question about tables, which needs a snapshot.
#[derive(Debug)]
pub enum About {
    Tables {
        full: bool,
    },
    TableStatus,
    Columns {
        table: TableRef,
        full: bool,
    },
    /// `view`: a table is none.
    Create {
        table: TableRef,
        view: bool,
    },
    Index(TableRef),
}

#[derive(Debug)]
pub struct Show {
    pub about: About,
    pub wanted: Wanted,
}

/// The filter of a SHOW, wherever it stands, and the database that it names.
pub fn options(options: ast::ShowStatementOptions) -> Result<(Wanted, Option<ast::ObjectName>), Error> {
    if options.starts_with.is_some() || options.limit.is_some() || options.limit_from.is_some() {
        return unsupported("the clauses of this SHOW");
    }
    let filter = options.filter_position.map(|position| match position {
        ShowStatementFilterPosition::Infix(filter) | ShowStatementFilterPosition::Suffix(filter) => filter,
    });
    let of = options.show_in.and_then(|show_in| show_in.parent_name);
    Ok((wanted(filter)?, of))
}

pub fn wanted(filter: Option<ShowStatementFilter>) -> Result<Wanted, Error> {
    Ok(match filter {
        None => Wanted::All,
        Some(ShowStatementFilter::Like(pattern)) => Wanted::Like(pattern),
        Some(ShowStatementFilter::Where(tree)) => Wanted::Where(Box::new(tree)),
        Some(other) => return unsupported(other.to_string()),
    })
}

/// The columns of what there is none of here.
pub const TRIGGERS: &[&str] = &[
    "Trigger",
    "Event",
    "Table",
    "Statement",
    "Timing",
    "Created",
    "sql_mode",
    "Definer",
    "character_set_client",
    "collation_connection",
    "Database Collation",
];
pub const EVENTS: &[&str] = &[
    "Db",
    "Name",
    "Definer",
    "Time zone",
    "Type",
    "Execute at",
    "Interval value",
    "Interval field",
    "Starts",
    "Ends",
    "Status",
    "Originator",
    "character_set_client",
    "collation_connection",
    "Database Collation",
];
pub const ROUTINES: &[&str] = &[
    "Db",
    "Name",
    "Type",
    "Definer",
    "Modified",
    "Created",
    "Security_type",
    "Comment",
    "character_set_client",
    "collation_connection",
    "Database Collation",
];
/// The first of those of a replica's state: no node here is one.
pub const REPLICAS: &[&str] = &["Slave_IO_State", "Master_Host", "Master_User", "Master_Port"];

/// A table of texts; `None` is NULL.
pub struct Answer {
    pub heads: Vec<ColumnHead>,
    pub rows: Vec<Vec<Value>>,
}

impl Answer {
    pub fn new(names: &[&str]) -> Answer {
        let kind = ColumnType::Text { chars_max: 1024 };
        let head = |name: &&str| ColumnHead { name: (*name).to_owned(), kind, ..ColumnHead::default() };
        Answer { heads: names.iter().map(head).collect(), rows: Vec::new() }
    }

    /// Columns that hold integers.
    pub fn ints(mut self, places: &[usize]) -> Answer {
        places.iter().for_each(|at| self.heads[*at].kind = ColumnType::Int { bits: 64 });
        self
    }

    pub fn push<const N: usize>(&mut self, cells: [Option<String>; N]) {
        let cells = cells.into_iter().enumerate().map(|(at, cell)| match (cell, self.heads[at].kind) {
            (None, _) => Value::Null,
            (Some(text), ColumnType::Int { .. }) => text.parse().map_or(Value::Text(text), Value::Int),
            (Some(text), _) => Value::Text(text),
        });
        let row = cells.collect();
        self.rows.push(row);
    }

    pub fn filtered(mut self, wanted: &Wanted, vars: &Vars, ctx: &Context<'_>) -> Result<StepResult, Error> {
        match wanted {
            Wanted::All => {}
            // The names of variables and tables are compared without regard to case here, as MySQL does.
            Wanted::Like(pattern) => {
                let pattern = pattern.to_lowercase();
                self.rows.retain(|row| like(&row[0].to_string().to_lowercase(), &pattern, None));
            }
            Wanted::Where(tree) => {
                let columns = Columns { database: &vars.home, table: "", heads: &self.heads };
                let filter = Compiler::new(vars, ctx, Some(columns), "where clause").compile(tree)?;
                let checks = Checks::default();
                let mut chosen = Vec::new();
                for row in self.rows {
                    if filter.chooses(Row::of(&row), &checks)? {
                        chosen.push(row);
                    }
                }
                self.rows = chosen;
            }
        }
        Ok(StepResult::Rows(Rows { columns: self.heads, rows: self.rows.into() }))
    }
}

fn text(text: impl Into<String>) -> Option<String> {
    Some(text.into())
}

pub fn databases(vars: &Vars) -> Answer {
    let mut answer = Answer::new(&["Database"]);
    answer.push([text(&*vars.home)]);
    answer
}

pub fn variables(vars: &Vars, ctx: &Context<'_>) -> Answer {
    pairs(vars.all(ctx))
}

pub fn status(ctx: &Context<'_>) -> Answer {
    pairs((ctx.status)())
}

fn pairs(pairs: Vec<(String, String)>) -> Answer {
    let mut answer = Answer::new(&["Variable_name", "Value"]);
    pairs.into_iter().for_each(|(name, value)| answer.push([Some(name), Some(value)]));
    answer
}

pub fn warnings(vars: &Vars, errors_only: bool) -> Answer {
    let mut answer = Answer::new(&["Level", "Code", "Message"]).ints(&[1]);
    let shown = vars.warnings.iter().filter(|warning| !errors_only || warning.level == "Error");
    shown.for_each(|w| answer.push([text(w.level), text(w.code.to_string()), text(&*w.message)]));
    answer
}

/// The one session that asks: a session knows of no other.
pub fn processes(vars: &Vars, ctx: &Context<'_>) -> Answer {
    let names = ["Id", "User", "Host", "db", "Command", "Time", "State", "Info"];
    let mut answer = Answer::new(&names).ints(&[0, 5]);
    let (id, client) = (vars.connection(ctx).to_string(), &vars.client);
    answer.push([
        text(id),
        text(&*client.user),
        text(&*client.host),
        vars.database.clone(),
        text("Query"),
        text("0"),
        text("executing"),
        text("SHOW PROCESSLIST"),
    ]);
    answer
}

/// Whoever is let in may do everything.
pub fn grants(vars: &Vars) -> Answer {
    let mut answer = Answer::new(&[&format!("Grants for {}@%", vars.client.user)]);
    answer.push([text(format!("GRANT ALL PRIVILEGES ON *.* TO `{}`@`%`", vars.client.user))]);
    answer
}

pub fn create_database(vars: &Vars) -> Answer {
    let mut answer = Answer::new(&["Database", "Create Database"]);
    let made = format!(
        "CREATE DATABASE `{}` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin */",
        vars.home
    );
    answer.push([text(&*vars.home), text(made)]);
    answer
}

pub fn engines() -> Answer {
    let mut answer = Answer::new(&["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"]);
    let comment = "Rows in memory, ordered by a majority of three nodes";
    answer.push([text("InnoDB"), text("DEFAULT"), text(comment), text("YES"), text("NO"), text("YES")]);
    answer
}

pub fn collations() -> Answer {
    let mut answer =
        Answer::new(&["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"]).ints(&[2, 5]);
    answer.push([text("utf8mb4_bin"), text("utf8mb4"), text("46"), text("Yes"), text("Yes"), text("1")]);
    answer.push([text("binary"), text("binary"), text("63"), text("Yes"), text("Yes"), text("1")]);
    answer
}

pub fn charsets() -> Answer {
    let mut answer = Answer::new(&["Charset", "Description", "Default collation", "Maxlen"]).ints(&[3]);
    answer.push([text("binary"), text("Bytes as they are"), text("binary"), text("1")]);
    answer.push([text("utf8mb4"), text("UTF-8"), text("utf8mb4_bin"), text("4")]);
    answer
}

impl Show {
    pub fn run(&self, env: &mut Env<'_>) -> Turn {
        let answer = self.answer(env).and_then(|answer| answer.filtered(&self.wanted, env.vars, env.ctx));
        match answer {
            Ok(result) => {
                env.results.push(result);
                env.vars.row_count = -1;
                Turn::Done(Ok(()))
            }
            Err(error) => Turn::Done(Err(error)),
        }
    }

    fn answer(&self, env: &mut Env<'_>) -> Result<Answer, Error> {
        match &self.about {
            About::Tables { full } => {
                let like = match &self.wanted {
                    Wanted::Like(pattern) => format!(" ({pattern})"),
                    _ => String::new(),
                };
                let name = format!("Tables_in_{}{like}", env.vars.home);
                let mut answer =
                    if *full { Answer::new(&[&name, "Table_type"]) } else { Answer::new(&[&name]) };
                for info in env.txn.tables(env.store) {
                    match *full {
                        true => {
                            let kind = if info.is_view() { "VIEW" } else { "BASE TABLE" };
                            answer.push([text(info.name()), text(kind)]);
                        }
                        false => answer.push([text(info.name())]),
                    }
                }
                Ok(answer)
            }
            About::TableStatus => {
                let names = [
                    "Name",
                    "Engine",
                    "Version",
                    "Row_format",
                    "Rows",
                    "Avg_row_length",
                    "Data_length",
                    "Max_data_length",
                    "Index_length",
                    "Data_free",
                    "Auto_increment",
                    "Create_time",
                    "Update_time",
                    "Check_time",
                    "Collation",
                    "Checksum",
                    "Create_options",
                    "Comment",
                ];
                let mut answer = Answer::new(&names).ints(&[2, 4, 5, 6, 7, 8, 9, 10, 15]);
                for info in env.txn.tables(env.store) {
                    if info.is_view() {
                        let mut cells = [const { None }; 18];
                        (cells[0], cells[17]) = (text(info.name()), text("VIEW"));
                        answer.push(cells);
                        continue;
                    }
                    answer.push([
                        text(info.name()),
                        text("InnoDB"),
                        text("10"),
                        text("Dynamic"),
                        text(env.store.rows_about(info.id).to_string()),
                        None,
                        None,
                        None,
                        None,
                        None,
                        env.store.next_id_about(info.id).map(|id| id.to_string()),
                        None,
                        None,
                        None,
                        text("utf8mb4_bin"),
                        None,
                        text(""),
                        text(&*info.def.comment),
                    ]);
                }
                Ok(answer)
            }
            About::Columns { table, full } => {
                let info = env.txn.table(env.store, env.vars.table(table)?)?;
                Ok(columns(&info.def, *full))
            }
            About::Create { table, view } => {
                let info = env.txn.table(env.store, env.vars.table(table)?)?;
                if info.is_view() {
                    let names = ["View", "Create View", "character_set_client", "collation_connection"];
                    let mut answer = Answer::new(&names);
                    let made = view::show_create(&info.def, &env.vars.client.user);
                    answer.push([text(info.name()), text(made), text("utf8mb4"), text("utf8mb4_bin")]);
                    return Ok(answer);
                }
                if *view {
                    return Err(view::not_of_type(env.vars, info.name(), "VIEW"));
                }
                let mut answer = Answer::new(&["Table", "Create Table"]);
                answer.push([
                    text(info.name()),
                    text(show_create(&info.def, env.store.next_id_about(info.id))),
                ]);
                Ok(answer)
            }
            About::Index(table) => {
                let info = env.txn.table(env.store, env.vars.table(table)?)?;
                let rows = env.store.rows_about(info.id).to_string();
                let names = [
                    "Table",
                    "Non_unique",
                    "Key_name",
                    "Seq_in_index",
                    "Column_name",
                    "Collation",
                    "Cardinality",
                    "Sub_part",
                    "Packed",
                    "Null",
                    "Index_type",
                    "Comment",
                    "Index_comment",
                ];
                let mut answer = Answer::new(&names).ints(&[1, 3, 6, 7]);
                for (name, unique, parts) in keys(&info.def) {
                    let index = info.def.indexes.iter().find(|index| index.name == name);
                    let comment = index.map_or("", |index| &index.comment);
                    for (at, part) in parts.iter().enumerate() {
                        let column = &info.def.columns[part.column];
                        answer.push([
                            text(info.name()),
                            text(if unique { "0" } else { "1" }),
                            text(name),
                            text((at + 1).to_string()),
                            text(&*column.name),
                            text(if part.desc { "D" } else { "A" }),
                            text(&*rows),
                            (part.prefix > 0).then(|| part.prefix.to_string()),
                            None,
                            text(if column.nullable { "YES" } else { "" }),
                            text("BTREE"),
                            text(""),
                            text(comment),
                        ]);
                    }
                }
                Ok(answer)
            }
        }
    }
}

/// How a column stands in keys, as MySQL marks it.
pub fn key_mark(def: &TableDef, at: usize) -> &'static str {
    if def.primary.contains(&at) {
        return "PRI";
    }
    let mut leads = def.indexes.iter().filter(|index| index.parts[0].column == at);
    match leads.clone().any(|index| index.unique && index.parts.len() == 1) {
        true => "UNI",
        false if leads.next().is_some() => "MUL",
        false => "",
    }
}

/// The keys of a table: name, whether it is unique, columns with the length of what stands in it.
pub fn keys(def: &TableDef) -> Vec<(&str, bool, Vec<IndexPart>)> {
    let mut keys = Vec::new();
    if !def.primary.is_empty() {
        let parts =
            def.primary.iter().map(|column| IndexPart { column: *column, ..IndexPart::default() }).collect();
        keys.push((PRIMARY, true, parts));
    }
    keys.extend(def.indexes.iter().map(|index| (index.name.as_str(), index.unique, index.parts.clone())));
    keys
}

fn columns(def: &TableDef, full: bool) -> Answer {
    let mut answer = if full {
        let names =
            ["Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment"];
        Answer::new(&names)
    } else {
        Answer::new(&["Field", "Type", "Null", "Key", "Default", "Extra"])
    };
    for (at, column) in def.columns.iter().enumerate() {
        let default = column.default.as_ref().map(|value| match value {
            Value::Bytes(_) => literal(value),
            other => other.to_string(),
        });
        let key = key_mark(def, at);
        let extra = if def.auto_increment == Some(at) { "auto_increment" } else { "" };
        let null = if column.nullable { "YES" } else { "NO" };
        let kind = type_of(column);
        let collation = matches!(column.kind, ColumnType::Text { .. }).then(|| "utf8mb4_bin".to_owned());
        if full {
            answer.push([
                text(&*column.name),
                text(kind),
                collation,
                text(null),
                text(key),
                default,
                text(extra),
                text("select,insert,update,references"),
                text(&*column.comment),
            ]);
        } else {
            answer.push([text(&*column.name), text(kind), text(null), text(key), default, text(extra)]);
        }
    }
    answer
}
