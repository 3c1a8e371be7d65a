//! The log as Raft reads it: the entries after the last cut, in memory. Their durable copy is the write-ahead log.

use crate::wal::{HardState, LogEntry};
use plait_base::{Index, Term};
use raft::eraftpb::{ConfState, Entry, EntryType, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use std::cell::Cell;
use std::collections::VecDeque;

/// What a snapshot message would stand for: a state that is pinned and ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub index: Index,
    pub term: Term,
    pub conf: ConfState,
}

#[derive(Debug)]
pub(crate) struct Log {
    hard: HardState,
    conf: ConfState,
    base: (Index, Term),
    entries: VecDeque<Entry>,
    bytes: u64,
    pub prepared: Option<Prepared>,
    /// Set when Raft asked for a snapshot and none was prepared.
    pub snapshot_wanted: Cell<bool>,
}

pub(crate) fn to_raft(e: &LogEntry) -> Entry {
    let mut entry = Entry { index: e.index.0, term: e.term.0, data: e.data.clone(), ..Entry::default() };
    entry.set_entry_type(if e.kind == 1 { EntryType::EntryConfChange } else { EntryType::EntryNormal });
    entry
}

pub(crate) fn from_raft(e: &Entry) -> LogEntry {
    LogEntry {
        index: Index(e.index),
        term: Term(e.term),
        kind: u8::from(e.get_entry_type() == EntryType::EntryConfChange),
        data: e.data.clone(),
    }
}

impl Log {
    pub fn new(hard: HardState, conf: ConfState, base: (Index, Term), entries: &[LogEntry]) -> Log {
        let mut log = Log {
            hard,
            conf,
            base,
            entries: VecDeque::new(),
            bytes: 0,
            prepared: None,
            snapshot_wanted: Cell::new(false),
        };
        log.append(&entries.iter().map(to_raft).collect::<Vec<_>>());
        log
    }

    pub fn first(&self) -> Index {
        self.base.0.next()
    }

    pub fn last(&self) -> Index {
        Index(self.base.0.0 + self.entries.len() as u64)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        let at = index.0.checked_sub(self.first().0)?;
        self.entries.get(at as usize).map(|e| Term(e.term))
    }

    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(
            first.index > self.base.0.0 && first.index <= self.last().0 + 1,
            "an append joins on to the log: {} after {}..={}",
            first.index,
            self.base.0,
            self.last()
        );
        while self.last().0 >= first.index {
            let gone = self.entries.pop_back().expect("the log is not empty");
            self.bytes -= gone.data.len() as u64 + 32;
        }
        for entry in entries {
            self.bytes += entry.data.len() as u64 + 32;
            self.entries.push_back(entry.clone());
        }
    }

    /// Forgets entries below `below`; the one before it stays as the base.
    pub fn cut(&mut self, below: Index) {
        while self.first() < below {
            let Some(gone) = self.entries.pop_front() else { break };
            self.bytes -= gone.data.len() as u64 + 32;
            self.base = (Index(gone.index), Term(gone.term));
        }
    }

    /// A snapshot took the log's place.
    pub fn reset(&mut self, base: (Index, Term), conf: ConfState) {
        self.entries.clear();
        self.bytes = 0;
        self.base = base;
        self.conf = conf;
        self.prepared = None;
    }
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let mut hard = raft::eraftpb::HardState::default();
        hard.term = self.hard.term.0;
        hard.vote = self.hard.vote;
        hard.commit = self.hard.commit.0;
        Ok(RaftState { hard_state: hard, conf_state: self.conf.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low < self.first().0 {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        assert!(high <= self.last().0 + 1, "nobody reads past the end of the log");
        let max = max_size.into().unwrap_or(u64::MAX);
        let mut bytes = 0;
        let mut list = Vec::new();
        for at in low - self.first().0..high - self.first().0 {
            let entry = &self.entries[at as usize];
            bytes += entry.data.len() as u64 + 32;
            if !list.is_empty() && bytes > max {
                break;
            }
            list.push(entry.clone());
        }
        Ok(list)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index < self.base.0.0 {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        self.term_at(Index(index)).map(|t| t.0).ok_or(raft::Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.first().0)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last().0)
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        match &self.prepared {
            Some(p) if p.index.0 >= request_index && p.index >= self.base.0 => {
                let mut snapshot = Snapshot::default();
                snapshot.mut_metadata().index = p.index.0;
                snapshot.mut_metadata().term = p.term.0;
                snapshot.mut_metadata().set_conf_state(p.conf.clone());
                Ok(snapshot)
            }
            _ => {
                self.snapshot_wanted.set(true);
                Err(raft::Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}
