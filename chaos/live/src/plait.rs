//! The binary `plait` beside this one: how a cluster is found, broken and mended.

use crate::fail::{Fail, Res};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Longer than `plait` itself waits for anything.
const VERB_MAX: Duration = Duration::from_secs(90);

/// A cluster of this machine.
#[derive(Debug, Clone)]
pub struct Plait {
    program: PathBuf,
    /// Which cluster, in words that go with every verb.
    which: Vec<String>,
}

impl Plait {
    pub fn new(name: Option<&str>, data_dir: Option<&std::path::Path>) -> Res<Plait> {
        let me = std::env::current_exe()
            .map_err(|why| Fail::unfit("this program does not find itself", why.to_string()))?;
        let program = me.with_file_name("plait");
        if !program.exists() {
            return Err(Fail::unfit(
                "the program `plait` is not beside this one",
                format!("{} does not exist", program.display()),
            )
            .next("build both: cargo build --profile sim --workspace")
            .next("ask another cluster: --target mysql://user:password@host:port/db"));
        }
        let mut which = Vec::new();
        which.extend(name.iter().flat_map(|name| ["--name".to_owned(), (*name).to_owned()]));
        which.extend(data_dir.iter().flat_map(|dir| ["--data-dir".to_owned(), dir.display().to_string()]));
        Ok(Plait { program, which })
    }

    /// Runs a verb; its one JSON document, or why it was refused.
    pub async fn run(&self, words: &[String]) -> Result<Value, String> {
        let said = words.join(" ");
        let child = Command::new(&self.program)
            .args(words)
            .args(&self.which)
            .args(["--json", "--quiet"])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = match tokio::time::timeout(VERB_MAX, child).await {
            Ok(Ok(output)) => output,
            Ok(Err(why)) => return Err(format!("{}: {why}", self.program.display())),
            Err(_) => return Err(format!("plait {said}: no end after {} s", VERB_MAX.as_secs())),
        };
        let document = serde_json::from_slice::<Value>(&output.stdout).ok();
        match (output.status.success(), document) {
            (true, Some(document)) => Ok(document),
            (true, None) => Err(format!("plait {said}: it wrote no JSON")),
            (false, Some(document)) => Err(format!(
                "plait {said}: {}: {}",
                document["what"].as_str().unwrap_or("refused"),
                document["why"].as_str().unwrap_or("no reason given")
            )),
            (false, None) => Err(format!("plait {said}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    pub async fn say(&self, words: &str) -> Result<Value, String> {
        self.run(&words.split(' ').map(str::to_owned).collect::<Vec<_>>()).await
    }
}
