//! Which keys a condition can mean: points, ranges, or the whole table.
//!
//! Intuition: a reader who is told "between M and P" opens the book there. What is read is also what is certified
//! for `FOR UPDATE` and at SERIALIZABLE, so a narrower reading is fewer conflicts, and never another answer.
//! Invariant: every row that the condition chooses lies in the spans; the condition is still asked of each row, but for
//! those of its parts that are sure to be true of all of them.

use super::datum::Datum;
use super::expr::{Comparison, Expr};
use super::moment::{Moment, is_moment};
use crate::index::prefixed;
use crate::key;
use crate::request::{ColumnType, IndexPart};
use crate::table::TableInfo;
use crate::value::{Real, Value};

/// Points or ranges of one statement; a longer `IN` list is a walk over all of them.
const SPANS_MAX: usize = 10_000;

/// Where rows are looked for, in key order, no two spans overlapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// One whole key.
    Point(Vec<u8>),
    /// From a key on, up to another, which is not in it; `None`: to the end.
    Range(Vec<u8>, Option<Vec<u8>>),
}

/// Where a statement looks for its rows, and through which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `None`: the primary key.
    pub index: Option<usize>,
    pub spans: Vec<Span>,
    pub sure: Sure,
}

/// The conditions that are true of every row in the spans, of the first 64, a bit each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sure(u64);

impl Sure {
    fn note(&mut self, at: usize) {
        self.0 |= 1_u64.checked_shl(at as u32).unwrap_or(0);
    }

    pub fn has(self, at: usize) -> bool {
        self.0.checked_shr(at as u32).is_some_and(|bits| bits & 1 == 1)
    }
}

/// How narrow the spans of a key are: columns that are fixed, and whether the next one is bounded.
type Rank = (usize, bool);

/// The narrowest access to the rows that `filter` chooses. Of two that are as narrow, the primary key's, which leads
/// to the rows themselves.
pub fn access(info: &TableInfo, filter: Option<&Expr>) -> Access {
    let whole = Access { index: None, spans: vec![Span::Range(Vec::new(), None)], sure: Sure::default() };
    let Some(filter) = filter else { return whole };
    let parts: &[Expr] = match filter {
        Expr::And(parts) => parts,
        one => std::slice::from_ref(one),
    };
    let primary = &info.primary;
    let mut best = ((0, false), whole);
    if !primary.is_empty() {
        let (rank, spans, sure) = spans(info, primary, parts);
        let found = spans.iter().all(|span| matches!(span, Span::Point(_)));
        best = (rank, Access { index: None, spans, sure });
        if found {
            return best.1;
        }
    }
    for (at, index) in info.def.indexes.iter().enumerate() {
        // What says nothing of its first column makes it no narrower than the whole.
        let first = index.parts[0].column;
        if !parts.iter().any(|condition| condition.looks_at(first)) {
            continue;
        }
        let (rank, spans, sure) = spans(info, &index.parts, parts);
        if rank > best.0 {
            // Behind the values of a key stands the key of the row.
            let open = |span| match span {
                Span::Point(place) => Span::Range(place.clone(), Some(key::past(&place))),
                range => range,
            };
            let spans = spans.into_iter().map(open).collect();
            best = (rank, Access { index: Some(at), spans, sure });
        }
    }
    best.1
}

