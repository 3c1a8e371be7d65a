//! Plait for programs and for people: a client library over gRPC, and what the binary `plait` is made of.
//!
//! A program asks a [`Client`] to run a [`Script`] and gets one of three answers: yes, no, unknown. A refusal that
//! may be tried again is tried again until the deadline; an unknown outcome never is.
//!
//! ```no_run
//! # async fn demo() -> Result<(), plait_client::Error> {
//! let nodes: Vec<std::net::SocketAddr> = [13351, 13352, 13353].map(|port| ([127, 0, 0, 1], port).into()).into();
//! let client = plait_client::Client::new(&nodes);
//! let script = plait_client::Script::new().add("counters", [1], "n", 1);
//! let done = client.transact(&script).await?;
//! println!("committed at seqno {}", done.seqno);
//! # Ok(())
//! # }
//! ```

mod admin;
mod client;
mod error;
mod link;
mod script;

pub use admin::{Admin, LinkRule};
pub use client::{Client, Policy, Session};
pub use error::{Error, Outcome};
pub use link::Done;
pub use script::{Isolation, Rows, Script, Value};

mod account;
mod calibrate;
pub mod cli;
mod cluster;
mod fail;
mod faults;
mod home;
mod http;
mod mysql;
mod ports;
mod process;
mod say;
mod slot;
mod supervise;
mod verb;
