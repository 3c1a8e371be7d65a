//! A usable lease means: applied everything that anybody may have been told.
//!
//! Why it must hold: *stable* passes n only when everybody whose grant may still run has applied n; whoever is
//! granted later serves only once it has applied the leader's commit index, which is not below any stable index.
//! So at any true instant, no matter how clocks drift within their bound, a node whose lease has not run out on its
//! own clock has applied every index that any node holds to be stable. A paused node is judged by its clock, which
//! runs on: as long as its lease runs, it may wake and serve.
//! Not here: what a client sees of it (`count`, `ledger`, `linear`).

use super::Look;
use plait_base::Slot;

#[derive(Debug, Default)]
pub struct Leases {
    stable: u64,
    by: Option<Slot>,
    /// How many looks found a usable lease.
    pub usable: u64,
}

impl Leases {
    pub fn look(&mut self, nodes: &[Option<Look>; 3]) -> Result<(), String> {
        for look in nodes.iter().flatten() {
            if look.status.stable_index > self.stable {
                self.stable = look.status.stable_index;
                self.by = Some(look.slot);
            }
        }
        for look in nodes.iter().flatten() {
            let Some(until) = look.status.lease_until else { continue };
            if look.mono >= until {
                continue;
            }
            self.usable += 1;
            if look.status.applied_index < self.stable {
                let who = self.by.map_or("nobody".to_owned(), |s| s.to_string());
                return Err(format!(
                    "{} may serve for another {} ms and has applied {}, while {who} holds {} to be stable",
                    look.slot,
                    until.since(look.mono).as_millis(),
                    look.status.applied_index,
                    self.stable,
                ));
            }
        }
        Ok(())
    }
}
