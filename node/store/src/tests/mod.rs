//! What the store promises, as properties and as short stories.

mod add;
mod export;
mod ids;
mod indexes;
mod kit;
mod oracle;
mod scan;
mod serial;
mod session;
#[cfg(feature = "zoo")]
mod zoo;
