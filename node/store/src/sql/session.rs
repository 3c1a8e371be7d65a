//! Statements on the session itself: SET, savepoints, LOCK TABLES, and how a transaction begins.

use super::compile::{Compiler, names, unsupported};
use super::datum::Datum;
use super::statement::Query;
use super::text::Piece;
use super::vars::Vars;
use super::{done, query};
use crate::error::Error;
use crate::request::Isolation;
use crate::session::{Action, Context, Savepoint};
use sqlparser::ast;

/// The ends and beginnings of transactions as programs write them, known by their text. The parser would say the same
/// of them and take longer than all else that they cost.
pub(super) fn plain(sql: &str, vars: &mut Vars) -> Option<Action> {
    let is = |word: &str| sql.eq_ignore_ascii_case(word);
    let action = match sql.len() {
        5 if is("BEGIN") => Action::Begin(None),
        17 if is("START TRANSACTION") => Action::Begin(None),
        6 if is("COMMIT") => Action::Commit,
        8 if is("ROLLBACK") => Action::Rollback,
        _ => return None,
    };
    if matches!(action, Action::Begin(_)) {
        vars.locked = false;
    }
    vars.warnings.clear();
    Some(action)
}

/// `SAVEPOINT a`, `ROLLBACK TO a`, `RELEASE SAVEPOINT a`.
pub(super) fn savepoint(piece: &Piece) -> Option<Vec<Action>> {
    type Form = (&'static [&'static str], fn(String) -> Savepoint);
    let forms: [Form; 6] = [
        (&["SAVEPOINT"], Savepoint::Set),
        (&["RELEASE", "SAVEPOINT"], Savepoint::Release),
        (&["ROLLBACK", "TO", "SAVEPOINT"], Savepoint::Back),
        (&["ROLLBACK", "WORK", "TO", "SAVEPOINT"], Savepoint::Back),
        (&["ROLLBACK", "TO"], Savepoint::Back),
        (&["ROLLBACK", "WORK", "TO"], Savepoint::Back),
    ];
    let (words, what) =
        forms.iter().find(|(words, _)| piece.begins(words) && piece.len() == words.len() + 1)?;
    let name = piece.name(words.len())?;
    Some(vec![Action::Savepoint(what(name.to_ascii_lowercase()))])
}

/// `LOCK TABLES`: who reads under a lock sees one state of them, which is what a snapshot is. Writers are not kept
/// out, they lose at their commit; whoever asks for a lock to write is told so.
pub(super) fn locks(piece: &Piece, vars: &mut Vars) -> Option<Vec<Action>> {
    if piece.begins(&["UNLOCK", "TABLES"]) || piece.begins(&["UNLOCK", "TABLE"]) {
        vars.warnings.clear();
        // A transaction that was begun otherwise goes on.
        return Some(vec![if std::mem::take(&mut vars.locked) { Action::Commit } else { done() }]);
    }
    if piece.begins(&["ALTER", "TABLE"])
        && (piece.ends(&["DISABLE", "KEYS"]) || piece.ends(&["ENABLE", "KEYS"]))
    {
        vars.warnings.clear();
        return Some(vec![Action::Commit]);
    }
    if !piece.begins(&["LOCK", "TABLES"]) && !piece.begins(&["LOCK", "TABLE"]) {
        return None;
    }
    vars.warnings.clear();
    if piece.count("WRITE") > 0 {
        vars.note(
            1235,
            "LOCK TABLES … WRITE locks nothing here: of two writers of a row the later is refused".into(),
        );
        return Some(vec![Action::Commit]);
    }
    vars.locked = true;
    Some(vec![Action::Begin(Some(Isolation::RepeatableRead)), query(Query::Snapshot)])
}

/// The modes of a transaction that begins.
pub(super) fn modes_of(modes: &[ast::TransactionMode]) -> Result<(), Error> {
    for mode in modes {
        match mode {
            ast::TransactionMode::AccessMode(ast::TransactionAccessMode::ReadWrite) => {}
            ast::TransactionMode::AccessMode(ast::TransactionAccessMode::ReadOnly) => {
                return unsupported("READ ONLY transactions");
            }
            ast::TransactionMode::IsolationLevel(_) => {
                return Err(Error::Syntax {
                    why: "the isolation level is set before, by SET TRANSACTION".into(),
                });
            }
        }
    }
    Ok(())
}

