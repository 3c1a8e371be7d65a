//! Faults: each is put in force when its time comes and taken back when it ends.
//!
//! A fault that cannot strike (the node is down already) or that nobody could survive (the last whole copy) does
//! not; it then counts as without effect. So every violation is a bug and not bad luck: at any time at most one
//! node's durable state is destroyed, and only while the two others are whole.

use super::net::Rule;
use super::points::CrashOn;
use super::process::Death;
use super::story::Level;
use super::{Happening, MS, World};
use crate::marks::Mark;
use crate::plan::{FaultKind, Point};
use plait_base::{Index, Slot};
use plait_replica::{Input, Request, SessionId, State, Ticket};

/// How long a process that is started anew is away.
const START_ANEW_NS: u64 = 10 * MS;

/// How often a rolling restart looks whether it can go on, and how long it waits for one node.
const ROLL_LOOK_NS: u64 = MS;
const ROLL_NS_MAX: u64 = 1500 * MS;

/// How far a rolling restart has come.
pub(super) struct Rolling {
    fault: usize,
    turn: usize,
    since_ns: u64,
    /// Whether each node so far came back in time.
    whole: bool,
}

fn slot(n: u8) -> Slot {
    Slot::new(n).expect("a plan was checked when it was read")
}

impl World {
    pub(super) fn fault_on(&mut self, fault: usize) {
        let kind = self.plan.faults[fault].kind.clone();
        let named = (fault, self.plan.faults[fault].id);
        if self.ending {
            return;
        }
        self.active[fault] = true;
        self.judge.stalls.fault_on(&kind);
        if self.tells(Level::Story) {
            let id = self.plan.faults[fault].id;
            self.tell("world", format!("fault {id}: {}", kind.say()), Some(id));
        }
        match kind {
            FaultKind::Partition { node } => {
                for other in slot(node).others() {
                    self.net.add(slot(node), other, named, Rule::Cut);
                    self.net.add(other, slot(node), named, Rule::Cut);
                }
            }
            FaultKind::Cut { a, b } => {
                self.net.add(slot(a), slot(b), named, Rule::Cut);
                self.net.add(slot(b), slot(a), named, Rule::Cut);
            }
            FaultKind::OneWay { from, to } => self.net.add(slot(from), slot(to), named, Rule::Cut),
            FaultKind::Clog { from, to } => self.net.add(slot(from), slot(to), named, Rule::Hold),
            FaultKind::Slow { from, to, delay_us, jitter_us } => {
                self.net.add(slot(from), slot(to), named, Rule::Slow { delay_us, jitter_us });
            }
            FaultKind::Throttle { from, to, bytes_per_s } => {
                self.net.add(slot(from), slot(to), named, Rule::Throttle { bytes_per_s });
            }
            FaultKind::Loss { per_mille } => self.everywhere(fault, Rule::Loss { per_mille }),
            FaultKind::Duplicate { per_mille, later_us } => {
                self.everywhere(fault, Rule::Duplicate { per_mille, later_us });
            }
            FaultKind::Reorder { per_mille, by_us } => {
                self.everywhere(fault, Rule::Reorder { per_mille, by_us })
            }
            FaultKind::Kill { node } => self.down(fault, &[slot(node)], Death::Kill),
            FaultKind::Crash { node } => self.down(fault, &[slot(node)], Death::Power { tear: false }),
            FaultKind::Torn { node } => {
                let (point, left, kill) = (Point::Persist, 1, false);
                self.host(slot(node)).crash_on = Some(CrashOn { fault, point, left, kill });
            }
            FaultKind::KillAll {} => self.down(fault, &Slot::ALL, Death::Kill),
            FaultKind::PowerOff { point } => {
                self.site_off = Some((fault, point));
                if point.of_checkpoint() {
                    Slot::ALL.into_iter().for_each(|slot| self.ask_for_checkpoint(slot));
                }
            }
            FaultKind::CrashOn { node, point, nth, kill } => {
                self.host(slot(node)).crash_on = Some(CrashOn { fault, point, left: nth, kill });
                if point.of_checkpoint() {
                    self.ask_for_checkpoint(slot(node));
                }
            }
            FaultKind::Pause { node } => {
                if self.hosts[slot(node).at()].runs() {
                    self.blame(fault);
                    self.pause(slot(node), fault);
                }
            }
            FaultKind::SlowCpu { node, step_us } => self.host(slot(node)).slow_cpu = Some((fault, step_us)),
            FaultKind::SlowDisk { node, sync_us } => self.host(slot(node)).slow_disk = Some((fault, sync_us)),
            FaultKind::SyncError { node } => self.host(slot(node)).sync_error = Some(fault),
            FaultKind::KvError { node } => {
                self.host(slot(node)).kv_error = Some(fault);
                self.ask_for_checkpoint(slot(node));
            }
            FaultKind::Wipe { node } => self.wipe(fault, slot(node)),
            FaultKind::Rot { node } => self.rot(fault, slot(node), false),
            FaultKind::KvRot { node } => self.kv_rot(fault, slot(node)),
            FaultKind::ClockRate { node, ppm } => {
                let now_ns = self.now_ns;
                let host = self.host(slot(node));
                if host.clock.rate_ppm() != ppm {
                    host.clock.set_rate(now_ns, ppm);
                    self.blame(fault);
                }
            }
            FaultKind::CrashLoop { .. } => self.relapse(fault),
            FaultKind::Flip { per_mille } => self.everywhere(fault, Rule::Flip { per_mille }),
            FaultKind::Misdirect { node } => self.rot(fault, slot(node), true),
            FaultKind::Full { node } => self.host(slot(node)).disk_full = Some(fault),
            FaultKind::Upgrade { .. } => {
                self.rolling.push(Rolling { fault, turn: 0, since_ns: self.now_ns, whole: true });
                self.relapse(fault);
            }
            FaultKind::BadEntry { node, ahead } => {
                if let Some(look) = self.look_at(slot(node)) {
                    let index = Index(look.status.commit_index + ahead.max(1));
                    self.host(slot(node)).bad_entry = Some((fault, index));
                    self.start_anew(slot(node));
                }
            }
            FaultKind::WallJump { node, by_us } => {
                self.host(slot(node)).clock.jump_wall(by_us);
                self.blame(fault);
            }
        }
    }

