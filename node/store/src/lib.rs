//! The SQL store: rows that three nodes write at once and that never diverge.
pub mod error;
pub mod value;
pub use error::Error;
pub use value::Value;
