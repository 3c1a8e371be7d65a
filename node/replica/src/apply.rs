//! The ordered part: entries of the log become seqnos, verdicts and new row versions, on every node alike.
//!
//! Invariant: what is applied, in which order and with which verdict depends on the log's prefix alone. Nothing
//! here looks at the clock, at who proposed what, or at a local limit.

use crate::api::{Output, Stop};
use crate::event::Event;
use crate::node::{Committed, Replica};
use plait_base::{Index, Now, ProposalId, Room, Seqno, Slot};
use plait_consensus::zoo::{self, Bug};
use plait_consensus::{Seen, Strand};
use plait_store::Verdict;
use std::borrow::Cow;
use std::collections::VecDeque;

/// An entry that is half applied; nothing of it can be seen yet.
pub(crate) struct Applying {
    entry: Committed,
    /// Place in its group of the operation that comes next.
    at: usize,
    /// Verdicts of this node's own operations, told once the entry is published.
    own: Vec<(ProposalId, Verdict)>,
}

/// Recent positions: which seqno an entry ended at, and the hash chain there.
pub(crate) struct History {
    /// Entries above the stable index, oldest first, after the last one at or below it.
    ends: VecDeque<(Index, Seqno)>,
    chains: VecDeque<(Index, u64)>,
    /// What peers said of their chains.
    peers: VecDeque<(Slot, Index, u64)>,
}

const CHAINS_MAX: usize = 4096;
const PEER_CHAINS_MAX: usize = 256;

impl History {
    pub fn starting_at(index: Index, seqno: Seqno, chain: u64) -> History {
        History {
            ends: VecDeque::from([(index, seqno)]),
            chains: VecDeque::from([(index, chain)]),
            peers: VecDeque::new(),
        }
    }

    fn push(&mut self, index: Index, seqno: Seqno, chain: u64) {
        self.ends.push_back((index, seqno));
        self.chains.push_back((index, chain));
        if self.chains.len() > CHAINS_MAX {
            self.chains.pop_front();
        }
    }

    /// The last seqno of the newest applied entry at or below `stable`; zero if that is before all that is known.
    pub fn stable_seqno(&mut self, stable: Index) -> Seqno {
        while self.ends.get(1).is_some_and(|(index, _)| *index <= stable) {
            self.ends.pop_front();
        }
        match self.ends.front() {
            Some((index, seqno)) if *index <= stable => *seqno,
            _ => Seqno::ZERO,
        }
    }

    /// The hash chain after the last entry that was published whole.
    pub fn chain(&self) -> u64 {
        self.chains.back().expect("there is always a last one").1
    }

    fn chain_at(&self, index: Index) -> Option<u64> {
        let at = self.chains.binary_search_by_key(&index, |(i, _)| *i).ok()?;
        Some(self.chains[at].1)
    }
}

impl Replica {
    /// Applies what is committed, within the budget of one step.
    pub(crate) fn apply(&mut self, now: Now) {
        let mut budget = self.config.limits.step_work_max;
        while budget > 0 {
            if self.applying.is_none() {
                if self.comes_to_refused_entry() {
                    return;
                }
                let Some(entry) = self.queue.pop_front() else { return };
                self.at_work = Some(entry.index);
                self.applying = Some(Applying { entry, at: 0, own: Vec::new() });
            }
            if !self.apply_some(&mut budget) {
                return;
            }
            self.publish(now);
            budget = budget.saturating_sub(1);
        }
    }

