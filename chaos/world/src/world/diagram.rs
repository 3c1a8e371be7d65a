//! What a picture of a run is drawn from: who sent what to whom, and what each client asked for and was told.
//!
//! Kept only when somebody will look at it; like the story it changes nothing in the run.

use bytes::Bytes;
use plait_base::{Outcome, Slot};
use plait_consensus::Sign;
use plait_replica::Frame;

/// A frame, from its sending to its arrival.
#[derive(Debug, Clone)]
pub struct Message {
    pub from: Slot,
    pub to: Slot,
    pub kind: &'static str,
    pub from_ns: u64,
    /// `None`: it was lost on its way.
    pub to_ns: Option<u64>,
}

/// A client's transaction.
#[derive(Debug, Clone)]
pub struct Op {
    pub op: u64,
    pub workload: String,
    pub client: usize,
    pub slot: Slot,
    pub form: String,
    pub from_ns: u64,
    pub to_ns: u64,
    pub outcome: Outcome,
    pub error: Option<String>,
}

/// Frames kept; of a longer run the first ones are dropped.
const MESSAGES_MAX: usize = 60_000;

#[derive(Debug, Default)]
pub struct Diagram {
    pub messages: std::collections::VecDeque<Message>,
    /// How many were dropped at the front.
    pub dropped: u64,
    pub ops: Vec<Op>,
}

/// What a frame is about: of several messages the one that matters most to a reader.
fn kind(from: Slot, bytes: &Bytes) -> &'static str {
    const BY_WEIGHT: [(Sign, &str); 8] = [
        (Sign::VoteAsk, "vote asked for"),
        (Sign::VoteGrant, "vote"),
        (Sign::SnapshotChunk, "snapshot"),
        (Sign::Append, "append"),
        (Sign::AppendAck, "append acknowledged"),
        (Sign::LeaseGrant, "lease granted"),
        (Sign::Stable, "stable"),
        (Sign::Other, "other"),
    ];
    let Ok(frame) = Frame::decode(from, bytes) else { return "spoiled" };
    let has = |sign: Sign| frame.messages.iter().any(|m| m.sign() == sign);
    BY_WEIGHT.iter().find(|(sign, _)| has(*sign)).map_or("other", |(_, name)| name)
}

impl Diagram {
    /// Returns the message's number, by which its end is told.
    pub fn sent(&mut self, from: Slot, to: Slot, bytes: &Bytes, now_ns: u64, due_ns: Option<u64>) -> u64 {
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
            self.dropped += 1;
        }
        self.messages.push_back(Message {
            from,
            to,
            kind: kind(from, bytes),
            from_ns: now_ns,
            to_ns: due_ns,
        });
        self.dropped + self.messages.len() as u64 - 1
    }

    /// It came to a closed door.
    pub fn lost(&mut self, number: u64) {
        let message = number.checked_sub(self.dropped).and_then(|at| self.messages.get_mut(at as usize));
        if let Some(message) = message {
            message.to_ns = None;
        }
    }
}