pub(super) fn set(
    tree: ast::Set,
    for_session: bool,
    vars: &mut Vars,
    ctx: &Context<'_>,
) -> Result<Vec<Action>, Error> {
    let mut list = Vec::new();
    match tree {
        ast::Set::SingleAssignment { scope, variable, mut values, hivevar: false } if values.len() == 1 => {
            list.push((scope, variable, values.remove(0)));
        }
        ast::Set::MultipleAssignments { assignments } => {
            list.extend(assignments.into_iter().map(|one| (one.scope, one.name, one.value)));
        }
        ast::Set::SetTimeZone { value, .. } => {
            let value = Compiler::new(vars, ctx, None, "field list").value(&value)?;
            vars.assign("time_zone", Some(&value))?;
        }
        ast::Set::SetNames { charset_name, collation_name } => {
            vars.names(&charset_name.value, collation_name.as_deref())?;
        }
        ast::Set::SetNamesDefault {} => vars.names("utf8mb4", None)?,
        ast::Set::SetTransaction { modes, snapshot: None, session } => {
            for mode in modes {
                let isolation = match mode {
                    // Nothing here shows what was not committed: a READ UNCOMMITTED is served better.
                    ast::TransactionMode::IsolationLevel(
                        ast::TransactionIsolationLevel::ReadUncommitted
                        | ast::TransactionIsolationLevel::ReadCommitted,
                    ) => Isolation::ReadCommitted,
                    ast::TransactionMode::IsolationLevel(ast::TransactionIsolationLevel::RepeatableRead) => {
                        Isolation::RepeatableRead
                    }
                    ast::TransactionMode::IsolationLevel(ast::TransactionIsolationLevel::Serializable) => {
                        Isolation::Serializable
                    }
                    ast::TransactionMode::AccessMode(ast::TransactionAccessMode::ReadWrite) => continue,
                    ast::TransactionMode::AccessMode(ast::TransactionAccessMode::ReadOnly) => {
                        return unsupported("READ ONLY transactions");
                    }
                    other => return unsupported(format!("SET TRANSACTION {other}")),
                };
                if session || for_session {
                    let uncommitted = ast::TransactionIsolationLevel::ReadUncommitted;
                    vars.uncommitted = mode == ast::TransactionMode::IsolationLevel(uncommitted);
                    vars.isolation = isolation;
                    vars.next_isolation = None;
                } else {
                    vars.next_isolation = Some(isolation);
                }
            }
        }
        other => {
            let shown: String = other.to_string().chars().take(80).collect();
            return unsupported(shown);
        }
    }
    let had_autocommit = vars.autocommit;
    for (scope, variable, value) in list {
        if scope == Some(ast::ContextModifier::Global) {
            return unsupported("SET GLOBAL");
        }
        assign(&names(&variable)?, &value, vars, ctx)?;
    }
    vars.row_count = 0;
    // Who turns it on ends the transaction that was open because it was off.
    Ok(vec![if vars.autocommit && !had_autocommit { Action::Commit } else { done() }])
}

/// `SET x = 1`, `@@session.x = 1`, `@a = 1`, `CHARACTER SET 'utf8mb4'`.
pub(super) fn assign(
    name: &[&str],
    tree: &ast::Expr,
    vars: &mut Vars,
    ctx: &Context<'_>,
) -> Result<(), Error> {
    let value = match tree {
        // A bare word is a name of a value: ON, DEFAULT, utf8mb4.
        ast::Expr::Identifier(ident) if !ident.value.starts_with('@') => {
            if ident.value.eq_ignore_ascii_case("DEFAULT") {
                None
            } else {
                Some(Datum::text(ident.value.clone()))
            }
        }
        tree => Some(Compiler::new(vars, ctx, None, "field list").value(tree)?),
    };
    match name {
        [name] if name.starts_with("@@") => vars.assign(&name[2..], value.as_ref()),
        [name] if name.starts_with('@') => vars.set_user_var(&name[1..], value.unwrap_or(Datum::Null)),
        [name] => vars.assign(name, value.as_ref()),
        [scope, name] => match scope.to_ascii_lowercase().as_str() {
            "@@session" | "@@local" | "session" | "local" => vars.assign(name, value.as_ref()),
            "@@global" | "@@persist" => unsupported("SET GLOBAL"),
            _ => Err(Error::Sql {
                code: 1193,
                state: "HY000",
                message: format!("Unknown system variable '{scope}.{name}'"),
            }),
        },
        _ => Err(Error::Syntax { why: format!("'{}' is no variable", name.join(".")) }),
    }
}
