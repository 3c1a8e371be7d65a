//! What happened on this node: state events in a file and a ring, flow events in a ring alone.
//!
//! State events are few (roles, leases, checkpoints) and always kept. Flow events come with every transaction;
//! they are kept as values and turned into text only when somebody asks.

use crate::lines::Lines;
use plait_base::{Now, Slot};
use plait_replica::Event;
use plait_replica::event::Class;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Bytes that one kept flow event takes, in the deque and beside it, about.
const FLOW_EVENT_BYTES: usize = 160;

/// A state event as a line of JSON, and its position.
type Line = (u64, Arc<str>);

/// The state events that are kept in memory, with their positions. Shared with whoever streams them.
#[derive(Debug, Clone)]
pub struct Ring {
    lines: Arc<Mutex<VecDeque<Line>>>,
    newest: watch::Sender<u64>,
    lines_max: usize,
}

impl Ring {
    fn new(lines_max: usize) -> Ring {
        Ring { lines: Arc::default(), newest: watch::Sender::new(0), lines_max }
    }

    fn push(&self, position: u64, line: Arc<str>) {
        let mut lines = self.lines.lock().expect("nothing panics with the ring's lock held");
        lines.push_back((position, line));
        if lines.len() > self.lines_max {
            lines.pop_front();
        }
        drop(lines);
        self.newest.send_replace(position);
    }

    /// What came after a position, oldest first.
    pub fn after(&self, position: u64) -> Vec<Line> {
        let lines = self.lines.lock().expect("nothing panics with the ring's lock held");
        lines.iter().skip_while(|(at, _)| *at <= position).cloned().collect()
    }

    /// Changes when there is more.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

/// All events of one node.
pub struct Events {
    node: Slot,
    position: u64,
    ring: Ring,
    flow: VecDeque<(Now, Event)>,
    flow_max: usize,
    lines: Option<Lines>,
    state: u64,
    flowed: u64,
}

impl Events {
    /// `lines`: where state events are written; none in a simulation.
    pub fn new(node: Slot, ring_max: usize, flow_bytes_max: usize, lines: Option<Lines>) -> Events {
        Events {
            node,
            position: 0,
            ring: Ring::new(ring_max),
            flow: VecDeque::new(),
            flow_max: flow_bytes_max / FLOW_EVENT_BYTES,
            lines,
            state: 0,
            flowed: 0,
        }
    }

    pub fn ring(&self) -> Ring {
        self.ring.clone()
    }

    /// How many state and flow events there were.
    pub fn counts(&self) -> (u64, u64) {
        (self.state, self.flowed)
    }

    pub fn add(&mut self, now: Now, event: Event) {
        match event.class() {
            Class::State => {
                self.state += 1;
                tracing::info!("{event}");
                self.note(now, event.name(), event.fields());
            }
            Class::Flow => {
                self.flowed += 1;
                self.flow.push_back((now, event));
                if self.flow.len() > self.flow_max {
                    self.flow.pop_front();
                }
            }
        }
    }

    /// An event of the host itself, as of a fault that was set.
    pub fn note(&mut self, now: Now, name: &str, fields: Vec<(&'static str, String)>) {
        self.position += 1;
        let line: Arc<str> = line(self.node, Some(self.position), now, name, fields).into();
        if let Some(lines) = &self.lines {
            lines.event(line.to_string());
        }
        self.ring.push(self.position, line);
    }

    /// The latest flow events as lines.
    pub fn flow(&self) -> Vec<String> {
        self.flow
            .iter()
            .map(|(now, event)| line(self.node, None, *now, event.name(), event.fields()))
            .collect()
    }
}

fn line(
    node: Slot,
    position: Option<u64>,
    now: Now,
    name: &str,
    fields: Vec<(&'static str, String)>,
) -> String {
    let facts: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    let mut event = json!({
        "schema": "plait.event/1",
        "node": node.to_string(),
        "wall_us": now.wall.0,
        "mono_us": now.mono.0 / 1000,
        "event": name,
        "facts": facts,
    });
    if let Some(position) = position {
        event["position"] = position.into();
    }
    event.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u64) -> Event {
        Event::CheckpointFailed { generation: n, why: "a \"quoted\" reason".into() }
    }

    #[test]
    fn state_events_have_positions_and_the_oldest_goes_first() {
        let mut events = Events::new(Slot::ALL[0], 3, 1000, None);
        (1..=5).for_each(|n| events.add(Now::default(), event(n)));
        let ring = events.ring();
        assert_eq!(ring.after(0).iter().map(|(at, _)| *at).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(ring.after(4).len(), 1);
        let line: Value = serde_json::from_str(&ring.after(4)[0].1).unwrap();
        assert_eq!(line["event"], "checkpoint_failed");
        assert_eq!(line["facts"]["why"], "a \"quoted\" reason");
        assert_eq!(line["node"], "n1");
    }

    #[test]
    fn flow_events_stay_within_their_memory() {
        let mut events = Events::new(Slot::ALL[0], 3, FLOW_EVENT_BYTES * 10, None);
        (0..100).for_each(|n| events.add(Now::default(), Event::Held { seqno: plait_replica::Seqno(n) }));
        assert_eq!(events.flow().len(), 10);
        assert!(events.flow()[9].contains("\"99\""), "{}", events.flow()[9]);
        assert!(events.ring().after(0).is_empty());
    }
}
