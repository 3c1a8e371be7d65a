//! A run as data: everything that a seed was expanded into, so that a fault can be taken out and the rest stays.
//!
//! Intuition: a seed is a recipe's number; a plan is the recipe written out. One can strike a line from a recipe.
//! Invariant: a run is a function of its plan alone. Every decision made while it runs is a keyed draw with the
//! plan's seed, so striking one fault moves no draw of another.

mod draw;

pub use draw::{PROFILES, draw};

use plait_base::Slot;
use plait_replica::Limits;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub const SCHEMA: &str = "plait.plan/1";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// `plait.plan/1`.
    pub schema: String,
    pub seed: u64,
    pub profile: String,
    /// The commit of the build that wrote it: another one may run it otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// A planted bug to switch on, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    /// How long clients work, in simulated milliseconds. Healing and the last reads come after.
    pub span_ms: u64,
    pub net: NetPlan,
    pub disk: DiskPlan,
    /// One for each slot.
    pub clocks: [ClockPlan; 3],
    pub limits: LimitsPlan,
    /// The slots that serve reads by the read index; the others have leases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub index_reads: Vec<u8>,
    /// How long a node takes for one step, at least; at most twice that.
    #[serde(default = "step_us")]
    pub step_us: u64,
    /// How many of 1,000 deaths are proved to the survivors.
    pub proof_per_mille: u64,
    pub loads: Vec<LoadPlan>,
    /// The only transactions that clients make, if they are listed; else each client makes one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ops: Option<Vec<OpPlan>>,
    pub faults: Vec<Fault>,
}

/// One transaction of a client, by itself: striking it moves neither the time nor a draw of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpPlan {
    /// Its number in the ledger.
    pub op: u64,
    /// Its client: the kind of its workload, and its number within it.
    pub load: String,
    pub client: u32,
    /// Where it begins.
    pub node: u8,
    /// When; later, if its client is still busy with the one before.
    pub at_ns: u64,
    /// How many draws its client had made before it.
    pub draws: u64,
    /// Whether its client first leaves the session that it had.
    #[serde(default, skip_serializing_if = "is_false")]
    pub leaves: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn step_us() -> u64 {
    15
}

/// The network in good times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetPlan {
    pub delay_us: u64,
    pub jitter_us: u64,
    pub ns_per_byte: u64,
    pub client_delay_us: u64,
    pub connect_us: u64,
}

/// The disk in good times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskPlan {
    pub sync_us: u64,
    pub sync_jitter_us: u64,
    pub kv_us: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockPlan {
    pub mono_ms: u64,
    pub rate_ppm: i64,
    pub wall_us: i64,
}

/// Bounds that differ from the defaults, small enough for a short run to reach them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsPlan {
    pub lease_ms: u64,
    pub lease_lag_max: u64,
    pub commit_timeout_ms: u64,
    pub stable_timeout_ms: u64,
    pub entry_bytes_max: usize,
    pub checkpoint_log_bytes: u64,
    pub segment_bytes: u64,
    pub chunk_bytes: usize,
    pub step_work_max: u32,
    pub id_block: u64,
    pub tombstone_seqnos_max: u64,
    #[serde(default = "lock_timeout_ms")]
    pub lock_timeout_ms: u64,
}

/// In plans from before there were named locks.
fn lock_timeout_ms() -> u64 {
    5000
}

impl LimitsPlan {
    /// The bounds that a node has when nobody says otherwise.
    pub fn plain() -> LimitsPlan {
        let limits = Limits::default();
        let ms = |span: Duration| span.as_millis() as u64;
        LimitsPlan {
            lease_ms: ms(limits.lease),
            lease_lag_max: limits.lease_lag_max,
            commit_timeout_ms: ms(limits.commit_timeout),
            stable_timeout_ms: ms(limits.stable_timeout),
            entry_bytes_max: limits.entry_bytes_max,
            checkpoint_log_bytes: limits.checkpoint_log_bytes,
            segment_bytes: limits.segment_bytes,
            chunk_bytes: limits.chunk_bytes,
            step_work_max: limits.step_work_max,
            id_block: limits.store.id_block,
            tombstone_seqnos_max: limits.store.tombstone_seqnos_max,
            lock_timeout_ms: ms(limits.lock_timeout),
        }
    }

