//! `plait-node` seen from outside: real processes over loopback, each test with ports and directories of its own.
//!
//! Safety is asserted, speed is not: every wait has a condition and a bound far above what it should take.

mod bench;
mod doors;
mod faults;
mod refusals;
