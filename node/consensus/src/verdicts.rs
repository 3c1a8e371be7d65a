//! The duplicate table: what became of each recent proposal.
//!
//! Intuition: a letter that may have been lost is sent again, so the same letter may arrive twice; the clerk looks
//! it up by its number and gives the first answer again. Part of the replicated state: the same on every node at
//! the same position of the log, and in every checkpoint and snapshot.
//!
//! Invariant: a proposal changes something at most once. A window of the newest [`WINDOW`] counters of a slot is
//! kept; an origin never has more than that under way, so an older copy has nobody who waits for it.

use plait_base::{BootEpoch, Bytes, ProposalId, Reader, Slot, Writer, codec};
use std::collections::BTreeMap;

/// Counters of one origin that are remembered.
pub const WINDOW: u64 = 8192;

/// What the table says about a proposal's name.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// Never applied: apply it, then [`Verdicts::record`].
    New,
    /// Applied before, with this verdict.
    Before(Bytes),
    /// So old that its verdict is forgotten, or of an earlier start of its origin: nobody waits for it.
    Stale,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Origin {
    epoch: BootEpoch,
    /// Counters at or below this are forgotten.
    forgotten: u64,
    recent: BTreeMap<u64, Bytes>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Verdicts([Origin; 3]);

impl Verdicts {
    pub fn seen(&self, id: ProposalId) -> Seen {
        let origin = &self.0[id.slot.at()];
        if id.epoch < origin.epoch {
            return Seen::Stale;
        }
        if id.epoch > origin.epoch {
            return Seen::New;
        }
        if let Some(verdict) = origin.recent.get(&id.counter) {
            return Seen::Before(verdict.clone());
        }
        if id.counter <= origin.forgotten { Seen::Stale } else { Seen::New }
    }

    pub fn record(&mut self, id: ProposalId, verdict: Bytes) {
        let origin = &mut self.0[id.slot.at()];
        assert!(id.epoch >= origin.epoch, "a proposal of an earlier start is stale and is not applied");
        if id.epoch > origin.epoch {
            *origin = Origin { epoch: id.epoch, ..Origin::default() };
        }
        let before = origin.recent.insert(id.counter, verdict);
        assert!(before.is_none(), "a proposal has one verdict");
        while origin.recent.first_key_value().is_some_and(|(first, _)| first + WINDOW <= id.counter) {
            let (first, _) = origin.recent.pop_first().expect("there is a first one");
            origin.forgotten = origin.forgotten.max(first);
        }
    }

    pub fn encode(&self, w: &mut Writer) {
        for origin in &self.0 {
            w.u64(origin.epoch.0).varint(origin.forgotten).varint(origin.recent.len() as u64);
            for (counter, verdict) in &origin.recent {
                w.varint(*counter).bytes(verdict);
            }
        }
    }

    pub fn decode(r: &mut Reader) -> Result<Verdicts, codec::Error> {
        let mut verdicts = Verdicts::default();
        for slot in Slot::ALL {
            let origin = &mut verdicts.0[slot.at()];
            origin.epoch = BootEpoch(r.u64()?);
            origin.forgotten = r.varint()?;
            for _ in 0..r.count("verdicts")? {
                let counter = r.varint()?;
                origin.recent.insert(counter, Bytes::copy_from_slice(r.bytes()?));
            }
        }
        Ok(verdicts)
    }
}
