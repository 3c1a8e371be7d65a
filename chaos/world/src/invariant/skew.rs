//! No write skew: of each pair at least one is on duty, and no hall has two guests.
//!
//! Why it must hold: whoever leaves has read both rows of the pair, and whoever enters has read the whole hall,
//! with `FOR UPDATE` or at SERIALIZABLE; what was read is certified, so of two that read the same state and write
//! different rows the second is refused. Serial execution keeps both rules, hence every snapshot does.

use plait_base::Slot;

pub fn duty(slot: Slot, pair: i64, on: &[i64]) -> Result<(), String> {
    match on {
        [a, b] if a + b >= 1 => Ok(()),
        [_, _] => Err(format!("a read on {slot} finds nobody of pair {pair} on duty")),
        _ => Err(format!("a read on {slot} finds {} of the 2 rows of pair {pair}", on.len())),
    }
}

pub fn hall(slot: Slot, hall: i64, guests: &[i64]) -> Result<(), String> {
    match guests {
        [] | [_] => Ok(()),
        _ => Err(format!("a read on {slot} finds {} guests in hall {hall}: {guests:?}", guests.len())),
    }
}
