//! A session of the stock `mariadb` client on one node, driven statement by statement.

use crate::cluster::Cluster;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// An interactive session. Both of the client's outputs come in one stream, so that an error stands where it
/// belongs.
pub struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    statements: u64,
}

/// What a statement answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Rows, columns separated by tabs; none for a statement without rows.
    Rows(Vec<String>),
    /// MySQL's error number and the text behind it.
    Error(u32, String),
    /// The connection is gone.
    Gone(String),
}

impl Answer {
    #[track_caller]
    pub fn rows(self) -> Vec<String> {
        match self {
            Answer::Rows(rows) => rows,
            other => panic!("rows were expected: {other:?}"),
        }
    }

    pub fn error(&self) -> Option<u32> {
        match self {
            Answer::Error(code, _) => Some(*code),
            _ => None,
        }
    }

    pub fn is_ok(&self) -> bool {
        matches!(self, Answer::Rows(_))
    }
}

/// The stock client with what it takes to reach a node.
pub fn client(cluster: &Cluster, node: u8) -> Command {
    let mut command = Command::new("mariadb");
    let port = cluster.sql_port(node).to_string();
    command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--port", &port]);
    command.args(["--user=plait", "--password=plait", "--skip-ssl", "shop"]);
    command.args(["--batch", "--skip-column-names", "--connect-timeout=10"]);
    command
}

impl Session {
    pub fn open(cluster: &Cluster, node: u8) -> Session {
        // The client's two outputs share one pipe: the shell joins them.
        let inner = client(cluster, node);
        let words: Vec<String> = std::iter::once(inner.get_program())
            .chain(inner.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" --force --unbuffered --skip-reconnect 2>&1", "sh"])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the client starts");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Session { child, input, output, statements: 0 }
    }

    /// Sends one statement and waits for its answer.
    pub fn run(&mut self, statement: &str) -> Answer {
        self.statements += 1;
        let mark = format!("-- end of {} --", self.statements);
        // `\p`-free: the client itself prints the mark, the server is not asked for it.
        let sent = writeln!(self.input, "{statement};\n\\! echo '{mark}'").and_then(|()| self.input.flush());
        let mut rows: Vec<String> = Vec::new();
        let mut failed = None;
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line);
            if sent.is_err() || read.is_err() || line.is_empty() {
                return Answer::Gone(rows.join("\n"));
            }
            let line = line.trim_end_matches('\n');
            if line == mark {
                break;
            }
            match line.strip_prefix("ERROR ").and_then(|rest| rest.split_once(' ')) {
                Some((code, text)) => failed = code.parse().ok().map(|code: u32| (code, text.to_owned())),
                None => rows.push(line.to_owned()),
            }
        }
        match failed {
            Some((2006 | 2013, text)) => Answer::Gone(text),
            Some((code, text)) => Answer::Error(code, text),
            None => Answer::Rows(rows),
        }
    }

    /// A statement that must do.
    #[track_caller]
    pub fn rows(&mut self, statement: &str) -> Vec<String> {
        match self.run(statement) {
            Answer::Rows(rows) => rows,
            other => panic!("{statement}: {other:?}"),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
