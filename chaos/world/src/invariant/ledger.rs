//! What was acknowledged is there for ever; what was refused is not there and never comes.
//!
//! Each transaction that writes also puts a row with its own number into the table `ledger`. *Yes* means that its
//! write-set is durable on a majority and applied wherever reads are served, so every read that begins after the
//! answer finds the row, on any node, whatever crashed since. *No* means that it happened nowhere, so no read may
//! ever find it. *Unknown* may be either, but once a read has found the row, later reads find it too.
//! An answer counts from the moment the node gave it: whether the client lived to hear it makes no difference.

use plait_base::{Draws, Outcome};
use plait_store::{Column, ColumnType, Step, TableDef, Value};

pub const TABLE: &str = "ledger";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It never meant to write.
    ReadOnly,
    Open,
    /// Answered at this time.
    Yes(u64),
    No,
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    fate: Fate,
    /// When a read that found it had ended; `u64::MAX`: never.
    found_ns: u64,
}

#[derive(Debug, Default)]
pub struct Ledger {
    /// By the transaction's number.
    entries: Vec<Entry>,
}

pub fn table() -> TableDef {
    let int = |name: &str| Column {
        name: name.to_owned(),
        kind: ColumnType::Int { bits: 64 },
        nullable: false,
        ..Column::default()
    };
    TableDef {
        name: TABLE.to_owned(),
        columns: vec![int("id"), int("client")],
        primary: vec![0],
        if_not_exists: true,
        ..TableDef::default()
    }
}

/// The step that every writing transaction carries.
pub fn row(op: u64, client: u32) -> Step {
    Step::Insert { table: TABLE.to_owned(), row: vec![Value::Int(op as i64), Value::Int(client.into())] }
}

impl Ledger {
    /// A new transaction's number.
    pub fn begin(&mut self) -> u64 {
        self.entries.push(Entry { fate: Fate::ReadOnly, found_ns: u64::MAX });
        self.entries.len() as u64 - 1
    }

    /// A transaction whose number is given; those below it that never began wrote nothing.
    pub fn begin_as(&mut self, op: u64) {
        let none = Entry { fate: Fate::ReadOnly, found_ns: u64::MAX };
        let len = self.entries.len().max(op as usize + 1);
        self.entries.resize(len, none);
    }

    pub fn writes(&mut self, op: u64) {
        self.entries[op as usize].fate = Fate::Open;
    }

    pub fn end(&mut self, op: u64, outcome: Outcome, now_ns: u64) -> Result<(), String> {
        let entry = &mut self.entries[op as usize];
        match (entry.fate, outcome) {
            (Fate::ReadOnly, _) => return Ok(()),
            (_, Outcome::Yes) => entry.fate = Fate::Yes(now_ns),
            (_, Outcome::Unknown) => entry.fate = Fate::Unknown,
            (_, Outcome::No) if entry.found_ns != u64::MAX => {
                return Err(format!("transaction {op} was refused, and a read had found it before"));
            }
            (_, Outcome::No) => entry.fate = Fate::No,
        }
        Ok(())
    }

    /// Whether an unknown outcome was found to have been done, and whether one was not, as far as the reads show it.
    /// The last read of a run looks at all numbers.
    pub fn unknown_fates(&self) -> (bool, bool) {
        let unknown = || self.entries.iter().filter(|e| e.fate == Fate::Unknown);
        (unknown().any(|e| e.found_ns != u64::MAX), unknown().any(|e| e.found_ns == u64::MAX))
    }

    pub fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A number to look for: mostly a recent one.
    pub fn pick(&self, draws: &mut Draws) -> u64 {
        let n = self.len();
        if draws.chance(700) { n - 1 - draws.below(n.min(20)) } else { draws.below(n) }
    }

    /// A read that began at `begun_ns` looked at all numbers in `from..to` and found these.
    pub fn read(
        &mut self,
        from: u64,
        to: u64,
        found: &[u64],
        begun_ns: u64,
        now_ns: u64,
    ) -> Result<(), String> {
        let mut found = found.iter().copied().peekable();
        let known = self.entries.len() as u64;
        for op in from..to.min(known) {
            let is_there = found.next_if_eq(&op).is_some();
            let entry = &mut self.entries[op as usize];
            match (entry.fate, is_there) {
                (Fate::Yes(at_ns), false) if at_ns < begun_ns => {
                    return Err(format!(
                        "transaction {op} was acknowledged at {:.3} s and a read that began at {:.3} s does not find it",
                        at_ns as f64 / 1e9,
                        begun_ns as f64 / 1e9
                    ));
                }
                (_, false) if entry.found_ns < begun_ns => {
                    return Err(format!(
                        "transaction {op} was read at {:.3} s and a read that began at {:.3} s does not find it",
                        entry.found_ns as f64 / 1e9,
                        begun_ns as f64 / 1e9
                    ));
                }
                (Fate::No, true) => return Err(format!("transaction {op} was refused, and a read finds it")),
                (Fate::ReadOnly, true) => {
                    return Err(format!("transaction {op} wrote nothing, and a read finds it"));
                }
                (_, true) => entry.found_ns = entry.found_ns.min(now_ns),
                (_, false) => {}
            }
        }
        match found.next() {
            Some(op) => Err(format!("a read of numbers {from}..{to} finds {op}, which nobody wrote")),
            None => Ok(()),
        }
    }
}
