//! The text of a statement whose literals hold bytes that are no text.
//!
//! Clients write a value of bytes into a statement as it is, between quotes (`_binary'…'`). The rest of the server
//! knows statements as UTF-8; so such a literal, and only such, is written as hexadecimal digits.

use std::fmt::Write as _;

/// A statement as text; the error is where bytes stand that are neither text nor in a literal.
pub fn text(body: Vec<u8>) -> Result<String, usize> {
    match String::from_utf8(body) {
        Ok(text) => Ok(text),
        Err(error) => rewritten(error.as_bytes()),
    }
}

fn rewritten(body: &[u8]) -> Result<String, usize> {
    let mut out = String::with_capacity(body.len() * 2);
    let mut at = 0;
    while at < body.len() {
        let end = match body[at] {
            quote @ (b'\'' | b'"') => {
                let end = closed(body, at, quote, true);
                match std::str::from_utf8(&body[at..end.unwrap_or(body.len())]) {
                    Ok(literal) => out.push_str(literal),
                    Err(_) => hex(&mut out, &body[at..end.ok_or(at)?], quote),
                }
                end.unwrap_or(body.len())
            }
            b'`' => {
                let end = closed(body, at, b'`', false);
                copied(&mut out, body, at, end.unwrap_or(body.len()))?
            }
            b'#' => comment(&mut out, body, at, b"\n"),
            b'-' if body[at..].starts_with(b"-- ") => comment(&mut out, body, at, b"\n"),
            b'/' if body[at..].starts_with(b"/*") => comment(&mut out, body, at, b"*/"),
            _ => {
                let special = |byte: &u8| matches!(byte, b'\'' | b'"' | b'`' | b'#' | b'-' | b'/');
                let plain = body[at + 1..].iter().position(special);
                copied(&mut out, body, at, plain.map_or(body.len(), |n| at + 1 + n))?
            }
        };
        at = end;
    }
    Ok(out)
}

/// Where what begins with a quote at `at` ends, the closing quote included; `None`: it has none.
fn closed(body: &[u8], at: usize, quote: u8, escapes: bool) -> Option<usize> {
    let mut end = at + 1;
    while end < body.len() {
        match body[end] {
            b'\\' if escapes => end += 1,
            byte if byte == quote && body.get(end + 1) == Some(&quote) => end += 1,
            byte if byte == quote => return Some(end + 1),
            _ => {}
        }
        end += 1;
    }
    None
}

fn copied(out: &mut String, body: &[u8], at: usize, end: usize) -> Result<usize, usize> {
    match std::str::from_utf8(&body[at..end]) {
        Ok(text) => out.push_str(text),
        Err(error) => return Err(at + error.valid_up_to()),
    }
    Ok(end)
}

/// What stands in a comment means nothing; it may hold hints, which are text.
fn comment(out: &mut String, body: &[u8], at: usize, closing: &[u8]) -> usize {
    let found = body[at..].windows(closing.len()).skip(2).position(|bytes| bytes == closing);
    let end = found.map_or(body.len(), |n| at + 2 + n + closing.len()).min(body.len());
    out.push_str(&String::from_utf8_lossy(&body[at..end]));
    end
}

fn hex(out: &mut String, literal: &[u8], quote: u8) {
    // The digits are bytes by themselves: the introducer says no more than they do.
    let before = out.trim_end().len();
    if let Some(start) = before.checked_sub(b"_binary".len())
        && out.is_char_boundary(start)
        && out[start..before].eq_ignore_ascii_case("_binary")
    {
        out.truncate(start);
    }
    out.push_str(" X'");
    let inner = &literal[1..literal.len() - 1];
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => match bytes.next() {
                Some(b'0') => 0,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'b') => 8,
                Some(b'Z') => 26,
                Some(other) => other,
                None => break,
            },
            byte if byte == quote => {
                bytes.next();
                byte
            }
            byte => byte,
        };
        let _ = write!(out, "{byte:02x}");
    }
    out.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(body: &[u8]) -> Result<String, usize> {
        text(body.to_vec())
    }

    #[test]
    fn a_literal_of_bytes_becomes_digits() {
        assert_eq!(told(b"SELECT 'a'"), Ok("SELECT 'a'".into()));
        assert_eq!(
            told(b"INSERT INTO t VALUES (1, _binary'\xff\\0\\'''\\n', 'x')"),
            Ok("INSERT INTO t VALUES (1,  X'ff0027270a', 'x')".into())
        );
        assert_eq!(told(b"SELECT \"\xfe\"\"\", `\xc3\xa9`"), Ok("SELECT  X'fe22', `é`".into()));
        assert_eq!(
            told(b"SELECT '\xff' -- \xff'\n, 'b' /* \xfe */"),
            Ok("SELECT  X'ff' -- \u{fffd}'\n, 'b' /* \u{fffd} */".into())
        );
        assert_eq!(told(b"SELECT \xff"), Err(7));
        assert_eq!(told(b"SELECT `a\xff`"), Err(9));
        assert_eq!(told(b"SELECT '\xff"), Err(7), "it has no end");
        assert_eq!(told(b"SELECT '\xff\\'"), Err(7), "nor has this one");
        assert_eq!(told(b"SELECT '"), Ok("SELECT '".into()));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body: Vec<u8>) {
            let _ = text(body);
        }

        #[test]
        fn text_stays_as_it_is(body: String) {
            prop_assert_eq!(text(body.clone().into_bytes()), Ok(body));
        }
    }
}
