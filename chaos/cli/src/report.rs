//! The report: one HTML file that explains a run to somebody who was not there.
//!
//! It holds all that it shows, asks no network for anything, and opens from a disk. What would make it larger than
//! [`BYTES_MAX`] is left out, the farthest from the anomaly first, and the page says how much that was.
//! Not here: where the data comes from (`plait.report/1`), and any judgement.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Of the whole file.
const BYTES_MAX: usize = 2_000_000;

/// Room for the numbers of what was left out.
const LEFT_OUT_BYTES: usize = 300;

/// Of one text within an operation: a read of a long list is of no use to the eye.
const TEXT_CHARS_MAX: usize = 4_000;

/// How many names of nodes and kinds messages may have; what comes after has no name.
const NAMES_MAX: usize = 1_000;

/// Where nobody was told the end, this much after the begin is still near.
const NEAR_MS: f64 = 100.0;

/// What is cut, from the mildest: characters of a text, and entries of a list, in all that must be there.
const CUTS: [(usize, usize); 5] =
    [(usize::MAX, usize::MAX), (TEXT_CHARS_MAX, 2_000), (1_000, 500), (200, 100), (40, 20)];

/// The fields that are lists of what happened, of which a part may be left out.
const PARTS: [&str; 4] = ["messages", "operations", "events", "left_out"];

const TEMPLATE: &str = include_str!("report/page.html");
const STYLE: &str = include_str!("report/page.css");
const SCRIPTS: [&str; 6] = [
    include_str!("report/glossary.js"),
    include_str!("report/data.js"),
    include_str!("report/diagram.js"),
    include_str!("report/found.js"),
    include_str!("report/tables.js"),
    include_str!("report/page.js"),
];

/// The document, of data as `plait.report/1` has it. Any field may be missing.
pub fn page(data: &Value) -> String {
    let title = data["title"].as_str().filter(|title| !title.is_empty()).unwrap_or("A run");
    let title = html(&clip_text(title, 200));
    let script = SCRIPTS.concat();
    let fill = |data: &str| {
        fill(TEMPLATE, &[("title", &title), ("style", STYLE), ("script", &script), ("data", data)])
    };
    let room = BYTES_MAX - fill("").len();
    let page = fill(&fit(data, room));
    assert!(page.len() <= BYTES_MAX, "a report of {} bytes", page.len());
    page
}

/// Puts texts into the places `[[name]]`. What is put in is not looked at again, so no data can name a place.
fn fill(template: &str, texts: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("[[") {
        let (name, after) = after.split_once("]]").expect("a place is closed");
        let text = texts.iter().find(|(known, _)| *known == name).expect("a place has a text").1;
        out += before;
        out += text;
        rest = after;
    }
    out + rest
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// JSON that may stand within a script: nothing in it ends the script or begins a comment.
fn script_safe(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

fn clip_text(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}… ({} characters more)", &text[..at], text[at..].chars().count()),
    }
}

/// The same with texts and lists that are no longer than that; `cut` counts what was.
fn clip(value: &Value, (chars, entries): (usize, usize), cut: &mut usize) -> Value {
    match value {
        Value::String(text) => {
            let clipped = clip_text(text, chars);
            *cut += usize::from(clipped.len() != text.len());
            clipped.into()
        }
        Value::Array(items) => {
            *cut += items.len().saturating_sub(entries);
            items.iter().take(entries).map(|item| clip(item, (chars, entries), cut)).collect()
        }
        Value::Object(fields) => {
            *cut += fields.len().saturating_sub(entries);
            let fields = fields.iter().take(entries);
            Value::Object(
                fields.map(|(name, v)| (clip_text(name, chars), clip(v, (chars, entries), cut))).collect(),
            )
        }
        other => other.clone(),
    }
}

fn list<'a>(data: &'a Value, field: &str) -> &'a [Value] {
    data[field].as_array().map_or(&[], Vec::as_slice)
}

/// What a reader wants to see from near: spans of time in ms, in order, none touching another.
struct Focus(Vec<(f64, f64)>);

