//! This node's place in the group: the state, and what goes in and out of it.
//!
//! [`Consensus`] is sans-IO: `receive`, `tick`, `persisted` and their like take what happened, `flush` puts out
//! what is to be done, `frames` what is to be said. Several inputs may be taken before one flush; then they share a
//! disk write, and what several flushes led to shares frames.

mod handover;
mod hurry;
mod leases;
mod membership;
mod open;
mod reads;
mod ready;
#[cfg(test)]
mod tests;

use self::handover::Syncs;
use self::hurry::Hurry;
use crate::event::Event;
use crate::frame::{Frame, Lane};
use crate::lease::{Grants, Holder, Lengths, Stable, Strand};
use crate::log::Log;
use crate::members::Members;
use crate::message::Message;
use crate::proposals::{Origin, Proposal, Queue, Refusal};
use crate::wal::Wal;
use plait_base::{
    BootEpoch, Bytes, ClusterId, Index, MemberId, Mono, Now, ProposalId, Room, Slot, Term, disk,
};
use raft::{RawNode, StateRole};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub use open::{Boot, Image, OpenError, identity};
pub use reads::Reads;

/// The lengths and bounds of the group; the same on all nodes but for `slot` and `nonce`.
#[derive(Debug, Clone)]
pub struct Config {
    pub slot: Slot,
    pub cluster: ClusterId,
    /// Tells this attempt to join from others; not 0.
    pub nonce: u64,
    /// Forced recovery: the group is this node alone.
    pub bootstrap: bool,
    pub tick: Duration,
    /// Election time-outs of the slots, in ticks; distinct, so that no two campaign at once.
    pub election_ticks: [u32; 3],
    pub heartbeat_ticks: u32,
    pub lengths: Lengths,
    /// How this node serves reads; others may do it in another way.
    pub reads: Reads,
    pub commit_timeout: Duration,
    pub proposals_max: usize,
    pub entry_bytes_max: usize,
    pub segment_bytes: u64,
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Send {
        to: Slot,
        lane: Lane,
        frame: Bytes,
    },
    Persist(disk::Persist),
    /// The next entry of the order: apply it, then call [`Consensus::applied`].
    Committed {
        index: Index,
        term: Term,
        group: Vec<Proposal>,
    },
    /// A proposal of this node's whose deadline passed. If it was never `sent`, it is a definite *no*.
    Unresolved {
        id: ProposalId,
        sent: bool,
    },
    /// The order was this far when the round began ([`Consensus::ask_read_index`]).
    ReadIndex {
        round: u64,
        index: Index,
    },
    /// What another node has applied, and its hash chain there.
    PeerApplied {
        slot: Slot,
        index: Index,
        chain: u64,
    },
    /// The leader has cut the log that this node lacks, and offers its state at `index`.
    SnapshotOffered {
        from: Slot,
        index: Index,
        term: Term,
    },
    /// The offered snapshot is in the log's place; the state is to be swapped now.
    SnapshotInstalled {
        index: Index,
    },
    /// Another node wants rows of a snapshot.
    SnapshotFetch {
        from: Slot,
        index: Index,
        cursor: Bytes,
    },
    SnapshotChunk {
        from: Slot,
        index: Index,
        cursor: Bytes,
        chunk: Bytes,
    },
    SnapshotGone {
        from: Slot,
        index: Index,
    },
    /// Nothing here can be used: the node is to be started empty.
    Reseed {
        why: String,
    },
    Event(Event),
}

/// Bytes that a leader holds of proposals not yet in its log; more are dropped, and their origins send them again.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Groups that may be on their way to this node's disk before the next one waits for more company.
const GROUPS_IN_FLIGHT_MAX: usize = 2;
/// A frame in bulk that is larger than this goes alone: it may take its time.
const SHARED_FRAME_BYTES_MAX: usize = 16 << 10;
/// After this many ticks without a verdict a proposal is handed to the leader once more.
const PATIENCE_TICKS: u32 = 20;
/// A receiver of a snapshot that is silent for this many ticks has lost it.
const SNAPSHOT_SILENCE_TICKS: u32 = 80;

/// What waits for a write to be durable.
struct InFlight {
    token: u64,
    /// That is durable with it.
    term: Term,
    /// Of Raft's ready; 0 for a write of our own.
    ready: u64,
    /// The last entry in it.
    last: Option<Index>,
    messages: Vec<raft::eraftpb::Message>,
    installed: Option<Index>,
}

