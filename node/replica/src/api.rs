//! All that can happen to a node, and all that it can do, on one page.

use plait_base::{BootEpoch, Bytes, ClusterId, Index, MemberId, Mono, Now, Seqno, Slot, disk, kv};
pub use plait_consensus::{Lane, Reads};
use std::time::Duration;

/// Names one request until it is answered. The world chooses it and gets it back in the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Names one client's session on this node. The world chooses it, never twice in one life of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What can happen to a node.
#[derive(Debug, Clone)]
pub enum Input {
    /// The deadline has come; timers run and what had yielded goes on.
    Tick,
    /// A frame, as the peer's `Send` put it out.
    Recv {
        from: Slot,
        lane: Lane,
        bytes: Bytes,
    },
    /// All connections to this peer are up (again).
    Up {
        peer: Slot,
    },
    /// A connection to this peer was closed by its end: evidence of death, not proof.
    Down {
        peer: Slot,
    },
    /// Proof of death: whoever started that process has reaped it.
    Dead {
        peer: Slot,
        epoch: BootEpoch,
    },
    /// The `Persist` of this token, and each before it, is on disk.
    Persisted {
        token: u64,
    },
    /// A `Persist` could not be done; what of it is on disk is unknown. The node stops.
    DiskFailed {
        token: u64,
        why: String,
    },
    Checkpoint(kv::Answer),
    Request {
        ticket: Ticket,
        session: SessionId,
        request: Request,
    },
    /// The client has gone: its session is rolled back and forgotten; nothing is answered.
    Closed {
        session: SessionId,
    },
}

/// What a node can do. Done in order; nothing here waits for a `Persist`: what depends on one is put out after
/// its `Persisted`.
#[derive(Debug, Clone)]
pub enum Output {
    Send {
        to: Slot,
        lane: Lane,
        bytes: Bytes,
    },
    Persist(disk::Persist),
    Checkpoint(kv::Op),
    Reply {
        ticket: Ticket,
        reply: Result<plait_store::Reply, plait_store::Error>,
    },
    /// The session is over (an unknown outcome or a defect): its client's connection is to be closed after what
    /// was answered.
    Hangup {
        session: SessionId,
    },
    Event(crate::Event),
    /// The node can't go on; the world ends it and does what `Stop` says.
    Stop(Stop),
}

/// Why a node stops itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Its log or its state is not what it should be. Everything it has is to be moved aside, and the slot
    /// started empty: it joins as its next incarnation.
    Reseed { why: String },
    /// The disk failed; nothing more can be acknowledged. Started again, it goes on from what is on disk.
    Disk { why: String },
}

/// What a client asks. A session has one request at a time; a second one before the reply is answered `Misuse`.
#[derive(Debug, Clone)]
pub enum Request {
    /// Anything about data: SQL, steps, begin, commit. The session is made by its first request.
    Store(plait_store::Request),
    /// The node's own account of itself; answered at once, serving or not, as `plait_store::Reply::Rows` with the
    /// two columns `name` and `value` (the names of [`Status`]'s fields).
    Status,
    /// Begin a checkpoint now instead of when the log has grown.
    Checkpoint,
}

/// What this node is and what it may assume. The same on all nodes but for `slot` and `nonce`.
#[derive(Debug, Clone)]
pub struct Config {
    pub slot: Slot,
    /// Known to all from genesis; a joining node is told it too, so that it can't join a stranger.
    pub cluster: ClusterId,
    /// Drawn anew at each start; tells one attempt of an empty node to join from the next.
    pub nonce: u64,
    /// Forced recovery, when the two other slots are lost for ever: this node goes on alone from what it has and
    /// removes the others, who come back empty. What only they had acknowledged is lost.
    pub bootstrap: bool,
    /// An entry that ended this node's process twice: it is not tried again. The node stays up, takes no part once
    /// it has come to that entry, refuses its clients and says why (DESIGN law 18).
    pub avoid: Option<Index>,
    /// How this node serves reads.
    pub reads: Reads,
    /// Transactions that begin on this node go by Galera's rules, so that its anomalies can be looked at. Reads are
    /// local ones then, whatever `reads` says.
    pub galera_compat: bool,
    pub limits: Limits,
}

