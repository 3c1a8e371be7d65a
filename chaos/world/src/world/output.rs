//! What a node puts out, done in order.

use super::process::brief;
use super::story::Level;
use super::{Happening, World};
use crate::marks::Mark;
use crate::plan::Point;
use plait_base::{Index, Now, Slot, kv};
use plait_consensus::Event as Consensus;
use plait_replica::{Event, Output};

impl World {
    pub(super) fn output(&mut self, slot: Slot, now: Now, output: Output) {
        if let Some(trace) = &mut self.trace {
            trace.take(self.now_ns, now.mono, slot, &output);
        }
        if self.tells(Level::Events) {
            let what = format!("-> {}", brief(&format!("{output:?}")));
            self.tell(slot.to_string(), what, None);
        }
        let points = self.points_at(slot, &output);
        for point in points.into_iter().flatten().filter(|point| *point == Point::VoteDurable) {
            if self.crash_point(slot, point) {
                return;
            }
        }
        match output {
            Output::Send { to, lane, bytes } => self.send(slot, to, lane, bytes),
            Output::Persist(persist) => {
                if self.host(slot).disk.persist(persist) {
                    self.sync_later(slot);
                }
            }
            Output::Checkpoint(op) => self.checkpoint_later(slot, op),
            Output::Reply { ticket, reply } => {
                self.host(slot).ids_untold = None;
                self.replied(slot, ticket, reply);
            }
            Output::Hangup { session } => self.hung_up(slot, session),
            Output::Event(event) => self.event(slot, event),
            Output::Stop(stop) => self.stopped(slot, stop),
        }
        for point in points.into_iter().flatten().filter(|point| *point != Point::VoteDurable) {
            self.crash_point(slot, point);
        }
    }

    fn checkpoint_later(&mut self, slot: Slot, op: kv::Op) {
        let kv_us = self.plan.disk.kv_us;
        let wait_ns = self.draws(slot, "kv").between(kv_us * 500, kv_us * 1500);
        let now_ns = self.now_ns;
        let host = self.host(slot);
        host.kv_due_ns = host.kv_due_ns.max(now_ns) + wait_ns;
        let (due_ns, life) = (host.kv_due_ns, host.life);
        self.queue.push(due_ns, Happening::Checkpoint { slot, life, op: Box::new(op) });
    }

    fn event(&mut self, slot: Slot, event: Event) {
        let flow = matches!(event, Event::Ordered { .. } | Event::Held { .. } | Event::AddedOverNewer { .. });
        if !flow && self.tells(Level::Story) {
            self.tell(slot.to_string(), event.to_string(), None);
        }
        if let Some(mark) = mark(&event) {
            self.marks.set(mark);
        }
        match event {
            Event::Ordered { index, seqno, id, verdict } => {
                self.ordered[slot.at()] = seqno.0;
                self.judge.acks.applied(seqno.0, index.0);
                if let Some(diagram) = &mut self.diagram {
                    diagram.ordered.insert(seqno.0, (index.0, id));
                }
                self.judge.ordered(slot, seqno.0, index.0, id, &verdict);
            }
            Event::Consensus(Consensus::Elected { term }) => self.judge.elected(slot, term.0),
            Event::Consensus(Consensus::LeaseBroken { applied, stable, .. }) => {
                self.judge.broken(
                    "lease",
                    format!("{slot} found its own lease usable at {applied} below stable {stable}"),
                );
            }
            Event::Consensus(Consensus::TornTailCut { .. }) => self.counts.torn_tails += 1,
            Event::IdsReserved { table, first, last } => {
                let host = self.host(slot);
                host.ids_untold = Some((table, last));
                if host.ids_lost.take_if(|lost| lost.0 == table).is_some_and(|lost| first > lost.1) {
                    self.marks.set(Mark::IdsSkipped);
                }
            }
            Event::Consensus(Consensus::LogCut { below }) => self.log_cut(slot, below),
            Event::DuplicateAnswered { .. } => self.counts.duplicates_answered += 1,
            Event::SnapshotBegun { from, .. } => {
                self.host(slot).receives_from = Some(from);
                self.host(slot).caught_up = false;
            }
            Event::SnapshotFailed { .. } => self.host(slot).receives_from = None,
            Event::SnapshotReceived { .. } => {
                self.host(slot).receives_from = None;
                self.counts.snapshots += 1;
            }
            Event::CheckpointBegun { .. } => self.host(slot).writes_checkpoint = true,
            Event::CheckpointDone { .. } => {
                self.host(slot).writes_checkpoint = false;
                self.host(slot).one_generation = false;
            }
            Event::CheckpointFailed { .. } => self.host(slot).writes_checkpoint = false,
            Event::Consensus(Consensus::SnapshotInstalled { .. }) => self.host(slot).one_generation = true,
            Event::Consensus(Consensus::LeaderChanged { .. }) if self.write_under_way(|at| at == slot) => {
                self.marks.set(Mark::LeaderChangedWithWrite);
            }
            // The first leader of all has no predecessor.
            Event::Consensus(Consensus::PredecessorAwaited { .. }) if self.judge.leaders.terms() > 1 => {
                self.marks.set(Mark::PredecessorAwaited);
            }
            Event::ChainDiffers { slot: other, index } => {
                self.judge
                    .broken("chain", format!("{slot} finds that {other} has another chain at index {index}"));
            }
            Event::EntryRefused { .. } => {
                if let Some((fault, _)) = self.hosts[slot.at()].bad_entry {
                    self.blame(fault);
                }
            }
            Event::Diverged { index } => {
                self.judge.broken("chain", format!("{slot} finds itself the odd one at index {index}"));
            }
            Event::StatementPanicked { why } => {
                self.judge.broken("panic", format!("a statement on {slot} panics: {why}"));
            }
            _ => {}
        }
    }
}

