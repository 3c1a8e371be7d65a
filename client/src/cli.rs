//! The command line: its grammar, its defaults, and which file does what.

use crate::fail::{Code, Fail, Res, nearest};
use crate::faults;
use crate::home::{self, Place};
use crate::say::{Color, Progress, Say};
use crate::slot::Slot;
use crate::verb;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Three nodes, one order: a replicated SQL store on this machine, to use and to break.
#[derive(Debug, Parser)]
#[command(name = "plait", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(
    after_help = "Begin with `plait up`, then `plait status`, `plait kill n2`, `plait start n2`, `plait down`.\n\
    Exit codes: 0 done or valid, 1 invalid, 2 usage, 3 unknown, 4 timed out, 5 environment unfit, 6 wrong state, \
    7 refused as unsafe, 70 a defect of Plait."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Args)]
pub struct Global {
    /// Which of several clusters
    #[arg(
        long,
        global = true,
        default_value = "default",
        env = "PLAIT_NAME",
        help_heading = "Global options"
    )]
    pub name: String,
    /// Where clusters live [default: $PLAIT_HOME, else the XDG state directory]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub data_dir: Option<PathBuf>,
    /// One JSON document on standard output
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// How steps are shown on standard error
    #[arg(long, global = true, value_enum, default_value = "auto", help_heading = "Global options")]
    pub progress: Progress,
    /// No steps, results only
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
    #[arg(long, global = true, value_enum, default_value = "auto", help_heading = "Global options")]
    pub color: Color,
    /// How long to wait at most, as in 30s
    #[arg(long, global = true, value_name = "SPAN", value_parser = faults::span, help_heading = "Global options")]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start the cluster, or what of it does not run; make it if there is none
    Up(UpArgs),
    /// Stop the cluster, from whatever state it is in
    Down {
        /// Remove its directory too
        #[arg(long)]
        wipe: bool,
    },
    /// List the clusters
    Ls,
    /// Say whether the cluster serves, and how each node is
    Status {
        /// Again and again, until Ctrl-C
        #[arg(long, short)]
        watch: bool,
        /// Between two looks
        #[arg(long, value_name = "SPAN", value_parser = faults::span, default_value = "1s")]
        every: Duration,
    },
    /// Run SQL, on the front door or on one node
    Sql(SqlArgs),
    /// End a node's process at once (SIGKILL)
    Kill { node: Slot },
    /// Start a node's process
    Start {
        node: Slot,
        /// Don't wait until it serves
        #[arg(long)]
        no_wait: bool,
    },
    /// End a node's process in good order (SIGTERM)
    Stop { node: Slot },
    /// Freeze a node's process (SIGSTOP)
    Pause { node: Slot },
    /// Let a frozen process go on (SIGCONT)
    Resume { node: Slot },
    /// Cut links: 'n1|n2,n3' both ways, 'n1>n3' one way
    Cut { links: String },
    /// Delay what a link carries: n1-n2 --delay 80ms --jitter 20ms
    Slow {
        links: String,
        #[arg(long, value_parser = faults::span)]
        delay: Duration,
        #[arg(long, value_parser = faults::span, default_value = "0ms")]
        jitter: Duration,
    },
    /// Lose a share of a link's frames: 'n1>n3' --loss 5%
    Drop {
        links: String,
        #[arg(long, value_parser = faults::per_mille)]
        loss: u32,
    },
    /// Bound a link's rate: n1-n2 --rate 1mbit
    Throttle {
        links: String,
        #[arg(long, value_parser = faults::rate)]
        rate: u64,
    },
    /// Put a node's wall clock wrong: n2 +1h (leases go by another clock)
    Clock {
        nodes: faults::Nodes,
        #[arg(value_parser = faults::signed_span, allow_hyphen_values = true)]
        by: i64,
    },
    /// Undo one fault of links and clocks, or all
    Heal { id: Option<String> },
    /// Cut the power: what was not synced is lost (a node, or `site`)
    PowerOff { target: String },
    /// Begin anew from one node, when the others are lost for good
    Bootstrap {
        #[arg(long)]
        node: Slot,
        /// What the others had acknowledged and this node has not is gone
        #[arg(long)]
        i_accept_data_loss: bool,
    },
    /// Show the nodes' own logs
    Logs {
        /// A node or `supervise` [default: all]
        who: Option<String>,
        #[arg(long, short = 'n', default_value_t = 20)]
        lines: usize,
        /// Go on as lines come
        #[arg(long, short)]
        follow: bool,
    },
    /// Show what happened: elections, leases, faults
    Events {
        node: Option<Slot>,
        #[arg(long, default_value_t = 0)]
        since: u64,
        #[arg(long, short)]
        follow: bool,
    },
    /// Wait until the cluster is in a state
    Wait {
        #[arg(long = "for", value_enum, default_value = "ready")]
        what: verb::wait::What,
        /// One node only
        node: Option<Slot>,
    },
    /// Check the machine and the cluster
    Doctor,
    /// Print addresses and credentials as variables for a shell
    Env,
    /// Show and check configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Print what is on disk, in words
    #[command(subcommand)]
    Debug(DebugVerb),
    /// Run a workload that checks itself
    #[command(subcommand)]
    Load(LoadVerb),
    /// Measure
    #[command(subcommand)]
    Bench(BenchVerb),
    /// The simulator (runs plait-chaos)
    #[command(disable_help_flag = true)]
    Chaos {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print completions for a shell
    Completion { shell: clap_complete::Shell },
    /// Print the version
    Version,
    /// The background process of a cluster
    #[command(hide = true)]
    Supervise,
}

