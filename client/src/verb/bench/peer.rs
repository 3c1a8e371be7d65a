//! The opponent: three nodes of MariaDB Galera, started by the project's own script `bench/peers/galera.sh`.
//!
//! The script is part of this program, so that an installed `plait` measures as one in its checkout does. The peer has
//! a directory of its own and is ended and removed when the bench is over, also by Ctrl-C, unless it is to be kept.

use crate::cli::Ctx;
use crate::fail::{Code, Fail, Res};
use crate::home;
use crate::process::Process;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use tokio::process::Command;

const SCRIPT: &str = include_str!("../../../../bench/peers/galera.sh");
pub const USER: &str = "bench";
pub const PASSWORD: &str = "bench";
pub const DATABASE: &str = "sbtest";
/// The script's exit code when a program is missing.
const MISSING: i32 = 5;

/// A running peer.
pub struct Peer {
    script: PathBuf,
    dir: PathBuf,
    base: u16,
    pub ports: Vec<u16>,
    pub processes: Vec<Process>,
}

impl Peer {
    /// Starts it, or takes the one that was kept. `Ok(Err(why))`: it is not installed here.
    pub async fn up(ctx: &Ctx, base: u16) -> Res<Result<Peer, String>> {
        home::make_dir(&ctx.place.run())?;
        let script = ctx.place.run().join("galera.sh");
        home::replace(&script, SCRIPT)?;
        // The server runs as another user when this program is root's, and must be able to reach its files.
        let dir = std::env::temp_dir().join(format!("plait-peer-galera-{base}"));
        let mut peer = Peer { script, dir, base, ports: Vec::new(), processes: Vec::new() };
        let up = peer.call("up").await?;
        if up.status.code() == Some(MISSING) {
            return Ok(Err(last_words(&up)));
        }
        if !up.status.success() {
            peer.wipe().await?;
            return Err(Fail::unfit("Galera did not start", last_words(&up))
                .next("measure Plait alone: plait bench sql --peer none"));
        }
        peer.ports = peer.numbers("ports").await?.into_iter().filter_map(|n| n.try_into().ok()).collect();
        peer.processes = peer.numbers("pids").await?.into_iter().filter_map(Process::now).collect();
        if peer.ports.len() != 3 || peer.processes.len() != 3 {
            return Err(Fail::state("Galera does not run whole", format!("{:?}", peer.processes)));
        }
        Ok(Ok(peer))
    }

    async fn call(&self, verb: &str) -> Res<Output> {
        Command::new("bash")
            .arg(&self.script)
            .arg(verb)
            .env("PEER_DIR", &self.dir)
            .env("PEER_BASE", self.base.to_string())
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|e| Fail::unfit("can't run bash", e.to_string()))
    }

    async fn numbers(&self, verb: &str) -> Res<Vec<u32>> {
        let output = self.call(verb).await?;
        if !output.status.success() {
            return Err(Fail::new(Code::WrongState, "Galera does not run whole", last_words(&output)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Ends it and removes its files.
    pub async fn wipe(&self) -> Res<()> {
        let output = self.call("wipe").await?;
        if output.status.success() {
            return Ok(());
        }
        Err(Fail::unfit("Galera was not ended", last_words(&output)).next(format!(
            "PEER_DIR={} bash {} wipe",
            self.dir.display(),
            self.script.display()
        )))
    }
}

/// The end of what it said.
fn last_words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
