//! A node's process: it starts, takes inputs, works, dies, and starts again.

use super::kv::Done;
use super::story::Level;
use super::{Happening, MS, World};
use crate::marks::Mark;
use crate::zoo::WorldBug;
use plait_base::disk::File;
use plait_base::{BootEpoch, Incarnation, Mono, Slot, draw, kv};
use plait_replica::{Boot, Config, Input, OpenError, Reads, Replica, Stop};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// The kernel lives on: its page cache stays, its sockets are closed.
    Kill,
    /// So does nothing.
    Power { tear: bool },
}

impl World {
    /// Three empty nodes that know their cluster.
    pub(super) fn genesis(&mut self) {
        for slot in Slot::ALL {
            let bytes = plait_replica::identity(self.cluster, slot, Incarnation(1));
            let lies = self.bug == Some(WorldBug::NoSync);
            let host = self.host(slot);
            host.disk.lies = lies;
            host.disk.place(File::Identity, &bytes);
            let wait_ns = self.draws(slot, "boot").below(30 * MS);
            self.after(wait_ns, Happening::Start { slot });
        }
    }

    pub(super) fn start(&mut self, slot: Slot) {
        let now = self.node_now(slot);
        let host = self.host(slot);
        if host.runs() || host.held_down > 0 {
            return;
        }
        host.life += 1;
        let life = host.life;
        let avoid = host.bad_entry.map(|(_, index)| index);
        let config = Config {
            slot,
            cluster: self.cluster,
            nonce: draw::draw(self.plan.seed, draw::stream("nonce"), slot.get().into(), life.into()) | 1,
            bootstrap: false,
            avoid,
            reads: if self.plan.index_reads.contains(&slot.get()) { Reads::Index } else { Reads::Lease },
            galera_compat: false,
            limits: self.limits.clone(),
        };
        let host = &self.hosts[slot.at()];
        let boot = Boot { now, disk: &host.disk, kv: &host.kv };
        let opened = catch_unwind(AssertUnwindSafe(|| Replica::open(config, boot)));
        match opened {
            Err(_) => self.panicked(slot, "while it started"),
            Ok(Err(why)) => self.cannot_open(slot, why),
            Ok(Ok(machine)) => {
                let host = self.host(slot);
                let status = machine.status(now);
                host.machine = Some(Box::new(machine));
                self.ordered[slot.at()] = status.seqno.0;
                if self.tells(Level::Story) {
                    self.tell(
                        slot.to_string(),
                        format!("starts (life {life}) at seqno {}", status.seqno),
                        None,
                    );
                }
                let now_ns = self.now_ns;
                self.judge.stalls.changed(slot, true, now_ns);
                self.work_soon(slot);
                self.call_peers(slot);
            }
        }
    }

    fn cannot_open(&mut self, slot: Slot, why: OpenError) {
        match why {
            OpenError::Damaged(why) if self.hosts[slot.at()].may_reseed => {
                self.marks.set(Mark::LogDamaged);
                self.host(slot).log_damaged = true;
                if self.tells(Level::Story) {
                    self.tell(slot.to_string(), format!("cannot use what is on its disk: {why}"), None);
                }
                self.reseed(slot);
            }
            why => self
                .judge
                .broken("open", format!("{slot} does not start, and nothing was done to its disk: {why}")),
        }
    }

    /// Everything that the slot has is put aside; it starts empty.
    pub(super) fn reseed(&mut self, slot: Slot) {
        self.counts.reseeds += 1;
        self.empty(slot);
        let wait_ns = self.draws(slot, "reseed").between(20 * MS, 200 * MS);
        self.after(wait_ns, Happening::Start { slot });
    }

    pub(super) fn empty(&mut self, slot: Slot) {
        let host = self.host(slot);
        host.disk.wipe();
        host.kv.wipe();
        host.one_generation = false;
        host.destroyed = true;
        host.may_reseed = true;
    }