    pub fn limits(&self) -> Limits {
        let mut limits = Limits {
            lease: Duration::from_millis(self.lease_ms),
            lease_lag_max: self.lease_lag_max,
            commit_timeout: Duration::from_millis(self.commit_timeout_ms),
            stable_timeout: Duration::from_millis(self.stable_timeout_ms),
            entry_bytes_max: self.entry_bytes_max,
            checkpoint_log_bytes: self.checkpoint_log_bytes,
            segment_bytes: self.segment_bytes,
            chunk_bytes: self.chunk_bytes,
            step_work_max: self.step_work_max,
            lock_timeout: Duration::from_millis(self.lock_timeout_ms),
            ..Limits::default()
        };
        limits.store.id_block = self.id_block;
        limits.store.tombstone_seqnos_max = self.tombstone_seqnos_max;
        limits
    }
}

/// A set of clients that do one kind of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadPlan {
    pub kind: String,
    pub clients: u32,
    /// Rows, pairs or accounts that the clients compete for.
    pub keys: u32,
    /// Pause between two transactions of a client; the actual one lies between 0 and twice this.
    pub pause_us: u64,
    /// Pause between two statements of a transaction, likewise.
    pub think_us: u64,
    /// How many of 1,000 transactions travel as one script.
    pub script_per_mille: u64,
    /// How many of 1,000 operations only read.
    pub read_per_mille: u64,
    /// How many of 1,000 transactions begin on another node than the client's own.
    pub roam_per_mille: u64,
    /// Of a workload whose history is judged as a whole: what its transactions ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Its name for ever, also after others were struck out.
    pub id: u32,
    pub at_ms: u64,
    /// When it ends: the link heals, the node is started again.
    pub until_ms: u64,
    #[serde(flatten)]
    pub kind: FaultKind,
}

mod point;

pub use point::Point;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// One node is cut off from the two others, both ways.
    Partition { node: u8 },
    /// Two nodes do not hear each other; the third hears both.
    Cut { a: u8, b: u8 },
    /// What one node sends to another is lost; the other way is open.
    OneWay { from: u8, to: u8 },
    /// What is sent stays on the way until the fault ends, then all arrives.
    Clog { from: u8, to: u8 },
    /// A link is slow.
    Slow { from: u8, to: u8, delay_us: u64, jitter_us: u64 },
    /// Frames are lost, everywhere.
    Loss { per_mille: u64 },
    /// Frames arrive twice, everywhere.
    Duplicate { per_mille: u64, later_us: u64 },
    /// Frames overtake one another, everywhere.
    Reorder { per_mille: u64, by_us: u64 },
    /// The process dies, the kernel lives.
    Kill { node: u8 },
    /// The machine loses power; unsynced writes are lost or kept, each on its own.
    Crash { node: u8 },
    /// The same, right after the node has put out something to be written; and writes may be torn at sectors.
    Torn { node: u8 },
    /// Power is lost right after the node put out the `nth` such output after the fault began.
    CrashOn {
        node: u8,
        point: Point,
        nth: u32,
        /// Its process alone dies; the kernel lives.
        #[serde(default, skip_serializing_if = "is_false")]
        kill: bool,
    },
    /// All three processes die at once.
    KillAll {},
    /// The site loses power right after some node has put out this; writes may be torn.
    PowerOff { point: Point },
    /// The node does nothing for a while; its clock runs on.
    Pause { node: u8 },
    /// Each step of the node takes long.
    SlowCpu { node: u8, step_us: u64 },
    /// The next sync fails and what it covered is forgotten.
    SyncError { node: u8 },
    /// Syncs take long.
    SlowDisk { node: u8, sync_us: u64 },
    /// The disk is emptied; the node joins as its next incarnation.
    Wipe { node: u8 },
    /// One bit of an old durable record flips, then the node is restarted.
    Rot { node: u8 },
    /// The next steps of checkpoints fail.
    KvError { node: u8 },
    /// The node is killed and its newest checkpoint cannot be opened when it starts.
    KvRot { node: u8 },
    /// The clock runs at another rate.
    ClockRate { node: u8, ppm: i64 },
    /// The calendar jumps.
    WallJump { node: u8, by_us: i64 },
    /// The process dies again and again, and is started again after a moment each time.
    CrashLoop { node: u8, every_ms: u64, down_us: u64 },
    /// The node is started as if the entry so far ahead in the log had ended its process twice (DESIGN law 18): it comes
    /// to it and takes no part any more. When the fault ends it is started by a build that can apply it.
    BadEntry { node: u8, ahead: u64 },
    /// One bit of a frame flips on its way, everywhere.
    Flip { per_mille: u64 },
    /// A write landed at another place: where it belongs is what was there before, and another record is overwritten.
    /// Then the node is restarted.
    Misdirect { node: u8 },
    /// The disk is full: nothing can be written until the fault ends.
    Full { node: u8 },
    /// Each node in turn is stopped and started, the next one once the one before is in sync again. `clean`: it is let
    /// write what it has.
    Upgrade { clean: bool, down_ms: u64 },
    /// A link carries so many bytes a second; what would have to wait too long for its turn is lost, as in a full buffer.
    Throttle { from: u8, to: u8, bytes_per_s: u64 },
}

