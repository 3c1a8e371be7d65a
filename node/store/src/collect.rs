//! Forgetting: versions that nobody can read any more, tombstones and tables that no checkpoint needs.
//!
//! Invariant: what is dropped here never mattered to a verdict. A verdict looks at newest versions above the
//! horizon alone; those stay.

use crate::store::Store;
use crate::table::Body;
use plait_base::Seqno;

impl Store {
    /// Drops versions that no snapshot at or above `oldest` can see. Whether there is more to do when the budget
    /// (about one row a unit) is spent. `oldest` is the lowest of all snapshots and exports under way, or
    /// [`applied`](Store::applied).
    pub fn collect(&mut self, oldest: Seqno, budget: &mut u32) -> bool {
        // An operation that is half done may walk over what would be dropped.
        if self.work.is_some() {
            return false;
        }
        let oldest = oldest.min(self.applied);
        while self.superseded.front().is_some_and(|(seqno, ..)| *seqno <= oldest) {
            if *budget == 0 {
                return true;
            }
            *budget -= 1;
            let (_, id, key) = self.superseded.pop_front().expect("it was there a moment ago");
            if let Some(table) = self.tables.get_mut(&id) {
                table.prune(&key, oldest);
            }
        }
        let removable = oldest.min(self.forgotten);
        while self.purged.front().is_some_and(|(seqno, ..)| *seqno <= removable) {
            if *budget == 0 {
                return true;
            }
            *budget -= 1;
            let (at, id, key) = self.purged.pop_front().expect("it was there a moment ago");
            let Some(table) = self.tables.get_mut(&id) else { continue };
            // A row that was inserted again since has its own newest version, and stays.
            if table.rows.get(&key).is_some_and(|entry| entry.newest.body == Body::Tombstone { purged: at }) {
                table.rows.remove(&key);
            }
        }
        while self.dropped.front().is_some_and(|(seqno, _)| *seqno <= removable) {
            let (_, id) = *self.dropped.front().expect("it was there a moment ago");
            let table = self.tables.get_mut(&id).expect("a dropped table stays until here");
            while let Some((key, entry)) = table.rows.pop_first() {
                if entry.newest.row().is_none() {
                    self.tombstones.remove(&(entry.newest.seqno, id, key));
                }
                if *budget == 0 {
                    return true;
                }
                *budget -= 1;
            }
            let table = self.tables.remove(&id).expect("it was there a moment ago");
            self.forget_names(&table);
            self.dropped.pop_front();
        }
        for table in self.tables.values_mut().filter(|table| table.heads.len() > 1) {
            let current = table.heads.iter().rposition(|head| head.seqno <= oldest).unwrap_or(0);
            table.heads.drain(..current);
        }
        false
    }

    /// Removals up to `through` need not be told to an incremental export any more: the checkpoint that it would
    /// be written over has them.
    pub fn forget_removed(&mut self, through: Seqno) {
        self.forgotten = self.forgotten.max(through.min(self.applied));
    }
}
