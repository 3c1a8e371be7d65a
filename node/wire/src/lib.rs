//! Pure codecs of the protocols at the edges: bytes in, meaning out, and the way back.
//!
//! A codec here holds no socket and waits for nothing. Whoever owns the socket hands it the bytes as they come, in
//! whatever pieces, and writes what it appends to a buffer. So the same code serves a real client, a simulated
//! one, and a fuzzer.

pub mod mysql;
