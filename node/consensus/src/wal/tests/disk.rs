//! A disk that may lose, tear and reorder whatever was not synced, sector by sector.

use plait_base::disk::{Disk, Error, File, Op};
use std::collections::BTreeMap;

const SECTOR_BYTES: u64 = 512;

/// What a crash does to one sector of an unsynced write, one creation or one removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Fate {
    Lost,
    Kept,
    /// Of a sector, so many bytes.
    Torn(u16),
}

#[derive(Debug, Default, Clone)]
pub(in super::super) struct TornDisk {
    durable: BTreeMap<File, Vec<u8>>,
    /// As a reader sees it now.
    cached: BTreeMap<File, Vec<u8>>,
    unsynced: Vec<Op>,
}

impl TornDisk {
    pub(in super::super) fn write(&mut self, ops: Vec<Op>) {
        for op in ops {
            apply(&mut self.cached, &op, |_| Fate::Kept);
            self.unsynced.push(op);
        }
    }

    pub(in super::super) fn sync(&mut self) {
        self.sync_first(self.unsynced.len());
    }

    /// So many of the unsynced operations are on disk.
    pub(in super::super) fn sync_first(&mut self, ops: usize) {
        for op in self.unsynced.drain(..ops) {
            apply(&mut self.durable, &op, |_| Fate::Kept);
        }
    }

    pub(in super::super) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    pub(in super::super) fn unsynced_bytes(&self) -> u64 {
        let size = |op: &Op| if let Op::Write { bytes, .. } = op { bytes.len() as u64 } else { 0 };
        self.unsynced.iter().map(size).sum()
    }

    pub(in super::super) fn files(&self) -> usize {
        self.cached.len()
    }

    /// The power fails: each sector of each unsynced operation has its own fate. `swap` lets later writes reach
    /// the disk before earlier ones.
    pub(in super::super) fn crash(&mut self, mut fate: impl FnMut() -> Fate, swap: bool) {
        let mut ops = std::mem::take(&mut self.unsynced);
        if swap {
            // Creations stay where they are; a write cannot reach a file before it exists.
            let writes: Vec<usize> = (0..ops.len()).filter(|i| matches!(ops[*i], Op::Write { .. })).collect();
            for (a, b) in writes.iter().zip(writes.iter().rev()).take(writes.len() / 2) {
                ops.swap(*a, *b);
            }
        }
        for op in &ops {
            apply(&mut self.durable, op, |_| fate());
        }
        self.cached = self.durable.clone();
    }

    pub(in super::super) fn flip(&mut self, file: File, byte: usize, bit: u8) {
        self.durable.get_mut(&file).expect("a file")[byte] ^= 1 << bit;
        self.cached = self.durable.clone();
    }

    pub(in super::super) fn remove(&mut self, file: File) {
        self.durable.remove(&file);
        self.cached = self.durable.clone();
    }

    pub(in super::super) fn image(&self) -> &BTreeMap<File, Vec<u8>> {
        &self.cached
    }

    pub(in super::super) fn image_mut(&mut self) -> &mut BTreeMap<File, Vec<u8>> {
        &mut self.cached
    }
}

fn apply(files: &mut BTreeMap<File, Vec<u8>>, op: &Op, mut fate: impl FnMut(u64) -> Fate) {
    match op {
        Op::Create { file, bytes } => {
            if fate(0) == Fate::Kept {
                files.insert(*file, vec![0; *bytes as usize]);
            }
        }
        Op::Remove { file } => {
            if fate(0) == Fate::Kept {
                files.remove(file);
            }
        }
        Op::Write { file, at, bytes } => {
            // A creation that was lost takes the writes with it, unless an older file is in its place.
            let Some(image) = files.get_mut(file) else { return };
            let mut done = 0;
            while done < bytes.len() {
                let from = *at + done as u64;
                let sector_end = (from / SECTOR_BYTES + 1) * SECTOR_BYTES;
                let size = (sector_end - from).min((bytes.len() - done) as u64) as usize;
                let kept = match fate(from / SECTOR_BYTES) {
                    Fate::Lost => 0,
                    Fate::Kept => size,
                    Fate::Torn(part) => usize::from(part).min(size),
                };
                // Where the creation of a larger file was lost, what runs over the older one's end is too.
                let room = image.get_mut(from as usize..).unwrap_or_default();
                let kept = kept.min(room.len());
                room[..kept].copy_from_slice(&bytes[done..done + kept]);
                done += size;
            }
        }
        Op::Aside { .. } => panic!("the log puts nothing aside"),
    }
}

impl Disk for TornDisk {
    fn list(&self) -> Result<Vec<File>, Error> {
        Ok(self.cached.keys().copied().collect())
    }

    fn read(&self, file: File) -> Result<Vec<u8>, Error> {
        let missing = || Error { file: file.to_string(), why: "no such file".to_owned() };
        self.cached.get(&file).cloned().ok_or_else(missing)
    }
}
