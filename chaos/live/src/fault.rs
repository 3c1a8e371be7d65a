//! Faults as data: drawn from a seed or read from a plan, and which of them exist for real processes.
//!
//! Invariant: drawn faults strike one node at a time, and each is undone before the next begins; the `n`th has draws of
//! its own, so that another length of a run or another fault before it moves none.

use crate::fail::{Fail, Res};
use plait_base::Draws;
use plait_world::plan::{Fault as WorldFault, FaultKind, Plan};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

pub const SCHEMA: &str = "plait.live-plan/1";

/// What `--faults` takes.
pub const WORDS: [&str; 8] = ["kill", "pause", "cut", "slow", "drop", "throttle", "clock", "power"];

/// Nodes of a cluster of ours.
const NODES: u64 = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    pub id: u32,
    pub at_ms: u64,
    pub until_ms: u64,
    #[serde(flatten)]
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Kind {
    /// One that the simulated world has too.
    World(FaultKind),
    Node(NodeLinks),
}

/// All links of one node at once, both ways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum NodeLinks {
    #[serde(rename = "slow_node")]
    Slow { node: u8, delay_ms: u64, jitter_ms: u64 },
    #[serde(rename = "lossy_node")]
    Lossy { node: u8, per_mille: u64 },
    #[serde(rename = "throttled_node")]
    Throttled { node: u8, bytes_per_s: u64 },
}

/// How a fault is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    Start(u8),
    /// The whole cluster was down.
    Up,
    Resume(u8),
    /// The faults that `plait` named when they were made.
    Heal,
}

/// What is done for a fault, in words of `plait`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// The nemesis's `f`.
    pub word: &'static str,
    /// On what: the nemesis's value.
    pub on: String,
    pub deeds: Vec<Vec<String>>,
    pub undo: Undo,
}

/// A fault of a plan that real processes are spared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub id: u32,
    pub kind: String,
    pub why: &'static str,
}

fn others(node: u8) -> String {
    let names: Vec<String> = (1..=NODES as u8).filter(|n| *n != node).map(|n| format!("n{n}")).collect();
    names.join(",")
}

/// The links of one node with the two others.
fn around(node: u8) -> String {
    format!("n{node}|{}", others(node))
}

fn strike(word: &'static str, on: String, more: &[String], undo: Undo) -> Strike {
    let deed = [word.to_owned(), on.clone()].into_iter().chain(more.iter().cloned()).collect();
    Strike { word, on, deeds: vec![deed], undo }
}

fn slow(on: String, delay_ms: u64, jitter_ms: u64) -> Strike {
    let more =
        ["--delay".to_owned(), format!("{delay_ms}ms"), "--jitter".to_owned(), format!("{jitter_ms}ms")];
    strike("slow", on, &more, Undo::Heal)
}

fn loss(per_mille: u64) -> [String; 2] {
    ["--loss".to_owned(), format!("{}.{}%", per_mille / 10, per_mille % 10)]
}

impl Kind {
    pub fn name(&self) -> String {
        match self {
            Kind::World(kind) => kind.name().to_owned(),
            Kind::Node(NodeLinks::Slow { .. }) => "slow_node".to_owned(),
            Kind::Node(NodeLinks::Lossy { .. }) => "lossy_node".to_owned(),
            Kind::Node(NodeLinks::Throttled { .. }) => "throttled_node".to_owned(),
        }
    }

