//! What clients do, and what they check in the answers.
//!
//! A workload says which tables there are, what a client's next transaction is, step by step, and what its answers
//! must show. It knows nothing of nodes, tickets or time-outs; the world's clients carry its requests and tell it
//! how each transaction ended: yes, no or unknown.
//! Invariant: a workload draws only from the generator it is handed, so a plan has one history.

pub mod audit;
pub mod bank;
pub mod bulk;
pub mod counter;
mod counts;
pub mod ddl;
pub mod ids;
pub mod locks;
pub mod orders;
pub mod recorded;
pub mod register;
pub mod seats;
pub mod skew;
pub mod sql;

use crate::invariant::Judge;
use crate::plan::LoadPlan;
use plait_base::{Draws, Outcome, Slot};
use plait_store::{Change, Column, ColumnType, Error, Isolation, Step, StepResult, TableDef, Value};

pub const NAMES: [&str; 17] = [
    "bank",
    "bulk",
    "counter",
    "ddl",
    "ids",
    "locks",
    "orders",
    "register",
    "seats",
    "skew",
    "sql",
    "audit",
    "list-append",
    "rw-register",
    "write-skew",
    "predicate",
    "long-fork",
];

/// Those whose history is judged as a whole.
pub const RECORDED: [&str; 5] = ["list-append", "rw-register", "write-skew", "predicate", "long-fork"];

/// How a transaction travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One request: begin, steps, commit.
    Script(Isolation),
    /// Steps outside a transaction: a transaction of their own, which the node may try again.
    Auto,
    /// As SQL, in one request.
    Text,
    /// Statements with pauses between them, each a transaction of its own; the last one alone writes.
    Statements,
    /// Begin, statements with pauses between them, commit.
    Session(Isolation),
}

/// Who is about to do something, and where.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// Number of the transaction: its row in the ledger, and the unique value that it writes.
    pub op: u64,
    /// Number of the client in the whole run.
    pub client: u32,
    pub slot: Slot,
}

/// A transaction that begins.
pub struct Task<Op> {
    pub form: Form,
    pub writes: Writes,
    pub op: Op,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    Nothing,
    /// And carries its ledger row.
    Noted,
    /// One statement alone, which leaves no room for a ledger row.
    Alone,
}

impl Writes {
    pub fn any(self) -> bool {
        self != Writes::Nothing
    }
}

/// What a transaction does next.
pub enum Next {
    Run(Vec<Step>),
    Text(String),
    /// The transaction that writes, as one request: the last statement.
    Write(Vec<Step>),
    Commit,
    Rollback,
}

/// How a transaction ended.
pub struct End<'a> {
    pub at: At,
    pub outcome: Outcome,
    /// Of the last request, if it succeeded.
    pub results: &'a [StepResult],
    pub error: Option<&'a Error>,
    /// When its first statement reached the node.
    pub begun_ns: u64,
}

pub trait Workload {
    type Op;
    fn tables(&self) -> Vec<TableDef>;
    /// Rows that are there before the first transaction.
    fn rows(&self) -> Vec<Step>;
    fn next(&mut self, at: At, judge: &Judge, draws: &mut Draws) -> Task<Self::Op>;
    /// The transaction's first statement has reached a node: it sees at least what was answered before now.
    fn begun(&mut self, _op: &mut Self::Op, _judge: &Judge) {}
    /// The statements of stage `stage`; `last` are the results of the stage before, and `begun_ns` is when the
    /// first statement reached the node.
    fn run(&mut self, op: &mut Self::Op, stage: u32, last: &[StepResult], run: &mut Run) -> Next;
    fn done(&mut self, op: Self::Op, end: &End, judge: &mut Judge);
    /// What is read on each node when all is over.
    fn last_read(&self) -> Vec<Step>;
    /// Judges that read.
    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge);
}

/// What a running transaction may use.
pub struct Run<'a> {
    pub at: At,
    /// Whether all its statements travel as one request.
    pub script: bool,
    /// When its first statement reached the node; of no meaning before.
    pub begun_ns: u64,
    pub judge: &'a mut Judge,
    pub draws: &'a mut Draws,
}

/// A workload with the transactions of its clients.
struct Driver<W: Workload> {
    workload: W,
    ops: Vec<Option<W::Op>>,
}

/// A workload, whichever; clients are numbered from 0 within it.
pub trait Load {
    fn tables(&self) -> Vec<TableDef>;
    fn rows(&self) -> Vec<Step>;
    fn start(&mut self, client: usize, at: At, judge: &Judge, draws: &mut Draws) -> (Form, Writes);
    fn begun(&mut self, client: usize, judge: &Judge);
    fn run(&mut self, client: usize, stage: u32, last: &[StepResult], run: &mut Run) -> Next;
    fn done(&mut self, client: usize, end: &End, judge: &mut Judge);
    fn last_read(&self) -> Vec<Step>;
    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge);
    /// As SQL: what makes its tables, one request each.
    fn texts(&self) -> Vec<String> {
        Vec::new()
    }
    /// As SQL: what is read on each node when all is over, one request each.
    fn last_texts(&self) -> Vec<String> {
        Vec::new()
    }
    fn last_texts_check(&mut self, _slot: Slot, _n: usize, _results: &[StepResult], _judge: &mut Judge) {}
    /// All has been read: judges the history as a whole.
    fn judged(&mut self, _judge: &mut Judge) {}
    fn history(&self) -> Option<recorded::Recorded> {
        None
    }
}

impl<W: Workload> Load for Driver<W> {
    fn tables(&self) -> Vec<TableDef> {
        self.workload.tables()
    }

    fn rows(&self) -> Vec<Step> {
        self.workload.rows()
    }

