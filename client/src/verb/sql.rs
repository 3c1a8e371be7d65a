//! `plait sql`: statements to the front door or to one node.
//!
//! On a terminal the `mariadb` client is run if there is one, since it is the better shell; statements given with `-e`
//! or on standard input go over gRPC and need nothing installed.

use crate::cli::{Ctx, SqlArgs};
use crate::client::{Client, Policy, Session};
use crate::cluster::{self, Cluster, Login};
use crate::fail::{Code, Fail, Res};
use crate::ports::local;
use crate::say;
use crate::script::{Rows, Value};
use crate::slot::Slot;
use crate::supervise::talk;
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::time::Duration;

const STATEMENT_MAX: Duration = Duration::from_secs(60);

pub async fn run(ctx: &Ctx, args: &SqlArgs) -> Res<()> {
    let cluster = Cluster::load(&ctx.place)?;
    let view = talk::view(&ctx.place).await?;
    let block = cluster.block();
    if args.execute.is_none() && std::io::stdin().is_terminal() && !ctx.say.json {
        let port = args.node.map_or(block.door(), |slot| block.sql(slot));
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let login = Login::of(&cluster::settings(&cluster, &cluster::keys()?, &[], &env)?);
        for client in ["mariadb", "mysql"] {
            let error = std::process::Command::new(client)
                .args([
                    "-h",
                    "127.0.0.1",
                    "-P",
                    &port.to_string(),
                    "-u",
                    &login.user,
                    &format!("-p{}", login.password),
                ])
                .arg(&login.database)
                .exec();
            if error.kind() != std::io::ErrorKind::NotFound {
                return Err(Fail::unfit(format!("can't run {client}"), error.to_string()));
            }
        }
    }
    // gRPC has no front door: the node that it leads to is asked.
    let slot = args.node.or(view.door.main).unwrap_or(Slot::ALL[0]);
    let policy = Policy::once(ctx.patience(STATEMENT_MAX));
    let mut session = open(slot, &Client::new(&[local(block.grpc(slot))]).with(policy)).await?;
    match &args.execute {
        Some(text) => {
            let mut results = Vec::new();
            for statement in split(text) {
                results.push(execute(&mut session, slot, &statement).await?);
            }
            show(ctx, slot, &results);
            Ok(())
        }
        None => shell(ctx, session, slot).await,
    }
}

async fn open(slot: Slot, client: &Client) -> Res<Session> {
    client.session().await.map_err(|e| {
        Fail::state(format!("{slot} takes no session"), e.to_string())
            .next("plait status")
            .next("ask another node: plait sql n2")
    })
}

async fn execute(session: &mut Session, slot: Slot, statement: &str) -> Res<Vec<Rows>> {
    session.sql(statement).await.map(|done| done.results).map_err(|error| {
        let code = match error.outcome() {
            crate::Outcome::Unknown => Code::Unknown,
            _ => Code::Invalid,
        };
        let fail =
            Fail::new(code, format!("{slot} did not do it: {}", first_line(statement)), error.to_string());
        match (&error, error.retry()) {
            (crate::Error::Unknown { .. }, _) => fail.next("look whether it happened before trying again"),
            (_, true) => fail.next("try again: it may succeed as it stands"),
            _ => fail.next("correct the statement"),
        }
    })
}

fn first_line(statement: &str) -> String {
    let line = statement.lines().next().unwrap_or_default();
    if line.chars().count() > 60 {
        line.chars().take(60).chain("…".chars()).collect()
    } else {
        line.to_owned()
    }
}

async fn shell(ctx: &Ctx, mut session: Session, slot: Slot) -> Res<()> {
    let prompt = std::io::stdin().is_terminal();
    let mut text = String::new();
    loop {
        if prompt {
            eprint!("{}", if text.is_empty() { format!("{slot}> ") } else { "  -> ".into() });
            let _ = std::io::stderr().flush();
        }
        let mut line = String::new();
        let read = std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|e| Fail::unfit("can't read standard input", e.to_string()))?;
        if read == 0 {
            break;
        }
        text.push_str(&line);
        if !text.trim_end().ends_with(';') {
            continue;
        }
        for statement in split(&std::mem::take(&mut text)) {
            match execute(&mut session, slot, &statement).await {
                Ok(results) => show(ctx, slot, &[results]),
                Err(fail) if prompt && !session.gone() => ctx.say.failed(&fail),
                Err(fail) => return Err(fail),
            }
        }
    }
    for statement in split(&text) {
        let results = execute(&mut session, slot, &statement).await?;
        show(ctx, slot, &[results]);
    }
    Ok(())
}

fn show(ctx: &Ctx, slot: Slot, results: &[Vec<Rows>]) {
    let all: Vec<&Rows> = results.iter().flatten().collect();
    let document: Vec<serde_json::Value> = all
        .iter()
        .map(|result| {
            let rows: Vec<Vec<serde_json::Value>> =
                result.rows.iter().map(|row| row.iter().map(Value::json).collect()).collect();
            json!({ "columns": result.columns, "rows": rows, "affected": result.affected, "insert_id": result.insert_id })
        })
        .collect();
    ctx.say.result("sql", json!({ "node": slot, "results": document }), || {
        let mut text = String::new();
        for result in &all {
            if result.columns.is_empty() {
                text.push_str(&format!("ok, {} rows affected", result.affected));
                if result.insert_id != 0 {
                    text.push_str(&format!(", first id {}", result.insert_id));
                }
                text.push('\n');
            } else {
                let mut rows = vec![result.columns.clone()];
                rows.extend(result.rows.iter().map(|row| row.iter().map(ToString::to_string).collect()));
                text.push_str(&say::table(&rows));
            }
        }
        text
    });
}

/// Statements apart at semicolons that are not in quotes or comments.
fn split(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, ';') => {
                statements.push(std::mem::take(&mut statement));
                continue;
            }
            (None, '-') if chars.peek() == Some(&'-') => {
                while chars.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            (None, '\'' | '"' | '`') => quote = Some(c),
            (Some('\'' | '"'), '\\') => {
                statement.push(c);
                statement.extend(chars.next());
                continue;
            }
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        statement.push(c);
    }
    statements.push(statement);
    statements.into_iter().map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn statements_are_split_outside_quotes() {
        assert_eq!(split("a; b ;"), ["a", "b"]);
        assert_eq!(split("insert 'x;y'; b"), ["insert 'x;y'", "b"]);
        assert_eq!(split(r"select 'it\'s;'; b"), [r"select 'it\'s;'", "b"]);
        assert_eq!(split("a -- x; y\n, b; c"), ["a \n, b", "c"]);
        assert!(split(" ;; ").is_empty());
    }
}
