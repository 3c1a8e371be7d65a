//! From a seed to a plan: the swarm.
//!
//! Intuition: a test that always mixes all faults never sees what happens when only two of them meet. Each seed
//! enables a few kinds and a few workloads, so that over many seeds each pair gets its turn alone (Groce et al.,
//! "Swarm testing", 2012).
//! Faults come in three storms with calm between, so that a run shows both what happens while things break and
//! that it recovers.

use super::*;
use crate::workload;
use plait_base::Draws;

pub const PROFILES: [&str; 2] = ["swarm-std", "calm"];

/// Begin and end of each storm, in ms.
const STORMS_MS: [(u64, u64); 3] = [(2500, 8500), (11_000, 17_000), (20_000, 26_500)];
/// How many kinds of fault a seed enables.
const KINDS: (u64, u64) = (4, 7);
/// How many faults strike in one storm.
const FAULTS_A_STORM: (u64, u64) = (6, 7);

/// The plan of a seed. `None` if there is no such profile.
pub fn draw(seed: u64, profile: &str) -> Option<Plan> {
    let kinds = kinds(seed);
    // A checkpoint can go bad only where there is one, and soon: the log reaches its bound more often then.
    let often = kinds.contains(&KV_ROT);
    // Where nodes start again and again, or all at once, a start is slow more often: else nothing ever meets one.
    let starts = [KILL_ALL, POWER_OFF, CRASH_LOOP].iter().any(|kind| kinds.contains(kind));
    // And a process that dies in a loop has more to replay, and nobody to prove that it died.
    let loops = kinds.contains(&CRASH_LOOP);
    let faults = match profile {
        "swarm-std" => faults(seed, &kinds),
        "calm" => Vec::new(),
        _ => return None,
    };
    let mut d = Draws::new(seed, "plan", 0);
    let mut waits = Draws::new(seed, "plan.waits", 0);
    let clock = |slot: u64| {
        let mut d = Draws::new(seed, "plan.clock", slot);
        // Half of all clocks run at the edge of what is promised, for that is where a bound shows.
        let rate_ppm = match d.below(4) {
            0 => 10_000,
            1 => -10_000,
            _ => d.between(0, 20_000) as i64 - 10_000,
        };
        ClockPlan {
            mono_ms: d.between(1, 10_000_000),
            rate_ppm,
            wall_us: d.between(0, 4_000_000) as i64 - 2_000_000,
        }
    };
    // A stream of its own: it moves no other draw.
    let mut r = Draws::new(seed, "plan.reads", 0);
    let index_reads = match r.below(10) {
        0 => vec![1, 2, 3],
        1 => vec![r.between(1, 3) as u8],
        2 => {
            let lease = r.between(1, 3) as u8;
            (1..=3).filter(|slot| *slot != lease).collect()
        }
        _ => Vec::new(),
    };
    Some(Plan {
        schema: SCHEMA.to_owned(),
        seed,
        profile: profile.to_owned(),
        commit: None,
        bug: None,
        span_ms: 30_000,
        net: NetPlan {
            delay_us: *d.pick(&[60, 150, 400, 1000]),
            jitter_us: *d.pick(&[20, 100, 500, 2000]),
            ns_per_byte: *d.pick(&[1, 8, 80]),
            client_delay_us: *d.pick(&[50, 200]),
            connect_us: *d.pick(&[2000, 20_000]),
        },
        disk: DiskPlan {
            sync_us: *d.pick(&[100, 300, 1500]),
            sync_jitter_us: *d.pick(&[50, 500, 3000]),
            kv_us: *d.pick(&[300, 5000]),
        },
        clocks: [clock(1), clock(2), clock(3)],
        index_reads,
        limits: LimitsPlan {
            lease_ms: 300,
            lease_lag_max: *d.pick(&[8192, 64]),
            commit_timeout_ms: *waits.pick(&[3000, 700]),
            stable_timeout_ms: *waits.pick(&[2000, 600]),
            entry_bytes_max: *d.pick(&[1 << 20, 2000]),
            checkpoint_log_bytes: match *d.pick(&[8 << 10, 24 << 10, 96 << 10, 400 << 10]) {
                bytes if often => bytes.min(24 << 10),
                bytes if loops => bytes.max(96 << 10),
                bytes => bytes,
            },
            segment_bytes: *d.pick(&[16 << 10, 64 << 10]),
            chunk_bytes: *d.pick(&[1 << 10, 8 << 10, 256 << 10]),
            step_work_max: if starts { *d.pick(&[1024, 4, 4]) } else { *d.pick(&[1024, 16, 4]) },
            id_block: *d.pick(&[4, 30, 1000]),
            tombstone_seqnos_max: *d.pick(&[1_000_000, 200, 40]),
            lock_timeout_ms: *waits.pick(&[5000, 150, 150]),
        },
        step_us: if starts { *d.pick(&[15, 60, 1000, 1000]) } else { *d.pick(&[15, 15, 60, 1000]) },
        proof_per_mille: if loops { *d.pick(&[500, 0, 0]) } else { *d.pick(&[1000, 500, 0]) },
        loads: loads(seed),
        ops: None,
        faults,
    })
}

