//! The binary `plait-chaos`: what a person asks of the simulated clusters, the judge and the real ones.

mod bank;
mod check;
mod cli;
mod explain;
mod hunt;
mod live;
mod replay;
mod report;
mod shrink;
mod twin;
mod zoo_table;

fn main() -> std::process::ExitCode {
    cli::main()
}
