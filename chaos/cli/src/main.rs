//! The binary `plait-chaos`: what a person asks of the simulated clusters, the judge and the real ones.

mod bank;
mod check;
mod cli;
mod hunt;
mod live;
mod replay;
#[cfg_attr(not(test), expect(dead_code, reason = "no verb writes a report yet"))]
mod report;
mod shrink;
mod twin;
mod zoo_table;

fn main() -> std::process::ExitCode {
    cli::main()
}
