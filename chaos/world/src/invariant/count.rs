//! A counter is never stale, never goes back, and never runs ahead.
//!
//! Why it must hold: a read that begins after an increment was acknowledged, or after another read had ended, must
//! see at least as much (real-time order, on any node). It cannot see more increments than were begun and not
//! refused before it ended. At the end the counter is the number of increments that are in the ledger.

#[derive(Debug, Default, Clone)]
pub struct Count {
    acknowledged: i64,
    refused: i64,
    begun: i64,
    seen_max: i64,
}

impl Count {
    /// An increment is sent.
    pub fn begin(&mut self) {
        self.begun += 1;
    }

    pub fn acknowledged(&mut self) {
        self.acknowledged += 1;
    }

    pub fn refused(&mut self) {
        self.refused += 1;
    }

    /// What a read that begins now must see at least.
    pub fn floor(&self) -> i64 {
        self.acknowledged.max(self.seen_max)
    }

    /// A read that began when the floor was `floor` ends with `value`.
    pub fn read(&mut self, floor: i64, value: i64) -> Result<(), String> {
        let most = self.begun - self.refused;
        if value < floor {
            return Err(format!(
                "a read finds {value} where {floor} were acknowledged or read before it began"
            ));
        }
        if value > most {
            return Err(format!("a read finds {value} where at most {most} increments can have happened"));
        }
        self.seen_max = self.seen_max.max(value);
        Ok(())
    }
}
