//! End-to-end tests: what can only be seen from outside. Safety is asserted here; speed is measured by
//! `plait bench`.

mod disks;
mod durability;
mod faults;
mod hostile;
mod judge;
mod life;
mod live;
mod report;
mod roundtrip;
mod scenarios;
mod simulator;
mod sql;
mod tidy;
mod tools;
mod wire;
