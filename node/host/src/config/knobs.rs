//! The table of keys: one line a key, with what it bounds or sets.

use super::{Config, Setting};

/// One key of `node.toml`.
pub struct Knob {
    pub key: &'static str,
    pub about: &'static str,
    pub kind: &'static str,
    pub get: fn(&Config) -> String,
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
}

fn put<T: Setting>(place: &mut T, text: &str) -> Result<(), String> {
    *place = T::read(text).ok_or_else(|| format!("it must be {}", T::KIND))?;
    Ok(())
}

fn kind<T: Setting>(_: fn(&Config) -> &T) -> &'static str {
    T::KIND
}

macro_rules! knobs {
    ($($key:literal $($place:ident).+ $([$at:literal])? : $about:literal;)*) => {
        /// Every key, in the order in which it is shown. Users are apart: `sql.users.NAME = "password"`.
        pub static KNOBS: std::sync::LazyLock<Vec<Knob>> = std::sync::LazyLock::new(|| vec![$(Knob {
            key: $key,
            about: $about,
            kind: kind(|config| &config.$($place).+ $([$at])?),
            get: |config| config.$($place).+ $([$at])?.show(),
            set: |config, text| put(&mut config.$($place).+ $([$at])?, text),
        }),*]);
    };
}

knobs! {
    "cluster" cluster: "names the cluster; made once by `plait up`";
    "slot" slot: "which node this is";
    "data_dir" data_dir: "where it keeps its files";
    "seed" seed: "of the draws of faults and redials; 0 = from the cluster's id";
    "timing_scale" timing_scale: "one factor over tick and lease, for machines so busy that a tick may be late";
    "power" power: "offer power-off: lose what was not synced, as a power cut would";
    "log" log: "which lines the node's own log has, as in info or plait_host=debug";
    "listen.grpc" listen.grpc: "address for peers, administration and programs";
    "listen.http" listen.http: "address of /metrics, /livez and /readyz; empty = shut";
    "listen.sql" listen.sql: "address for MySQL clients; empty = shut";
    "peers.n1" peers[0]: "where n1's gRPC door is";
    "peers.n2" peers[1]: "where n2's gRPC door is";
    "peers.n3" peers[2]: "where n3's gRPC door is";
    "read" reads: "how reads are served: lease (no round trip, never stale), index (one round trip, never stale), local (may be old)";
    "galera_compat" galera_compat: "transactions that begin here go by Galera's rules: lost updates, write skew, stale reads, for a lesson";
    "sql.database" sql.database: "name of the one database";

    "limits.tick" limits.tick: "one tick of the machine; other spans are multiples of it";
    "limits.election_ticks" limits.election_ticks: "election time-outs of the three slots, in ticks";
    "limits.heartbeat_ticks" limits.heartbeat_ticks: "ticks between heartbeats";
    "limits.lease" limits.lease: "how long a lease runs on its holder's clock";
    "limits.clock_drift_per_mille" limits.clock_drift_per_mille: "bound on the ratio of two clocks' rates";
    "limits.lease_lag_max" limits.lease_lag_max: "entries a node may lag and still be granted a lease";
    "limits.lease_late_max" limits.lease_late_max: "how late a node may always be and still be granted a lease";
    "limits.commit_timeout" limits.commit_timeout: "how long a verdict is waited for";
    "limits.stable_timeout" limits.stable_timeout: "how long a reply waits for the stable index";
    "limits.lease_timeout" limits.lease_timeout: "how long a request waits for a usable lease";
    "limits.lock_timeout" limits.lock_timeout: "how long a node is silent before the leader gives its named locks away";
    "limits.proposals_max" limits.proposals_max: "proposals of this node that wait for a verdict";
    "limits.entry_bytes_max" limits.entry_bytes_max: "bytes of proposals in one entry of the log";
    "limits.checkpoint_log_bytes" limits.checkpoint_log_bytes: "bytes of log that ask for a checkpoint";
    "limits.segment_bytes" limits.segment_bytes: "bytes of one segment of the log";
    "limits.chunk_bytes" limits.chunk_bytes: "bytes of one snapshot chunk";
    "limits.step_work_max" limits.step_work_max: "units of work between two looks at what is more urgent";
    "limits.sessions_max" limits.sessions_max: "sessions of this node";
    "limits.store.tombstone_seqnos_max" limits.store.tombstone_seqnos_max: "seqnos a tombstone is kept (alike on all nodes)";
    "limits.store.tombstone_bytes_max" limits.store.tombstone_bytes_max: "bytes of kept tombstones' keys (alike on all nodes)";
    "limits.store.writeset_bytes_max" limits.store.writeset_bytes_max: "bytes of one write-set (alike on all nodes)";
    "limits.store.id_block" limits.store.id_block: "ids that a slot reserves at a time (alike on all nodes)";

    "host.inbox_max" host.inbox_max: "inputs of one kind that wait for the machine; beyond it the sender waits";
    "host.wake_inputs_max" host.wake_inputs_max: "inputs taken before what they cause is done";
    "host.disk_queue_bytes_max" host.disk_queue_bytes_max: "bytes that wait for the log's disk; beyond it no request is taken";
    "host.peer_frame_bytes_max" host.peer_frame_bytes_max: "bytes of one frame between nodes; more than a write-set";
    "host.peer_queue_frames_max" host.peer_queue_frames_max: "frames that wait for one peer and lane; the oldest goes first";
    "host.peer_queue_bytes_max" host.peer_queue_bytes_max: "their bytes";
    "host.peer_connect_timeout" host.peer_connect_timeout: "how long connecting to a peer may take";
    "host.peer_backoff_min" host.peer_backoff_min: "pause after the first failed connect; doubled up to";
    "host.peer_backoff_max" host.peer_backoff_max: "this, with a jitter of half";
    "host.peer_keepalive_interval" host.peer_keepalive_interval: "HTTP/2 pings on a connection between nodes";
    "host.peer_keepalive_timeout" host.peer_keepalive_timeout: "how long a ping's answer may take";
    "host.greeting_timeout" host.greeting_timeout: "how long a new connection may stay silent";
    "host.grpc_connections_max" host.grpc_connections_max: "connections to the gRPC door, without the peers'";
    "host.grpc_inflight_max" host.grpc_inflight_max: "requests under way in one client stream";
    "host.grpc_message_bytes_max" host.grpc_message_bytes_max: "bytes of one request of a client";
    "host.http_connections_max" host.http_connections_max: "connections to the HTTP door";
    "host.sql_connections_max" host.sql_connections_max: "connections to the SQL door (1040 beyond it)";
    "host.sql_packet_bytes_max" host.sql_packet_bytes_max: "max_allowed_packet";
    "host.sql_login_timeout" host.sql_login_timeout: "how long a login may take";
    "host.shutdown_timeout" host.shutdown_timeout: "how long an ordered end waits for what is in flight";
    "host.answer_timeout" host.answer_timeout: "how long an edge waits for the node's own account of itself";
    "host.checkpoint_bytes_per_s" host.checkpoint_bytes_per_s: "rate at which a checkpoint is written; 0 = no bound";
    "host.checkpoint_cache_bytes" host.checkpoint_cache_bytes: "memory of the checkpoint store while it is open";
    "host.events_file_bytes_max" host.events_file_bytes_max: "bytes of events.ndjson before it is rotated";
    "host.events_files_max" host.events_files_max: "how many of them are kept";
    "host.events_ring_max" host.events_ring_max: "state events kept in memory";
    "host.flow_bytes_max" host.flow_bytes_max: "memory for the latest per-transaction events";
}
