//! Histories as people write them: read right, judged right, or refused with their line.

use plait_check::{Ask, Model, Valid, Verdict, Workload, check};

fn ask(workload: &str, model: &str) -> Ask {
    let workload = Workload::parse(workload).expect("a workload");
    let model = Model::parse(model).expect("a model");
    Ask { workload, model, format: None, total: None, exact: true }
}

fn judge(text: &str, workload: &str, model: &str) -> Verdict {
    check(text.as_bytes(), &ask(workload, model)).unwrap_or_else(|bad| panic!("{bad}"))
}

fn refused(text: &str, workload: &str) -> String {
    let answer = check(text.as_bytes(), &ask(workload, "strict-serializable"));
    answer.map_or_else(|bad| bad.to_string(), |verdict| panic!("a verdict: {}", verdict.json()))
}

/// Both read the key empty, both append to it.
const LOST_UPDATE: &str = r#"
{"type":"invoke","process":0,"f":"txn","value":[["r","x",null],["append","x",1]]}
{"type":"invoke","process":1,"f":"txn","value":[["r","x",null],["append","x",2]]}
{"type":"ok","process":0,"f":"txn","value":[["r","x",[]],["append","x",1]]}
{"type":"ok","process":1,"f":"txn","value":[["r","x",[]],["append","x",2]]}
{"type":"info","process":"nemesis","f":"kill","value":"n2"}
"#;

