//! What the end-to-end tests share: the source tree as data, real clusters, and what a test needs of its machine.
//!
//! A test here sees Plait from outside: files, processes, sockets, real clients. Nothing of Plait is linked in, so
//! these tests can't be pleased by anything a user does not get.

pub mod cluster;
pub mod need;
pub mod raw;
pub mod sql;
pub mod tree;
pub mod wait;