    /// What is done, or why nothing can be.
    pub fn strike(&self) -> Result<Strike, &'static str> {
        let none: &[String] = &[];
        let kind = match self {
            Kind::World(kind) => kind,
            Kind::Node(NodeLinks::Slow { node, delay_ms, jitter_ms }) => {
                return Ok(slow(around(*node), *delay_ms, *jitter_ms));
            }
            Kind::Node(NodeLinks::Lossy { node, per_mille }) => {
                return Ok(strike("drop", around(*node), &loss(*per_mille), Undo::Heal));
            }
            Kind::Node(NodeLinks::Throttled { node, bytes_per_s }) => {
                let more = ["--rate".to_owned(), format!("{bytes_per_s}B")];
                return Ok(strike("throttle", around(*node), &more, Undo::Heal));
            }
        };
        Ok(match *kind {
            FaultKind::Partition { node } => strike("cut", around(node), none, Undo::Heal),
            FaultKind::Cut { a, b } => strike("cut", format!("n{a}-n{b}"), none, Undo::Heal),
            FaultKind::OneWay { from, to } => strike("cut", format!("n{from}>n{to}"), none, Undo::Heal),
            FaultKind::Slow { from, to, delay_us, jitter_us } => {
                if delay_us + jitter_us < 1_000 {
                    return Err("links of real nodes are slowed by at least 1 ms");
                }
                slow(format!("n{from}>n{to}"), delay_us / 1_000, jitter_us.div_ceil(1_000))
            }
            FaultKind::Throttle { from, to, bytes_per_s } => {
                let more = ["--rate".to_owned(), format!("{bytes_per_s}B")];
                strike("throttle", format!("n{from}>n{to}"), &more, Undo::Heal)
            }
            FaultKind::Loss { per_mille } => {
                let links = [around(1), "n2-n3".to_owned()];
                let deed = |on: &String| {
                    ["drop".to_owned(), on.clone()].into_iter().chain(loss(per_mille)).collect()
                };
                let deeds = links.iter().map(deed).collect();
                Strike { word: "drop", on: "all links".to_owned(), deeds, undo: Undo::Heal }
            }
            FaultKind::Kill { node } => strike("kill", format!("n{node}"), none, Undo::Start(node)),
            FaultKind::Crash { node } => strike("power-off", format!("n{node}"), none, Undo::Start(node)),
            FaultKind::KillAll {} => {
                let deeds = (1..=NODES).map(|n| vec!["kill".to_owned(), format!("n{n}")]).collect();
                Strike { word: "kill", on: "n1,n2,n3".to_owned(), deeds, undo: Undo::Up }
            }
            FaultKind::PowerOff { .. } => strike("power-off", "site".to_owned(), none, Undo::Up),
            FaultKind::Pause { node } => strike("pause", format!("n{node}"), none, Undo::Resume(node)),
            FaultKind::WallJump { node, by_us } => {
                if by_us.abs() < 1_000 {
                    return Err("clocks of real nodes are put wrong by at least 1 ms");
                }
                strike("clock", format!("n{node}"), &[format!("{:+}ms", by_us / 1_000)], Undo::Heal)
            }
            // One after the other: a start ends when the node is in sync again.
            FaultKind::Upgrade { clean, .. } => {
                let stop = if clean { "stop" } else { "kill" };
                let deeds = (1..=NODES)
                    .flat_map(|n| [stop, "start"].map(|verb| vec![verb.to_owned(), format!("n{n}")]))
                    .collect();
                Strike { word: "upgrade", on: "n1,n2,n3".to_owned(), deeds, undo: Undo::Up }
            }
            FaultKind::Flip { .. } => return Err("TCP delivers no frame with another bit"),
            FaultKind::Full { .. } => return Err("a real disk is not filled"),
            FaultKind::Clog { .. } => {
                return Err("a real link delays or loses frames, it does not keep them");
            }
            FaultKind::Duplicate { .. } => return Err("TCP delivers once"),
            FaultKind::Reorder { .. } => return Err("TCP delivers in order"),
            FaultKind::Torn { .. } | FaultKind::CrashOn { .. } => {
                return Err(
                    "a real process is not stopped at a chosen output; a power loss at a time is `crash`",
                );
            }
            FaultKind::SlowCpu { .. } => return Err("the steps of a real process are not slowed"),
            FaultKind::SyncError { .. } | FaultKind::SlowDisk { .. } => {
                return Err("a real disk is not told to fail or to be slow");
            }
            FaultKind::Wipe { .. } => return Err("no data of a real node is removed"),
            FaultKind::Rot { .. }
            | FaultKind::Misdirect { .. }
            | FaultKind::KvError { .. }
            | FaultKind::KvRot { .. } => {
                return Err("no file of a real node is damaged");
            }
            FaultKind::ClockRate { .. } => return Err("a real clock's rate can't be set for one process"),
            FaultKind::CrashLoop { .. } => {
                return Err("a real node's start takes longer than the loop's period");
            }
            FaultKind::BadEntry { .. } => return Err("no entry of a real log is made to end its process"),
        })
    }
}

