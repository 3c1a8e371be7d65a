//! The other two nodes: three connections to each and three from each, one a lane.
//!
//! A lane has its own TCP connection, so a heartbeat never waits behind a snapshot in a socket's buffer. Frames
//! may be lost with a connection or dropped at a full queue, and that is counted; the machine repeats what
//! matters. A connection begins with a greeting (format, cluster, slots, boot epoch) and is refused with a reason
//! that both sides log.

mod dial;
mod presence;
mod queue;
mod serve;

pub use dial::{HTTP_FRAME_BYTES, WINDOW_BYTES, keep};
pub use presence::{Presence, Way};
pub use queue::{Figures, Outgoing, Queue};
pub use serve::{Arrival, PeerDoor};

use plait_base::{BootEpoch, Bytes, ClusterId, FORMAT, Slot};
use plait_proto::peer::v1::Hello;
use plait_replica::Lane;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Who this node is, as it greets, and what it knows of who greets it.
#[derive(Debug)]
pub struct Me {
    pub cluster: ClusterId,
    pub slot: Slot,
    /// This start of this incarnation; an empty node learns it when it is taken in.
    epoch: AtomicU64,
    /// The newest epoch that each slot greeted with: an older process of that slot is a leftover.
    seen: [AtomicU64; 3],
}

impl Me {
    pub fn new(cluster: ClusterId, slot: Slot) -> Me {
        Me { cluster, slot, epoch: AtomicU64::new(0), seen: [const { AtomicU64::new(0) }; 3] }
    }

    pub fn epoch(&self) -> BootEpoch {
        BootEpoch(self.epoch.load(Relaxed))
    }

    pub fn set_epoch(&self, epoch: BootEpoch) {
        self.epoch.store(epoch.0, Relaxed);
    }

    fn hello(&self, to: Slot, lane: Lane) -> Hello {
        Hello {
            format: FORMAT.into(),
            cluster: Bytes::copy_from_slice(&self.cluster.0),
            from_slot: self.slot.get().into(),
            to_slot: to.get().into(),
            lane: lane as u32,
            boot_epoch: self.epoch().0,
        }
    }

    /// Whom a greeting is from, or why it is refused: what, the evidence, what to do.
    fn check(&self, hello: &Hello) -> Result<(Slot, Lane), String> {
        if hello.format != u32::from(FORMAT) {
            return Err(format!(
                "format {} was offered and this node speaks {FORMAT}: run the same version on all nodes",
                hello.format
            ));
        }
        if hello.cluster[..] != self.cluster.0 {
            return Err(format!(
                "cluster {} was named and this node belongs to {}: correct `peers` or `cluster` in its node.toml",
                name_cluster(&hello.cluster),
                self.cluster
            ));
        }
        if hello.to_slot != u32::from(self.slot.get()) {
            return Err(format!(
                "n{} was called and this node is {}: correct `peers` in the caller's node.toml",
                hello.to_slot, self.slot
            ));
        }
        let from = u8::try_from(hello.from_slot).ok().and_then(Slot::new);
        let Some(from) = from.filter(|from| *from != self.slot) else {
            return Err(format!("the caller says it is n{}, and cannot be", hello.from_slot));
        };
        let Some(lane) = Lane::ALL.into_iter().find(|lane| *lane as u32 == hello.lane) else {
            return Err(format!("lane {} is unknown", hello.lane));
        };
        let seen = self.seen[from.at()].fetch_max(hello.boot_epoch, Relaxed);
        if hello.boot_epoch != 0 && hello.boot_epoch < seen {
            return Err(format!(
                "boot epoch {:x} of {from} is older than {seen:x}, which this node has met: a leftover process or \
                 a directory put back from a copy; end it, or wipe that node and let it join anew",
                hello.boot_epoch
            ));
        }
        Ok((from, lane))
    }
}

fn name_cluster(bytes: &[u8]) -> String {
    match <[u8; 16]>::try_from(bytes) {
        Ok(id) => ClusterId(id).to_string(),
        Err(_) => format!("of {} bytes", bytes.len()),
    }
}

/// One outgoing lane.
pub struct Link<N> {
    pub net: N,
    pub me: Arc<Me>,
    pub to: Slot,
    pub lane: Lane,
    pub address: String,
    pub queue: Arc<Queue>,
    pub presence: Arc<Presence>,
    pub cuts: Arc<crate::shim::Cuts>,
    pub bounds: crate::config::Host,
    pub seed: u64,
}

#[cfg(test)]
mod tests;
