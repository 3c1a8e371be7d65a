//! Reads without a lease: by a read index, or local ones (DESIGN law 8).
//!
//! Intuition: a lease is a permit bought in advance. Without one a node asks at each read "how far was the order
//! when I asked?", and answers once it has applied that much; or, in the local mode, it doesn't ask at all.
//! Invariants: a round that serves a request began after the request came; its answer is the commit index of a
//! leader whom a majority still followed then. What is acknowledged still waits for every lease that may run, so
//! nodes of different modes can live in one cluster, and each keeps what its own mode promises.
//! Source: Ongaro, "Consensus: Bridging Theory and Practice", §6.4.

use super::{Consensus, Effect};
use plait_base::{Index, Mono, Now};
use raft::StateRole;

/// How a node serves reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reads {
    /// From its own memory, under a lease: linearizable, no round trip; a write may have to wait for its holder.
    #[default]
    Lease,
    /// After one round trip to the leader: linearizable, and no write ever waits for this node.
    Index,
    /// From its own memory: never a state that did not exist, but it may be an old one (Galera's habit).
    Local,
}

impl Reads {
    pub const ALL: [Reads; 3] = [Reads::Lease, Reads::Index, Reads::Local];

    /// Its name in configuration and status.
    pub fn word(self) -> &'static str {
        match self {
            Reads::Lease => "lease",
            Reads::Index => "index",
            Reads::Local => "local",
        }
    }
}

/// After this many ticks without an answer a round is lost, and the next one begins.
const PATIENCE_TICKS: u32 = 4;

/// This node's rounds; they count up from 1.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    begun: u64,
    answered: u64,
    began_at: Mono,
    /// Somebody waits for a round that has not begun.
    wanted: bool,
    caught_up: CaughtUp,
}

/// Whether this node has come as far as the order was when it last found a leader.
#[derive(Debug, Clone, Copy, Default)]
enum CaughtUp {
    #[default]
    Unasked,
    Asked(u64),
    At(Index),
}

impl Rounds {
    /// The round that serves a request which has come by now.
    fn next(&mut self) -> u64 {
        self.wanted = true;
        self.begun + 1
    }
}

/// No round of a lease (8 bytes), of another node, or of an earlier start of this one has the same.
const CONTEXT_BYTES: usize = 17;

impl Consensus {
    /// Asks how far the order is; [`Effect::ReadIndex`] with this round's number, or a later one, is the answer.
    /// None may ever come: whoever waits has a deadline.
    pub fn ask_read_index(&mut self) -> Option<u64> {
        self.started().then(|| self.group.as_mut().expect("it has started").reads.next())
    }

    pub fn reads(&self) -> Reads {
        self.config.reads
    }

    /// Without leases: whether this node follows a leader and has come as far as the order was when it found it.
    pub(super) fn follows(&self) -> Result<(), &'static str> {
        let group = self.group.as_ref().expect("it has started");
        match group.reads.caught_up {
            _ if group.raw.raft.leader_id == 0 => Err("it is not in a majority (no leader)"),
            CaughtUp::At(index) if group.applied >= index => Ok(()),
            _ => Err("it is still catching up with the log"),
        }
    }

    /// Begins the next round if somebody waits for it and none is under way, or if that one was lost.
    pub(super) fn tend_reads(&mut self, now: Now) {
        let patience = self.config.tick * PATIENCE_TICKS;
        let slot = self.config.slot;
        let group = self.group.as_mut().expect("it has started");
        let (raft, reads) = (&group.raw.raft, &mut group.reads);
        if raft.leader_id == 0 {
            reads.caught_up = CaughtUp::Unasked;
            return;
        }
        if self.config.reads != Reads::Lease && matches!(reads.caught_up, CaughtUp::Unasked) {
            reads.caught_up = CaughtUp::Asked(reads.next());
        }
        // Raft drops the question of a leader that has committed nothing of its own term.
        let deaf = raft.state == StateRole::Leader && !raft.commit_to_current_term();
        let under_way = reads.answered < reads.begun;
        let lost = under_way && now.mono >= reads.began_at + patience;
        if deaf || !(lost || reads.wanted && !under_way) {
            return;
        }
        reads.wanted = false;
        reads.begun += 1;
        reads.began_at = now.mono;
        let mut context = Vec::with_capacity(CONTEXT_BYTES);
        context.push(slot.get());
        context.extend(group.epoch.0.to_le_bytes());
        context.extend(reads.begun.to_le_bytes());
        group.raw.read_index(context);
    }

    pub(super) fn read_index_known(&mut self, context: &[u8], index: Index) {
        let slot = self.config.slot;
        let group = self.group.as_mut().expect("it has started");
        let Some((from, rest)) = context.split_first().filter(|_| context.len() == CONTEXT_BYTES) else {
            return;
        };
        let (epoch, round) = rest.split_at(8);
        if *from != slot.get() || epoch != group.epoch.0.to_le_bytes() {
            return;
        }
        let round = u64::from_le_bytes(round.try_into().expect("8 bytes are left"));
        let reads = &mut group.reads;
        reads.answered = reads.answered.max(round);
        if matches!(reads.caught_up, CaughtUp::Asked(asked) if asked <= round) {
            reads.caught_up = CaughtUp::At(index);
        }
        self.effects.push(Effect::ReadIndex { round, index });
    }
}
