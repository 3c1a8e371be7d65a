//! The same seed in two processes: the same hash, and a valid run.

use std::process::Command;

/// Seeds that are run here; `plait-tier-b --seed N` runs any.
const SEEDS: u64 = 10;

/// Within so many seeds a run on lying disks is found out.
const LYING_SEEDS: u64 = 20;

fn run(seed: u64, noise: bool) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plait-tier-b"));
    command.args(["--seed", &seed.to_string()]);
    if noise {
        command.env("PLAIT_NOISE", "x".repeat(3000));
    }
    let output = command.output().expect("the binary of this crate runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_seed_is_a_run_and_its_answers_are_true() {
    for seed in 1..=SEEDS {
        let (code, one) = run(seed, false);
        assert_eq!(code, Some(0), "seed {seed}: {one}");
        let (_, two) = run(seed, true);
        assert_eq!(one, two, "seed {seed} ran differently in two processes");
    }
}

#[test]
fn disks_that_lie_are_found_out() {
    let found = (1..=LYING_SEEDS).find(|seed| {
        let seed = seed.to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_plait-tier-b"))
            .args(["--seed", &seed, "--lying-disks"])
            .output();
        output.expect("the binary of this crate runs").status.code() == Some(1)
    });
    assert!(found.is_some(), "none of {LYING_SEEDS} seeds noticed that acknowledged rows were lost");
}
