//! One node put together: its doors are opened, its state is read, its tasks run, and it ends in order.

use crate::clock::{Clock, Shifted};
use crate::config::Config;
use crate::disk::{Checkpoints, Done, Files};
use crate::drive::{Drive, Parts};
use crate::edge::accept::Door;
use crate::edge::admin::AdminDoor;
use crate::edge::client::ClientDoor;
use crate::edge::http::Http;
use crate::edge::mysql::MysqlDoor;
use crate::events::Events;
use crate::exit::Exit;
use crate::inbox::{Asked, Control, Doors, Inbox};
use crate::lines::Lines;
use crate::net::Net;
use crate::peers::{Link, Me, PeerDoor, Presence, Queue, keep};
use crate::shim::Shim;
use plait_base::Slot;
use plait_proto::admin::v1::admin_server::AdminServer;
use plait_proto::client::v1::client_server::ClientServer;
use plait_proto::peer::v1::peer_server::PeerServer;
use plait_replica::{Boot, Lane, OpenError, Replica};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::Server;

/// How often what is ready runs once more when the node ends, so that the last answers reach their sockets.
const LAST_ROUNDS: usize = 64;

/// What surrounds a node: real in a process, simulated in a test.
pub struct World<N: Net> {
    pub net: N,
    pub clock: Box<dyn Clock + Send>,
    pub files: Box<dyn Files>,
    pub checkpoints: Box<dyn Checkpoints>,
    /// Where both disks report.
    pub done: mpsc::UnboundedReceiver<Done>,
    /// Where state events are written; `None`: nowhere.
    pub lines: Option<Lines>,
    /// New at each start.
    pub nonce: u64,
}

/// The receiving ends that go with [`Doors`].
pub struct Queued {
    pub control: mpsc::Receiver<Control>,
    pub asked: mpsc::Receiver<Asked>,
}

/// The doors of a node that is not there yet, so that a signal has somewhere to go.
pub fn doors(config: &Config) -> (Doors, Queued) {
    let (doors, control, asked) = crate::inbox::doors(config.host.inbox_max);
    (doors, Queued { control, asked })
}

/// The listening sockets, opened before anything else, so that a taken port is found while nothing has happened.
struct Sockets<N: Net> {
    grpc: Door<N>,
    http: Option<Door<N>>,
    sql: Option<Door<N>>,
}

impl<N: Net> Sockets<N> {
    async fn open(config: &Config, net: &N) -> Result<Sockets<N>, Exit> {
        let host = &config.host;
        let open = async |at: &str, key: &str, max: usize, silence: Duration| {
            Door::open(net.clone(), at, max, silence).await.map_err(|error| {
                Exit::Environment(format!(
                    "can't listen at {at} (`listen.{key}`): {error}; end what holds the port (`ss -ltnp` names it) or \
                     choose another"
                ))
            })
        };
        let or_shut = async |at: &str, key: &str, max: usize, silence: Duration| match at {
            "" => Ok(None),
            at => open(at, key, max, silence).await.map(Some),
        };
        Ok(Sockets {
            grpc: open(&config.listen.grpc, "grpc", host.grpc_connections_max, host.greeting_timeout).await?,
            http: or_shut(&config.listen.http, "http", host.http_connections_max, host.greeting_timeout)
                .await?,
            sql: or_shut(&config.listen.sql, "sql", host.sql_connections_max, host.sql_login_timeout).await?,
        })
    }
}

