//! A transaction is seen whole or not at all, however long it is.
//!
//! Why it must hold: an entry of the log is published whole, after its last operation was applied; a snapshot is
//! taken at a published position. A writer that gives all rows of a sheet one value leaves no moment in which a
//! snapshot shows two, although its apply takes many steps and other nodes' statements run between them.

use plait_base::Slot;

pub fn sheet(slot: Slot, rows: usize, values: &[i64]) -> Result<(), String> {
    if values.len() != rows {
        return Err(format!("a read on {slot} finds {} of {rows} rows", values.len()));
    }
    match values.iter().find(|v| **v != values[0]) {
        Some(other) => {
            Err(format!("a read on {slot} finds rows of transaction {} beside rows of {other}", values[0]))
        }
        None => Ok(()),
    }
}
