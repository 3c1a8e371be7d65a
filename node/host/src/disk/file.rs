//! Real files under the write-ahead log, on a thread of their own.
//!
//! Intuition: while one sync runs, the next group gathers; so the busier the node, the more commits share a sync.
//! Invariant: a token is reported only after every change of its `Persist` and of all before it was written and
//! synced: each touched file with fdatasync, and the directory where a name was made, moved or removed.
//! New files are filled with real zeros before they are used: a sync that has to change a file's size or its
//! extents waits for the file system's journal, which here was twenty times slower (`research`, storage).
//! To keep that filling off the commit path, an idle disk makes the next file in advance, slice by slice.

use super::direct::LogFile;
use super::{Done, Figures, Report, power};
use crate::sys;
use plait_base::disk::{self, File, Op, Persist};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};

/// Name of the file that is made in advance.
const SPARE: &str = "spare";
/// How much of it is filled between two looks at the queue.
const SPARE_SLICE_BYTES: u64 = 256 << 10;
/// Stack of the disk's thread; it never recurses.
const STACK_BYTES: usize = 256 << 10;

/// How the disk is to behave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mode {
    /// Offer `power_off`.
    pub power: bool,
    /// A planted bug: syncs are not done, yet reported as done.
    pub no_sync: bool,
}

/// A directory with the files of one node.
pub struct FileDisk {
    stored: Stored,
    shared: Arc<Shared>,
    mode: Mode,
    thread: Option<JoinHandle<()>>,
}

struct Stored {
    dir: PathBuf,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
    syncs: AtomicU64,
    groups: AtomicU64,
    persists: AtomicU64,
    bytes: AtomicU64,
    busy_us: AtomicU64,
    queued_bytes: AtomicU64,
}

#[derive(Default)]
struct Queue {
    persists: Vec<Persist>,
    closing: bool,
    /// The seed of a power cut that is to happen now.
    power_off: Option<u64>,
}

impl FileDisk {
    /// Opens the directory, which must be there, and starts the thread.
    pub fn open(dir: &Path, mode: Mode, report: Report) -> io::Result<FileDisk> {
        let handle = fs::File::open(dir)?;
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            dir: dir.to_owned(),
            handle,
            open: BTreeMap::new(),
            shared: shared.clone(),
            report,
            mode,
            unsynced: Vec::new(),
            spare: Spare::default(),
        };
        let thread = std::thread::Builder::new()
            .name("plait-disk".into())
            .stack_size(STACK_BYTES)
            .spawn(move || worker.run())?;
        Ok(FileDisk { stored: Stored { dir: dir.to_owned() }, shared, mode, thread: Some(thread) })
    }

    fn tell(&self, what: impl FnOnce(&mut Queue)) {
        what(&mut self.shared.queue.lock().expect("the disk's thread does not panic with the lock held"));
        self.shared.more.notify_one();
    }
}

impl super::Files for FileDisk {
    fn stored(&self) -> &dyn disk::Disk {
        &self.stored
    }

    fn submit(&mut self, persist: Persist) {
        self.shared.queued_bytes.fetch_add(weight(&persist), Relaxed);
        self.tell(|queue| queue.persists.push(persist));
    }

    fn figures(&self) -> Figures {
        let shared = &self.shared;
        Figures {
            syncs: shared.syncs.load(Relaxed),
            groups: shared.groups.load(Relaxed),
            persists: shared.persists.load(Relaxed),
            bytes: shared.bytes.load(Relaxed),
            busy_us: shared.busy_us.load(Relaxed),
            queued_bytes: shared.queued_bytes.load(Relaxed),
        }
    }

    fn power_off(&mut self) -> Result<(), String> {
        if !self.mode.power {
            return Err("the disk is not in power mode; set power = true in the node's configuration".into());
        }
        let mut seed = [0; 8];
        sys::random(&mut seed);
        self.tell(|queue| queue.power_off = Some(u64::from_le_bytes(seed)));
        self.join();
        sys::end_now(libc::SIGKILL + 128)
    }

    fn close(&mut self) {
        self.tell(|queue| queue.closing = true);
        self.join();
    }
}

impl FileDisk {
    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for FileDisk {
    /// Only so that a test leaves no thread behind; durability does not rest on it.
    fn drop(&mut self) {
        self.tell(|queue| queue.closing = true);
    }
}

fn weight(persist: &Persist) -> u64 {
    let bytes = |op: &Op| match op {
        Op::Write { bytes, .. } => bytes.len() as u64,
        Op::Create { .. } | Op::Remove { .. } | Op::Aside { .. } => 0,
    };
    persist.ops.iter().map(bytes).sum()
}

fn failed(file: &str, error: &io::Error) -> disk::Error {
    disk::Error { file: file.to_owned(), why: error.to_string() }
}

impl disk::Disk for Stored {
    fn list(&self) -> Result<Vec<File>, disk::Error> {
        let here = |error| failed(&self.dir.display().to_string(), &error);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(here)? {
            files.extend(entry.map_err(here)?.file_name().to_str().and_then(File::parse));
        }
        files.sort();
        Ok(files)
    }

