//! `plait-node debug`: a node's files in words. Reads them and changes nothing; the node need not be stopped.

use clap::Subcommand;
use plait_base::disk::File;
use plait_host::disk::checkpoints;
use plait_host::exit::Exit;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum What {
    /// The write-ahead log: of a data directory, or one segment.
    Log { path: PathBuf },
    /// The heads of the two checkpoint generations of a data directory, or one head.
    Checkpoint { path: PathBuf },
}

pub fn run(what: &What) -> Exit {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let told = match what {
        What::Log { path } => log(path, &mut out),
        What::Checkpoint { path } => checkpoint(path, &mut out),
    };
    match told.and_then(|exit| out.flush().map(|()| exit)) {
        Ok(exit) => exit,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => Exit::Environment(format!("standard output: {error}")),
    }
}

/// The files under a directory that fit, in order; a path to a file is that file.
fn files(path: &Path, fits: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, Exit> {
    let unfit = |error: std::io::Error| Exit::Environment(format!("{}: {error}", path.display()));
    if !std::fs::metadata(path).map_err(unfit)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unfit)? {
        let path = entry.map_err(unfit)?.path();
        found.extend(
            path.file_name().and_then(|name| name.to_str()).is_some_and(&fits).then_some(path.clone()),
        );
    }
    found.sort();
    if found.is_empty() {
        return Err(Exit::WrongState(format!("{} has none; is it a node's data directory?", path.display())));
    }
    Ok(found)
}

fn log(path: &Path, out: &mut impl Write) -> std::io::Result<Exit> {
    let segments = match files(path, |name| matches!(File::parse(name), Some(File::Segment(_)))) {
        Ok(segments) => segments,
        Err(exit) => return Ok(exit),
    };
    for segment in segments {
        writeln!(out, "{}", segment.display())?;
        match std::fs::read(&segment) {
            Ok(bytes) => {
                for line in plait_replica::describe_log(&bytes) {
                    writeln!(out, "  {line}")?;
                }
            }
            Err(error) => return Ok(Exit::Environment(format!("{}: {error}", segment.display()))),
        }
    }
    Ok(Exit::Done)
}

fn checkpoint(path: &Path, out: &mut impl Write) -> std::io::Result<Exit> {
    let heads = match files(path, |name| name.starts_with("checkpoint-") && name.ends_with(".head")) {
        Ok(heads) => heads,
        Err(exit) => return Ok(exit),
    };
    let mut exit = Exit::Done;
    for head in heads {
        let told = std::fs::read(&head).map_err(|error| error.to_string());
        match told.and_then(|bytes| checkpoints::describe(&bytes)) {
            Ok(line) => writeln!(out, "{}: {line}", head.display())?,
            Err(why) => {
                writeln!(out, "{}: {why}", head.display())?;
                exit = Exit::WrongState(format!("{}: {why}", head.display()));
            }
        }
    }
    Ok(exit)
}
