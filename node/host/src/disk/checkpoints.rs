//! Checkpoints on sled 0.34, two generations in two directories, on a thread of their own.
//!
//! Generation `g` lies in `checkpoint-a` or `checkpoint-b` by its parity. It counts only while the small file
//! beside the directory (`checkpoint-a.head`) names it, and that file is written last: after every row was
//! synced, the tree was closed, opened again, read whole, and its digest compared (DESIGN law 17). Whoever writes
//! over a directory first removes its head, so a half-written one is never taken for either generation.
//! sled says that its `flush` syncs; on Linux it ends in `sync_file_range`, which leaves the disk's own cache and
//! the file's size alone. So each of its files is synced here as well.
//! A tree is open only while it is written or read: idle, this costs one sleeping thread.

mod head;
mod tree;

use super::Report;
use head::Head;
use plait_base::{Bytes, SetHash, disk, kv};
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tree::Tree;

/// Bytes that go to the tree in one batch: more would hold its locks, and the disk, for too long.
const BATCH_BYTES_MAX: usize = 256 << 10;
const STACK_BYTES: usize = 512 << 10;

/// What bounds the writing.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub cache_bytes: u64,
    /// 0: no bound.
    pub bytes_per_s: u64,
}

/// The two generations under one directory.
pub struct SledCheckpoints {
    stored: Stored,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Stored {
    place: Place,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
}

#[derive(Default)]
struct Queue {
    ops: VecDeque<kv::Op>,
    closing: bool,
}

impl SledCheckpoints {
    pub fn open(dir: &Path, bounds: Bounds, report: Report) -> io::Result<SledCheckpoints> {
        let shared = Arc::new(Shared::default());
        let place = Place { dir: dir.to_owned(), bounds };
        let worker = Worker { place: place.clone(), shared: shared.clone(), report, writing: None };
        let thread = std::thread::Builder::new()
            .name("plait-kv".into())
            .stack_size(STACK_BYTES)
            .spawn(move || worker.run())?;
        Ok(SledCheckpoints { stored: Stored { place }, shared, thread: Some(thread) })
    }

    fn tell(&self, what: impl FnOnce(&mut Queue)) {
        what(&mut self.shared.queue.lock().expect("the checkpoint thread does not panic with the lock held"));
        self.shared.more.notify_all();
    }
}

impl super::Checkpoints for SledCheckpoints {
    fn stored(&self) -> &dyn kv::Kv {
        &self.stored
    }

    fn submit(&mut self, op: kv::Op) {
        self.tell(|queue| queue.ops.push_back(op));
    }

