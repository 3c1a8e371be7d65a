//! Faults of links and clocks: how a person writes them, and what they come to on each directed link and node.
//!
//! A fault is what was asked for and is undone as one; a rule is what one node does to what it sends to another. Any
//! number of faults may stand on one link: cuts win, delays add up, losses combine as chances do, the lowest rate
//! holds. Shifts of a clock add up. Rules are always computed from all standing faults, so healing one leaves the others
//! as they were.

use crate::admin::LinkRule;
use crate::fail::{Fail, Res};
use crate::slot::Slot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One directed link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Way {
    pub from: Slot,
    pub to: Slot,
}

/// A standing fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// As in `f3`.
    pub id: String,
    /// As it was asked for: `cut n1|n2,n3`.
    pub text: String,
    pub ways: Vec<Way>,
    pub rule: LinkRule,
    /// Whose wall clock is off, and by how many milliseconds.
    #[serde(default)]
    pub clocks: Vec<(Slot, i64)>,
    /// Seconds since 1970.
    pub since: u64,
}

/// Reads `n1>n2`, `n1-n2`, `n1|n2,n3` and lists on either side: one way, both ways, both ways between two groups.
pub fn ways(text: &str) -> Res<Vec<Way>> {
    let wrong = |why: &str| {
        Fail::usage(format!("'{text}' names no link"), why)
            .next("both ways between groups: 'n1|n2,n3'")
            .next("both ways between two nodes: n1-n2")
            .next("one way only: 'n1>n3'")
    };
    let (at, sign) = text
        .char_indices()
        .find(|(_, c)| matches!(c, '|' | '-' | '>'))
        .ok_or_else(|| wrong("it has none of the signs | - > between two sides"))?;
    let group = |side: &str| -> Res<Vec<Slot>> {
        if side.trim().is_empty() {
            return Err(wrong("one side is empty"));
        }
        side.split(',').map(|name| name.trim().parse()).collect()
    };
    let (left, right) = (group(&text[..at])?, group(&text[at + 1..])?);
    let mut ways = Vec::new();
    for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
        if a == b {
            return Err(wrong(&format!("{a} is on both sides, and a node has no link to itself")));
        }
        ways.push(Way { from: a, to: b });
        if sign != '>' {
            ways.push(Way { from: b, to: a });
        }
    }
    ways.sort();
    ways.dedup();
    Ok(ways)
}

/// Nodes with commas between them, as in `n1,n3`.
#[derive(Debug, Clone)]
pub struct Nodes(pub Vec<Slot>);

impl std::str::FromStr for Nodes {
    type Err = Fail;

    fn from_str(text: &str) -> Result<Nodes, Fail> {
        text.split(',').map(|name| name.trim().parse()).collect::<Res<_>>().map(Nodes)
    }
}

/// What the faults come to on each of the six links.
pub fn rules(faults: &[Fault]) -> BTreeMap<Way, LinkRule> {
    let mut rules = BTreeMap::new();
    for from in Slot::ALL {
        for to in from.others() {
            let way = Way { from, to };
            let here = faults.iter().filter(|fault| fault.ways.contains(&way)).map(|fault| fault.rule);
            rules.insert(way, here.fold(LinkRule::default(), combine));
        }
    }
    rules
}

/// By how many milliseconds the faults put this node's wall clock wrong.
pub fn shift(faults: &[Fault], slot: Slot) -> i64 {
    let here = faults.iter().flat_map(|fault| &fault.clocks).filter(|(at, _)| *at == slot);
    here.fold(0i64, |sum, (_, ms)| sum.saturating_add(*ms))
}

fn combine(a: LinkRule, b: LinkRule) -> LinkRule {
    let passes = u64::from(1000 - a.loss_per_mille.min(1000)) * u64::from(1000 - b.loss_per_mille.min(1000));
    LinkRule {
        cut: a.cut || b.cut,
        delay_ms: a.delay_ms.saturating_add(b.delay_ms),
        jitter_ms: a.jitter_ms.saturating_add(b.jitter_ms),
        loss_per_mille: 1000 - (passes / 1000) as u32,
        rate: match (a.rate, b.rate) {
            (0, rate) | (rate, 0) => rate,
            (a, b) => a.min(b),
        },
    }
}