/// Stands for any of [`workload::RECORDED`].
const RECORDED: &str = "recorded";

fn loads(seed: u64) -> Vec<LoadPlan> {
    let mut d = Draws::new(seed, "plan.loads", 0);
    let single = |name: &&str| *name != "audit" && !workload::RECORDED.contains(name);
    let mut kinds: Vec<&str> = workload::NAMES.iter().copied().filter(single).collect();
    // Of those that are judged as a whole each seed may have one.
    kinds.push(RECORDED);
    let wanted = d.between(2, 3) as usize;
    while kinds.len() > wanted {
        kinds.remove(d.below(kinds.len() as u64) as usize);
    }
    if let Some(recorded) = kinds.iter_mut().find(|kind| **kind == RECORDED) {
        *recorded = *d.pick(&workload::RECORDED[..]);
    }
    let clients_in_all = *d.pick(&[6, 8, 10]) as u32;
    // Long transactions are few, each costs as much as dozens of others: one client makes them, the rest is shared.
    let bulk = u32::from(kinds.contains(&"bulk"));
    let each = (clients_in_all - bulk) / (wanted as u32 - bulk);
    let mut loads: Vec<LoadPlan> = kinds
        .into_iter()
        .map(|kind| {
            let mut d = Draws::new(seed, "plan.load", plait_base::draw::stream(kind));
            let (clients, slower) = if kind == "bulk" { (1, 5) } else { (each, 1) };
            // Who has a lock keeps it for a while: that is when his node may be cut off, and come back before he writes.
            let thinks = if kind == "locks" { [5000, 100_000, 400_000] } else { [500, 3000, 12_000] };
            LoadPlan {
                kind: kind.to_owned(),
                clients,
                keys: *d.pick(&[2, 4, 8]) as u32,
                pause_us: 25_000 * slower * u64::from(clients_in_all) / if kind == "locks" { 3 } else { 1 },
                think_us: *d.pick(&thinks),
                script_per_mille: *d.pick(&[200, 500, 900]),
                read_per_mille: *d.pick(&[200, 350]),
                roam_per_mille: *d.pick(&[50, 500]),
                isolation: workload::RECORDED.contains(&kind).then(|| {
                    let levels = [
                        "read-committed",
                        "repeatable-read",
                        "repeatable-read",
                        "serializable",
                        "serializable",
                    ];
                    (*d.pick(&levels)).to_owned()
                }),
            }
        })
        .collect();
    loads.push(LoadPlan {
        kind: "audit".to_owned(),
        clients: 1,
        keys: 1,
        pause_us: 120_000,
        think_us: 1000,
        script_per_mille: 1000,
        read_per_mille: 1000,
        roam_per_mille: 1000,
        isolation: None,
    });
    loads
}

/// Places in [`FaultKind::NAMES`] of kinds that are drawn with care.
pub(super) const TORN: usize = 10;
pub(super) const CRASH_ON: usize = 11;
pub(super) const KILL_ALL: usize = 12;
pub(super) const POWER_OFF: usize = 13;
pub(super) const SYNC_ERROR: usize = 16;
pub(super) const WIPE: usize = 18;
pub(super) const ROT: usize = 19;
pub(super) const KV_ERROR: usize = 20;
pub(super) const KV_ROT: usize = 21;
pub(super) const CRASH_LOOP: usize = 24;
pub(super) const BAD_ENTRY: usize = 25;
pub(super) const MISDIRECT: usize = 27;
pub(super) const FULL: usize = 28;
pub(super) const UPGRADE: usize = 29;
pub(super) const THROTTLE: usize = 30;

/// What strikes only when a node comes to some point: it is given time to come there.
const WAITING: [usize; 7] = [TORN, CRASH_ON, POWER_OFF, SYNC_ERROR, KV_ERROR, BAD_ENTRY, FULL];
const WAITING_MS_MIN: u64 = 400;
/// And what a node comes to only now and then, still more.
const RARE_MS_MIN: u64 = 3000;

/// A process that dies once or twice is `kill`'s; this one goes on for longer than a request may stand.
const LOOP_MS_MIN: u64 = 2000;

/// The kinds of fault that a seed enables. That a link is narrow counts as one of the ways in which it is slow.
fn kinds(seed: u64) -> Vec<usize> {
    let mut d = Draws::new(seed, "plan.kinds", 0);
    let mut kinds: Vec<usize> = (0..THROTTLE).collect();
    let wanted = d.between(KINDS.0, KINDS.1) as usize;
    while kinds.len() > wanted {
        kinds.remove(d.below(kinds.len() as u64) as usize);
    }
    kinds
}

