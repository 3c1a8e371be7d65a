//! From the bytes of a file to its operations, each with its line: JSON Lines, JSON or EDN.
//!
//! What it cannot read it refuses with the line: a history that was read by half is never judged.

use crate::edn::Reader;
use crate::value::Value;
use serde_json::value::RawValue;

/// Why a history cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// From 1.
    pub line: usize,
    pub what: String,
}

impl Bad {
    pub fn new(line: usize, what: impl Into<String>) -> Bad {
        Bad { line, what: what.into() }
    }
}

impl std::fmt::Display for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Bad {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Edn,
}

/// What the text looks like: EDN has keywords, tags and comments where JSON has quotes.
pub fn guess(text: &str) -> Format {
    let mut signs = text.chars().filter(|c| !c.is_whitespace() && *c != ',');
    let mut first = signs.next();
    while first == Some('[') {
        first = signs.next();
    }
    match (first, signs.next()) {
        (Some('{'), Some('"' | '}')) | (Some(']') | None, _) => Format::Json,
        (Some('{' | '(' | ';' | '#' | ':'), _) => Format::Edn,
        _ => Format::Json,
    }
}

/// Hands out each operation's map with the line where it begins.
pub fn each(
    bytes: &[u8],
    format: Option<Format>,
    take: &mut dyn FnMut(usize, Value) -> Result<(), Bad>,
) -> Result<(), Bad> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let lines = bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        Bad::new(lines + 1, "this is not UTF-8 text")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Bad::new(1, "the file is empty: a history has one operation a line"));
    }
    match format.unwrap_or_else(|| guess(text)) {
        Format::Json => json(text, take),
        Format::Edn => edn(text, take),
    }
}

fn edn(text: &str, take: &mut dyn FnMut(usize, Value) -> Result<(), Bad>) -> Result<(), Bad> {
    let mut reader = Reader::new(text);
    loop {
        if reader.enter()? {
            while let Some((line, value)) = reader.next_element()? {
                take(line, value)?;
            }
        }
        match reader.next_form()? {
            Some((line, value)) => take(line, value)?,
            None => return Ok(()),
        }
    }
}

/// Counts lines as it goes, so that each is counted once.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, part: &str) -> usize {
        let to = part.as_ptr() as usize - self.text.as_ptr() as usize;
        if to >= self.at {
            self.line += self.text.as_bytes()[self.at..to].iter().filter(|b| **b == b'\n').count();
            self.at = to;
        }
        self.line
    }
}

/// What a person would say who sees the line.
fn said(e: &serde_json::Error) -> String {
    if e.is_eof() {
        return "the file ends in the middle of an operation".to_owned();
    }
    let text = e.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("this is not JSON: {text}")
}

fn json(text: &str, take: &mut dyn FnMut(usize, Value) -> Result<(), Bad>) -> Result<(), Bad> {
    let mut lines = Lines { text, at: 0, line: 1 };
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    while let Some(raw) = stream.next() {
        // A line that ends in the middle is blamed where it begins, not where the next one made no sense.
        let raw = raw.map_err(|e| {
            let begin = stream.byte_offset();
            let line = e.line().max(1);
            let half = text[begin.min(text.len())..].trim_start();
            let first = lines.of(half);
            let whole_line = half.lines().next().unwrap_or_default();
            let cut = serde_json::from_str::<&RawValue>(whole_line).is_err_and(|e| e.is_eof());
            match cut && !half.starts_with('[') {
                true if first != line => Bad::new(first, "the line ends in the middle of an operation"),
                _ => Bad::new(line, said(&e)),
            }
        })?;
        if raw.get().starts_with('[') {
            let inner: Vec<&RawValue> = parse(raw.get(), lines.of(raw.get()))?;
            for raw in inner {
                one(raw, &mut lines, take)?;
            }
        } else {
            one(raw, &mut lines, take)?;
        }
    }
    Ok(())
}

fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str, first: usize) -> Result<T, Bad> {
    serde_json::from_str(text).map_err(|e| Bad::new(first + e.line().max(1) - 1, said(&e)))
}

fn one(
    raw: &RawValue,
    lines: &mut Lines,
    take: &mut dyn FnMut(usize, Value) -> Result<(), Bad>,
) -> Result<(), Bad> {
    let line = lines.of(raw.get());
    let mut value: Value = parse(raw.get(), line)?;
    // A document with the history in a field.
    if value.get("type").is_none()
        && let Some(Value::List(items)) = value.take("history").or_else(|| value.take("ops"))
    {
        return items.into_iter().try_for_each(|item| take(line, item));
    }
    take(line, value)
}
