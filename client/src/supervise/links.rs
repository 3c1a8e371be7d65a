//! Keeps each node's link rules and clock as the standing faults want them, also across restarts and pauses.
//!
//! One task a node compares what is wanted with what its running process has confirmed, and repeats what is missing
//! until it is confirmed. So a fault that was made while a node was paused takes effect when it goes on, and a node
//! that is started while a fault stands gets its rules as soon as it answers.

use super::talk::NodeState;
use super::{State, Supervisor, log};
use crate::admin::LinkRule;
use crate::faults::{self, Way};
use crate::slot::Slot;
use std::time::Duration;

/// Pause after a rule that could not be set.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// What a node's process is to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Todo {
    Link(Way, LinkRule),
    /// By how many milliseconds its wall clock is to be off.
    Clock(i64),
}

/// What the node's process has not confirmed yet.
pub(super) fn pending(state: &State, slot: Slot) -> Vec<Todo> {
    let node = &state.nodes[slot.at()];
    let links = faults::rules(&state.faults).into_iter().filter(|(way, _)| way.from == slot);
    let links = links.filter(|(way, rule)| node.applied.get(way).copied().unwrap_or_default() != *rule);
    let shift = Some(faults::shift(&state.faults, slot)).filter(|shift| *shift != node.shifted);
    links.map(|(way, rule)| Todo::Link(way, rule)).chain(shift.map(Todo::Clock)).collect()
}

pub(super) async fn run(supervisor: Supervisor, slot: Slot) {
    let mut changes = supervisor.changed.subscribe();
    loop {
        let (todo, admin, starts) = {
            let state = supervisor.read();
            let node = &state.nodes[slot.at()];
            let todo = if node.state == NodeState::Running { pending(&state, slot) } else { Vec::new() };
            (todo, node.admin.clone(), node.starts)
        };
        let (Some(todo), Some(admin)) = (todo.first().copied(), admin) else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let done = match todo {
            Todo::Link(way, rule) => admin.set_link(way.to.get(), rule).await,
            Todo::Clock(wall_ms) => admin.set_clock(wall_ms).await,
        };
        match done {
            Ok(()) => {
                let node = &mut supervisor.write().nodes[slot.at()];
                match todo {
                    _ if node.starts != starts => {}
                    Todo::Link(way, rule) => drop(node.applied.insert(way, rule)),
                    Todo::Clock(wall_ms) => node.shifted = wall_ms,
                }
            }
            Err(why) => {
                log(&format!("{slot} has not taken {todo:?}: {why}"));
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
        }
        supervisor.change();
    }
}
