//! Money is neither made nor lost: the sum over all accounts is the same at every read.
//!
//! Why it must hold: each transfer takes from one account what it gives to another, in one transaction; a read
//! sees all of a transaction or nothing of it, and a whole read has one snapshot.

use plait_base::Slot;

#[derive(Debug)]
pub struct Total {
    expected: i64,
    pub reads: u64,
}

impl Total {
    pub fn of(expected: i64) -> Total {
        Total { expected, reads: 0 }
    }

    pub fn read(&mut self, slot: Slot, balances: &[i64], accounts: usize) -> Result<(), String> {
        self.reads += 1;
        if balances.len() != accounts {
            return Err(format!("a read on {slot} finds {} of {accounts} accounts", balances.len()));
        }
        let sum: i64 = balances.iter().sum();
        if sum != self.expected {
            return Err(format!(
                "a read on {slot} finds a total of {sum} instead of {}: {balances:?}",
                self.expected
            ));
        }
        Ok(())
    }
}