/// `80ms`, `1.5s`, `200us`, `2m`.
pub fn span(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: f64 =
        number.parse().map_err(|_| format!("'{text}' is no span; write one as in 80ms, 1.5s or 2m"))?;
    let seconds = match unit.trim() {
        "us" | "µs" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        "" => return Err(format!("'{text}' has no unit; write {text}ms or {text}s")),
        other => return Err(format!("'{other}' is no unit of time; take us, ms, s, m or h")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("'{text}' is out of range"))
}

/// A clock is put wrong by at most a year at a time, so that nodes take the sum of what stands.
const SHIFT_MS_MAX: i64 = 366 * 86_400_000;

/// `+1h`, `-90s`: a span with a sign, in milliseconds.
pub fn signed_span(text: &str) -> Result<i64, String> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let ms = i64::try_from(span(rest)?.as_millis()).map_err(|_| format!("'{text}' is out of range"))?;
    match ms {
        0 => Err(format!("'{text}' is less than 1 ms")),
        1..=SHIFT_MS_MAX => Ok(sign * ms),
        _ => Err(format!("'{text}' is more than a year; take at most 8784h")),
    }
}

/// `5%` or `0.5%`, in thousandths.
pub fn per_mille(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').ok_or_else(|| format!("'{text}' has no %; write {text}%"))?;
    let percent: f64 =
        number.trim().parse().map_err(|_| format!("'{text}' is no share; write one as in 5%"))?;
    if !(0.0..=100.0).contains(&percent) {
        return Err(format!("'{text}' is not between 0% and 100%"));
    }
    let per_mille = (percent * 10.0).round() as u32;
    if per_mille == 0 {
        Err(format!("'{text}' is below 0.1%, the least that can be set"))
    } else {
        Ok(per_mille)
    }
}