    pub(super) fn fault_off(&mut self, fault: usize) {
        if !std::mem::replace(&mut self.active[fault], false) {
            return;
        }
        let kind = self.plan.faults[fault].kind.clone();
        let now_ns = self.now_ns;
        self.judge.stalls.fault_off(&kind, now_ns);
        if self.tells(Level::Story) {
            let id = self.plan.faults[fault].id;
            self.tell("world", format!("fault {id} is over ({})", kind.name()), Some(id));
        }
        match kind {
            FaultKind::Partition { .. }
            | FaultKind::Cut { .. }
            | FaultKind::OneWay { .. }
            | FaultKind::Clog { .. }
            | FaultKind::Slow { .. }
            | FaultKind::Throttle { .. }
            | FaultKind::Loss { .. }
            | FaultKind::Duplicate { .. }
            | FaultKind::Reorder { .. }
            | FaultKind::Flip { .. } => {
                let freed = self.net.heal(fault);
                self.free(freed);
            }
            FaultKind::Kill { node }
            | FaultKind::Crash { node }
            | FaultKind::Wipe { node }
            | FaultKind::Rot { node }
            | FaultKind::Misdirect { node }
            | FaultKind::KvRot { node } => self.up(fault, &[slot(node)]),
            FaultKind::KillAll {} => self.up(fault, &Slot::ALL),
            FaultKind::PowerOff { .. } => {
                if self.effect[fault] {
                    self.up(fault, &Slot::ALL);
                }
                self.site_off = self.site_off.filter(|(f, _)| *f != fault);
            }
            FaultKind::CrashOn { node, .. } | FaultKind::Torn { node } => {
                if self.effect[fault] {
                    self.up(fault, &[slot(node)]);
                }
                let host = self.host(slot(node));
                host.crash_on = host.crash_on.filter(|on| on.fault != fault);
            }
            FaultKind::Pause { node } => self.resume(slot(node), fault),
            FaultKind::SlowCpu { node, .. } => clear(&mut self.host(slot(node)).slow_cpu, fault),
            FaultKind::SlowDisk { node, .. } => clear(&mut self.host(slot(node)).slow_disk, fault),
            FaultKind::SyncError { node } => {
                let host = self.host(slot(node));
                host.sync_error = host.sync_error.filter(|f| *f != fault);
            }
            FaultKind::KvError { node } => {
                let host = self.host(slot(node));
                host.kv_error = host.kv_error.filter(|f| *f != fault);
            }
            FaultKind::ClockRate { node, .. } => {
                let (now_ns, ppm) = (self.now_ns, self.plan.clocks[slot(node).at()].rate_ppm);
                self.host(slot(node)).clock.set_rate(now_ns, ppm);
            }
            FaultKind::BadEntry { node, .. } => {
                let host = self.host(slot(node));
                if host.bad_entry.take_if(|(f, _)| *f == fault).is_some() {
                    self.start_anew(slot(node));
                }
            }
            FaultKind::Full { node } => {
                let host = self.host(slot(node));
                host.disk_full = host.disk_full.filter(|f| *f != fault);
            }
            FaultKind::WallJump { .. } | FaultKind::CrashLoop { .. } | FaultKind::Upgrade { .. } => {}
        }
    }

