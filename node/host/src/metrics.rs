//! Figures in Prometheus' text form. Names begin with `plait_`; times are in seconds, counters end in `_total`.

use crate::inbox::Account;
use crate::peers;
use plait_base::Slot;
use plait_replica::Lane;
use std::fmt::Write;
use std::time::Duration;

/// Upper bounds of the step histogram's buckets, in microseconds.
const STEP_BOUNDS_US: [u64; 14] =
    [10, 25, 50, 100, 250, 500, 1000, 2000, 5000, 10_000, 25_000, 50_000, 100_000, 1_000_000];

/// How long wakes of the machine took.
#[derive(Debug, Default, Clone)]
pub struct Steps {
    buckets: [u64; STEP_BOUNDS_US.len()],
    count: u64,
    sum_us: u64,
    inputs: u64,
    /// The longest that a tick came late.
    late_max_us: u64,
}

impl Steps {
    pub fn note(&mut self, took: Duration, inputs: usize) {
        let us = took.as_micros() as u64;
        if let Some(bucket) = STEP_BOUNDS_US.iter().position(|bound| us <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum_us += us;
        self.inputs += inputs as u64;
    }

    pub fn late(&mut self, late: Duration) {
        self.late_max_us = self.late_max_us.max(late.as_micros() as u64);
    }
}

/// All that a scrape shows.
pub struct Scrape<'a> {
    pub account: &'a Account,
    pub steps: &'a Steps,
    pub links: Vec<(Slot, Lane, peers::Figures)>,
    pub lost: Vec<(Slot, u64)>,
    pub events: (u64, u64),
    pub lines_dropped: u64,
    pub waiting: usize,
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP plait_{name} {help}\n# TYPE plait_{name} {kind}")
            .expect("a string takes all");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        writeln!(self.0, "plait_{name}{labels} {value}").expect("a string takes all");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }
}