impl World {
    /// A log was cut: perhaps below what another member still lacks, which then needs a snapshot.
    fn log_cut(&mut self, slot: Slot, below: Index) {
        let lags = |other: Slot| {
            let look = self.look_at(other);
            look.is_some_and(|look| look.status.member.is_some() && look.status.durable_index + 1 < below.0)
        };
        if slot.others().any(lags) {
            self.marks.set(Mark::LogCutUnderLagging);
        }
    }
}

/// The mark that an event alone reaches.
fn mark(event: &Event) -> Option<Mark> {
    Some(match event {
        Event::Ordered { verdict, .. } if verdict != "done" => Mark::ConflictRefused,
        Event::DuplicateAnswered { .. } => Mark::DuplicateAnswered,
        Event::Held { .. } => Mark::ReplyHeld,
        Event::HoldExpired { .. } => Mark::HoldExpired,
        Event::CheckpointFailed { .. } => Mark::CheckpointFailed,
        Event::CheckpointUnreadable { .. } => Mark::CheckpointUnreadable,
        Event::Replayed { .. } => Mark::Replayed,
        Event::LockFreed { earlier: true, .. } => Mark::LockFreedByEpoch,
        Event::LockFreed { .. } => Mark::LockFreed,
        Event::AddedOverNewer { .. } => Mark::AddedOverNewer,
        Event::LockGivenAway { .. } => Mark::LockGivenAway,
        Event::EntryRefused { .. } => Mark::EntryRefused,
        Event::SnapshotResumed { .. } => Mark::SnapshotResumed,
        Event::SnapshotFailed { .. } => Mark::SnapshotFailed,
        Event::Consensus(event) => match event {
            Consensus::TornTailCut { .. } => Mark::TornTailCut,
            Consensus::SteppedDown { .. } => Mark::Deposed,
            Consensus::HandedOver { .. } => Mark::HandedOver,
            Consensus::LeaseRefused { .. } => Mark::LeaseRefused,
            Consensus::LeaseLost { why, .. } if why.starts_with("a gap") => Mark::LeaseLostByGap,
            Consensus::DeathProved { .. } => Mark::DeathProved,
            Consensus::MemberRemoved { .. } => Mark::MemberRemoved,
            Consensus::LearnerAdded { .. } => Mark::LearnerAdded,
            Consensus::VoterAdded { .. } => Mark::VoterAdded,
            Consensus::LogCut { .. } => Mark::LogCut,
            Consensus::SnapshotInstalled { .. } => Mark::SnapshotInstalled,
            Consensus::Unresolved { sent: true, .. } => Mark::UnknownAtDeadline,
            Consensus::Unresolved { sent: false, .. } => Mark::RefusedUnsent,
            _ => return None,
        },
        _ => return None,
    })
}
