//! The text of a request as tokens: cut into statements, bounded, and with what the parser does not know put into
//! words that it knows.
//!
//! Bounds: what is walked by recursion must not be led deeper than the stack is, for no panic tells of that. Nesting
//! is the parser's own bound; what it builds in a loop, a chain of operators, is counted here before it is built.

use super::written::text as literal;
use crate::error::Error;
use sqlparser::ast::{Expr, Query, Statement as Ast};
use sqlparser::dialect::MySqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

/// How deep a statement's tree may be, a chain such as `a OR b OR c` counted by its operators. Default 1,000; a
/// deeper one is refused with `TooLarge`. A tree is dropped and compared by recursion.
pub const TREE_DEPTH_MAX: usize = 1_000;
/// The same for an expression that is evaluated, in which `a OR b OR c` is one step. Default 200.
pub const EXPR_DEPTH_MAX: usize = 200;
/// How deep an expression may nest. Default 60; more is refused with `TooLarge`.
pub const NESTING_MAX: usize = 60;

const DIALECT: MySqlDialect = MySqlDialect {};

/// One statement of a request.
#[derive(Debug, Default)]
pub struct Piece {
    tokens: Vec<TokenWithSpan>,
    params: usize,
}

/// The statements of a request, without the empty ones. `ansi_quotes`: what stands in `"` is a name.
pub fn pieces(sql: &str, ansi_quotes: bool) -> Result<Vec<Piece>, Error> {
    let tokens = Tokenizer::new(&DIALECT, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| Error::Syntax { why: error.to_string() })?;
    let mut pieces = vec![Piece::default()];
    for token in tokens {
        let piece = pieces.last_mut().expect("there is always a piece under way");
        let TokenWithSpan { token, span } = token;
        match token {
            Token::SemiColon => pieces.push(Piece::default()),
            Token::Whitespace(_) => {}
            Token::DoubleQuotedString(name) if ansi_quotes => {
                let token =
                    Token::Word(Word { value: name, quote_style: Some('`'), keyword: Keyword::NoKeyword });
                piece.tokens.push(TokenWithSpan { token, span });
            }
            // The parser does not count them.
            Token::Placeholder(name) if name == "?" => {
                let token = Token::Placeholder(format!("?{}", piece.params));
                piece.params += 1;
                piece.tokens.push(TokenWithSpan { token, span });
            }
            other => piece.tokens.push(TokenWithSpan { token: other, span }),
        }
    }
    pieces.retain(|piece| !piece.tokens.is_empty());
    Ok(pieces)
}

/// The tree of a condition by itself.
pub fn condition(sql: &str) -> Result<Expr, Error> {
    alone(sql, |parser| parser.parse_expr())
}

/// The tree of a query by itself.
pub fn query(sql: &str) -> Result<Query, Error> {
    alone(sql, |parser| parser.parse_query().map(|query| *query))
}

fn alone<T>(sql: &str, parse: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>) -> Result<T, Error> {
    let mut pieces = pieces(sql, false)?;
    let (Some(piece), true) = (pieces.pop(), pieces.is_empty()) else {
        return Err(Error::Syntax { why: "this is one expression or query".into() });
    };
    piece.check_depth()?;
    let parser = Parser::new(&DIALECT).with_recursion_limit(NESTING_MAX);
    let mut parser = parser.with_tokens_with_locations(piece.tokens);
    let tree = parse(&mut parser).map_err(refused)?;
    match parser.next_token().token {
        Token::EOF => Ok(tree),
        other => Err(Error::Syntax { why: format!("unexpected '{other}' behind it") }),
    }
}

/// A token's word in upper case, if it is an unquoted word.
fn word(token: &TokenWithSpan) -> Option<&Word> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word),
        _ => None,
    }
}

fn is(token: Option<&TokenWithSpan>, text: &str) -> bool {
    token.and_then(word).is_some_and(|word| word.value.eq_ignore_ascii_case(text))
}

