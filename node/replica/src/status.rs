//! A node's account of itself: by its own names, and by Galera's.

use crate::api::{Config, Counters, State, Status};
use crate::event::Event;
use crate::node::Replica;
use plait_base::Now;
use plait_consensus::{Consensus, Strand};
use plait_store::{ColumnHead, ColumnType, Reply, Rows, StepResult, Store, Value};

impl State {
    /// Galera's `wsrep_local_state_comment`.
    pub fn word(self) -> &'static str {
        match self {
            State::Initialized => "Initialized",
            State::Joining => "Joining",
            State::Joined => "Joined",
            State::Synced => "Synced",
        }
    }
}

impl Replica {
    fn state_now(&self, now: Now) -> State {
        if self.consensus.member().is_none() || self.incoming.is_some() {
            return State::Joining;
        }
        if self.may_read(now).is_ok() {
            return State::Synced;
        }
        if self.refused_entry.is_some() {
            return State::Initialized;
        }
        match self.consensus.leader() {
            Some(_) => State::Joined,
            None => State::Initialized,
        }
    }

    pub(crate) fn note_state(&mut self, now: Now) {
        let state = self.state_now(now);
        if state != self.state {
            self.state = state;
            self.event(Event::StateChanged { state: state.word() });
        }
    }

    /// The newest stable index that this node knows of; the simulator looks whenever it moves.
    pub fn stable_index(&self) -> u64 {
        self.consensus.stable(Strand::Store).0
    }

    pub fn status(&self, now: Now) -> Status {
        let newest = self.checkpoints.newest();
        let members = self.consensus.members();
        Status {
            member: self.consensus.member(),
            epoch: self.consensus.durable_epoch(),
            state: self.state_now(now),
            term: self.consensus.term().0,
            leader: self.consensus.leader(),
            voters: members.map(|m| m.voters.clone()).unwrap_or_default(),
            learners: members.map(|m| m.learners.clone()).unwrap_or_default(),
            commit_index: self.consensus.commit().0,
            applied_index: self.consensus.applied_index().0,
            durable_index: self.consensus.durable_index().0,
            stable_index: self.consensus.stable(Strand::Store).0,
            log_first_index: self.consensus.first_index().0,
            log_bytes: self.consensus.log_bytes(),
            seqno: self.store.applied(),
            // In the middle of an entry the store's own chain is already ahead of the published seqno.
            chain: show(self.history.chain()),
            refused_entry: self.refused_entry,
            reads: self.config.reads,
            lease_until: self.consensus.lease_until(now, Strand::Store),
            sessions: self.sessions.len(),
            proposals: self.consensus.waiting(),
            checkpoint_generation: newest.map_or(0, |g| g.number),
            checkpoint_seqno: newest.map(|g| g.seqno).unwrap_or_default(),
            counters: self.counters.clone(),
        }
    }

    /// What a forced recovery has to remove is not all removed yet, or a restart could still go by the members of old.
    pub fn recovering(&self) -> bool {
        self.consensus.recovering()
    }

    pub(crate) fn status_rows(&self, now: Now) -> Reply {
        let rows =
            self.status(now).rows().into_iter().map(|(n, v)| vec![Value::Text(n.to_owned()), Value::Text(v)]);
        let text = ColumnType::Text { chars_max: 1024 };
        let column = |name: &str| ColumnHead { name: name.to_owned(), kind: text, ..ColumnHead::default() };
        let rows =
            Rows { columns: vec![column("name"), column("value")], rows: rows.collect::<Vec<_>>().into() };
        Reply { results: vec![StepResult::Rows(rows)], ..Reply::default() }
    }
}

