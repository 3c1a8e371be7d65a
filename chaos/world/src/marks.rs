//! Marks: places that must be reached sometimes.
//!
//! A judge that never gets to see a rare meeting of events has nothing to say about it, and nobody notices. So each
//! such meeting has a name; a run notes which it came by, and a hunt that is long enough fails if one was never
//! reached: then a change of the plan, or of the nodes, has quietly taken a part of the world out of sight.
//! A mark is no judgement: whatever happens there is judged by the `invariant`s.

macro_rules! marks {
    ($($(#[doc = $doc:literal])* $mark:ident => $name:literal),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Mark { $($(#[doc = $doc])* $mark),* }

        impl Mark {
            pub const ALL: &[Mark] = &[$(Mark::$mark),*];
            pub const NAMES: &[&str] = &[$($name),*];
        }
    };
}

marks! {
    /// A half-written record was found at the end of the log.
    TornTailCut => "torn tail cut",
    /// Power was lost with writes on their way to the disk, and some of them are gone.
    UnsyncedLost => "unsynced write lost",
    /// And one of them is there in part.
    UnsyncedTorn => "unsynced write torn",
    /// A process died before its own start was on its disk: the next start has the same boot epoch.
    DiedBeforeStart => "died before its start was durable",
    /// What two other disks have may be applied before this node's own disk has it.
    DiedAhead => "died having applied what its disk lacked",
    /// All three were down at once.
    AllDown => "all three down",
    DiskFailed => "stopped by its disk",
    LogDamaged => "started empty, its log was damaged",
    LogCut => "log cut",
    CheckpointFailed => "checkpoint failed",
    CheckpointCutOff => "died while writing a checkpoint",
    CheckpointUnreadable => "started from the older checkpoint, or none",
    /// A leader heard of a higher term, or lost its majority.
    Deposed => "leader deposed",
    HandedOver => "leader with a slow disk handed over",
    TwoLeaders => "two nodes led at once, in two terms",
    LeaderDiedWithWrite => "leader died, another node's write under way",
    LeaderChangedWithWrite => "leader changed, a write under way",
    /// A copy of a proposal was answered with the first verdict.
    DuplicateAnswered => "duplicate answered with the first verdict",
    ConflictRefused => "write-set refused by certification",
    ReplyHeld => "reply held until it was stable",
    HoldExpired => "reply's stable position came too late",
    UnknownAtDeadline => "commit's outcome unknown at its deadline",
    RefusedUnsent => "commit refused, never sent to a leader",
    UnknownWasDone => "unknown outcome that was done",
    UnknownWasNot => "unknown outcome that was not done",
    NotPrimary => "node refused to serve",
    LeaseRefused => "lease refused to a node that lags",
    LeaseLostByGap => "lease dropped after a gap between ticks",
    /// A node stood still for longer than any lease, with frames waiting.
    WokeLate => "woke after its lease, frames waiting",
    DeathProved => "lease ended by a proof of death",
    /// The proof that a process is dead came when the next one ran already.
    ProofCameLate => "proof of death came after the next start",
    FrameOfOldConnection => "frame for a process that is gone",
    LearnerAdded => "empty node taken in as a learner",
    VoterAdded => "learner made a voter",
    MemberRemoved => "old incarnation removed",
    SnapshotInstalled => "snapshot installed",
    SnapshotResumed => "snapshot resumed after silence",
    SnapshotFailed => "snapshot given up",
    ReceiverDied => "died while receiving a snapshot",
    Replayed => "transaction that lost at COMMIT done once more",
    LockFreed => "named lock taken back after its session",
    LockGivenAway => "named lock of a silent node given away",
    LockFreedByEpoch => "named lock taken back after its node's earlier start",
    /// A statement that was ordered as such met a row that was written after it was handed in.
    AddedOverNewer => "ordered addition done on a newer row",
    /// A node died with ids that nobody had been told, and its next start reserved others.
    IdsSkipped => "reserved ids lost and skipped",
    SchemaMoved => "table altered between a read and its commit",
    /// A new leader has applied what is not stable, for a lease of its predecessor's may still run.
    PredecessorAwaited => "new leader waited for its predecessor's grants",
    LogCutUnderLagging => "log cut below what another member lacks",
    DamageReplaced => "damaged log replaced from a peer",
    WipedRejoined => "wiped node whole again",
    MinorityRefusedRead => "node without a majority refused a read",
    FullInCommit => "disk full while clients waited for this leader",
    FrameSpoiled => "spoiled frame refused, its connection dropped",
    UpgradeDone => "all three restarted one after the other",
    EntryRefused => "took no part from an entry that it cannot apply",
    DonorDied => "donor of a snapshot died",
}

/// A set of marks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks(u64);

const _: () = assert!(Mark::ALL.len() <= 64, "a set of marks is one word");

impl Marks {
    pub fn set(&mut self, mark: Mark) {
        self.0 |= 1 << mark as u8;
    }

    pub fn has(self, mark: Mark) -> bool {
        self.0 & 1 << mark as u8 != 0
    }

    pub fn names(self) -> Vec<&'static str> {
        let all = Mark::ALL.iter().zip(Mark::NAMES);
        all.filter(|(mark, _)| self.has(**mark)).map(|(_, name)| *name).collect()
    }
}

impl serde::Serialize for Marks {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.names().serialize(serializer)
    }
}