fn faults(seed: u64, kinds: &[usize]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (storm, (from, to)) in STORMS_MS.iter().enumerate() {
        let mut storm_draws = Draws::new(seed, "plan.victim", storm as u64);
        let victim = storm_draws.between(1, 3) as u8;
        let mut before_ms = *from;
        let count = Draws::new(seed, "plan.storm", storm as u64).between(FAULTS_A_STORM.0, FAULTS_A_STORM.1);
        for i in 0..count {
            let id = faults.len() as u32;
            let mut d = Draws::new(seed, "plan.fault", (storm as u64) << 8 | i);
            // Each kind that is enabled strikes at least once, where there are enough faults for it.
            let kind = match kinds.get(id as usize) {
                Some(kind) => *kind,
                None => *d.pick(kinds),
            };
            // What is worst comes together: at about one time, and to one node.
            let close = d.chance(450) && i > 0;
            let at_ms = match kind {
                // A node's state is destroyed only while the others are whole: that is early in the storm, and what
                // else comes finds it on its way back.
                WIPE | ROT | MISDIRECT => d.between(*from, from + (to - from) / 3),
                _ if close => (before_ms + d.below(500)).min(*to - 100),
                _ => d.between(*from, *to - 500),
            };
            before_ms = at_ms;
            let long = if d.chance(250) { d.between(4, 120) } else { d.between(100, 2500) };
            let long = match kind {
                CRASH_LOOP | UPGRADE => long.max(LOOP_MS_MIN),
                _ if WAITING.contains(&kind) => long.max(WAITING_MS_MIN),
                _ => long,
            };
            let victim = d.chance(500).then_some(victim);
            let kind = one(kind, &mut d, victim);
            let long = match kind {
                FaultKind::CrashOn { point, .. } | FaultKind::PowerOff { point } if point.is_rare() => {
                    long.max(RARE_MS_MIN)
                }
                _ => long,
            };
            faults.push(Fault { id, at_ms, until_ms: (at_ms + long).min(*to), kind });
        }
    }
    faults.sort_by_key(|f| (f.at_ms, f.id));
    faults
}

fn one(kind: usize, d: &mut Draws, victim: Option<u8>) -> FaultKind {
    use FaultKind::*;
    let node = victim.unwrap_or(d.between(1, 3) as u8);
    let other = (node - 1 + d.between(1, 2) as u8) % 3 + 1;
    match kind {
        0 => Partition { node },
        1 => Cut { a: node, b: other },
        2 => OneWay { from: node, to: other },
        3 => Clog { from: node, to: other },
        4 => {
            let delay_us = *d.pick(&[5000, 40_000, 150_000]);
            let jitter_us = *d.pick(&[1000, 50_000]);
            // A link is slow in two ways: far, or narrow.
            match d.chance(500) {
                true => Slow { from: node, to: other, delay_us, jitter_us },
                false => Throttle { from: node, to: other, bytes_per_s: *d.pick(&[2000, 20_000, 200_000]) },
            }
        }
        5 => Loss { per_mille: *d.pick(&[10, 50, 200]) },
        6 => Duplicate { per_mille: *d.pick(&[20, 200]), later_us: *d.pick(&[1000, 100_000]) },
        7 => Reorder { per_mille: *d.pick(&[20, 200]), by_us: *d.pick(&[2000, 30_000]) },
        8 => Kill { node },
        9 => Crash { node },
        10 => Torn { node },
        11 => {
            // What is written and not synced is where most is at stake.
            let point = if d.chance(200) { Point::Persist } else { *d.pick(Point::ALL) };
            let nth_max = if point.is_rare() { 2 } else { 20 };
            CrashOn { node, point, nth: d.between(1, nth_max) as u32, kill: d.chance(300) }
        }
        12 => KillAll {},
        13 => PowerOff {
            point: *d.pick(&[
                Point::Persist,
                Point::Persist,
                Point::AppendAck,
                Point::VoteDurable,
                Point::Elected,
                Point::Elected,
                Point::Reply,
                Point::Applied,
                Point::Checkpoint,
            ]),
        },
        14 => Pause { node },
        15 => SlowCpu { node, step_us: *d.pick(&[500, 5000, 30_000]) },
        16 => SyncError { node },
        17 => SlowDisk { node, sync_us: *d.pick(&[8000, 60_000, 300_000]) },
        18 => Wipe { node },
        19 => Rot { node },
        20 => KvError { node },
        21 => KvRot { node },
        22 => ClockRate { node, ppm: *d.pick(&[10_000, -10_000, 0]) },
        24 => CrashLoop { node, every_ms: d.between(40, 290), down_us: d.between(500, 20_000) },
        25 => BadEntry { node, ahead: d.between(1, 40) },
        23 => WallJump { node, by_us: *d.pick(&[3_600_000_000, -3_600_000_000, 1_500_000, -1_500_000]) },
        26 => Flip { per_mille: *d.pick(&[2, 20, 100]) },
        27 => Misdirect { node },
        28 => Full { node },
        29 => Upgrade { clean: d.chance(500), down_ms: d.between(5, 200) },
        _ => unreachable!("{THROTTLE} kinds of fault are drawn"),
    }
}
