//! One run and its verdict.

use crate::invariant::Violation;
use crate::marks::Marks;
use crate::plan::{FaultKind, OpPlan, Plan, Point};
use crate::workload::recorded::Recorded;
use crate::world::diagram::Diagram;
use crate::world::story::{Level, Line};
use crate::world::{Counts, Options, World};
use crate::zoo::{self, Bug};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

pub const SCHEMA: &str = "plait.chaos-run/1";

/// More unknown outcomes than this share, in percent, and a run says nothing.
const UNKNOWN_PERCENT_MAX: u64 = 40;
/// Fewer operations than this, and a run says nothing.
const OPERATIONS_MIN: u64 = 100;
/// What `swarm-std` promises of each run.
const ATTEMPTS_MIN: u64 = 300;
const CALM_YES_PERCENT_MIN: u64 = 60;
const EFFECTS_MIN: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Valid,
    Invalid,
    /// Nothing was broken, and too little happened to say more.
    Unknown,
}

impl Verdict {
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Valid => 0,
            Verdict::Invalid => 1,
            Verdict::Unknown => 3,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::Invalid => "invalid",
            Verdict::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub seed: u64,
    pub profile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    pub verdict: Verdict,
    /// Why nothing can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub violations: Vec<Violation>,
    pub simulated_ms: u64,
    pub counts: Counts,
    /// The places that it came by.
    pub marks: Marks,
    /// How many faults of each kind had an effect.
    pub faults_in_effect: [u32; FaultKind::NAMES.len()],
    /// How often a fault struck at each named point of the protocol.
    pub at_point: [u32; Point::ALL.len()],
    /// Whether the run is as busy as its profile promises.
    pub meets_profile: bool,
    /// What it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weakness: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    #[serde(skip)]
    pub checkpoints: Vec<u64>,
    #[serde(skip)]
    pub story: Vec<Line>,
    #[serde(skip)]
    pub diagram: Option<Diagram>,
    /// What clients asked for and were answered, of the workloads that are judged as a whole.
    #[serde(skip)]
    pub histories: Vec<Recorded>,
    /// The transactions that were begun, if that was asked for.
    #[serde(skip)]
    pub ops: Vec<OpPlan>,
}

impl Report {
    pub fn attempts(&self) -> u64 {
        self.counts.yes + self.counts.no + self.counts.unknown
    }

    pub fn effects(&self) -> u32 {
        self.faults_in_effect.iter().sum()
    }
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
    /// Whether a world is at work in this thread: what panics elsewhere is nobody's verdict, and is printed.
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// Panics of nodes are caught and judged; what they say is kept for the verdict instead of printed.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !RUNS.get() {
                return before(info);
            }
            let text = info.payload().downcast_ref::<&str>().map(|s| (*s).to_owned());
            let text = text.or_else(|| info.payload().downcast_ref::<String>().cloned()).unwrap_or_default();
            let place = info.location().map_or(String::new(), |l| format!(" ({}:{})", l.file(), l.line()));
            LAST_PANIC.with(|last| *last.borrow_mut() = format!("{text}{place}"));
        }));
    });
}

pub(crate) fn last_panic() -> String {
    LAST_PANIC.with(|last| std::mem::take(&mut *last.borrow_mut()))
}

/// What a run lacks of its profile's measure.
fn weakness(attempts: u64, counts: &Counts, effects: usize) -> Option<String> {
    if attempts < ATTEMPTS_MIN {
        return Some(format!("{attempts} transactions attempted, {ATTEMPTS_MIN} promised"));
    }
    if counts.calm_yes * 100 < counts.calm * CALM_YES_PERCENT_MIN {
        return Some(format!(
            "{} of {} calm transactions ended yes, {CALM_YES_PERCENT_MIN} % promised",
            counts.calm_yes, counts.calm
        ));
    }
    (effects < EFFECTS_MIN).then(|| format!("{effects} faults in effect, {EFFECTS_MIN} promised"))
}

/// Why a run could not be made: a defect of the harness itself.
#[derive(Debug)]
pub struct OurBug(pub String);

/// Runs a plan. The bug that it names must have been let out by the caller, for the switch is the process's.
pub fn run(plan: &Plan, hash: bool, story: Option<Level>) -> Result<Report, OurBug> {
    run_with(plan, Options { hash, story, ..Options::default() })
}

/// The same, with all that a picture of it needs.
pub fn run_watched(plan: &Plan) -> Result<Report, OurBug> {
    run_with(plan, Options { story: Some(Level::Story), diagram: true, ..Options::default() })
}

/// The same, with a list of the transactions that were begun.
pub fn run_listing(plan: &Plan) -> Result<Report, OurBug> {
    run_with(plan, Options { list_ops: true, ..Options::default() })
}

fn run_with(plan: &Plan, options: Options) -> Result<Report, OurBug> {
    keep_panics();
    let bug = plan.bug.as_deref().and_then(Bug::parse);
    let options = Options { bug: zoo::world_bug(bug), ..options };
    RUNS.set(true);
    let world = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(plan.clone(), options);
        world.run();
        world
    }));
    RUNS.set(false);
    let mut world = world.map_err(|_| OurBug(format!("seed {}: {}", plan.seed, last_panic())))?;
    let mut faults_in_effect = [0; FaultKind::NAMES.len()];
    for (fault, effect) in plan.faults.iter().zip(world.effects()) {
        faults_in_effect[fault.kind.at()] += u32::from(*effect);
    }
    let counts = world.counts.clone();
    let attempts = counts.yes + counts.no + counts.unknown;
    let (verdict, why) = if !world.judge.violations.is_empty() {
        (Verdict::Invalid, None)
    } else if attempts + counts.reads < OPERATIONS_MIN {
        let why =
            format!("{} operations, and at least {OPERATIONS_MIN} are asked for", attempts + counts.reads);
        (Verdict::Unknown, Some(why))
    } else if counts.unknown * 100 > attempts * UNKNOWN_PERCENT_MAX {
        let why = format!(
            "{} of {attempts} outcomes are unknown, and at most {UNKNOWN_PERCENT_MAX} % may be",
            counts.unknown
        );
        (Verdict::Unknown, Some(why))
    } else {
        (Verdict::Valid, None)
    };
    let effects = world.effects().iter().filter(|e| **e).count();
    Ok(Report {
        schema: SCHEMA,
        seed: plan.seed,
        profile: plan.profile.clone(),
        bug: plan.bug.clone(),
        verdict,
        why,
        violations: std::mem::take(&mut world.judge.violations),
        simulated_ms: world.now_ns() / 1_000_000,
        meets_profile: weakness(attempts, &counts, effects).is_none(),
        weakness: weakness(attempts, &counts, effects),
        counts,
        marks: world.marks,
        faults_in_effect,
        at_point: world.at_point,
        hash: world.trace.as_ref().map(|t| t.hash()),
        checkpoints: world.trace.take().map(|t| t.checkpoints).unwrap_or_default(),
        ops: world.made.take().unwrap_or_default(),
        histories: world.histories(),
        diagram: world.diagram.take(),
        story: world.story.take().map(|s| s.lines.into()).unwrap_or_default(),
    })
}