impl Focus {
    /// The operations of the anomalies and the moments of the violations; where there are none, the faults; else
    /// the begin of the run.
    fn of(data: &Value) -> Focus {
        let span = |what: &Value, after: f64| {
            let from = what["from_ms"].as_f64().unwrap_or(0.0);
            (from, what["to_ms"].as_f64().unwrap_or(from + after))
        };
        let chosen = chosen(data, usize::MAX);
        let members = list(data, "operations").iter().filter(|op| chosen.contains(&op["id"].to_string()));
        let mut spans: Vec<(f64, f64)> = members.map(|op| span(op, NEAR_MS)).collect();
        let violations = list(data, "violations").iter().filter_map(|v| v["at_ms"].as_f64());
        spans.extend(violations.map(|at| (at - NEAR_MS, at)));
        if spans.is_empty() {
            spans = list(data, "faults").iter().map(|fault| span(fault, 0.0)).collect();
        }
        if spans.is_empty() {
            let begin = data["from_ms"].as_f64().unwrap_or(0.0);
            spans.push((begin, begin));
        }
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut apart: Vec<(f64, f64)> = Vec::new();
        for (from, to) in spans {
            match apart.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => apart.push((from, to)),
            }
        }
        Focus(apart)
    }

    /// How far something is from the nearest of them.
    fn distance(&self, from: f64, to: f64) -> f64 {
        let after = self.0.partition_point(|(_, end)| *end < from);
        let next = self.0.get(after).map(|(begin, _)| (begin - to).max(0.0));
        let last = after.checked_sub(1).map(|at| from - self.0[at].1);
        next.into_iter().chain(last).fold(f64::INFINITY, f64::min)
    }
}

/// A thing that may be left out, as it would stand in the page.
struct Part {
    text: String,
    distance: f64,
    /// How many of its texts were cut.
    clipped: usize,
    kept: bool,
}

impl Part {
    fn new(value: &Value, cut: (usize, usize), distance: f64) -> Part {
        let mut clipped = 0;
        let text = script_safe(&clip(value, cut, &mut clipped));
        Part { text, distance, clipped, kept: false }
    }

    /// With the comma after it.
    fn bytes(&self) -> usize {
        self.text.len() + 1
    }
}

/// Keeps the nearest, as many as `room` holds; `room` is then what is left of it.
fn keep(parts: &mut [Part], room: &mut usize) {
    let mut order: Vec<usize> = (0..parts.len()).filter(|at| !parts[*at].kept).collect();
    order.sort_by(|a, b| parts[*a].distance.total_cmp(&parts[*b].distance));
    for at in order {
        let Some(left) = room.checked_sub(parts[at].bytes()) else { return };
        *room = left;
        parts[at].kept = true;
    }
}

fn joined(parts: &[Part]) -> String {
    let kept: Vec<&str> = parts.iter().filter(|part| part.kept).map(|part| part.text.as_str()).collect();
    kept.join(",")
}

fn left(parts: &[Part]) -> usize {
    parts.iter().filter(|part| !part.kept).count()
}

fn bytes_left(parts: &[Part]) -> usize {
    parts.iter().filter(|part| !part.kept).map(Part::bytes).sum()
}

fn clipped(parts: &[Part]) -> usize {
    parts.iter().filter(|part| part.kept).map(|part| part.clipped).sum()
}

/// The operations of so many anomalies, as many of each, by their ids.
fn chosen(data: &Value, entries: usize) -> BTreeSet<String> {
    let anomalies = list(data, "anomalies").iter().take(entries);
    let members = anomalies.flat_map(|anomaly| list(anomaly, "operations").iter().take(entries));
    members.map(|op| op["id"].to_string()).collect()
}

