//! Raft's work, done: what it wants sent, written and applied, and what changed in it.

use super::hurry::{self, HELD_BYTES_MAX};
use super::{Consensus, Effect, InFlight, Observed, hard_state};
use crate::event::Event;
use crate::frame::Lane;
use crate::lease::Strand;
use crate::log::from_raft;
use crate::message::Message;
use crate::proposals;
use crate::wal::HardState;
use crate::zoo::{self, Bug};
use plait_base::{Bytes, Index, MemberId, Now, Slot, Term, disk};
use raft::StateRole;
use raft::eraftpb::{self, EntryType, MessageType};

/// What may leave before the node's last write is durable, since it promises nothing but the term.
fn promises_term_alone(kind: MessageType) -> bool {
    use MessageType::*;
    matches!(kind, MsgHeartbeatResponse | MsgRequestPreVote | MsgRequestPreVoteResponse | MsgReadIndex)
}

fn lane(message: &eraftpb::Message) -> Lane {
    // Every append goes the same way: a notice of commit that overtook the entries would be refused.
    match message.get_msg_type() {
        MessageType::MsgAppend | MessageType::MsgSnapshot => Lane::Bulk,
        _ => Lane::Fast,
    }
}

impl Consensus {
    pub(super) fn hear_raft(&mut self, message: eraftpb::Message) {
        let group = self.group.as_mut().expect("it has started");
        if message.to != group.member.raft() {
            return;
        }
        let snapshot = message.get_snapshot().get_metadata();
        if message.get_msg_type() == MessageType::MsgSnapshot
            && message.term >= group.raw.raft.term
            && snapshot.index > group.raw.raft.raft_log.committed
        {
            // The message says only that there is a snapshot; Raft is told once its rows are here.
            let (index, term) = (Index(snapshot.index), Term(snapshot.term));
            if let Some(from) = MemberId::from_raft(message.from) {
                group.offered = Some(message);
                self.effects.push(Effect::SnapshotOffered { from: from.slot, index, term });
            }
            return;
        }
        group.hurried |= !message.entries.is_empty() && !hurry::is_unhurried(&message);
        // Raft answers an error for a message from nobody it knows, or of a kind that it does not expect now:
        // late or lost messages are its daily bread, and there is nothing else to do about one.
        let _ = group.raw.step(message);
    }

    /// The rows of the offered snapshot are durable here. Whether Raft puts it in the log's place: not if it has more
    /// by now, or the offer is of an earlier term.
    #[must_use]
    pub fn snapshot_ready(&mut self, now: Now, index: Index) -> bool {
        let Some(group) = &mut self.group else { return false };
        let Some(message) = group.offered.take_if(|m| m.get_snapshot().get_metadata().index == index.0)
        else {
            return false;
        };
        let _ = group.raw.step(message);
        let taken = group.raw.raft.raft_log.unstable.snapshot.as_ref();
        let taken = taken.is_some_and(|snapshot| snapshot.get_metadata().index == index.0);
        self.observe(now);
        taken
    }

    /// What a new leader, a new term or a vote changes here.
    pub(super) fn observe(&mut self, now: Now) {
        let Some(group) = &mut self.group else { return };
        let raft = &group.raw.raft;
        let seen = Observed { term: raft.term, vote: raft.vote, leader: raft.leader_id, role: raft.state };
        let before = std::mem::replace(&mut group.observed, seen);
        if seen == before {
            return;
        }
        let term = Term(seen.term);
        if (seen.term, seen.vote) != (before.term, before.vote) {
            for strand in Strand::ALL {
                let had = group.strands[strand.at()].holder.forget();
                if had {
                    self.effects
                        .push(Effect::Event(Event::LeaseLost { strand, why: "a vote or a higher term" }));
                }
            }
        }
        if seen.role == StateRole::Candidate
            && (before.role != StateRole::Candidate || seen.term != before.term)
        {
            self.effects.push(Effect::Event(Event::Campaigned { term }));
        }
        let leads = seen.role == StateRole::Leader;
        let led = before.role == StateRole::Leader;
        if leads && (!led || seen.term != before.term) {
            self.elected(now);
            self.event(Event::Elected { term });
        }
        if led && !leads {
            self.stepped_down();
            self.event(Event::SteppedDown { term });
        }
        if seen.leader != before.leader || seen.term != before.term {
            let leader = MemberId::from_raft(seen.leader).map(|m| m.slot);
            let group = self.group.as_mut().expect("it was there a moment ago");
            // A new leader has forgotten all reports: tell it again.
            group.told_applied = Index::ZERO;
            self.event(Event::LeaderChanged { term, leader });
        }
    }