impl Piece {
    /// Whether the statement begins with these words.
    pub fn begins(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(at, text)| is(self.tokens.get(at), text))
    }

    /// Its words from `from` on, in upper case, up to the first token that is no word.
    pub fn words(&self, from: usize) -> Vec<String> {
        let words = self.tokens.iter().skip(from).map_while(word);
        words.map(|word| word.value.to_ascii_uppercase()).collect()
    }

    /// How many `?` it has.
    pub fn params(&self) -> usize {
        self.params
    }

    /// Whether the statement ends with these words.
    pub fn ends(&self, words: &[&str]) -> bool {
        let from = self.tokens.len().checked_sub(words.len());
        from.is_some_and(|from| words.iter().enumerate().all(|(at, text)| self.is(from + at, text)))
    }

    pub fn is_comma(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.token == Token::Comma)
    }

    /// How often a word stands in it.
    pub fn count(&self, text: &str) -> usize {
        self.tokens.iter().filter(|token| is(Some(token), text)).count()
    }

    /// Whether this word stands at a place.
    pub fn is(&self, at: usize, text: &str) -> bool {
        is(self.tokens.get(at), text)
    }

    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The text or number that a token is.
    pub fn literal(&self, at: usize) -> Option<&str> {
        match &self.tokens.get(at)?.token {
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) | Token::Number(text, _) => {
                Some(text)
            }
            _ => None,
        }
    }

    /// A name at this place.
    pub fn name(&self, at: usize) -> Option<&str> {
        match &self.tokens.get(at)?.token {
            Token::Word(word) => Some(&word.value),
            _ => None,
        }
    }

    /// Where the statement stands in its request.
    pub fn place(&self) -> Location {
        self.tokens[0].span.start
    }

    /// What stands behind the first AS outside of parentheses, in words that mean the same in any sql_mode; whether
    /// a variable or a `?` is among them.
    pub fn behind_as(&self) -> Option<(String, bool)> {
        let mut depth = 0_usize;
        let at = self.tokens.iter().position(|token| {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && is(Some(token), "AS")
        })?;
        let (mut out, mut varies) = (String::new(), false);
        let mut end: Option<Location> = None;
        for token in &self.tokens[at + 1..] {
            if end.is_some_and(|end| end != token.span.start) {
                out.push(' ');
            }
            end = Some(token.span.end);
            match &token.token {
                Token::SingleQuotedString(value) | Token::DoubleQuotedString(value) => out += &literal(value),
                other => {
                    varies |= matches!(other, Token::Placeholder(_) | Token::AtSign)
                        || word(token).is_some_and(|word| word.value.starts_with('@'));
                    out += &other.to_string();
                }
            }
        }
        Some((out, varies))
    }

    /// The collations that it names, each once.
    pub fn collations(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for at in (0..self.tokens.len()).filter(|at| self.is(*at, "COLLATE")) {
            let equals = self.tokens.get(at + 1).is_some_and(|token| token.token == Token::Eq);
            let at = at + 1 + usize::from(equals);
            if let Some(name) = self.literal(at).or_else(|| self.name(at))
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// Whether these words follow each other in it.
    pub fn has(&self, words: &[&str]) -> bool {
        (0..self.tokens.len()).any(|from| words.iter().enumerate().all(|(at, text)| self.is(from + at, text)))
    }

    /// Takes the options of a table out of an ALTER TABLE, in which the parser knows few of them, and gives them as
    /// those of a CREATE TABLE. `CONVERT TO CHARACTER SET` is one, for all texts are kept alike; FORCE asks for
    /// nothing.
    pub fn cut_options(&mut self) -> Option<Piece> {
        const OPTIONS: &[&str] = &[
            "AUTO_INCREMENT",
            "AVG_ROW_LENGTH",
            "CHARSET",
            "CHECKSUM",
            "COLLATE",
            "COMMENT",
            "DELAY_KEY_WRITE",
            "ENGINE",
            "KEY_BLOCK_SIZE",
            "MAX_ROWS",
            "MIN_ROWS",
            "PACK_KEYS",
            "PAGE_CHECKSUM",
            "ROW_FORMAT",
            "STATS_AUTO_RECALC",
            "STATS_PERSISTENT",
            "STATS_SAMPLE_PAGES",
            "TRANSACTIONAL",
        ];
        let period = self.tokens.get(3).is_some_and(|token| token.token == Token::Period);
        let from = if period { 5 } else { 3 };
        if !self.begins(&["ALTER", "TABLE"]) || self.tokens.len() <= from {
            return None;
        }
        let (mut clauses, mut depth) = (vec![Vec::new()], 0_usize);
        for token in &self.tokens[from..] {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                Token::Comma if depth == 0 => {
                    clauses.push(Vec::new());
                    continue;
                }
                _ => {}
            }
            clauses.last_mut().expect("there is always a clause under way").push(token.clone());
        }
        let (all, mut options) = (clauses.len(), Vec::new());
        clauses.retain_mut(|clause| {
            let begins = |words: &[&str]| words.iter().enumerate().all(|(at, text)| is(clause.get(at), text));
            let skip = match () {
                () if begins(&["FORCE"]) && clause.len() == 1 => 1,
                () if begins(&["CONVERT", "TO"]) => 2,
                () if begins(&["CHARACTER", "SET"]) || OPTIONS.iter().any(|option| begins(&[option])) => 0,
                () if ["CHARSET", "CHARACTER", "COLLATE"].iter().any(|what| begins(&["DEFAULT", what])) => 0,
                () => return true,
            };
            options.extend(clause.drain(skip..));
            false
        });
        let kept = clauses.len();
        if kept == all {
            return None;
        }
        self.tokens.truncate(from);
        for (at, clause) in clauses.into_iter().enumerate() {
            if at > 0 {
                self.tokens.push(TokenWithSpan::wrap(Token::Comma));
            }
            self.tokens.extend(clause);
        }
        let words = |list: &mut Vec<TokenWithSpan>, text: &str| {
            let cut = pieces(text, false).unwrap_or_default();
            list.extend(cut.into_iter().flat_map(|piece| piece.tokens));
        };
        if kept == 0 {
            words(&mut self.tokens, "ALGORITHM = DEFAULT");
        }
        let mut tokens = Vec::new();
        words(&mut tokens, "CREATE TABLE t (a INT)");
        tokens.extend(options);
        Some(Piece { tokens, params: 0 })
    }

    /// Options of other engines' tables, which the parser does not know.
    fn cut_pages(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            if self.is(at, "PAGE_CHECKSUM") || self.is(at, "TRANSACTIONAL") {
                let equals = self.tokens.get(at + 1).is_some_and(|token| token.token == Token::Eq);
                let end = at + 1 + usize::from(equals);
                if self.literal(end).is_some() {
                    self.tokens.drain(at..=end);
                    continue;
                }
            }
            at += 1;
        }
    }

    /// `NATIONAL CHAR`, `NCHAR`: every text here is of one set. `LONG` and `LONG BYTE` are `MEDIUMTEXT` and
    /// `MEDIUMBLOB`.
    fn cut_national(&mut self) {
        for at in (1..self.tokens.len()).rev() {
            let name = self.tokens[at - 1].token.clone();
            if !self.is(at, "LONG") || !matches!(name, Token::Word(_)) || self.is(at - 1, "KEY") {
                continue;
            }
            let bytes = self.is(at + 1, "BYTE") || self.is(at + 1, "VARBINARY");
            if bytes || self.is(at + 1, "VARCHAR") {
                self.tokens.remove(at + 1);
            }
            let keyword = if bytes { Keyword::MEDIUMBLOB } else { Keyword::MEDIUMTEXT };
            let value = if bytes { "MEDIUMBLOB" } else { "MEDIUMTEXT" }.to_owned();
            self.tokens[at].token = Token::Word(Word { value, quote_style: None, keyword });
        }
        for at in (1..self.tokens.len()).rev() {
            let text = ["CHAR", "CHARACTER", "VARCHAR", "VARCHARACTER"];
            if self.is(at - 1, "NATIONAL") && text.iter().any(|text| self.is(at, text)) {
                self.tokens.remove(at - 1);
            }
        }
        for at in 1..self.tokens.len() {
            if self.is(at, "NCHAR")
                && !self.tokens[at - 1].token.eq(&Token::Comma)
                && let Token::Word(word) = &mut self.tokens[at].token
            {
                (word.value, word.keyword) = ("CHAR".into(), Keyword::CHAR);
            }
        }
    }

    /// Puts another keyword in the first one's place.
    pub fn instead_of_first(&mut self, keyword: &str) {
        self.tokens[0].token = Token::make_keyword(keyword);
    }

    /// Takes words off the end, if it ends with them.
    pub fn cut_end(&mut self, words: &[&str]) -> bool {
        let Some(from) = self.tokens.len().checked_sub(words.len()) else { return false };
        let ends = words.iter().enumerate().all(|(at, text)| is(self.tokens.get(from + at), text));
        if ends {
            self.tokens.truncate(from);
        }
        ends
    }

    /// `LOCK IN SHARE MODE` is what MySQL said before `FOR SHARE`.
    fn translate(&mut self) {
        if self.begins(&["CREATE", "TABLE"]) {
            self.cut_pages();
        }
        if self.begins(&["CREATE", "TABLE"]) || self.begins(&["ALTER", "TABLE"]) {
            self.cut_national();
        }
        if self.begins(&["ALTER", "TABLE"]) {
            // `DROP KEY k` is `DROP INDEX k`.
            for at in 3..self.tokens.len() {
                if self.is(at, "KEY")
                    && self.is(at - 1, "DROP")
                    && let Token::Word(word) = &mut self.tokens[at].token
                {
                    (word.value, word.keyword) = ("INDEX".into(), Keyword::INDEX);
                }
            }
        }
        if !self.begins(&["SELECT"]) {
            return;
        }
        let share = self.cut_end(&["LOCK", "IN", "SHARE", "MODE"]);
        if self.count("FROM") == 0 {
            // There is nothing to lock, and the parser would take FOR for a name.
            self.cut_end(&["NOWAIT"]);
            let _ = self.cut_end(&["FOR", "UPDATE"]) || self.cut_end(&["FOR", "SHARE"]);
            return;
        }
        if !share {
            return;
        }
        for (text, keyword) in [("FOR", Keyword::FOR), ("SHARE", Keyword::SHARE)] {
            let word = Word { value: text.into(), quote_style: None, keyword };
            self.tokens.push(TokenWithSpan::wrap(Token::Word(word)));
        }
    }

    /// How deep the tree will be: a chain of operators is as deep as it is long, and what stands in parentheses is
    /// deeper than the chain that it stands in.
    fn check_depth(&self) -> Result<(), Error> {
        #[derive(Default)]
        struct Level {
            /// Operators of the chain under way.
            chain: usize,
            /// The deepest of what stands in parentheses in it.
            inner: usize,
            /// The deepest of the chains before it.
            before: usize,
        }
        impl Level {
            fn end_chain(&mut self) {
                self.before = self.before.max(self.chain + self.inner);
                (self.chain, self.inner) = (0, 0);
            }
        }
        let mut levels = vec![Level::default()];
        for token in &self.tokens {
            let level = levels.last_mut().expect("the outermost level stays");
            match &token.token {
                Token::LParen => levels.push(Level::default()),
                Token::RParen => {
                    if let (Some(mut inner), Some(outer)) = (levels.pop(), levels.last_mut()) {
                        inner.end_chain();
                        outer.inner = outer.inner.max(inner.before + 1);
                    } else {
                        levels.push(Level::default());
                    }
                }
                Token::Comma => level.end_chain(),
                Token::Word(word) => match word.keyword {
                    Keyword::FROM | Keyword::WHERE | Keyword::SET | Keyword::VALUES => level.end_chain(),
                    Keyword::AND
                    | Keyword::OR
                    | Keyword::XOR
                    | Keyword::NOT
                    | Keyword::DIV
                    | Keyword::MOD
                    | Keyword::LIKE
                    | Keyword::IN
                    | Keyword::IS
                    | Keyword::BETWEEN
                    | Keyword::CASE
                    | Keyword::WHEN
                    | Keyword::COLLATE
                    | Keyword::REGEXP
                    | Keyword::UNION
                    | Keyword::JOIN => level.chain += 1,
                    _ => {}
                },
                Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) => {}
                // Every other token may be an operator.
                _ => level.chain += 1,
            }
            let level = levels.last().expect("the outermost level stays");
            let depth = level.chain + level.inner;
            if depth > TREE_DEPTH_MAX {
                let (got, max) = (depth as u64, TREE_DEPTH_MAX as u64);
                return Err(Error::TooLarge { what: "the number of operators in one expression", got, max });
            }
        }
        Ok(())
    }

    /// The statement's tree.
    pub fn parse(&mut self) -> Result<Ast, Error> {
        self.check_depth()?;
        self.translate();
        let tokens = std::mem::take(&mut self.tokens);
        let mut parser =
            Parser::new(&DIALECT).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
        let tree = parser.parse_statement().map_err(refused)?;
        let next = parser.next_token();
        if next.token != Token::EOF {
            let why = format!(
                "unexpected '{}' at line {}, column {}",
                next.token, next.span.start.line, next.span.start.column
            );
            return Err(Error::Syntax { why });
        }
        Ok(tree)
    }

    /// Whether the items of a SELECT are columns and nothing else, which are named by themselves.
    pub fn lists_columns(&self) -> bool {
        let list = self.tokens.iter().skip(1).take_while(|token| !is(Some(token), "FROM"));
        let mut list = list.peekable();
        list.peek().is_some()
            && list.all(|token| {
                matches!(token.token, Token::Word(_) | Token::Period | Token::Comma | Token::Mul)
            })
    }

    /// The texts of the items between `SELECT` and what follows its list, as they were written: MySQL names a
    /// column without an alias so.
    pub fn items<'s>(&self, sql: &'s str) -> Vec<&'s str> {
        let mut items = Vec::new();
        let mut depth = 0_usize;
        let mut first: Option<&TokenWithSpan> = None;
        let mut last: Option<&TokenWithSpan> = None;
        let places = Places::new(sql);
        let mut end = |first: &mut Option<&TokenWithSpan>, last: Option<&TokenWithSpan>| {
            if let (Some(first), Some(last)) = (first.take(), last) {
                items.push(places.between(first.span.start, last.span.end));
            }
        };
        for token in self.tokens.iter().skip(1) {
            if depth == 0
                && let Some(word) = word(token)
            {
                let modifier = matches!(
                    word.value.to_ascii_uppercase().as_str(),
                    "DISTINCT" | "DISTINCTROW" | "ALL" | "HIGH_PRIORITY" | "STRAIGHT_JOIN" | "SQL_NO_CACHE"
                );
                if modifier && first.is_none() {
                    continue;
                }
                if matches!(
                    word.keyword,
                    Keyword::FROM
                        | Keyword::WHERE
                        | Keyword::ORDER
                        | Keyword::GROUP
                        | Keyword::HAVING
                        | Keyword::LIMIT
                        | Keyword::FOR
                        | Keyword::LOCK
                        | Keyword::UNION
                        | Keyword::INTO
                ) {
                    break;
                }
            }
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                Token::Comma if depth == 0 => {
                    end(&mut first, last);
                    continue;
                }
                _ => {}
            }
            first.get_or_insert(token);
            last = Some(token);
        }
        end(&mut first, last);
        items
    }
}