    /// The process ends. `false`: it was not there.
    pub(super) fn die(&mut self, slot: Slot, death: Death) -> bool {
        if !self.hosts[slot.at()].runs() {
            return false;
        }
        self.counts.deaths += 1;
        self.judge.stalls.changed(slot, false, self.now_ns);
        // Whoever proves the death of a process has asked it for its epoch before; the last answer is the worst one.
        let now = self.node_now(slot);
        let epoch = self.hosts[slot.at()].machine.as_ref().map_or(BootEpoch(0), |m| m.status(now).epoch);
        self.mark_death(slot, epoch);
        let mut d = self.draws(slot, "crash");
        let now_ns = self.now_ns;
        let host = &mut self.hosts[slot.at()];
        host.clear();
        host.ids_lost = host.ids_untold.take().or(host.ids_lost);
        host.kv.crash();
        let loss = match death {
            Death::Kill => host.disk.killed(&mut d),
            Death::Power { tear } => {
                host.clock.reboot(now_ns, d.between(1, 100_000) * MS);
                host.disk.power_loss(&mut d, tear)
            }
        };
        let kept = host.disk.journal();
        kept.iter().for_each(|op| self.judge.acks.durable(slot, op));
        self.counts.ops_lost += u64::from(loss.lost);
        self.counts.ops_torn += u64::from(loss.torn);
        if loss.lost > 0 {
            self.marks.set(Mark::UnsyncedLost);
        }
        if loss.torn > 0 {
            self.marks.set(Mark::UnsyncedTorn);
        }
        if self.hosts.iter().all(|host| !host.runs()) {
            self.marks.set(Mark::AllDown);
        }
        if self.tells(Level::Story) {
            let how = if death == Death::Kill { "its process is gone" } else { "its machine has no power" };
            let what = format!(
                "{how}; of {} unsynced operations {} were lost and {} torn",
                loss.unsynced, loss.lost, loss.torn
            );
            self.tell(slot.to_string(), what, None);
        }
        self.hang_up(slot, death == Death::Kill, epoch);
        self.break_clients(slot);
        true
    }

    /// What this death meets with.
    fn mark_death(&mut self, slot: Slot, epoch: BootEpoch) {
        let host = &self.hosts[slot.at()];
        let status = self.look_at(slot).map(|look| look.status);
        let leads = status.as_ref().is_some_and(|status| status.leader == Some(slot));
        let ahead = status.is_some_and(|status| status.applied_index > status.durable_index);
        let met = [
            (epoch.0 == 0 && host.life > 1 && !host.destroyed, Mark::DiedBeforeStart),
            (host.writes_checkpoint, Mark::CheckpointCutOff),
            (host.receives_from.is_some(), Mark::ReceiverDied),
            (self.hosts.iter().any(|other| other.receives_from == Some(slot)), Mark::DonorDied),
            (leads && self.write_under_way(|at| at != slot), Mark::LeaderDiedWithWrite),
            (ahead, Mark::DiedAhead),
        ];
        met.into_iter().filter(|(met, _)| *met).for_each(|(_, mark)| self.marks.set(mark));
    }

    /// Hands an input to a node; one that stands still finds it when it goes on.
    pub(super) fn input(&mut self, slot: Slot, input: Input) {
        let host = &mut self.hosts[slot.at()];
        if host.machine.is_none() {
            return;
        }
        if host.still() {
            if host.inbox.len() < super::host::INBOX_MAX {
                host.inbox.push_back(input);
            }
            return;
        }
        let now = self.node_now(slot);
        self.take(slot, now, input);
        self.work_soon(slot);
    }

    fn take(&mut self, slot: Slot, now: plait_base::Now, input: Input) {
        if self.tells(Level::Events) {
            let what = format!("<- {}", brief(&format!("{input:?}")));
            self.tell(slot.to_string(), what, None);
        }
        if let Input::Request { ticket, .. } = &input {
            self.asked(slot, *ticket);
        }
        let Some(machine) = &mut self.hosts[slot.at()].machine else { return };
        if catch_unwind(AssertUnwindSafe(|| machine.take(now, input))).is_err() {
            self.panicked(slot, "while it took an input");
        }
    }

    /// No plan makes a node panic, so a panic is a verdict, wherever it comes from. What a real host does after one of
    /// the ordered apply, the entry that is not tried a third time, is what the fault `bad_entry` begins with.
    fn panicked(&mut self, slot: Slot, when: &str) {
        let text = crate::run::last_panic();
        self.hosts[slot.at()].clear();
        self.judge.broken("panic", format!("{slot} panics {when}: {text}"));
    }

    /// Sees to it that the node works on what it has taken.
    fn work_soon(&mut self, slot: Slot) {
        let seed = self.plan.seed;
        let now_ns = self.now_ns;
        let host = &mut self.hosts[slot.at()];
        if host.flush_due.is_some() || host.machine.is_none() {
            return;
        }
        host.counter += 1;
        // Other inputs join in meanwhile.
        let step_ns = self.plan.step_us.max(1) * 1000;
        let mut wait_ns =
            step_ns + draw::draw(seed, draw::stream("work"), slot.get().into(), host.counter) % step_ns;
        if let Some((fault, step_us)) = host.slow_cpu {
            wait_ns += step_us * 1000;
            self.effect[fault] = true;
        }
        host.flush_due = Some(now_ns + wait_ns);
        let life = host.life;
        self.queue.push(now_ns + wait_ns, Happening::Flush { slot, life });
    }