    fn stepped_down(&mut self) {
        let group = self.group.as_mut().expect("it led");
        group.queue.drain();
        group.snapshots.clear();
        for strand in &mut group.strands {
            strand.grants = None;
            strand.in_round.clear();
            strand.next_round.clear();
            strand.round = None;
        }
    }

    /// Takes what Raft has ready until it has nothing more.
    pub(super) fn do_ready(&mut self, now: Now) {
        while self.group.as_ref().is_some_and(|g| g.raw.has_ready()) {
            self.do_one_ready(now);
        }
    }

    fn do_one_ready(&mut self, now: Now) {
        let group = self.group.as_mut().expect("it has something ready");
        let mut ready = group.raw.ready();
        let number = ready.number();
        let must_sync = ready.must_sync();
        let follows = group.raw.raft.state == StateRole::Follower;
        let hard = hard_state(&group.raw);
        // A vote or a term is always written at once.
        let same_vote = (hard.term, hard.vote) == group.written_vote;
        group.written_vote = (hard.term, hard.vote);
        let mut ops = Vec::new();
        let mut installed = None;

        if !ready.snapshot().is_empty() {
            let meta = ready.snapshot().get_metadata().clone();
            let base = (Index(meta.index), Term(meta.term));
            group.raw.mut_store().reset(base, meta.get_conf_state().clone());
            group.wal.reset(base.0, base.1, Bytes::new(), &mut ops);
            group.changes.clear();
            installed = Some(base.0);
        }
        let entries = ready.take_entries();
        group.raw.mut_store().append(&entries);
        if must_sync {
            let list: Vec<_> = entries.iter().map(from_raft).collect();
            let hard = if zoo::on(Bug::VoteForgotten) {
                HardState { term: Term(hard.term.0.saturating_sub(1)), vote: 0, commit: hard.commit }
            } else {
                hard
            };
            group.wal.append(&list, Some(hard), &mut ops);
        }

        let committed = ready.take_committed_entries();
        let now_messages = ready.take_messages();
        let mut later = ready.take_persisted_messages();
        for state in ready.take_read_states() {
            self.round_done(now, &state.request_ctx);
            self.read_index_known(&state.request_ctx, Index(state.index));
        }
        let group = self.group.as_mut().expect("it has something ready");
        let last = entries.last().map(|entry| Index(entry.index));
        group.raw.advance_append_async(ready);
        // What two disks have may be applied before this one has it too. To Raft's mind it is persisted: that lets a
        // follower apply, and nothing else; it is acknowledged once it is on the disk.
        let installs = installed.is_some() || group.in_flight.iter().any(|w| w.installed.is_some());
        let number = if follows && !installs {
            group.raw.on_persist_ready(number);
            0
        } else {
            number
        };

        for message in now_messages {
            self.send_raft(message);
        }
        let group = self.group.as_mut().expect("it has something ready");
        let durable_term = group.durable_term;
        let busy = !group.in_flight.is_empty();
        if zoo::on(Bug::AckBeforeSync) {
            std::mem::take(&mut later).into_iter().for_each(|m| self.send_raft(m));
        } else if must_sync || busy {
            let free;
            (free, later) = later
                .into_iter()
                .partition(|m| promises_term_alone(m.get_msg_type()) && Term(m.term) <= durable_term);
            free.into_iter().for_each(|m| self.send_raft(m));
        }
        if must_sync {
            let group = self.group.as_mut().expect("it has something ready");
            let hurried = std::mem::take(&mut group.hurried);
            let holds = follows && !hurried && same_vote && !installs && last.is_some();
            let token = if holds { self.hold(ops, &mut later) } else { self.persist(ops) };
            self.await_persist(token, number, last, later, installed);
            if zoo::on(Bug::AckBeforeSecondSync) && self.leads() {
                self.group.as_mut().expect("it has something ready").raw.on_persist_ready(number);
            }
        } else if busy {
            let group = self.group.as_mut().expect("it has something ready");
            let newest = group.in_flight.back_mut().expect("it is not empty");
            newest.messages.append(&mut later);
            newest.ready = newest.ready.max(number);
        } else {
            self.group.as_mut().expect("it has something ready").raw.on_persist_ready(number);
            later.into_iter().for_each(|m| self.send_raft(m));
        }
        committed.into_iter().for_each(|entry| self.committed(entry));
    }

