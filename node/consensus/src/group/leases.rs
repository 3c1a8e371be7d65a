//! The lease at work: asks, rounds, grants, reports, and the stable index.

use super::{Consensus, Effect, Reads};
use crate::event::Event;
use crate::frame::Lane;
use crate::lease::{Ask, Grants, Strand};
use crate::message::Message;
use crate::zoo::{self, Bug};
use plait_base::{BootEpoch, Index, MemberId, Mono, Now, Slot, Term};
use raft::StateRole;

impl Consensus {
    /// Whether a read may be served here and now. `now` must have been sampled after the request was received;
    /// the snapshot is to be taken after this answers.
    pub fn may_read(&self, now: Now, strand: Strand) -> Result<(), &'static str> {
        if !self.started() {
            return Err("it has not joined the cluster");
        }
        if self.config.reads != Reads::Lease {
            return self.follows();
        }
        let group = self.group.as_ref().expect("it has started");
        let state = &group.strands[strand.at()];
        if zoo::on(Bug::LeaderReadsFreely) && group.raw.raft.state == StateRole::Leader {
            return Ok(());
        }
        match () {
            _ if state.holder.usable(now.mono, group.applied) => Ok(()),
            _ if group.raw.raft.leader_id == 0 => Err("it is not in a majority (no leader)"),
            _ if now.mono < state.holder.until() => Err("it is still catching up with the log"),
            _ => Err("it has no lease from the leader"),
        }
    }

    /// Until when this node's lease runs; `None` without a usable one.
    pub fn lease_until(&self, now: Now, strand: Strand) -> Option<Mono> {
        let group = self.group.as_ref()?;
        let state = &group.strands[strand.at()];
        state.holder.usable(now.mono, group.applied).then(|| state.holder.until())
    }

    /// Every node that may serve reads has applied everything up to here.
    pub fn stable(&self, strand: Strand) -> Index {
        self.group.as_ref().map_or(Index::ZERO, |g| g.strands[strand.at()].stable.known())
    }

    /// Proof that this start of a node's process is dead: its lease need not be waited for.
    pub fn dead(&mut self, now: Now, slot: Slot, epoch: BootEpoch) {
        let Some(group) = &mut self.group else { return };
        let mut proved = false;
        for grants in group.strands.iter_mut().filter_map(|s| s.grants.as_mut()) {
            proved |= grants.dead(now.mono, slot, epoch);
        }
        if proved {
            self.event(Event::DeathProved { slot, epoch });
        }
    }

    pub(super) fn elected(&mut self, now: Now) {
        let lengths = self.config.lengths;
        let group = self.group.as_mut().expect("a member is elected");
        for strand in &mut group.strands {
            strand.grants = Some(Grants::elected(now.mono, &lengths));
            strand.waited = false;
        }
    }

    pub(super) fn asked_for_lease(&mut self, now: Now, from: Slot, strand: Strand, ask: Ask, applied: Index) {
        let (me, lengths) = (self.config.slot, self.config.lengths);
        let group = self.group.as_mut().expect("it has started");
        let (term, commit) = (Term(group.raw.raft.term), Index(group.raw.raft.raft_log.committed));
        let state = &mut group.strands[strand.at()];
        state.stable.heard(from, applied);
        let Some(grants) = &mut state.grants else { return };
        if ask.term != term {
            return;
        }
        grants.report(now.mono, me, from, applied);
        let was_behind = grants.is_behind(from);
        let keeps_up = grants.keeps_up(now.mono, from, ask.epoch, applied, commit);
        let keeps_up = !grants.is_slow(now.mono, me, from, &lengths) && keeps_up;
        state.next_round.retain(|(slot, _)| *slot != from);
        if keeps_up {
            state.next_round.push((from, ask));
        } else if !was_behind {
            let lag = commit.0.saturating_sub(applied.0);
            self.event(Event::LeaseRefused { strand, slot: from, lag });
        }
    }

    /// Begins heartbeat rounds for asks that came since the last began, and this node's own ask.
    pub(super) fn tend_leases(&mut self, now: Now) {
        for strand in Strand::ALL {
            if self.config.reads == Reads::Lease {
                self.ask_for_lease(now, strand);
            }
            self.begin_round(now, strand);
            self.raise_stable(now, strand);
            self.watch_lease(now, strand);
        }
    }

    fn ask_for_lease(&mut self, now: Now, strand: Strand) {
        let slot = self.config.slot;
        let group = self.group.as_mut().expect("it has started");
        let Some(leader) = MemberId::from_raft(group.raw.raft.leader_id) else { return };
        let (term, applied) = (Term(group.raw.raft.term), group.applied);
        let Some(ask) = group.strands[strand.at()].holder.ask(now.mono, term) else { return };
        if leader.slot == slot {
            self.asked_for_lease(now, slot, strand, ask, applied);
        } else {
            let Ask { term, epoch, counter } = ask;
            self.say(leader.slot, Lane::Fast, Message::LeaseAsk { strand, term, epoch, counter, applied });
        }
    }

    /// The leader answers only after a majority has answered, in this term, a heartbeat sent after the request
    /// came. Raft's read index is exactly that round; it is refused before an entry of this term is committed.
    fn begin_round(&mut self, now: Now, strand: Strand) {
        let group = self.group.as_mut().expect("it has started");
        let own_term = group.raw.raft.commit_to_current_term();
        let state = &mut group.strands[strand.at()];
        if state.grants.is_none() || state.round.is_some() || state.next_round.is_empty() {
            return;
        }
        if !own_term && !zoo::on(Bug::GrantsTooSoon) {
            return;
        }
        state.in_round = std::mem::take(&mut state.next_round);
        group.rounds += 1;
        let round = group.rounds;
        state.round = Some(round);
        if zoo::on(Bug::NoHeartbeatRound) || (zoo::on(Bug::GrantsTooSoon) && !own_term) {
            return self.grant(now, strand);
        }
        group.raw.read_index(round.to_le_bytes().to_vec());
    }

    pub(super) fn round_done(&mut self, now: Now, context: &[u8]) {
        let group = self.group.as_mut().expect("it has started");
        let Ok(context) = <[u8; 8]>::try_from(context) else { return };
        let round = u64::from_le_bytes(context);
        let done = group.strands.iter().filter(|s| s.round == Some(round)).map(|s| s.strand);
        for strand in done.collect::<Vec<_>>() {
            self.grant(now, strand);
        }
    }

    fn grant(&mut self, now: Now, strand: Strand) {
        let lengths = self.config.lengths;
        let me = self.config.slot;
        let group = self.group.as_mut().expect("it has started");
        let commit = Index(group.raw.raft.raft_log.committed);
        let applied = group.applied;
        let state = &mut group.strands[strand.at()];
        state.round = None;
        let floor = match () {
            _ if zoo::on(Bug::FloorIsApplied) => applied,
            _ if zoo::on(Bug::FloorIsStable) => state.stable.known(),
            _ => commit,
        };
        let Some(grants) = &mut state.grants else { return };
        let mut own = None;
        for (slot, ask) in std::mem::take(&mut state.in_round) {
            let lag = commit.0.saturating_sub(grants.reported(slot).0);
            let was_refused = grants.is_refused(slot);
            if !grants.near_enough(slot, lag, &lengths) {
                if !was_refused {
                    self.effects.push(Effect::Event(Event::LeaseRefused { strand, slot, lag }));
                }
                continue;
            }
            grants.grant(now.mono, slot, ask.epoch, &lengths);
            if slot == me {
                own = Some(ask);
                continue;
            }
            let Ask { term, epoch, counter } = ask;
            let letters = self.outbox.entry((slot, Lane::Fast)).or_default();
            letters.push(Message::LeaseGrant { strand, term, epoch, counter, floor });
        }
        if let Some(ask) = own {
            self.lease_granted(now, strand, ask, floor);
        }
    }

    pub(super) fn lease_granted(&mut self, now: Now, strand: Strand, ask: Ask, floor: Index) {
        let group = self.group.as_mut().expect("it has started");
        if ask.term != Term(group.raw.raft.term) {
            return;
        }
        let applied = group.applied;
        group.strands[strand.at()].holder.granted(now.mono, ask, floor, applied);
    }

    pub(super) fn peer_applied(&mut self, now: Now, from: Slot, strand: Strand, index: Index) {
        let me = self.config.slot;
        let group = self.group.as_mut().expect("it has started");
        let state = &mut group.strands[strand.at()];
        state.stable.heard(from, index);
        if let Some(grants) = &mut state.grants {
            grants.report(now.mono, me, from, index);
        }
    }

    /// Leader: works out the stable index. What all three have applied, each hears from the two others by itself;
    /// what is stable although one has not applied it, the leader tells at once.
    fn raise_stable(&mut self, now: Now, strand: Strand) {
        let me = self.config.slot;
        let group = self.group.as_mut().expect("it has started");
        let (applied, commit) = (group.applied, Index(group.raw.raft.raft_log.committed));
        let state = &mut group.strands[strand.at()];
        let Some(grants) = &mut state.grants else { return };
        grants.committed(now.mono, commit);
        let index = grants.stable(now.mono, me, applied);
        let waits = !state.waited && index < applied && grants.waits_for_predecessor(now.mono, me, applied);
        if waits {
            state.waited = true;
            self.effects.push(Effect::Event(Event::PredecessorAwaited { strand, applied }));
        }
        state.stable.announced(index);
        let known = state.stable.known();
        if known > state.told_stable {
            state.told_stable = known;
            let heard_by_all = known <= state.stable.applied_by_all();
            for slot in me.others().filter(|_| !heard_by_all) {
                self.say(slot, Lane::Fast, Message::Stable { strand, index: known });
            }
        }
    }

    /// Leader: told again at a tick after it rose and with each heartbeat, for whoever missed it.
    pub(super) fn repeat_stable(&mut self, beats: bool) {
        let me = self.config.slot;
        for strand in Strand::ALL {
            let group = self.group.as_mut().expect("it has started");
            let state = &mut group.strands[strand.at()];
            let index = state.told_stable;
            let before = std::mem::replace(&mut state.repeated_stable, index);
            let again = state.grants.is_some() && (index > before || beats && index > Index::ZERO);
            for slot in me.others().filter(|_| again) {
                self.say(slot, Lane::Fast, Message::Stable { strand, index });
            }
        }
    }

    /// The invariant, looked at while running, and the events of gaining and losing the lease.
    fn watch_lease(&mut self, now: Now, strand: Strand) {
        let group = self.group.as_mut().expect("it has started");
        let applied = group.applied;
        let state = &mut group.strands[strand.at()];
        let usable = state.holder.usable(now.mono, applied);
        let stable = state.stable.known();
        if usable && applied < stable {
            state.holder.forget();
            state.was_usable = false;
            return self.event(Event::LeaseBroken { strand, applied, stable });
        }
        let (was, floor) = (std::mem::replace(&mut state.was_usable, usable), state.holder.floor());
        match (was, usable) {
            (false, true) => self.event(Event::LeaseUsable { strand, floor }),
            (true, false) => self.event(Event::LeaseLost { strand, why: "it ran out" }),
            _ => {}
        }
    }

    /// Pushes what was applied since the last time to the other two.
    pub(super) fn tell_applied(&mut self) {
        let me = self.config.slot;
        let group = self.group.as_mut().expect("it has started");
        if group.applied <= group.told_applied {
            return;
        }
        let (index, chain) = (group.applied, group.chain);
        group.told_applied = index;
        for strand in Strand::ALL {
            for slot in me.others() {
                self.say(slot, Lane::Fast, Message::Applied { strand, index, chain });
            }
        }
    }
}
