//! The command line of `plait-node`, and the way from it to a running node and its exit code.

use crate::debug;
use clap::{Parser, Subcommand};
use plait_base::Incarnation;
use plait_host::clock::Kernel;
use plait_host::config::{Config, KNOBS};
use plait_host::disk::Report;
use plait_host::disk::checkpoints::{Bounds, SledCheckpoints};
use plait_host::disk::file::{FileDisk, Mode};
use plait_host::exit::Exit;
use plait_host::inbox::{Control, Doors};
use plait_host::lines::{Lines, Rotation};
use plait_host::net::Tcp;
use plait_host::node::{self, World};
use plait_host::{aside, dir, ended, sys};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The stack of the thread that watches the life-line.
const LIFELINE_STACK_BYTES: usize = 64 << 10;
/// How often a forced recovery is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One node of a Plait cluster. `plait up` starts three of them.
#[derive(Parser)]
#[command(name = "plait-node", version)]
struct Args {
    /// The node's configuration (node.toml).
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Sets one key over the file, as in --set limits.lease=1s. May be given several times.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Stop in order when standard input ends: whoever started this node is gone.
    #[arg(long)]
    lifeline: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Makes an empty data directory a founding member of its cluster. Done once, on all three nodes.
    Init,
    /// Shows every key with its value and where that comes from; or all keys there are.
    Config {
        /// List the keys with their meaning; needs no file.
        #[arg(long)]
        keys: bool,
        #[arg(long)]
        json: bool,
    },
    /// Prints what is on disk in words.
    Debug {
        #[command(subcommand)]
        what: debug::What,
    },
    /// Makes this node's state the beginning of a cluster whose majority is lost.
    Bootstrap {
        #[arg(long)]
        i_accept_data_loss: bool,
    },
}

/// Runs and returns the exit code.
pub fn main() -> i32 {
    // Usage errors leave with 2, --help and --version with 0.
    let args = Args::parse();
    let exit = dispatch(args);
    if exit != Exit::Done {
        eprintln!("plait-node: {exit}");
    }
    exit.code()
}

fn dispatch(args: Args) -> Exit {
    let read = || read_config(args.config.as_deref(), &args.sets);
    match args.verb {
        None => read().map_or_else(|exit| exit, |config| run(config, args.lifeline)),
        Some(Verb::Init) => read().map_or_else(|exit| exit, |config| init(&config)),
        Some(Verb::Config { keys: true, json }) => show_keys(json),
        Some(Verb::Config { keys: false, json }) => {
            read().map_or_else(|exit| exit, |config| show_config(&config, json))
        }
        Some(Verb::Debug { what }) => debug::run(&what),
        Some(Verb::Bootstrap { i_accept_data_loss: false }) => Exit::Refused(
            "what the cluster acknowledged and this node never received would be lost for good; say \
             --i-accept-data-loss if no other node's directory can be brought back"
                .into(),
        ),
        Some(Verb::Bootstrap { i_accept_data_loss: true }) => {
            read().map_or_else(|exit| exit, |config| run(Config { bootstrap: true, ..config }, false))
        }
    }
}

fn read_config(path: Option<&Path>, sets: &[String]) -> Result<Config, Exit> {
    let path =
        path.ok_or_else(|| Exit::Usage("which node? name its file: plait-node --config node.toml".into()))?;
    let text = std::fs::read_to_string(path)
        .map_err(|error| Exit::Usage(format!("{} can't be read: {error}", path.display())))?;
    Config::read(&text, sets).map_err(|error| Exit::Usage(format!("{}: {error}", path.display())))
}

fn show(text: &str) -> Exit {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => Exit::Environment(format!("standard output: {error}")),
        Ok(()) => Exit::Done,
    }
}

