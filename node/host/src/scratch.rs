//! For tests: a directory that goes with its test, and a wait for a condition that has a bound.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// No condition of a test takes longer on the slowest machine.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("plait-host-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    plait_tests::wait::until(what, WAIT_MAX, || if holds() { Ok(()) } else { Err("not yet".into()) });
}