/// The data as JSON of at most `room` bytes. Messages stand as a table of numbers, which is a third of the size.
fn fit(data: &Value, room: usize) -> String {
    let focus = Focus::of(data);
    let (names, mut messages) = messages(data, &focus);
    // Cut only if it is too much.
    let musts = CUTS.into_iter().map(|cut| Must::of(data, &names, cut));
    let Some(must) = musts.into_iter().find(|must| must.bytes() + LEFT_OUT_BYTES <= room) else {
        // Nothing of this shape comes from a run; it is not shown, and the page says so.
        let [messages, operations, events] =
            ["messages", "operations", "events"].map(|field| list(data, field).len());
        let left_out =
            json!({ "messages": messages, "operations": operations, "events": events, "texts": 1 });
        return json!({ "left_out": left_out }).to_string();
    };
    let mut room = room - LEFT_OUT_BYTES - must.bytes();
    let distance = |what: &Value| {
        let from = what["from_ms"].as_f64().or(what["at_ms"].as_f64()).unwrap_or(0.0);
        focus.distance(from, what["to_ms"].as_f64().unwrap_or(from))
    };
    let cut = (TEXT_CHARS_MAX, usize::MAX);
    let mut members = must.operations.into_iter();
    let operation = |op: &Value| {
        let member = must.chosen.contains(&op["id"].to_string()).then(|| members.next()).flatten();
        member.unwrap_or_else(|| Part::new(op, cut, distance(op)))
    };
    let mut operations: Vec<Part> = list(data, "operations").iter().map(operation).collect();
    let mut events: Vec<Part> =
        list(data, "events").iter().map(|event| Part::new(event, cut, distance(event))).collect();
    // Where not even the operations fit, some messages and events near the anomaly still have their place.
    if bytes_left(&operations) + bytes_left(&events) > room {
        for (parts, share) in [(&mut messages, room / 6), (&mut events, room / 6)] {
            let mut left = share;
            keep(parts, &mut left);
            room -= share - left;
        }
    }
    keep(&mut operations, &mut room);
    keep(&mut events, &mut room);
    keep(&mut messages, &mut room);

    // What was left out before counts too.
    let sum =
        |field: &str, now: usize| data["left_out"][field].as_u64().unwrap_or(0).saturating_add(now as u64);
    let left_out = json!({
        "messages": sum("messages", left(&messages)),
        "operations": sum("operations", left(&operations)),
        "events": sum("events", left(&events)),
        "texts": sum("texts", must.clipped + clipped(&operations) + clipped(&events)),
    });
    format!(
        "{}{}]}},\"operations\":[{}],\"events\":[{}],\"left_out\":{left_out}}}",
        must.head,
        joined(&messages),
        joined(&operations),
        joined(&events)
    )
}

/// What must be there: all but the long lists, and the operations of the anomalies.
struct Must {
    /// The begin of the document, up to the rows of its messages.
    head: String,
    /// The ids of those operations.
    chosen: BTreeSet<String>,
    /// In their order, all kept.
    operations: Vec<Part>,
    /// How many texts and entries were cut in the head.
    clipped: usize,
}

impl Must {
    fn of(data: &Value, names: &[String], cut: (usize, usize)) -> Must {
        let mut clipped = 0;
        let mut rest = Map::new();
        for (name, value) in data.as_object().into_iter().flatten() {
            if !PARTS.contains(&name.as_str()) {
                rest.insert(name.clone(), clip(value, cut, &mut clipped));
            }
        }
        let chosen = chosen(data, cut.1);
        let members = list(data, "operations").iter().filter(|op| chosen.contains(&op["id"].to_string()));
        let cut = (cut.0.min(TEXT_CHARS_MAX), cut.1);
        let operations = members.map(|op| Part { kept: true, ..Part::new(op, cut, 0.0) }).collect();
        let mut head = script_safe(&Value::Object(rest));
        assert_eq!(head.pop(), Some('}'));
        if !head.ends_with('{') {
            head.push(',');
        }
        head += &format!("\"messages\":{{\"names\":{},\"rows\":[", script_safe(&json!(names)));
        Must { head, chosen, operations, clipped }
    }

    fn bytes(&self) -> usize {
        self.head.len() + self.operations.iter().map(Part::bytes).sum::<usize>()
    }
}

