//! The simulator's program, from outside: the same number, the same run; a planted bug is found.

use plait_tests::cluster::{Ran, binary, run};
use plait_tests::need;
use std::process::Command;
use std::time::Duration;

fn chaos(words: &[&str]) -> Ran {
    run(Command::new(binary("plait-chaos")).args(words), Duration::from_secs(300))
}

#[test]
fn a_seed_is_a_run() {
    let first = chaos(&["run", "--seed", "7", "--json"]).ok();
    let second = chaos(&["run", "--seed", "7", "--json"]).ok();
    let (first, second) = (first.json(), second.json());
    assert_eq!(first["verdict"], "valid", "{first}");
    assert!(first["hash"].is_string() && first["hash"] == second["hash"], "{first} and {second}");
    let other = chaos(&["run", "--seed", "8", "--json"]).ok().json();
    assert_ne!(first["hash"], other["hash"], "another seed is another run");
}

/// A bug that only a look at the whole history shows: it is found, made small, and drawn.
#[test]
fn a_lost_update_is_found_made_small_and_drawn() {
    let seed = ["--seed", "2", "--workload", "list-append", "--bug", "SameOriginSkipped"];
    let found = chaos(&[&["run", "--json"], &seed[..]].concat());
    if !need::met("zoo", found.code != Some(2), "is not built into plait-chaos (feature zoo)") {
        return;
    }
    assert_eq!(found.code, Some(1), "{found}");
    assert_eq!(found.json()["violations"][0]["invariant"], "list-append/lost-update", "{found}");
    let home = std::env::temp_dir().join(format!("plait-shrunk-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a temporary directory");
    let (plan, page) = (home.join("plan.json"), home.join("report.html"));
    let [plan_name, page_name] = [&plan, &page].map(|path| path.to_str().expect("a path of ours is text"));
    let shrunk = chaos(&[&["shrink", "--json", "--runs", "400", "--out", plan_name], &seed[..]].concat());
    assert_eq!(shrunk.code, Some(1), "{shrunk}");
    let ops = shrunk.json()["ops"].as_u64().unwrap_or(u64::MAX);
    assert!((2..=12).contains(&ops), "{ops} transactions are left: {shrunk}");
    let drawn = chaos(&["report", plan_name, "--out", page_name]);
    assert_eq!(drawn.code, Some(1), "{drawn}");
    let text = std::fs::read_to_string(&page).expect("a page");
    assert!(text.contains("lost-update") && text.len() < 2 << 20, "{} bytes", text.len());
    std::fs::remove_dir_all(&home).expect("it was there");
}

#[test]
fn nonsense_is_refused() {
    assert_eq!(chaos(&["run", "--seed", "seven"]).code, Some(2));
    assert_eq!(chaos(&["run", "--seed", "7", "--bug", "NoSuchBug"]).code, Some(2));
}