/// The spans of a key in which the rows lie that all conditions choose, and what is true of all rows there.
fn spans(info: &TableInfo, key: &[IndexPart], parts: &[Expr]) -> (Rank, Vec<Span>, Sure) {
    let mut sure = Sure::default();
    // In their order, each once.
    let mut prefixes = vec![Vec::with_capacity(10 * key.len())];
    for (depth, part) in key.iter().enumerate() {
        let kind = info.def.columns[part.column].kind;
        let short = |value: Value| prefixed(value, part.prefix);
        // Integers stand in a key as they are; of other kinds a key may say less than a comparison asks.
        let plain = part.prefix == 0 && matches!(kind, ColumnType::Int { .. });
        let values = (parts.iter().enumerate())
            .filter_map(|(at, condition)| Some((at, equals(condition, part.column, kind)?)))
            .min_by_key(|(_, values)| values.len());
        let few = |(_, values): &(usize, Vec<Value>)| values.len() * prefixes.len() <= SPANS_MAX;
        if let Some((at, values)) = values.filter(few) {
            if plain && of_integer(&parts[at], &[Comparison::Eq]) {
                sure.note(at);
            }
            if let ([prefix], [value], 0) = (&mut prefixes[..], &values[..], part.prefix) {
                key::push(prefix, value);
            } else {
                let longer = |prefix: &Vec<u8>, value: &Value| {
                    let mut key = prefix.clone();
                    key::push(&mut key, &short(value.clone()));
                    key
                };
                prefixes = prefixes
                    .iter()
                    .flat_map(|prefix| values.iter().map(move |v| longer(prefix, v)))
                    .collect();
                // Two values may begin alike, and then in another order.
                prefixes.sort();
                prefixes.dedup();
            }
            if depth + 1 == key.len() {
                return ((key.len(), false), prefixes.into_iter().map(Span::Point).collect(), sure);
            }
            continue;
        }
        let mut bounds = (parts.iter())
            .fold(Bounds::default(), |bounds, condition| bounds.narrowed(condition, part.column, kind));
        if part.prefix > 0 {
            // Of what stands in the key only the beginning is known, so a bound is never sharp.
            bounds.low = bounds.low.map(|(value, _)| (short(value), true));
            bounds.high = bounds.high.map(|(value, _)| (short(value), true));
        }
        // A span that is open below has the NULLs in it.
        if plain && !info.def.columns[part.column].nullable {
            use Comparison::{Less, LessEq, More, MoreEq};
            let of_column = |condition: &Expr| bounds_of(condition) == Some(part.column);
            for (at, condition) in parts.iter().enumerate().filter(|(_, condition)| of_column(condition)) {
                if of_integer(condition, &[Less, LessEq, More, MoreEq]) {
                    sure.note(at);
                }
            }
        }
        let bounded = bounds != Bounds::default();
        let spans = prefixes.iter().filter_map(|prefix| bounds.span(prefix)).collect();
        return ((depth, bounded), spans, sure);
    }
    unreachable!("the last column of a key ends the search")
}

/// The column that a comparison with constants is of.
fn bounds_of(condition: &Expr) -> Option<usize> {
    match condition {
        Expr::Compare(_, pair) => match &**pair {
            [Expr::Column(at), Expr::Const(_)] | [Expr::Const(_), Expr::Column(at)] => Some(*at),
            _ => None,
        },
        Expr::Between(parts) => match &**parts {
            [Expr::Column(at), Expr::Const(_), Expr::Const(_)] => Some(*at),
            _ => None,
        },
        _ => None,
    }
}

/// Whether it is such a comparison, one of these, with integers alone: then the bounds say all that it does.
fn of_integer(condition: &Expr, which: &[Comparison]) -> bool {
    let whole = |part: &Expr| matches!(part, Expr::Column(_) | Expr::Const(Datum::Int(_)));
    match condition {
        Expr::Compare(how, pair) => which.contains(how) && pair.iter().all(whole),
        Expr::Between(parts) => which.contains(&Comparison::MoreEq) && parts.iter().all(whole),
        _ => false,
    }
}

/// A constant as a value of a key column.
enum Meant {
    Exactly(Value),
    /// No value of the column is equal to it; the nearest one below is this.
    Above(Value),
    /// NULL: no comparison with it is true.
    Nothing,
    /// The comparison is not one of the column's kind, so that the order of keys says nothing of it.
    Unclear,
}

