//! The report in a real browser, opened from a file with no network: what a reader would see and can do.
//!
//! The page is made by the very file that `plait-chaos` is built from, so that it can be given data that no run
//! would have. A test adds a last script to it, which does what a reader does and says what is then there.

use plait_tests::cluster::run;
use plait_tests::need;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

#[path = "../../chaos/cli/src/report.rs"]
mod pages;

/// For a browser to start and show a page, on a machine that is busy.
const OPENED: Duration = Duration::from_secs(90);

/// The last words of the page.
const END: &str = "</body>";

/// What the body of a function, called in the page when all of it is there, returns; `null` without a browser.
fn look(name: &str, page: &str, script: &str) -> Option<Value> {
    if !need::program("chromium") {
        return None;
    }
    let home = std::env::temp_dir().join(format!("plait-report-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a temporary directory");
    let file = home.join("report.html");
    let (before, after) = page.rsplit_once(END).expect("a page has an end");
    let told = "document.documentElement.dataset.seen = JSON.stringify";
    let script =
        format!("<script>addEventListener('load', () => {{ {told}((() => {{ {script} }})()); }});</script>");
    std::fs::write(&file, format!("{before}{script}{END}{after}")).expect("a page can be written");
    let ran = run(
        Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args(["--window-size=1500,1000", "--virtual-time-budget=5000", "--dump-dom"])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND")
            .arg(format!("--user-data-dir={}", home.join("profile").display()))
            .arg(format!("file://{}", file.display())),
        OPENED,
    )
    .ok();
    let dom = ran.out.as_str();
    let attribute = |name: &str| {
        let (_, rest) =
            dom.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name}: {dom:.300}"));
        let text = rest.split_once('"').expect("an attribute ends").0;
        text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    };
    let mut seen: Value = serde_json::from_str(&attribute("data-seen")).expect("what was seen is JSON");
    seen["errors"] = attribute("data-errors").into();
    assert_eq!(attribute("data-ready"), "yes", "{seen}");
    std::fs::remove_dir_all(&home).expect("a temporary directory can be removed");
    Some(seen)
}

/// Three clients for ten seconds; operations 17 and 18 are the two of a read skew while n2 is down.
fn invalid() -> Value {
    let operation = |id: u64, client: u64, node: &str, outcome: &str, from: f64, to: Option<f64>| {
        json!({ "id": id, "workload": "list-append", "process": client, "client": client, "node": node, "f": "txn",
            "asked": format!("[[append {id} 1]]"), "got": format!("[[append {id} 1]]"), "outcome": outcome,
            "from_ms": from, "to_ms": to })
    };
    let message = |from: &str, to: &str, at: f64, lost: bool| {
        json!({ "from": from, "to": to, "kind": "append",
        "from_ms": at, "to_ms": at + 1.0, "lost": lost })
    };
    json!({
        "schema": "plait.report/1", "title": "list-append, seed 42", "source": "simulated",
        "command": "plait-chaos run --seed 42",
        "verdicts": [{ "workload": "list-append", "model": "strong-snapshot-isolation", "valid": false,
            "counts": { "ok": 3, "fail": 1, "info": 1 } }],
        "from_ms": 0, "to_ms": 10_000, "nodes": ["n1", "n2", "n3"],
        "faults": [
            { "id": 3, "kind": "kill", "say": "n2 is killed", "nodes": ["n2"], "from_ms": 4_900, "to_ms": 5_200 },
            { "id": 4, "kind": "loss", "say": "frames are lost", "nodes": [], "from_ms": 5_070, "to_ms": null },
        ],
        "operations": [
            operation(1, 1, "n1", "ok", 10.0, Some(20.0)),
            operation(17, 1, "n1", "ok", 5_000.0, Some(5_040.0)),
            operation(18, 2, "n3", "ok", 5_020.0, Some(5_060.0)),
            operation(19, 3, "n3", "fail", 5_010.0, Some(5_030.0)),
            operation(20, 3, "n2", "info", 5_035.0, None),
        ],
        "events": [{ "node": "n3", "at_ms": 5_025, "what": "elected term=2" }],
        "messages": [
            message("n1", "n3", 5_030.0, false), message("n3", "n1", 5_045.0, true),
            message("n1", "n2", 5_031.0, true), message("n1", "n3", 9_000.0, false),
        ],
        "anomalies": [{ "workload": "list-append", "type": "G-single-item", "models_broken": ["snapshot-isolation"],
            "why": "so",
            "operations": [
                { "name": "T1", "id": 17, "line": 5, "process": 1, "node": "n1", "outcome": "ok", "value": "[[r 5 nil]]" },
                { "name": "T2", "id": 18, "line": 6, "process": 2, "node": "n3", "outcome": "ok", "value": "[[append 5 7]]" },
            ],
            "cycle": [
                { "from": "T1", "to": "T2", "rel": "rw", "why": "T1 read key 5 without 7, which T2 appended next." },
                { "from": "T2", "to": "T1", "rel": "wr", "why": "T1 read what T2 had appended to key 9." },
            ] }],
        "outages": [{ "fault": 3, "what": "kill n2", "longest_ms": 412, "node_ms": { "n1": 10 } }],
        "left_out": { "messages": 12 },
    })
}

