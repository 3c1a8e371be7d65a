//! One hash over everything that left a node: bytes on a connection, changes to its disk, checkpoint steps, and
//! what clients were answered, each with its simulated time.

use plait_base::Digest;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    hash: Digest,
    steps: u64,
    bytes: u64,
}

impl Trace {
    pub fn add(&self, who: &str, what: &str, bytes: &[u8]) {
        let at = turmoil::sim_elapsed().unwrap_or_default();
        self.add_at(at, who, what, bytes);
    }

    pub fn add_at(&self, at: Duration, who: &str, what: &str, bytes: &[u8]) {
        let mut state = self.0.lock().expect("nothing panics with the trace locked");
        let at = (at.as_nanos() as u64).to_le_bytes();
        state.hash = Digest::of(&[&state.hash.0, &at, who.as_bytes(), what.as_bytes(), bytes]);
        state.steps += 1;
        state.bytes += bytes.len() as u64;
    }

    pub fn hash(&self) -> String {
        self.0.lock().expect("nothing panics with the trace locked").hash.to_string()
    }

    /// How many steps and bytes went into it.
    pub fn size(&self) -> (u64, u64) {
        let state = self.0.lock().expect("nothing panics with the trace locked");
        (state.steps, state.bytes)
    }
}
