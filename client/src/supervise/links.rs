//! Keeps each node's link rules as the standing faults want them, also across restarts and pauses.
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

/// What the node's process has not confirmed yet.
pub(super) fn pending(state: &State, slot: Slot) -> Vec<(Way, LinkRule)> {
    let applied = &state.nodes[slot.at()].applied;
    let wanted = faults::rules(&state.faults).into_iter().filter(|(way, _)| way.from == slot);
    wanted.filter(|(way, rule)| applied.get(way).copied().unwrap_or_default() != *rule).collect()
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
        let (Some((way, rule)), Some(admin)) = (todo.first().copied(), admin) else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        match admin.set_link(way.to.get(), rule).await {
            Ok(()) => {
                let node = &mut supervisor.write().nodes[slot.at()];
                if node.starts == starts {
                    node.applied.insert(way, rule);
                }
            }
            Err(why) => {
                log(&format!("{slot} has not taken the rule for its link to {}: {why}", way.to));
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
        }
        supervisor.change();
    }
}
