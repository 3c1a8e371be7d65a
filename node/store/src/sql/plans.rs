//! Statements that came as text, known again by their text without its values.
//!
//! Intuition: a program that writes its values into its statements sends few different ones. A statement is read with
//! blanks in the place of its numbers and strings, as if it had been prepared so, and the next of its kind only fills
//! them in.
//! Invariant: a value becomes a blank only where it means the same as one: not where it names a column (a select list),
//! a place in one (`ORDER BY 2`) or a number of rows. What is not surely such a statement is read as it stands.

use super::asking;
use super::datum::Datum;
use super::prepared::tables_of;
use super::statement::Query;
use super::text;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a text that is looked up; longer ones are mostly values.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// Plans that a node keeps; the one that was not used for longest makes way.
const PLANS_MAX: usize = 512;

/// Those of one node: its sessions share them.
#[derive(Debug, Default)]
pub struct Plans {
    by_text: BTreeMap<String, Plan>,
    clock: u64,
}

#[derive(Debug)]
struct Plan {
    /// `None`: with blanks it can't be read, or more is known of it than its tree says.
    query: Option<Arc<Query>>,
    used: u64,
}

impl Plans {
    /// The statement that this text is, and its values; `None`: it is to be read as it stands.
    pub fn get(&mut self, sql: &str) -> Option<(Arc<Query>, Vec<Datum<'static>>)> {
        let Blanked { text, values } = blanked(sql)?;
        self.clock += 1;
        let used = self.clock;
        if let Some(plan) = self.by_text.get_mut(&text) {
            plan.used = used;
            return plan.query.clone().map(|query| (query, values));
        }
        let query = read(&text).map(Arc::new);
        if self.by_text.len() >= PLANS_MAX {
            let oldest = self.by_text.iter().min_by_key(|(_, plan)| plan.used);
            let oldest = oldest.expect("there are some").0.clone();
            self.by_text.remove(&oldest);
        }
        self.by_text.insert(text, Plan { query: query.clone(), used });
        query.map(|query| (query, values))
    }
}

fn read(text: &str) -> Option<Query> {
    let mut pieces = text::pieces(text, false).ok()?;
    let mut piece = pieces.pop().filter(|_| pieces.is_empty())?;
    let several = piece.begins(&["UPDATE"]) && piece.is_comma(2);
    if several || asking::NAMES.iter().any(|(name, _)| piece.count(name) > 0) {
        return None;
    }
    let named = piece.begins(&["SELECT"]) && !piece.lists_columns();
    let texts = if named { piece.items(text) } else { Vec::new() };
    let query = tables_of(piece.parse().ok()?, &texts).ok()??;
    match query {
        // Without a table it is answered at once.
        Query::Select(tree) if tree.from.is_empty() => None,
        query => Some(query),
    }
}

/// A text with blanks, and what stood there.
#[derive(Debug)]
struct Blanked {
    text: String,
    values: Vec<Datum<'static>>,
}

/// Words right behind which a value is a value of its own. Behind others (`DATE '…'`, `_utf8 '…'`, `ESCAPE '…'`) it
/// may be a part of something.
const BEFORE_A_VALUE: &[&str] =
    &["AND", "OR", "XOR", "NOT", "WHERE", "BETWEEN", "LIKE", "CASE", "WHEN", "THEN", "ELSE", "DIV", "MOD"];

/// What may stand in a name, a keyword or a number.
fn of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

fn blanked(sql: &str) -> Option<Blanked> {
    let bytes = sql.as_bytes();
    if bytes.len() > TEXT_BYTES_MAX {
        return None;
    }
    let word_end =
        |from: usize| bytes[from..].iter().position(|b| !of_word(*b)).map_or(bytes.len(), |n| from + n);
    let first = &sql[..word_end(0)];
    let selects = first.eq_ignore_ascii_case("SELECT");
    if !selects
        && !["INSERT", "REPLACE", "UPDATE", "DELETE"].iter().any(|known| first.eq_ignore_ascii_case(known))
    {
        return None;
    }
    let (mut text, mut values) = (String::with_capacity(bytes.len()), Vec::new());
    text.push_str(first);
    // Whether a value here is only a value.
    let mut open = !selects;
    let mut at = first.len();
    // The word that ended here, if only blanks follow it.
    let mut word = first;
    while at < bytes.len() {
        let before = bytes[at - 1];
        let begins_value = bytes[at] == b'\'' || (bytes[at].is_ascii_digit() && before != b'.');
        if begins_value
            && open
            && !word.is_empty()
            && !BEFORE_A_VALUE.iter().any(|known| word.eq_ignore_ascii_case(known))
        {
            return None;
        }
        if !bytes[at].is_ascii_whitespace() {
            word = "";
        }
        let end = match bytes[at] {
            // A string right behind a word or a string belongs to it.
            b'\'' if of_word(before) || before == b'\'' => return None,
            b'\'' => {
                let (value, end) = string(sql, at)?;
                if open {
                    text.push('?');
                    values.push(Datum::text(value));
                } else {
                    text.push_str(&sql[at..end]);
                }
                at = end;
                continue;
            }
            b'`' => at + 2 + bytes[at + 1..].iter().position(|b| *b == b'`')?,
            b'"' | b'#' | b'?' | b'@' | b'\\' | b';' => return None,
            b'-' if bytes.get(at + 1) == Some(&b'-') => return None,
            b'/' if bytes.get(at + 1) == Some(&b'*') => return None,
            b'0'..=b'9' => {
                let mut end = at;
                while end < bytes.len() && (of_word(bytes[end]) || bytes[end] == b'.') {
                    end += 1;
                }
                match sql[at..end].parse::<i64>() {
                    Ok(n) if open && before != b'.' => {
                        text.push('?');
                        values.push(Datum::Int(n));
                        at = end;
                        continue;
                    }
                    // With a point or an exponent, or too large.
                    _ => end,
                }
            }
            byte if of_word(byte) => {
                let end = word_end(at);
                word = &sql[at..end];
                let is = |list: &[&str]| list.iter().any(|known| word.eq_ignore_ascii_case(known));
                match () {
                    () if is(&["SELECT", "UNION", "INTERVAL", "RETURNING", "PARTITION"]) => return None,
                    () if is(&["GROUP", "ORDER", "LIMIT", "HAVING", "FOR"]) => open = false,
                    () if selects && is(&["WHERE"]) => open = true,
                    () => {}
                }
                end
            }
            _ => at + 1,
        };
        text.push_str(&sql[at..end]);
        at = end;
    }
    Some(Blanked { text, values })
}