/// What of Raft's state was last looked at, to see what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Observed {
    term: u64,
    vote: u64,
    leader: u64,
    role: StateRole,
}

/// The part that exists once the node is a member.
struct Group {
    member: MemberId,
    epoch: BootEpoch,
    raw: RawNode<Log>,
    wal: Wal,
    members: Members,
    observed: Observed,
    /// Term and vote as they were last written.
    written_vote: (Term, u64),
    /// Term that is on disk.
    durable_term: Term,
    in_flight: VecDeque<InFlight>,
    /// Last entry that is on this node's disk.
    durable_last: Index,
    syncs: Syncs,
    hurry: Hurry,
    /// Entries came whose sync somebody waits for.
    hurried: bool,
    /// Conf changes that are committed and not yet applied.
    changes: BTreeMap<Index, raft::eraftpb::ConfChange>,
    origin: Origin,
    queue: Queue,
    applied: Index,
    told_applied: Index,
    chain: u64,
    strands: Vec<StrandState>,
    reads: reads::Rounds,
    /// Heartbeat rounds that grants wait for.
    rounds: u64,
    snapshots: BTreeMap<Slot, Mono>,
    /// Forced recovery: members whose removal is still to be written to the log.
    lost: Vec<MemberId>,
    /// Once this token is durable, a start knows the members as they are now.
    noted_at: u64,
    offered: Option<raft::eraftpb::Message>,
}

struct StrandState {
    strand: Strand,
    holder: Holder,
    was_usable: bool,
    stable: Stable,
    told_stable: Index,
    repeated_stable: Index,
    /// Whether this leader has said that it waits for its predecessor's leases.
    waited: bool,
    /// Only while leading.
    grants: Option<Grants>,
    /// Asks that wait for the round under way, and those that came after it began.
    in_round: Vec<(Slot, crate::lease::Ask)>,
    next_round: Vec<(Slot, crate::lease::Ask)>,
    round: Option<u64>,
}

/// See the module's head.
pub struct Consensus {
    config: Config,
    group: Option<Group>,
    /// Tokens of `Persist`s count up from 1.
    token: u64,
    /// Everything up to this token must be durable before the node takes part.
    started_at: u64,
    /// Once this token is durable, the identity file is to say that the log was made.
    note_at: Option<u64>,
    durable: u64,
    /// What an unhurried follower will write with its next `Persist`.
    held: Vec<disk::Op>,
    /// Which record of the log each write of it ends with.
    written: VecDeque<(u64, u64)>,
    next_tick: Mono,
    /// Empty node: when it asks next to be taken in.
    next_join: Mono,
    outbox: BTreeMap<(Slot, Lane), Vec<Message>>,
    effects: Vec<Effect>,
}

impl Consensus {
    fn started(&self) -> bool {
        self.group.is_some() && self.durable >= self.started_at
    }

    fn say(&mut self, to: Slot, lane: Lane, message: Message) {
        self.outbox.entry((to, lane)).or_default().push(message);
    }

    fn event(&mut self, event: Event) {
        self.effects.push(Effect::Event(event));
    }

    fn persist(&mut self, mut ops: Vec<disk::Op>) -> u64 {
        if !self.held.is_empty() {
            ops.splice(0..0, std::mem::take(&mut self.held));
        }
        self.token += 1;
        self.effects.push(Effect::Persist(disk::Persist { token: self.token, ops }));
        if let Some(group) = &self.group {
            self.written.push_back((self.token, group.wal.written()));
        }
        self.token
    }

    /// A frame from a peer. One that cannot be read, or is from nobody who has a place here, is refused and named.
    pub fn receive(&mut self, now: Now, from: Slot, bytes: &Bytes) {
        let frame = match Frame::decode(from, bytes) {
            Ok(frame) => frame,
            Err(why) => return self.event(Event::FrameRefused { from, why: why.to_string() }),
        };
        for message in frame.messages {
            self.hear(now, from, frame.from, message);
        }
        self.observe(now);
    }

