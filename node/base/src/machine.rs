//! The seam between a machine and whichever world drives it.

use crate::time::{Mono, Now};

/// A deterministic machine: what it does depends on its configuration, its disk and its inputs with their times.
///
/// No `Result` at the top: a refusal is an output, a broken invariant is a panic, a failed disk is an input.
/// An output that depends on something being durable is not put out before the world reported it durable, so a
/// world does outputs in order and need not understand them.
pub trait Machine {
    type Input;
    type Output;

    /// Takes one input, at the time at which it was taken, and appends what is to be done to `out`.
    fn step(&mut self, now: Now, input: Self::Input, out: &mut Vec<Self::Output>);

    /// When the machine wants its next tick, on its own clock. A world may be late, never early.
    fn deadline(&self) -> Mono;
}
