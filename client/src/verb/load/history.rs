//! The record of a run: every operation as it was asked and answered, one line of JSON each, in Jepsen's form.

use crate::fail::{Fail, Res};
use crate::home::{self, Place};
use serde_json::{Value as Json, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A history is not written beyond this; the verdict never depends on it.
const BYTES_MAX: u64 = 256 << 20;

pub(super) struct History {
    dir: PathBuf,
    file: BufWriter<File>,
    began: Instant,
    bytes: u64,
}

impl History {
    pub(super) fn create(place: &Place, name: &str) -> Res<History> {
        let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let run = format!("{second}-{name}");
        let dir = place.runs().join(&run);
        home::make_dir(&dir)?;
        let latest = place.runs().join("latest");
        let _ = std::fs::remove_file(&latest);
        let _ = std::os::unix::fs::symlink(&run, &latest);
        let path = dir.join("history.jsonl");
        let file = File::create(&path).map_err(|e| Fail::file("write", &path, &e))?;
        Ok(History { dir, file: BufWriter::new(file), began: Instant::now(), bytes: 0 })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether every operation is in it.
    pub(super) fn complete(&self) -> bool {
        self.bytes < BYTES_MAX
    }

    /// `kind` is Jepsen's: invoke, ok, fail or info (which means unknown).
    pub(super) fn put(&mut self, process: u32, kind: &str, f: &str, value: &Json) {
        if !self.complete() {
            return;
        }
        let line = json!({ "process": process, "type": kind, "f": f, "value": value, "time": self.began.elapsed().as_nanos() as u64 });
        let text = line.to_string();
        self.bytes += text.len() as u64 + 1;
        if writeln!(self.file, "{text}").is_err() {
            // A full disk ends the record, not the run.
            self.bytes = BYTES_MAX;
        }
    }

    pub(super) fn finish(&mut self, verdict: &Json) -> Res<()> {
        let path = self.dir.join("verdict.json");
        let mut document = json!({ "schema": "plait.verdict/1" });
        if let (Json::Object(all), Json::Object(fields)) = (&mut document, verdict) {
            all.extend(fields.clone());
        }
        let written = self.file.flush().and_then(|()| std::fs::write(&path, format!("{document:#}\n")));
        written.map_err(|e| Fail::file("write", &path, &e))
    }
}
