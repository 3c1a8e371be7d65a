//! The only crate with windows: sockets, files, clocks, around the pure machine.
//!
//! A library, so that a test can run three of these over a simulated network; the binary `plait-node` is one of
//! them over real ones.

#[cfg(all(feature = "zoo", not(debug_assertions)))]
compile_error!("planted bugs (feature zoo) are refused in a build without debug assertions");

pub mod alloc;
pub mod aside;
pub mod clock;
pub mod config;
pub mod dir;
pub mod disk;
pub mod drive;
pub mod edge;
pub mod ended;
pub mod events;
pub mod exit;
pub mod inbox;
pub mod lines;
mod metrics;
pub mod net;
pub mod node;
pub mod peers;
mod routes;
#[cfg(test)]
mod scratch;
pub mod shim;
pub mod sys;
