//! The text of a request as tokens: cut into statements, bounded, and with what the parser does not know put into
//! words that it knows.
//!
//! Bounds: a parser and a tree that are walked by recursion must not be led deeper than the stack is. Nesting is
//! the parser's own bound; what it builds in a loop, a chain of operators, is counted here before it is built.

use crate::error::Error;
use sqlparser::ast::Statement as Ast;
use sqlparser::dialect::MySqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

/// Operators in one chain, as in `a OR b OR c`. Default 2,000; more is refused with `TooLarge`.
pub const CHAIN_MAX: usize = 2_000;
/// How deep an expression may nest. Default 60; more is refused with `TooLarge`.
pub const NESTING_MAX: usize = 60;

const DIALECT: MySqlDialect = MySqlDialect {};

/// One statement of a request.
#[derive(Debug)]
pub struct Piece {
    tokens: Vec<TokenWithSpan>,
}

/// The statements of a request, without the empty ones.
pub fn pieces(sql: &str) -> Result<Vec<Piece>, Error> {
    let tokens = Tokenizer::new(&DIALECT, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| Error::Syntax { why: error.to_string() })?;
    let mut pieces = vec![Piece { tokens: Vec::new() }];
    for token in tokens {
        let piece = pieces.last_mut().expect("there is always a piece under way");
        match token.token {
            Token::SemiColon => pieces.push(Piece { tokens: Vec::new() }),
            Token::Whitespace(_) => {}
            _ => piece.tokens.push(token),
        }
    }
    pieces.retain(|piece| !piece.tokens.is_empty());
    Ok(pieces)
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
        if !self.begins(&["SELECT"]) || !self.cut_end(&["LOCK", "IN", "SHARE", "MODE"]) {
            return;
        }
        for (text, keyword) in [("FOR", Keyword::FOR), ("SHARE", Keyword::SHARE)] {
            let word = Word { value: text.into(), quote_style: None, keyword };
            self.tokens.push(TokenWithSpan::wrap(Token::Word(word)));
        }
    }

    fn check_chains(&self) -> Result<(), Error> {
        // One count for each open parenthesis.
        let mut counts = vec![0_usize];
        for token in &self.tokens {
            let count = counts.last_mut().expect("the outermost count stays");
            match &token.token {
                Token::LParen => counts.push(0),
                Token::RParen => {
                    if counts.len() > 1 {
                        counts.pop();
                    }
                }
                Token::Comma => *count = 0,
                Token::Plus
                | Token::Minus
                | Token::Mul
                | Token::Div
                | Token::Mod
                | Token::Eq
                | Token::Neq
                | Token::Lt
                | Token::Gt
                | Token::LtEq
                | Token::GtEq
                | Token::Spaceship
                | Token::Ampersand
                | Token::Pipe
                | Token::Caret
                | Token::Overlap
                | Token::StringConcat
                | Token::ShiftLeft
                | Token::ShiftRight => *count += 1,
                Token::Word(word) => match word.keyword {
                    Keyword::AND
                    | Keyword::OR
                    | Keyword::XOR
                    | Keyword::DIV
                    | Keyword::MOD
                    | Keyword::LIKE
                    | Keyword::IN
                    | Keyword::IS
                    | Keyword::BETWEEN
                    | Keyword::COLLATE
                    | Keyword::REGEXP
                    | Keyword::UNION
                    | Keyword::JOIN => *count += 1,
                    Keyword::FROM | Keyword::WHERE | Keyword::SET => *count = 0,
                    _ => {}
                },
                Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) => {}
                _ => *count += 1,
            }
            if *counts.last().expect("the outermost count stays") > CHAIN_MAX {
                let what = "the number of operators in one expression";
                return Err(Error::TooLarge { what, got: CHAIN_MAX as u64 + 1, max: CHAIN_MAX as u64 });
            }
        }
        Ok(())
    }

    /// The statement's tree.
    pub fn parse(&mut self) -> Result<Ast, Error> {
        self.check_chains()?;
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
        pieces(sql).unwrap()[0].items(sql).iter().map(|item| (*item).to_owned()).collect()
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
        let list = pieces("SELECT ';'; ; BEGIN -- x ; y\n;/* ; */").unwrap();
        assert_eq!(list.len(), 2);
        assert!(list[1].begins(&["begin"]));
    }

    #[test]
    fn depth_is_bounded_before_the_stack_is() {
        let parse = |sql: String| pieces(&sql).unwrap().remove(0).parse();
        assert!(matches!(
            parse(format!("SELECT 1{}", "+1".repeat(CHAIN_MAX + 1))),
            Err(Error::TooLarge { .. })
        ));
        assert!(matches!(
            parse(format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500))),
            Err(Error::TooLarge { .. })
        ));
        // The parser swallows the reason of this one on its way out.
        assert!(parse(format!("SELECT {}1", "NOT ".repeat(500))).is_err());
        assert!(matches!(parse(format!("SELECT {}1", "- ".repeat(500))), Err(Error::TooLarge { .. })));
        parse(format!("SELECT 1 WHERE 1=1{}", " OR 2=2".repeat(CHAIN_MAX / 2 - 1))).unwrap();
        assert!(parse(format!("SELECT 1 IN (1{})", ",2".repeat(50_000))).is_ok());
        // Nesting that is allowed is not tried twice at each level.
        for (open, close) in
            [("(", ")"), ("NOT ", ""), ("f(", ")"), ("CASE WHEN 1 THEN ", " END"), ("-", ""), ("1 IN (", ")")]
        {
            let depth = NESTING_MAX / 3;
            let _ = parse(format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth)));
        }
        for chain in ["[1]", "::int", ".a", " IS NULL"] {
            let _ = parse(format!("SELECT a{}", chain.repeat(20_000)));
        }
    }
}
