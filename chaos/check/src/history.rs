//! A history: who asked for what, when, and what came of it.
//!
//! The form is Jepsen's (jepsen.history): a map for each invocation and one for its completion, `type` being
//! `invoke`, `ok`, `fail` or `info`, in the order in which they happened. `info` and no completion at all mean
//! *unknown*: it may have happened, may happen later, or never.

use crate::read::{self, Bad, Format};
use crate::value::Value;
use plait_base::map::Map;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ok,
    Fail,
    Info,
}

/// An operation as it stands in the file, before it was paired.
pub struct Line<'a> {
    pub line: usize,
    pub process: i64,
    pub f: &'a str,
    pub invokes: bool,
    /// Of a completion.
    pub kind: Kind,
}

/// An operation with its outcome.
#[derive(Debug)]
pub struct Call<T> {
    pub process: i64,
    pub f: String,
    pub kind: Kind,
    /// What was asked for.
    pub asked: T,
    /// What came back; of an unknown outcome, whatever the file says, or nothing.
    pub got: Option<T>,
    /// Its place among all lines of clients, and the place of its completion; `NEVER` if there was none.
    pub invoked: u32,
    pub ended: u32,
    /// The line of its completion, or of its invocation if there is none.
    pub line: usize,
    /// The file's own number for it, else its place.
    pub index: i64,
    pub node: Option<String>,
    /// A read after all was over, which must show whatever was acknowledged.
    pub last: bool,
}

impl<T> Call<T> {
    pub fn ok(&self) -> bool {
        self.kind == Kind::Ok
    }

    /// What it did, as far as is known.
    pub fn known(&self) -> &T {
        self.got.as_ref().unwrap_or(&self.asked)
    }
}

pub const NEVER: u32 = u32::MAX;

#[derive(Debug)]
pub struct History<T> {
    /// By invocation.
    pub calls: Vec<Call<T>>,
}

/// How many calls ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub ok: u64,
    pub fail: u64,
    pub info: u64,
}

impl Tally {
    pub fn of(kinds: impl Iterator<Item = Kind>) -> Tally {
        let mut tally = Tally::default();
        for kind in kinds {
            *match kind {
                Kind::Ok => &mut tally.ok,
                Kind::Fail => &mut tally.fail,
                Kind::Info => &mut tally.info,
            } += 1;
        }
        tally
    }
}

impl<T> History<T> {
    pub fn tally(&self) -> Tally {
        Tally::of(self.calls.iter().map(|call| call.kind))
    }
}

/// Makes of an operation's value what a judge needs.
type Shape<'a, T> = &'a mut dyn FnMut(&Line, Value) -> Result<Option<T>, Bad>;

/// Reads a history; `shape` makes of each operation's value what its judge needs (`None`: it says nothing), or says what
/// is wrong with it.
pub fn parse<T: Default>(bytes: &[u8], format: Option<Format>, shape: Shape<T>) -> Result<History<T>, Bad> {
    let mut pairing = Pairing { calls: Vec::new(), open: Map::keyed(0), places: 0, indexed: None };
    read::each(bytes, format, &mut |line, value| pairing.take(line, value, shape))?;
    Ok(History { calls: pairing.calls })
}

struct Pairing<T> {
    calls: Vec<Call<T>>,
    /// Process to its open call.
    open: Map<i64, usize>,
    places: u32,
    /// The last line's index.
    indexed: Option<(i64, usize)>,
}

impl<T: Default> Pairing<T> {
    fn take(&mut self, line: usize, mut map: Value, shape: Shape<T>) -> Result<(), Bad> {
        if !matches!(map, Value::Map(_)) {
            return Err(Bad::new(line, format!("an operation is a map, and this is {}", short(&map))));
        }
        let kind = map.get("type").ok_or_else(|| Bad::new(line, "the operation has no type"))?;
        let (invokes, kind) = match kind.text() {
            Some("invoke") => (true, Kind::Info),
            Some("ok") => (false, Kind::Ok),
            Some("fail") => (false, Kind::Fail),
            Some("info") => (false, Kind::Info),
            _ => {
                let what = format!("the type is {}; it is one of invoke, ok, fail and info", short(kind));
                return Err(Bad::new(line, what));
            }
        };
        let process = map.take("process").ok_or_else(|| Bad::new(line, "the operation has no process"))?;
        let process = match process {
            // Whoever breaks things has a name instead of a number; what it did is no client's operation.
            Value::Text(_) if process.int_key().is_none() => return Ok(()),
            _ => process
                .int_key()
                .ok_or_else(|| Bad::new(line, format!("the process is {}, not a number", short(&process))))?,
        };
        let f = match map.get("f") {
            None | Some(Value::Nil) => "txn".to_owned(),
            Some(f) => {
                f.text().ok_or_else(|| Bad::new(line, format!("f is {}, not a name", short(f))))?.to_owned()
            }
        };
        let index = self.index(line, &map)?;
        if self.places >= NEVER - 1 {
            return Err(Bad::new(line, "the history has more operations than can be numbered"));
        }
        let place = self.places;
        self.places += 1;
        let value = map.take("value").unwrap_or(Value::Nil);
        let shaped = shape(&Line { line, process, f: &f, invokes, kind }, value)?;
        let node = map.get("node").and_then(Value::text).map(str::to_owned);
        let last = map.get("final") == Some(&Value::Bool(true));
        if invokes {
            if let Some(at) = self.open.insert(process, self.calls.len()) {
                let what = format!(
                    "process {process} asks for something while what it asked for on line {} is not over",
                    self.calls[at].line
                );
                return Err(Bad::new(line, what));
            }
            self.calls.push(Call {
                process,
                f,
                kind: Kind::Info,
                asked: shaped.unwrap_or_default(),
                got: None,
                invoked: place,
                ended: NEVER,
                line,
                index: index.unwrap_or(place.into()),
                node,
                last,
            });
            return Ok(());
        }
        let at = self.open.remove(&process).ok_or_else(|| {
            Bad::new(line, format!("process {process} gets an answer to nothing: its invocation is missing"))
        })?;
        let call = &mut self.calls[at];
        if call.f != f {
            let what =
                format!("process {process} asked for '{}' on line {} and '{f}' ends", call.f, call.line);
            return Err(Bad::new(line, what));
        }
        call.kind = kind;
        call.ended = place;
        call.line = line;
        call.index = index.unwrap_or(place.into());
        call.got = shaped;
        call.node = node.or(call.node.take());
        call.last |= last;
        Ok(())
    }

    /// The file's own numbering must agree with its order, for order is what is judged.
    fn index(&mut self, line: usize, map: &Value) -> Result<Option<i64>, Bad> {
        let index = match map.get("index") {
            None | Some(Value::Nil) => return Ok(None),
            Some(index) => index.int().ok_or_else(|| {
                Bad::new(line, format!("the index is {}, not a whole number", short(index)))
            })?,
        };
        if let Some((before, at)) = self.indexed.filter(|(before, _)| *before > index) {
            let what =
                format!("index {index} comes after index {before} of line {at}: sort the history by index");
            return Err(Bad::new(line, what));
        }
        self.indexed = Some((index, line));
        Ok(Some(index))
    }
}

/// A value in an error: not longer than a line.
pub fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
