//! Where a fault strikes that waits for a step of the protocol.
//!
//! A node's steps are told from what it puts out: frames by what their messages are, events by their names. Nothing is
//! looked at unless a fault waits, so a run without one pays nothing.

use super::World;
use super::process::Death;
use super::story::Level;
use crate::plan::Point;
use plait_base::Slot;
use plait_consensus::{Event as Consensus, Sign};
use plait_replica::{Event, Frame, Output};

/// Whether this output is that step.
fn is_at(point: Point, from: Slot, output: &Output) -> bool {
    match (point, output) {
        (Point::Send, Output::Send { .. })
        | (Point::Persist, Output::Persist(_))
        | (Point::Checkpoint, Output::Checkpoint(_))
        | (Point::Reply, Output::Reply { .. })
        | (Point::Applied, Output::Event(Event::Ordered { .. }))
        | (Point::Elected, Output::Event(Event::Consensus(Consensus::Elected { .. })))
        | (Point::IdsReserved, Output::Event(Event::IdsReserved { .. }))
        | (Point::CheckpointBegun, Output::Event(Event::CheckpointBegun { .. }))
        | (Point::CheckpointDone, Output::Event(Event::CheckpointDone { .. }))
        | (Point::SnapshotInstalled, Output::Event(Event::Consensus(Consensus::SnapshotInstalled { .. }))) => {
            true
        }
        (_, Output::Send { bytes, .. }) => {
            let Some(sign) = sign(point) else { return false };
            let frame = Frame::decode(from, bytes);
            frame.is_ok_and(|frame| frame.messages.iter().any(|message| message.sign() == sign))
        }
        _ => false,
    }
}

/// The message that a point is about.
fn sign(point: Point) -> Option<Sign> {
    Some(match point {
        Point::Append => Sign::Append,
        Point::AppendAck => Sign::AppendAck,
        Point::VoteAsk => Sign::VoteAsk,
        Point::VoteDurable | Point::VoteGrant => Sign::VoteGrant,
        Point::LeaseGrant => Sign::LeaseGrant,
        Point::Stable => Sign::Stable,
        Point::SnapshotChunk => Sign::SnapshotChunk,
        _ => return None,
    })
}

impl World {
    /// The points at which a fault of this node, and one of the site, would strike with this output.
    pub(super) fn points_at(&self, slot: Slot, output: &Output) -> [Option<Point>; 2] {
        let waits =
            [self.hosts[slot.at()].crash_on.map(|on| on.point), self.site_off.map(|(_, point)| point)];
        waits.map(|point| point.filter(|point| is_at(*point, slot, output)))
    }

    /// The node has come to this point: whether a fault strikes.
    pub(super) fn crash_point(&mut self, slot: Slot, here: Point) -> bool {
        if self.site_off_at(here) {
            self.at_point[here as usize] += 1;
            return true;
        }
        let Some(on) = &mut self.hosts[slot.at()].crash_on else { return false };
        if on.point != here {
            return false;
        }
        on.left = on.left.saturating_sub(1);
        if on.left > 0 {
            return false;
        }
        let (fault, kill) = (on.fault, on.kill);
        self.hosts[slot.at()].crash_on = None;
        self.hosts[slot.at()].held_down += 1;
        self.blame(fault);
        self.at_point[here as usize] += 1;
        if self.tells(Level::Story) {
            let id = self.plan.faults[fault].id;
            let how = if kill { "is killed" } else { "loses power" };
            self.tell("world", format!("{slot} {how} {}", here.say()), Some(id));
        }
        self.die(slot, if kill { Death::Kill } else { Death::Power { tear: true } });
        true
    }
}

/// A fault that waits for a node to come to a point.
#[derive(Debug, Clone, Copy)]
pub struct CrashOn {
    pub fault: usize,
    pub point: Point,
    /// How often the node must still come there.
    pub left: u32,
    pub kill: bool,
}
