//! A node's files, which lose what was not synced.
//!
//! Intuition: what a program wrote lies in a tray until somebody carries it to the archive. When the lights go out,
//! any part of the tray may have arrived, and nobody knows which.
//! Model: a durable image; above it the batches that no sync has covered yet. One sync runs at a time and covers
//! what had been queued when it began. A *kill* leaves a prefix of what was being written (the kernel survives the
//! process). A *power loss* takes, of all unsynced operations, each one independently: lost, kept, or torn at
//! sectors of 512 bytes; a later one may survive an earlier one. A write to a file whose creation was lost is lost.
//! Invariant: an operation whose `Persist` was reported is in the durable image, in order.
//! Not here: disks that lie about a sync (no protocol survives that on a majority); the zoo has one.

use plait_base::disk::{Disk, Error, File, Op, Persist};
use plait_base::{Digest, Draws};
use std::collections::{BTreeMap, VecDeque};

const SECTOR_BYTES: usize = 512;
/// So many of the newest writes are never damaged: a flaw among them could pass for a torn tail.
const ROT_DISTANCE_WRITES: usize = 8;
/// So many writes are remembered as places where rot may strike.
const ROT_MEMORY_WRITES: usize = 64;

/// A file: its bytes up to the last one written; the rest, up to its length, is zeros.
#[derive(Debug, Default, Clone)]
struct Image {
    bytes: Vec<u8>,
    length: u64,
}

impl Image {
    fn write(&mut self, at: u64, bytes: &[u8]) {
        let (at, end) = (at as usize, at as usize + bytes.len());
        assert!(end as u64 <= self.length, "a write ends at {end} in a file of {} bytes", self.length);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[at..end].copy_from_slice(bytes);
    }
}

#[derive(Debug, Default)]
pub struct SimDisk {
    files: BTreeMap<File, Image>,
    aside: u64,
    /// What the running sync covers, then what waits for the next one.
    syncing: Vec<Persist>,
    queued: Vec<Persist>,
    /// The newest durable writes, oldest first.
    written: VecDeque<(File, u64, usize)>,
    /// The zoo's disk: it reports a sync that it did not do. What it only claims to have.
    pub lies: bool,
    claimed: Vec<Persist>,
    /// What reached the image, or may have, since somebody last asked: for the book of acknowledgements.
    journal: Vec<Op>,
    /// A file that was written to and is not there: only a node that took a failed write for done does that.
    pub astray: Option<File>,
}

/// What a crash did to the unsynced operations.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    pub unsynced: u32,
    pub lost: u32,
    pub torn: u32,
}

impl SimDisk {
    /// Queues a batch. `true`: a sync is to be started now.
    pub fn persist(&mut self, persist: Persist) -> bool {
        self.queued.push(persist);
        self.start()
    }

    fn start(&mut self) -> bool {
        if !self.syncing.is_empty() || self.queued.is_empty() {
            return false;
        }
        std::mem::swap(&mut self.syncing, &mut self.queued);
        true
    }

    /// The running sync is done: the token that may be reported, and whether another sync begins.
    pub fn synced(&mut self) -> Option<(u64, bool)> {
        let token = self.syncing.last()?.token;
        if self.lies {
            self.claimed.append(&mut self.syncing);
            return Some((token, self.start()));
        }
        for persist in std::mem::take(&mut self.syncing) {
            for op in persist.ops {
                self.apply(op);
            }
        }
        Some((token, self.start()))
    }

    /// The running sync fails: each operation it covered is on disk or not, and the kernel forgets it. Gives the
    /// first token that was not done.
    pub fn sync_failed(&mut self, draws: &mut Draws) -> Option<u64> {
        let token = self.syncing.first()?.token;
        let batch = std::mem::take(&mut self.syncing);
        self.survive(batch, draws, false);
        Some(token)
    }

