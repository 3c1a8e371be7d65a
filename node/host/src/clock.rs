//! Where a node's time comes from: the kernel in a process, tokio's simulated clock in a test of many nodes.
//!
//! Time is sampled after the input it accompanies was taken, never before (DESIGN §4a): a lease checked against
//! an older time would be served too long.

use crate::sys;
use plait_base::{Mono, Now, Wall};

/// The two clocks of one node.
pub trait Clock {
    fn now(&self) -> Now;
}

/// A clock whose wall time a fault has put wrong; what leases go by is not touched.
pub struct Shifted {
    pub clock: Box<dyn Clock + Send>,
    pub wall_us: i64,
}

impl Clock for Shifted {
    fn now(&self) -> Now {
        let now = self.clock.now();
        Now { wall: Wall(now.wall.0.saturating_add(self.wall_us)), ..now }
    }
}

/// CLOCK_BOOTTIME, which runs through suspend, and CLOCK_REALTIME.
#[derive(Debug, Clone, Copy)]
pub struct Kernel;

impl Clock for Kernel {
    fn now(&self) -> Now {
        Now { mono: Mono(sys::boottime_ns()), wall: Wall(sys::realtime_us()) }
    }
}

/// Tokio's clock, which a simulation sets.
#[derive(Debug, Clone, Copy)]
pub struct Simulated {
    origin: tokio::time::Instant,
    wall_us: i64,
}

impl Simulated {
    /// A clock that shows `wall_us` now; its mono starts at one second, since zero stands for "at once".
    pub fn starting_at(wall_us: i64) -> Simulated {
        Simulated { origin: tokio::time::Instant::now(), wall_us }
    }
}

impl Clock for Simulated {
    fn now(&self) -> Now {
        let passed = self.origin.elapsed();
        let mono = Mono(1_000_000_000) + passed;
        Now { mono, wall: Wall(self.wall_us + i64::try_from(passed.as_micros()).unwrap_or(i64::MAX)) }
    }
}