impl FaultKind {
    /// Every name, in the order of the table that `hunt` prints.
    pub const NAMES: [&'static str; 31] = [
        "partition",
        "cut",
        "one_way",
        "clog",
        "slow",
        "loss",
        "duplicate",
        "reorder",
        "kill",
        "crash",
        "torn",
        "crash_on",
        "kill_all",
        "power_off",
        "pause",
        "slow_cpu",
        "sync_error",
        "slow_disk",
        "wipe",
        "rot",
        "kv_error",
        "kv_rot",
        "clock_rate",
        "wall_jump",
        "crash_loop",
        "bad_entry",
        "flip",
        "misdirect",
        "full",
        "upgrade",
        "throttle",
    ];

    /// Its place in [`NAMES`](Self::NAMES).
    pub fn at(&self) -> usize {
        match self {
            FaultKind::Partition { .. } => 0,
            FaultKind::Cut { .. } => 1,
            FaultKind::OneWay { .. } => 2,
            FaultKind::Clog { .. } => 3,
            FaultKind::Slow { .. } => 4,
            FaultKind::Loss { .. } => 5,
            FaultKind::Duplicate { .. } => 6,
            FaultKind::Reorder { .. } => 7,
            FaultKind::Kill { .. } => 8,
            FaultKind::Crash { .. } => 9,
            FaultKind::Torn { .. } => 10,
            FaultKind::CrashOn { .. } => 11,
            FaultKind::KillAll {} => 12,
            FaultKind::PowerOff { .. } => 13,
            FaultKind::Pause { .. } => 14,
            FaultKind::SlowCpu { .. } => 15,
            FaultKind::SyncError { .. } => 16,
            FaultKind::SlowDisk { .. } => 17,
            FaultKind::Wipe { .. } => 18,
            FaultKind::Rot { .. } => 19,
            FaultKind::KvError { .. } => 20,
            FaultKind::KvRot { .. } => 21,
            FaultKind::ClockRate { .. } => 22,
            FaultKind::WallJump { .. } => 23,
            FaultKind::CrashLoop { .. } => 24,
            FaultKind::BadEntry { .. } => 25,
            FaultKind::Flip { .. } => 26,
            FaultKind::Misdirect { .. } => 27,
            FaultKind::Full { .. } => 28,
            FaultKind::Upgrade { .. } => 29,
            FaultKind::Throttle { .. } => 30,
        }
    }

