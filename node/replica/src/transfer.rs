//! Snapshots between nodes (SST): a joiner, or a node whose part of the log was cut, takes a peer's whole state.
//!
//! The donor pins its state at one position and answers fetches chunk by chunk; it goes on serving. The receiver
//! asks for one chunk at a time, writes it into a checkpoint place, and asks again from where it stopped when
//! nothing came. Only when the whole is durable and read back does the snapshot take the log's place.

use crate::api::Stop;
use crate::apply::History;
use crate::checkpoint::Generation;
use crate::event::Event;
use crate::head::Head;
use crate::node::Replica;
use plait_base::{Bytes, Index, Mono, Now, Reader, Seqno, Slot, Term, Writer, codec, kv};
use plait_consensus::Message;
use plait_store::{Importer, Local, Store};

/// A state of this node's that is pinned for others to fetch.
pub(crate) struct Prepared {
    pub index: Index,
    pub seqno: Seqno,
    head: Bytes,
    last_used: Mono,
}

/// A snapshot that is being received.
pub(crate) struct Incoming {
    from: Slot,
    index: Index,
    generation: u64,
    importer: Option<Importer>,
    cursor: Bytes,
    /// What follows the batch that is being written: the next cursor, or the head that ends it all.
    then: Option<Then>,
    last_heard: Mono,
    last_asked: Mono,
    ready: Option<(Head, Store)>,
}

enum Then {
    Fetch(Bytes),
    Finish(Bytes),
}

/// A pinned state that nobody fetched from for so many ticks is let go.
const PINNED_TICKS: u32 = 400;
/// The receiver asks again after so many ticks of silence, and gives up after so many.
const FETCH_AGAIN_TICKS: u32 = 20;
const GIVE_UP_TICKS: u32 = 400;

fn encode_chunk(rows: &[(Bytes, Option<Bytes>)], next: Option<&[u8]>, head: &Bytes) -> Bytes {
    let mut w = Writer::new();
    w.varint(rows.len() as u64);
    for (key, value) in rows {
        w.bytes(key).bytes(value.as_deref().expect("a full export holds no removals"));
    }
    match next {
        Some(cursor) => w.bool(true).bytes(cursor),
        None => w.bool(false).bytes(head),
    };
    w.finish()
}

type Rows = Vec<(Bytes, Option<Bytes>)>;

fn decode_chunk(chunk: &[u8]) -> Result<(Rows, Then), codec::Error> {
    let mut r = Reader::new(chunk);
    let own = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let n = r.count("rows of a chunk")?;
    let rows =
        (0..n).map(|_| Ok((own(r.bytes()?), Some(own(r.bytes()?))))).collect::<Result<_, codec::Error>>()?;
    let then = if r.bool()? { Then::Fetch(own(r.bytes()?)) } else { Then::Finish(own(r.bytes()?)) };
    r.end()?;
    Ok((rows, then))
}

impl Replica {
    /// Donor: pins the state when Raft finds that somebody needs it.
    pub(crate) fn prepare_snapshot(&mut self, now: Now) {
        if !self.consensus.snapshot_wanted()
            || self.applying.is_some()
            || self.checkpoints.last.0 == Index::ZERO
        {
            return;
        }
        let (index, term) = self.checkpoints.last;
        if self.consensus.applied_index() != index {
            return;
        }
        let seqno = self.store.applied();
        let head = self.head(index, term).encode();
        self.prepared = Some(Prepared { index, seqno, head, last_used: now.mono });
        self.consensus.snapshot_prepared(true);
        self.event(Event::SnapshotPrepared { index, seqno });
    }

    pub(crate) fn snapshot_fetch(&mut self, now: Now, from: Slot, index: Index, cursor: &Bytes) {
        let Some(prepared) = self.prepared.as_mut().filter(|p| p.index == index) else {
            return self.transfer(from, Message::SnapshotGone { index });
        };
        prepared.last_used = now.mono;
        let mut budget = self.config.limits.step_work_max;
        let bytes_max = self.config.limits.chunk_bytes;
        let chunk = self.store.export(prepared.seqno, Seqno::ZERO, cursor, bytes_max, &mut budget);
        let bytes = encode_chunk(&chunk.rows, chunk.next.as_deref(), &prepared.head);
        if chunk.next.is_none() {
            self.counters.snapshots_sent += 1;
        }
        self.transfer(from, Message::SnapshotChunk { index, cursor: cursor.clone(), chunk: bytes });
    }

