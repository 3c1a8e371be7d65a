//! Whether a peer is there: up when all six of its connections are, down when one of them closes.
//!
//! Invariant: what is told alternates, beginning with up, however fast connections come and go.

use plait_base::Slot;
use plait_replica::{Input, Lane};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

/// Who dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Out = 0,
    In = 1,
}

#[derive(Debug)]
pub struct Presence {
    peers: Mutex<[Peer; 3]>,
    nudge: mpsc::Sender<()>,
    cuts: Arc<crate::shim::Cuts>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Peer {
    open: [[u32; 3]; 2],
    up: bool,
    tell_down: bool,
    tell_up: bool,
}

impl Presence {
    /// Changes are announced by a nudge: one waiting nudge stands for all.
    pub fn new(cuts: Arc<crate::shim::Cuts>) -> (Arc<Presence>, mpsc::Receiver<()>) {
        let (nudge, nudges) = mpsc::channel(1);
        (Arc::new(Presence { peers: Mutex::default(), nudge, cuts }), nudges)
    }

    fn peers(&self) -> MutexGuard<'_, [Peer; 3]> {
        self.peers.lock().expect("nothing panics with the presence lock held")
    }

    /// A lane was opened; it is open until what is returned is dropped.
    pub fn opened(self: &Arc<Presence>, peer: Slot, way: Way, lane: Lane) -> Open {
        let mut peers = self.peers();
        let state = &mut peers[peer.at()];
        state.open[way as usize][lane as usize - 1] += 1;
        if !state.up && state.open.iter().flatten().all(|count| *count > 0) {
            state.up = true;
            state.tell_up = true;
            let _ = self.nudge.try_send(());
        }
        Open { presence: self.clone(), peer, way, lane }
    }

    fn closed(&self, peer: Slot, way: Way, lane: Lane) {
        let mut peers = self.peers();
        let state = &mut peers[peer.at()];
        let count = &mut state.open[way as usize][lane as usize - 1];
        *count -= 1;
        if *count == 0 && state.up {
            state.up = false;
            state.tell_up = false;
            // Through a cut link nobody hears a connection close.
            state.tell_down = !self.cuts.cut(peer);
            let _ = self.nudge.try_send(());
        }
    }

    pub fn is_up(&self, peer: Slot) -> bool {
        self.peers()[peer.at()].up
    }

    /// What the machine has not been told yet.
    pub fn news(&self, out: &mut Vec<Input>) {
        for (slot, peer) in Slot::ALL.into_iter().zip(self.peers().iter_mut()) {
            if std::mem::take(&mut peer.tell_down) {
                out.push(Input::Down { peer: slot });
            }
            if std::mem::take(&mut peer.tell_up) {
                out.push(Input::Up { peer: slot });
            }
        }
    }
}

/// One open lane. Dropped with whatever carried it, also when that is cancelled.
#[derive(Debug)]
pub struct Open {
    presence: Arc<Presence>,
    peer: Slot,
    way: Way,
    lane: Lane,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.presence.closed(self.peer, self.way, self.lane);
    }
}
