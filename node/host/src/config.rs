//! What a node is told: `node.toml`, then `--set key=value`, over the defaults.
//!
//! One table names every key with its meaning; reading, refusing a misspelt key, `plait-node config` and the
//! reference page are all made from it. A key that is not in the table is an error, with the nearest that is.

mod knobs;
mod setting;

pub use knobs::{KNOBS, Knob};
pub use setting::Setting;

use plait_base::{ClusterId, Index, Slot};
use plait_replica::{Limits, Reads};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a node is told.
#[derive(Debug, Clone)]
pub struct Config {
    pub cluster: ClusterId,
    pub slot: Slot,
    pub data_dir: PathBuf,
    /// From which the faults' and the redials' draws come. 0: made from the cluster's id.
    pub seed: u64,
    /// One factor over tick and lease.
    pub timing_scale: u32,
    /// Whether `PowerOff` is offered: unsynced writes are kept in memory and lost by it.
    pub power: bool,
    /// `env_logger`'s directives for the node's own log.
    pub log: String,
    pub listen: Listen,
    /// Where each slot's gRPC port is, this node's own included.
    pub peers: [String; 3],
    pub sql: Sql,
    /// How this node serves reads.
    pub reads: Reads,
    /// Transactions that begin here go by Galera's rules, and reads are local.
    pub galera_compat: bool,
    pub limits: Limits,
    pub host: Host,
    /// Forced recovery of a lost majority, by `plait-node bootstrap` alone; no key sets it.
    pub bootstrap: bool,
    /// The entry of the log that ended this process twice ([`crate::ended`]); no key sets it.
    pub avoid: Option<Index>,
    /// Which keys were set, and by what; the others have their default.
    pub origin: BTreeMap<&'static str, &'static str>,
}

/// The addresses of a node's doors; an empty one is shut.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Peers, administration and programs.
    pub grpc: String,
    /// `/metrics`, `/livez`, `/readyz`.
    pub http: String,
    /// MySQL clients.
    pub sql: String,
}

#[derive(Debug, Clone)]
pub struct Sql {
    /// The one database's name.
    pub database: String,
    /// Passwords by user.
    pub users: BTreeMap<String, String>,
}

/// Bounds and spans of the host itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    pub inbox_max: usize,
    pub wake_inputs_max: usize,
    pub disk_queue_bytes_max: u64,
    pub peer_frame_bytes_max: usize,
    pub peer_queue_frames_max: usize,
    pub peer_queue_bytes_max: usize,
    pub peer_connect_timeout: Duration,
    pub peer_backoff_min: Duration,
    pub peer_backoff_max: Duration,
    pub peer_keepalive_interval: Duration,
    pub peer_keepalive_timeout: Duration,
    pub greeting_timeout: Duration,
    pub grpc_connections_max: usize,
    pub grpc_inflight_max: usize,
    pub grpc_message_bytes_max: usize,
    pub http_connections_max: usize,
    pub sql_connections_max: usize,
    pub sql_packet_bytes_max: usize,
    pub sql_login_timeout: Duration,
    pub shutdown_timeout: Duration,
    pub answer_timeout: Duration,
    pub checkpoint_bytes_per_s: u64,
    pub checkpoint_cache_bytes: u64,
    pub events_file_bytes_max: u64,
    pub events_files_max: u32,
    pub events_ring_max: usize,
    pub flow_bytes_max: usize,
}

impl Default for Host {
    fn default() -> Host {
        Host {
            inbox_max: 4096,
            wake_inputs_max: 4096,
            disk_queue_bytes_max: 64 << 20,
            peer_frame_bytes_max: 80 << 20,
            peer_queue_frames_max: 4096,
            peer_queue_bytes_max: 96 << 20,
            peer_connect_timeout: Duration::from_millis(500),
            peer_backoff_min: Duration::from_millis(20),
            peer_backoff_max: Duration::from_millis(500),
            peer_keepalive_interval: Duration::from_secs(1),
            peer_keepalive_timeout: Duration::from_secs(2),
            greeting_timeout: Duration::from_secs(2),
            grpc_connections_max: 1024,
            grpc_inflight_max: 1024,
            grpc_message_bytes_max: 64 << 20,
            http_connections_max: 256,
            sql_connections_max: 4096,
            sql_packet_bytes_max: 64 << 20,
            sql_login_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(2),
            checkpoint_bytes_per_s: 32 << 20,
            checkpoint_cache_bytes: 8 << 20,
            events_file_bytes_max: 64 << 20,
            events_files_max: 4,
            events_ring_max: 8192,
            flow_bytes_max: 8 << 20,
        }
    }
}

