//! Manners of the source, checked by a machine so that no reviewer has to.
//!
//! Each test names the rule, and its failure lists every line that breaks it.

use plait_tests::tree::{Source, root, sources};
use std::collections::BTreeSet;

/// Rooms that are a function of their inputs: no clock, socket, file, thread or entropy, and no iteration whose
/// order is random.
const PURE: [&str; 7] =
    ["node/base", "node/consensus", "node/store", "node/replica", "node/wire", "chaos/load", "chaos/check"];

/// Which of our crates each crate may see. A crate that is not listed may see none.
const MAY_SEE: &[(&str, &[&str])] = &[
    ("plait-base", &[]),
    ("plait-consensus", &["plait-base"]),
    ("plait-store", &["plait-base"]),
    ("plait-wire", &["plait-base"]),
    ("plait-replica", &["plait-base", "plait-consensus", "plait-store"]),
    ("plait-proto", &[]),
    // The host sees a node through `replica` and `store`'s requests and answers; consensus is none of its business.
    ("plait-host", &["plait-base", "plait-store", "plait-replica", "plait-wire", "plait-proto"]),
    ("plait-client", &["plait-proto"]),
    ("plait-tier-b", &["plait-base", "plait-replica", "plait-host", "plait-proto", "plait-world"]),
    ("plait-check", &["plait-base"]),
    ("plait-load", &["plait-base"]),
    (
        "plait-world",
        &["plait-base", "plait-check", "plait-load", "plait-consensus", "plait-store", "plait-replica"],
    ),
    ("plait-live", &["plait-base", "plait-check", "plait-load", "plait-world"]),
    ("plait-chaos", &["plait-base", "plait-check", "plait-load", "plait-live", "plait-world"]),
    (
        "plait-tests",
        &[
            "plait-base",
            "plait-store",
            "plait-replica",
            "plait-host",
            "plait-proto",
            "plait-client",
            "plait-chaos",
        ],
    ),
];

/// What a pure room must not depend on: each brings a clock, a thread, a socket, a file or entropy.
const IMPURE_CRATES: &[&str] = &[
    "tokio",
    "tokio-stream",
    "tonic",
    "prost",
    "hyper",
    "hyper-util",
    "axum",
    "tower",
    "sled",
    "libc",
    "rustix",
    "nix",
    "rand",
    "getrandom",
    "tracing",
    "tracing-subscriber",
    "clap",
    "anyhow",
    "turmoil",
    "chrono",
    "time",
];

/// What a pure room must not write. clippy bans most of these by type; this sees them in macros and in code that
/// is compiled out too.
const IMPURE_WORDS: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "HashMap",
    "HashSet",
    "RandomState",
    "tokio::",
    "println!",
    "eprintln!",
];

/// Fails with every line in `found`, under the rule's name.
fn none(rule: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

fn manifests() -> Vec<(String, toml::Table)> {
    let manifests = sources().into_iter().filter(|source| source.path.ends_with("Cargo.toml"));
    manifests.map(|source| (source.path, source.text.parse().expect("a manifest is TOML"))).collect()
}

fn names(manifest: &toml::Table, table: &str) -> Vec<String> {
    manifest.get(table).and_then(|t| t.as_table()).map(|t| t.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn crates_see_only_what_lies_below_them() {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, manifest) in manifests() {
        let Some(name) = manifest.get("package").and_then(|p| p.get("name")).and_then(|n| n.as_str()) else {
            continue;
        };
        seen.insert(name.to_owned());
        let may = MAY_SEE.iter().find(|(who, _)| *who == name).map_or(&[][..], |(_, may)| *may);
        let depends =
            names(&manifest, "dependencies").into_iter().chain(names(&manifest, "build-dependencies"));
        for other in depends.filter(|other| other.starts_with("plait-") && !may.contains(&other.as_str())) {
            found.push(format!("{path}: {name} imports {other}"));
        }
        let room = path.strip_suffix("/Cargo.toml");
        if room.is_some_and(|room| PURE.contains(&room)) {
            let depends = names(&manifest, "dependencies");
            let impure = depends.iter().filter(|other| IMPURE_CRATES.contains(&other.as_str()));
            found.extend(impure.map(|other| format!("{path}: a pure room imports {other}")));
        }
    }
    for (name, _) in MAY_SEE {
        assert!(seen.contains(*name), "{name} is in the table of who may see whom and not in the tree");
    }
    none("who may import whom (ARCHITECTURE.md)", found);
}

#[test]
fn pure_rooms_share_one_clippy_toml() {
    let read = |room: &str| {
        let path = root().join(room).join("clippy.toml");
        std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
    };
    let first = read(PURE[0]);
    for word in ["Instant::now", "SystemTime::now", "thread::spawn", "HashMap", "fs::File", "TcpStream"] {
        assert!(first.contains(word), "the pure rooms' clippy.toml bans {word}");
    }
    let differs = PURE.iter().filter(|room| read(room) != first);
    none(
        "the pure rooms' clippy.toml is one text",
        differs.map(|room| format!("{room}/clippy.toml")).collect(),
    );
}

/// A banned word may stand where clippy was told why: under an `allow(clippy::disallowed…)` with its reason.
fn is_allowed(source: &Source, line: usize) -> bool {
    let before = source.lines().skip(line.saturating_sub(9)).take(9.min(line));
    before.into_iter().any(|(_, text)| text.contains("clippy::disallowed"))
}

#[test]
fn pure_rooms_are_pure() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| s.is_rust() && !s.is_test()) {
        let inside = |room: &&str| source.path.strip_prefix(room).is_some_and(|rest| rest.starts_with('/'));
        if !PURE.iter().any(inside) {
            continue;
        }
        for (number, line) in source.lines() {
            let code = line.split("//").next().unwrap_or_default();
            for word in IMPURE_WORDS.iter().filter(|word| code.contains(**word)) {
                if !is_allowed(source, number) {
                    found.push(format!("{}:{number}: {word}", source.path));
                }
            }
        }
    }
    none(
        "a pure room has no clock, file, socket, thread, environment, output, or map in random order",
        found,
    );
}

