//! What travels between processes, generated from `proto/`: one module a package.
//!
//! The generated code is committed, so that a build needs no generator; `proto/gen` writes it and checks it.
//! Byte fields are `Bytes` and share the buffer they arrived in.

// Generated: judged by its generator, not by our lints.
#![allow(clippy::all)]

pub mod admin {
    pub mod v1 {
        include!("gen/plait.admin.v1.rs");
    }
}

pub mod client {
    pub mod v1 {
        include!("gen/plait.client.v1.rs");
    }
}

pub mod peer {
    pub mod v1 {
        include!("gen/plait.peer.v1.rs");
    }
}
