//! `plait-node`: one node as one process. `plait` starts three; a person rarely types this.

mod cli;
mod debug;

/// A node makes and drops many small things on a few threads; the C library's allocator took a fifth of its time.
#[global_allocator]
static ALLOCATOR: plait_host::alloc::Allocator = plait_host::alloc::Allocator;

fn main() {
    std::process::exit(cli::main());
}
