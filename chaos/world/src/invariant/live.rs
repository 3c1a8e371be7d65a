//! After healing everything is available again, within a bound.
//!
//! Why it must hold: once faults have stopped and every node has been started, a majority of disks is whole (the
//! world never destroys what only one node has), so a leader is elected within a few time-outs, laggards are
//! brought up by log or by snapshot, and each lease is granted. No client may wait for ever.

/// How long healing may take, in simulated time.
pub const HEAL_NS_MAX: u64 = 20_000_000_000;
