//! The seam to a node's files: what a machine asks to be written, and what it finds when it starts.
//!
//! Writes are outputs and are answered; reads happen at start alone, before the first step. The host stands
//! behind this with real files, the simulator with files that lose what was not synced.

use bytes::Bytes;
use std::fmt;

/// The files of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum File {
    /// Who this directory belongs to: cluster, slot, incarnation. Written once.
    Identity,
    /// A segment of the write-ahead log, numbered from 1.
    Segment(u32),
}

impl fmt::Display for File {
    /// The file's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            File::Identity => f.write_str("identity"),
            File::Segment(n) => write!(f, "wal-{n:08}"),
        }
    }
}

impl File {
    /// The inverse of the name; `None` for a file that is not one of ours.
    pub fn parse(name: &str) -> Option<File> {
        match name {
            "identity" => Some(File::Identity),
            _ => name.strip_prefix("wal-")?.parse().ok().map(File::Segment),
        }
    }
}

/// One change to the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Makes a file of this many zero bytes; an existing one is replaced.
    Create { file: File, bytes: u64 },
    /// Overwrites a range of an existing file.
    Write { file: File, at: u64, bytes: Bytes },
    /// Removes a file; nothing if it is not there.
    Remove { file: File },
    /// Puts a file out of use without destroying it: it goes, under its name, to a directory `aside-<stamp>`.
    Aside { file: File },
}

/// A list of changes to be made in order and then made durable as one: when it is reported as persisted, each is
/// on disk. Before that any part of it may be lost in a crash, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persist {
    /// Tokens count up from 1; the world reports them in order.
    pub token: u64,
    pub ops: Vec<Op>,
}

/// Why a file could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {why}")]
pub struct Error {
    pub file: String,
    pub why: String,
}

/// What a machine may read when it starts.
pub trait Disk {
    /// All of this node's files, in order.
    fn list(&self) -> Result<Vec<File>, Error>;
    /// A file, whole.
    fn read(&self, file: File) -> Result<Vec<u8>, Error>;
}