/// Runs a node from its start to its end.
pub async fn run<N: Net>(config: Config, world: World<N>, doors: Doors, queued: Queued) -> Exit {
    let sockets = match Sockets::open(&config, &world.net).await {
        Ok(sockets) => sockets,
        Err(exit) => return exit,
    };
    let replica = match open(&config, &world) {
        Ok(replica) => replica,
        Err(exit) => return exit,
    };
    let status = replica.status(world.clock.now());
    let me = Arc::new(Me::new(config.cluster, config.slot));
    me.set_epoch(replica.epoch());

    let shim = Shim::new(config.seed(), config.slot);
    let (presence, presence_news) = Presence::new(shim.cuts());
    let (fast, fast_arrivals) = mpsc::channel(config.host.inbox_max);
    let (bulk, bulk_arrivals) = mpsc::channel(config.host.inbox_max);
    let queues = Slot::ALL.map(|to| {
        let queue =
            || Arc::new(Queue::new(config.host.peer_queue_frames_max, config.host.peer_queue_bytes_max));
        (to != config.slot).then(|| [queue(), queue(), queue()])
    });
    let lines = world.lines.clone();
    let mut events =
        Events::new(config.slot, config.host.events_ring_max, config.host.flow_bytes_max, world.lines);
    let member = status.member.map_or("none yet".to_owned(), |member| member.to_string());
    let started = vec![
        ("member", member),
        ("epoch", format!("{:x}", replica.epoch().0)),
        ("seqno", status.seqno.to_string()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    events.note(world.clock.now(), "process_started", started);

    let mut tasks = JoinSet::new();
    for to in config.slot.others() {
        for lane in Lane::ALL {
            let link = Link {
                net: world.net.clone(),
                me: me.clone(),
                to,
                lane,
                address: config.peers[to.at()].clone(),
                queue: queues[to.at()].as_ref().expect("another node has queues")[lane as usize - 1].clone(),
                presence: presence.clone(),
                cuts: shim.cuts(),
                bounds: config.host.clone(),
                seed: config.seed(),
            };
            tasks.spawn(keep(link));
        }
    }
    let peer = PeerDoor {
        me: me.clone(),
        presence: presence.clone(),
        fast,
        bulk,
        greeting_timeout: config.host.greeting_timeout,
    };
    serve(&config, sockets, peer, &doors, events.ring(), &mut tasks);

    let drive = Drive::new(Parts {
        slot: config.slot,
        replica,
        clock: Shifted { clock: world.clock, wall_us: 0 },
        files: world.files,
        checkpoints: world.checkpoints,
        events,
        queues,
        presence,
        shim,
        me,
        doors: doors.clone(),
        inbox: Inbox {
            control: queued.control,
            done: world.done,
            presence: presence_news,
            fast: fast_arrivals,
            bulk: bulk_arrivals,
            asked: queued.asked,
        },
        wake_inputs_max: config.host.wake_inputs_max,
        disk_queue_bytes_max: config.host.disk_queue_bytes_max,
        shutdown_timeout: config.host.shutdown_timeout,
        lines_dropped: Box::new(move || lines.as_ref().map_or(0, Lines::dropped)),
    });
    // A task like the others, and not the runtime's main future: waking it costs no system call.
    let exit = match tokio::spawn(drive.run()).await {
        Ok(exit) => exit,
        Err(error) => Exit::Bug(error.to_string()),
    };
    doors.drain();
    for _ in 0..LAST_ROUNDS {
        tokio::task::yield_now().await;
    }
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    exit
}

/// Reads the state. Nothing is changed if it can't be used.
fn open<N: Net>(config: &Config, world: &World<N>) -> Result<Replica, Exit> {
    let machine = plait_replica::Config {
        slot: config.slot,
        cluster: config.cluster,
        nonce: world.nonce,
        bootstrap: config.bootstrap,
        avoid: config.avoid,
        reads: config.reads,
        galera_compat: config.galera_compat,
        limits: config.scaled_limits(),
    };
    let boot = Boot { now: world.clock.now(), disk: world.files.stored(), kv: world.checkpoints.stored() };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Replica::open(machine, boot))) {
        Ok(Ok(replica)) => Ok(replica),
        Ok(Err(OpenError::Refused(why))) => Err(Exit::WrongState(format!(
            "{} can't be used: {why}; every file is as it was",
            config.data_dir.display()
        ))),
        Ok(Err(OpenError::Damaged(why))) => Err(Exit::Reseed(why)),
        Err(_) => Err(Exit::Bug("reading the state panicked (see above)".into())),
    }
}

/// Starts what serves the sockets.
fn serve<N: Net>(
    config: &Config,
    sockets: Sockets<N>,
    peer: PeerDoor,
    doors: &Doors,
    ring: crate::events::Ring,
    tasks: &mut JoinSet<()>,
) {
    let host = &config.host;
    let admin =
        AdminDoor { slot: config.slot, doors: doors.clone(), ring, answer_timeout: host.answer_timeout };
    let client = ClientDoor { doors: doors.clone(), inflight_max: host.grpc_inflight_max };
    let grpc = Server::builder()
        .initial_stream_window_size(crate::peers::WINDOW_BYTES)
        .initial_connection_window_size(crate::peers::WINDOW_BYTES)
        .max_frame_size(crate::peers::HTTP_FRAME_BYTES)
        .http2_keepalive_interval(Some(host.peer_keepalive_interval))
        .http2_keepalive_timeout(Some(host.peer_keepalive_timeout))
        .add_service(PeerServer::new(peer).max_decoding_message_size(host.peer_frame_bytes_max))
        .add_service(AdminServer::new(admin))
        .add_service(
            ClientServer::new(client)
                .max_decoding_message_size(host.grpc_message_bytes_max)
                .max_encoding_message_size(usize::MAX),
        );
    let connections = sockets.grpc.connections();
    tasks.spawn(async move {
        if let Err(error) = grpc.serve_with_incoming(connections).await {
            tracing::error!(%error, "the gRPC door closed");
        }
    });
    if let Some(door) = sockets.http {
        let http = Http { doors: doors.clone(), answer_timeout: host.answer_timeout };
        tasks.spawn(async move {
            if let Err(error) = axum::serve(door, http.router()).await {
                tracing::error!(%error, "the HTTP door closed");
            }
        });
    }
    if let Some(door) = sockets.sql {
        let mysql = MysqlDoor::new(
            doors.clone(),
            (config.cluster, config.slot),
            &config.sql,
            host.sql_packet_bytes_max,
            host.sql_login_timeout,
        );
        let connections_max = host.sql_connections_max;
        tasks.spawn(mysql.serve(door, connections_max));
    }
}

#[cfg(test)]
mod tests;