fn show_keys(json: bool) -> Exit {
    let defaults = Config::default();
    let users = "sql.users.NAME: the password of a user; the first takes the place of plait/plait";
    if json {
        let keys: Vec<_> = KNOBS
            .iter()
            .map(|knob| {
                serde_json::json!({
                    "key": knob.key, "default": (knob.get)(&defaults), "about": knob.about, "kind": knob.kind,
                })
            })
            .collect();
        let document = serde_json::json!({ "schema": "plait.node-keys/1", "keys": keys, "users": users });
        return show(&format!("{document}\n"));
    }
    let lines: String = KNOBS
        .iter()
        .map(|knob| format!("{:36} {:>12}  {}\n", knob.key, (knob.get)(&defaults), knob.about))
        .collect();
    show(&format!("{lines}{users}\n"))
}

fn show_config(config: &Config, json: bool) -> Exit {
    let origin = |key: &str| config.origin.get(key).copied().unwrap_or("default");
    if json {
        let keys: Vec<_> = KNOBS
            .iter()
            .map(|knob| {
                serde_json::json!({
                    "key": knob.key, "value": (knob.get)(config), "origin": origin(knob.key), "about": knob.about,
                })
            })
            .collect();
        let users: Vec<&String> = config.sql.users.keys().collect();
        let document = serde_json::json!({ "schema": "plait.node-config/1", "keys": keys, "users": users });
        return show(&format!("{document}\n"));
    }
    let lines: String = KNOBS
        .iter()
        .map(|knob| {
            format!("{:36} {:>12}  {:8} {}\n", knob.key, (knob.get)(config), origin(knob.key), knob.about)
        })
        .collect();
    show(&lines)
}

fn init(config: &Config) -> Exit {
    let bytes = plait_replica::identity(config.cluster, config.slot, Incarnation(1));
    match dir::found(&config.data_dir, &bytes) {
        Ok(()) => Exit::Done,
        Err(exit) => exit,
    }
}

/// The planted bug that the environment asks for, where the build has any: `NoSync`, of the disk, is answered with
/// *yes*; those of the machine are switched on.
fn release_bug() -> bool {
    #[cfg(feature = "zoo")]
    if let Ok(name) = std::env::var("PLAIT_ZOO") {
        use plait_replica::consensus_zoo::{Bug, set};
        set(Bug::ALL.iter().copied().find(|bug| bug.name() == name));
        eprintln!("plait-node: PLAIT_ZOO={name}: this node has a planted bug");
        return name == "NoSync";
    }
    false
}

fn run(config: Config, lifeline: bool) -> Exit {
    // Held until the process ends: two processes over one directory would destroy it.
    let _lock = match dir::open(&config.data_dir) {
        Ok(lock) => lock,
        Err(exit) => return exit,
    };
    if lifeline && let Err(error) = sys::die_with_parent() {
        return Exit::Environment(format!("the kernel can't tell this node of its parent's death: {error}"));
    }
    if let Err(error) = sys::raise_open_files() {
        eprintln!("plait-node: the limit of open files stays as it is: {error}");
    }
    let host = &config.host;
    let rotation = Rotation { bytes_max: host.events_file_bytes_max, files_max: host.events_files_max };
    let events = config.data_dir.join("events.ndjson");
    let (lines, _writer) = match Lines::start(Some((&events, rotation))) {
        Ok(started) => started,
        Err(error) => return dir::unfit(&config.data_dir, &error),
    };
    log_to(&lines, &config.log);
    note_panics(&config, &lines);
    let avoid = match ended::refused(&config.data_dir) {
        Ok(avoid) => avoid,
        Err(error) => return dir::unfit(&config.data_dir, &error),
    };
    let exit = run_on(Config { avoid, ..config.clone() }, lines.clone(), lifeline);
    if let Exit::BadEntry { index, .. } = &exit
        && let Err(error) = ended::note(&config.data_dir, *index)
    {
        eprintln!(
            "plait-node: which entry ended this process can't be noted: {error}; the next start tries it again"
        );
    }
    let exit = match exit {
        Exit::Reseed(why) => aside::reseed(&config, why),
        other => other,
    };
    lines.flush();
    exit
}