    pub(super) fn flush(&mut self, slot: Slot, life: u32) {
        let host = &mut self.hosts[slot.at()];
        // A pause leaves the mark standing, so the node works when it goes on.
        if host.life != life || host.flush_due != Some(self.now_ns) || host.still() {
            return;
        }
        host.flush_due = None;
        let now = host.clock.now(self.now_ns);
        let Some(machine) = &mut host.machine else { return };
        let mut out = std::mem::take(&mut self.out);
        if catch_unwind(AssertUnwindSafe(|| machine.flush(now, &mut out))).is_err() {
            self.panicked(slot, "while it worked");
            return;
        }
        let before = self.ordered[slot.at()];
        for output in out.drain(..) {
            // What a crash in the middle cut off was never put out.
            if self.hosts[slot.at()].life != life || !self.hosts[slot.at()].runs() {
                break;
            }
            self.output(slot, now, output);
        }
        out.clear();
        self.out = out;
        if !self.hosts[slot.at()].runs() || self.hosts[slot.at()].life != life {
            return;
        }
        if self.ordered[slot.at()] != before {
            self.look_after_apply(slot);
        }
        let host = &mut self.hosts[slot.at()];
        let stable = host.machine.as_ref().map_or(0, |m| m.stable_index());
        if std::mem::replace(&mut host.stable, stable) != stable {
            // The instant at which somebody may be told something that a lease elsewhere does not know of yet.
            let looks = Slot::ALL.map(|slot| self.look_at(slot));
            self.judge.look_at_leases(&looks);
        }
        self.set_timer(slot);
    }

    fn look_after_apply(&mut self, slot: Slot) {
        if let Some(look) = self.look_at(slot) {
            self.judge.look_at_one(&look);
        }
    }

    /// Sets the timer that the node wants; one that is set for an earlier time may stay and is looked at then.
    fn set_timer(&mut self, slot: Slot) {
        let now_ns = self.now_ns;
        let host = &mut self.hosts[slot.at()];
        let Some(machine) = &host.machine else { return };
        let deadline = machine.deadline();
        if deadline == Mono(0) {
            return self.work_soon(slot);
        }
        let due_ns = host.clock.true_at(deadline, now_ns);
        if due_ns < host.timer_ns {
            host.timer_ns = due_ns;
            let life = host.life;
            self.queue.push(due_ns, Happening::Timer { slot, life });
        }
    }

    pub(super) fn timer(&mut self, slot: Slot, life: u32) {
        let now_ns = self.now_ns;
        let host = &mut self.hosts[slot.at()];
        if host.life != life || host.timer_ns != now_ns {
            return;
        }
        host.timer_ns = u64::MAX;
        if host.still() {
            return;
        }
        let Some(machine) = &host.machine else { return };
        if machine.deadline() <= host.clock.mono(now_ns) {
            return self.input(slot, Input::Tick);
        }
        self.set_timer(slot);
    }

    /// The process stands still from now on.
    pub(super) fn pause(&mut self, slot: Slot, fault: usize) {
        let (now_ns, stands) = (self.now_ns, self.bug == Some(WorldBug::ClockStandsStill));
        let host = self.host(slot);
        host.mono_at_pause = Some(host.clock.mono(now_ns));
        host.paused.push(fault);
        if stands {
            host.clock.stand(now_ns, true);
        }
    }

    /// It goes on: with everything that came meanwhile, and late.
    pub(super) fn resume(&mut self, slot: Slot, fault: usize) {
        let (now_ns, stands) = (self.now_ns, self.bug == Some(WorldBug::ClockStandsStill));
        let stale = self.bug == Some(WorldBug::ClockReadBefore);
        let host = self.host(slot);
        let Some(place) = host.paused.iter().position(|f| *f == fault) else { return };
        host.paused.remove(place);
        if host.still() {
            return;
        }
        if stands {
            host.clock.stand(now_ns, false);
        }
        let mut now = host.clock.now(now_ns);
        let slept = host.mono_at_pause.map_or(std::time::Duration::ZERO, |before| now.mono.since(before));
        if let Some(before) = host.mono_at_pause.take().filter(|_| stale) {
            now.mono = before;
        }
        let lease = self.limits.lease;
        let host = self.host(slot);
        let inbox = std::mem::take(&mut host.inbox);
        if slept > lease && !inbox.is_empty() {
            self.marks.set(Mark::WokeLate);
        }
        for input in inbox {
            self.take(slot, now, input);
        }
        self.hosts[slot.at()].flush_due = None;
        if stale && self.hosts[slot.at()].runs() {
            // The loop's one reading of the clock serves for its work too.
            self.flush_stale(slot, now);
        }
        self.hosts[slot.at()].timer_ns = u64::MAX;
        self.input(slot, Input::Tick);
    }