    pub(crate) fn snapshot_offered(&mut self, now: Now, from: Slot, index: Index, term: Term) {
        if let Some(incoming) = &self.incoming {
            let stale = now.mono.since(incoming.last_heard) > self.config.limits.tick * FETCH_AGAIN_TICKS * 2;
            if (incoming.from == from && incoming.index == index) || !stale {
                return;
            }
            self.drop_incoming("a newer one was offered");
        }
        // A checkpoint under way holds the other place. The leader would offer again, but only after a long silence.
        if self.checkpoints.is_busy() {
            self.offer = Some((from, index, term));
            return;
        }
        self.offer = None;
        let generation = self.checkpoints.next_number();
        self.checkpoints.begin(generation);
        self.checkpoints.receiving = Some(generation);
        let map_key =
            u64::from_le_bytes(self.config.cluster.0[..8].try_into().expect("eight of sixteen bytes"));
        self.incoming = Some(Incoming {
            from,
            index,
            generation,
            importer: Some(Importer::new(self.config.limits.store.clone(), map_key)),
            cursor: Bytes::new(),
            then: None,
            last_heard: now.mono,
            last_asked: now.mono,
            ready: None,
        });
        self.checkpoint(kv::Op::Begin { generation, over: None });
        self.event(Event::SnapshotBegun { from, index });
        self.transfer(from, Message::SnapshotFetch { index, cursor: Bytes::new() });
    }

    /// The place for a snapshot is free again: takes up the offer that came meanwhile, if the log has not made it
    /// needless.
    pub(crate) fn take_up_offer(&mut self, now: Now) {
        if let Some((from, index, term)) = self.offer.take().filter(|o| o.1 > self.consensus.commit()) {
            self.snapshot_offered(now, from, index, term);
        }
    }

    pub(crate) fn snapshot_chunk(
        &mut self,
        now: Now,
        from: Slot,
        index: Index,
        cursor: &Bytes,
        chunk: &Bytes,
    ) {
        let Some(incoming) = self.incoming.as_mut().filter(|i| i.from == from && i.index == index) else {
            return;
        };
        if incoming.cursor != *cursor || incoming.then.is_some() || incoming.ready.is_some() {
            return;
        }
        incoming.last_heard = now.mono;
        let generation = incoming.generation;
        let taken = decode_chunk(chunk).and_then(|(rows, then)| {
            let importer = incoming.importer.as_mut().expect("the importer is there until the end");
            for (key, value) in &rows {
                importer.row(key, value.as_deref().expect("a chunk holds no removals"))?;
            }
            Ok((rows, then))
        });
        match taken {
            Ok((rows, then)) if !rows.is_empty() => {
                incoming.then = Some(then);
                self.checkpoint(kv::Op::Write { generation, rows });
            }
            Ok((_, then)) => self.go_on(now, then),
            Err(why) => self.drop_incoming(&why.to_string()),
        }
    }

    fn go_on(&mut self, now: Now, then: Then) {
        let incoming = self.incoming.as_mut().expect("a snapshot is being received");
        incoming.last_heard = now.mono;
        let (from, index, generation) = (incoming.from, incoming.index, incoming.generation);
        match then {
            Then::Fetch(cursor) => {
                incoming.cursor = cursor.clone();
                self.transfer(from, Message::SnapshotFetch { index, cursor });
            }
            Then::Finish(bytes) => {
                let importer = incoming.importer.take().expect("the importer is there until the end");
                let finished = Head::decode(&bytes).map_err(|why| why.to_string()).and_then(|head| {
                    let store = importer.finish(&head.store)?;
                    Ok((head, store))
                });
                match finished {
                    Ok((head, store)) => {
                        let digest = store.state_digest();
                        incoming.ready = Some((head, store));
                        self.checkpoint(kv::Op::Finish { generation, head: bytes, digest });
                    }
                    Err(why) => self.drop_incoming(&why),
                }
            }
        }
    }

