//! The doors that clients and whoever runs the node come through. Each turns a protocol into requests of the
//! machine and answers back; none decides anything.

pub mod accept;
pub mod admin;
pub mod client;
pub mod http;
pub mod mysql;
mod translate;