    fn read(&self, file: File) -> Result<Vec<u8>, disk::Error> {
        fs::read(self.dir.join(file.to_string())).map_err(|error| failed(&file.to_string(), &error))
    }
}

/// What the thread owns.
struct Worker {
    dir: PathBuf,
    handle: fs::File,
    open: BTreeMap<File, LogFile>,
    shared: Arc<Shared>,
    report: Report,
    mode: Mode,
    /// With `no_sync`: what was reported as durable and is not.
    unsynced: Vec<Op>,
    spare: Spare,
}

/// The file that is made in advance.
#[derive(Default)]
struct Spare {
    /// The size that was last asked for; 0: none yet.
    wanted_bytes: u64,
    filled_bytes: u64,
    file: Option<fs::File>,
}

/// Writes that join on to one another.
#[derive(Default)]
struct Run {
    file: Option<File>,
    at: u64,
    bytes: Vec<u8>,
}

impl Run {
    fn goes_on(&self, file: File, at: u64) -> bool {
        self.file == Some(file) && self.at + self.bytes.len() as u64 == at
    }
}

/// What a group of changes touched and has to sync.
#[derive(Default)]
struct Touched {
    files: BTreeSet<File>,
    names: bool,
}

impl Worker {
    fn run(mut self) {
        loop {
            let (persists, power_off) = match self.wait() {
                Some(work) => work,
                None => return,
            };
            if let Some(seed) = power_off {
                return self.lose(seed, persists);
            }
            let token = persists.last().expect("the wait ends with work").token;
            let begin = Instant::now();
            let bytes: u64 = persists.iter().map(weight).sum();
            let count = persists.len() as u64;
            let done = match self.group(persists) {
                Ok(()) => Done::Persisted { token },
                Err(error) => Done::DiskFailed { token, why: error.to_string() },
            };
            let shared = &self.shared;
            shared.groups.fetch_add(1, Relaxed);
            shared.persists.fetch_add(count, Relaxed);
            shared.bytes.fetch_add(bytes, Relaxed);
            shared.busy_us.fetch_add(begin.elapsed().as_micros() as u64, Relaxed);
            shared.queued_bytes.fetch_sub(bytes, Relaxed);
            let over = matches!(done, Done::DiskFailed { .. });
            self.report.done(done);
            if over {
                // After a failed sync the kernel may have dropped the pages: nothing that is tried again can be
                // believed. The machine stops; what is on disk is read at its next start.
                return;
            }
        }
    }

    /// Waits for work, making the spare file while there is none. `None`: the end.
    fn wait(&mut self) -> Option<(Vec<Persist>, Option<u64>)> {
        let shared = self.shared.clone();
        loop {
            let mut queue = shared.queue.lock().expect("whoever submits does not panic with the lock held");
            loop {
                if queue.power_off.is_some() || !queue.persists.is_empty() {
                    return Some((std::mem::take(&mut queue.persists), queue.power_off));
                }
                if queue.closing {
                    drop(queue);
                    self.settle();
                    return None;
                }
                if self.spare.filled_bytes < self.spare.wanted_bytes {
                    break;
                }
                queue = shared.more.wait(queue).expect("whoever submits does not panic with the lock held");
            }
            drop(queue);
            if self.fill_spare().is_err() {
                // Nothing depends on it; what it took of a full disk is given back.
                self.spare = Spare::default();
                let _ = fs::remove_file(self.dir.join(SPARE));
            }
        }
    }

    /// Writes a group and makes it durable.
    fn group(&mut self, persists: Vec<Persist>) -> Result<(), disk::Error> {
        let ops = persists.into_iter().flat_map(|persist| persist.ops);
        if self.mode.no_sync {
            self.unsynced.extend(ops);
            return Ok(());
        }
        let mut touched = Touched::default();
        let mut run = Run::default();
        for op in ops {
            match op {
                Op::Write { file, at, bytes } if run.goes_on(file, at) => run.bytes.extend_from_slice(&bytes),
                op => {
                    self.write_run(&mut run, &mut touched)?;
                    match op {
                        Op::Write { file, at, bytes } => {
                            run = Run { file: Some(file), at, bytes: bytes.to_vec() };
                        }
                        op => self.apply(&op, &mut touched)?,
                    }
                }
            }
        }
        self.write_run(&mut run, &mut touched)?;
        self.sync(touched)
    }

    fn write_run(&mut self, run: &mut Run, touched: &mut Touched) -> Result<(), disk::Error> {
        let Run { file: Some(file), at, bytes } = std::mem::take(run) else { return Ok(()) };
        self.write(file, at, &bytes, touched)
    }

    fn write(&mut self, file: File, at: u64, bytes: &[u8], touched: &mut Touched) -> Result<(), disk::Error> {
        let written = self.handle(file).and_then(|handle| handle.write(at, bytes));
        touched.files.insert(file);
        written.map_err(|error| failed(&file.to_string(), &error))
    }

