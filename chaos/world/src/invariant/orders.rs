//! Of foreign keys: in no state is there a row without its parent.
//!
//! Why it must hold: who writes a child's row holds its parent, and who takes a parent away reads where its children
//! would stand; both are certified, whatever the isolation. So of two transactions that together would leave an
//! orphan the log refuses the second, wherever they came from, and what ON DELETE CASCADE takes along it takes along
//! whole. Each snapshot is a state.

use plait_base::Slot;
use std::collections::BTreeSet;

/// `parents`: their keys; `children`: a row's id and its parent, of one snapshot.
pub fn no_orphan(slot: Slot, what: &str, parents: &[i64], children: &[(i64, i64)]) -> Result<(), String> {
    let parents: BTreeSet<i64> = parents.iter().copied().collect();
    match children.iter().find(|(_, parent)| !parents.contains(parent)) {
        None => Ok(()),
        Some((id, parent)) => Err(format!("a read on {slot} finds {what} {id}, and not its parent {parent}")),
    }
}
