//! The twin hash: one running BLAKE3 over everything that the nodes put out, in order, with time and node.
//!
//! Two runs of one plan that differ anywhere differ here, and the check points (one every thousand outputs) say
//! where. It costs time, so a hunt leaves it off.

use plait_base::{Mono, Slot, disk, kv};
use plait_replica::Output;
use std::fmt::Write;

/// Outputs between two check points.
pub const CHECKPOINT_OUTPUTS: u64 = 1000;

pub struct Trace {
    hasher: blake3::Hasher,
    scratch: Vec<u8>,
    text: String,
    pub outputs: u64,
    pub checkpoints: Vec<u64>,
}

impl Trace {
    pub fn new() -> Trace {
        Trace {
            hasher: blake3::Hasher::new(),
            scratch: Vec::new(),
            text: String::new(),
            outputs: 0,
            checkpoints: Vec::new(),
        }
    }

    pub fn take(&mut self, at_ns: u64, mono: Mono, slot: Slot, output: &Output) {
        let b = &mut self.scratch;
        b.clear();
        b.extend_from_slice(&at_ns.to_le_bytes());
        b.extend_from_slice(&mono.0.to_le_bytes());
        b.push(slot.get());
        match output {
            Output::Send { to, lane, bytes } => {
                b.extend_from_slice(&[1, to.get(), *lane as u8]);
                b.extend_from_slice(bytes);
            }
            Output::Persist(persist) => {
                b.push(2);
                b.extend_from_slice(&persist.token.to_le_bytes());
                persist.ops.iter().for_each(|op| disk_op(b, op));
            }
            Output::Checkpoint(op) => {
                b.push(3);
                kv_op(b, op);
            }
            // Replies, events and their like have no bytes of their own: their text stands for them.
            other => {
                b.push(4);
                self.text.clear();
                let _ = write!(self.text, "{other:?}");
                b.extend_from_slice(self.text.as_bytes());
            }
        }
        self.hasher.update(&(b.len() as u64).to_le_bytes());
        self.hasher.update(b);
        self.outputs += 1;
        if self.outputs.is_multiple_of(CHECKPOINT_OUTPUTS) {
            self.checkpoints.push(self.so_far());
        }
    }

    /// What is not an output: the images that are left at the end.
    pub fn end(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.hasher.update(&(part.len() as u64).to_le_bytes());
            self.hasher.update(part);
        }
    }

    pub fn so_far(&self) -> u64 {
        let hash = self.hasher.finalize();
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight of thirty-two bytes"))
    }

    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex()[..32].to_owned()
    }
}

impl Default for Trace {
    fn default() -> Trace {
        Trace::new()
    }
}

fn disk_op(b: &mut Vec<u8>, op: &disk::Op) {
    let (kind, file, number, bytes): (u8, _, u64, &[u8]) = match op {
        disk::Op::Create { file, bytes } => (1, file, *bytes, &[]),
        disk::Op::Write { file, at, bytes } => (2, file, *at, bytes),
        disk::Op::Remove { file } => (3, file, 0, &[]),
        disk::Op::Aside { file } => (4, file, 0, &[]),
    };
    let file = match file {
        disk::File::Identity => 0,
        disk::File::Segment(n) => *n,
    };
    b.push(kind);
    b.extend_from_slice(&file.to_le_bytes());
    b.extend_from_slice(&number.to_le_bytes());
    b.extend_from_slice(bytes);
}

fn kv_op(b: &mut Vec<u8>, op: &kv::Op) {
    match op {
        kv::Op::Begin { generation, over } => {
            b.push(1);
            b.extend_from_slice(&generation.to_le_bytes());
            b.extend_from_slice(&over.unwrap_or(u64::MAX).to_le_bytes());
        }
        kv::Op::Write { generation, rows } => {
            b.push(2);
            b.extend_from_slice(&generation.to_le_bytes());
            for (key, value) in rows {
                b.extend_from_slice(key);
                b.push(u8::from(value.is_some()));
                b.extend_from_slice(value.as_deref().unwrap_or_default());
            }
        }
        kv::Op::Finish { generation, head, digest } => {
            b.push(3);
            b.extend_from_slice(&generation.to_le_bytes());
            b.extend_from_slice(head);
            b.extend_from_slice(&digest.0);
        }
    }
}
