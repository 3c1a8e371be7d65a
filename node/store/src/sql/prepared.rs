//! Prepared statements: looked at once, run often, each time with other values.
//!
//! Intuition: a form with blanks. It is read when it is handed in, and whoever fills it in later is not read anew.
//! Invariant: the values of one execution are in the session's variables while that request runs, and at no other
//! time; a statement that was prepared is planned again each time, so that a table that was altered since is seen.
//! Not here: the binary protocol (`wire`).

use super::compound;
use super::session::plain;
use super::statement::{Query, Statement};
use super::text::{self, Piece};
use super::vars::Vars;
use super::{datum::Datum, done, statement, tree};
use crate::error::Error;
use crate::request::{ColumnHead, Prepared};
use crate::session::{Action, Context, Env, Turn, Work};
use sqlparser::ast::Statement as Tree;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Prepared statements of one session; one more is refused with 1461.
pub const PREPARED_MAX: usize = 4096;
/// Bytes of their texts, all together. Default 16 MiB; more is refused with 1461.
pub const PREPARED_BYTES_MAX: usize = 16 << 20;

/// One of them.
#[derive(Debug, Clone)]
pub struct Form {
    pub what: What,
    /// Blanks in it.
    pub params: usize,
    bytes: usize,
}

#[derive(Debug, Clone)]
pub enum What {
    /// Read already.
    Query(Arc<Query>),
    /// Read each time: what it does is too small to matter.
    Text(Arc<str>),
}

impl Form {
    pub fn new(what: What, params: usize, bytes: usize) -> Form {
        Form { what, params, bytes }
    }
}

/// Those of one session.
#[derive(Debug, Default)]
pub struct Forms {
    by_number: BTreeMap<u32, Form>,
    by_name: BTreeMap<String, u32>,
    last: u32,
    bytes: usize,
}

fn unknown(name: &str, where_to: &str) -> Error {
    let message = format!("Unknown prepared statement handler ({name}) given to {where_to}");
    Error::Sql { code: 1243, state: "HY000", message }
}

impl Forms {
    pub fn add(&mut self, form: Form) -> Result<u32, Error> {
        if self.by_number.len() >= PREPARED_MAX || self.bytes + form.bytes > PREPARED_BYTES_MAX {
            let message = format!(
                "Can't create more than max_prepared_stmt_count statements (current value: {PREPARED_MAX}, \
                 their texts at most {PREPARED_BYTES_MAX} bytes)"
            );
            return Err(Error::Sql { code: 1461, state: "42000", message });
        }
        self.bytes += form.bytes;
        // The numbers come round after 2^32 statements; those in use are skipped.
        loop {
            self.last = self.last.wrapping_add(1).max(1);
            if !self.by_number.contains_key(&self.last) {
                break;
            }
        }
        self.by_number.insert(self.last, form);
        Ok(self.last)
    }

    /// `PREPARE name FROM …`: takes the place of another of that name.
    pub fn name(&mut self, name: &str, number: u32) {
        if let Some(old) = self.by_name.insert(name.to_ascii_lowercase(), number) {
            self.close(old);
        }
    }

    pub fn named(&self, name: &str) -> Result<u32, Error> {
        self.by_name.get(&name.to_ascii_lowercase()).copied().ok_or_else(|| unknown(name, "EXECUTE"))
    }

    pub fn get(&self, number: u32) -> Result<&Form, Error> {
        self.by_number.get(&number).ok_or_else(|| unknown(&number.to_string(), "mysqld_stmt_execute"))
    }

    pub fn close(&mut self, number: u32) {
        if let Some(form) = self.by_number.remove(&number) {
            self.bytes -= form.bytes;
        }
    }

    pub fn close_named(&mut self, name: &str) -> Result<(), Error> {
        let number = self.by_name.remove(&name.to_ascii_lowercase());
        self.close(number.ok_or_else(|| unknown(name, "DEALLOCATE PREPARE"))?);
        Ok(())
    }
}

/// Looks at a statement with its blanks empty, and keeps it.
#[derive(Debug)]
pub struct Prepare {
    form: Form,
    name: Option<String>,
}

impl Prepare {
    pub fn new(form: Form, name: Option<String>) -> Prepare {
        Prepare { form, name }
    }

    /// Keeps it. `columns`: what it will answer, as far as that can be told now.
    pub fn keep(&self, vars: &mut Vars, columns: Vec<ColumnHead>) -> Result<(), Error> {
        let number = vars.forms.add(self.form.clone())?;
        match &self.name {
            Some(name) => vars.forms.name(name, number),
            None => {
                let params = u16::try_from(self.form.params).map_err(|_| Error::Sql {
                    code: 1390,
                    state: "HY000",
                    message: "Prepared statement contains too many placeholders".into(),
                })?;
                vars.prepared = Some(Prepared { number, params, columns });
            }
        }
        Ok(())
    }

    pub fn run(&self, env: &mut Env<'_>) -> Turn {
        Turn::Done(self.try_run(env))
    }

    fn try_run(&self, env: &mut Env<'_>) -> Result<(), Error> {
        let columns = match &self.form.what {
            What::Text(_) => Vec::new(),
            What::Query(query) => {
                env.vars.fill(self.form.params);
                Statement::heads(query, env)?
            }
        };
        self.keep(env.vars, columns)?;
        if self.name.is_some() {
            env.results.push(crate::StepResult::Done(crate::Done::default()));
        }
        Ok(())
    }
}

