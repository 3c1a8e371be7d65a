//! What the store promises, as properties and as short stories.

mod add;
mod export;
mod foreign;
mod ids;
mod indexes;
mod kit;
mod named;
mod oracle;
mod queues;
mod replay;
mod scan;
mod serial;
mod session;
#[cfg(feature = "zoo")]
mod zoo;

pub(crate) use kit::plant;
