//! SQL text: parsed, planned and run through the kernel's transactions.

use crate::error::Error;
use crate::request::{Client, Isolation};
use crate::session::{Action, Context, Env, Turn};

/// What a session remembers between statements.
#[derive(Debug)]
pub(crate) struct Vars {
    /// Whether a statement outside a transaction is one of its own; else it opens one.
    pub autocommit: bool,
    /// Of the transactions to come.
    pub isolation: Isolation,
    /// Of the next transaction alone.
    pub next_isolation: Option<Isolation>,
}

impl Default for Vars {
    fn default() -> Vars {
        Vars { autocommit: true, isolation: Isolation::default(), next_isolation: None }
    }
}

impl Vars {
    /// Takes in whose session this is now.
    pub fn attach(&mut self, _client: Client) -> Result<(), Error> {
        Ok(())
    }

    /// How many warnings the last statement left.
    pub fn warnings(&self) -> u16 {
        0
    }

    /// The isolation of a transaction that begins now.
    pub fn take_isolation(&mut self) -> Isolation {
        self.next_isolation.take().unwrap_or(self.isolation)
    }
}

/// The statements of one request.
pub(crate) struct Script {
    text: Option<String>,
}

impl Script {
    pub fn new(text: String, _multi: bool) -> Script {
        Script { text: Some(text) }
    }

    /// The next action; `None` after the last. An error ends the script.
    pub fn next(&mut self, _vars: &mut Vars, _ctx: &Context<'_>) -> Option<Result<Action, Error>> {
        self.text.take().map(|_| Err(Error::Unsupported { what: "SQL".into() }))
    }
}

/// One statement that reads or writes. It may be run again from where it stopped, or, after
/// [`restart`](Statement::restart), from the beginning in a fresh transaction.
#[derive(Debug)]
pub(crate) struct Statement {}

impl Statement {
    /// Begins with `env.statement()?`, reads and writes through `env.txn`, pushes one result to `env.results`.
    pub fn run(&mut self, _env: &mut Env<'_>) -> Turn {
        Turn::Done(Err(Error::Unsupported { what: "SQL".into() }))
    }

    pub fn restart(&mut self) {}
}
