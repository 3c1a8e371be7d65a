//! The simulator's program, from outside: the same number, the same run; a planted bug is found.

use plait_tests::cluster::{Ran, binary, run};
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

#[test]
fn nonsense_is_refused() {
    assert_eq!(chaos(&["run", "--seed", "seven"]).code, Some(2));
    assert_eq!(chaos(&["run", "--seed", "7", "--bug", "NoSuchBug"]).code, Some(2));
}
