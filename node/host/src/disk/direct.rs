//! One file of the log, written past the page cache where that is possible.
//!
//! Intuition: the log is written once and in order, and each write is synced. Copying it to the cache first, for the
//! sync to find it there and write it out, costs a third of a sync's time. So whole blocks go to the device at once.
//! The block in which the log ends is kept here: the next write goes on in it and need not read it.
//! Invariant: bytes around what is written stay what they were. They are known for what this life has made: zeros, or
//! the block that is kept. For anything else (a log that was found, a tail that is replaced) and where the file system
//! wants no such writes, the file goes through the cache from then on.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// What the device takes at once: at least a sector of any disk.
const BLOCK: u64 = 4096;

/// See the module's head.
pub struct LogFile {
    file: fs::File,
    direct: Option<Direct>,
}

struct Direct {
    file: fs::File,
    /// The block that was written last.
    kept: Vec<u8>,
    kept_at: u64,
    /// From here on the file holds zeros.
    zeros_from: u64,
    /// Blocks on their way, and room to align them.
    buffer: Vec<u8>,
}

impl LogFile {
    /// A file that was there: nothing is known of what it holds.
    pub fn found(file: fs::File) -> LogFile {
        LogFile { file, direct: None }
    }

    /// A file at `path` that was made just now and holds `bytes` zeros.
    pub fn made(file: fs::File, path: &Path, bytes: u64) -> LogFile {
        let past_cache = || fs::OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path).ok();
        let direct = if bytes.is_multiple_of(BLOCK) { past_cache() } else { None };
        let direct = direct.map(|file| Direct {
            file,
            kept: Vec::new(),
            kept_at: u64::MAX,
            zeros_from: 0,
            buffer: Vec::new(),
        });
        LogFile { file, direct }
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        if let Some(direct) = &mut self.direct {
            match direct.write(at, bytes) {
                Ok(true) => return Ok(()),
                Ok(false) => self.direct = None,
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => self.direct = None,
                Err(error) => return Err(error),
            }
        }
        self.file.write_all_at(bytes, at)
    }

    /// Returns once everything that was written is on the device.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl Direct {
    /// Whether it could be done; else nothing was.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<bool> {
        let (end, start) = (at + bytes.len() as u64, at - at % BLOCK);
        let stop = end.next_multiple_of(BLOCK);
        let last = stop.saturating_sub(BLOCK);
        let known = |block: u64| block == self.kept_at || block >= self.zeros_from;
        if bytes.is_empty() {
            return Ok(true);
        }
        if (at > start && !known(start)) || (end < stop && !known(last)) {
            return Ok(false);
        }
        let len = (stop - start) as usize;
        self.buffer.clear();
        self.buffer.resize(len + BLOCK as usize, 0);
        let pad = self.buffer.as_ptr().align_offset(BLOCK as usize);
        let blocks = &mut self.buffer[pad..pad + len];
        if self.kept_at >= start && self.kept_at < stop {
            let place = (self.kept_at - start) as usize;
            blocks[place..place + BLOCK as usize].copy_from_slice(&self.kept);
        }
        blocks[(at - start) as usize..][..bytes.len()].copy_from_slice(bytes);
        self.file.write_all_at(blocks, start)?;
        self.kept.clear();
        self.kept.extend_from_slice(&blocks[len - BLOCK as usize..]);
        self.kept_at = last;
        self.zeros_from = self.zeros_from.max(stop);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    /// The same writes through here and to a plain slice of bytes.
    #[test]
    fn bytes_around_a_write_stay_what_they_were() {
        let dir = Scratch::new("direct");
        let path = dir.path().join("wal");
        let size = 16 * BLOCK;
        let mut draws = plait_base::Draws::new(7, "direct", 0);
        for round in 0..200u64 {
            let file = fs::OpenOptions::new().write(true).create(true).truncate(true).open(&path).unwrap();
            file.write_all_at(&vec![0; size as usize], 0).unwrap();
            let mut log = LogFile::made(file, &path, size);
            let mut model = vec![0; size as usize];
            let (mut end, mut turned_back) = (0, false);
            for n in 0..20u8 {
                // Mostly on from the end, sometimes over what is there.
                let over = draws.below(12) == 0;
                let at = if over { draws.below(end + 1) } else { end };
                let len = draws.below(3 * BLOCK).min(size - at);
                let bytes = vec![n + 1; len as usize];
                log.write(at, &bytes).unwrap();
                log.sync().unwrap();
                model[at as usize..][..len as usize].copy_from_slice(&bytes);
                turned_back |= over;
                end = (at + len).max(end);
            }
            assert_eq!(fs::read(&path).unwrap(), model, "round {round}");
            assert!(turned_back || log.direct.is_some() || end == size, "it is still past the cache");
        }
    }
}