#[derive(Debug, Default, Args)]
pub struct UpArgs {
    /// The first port of the cluster's block of 100; it stays with the cluster
    #[arg(long, value_name = "PORT", env = "PLAIT_PORT_BASE")]
    pub port_base: Option<u16>,
    /// One factor over all ticks and leases, for a busy machine
    #[arg(long, value_name = "N")]
    pub timing_scale: Option<u32>,
    /// A key of the nodes' configuration for this start, as in limits.lease=500ms
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, Args)]
pub struct SqlArgs {
    /// A node [default: the front door]
    pub node: Option<Slot>,
    /// Run this and end
    #[arg(short, long, value_name = "SQL")]
    pub execute: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// The effective values
    Show,
    /// Each effective value with where it comes from and what it means
    Explain { key: Option<String> },
    /// Whether cluster.toml can be used
    Check,
}

#[derive(Debug, Subcommand)]
pub enum DebugVerb {
    /// A node's write-ahead log
    Log { node: Slot },
    /// A node's checkpoints
    Checkpoint { node: Slot },
}

#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    #[arg(long = "for", value_name = "SPAN", value_parser = faults::span, default_value = "60s")]
    pub span: Duration,
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub clients: u32,
    /// Transactions a second, all clients together [default: as fast as they are answered]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub enum LoadVerb {
    /// Transfers between accounts; the total is constant at every read
    Bank {
        #[command(flatten)]
        load: LoadArgs,
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=10_000))]
        accounts: u32,
    },
    /// Increments of counters; none is lost, none counted twice
    Counter {
        #[command(flatten)]
        load: LoadArgs,
        #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        counters: u32,
    },
}

#[derive(Debug, Subcommand)]
pub enum BenchVerb {
    /// How long writes stall when a node fails
    Failover {
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
        rounds: u32,
    },
    /// One-row transactions a second, with what each costs
    Txn {
        #[arg(long = "for", value_name = "SPAN", value_parser = faults::span, default_value = "10s")]
        span: Duration,
        #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
        clients: u32,
    },
    /// sysbench on this cluster and, where it is installed, on MariaDB Galera in the same run
    Sql(SqlBenchArgs),
}

#[derive(Debug, Clone, Args)]
pub struct SqlBenchArgs {
    /// Some workloads over three ports, 3 s a run
    #[arg(long)]
    pub quick: bool,
    /// Workloads, as in oltp_write_only,hot_row [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub workloads: Vec<String>,
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "8,32",
        value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Vec<u32>,
    /// How many nodes' ports the clients are spread over [default: both]
    #[arg(long, value_enum)]
    pub over: Option<Over>,
    /// How long a run takes [default: 10s; 3s with --quick]
    #[arg(long = "for", value_name = "SPAN", value_parser = faults::span)]
    pub span: Option<Duration>,
    /// How often A B B A is done
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub rounds: u32,
    /// sysbench's option of this name: ids by the servers, or by the client
    #[arg(long = "auto_inc", alias = "auto-inc", value_name = "on|off", value_parser = on_off, default_value = "on",
        action = clap::ArgAction::Set)]
    pub auto_inc: bool,
    #[arg(long, value_enum, default_value = "auto")]
    pub peer: PeerKind,
    /// The first port of the peer's block of 100
    #[arg(long, value_name = "PORT", default_value_t = 24300,
        value_parser = clap::value_parser!(u16).range(1024..=65400))]
    pub peer_base: u16,
    /// Leave the peer running for the next bench
    #[arg(long)]
    pub keep_peer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Over {
    One,
    Three,
}