fn run_on(config: Config, lines: Lines, lifeline: bool) -> Exit {
    let (report, done) = Report::new();
    let mode = Mode { power: config.power, no_sync: release_bug() };
    let files = match FileDisk::open(&config.data_dir, mode, report.clone()) {
        Ok(files) => files,
        Err(error) => return dir::unfit(&config.data_dir, &error),
    };
    let bounds = Bounds {
        cache_bytes: config.host.checkpoint_cache_bytes,
        bytes_per_s: config.host.checkpoint_bytes_per_s,
    };
    let checkpoints = match SledCheckpoints::open(&config.data_dir, bounds, report) {
        Ok(checkpoints) => checkpoints,
        Err(error) => return dir::unfit(&config.data_dir, &error),
    };
    let mut nonce = [0; 8];
    sys::random(&mut nonce);
    let world = World {
        net: Tcp,
        clock: Box::new(Kernel),
        files: Box::new(files),
        checkpoints: Box::new(checkpoints),
        done,
        lines: Some(lines),
        nonce: u64::from_le_bytes(nonce),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::Environment(format!("no runtime: {error}")),
    };
    let (doors, queued) = node::doors(&config);
    if lifeline {
        watch_lifeline(doors.clone());
    }
    runtime.block_on(async {
        tokio::spawn(watch_signals(doors.clone()));
        if config.bootstrap {
            tokio::spawn(end_when_alone(doors.clone(), config.host.answer_timeout));
        }
        node::run(config, world, doors, queued).await
    })
}

/// SIGTERM and SIGINT end the node in order.
async fn watch_signals(doors: Doors) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals can't be watched; they end this node at once");
        return;
    };
    loop {
        let name = tokio::select! {
            biased;
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        };
        let _ = doors.control.send(Control::Shutdown { why: name.into() }).await;
    }
}

/// A forced recovery is over once no start will count the lost members again.
async fn end_when_alone(doors: Doors, answer_timeout: Duration) {
    loop {
        match plait_host::edge::http::ask(&doors, answer_timeout, Control::Account).await {
            Ok(account) if !account.recovering && account.unready().is_none() => {
                let _ = doors.control.send(Control::Shutdown { why: "the recovery is done".into() }).await;
                return;
            }
            _ => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// Standard input ends when whoever started this node does.
fn watch_lifeline(doors: Doors) {
    let watch = move || {
        let mut byte = [0; 64];
        loop {
            match std::io::stdin().read(&mut byte) {
                Ok(0) => break,
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        let _ = doors.control.blocking_send(Control::Shutdown { why: "the life-line ended".into() });
    };
    let thread = std::thread::Builder::new().name("plait-lifeline".into()).stack_size(LIFELINE_STACK_BYTES);
    thread.spawn(watch).expect("a node that can't start a thread can't start at all");
}

/// The node's own log goes to standard error, through the thread that may wait for files.
fn log_to(lines: &Lines, directives: &str) {
    struct Out(Lines);
    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.log(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = lines.clone();
    let filter = tracing_subscriber::EnvFilter::new(directives);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_writer(move || Out(lines.clone()))
        .init();
}

/// A panic leaves one line with what is needed to look into it, beside the usual text.
fn note_panics(config: &Config, lines: &Lines) {
    let (lines, slot) = (lines.clone(), config.slot);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let what = payload.downcast_ref::<String>().map(String::as_str);
        let what =
            what.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
        let backtrace = std::backtrace::Backtrace::force_capture();
        let line = serde_json::json!({
            "schema": "plait.event/1",
            "node": slot.to_string(),
            "wall_us": sys::realtime_us(),
            "mono_us": sys::boottime_ns() / 1000,
            "event": "panic",
            "facts": {
                "what": what,
                "where": info.location().map(ToString::to_string),
                "thread": std::thread::current().name(),
                "version": env!("CARGO_PKG_VERSION"),
                "backtrace": backtrace.to_string(),
            },
        });
        lines.event(line.to_string());
        usual(info);
    }));
}
