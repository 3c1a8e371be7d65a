//! Of a unique key: in no state do two rows stand in one place.
//!
//! Why it must hold: a node looks for another holder when the statement runs, but the other may have been ordered
//! meanwhile by another node. So the ordered apply looks again, with nothing but the log's prefix before it, and of
//! two takers of one seat refuses the second, wherever they came from. Each snapshot is such a state.

use plait_base::Slot;
use std::collections::BTreeMap;

/// `rows`: a row's id and its seat, of one snapshot.
pub fn one_each(slot: Slot, rows: &[(i64, i64)]) -> Result<(), String> {
    let mut taken = BTreeMap::new();
    for (id, seat) in rows {
        if let Some(first) = taken.insert(seat, id) {
            return Err(format!("a read on {slot} finds rows {first} and {id} both in seat {seat}"));
        }
    }
    Ok(())
}
