//! Which key a micro-operation is about: a few active ones, each retired after so many writes.

use crate::settings::{Choice, Settings};
use plait_base::Draws;

#[derive(Debug, Clone, Copy)]
struct Active {
    key: u64,
    written: u64,
}

#[derive(Debug)]
pub struct Keys {
    active: Vec<Active>,
    next: u64,
    writes_max: u64,
    choice: Choice,
}

impl Keys {
    pub fn new(settings: &Settings) -> Keys {
        let keys = settings.keys.max(2);
        Keys {
            active: (0..keys).map(|key| Active { key, written: 0 }).collect(),
            next: keys,
            writes_max: settings.writes_per_key.max(1),
            choice: settings.choice,
        }
    }

    /// A key to read.
    pub fn read(&self, draws: &mut Draws) -> u64 {
        self.active[self.place(draws)].key
    }

    /// A key to write, and a value that was never written to it.
    pub fn write(&mut self, draws: &mut Draws) -> (u64, u64) {
        let place = self.place(draws);
        let active = &mut self.active[place];
        active.written += 1;
        let chosen = (active.key, active.written);
        if active.written == self.writes_max {
            *active = Active { key: self.next, written: 0 };
            self.next += 1;
        }
        chosen
    }

    /// All keys that ever were active.
    pub fn all(&self) -> std::ops::Range<u64> {
        0..self.next
    }

    fn place(&self, draws: &mut Draws) -> usize {
        let n = self.active.len() as u64;
        match self.choice {
            Choice::Uniform => draws.below(n) as usize,
            Choice::Zipf => {
                // Whole numbers: the same on every machine.
                let weight = |rank: u64| 1_000_000 / (rank + 1);
                let mut left = draws.below((0..n).map(weight).sum());
                for rank in 0..n {
                    match left.checked_sub(weight(rank)) {
                        Some(rest) => left = rest,
                        None => return rank as usize,
                    }
                }
                unreachable!("a draw is below the sum of the weights")
            }
        }
    }
}
