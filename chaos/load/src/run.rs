//! One transaction on one connection: which statement goes out next, and what came of it all.
//!
//! ```text
//! SET SESSION … ─▶ START TRANSACTION ─▶ statements ─▶ COMMIT ─▶ yes
//!  (if another)      (not autocommit)       │           ├─ refused ─▶ no, or unknown
//!                                           │           └─ lost ────▶ unknown
//!                                           └─ refused ─▶ ROLLBACK ─▶ no
//! ```

use crate::outcome::{Answer, Outcome, is_definite};
use crate::settings::Isolation;
use crate::txn::{Begin, Do, Got, Txn};
use serde_json::Value;

/// What is remembered of a connection between two transactions. A new connection has a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    isolation: Option<Isolation>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    Send(String),
    End(End),
}

/// What it ended by, if not by a *yes*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A server's error, with its number.
    Refused(u16),
    /// An answer that did not come.
    Lost,
    /// The transaction's own decision.
    GaveUp,
}

#[derive(Debug, Clone, PartialEq)]
pub struct End {
    pub outcome: Outcome,
    /// Of the completion: with what was read if it is a *yes*, else as it was invoked.
    pub value: Value,
    pub error: Option<String>,
    /// `None` for a *yes*.
    pub cause: Option<Cause>,
    /// The connection can be used for the next transaction. Else it is to be closed.
    pub reusable: bool,
}

#[derive(Debug)]
enum State {
    New,
    Setting,
    Beginning,
    Body,
    Committing,
    /// What it comes to once the rollback was answered.
    Undoing(End),
    Ended,
}

#[derive(Debug)]
pub struct Run {
    txn: Txn,
    state: State,
    /// A statement that commits by itself was done: whatever comes now, it happened.
    done_one: bool,
}

impl Run {
    pub fn new(txn: Txn) -> Run {
        Run { txn, state: State::New, done_one: false }
    }

    pub fn txn(&self) -> &Txn {
        &self.txn
    }

    /// The next statement, from the answer to the last; `None` at the first. Panics if asked again after its end.
    pub fn next(&mut self, session: &mut Session, answer: Option<Answer>) -> Next {
        match (std::mem::replace(&mut self.state, State::Ended), answer) {
            (State::New, None) => self.open(session),
            (State::Setting, Some(Answer::Done(_))) => {
                session.isolation = Some(self.txn.isolation);
                self.begin()
            }
            (State::Beginning, Some(Answer::Done(_))) => self.step(None),
            (State::Setting | State::Beginning, Some(Answer::Refused { code, text })) => {
                // The session is in a state that nobody knows.
                Next::End(self.end(Outcome::No, Some(text), Some(Cause::Refused(code)), false))
            }
            (State::Setting | State::Beginning, Some(Answer::Lost(why))) => {
                Next::End(self.end(Outcome::No, Some(why), Some(Cause::Lost), false))
            }
            (State::Body, Some(Answer::Done(got))) => {
                self.done_one |= self.txn.begin == Begin::Autocommit;
                self.step(Some(&got))
            }
            (State::Body, Some(Answer::Refused { code, text })) => self.refused(code, text),
            (State::Body, Some(Answer::Lost(why))) => {
                let open = self.txn.begin == Begin::Autocommit && !self.txn.reads_only;
                let outcome = if open { Outcome::Unknown } else { Outcome::No };
                Next::End(self.end(outcome, Some(why), Some(Cause::Lost), false))
            }
            (State::Committing, Some(Answer::Done(_))) => Next::End(self.yes()),
            (State::Committing, Some(Answer::Refused { code, text })) => {
                let known = self.txn.reads_only || is_definite(code);
                let outcome = if known { Outcome::No } else { Outcome::Unknown };
                // Galera may refuse a COMMIT and keep the transaction open.
                self.undo(self.end(outcome, Some(text), Some(Cause::Refused(code)), true))
            }
            (State::Committing, Some(Answer::Lost(why))) => {
                let outcome = if self.txn.reads_only { Outcome::No } else { Outcome::Unknown };
                Next::End(self.end(outcome, Some(why), Some(Cause::Lost), false))
            }
            (State::Undoing(end), Some(Answer::Done(_))) => Next::End(end),
            (State::Undoing(end), Some(_)) => Next::End(End { reusable: false, ..end }),
            (state, answer) => panic!("{:?}: {answer:?} in state {state:?}", self.txn),
        }
    }

    fn open(&mut self, session: &Session) -> Next {
        if session.isolation == Some(self.txn.isolation) {
            return self.begin();
        }
        self.state = State::Setting;
        Next::Send(format!("SET SESSION TRANSACTION ISOLATION LEVEL {}", self.txn.isolation.sql()))
    }

    fn begin(&mut self) -> Next {
        if self.txn.begin == Begin::Autocommit {
            return self.step(None);
        }
        self.state = State::Beginning;
        Next::Send("START TRANSACTION".to_owned())
    }

    fn step(&mut self, last: Option<&Got>) -> Next {
        match (self.txn.script.step(last), self.txn.begin) {
            (Do::Sql(text), _) => {
                self.state = State::Body;
                Next::Send(text)
            }
            (Do::Commit, Begin::Autocommit) => Next::End(self.yes()),
            (Do::Commit, Begin::Transaction) => {
                self.state = State::Committing;
                Next::Send("COMMIT".to_owned())
            }
            // Its script says so only where its statement found nothing to change.
            (Do::Rollback(why), Begin::Autocommit) => {
                Next::End(self.end(Outcome::No, Some(why), Some(Cause::GaveUp), true))
            }
            (Do::Rollback(why), Begin::Transaction) => {
                self.undo(self.end(Outcome::No, Some(why), Some(Cause::GaveUp), true))
            }
        }
    }

    fn refused(&mut self, code: u16, text: String) -> Next {
        if self.txn.begin == Begin::Transaction {
            // A deadlock has undone it all, a time-out only the statement. Nothing was committed in either case.
            return self.undo(self.end(Outcome::No, Some(text), Some(Cause::Refused(code)), true));
        }
        let known = self.txn.reads_only || (is_definite(code) && !self.done_one);
        let outcome = if known { Outcome::No } else { Outcome::Unknown };
        Next::End(self.end(outcome, Some(text), Some(Cause::Refused(code)), true))
    }

    fn undo(&mut self, end: End) -> Next {
        self.state = State::Undoing(end);
        Next::Send("ROLLBACK".to_owned())
    }

    fn yes(&mut self) -> End {
        End {
            outcome: Outcome::Yes,
            value: self.txn.script.value(),
            error: None,
            cause: None,
            reusable: true,
        }
    }

    fn end(&self, outcome: Outcome, error: Option<String>, cause: Option<Cause>, reusable: bool) -> End {
        End { outcome, value: self.txn.value.clone(), error, cause, reusable }
    }
}