    fn hear(&mut self, now: Now, from: Slot, member: Option<MemberId>, message: Message) {
        match message {
            Message::Join { nonce } => return self.asked_to_join(from, nonce),
            Message::Welcome { nonce, incarnation } => return self.welcomed(nonce, incarnation),
            _ if !self.started() => return,
            _ => {}
        }
        let group = self.group.as_mut().expect("it has started");
        // A member that was removed may not know it yet; a member that this node has not heard of may be newer.
        if member
            .is_some_and(|m| group.members.in_slot(from).is_some_and(|now| now.incarnation > m.incarnation))
        {
            return;
        }
        match message {
            Message::Raft(message) => self.hear_raft(*message),
            Message::Forward(proposals) => {
                if group.raw.raft.state == StateRole::Leader && group.queue.bytes() < QUEUE_BYTES_MAX {
                    proposals.into_iter().for_each(|p| group.queue.push(p));
                }
            }
            Message::LeaseAsk { strand, term, epoch, counter, applied } => {
                self.asked_for_lease(now, from, strand, crate::lease::Ask { term, epoch, counter }, applied);
            }
            Message::LeaseGrant { strand, term, epoch, counter, floor } => {
                self.lease_granted(now, strand, crate::lease::Ask { term, epoch, counter }, floor);
            }
            Message::Applied { strand, index, chain } => {
                self.peer_applied(now, from, strand, index);
                self.effects.push(Effect::PeerApplied { slot: from, index, chain });
            }
            Message::Stable { strand, index } => {
                group.strands[strand.at()].stable.announced(index);
            }
            Message::SnapshotFetch { index, cursor } => {
                group.snapshots.insert(from, now.mono);
                self.effects.push(Effect::SnapshotFetch { from, index, cursor });
            }
            Message::SnapshotChunk { index, cursor, chunk } => {
                self.effects.push(Effect::SnapshotChunk { from, index, cursor, chunk });
            }
            Message::SnapshotGone { index } => self.effects.push(Effect::SnapshotGone { from, index }),
            Message::Join { .. } | Message::Welcome { .. } => unreachable!("answered above"),
        }
    }

    /// The clock has moved; does nothing before the deadline.
    pub fn tick(&mut self, now: Now) {
        if now.mono < self.next_tick {
            return;
        }
        // A late tick is one tick: what was missed did not happen to this node.
        self.next_tick = now.mono + self.config.tick;
        if self.group.is_none() {
            return self.ask_to_join(now);
        }
        if !self.started() {
            return;
        }
        for strand in Strand::ALL {
            let lease = &mut self.group.as_mut().expect("it has started").strands[strand.at()];
            if lease.holder.tick(now.mono) {
                self.event(Event::LeaseLost { strand, why: "a gap between this node's own ticks" });
            }
        }
        let group = self.group.as_mut().expect("it has started");
        group.raw.tick();
        let beats = group.raw.raft.state == StateRole::Leader && group.raw.raft.heartbeat_elapsed() == 0;
        for (id, sent) in group.origin.expire(now.mono) {
            self.effects.push(Effect::Unresolved { id, sent });
            self.effects.push(Effect::Event(Event::Unresolved { counter: id.counter, sent }));
        }
        self.observe(now);
        self.write_held();
        self.tend_leadership();
        self.tend_hurry();
        self.repeat_stable(beats);
        self.tend_members();
        self.tend_snapshots(now);
    }

    /// When `tick` is to be called.
    pub fn deadline(&self) -> Mono {
        let ask = self.group.iter().flat_map(|g| &g.strands).map(|s| s.holder.next_ask()).min();
        match ask.filter(|_| self.config.reads == Reads::Lease) {
            Some(at) if self.started() && self.knows_leader() => self.next_tick.min(at.max(Mono(1))),
            _ => self.next_tick,
        }
    }

    /// A connection was closed by the other end. Evidence, not proof: if it was the leader's, this node no longer
    /// refuses to vote, and campaigns when its turn comes; nobody's lease is shortened.
    pub fn peer_down(&mut self, peer: Slot) {
        let ticks = self.config.election_ticks.iter().min().copied().unwrap_or(1) as usize;
        let Some(group) = &mut self.group else { return };
        group.hurry.down(peer);
        let raft = &mut group.raw.raft;
        if MemberId::from_raft(raft.leader_id).is_some_and(|m| m.slot == peer)
            && raft.state != StateRole::Leader
        {
            raft.election_elapsed = raft.election_elapsed.max(ticks);
        }
        if let Some(member) = group.members.in_slot(peer) {
            group.raw.report_unreachable(member.raft());
        }
        if group.snapshots.contains_key(&peer) {
            self.snapshot_lost(peer);
        }
    }

