//! What each verb does, one file a verb or a family.

pub mod bench;
pub mod chaos;
pub mod config;
pub mod debug;
pub mod doctor;
pub mod down;
pub mod env;
pub mod events;
pub mod fault;
pub mod load;
pub mod logs;
pub mod ls;
pub mod node;
pub mod power;
pub mod sql;
pub mod status;
pub mod up;
pub mod wait;