/// Every bound and span of a node. Each is shown by `plait config show` under its field's name.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// One tick; all spans below are multiples of it or scale with it. Default 25 ms.
    pub tick: Duration,
    /// Election time-outs, in ticks, of the three slots in an order that the seed draws. Default 10, 13, 16.
    pub election_ticks: [u32; 3],
    /// Heartbeat interval in ticks. Default 3.
    pub heartbeat_ticks: u32,
    /// L: how long a lease runs on its holder's clock. Default 300 ms; renewed every third of it.
    pub lease: Duration,
    /// d, per mille: bound on the ratio of two clocks' rates. Default 25 (each within ±1 %).
    pub clock_drift_per_mille: u32,
    /// How far, in entries, a node may lag behind the commit index and still be granted a lease. Default 8,192;
    /// once refused, it must come within a quarter of that.
    pub lease_lag_max: u64,
    /// How late, from an entry's commit until the leader hears that it is applied, a follower may always be and still
    /// be granted a lease, if the other is at least four times as fast: a slow node must not hold up the others.
    /// Default 20 ms.
    pub lease_late_max: Duration,
    /// How long an origin tries to get a verdict before it answers *unknown* (or *no*, where it knows). Default 10 s.
    pub commit_timeout: Duration,
    /// How long a reply may wait for the stable position. Default 5 s.
    pub stable_timeout: Duration,
    /// How long a request waits for a lease or a read index (an election, say) before it is refused. Default 2 s.
    pub lease_timeout: Duration,
    /// How long a leader must not have heard of a node to give that node's named locks (`GET_LOCK`) away. Default 5 s.
    pub lock_timeout: Duration,
    /// Proposals of this node that wait for a verdict. Default 4,096.
    pub proposals_max: usize,
    /// Bytes of proposals in one entry of the log. Default 1 MiB.
    pub entry_bytes_max: usize,
    /// A log of this many bytes after the last checkpoint asks for a checkpoint; if the state is larger, one of as many
    /// as the state has, but of at most eight times this. A start replays about twice as much at most. Default 4 MiB.
    pub checkpoint_log_bytes: u64,
    /// Bytes of one segment of the log. Default 8 MiB.
    pub segment_bytes: u64,
    /// Bytes of one snapshot chunk. Default 256 KiB.
    pub chunk_bytes: usize,
    /// Units of work (rows, roughly) between two looks at what is more urgent. Default 1,024.
    pub step_work_max: u32,
    pub sessions_max: usize,
    pub store: plait_store::Settings,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            tick: Duration::from_millis(25),
            election_ticks: [10, 13, 16],
            heartbeat_ticks: 3,
            lease: Duration::from_millis(300),
            clock_drift_per_mille: 25,
            lease_lag_max: 8192,
            lease_late_max: Duration::from_millis(20),
            commit_timeout: Duration::from_secs(10),
            stable_timeout: Duration::from_secs(5),
            lease_timeout: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(5),
            proposals_max: 4096,
            entry_bytes_max: 1 << 20,
            checkpoint_log_bytes: 4 << 20,
            segment_bytes: 8 << 20,
            chunk_bytes: 256 << 10,
            step_work_max: 1024,
            sessions_max: 4096,
            store: plait_store::Settings::default(),
        }
    }
}

impl Limits {
    /// All times longer by this factor: for machines so busy that a tick may be late (CI uses 4).
    pub fn scaled(mut self, factor: u32) -> Limits {
        self.tick *= factor;
        self.lease *= factor;
        self.lease_late_max *= factor;
        self
    }
}

/// A node's state by Galera's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Not in a majority, or not yet started.
    Initialized = 0,
    /// Empty: asks to be taken in, or receives a snapshot.
    Joining = 1,
    /// Has the state and catches up with the log.
    Joined = 3,
    /// Serves reads and writes.
    Synced = 4,
}

/// A node's account of itself, for `plait status`, `SHOW STATUS`, `/readyz` and the simulator's invariants.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub member: Option<MemberId>,
    /// Of this start of the process; 0 as long as it is not on the disk, for then it may yet be another's too.
    pub epoch: BootEpoch,
    pub state: State,
    pub term: u64,
    pub leader: Option<Slot>,
    pub voters: Vec<MemberId>,
    pub learners: Vec<MemberId>,
    pub commit_index: u64,
    pub applied_index: u64,
    /// Last index that is on this node's disk.
    pub durable_index: u64,
    pub stable_index: u64,
    pub log_first_index: u64,
    pub log_bytes: u64,
    pub seqno: Seqno,
    /// The hash chain after `seqno`, as sixteen hexadecimal digits.
    pub chain: String,
    /// The entry that ended this node's process twice, if it has come to it.
    pub refused_entry: Option<Index>,
    pub reads: Reads,
    /// Until when this node's lease runs, on its own clock; `None` without a usable one.
    pub lease_until: Option<Mono>,
    pub sessions: usize,
    pub proposals: usize,
    pub checkpoint_generation: u64,
    pub checkpoint_seqno: Seqno,
    pub counters: Counters,
}

/// What a node has done since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Write-sets of this node that were certified.
    pub local_commits: u64,
    /// Write-sets of this node that lost certification.
    pub local_cert_failures: u64,
    /// How often a transaction that lost at COMMIT answered as before when it was replayed, and was ordered again.
    pub local_replays: u64,
    /// Write-sets proposed here, and their bytes.
    pub replicated: u64,
    pub replicated_bytes: u64,
    /// Operations applied here that other nodes proposed, and their bytes.
    pub received: u64,
    pub received_bytes: u64,
    pub unknown: u64,
    pub elections: u64,
    pub entries_applied: u64,
    pub persists: u64,
    pub frames_sent: u64,
    pub frame_bytes_sent: u64,
    pub checkpoints: u64,
    pub snapshots_sent: u64,
    pub snapshots_received: u64,
    pub lease_refusals: u64,
}

/// When the machine was made and what its world must hand it: `Replica::open` reads these and nothing else.
pub struct Boot<'a> {
    pub now: Now,
    pub disk: &'a dyn disk::Disk,
    pub kv: &'a dyn kv::Kv,
}

impl Config {
    /// How this node serves reads, in the end.
    pub fn reads(&self) -> Reads {
        if self.galera_compat { Reads::Local } else { self.reads }
    }

    pub(crate) fn consensus(&self) -> plait_consensus::Config {
        let limits = &self.limits;
        plait_consensus::Config {
            slot: self.slot,
            cluster: self.cluster,
            nonce: self.nonce,
            bootstrap: self.bootstrap,
            tick: limits.tick,
            election_ticks: limits.election_ticks,
            heartbeat_ticks: limits.heartbeat_ticks,
            lengths: plait_consensus::lease::Lengths {
                lease: limits.lease,
                drift_per_mille: limits.clock_drift_per_mille,
                lag_max: limits.lease_lag_max,
                late_max: limits.lease_late_max,
            },
            reads: self.reads(),
            commit_timeout: limits.commit_timeout,
            proposals_max: limits.proposals_max,
            entry_bytes_max: limits.entry_bytes_max,
            segment_bytes: limits.segment_bytes,
        }
    }
}
