//! Tier B: the real host (tokio, tonic, HTTP/2, its queues and deadlines) over a simulated network and clock.
//!
//! Three nodes and a few clients run in one process and one thread under turmoil, with the simulator's own disks.
//! A run is a function of its seed: everything that a node sends, persists or answers goes into one hash, and the
//! same seed must give the same hash in another process. One seed a process, because what replaces the clock and
//! the entropy of the C library is global.

mod clients;
mod disk;
mod libc_instead;
mod mysql;
mod net;
mod run;
mod trace;

use clap::Parser;

/// Runs one seed and prints one line of JSON.
#[derive(Parser)]
struct Args {
    #[arg(long)]
    seed: u64,
    /// Shows the nodes' own log on standard error.
    #[arg(long)]
    log: bool,
    /// Gives the nodes disks that report syncs they did not do. What is promised can't be kept on these, so it
    /// shows that a broken promise is found.
    #[arg(long)]
    lying_disks: bool,
}

fn main() {
    let args = Args::parse();
    let verdict = run::run(args.seed, args.log, args.lying_disks);
    println!("{}", verdict.json());
    std::process::exit(verdict.exit_code());
}
