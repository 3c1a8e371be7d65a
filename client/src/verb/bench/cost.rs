//! What a measured span cost the nodes: their counters before and after it, and what one sync takes on their disk.

use super::median;
use crate::cli::Ctx;
use crate::fail::{Fail, Res};
use crate::http;
use crate::ports::{Block, local};
use crate::slot::Slot;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ASK_MAX: Duration = Duration::from_secs(2);

/// What the three nodes have counted so far.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// Frames handed to connections between nodes.
    pub frames: f64,
    /// Syncs of the log.
    pub syncs: f64,
    /// Inputs of the machines, and wakes in which they were taken.
    pub inputs: f64,
    pub wakes: f64,
}

/// Asks all three.
pub async fn counts(block: Block) -> Res<Counts> {
    let mut counts = Counts::default();
    for slot in Slot::ALL {
        let answer = http::get(local(block.admin(slot)), "/metrics", ASK_MAX).await;
        let answer = answer
            .map_err(|why| Fail::state(format!("{slot} shows no metrics"), why).next("plait status"))?;
        let all = metrics(&answer.body);
        let get = |name: &str| all.get(name).copied().unwrap_or(0.0);
        counts.frames += get("plait_peer_frames_total");
        counts.syncs += get("plait_disk_syncs_total");
        counts.inputs += get("plait_inputs_total");
        counts.wakes += get("plait_step_seconds_count");
    }
    Ok(counts)
}

/// Values by name, labels added up.
fn metrics(text: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.rsplit_once(' ')
            && let Ok(value) = value.parse::<f64>()
        {
            let name = name.split('{').next().unwrap_or(name).to_owned();
            *all.entry(name).or_insert(0.0) += value;
        }
    }
    all
}

/// What one small write with its sync costs on the cluster's disk.
pub fn sync_p50(ctx: &Ctx) -> Option<Duration> {
    use std::io::Write;
    let path = ctx.place.run().join("sync");
    let mut file = std::fs::File::create(&path).ok()?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        file.write_all(&[0x5a; 2048]).and_then(|()| file.sync_data()).ok()?;
        times.push(began.elapsed());
    }
    let _ = std::fs::remove_file(path);
    Some(median(&mut times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_added_over_their_labels() {
        let text = "# HELP x\nplait_frames_total{lane=\"fast\"} 3\nplait_frames_total{lane=\"bulk\"} 4\nplait_up 1\n";
        let all = metrics(text);
        assert_eq!((all["plait_frames_total"], all["plait_up"]), (7.0, 1.0));
    }
}
