//! What a test needs of the machine it runs on. Without it the test is skipped and says so, unless `PLAIT_REQUIRE`
//! names it: then the test fails, so that no CI is green by skipping.

use std::process::{Command, Stdio};

/// Whether this program is here. `PLAIT_REQUIRE=mariadb,python3` turns a *no* into a failure.
pub fn program(name: &str) -> bool {
    let probe = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if probe.is_ok_and(|status| status.success()) {
        return true;
    }
    let required = std::env::var("PLAIT_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|word| word.trim() == name),
        "{name} is not here and PLAIT_REQUIRE={required} asks for it; install it, or take it out of PLAIT_REQUIRE"
    );
    println!("skipped: {name} is not installed");
    false
}
