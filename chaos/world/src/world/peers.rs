//! Connections between nodes: when they come up, what a closed one tells, what a frame needs to arrive.
//!
//! Intuition: a telephone line. A voice that stops may mean anything; a line that goes dead with a click means that
//! the other side has hung up. A killed process clicks, a machine without power does not, a cut wire neither.
//! Invariant: a frame arrives only at the life of a process for which its connection was made, and never after that
//! process was told that the connection is down.

use super::net::Frame;
use super::{Happening, MS, World, pair};
use crate::marks::Mark;
use plait_base::{BootEpoch, Draws, Slot};
use plait_replica::Input;

/// A connection that cannot be made is tried again after this, and as much again at most.
const RETRY_NS: u64 = 40 * MS;

impl World {
    /// A process has started: it calls the others.
    pub(super) fn call_peers(&mut self, slot: Slot) {
        for peer in slot.others() {
            self.call(slot, peer, 0);
        }
    }

    fn call(&mut self, a: Slot, b: Slot, wait_ns: u64) {
        let place = pair(a, b);
        if self.connecting[place] {
            return;
        }
        self.connecting[place] = true;
        let connect_us = self.plan.net.connect_us;
        let delay_ns = self.draws(a, "connect").below(connect_us * 1000) + 100_000;
        self.after(wait_ns + delay_ns, Happening::Connect { a, b });
    }

    pub(super) fn connect(&mut self, a: Slot, b: Slot) {
        let place = pair(a, b);
        self.connecting[place] = false;
        let (ha, hb) = (&self.hosts[a.at()], &self.hosts[b.at()]);
        if !ha.runs() || !hb.runs() || self.connections[place].is_some() {
            return;
        }
        if ha.still() || hb.still() || !self.net.open(a, b) {
            let wait_ns = RETRY_NS + self.draws(a, "connect.retry").below(RETRY_NS);
            return self.call(a, b, wait_ns);
        }
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        self.connections[place] = Some((self.hosts[low.at()].life, self.hosts[high.at()].life));
        for (me, peer) in [(a, b), (b, a)] {
            if self.hosts[me.at()].told_up[peer.at()] {
                let before = self.hosts[peer.at()].life - 1;
                self.tell_down(me, peer, before);
            }
            self.host(me).told_up[peer.at()] = true;
            self.input(me, Input::Up { peer });
        }
    }

    /// The process of `slot` has ended. With a click, the others learn of it if no wire is cut.
    pub(super) fn hang_up(&mut self, slot: Slot, click: bool, epoch: BootEpoch) {
        let peer_life = self.hosts[slot.at()].life;
        for at in slot.others() {
            self.connections[pair(slot, at)] = None;
            let mut d = Draws::new(
                self.plan.seed,
                "death",
                u64::from(slot.get() * 4 + at.get()) << 32 | u64::from(peer_life),
            );
            let at_life = self.hosts[at.at()].life;
            if !self.hosts[at.at()].runs() {
                continue;
            }
            if click && self.hosts[at.at()].told_up[slot.at()] {
                self.after(
                    d.between(50_000, 2 * MS),
                    Happening::PeerDown { at, at_life, peer: slot, peer_life },
                );
            }
            if epoch.0 != 0 && d.chance(self.plan.proof_per_mille) {
                self.after(d.between(MS, 60 * MS), Happening::PeerDead { at, peer: slot, epoch });
            }
        }
    }

    pub(super) fn peer_down(&mut self, at: Slot, at_life: u32, peer: Slot, peer_life: u32) {
        let host = &self.hosts[at.at()];
        if !host.runs() || host.life != at_life || host.heard_down[peer.at()] >= peer_life {
            return;
        }
        if self.net.is_cut(peer, at) {
            return self.after(RETRY_NS, Happening::PeerDown { at, at_life, peer, peer_life });
        }
        self.tell_down(at, peer, peer_life);
    }

    fn tell_down(&mut self, at: Slot, peer: Slot, peer_life: u32) {
        let host = self.host(at);
        host.told_up[peer.at()] = false;
        host.heard_down[peer.at()] = peer_life;
        self.input(at, Input::Down { peer });
    }

    pub(super) fn send(&mut self, from: Slot, to: Slot, lane: plait_replica::Lane, bytes: bytes::Bytes) {
        self.counts.frames += 1;
        let Some((low, high)) = self.connections[pair(from, to)] else {
            self.counts.frames_lost += 1;
            return;
        };
        let lives = if from < to { (low, high) } else { (high, low) };
        let mut frame = Frame { from, to, lane, bytes, spoiled: false, drawn: None, lives };
        let fate = self.net.send(self.now_ns, &frame);
        if let Some(bit) = fate.flip {
            let mut spoiled = frame.bytes.to_vec();
            spoiled[bit as usize / 8] ^= 1 << (bit % 8);
            frame.bytes = spoiled.into();
            frame.spoiled = true;
        }
        for fault in fate.faults.into_iter().flatten() {
            self.blame(fault);
        }
        let [first, again] = fate.due_ns;
        if let Some(diagram) = &mut self.diagram {
            frame.drawn = Some(diagram.sent(from, to, &frame.bytes, self.now_ns, first));
        }
        match (first, again) {
            (None, _) => self.counts.frames_lost += 1,
            (Some(due_ns), None) => self.queue.push(due_ns, Happening::Frame(Box::new(frame))),
            (Some(due_ns), Some(again_ns)) => {
                self.queue.push(due_ns, Happening::Frame(Box::new(frame.clone())));
                self.queue.push(again_ns, Happening::Frame(Box::new(frame)));
            }
        }
    }

    pub(super) fn arrive(&mut self, frame: Frame) {
        let Frame { from, to, lane, bytes, spoiled, drawn, lives } = frame;
        let host = &self.hosts[to.at()];
        let gone = !host.runs() || host.life != lives.1 || host.heard_down[from.at()] >= lives.0;
        if host.life != lives.1 {
            self.marks.set(Mark::FrameOfOldConnection);
        }
        if gone || self.net.is_cut(from, to) {
            self.counts.frames_lost += 1;
            if let (Some(diagram), Some(number)) = (&mut self.diagram, drawn) {
                diagram.lost(number);
            }
            return;
        }
        // The door of a real node asks the same of each frame.
        if spoiled && plait_replica::Frame::sound(&bytes).is_err() {
            self.marks.set(Mark::FrameSpoiled);
            self.counts.frames_lost += 1;
            return self.drop_connection(from, to);
        }
        self.input(to, Input::Recv { from, lane, bytes });
    }

    /// One end has closed the connection. It is made again; that it was down, both learn when it is up.
    fn drop_connection(&mut self, a: Slot, b: Slot) {
        if self.connections[pair(a, b)].take().is_some() {
            self.call(b, a, 0);
        }
    }

    /// Frames that a fault had held back go on, in their order.
    pub(super) fn free(&mut self, frames: Vec<Frame>) {
        for (i, frame) in frames.into_iter().enumerate() {
            self.after(100_000 + i as u64 * 1000, Happening::Frame(Box::new(frame)));
        }
    }
}
