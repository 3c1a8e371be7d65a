//! One sled directory, with its panics turned into errors: a damaged one must be named, not end the process.

use plait_base::Bytes;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// sled gives its lock back when the last of its own threads lets go, shortly after the handle is dropped.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
const LOCK_LOOK: Duration = Duration::from_millis(2);

pub struct Tree(sled::Db);

fn guarded<T>(path: &Path, what: &str, f: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{}: {what}: {error}", path.display())),
        Err(_) => Err(format!("{}: {what}: sled panicked (see the log)", path.display())),
    }
}

impl Tree {
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Tree, String> {
        let config = sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
        let begin = Instant::now();
        loop {
            match guarded(path, "does not open", || config.open()) {
                Err(why) if why.contains("could not acquire lock") && begin.elapsed() < LOCK_WAIT_MAX => {
                    std::thread::sleep(LOCK_LOOK);
                }
                opened => return opened.map(Tree),
            }
        }
    }

    /// Puts and removes; returns how many bytes went in.
    pub fn write(
        &mut self,
        rows: Vec<(Bytes, Option<Bytes>)>,
        batch_bytes_max: usize,
    ) -> Result<usize, String> {
        let (mut batch, mut batch_bytes, mut bytes) = (sled::Batch::default(), 0, 0);
        for (key, value) in rows {
            let size = key.len() + value.as_ref().map_or(0, |value| value.len());
            if batch_bytes + size > batch_bytes_max && batch_bytes > 0 {
                self.apply(std::mem::take(&mut batch))?;
                batch_bytes = 0;
            }
            match value {
                Some(value) => batch.insert(&key[..], &value[..]),
                None => batch.remove(&key[..]),
            }
            batch_bytes += size;
            bytes += size;
        }
        self.apply(batch)?;
        Ok(bytes)
    }

    fn apply(&self, batch: sled::Batch) -> Result<(), String> {
        guarded(Path::new("checkpoint"), "a batch could not be written", || self.0.apply_batch(batch))
    }

    pub fn flush(&self) -> Result<(), String> {
        guarded(Path::new("checkpoint"), "could not be flushed", || self.0.flush()).map(|_| ())
    }

    /// Every row, in key order.
    pub fn scan(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), String> {
        guarded(Path::new("checkpoint"), "a row can't be read", || {
            for row in self.0.iter() {
                let (key, value) = row?;
                each(&key, &value);
            }
            Ok(())
        })
    }
}

/// Syncs each file under the directory, and the directories themselves.
pub fn sync_files(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_files(&path)?;
        } else {
            fs::File::open(&path)?.sync_all()?;
        }
    }
    fs::File::open(dir)?.sync_all()
}