/// Runs what was prepared.
pub(super) fn execute(
    form: &Form,
    params: Vec<Datum<'static>>,
    whose: &str,
    vars: &mut Vars,
    ctx: &Context<'_>,
) -> Result<Vec<Action>, Error> {
    if params.len() != form.params {
        let message = format!("Incorrect arguments to {whose}");
        return Err(Error::Sql { code: 1210, state: "HY000", message });
    }
    vars.params = params;
    match &form.what {
        What::Query(tree) => {
            vars.warnings.clear();
            Ok(vec![Action::Work(Work::Sql(Box::new(Statement::of(tree.clone()))))])
        }
        What::Text(text) => {
            if let Some(action) = plain(text, vars) {
                return Ok(vec![action]);
            }
            let piece = text::pieces(text, vars.ansi_quotes())?
                .pop()
                .expect("it was one statement when it was prepared");
            statement(piece, text, vars, ctx)
        }
    }
}

/// Looks at a statement and keeps it.
pub(super) fn prepare(
    mut piece: Piece,
    sql: &str,
    name: Option<String>,
    vars: &mut Vars,
) -> Result<Vec<Action>, Error> {
    let params = piece.params();
    for words in [&["PREPARE"][..], &["EXECUTE"], &["DEALLOCATE"]] {
        if piece.begins(words) {
            let message = "This command is not supported in the prepared statement protocol yet".into();
            return Err(Error::Sql { code: 1295, state: "HY000", message });
        }
    }
    let texts =
        if piece.begins(&["SELECT"]) && !piece.lists_columns() { piece.items(sql) } else { Vec::new() };
    let tables =
        ["SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"].iter().any(|word| piece.begins(&[word]));
    // Some of what is known beside the parser; the others are at least read.
    let beside =
        ["SHOW", "START", "SET", "LOCK", "UNLOCK", "FLUSH", "KILL"].iter().any(|word| piece.begins(&[word]));
    let asks = super::asking::NAMES.iter().any(|(name, _)| piece.count(name) > 0);
    let tree = match beside || asks {
        true => None,
        false if tables => tables_of(piece.parse()?, &texts)?,
        false => piece.parse().map(|_| None)?,
    };
    let what = match tree {
        Some(tree) => What::Query(tree.into()),
        None => What::Text(sql.into()),
    };
    vars.warnings.clear();
    let prepare = Prepare::new(Form::new(what, params, sql.len() + 256), name);
    let query = Query::Prepare(Box::new(prepare));
    Ok(vec![Action::Aside(Work::Sql(Box::new(Statement::new(query))))])
}

/// A statement on tables, less those of which more is known than their trees say.
pub(super) fn tables_of(tree: Tree, texts: &[&str]) -> Result<Option<Query>, Error> {
    Ok(match tree {
        Tree::Query(tree) => Some(Query::Select(compound::query(*tree, texts, &None)?)),
        Tree::Insert(tree) => Some(Query::Insert(tree::insert(tree)?)),
        Tree::Update(tree) => Some(Query::Change(tree::update(tree)?)),
        Tree::Delete(tree) => Some(Query::Change(tree::delete(tree)?)),
        _ => None,
    })
}

/// `PREPARE`, `EXECUTE`, `DEALLOCATE PREPARE`, as text.
pub(super) fn by_name(
    piece: &Piece,
    vars: &mut Vars,
    ctx: &Context<'_>,
) -> Result<Option<Vec<Action>>, Error> {
    let wrong = || Error::Syntax {
        why: "PREPARE name FROM 'text'; EXECUTE name USING @a, @b; DEALLOCATE PREPARE name".into(),
    };
    if piece.begins(&["PREPARE"]) {
        let name = piece.name(1).ok_or_else(wrong)?.to_owned();
        if piece.len() != 4 || !piece.is(2, "FROM") {
            return Err(wrong());
        }
        let text = match (piece.literal(3), piece.name(3).and_then(|name| name.strip_prefix('@'))) {
            (Some(text), _) => text.to_owned(),
            (None, Some(var)) => vars.user_var(var).to_text().unwrap_or_default().into_owned(),
            _ => return Err(wrong()),
        };
        let mut pieces = text::pieces(&text, vars.ansi_quotes())?;
        let Some(piece) = pieces.pop().filter(|_| pieces.is_empty()) else { return Err(wrong()) };
        return prepare(piece, &text, Some(name), vars).map(Some);
    }
    if piece.begins(&["EXECUTE"]) {
        let number = vars.forms.named(piece.name(1).ok_or_else(wrong)?)?;
        let mut params = Vec::new();
        if piece.len() > 2 {
            if !piece.is(2, "USING") {
                return Err(wrong());
            }
            for at in (3..piece.len()).step_by(2) {
                let var = piece.name(at).and_then(|name| name.strip_prefix('@')).ok_or_else(wrong)?;
                params.push(vars.user_var(var));
            }
        }
        let form = vars.forms.get(number)?.clone();
        return execute(&form, params, "EXECUTE", vars, ctx).map(Some);
    }
    let drop = piece.begins(&["DEALLOCATE", "PREPARE"]) || piece.begins(&["DROP", "PREPARE"]);
    if drop {
        vars.warnings.clear();
        vars.forms.close_named(piece.name(2).ok_or_else(wrong)?)?;
        return Ok(Some(vec![done()]));
    }
    Ok(None)
}