/// The faults of a run of this length, one in each period.
pub fn draw(seed: u64, words: &[String], every: Duration, span: Duration) -> Res<Vec<Fault>> {
    if let Some(word) = words.iter().find(|word| !WORDS.contains(&word.as_str())) {
        return Err(Fail::usage(
            format!("there is no fault '{word}'"),
            format!("faults of real processes are {}", WORDS.join(", ")),
        )
        .next("--faults kill,pause,cut,slow"));
    }
    let every_ms = every.as_millis() as u64;
    if every_ms < 100 {
        return Err(Fail::usage(
            "--every is too short",
            "a process that was killed needs longer to come back",
        )
        .next("--every 10s"));
    }
    let mut faults = Vec::new();
    if words.is_empty() {
        return Ok(faults);
    }
    for id in 0.. {
        let mut draws = Draws::new(seed, "live-fault", u64::from(id));
        let word = draws.pick(words).clone();
        let at_ms = u64::from(id) * every_ms + every_ms * draws.between(100, 300) / 1_000;
        let until_ms = at_ms + every_ms * draws.between(200, 450) / 1_000;
        if until_ms > span.as_millis() as u64 {
            return Ok(faults);
        }
        faults.push(Fault { id, at_ms, until_ms, kind: kind(&word, &mut draws) });
    }
    unreachable!("each period begins later than the one before")
}

fn kind(word: &str, draws: &mut Draws) -> Kind {
    let node = draws.between(1, NODES) as u8;
    let other = (node - 1 + draws.between(1, NODES - 1) as u8) % NODES as u8 + 1;
    Kind::World(match word {
        "kill" => FaultKind::Kill { node },
        "power" => FaultKind::Crash { node },
        "pause" => FaultKind::Pause { node },
        "cut" => match draws.below(4) {
            0 => FaultKind::Cut { a: node, b: other },
            1 => FaultKind::OneWay { from: node, to: other },
            _ => FaultKind::Partition { node },
        },
        "clock" => {
            let ms = draws.between(100, 3_600_000) as i64;
            FaultKind::WallJump { node, by_us: if draws.chance(500) { ms } else { -ms } * 1_000 }
        }
        "slow" => {
            let (delay_ms, jitter_ms) = (draws.between(5, 200), draws.between(0, 50));
            return Kind::Node(NodeLinks::Slow { node, delay_ms, jitter_ms });
        }
        "drop" => return Kind::Node(NodeLinks::Lossy { node, per_mille: draws.between(10, 300) }),
        "throttle" => {
            let bytes_per_s = draws.between(2_000, 200_000);
            return Kind::Node(NodeLinks::Throttled { node, bytes_per_s });
        }
        other => unreachable!("'{other}' was refused before"),
    })
}

/// A plan's faults, and its length in milliseconds.
pub fn read(text: &str, file: &str) -> Res<(Vec<Fault>, u64)> {
    let no_plan = |why: String| {
        Fail::usage(format!("{file} is no plan"), why)
            .next("take one that `plait chaos run --seed N --print-plan` wrote, or a former run's plan.json")
    };
    let value: Value = serde_json::from_str(text).map_err(|why| no_plan(why.to_string()))?;
    if value["schema"] != SCHEMA {
        let plan = Plan::parse(text).map_err(|why| no_plan(why.to_string()))?;
        let fault = |f: WorldFault| Fault {
            id: f.id,
            at_ms: f.at_ms,
            until_ms: f.until_ms,
            kind: Kind::World(f.kind),
        };
        return Ok((plan.faults.into_iter().map(fault).collect(), plan.span_ms));
    }
    let faults: Vec<Fault> =
        serde_json::from_value(value["faults"].clone()).map_err(|why| no_plan(why.to_string()))?;
    let span = value["span_ms"].as_u64().ok_or_else(|| no_plan("it has no span_ms".to_owned()))?;
    if let Some(fault) = faults.iter().find(|fault| fault.until_ms < fault.at_ms) {
        return Err(no_plan(format!("fault {} ends before it begins", fault.id)));
    }
    Ok((faults, span))
}

/// Those that can be done within this time, and the others with the reason.
pub fn sort_out(faults: Vec<Fault>, span: Duration) -> (Vec<(Fault, Strike)>, Vec<LeftOut>) {
    let (mut done, mut left_out) = (Vec::new(), Vec::new());
    for fault in faults {
        let strike = match fault.kind.strike() {
            Ok(_) if u128::from(fault.at_ms) >= span.as_millis() => Err("it begins after the run's end"),
            other => other,
        };
        match strike {
            Ok(strike) => done.push((fault, strike)),
            Err(why) => left_out.push(LeftOut { id: fault.id, kind: fault.kind.name(), why }),
        }
    }
    (done, left_out)
}

#[cfg(test)]
mod tests;