#[test]
fn raft_stays_inside_consensus() {
    let outside = |s: &&Source| {
        s.is_rust() && !s.path.starts_with("node/consensus/") && !s.path.starts_with("tests/it/tidy")
    };
    let mut found = Vec::new();
    for source in sources().iter().filter(outside) {
        for (number, line) in source.lines() {
            if ["use raft::", " raft::", "(raft::", "eraftpb", "use protobuf", "RawNode"]
                .iter()
                .any(|w| line.contains(w))
            {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    for (path, manifest) in manifests().into_iter().filter(|(path, _)| path != "node/consensus/Cargo.toml") {
        let raft =
            names(&manifest, "dependencies").into_iter().filter(|name| name == "raft" || name == "protobuf");
        found.extend(raft.map(|name| format!("{path}: {name}")));
    }
    none("types of the raft crate are seen in node/consensus alone", found);
}

#[test]
fn each_file_says_what_it_is() {
    let sources = sources();
    let code = sources.iter().filter(|s| s.is_rust() && !s.is_generated());
    let silent = code.filter(|s| !s.text.trim_start().starts_with("//!"));
    none("a file begins with what it is (//!)", silent.map(|s| s.path.clone()).collect());
}

#[test]
fn files_are_short_enough_to_read() {
    const LINES_MAX: usize = 700;
    let sources = sources();
    let code = sources.iter().filter(|s| s.is_rust() && !s.is_generated());
    let long = code.filter(|s| s.text.lines().count() > LINES_MAX);
    none(
        "a file has at most 700 lines",
        long.map(|s| format!("{}: {} lines", s.path, s.text.lines().count())).collect(),
    );
}

#[test]
fn nothing_is_left_unfinished() {
    let words = ["todo!(", "unimplemented!(", "FIXME", "XXX", "dbg!(", "#[ignore"];
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| s.path != "tests/it/tidy.rs" && !s.is_generated()) {
        for (number, line) in source.lines() {
            let hits = words.iter().filter(|word| line.contains(*word));
            found.extend(hits.map(|word| format!("{}:{number}: {word}", source.path)));
        }
    }
    none("no unfinished code, and no test that is switched off", found);
}

/// A path or a host of one machine is of no use on another.
#[test]
fn no_file_names_a_machine() {
    let folders = ["home", "root", "Users", "work", "farm"].map(|name| format!("/{name}/"));
    let hosts = [".internal/", "192.168.", "//10.", "crates-mirror"].map(str::to_owned);
    let words: Vec<String> = folders.into_iter().chain(hosts).collect();
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| s.path != "tests/it/tidy.rs") {
        for (number, line) in source.lines() {
            let hits = words.iter().filter(|word| line.contains(word.as_str()));
            found.extend(hits.map(|word| format!("{}:{number}: {word}", source.path)));
        }
    }
    none("no path or host of one machine", found);
}

/// Waiting is for a condition, with a deadline: `plait_tests::wait` is the one place that sleeps between looks.
#[test]
fn tests_wait_for_conditions() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| s.is_rust() && s.is_test()) {
        if matches!(source.path.as_str(), "tests/src/wait.rs" | "tests/it/tidy.rs") {
            continue;
        }
        for (number, line) in source.lines() {
            if line.contains("thread::sleep(") || line.contains("time::sleep(") {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    none("a test waits for a condition, not for a time", found);
}

#[test]
fn crates_share_the_workspace_rules() {
    let mut found = Vec::new();
    for (path, manifest) in manifests() {
        let Some(package) = manifest.get("package").and_then(|p| p.as_table()) else { continue };
        if manifest.contains_key("workspace") {
            continue;
        }
        if manifest.get("lints").and_then(|l| l.get("workspace")).and_then(|w| w.as_bool()) != Some(true) {
            found.push(format!("{path}: [lints] workspace = true is missing"));
        }
        for field in ["version", "edition", "rust-version", "license", "publish"] {
            if package.get(field).and_then(|f| f.get("workspace")).and_then(|w| w.as_bool()) != Some(true) {
                found.push(format!("{path}: {field}.workspace = true is missing"));
            }
        }
        if !package.contains_key("description") {
            found.push(format!("{path}: no description"));
        }
    }
    none("every crate follows the workspace", found);
}

/// Unsafe code stands where the system's interface needs it, each with its reason.
#[test]
fn unsafe_code_gives_its_reason() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| s.is_rust() && s.path != "tests/it/tidy.rs") {
        let lines: Vec<&str> = source.text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if (code.contains("unsafe {") || code.contains("unsafe impl") || code.contains("unsafe fn"))
                && !lines[i.saturating_sub(6)..=i].iter().any(|before| before.contains("SAFETY"))
            {
                found.push(format!("{}:{}: {}", source.path, i + 1, line.trim()));
            }
        }
    }
    none("an unsafe block has a SAFETY comment above it", found);
}

