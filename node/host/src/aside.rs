//! What a node does that must begin anew: everything it has goes aside, whole, and its slot starts empty.
//!
//! Invariant: nothing goes aside unless the two others serve, and so together hold all that was acknowledged
//! (DESIGN law 17). While they don't, the files stay where they are and the node says so.

use crate::config::Config;
use crate::disk::file::aside_dir;
use crate::exit::Exit;
use plait_proto::admin::v1::StatusRequest;
use plait_proto::admin::v1::admin_client::AdminClient;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Endpoint;

/// How long the two others are waited for; three nodes that start together need a moment to serve.
const OTHERS_WAIT_MAX: Duration = Duration::from_secs(15);
const ASK_MAX: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Moves the state aside if the others can give it back.
pub fn reseed(config: &Config, why: String) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::Environment(format!("no runtime: {error}")),
    };
    tracing::warn!(why, "this node's state is to be replaced; asking whether the others serve");
    if let Err(silent) = runtime.block_on(others_serve(config)) {
        return Exit::WrongState(format!(
            "{} can't be used: {why}. Every file is as it was, because the others can't replace it: {silent}. Start \
             the other two and then this node; or see `plait bootstrap`",
            config.data_dir.display()
        ));
    }
    match move_aside(&config.data_dir) {
        Ok(place) => Exit::Reseed(format!("{why}; its files lie in {place}, and this slot joins anew")),
        Err(error) => crate::dir::unfit(&config.data_dir, &error),
    }
}

async fn others_serve(config: &Config) -> Result<(), String> {
    let begin = Instant::now();
    loop {
        let mut silent = Vec::new();
        for slot in config.slot.others() {
            let asked = timeout(ASK_MAX, state(&config.peers[slot.at()])).await;
            match asked.unwrap_or_else(|_| Err(format!("no answer in {ASK_MAX:?}"))) {
                Ok(state) if state == "Synced" => {}
                Ok(state) => silent.push(format!("{slot} is {state} and not Synced")),
                Err(error) => silent.push(format!("{slot}: {error}")),
            }
        }
        if silent.is_empty() {
            return Ok(());
        }
        if begin.elapsed() >= OTHERS_WAIT_MAX {
            return Err(silent.join(", "));
        }
        sleep(ASK_AGAIN).await;
    }
}

async fn state(address: &str) -> Result<String, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
    let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
    let reply = AdminClient::new(channel).status(StatusRequest {}).await;
    let json = reply.map_err(|status| status.message().to_owned())?.into_inner().json;
    let fields: serde_json::Value = serde_json::from_str(&json).map_err(|error| error.to_string())?;
    fields["state"].as_str().map(str::to_owned).ok_or_else(|| "its status names no state".into())
}

/// Everything but the lock, the events and what lies aside already.
fn move_aside(dir: &Path) -> io::Result<String> {
    let place = aside_dir(dir)?;
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if text == "lock" || text.starts_with("events.ndjson") || text.starts_with("aside-") {
            continue;
        }
        fs::rename(dir.join(&name), place.join(&name))?;
    }
    fs::File::open(&place)?.sync_all()?;
    fs::File::open(dir)?.sync_all()?;
    Ok(place.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn everything_goes_aside_but_what_tells_of_it() {
        let scratch = Scratch::new("move-aside");
        let dir = scratch.path();
        for name in ["identity", "wal-00000001", "checkpoint-a.head", "lock", "events.ndjson"] {
            fs::write(dir.join(name), name).unwrap();
        }
        fs::create_dir(dir.join("checkpoint-a")).unwrap();
        fs::write(dir.join("checkpoint-a/db"), "rows").unwrap();
        let place = std::path::PathBuf::from(move_aside(dir).unwrap());
        assert_eq!(crate::dir::traces(dir).unwrap(), Vec::<String>::new());
        assert_eq!(fs::read_to_string(place.join("checkpoint-a/db")).unwrap(), "rows");
        assert_eq!(fs::read_to_string(place.join("identity")).unwrap(), "identity");
        assert!(dir.join("events.ndjson").exists() && dir.join("lock").exists());
    }
}
