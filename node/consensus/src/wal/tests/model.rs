//! The log as a plain value: what recovery must give is one of the values it went through.

use super::*;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) epoch: BootEpoch,
    pub(super) hard: HardState,
    pub(super) base: (Index, Term),
    pub(super) conf: Bytes,
    pub(super) entries: Vec<LogEntry>,
}

impl std::fmt::Debug for Model {
    /// Short enough to compare by eye.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let HardState { term, vote, commit } = self.hard;
        write!(f, "epoch {} hard {term},{vote},{commit} base {},{}:", self.epoch, self.base.0, self.base.1)?;
        self.entries.iter().try_for_each(|e| write!(f, " {},{},{}", e.index, e.term, e.data.len()))
    }
}

impl Model {
    pub(super) fn new() -> Model {
        let base = (Index::ZERO, Term::ZERO);
        Model {
            epoch: BootEpoch(0),
            hard: HardState::default(),
            base,
            conf: Bytes::new(),
            entries: Vec::new(),
        }
    }

    pub(super) fn of(found: &Recovered) -> Model {
        let Recovered { epoch, hard, base, conf, entries, .. } = found;
        Model { epoch: *epoch, hard: *hard, base: *base, conf: conf.clone(), entries: entries.clone() }
    }

    pub(super) fn last(&self) -> Index {
        self.entries.last().map_or(self.base.0, |entry| entry.index)
    }

    pub(super) fn boot(&mut self, epoch: BootEpoch) {
        self.epoch = epoch;
    }

    pub(super) fn append(&mut self, entries: &[LogEntry], hard: Option<HardState>) {
        if let Some(first) = entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
            self.entries.extend_from_slice(entries);
        }
        self.hard = hard.unwrap_or(self.hard);
    }

    pub(super) fn reset(&mut self, index: Index, term: Term, conf: Bytes) {
        self.entries.clear();
        self.base = (index, term);
        self.conf = conf;
        self.hard.commit = self.hard.commit.max(index);
    }

    pub(super) fn cut(&mut self, below: Index, hard: HardState) {
        let place = self.entries.iter().position(|entry| entry.index.next() == below).expect("an entry");
        self.base = (self.entries[place].index, self.entries[place].term);
        self.entries.drain(..=place);
        self.hard = hard;
    }
}