/// `1mbit`, `200kbit`, `64kB`, in bytes a second.
pub fn rate(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: f64 =
        number.parse().map_err(|_| format!("'{text}' is no rate; write one as in 1mbit or 64kB"))?;
    let bytes = match unit.trim() {
        "bit" => number / 8.0,
        "kbit" => number * 1e3 / 8.0,
        "mbit" => number * 1e6 / 8.0,
        "gbit" => number * 1e9 / 8.0,
        "B" => number,
        "kB" => number * 1e3,
        "MB" => number * 1e6,
        other => {
            return Err(format!("'{other}' is no unit of rate; take bit, kbit, mbit, gbit, B, kB or MB"));
        }
    };
    if bytes < 1.0 {
        Err(format!("'{text}' is less than a byte a second; to cut a link: plait cut"))
    } else {
        Ok(bytes as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        let ways = ways(text).expect("it names links");
        ways.iter().map(|way| format!("{}>{}", way.from, way.to)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn links_are_read_in_their_three_forms() {
        assert_eq!(shown("n1>n3"), "n1>n3");
        assert_eq!(shown("n1-n2"), "n1>n2 n2>n1");
        assert_eq!(shown("n1|n2,n3"), "n1>n2 n1>n3 n2>n1 n3>n1");
        assert_eq!(shown("n2, n3 | n1"), "n1>n2 n1>n3 n2>n1 n3>n1");
    }

    #[test]
    fn what_names_no_link_is_refused_with_the_forms() {
        for bad in ["n1", "n1|", "|n2", "n1-n1", "n1|n1,n2", "n1>n4", ""] {
            let fail = ways(bad).expect_err("it names no link");
            assert!(!fail.next.is_empty(), "{fail}");
        }
    }

    #[test]
    fn shifts_of_a_clock_add_up_and_each_is_undone_by_itself() {
        let [n2, n3] = [Slot::ALL[1], Slot::ALL[2]];
        let of = |clocks| Fault { clocks, ..fault(1, "n1-n2", LinkRule::default()) };
        let faults = [of(vec![(n2, 3_600_000)]), of(vec![(n2, -60_000), (n3, -5)])];
        assert_eq!(
            (shift(&faults, n2), shift(&faults, n3), shift(&faults, Slot::ALL[0])),
            (3_540_000, -5, 0)
        );
        assert_eq!(shift(&faults[1..], n2), -60_000);
    }

    #[test]
    fn units_are_read() {
        assert_eq!(
            (signed_span("+1h"), signed_span("-90s"), signed_span("2m")),
            (Ok(3_600_000), Ok(-90_000), Ok(120_000))
        );
        assert!(signed_span("+0s").is_err() && signed_span("1").is_err() && signed_span("+-1s").is_err());
        assert!(
            signed_span("8784h").is_ok() && signed_span("8785h").is_err() && signed_span("1e9h").is_err()
        );
        assert_eq!(span("80ms"), Ok(Duration::from_millis(80)));
        assert_eq!(span("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(span("80").is_err() && span("ms").is_err() && span("5 parsecs").is_err());
        assert_eq!(per_mille("5%"), Ok(50));
        assert!(per_mille("5").is_err() && per_mille("101%").is_err() && per_mille("0.01%").is_err());
        assert_eq!(rate("1mbit"), Ok(125_000));
        assert!(rate("1").is_err() && rate("0kB").is_err());
    }

    fn fault(id: usize, text: &str, rule: LinkRule) -> Fault {
        Fault {
            id: format!("f{id}"),
            text: text.into(),
            ways: ways(text).expect("links"),
            rule,
            clocks: Vec::new(),
            since: 0,
        }
    }

    #[test]
    fn faults_on_one_link_combine() {
        let slow = LinkRule { delay_ms: 80, loss_per_mille: 500, rate: 1000, ..LinkRule::default() };
        let lossy = LinkRule { delay_ms: 10, loss_per_mille: 500, rate: 5000, ..LinkRule::default() };
        let cut = LinkRule { cut: true, ..LinkRule::default() };
        let faults = [fault(1, "n1-n2", slow), fault(2, "n1>n2", lossy), fault(3, "n2>n3", cut)];
        let rules = rules(&faults);
        let rule = |text: &str| rules[&ways(text).expect("a link")[0]];
        assert_eq!(
            rule("n1>n2"),
            LinkRule { cut: false, delay_ms: 90, jitter_ms: 0, loss_per_mille: 750, rate: 1000 }
        );
        assert_eq!(rule("n2>n1"), slow);
        assert!(rule("n2>n3").cut);
        assert_eq!(rule("n3>n1"), LinkRule::default());
    }

    proptest! {
        /// Healing one fault leaves exactly what the others come to, in whatever order they stand.
        #[test]
        fn rules_depend_on_the_set_of_faults_alone(parts in proptest::collection::vec((0_u32..900, 0_u32..500, any::<bool>()), 1..6)) {
            let texts = ["n1-n2", "n1>n3", "n1|n2,n3", "n2>n3"];
            let faults: Vec<Fault> = parts.iter().enumerate().map(|(i, (loss, delay, cut))| {
                fault(i, texts[i % 4], LinkRule { cut: *cut, delay_ms: *delay, loss_per_mille: *loss, ..LinkRule::default() })
            }).collect();
            let mut reversed = faults.clone();
            reversed.reverse();
            for (way, rule) in rules(&faults) {
                let other = rules(&reversed)[&way];
                prop_assert_eq!((rule.cut, rule.delay_ms), (other.cut, other.delay_ms));
                prop_assert!(rule.loss_per_mille.abs_diff(other.loss_per_mille) <= 6, "rounding only");
                prop_assert!(rule.loss_per_mille <= 1000);
            }
        }
    }
}