    fn flush_stale(&mut self, slot: Slot, now: plait_base::Now) {
        let Some(machine) = &mut self.hosts[slot.at()].machine else { return };
        let mut out = Vec::new();
        machine.flush(now, &mut out);
        for output in out {
            self.output(slot, now, output);
        }
    }

    pub(super) fn synced(&mut self, slot: Slot, life: u32) {
        if self.hosts[slot.at()].life != life || !self.hosts[slot.at()].runs() {
            return;
        }
        if let Some(fault) = self.hosts[slot.at()].sync_error.take() {
            let mut d = self.draws(slot, "sync.error");
            let Some(token) = self.host(slot).disk.sync_failed(&mut d) else { return };
            let kept = self.host(slot).disk.journal();
            kept.iter().for_each(|op| self.judge.acks.durable(slot, op));
            self.blame(fault);
            return self
                .input(slot, Input::DiskFailed { token, why: "input/output error (injected)".to_owned() });
        }
        if let Some(fault) = self.hosts[slot.at()].disk_full {
            return self.disk_full(slot, fault);
        }
        let Some((token, again)) = self.host(slot).disk.synced() else { return };
        self.counts.syncs += 1;
        let done = self.host(slot).disk.journal();
        done.iter().for_each(|op| self.judge.acks.durable(slot, op));
        if again {
            self.sync_later(slot);
        }
        if self.crash_point(slot, crate::plan::Point::Persisted) {
            return;
        }
        self.input(slot, Input::Persisted { token });
    }

    /// What was to be written does not fit.
    fn disk_full(&mut self, slot: Slot, fault: usize) {
        let mut d = self.draws(slot, "disk.full");
        let Some(token) = self.host(slot).disk.refused(&mut d) else { return };
        let kept = self.host(slot).disk.journal();
        kept.iter().for_each(|op| self.judge.acks.durable(slot, op));
        self.blame(fault);
        let leads = self.look_at(slot).is_some_and(|look| look.status.leader == Some(slot));
        if leads && self.write_under_way(|_| true) {
            self.marks.set(Mark::FullInCommit);
        }
        self.input(slot, Input::DiskFailed { token, why: "no space left on device (injected)".to_owned() });
    }

    pub(super) fn sync_later(&mut self, slot: Slot) {
        let jitter_ns = self.plan.disk.sync_jitter_us * 1000;
        let mut wait_ns = self.plan.disk.sync_us * 1000 + self.draws(slot, "sync").below(jitter_ns);
        if let Some((fault, sync_us)) = self.hosts[slot.at()].slow_disk {
            wait_ns += sync_us * 1000;
            self.blame(fault);
        }
        let life = self.hosts[slot.at()].life;
        self.after(wait_ns, Happening::Synced { slot, life });
    }

    pub(super) fn checkpointed(&mut self, slot: Slot, life: u32, op: kv::Op) {
        let host = &mut self.hosts[slot.at()];
        if host.life != life || !host.runs() {
            return;
        }
        let fault = host.kv_error.or(host.disk_full).filter(|_| !matches!(op, kv::Op::Begin { .. }));
        let done = host.kv.apply(op, fault.is_some());
        if let Some(fault) = fault {
            self.blame(fault);
        }
        let Done::Answer(answer) = done else { return };
        match &answer {
            kv::Answer::Done { .. } => self.counts.checkpoints += 1,
            kv::Answer::Failed { generation, why } if why == super::kv::MISMATCH => {
                self.judge.broken("checkpoint", format!("generation {generation} of {slot}: {why}"));
            }
            _ => {}
        }
        self.input(slot, Input::Checkpoint(answer));
    }

    pub(super) fn stopped(&mut self, slot: Slot, stop: Stop) {
        if self.tells(Level::Story) {
            self.tell(slot.to_string(), format!("stops itself: {stop:?}"), None);
        }
        self.die(slot, Death::Kill);
        match stop {
            Stop::Disk { .. } => {
                self.marks.set(Mark::DiskFailed);
                let wait_ns = self.draws(slot, "restart").between(50 * MS, 800 * MS);
                self.after(wait_ns, Happening::Start { slot });
            }
            Stop::Reseed { why } => {
                if !self.hosts[slot.at()].may_reseed {
                    self.judge.broken(
                        "reseed",
                        format!("{slot} wants to be started empty, and nothing was done to its disk: {why}"),
                    );
                }
                self.reseed(slot);
            }
        }
    }
}

/// A debug text, cut: bytes and rows fill pages.
pub(super) fn brief(text: &str) -> String {
    const BRIEF_CHARS: usize = 300;
    match text.char_indices().nth(BRIEF_CHARS) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}
