//! Checkpoints: the state at one position, written beside the log while apply goes on.
//!
//! Intuition: a photograph of a ledger, taken page by page while new lines are written: since old versions of rows
//! stay as long as the photographer needs them, all pages show the same moment. Two photographs are kept, each in
//! a place of its own; a new one is taken over the older, and counts only after it was read back. The log is cut
//! below the *older* one, so that the loss of the newest costs nothing (DESIGN law 17).

use crate::api::Output;
use crate::event::Event;
use crate::head::Head;
use crate::node::Replica;
use plait_base::{Digest, Index, Now, Seqno, Term, kv};
use plait_consensus::zoo::{self, Bug};

/// What one of the two places holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation {
    pub number: u64,
    pub index: Index,
    pub seqno: Seqno,
}

/// A checkpoint that is being written.
struct Run {
    made: Generation,
    /// Versions at or below this are in the place already.
    since: Seqno,
    head: Head,
    digest: Digest,
    /// Where the export goes on; `None` when it is through.
    cursor: Option<Vec<u8>>,
    /// A write was put out and is not answered yet.
    waiting: bool,
    finishing: bool,
}

#[derive(Default)]
pub(crate) struct Checkpoints {
    /// By parity of the number.
    places: [Option<Generation>; 2],
    newest_number: u64,
    /// Numbers are never reused, and a failed one's place is written anew from nothing.
    run: Option<Run>,
    pub wanted: bool,
    log_bytes_at_last: u64,
    /// A snapshot is being received into this number's place.
    pub receiving: Option<u64>,
    /// The last entry that was applied.
    pub last: (Index, Term),
}

impl Checkpoints {
    /// At start: a generation that is whole.
    pub fn found(&mut self, number: u64, index: Index, seqno: Seqno) {
        self.newest_number = self.newest_number.max(number);
        self.places[(number % 2) as usize] = Some(Generation { number, index, seqno });
    }

    /// At start: a generation that is not.
    pub fn spoilt(&mut self, number: u64) {
        self.newest_number = self.newest_number.max(number);
    }

    pub fn newest(&self) -> Option<Generation> {
        self.places.iter().flatten().copied().max_by_key(|g| g.number)
    }

    fn older(&self) -> Option<Generation> {
        match self.places {
            [Some(a), Some(b)] => Some(if a.number < b.number { a } else { b }),
            _ => None,
        }
    }

    /// Whether the log, which begins at `first`, does not reach back to an older generation: a snapshot took the log's
    /// place, or the newest was lost. Then the newest alone stands between this node and the loss of its state.
    fn alone(&self, first: Index) -> bool {
        self.newest().is_some()
            && first > Index::ZERO.next()
            && self.older().is_none_or(|older| older.index.next() < first)
    }

    /// The log has become another one, of this size.
    pub fn measure_from(&mut self, log_bytes: u64) {
        self.log_bytes_at_last = log_bytes;
    }

    /// The number to write next: above all others, and in the place that the newest whole one does not hold.
    pub fn next_number(&self) -> u64 {
        let next = self.newest_number + 1;
        match self.newest() {
            Some(newest) if newest.number % 2 == next % 2 => next + 1,
            _ => next,
        }
    }

    /// Takes a number into use: what its place held is no longer whole.
    pub fn begin(&mut self, number: u64) -> Option<Generation> {
        self.newest_number = number;
        self.places[(number % 2) as usize].take()
    }

    pub fn done(&mut self, made: Generation) {
        self.places[(made.number % 2) as usize] = Some(made);
    }

    /// The position whose versions the export still needs.
    pub fn snapshot(&self) -> Option<Seqno> {
        self.run.as_ref().filter(|run| run.cursor.is_some()).map(|run| run.made.seqno)
    }

    pub fn has_work(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.waiting && !run.finishing)
    }

    pub fn is_busy(&self) -> bool {
        self.run.is_some() || self.receiving.is_some()
    }
}

/// A second generation is due after so small a part of the log's usual growth.
const ALONE_SOONER: u64 = 16;

/// A checkpoint reads its place back whole, so it costs as much as the state is large. It is due once the log has
/// grown as much as this many times that, but not later than [`LATER_MAX`] times
/// [`Limits::checkpoint_log_bytes`](crate::Limits): what is logged since is applied again at the next start.
const STATES: u64 = 2;
const LATER_MAX: u64 = 8;

/// Rows go out in batches of about this many bytes.
const BATCH_BYTES: usize = 128 << 10;

