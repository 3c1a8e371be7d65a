//! `plait-node`: one node as one process. `plait` starts three; a person rarely types this.

mod cli;
mod debug;

fn main() {
    std::process::exit(cli::main());
}
