//! From a proposal to its place in the order, and back to whoever waits for it.
//!
//! The origin names a proposal and keeps it until its verdict comes back with the log. As long as it has none it
//! sends it again: to the new leader when the leader changed, to the same one when too long nothing was heard.
//! That is safe because a copy is known by its name ([`Verdicts`](crate::Verdicts)). When the deadline passes,
//! a proposal that was never handed to anyone is a definite *no*; any other is *unknown*.

use plait_base::{BootEpoch, Bytes, Mono, ProposalId, Reader, Room, Slot, Term, Writer, codec};
use std::collections::{BTreeMap, VecDeque};

/// One operation that wants its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub id: ProposalId,
    pub room: Room,
    pub op: Bytes,
}

/// Why a proposal was not even taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{waiting} proposals wait for their verdict, and at most {max} may")]
    TooMany { waiting: usize, max: usize },
    #[error("the start of this node is not recorded on its disk yet")]
    NotStarted,
}

pub(crate) fn encode_id(id: &ProposalId, w: &mut Writer) {
    w.u8(id.slot.get()).u64(id.epoch.0).varint(id.counter);
}

pub(crate) fn decode_id(r: &mut Reader) -> Result<ProposalId, codec::Error> {
    let n = r.u8()?;
    let slot = Slot::new(n).ok_or(codec::Error::Tag { what: "a slot", tag: n.into() })?;
    Ok(ProposalId { slot, epoch: BootEpoch(r.u64()?), counter: r.varint()? })
}

impl Proposal {
    pub(crate) fn encode(&self, w: &mut Writer) {
        encode_id(&self.id, w);
        w.u8(self.room as u8).bytes(&self.op);
    }

    pub(crate) fn decode(r: &mut Reader) -> Result<Proposal, codec::Error> {
        let id = decode_id(r)?;
        let n = r.u8()?;
        let room = Room::from_u8(n).ok_or(codec::Error::Tag { what: "a room", tag: n.into() })?;
        Ok(Proposal { id, room, op: Bytes::copy_from_slice(r.bytes()?) })
    }

    /// Bytes that it takes in an entry, roughly.
    pub(crate) fn size(&self) -> usize {
        self.op.len() + 24
    }
}

/// Proposals packed into one entry of the log.
pub(crate) fn pack(group: &[Proposal]) -> Bytes {
    let mut w = Writer::with_capacity(16 + group.iter().map(Proposal::size).sum::<usize>());
    w.u8(1).varint(group.len() as u64);
    group.iter().for_each(|p| p.encode(&mut w));
    w.finish()
}

/// The inverse; an empty entry (a new leader's own) holds none.
pub(crate) fn unpack(entry: &Bytes) -> Result<Vec<Proposal>, codec::Error> {
    if entry.is_empty() {
        return Ok(Vec::new());
    }
    let mut r = Reader::new(entry);
    let version = r.u8()?;
    if version != 1 {
        return Err(codec::Error::Format(version.into()));
    }
    let n = r.count("proposals")?;
    let group = (0..n).map(|_| Proposal::decode(&mut r)).collect::<Result<_, _>>()?;
    r.end()?;
    Ok(group)
}

#[derive(Debug)]
struct Waiting {
    proposal: Proposal,
    deadline: Mono,
    /// To whom it was last handed, in which term, and when.
    handed: Option<(Slot, Term, Mono)>,
}

/// What the origin still waits for.
#[derive(Debug)]
pub(crate) struct Origin {
    slot: Slot,
    epoch: BootEpoch,
    counter: u64,
    waiting: BTreeMap<u64, Waiting>,
    bytes: usize,
    max: usize,
}

impl Origin {
    pub fn new(slot: Slot, epoch: BootEpoch, max: usize) -> Origin {
        assert!((max as u64) < crate::verdicts::WINDOW, "the duplicate table must outlast whoever waits");
        Origin { slot, epoch, counter: 0, waiting: BTreeMap::new(), bytes: 0, max }
    }

    pub fn propose(&mut self, room: Room, op: Bytes, deadline: Mono) -> Result<ProposalId, Refusal> {
        if self.waiting.len() >= self.max {
            return Err(Refusal::TooMany { waiting: self.waiting.len(), max: self.max });
        }
        self.counter += 1;
        let id = ProposalId { slot: self.slot, epoch: self.epoch, counter: self.counter };
        let proposal = Proposal { id, room, op };
        self.bytes += proposal.size();
        self.waiting.insert(self.counter, Waiting { proposal, deadline, handed: None });
        Ok(id)
    }

    /// The verdict is here. Whether anybody here still waited for it.
    pub fn settle(&mut self, id: ProposalId) -> bool {
        id.slot == self.slot && id.epoch == self.epoch && self.take(id.counter).is_some()
    }

    fn take(&mut self, counter: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&counter)?;
        self.bytes -= waiting.proposal.size();
        Some(waiting)
    }

    /// Those to be handed to `leader` now: new ones, those handed to another or in another term, and those of
    /// which nothing was heard for `patience`.
    pub fn hand_over(
        &mut self,
        leader: Slot,
        term: Term,
        now: Mono,
        patience: std::time::Duration,
    ) -> Vec<Proposal> {
        let mut list = Vec::new();
        for waiting in self.waiting.values_mut() {
            let due = match waiting.handed {
                None => true,
                Some((slot, in_term, at)) => slot != leader || in_term != term || now.since(at) > patience,
            };
            if due {
                waiting.handed = Some((leader, term, now));
                list.push(waiting.proposal.clone());
            }
        }
        list
    }

    /// Takes out those whose deadline has passed; with each, whether it was ever handed to anyone.
    pub fn expire(&mut self, now: Mono) -> Vec<(ProposalId, bool)> {
        let late: Vec<u64> =
            self.waiting.iter().filter(|(_, w)| w.deadline <= now).map(|(c, _)| *c).collect();
        late.into_iter()
            .map(|counter| {
                let waiting = self.take(counter).expect("it was found a moment ago");
                (waiting.proposal.id, waiting.handed.is_some())
            })
            .collect()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// What a leader has been handed and has not put in the log yet.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    proposals: VecDeque<Proposal>,
    bytes: usize,
}

impl Queue {
    pub fn push(&mut self, proposal: Proposal) {
        self.bytes += proposal.size();
        self.proposals.push_back(proposal);
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.proposals.is_empty()
    }

    /// The next group: as many as fit, at least one.
    pub fn group(&mut self, bytes_max: usize) -> Vec<Proposal> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.proposals.front() {
            if !group.is_empty() && bytes + next.size() > bytes_max {
                break;
            }
            bytes += next.size();
            group.push(self.proposals.pop_front().expect("it is in front"));
        }
        self.bytes -= bytes;
        group
    }

    pub fn drain(&mut self) -> Vec<Proposal> {
        self.bytes = 0;
        self.proposals.drain(..).collect()
    }
}
