//! `plait bench failover`: how long writes on the survivors stall when a node dies or freezes.
//!
//! stall = the longest pause that overlaps the fault or comes within 5 s after it, less the longest pause in the 5 s
//! before it, on the survivor that suffered more. Pauses are between acknowledged writes of one node's clients.

use super::{TABLE, clients, make_table, median};
use crate::calibrate::{self, Calibrator};
use crate::cli::Ctx;
use crate::client::{Client, Policy};
use crate::cluster::Cluster;
use crate::fail::{Code, Fail, Res};
use crate::say;
use crate::script::Script;
use crate::slot::Slot;
use crate::supervise::talk::{self, Ask};
use crate::verb::status;
use crate::verb::up::ready;
use serde_json::json;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(5);
/// Clients on each node; each writes its own row.
const CLIENTS: usize = 4;
/// Pause of a client after each write: a steady load, not the highest.
const PACE: Duration = Duration::from_millis(2);
const ANSWER_MAX: Duration = Duration::from_secs(10);
const BACK_MAX: Duration = Duration::from_secs(60);
const DEED_MAX: Duration = Duration::from_secs(10);
/// How often a disturbed round is done again before it is reported as such.
const REPEATS_MAX: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    KillFollower,
    KillLeader,
    PauseLeader,
}

impl Case {
    const ALL: [Case; 3] = [Case::KillFollower, Case::KillLeader, Case::PauseLeader];

    fn name(self) -> &'static str {
        match self {
            Case::KillFollower => "kill a follower",
            Case::KillLeader => "kill the leader",
            Case::PauseLeader => "pause the leader",
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    stalls: Vec<Duration>,
    disturbed: u32,
    not_yes: usize,
}

pub async fn run(ctx: &Ctx, rounds: u32) -> Res<ExitCode> {
    let cluster = Cluster::load(&ctx.place)?;
    talk::view(&ctx.place).await?;
    let clients = clients(&cluster);
    make_table(&clients).await?;
    let mut rows = vec![
        ["fault", "stall, median", "worst", "rounds", "disturbed", "not yes"].map(str::to_owned).to_vec(),
    ];
    let mut list = Vec::new();
    for case in Case::ALL {
        let mut seen = Seen::default();
        for round in 0..rounds {
            let mut repeats = 0;
            loop {
                let step = ctx.say.step("failover", format!("{}, round {}", case.name(), round + 1));
                let (stall, disturbed, not_yes) = one(ctx, &cluster, &clients, case, round).await?;
                step.done(&format!(
                    "stall {}{}",
                    say::span(stall),
                    if disturbed { ", disturbed" } else { "" }
                ));
                repeats += 1;
                if disturbed && repeats < REPEATS_MAX {
                    continue;
                }
                seen.stalls.push(stall);
                seen.disturbed += u32::from(disturbed);
                seen.not_yes += not_yes;
                break;
            }
        }
        let mid = median(&mut seen.stalls);
        let worst = seen.stalls.last().copied().unwrap_or_default();
        rows.push(vec![
            case.name().into(),
            say::span(mid),
            say::span(worst),
            rounds.to_string(),
            seen.disturbed.to_string(),
            seen.not_yes.to_string(),
        ]);
        list.push(json!({
            "fault": case.name(), "stall_median_s": mid.as_secs_f64(), "stall_worst_s": worst.as_secs_f64(),
            "stalls_s": seen.stalls.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(),
            "rounds": rounds, "disturbed": seen.disturbed, "not_yes": seen.not_yes,
        }));
    }
    ctx.say.result("bench-failover", json!({ "cases": list }), || say::table(&rows));
    Ok(ExitCode::SUCCESS)
}

/// When the clients of each node were answered yes.
type Acks = Arc<[Mutex<Vec<Instant>>; 3]>;

async fn one(
    ctx: &Ctx,
    cluster: &Cluster,
    clients: &[Client; 3],
    case: Case,
    round: u32,
) -> Res<(Duration, bool, usize)> {
    let leader = status::leader(cluster).await.ok_or_else(|| {
        Fail::state("no node leads", "the nodes were asked and none says that it is leader")
            .next(ctx.command("wait --for ready"))
    })?;
    let victim = match case {
        Case::KillFollower => leader.others().nth(round as usize % 2).expect("two others"),
        Case::KillLeader | Case::PauseLeader => leader,
    };
    let acks: Acks = Arc::default();
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for slot in victim.others() {
        for n in 0..CLIENTS {
            let client = clients[slot.at()].with(Policy::once(ANSWER_MAX));
            let (acks, over) = (acks.clone(), over.clone());
            tasks.push(tokio::spawn(write(client, acks, over, slot, n)));
        }
    }
    let calibrator = Calibrator::start();
    tokio::time::sleep(WINDOW).await;
    let fault = Instant::now();
    let ask =
        if case == Case::PauseLeader { Ask::Pause { slot: victim } } else { Ask::Kill { slot: victim } };
    talk::deed(&ctx.place, &ask, DEED_MAX).await?;
    tokio::time::sleep(WINDOW).await;
    over.store(true, Ordering::Relaxed);
    let end = Instant::now();
    let disturbed = calibrate::verdict(calibrator.p99()) == "disturbed";
    let mut not_yes = 0;
    for task in tasks {
        not_yes += task.await.map_err(|e| Fail::bug("a client of the bench ended", e))?;
    }
    let ask = if case == Case::PauseLeader {
        Ask::Resume { slot: victim }
    } else {
        Ask::Start { slot: victim, alone: false }
    };
    talk::deed(&ctx.place, &ask, DEED_MAX).await?;
    for slot in Slot::ALL {
        ready::node(ctx, cluster.block(), slot, Instant::now() + BACK_MAX, |_| {}).await?;
    }
    let worst = victim.others().map(|slot| {
        let times = acks[slot.at()].lock().expect("nothing panics while it holds the times").clone();
        stall(&times, fault - WINDOW, fault, end)
    });
    let stall = worst.max().flatten().ok_or_else(|| {
        Fail::new(Code::Unknown, "the stall is not known", "a survivor answered nothing before the fault")
            .next(ctx.command("status"))
    })?;
    Ok((stall, disturbed, not_yes))
}

async fn write(client: Client, acks: Acks, over: Arc<AtomicBool>, slot: Slot, n: usize) -> usize {
    let key = 1_000_000 + i64::from(slot.get()) * 100 + n as i64;
    let mut not_yes = 0;
    for i in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        match client.transact(&Script::new().put(TABLE, [key, i])).await {
            Ok(_) => {
                acks[slot.at()].lock().expect("nothing panics while it holds the times").push(Instant::now())
            }
            Err(_) => not_yes += 1,
        }
        tokio::time::sleep(PACE).await;
    }
    not_yes
}