    fn everywhere(&mut self, fault: usize, rule: Rule) {
        let named = (fault, self.plan.faults[fault].id);
        for from in Slot::ALL {
            for to in from.others() {
                self.net.add(from, to, named, rule);
            }
        }
    }

    /// The process dies once more, for as long as the fault is in force.
    pub(super) fn relapse(&mut self, fault: usize) {
        if !self.active[fault] {
            return;
        }
        let (node, every_ms, down_us) = match self.plan.faults[fault].kind {
            FaultKind::CrashLoop { node, every_ms, down_us } => (node, every_ms, down_us),
            FaultKind::Upgrade { clean, down_ms } => return self.roll(fault, clean, down_ms),
            _ => return,
        };
        if self.die(slot(node), Death::Kill) {
            self.blame(fault);
            self.after(down_us * 1000, Happening::Start { slot: slot(node) });
        }
        self.after(every_ms.max(1) * MS, Happening::Relapse(fault));
    }

    /// A rolling restart goes on: the next node's turn comes when the one before is in sync again, or has had its time.
    fn roll(&mut self, fault: usize, clean: bool, down_ms: u64) {
        self.after(ROLL_LOOK_NS, Happening::Relapse(fault));
        let now_ns = self.now_ns;
        let place = self.rolling.iter().position(|rolling| rolling.fault == fault);
        let Rolling { turn, since_ns, .. } = self.rolling[place.expect("it was begun")];
        let waited_ns = now_ns - since_ns;
        let synced = |slot| self.look_at(slot).is_some_and(|look| look.status.state == State::Synced);
        let back = turn == 0 || waited_ns > down_ms * MS && synced(Slot::ALL[turn - 1]);
        let late = waited_ns > ROLL_NS_MAX;
        if !back && !late {
            return;
        }
        let rolling = self.rolling.iter_mut().find(|rolling| rolling.fault == fault).expect("it was begun");
        rolling.whole &= back;
        let Some(next) = Slot::ALL.get(turn).copied() else {
            if rolling.whole {
                self.marks.set(Mark::UpgradeDone);
            }
            self.active[fault] = false;
            let kind = self.plan.faults[fault].kind.clone();
            return self.judge.stalls.fault_off(&kind, now_ns);
        };
        // Who is stopped in good order writes what it has; who does not come to an end with it is killed.
        if clean && self.hosts[next.at()].disk.busy() && waited_ns < ROLL_NS_MAX {
            return;
        }
        (rolling.turn, rolling.since_ns) = (turn + 1, now_ns);
        if self.die(next, Death::Kill) {
            self.blame(fault);
        }
        self.after(down_ms * MS, Happening::Start { slot: next });
    }

    /// Ends the process, if it runs, and has it started again in a moment.
    fn start_anew(&mut self, slot: Slot) {
        if self.die(slot, Death::Kill) {
            self.after(START_ANEW_NS, Happening::Start { slot });
        }
    }

    /// A checkpoint now, so that what may go wrong with one can.
    fn ask_for_checkpoint(&mut self, slot: Slot) {
        self.input(
            slot,
            Input::Request { ticket: Ticket(0), session: SessionId(0), request: Request::Checkpoint },
        );
    }