    /// Everything up to this token is on disk.
    pub fn persisted(&mut self, now: Now, token: u64) {
        assert!(token > self.durable && token <= self.token, "tokens are reported once, in order");
        self.durable = token;
        while let Some((_, sequence)) = self.written.pop_front_if(|(t, _)| *t <= token) {
            self.group.as_mut().expect("whoever writes has a log").wal.synced(sequence);
        }
        if self.note_at.take_if(|at| *at <= token).is_some() {
            self.note_started();
        }
        self.after_persist(now);
        self.observe(now);
    }

    /// Wants an operation ordered. The answer comes with the log ([`Effect::Committed`]; call
    /// [`settle`](Self::settle)) or as [`Effect::Unresolved`].
    pub fn propose(&mut self, now: Now, room: Room, op: Bytes) -> Result<ProposalId, Refusal> {
        if !self.started() {
            return Err(Refusal::NotStarted);
        }
        let deadline = now.mono + self.config.commit_timeout;
        self.group.as_mut().expect("it has started").origin.propose(room, op, deadline)
    }

    /// The verdict of a proposal is known here. Whether this node still waited for it.
    pub fn settle(&mut self, id: ProposalId) -> bool {
        self.group.as_mut().is_some_and(|g| g.origin.settle(id))
    }

    /// The entry at `index` was applied whole and published; `chain` is the state's hash chain there.
    pub fn applied(&mut self, now: Now, index: Index, chain: u64) {
        let group = self.group.as_mut().expect("only a member applies");
        assert!(index > group.applied, "applied never goes back: {index} after {}", group.applied);
        group.applied = index;
        group.chain = chain;
        if let Some(change) = group.changes.remove(&index) {
            self.change_members(now, index, &change);
        }
        let (slot, group) = (self.config.slot, self.group.as_mut().expect("only a member applies"));
        group.raw.advance_apply_to(index.0);
        for strand in &mut group.strands {
            strand.stable.heard(slot, index);
        }
        self.observe(now);
    }

    /// Cuts the log below `below`: those entries are in two checkpoints.
    pub fn cut(&mut self, below: Index) {
        let Some(group) = &mut self.group else { return };
        let below = below.min(group.applied);
        if below <= group.raw.store().first() {
            return;
        }
        let hard = hard_state(&group.raw);
        group.raw.mut_store().cut(below);
        let mut ops = Vec::new();
        group.wal.cut(below, hard, &mut ops);
        if !ops.is_empty() {
            let token = self.persist(ops);
            self.await_persist(token, 0, None, Vec::new(), None);
        }
        self.event(Event::LogCut { below });
    }

    /// Puts out what is to be done after the inputs taken so far.
    pub fn flush(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.started() {
            self.hand_proposals(now);
            self.form_groups();
            self.tend_reads(now);
            self.do_ready(now);
            self.tend_leases(now);
            self.do_ready(now);
            self.tell_applied();
        }
        out.append(&mut self.effects);
    }

    /// Puts out what is to be said to the others, after the last [`flush`](Self::flush) of a step: what was said in
    /// each of them leaves together.
    pub fn frames(&mut self, out: &mut Vec<Effect>) {
        let from = self.member();
        self.share_frames();
        for ((to, lane), messages) in std::mem::take(&mut self.outbox) {
            let frame = Frame { from, messages }.encode();
            out.push(Effect::Send { to, lane, frame });
        }
    }

    /// What a leader reports rides along with the entries and the notice of a commit that it sends to the same peer:
    /// without those, the peer can do nothing with it. Large ones go alone.
    fn share_frames(&mut self) {
        let small = |list: &Vec<Message>| {
            let bytes: Option<usize> = list.iter().map(Message::entry_bytes).sum();
            bytes.is_some_and(|bytes| bytes <= SHARED_FRAME_BYTES_MAX)
        };
        for slot in self.config.slot.others() {
            if self.outbox.get(&(slot, Lane::Bulk)).is_some_and(small)
                && let Some(fast) = self.outbox.get(&(slot, Lane::Fast))
                && fast.iter().all(Message::is_report)
            {
                let reports = self.outbox.remove(&(slot, Lane::Fast)).expect("it was found a moment ago");
                self.outbox.entry((slot, Lane::Bulk)).or_default().extend(reports);
            }
        }
    }