    pub(crate) fn received_answered(&mut self, now: Now, answer: kv::Answer) {
        let Some(incoming) = &mut self.incoming else {
            // Dropped meanwhile, while a write was under way; its place is written anew by the next number.
            self.checkpoints.receiving = None;
            return self.take_up_offer(now);
        };
        match answer {
            kv::Answer::Written { .. } => {
                if let Some(then) = incoming.then.take() {
                    self.go_on(now, then);
                }
            }
            kv::Answer::Failed { why, .. } => {
                // This was the answer that the place waited for.
                incoming.then = None;
                self.drop_incoming(&why);
            }
            kv::Answer::Done { generation } => {
                let (from, index) = (incoming.from, incoming.index);
                let seqno = incoming.ready.as_ref().map_or(Seqno::ZERO, |(_, store)| store.applied());
                self.checkpoints.receiving = None;
                self.checkpoints.done(Generation { number: generation, index, seqno });
                self.counters.snapshots_received += 1;
                self.event(Event::SnapshotReceived { from, index, seqno });
                if !self.consensus.snapshot_ready(now, index) {
                    self.drop_incoming("the log has come as far by itself, or from another leader");
                }
            }
        }
    }

    /// The snapshot is in the log's place: its state becomes this node's.
    pub(crate) fn snapshot_installed(&mut self, index: Index) {
        let ready = self.incoming.take_if(|i| i.index == index).and_then(|i| i.ready);
        let Some((head, store)) = ready else {
            return self.stop(Stop::Reseed {
                why: format!("the log begins after {index} and the state there is not in memory"),
            });
        };
        self.reset_sessions();
        self.queue.retain(|entry| entry.index > index);
        self.applying = None;
        self.verdicts = head.verdicts;
        self.local = Local::new(self.config.slot);
        self.history = History::starting_at(index, store.applied(), store.chain().short());
        self.store = store;
        self.prepared = None;
        self.checkpoints.last = (head.index, head.term);
        self.checkpoints.measure_from(self.consensus.log_bytes());
        self.consensus.state_installed(head.members, self.store.chain().short());
    }

    pub(crate) fn snapshot_gone(&mut self, from: Slot, index: Index) {
        if self.incoming.as_ref().is_some_and(|i| i.from == from && i.index == index && i.ready.is_none()) {
            self.drop_incoming("the donor no longer has it");
        }
    }

    fn drop_incoming(&mut self, why: &str) {
        let incoming = self.incoming.take().expect("a snapshot is being received");
        // A write that is under way will be answered; until then the place stays taken.
        if incoming.then.is_none() {
            self.checkpoints.receiving = None;
        }
        self.event(Event::SnapshotFailed { from: incoming.from, index: incoming.index, why: why.to_owned() });
    }

    /// Asks again for a chunk that did not come, and lets go of what nobody needs any more.
    pub(crate) fn tend_transfers(&mut self, now: Now) {
        let tick = self.config.limits.tick;
        if self.prepared.as_ref().is_some_and(|p| now.mono.since(p.last_used) > tick * PINNED_TICKS) {
            self.prepared = None;
            self.consensus.snapshot_prepared(false);
        }
        let Some(incoming) = &mut self.incoming else { return };
        if incoming.ready.is_some() {
            return;
        }
        if incoming.index <= self.consensus.commit() {
            return self.drop_incoming("the log has come as far by itself");
        }
        if incoming.then.is_some() {
            return;
        }
        let silence = now.mono.since(incoming.last_heard);
        if silence > tick * GIVE_UP_TICKS {
            return self.drop_incoming("the donor is silent");
        }
        let (from, index, cursor) = (incoming.from, incoming.index, incoming.cursor.clone());
        if silence.min(now.mono.since(incoming.last_asked)) > tick * FETCH_AGAIN_TICKS {
            incoming.last_asked = now.mono;
            self.event(Event::SnapshotResumed { from, index });
            self.transfer(from, Message::SnapshotFetch { index, cursor });
        }
    }
}
