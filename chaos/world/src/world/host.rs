//! One node and everything that stands around it: process, clock, disk, checkpoints.
//!
//! A host knows whether its process runs, stands still or is gone, and in which life it is. It decides nothing: the
//! world does.

use super::clock::Clock;
use super::disk::SimDisk;
use super::kv::SimKv;
use super::points::CrashOn;
use plait_base::{Index, Mono, Slot};
use plait_replica::{Input, Replica};
use std::collections::VecDeque;

/// Inputs that wait for a process which stands still; frames beyond that are lost, as from a full socket buffer.
pub const INBOX_MAX: usize = 20_000;

pub struct Host {
    /// Counts every start of the process; nothing reaches another life than the one it was meant for.
    pub life: u32,
    pub machine: Option<Box<Replica>>,
    pub clock: Clock,
    pub disk: SimDisk,
    pub kv: SimKv,
    /// The faults that hold the process still.
    pub paused: Vec<usize>,
    pub inbox: VecDeque<Input>,
    /// True time of the flush that is due; `None`: none.
    pub flush_due: Option<u64>,
    /// True time of the timer that is set; `u64::MAX`: none.
    pub timer_ns: u64,
    /// Whether a connection to that slot is up, as this node was told.
    pub told_up: [bool; 3],
    /// The last life of that slot whose end this node was told.
    pub heard_down: [u32; 3],
    /// Faults in force: (fault, value).
    pub slow_cpu: Option<(usize, u64)>,
    pub slow_disk: Option<(usize, u64)>,
    pub sync_error: Option<usize>,
    pub kv_error: Option<usize>,
    pub disk_full: Option<usize>,
    /// The entry that the node is not to try, and the fault that says so.
    pub bad_entry: Option<(usize, Index)>,
    pub crash_on: Option<CrashOn>,
    /// How many faults keep the process from being started again.
    pub held_down: u32,
    /// It has been in sync in this life, and has not had to be sent the whole state since.
    pub caught_up: bool,
    /// Its durable state was destroyed and it has not been seen in sync since.
    pub destroyed: bool,
    /// Its log was damaged, or its disk emptied, and it has not been whole since.
    pub log_damaged: bool,
    pub wiped: bool,
    /// Table and last id of a block that this life reserved, and nobody was told anything since; and of one lost so.
    pub ids_untold: Option<(u32, i64)>,
    pub ids_lost: Option<(u32, i64)>,
    /// Something happened to its disk that lets it ask to be started empty.
    pub may_reseed: bool,
    pub kv_due_ns: u64,
    /// Whom it fetches a snapshot from, and whether it writes a checkpoint, as it said itself.
    pub receives_from: Option<Slot>,
    pub writes_checkpoint: bool,
    /// A snapshot took the log's place and no checkpoint followed: the older generation is of no use.
    pub one_generation: bool,
    /// The stable index that it showed last.
    pub stable: u64,
    /// Draws of this host so far, for the keys of the next ones.
    pub counter: u64,
    /// What its clock showed before it was paused: for the zoo.
    pub mono_at_pause: Option<Mono>,
}

impl Host {
    pub fn new(clock: Clock) -> Host {
        Host {
            life: 0,
            machine: None,
            clock,
            disk: SimDisk::default(),
            kv: SimKv::default(),
            paused: Vec::new(),
            inbox: VecDeque::new(),
            flush_due: None,
            timer_ns: u64::MAX,
            told_up: [false; 3],
            heard_down: [0; 3],
            slow_cpu: None,
            slow_disk: None,
            sync_error: None,
            kv_error: None,
            disk_full: None,
            bad_entry: None,
            crash_on: None,
            held_down: 0,
            caught_up: false,
            destroyed: false,
            log_damaged: false,
            wiped: false,
            ids_untold: None,
            ids_lost: None,
            may_reseed: false,
            kv_due_ns: 0,
            receives_from: None,
            writes_checkpoint: false,
            one_generation: false,
            stable: 0,
            counter: 0,
            mono_at_pause: None,
        }
    }

    pub fn still(&self) -> bool {
        !self.paused.is_empty()
    }

    pub fn runs(&self) -> bool {
        self.machine.is_some()
    }

    /// The process is gone: what it held in memory and in its sockets goes with it.
    pub fn clear(&mut self) {
        self.machine = None;
        self.inbox.clear();
        self.paused.clear();
        self.flush_due = None;
        self.timer_ns = u64::MAX;
        self.told_up = [false; 3];
        self.caught_up = false;
        self.receives_from = None;
        self.writes_checkpoint = false;
    }
}
