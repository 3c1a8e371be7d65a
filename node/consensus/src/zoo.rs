//! Known bugs of replication, to be switched on one at a time so that the checkers can prove they would see them.
//!
//! Each stands at the line it breaks. Without the feature `zoo` the switch is a constant *off*; with it, a build
//! without debug assertions is refused, so no release can carry one.

#[cfg(all(feature = "zoo", not(debug_assertions)))]
compile_error!("the zoo of planted bugs is never built into a release: use a profile with debug assertions");

macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Bug { $($(#[$doc])* $bug),* }

        impl Bug {
            pub const ALL: &[Bug] = &[$(Bug::$bug),*];

            pub fn name(self) -> &'static str {
                match self { $(Bug::$bug => stringify!($bug)),* }
            }
        }
    };
}

bugs! {
    /// Votes and acknowledgements leave before they are on disk.
    AckBeforeSync,
    /// A follower acknowledges what it holds back from its disk.
    HeldAcknowledged,
    /// The leader counts its own entry before its own disk has it.
    AckBeforeSecondSync,
    /// The origin answers when the entry is committed, before it is applied on the answering node.
    AckBeforeApply,
    /// Lease mutation a, writer's side: the origin does not wait for *stable*.
    AckBeforeStable,
    /// Lease mutation a, reader's side: a read returns what is not stable yet.
    ReadNotHeld,
    /// Lease mutation b: a new leader does not wait for leases of its predecessor.
    NewLeaderForgets,
    /// Lease mutation c: a lease is granted without a heartbeat round after the request.
    NoHeartbeatRound,
    /// Lease mutation d: the lease counts from the answer's arrival, not from the request.
    LeaseFromArrival,
    /// Lease mutation f: a lease survives a restart.
    LeaseSurvivesRestart,
    /// Lease mutation g: stable passes a lease that still runs.
    StableTooEarly,
    /// Lease mutation h: the leader waits L, not L·(1 + d).
    DriftIgnored,
    /// Lease mutation i: no floor; a node serves before it has caught up.
    NoFloor,
    /// Lease mutation j: the leader reads without a lease.
    LeaderReadsFreely,
    /// Lease mutation k3: the clock stands still during a pause.
    ClockStandsStill,
    /// Lease mutation l: grants before an entry of the own term is committed.
    GrantsTooSoon,
    /// Lease mutation p: the floor is what the leader has applied.
    FloorIsApplied,
    /// Lease mutation q: the floor is the stable index.
    FloorIsStable,
    /// A lease is granted to whoever asks, however far behind it is.
    GrantsToLaggards,
    /// A wiped node comes back under its old id and votes again.
    WipedVotes,
    /// A proposal that arrives twice is applied twice.
    DuplicateApplied,
    /// A damaged middle of the log is cut as if it were a torn tail.
    MiddleCutAsTail,
    /// Term and vote are not written down.
    VoteForgotten,
    /// The log is cut at the newest checkpoint, not at the older one.
    CutAtNewest,
    /// A read by the read index is served before what it asks for is applied.
    IndexNotAwaited,
    /// Every sixteenth entry ends the process that applies it.
    ApplyPanics,
    /// A frame's checksum is not looked at.
    FrameNotChecked,
    /// A write that failed, as on a full disk, is taken for one that was done.
    FailedWriteTaken,
}

#[cfg(feature = "zoo")]
static ON: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(u32::MAX);

/// Switches one bug on for this process, or all off.
#[cfg(feature = "zoo")]
pub fn set(bug: Option<Bug>) {
    ON.store(bug.map_or(u32::MAX, |b| b as u32), std::sync::atomic::Ordering::Relaxed);
}

/// Whether this bug is switched on.
#[cfg(feature = "zoo")]
#[inline]
pub fn on(bug: Bug) -> bool {
    ON.load(std::sync::atomic::Ordering::Relaxed) == bug as u32
}

/// Whether this bug is switched on: never, in this build.
#[cfg(not(feature = "zoo"))]
#[inline(always)]
pub const fn on(_bug: Bug) -> bool {
    false
}
