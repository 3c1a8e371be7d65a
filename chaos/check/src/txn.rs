//! Transactions over keys: appends to lists and reads of them, or writes of registers and reads of them.
//!
//! Keys and values are numbers here, so that a list is compared as fast as memory is; the [`Book`] knows them by
//! name again.

use crate::history::{Call, History, Kind, Line, NEVER, Tally, short};
use crate::read::{Bad, Format};
use crate::value::Value;
use plait_base::map::Map;
use std::ops::Range;

/// Of a key or a value, within one [`Book`].
pub type Id = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mop {
    /// `Append` to a list, or the write of a register.
    Write { key: Id, value: Id },
    /// What a register held; `None`: its initial state.
    Read { key: Id, value: Option<Id> },
    /// What a list held: a stretch of the book's elements.
    List { key: Id, from: u32, len: u32 },
    /// A read whose answer nobody got.
    Asked { key: Id },
}

impl Mop {
    pub fn key(self) -> Id {
        match self {
            Mop::Write { key, .. } | Mop::Read { key, .. } | Mop::List { key, .. } | Mop::Asked { key } => {
                key
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Lists,
    Registers,
}

/// Names of keys and values, and the elements of all lists that were read.
#[derive(Debug)]
pub struct Book {
    names: Vec<Value>,
    ids: Map<Value, Id>,
    pub mops: Vec<Mop>,
    pub elements: Vec<Id>,
}

impl Book {
    pub(crate) fn new() -> Book {
        Book { names: Vec::new(), ids: Map::keyed(0), mops: Vec::new(), elements: Vec::new() }
    }

    pub(crate) fn id(&mut self, value: Value) -> Id {
        if let Some(id) = self.ids.get(&value) {
            return *id;
        }
        let id = self.names.len() as Id;
        self.names.push(value.clone());
        self.ids.insert(value, id);
        id
    }

    pub fn find(&self, value: &Value) -> Option<Id> {
        self.ids.get(value).copied()
    }

    pub fn name(&self, id: Id) -> &Value {
        &self.names[id as usize]
    }

    pub fn list(&self, from: u32, len: u32) -> &[Id] {
        &self.elements[from as usize..(from + len) as usize]
    }

    pub fn list_text(&self, list: &[Id]) -> String {
        let shown = 40;
        let mut items: Vec<String> = list.iter().take(shown).map(|id| self.name(*id).to_string()).collect();
        if list.len() > shown {
            items.push(format!("… ({} in all)", list.len()));
        }
        format!("[{}]", items.join(" "))
    }

    /// A micro-operation as Jepsen writes it.
    pub fn mop_text(&self, mop: Mop, shape: Shape) -> String {
        match mop {
            Mop::Write { key, value } => {
                let f = if shape == Shape::Lists { "append" } else { "w" };
                format!("[{f} {} {}]", self.name(key), self.name(value))
            }
            Mop::Read { key, value } => {
                let value = value.map_or("nil".to_owned(), |v| self.name(v).to_string());
                format!("[r {} {value}]", self.name(key))
            }
            Mop::List { key, from, len } => {
                format!("[r {} {}]", self.name(key), self.list_text(self.list(from, len)))
            }
            Mop::Asked { key } => format!("[r {} ?]", self.name(key)),
        }
    }
}

/// A transaction: committed, refused, or unknown.
#[derive(Debug)]
pub struct Txn {
    pub process: i64,
    pub kind: Kind,
    pub mops: Range<usize>,
    pub invoked: u32,
    pub ended: u32,
    pub line: usize,
    pub index: i64,
    pub node: Option<String>,
    pub last: bool,
}

impl Txn {
    pub fn ok(&self) -> bool {
        self.kind == Kind::Ok
    }

    pub fn failed(&self) -> bool {
        self.kind == Kind::Fail
    }
}

#[derive(Debug)]
pub struct Txns {
    pub shape: Shape,
    pub book: Book,
    /// By invocation.
    pub all: Vec<Txn>,
}

impl Txns {
    pub fn mops(&self, txn: usize) -> &[Mop] {
        &self.book.mops[self.all[txn].mops.clone()]
    }

    /// All micro-operations of a transaction, as Jepsen writes them.
    pub fn text(&self, txn: usize) -> String {
        let mops: Vec<String> = self.mops(txn).iter().map(|m| self.book.mop_text(*m, self.shape)).collect();
        format!("[{}]", mops.join(" "))
    }

    pub fn parse(bytes: &[u8], format: Option<Format>, shape: Shape) -> Result<Txns, Bad> {
        let mut book = Book::new();
        let history =
            crate::history::parse(bytes, format, &mut |line, value| take(&mut book, shape, line, value))?;
        Ok(Txns::from(history, book, shape))
    }

    fn from(history: History<Range<usize>>, book: Book, shape: Shape) -> Txns {
        let txn = |call: Call<Range<usize>>| Txn {
            process: call.process,
            kind: call.kind,
            mops: call.known().clone(),
            invoked: call.invoked,
            ended: call.ended,
            line: call.line,
            index: call.index,
            node: call.node,
            last: call.last,
        };
        Txns { shape, book, all: history.calls.into_iter().map(txn).collect() }
    }

    /// Two invocations that write the same value to the same key: with them nobody can say who wrote what was read.
    pub fn twice_written(&self) -> Option<(usize, usize, Mop)> {
        let mut seen: Map<(Id, Id), usize> = Map::keyed(0);
        for (at, _) in self.all.iter().enumerate() {
            for mop in self.mops(at) {
                if let Mop::Write { key, value } = *mop
                    && let Some(before) = seen.insert((key, value), at)
                {
                    return Some((before, at, *mop));
                }
            }
        }
        None
    }

    pub fn tally(&self) -> Tally {
        Tally::of(self.all.iter().map(|txn| txn.kind))
    }

    /// Nobody was told of any outcome.
    pub fn says_nothing(&self) -> bool {
        !self.all.iter().any(|txn| txn.ok() && !txn.mops.is_empty())
    }
}

/// One operation's micro-operations, put into the book.
fn take(book: &mut Book, shape: Shape, line: &Line, value: Value) -> Result<Option<Range<usize>>, Bad> {
    let begin = book.mops.len();
    let bad = |what: String| Bad::new(line.line, what);
    let knows_reads = !line.invokes && line.kind == Kind::Ok;
    // Single operations on a register, as other workloads write them, are transactions of one micro-operation.
    let single = matches!(line.f, "read" | "write" | "r" | "w" | "append" | "cas");
    let mops = match value {
        Value::Nil if knows_reads && !single => {
            return Err(bad("a transaction that ended ok has no value".into()));
        }
        Value::Nil if !single => return Ok(None),
        value if single => crate::object::as_mops(line.f, value).map_err(bad)?,
        Value::List(mops) => mops,
        // Next to an error there may stand anything.
        _ if !line.invokes && line.kind != Kind::Ok => return Ok(None),
        other => {
            return Err(bad(format!(
                "a transaction is a list of micro-operations, and this is {}",
                short(&other)
            )));
        }
    };
    for mop in mops {
        let shown = short(&mop);
        let Value::List(parts) = mop else {
            return Err(bad(format!("a micro-operation is written as [f key value], and this is {shown}")));
        };
        let mut parts = parts.into_iter();
        let (Some(f), Some(key), value, None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad(format!("a micro-operation is written as [f key value], and this is {shown}")));
        };
        let key = book.id(key);
        let value = value.unwrap_or(Value::Nil);
        let mop = match (f.text(), shape) {
            (Some("append"), Shape::Lists) | (Some("w" | "write"), Shape::Registers) => {
                if value.is_nil() {
                    return Err(bad(format!("{shown} writes nothing")));
                }
                Mop::Write { key, value: book.id(value) }
            }
            (Some("r" | "read"), _) if !knows_reads => Mop::Asked { key },
            (Some("r" | "read"), Shape::Lists) => {
                let from = book.elements.len() as u32;
                match value {
                    Value::Nil => {}
                    Value::List(items) => {
                        for item in items {
                            let id = book.id(item);
                            book.elements.push(id);
                        }
                    }
                    other => {
                        let what =
                            format!("a read of a list gives a list, and this one gives {}", short(&other));
                        return Err(bad(what));
                    }
                }
                if book.elements.len() >= NEVER as usize {
                    return Err(bad(
                        "the lists of this history have more elements than can be numbered".into()
                    ));
                }
                Mop::List { key, from, len: book.elements.len() as u32 - from }
            }
            (Some("r" | "read"), Shape::Registers) => {
                let value = (!value.is_nil()).then(|| book.id(value));
                Mop::Read { key, value }
            }
            _ => {
                let (known, other) = match shape {
                    Shape::Lists => ("append and r", "rw-register"),
                    Shape::Registers => ("w and r", "list-append"),
                };
                return Err(bad(format!(
                    "{shown} is no micro-operation of this workload, which has {known} (is the workload {other}?)"
                )));
            }
        };
        book.mops.push(mop);
    }
    Ok(Some(begin..book.mops.len()))
}