    pub fn name(&self) -> &'static str {
        FaultKind::NAMES[self.at()]
    }

    /// The slots that it names; none for a fault of everything.
    pub fn slots(&self) -> Vec<u8> {
        use FaultKind::*;
        match *self {
            Partition { node }
            | Kill { node }
            | Crash { node }
            | Torn { node }
            | CrashOn { node, .. }
            | Pause { node }
            | SlowCpu { node, .. }
            | SyncError { node }
            | SlowDisk { node, .. }
            | Wipe { node }
            | Rot { node }
            | KvError { node }
            | KvRot { node }
            | ClockRate { node, .. }
            | WallJump { node, .. }
            | CrashLoop { node, .. }
            | BadEntry { node, .. }
            | Misdirect { node }
            | Full { node } => vec![node],
            Cut { a, b } => vec![a, b],
            OneWay { from, to } | Clog { from, to } => vec![from, to],
            Slow { from, to, .. } | Throttle { from, to, .. } => vec![from, to],
            Loss { .. } | Duplicate { .. } | Reorder { .. } | Flip { .. } => Vec::new(),
            KillAll {} | PowerOff { .. } | Upgrade { .. } => Vec::new(),
        }
    }

    /// In words, for a story.
    pub fn say(&self) -> String {
        use FaultKind::*;
        let ms = |us: &u64| format!("{:.1} ms", *us as f64 / 1000.0);
        match self {
            Partition { node } => format!("n{node} is cut off from the two others"),
            Cut { a, b } => format!("n{a} and n{b} no longer hear each other"),
            OneWay { from, to } => format!("what n{from} sends to n{to} is lost"),
            Clog { from, to } => format!("what n{from} sends to n{to} is stuck on the way"),
            Slow { from, to, delay_us, jitter_us } => {
                format!("n{from} to n{to} takes {} (up to {} more)", ms(delay_us), ms(jitter_us))
            }
            Throttle { from, to, bytes_per_s } => {
                format!("n{from} to n{to} carries {bytes_per_s} bytes a second")
            }
            Loss { per_mille } => format!("{per_mille} of 1,000 frames are lost"),
            Duplicate { per_mille, .. } => format!("{per_mille} of 1,000 frames arrive twice"),
            Reorder { per_mille, by_us } => {
                format!("{per_mille} of 1,000 frames are late by up to {}", ms(by_us))
            }
            Kill { node } => format!("n{node} is killed"),
            Crash { node } => format!("n{node} loses power"),
            Torn { node } => format!("n{node} will lose power while it writes, and writes are torn"),
            CrashOn { node, point, nth, kill } => {
                let how = if *kill { "be killed" } else { "lose power" };
                let nth = if *nth > 1 { format!(", the {nth}th time") } else { String::new() };
                format!("n{node} will {how} {}{nth}", point.say())
            }
            KillAll {} => "all three nodes are killed".to_owned(),
            PowerOff { point } => format!("the site will lose power {}", point.say()),
            Pause { node } => format!("n{node} stands still"),
            SlowCpu { node, step_us } => format!("each step of n{node} takes {}", ms(step_us)),
            SyncError { node } => format!("the next sync of n{node} fails"),
            SlowDisk { node, sync_us } => format!("a sync of n{node} takes {}", ms(sync_us)),
            Wipe { node } => format!("n{node} is killed and its disk is emptied"),
            Rot { node } => format!("a bit flips in an old record of n{node}, which is restarted"),
            KvError { node } => format!("checkpoints of n{node} fail"),
            KvRot { node } => format!("n{node} is killed and its newest checkpoint goes bad"),
            ClockRate { node, ppm } => format!("the clock of n{node} runs at {ppm:+} ppm"),
            CrashLoop { node, every_ms, .. } => {
                format!("n{node} dies every {every_ms} ms and is started again")
            }
            Flip { per_mille } => format!("a bit flips in {per_mille} of 1,000 frames"),
            Misdirect { node } => {
                format!("a write of n{node} turns out to have landed at another place; it is restarted")
            }
            Full { node } => format!("the disk of n{node} is full"),
            Upgrade { clean, .. } => {
                let how = if *clean { "stopped" } else { "killed" };
                format!("one node after the other is {how} and started again")
            }
            BadEntry { node, ahead } => {
                format!("n{node} is started as if the entry {ahead} ahead had ended its process twice")
            }
            WallJump { node, by_us } => {
                format!("the calendar of n{node} jumps by {:+.1} s", *by_us as f64 / 1e6)
            }
        }
    }
}

