//! What whoever runs the node may ask of it, between two rounds of the machine.

use super::Drive;
use crate::clock::Clock;
use crate::inbox::{Account, Control, PeerAccount};
use crate::metrics::Scrape;
use plait_base::Slot;
use plait_replica::{Input, Lane};
use tokio::time::Instant;

impl Drive {
    pub(super) fn control(&mut self, control: Control) {
        let now = self.parts.clock.now();
        match control {
            Control::Account(to) => {
                let _ = to.send(self.account());
            }
            Control::Metrics(to) => {
                let _ = to.send(self.scrape());
            }
            Control::Flow(to) => {
                let _ = to.send(self.parts.events.flow());
            }
            Control::SetLink { to, rule } => {
                self.parts.shim.set(to, rule);
                let fields = vec![("to", to.to_string()), ("rule", rule.to_string())];
                self.parts.events.note(now, "fault_set", fields);
            }
            Control::SetClock { wall_us } => {
                self.parts.clock.wall_us = wall_us;
                let fields = vec![("wall_ms", (wall_us / 1000).to_string())];
                self.parts.events.note(self.parts.clock.now(), "clock_set", fields);
            }
            Control::Heal => {
                self.parts.shim.heal();
                self.parts.clock.wall_us = 0;
                self.parts.events.note(now, "faults_healed", Vec::new());
            }
            Control::Dead { peer, epoch } => {
                let fields = vec![("peer", peer.to_string()), ("epoch", format!("{:x}", epoch.0))];
                self.parts.events.note(now, "death_reported", fields);
                self.take(Input::Dead { peer, epoch });
            }
            Control::PowerOff(refused) => {
                // With the disk's power mode on, a real process does not come back from this.
                if let Err(why) = self.parts.files.power_off() {
                    let _ = refused.send(why);
                }
            }
            Control::Shutdown { why } => {
                if self.stopping.is_none() {
                    self.parts.events.note(now, "stopping", vec![("why", why)]);
                    self.parts.doors.drain();
                    self.parts.replica.resign();
                    self.stopping = Some(Instant::now() + self.parts.shutdown_timeout);
                }
            }
        }
    }

    fn links(&self) -> impl Iterator<Item = (Slot, Lane, crate::peers::Figures)> {
        Slot::ALL.into_iter().zip(&self.parts.queues).flat_map(|(to, queues)| {
            let lanes = queues.iter().flat_map(|lanes| Lane::ALL.into_iter().zip(lanes));
            lanes.map(move |(lane, queue)| (to, lane, queue.figures())).collect::<Vec<_>>()
        })
    }

    fn account(&self) -> Account {
        let now = self.parts.clock.now();
        let mut peers: [PeerAccount; 3] = Slot::ALL.map(|slot| PeerAccount {
            up: self.parts.presence.is_up(slot),
            rule: self.parts.shim.rule(slot),
            ..PeerAccount::default()
        });
        for (to, _, figures) in self.links() {
            peers[to.at()].frames += figures.frames;
            peers[to.at()].dropped += figures.overrun + figures.disconnected;
        }
        Account {
            slot: self.parts.slot,
            status: self.parts.replica.status(now),
            draining: self.stopping.is_some(),
            recovering: self.parts.replica.recovering(),
            peers,
            disk: self.parts.files.figures(),
            requests: self.requests,
            uptime_ms: now.mono.since(self.began).as_millis() as u64,
        }
    }

    fn scrape(&self) -> String {
        let account = self.account();
        let others = self.parts.slot.others();
        Scrape {
            account: &account,
            steps: &self.steps,
            links: self.links().collect(),
            lost: others.map(|slot| (slot, self.parts.shim.lost(slot))).collect(),
            events: self.parts.events.counts(),
            lines_dropped: (self.parts.lines_dropped)(),
            waiting: self.routes.waiting(),
        }
        .text()
    }
}