#[test]
fn one_history_in_every_notation() {
    let edn = r#"
        ; a comment, a tag, metadata, a set, a character
        #jepsen.history.Op{:index 0, :time 12, :type :invoke, :process 0, :f :txn, :value [[:r :x nil] [:append :x 1]]}
        {:type :invoke, :process 1, :f :txn, :value ^{:by "hand"} [[:r :x nil] [:append :x 2]] :tags #{1 2} :letter \a :ratio 1/2}
        {:type :ok, :process 0, :f :txn, :value [[:r :x []] [:append :x 1]]}
        #_ {:type :dropped}
        {:type :ok, :process 1, :f :txn, :value [[:r :x []] [:append :x 2]]}
        {:type :info, :process :nemesis, :f :kill, :value #{"n2"}}"#;
    let ops: Vec<&str> = LOST_UPDATE.trim().lines().collect();
    let array = format!("[{}]", ops.join(",\n"));
    let document = format!("{{\"name\": \"a test\", \"history\": {array}}}");
    let keywords = LOST_UPDATE.replace("\"invoke\"", "\":invoke\"").replace("\"append\"", "\":append\"");
    let vector = format!("[{edn}]");
    for text in [LOST_UPDATE, edn, &array, &document, &keywords, &vector] {
        let verdict = judge(text, "list-append", "snapshot-isolation");
        assert_eq!(verdict.valid, Valid::No, "{text}");
        assert!(verdict.types().contains(&"lost-update"), "{text}: {:?}", verdict.types());
        assert_eq!((verdict.tally.ok, verdict.tally.info), (2, 0));
    }
}

#[test]
fn every_witness_has_its_sentences() {
    let verdict = judge(LOST_UPDATE, "list-append", "serializable").json();
    let anomalies = verdict["anomalies"].as_array().unwrap();
    assert!(!anomalies.is_empty());
    // All on one line it is the same history, and the witness has two transactions still.
    let one_line = format!("[{}]", LOST_UPDATE.trim().lines().collect::<Vec<_>>().join(","));
    let same = judge(&one_line, "list-append", "serializable");
    let lost = same.anomalies.iter().find(|a| a.name == "lost-update").unwrap();
    assert!(lost.why.starts_with("T1 and T2 both"), "{}", lost.why);
    for anomaly in anomalies {
        assert!(!anomaly["why"].as_str().unwrap().is_empty(), "{anomaly}");
        assert!(!anomaly["models_broken"].as_array().unwrap().is_empty(), "{anomaly}");
        for edge in anomaly["cycle"].as_array().unwrap() {
            let why = edge["why"].as_str().unwrap();
            let names = [&edge["from"], &edge["to"]].map(|n| n.as_str().unwrap().to_owned());
            assert!(names.iter().all(|n| why.contains(n)) && why.ends_with('.'), "{edge}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let ok = r#"{"type":"invoke","process":0,"f":"txn","value":[["r","x",null]]}"#;
    let cases: &[(&str, &str, &str)] = &[
        ("{\"type\":\"okay\",\"process\":0}", "line 1", "invoke, ok, fail and info"),
        ("{\"process\":0}", "line 1", "no type"),
        ("{\"type\":\"ok\",\"process\":0,\"f\":\"txn\",\"value\":[]}", "line 1", "invocation is missing"),
        ("{\"type\":\"invoke\",\"f\":\"txn\",\"value\":[]}", "line 1", "no process"),
        ("OK\n{\"type\":\"invoke\",\"process\":0,\"f\":\"txn\",\"value\":[]}", "line 2", "is not over"),
        ("OK\n{\"type\":\"ok\",\"process\":0,\"f\":\"txn\",\"val", "line 2", "ends in the middle"),
        (
            "OK\n{\"type\":\"ok\",\"process\":0,\"f\"\n{\"type\":\"info\",\"process\":\"nemesis\"}",
            "line 2",
            "ends in the middle",
        ),
        (
            "OK\n\n{\"type\":\"ok\",\"process\":0,\"f\":\"txn\",\"value\":[[\"cas\",1,2]]}",
            "line 3",
            "micro-operation",
        ),
        (
            "OK\n{\"type\":\"ok\",\"process\":0,\"f\":\"txn\",\"value\":[[\"r\",1,5]]}",
            "line 2",
            "gives a list",
        ),
        ("OK\n{\"type\":\"ok\",\"process\":0,\"f\":\"txn\"}", "line 2", "has no value"),
        ("OK\n{\"type\":\"ok\",\"process\":0,\"f\":\"get\",\"value\":[]}", "line 2", "'get' ends"),
        ("OK\n7", "line 2", "is a map"),
        ("", "line 1", "empty"),
        ("{:type :invoke, :process 0, :f :txn, :value [[:r :x nil]", "line 1", "the file ends"),
        ("{:type :invoke\n :process 0 :f}", "line 1", "key without a value"),
        ("{:type :invoke, :process 0, :f :txn, :value 5}", "line 1", "list of micro-operations"),
        (
            "{\"index\":5,\"type\":\"invoke\",\"process\":0,\"f\":\"txn\",\"value\":[]}\n{\"index\":3,\"type\":\"ok\",\"process\":0,\"f\":\"txn\",\"value\":[]}",
            "line 2",
            "sort the history",
        ),
    ];
    for (text, line, what) in cases {
        let text = text.replace("OK", ok);
        let why = refused(&text, "list-append");
        assert!(why.starts_with(&format!("{line}:")) && why.contains(what), "{text}\n{why}");
    }
    assert!(refused("\u{1}\u{2}", "list-append").starts_with("line 1:"));
    let bytes = [ok.as_bytes(), b"\n\xff\xfe"].concat();
    let bad = check(&bytes, &ask("list-append", "serializable")).unwrap_err();
    assert_eq!((bad.line, bad.what.contains("UTF-8")), (2, true));
    // Deep nesting is no reason to fall over.
    for open in ["[", "{:a ", "#t "] {
        refused(&open.repeat(100_000), "list-append");
    }
}

#[test]
fn nothing_known_is_no_verdict() {
    let verdict = judge("[]", "list-append", "serializable");
    assert_eq!((verdict.valid, verdict.exit_code()), (Valid::Unknown, 3));
    let twice = r#"
        {"type":"invoke","process":0,"f":"txn","value":[["append","x",1]]}
        {"type":"ok","process":0,"f":"txn","value":[["append","x",1]]}
        {"type":"invoke","process":0,"f":"txn","value":[["append","x",1]]}
        {"type":"ok","process":0,"f":"txn","value":[["append","x",1]]}"#;
    let verdict = judge(twice, "list-append", "serializable");
    assert_eq!(verdict.valid, Valid::Unknown);
    assert!(verdict.why.unwrap().contains("lines 3 and 5"));
}

#[test]
fn a_read_of_what_nobody_wrote() {
    let lists = r#"
        {"type":"invoke","process":0,"f":"txn","value":[["r","x",null]]}
        {"type":"ok","process":0,"f":"txn","value":[["r","x",[99]]]}"#;
    assert_eq!(judge(lists, "list-append", "read-committed").types(), ["garbage-read"]);
    let registers = lists.replace("[99]", "99");
    assert_eq!(judge(&registers, "register", "read-committed").types(), ["garbage-read"]);
    // 0 is how some write the state before all writes.
    let initial = lists.replace("[99]", "0");
    assert_eq!(judge(&initial, "register", "strict-serializable").valid, Valid::Yes);
}

/// What an append that was acknowledged comes to when the last read lacks it.
#[test]
fn an_acknowledgement_that_the_last_read_does_not_show() {
    let history = r#"
        {"type":"invoke","process":0,"f":"txn","value":[["append","x",1]]}
        {"type":"ok","process":0,"f":"txn","value":[["append","x",1]]}
        {"type":"invoke","process":1,"f":"txn","value":[["r","x",null]],"final":true}
        {"type":"ok","process":1,"f":"txn","value":[["r","x",[]]]}"#;
    assert!(judge(history, "list-append", "read-committed").types().contains(&"lost-acknowledgement"));
    let plain = history.replace(",\"final\":true", "");
    assert_eq!(judge(&plain, "list-append", "serializable").valid, Valid::Yes);
    assert_eq!(judge(&plain, "list-append", "strict-serializable").types(), ["G-single-item-realtime"]);
}

#[test]
fn only_the_solver_sees_that_no_order_fits() {
    // Two readers see two blind writes of two keys in opposite orders, each through a register of its own.
    let history = r#"
        {"type":"invoke","process":0,"f":"txn","value":[["w","x",1],["w","y",1]]}
        {"type":"invoke","process":1,"f":"txn","value":[["w","x",2],["w","y",2]]}
        {"type":"invoke","process":2,"f":"txn","value":[["r","x",null],["r","y",null]]}
        {"type":"ok","process":2,"f":"txn","value":[["r","x",1],["r","y",2]]}
        {"type":"ok","process":0,"f":"txn","value":[["w","x",1],["w","y",1]]}
        {"type":"ok","process":1,"f":"txn","value":[["w","x",2],["w","y",2]]}"#;
    let inferred =
        check(history.as_bytes(), &Ask { exact: false, ..ask("register", "serializable") }).unwrap();
    assert_eq!(inferred.valid, Valid::Yes);
    let verdict = judge(history, "register", "serializable");
    assert_eq!(verdict.types(), ["not-serializable"]);
    assert_eq!(verdict.anomalies[0].operations.len(), 3);
    assert_eq!(judge(history, "register", "snapshot-isolation").types(), ["not-snapshot-isolation"]);
    assert_eq!(judge(history, "register", "read-committed").valid, Valid::Yes);
}

#[test]
fn single_objects_are_linearizable_or_not() {
    let stale = r#"
        {"type":"invoke","process":0,"f":"write","value":1}
        {"type":"ok","process":0,"f":"write","value":1}
        {"type":"invoke","process":1,"f":"read","value":null}
        {"type":"ok","process":1,"f":"read","value":null}"#;
    let verdict = judge(stale, "register", "linearizable");
    assert_eq!(verdict.types(), ["not-linearizable"]);
    assert_eq!(
        verdict.json()["anomalies"][0]["models_broken"],
        serde_json::json!(["linearizable", "strict-serializable"])
    );
    assert_eq!(judge(stale, "register", "serializable").valid, Valid::Yes);
    assert_eq!(judge(stale, "register", "strict-serializable").valid, Valid::No);
    // The same under a key each, with a swap: each object is judged by itself.
    let keyed = r#"
        {:type :invoke, :process 0, :f :write, :value [:a 1]}
        {:type :invoke, :process 1, :f :cas, :value [:b [0 5]]}
        {:type :ok, :process 0, :f :write, :value [:a 1]}
        {:type :ok, :process 1, :f :cas, :value [:b [0 5]]}
        {:type :invoke, :process 0, :f :read, :value [:b nil]}
        {:type :ok, :process 0, :f :read, :value [:b 5]}
        {:type :invoke, :process 0, :f :cas, :value [:b [0 7]]}
        {:type :info, :process 0, :f :cas, :value [:b [0 7]]}"#;
    assert_eq!(judge(keyed, "register", "linearizable").valid, Valid::Yes);
    let lie = keyed.replace(":info, :process 0, :f :cas", ":ok, :process 0, :f :cas");
    assert_eq!(judge(&lie, "register", "linearizable").valid, Valid::No);
    let nothing = keyed.replace(":f :cas, :value [:b [0 5]]", ":f :cas, :value nil");
    assert!(
        check(nothing.as_bytes(), &ask("register", "linearizable")).unwrap_err().what.contains("[old new]")
    );
    let several = LOST_UPDATE;
    assert!(check(several.as_bytes(), &ask("list-append", "linearizable")).is_err());
}

/// Lines of operations that do not overlap: `process f value`.
fn in_turn(ops: &[(&str, &str, &str, &str)]) -> String {
    let one = |(process, f, asked, got): &(&str, &str, &str, &str)| {
        let (kind, got) = got.split_once(' ').unwrap_or((got, asked));
        format!(
            "{{\"type\":\"invoke\",\"process\":{process},\"f\":\"{f}\",\"value\":{asked}}}\n\
             {{\"type\":\"{kind}\",\"process\":{process},\"f\":\"{f}\",\"value\":{got}}}\n"
        )
    };
    ops.iter().map(one).collect()
}

#[test]
fn sums_and_sets() {
    let bank = [
        ("0", "read", "null", "ok {\"0\":10,\"1\":10}"),
        ("0", "transfer", "{\"from\":0,\"to\":1,\"amount\":3}", "ok"),
        ("0", "read", "null", "ok {\"0\":7,\"1\":13}"),
    ];
    let text = in_turn(&bank);
    assert_eq!(judge(&text, "bank", "snapshot-isolation").valid, Valid::Yes);
    let types = |text: &str, workload: &str, model: &str| judge(text, workload, model).types();
    assert_eq!(types(&text.replace("\"1\":13", "\"1\":12"), "bank", "snapshot-isolation"), ["wrong-total"]);
    assert_eq!(
        types(&text.replace("7,\"1\":13", "-3,\"1\":23"), "bank", "snapshot-isolation"),
        ["negative-balance"]
    );
    assert_eq!(
        types(&text.replace("\"0\":7,\"1\":13", "\"0\":20"), "bank", "read-committed"),
        ["missing-account"]
    );
    let total = Ask { total: Some(30), ..ask("bank", "serializable") };
    assert_eq!(check(text.as_bytes(), &total).unwrap().valid, Valid::No);

    let counter = in_turn(&[
        ("0", "add", "2", "ok"),
        ("1", "add", "5", "info"),
        ("2", "add", "9", "fail"),
        ("3", "read", "null", "ok 7"),
        ("3", "read", "null", "ok 2"),
    ]);
    assert_eq!(judge(&counter, "counter", "linearizable").valid, Valid::Yes);
    assert_eq!(
        types(
            &counter.replace(
                "ok\",\"process\":3,\"f\":\"read\",\"value\":2",
                "ok\",\"process\":3,\"f\":\"read\",\"value\":1"
            ),
            "counter",
            "linearizable"
        ),
        ["stale-read"]
    );
    assert_eq!(
        types(&counter.replace("\"value\":7", "\"value\":16"), "counter", "linearizable"),
        ["garbage-read"]
    );

    // The largest numbers that there are are no reason to fall over.
    let huge = counter
        .replace("\"value\":2}", "\"value\":9223372036854775807}")
        .replace("\"value\":5}", "\"value\":9223372036854775807}");
    assert_eq!(judge(&huge, "counter", "linearizable").valid, Valid::No);
    let set = in_turn(&[
        ("0", "add", "1", "ok"),
        ("0", "add", "2", "fail"),
        ("4", "add", "3", "info"),
        ("1", "read", "null", "ok [1]"),
        ("1", "read", "null", "ok [1,3]"),
    ]);
    assert_eq!(judge(&set, "set", "linearizable").valid, Valid::Yes);
    let last = |with: &str| set.replace("[1,3]", with);
    assert_eq!(types(&last("[3]"), "set", "linearizable"), ["lost-acknowledgement"]);
    assert_eq!(types(&last("[1,2]"), "set", "linearizable"), ["G1a"]);
    assert_eq!(types(&last("[1,1]"), "set", "linearizable"), ["duplicate-elements"]);
    assert_eq!(types(&last("[1,8]"), "set", "linearizable"), ["garbage-read"]);
    assert_eq!(types(&set.replace("\"value\":[1]}", "\"value\":[]}"), "set", "linearizable"), ["stale-read"]);
    assert_eq!(
        judge(&set.replace("\"value\":[1]}", "\"value\":[]}"), "set", "snapshot-isolation").valid,
        Valid::Yes
    );

    let ids = in_turn(&[("0", "generate", "null", "ok 4"), ("1", "generate", "null", "ok 5")]);
    assert_eq!(judge(&ids, "ids", "linearizable").valid, Valid::Yes);
    assert_eq!(types(&ids.replace("\"value\":5", "\"value\":4"), "ids", "linearizable"), ["duplicate-ids"]);
    let read = in_turn(&[("2", "read", "null", "ok [4]")]).replacen('{', "{\"final\":true,", 1);
    assert_eq!(types(&format!("{ids}{read}"), "ids", "linearizable"), ["lost-acknowledgement"]);
}

#[test]
fn a_phantom_is_an_anti_dependency_by_predicate() {
    // Each asks whether there is a row, finds none, and makes one: write skew by predicate.
    let history = r#"
        {"type":"invoke","process":0,"f":"txn","value":[["rp",["between",0,99],null],["insert",1,5]]}
        {"type":"invoke","process":1,"f":"txn","value":[["rp",["between",0,99],null],["insert",2,6]]}
        {"type":"ok","process":0,"f":"txn","value":[["rp",["between",0,99],{}],["insert",1,5]]}
        {"type":"ok","process":1,"f":"txn","value":[["rp",["between",0,99],{}],["insert",2,6]]}
        {"type":"invoke","process":2,"f":"txn","value":[["rp",["between",0,99],null]]}
        {"type":"ok","process":2,"f":"txn","value":[["rp",["between",0,99],{"1":5,"2":6}]]}"#;
    let verdict = judge(history, "predicate", "serializable");
    assert_eq!(verdict.types(), ["G2"]);
    assert!(verdict.anomalies[0].why.contains("did not find key"), "{}", verdict.anomalies[0].why);
    // Phantoms are what repeatable read, Adya's PL-2.99, allows; snapshot isolation allows two in a row.
    assert_eq!(judge(history, "predicate", "repeatable-read").valid, Valid::Yes);
    assert_eq!(judge(history, "predicate", "snapshot-isolation").valid, Valid::Yes);
    // One of two rows of one transaction.
    let torn = r#"
        {"type":"invoke","process":0,"f":"txn","value":[["insert",1,5],["insert",2,6]]}
        {"type":"invoke","process":1,"f":"txn","value":[["rp",["between",0,99],null]]}
        {"type":"ok","process":0,"f":"txn","value":[["insert",1,5],["insert",2,6]]}
        {"type":"ok","process":1,"f":"txn","value":[["rp",["between",0,99],{"1":5}]]}"#;
    assert_eq!(judge(torn, "predicate", "snapshot-isolation").types(), ["G-single"]);
    let deleted = format!(
        "{torn}\n{}\n{}",
        r#"{"type":"invoke","process":0,"f":"txn","value":[["delete",2]]}"#,
        r#"{"type":"ok","process":0,"f":"txn","value":[["delete",2]]}"#
    );
    assert_eq!(
        judge(&deleted, "predicate", "snapshot-isolation").valid,
        Valid::Yes,
        "it may have seen the row dead"
    );
    assert_eq!(judge(&torn.replace("\"1\":5", "\"1\":500"), "predicate", "read-committed").valid, Valid::No);
    assert!(refused(&torn.replace("between", "like"), "predicate").contains("no condition"));
}
