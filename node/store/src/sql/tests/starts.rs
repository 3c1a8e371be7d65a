//! What clients and tools send when they start: recorded once from the real ones, and replayed here.
//!
//! A tool that cannot start is of no use whatever else works, and which statements it needs no document says. The
//! file is `tests/fixtures/starts`: `== NAME` begins a client in a session of its own, `> STATEMENT` is what it sends
//! (`prepare>`: to be prepared; `fields>`: a table whose columns it asks for), and `= COLUMN | …` is what it looks
//! for in the answer. They were recorded by `tests/it/clients/record.py`; the columns are MariaDB 10.11's.

use super::Node;
use crate::{Request, StepResult};

const STARTS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/starts"));

/// The tables that the clients found when they were recorded.
const TABLES: &[&str] = &[
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, c VARCHAR(9), KEY (c))",
    "CREATE TABLE u (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id))",
    "CREATE VIEW v AS SELECT id FROM t",
    "INSERT INTO t VALUES (1, 'x')",
];

/// The columns of an answer, if it has some.
fn columns(node: &mut Node, client: &str, kind: &str, statement: &str) -> Result<Vec<String>, String> {
    let request = match kind {
        "prepare" => Request::Prepare(statement.to_owned()),
        "fields" => Request::Sql { text: format!("SELECT * FROM `{statement}` LIMIT 0"), multi: false },
        _ => Request::Sql { text: statement.to_owned(), multi: false },
    };
    let reply = node.request(client, request).0.map_err(|error| error.mysql_text("shop"))?;
    let prepared = reply.prepared.map(|prepared| prepared.columns);
    let rows = reply.results.into_iter().find_map(|result| match result {
        StepResult::Rows(rows) => Some(rows.columns),
        StepResult::Done(_) => None,
    });
    let heads = prepared.or(rows).unwrap_or_default();
    Ok(heads.into_iter().map(|head| head.name).collect())
}

#[test]
fn every_client_gets_what_it_asks_for_when_it_starts() {
    let mut node = Node::new(1000);
    TABLES.iter().for_each(|text| assert!(node.sql("setup", text).is_ok(), "{text}"));
    let (mut client, mut clients, mut asked) = (String::new(), 0, 0);
    let mut wrong = Vec::new();
    let mut lines = STARTS.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            clients += 1;
            client = name.to_owned();
            continue;
        }
        let (kind, statement) =
            line.split_once("> ").expect("a line is a client, a statement or its columns");
        let statement = statement.replace("\\n", "\n");
        let wanted = lines.next_if(|line| line.starts_with("= "));
        let wanted: Vec<&str> = wanted.map_or_else(Vec::new, |line| line[2..].split(" | ").collect());
        asked += 1;
        match columns(&mut node, &client, kind, &statement) {
            Ok(got) if got == wanted => {}
            Ok(got) => wrong.push(format!("{client}: {statement}\n  wants {wanted:?}\n  got {got:?}")),
            Err(error) => wrong.push(format!("{client}: {statement}\n  {error}")),
        }
    }
    assert!(clients >= 7 && asked > 100, "the file has {asked} statements of {clients} clients");
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
}