/// What the tests' scripts share.
const TOOLS: &str = "
    const all = (what) => [...document.querySelectorAll(what)];
    const ids = (what) => all(what).map((e) => e.dataset.id).sort();
    const faults = () => all('.diagram .fault.lit[data-fault]').map((e) => e.dataset.fault);
    const text = (what) => document.querySelector(what)?.textContent;
    const does = (e, kind, more) => e.dispatchEvent(new (kind.startsWith('key') ? KeyboardEvent : MouseEvent)(kind, { bubbles: true, ...more }));
    const lit = () => (diagram.paint(), { ops: ids('.diagram .op.lit'), faults: faults(), messages: all('.diagram .message.lit').length,
        edges: all('.diagram .edge.lit').length, dimmed: document.getElementById('diagram').classList.contains('dimmed') });
";

#[test]
fn an_invalid_run_opens_on_its_anomaly() {
    let script = "return { verdict: text('#verdict'), card: text('.card'), bars: ids('.diagram .op'), anomaly: ids('.diagram .op.anomaly'),
        edges: all('.cycle .edge').map((e) => e.getAttribute('aria-label')), between: all('.diagram .edge').length,
        rows: all('#operations tbody tr').length, faults: all('.diagram .fault[data-fault]').length, open: all('.diagram .op.never').length,
        lost: all('.diagram .message.lost').length, left: text('#left-out'), command: text('#command-text') };";
    let Some(seen) = look("anomaly", &pages::page(&invalid()), &format!("{TOOLS}{script}")) else { return };
    assert_eq!(seen["errors"], "", "{seen}");
    let verdict = seen["verdict"].as_str().unwrap();
    assert!(
        verdict.contains("✗Invalid: read skew.") && verdict.contains("strong-snapshot-isolation"),
        "{verdict}"
    );
    assert!(seen["card"].as_str().unwrap().contains("Each transaction reads one snapshot"), "{seen}");
    assert_eq!(seen["bars"], json!(["17", "18", "19", "20"]), "the window is around the anomaly");
    assert_eq!(seen["anomaly"], json!(["17", "18"]));
    assert_eq!(
        seen["edges"],
        json!([
            "T1 rw T2. T1 read key 5 without 7, which T2 appended next.",
            "T2 wr T1. T1 read what T2 had appended to key 9."
        ])
    );
    assert_eq!(seen["between"], 2, "the cycle is drawn from bar to bar too");
    assert_eq!(seen["rows"], 2, "the table begins with the operations of the anomaly");
    assert_eq!(seen["faults"], 2);
    assert_eq!(seen["open"], 1, "nobody was told the end of operation 20");
    assert_eq!(seen["lost"], 2);
    assert!(seen["left"].as_str().unwrap().contains("12 messages"), "{seen}");
    assert_eq!(seen["command"], "plait-chaos run --seed 42");
}

#[test]
fn an_edge_lights_up_what_belongs_to_it() {
    let script = "
        const edge = document.querySelector('.cycle [data-edge=\"0\"]');
        const before = lit();
        does(edge, 'mouseenter');
        const over = lit();
        does(edge, 'mouseleave');
        const after = lit();
        does(edge, 'keydown', { key: 'Enter' });
        does(edge, 'mouseleave');
        const kept = { ...lit(), pressed: edge.getAttribute('aria-pressed'), note: text('.light-note') };
        does(edge, 'keydown', { key: 'Enter' });
        return { before, over, after, kept, gone: lit() };";
    let Some(seen) = look("edge", &pages::page(&invalid()), &format!("{TOOLS}{script}")) else { return };
    assert_eq!(seen["errors"], "", "{seen}");
    let dark = json!({ "ops": [], "faults": [], "messages": 0, "edges": 0, "dimmed": false });
    // The fault that came later and the message to a third node stay dark.
    let light = json!({ "ops": ["17", "18"], "faults": ["3"], "messages": 2, "edges": 1, "dimmed": true });
    assert_eq!(seen["before"], dark);
    assert_eq!(seen["over"], light);
    assert_eq!(seen["after"], dark);
    assert_eq!(seen["kept"]["pressed"], "true");
    for field in ["ops", "faults", "messages", "edges", "dimmed"] {
        assert_eq!(seen["kept"][field], light[field], "{field}");
    }
    assert!(seen["kept"]["note"].as_str().unwrap().contains("n2 is killed"), "{seen}");
    assert_eq!(seen["gone"], dark);
}

