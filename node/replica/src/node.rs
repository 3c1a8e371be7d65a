//! The machine: what is taken in, in which order it is worked on, what is put out.

use crate::api::{Boot, Config, Counters, Input, Output, Request, SessionId, State, Stop, Ticket};
use crate::apply::{Applying, History};
use crate::checkpoint::Checkpoints;
use crate::event::Event;
use crate::head::Head;
use crate::locks::Heard;
use crate::sessions::Sessions;
use crate::transfer::{Incoming, Prepared};
use plait_base::{Index, Machine, Mono, Now, Slot, Term, kv};
use plait_consensus::zoo::{self, Bug};
use plait_consensus::{Consensus, Effect, Image, Strand, Verdicts};
use plait_store::{Importer, Local, Store};
use std::collections::VecDeque;

pub use plait_consensus::OpenError;

/// One entry of the log that waits to be applied.
pub(crate) struct Committed {
    pub index: Index,
    pub term: Term,
    pub group: Vec<plait_consensus::Proposal>,
}

/// A whole node. See the crate's head for its way of working.
pub struct Replica {
    pub(crate) config: Config,
    pub(crate) consensus: Consensus,
    pub(crate) store: Store,
    pub(crate) local: Local,
    pub(crate) verdicts: Verdicts,
    pub(crate) queue: VecDeque<Committed>,
    pub(crate) applying: Option<Applying>,
    /// The entry that is being applied; after a panic, the one that led to it.
    pub(crate) at_work: Option<Index>,
    /// See [`Config::avoid`]: this node has come to it.
    pub(crate) refused_entry: Option<Index>,
    pub(crate) history: History,
    pub(crate) sessions: Sessions,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) prepared: Option<Prepared>,
    pub(crate) incoming: Option<Incoming>,
    /// A snapshot that was offered while its place was taken: from whom, and its index and term.
    pub(crate) offer: Option<(Slot, Index, Term)>,
    pub(crate) counters: Counters,
    pub(crate) heard: Heard,
    pub(crate) state: State,
    pub(crate) out: Vec<Output>,
    effects: Vec<Effect>,
    /// Versions may be there that nobody can see any more.
    collecting: bool,
    stopped: bool,
}

impl Replica {
    /// A node as it is on its disk. Reads `boot` and nothing else; what it has to write comes with the first
    /// flush.
    pub fn open(config: Config, boot: Boot) -> Result<Replica, OpenError> {
        let map_key = u64::from_le_bytes(config.cluster.0[..8].try_into().expect("eight of sixteen bytes"));
        let settings = config.limits.store.clone();
        let (generations, unreadable) = boot.kv.generations();
        let mut events: Vec<Event> = unreadable
            .into_iter()
            .map(|(generation, why)| Event::CheckpointUnreadable { generation, why })
            .collect();
        let mut checkpoints = Checkpoints::default();
        let mut opened: Option<(Head, Store)> = None;
        for (generation, bytes) in &generations {
            let load = || -> Result<(Head, Option<Store>), String> {
                let head = Head::decode(bytes).map_err(|why| why.to_string())?;
                if opened.is_some() {
                    return Ok((head, None));
                }
                let mut importer = Importer::new(settings.clone(), map_key);
                let mut bad = None;
                boot.kv
                    .scan(*generation, &mut |key, value| {
                        if let Err(why) = importer.row(key, value) {
                            bad.get_or_insert(why);
                        }
                    })
                    .map_err(|why| why.to_string())?;
                if let Some(why) = bad {
                    return Err(why.to_string());
                }
                let store = importer.finish(&head.store)?;
                Ok((head, Some(store)))
            };
            match load() {
                Ok((head, store)) => {
                    let seqno = match &store {
                        Some(store) => store.applied(),
                        None => plait_store::head_seqno(&head.store).unwrap_or_default(),
                    };
                    checkpoints.found(*generation, head.index, seqno);
                    if let Some(store) = store {
                        opened = Some((head, store));
                    }
                }
                Err(why) => {
                    checkpoints.spoilt(*generation);
                    events.push(Event::CheckpointUnreadable { generation: *generation, why });
                }
            }
        }
        let image = opened.as_ref().map(|(head, store)| Image {
            chain: store.chain().short(),
            index: head.index,
            term: head.term,
            members: head.members.clone(),
        });
        let consensus = Consensus::open(
            config.consensus(),
            plait_consensus::Boot { now: boot.now, disk: boot.disk, checkpoint: image },
        )?;
        let index = opened.as_ref().map_or(Index::ZERO, |(head, _)| head.index);
        checkpoints.last = (index, opened.as_ref().map_or(Term::ZERO, |(head, _)| head.term));
        let (verdicts, store) = match opened {
            Some((head, store)) => (head.verdicts, store),
            None => (Verdicts::default(), Store::new(settings, map_key)),
        };
        Ok(Replica {
            local: Local::new(config.slot),
            history: History::starting_at(index, store.applied(), store.chain().short()),
            sessions: Sessions::new(config.limits.sessions_max),
            config,
            consensus,
            store,
            verdicts,
            queue: VecDeque::new(),
            applying: None,
            at_work: None,
            refused_entry: None,
            checkpoints,
            prepared: None,
            incoming: None,
            offer: None,
            counters: Counters::default(),
            heard: Heard::default(),
            state: State::Initialized,
            out: events.into_iter().map(Output::Event).collect(),
            effects: Vec::new(),
            collecting: false,
            stopped: false,
        })
    }