impl Status {
    /// Every field under its name.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let list =
            |m: &[plait_base::MemberId]| m.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let c = &self.counters;
        vec![
            ("member", self.member.map_or("none".to_owned(), |m| m.to_string())),
            ("epoch", format!("{:x}", self.epoch.0)),
            ("state", self.state.word().to_owned()),
            ("term", self.term.to_string()),
            ("leader", self.leader.map_or("none".to_owned(), |s| s.to_string())),
            ("voters", list(&self.voters)),
            ("learners", list(&self.learners)),
            ("commit_index", self.commit_index.to_string()),
            ("applied_index", self.applied_index.to_string()),
            ("durable_index", self.durable_index.to_string()),
            ("stable_index", self.stable_index.to_string()),
            ("log_first_index", self.log_first_index.to_string()),
            ("log_bytes", self.log_bytes.to_string()),
            ("seqno", self.seqno.to_string()),
            ("chain", self.chain.clone()),
            ("refused_entry", self.refused_entry.map_or("none".to_owned(), |index| index.0.to_string())),
            ("read", self.reads.word().to_owned()),
            ("lease", if self.lease_until.is_some() { "usable" } else { "none" }.to_owned()),
            ("sessions", self.sessions.to_string()),
            ("proposals", self.proposals.to_string()),
            ("checkpoint_generation", self.checkpoint_generation.to_string()),
            ("checkpoint_seqno", self.checkpoint_seqno.to_string()),
            ("local_commits", c.local_commits.to_string()),
            ("local_cert_failures", c.local_cert_failures.to_string()),
            ("local_replays", c.local_replays.to_string()),
            ("replicated", c.replicated.to_string()),
            ("replicated_bytes", c.replicated_bytes.to_string()),
            ("received", c.received.to_string()),
            ("received_bytes", c.received_bytes.to_string()),
            ("unknown", c.unknown.to_string()),
            ("elections", c.elections.to_string()),
            ("entries_applied", c.entries_applied.to_string()),
            ("persists", c.persists.to_string()),
            ("frames_sent", c.frames_sent.to_string()),
            ("frame_bytes_sent", c.frame_bytes_sent.to_string()),
            ("checkpoints", c.checkpoints.to_string()),
            ("snapshots_sent", c.snapshots_sent.to_string()),
            ("snapshots_received", c.snapshots_received.to_string()),
            ("lease_refusals", c.lease_refusals.to_string()),
        ]
    }
}

/// What `SHOW STATUS LIKE 'wsrep_%'` says. Names and meanings as in Galera's documentation of its status variables.
/// `open`: sessions, and those of them with a transaction.
pub(crate) fn wsrep_rows(
    config: &Config,
    consensus: &Consensus,
    counters: &Counters,
    store: &Store,
    chain: u64,
    state: State,
    open: (usize, usize),
) -> Vec<(String, String)> {
    let on = |yes: bool| if yes { "ON" } else { "OFF" }.to_owned();
    let size = consensus.members().map_or(0, |m| m.voters.len());
    let primary = consensus.leader().is_some() && state >= State::Joined;
    let status = match state {
        _ if primary => "Primary",
        State::Joining => "Disconnected",
        _ => "non-Primary",
    };
    let role = match () {
        _ if consensus.leads() => "leader",
        _ if consensus.leader().is_some() => "follower",
        _ => "candidate",
    };
    let list: [(&str, String); 30] = [
        ("wsrep_ready", on(state == State::Synced)),
        ("wsrep_connected", on(consensus.leader().is_some())),
        ("wsrep_cluster_status", status.to_owned()),
        ("wsrep_cluster_size", if primary { size } else { 1 }.to_string()),
        ("wsrep_cluster_weight", if primary { size } else { 0 }.to_string()),
        ("wsrep_cluster_conf_id", consensus.members().map_or(0, |m| m.at.0).to_string()),
        ("wsrep_cluster_state_uuid", config.cluster.to_string()),
        ("wsrep_local_state_uuid", config.cluster.to_string()),
        ("wsrep_local_state", (state as u8).to_string()),
        ("wsrep_local_state_comment", state.word().to_owned()),
        ("wsrep_local_index", (config.slot.at()).to_string()),
        ("wsrep_gcomm_uuid", consensus.member().map_or("none".to_owned(), |m| m.to_string())),
        ("wsrep_last_committed", store.applied().to_string()),
        ("wsrep_replicated", counters.replicated.to_string()),
        ("wsrep_replicated_bytes", counters.replicated_bytes.to_string()),
        ("wsrep_received", counters.received.to_string()),
        ("wsrep_received_bytes", counters.received_bytes.to_string()),
        ("wsrep_local_commits", counters.local_commits.to_string()),
        ("wsrep_local_cert_failures", counters.local_cert_failures.to_string()),
        ("wsrep_local_replays", counters.local_replays.to_string()),
        ("wsrep_local_send_queue", consensus.waiting().to_string()),
        ("wsrep_local_recv_queue", (consensus.commit().0 - consensus.applied_index().0).to_string()),
        ("wsrep_open_connections", open.0.to_string()),
        ("wsrep_open_transactions", open.1.to_string()),
        ("wsrep_evs_state", format!("{role}/term {}", consensus.term())),
        ("wsrep_local_cached_downto", consensus.first_index().to_string()),
        ("wsrep_state_hash", show(chain)),
        ("wsrep_provider_name", "Plait".to_owned()),
        ("wsrep_provider_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("wsrep_protocol_version", plait_base::FORMAT.to_string()),
    ];
    list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A shortened hash chain as a `Digest` shows itself.
fn show(chain: u64) -> String {
    format!("{:016x}", chain.swap_bytes())
}
