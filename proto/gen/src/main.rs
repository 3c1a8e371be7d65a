//! Writes `proto/src/gen` from `proto/proto`; with `--check` it only says whether the two agree.
//!
//! Needs no `protoc`: protox reads the files. What it writes is committed, so that a normal build needs neither
//! this program nor what it depends on; CI runs it with `--check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const FILES: [&str; 3] =
    ["plait/admin/v1/admin.proto", "plait/client/v1/client.proto", "plait/peer/v1/peer.proto"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            eprintln!("usage: plait-proto-gen [--check]; got {arguments:?}");
            return ExitCode::from(2);
        }
    };
    let proto =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the generator lies inside proto/").to_owned();
    match run(&proto, check) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(n) => {
            eprintln!(
                "{n} generated files differ from proto/proto; run `cargo run --manifest-path proto/gen/Cargo.toml`"
            );
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(70)
        }
    }
}

/// Returns how many files differ.
fn run(proto: &Path, check: bool) -> Result<usize, Box<dyn std::error::Error>> {
    let scratch = Scratch::new()?;
    let set = protox::compile(FILES, [proto.join("proto")])?;
    tonic_prost_build::configure().bytes(".").out_dir(&scratch.0).compile_fds(set)?;
    let target = proto.join("src/gen");
    let fresh = read(&scratch.0)?;
    let stale = read(&target)?;
    let mut differing = 0;
    for (name, text) in &fresh {
        if stale.iter().any(|(old, was)| old == name && was == text) {
            continue;
        }
        differing += 1;
        if check {
            eprintln!("differs: proto/src/gen/{name}");
        } else {
            std::fs::create_dir_all(&target)?;
            std::fs::write(target.join(name), text)?;
        }
    }
    for (name, _) in stale.iter().filter(|(old, _)| !fresh.iter().any(|(name, _)| name == old)) {
        differing += 1;
        if check {
            eprintln!("has no proto file: proto/src/gen/{name}");
        } else {
            std::fs::remove_file(target.join(name))?;
        }
    }
    Ok(if check { differing } else { 0 })
}

fn read(directory: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    if directory.exists() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            files.push((
                entry.file_name().to_string_lossy().into_owned(),
                std::fs::read_to_string(entry.path())?,
            ));
        }
    }
    files.sort();
    Ok(files)
}

/// A directory of this process that goes when it does.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        let path = std::env::temp_dir().join(format!("plait-proto-gen-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