/// Why a plan file cannot be run.
#[derive(Debug)]
pub enum BadPlan {
    Json(String),
    Schema(String),
    Slot { fault: u32, slot: u8 },
    Times { fault: u32 },
    Load(String),
    Bound { what: &'static str, got: u64, max: u64 },
    Rate { fault: u32 },
    Op { op: u64, why: &'static str },
}

impl std::error::Error for BadPlan {}

impl std::fmt::Display for BadPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadPlan::Json(why) => write!(f, "not a plan: {why}"),
            BadPlan::Schema(found) => write!(f, "the schema is '{found}', and this build reads '{SCHEMA}'"),
            BadPlan::Slot { fault, slot } => {
                write!(f, "fault {fault} names node {slot}; nodes are 1, 2 and 3, and a link has two ends")
            }
            BadPlan::Rate { fault } => {
                write!(f, "fault {fault} leaves a link no byte a second; what carries nothing is `one_way`")
            }
            BadPlan::Times { fault } => write!(f, "fault {fault} ends before it begins"),
            BadPlan::Load(kind) => {
                write!(f, "no workload is called '{kind}'; there are {}", crate::workload::NAMES.join(", "))
            }
            BadPlan::Op { op, why } => write!(f, "transaction {op} of the list cannot be made: {why}"),
            BadPlan::Bound { what, got, max } => write!(f, "{what} is {got}, and at most {max} is allowed"),
        }
    }
}

/// Longest run, so that a slip in a file does not cost an hour.
const SPAN_MS_MAX: u64 = 600_000;
const CLIENTS_MAX: u32 = 256;
/// The ledger has a line for each number up to the highest.
const OPS_MAX: u64 = 1_000_000;

impl Plan {
    pub fn parse(text: &str) -> Result<Plan, BadPlan> {
        let plan: Plan = serde_json::from_str(text).map_err(|e| BadPlan::Json(e.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    pub fn check(&self) -> Result<(), BadPlan> {
        if self.schema != SCHEMA {
            return Err(BadPlan::Schema(self.schema.clone()));
        }
        if self.span_ms > SPAN_MS_MAX {
            return Err(BadPlan::Bound { what: "span_ms", got: self.span_ms, max: SPAN_MS_MAX });
        }
        for fault in &self.faults {
            let slots = fault.kind.slots();
            if let Some(slot) = slots.iter().find(|s| Slot::new(**s).is_none()) {
                return Err(BadPlan::Slot { fault: fault.id, slot: *slot });
            }
            if slots.len() == 2 && slots[0] == slots[1] {
                return Err(BadPlan::Slot { fault: fault.id, slot: slots[0] });
            }
            if fault.until_ms < fault.at_ms {
                return Err(BadPlan::Times { fault: fault.id });
            }
            if let FaultKind::Throttle { bytes_per_s: 0, .. } = fault.kind {
                return Err(BadPlan::Rate { fault: fault.id });
            }
        }
        for load in &self.loads {
            if !crate::workload::NAMES.contains(&load.kind.as_str()) {
                return Err(BadPlan::Load(load.kind.clone()));
            }
            if load.clients > CLIENTS_MAX {
                return Err(BadPlan::Bound {
                    what: "clients",
                    got: load.clients.into(),
                    max: CLIENTS_MAX.into(),
                });
            }
        }
        self.ops.iter().flatten().try_for_each(|op| self.check_op(op))
    }

    fn check_op(&self, op: &OpPlan) -> Result<(), BadPlan> {
        let load = self.loads.iter().find(|load| load.kind == op.load);
        let why = match load {
            None => "the plan has no such workload",
            Some(load) if op.client >= load.clients => "its workload has fewer clients",
            Some(_) if Slot::new(op.node).is_none() => "nodes are 1, 2 and 3",
            Some(_) if op.op > OPS_MAX => "its number is too high",
            Some(_) => return Ok(()),
        };
        Err(BadPlan::Op { op: op.op, why })
    }

    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a plan has no value that JSON lacks")
    }
}

#[cfg(test)]
mod tests;
