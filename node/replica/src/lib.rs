//! One whole node as one machine: wires the rooms, decides who hears what.
pub mod api;
pub mod event;
pub use api::*;
pub use event::Event;