    fn start(&mut self, client: usize, at: At, judge: &Judge, draws: &mut Draws) -> (Form, Writes) {
        let task = self.workload.next(at, judge, draws);
        self.ops[client] = Some(task.op);
        (task.form, task.writes)
    }

    fn begun(&mut self, client: usize, judge: &Judge) {
        self.workload.begun(self.ops[client].as_mut().expect("a transaction is under way"), judge);
    }

    fn run(&mut self, client: usize, stage: u32, last: &[StepResult], run: &mut Run) -> Next {
        self.workload.run(self.ops[client].as_mut().expect("a transaction is under way"), stage, last, run)
    }

    fn done(&mut self, client: usize, end: &End, judge: &mut Judge) {
        self.workload.done(self.ops[client].take().expect("a transaction is under way"), end, judge);
    }

    fn last_read(&self) -> Vec<Step> {
        self.workload.last_read()
    }

    fn last_check(&mut self, slot: Slot, results: &[StepResult], judge: &mut Judge) {
        self.workload.last_check(slot, results, judge);
    }
}

/// The workload that a plan names; the name was checked when the plan was.
pub fn load(plan: &LoadPlan) -> Box<dyn Load> {
    fn drive<W: Workload + 'static>(plan: &LoadPlan, workload: W) -> Box<dyn Load> {
        Box::new(Driver { workload, ops: (0..plan.clients).map(|_| None).collect() })
    }
    match plan.kind.as_str() {
        "bank" => drive(plan, bank::Bank::new(plan.clone())),
        "bulk" => drive(plan, bulk::Bulk::new(plan.clone())),
        "counter" => drive(plan, counter::Counter::new(plan.clone())),
        "ddl" => drive(plan, ddl::Ddl::new(plan.clone())),
        "ids" => drive(plan, ids::IdsLoad::new(plan.clone())),
        "locks" => drive(plan, locks::Locks::new(plan.clone())),
        "orders" => drive(plan, orders::Orders::new(plan.clone())),
        "register" => drive(plan, register::Register::new(plan.clone())),
        "seats" => drive(plan, seats::Seats::new(plan.clone())),
        "skew" => drive(plan, skew::Skew::new(plan.clone())),
        "sql" => drive(plan, sql::Sql::new(plan.clone())),
        "audit" => drive(plan, audit::Audit),
        kind if RECORDED.contains(&kind) => Box::new(recorded::Recording::new(plan)),
        other => unreachable!("no workload is called '{other}'"),
    }
}

// What all workloads are written with.

fn int_table(name: &str, columns: &[&str], primary: usize) -> TableDef {
    let column = |name: &&str| Column {
        name: (*name).to_owned(),
        kind: ColumnType::Int { bits: 64 },
        nullable: false,
        ..Column::default()
    };
    TableDef {
        name: name.to_owned(),
        columns: columns.iter().map(column).collect(),
        primary: (0..primary).collect(),
        if_not_exists: true,
        ..TableDef::default()
    }
}

fn key(parts: &[i64]) -> Vec<Value> {
    parts.iter().copied().map(Value::Int).collect()
}

fn put(table: &str, row: &[i64]) -> Step {
    Step::Put { table: table.to_owned(), row: key(row) }
}

fn get(table: &str, at: &[i64], lock: bool) -> Step {
    Step::Get { table: table.to_owned(), key: key(at), lock }
}

/// A bound on what one scan may give, above what any run can fill.
const SCAN_MAX: u64 = 1_000_000;

fn scan(table: &str, from: &[i64], to: &[i64], lock: bool) -> Step {
    Step::Scan { table: table.to_owned(), from: key(from), to: key(to), limit: SCAN_MAX, lock }
}

fn set(table: &str, at: &[i64], column: &str, change: Change) -> Step {
    Step::Update { table: table.to_owned(), key: key(at), set: vec![(column.to_owned(), change)] }
}

/// The rows of the `n`-th result, as integers; empty where there are none.
fn ints(results: &[StepResult], n: usize) -> Vec<Vec<i64>> {
    match results.get(n) {
        Some(StepResult::Rows(rows)) => rows
            .rows
            .values()
            .iter()
            .map(|row| row.iter().map(|v| if let Value::Int(i) = v { *i } else { i64::MIN }).collect())
            .collect(),
        _ => Vec::new(),
    }
}

/// One column of the `n`-th result.
fn column(results: &[StepResult], n: usize, column: usize) -> Vec<i64> {
    ints(results, n).into_iter().filter_map(|row| row.get(column).copied()).collect()
}

/// An error that no client may meet, whatever goes wrong around it: a defect.
pub fn unexpected(error: &Error) -> bool {
    if let Error::After { error, .. } = error {
        return unexpected(error);
    }
    !(error.retry() || matches!(error, Error::Unknown { .. }))
}

/// Whose promise such an error breaks: a table that was made and is not there is a stale read of the catalogue.
pub fn blame(error: &Error) -> &'static str {
    match error {
        Error::After { error, .. } => blame(error),
        Error::NoTable { .. } => "fresh",
        Error::DuplicateKey { table, .. } if table == crate::invariant::ledger::TABLE => "ledger",
        _ => "defect",
    }
}

fn defect(end: &End, judge: &mut Judge) {
    if let Some(error) = end.error.filter(|e| unexpected(e)) {
        judge.broken(blame(error), format!("transaction {} on {}: {error}", end.at.op, end.at.slot));
    }
}

/// How strict a transaction is that reads before it writes, and whether it locks: each of these must do.
fn strict(draws: &mut Draws) -> (Isolation, bool) {
    *draws.pick(&[
        (Isolation::RepeatableRead, false),
        (Isolation::RepeatableRead, true),
        (Isolation::Serializable, false),
    ])
}
