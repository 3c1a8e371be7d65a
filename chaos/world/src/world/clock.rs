//! A node's clock: two lines over true time, one for leases and one for the calendar.
//!
//! Intuition: a watch that runs a little fast or slow and that nobody may put back; beside it a wall calendar that
//! somebody sometimes tears at. The node sees both, and never true time.
//! Invariant: `mono` never goes back within one start of the machine; `true_at(m)` is the first true instant at
//! which `mono` shows `m`, so a timer is late or on time and never early.

use plait_base::{Mono, Now, Wall};

const MILLION: i64 = 1_000_000;

#[derive(Debug, Clone)]
pub struct Clock {
    anchor_true_ns: u64,
    anchor_mono_ns: u64,
    /// How many nanoseconds too many it counts in a millisecond of true time: parts in a million.
    rate_ppm: i64,
    /// Microseconds between the calendar and true time.
    wall_us: i64,
    /// A clock that stands still does not exist in the promise (DESIGN §4a); the zoo may make one.
    standing: bool,
}

impl Clock {
    pub fn new(mono_ns: u64, rate_ppm: i64, wall_us: i64) -> Clock {
        Clock { anchor_true_ns: 0, anchor_mono_ns: mono_ns, rate_ppm, wall_us, standing: false }
    }

    fn mono_ns(&self, true_ns: u64) -> u64 {
        if self.standing {
            return self.anchor_mono_ns;
        }
        let passed = (true_ns - self.anchor_true_ns) as i64;
        let gained = passed / MILLION * self.rate_ppm + passed % MILLION * self.rate_ppm / MILLION;
        self.anchor_mono_ns + (passed + gained) as u64
    }

    pub fn now(&self, true_ns: u64) -> Now {
        let wall = Wall((true_ns / 1000) as i64 + self.wall_us);
        Now { mono: Mono(self.mono_ns(true_ns)), wall }
    }

    pub fn mono(&self, true_ns: u64) -> Mono {
        Mono(self.mono_ns(true_ns))
    }

    /// The first true instant, not before `from_ns`, at which this clock shows `mono`; never, for a clock that
    /// stands still before it.
    pub fn true_at(&self, mono: Mono, from_ns: u64) -> u64 {
        if mono.0 <= self.mono_ns(from_ns) {
            return from_ns;
        }
        if self.standing || mono == Mono::MAX {
            return u64::MAX;
        }
        let wanted = i128::from(mono.0 - self.anchor_mono_ns);
        let million = i128::from(MILLION);
        let passed = wanted * million / (million + i128::from(self.rate_ppm));
        let mut due_ns = self.anchor_true_ns.saturating_add(passed as u64).max(from_ns);
        // Both ways of reckoning round down here and there; the clock itself has the last word.
        while due_ns > from_ns && self.mono_ns(due_ns - 1) >= mono.0 {
            due_ns -= 1;
        }
        while self.mono_ns(due_ns) < mono.0 {
            due_ns += 1;
        }
        due_ns
    }

    fn anchor(&mut self, true_ns: u64) {
        self.anchor_mono_ns = self.mono_ns(true_ns);
        self.anchor_true_ns = true_ns;
    }

    pub fn set_rate(&mut self, true_ns: u64, rate_ppm: i64) {
        self.anchor(true_ns);
        self.rate_ppm = rate_ppm;
    }

    pub fn rate_ppm(&self) -> i64 {
        self.rate_ppm
    }

    pub fn jump_wall(&mut self, by_us: i64) {
        self.wall_us += by_us;
    }

    /// Stops or starts the clock, which no real one does: for the zoo.
    pub fn stand(&mut self, true_ns: u64, standing: bool) {
        self.anchor(true_ns);
        self.standing = standing;
    }

    /// The machine was powered off and on: its clock begins anew.
    pub fn reboot(&mut self, true_ns: u64, mono_ns: u64) {
        self.anchor_true_ns = true_ns;
        self.anchor_mono_ns = mono_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_timer_is_never_early_and_late_by_less_than_a_tick_of_the_clock(
            start in 0_u64..1 << 40, rate in -500_000_i64..500_000, at in 0_u64..1 << 36, ahead in 0_u64..1 << 34,
        ) {
            let clock = Clock::new(start, rate, 0);
            let wanted = Mono(clock.mono(at).0 + ahead);
            let due = clock.true_at(wanted, at);
            prop_assert!(clock.mono(due) >= wanted);
            prop_assert!(due == at || clock.mono(due - 1) < wanted);
        }

        #[test]
        fn a_change_of_rate_moves_nothing_at_once(at in 0_u64..1 << 36, before in -10_000_i64..10_000, after in -10_000_i64..10_000) {
            let mut clock = Clock::new(5, before, 0);
            let shown = clock.mono(at);
            clock.set_rate(at, after);
            prop_assert_eq!(clock.mono(at), shown);
        }
    }

    #[test]
    fn a_calendar_may_jump_and_a_watch_may_not() {
        let mut clock = Clock::new(7, 0, 1_000_000);
        clock.jump_wall(-500_000);
        assert_eq!(clock.now(2000), Now { mono: Mono(2007), wall: Wall(500_002) });
    }
}
