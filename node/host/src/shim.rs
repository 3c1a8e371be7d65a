//! Faults on a link without root: frames are cut, delayed, lost or slowed where they leave.
//!
//! A rule holds for what this node sends to one peer. A cut both ways is a rule on each side. While a link is cut,
//! connections that are open stay open and silent, as they do when a cable is pulled; new ones are refused.
//! Each decision is a keyed draw, so that one rule more or less moves no other's.

use plait_base::{Draws, Slot};
use plait_replica::Lane;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// What is done to one outgoing link.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub cut: bool,
    pub delay: Duration,
    pub jitter: Duration,
    pub loss_per_mille: u32,
    /// Bytes a second for the bulk lanes; 0: no bound. The fast lane's frames use up the rate without waiting.
    pub rate: u64,
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if self.cut {
            parts.push("cut".to_owned());
        }
        if !self.delay.is_zero() {
            parts.push(format!("delay {:?}", self.delay));
        }
        if !self.jitter.is_zero() {
            parts.push(format!("jitter {:?}", self.jitter));
        }
        if self.loss_per_mille > 0 {
            parts.push(format!("loss {} per mille", self.loss_per_mille));
        }
        if self.rate > 0 {
            parts.push(format!("rate {} bytes/s", self.rate));
        }
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// Which links are cut, for whoever dials or hears a connection close.
#[derive(Debug, Default)]
pub struct Cuts([AtomicBool; 3]);

impl Cuts {
    pub fn cut(&self, to: Slot) -> bool {
        self.0[to.at()].load(Relaxed)
    }
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Goes,
    Lost,
    /// Goes then.
    Held(Instant),
}

/// The rules of one node.
#[derive(Debug)]
pub struct Shim {
    links: [Link; 3],
    cuts: Arc<Cuts>,
}

#[derive(Debug)]
struct Link {
    rule: Rule,
    draws: Draws,
    /// Until when the rate is used up.
    busy_until: Option<Instant>,
    /// Per lane: nothing leaves before what was sent before it.
    last_due: [Option<Instant>; 3],
    lost: u64,
}

impl Shim {
    pub fn new(seed: u64, from: Slot) -> Shim {
        let link = |to: Slot| Link {
            rule: Rule::default(),
            draws: Draws::new(seed, "shim", from.at() as u64 * 3 + to.at() as u64),
            busy_until: None,
            last_due: [None; 3],
            lost: 0,
        };
        Shim { links: Slot::ALL.map(link), cuts: Arc::default() }
    }

    pub fn cuts(&self) -> Arc<Cuts> {
        self.cuts.clone()
    }

    pub fn set(&mut self, to: Slot, rule: Rule) {
        self.links[to.at()].rule = rule;
        self.links[to.at()].busy_until = None;
        self.cuts.0[to.at()].store(rule.cut, Relaxed);
    }

    pub fn heal(&mut self) {
        Slot::ALL.into_iter().for_each(|to| self.set(to, Rule::default()));
    }

    pub fn rule(&self, to: Slot) -> Rule {
        self.links[to.at()].rule
    }

    /// Frames that rules took.
    pub fn lost(&self, to: Slot) -> u64 {
        self.links[to.at()].lost
    }

    /// Decides about a frame that leaves now.
    pub fn pass(&mut self, to: Slot, lane: Lane, bytes: usize, now: Instant) -> Fate {
        let link = &mut self.links[to.at()];
        let lane_at = lane as usize - 1;
        if link.rule == Rule::default() && link.last_due[lane_at].is_none() {
            return Fate::Goes;
        }
        let rule = link.rule;
        if rule.cut || (rule.loss_per_mille > 0 && link.draws.chance(rule.loss_per_mille.into())) {
            link.lost += 1;
            return Fate::Lost;
        }
        let mut due = now + rule.delay;
        if !rule.jitter.is_zero() {
            due += Duration::from_micros(link.draws.below(rule.jitter.as_micros() as u64 + 1));
        }
        if rule.rate > 0 {
            let begin = link.busy_until.map_or(now, |at| at.max(now));
            let end = begin + Duration::from_secs_f64(bytes as f64 / rule.rate as f64);
            link.busy_until = Some(end);
            if lane != Lane::Fast {
                due = due.max(end + rule.delay);
            }
        }
        due = link.last_due[lane_at].map_or(due, |last| last.max(due));
        if due <= now {
            link.last_due[lane_at] = None;
            return Fate::Goes;
        }
        link.last_due[lane_at] = Some(due);
        Fate::Held(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N2: Slot = Slot::ALL[1];

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn shim(rule: Rule) -> Shim {
        let mut shim = Shim::new(7, Slot::ALL[0]);
        shim.set(N2, rule);
        shim
    }

    #[test]
    fn without_a_rule_frames_go() {
        let mut shim = Shim::new(7, Slot::ALL[0]);
        assert_eq!(shim.pass(N2, Lane::Bulk, 1000, Instant::now()), Fate::Goes);
    }

    #[test]
    fn a_cut_takes_everything_and_a_heal_ends_it() {
        let mut shim = shim(Rule { cut: true, ..Rule::default() });
        let cuts = shim.cuts();
        assert_eq!(shim.pass(N2, Lane::Fast, 10, Instant::now()), Fate::Lost);
        assert!(cuts.cut(N2) && !cuts.cut(Slot::ALL[2]));
        shim.heal();
        assert_eq!(shim.pass(N2, Lane::Fast, 10, Instant::now()), Fate::Goes);
        assert!(!cuts.cut(N2));
        assert_eq!(shim.lost(N2), 1);
    }

    #[test]
    fn jitter_never_turns_the_order_of_a_lane_round() {
        let mut shim = shim(Rule { delay: ms(10), jitter: ms(50), ..Rule::default() });
        let now = Instant::now();
        let mut last = now;
        let mut spread = false;
        for _ in 0..200 {
            let Fate::Held(due) = shim.pass(N2, Lane::Bulk, 10, now) else {
                panic!("a delayed frame is held")
            };
            assert!(due >= last && due >= now + ms(10) && due <= now + ms(60));
            spread |= due > now + ms(40);
            last = due;
        }
        assert!(spread);
        // After the rule is gone, what comes does not overtake what is still held.
        shim.heal();
        assert_eq!(shim.pass(N2, Lane::Bulk, 10, now), Fate::Held(last));
        assert_eq!(shim.pass(N2, Lane::Bulk, 10, last), Fate::Goes);
    }

    #[test]
    fn a_rate_spaces_bulk_and_lets_the_fast_lane_by() {
        let mut shim = shim(Rule { rate: 1000, ..Rule::default() });
        let now = Instant::now();
        assert_eq!(shim.pass(N2, Lane::Bulk, 100, now), Fate::Held(now + ms(100)));
        assert_eq!(shim.pass(N2, Lane::Fast, 100, now), Fate::Goes);
        assert_eq!(shim.pass(N2, Lane::Bulk, 100, now), Fate::Held(now + ms(300)));
    }

    #[test]
    fn loss_takes_about_its_share() {
        let mut shim = shim(Rule { loss_per_mille: 250, ..Rule::default() });
        let lost = (0..4000).filter(|_| shim.pass(N2, Lane::Bulk, 1, Instant::now()) == Fate::Lost).count();
        assert!((800..1200).contains(&lost), "{lost} of 4000");
        assert_eq!(shim.lost(N2), lost as u64);
    }
}
