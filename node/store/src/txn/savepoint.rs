//! Savepoints: places in a transaction to go back to.

use super::Txn;
use crate::error::Error;

/// Savepoints of one transaction.
const SAVEPOINTS_MAX: usize = 1_000;

impl Txn {
    /// From here on [`back_to`](Txn::back_to) this name takes writes back. Another of that name is forgotten.
    pub fn savepoint(&mut self, name: String) -> Result<(), Error> {
        self.savepoints.retain(|(other, ..)| *other != name);
        if self.savepoints.len() == SAVEPOINTS_MAX {
            let (got, max) = (SAVEPOINTS_MAX as u64 + 1, SAVEPOINTS_MAX as u64);
            return Err(Error::TooLarge { what: "the number of savepoints", got, max });
        }
        // What came before the first one is never taken back to one.
        if self.savepoints.is_empty() {
            self.undo.clear();
        }
        self.savepoints.push((name, self.undo.len(), self.bytes));
        Ok(())
    }

    /// Takes back all writes since a savepoint, which stays; later ones are forgotten.
    pub fn back_to(&mut self, name: &str) -> Result<(), Error> {
        let at = self.savepoints.iter().position(|(other, ..)| other == name);
        let at = at.ok_or_else(|| Txn::no_savepoint(name))?;
        self.savepoints.truncate(at + 1);
        let (_, length, bytes) = self.savepoints[at];
        // What the writes found was told to the client, and goes with them.
        self.peeks.give_up();
        self.undo_to(length, bytes);
        Ok(())
    }

    /// Forgets a savepoint and those after it; what was written stays.
    pub fn release(&mut self, name: &str) -> Result<(), Error> {
        let at = self.savepoints.iter().position(|(other, ..)| other == name);
        self.savepoints.truncate(at.ok_or_else(|| Txn::no_savepoint(name))?);
        Ok(())
    }

    pub(crate) fn no_savepoint(name: &str) -> Error {
        Error::Sql { code: 1305, state: "42000", message: format!("SAVEPOINT {name} does not exist") }
    }

    pub(super) fn undo_to(&mut self, length: usize, bytes: u64) {
        while self.undo.len() > length {
            let Some((table, key, before)) = self.undo.pop() else { break };
            let part = self.tables.get_mut(&table).expect("a write belongs to a table that was looked up");
            let undone = match before {
                Some(now) => {
                    let write = part.writes.get_mut(&key).expect("it was written before");
                    let undone = std::mem::replace(&mut write.now, now);
                    let now = write.now.clone();
                    part.moved(&key, undone.as_deref(), now.as_deref());
                    continue;
                }
                None => part.writes.remove(&key).and_then(|write| write.now),
            };
            part.moved(&key, undone.as_deref(), None);
        }
        self.bytes = bytes;
    }
}
