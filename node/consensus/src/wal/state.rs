//! What the records written so far add up to, entries' contents aside. Writing and reading back both go through
//! [`State::apply`], so that they cannot differ.

use super::record::Body;
use super::{HardState, LogEntry};
use plait_base::{BootEpoch, Bytes, Index, Term};

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// Index and term before the first entry.
    pub(super) base: (Index, Term),
    pub(super) last: Index,
    /// Where each run of entries of one term begins.
    pub(super) terms: Vec<(Index, Term)>,
    pub(super) kept: Kept,
}

/// What outlives the entries: it is written again whenever older records are given up.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) hard: HardState,
    pub(super) epoch: BootEpoch,
    pub(super) conf: Bytes,
}

impl State {
    pub(super) fn apply(&mut self, body: &Body) {
        match body {
            Body::Entry(LogEntry { index, term, .. }) => {
                self.terms.retain(|(from, _)| from < index);
                if self.terms.last().is_none_or(|(_, last)| last != term) {
                    self.terms.push((*index, *term));
                }
                self.last = *index;
            }
            Body::Hard(hard) => self.kept.hard = *hard,
            Body::Boot { epoch } => self.kept.epoch = *epoch,
            Body::Base { base, fresh, kept, .. } => {
                if *fresh {
                    self.terms.clear();
                    self.last = base.0;
                }
                while self.terms.get(1).is_some_and(|(from, _)| *from <= base.0) {
                    self.terms.remove(0);
                }
                self.base = *base;
                self.last = self.last.max(base.0);
                self.kept = (*kept).clone();
            }
        }
    }

    /// The term of the entry at `index`; `None` if the log doesn't reach there.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        let run = self.terms.iter().rev().find(|(from, _)| *from <= index);
        run.filter(|_| index > self.base.0 && index <= self.last).map(|(_, term)| *term)
    }
}
