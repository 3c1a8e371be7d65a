//! The only crate with windows: sockets, files, clocks, around the pure machine.
//!
//! A library, so that a test can run three of these over a simulated network; the binary `plait-node` is one of
//! them over real ones.

pub mod clock;
pub mod config;
pub mod disk;
pub mod exit;
pub mod net;
#[cfg(test)]
mod scratch;
pub mod sys;