    /// Takes one input; what it leads to comes with the next [`flush`](Self::flush). `now` was sampled after the
    /// input was taken. Several inputs may be taken before a flush; they then share frames and a disk write.
    pub fn take(&mut self, now: Now, input: Input) {
        if self.stopped {
            return;
        }
        match input {
            Input::Tick => self.tick(now),
            Input::Recv { .. } if self.refused_entry.is_some() => {}
            Input::Recv { from, lane: _, bytes } => {
                self.heard.from(from, now);
                self.consensus.receive(now, from, &bytes);
            }
            Input::Up { .. } => {}
            Input::Down { peer } => self.consensus.peer_down(peer),
            Input::Dead { peer, epoch } => self.consensus.dead(now, peer, epoch),
            Input::Persisted { token } => self.consensus.persisted(now, token),
            Input::DiskFailed { token, .. } if zoo::on(Bug::FailedWriteTaken) => {
                self.consensus.persisted(now, token);
            }
            Input::DiskFailed { token, why } => {
                self.stop(Stop::Disk { why: format!("write {token} could not be made durable: {why}") });
            }
            Input::Checkpoint(answer) => self.checkpoint_answered(now, answer),
            Input::Request { ticket, session, request } => self.asked(now, ticket, session, request),
            Input::Closed { session } => self.close_session(session),
        }
    }

    fn asked(&mut self, now: Now, ticket: Ticket, session: SessionId, request: Request) {
        match request {
            Request::Store(request) => self.start_request(now, ticket, session, request),
            Request::Status => {
                let rows = self.status_rows(now);
                self.out.push(Output::Reply { ticket, reply: Ok(rows) });
            }
            Request::Checkpoint => {
                self.checkpoints.wanted = true;
                self.out.push(Output::Reply { ticket, reply: Ok(plait_store::Reply::default()) });
            }
        }
    }

    fn tick(&mut self, now: Now) {
        self.consensus.tick(now);
        self.expire_sessions(now);
        self.tend_locks(now);
        self.tend_transfers(now);
    }

    /// Works on what was taken, within a budget, and puts out what is to be done.
    pub fn flush(&mut self, now: Now, out: &mut Vec<Output>) {
        if !self.stopped {
            self.consult(now);
            self.apply(now);
            self.run_sessions(now);
            self.tend_checkpoint();
            self.prepare_snapshot(now);
            self.collect();
            self.consult(now);
            self.release();
            self.note_state(now);
            self.speak(now);
        }
        self.count();
        out.append(&mut self.out);
    }

    /// Lets consensus do what is due, and hears what it says.
    fn consult(&mut self, now: Now) {
        let mut effects = std::mem::take(&mut self.effects);
        self.consensus.flush(now, &mut effects);
        for effect in effects.drain(..) {
            self.hear(now, effect);
        }
        self.effects = effects;
    }

    /// Says to the others what all of this step led to.
    fn speak(&mut self, now: Now) {
        let mut effects = std::mem::take(&mut self.effects);
        self.consensus.frames(&mut effects);
        for effect in effects.drain(..) {
            self.hear(now, effect);
        }
        self.effects = effects;
    }

    fn hear(&mut self, now: Now, effect: Effect) {
        match effect {
            Effect::Send { .. } | Effect::Committed { .. } if self.refused_entry.is_some() => {}
            Effect::Send { to, lane, frame } => self.out.push(Output::Send { to, lane, bytes: frame }),
            Effect::Persist(persist) => self.out.push(Output::Persist(persist)),
            Effect::Committed { index, term, group } => {
                if zoo::on(Bug::AckBeforeApply) {
                    self.acknowledge_unapplied(&group);
                }
                self.queue.push_back(Committed { index, term, group });
            }
            Effect::Unresolved { id, sent } => self.unresolved(id, sent),
            Effect::ReadIndex { round, index } => self.read_index_known(round, index),
            Effect::PeerApplied { slot, index, chain } => self.compare_chains(slot, index, chain),
            Effect::SnapshotOffered { from, index, term } => self.snapshot_offered(now, from, index, term),
            Effect::SnapshotInstalled { index } => self.snapshot_installed(index),
            Effect::SnapshotFetch { from, index, cursor } => self.snapshot_fetch(now, from, index, &cursor),
            Effect::SnapshotChunk { from, index, cursor, chunk } => {
                self.snapshot_chunk(now, from, index, &cursor, &chunk);
            }
            Effect::SnapshotGone { from, index } => self.snapshot_gone(from, index),
            Effect::Reseed { why } => self.stop(Stop::Reseed { why }),
            Effect::Event(event) => self.event(Event::Consensus(event)),
        }
    }

