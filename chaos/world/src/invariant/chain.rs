//! Equal hash chains: what two nodes hold at one seqno is the same, and they came there the same way.
//!
//! Why it must hold: the chain at seqno n is a function of the log's prefix up to n alone, and no two nodes apply
//! different committed entries at one index. It does not matter through how many restarts, checkpoints or
//! snapshots a node came to n. And a proposal has one place: whatever arrives a second time is answered with the
//! first verdict and orders nothing.

use super::Look;
use plait_base::{ProposalId, Slot, draw};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Chains {
    /// seqno → (chain, who showed it first)
    seen: BTreeMap<u64, (u64, Slot)>,
    /// How often a second node showed a seqno that another had shown.
    pub compared: u64,
    last: [(u32, u64); 3],
    /// seqno → what was ordered there, as the first node said.
    orders: BTreeMap<u64, Order>,
    /// Where each proposal was ordered.
    place: BTreeMap<ProposalId, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    index: u64,
    id: ProposalId,
    verdict: u64,
}

impl Chains {
    /// `slot` gave the operation `id` of entry `index` the place `seqno`.
    pub fn ordered(
        &mut self,
        slot: Slot,
        seqno: u64,
        index: u64,
        id: ProposalId,
        verdict: &str,
    ) -> Result<(), String> {
        let place = *self.place.entry(id).or_insert(seqno);
        if place != seqno {
            return Err(format!(
                "on {slot} the proposal {id} is ordered at seqno {place} and again at {seqno}"
            ));
        }
        let order = Order { index, id, verdict: draw::stream(verdict) };
        match *self.orders.entry(seqno).or_insert(order) {
            first if first == order => Ok(()),
            first => Err(format!(
                "at seqno {seqno} {slot} has {id} of entry {index} ({verdict}), and another node had {} of entry {}{}",
                first.id,
                first.index,
                if first.verdict == order.verdict { "" } else { " with another verdict" },
            )),
        }
    }

    pub fn look(&mut self, look: &Look) -> Result<(), String> {
        let seqno = look.status.seqno.0;
        let chain = u64::from_str_radix(&look.status.chain, 16)
            .map_err(|_| format!("{} shows the chain '{}'", look.slot, look.status.chain))?;
        let again =
            std::mem::replace(&mut self.last[look.slot.at()], (look.life, seqno)) == (look.life, seqno);
        match *self.seen.entry(seqno).or_insert((chain, look.slot)) {
            (first, who) if first == chain => {
                self.compared += u64::from(!again && who != look.slot);
                Ok(())
            }
            (first, who) => Err(format!(
                "at seqno {seqno} {who} has chain {first:016x} and {} has {chain:016x}",
                look.slot
            )),
        }
    }
}