/// A parser's refusal in our words.
fn refused(error: ParserError) -> Error {
    match error {
        ParserError::TokenizerError(why) | ParserError::ParserError(why) => Error::Syntax { why },
        ParserError::RecursionLimitExceeded => Error::TooLarge {
            what: "the nesting of an expression",
            got: NESTING_MAX as u64 + 1,
            max: NESTING_MAX as u64,
        },
    }
}

/// Finds a line and column, as the tokenizer counts them, in the text.
struct Places<'s> {
    sql: &'s str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'s> Places<'s> {
    fn new(sql: &'s str) -> Places<'s> {
        let ends = sql.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Places { sql, lines: std::iter::once(0).chain(ends).collect() }
    }

    fn at(&self, place: Location) -> usize {
        let line = usize::try_from(place.line).unwrap_or(1).saturating_sub(1);
        let column = usize::try_from(place.column).unwrap_or(1).saturating_sub(1);
        let Some(begin) = self.lines.get(line) else { return self.sql.len() };
        let rest = &self.sql[*begin..];
        rest.char_indices().nth(column).map_or(self.sql.len(), |(at, _)| begin + at)
    }

    fn between(&self, from: Location, to: Location) -> &'s str {
        let (from, to) = (self.at(from), self.at(to));
        self.sql.get(from..to).unwrap_or_default().trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(sql: &str) -> Vec<String> {
        pieces(sql, false).unwrap()[0].items(sql).iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn items_are_named_as_they_were_written() {
        assert_eq!(
            items("SELECT 1+1,  count( * ) , 'é', f(a, b) x FROM t"),
            ["1+1", "count( * )", "'é'", "f(a, b) x"]
        );
        assert_eq!(items("select distinct\n  a ,\n b\nfrom t"), ["a", "b"]);
        assert_eq!(items("SELECT @@version_comment limit 1"), ["@@version_comment"]);
        assert_eq!(items("SELECT 1"), ["1"]);
    }

    #[test]
    fn statements_are_cut_at_semicolons_outside_of_texts() {
        let list = pieces("SELECT ';'; ; BEGIN -- x ; y\n;/* ; */", false).unwrap();
        assert_eq!(list.len(), 2);
        assert!(list[1].begins(&["begin"]));
    }

    #[test]
    fn depth_is_bounded_before_the_stack_is() {
        let parse = |sql: String| pieces(&sql, false).unwrap().remove(0).parse();
        let too_deep = |sql: String| matches!(parse(sql), Err(Error::TooLarge { .. }));
        assert!(too_deep(format!("SELECT 1{}", "+1".repeat(TREE_DEPTH_MAX + 1))));
        assert!(too_deep(format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500))));
        assert!(too_deep(format!("SELECT {}1", "- ".repeat(500))));
        // Chains in parentheses, each the first of a longer one.
        assert!(too_deep(format!(
            "SELECT {}1{}",
            "(".repeat(40),
            format!("{})", "+1".repeat(30)).repeat(40)
        )));
        // The parser swallows the reason of this one on its way out.
        assert!(parse(format!("SELECT {}1", "NOT ".repeat(500))).is_err());
        // Nesting that is allowed is not tried twice at each level.
        let nests = [
            ("(", ")"),
            ("NOT ", ""),
            ("f(", ")"),
            ("CASE WHEN 1 THEN ", " END"),
            ("-", ""),
            ("1 IN (", ")"),
        ];
        for (open, close) in nests {
            let depth = NESTING_MAX / 3;
            let _ = parse(format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth)));
        }
        // What is allowed is parsed, compared and dropped within a small stack.
        parse(format!("SELECT 1 WHERE 1=1{}", " OR 2=2".repeat(TREE_DEPTH_MAX / 2 - 1))).unwrap();
        parse(format!("SELECT 1{}", "+1".repeat(TREE_DEPTH_MAX))).unwrap();
        parse(format!("SELECT 1 IN (1{})", ",2".repeat(50_000))).unwrap();
        for chain in ["[1]", "::int", ".a", " IS NULL", " COLLATE x", " AND a BETWEEN 1 AND 2"] {
            let _ = parse(format!("SELECT a{}", chain.repeat(20_000)));
        }
    }
}
