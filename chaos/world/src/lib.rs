//! The simulated world: whole clusters as one seeded value, and the judges that watch them.
//!
//! A seed is expanded into a [`plan`]; a [`world`] runs it with three real nodes, simulated networks, disks and
//! clocks, and the clients of a few [`workload`]s; the [`invariant`]s say whether a promise was broken. The same
//! nodes run as processes in `plait-node`: what is shown here is the code that serves there.

pub mod invariant;
pub mod marks;
pub mod plan;
pub mod run;
pub mod workload;
pub mod world;
pub mod zoo;
