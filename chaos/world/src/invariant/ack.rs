//! *Yes* is said only after a majority of disks has it and the answering node has applied it.
//!
//! Why it must hold: DESIGN law 3. The world owns the disks, so it need not believe a node: it reads the headers of
//! the log's records out of what became durable and keeps, for each node, which (index, term) its disk would give
//! back. A later record for an index at or below one that is there takes the place of it and of all above it, unless
//! it is the same record again, header and chain: a start writes its tail once more over itself to have it synced.
//! A seqno's index is the one at which any node was first seen to have applied it: entries are applied whole, so
//! that index is an upper bound, and the check asks only for what is at or below the answering node's position.
//! Where the book cannot be exact it is generous: what a crash may have kept counts as kept, and a disk that was
//! emptied counts with what it had, since it did have it when the answer was earned.

use plait_base::disk::{File, Op};
use plait_base::{Bytes, Slot};
use std::collections::BTreeMap;

/// As the log's format 3 has them (node/consensus/src/wal/record.rs).
const MAGIC: &[u8; 4] = b"prec";
const HEADER_BYTES: usize = 64;
const ENTRY: u8 = 1;
const BASE: u8 = 4;

#[derive(Debug, Default)]
pub struct Acks {
    disks: [DiskLog; 3],
    /// seqno → the lowest applied index at which some node was seen to have it
    index_of: BTreeMap<u64, u64>,
    pub checked: u64,
}

/// What a node's disk would give back of the log.
#[derive(Debug, Default)]
struct DiskLog {
    /// Everything up to here is in a snapshot or was cut.
    base: u64,
    entries: BTreeMap<u64, Record>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    kind: u8,
    index: u64,
    term: u64,
    /// With its place in the log and the chain: two equal headers have the same log before them.
    header: [u8; HEADER_BYTES],
}

/// The records that a write carries.
fn records(bytes: &Bytes) -> impl Iterator<Item = Record> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let header: [u8; HEADER_BYTES] =
                bytes.get(at..at + HEADER_BYTES)?.try_into().expect("its length was asked for");
            if &header[..4] != MAGIC {
                // The head of a segment, or the zeros of a repair: records lie at multiples of eight.
                at += 8;
                continue;
            }
            let number =
                |from: usize| u64::from_le_bytes(header[from..from + 8].try_into().expect("eight bytes"));
            let length = u32::from_le_bytes(header[8..12].try_into().expect("four bytes")) as usize;
            at += HEADER_BYTES + length.next_multiple_of(8);
            return Some(Record { kind: header[4], index: number(32), term: number(40), header });
        }
    })
}

impl Acks {
    /// An operation of this node became durable.
    pub fn durable(&mut self, slot: Slot, op: &Op) {
        let log = &mut self.disks[slot.at()];
        let Op::Write { file: File::Segment(_), bytes, .. } = op else { return };
        for record in records(bytes) {
            match record.kind {
                ENTRY if log.entries.get(&record.index) != Some(&record) => {
                    log.entries.split_off(&record.index);
                    log.entries.insert(record.index, record);
                }
                BASE => {
                    log.base = record.index;
                    log.entries = log.entries.split_off(&(record.index + 1));
                }
                _ => {}
            }
        }
    }

    /// This node was seen to have applied up to here.
    pub fn applied(&mut self, seqno: u64, index: u64) {
        let known = self.index_of.entry(seqno).or_insert(index);
        *known = (*known).min(index);
    }

    /// `slot` says *yes* to a transaction at `seqno`, while it has applied `applied_seqno` at `applied_index`.
    pub fn yes(
        &mut self,
        slot: Slot,
        seqno: u64,
        applied_seqno: u64,
        applied_index: u64,
    ) -> Result<(), String> {
        if applied_seqno < seqno {
            return Err(format!(
                "{slot} says yes to seqno {seqno} and has itself applied only {applied_seqno}"
            ));
        }
        // The newest position known to contain it, if not the node's own: never above what the node has applied.
        let index =
            self.index_of.range(seqno..).next().map_or(applied_index, |(_, i)| (*i).min(applied_index));
        let terms: Vec<Option<u64>> =
            self.disks.iter().map(|d| d.entries.get(&index).map(|record| record.term)).collect();
        let snapshots = self.disks.iter().filter(|disk| disk.base >= index).count();
        let alike = |term: &Option<u64>| terms.iter().filter(|t| t.is_some() && *t == term).count();
        let has = snapshots + terms.iter().map(alike).max().unwrap_or(0);
        self.checked += 1;
        if has < 2 {
            return Err(format!(
                "{slot} says yes to seqno {seqno} at index {index}, which {has} of three disks have for sure: terms {terms:?}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