    fn close(&mut self) {
        self.tell(|queue| queue.closing = true);
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for SledCheckpoints {
    /// Only so that a test leaves no thread behind.
    fn drop(&mut self) {
        self.tell(|queue| queue.closing = true);
    }
}

/// Where things are.
#[derive(Clone)]
struct Place {
    dir: PathBuf,
    bounds: Bounds,
}

impl Place {
    fn tree(&self, generation: u64) -> PathBuf {
        self.dir.join(if generation.is_multiple_of(2) { "checkpoint-a" } else { "checkpoint-b" })
    }

    fn head(&self, generation: u64) -> PathBuf {
        self.tree(generation).with_extension("head")
    }

    /// The head of the directory with this parity; `None`: no generation is there.
    fn read_head(&self, parity: u64) -> Result<Option<Head>, String> {
        let path = self.head(parity);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let head = Head::decode(&bytes).map_err(|why| format!("{}: {why}", path.display()))?;
        if head.generation % 2 != parity {
            return Err(format!(
                "{}: names generation {}, which is not its own",
                path.display(),
                head.generation
            ));
        }
        Ok(Some(head))
    }

    fn sync_dir(&self) -> io::Result<()> {
        fs::File::open(&self.dir)?.sync_all()
    }
}

impl kv::Kv for Stored {
    /// Opens the newest, which will be scanned next; an older one is opened when it is scanned.
    fn generations(&self) -> (Vec<(u64, Bytes)>, Vec<(u64, String)>) {
        let (mut whole, mut broken) = (Vec::new(), Vec::new());
        for parity in [0, 1] {
            match self.place.read_head(parity) {
                Ok(Some(head)) => whole.push((head.generation, head.head)),
                Ok(None) => {}
                Err(why) => broken.push((parity, why)),
            }
        }
        whole.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
        while let Some((generation, _)) = whole.first() {
            match Tree::open(&self.place.tree(*generation), self.place.bounds.cache_bytes) {
                Ok(_) => break,
                Err(why) => {
                    broken.push((*generation, why));
                    whole.remove(0);
                }
            }
        }
        (whole, broken)
    }

    fn scan(&self, generation: u64, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), disk::Error> {
        let path = self.place.tree(generation);
        let failed = |why: String| disk::Error { file: path.display().to_string(), why };
        Tree::open(&path, self.place.bounds.cache_bytes).map_err(failed)?.scan(each).map_err(failed)
    }
}

/// What the thread owns.
struct Worker {
    place: Place,
    shared: Arc<Shared>,
    report: Report,
    /// The generation under way; `Err`: it has failed, and what else comes for it is passed over.
    writing: Option<(u64, Result<Tree, ()>)>,
}

impl Worker {
    fn run(mut self) {
        // A checkpoint reads its place back whole, and no client waits for it.
        crate::sys::give_way();
        while let Some(op) = self.wait() {
            let generation = match &op {
                kv::Op::Begin { generation, .. }
                | kv::Op::Write { generation, .. }
                | kv::Op::Finish { generation, .. } => *generation,
            };
            let answer = match self.op(op) {
                Ok(None) => continue,
                Ok(Some(answer)) => answer,
                Err(why) => {
                    self.writing = Some((generation, Err(())));
                    kv::Answer::Failed { generation, why }
                }
            };
            self.report.done(super::Done::Checkpoint(answer));
        }
    }

    fn wait(&self) -> Option<kv::Op> {
        let mut queue = self.shared.queue.lock().expect("whoever submits does not panic with the lock held");
        loop {
            if queue.closing {
                return None;
            }
            if let Some(op) = queue.ops.pop_front() {
                return Some(op);
            }
            queue = self.shared.more.wait(queue).expect("whoever submits does not panic with the lock held");
        }
    }

    fn op(&mut self, op: kv::Op) -> Result<Option<kv::Answer>, String> {
        match op {
            kv::Op::Begin { generation, over } => {
                self.begin(generation, over)?;
                Ok(None)
            }
            kv::Op::Write { generation, rows } => match self.tree(generation) {
                Some(Ok(tree)) => {
                    let begin = Instant::now();
                    let bytes = tree.write(rows, BATCH_BYTES_MAX)?;
                    self.pace(bytes, begin);
                    Ok(Some(kv::Answer::Written { generation }))
                }
                Some(Err(())) => Ok(None),
                None => Err(format!("generation {generation} was not begun")),
            },
            kv::Op::Finish { generation, head, digest } => match self.writing.take() {
                Some((under_way, Ok(tree))) if under_way == generation => {
                    self.finish(generation, tree, head, digest)?;
                    Ok(Some(kv::Answer::Done { generation }))
                }
                Some((under_way, Err(()))) if under_way == generation => Ok(None),
                _ => Err(format!("generation {generation} was not begun")),
            },
        }
    }

    fn tree(&mut self, generation: u64) -> Option<Result<&mut Tree, ()>> {
        match &mut self.writing {
            Some((under_way, tree)) if *under_way == generation => Some(tree.as_mut().map_err(|_| ())),
            _ => None,
        }
    }

    fn begin(&mut self, generation: u64, over: Option<u64>) -> Result<(), String> {
        // One tree at a time: a generation that was given up closes before the next opens.
        self.writing = None;
        let path = self.place.tree(generation);
        if let Some(over) = over {
            let stands = self.place.read_head(over % 2)?.map(|head| head.generation);
            if stands != Some(over) || over % 2 != generation % 2 {
                return Err(format!(
                    "generation {generation} was to be written over {over}, and {} holds {stands:?}",
                    path.display()
                ));
            }
        }
        self.void(generation).map_err(|error| format!("{}: {error}", path.display()))?;
        if over.is_none() {
            self.clear(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let tree = Tree::open(&path, self.place.bounds.cache_bytes)?;
        self.writing = Some((generation, Ok(tree)));
        Ok(())
    }

    /// Takes the name away from what the directory holds.
    fn void(&self, generation: u64) -> io::Result<()> {
        match fs::remove_file(self.place.head(generation)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.place.sync_dir(),
        }
    }

    /// Empties the directory. One that does not open may hold what someone wants to look at: it goes aside.
    fn clear(&self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            return Ok(());
        }
        if Tree::open(path, self.place.bounds.cache_bytes).is_ok() {
            return fs::remove_dir_all(path);
        }
        let aside = super::file::aside_dir(&self.place.dir)?;
        let name = path.file_name().expect("the directory has a name");
        fs::rename(path, aside.join(name))?;
        fs::File::open(&aside)?.sync_all()?;
        self.place.sync_dir()
    }

    fn finish(
        &self,
        generation: u64,
        tree: Tree,
        head: Bytes,
        digest: plait_base::Digest,
    ) -> Result<(), String> {
        let path = self.place.tree(generation);
        tree.flush()?;
        drop(tree);
        tree::sync_files(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let (mut found, mut rows) = (SetHash::default(), 0_u64);
        Tree::open(&path, self.place.bounds.cache_bytes)?.scan(&mut |key, value| {
            found.add(key, value);
            rows += 1;
        })?;
        if found.digest() != digest {
            return Err(format!(
                "generation {generation} reads back as {} with {rows} rows, and {digest} was written",
                found.digest()
            ));
        }
        self.name(generation, Head { generation, rows, digest, head })
            .map_err(|error| format!("{}: {error}", self.place.head(generation).display()))
    }

    /// From here on the generation counts.
    fn name(&self, generation: u64, head: Head) -> io::Result<()> {
        let path = self.place.head(generation);
        let fresh = path.with_extension("head.new");
        fs::write(&fresh, head.encode())?;
        fs::File::open(&fresh)?.sync_all()?;
        fs::rename(&fresh, &path)?;
        self.place.sync_dir()
    }

    /// Keeps the rate: waits out what a batch came too early, or until the end.
    fn pace(&self, bytes: usize, begin: Instant) {
        if self.place.bounds.bytes_per_s == 0 {
            return;
        }
        let due = Duration::from_secs_f64(bytes as f64 / self.place.bounds.bytes_per_s as f64);
        let mut queue = self.shared.queue.lock().expect("whoever submits does not panic with the lock held");
        while let Some(left) = due.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
            if queue.closing {
                return;
            }
            let waited = self.shared.more.wait_timeout(queue, left);
            queue = waited.expect("whoever submits does not panic with the lock held").0;
        }
    }
}

/// A checkpoint's head in words, for `plait debug checkpoint`.
pub fn describe(bytes: &[u8]) -> Result<String, String> {
    Head::decode(bytes).map(|head| head.to_string())
}

#[cfg(test)]
mod tests;