/// The longest pause that reaches beyond the fault, less the longest one before it. `None` without an acknowledgement
/// before the fault.
fn stall(acks: &[Instant], from: Instant, fault: Instant, end: Instant) -> Option<Duration> {
    let mut before = Duration::ZERO;
    let mut after = Duration::ZERO;
    let mut last = *acks.iter().find(|ack| **ack >= from && **ack <= fault)?;
    for at in acks.iter().copied().filter(|ack| *ack > last).chain([end]).collect::<Vec<_>>() {
        let at = at.min(end);
        let gap = at.saturating_duration_since(last);
        if at <= fault {
            before = before.max(gap);
        } else {
            after = after.max(gap);
        }
        last = at;
    }
    Some(after.saturating_sub(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_what_the_fault_added() {
        let zero = Instant::now();
        let at = |ms: u64| zero + Duration::from_millis(ms);
        // Every 10 ms, one pause of 40 ms before the fault at 1 s, one of 300 ms over it.
        let mut acks: Vec<Instant> = (0..50).map(|i| at(i * 10)).collect();
        acks.extend((53..100).map(|i| at(i * 10)));
        acks.extend((129..200).map(|i| at(i * 10)));
        assert_eq!(stall(&acks, zero, at(1000), at(2000)), Some(Duration::from_millis(300 - 40)));
        // Never again.
        assert_eq!(
            stall(&acks[..90], zero, at(1000), at(2000)),
            Some(Duration::from_millis(2000 - 920 - 40))
        );
        assert_eq!(stall(&[], zero, at(1000), at(2000)), None);
    }
}