    fn committed(&mut self, entry: eraftpb::Entry) {
        let index = Index(entry.index);
        let group = self.group.as_mut().expect("it has something ready");
        let list = if entry.get_entry_type() == EntryType::EntryConfChange {
            let mut change = eraftpb::ConfChange::default();
            if let Err(why) = protobuf::Message::merge_from_bytes(&mut change, &entry.data) {
                panic!("entry {index} was made by Raft itself and is whole: {why}");
            }
            group.changes.insert(index, change);
            Vec::new()
        } else {
            proposals::unpack(&entry.data)
                .unwrap_or_else(|why| panic!("entry {index} was packed by one of us and is whole: {why}"))
        };
        self.effects.push(Effect::Committed { index, term: Term(entry.term), group: list });
    }

    /// Keeps a write back until the next one that cannot wait, the next tick, or until there is much of it. Returns
    /// the token it will have.
    fn hold(&mut self, ops: Vec<disk::Op>, messages: &mut Vec<eraftpb::Message>) -> u64 {
        if zoo::on(Bug::HeldAcknowledged) {
            std::mem::take(messages).into_iter().for_each(|m| self.send_raft(m));
        }
        self.held.extend(ops);
        let bytes = |op: &disk::Op| if let disk::Op::Write { bytes, .. } = op { bytes.len() } else { 0 };
        if self.held.iter().map(bytes).sum::<usize>() >= HELD_BYTES_MAX {
            return self.persist(Vec::new());
        }
        self.token + 1
    }

    pub(super) fn await_persist(
        &mut self,
        token: u64,
        ready: u64,
        last: Option<Index>,
        messages: Vec<eraftpb::Message>,
        installed: Option<Index>,
    ) {
        let group = self.group.as_mut().expect("a member writes");
        let term = Term(group.raw.raft.term);
        group.in_flight.push_back(InFlight { token, term, ready, last, messages, installed });
    }

    pub(super) fn after_persist(&mut self, now: Now) {
        let durable = self.durable;
        while let Some(group) = &mut self.group {
            let Some(done) = group.in_flight.pop_front_if(|w| w.token <= durable) else { break };
            group.syncs.done();
            group.durable_term = group.durable_term.max(done.term);
            group.durable_last = done.last.or(done.installed).unwrap_or(group.durable_last);
            if done.ready > 0 {
                group.raw.on_persist_ready(done.ready);
            }
            if let Some(index) = done.installed {
                self.snapshot_installed(now, index);
            }
            done.messages.into_iter().for_each(|m| self.send_raft(m));
        }
    }

    fn snapshot_installed(&mut self, now: Now, index: Index) {
        let slot = self.config.slot;
        let group = self.group.as_mut().expect("a member installs");
        group.raw.advance_apply_to(index.0);
        group.applied = index;
        // Told once the state, and with it the hash chain, is there.
        group.told_applied = index;
        for strand in &mut group.strands {
            strand.stable.heard(slot, index);
        }
        self.effects.push(Effect::SnapshotInstalled { index });
        self.event(Event::SnapshotInstalled { index });
        self.observe(now);
    }

    fn send_raft(&mut self, mut message: eraftpb::Message) {
        let Some(to) = MemberId::from_raft(message.to) else { return };
        if message.get_msg_type() == MessageType::MsgAppend
            && self.group.as_ref().is_some_and(|g| g.members.is_voter(to) && !g.hurry.needs(to.slot))
        {
            hurry::mark(&mut message);
        }
        if message.get_msg_type() == MessageType::MsgSnapshot {
            let group = self.group.as_mut().expect("a member sends");
            group.snapshots.entry(to.slot).or_default();
        }
        self.say_member(to.slot, lane(&message), message);
    }

    fn say_member(&mut self, to: Slot, lane: Lane, message: eraftpb::Message) {
        if to != self.config.slot {
            self.say(to, lane, Message::Raft(Box::new(message)));
        }
    }
}