impl Over {
    pub fn ports(self) -> usize {
        match self {
            Over::One => 1,
            Over::Three => 3,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PeerKind {
    /// Galera, if it is installed
    Auto,
    Galera,
    None,
}

fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(format!("'{other}' is neither on nor off")),
    }
}

/// What every verb is given.
pub struct Ctx {
    pub say: Say,
    pub place: Place,
    pub timeout: Option<Duration>,
    /// As the person gave it, for commands that are printed.
    name: String,
    data_dir: Option<PathBuf>,
}

impl Ctx {
    /// A command that the person can type, with the options that choose this cluster.
    pub fn command(&self, verb: &str) -> String {
        let mut text = format!("plait {verb}");
        if self.name != "default" {
            text.push_str(&format!(" --name {}", self.name));
        }
        if let Some(dir) = &self.data_dir {
            text.push_str(&format!(" --data-dir {}", dir.display()));
        }
        text
    }

    pub fn patience(&self, default: Duration) -> Duration {
        self.timeout.unwrap_or(default)
    }
}

/// Runs the program; the exit code is DESIGN §9's.
pub fn main() -> ExitCode {
    // A panic is our bug, wherever it happens: also in a task, where it would end that task alone and go unseen.
    std::panic::set_hook(Box::new(|panic| {
        let trace = std::backtrace::Backtrace::capture();
        eprintln!("{}\n{trace}", Fail::bug("plait has met a defect of its own", panic));
        std::process::exit(Code::Bug as i32);
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return ExitCode::from(Code::Usage as u8);
        }
        Err(error) => {
            let json = std::env::args().any(|arg| arg == "--json");
            Say::new(Progress::Auto, Color::Auto, json).failed(&explain(&error));
            return ExitCode::from(Code::Usage as u8);
        }
    };
    let progress = if cli.global.quiet { Progress::Quiet } else { cli.global.progress };
    let say = Say::new(progress, cli.global.color, cli.global.json);
    match run(cli, say) {
        Ok(code) => code,
        Err(fail) => {
            say.failed(&fail);
            ExitCode::from(fail.code as u8)
        }
    }
}

/// A parser's error in three parts.
fn explain(error: &clap::Error) -> Fail {
    // A value that one of our own readers refused has its three parts already.
    if let Some(fail) = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Fail>()) {
        return fail.clone();
    }
    let context = |kind: ContextKind| -> Vec<String> {
        match error.get(kind) {
            Some(ContextValue::String(text)) => vec![text.clone()],
            Some(ContextValue::Strings(list)) => list.clone(),
            _ => Vec::new(),
        }
    };
    let text = error.to_string();
    let mut what = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    if error.kind() == ErrorKind::MissingRequiredArgument {
        what = format!("{} {}", what, context(ContextKind::InvalidArg).join(" "));
    }
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "));
    let valid = context(ContextKind::ValidValue);
    let why = match (usage, std::error::Error::source(error)) {
        (_, Some(source)) => {
            what = what.trim_end_matches(&format!(": {source}")).to_owned();
            source.to_string()
        }
        _ if !valid.is_empty() => format!("it must be one of {}", valid.join(", ")),
        (Some(usage), None) => format!("usage: {usage}"),
        (None, None) => "the command line has no meaning as it stands".to_owned(),
    };
    let verbs: Vec<String> =
        Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let near = match context(ContextKind::InvalidSubcommand).first() {
        Some(word) => nearest(word, verbs.iter().map(String::as_str)).map(str::to_owned),
        None => None,
    };
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let near = near.or_else(|| kinds.into_iter().flat_map(context).next());
    let fail = Fail::usage(what, why);
    let fail = match near {
        Some(near) => fail.next(format!("did you mean '{near}'?")),
        None => fail,
    };
    fail.next("see all verbs and options: plait --help, plait VERB --help")
}

fn run(cli: Cli, say: Say) -> Res<ExitCode> {
    let home = home::home(cli.global.data_dir.as_deref())?;
    let place = Place::new(home, &cli.global.name)?;
    let json = cli.global.json;
    let ctx =
        Ctx { say, place, timeout: cli.global.timeout, name: cli.global.name, data_dir: cli.global.data_dir };
    match cli.verb {
        Verb::Supervise => return crate::supervise::run(ctx.place).map(|()| ExitCode::SUCCESS),
        Verb::Chaos { args } => return Err(verb::chaos::exec(&args, &ctx.place, json)),
        Verb::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "plait", &mut script);
            crate::say::print_line(String::from_utf8_lossy(&script).trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Version => {
            let version = env!("CARGO_PKG_VERSION");
            say.result("version", serde_json::json!({ "version": version }), || format!("plait {version}"));
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Fail::unfit("can't start", e.to_string()))?;
    let code = runtime.block_on(verb(&ctx, cli.verb));
    // A task that waits for a node must not keep the program.
    runtime.shutdown_background();
    code
}

async fn verb(ctx: &Ctx, verb: Verb) -> Res<ExitCode> {
    match verb {
        Verb::Up(args) => verb::up::run(ctx, &args).await?,
        Verb::Down { wipe } => verb::down::run(ctx, wipe).await?,
        Verb::Ls => verb::ls::run(ctx).await?,
        Verb::Status { watch, every } => verb::status::run(ctx, watch, every).await?,
        Verb::Sql(args) => verb::sql::run(ctx, &args).await?,
        Verb::Kill { node } => verb::node::kill(ctx, node).await?,
        Verb::Start { node, no_wait } => verb::node::start(ctx, node, no_wait).await?,
        Verb::Stop { node } => verb::node::stop(ctx, node).await?,
        Verb::Pause { node } => verb::node::pause(ctx, node).await?,
        Verb::Resume { node } => verb::node::resume(ctx, node).await?,
        Verb::Cut { links } => verb::fault::cut(ctx, &links).await?,
        Verb::Clock { nodes, by } => verb::fault::clock(ctx, &nodes.0, by).await?,
        Verb::Slow { links, delay, jitter } => verb::fault::slow(ctx, &links, delay, jitter).await?,
        Verb::Drop { links, loss } => verb::fault::drop(ctx, &links, loss).await?,
        Verb::Throttle { links, rate } => verb::fault::throttle(ctx, &links, rate).await?,
        Verb::Heal { id } => verb::fault::heal(ctx, id).await?,
        Verb::PowerOff { target } => verb::power::off(ctx, &target).await?,
        Verb::Bootstrap { node, i_accept_data_loss } => {
            verb::power::bootstrap(ctx, node, i_accept_data_loss).await?
        }
        Verb::Logs { who, lines, follow } => verb::logs::run(ctx, who.as_deref(), lines, follow).await?,
        Verb::Events { node, since, follow } => verb::events::run(ctx, node, since, follow).await?,
        Verb::Wait { what, node } => verb::wait::run(ctx, what, node).await?,
        Verb::Doctor => return verb::doctor::run(ctx).await,
        Verb::Env => verb::env::run(ctx)?,
        Verb::Config(verb) => verb::config::run(ctx, &verb)?,
        Verb::Debug(verb) => verb::debug::run(ctx, &verb)?,
        Verb::Load(verb) => return verb::load::run(ctx, &verb).await,
        Verb::Bench(verb) => return verb::bench::run(ctx, &verb).await,
        Verb::Chaos { .. } | Verb::Completion { .. } | Verb::Version | Verb::Supervise => {
            unreachable!("done before the runtime was made")
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_lines_parse() {
        for line in [
            "plait up --port-base 14300 --set limits.lease=500ms",
            "plait down --wipe",
            "plait status --json",
            "plait kill n2 --name demo",
            "plait cut n1|n2,n3",
            "plait slow n1-n2 --delay 80ms --jitter 20ms",
            "plait drop n1>n3 --loss 5%",
            "plait throttle n1-n2 --rate 1mbit",
            "plait heal f1",
            "plait power-off site",
            "plait bootstrap --node n2 --i-accept-data-loss",
            "plait load bank --for 10s --clients 4 --rate 100",
            "plait bench failover --rounds 3",
            "plait bench sql --quick --workloads oltp_insert,hot_row --threads 8,32 --auto_inc=off",
            "plait chaos run --seed 7 --json",
            "plait sql n2 -e SELECT",
        ] {
            if let Err(e) = Cli::try_parse_from(line.split(' ')) {
                panic!("{line}: {e}");
            }
        }
    }

    #[test]
    fn a_slip_gets_a_suggestion_and_the_usage_code() {
        let error = Cli::try_parse_from(["plait", "statsu"]).expect_err("no such verb");
        let fail = explain(&error);
        assert_eq!(fail.code, Code::Usage);
        assert!(fail.next[0].contains("status"), "{fail}");
        let error = Cli::try_parse_from(["plait", "kill", "n7"]).expect_err("no such node");
        assert!(explain(&error).what.contains("n7"));
    }
}