impl Default for Config {
    /// Without a cluster, a directory or a port: those have no default.
    fn default() -> Config {
        Config {
            cluster: ClusterId([0; 16]),
            slot: Slot::ALL[0],
            data_dir: PathBuf::new(),
            seed: 0,
            timing_scale: 1,
            power: false,
            log: "info".to_owned(),
            listen: Listen { grpc: String::new(), http: String::new(), sql: String::new() },
            peers: [const { String::new() }; 3],
            sql: Sql {
                database: "shop".to_owned(),
                users: BTreeMap::from([("plait".into(), "plait".into())]),
            },
            reads: Reads::default(),
            galera_compat: false,
            limits: Limits::default(),
            host: Host::default(),
            bootstrap: false,
            avoid: None,
            origin: BTreeMap::new(),
        }
    }
}

/// Why a configuration is refused; three parts in one text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the configuration is not TOML: {why}; correct it, or write a fresh one with `plait up`")]
    Toml { why: String },
    #[error("there is no key `{key}`{}; `plait-node config --keys` lists all", hint(near))]
    UnknownKey { key: String, near: Option<String> },
    #[error("`{key}` can't be `{value}`: {why}")]
    Value { key: String, value: String, why: String },
    #[error("`{key}` is not set, and it has no default: set it in the file, or with --set {key}=…")]
    Missing { key: &'static str },
    #[error("`--set {text}` has no `=`; write --set key=value")]
    NoEquals { text: String },
}

fn hint(near: &Option<String>) -> String {
    near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

impl Config {
    /// Reads a file's text and then the `--set` flags, and checks that nothing is missing.
    pub fn read(text: &str, sets: &[String]) -> Result<Config, Error> {
        let mut config = Config::default();
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| Error::Toml { why: error.to_string().trim().to_owned() })?;
        let mut flat = Vec::new();
        flatten("", &table, &mut flat);
        for (key, value) in flat {
            config.set(&key, &value, "file")?;
        }
        for set in sets {
            let (key, value) = set.split_once('=').ok_or_else(|| Error::NoEquals { text: set.clone() })?;
            config.set(key.trim(), value.trim(), "flag")?;
        }
        config.complete()
    }

    /// Sets one key from text.
    pub fn set(&mut self, key: &str, value: &str, origin: &'static str) -> Result<(), Error> {
        if let Some(user) = key.strip_prefix("sql.users.").filter(|user| !user.is_empty()) {
            // The first user that is named takes the place of the default one.
            if self.origin.insert("sql.users", origin).is_none() {
                self.sql.users.clear();
            }
            self.sql.users.insert(user.to_owned(), value.to_owned());
            return Ok(());
        }
        let knob = KNOBS
            .iter()
            .find(|knob| knob.key == key)
            .ok_or_else(|| Error::UnknownKey { key: key.to_owned(), near: nearest(key) })?;
        (knob.set)(self, value).map_err(|why| Error::Value {
            key: key.to_owned(),
            value: value.to_owned(),
            why,
        })?;
        self.origin.insert(knob.key, origin);
        Ok(())
    }

    fn complete(self) -> Result<Config, Error> {
        let needed = ["cluster", "slot", "data_dir", "listen.grpc", "peers.n1", "peers.n2", "peers.n3"];
        match needed.into_iter().find(|key| !self.origin.contains_key(key)) {
            Some(key) => Err(Error::Missing { key }),
            None => Ok(self),
        }
    }

    /// The limits with the timing scale worked in.
    pub fn scaled_limits(&self) -> Limits {
        self.limits.clone().scaled(self.timing_scale)
    }

    /// The seed, or the cluster's own where none is set.
    pub fn seed(&self) -> u64 {
        if self.seed != 0 { self.seed } else { plait_base::Digest::of(&[b"seed", &self.cluster.0]).short() }
    }
}

/// Turns nested tables into dotted keys, in the file's order.
fn flatten(prefix: &str, table: &toml::Table, out: &mut Vec<(String, String)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, out),
            toml::Value::String(text) => out.push((key, text.clone())),
            toml::Value::Array(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                out.push((key, items.join(",")));
            }
            other => out.push((key, other.to_string())),
        }
    }
}

/// The known key with the fewest edits to this one, if they are few.
fn nearest(key: &str) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    KNOBS
        .iter()
        .map(|knob| (edits(key, knob.key).min(edits(&last(key), &last(knob.key)) + 1), knob.key))
        .min()
        .filter(|(edits, _)| *edits <= 1 + key.len() / 4)
        .map(|(_, key)| key.to_owned())
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
