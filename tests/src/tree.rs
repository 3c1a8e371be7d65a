//! The tracked files of this project, as text.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of the project.
#[derive(Debug, Clone)]
pub struct Source {
    /// From the project's root, with `/` between its parts.
    pub path: String,
    pub text: String,
}

impl Source {
    /// Lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Written by a program, so nobody's style.
    pub fn is_generated(&self) -> bool {
        self.path.starts_with("proto/src/gen/") || self.path.ends_with("Cargo.lock")
    }

    /// Code that no node runs: tests, and examples, which measure.
    pub fn is_test(&self) -> bool {
        let of_tests = |part: &str| self.path.contains(part);
        self.path.starts_with("tests/")
            || ["/tests/", "/examples/"].into_iter().any(of_tests)
            || self.path.ends_with("/tests.rs")
    }
}

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the project").to_path_buf()
}

/// All tracked files that are text. Where there is no git (an unpacked archive), all files but what is built.
pub fn sources() -> Vec<Source> {
    let root = root();
    let listed = Command::new("git").arg("-C").arg(&root).args(["ls-files", "-z"]).output();
    let paths: Vec<String> = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            let text = String::from_utf8(output.stdout).expect("paths are UTF-8");
            text.split_terminator('\0').map(str::to_owned).collect()
        }
        _ => {
            let mut found = Vec::new();
            walk(&root, &root, &mut found);
            found
        }
    };
    // A file that is tracked and removed, but not yet committed so, is left out.
    let read = |path: String| Some(Source { text: std::fs::read_to_string(root.join(&path)).ok()?, path });
    let sources: Vec<_> = paths.into_iter().filter_map(read).collect();
    assert!(sources.len() > 50, "the project has more files than {}", sources.len());
    sources
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("a directory of the project can be read") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("it has a name").to_string_lossy();
        if path.is_dir() {
            if !name.starts_with("target") && name != ".git" && name != "plait-runs" {
                walk(root, &path, found);
            }
        } else if let Ok(inside) = path.strip_prefix(root) {
            found.push(inside.to_string_lossy().replace('\\', "/"));
        }
    }
}