    fn apply(&mut self, op: &Op, touched: &mut Touched) -> Result<(), disk::Error> {
        match op {
            Op::Create { file, bytes } => {
                self.create(*file, *bytes).map_err(|error| failed(&file.to_string(), &error))?;
                touched.files.insert(*file);
                touched.names = true;
            }
            Op::Write { file, at, bytes } => {
                self.write(*file, *at, bytes, touched)?;
            }
            Op::Remove { file } => {
                self.forget(*file, touched);
                match fs::remove_file(self.path(*file)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(failed(&file.to_string(), &error));
                    }
                    _ => {}
                }
            }
            Op::Aside { file } => {
                self.forget(*file, touched);
                self.aside(*file).map_err(|error| failed(&file.to_string(), &error))?;
            }
        }
        Ok(())
    }

    fn sync(&mut self, touched: Touched) -> Result<(), disk::Error> {
        for file in &touched.files {
            let handle = self.handle(*file).map_err(|error| failed(&file.to_string(), &error))?;
            handle.sync().map_err(|error| failed(&file.to_string(), &error))?;
            self.shared.syncs.fetch_add(1, Relaxed);
        }
        if touched.names {
            self.handle.sync_all().map_err(|error| failed(&self.dir.display().to_string(), &error))?;
            self.shared.syncs.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn path(&self, file: File) -> PathBuf {
        self.dir.join(file.to_string())
    }

    fn handle(&mut self, file: File) -> io::Result<&mut LogFile> {
        use std::collections::btree_map::Entry;
        match self.open.entry(file) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(place) => {
                let handle = fs::OpenOptions::new().write(true).open(self.dir.join(file.to_string()))?;
                Ok(place.insert(LogFile::found(handle)))
            }
        }
    }

    fn forget(&mut self, file: File, touched: &mut Touched) {
        self.open.remove(&file);
        touched.files.remove(&file);
        touched.names = true;
    }

    fn create(&mut self, file: File, bytes: u64) -> io::Result<()> {
        self.open.remove(&file);
        let path = self.path(file);
        let handle = match self.spare.file.take() {
            Some(spare) if self.spare.filled_bytes <= bytes => {
                fill(&spare, self.spare.filled_bytes, bytes - self.spare.filled_bytes)?;
                fs::rename(self.dir.join(SPARE), &path)?;
                spare
            }
            _ => {
                let handle = fs::OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
                fill(&handle, 0, bytes)?;
                handle
            }
        };
        self.spare.filled_bytes = 0;
        if matches!(file, File::Segment(_)) {
            self.spare.wanted_bytes = bytes;
        }
        self.open.insert(file, LogFile::made(handle, &path, bytes));
        Ok(())
    }

    /// One slice of zeros (over what an earlier life may have left), synced, so that no commit ever waits for more than a slice.
    fn fill_spare(&mut self) -> io::Result<()> {
        if self.spare.file.is_none() {
            let path = self.dir.join(SPARE);
            self.spare.file =
                Some(fs::OpenOptions::new().write(true).create(true).truncate(true).open(path)?);
            self.spare.filled_bytes = 0;
        }
        let spare = &mut self.spare;
        let file = spare.file.as_ref().expect("made above");
        let slice = SPARE_SLICE_BYTES.min(spare.wanted_bytes - spare.filled_bytes);
        fill(file, spare.filled_bytes, slice)?;
        file.sync_data()?;
        spare.filled_bytes += slice;
        Ok(())
    }

    fn aside(&mut self, file: File) -> io::Result<()> {
        let place = aside_dir(&self.dir)?;
        fs::rename(self.path(file), place.join(file.to_string()))?;
        fs::File::open(&place)?.sync_all()
    }

    /// At an ordered end even what the planted bug kept back goes to the files.
    fn settle(&mut self) {
        let mut touched = Touched::default();
        for op in std::mem::take(&mut self.unsynced) {
            if self.apply(&op, &mut touched).is_err() {
                return;
            }
        }
        let _ = self.sync(touched);
        if self.spare.file.take().is_some() {
            let _ = fs::remove_file(self.dir.join(SPARE));
        }
    }

    /// The power goes: of what is not synced, the drawn part reaches the files.
    fn lose(mut self, seed: u64, persists: Vec<Persist>) {
        let mut unsynced = std::mem::take(&mut self.unsynced);
        unsynced.extend(persists.into_iter().flat_map(|persist| persist.ops));
        let before = unsynced.len();
        let survivors = power::survivors(seed, unsynced);
        let mut touched = Touched::default();
        let mut kept = 0;
        for op in &survivors {
            // A write into a file whose making was lost is lost with it.
            kept += usize::from(self.apply(op, &mut touched).is_ok());
        }
        eprintln!(
            "power off, seed {seed}: of {before} unsynced changes, {kept} whole or partial ones survive"
        );
    }
}

fn fill(file: &fs::File, at: u64, bytes: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut done = 0;
    while done < bytes {
        let n = (bytes - done).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..n as usize], at + done)?;
        done += n;
    }
    Ok(())
}

/// A directory for what is put out of use now.
pub fn aside_dir(dir: &Path) -> io::Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |span| span.as_secs());
    let place = dir.join(format!("aside-{seconds}"));
    fs::create_dir_all(&place)?;
    fs::File::open(dir)?.sync_all()?;
    Ok(place)
}

#[cfg(test)]
mod tests;
