//! Names of things: nodes, positions, proposals. Each is its own type, so that none is taken for another.

use std::fmt::{self, Write as _};

/// Where a node stands in the cluster: 1, 2 or 3, for ever. Auto-increment ids of slot `s` are `≡ s (mod 3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

impl Slot {
    pub const ALL: [Slot; 3] = [Slot(1), Slot(2), Slot(3)];

    /// `None` unless `n` is 1, 2 or 3.
    pub const fn new(n: u8) -> Option<Slot> {
        if n >= 1 && n <= 3 { Some(Slot(n)) } else { None }
    }

    pub const fn get(self) -> u8 {
        self.0
    }

    /// 0, 1 or 2: a place in an array of three.
    pub const fn at(self) -> usize {
        self.0 as usize - 1
    }

    /// The two other slots, in order.
    pub fn others(self) -> impl Iterator<Item = Slot> {
        Slot::ALL.into_iter().filter(move |other| *other != self)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl $name {
            pub const ZERO: $name = $name(0);

            /// The one after.
            pub const fn next(self) -> $name {
                $name(self.0 + 1)
            }
        }
    };
}

number! {
    /// A position in the Raft log; it counts entries. Only consensus, the write-ahead log and the lease speak it.
    Index
}
number! {
    /// A position in the order of operations; dense. Apply hands it out in log order, and an aborted write-set
    /// uses one too. Row versions, `last_seen`, GTID and the hash chain are seqnos.
    Seqno
}
number! {
    /// A Raft term.
    Term
}
number! {
    /// Which start of which incarnation of a node this is: `incarnation << 32 | starts`. It only grows.
    BootEpoch
}

/// How many times the slot was filled anew after it lost its disk. The first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u32);

/// A member of the Raft group: a slot in one of its incarnations. A wiped node never comes back under its old id,
/// since it would vote a second time in a term in which it has voted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId {
    pub slot: Slot,
    pub incarnation: Incarnation,
}

impl MemberId {
    /// The member that a slot starts with when the cluster is made.
    pub const fn first(slot: Slot) -> MemberId {
        MemberId { slot, incarnation: Incarnation(1) }
    }

    /// The number by which Raft knows it; never 0.
    pub const fn raft(self) -> u64 {
        (self.incarnation.0 as u64) << 8 | self.slot.get() as u64
    }

    /// `None` if no member has this number.
    pub fn from_raft(id: u64) -> Option<MemberId> {
        let slot = Slot::new((id & 0xff) as u8)?;
        let incarnation = u32::try_from(id >> 8).ok().filter(|n| *n > 0)?;
        Some(MemberId { slot, incarnation: Incarnation(incarnation) })
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.incarnation.0)
    }
}

/// Names the cluster; made once, at genesis. Nodes of different clusters refuse each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub [u8; 16]);

impl fmt::Display for ClusterId {
    /// In the form of a UUID, as `wsrep_cluster_state_uuid` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each answer to a client's write names it, so no formatter for each byte.
        let digit = |n: u8| char::from_digit(n.into(), 16).expect("four bits");
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_char('-')?;
            }
            f.write_char(digit(byte >> 4))?;
            f.write_char(digit(byte & 15))?;
        }
        Ok(())
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names one proposal for ever, so that a copy that arrives twice is known and answered with the first verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId {
    pub slot: Slot,
    pub epoch: BootEpoch,
    pub counter: u64,
}

impl fmt::Display for ProposalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}-{}", self.slot.get(), self.epoch.0, self.counter)
    }
}

/// Whose operation an entry of the log carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Room {
    Store = 1,
}

impl Room {
    pub fn from_u8(n: u8) -> Option<Room> {
        match n {
            1 => Some(Room::Store),
            _ => None,
        }
    }
}