/// Every package comes from the public registry under a licence that deny.toml accepts; `cargo deny` says the same
/// where it is installed.
#[test]
fn dependencies_have_licences_we_accept() {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml is in the tree");
    let deny: toml::Table = text.parse().expect("deny.toml is TOML");
    let strings = |table: &str, key: &str| -> BTreeSet<String> {
        let list =
            deny.get(table).and_then(|t| t.get(key)).and_then(|l| l.as_array()).cloned().unwrap_or_default();
        list.iter()
            .filter_map(|item| {
                item.as_str().or_else(|| item.get("crate").and_then(|c| c.as_str())).map(str::to_owned)
            })
            .collect()
    };
    let accepted = strings("licenses", "allow");
    let banned = strings("bans", "deny");
    assert!(!accepted.is_empty() && !banned.is_empty(), "deny.toml lists licences and banned crates");
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        // What only other systems need was never downloaded.
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    assert!(packages.len() > 20, "cargo metadata lists our dependencies");
    let mut found = Vec::new();
    for package in packages {
        let (name, version) =
            (package["name"].as_str().unwrap_or("?"), package["version"].as_str().unwrap_or("?"));
        let licence = package["license"].as_str().unwrap_or("none stated");
        if !is_accepted(licence, &accepted) {
            found.push(format!("{name} {version}: licence {licence}"));
        }
        if banned.contains(name) {
            found.push(format!("{name} {version}: banned by deny.toml"));
        }
        match package["source"].as_str() {
            None | Some("registry+https://github.com/rust-lang/crates.io-index") => {}
            Some(other) => found.push(format!("{name} {version}: from {other}")),
        }
    }
    none("licences, bans and sources (deny.toml)", found);
}

/// Whether an SPDX expression can be satisfied with accepted licences alone. `/` is an old spelling of `OR`.
fn is_accepted(expression: &str, accepted: &BTreeSet<String>) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut at = 0;
    let verdict = any_of(&words, &mut at, accepted);
    verdict && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, accepted: &BTreeSet<String>) -> bool {
    let mut verdict = all_of(words, at, accepted);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        verdict |= all_of(words, at, accepted);
    }
    verdict
}

fn all_of(words: &[&str], at: &mut usize, accepted: &BTreeSet<String>) -> bool {
    let mut verdict = one_of(words, at, accepted);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        verdict &= one_of(words, at, accepted);
    }
    verdict
}

fn one_of(words: &[&str], at: &mut usize, accepted: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let verdict = any_of(words, at, accepted);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return verdict && closed;
    }
    let mut name = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        name += &format!(" WITH {}", words.get(*at + 1).unwrap_or(&"?"));
        *at += 2;
    }
    accepted.contains(&name)
}

#[test]
fn licence_expressions_are_read_right() {
    let accepted = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-2.0 OR MIT",
        "(MIT OR GPL-3.0) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_accepted(good, &accepted), "{good}");
    }
    for bad in ["GPL-2.0", "MIT AND GPL-2.0", "(MIT AND GPL-3.0) OR AGPL-3.0", "none stated", "", "(MIT"] {
        assert!(!is_accepted(bad, &accepted), "{bad}");
    }
}

/// What ARCHITECTURE.md and README.md point to is there.
#[test]
fn documents_point_to_files_that_exist() {
    let sources = sources();
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| s.path.ends_with(".md")) {
        let dir = root().join(&source.path).parent().expect("a file has a directory").to_path_buf();
        for (number, line) in source.lines() {
            for (at, _) in line.match_indices("](") {
                let target = line[at + 2..].split([')', '#']).next().unwrap_or_default();
                let elsewhere = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
                if !elsewhere && !dir.join(target).exists() {
                    found.push(format!("{}:{number}: {target}", source.path));
                }
            }
        }
    }
    none("links in documents lead somewhere", found);
}