impl Scrape<'_> {
    pub fn text(&self) -> String {
        let mut text = Text(String::with_capacity(8192));
        self.machine(&mut text);
        self.host(&mut text);
        text.0
    }

    fn machine(&self, text: &mut Text) {
        let s = &self.account.status;
        let c = &s.counters;
        let ready = u8::from(self.account.unready().is_none());
        let gauges: [(&str, u64, &str); 15] = [
            ("ready", ready.into(), "1 if the node takes traffic"),
            ("state", s.state as u64, "Galera's wsrep_local_state"),
            (
                "leader",
                s.leader.map_or(0, |slot| slot.get().into()),
                "slot of the leader this node knows, or 0",
            ),
            ("term", s.term, "Raft's term"),
            ("commit_index", s.commit_index, "newest committed entry"),
            ("applied_index", s.applied_index, "newest applied entry"),
            ("stable_index", s.stable_index, "newest entry that every node with a lease has applied"),
            ("log_first_index", s.log_first_index, "oldest entry in the log"),
            ("log_bytes", s.log_bytes, "bytes of log since the last checkpoint"),
            ("seqno", s.seqno.0, "newest applied operation"),
            ("lease_usable", u64::from(s.lease_until.is_some()), "1 with a usable lease"),
            ("sessions", s.sessions as u64, "sessions that the machine keeps"),
            ("proposals", s.proposals as u64, "proposals of this node that wait for a verdict"),
            ("checkpoint_generation", s.checkpoint_generation, "newest checkpoint that was read back"),
            ("checkpoint_seqno", s.checkpoint_seqno.0, "its position"),
        ];
        for (name, value, help) in gauges {
            text.one(name, "gauge", help, value);
        }
        let counters: [(&str, u64, &str); 17] = [
            ("local_commits_total", c.local_commits, "write-sets of this node that were certified"),
            (
                "local_cert_failures_total",
                c.local_cert_failures,
                "write-sets of this node that lost certification",
            ),
            ("local_replays_total", c.local_replays, "times that a transaction that lost was replayed"),
            ("replicated_total", c.replicated, "write-sets proposed here"),
            ("replicated_bytes_total", c.replicated_bytes, "their bytes"),
            ("received_total", c.received, "operations applied here that other nodes proposed"),
            ("received_bytes_total", c.received_bytes, "their bytes"),
            ("unknown_total", c.unknown, "transactions answered with unknown"),
            ("elections_total", c.elections, "elections this node saw won"),
            ("entries_applied_total", c.entries_applied, "entries of the log applied"),
            ("persists_total", c.persists, "log writes that the machine asked for"),
            ("frames_sent_total", c.frames_sent, "frames to peers that the machine put out"),
            ("frame_bytes_sent_total", c.frame_bytes_sent, "their bytes"),
            ("checkpoints_total", c.checkpoints, "checkpoints that were read back"),
            ("snapshots_sent_total", c.snapshots_sent, "snapshots sent to a joiner"),
            ("snapshots_received_total", c.snapshots_received, "snapshots received"),
            ("lease_refusals_total", c.lease_refusals, "leases refused"),
        ];
        for (name, value, help) in counters {
            text.one(name, "counter", help, value);
        }
    }

    fn host(&self, text: &mut Text) {
        let disk = &self.account.disk;
        text.one("requests_total", "counter", "requests taken from clients", self.account.requests);
        text.one("requests_waiting", "gauge", "requests that wait for their answer", self.waiting);
        text.one("disk_syncs_total", "counter", "fdatasync and fsync calls for the log", disk.syncs);
        text.one(
            "disk_groups_total",
            "counter",
            "groups of log writes that became durable together",
            disk.groups,
        );
        text.one("disk_persists_total", "counter", "log writes done", disk.persists);
        text.one("disk_bytes_total", "counter", "bytes of log written", disk.bytes);
        text.one(
            "disk_busy_seconds_total",
            "counter",
            "time that groups took to write and sync",
            seconds(disk.busy_us),
        );
        text.one("disk_queued_bytes", "gauge", "bytes that wait for the log's disk", disk.queued_bytes);
        text.one("events_total", "counter", "state events", self.events.0);
        text.one("flow_events_total", "counter", "per-transaction events", self.events.1);
        text.one(
            "lines_dropped_total",
            "counter",
            "log and event lines that found their queue full",
            self.lines_dropped,
        );
        text.one(
            "uptime_seconds",
            "gauge",
            "since this process opened its state",
            self.account.uptime_ms as f64 / 1e3,
        );
        text.one(
            "tick_late_max_seconds",
            "gauge",
            "the longest that a tick came late",
            seconds(self.steps.late_max_us),
        );
        text.one("inputs_total", "counter", "inputs that the machine took", self.steps.inputs);

        text.head("peer_up", "gauge", "1 if all connections with the peer are open");
        for slot in Slot::ALL.into_iter().filter(|slot| *slot != self.account.slot) {
            let up = u8::from(self.account.peers[slot.at()].up);
            text.line("peer_up", &format!("{{peer=\"{slot}\"}}"), up);
        }
        type Of = fn(&peers::Figures) -> u64;
        let lanes: [(&str, Of, &str); 5] = [
            ("peer_frames_total", |f| f.frames, "frames handed to a connection"),
            ("peer_bytes_total", |f| f.bytes, "their bytes"),
            ("peer_overrun_total", |f| f.overrun, "frames dropped at a full queue"),
            ("peer_disconnected_total", |f| f.disconnected, "frames dropped for want of a connection"),
            ("peer_connects_total", |f| f.connects, "connections made"),
        ];
        for (name, of, help) in lanes {
            text.head(name, "counter", help);
            for (to, lane, figures) in &self.links {
                let lane = format!("{lane:?}").to_lowercase();
                text.line(name, &format!("{{peer=\"{to}\",lane=\"{lane}\"}}"), of(figures));
            }
        }
        text.head("fault_lost_frames_total", "counter", "frames that a fault took");
        for (to, lost) in &self.lost {
            text.line("fault_lost_frames_total", &format!("{{peer=\"{to}\"}}"), lost);
        }

        text.head(
            "step_seconds",
            "histogram",
            "one wake of the machine: inputs taken, flushed, outputs done",
        );
        let mut below = 0;
        for (bound, count) in STEP_BOUNDS_US.iter().zip(self.steps.buckets) {
            below += count;
            text.line("step_seconds_bucket", &format!("{{le=\"{}\"}}", seconds(*bound)), below);
        }
        text.line("step_seconds_bucket", "{le=\"+Inf\"}", self.steps.count);
        text.line("step_seconds_sum", "", seconds(self.steps.sum_us));
        text.line("step_seconds_count", "", self.steps.count);
    }
}