fn meant(kind: ColumnType, datum: &Datum) -> Meant {
    match (kind, datum) {
        (_, Datum::Null) => Meant::Nothing,
        // Some comparisons are of what it shows, and some of all.
        (_, Datum::Dec(n)) if n.hides() => Meant::Unclear,
        (ColumnType::Int { .. }, datum) => match datum.exact() {
            Some(n) => match (n.as_whole().map(i64::try_from), i64::try_from(n.floor())) {
                (Some(Ok(n)), _) => Meant::Exactly(Value::Int(n)),
                (None, Ok(floor)) => Meant::Above(Value::Int(floor)),
                _ => Meant::Unclear,
            },
            None => Meant::Unclear,
        },
        (ColumnType::UInt { .. }, datum) => match datum.exact().map(|n| (n.as_whole(), n.floor())) {
            Some((Some(n), _)) => {
                u64::try_from(n).map_or(Meant::Unclear, |n| Meant::Exactly(Value::unsigned(n)))
            }
            Some((None, floor)) => {
                u64::try_from(floor).map_or(Meant::Unclear, |n| Meant::Above(Value::unsigned(n)))
            }
            None => Meant::Unclear,
        },
        (ColumnType::Decimal { scale, .. }, datum) => match datum.exact() {
            Some(n) if n.round(scale) == n && n.round(scale).scale() == scale => {
                Meant::Exactly(Value::Dec(n.round(scale)))
            }
            _ => Meant::Unclear,
        },
        (ColumnType::Double, Datum::Int(_) | Datum::Dec(_) | Datum::Double(_)) => {
            let number = datum.to_number().and_then(|(number, _)| Real::new(number.to_f64()));
            number.map_or(Meant::Unclear, |n| Meant::Exactly(Value::Double(n)))
        }
        // A constant that is compared with a moment was put into its form before.
        (kind, Datum::Text(text)) if is_moment(kind) && Moment::parse(text).is_some() => {
            Meant::Exactly(Value::Text(text.clone().into_owned()))
        }
        (ColumnType::Text { .. }, Datum::Text(text)) => {
            Meant::Exactly(Value::Text(key::padded(text).to_owned()))
        }
        (ColumnType::Bytes { .. }, Datum::Bytes(bytes)) => {
            Meant::Exactly(Value::Bytes(bytes.clone().into_owned()))
        }
        (ColumnType::Bytes { .. }, Datum::Text(text)) => {
            Meant::Exactly(Value::Bytes(text.as_bytes().to_vec()))
        }
        _ => Meant::Unclear,
    }
}

/// The values that a condition leaves to a column, in order; `None` if it is no condition of that form.
fn equals(part: &Expr, column: usize, kind: ColumnType) -> Option<Vec<Value>> {
    let one = |datum: &Datum| match meant(kind, datum) {
        Meant::Exactly(value) => Some(Some(value)),
        Meant::Above(_) | Meant::Nothing => Some(None),
        Meant::Unclear => None,
    };
    let mut values = Vec::new();
    match part {
        Expr::Compare(Comparison::Eq, pair) => {
            let datum = match &**pair {
                [Expr::Column(at), Expr::Const(datum)] | [Expr::Const(datum), Expr::Column(at)]
                    if *at == column =>
                {
                    datum
                }
                _ => return None,
            };
            values.extend(one(datum)?);
        }
        Expr::In(parts) => {
            if !matches!(parts[0], Expr::Column(at) if at == column) {
                return None;
            }
            for part in &parts[1..] {
                values.extend(one(part.constant()?)?);
            }
        }
        Expr::IsNull(inner) if matches!(**inner, Expr::Column(at) if at == column) => {
            values.push(Value::Null);
        }
        Expr::Or(parts) => {
            for part in parts {
                values.extend(equals(part, column, kind)?);
            }
        }
        _ => return None,
    }
    if values.len() > 1 {
        values.sort();
        values.dedup();
    }
    Some(values)
}

/// What is left to a column; each bound with whether it is in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Bounds {
    low: Option<(Value, bool)>,
    high: Option<(Value, bool)>,
    /// A condition can't be true.
    none: bool,
}