#[test]
fn where_the_messages_of_a_write_set_are_known_they_alone_light_up() {
    let mut data = invalid();
    data["operations"][2]["place"] = 57.into();
    for message in [0, 2] {
        data["messages"][message]["of"] = json!([18]);
    }
    let script = "
        const edge = document.querySelector('.cycle [data-edge=\"0\"]');
        does(edge, 'keydown', { key: 'Enter' });
        return { ...lit(), to: [...diagram.state.light.way].map((m) => m.to).sort(), note: text('.light-note'), member: text('.members') };";
    let Some(seen) = look("way", &pages::page(&data), &format!("{TOOLS}{script}")) else { return };
    assert_eq!(seen["errors"], "", "{seen}");
    assert_eq!((&seen["messages"], &seen["to"]), (&json!(2), &json!(["n2", "n3"])), "{seen}");
    let note = seen["note"].as_str().unwrap();
    assert!(note.contains("2 messages ordered the write-set of T2 (entry 57)"), "{note}");
    assert!(seen["member"].as_str().unwrap().contains("entry 57 of the log"), "{seen}");
}

#[test]
fn keys_step_through_what_happened_and_change_the_window() {
    let script = "
        const box = document.getElementById('diagram');
        const key = (key) => (does(box, 'keydown', { key }), diagram.paint(), text('.said'));
        const said = [];
        for (let i = 0; i < 12; i++) said.push(key('ArrowRight'));
        const back = key('ArrowLeft');
        const near = diagram.state.b - diagram.state.a;
        key('+');
        const nearer = diagram.state.b - diagram.state.a;
        key('0');
        const whole = [diagram.state.a <= 0, diagram.state.b >= 10000, all('.diagram .op').length];
        key('a');
        return { said, back, closer: nearer < near, whole, again: diagram.state.b - diagram.state.a < 200 };";
    let Some(seen) = look("keys", &pages::page(&invalid()), &format!("{TOOLS}{script}")) else { return };
    assert_eq!(seen["errors"], "", "{seen}");
    let said: Vec<&str> = seen["said"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    let expected = [
        "5.000 s T1, client 1 asks n1: [[append 17 1]]",
        "5.010 s client 3 asks n3: [[append 19 1]]",
        "5.020 s T2, client 2 asks n3: [[append 18 1]]",
        "5.025 s n3: elected term=2",
        "5.030 s client 3 is refused by n3: [[append 19 1]]",
        "5.035 s client 3 asks n2: [[append 20 1]]",
        "5.040 s T1, client 1 is answered by n1: [[append 17 1]]",
        "5.060 s T2, client 2 is answered by n3: [[append 18 1]]",
        "5.070 s fault 4 begins: frames are lost",
    ];
    assert_eq!(said[..9], expected);
    assert!(said[9..].iter().all(|s| *s == expected[8]), "the window's end is the end: {said:?}");
    assert_eq!(seen["back"], expected[7]);
    assert_eq!(seen["closer"], true);
    assert_eq!(seen["whole"], json!([true, true, 5]));
    assert_eq!(seen["again"], true);
}

#[test]
fn wheel_drag_and_the_kinds_of_messages() {
    let script = "
        const picture = document.querySelector('.diagram svg');
        // A pointer that no hand moves cannot be captured.
        picture.setPointerCapture = () => 0;
        const r = picture.getBoundingClientRect();
        const at = (part) => ({ clientX: r.left + r.width * part, clientY: r.top + 60, bubbles: true, cancelable: true, button: 0, pointerId: 1 });
        const span = () => diagram.state.b - diagram.state.a;
        const [a, before] = [diagram.state.a, span()];
        picture.dispatchEvent(new PointerEvent('pointerdown', at(0.6)));
        picture.dispatchEvent(new PointerEvent('pointermove', at(0.4)));
        picture.dispatchEvent(new PointerEvent('pointerup', at(0.4)));
        const later = diagram.state.a > a && Math.abs(span() - before) < 1e-6;
        const [b, wide] = [diagram.state.a, span()];
        picture.dispatchEvent(new WheelEvent('wheel', { ...at(0.5), deltaY: -100 }));
        const nearer = span() < wide && diagram.state.a > b;
        picture.dispatchEvent(new WheelEvent('wheel', { ...at(0.5), deltaY: 100 }));
        const back = Math.abs(span() - wide) < 1e-6;
        all('#toolbar button')[1].click();
        diagram.paint();
        const messages = () => (diagram.paint(), all('.diagram .message').length);
        const shown = messages();
        document.querySelector('#kinds input').click();
        return { later, nearer, back, shown, hidden: messages(), kinds: text('#kinds label') };";
    let Some(seen) = look("mouse", &pages::page(&invalid()), &format!("{TOOLS}{script}")) else { return };
    assert_eq!(seen["errors"], "", "{seen}");
    assert_eq!(seen["later"], true, "a drag to the left shows what is later: {seen}");
    assert_eq!((&seen["nearer"], &seen["back"]), (&json!(true), &json!(true)), "{seen}");
    assert_eq!((&seen["shown"], &seen["hidden"]), (&json!(3), &json!(0)), "{seen}");
    assert_eq!(seen["kinds"], "append4");
}

#[test]
fn a_large_valid_run_can_be_searched() {
    let mut data = invalid();
    let one = data["operations"][0].clone();
    let operation = |id: u64| {
        let mut op = one.clone();
        op["id"] = id.into();
        op["client"] = (id % 5).into();
        op["asked"] = format!("write {id}").into();
        (op["from_ms"], op["to_ms"]) = ((id * 2).into(), (id * 2 + 1).into());
        op
    };
    data["operations"] = (0..4_000).map(operation).collect();
    data["anomalies"] = json!([]);
    data["verdicts"][0]["valid"] = true.into();
    let script = "
        const rows = () => all('#operations tbody tr').length;
        const first = rows(), marks = document.getElementById('diagram').dataset.marks, search = document.querySelector('#operations [type=search]');
        const count = text('#operations .count');
        search.value = 'write 1234';
        search.dispatchEvent(new Event('input'));
        return { first, count, marks, found: rows(), which: text('#operations tbody tr th'), verdict: text('#verdict'), tried: text('.tried'),
            outages: all('#outages tbody tr').length };";
    let Some(seen) = look("large", &pages::page(&data), &format!("{TOOLS}{script}")) else { return };
    assert_eq!(seen["errors"], "", "{seen}");
    assert_eq!((&seen["first"], &seen["count"]), (&json!(500), &json!("1 to 500 of 4,000")));
    assert_eq!(seen["marks"], "canvas", "too many bars to be elements");
    assert_eq!((&seen["found"], &seen["which"]), (&json!(1), &json!("1234")));
    assert!(seen["verdict"].as_str().unwrap().contains("✓Valid"), "{seen}");
    assert!(seen["tried"].as_str().unwrap().contains("2 faults"), "{seen}");
    assert_eq!(seen["outages"], 1);
}

#[test]
fn no_data_is_a_page_and_bad_data_is_only_text() {
    let script =
        "return { verdict: text('#verdict'), tables: all('#tables details').length, title: document.title };";
    let script = format!("{TOOLS}{script}");
    let Some(seen) = look("empty", &pages::page(&json!({})), &script) else { return };
    assert_eq!(seen["errors"], "", "{seen}");
    assert!(seen["verdict"].as_str().unwrap().contains("?Unknown"), "{seen}");
    assert_eq!(seen["tables"], 4);

    let bad = "</script><img src=x onerror=\"wrong('ran')\"><!-- ]]>";
    let mut data = invalid();
    spoil(&mut data, bad);
    let seen = look("bad", &pages::page(&data), &script).expect("the browser was there");
    assert_eq!(seen["errors"], "", "{seen}");
    assert_eq!(seen["title"], bad);

    // Fields of other kinds than they should be.
    let data = json!({ "verdicts": [null, 3, { "valid": "maybe", "counts": 7 }], "violations": [null, {}], "nodes": [1, null],
        "faults": [null, { "nodes": "n1" }], "operations": [null, {}, 4], "events": [null, {}], "messages": [null, {}],
        "anomalies": [null, { "operations": [null], "cycle": [null, { "from": "T9" }] }], "outages": [null, {}], "left_out": 3 });
    let seen = look("wrong", &pages::page(&data), &script).expect("the browser was there");
    assert_eq!(seen["errors"], "", "{seen}");
}

/// Every text becomes this one, except those that link things.
fn spoil(value: &mut Value, bad: &str) {
    match value {
        Value::String(text) => *text = bad.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, bad)),
        Value::Object(fields) => fields.iter_mut().for_each(|(_, field)| spoil(field, bad)),
        _ => {}
    }
}

/// The page's own rules refuse what its code does not do; and that an error is seen by these tests at all.
#[test]
fn the_page_is_not_allowed_to_ask_a_network() {
    let script = "
        const image = new Image();
        image.src = 'http://plait.invalid/x.png';
        document.body.append(image);
        const style = document.createElement('link');
        Object.assign(style, { rel: 'stylesheet', href: 'https://plait.invalid/x.css' });
        document.head.append(style);
        fetch('https://plait.invalid/').catch(() => 0);
        return {};";
    let Some(seen) = look("network", &pages::page(&invalid()), script) else { return };
    let errors = seen["errors"].as_str().unwrap();
    for blocked in ["x.png img-src", "x.css style-src-elem", "plait.invalid/ connect-src"] {
        assert!(errors.contains(blocked), "{blocked}: {errors}");
    }
}