    /// The epoch of this start, whether or not it is on the disk yet; for proofs of death there is `Status::epoch`.
    pub fn epoch(&self) -> plait_base::BootEpoch {
        self.consensus.epoch()
    }

    /// This node is about to end: if it leads, somebody else is asked to. Until [`hands_over`](Self::hands_over) says
    /// no it is better to stay.
    pub fn resign(&mut self) {
        self.consensus.hand_over(Index::ZERO, "it is about to end");
    }

    pub fn hands_over(&self) -> bool {
        self.consensus.hands_over()
    }

    /// The entry that was being applied when the machine panicked, if it was applying one.
    pub fn at_work(&self) -> Option<Index> {
        self.at_work
    }

    /// Whether a read may be served here and now; if not, why.
    pub(crate) fn may_read(&self, now: Now) -> Result<(), String> {
        match self.refused_entry {
            Some(index) => Err(format!(
                "entry {index} of the log ended this node's process twice and is not tried again; its events (`panic`) \
                 say how. Start a build that can apply it, or wipe this node while the two others serve"
            )),
            None => self.consensus.may_read(now, Strand::Store).map_err(str::to_owned),
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        if matches!(event, Event::Consensus(plait_consensus::Event::Elected { .. })) {
            self.counters.elections += 1;
        }
        if matches!(event, Event::Consensus(plait_consensus::Event::LeaseRefused { .. })) {
            self.counters.lease_refusals += 1;
        }
        self.out.push(Output::Event(event));
    }

    pub(crate) fn stop(&mut self, stop: Stop) {
        if !self.stopped {
            self.stopped = true;
            self.out.push(Output::Stop(stop));
        }
    }

    /// Drops row versions that no session, checkpoint or snapshot can see any more.
    fn collect(&mut self) {
        let applied = self.store.applied();
        let oldest = [
            self.sessions.oldest_snapshot(),
            self.checkpoints.snapshot(),
            self.prepared.as_ref().map(|p| p.seqno),
        ];
        let oldest = oldest.into_iter().flatten().fold(applied, plait_base::Seqno::min);
        let mut budget = self.config.limits.step_work_max;
        self.collecting = self.store.collect(oldest, &mut budget);
    }

    fn count(&mut self) {
        for output in &self.out {
            match output {
                Output::Send { bytes, .. } => {
                    self.counters.frames_sent += 1;
                    self.counters.frame_bytes_sent += bytes.len() as u64;
                }
                Output::Persist(_) => self.counters.persists += 1,
                _ => {}
            }
        }
    }

    fn has_work(&self) -> bool {
        !self.stopped
            && (self.applying.is_some()
                || !self.queue.is_empty()
                || self.sessions.has_runnable()
                || self.checkpoints.has_work()
                || self.collecting)
    }

    /// When the machine is to be stepped next at the latest; `Mono(0)` when it has work left and only yielded.
    pub fn deadline(&self) -> Mono {
        match () {
            _ if self.stopped => Mono::MAX,
            _ if self.has_work() => Mono(0),
            // Deadlines of replies and waits are far; the tick looks at them.
            _ => self.consensus.deadline(),
        }
    }

    /// One input and its flush.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        self.take(now, input);
        self.flush(now, out);
    }

    pub(crate) fn head(&self, index: Index, term: Term) -> Head {
        let members = self.consensus.members().expect("only a member has a head").clone();
        Head { index, term, members, verdicts: self.verdicts.clone(), store: self.store.head() }
    }

    pub(crate) fn transfer(&mut self, to: Slot, message: plait_consensus::Message) {
        self.consensus.transfer(to, message);
    }

    pub(crate) fn checkpoint(&mut self, op: kv::Op) {
        self.out.push(Output::Checkpoint(op));
    }
}

impl Machine for Replica {
    type Input = Input;
    type Output = Output;

    fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        Replica::step(self, now, input, out);
    }

    fn deadline(&self) -> Mono {
        Replica::deadline(self)
    }
}