impl Bounds {
    fn narrowed(mut self, part: &Expr, column: usize, kind: ColumnType) -> Bounds {
        match part {
            Expr::Compare(how, pair) => match &**pair {
                [Expr::Column(at), Expr::Const(datum)] if *at == column => self.compare(*how, datum, kind),
                [Expr::Const(datum), Expr::Column(at)] if *at == column => {
                    let turned = match how {
                        Comparison::Less => Comparison::More,
                        Comparison::LessEq => Comparison::MoreEq,
                        Comparison::More => Comparison::Less,
                        Comparison::MoreEq => Comparison::LessEq,
                        other => *other,
                    };
                    self.compare(turned, datum, kind);
                }
                _ => {}
            },
            Expr::Between(parts) => {
                if let [Expr::Column(at), Expr::Const(low), Expr::Const(high)] = &**parts
                    && *at == column
                {
                    self.compare(Comparison::MoreEq, low, kind);
                    self.compare(Comparison::LessEq, high, kind);
                }
            }
            Expr::Like { text, pattern, escape } => {
                if let (Expr::Column(at), Some(Datum::Text(pattern))) = (&**text, pattern.constant())
                    && *at == column
                    && matches!(kind, ColumnType::Text { .. })
                {
                    let escape = escape.unwrap_or('\\');
                    let plain = |c: &char| !matches!(c, '%' | '_') && *c != escape;
                    let prefix: String = pattern.chars().take_while(plain).collect();
                    if !prefix.is_empty() {
                        self.raise(Value::Text(prefix), true);
                    }
                }
            }
            _ => {}
        }
        self
    }

    fn compare(&mut self, how: Comparison, datum: &Datum, kind: ColumnType) {
        let (value, between) = match meant(kind, datum) {
            Meant::Exactly(value) => (value, false),
            Meant::Above(value) => (value, true),
            Meant::Nothing => {
                self.none |= how != Comparison::Same;
                return;
            }
            Meant::Unclear => return,
        };
        match how {
            // Above 1.5 is above 1, for an integer; below 1.5 is up to 1.
            Comparison::More => self.raise(value, false),
            Comparison::MoreEq => self.raise(value, !between),
            Comparison::Less => self.lower(value, between),
            Comparison::LessEq => self.lower(value, true),
            Comparison::Eq | Comparison::Same if between => self.none = true,
            Comparison::Eq | Comparison::Same => {
                self.raise(value.clone(), true);
                self.lower(value, true);
            }
            Comparison::NotEq => {}
        }
    }

    fn raise(&mut self, value: Value, within: bool) {
        let tighter = match &self.low {
            None => true,
            Some((low, low_in)) => value > *low || (value == *low && *low_in && !within),
        };
        if tighter {
            self.low = Some((value, within));
        }
    }

    fn lower(&mut self, value: Value, within: bool) {
        let tighter = match &self.high {
            None => true,
            Some((high, high_in)) => value < *high || (value == *high && *high_in && !within),
        };
        if tighter {
            self.high = Some((value, within));
        }
    }

    /// The keys that begin with `prefix` and go on within these bounds; `None` if there can be none.
    fn span(&self, prefix: &[u8]) -> Option<Span> {
        if self.none {
            return None;
        }
        let longer = |value: &Value| {
            // Room for a number, and for what makes it the end of a span.
            let mut key = Vec::with_capacity(prefix.len() + 10);
            key.extend_from_slice(prefix);
            key::push(&mut key, value);
            key
        };
        let past = |mut key: Vec<u8>| {
            key::push_past(&mut key);
            key
        };
        let from = match &self.low {
            None => prefix.to_vec(),
            Some((value, true)) => longer(value),
            Some((value, false)) => past(longer(value)),
        };
        let to = match &self.high {
            None if prefix.is_empty() => None,
            None => Some(key::past(prefix)),
            Some((value, true)) => Some(past(longer(value))),
            Some((value, false)) => Some(longer(value)),
        };
        if to.as_ref().is_some_and(|to| from >= *to) {
            return None;
        }
        Some(Span::Range(from, to))
    }
}