impl Replica {
    /// Begins a checkpoint when the log has grown, and goes on with the one that is under way.
    pub(crate) fn tend_checkpoint(&mut self) {
        if self.checkpoints.run.is_none() {
            let grown = self.consensus.log_bytes().saturating_sub(self.checkpoints.log_bytes_at_last);
            let alone = self.checkpoints.alone(self.consensus.first_index());
            let bytes_max = match self.config.limits.checkpoint_log_bytes {
                bytes if alone => bytes / ALONE_SOONER,
                bytes => (STATES * self.store.state_bytes()).clamp(bytes, bytes.saturating_mul(LATER_MAX)),
            };
            let due = self.checkpoints.wanted || grown >= bytes_max;
            let news = self.checkpoints.newest().is_none_or(|g| g.index < self.checkpoints.last.0);
            if !due
                || self.applying.is_some()
                || self.checkpoints.is_busy()
                || self.consensus.member().is_none()
            {
                return;
            }
            self.checkpoints.wanted = false;
            if !news || self.checkpoints.last.0 == Index::ZERO {
                return;
            }
            self.begin_checkpoint();
        }
        let Some(run) = &mut self.checkpoints.run else { return };
        if run.waiting || run.finishing {
            return;
        }
        let generation = run.made.number;
        let mut budget = self.config.limits.step_work_max;
        let op = match run.cursor.take() {
            Some(cursor) => {
                let chunk = self.store.export(run.made.seqno, run.since, &cursor, BATCH_BYTES, &mut budget);
                run.cursor = chunk.next;
                if chunk.rows.is_empty() {
                    return;
                }
                run.waiting = true;
                kv::Op::Write { generation, rows: chunk.rows }
            }
            None => {
                run.finishing = true;
                kv::Op::Finish { generation, head: run.head.encode(), digest: run.digest }
            }
        };
        self.out.push(Output::Checkpoint(op));
    }

    fn begin_checkpoint(&mut self) {
        let (index, term) = self.checkpoints.last;
        let number = self.checkpoints.next_number();
        let seqno = self.store.applied();
        // After a start from a checkpoint the store doesn't know what was removed before it, so the older generation
        // can't be written over and is written anew.
        let known_from = self.store.incremental_from();
        // A number that was skipped after a failure leaves something older there; that too is written anew.
        let over = self.checkpoints.begin(number);
        let over = over.filter(|g| g.seqno >= known_from && g.number + 2 == number);
        let since = over.map_or(Seqno::ZERO, |g| g.seqno);
        self.checkpoints.log_bytes_at_last = self.consensus.log_bytes();
        self.checkpoints.run = Some(Run {
            made: Generation { number, index, seqno },
            since,
            head: self.head(index, term),
            digest: self.store.state_digest(),
            cursor: Some(Vec::new()),
            waiting: false,
            finishing: false,
        });
        self.checkpoint(kv::Op::Begin { generation: number, over: over.map(|g| g.number) });
        self.event(Event::CheckpointBegun { generation: number, seqno });
    }

    pub(crate) fn checkpoint_answered(&mut self, now: Now, answer: kv::Answer) {
        let number = match &answer {
            kv::Answer::Written { generation }
            | kv::Answer::Done { generation }
            | kv::Answer::Failed { generation, .. } => *generation,
        };
        if self.checkpoints.receiving == Some(number) {
            return self.received_answered(now, answer);
        }
        let Some(run) = self.checkpoints.run.as_mut().filter(|run| run.made.number == number) else { return };
        match answer {
            kv::Answer::Written { .. } => run.waiting = false,
            kv::Answer::Failed { generation, why } => {
                self.checkpoints.run = None;
                self.event(Event::CheckpointFailed { generation, why });
                self.take_up_offer(now);
            }
            kv::Answer::Done { generation } => {
                let made = run.made;
                self.checkpoints.run = None;
                self.checkpoints.done(made);
                self.counters.checkpoints += 1;
                self.event(Event::CheckpointDone { generation, seqno: made.seqno });
                self.cut_log();
                self.take_up_offer(now);
            }
        }
    }

    pub(crate) fn cut_log(&mut self) {
        let cut_at =
            if zoo::on(Bug::CutAtNewest) { self.checkpoints.newest() } else { self.checkpoints.older() };
        if let Some(generation) = cut_at {
            self.consensus.cut(generation.index.next());
            self.store.forget_removed(generation.seqno);
            self.checkpoints.log_bytes_at_last = self.consensus.log_bytes();
        }
    }
}
