//! What a test needs of the machine it runs on, and how long it is to go on. What is missing skips the test, which
//! says so, unless `PLAIT_REQUIRE` names it: then the test fails, so that no CI is green by skipping.

use std::process::{Command, Stdio};

/// Whether this program is here. `PLAIT_REQUIRE=mariadb,python3` turns a *no* into a failure.
pub fn program(name: &str) -> bool {
    let probe = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    met(name, probe.is_ok_and(|status| status.success()), "is not installed")
}

/// A condition by its name in `PLAIT_REQUIRE`; `why_not` says what is the matter without it.
pub fn met(name: &str, here: bool, why_not: &str) -> bool {
    if here {
        return true;
    }
    let required = std::env::var("PLAIT_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|word| word.trim() == name),
        "{name} {why_not}, and PLAIT_REQUIRE={required} asks for it; provide it, or take it out of PLAIT_REQUIRE"
    );
    println!("skipped: {name} {why_not}");
    false
}

/// How often a test that repeats something does it: as often as `PLAIT_ROUNDS` says, else its own default.
pub fn rounds(default: u64) -> u64 {
    std::env::var("PLAIT_ROUNDS")
        .map_or(default, |text| text.parse().expect("PLAIT_ROUNDS is a whole number"))
}