/// The names in use, and each message as a row: from, to, kind (places among the names), begin, span, lost.
fn messages(data: &Value, focus: &Focus) -> (Vec<String>, Vec<Part>) {
    let mut names: Vec<String> = Vec::new();
    let mut place = |name: &Value| {
        let name = clip_text(name.as_str().unwrap_or_default(), 60);
        let known = names.iter().position(|known| *known == name);
        known.unwrap_or_else(|| {
            if names.len() < NAMES_MAX {
                names.push(name);
            }
            names.len() - 1
        })
    };
    // To the microsecond.
    let round = |ms: f64| (ms * 1e3).round() / 1e3;
    let row = |m: &Value| {
        let from = m["from_ms"].as_f64().unwrap_or(0.0);
        let span = m["to_ms"].as_f64().map(|to| round(to - from));
        let lost = u8::from(m["lost"].as_bool().unwrap_or(false));
        let mut row = json!([place(&m["from"]), place(&m["to"]), place(&m["kind"]), round(from), span, lost]);
        if let (Some(row), Some(of)) = (row.as_array_mut(), m["of"].as_array()) {
            row.push(of.iter().filter(|id| id.is_u64()).cloned().collect());
        }
        Part::new(&row, CUTS[0], focus.distance(from, from + span.unwrap_or(0.0)))
    };
    let rows = list(data, "messages").iter().map(row).collect();
    (names, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between the begin and the end of the page's data.
    fn data_of(page: &str) -> Value {
        let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
        serde_json::from_str(data.split_once("</script>").unwrap().0).expect("the data is JSON")
    }

    fn ids(data: &Value) -> Vec<u64> {
        list(data, "operations").iter().map(|op| op["id"].as_u64().unwrap()).collect()
    }

    /// A long run of 100 s; the anomaly is of two operations in its middle.
    fn large(messages: u64, operations: u64) -> Value {
        let operation = |id: u64| {
            let from = id as f64 * 100_000.0 / operations as f64;
            json!({ "id": id, "workload": "list-append", "process": id % 9, "client": id % 9, "node": "n1", "f": "txn",
                "asked": format!("[[append {id} 1] [r 5 nil] [append {} 2]]", id % 7), "outcome": "ok",
                "got": format!("[[append {id} 1] [r 5 [1 2 3 4 5 6 7 8 9 10 11 12 13]]]"), "from_ms": from,
                "to_ms": from + 3.0 })
        };
        let message = |n: u64| {
            let from = n as f64 * 100_000.0 / messages as f64;
            json!({ "from": "n1", "to": "n2", "kind": "append", "from_ms": from, "to_ms": from + 0.125, "lost": n.is_multiple_of(9) })
        };
        let (a, b) = (operations / 2, operations / 2 + 3);
        json!({
            "schema": "plait.report/1", "title": "large", "from_ms": 0, "to_ms": 100_000, "nodes": ["n1", "n2"],
            "operations": (0..operations).map(operation).collect::<Vec<_>>(),
            "messages": (0..messages).map(message).collect::<Vec<_>>(),
            "events": [{ "node": "n1", "at_ms": 5, "what": "elected term=1" }],
            "anomalies": [{ "type": "G-single-item", "operations": [{ "name": "T1", "id": a }, { "name": "T2", "id": b }],
                "cycle": [{ "from": "T1", "to": "T2", "rel": "rw", "why": "so" }] }],
            "left_out": { "messages": 7 },
        })
    }

    #[test]
    fn no_data_ends_its_script_or_names_a_place() {
        let bad = "</script><script>alert(1)</script><!-- [[style]] [[data]] \u{2028} &amp; \" ' \\";
        let data = json!({ "title": bad, "command": bad, "nodes": [bad], "events": [{ "node": bad, "what": bad }],
            "operations": [{ "id": 1, "asked": bad }], "messages": [{ "from": bad, "kind": bad }],
            "anomalies": [{ "type": bad, "operations": [{ "name": bad, "id": 1 }] }] });
        let page = page(&data);
        assert_eq!(
            page.matches("alert(1)").count(),
            page.matches("/script>\\u003cscript>alert(1)").count() + 2
        );
        assert!(!page.contains("<script>alert") && !page.contains("<!-- "));
        let read = data_of(&page);
        assert_eq!(read["command"], bad);
        assert_eq!(read["operations"][0]["asked"], bad);
        assert_eq!(read["events"][0]["what"], bad);
        assert_eq!(read["anomalies"][0]["operations"][0]["name"], bad);
        assert!(page.contains("<h1>&lt;/script&gt;"), "the title is text");
    }

    #[test]
    fn what_fits_is_all_there() {
        let data = large(300, 100);
        let read = data_of(&page(&data));
        assert_eq!(read["operations"], data["operations"]);
        assert_eq!(read["events"], data["events"]);
        assert_eq!(read["anomalies"], data["anomalies"]);
        assert_eq!(list(&read["messages"], "rows").len(), 300);
        assert_eq!(read["messages"]["names"], json!(["n1", "n2", "append"]));
        assert_eq!(read["messages"]["rows"][1], json!([0, 1, 2, 333.333, 0.125, 0]));
        assert_eq!(read["left_out"], json!({ "messages": 7, "operations": 0, "events": 0, "texts": 0 }));
    }

    #[test]
    fn messages_are_left_out_first_and_the_farthest() {
        let data = large(200_000, 2_000);
        let page = page(&data);
        assert!(page.len() <= BYTES_MAX && page.len() > BYTES_MAX - 1_000, "{} bytes", page.len());
        let read = data_of(&page);
        assert_eq!(ids(&read).len(), 2_000);
        let rows = list(&read["messages"], "rows");
        assert_eq!(read["left_out"]["messages"], json!(200_000 - rows.len() + 7));
        assert_eq!(read["left_out"]["operations"], 0);
        let times: Vec<f64> = rows.iter().map(|row| row[3].as_f64().unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "in order");
        let (first, last) = (times[0], times[times.len() - 1]);
        assert!(first < 50_000.0 && last > 50_150.0, "around the anomaly");
        assert!(
            ((50_000.0 - first) - (last - 50_153.0)).abs() < 2.0,
            "as far on each side: {first} to {last}"
        );
    }

    #[test]
    fn a_run_that_is_far_too_large_keeps_its_anomaly() {
        let data = large(200_000, 20_000);
        let page = page(&data);
        assert!(page.len() <= BYTES_MAX, "{} bytes", page.len());
        let read = data_of(&page);
        let kept = ids(&read);
        assert!(kept.contains(&10_000) && kept.contains(&10_003));
        assert!((9_000..11_000).all(|id| kept.binary_search(&id).is_ok()), "and those around it");
        assert_eq!(read["left_out"]["operations"], json!(20_000 - kept.len()));
        assert!(!list(&read["messages"], "rows").is_empty(), "and the messages near it");
        assert_eq!(list(&read, "events").len(), 1);
        assert_eq!(read["left_out"]["texts"], 0);
    }

    #[test]
    fn texts_are_cut_where_they_alone_are_too_much() {
        let mut data = large(10, 100);
        data["operations"][50]["got"] = "x".repeat(3_000_000).into();
        data["anomalies"][0]["why"] = "y".repeat(3_000_000).into();
        data["verdicts"] = (0..100_000).map(|n| json!({ "workload": format!("w{n}") })).collect();
        let page = page(&data);
        assert!(page.len() <= BYTES_MAX, "{} bytes", page.len());
        let read = data_of(&page);
        assert_eq!(ids(&read).len(), 100);
        assert!(read["operations"][50]["got"].as_str().unwrap().ends_with(" characters more)"));
        assert!(read["left_out"]["texts"].as_u64().unwrap() >= 2);
    }

    #[test]
    fn more_anomalies_than_a_page_holds_are_cut_to_the_first() {
        let mut data = large(10, 20_000);
        let one = |n: u64| json!({ "type": "G0", "why": "w".repeat(200), "operations": [{ "name": "T1", "id": n }] });
        data["anomalies"] = (0..20_000).map(one).collect();
        let page = page(&data);
        assert!(page.len() <= BYTES_MAX, "{} bytes", page.len());
        let read = data_of(&page);
        assert_eq!(list(&read, "anomalies").len(), 2_000);
        assert!((0..2_000).all(|id| ids(&read).binary_search(&id).is_ok()), "with their operations");
        assert!(read["left_out"]["texts"].as_u64().unwrap() >= 18_000);
    }

    #[test]
    fn the_nearest_focus_counts() {
        let data = json!({ "violations": [{ "at_ms": 500 }, { "at_ms": 550 }, { "at_ms": 2_000 }] });
        let focus = Focus::of(&data);
        assert_eq!(focus.0, [(400.0, 550.0), (1_900.0, 2_000.0)]);
        for (from, to, distance) in [
            (0.0, 10.0, 390.0),
            (410.0, 420.0, 0.0),
            (300.0, 3_000.0, 0.0),
            (600.0, 700.0, 50.0),
            (1_800.0, 1_850.0, 50.0),
            (2_100.0, 2_100.0, 100.0),
        ] {
            assert_eq!(focus.distance(from, to), distance, "{from} to {to}");
        }
    }

    #[test]
    fn nothing_is_a_page_too() {
        let wrong = json!({ "title": 7, "operations": 3, "messages": "no", "anomalies": [null, 1], "events": [null],
            "left_out": [], "faults": {} });
        for data in [Value::Null, json!({}), json!([]), wrong] {
            let page = page(&data);
            assert!(page.contains("<h1>A run</h1>"));
            assert_eq!(data_of(&page)["left_out"]["operations"], 0);
        }
    }

    #[test]
    fn the_page_asks_no_network_for_anything() {
        let page = page(&json!({}));
        let urls = page
            .match_indices("http")
            .filter(|(at, _)| page[*at..].starts_with("http://") || page[*at..].starts_with("https://"));
        let others: Vec<&str> = urls
            .map(|(at, _)| page[at..].split(['"', '\'', '`', ' ']).next().unwrap_or_default())
            .filter(|url| *url != "http://www.w3.org/2000/svg")
            .collect();
        assert!(others.is_empty(), "{others:?}");
        for word in ["@import", "url(//", "fetch(", "XMLHttpRequest", "src=", "WebSocket", "sendBeacon"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
