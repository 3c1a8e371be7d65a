//! What a picture of a run is drawn from: who sent what to whom, and what each client asked for and was told.
//!
//! Kept only when somebody will look at it; like the story it changes nothing in the run.

use bytes::Bytes;
use plait_base::{Outcome, ProposalId, Slot};
use plait_consensus::{Message as Said, Sign};
use plait_replica::Frame;
use std::collections::BTreeMap;

/// A frame, from its sending to its arrival.
#[derive(Debug, Clone)]
pub struct Message {
    pub from: Slot,
    pub to: Slot,
    pub kind: &'static str,
    pub from_ns: u64,
    /// `None`: it was lost on its way.
    pub to_ns: Option<u64>,
    /// What it says of the log: places that it carries, has on disk or knows to be stable, from the first to the last.
    pub places: Vec<(Sign, u64, u64)>,
    /// Write-sets on their way to the leader, which have no place yet.
    pub forwards: Vec<ProposalId>,
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
    /// Of its write-set, if it has one and its client was told.
    pub seqno: Option<u64>,
}

/// Frames kept; of a longer run the first ones are dropped.
const MESSAGES_MAX: usize = 60_000;

#[derive(Debug, Default)]
pub struct Diagram {
    pub messages: std::collections::VecDeque<Message>,
    /// How many were dropped at the front.
    pub dropped: u64,
    pub ops: Vec<Op>,
    /// By seqno: the place in the log, which it may share with others, and the write-set.
    pub ordered: BTreeMap<u64, (u64, ProposalId)>,
}

/// What a frame is about: of several messages the one that matters most to a reader.
fn about(from: Slot, to: Slot, bytes: &Bytes) -> Message {
    const BY_WEIGHT: [(Sign, &str); 7] = [
        (Sign::VoteAsk, "vote asked for"),
        (Sign::VoteGrant, "vote"),
        (Sign::SnapshotChunk, "snapshot"),
        (Sign::Append, "append"),
        (Sign::AppendAck, "append acknowledged"),
        (Sign::LeaseGrant, "lease granted"),
        (Sign::Stable, "stable"),
    ];
    let mut about = Message {
        from,
        to,
        kind: "spoiled",
        from_ns: 0,
        to_ns: None,
        places: Vec::new(),
        forwards: Vec::new(),
    };
    let Ok(frame) = Frame::decode(from, bytes) else { return about };
    for message in &frame.messages {
        if let Said::Forward(proposals) = message {
            about.forwards.extend(proposals.iter().map(|proposal| proposal.id));
        }
        about.places.extend(message.places().map(|(first, last)| (message.sign(), first.0, last.0)));
    }
    let has = |sign: &Sign| frame.messages.iter().any(|m| m.sign() == *sign);
    let plain = if about.forwards.is_empty() { "other" } else { "write-set for the leader" };
    about.kind = BY_WEIGHT.iter().find(|(sign, _)| has(sign)).map_or(plain, |(_, kind)| kind);
    about
}

impl Diagram {
    /// Returns the message's number, by which its end is told.
    pub fn sent(&mut self, from: Slot, to: Slot, bytes: &Bytes, now_ns: u64, due_ns: Option<u64>) -> u64 {
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
            self.dropped += 1;
        }
        self.messages.push_back(Message { from_ns: now_ns, to_ns: due_ns, ..about(from, to, bytes) });
        self.dropped + self.messages.len() as u64 - 1
    }

    /// It came to a closed door.
    pub fn lost(&mut self, number: u64) {
        let message = number.checked_sub(self.dropped).and_then(|at| self.messages.get_mut(at as usize));
        if let Some(message) = message {
            message.to_ns = None;
        }
    }

    /// The messages that took part in ordering this write-set, by their positions: itself on its way to the leader,
    /// each append that carries it until it was acknowledged, and of each pair of nodes the first word after it that it
    /// is on a disk, or stable.
    pub fn way(&self, seqno: u64) -> Vec<usize> {
        let Some((place, id)) = self.ordered.get(&seqno) else { return Vec::new() };
        let mut sent = [[false; 3]; 3];
        let mut told = [[[false; 3]; 3]; 2];
        let mut takes_part = |message: &Message| {
            let (from, to) = (message.from.at(), message.to.at());
            let mut part = message.forwards.contains(id);
            for (sign, first, last) in &message.places {
                // A word before the write-set itself was sent that way is about another entry of that place.
                part |= match sign {
                    // What is sent to a node that had it already is the log, told again.
                    Sign::Append if (*first..=*last).contains(place) && !told[0][to][from] => {
                        sent[from][to] = true;
                        true
                    }
                    Sign::AppendAck => {
                        sent[to][from] && last >= place && !std::mem::replace(&mut told[0][from][to], true)
                    }
                    Sign::Stable => {
                        sent[from][to] && last >= place && !std::mem::replace(&mut told[1][from][to], true)
                    }
                    _ => false,
                };
            }
            part
        };
        self.messages.iter().enumerate().filter(|(_, m)| takes_part(m)).map(|(at, _)| at).collect()
    }
}
