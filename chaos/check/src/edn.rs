//! EDN, the notation of Clojure, as far as histories use it: read form by form, with the line of each.
//!
//! Source of the grammar: github.com/edn-format/edn. Tags (`#jepsen.history.Op{…}`) are dropped, what they tag stays.

use crate::read::Bad;
use crate::value::Value;

/// Forms may lie in one another only so deep; a history needs five.
const DEPTH_MAX: u32 = 64;

pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Reader<'a> {
        Reader { bytes: text.as_bytes(), at: 0, line: 1 }
    }

    /// The next form at the top, with the line where it begins; `None` at the end.
    pub fn next_form(&mut self) -> Result<Option<(usize, Value)>, Bad> {
        self.skip()?;
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let line = self.line;
        Ok(Some((line, self.form(0)?)))
    }

    /// Steps into a list or vector at the top, so that its elements are read one by one.
    pub fn enter(&mut self) -> Result<bool, Bad> {
        self.skip()?;
        let open = matches!(self.peek(), Some(b'[' | b'('));
        if open {
            self.bump();
        }
        Ok(open)
    }

    /// The next element of a list that was entered; `None` after its end.
    pub fn next_element(&mut self) -> Result<Option<(usize, Value)>, Bad> {
        self.skip()?;
        match self.peek() {
            None => Err(self.bad("the file ends inside a list")),
            Some(b']' | b')') => {
                self.bump();
                Ok(None)
            }
            Some(_) => {
                let line = self.line;
                Ok(Some((line, self.form(1)?)))
            }
        }
    }

    fn bad(&self, what: impl Into<String>) -> Bad {
        Bad::new(self.line, what)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn bump(&mut self) {
        if self.peek() == Some(b'\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    /// Whitespace, commas, comments and discarded forms.
    fn skip(&mut self) -> Result<(), Bad> {
        loop {
            match self.peek() {
                Some(c) if c.is_ascii_whitespace() || c == b',' => self.bump(),
                Some(b';') => {
                    while self.peek().is_some_and(|c| c != b'\n') {
                        self.at += 1;
                    }
                }
                Some(b'#') if self.bytes.get(self.at + 1) == Some(&b'_') => {
                    self.at += 2;
                    self.skip()?;
                    self.form(1)?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn form(&mut self, depth: u32) -> Result<Value, Bad> {
        if depth > DEPTH_MAX {
            return Err(self.bad(format!("forms lie more than {DEPTH_MAX} deep in one another")));
        }
        self.skip()?;
        match self.peek() {
            None => Err(self.bad("the file ends where a value should follow")),
            Some(b'"') => self.string(),
            Some(b'[') => self.sequence(b']', depth).map(Value::List),
            Some(b'(') => self.sequence(b')', depth).map(Value::List),
            Some(b'{') => self.map(depth),
            // What is said about a value is no part of it.
            Some(b'^') => {
                self.bump();
                self.form(depth + 1)?;
                self.form(depth + 1)
            }
            Some(b'\\') => {
                self.bump();
                Ok(Value::Text(self.token().to_owned()))
            }
            Some(b'#') => {
                self.bump();
                match self.peek() {
                    Some(b'{') => self.sequence(b'}', depth).map(Value::List),
                    Some(b'#') => Err(self.bad("'##' has no meaning in a history")),
                    _ => {
                        if self.token().is_empty() {
                            return Err(self.bad("a tag has no name"));
                        }
                        self.form(depth + 1)
                    }
                }
            }
            Some(b']' | b')' | b'}') => Err(self.bad("a bracket closes that was not opened")),
            Some(_) => self.atom(),
        }
    }

    fn sequence(&mut self, end: u8, depth: u32) -> Result<Vec<Value>, Bad> {
        let begun = self.line;
        self.bump();
        let mut items = Vec::new();
        loop {
            self.skip()?;
            match self.peek() {
                None => return Err(self.bad(format!("the file ends in a form that began on line {begun}"))),
                Some(c) if c == end => {
                    self.bump();
                    return Ok(items);
                }
                Some(_) => items.push(self.form(depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: u32) -> Result<Value, Bad> {
        let line = self.line;
        let mut items = self.sequence(b'}', depth)?.into_iter();
        let mut pairs = Vec::with_capacity(items.len() / 2);
        while let Some(key) = items.next() {
            let value = items.next().ok_or_else(|| Bad::new(line, "a map has a key without a value"))?;
            pairs.push((key, value));
        }
        Ok(Value::Map(pairs))
    }

    fn token(&mut self) -> &'a str {
        let begin = self.at;
        while let Some(c) = self.peek() {
            if c.is_ascii_whitespace() || b",;\"[](){}".contains(&c) {
                break;
            }
            self.at += 1;
        }
        // Tokens end at ASCII bytes, so the cut is between characters.
        std::str::from_utf8(&self.bytes[begin..self.at]).unwrap_or_default()
    }

    fn atom(&mut self) -> Result<Value, Bad> {
        let line = self.line;
        let token = self.token();
        if let Some(name) = token.strip_prefix(':') {
            return match name.is_empty() {
                true => Err(Bad::new(line, "a keyword has no name")),
                false => Ok(Value::Text(name.to_owned())),
            };
        }
        Ok(match token {
            "nil" | "null" => Value::Nil,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => {
                let first = token.trim_start_matches(['+', '-']).chars().next();
                if !first.is_some_and(|c| c.is_ascii_digit()) {
                    return Ok(Value::Text(token.to_owned()));
                }
                let whole = |part: &str| part.parse::<i64>().is_ok();
                // A ratio is nothing that a history counts in; it may stand in what is carried along.
                if token.split_once('/').is_some_and(|(a, b)| whole(a) && whole(b)) {
                    return Ok(Value::Text(token.to_owned()));
                }
                let digits = token.trim_start_matches('+').trim_end_matches(['N', 'M']);
                match digits.parse() {
                    Ok(n) => Value::Int(n),
                    Err(_) if digits.parse::<f64>().is_ok() => Value::Number(digits.to_owned()),
                    Err(_) => return Err(Bad::new(line, format!("'{token}' is no number"))),
                }
            }
        })
    }

    fn string(&mut self) -> Result<Value, Bad> {
        let begun = self.line;
        self.bump();
        let mut bytes = Vec::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(self.bad(format!("the file ends in a text that began on line {begun}")));
            };
            self.bump();
            match c {
                b'"' => break,
                b'\\' => {
                    let Some(escape) = self.peek() else { continue };
                    self.bump();
                    match escape {
                        b'n' => bytes.push(b'\n'),
                        b't' => bytes.push(b'\t'),
                        b'r' => bytes.push(b'\r'),
                        b'u' => {
                            let hex = self.bytes.get(self.at..self.at + 4).unwrap_or_default();
                            let code =
                                std::str::from_utf8(hex).ok().and_then(|h| u32::from_str_radix(h, 16).ok());
                            let c =
                                code.ok_or_else(|| self.bad("\\u is followed by four hexadecimal digits"))?;
                            self.at += 4;
                            let c = char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER);
                            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        other => bytes.push(other),
                    }
                }
                other => bytes.push(other),
            }
        }
        String::from_utf8(bytes).map(Value::Text).map_err(|_| Bad::new(begun, "a text is not UTF-8"))
    }
}
