//! Lines for files, written by a thread of their own: a growing file may wait for the file system's journal, and
//! the thread that runs the machine may not.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Lines that wait; beyond it they are dropped and counted.
const WAITING_MAX: usize = 8192;
const STACK_BYTES: usize = 128 << 10;

enum Message {
    /// For `events.ndjson`.
    Event(String),
    /// For standard error.
    Log(Vec<u8>),
    /// Answered when all before it is written.
    Flush(SyncSender<()>),
}

/// A handle to the thread; cheap to clone.
#[derive(Clone)]
pub struct Lines {
    messages: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// How `events.ndjson` is kept: so many files of so many bytes.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    pub bytes_max: u64,
    pub files_max: u32,
}

impl Lines {
    /// Starts the thread; `events` is the file for events, if any.
    pub fn start(events: Option<(&Path, Rotation)>) -> io::Result<(Lines, JoinHandle<()>)> {
        let (messages, receiver) = sync_channel(WAITING_MAX);
        let file = events.map(|(path, rotation)| Rotated::open(path, rotation)).transpose()?;
        let thread = std::thread::Builder::new()
            .name("plait-lines".into())
            .stack_size(STACK_BYTES)
            .spawn(move || write(file, receiver))?;
        Ok((Lines { messages, dropped: Arc::default() }, thread))
    }

    fn send(&self, message: Message) {
        if self.messages.try_send(message).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    pub fn event(&self, line: String) {
        self.send(Message::Event(line));
    }

    pub fn log(&self, bytes: Vec<u8>) {
        self.send(Message::Log(bytes));
    }

    /// Waits until what was handed in is written.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.messages.send(Message::Flush(done)).is_ok() {
            let _ = written.recv();
        }
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

fn write(mut file: Option<Rotated>, messages: Receiver<Message>) {
    while let Ok(message) = messages.recv() {
        match message {
            Message::Event(line) => {
                let failed = file.as_mut().and_then(|file| file.line(&line).err());
                if let Some(error) = failed {
                    // The node goes on without its file; its ring in memory still has the latest.
                    eprintln!(
                        "events.ndjson can't be written: {error}; events are kept in memory only from here on"
                    );
                    file = None;
                }
            }
            Message::Log(bytes) => {
                let _ = io::stderr().write_all(&bytes);
            }
            Message::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// A file that gives way to a fresh one: `events.ndjson`, then `events.ndjson.1` and so on, the oldest last.
struct Rotated {
    path: PathBuf,
    rotation: Rotation,
    file: fs::File,
    bytes: u64,
}

impl Rotated {
    fn open(path: &Path, rotation: Rotation) -> io::Result<Rotated> {
        let file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Rotated { path: path.to_owned(), rotation, file, bytes })
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        if self.bytes >= self.rotation.bytes_max {
            self.rotate()?;
        }
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.bytes += line.len() as u64 + 1;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |n: u32| PathBuf::from(format!("{}.{n}", self.path.display()));
        for n in (1..self.rotation.files_max.saturating_sub(1)).rev() {
            match fs::rename(numbered(n), numbered(n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.rotation.files_max > 1 {
            fs::rename(&self.path, numbered(1))?;
        } else {
            fs::remove_file(&self.path)?;
        }
        *self = Rotated::open(&self.path, self.rotation)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_stay_and_the_files_are_bounded() {
        let dir = crate::scratch::Scratch::new("lines");
        let path = dir.path().join("events.ndjson");
        let (lines, thread) = Lines::start(Some((&path, Rotation { bytes_max: 100, files_max: 3 }))).unwrap();
        for n in 0..100 {
            lines.event(format!("line {n:04}"));
        }
        lines.flush();
        drop(lines);
        thread.join().unwrap();
        let mut names: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["events.ndjson", "events.ndjson.1", "events.ndjson.2"]);
        let text: String = ["events.ndjson.2", "events.ndjson.1", "events.ndjson"]
            .map(|name| fs::read_to_string(dir.path().join(name)).unwrap())
            .concat();
        assert!(text.ends_with("line 0099\n"));
        let kept: Vec<&str> = text.lines().collect();
        assert!(kept.len() < 100 && kept.windows(2).all(|pair| pair[0] < pair[1]), "{kept:?}");
    }
}