    /// Whether the site loses power at this point.
    pub(super) fn site_off_at(&mut self, here: Point) -> bool {
        let Some((fault, _)) = self.site_off.take_if(|(_, point)| *point == here) else { return false };
        if self.tells(Level::Story) {
            let id = self.plan.faults[fault].id;
            self.tell("world", format!("the site loses power {}", here.say()), Some(id));
        }
        self.down(fault, &Slot::ALL, Death::Power { tear: true });
        true
    }

    /// Ends these processes and keeps them down until the fault is over.
    fn down(&mut self, fault: usize, slots: &[Slot], death: Death) {
        for slot in slots {
            self.host(*slot).held_down += 1;
            if self.die(*slot, death) {
                self.blame(fault);
            }
        }
    }

    fn up(&mut self, _fault: usize, slots: &[Slot]) {
        for slot in slots {
            let host = self.host(*slot);
            host.held_down = host.held_down.saturating_sub(1);
            if host.held_down == 0 {
                self.start(*slot);
            }
        }
    }

    /// Whether the durable state of `slot` may be destroyed now: the others are whole, and both know all three as
    /// voters, even if they are started again.
    fn survivable(&self, slot: Slot) -> bool {
        let mut members = Vec::new();
        for at in Slot::ALL {
            let Some(look) = self.look_at(at) else { return false };
            if self.hosts[at.at()].destroyed || look.status.state != State::Synced {
                return false;
            }
            members.push(look.status.member);
        }
        slot.others().all(|other| {
            let known = |m| self.look_at(other).is_some_and(|look| look.status.voters.contains(&m));
            let noted = self.hosts[other.at()].machine.as_ref().is_some_and(|m| !m.recovering());
            noted && members.iter().all(|m| m.is_some_and(known))
        })
    }

    fn wipe(&mut self, fault: usize, slot: Slot) {
        if !self.survivable(slot) {
            return self.spare(fault, slot);
        }
        self.down(fault, &[slot], Death::Kill);
        self.empty(slot);
        self.host(slot).wiped = true;
    }

    fn rot(&mut self, fault: usize, slot: Slot, misdirect: bool) {
        let mut d = self.draws(slot, "rot");
        if !self.survivable(slot) {
            return self.spare(fault, slot);
        }
        let disk = &mut self.host(slot).disk;
        let struck = if misdirect { disk.misdirect(&mut d) } else { disk.rot(&mut d) };
        let Some((file, at)) = struck else { return self.spare(fault, slot) };
        if self.tells(Level::Story) {
            let what = if misdirect { "what was written is elsewhere" } else { "a bit flips" };
            self.tell("world", format!("{what} in {file} of {slot} at byte {at}"), None);
        }
        let host = self.host(slot);
        host.destroyed = true;
        host.may_reseed = true;
        self.down(fault, &[slot], Death::Kill);
    }

    fn kv_rot(&mut self, fault: usize, slot: Slot) {
        // With two generations the loss of one costs nothing; with fewer it may cost the node its state.
        let host = &self.hosts[slot.at()];
        let whole = if host.one_generation { host.kv.usable().min(1) } else { host.kv.usable() };
        if whole == 0 || whole < 2 && !self.survivable(slot) {
            return self.spare(fault, slot);
        }
        if whole < 2 {
            let host = self.host(slot);
            host.destroyed = true;
            host.may_reseed = true;
        }
        self.down(fault, &[slot], Death::Kill);
        self.host(slot).kv.rot_newest();
    }

    /// The fault does not strike; what ends it must find what began it.
    fn spare(&mut self, fault: usize, slot: Slot) {
        self.active[fault] = false;
        let (kind, now_ns) = (self.plan.faults[fault].kind.clone(), self.now_ns);
        self.judge.stalls.fault_off(&kind, now_ns);
        if self.tells(Level::Story) {
            let id = self.plan.faults[fault].id;
            self.tell("world", format!("fault {id} spares {slot}: not all three nodes are whole"), Some(id));
        }
    }
}

fn clear(place: &mut Option<(usize, u64)>, fault: usize) {
    *place = place.filter(|(f, _)| *f != fault);
}