    /// There is no room for what the running sync covers: only so much of it is written. Gives the first token that was
    /// not done.
    pub fn refused(&mut self, draws: &mut Draws) -> Option<u64> {
        let token = self.syncing.first()?.token;
        let ops: Vec<Op> = std::mem::take(&mut self.syncing).into_iter().flat_map(|p| p.ops).collect();
        let kept = draws.below(ops.len() as u64) as usize;
        ops.into_iter().take(kept).for_each(|op| self.apply(op));
        Some(token)
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Create { file, bytes } => {
                self.written.retain(|(f, ..)| *f != file);
                self.files.insert(file, Image { bytes: Vec::new(), length: bytes });
            }
            Op::Write { file, at, ref bytes } => {
                let Some(image) = self.files.get_mut(&file) else {
                    self.astray.get_or_insert(file);
                    return;
                };
                image.write(at, bytes);
                self.journal.push(op.clone());
                self.remember(file, at, bytes.len());
            }
            Op::Remove { file } => {
                self.written.retain(|(f, ..)| *f != file);
                self.files.remove(&file);
            }
            Op::Aside { file } => {
                self.written.retain(|(f, ..)| *f != file);
                self.aside += u64::from(self.files.remove(&file).is_some());
            }
        }
    }

    fn remember(&mut self, file: File, at: u64, bytes: usize) {
        self.written.push_back((file, at, bytes));
        if self.written.len() > ROT_MEMORY_WRITES {
            self.written.pop_front();
        }
    }

    /// Power is gone.
    pub fn power_loss(&mut self, draws: &mut Draws, tear: bool) -> Loss {
        let mut unsynced = std::mem::take(&mut self.claimed);
        unsynced.append(&mut self.syncing);
        unsynced.append(&mut self.queued);
        self.survive(unsynced, draws, tear)
    }

    fn survive(&mut self, batch: Vec<Persist>, draws: &mut Draws, tear: bool) -> Loss {
        let mut loss = Loss::default();
        let mut missing: Vec<File> = Vec::new();
        for op in batch.into_iter().flat_map(|persist| persist.ops) {
            loss.unsynced += 1;
            let fate = draws.below(if tear { 3 } else { 2 });
            let file = match &op {
                Op::Create { file, .. }
                | Op::Write { file, .. }
                | Op::Remove { file }
                | Op::Aside { file } => *file,
            };
            match op {
                Op::Write { file, .. } if missing.contains(&file) || !self.files.contains_key(&file) => {
                    loss.lost += 1;
                }
                Op::Write { at, ref bytes, .. } if fate == 2 => {
                    loss.torn += 1;
                    self.journal.push(op.clone());
                    self.tear(file, at, bytes, draws);
                }
                _ if fate == 0 => {
                    loss.lost += 1;
                    if matches!(op, Op::Create { .. }) {
                        missing.push(file);
                    }
                }
                op => {
                    if matches!(op, Op::Create { .. }) {
                        missing.retain(|f| *f != file);
                    }
                    self.apply(op);
                }
            }
        }
        loss
    }

    /// Each sector of a write arrives or does not.
    fn tear(&mut self, file: File, at: u64, bytes: &[u8], draws: &mut Draws) {
        let image = self.files.get_mut(&file).expect("the file was looked up before");
        let mut from = 0;
        while from < bytes.len() {
            let sector_end = ((at as usize + from) / SECTOR_BYTES + 1) * SECTOR_BYTES - at as usize;
            let to = sector_end.min(bytes.len());
            if draws.chance(500) {
                image.write(at + from as u64, &bytes[from..to]);
            }
            from = to;
        }
    }

    /// The process is gone and the kernel is not: a prefix of the running batch was written, its last write
    /// perhaps in part; what was only queued never left the process.
    pub fn killed(&mut self, draws: &mut Draws) -> Loss {
        for op in std::mem::take(&mut self.claimed).into_iter().flat_map(|persist| persist.ops) {
            self.apply(op);
        }
        let queued: usize = self.queued.iter().map(|persist| persist.ops.len()).sum();
        self.queued.clear();
        let ops: Vec<Op> = std::mem::take(&mut self.syncing).into_iter().flat_map(|p| p.ops).collect();
        let kept = draws.below(ops.len() as u64 + 1) as usize;
        let unsynced = ops.len() + queued;
        let mut loss = Loss { unsynced: unsynced as u32, lost: (queued + ops.len() - kept) as u32, torn: 0 };
        for (i, op) in ops.into_iter().take(kept + 1).enumerate() {
            match op {
                op if i < kept => self.apply(op),
                Op::Write { file, at, bytes } if !bytes.is_empty() && draws.chance(500) => {
                    loss.torn += 1;
                    let part = draws.below(bytes.len() as u64) as usize;
                    self.apply(Op::Write { file, at, bytes: bytes.slice(..part) });
                }
                _ => {}
            }
        }
        loss
    }

    /// Flips one bit in a durable write that is not among the newest. `None`: there is no such write.
    pub fn rot(&mut self, draws: &mut Draws) -> Option<(File, u64)> {
        let old = self.written.len().checked_sub(ROT_DISTANCE_WRITES).filter(|n| *n > 0)?;
        let (file, at, bytes) = self.written[draws.below(old as u64) as usize];
        let place = at + draws.below(bytes as u64);
        let image = self.files.get_mut(&file)?;
        *image.bytes.get_mut(place as usize)? ^= 1 << draws.below(8);
        Some((file, place))
    }

    /// One of the older writes to the log turns out to have landed on another of them: its own place is empty, as it was
    /// before. `None`: there are no two such writes.
    pub fn misdirect(&mut self, draws: &mut Draws) -> Option<(File, u64)> {
        let old = self.written.len().checked_sub(ROT_DISTANCE_WRITES)?;
        let of_log = |(file, _, bytes): &&(File, u64, usize)| *file != File::Identity && *bytes > 0;
        let old: Vec<(File, u64, usize)> = self.written.iter().take(old).filter(of_log).copied().collect();
        if old.len() < 2 {
            return None;
        }
        let meant = draws.below(old.len() as u64) as usize;
        let hit = (meant + 1 + draws.below(old.len() as u64 - 1) as usize) % old.len();
        let ((file, at, bytes), (other, other_at, room)) = (old[meant], old[hit]);
        let image = self.files.get_mut(&file)?;
        let place = image.bytes.get_mut(at as usize..at as usize + bytes)?;
        let content = place.to_vec();
        place.fill(0);
        let image = self.files.get_mut(&other)?;
        image.write(other_at, &content[..bytes.min(room)]);
        Some((file, at))
    }

    /// Puts a file there as if it had always been: genesis.
    pub fn place(&mut self, file: File, bytes: &[u8]) {
        self.files.insert(file, Image { bytes: bytes.to_vec(), length: bytes.len() as u64 });
    }

    /// Everything is gone.
    pub fn wipe(&mut self) {
        *self = SimDisk { aside: self.aside, lies: self.lies, ..SimDisk::default() };
    }

    /// Takes what reached the image since the last call.
    pub fn journal(&mut self) -> Vec<Op> {
        std::mem::take(&mut self.journal)
    }

    /// Whether something waits for a sync.
    pub fn busy(&self) -> bool {
        !self.syncing.is_empty() || !self.queued.is_empty()
    }

    /// A hash of the durable image, for the twin check.
    pub fn digest(&self) -> Digest {
        let parts: Vec<Digest> = self
            .files
            .iter()
            .map(|(file, image)| {
                Digest::of(&[file.to_string().as_bytes(), &image.length.to_le_bytes(), &image.bytes])
            })
            .collect();
        Digest::of(&parts.iter().map(|d| &d.0[..]).collect::<Vec<_>>())
    }
}

impl Disk for SimDisk {
    fn list(&self) -> Result<Vec<File>, Error> {
        Ok(self.files.keys().copied().collect())
    }

    fn read(&self, file: File) -> Result<Vec<u8>, Error> {
        match self.files.get(&file) {
            Some(image) => {
                let mut bytes = Vec::with_capacity(image.length as usize);
                bytes.extend_from_slice(&image.bytes);
                bytes.resize(image.length as usize, 0);
                Ok(bytes)
            }
            None => Err(Error { file: file.to_string(), why: "no such file".to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests;