/// The string that begins here, and where it ends. `None`: it does not end, or is escaped in a way that depends on the
/// session.
fn string(sql: &str, from: usize) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut at = from + 1;
    loop {
        let part = &sql[at..];
        let end = part.find(['\'', '\\'])?;
        value.push_str(&part[..end]);
        at += end + 1;
        if part.as_bytes()[end] == b'\\' {
            return None;
        }
        if sql.as_bytes().get(at) != Some(&b'\'') {
            return Some((value, at));
        }
        value.push('\'');
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sql: &str) -> Option<(String, String)> {
        let Blanked { text, values } = blanked(sql)?;
        let list: Vec<String> = values.iter().map(|datum| format!("{datum:?}")).collect();
        Some((text, list.join(" ")))
    }

    #[test]
    fn values_become_blanks_only_where_they_are_values() {
        let rows = [
            ("INSERT INTO t VALUES (1, 'a', -2)", "INSERT INTO t VALUES (?, ?, -?)"),
            ("INSERT INTO t1 (`a 1`) VALUES (1.5, 1e3, 'é')", "INSERT INTO t1 (`a 1`) VALUES (1.5, 1e3, ?)"),
            ("SELECT 1, 'x' FROM t WHERE a = 5 ORDER BY 2", "SELECT 1, 'x' FROM t WHERE a = ? ORDER BY 2"),
            ("SELECT a FROM t WHERE a IN (1,2) LIMIT 3", "SELECT a FROM t WHERE a IN (?,?) LIMIT 3"),
            ("update t set a = a + 1 where b = 'it''s'", "update t set a = a + ? where b = ?"),
            ("DELETE FROM t WHERE a = 3 LIMIT 1", "DELETE FROM t WHERE a = ? LIMIT 1"),
            ("DELETE FROM t WHERE a = 9223372036854775808", "DELETE FROM t WHERE a = 9223372036854775808"),
        ];
        for (sql, text) in rows {
            assert_eq!(shown(sql).map(|(text, _)| text).as_deref(), Some(text), "{sql}");
        }
        assert_eq!(shown("UPDATE t SET b = 'it''s' WHERE a = 7").unwrap().1, "Text(\"it's\") Int(7)");
    }

    #[test]
    fn what_is_not_surely_known_is_read_as_it_stands() {
        let texts = [
            "SET a = 1",
            "SELECT a FROM t WHERE b = \"x\"",
            "SELECT a FROM t WHERE b = 'x\\'y'",
            "SELECT a FROM t WHERE b = _utf8'x'",
            "SELECT a FROM t WHERE b = 'a' 'b' OR c = 'd''",
            "SELECT a FROM t WHERE b = 1 -- 2",
            "SELECT a FROM t WHERE b = 1 /* 2 */",
            "SELECT a FROM t WHERE b = 1; SELECT 2",
            "SELECT a FROM t WHERE b = (SELECT 1)",
            "SELECT a FROM t WHERE b = @x",
            "UPDATE t SET d = d + INTERVAL 1 DAY",
            "INSERT INTO t SELECT 1",
            "INSERT INTO t VALUES (?)",
            "SELECT a FROM t WHERE b = DATE '2020-01-01'",
            "SELECT a FROM t WHERE b = _utf8 'x'",
            "SELECT a FROM t WHERE b LIKE 'x' ESCAPE '!'",
        ];
        for sql in texts {
            assert!(blanked(sql).is_none(), "{sql}");
        }
        // With blanks these can't be read, and are not tried again.
        let (sql, mut plans) = ("SELECT a FROM t WHERE b = CAST('1' AS CHAR(3))", Plans::default());
        assert!(plans.get(sql).is_none() && plans.get(sql).is_none());
        assert_eq!(plans.by_text.len(), 1);
    }

    #[test]
    fn a_plan_is_shared_by_texts_that_differ_in_values_and_the_oldest_makes_way() {
        let mut plans = Plans::default();
        let (a, values) = plans.get("UPDATE t SET a = 1 WHERE b = 'x'").unwrap();
        assert_eq!(values.len(), 2);
        let (b, _) = plans.get("UPDATE t SET a = 22 WHERE b = 'yy'").unwrap();
        assert!(Arc::ptr_eq(&a, &b));
        for n in 0..PLANS_MAX {
            assert!(plans.get(&format!("UPDATE t{n} SET a = 1")).is_some());
        }
        assert_eq!(plans.by_text.len(), PLANS_MAX);
        let (c, _) = plans.get("UPDATE t SET a = 1 WHERE b = 'x'").unwrap();
        assert!(!Arc::ptr_eq(&a, &c));
    }
}
