//! The judge's program, from outside: exit codes, one JSON document, and no verdict on what is no history.

use plait_tests::cluster::{Ran, binary, run};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

fn check(file: &str, words: &[&str]) -> Ran {
    run(Command::new(binary("plait-chaos")).arg("check").arg(file).args(words), Duration::from_secs(60))
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("plait-judge-{}-{name}", std::process::id()));
    File::create(&path).and_then(|mut f| f.write_all(text.as_bytes())).expect("a file can be written");
    path
}

const SKEW: &str = r#"{"type":"invoke","process":0,"f":"txn","value":[["r","x",null],["append","y",1]]}
{"type":"invoke","process":1,"f":"txn","value":[["r","y",null],["append","x",1]]}
{"type":"ok","process":0,"f":"txn","value":[["r","x",[]],["append","y",1]]}
{"type":"ok","process":1,"f":"txn","value":[["r","y",[]],["append","x",1]]}
"#;

#[test]
fn a_verdict_is_an_exit_code_and_a_document() {
    let path = file("skew.jsonl", SKEW);
    let name = path.to_str().expect("a path of ours is text");
    let invalid = check(name, &["--workload", "list-append", "--model", "serializable"]);
    assert_eq!(invalid.code, Some(1), "{invalid}");
    let verdict = invalid.json();
    assert_eq!(verdict["valid"], false);
    let anomaly = &verdict["anomalies"][0];
    assert_eq!(anomaly["type"], "G2-item");
    assert_eq!(anomaly["cycle"].as_array().map(Vec::len), Some(2), "{anomaly}");
    assert!(anomaly["models_broken"].as_array().is_some_and(|m| m.iter().any(|m| m == "serializable")));
    let valid = check(name, &["--workload", "list-append", "--model", "snapshot-isolation"]);
    assert_eq!((valid.code, valid.json()["valid"].as_bool()), (Some(0), Some(true)));
    let nothing = file("nothing.json", "[]");
    let unknown = check(nothing.to_str().expect("text"), &["--workload", "list-append"]);
    assert_eq!((unknown.code, unknown.json()["valid"].as_str()), (Some(3), Some("unknown")));
    for path in [path, nothing] {
        std::fs::remove_file(path).expect("it was there");
    }
}

#[test]
fn what_is_no_history_gets_no_verdict() {
    let half = file("half.jsonl", &SKEW[..SKEW.len() - 20]);
    let ran = check(half.to_str().expect("text"), &["--workload", "list-append"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.out.is_empty() && ran.err.contains("line 4"), "{ran}");
    // A file that says it has 10 GB is refused before it is read.
    let huge = file("huge.jsonl", SKEW);
    File::options().write(true).open(&huge).and_then(|f| f.set_len(10 << 30)).expect("a sparse file");
    let ran = check(huge.to_str().expect("text"), &["--workload", "list-append"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.out.is_empty() && ran.err.contains("10.0 GiB"), "{ran}");
    for words in [&["--workload", "chess"][..], &["--workload", "bank", "--model", "fairness"], &[]] {
        assert_eq!(check(half.to_str().expect("text"), words).code, Some(2), "{words:?}");
    }
    assert_eq!(check("no-such-file", &["--workload", "bank"]).code, Some(2));
    for path in [half, huge] {
        std::fs::remove_file(path).expect("it was there");
    }
}