    /// Gives new proposals to the leader.
    fn hand_proposals(&mut self, now: Now) {
        let patience = self.config.tick * PATIENCE_TICKS;
        let Some(group) = &mut self.group else { return };
        let term = Term(group.raw.raft.term);
        let leading = group.raw.raft.state == StateRole::Leader;
        if let Some(leader) = MemberId::from_raft(group.raw.raft.leader_id) {
            let list = group.origin.hand_over(leader.slot, term, now.mono, patience);
            if leading {
                list.into_iter().for_each(|p| group.queue.push(p));
            } else if !list.is_empty() {
                self.say(leader.slot, Lane::Bulk, Message::Forward(list));
            }
        }
    }

    /// Leader: puts what it was handed in the log, as long as its disk keeps up.
    fn form_groups(&mut self) {
        let Some(group) = self.group.as_mut().filter(|g| g.raw.raft.state == StateRole::Leader) else {
            return;
        };
        if group.raw.raft.lead_transferee.is_some() {
            // Raft takes nothing meanwhile; if the other takes over, the origins hand it in there.
            return;
        }
        let mut in_flight = group.in_flight.iter().filter(|w| w.last.is_some()).count();
        while in_flight < GROUPS_IN_FLIGHT_MAX && !group.queue.is_empty() {
            let list = group.queue.group(self.config.entry_bytes_max);
            let packed = crate::proposals::pack(&list);
            if group.raw.propose(Vec::new(), packed.to_vec()).is_err() {
                // Raft's own bound on what is uncommitted was reached; the origins will hand these in again.
                break;
            }
            in_flight += 1;
        }
    }

    pub fn member(&self) -> Option<MemberId> {
        self.group.as_ref().map(|g| g.member)
    }

    pub fn epoch(&self) -> BootEpoch {
        self.group.as_ref().map_or(BootEpoch(0), |g| g.epoch)
    }

    /// The epoch of this start once it is on the disk, else 0. Before that the next start may have the same one, and
    /// a late proof that this start is dead would be taken for a proof that that one is.
    pub fn durable_epoch(&self) -> BootEpoch {
        if self.started() { self.epoch() } else { BootEpoch(0) }
    }

    pub fn members(&self) -> Option<&Members> {
        self.group.as_ref().map(|g| &g.members)
    }

    pub fn term(&self) -> Term {
        Term(self.group.as_ref().map_or(0, |g| g.raw.raft.term))
    }

    pub fn leader(&self) -> Option<Slot> {
        self.group.as_ref().and_then(|g| MemberId::from_raft(g.raw.raft.leader_id)).map(|m| m.slot)
    }

    fn knows_leader(&self) -> bool {
        self.group.as_ref().is_some_and(|g| g.raw.raft.leader_id != 0)
    }

    pub fn leads(&self) -> bool {
        self.group.as_ref().is_some_and(|g| g.raw.raft.state == StateRole::Leader)
    }

    pub fn commit(&self) -> Index {
        Index(self.group.as_ref().map_or(0, |g| g.raw.raft.raft_log.committed))
    }

    pub fn applied_index(&self) -> Index {
        self.group.as_ref().map_or(Index::ZERO, |g| g.applied)
    }

    pub fn first_index(&self) -> Index {
        self.group.as_ref().map_or(Index::ZERO, |g| g.raw.store().first())
    }

    /// Last index that is on this node's disk.
    pub fn durable_index(&self) -> Index {
        self.group.as_ref().map_or(Index::ZERO, |g| g.durable_last)
    }

    /// Members that are lost for ever are not all removed yet, or a restart could still go by the members of old.
    pub fn recovering(&self) -> bool {
        self.group.as_ref().is_some_and(|g| !g.lost.is_empty() || self.durable < g.noted_at)
    }

    pub fn log_bytes(&self) -> u64 {
        self.group.as_ref().map_or(0, |g| g.raw.store().bytes())
    }

    /// Term of an entry that is in the log.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.group.as_ref().and_then(|g| g.raw.store().term_at(index))
    }

    /// Proposals of this node's that wait for a verdict.
    pub fn waiting(&self) -> usize {
        self.group.as_ref().map_or(0, |g| g.origin.len())
    }

    /// Sends something of a snapshot transfer.
    pub fn transfer(&mut self, to: Slot, message: Message) {
        self.say(to, Lane::Transfer, message);
    }
}

fn hard_state(raw: &RawNode<Log>) -> crate::wal::HardState {
    let hard = raw.raft.hard_state();
    crate::wal::HardState { term: Term(hard.term), vote: hard.vote, commit: Index(hard.commit) }
}