    /// Whether the entry under way is applied whole.
    fn apply_some(&mut self, budget: &mut u32) -> bool {
        let applying = self.applying.as_mut().expect("an entry is under way");
        let me = self.config.slot;
        while let Some(proposal) = applying.entry.group.get(applying.at) {
            let id = proposal.id;
            let own = id.slot == me;
            let verdict = match self.verdicts.seen(id) {
                Seen::Stale => {
                    applying.at += 1;
                    continue;
                }
                Seen::Before(bytes) if !zoo::on(Bug::DuplicateApplied) => {
                    self.out
                        .push(Output::Event(Event::DuplicateAnswered { index: applying.entry.index, id }));
                    Verdict::decode(&bytes).expect("a recorded verdict was encoded by us")
                }
                seen => {
                    if zoo::on(Bug::ApplyPanics) && applying.entry.index.0.is_multiple_of(16) {
                        panic!("a planted bug: {} can't be applied", applying.entry.index);
                    }
                    let Room::Store = proposal.room;
                    let seqno = self.store.applied_unpublished().next();
                    let Some(verdict) = self.store.apply(seqno, id, &proposal.op, budget) else {
                        return false;
                    };
                    if seen == Seen::New {
                        self.verdicts.record(id, verdict.encode());
                    }
                    let bytes = proposal.op.len() as u64;
                    let done = matches!(verdict, Verdict::Done { .. });
                    let asked_at = self.sessions.proposed_at(id).filter(|_| own);
                    if let (Some(asked_at), Verdict::Done { first, last, .. }) = (asked_at, &verdict) {
                        if let Some(table) = plait_store::Op::reserves_ids(&proposal.op) {
                            let (table, first, last) = (table.0, *first, *last);
                            self.out.push(Output::Event(Event::IdsReserved { table, first, last }));
                        }
                        if let Some(over) = self.store.added_over().filter(|over| asked_at < *over) {
                            self.out.push(Output::Event(Event::AddedOverNewer { seqno, over }));
                        }
                    }
                    if own {
                        self.counters.local_commits += u64::from(done);
                        self.counters.local_cert_failures += u64::from(!done);
                    } else {
                        self.counters.received += 1;
                        self.counters.received_bytes += bytes;
                    }
                    self.out.push(Output::Event(Event::Ordered {
                        index: applying.entry.index,
                        seqno,
                        id,
                        verdict: word(&verdict),
                    }));
                    verdict
                }
            };
            if own {
                applying.own.push((id, verdict));
            }
            applying.at += 1;
        }
        true
    }

    /// The entry becomes visible whole, and whoever waited for a verdict of it goes on.
    fn publish(&mut self, now: Now) {
        let Applying { entry, own, .. } = self.applying.take().expect("an entry is under way");
        self.store.publish();
        self.counters.entries_applied += 1;
        let chain = self.store.chain().short();
        self.history.push(entry.index, self.store.applied(), chain);
        self.checkpoints.last = (entry.index, entry.term);
        self.consensus.applied(now, entry.index, chain);
        for (id, verdict) in own {
            if self.consensus.settle(id) {
                self.resume(id, Ok(verdict));
            }
        }
        self.at_work = None;
    }

    /// Whether the next entry is the one that is not to be tried again. From then on this node takes no part: two
    /// others may well apply it, and what this one would promise beyond it, it could not keep.
    fn comes_to_refused_entry(&mut self) -> bool {
        if let Some(index) = self.config.avoid
            && self.queue.front().is_some_and(|next| next.index == index)
        {
            self.refused_entry = Some(index);
            self.queue.clear();
            self.event(Event::EntryRefused { index });
        }
        self.refused_entry.is_some()
    }

    pub(crate) fn stable_seqno(&mut self) -> Seqno {
        self.history.stable_seqno(self.consensus.stable(Strand::Store))
    }

    /// Compares another node's hash chain with this one's. If the other two agree and this one differs, this one
    /// is wrong: it leaves, and comes back empty.
    pub(crate) fn compare_chains(&mut self, slot: Slot, index: Index, chain: u64) {
        let peers = &mut self.history.peers;
        if peers.len() >= PEER_CHAINS_MAX {
            peers.pop_front();
        }
        peers.push_back((slot, index, chain));
        let Some(mine) = self.history.chain_at(index) else { return };
        if mine == chain {
            return;
        }
        let agreed = self.history.peers.iter().any(|(s, i, c)| *s != slot && *i == index && *c == chain);
        self.event(Event::ChainDiffers { slot, index });
        if agreed {
            self.event(Event::Diverged { index });
            self.stop(Stop::Reseed {
                why: format!(
                    "at {index} the other two nodes have the hash chain {chain:016x}, this one {mine:016x}"
                ),
            });
        }
    }
}

fn word(verdict: &Verdict) -> Cow<'static, str> {
    match verdict {
        Verdict::Done { .. } => Cow::Borrowed("done"),
        Verdict::Refused(error) => Cow::Owned(error.to_string()),
    }
}
