//! What a node refuses to start with: a clear reason, the right exit code, and nothing changed.

use crate::bench::{Bench, NODE};
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refused(output: &Output, code: i32, parts: &[&str]) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn wrong_words() {
    let bench = Bench::new("words");
    refused(&Command::new(NODE).output().unwrap(), 2, &["--config node.toml"]);
    refused(&bench.command(1).arg("--nonsense").output().unwrap(), 2, &["--nonsense"]);
    refused(
        &bench.command(1).arg("--set=limits.leese=1s").output().unwrap(),
        2,
        &["did you mean `limits.lease`?"],
    );
    refused(&bench.command(1).arg("--set=limits.lease=1").output().unwrap(), 2, &["a span with its unit"]);
    let missing = Command::new(NODE).args(["--config", "/nowhere/node.toml"]).output().unwrap();
    refused(&missing, 2, &["/nowhere/node.toml can't be read"]);
    fs::write(bench.config(1), "slot = [").unwrap();
    refused(&bench.command(1).output().unwrap(), 2, &["is not TOML"]);
}

#[test]
fn surroundings_that_do_not_fit() {
    let mut bench = Bench::new("unfit");
    bench.found();
    let again = bench.command(1).arg("init").output().unwrap();
    refused(&again, 6, &["is not empty", "identity"]);

    let holder = TcpListener::bind(("127.0.0.1", bench.ports[0][0])).unwrap();
    refused(&bench.command(1).output().unwrap(), 5, &["can't listen at", "listen.grpc"]);
    drop(holder);

    let in_the_way = bench.dir.join("a-file");
    fs::write(&in_the_way, "").unwrap();
    let set = format!("--set=data_dir={}", in_the_way.join("n1").display());
    refused(&bench.command(1).arg(set).output().unwrap(), 5, &["can't be used", "a-file"]);

    bench.start(1);
    crate::bench::until("n1 lives", || bench.http(1, "/livez").filter(|(status, _)| *status == 200));
    refused(&bench.command(1).output().unwrap(), 5, &["in use by another process"]);
}

#[test]
fn a_strangers_directory_and_an_unknown_format_are_left_as_they_are() {
    let bench = Bench::new("strangers");
    bench.found();
    let identity = bench.data(1).join("identity");
    let mine = fs::read(&identity).unwrap();
    let set = "--set=cluster=00000000-0000-0000-0000-000000000001";
    refused(&bench.command(1).arg(set).output().unwrap(), 6, &["can't be used", "every file is as it was"]);

    let mut other = mine.clone();
    // Nothing of it fits this build: were the format's number alone wrong, that would be a flipped bit.
    other[8] = 9;
    *other.last_mut().expect("it is not empty") ^= 0xff;
    fs::write(&identity, &other).unwrap();
    refused(&bench.command(1).output().unwrap(), 6, &["format 9", "every file is as it was"]);
    assert_eq!(fs::read(&identity).unwrap(), other);
}

#[test]
fn files_are_shown_in_words_and_nonsense_is_named() {
    let mut bench = Bench::up("debug");
    crate::doors::make_table(&bench);
    for n in 1..=3 {
        bench.signal(n, "TERM");
        bench.ended(n);
    }
    let debug = |what: &str, path: &std::path::Path| {
        Command::new(NODE).args(["debug", what]).arg(path).output().unwrap()
    };
    let log = debug("log", &bench.data(1));
    let text = String::from_utf8_lossy(&log.stdout);
    assert!(log.status.success() && text.contains("wal-00000001") && text.contains("member n1.1"), "{text}");
    refused(&debug("checkpoint", &bench.data(1)), 6, &["has none"]);
    fs::write(bench.data(1).join("checkpoint-a.head"), "nonsense").unwrap();
    refused(&debug("checkpoint", &bench.data(1)), 6, &["checkpoint-a.head"]);
    refused(&debug("log", &bench.dir.join("nowhere")), 5, &["nowhere"]);
}
