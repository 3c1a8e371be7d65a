//! `live`: workloads and faults on real processes, from the command line.

use crate::cli::Usage;
use crate::{explain, report};
use clap::Args;
use plait_live::{Cluster, Fail, Faults, Options, Summary};
use plait_load::{Choice, Isolation, Lock, Settings};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What is done to a cluster of ours if nobody says.
const FAULTS: [&str; 4] = ["kill", "pause", "cut", "slow"];

#[derive(Args)]
pub struct LiveArgs {
    /// Workloads, with commas between them; they share the time
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "bank")]
    workload: Vec<String>,
    /// Faults to draw from: kill, pause, cut, slow, drop, throttle, clock, power; or none [default: kill,pause,cut,slow;
    /// on a foreign cluster none]
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "plan")]
    faults: Option<Vec<String>>,
    /// One fault in each such period
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "10s")]
    every: Duration,
    /// A plan's faults instead, as far as they exist for real processes
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// How long, all workloads together [default: a plan's length, else 60s]
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    time: Option<Duration>,
    /// Transactions that are due a second, of all clients together
    #[arg(long, value_parser = rate, default_value = "200/s")]
    rate: f64,
    /// Connections, spread over the nodes
    #[arg(long, default_value_t = 9)]
    clients: u32,
    /// read-committed, repeatable-read or serializable
    #[arg(long, value_parser = isolation, default_value = "repeatable-read")]
    isolation: Isolation,
    /// The consistency model to judge by [default: the one that goes with the isolation]
    #[arg(long)]
    model: Option<String>,
    /// By which transactions and faults are drawn [default: one from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// Keys (accounts, pairs) in use at a time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=10_000))]
    keys: u64,
    /// Writes after which a key is replaced
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    writes_per_key: u64,
    /// Micro-operations of a transaction, at most
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    ops: u64,
    /// Choose keys uniformly; else some far more often than others
    #[arg(long)]
    uniform: bool,
    /// Whether the bank reads FOR UPDATE before it writes: for-update, plain or mixed
    #[arg(long, value_parser = lock, default_value = "mixed")]
    lock: Lock,
    /// How long one statement is waited for
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "5s")]
    deadline: Duration,
    /// Where history, plan and verdict go [default: ./chaos-live-WORKLOAD-SEED]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A foreign cluster: mysql://user:password@host:port,host:port/db
    #[arg(long, value_name = "URL", conflicts_with_all = ["name", "data_dir"])]
    target: Vec<String>,
    /// Which of several clusters of ours
    #[arg(long)]
    name: Option<String>,
    /// Where clusters of ours live
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no span; write one as in 500ms, 10s, 5m or 1h");
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let number: f64 = text[..at].parse().map_err(|_| wrong())?;
    let unit = match &text[at..] {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(wrong()),
    };
    let span = Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())?;
    if span.is_zero() { Err(format!("'{text}' is no time at all")) } else { Ok(span) }
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse();
    number.map_err(|_| format!("'{text}' is no rate; write one as in 200/s"))
}

fn isolation(text: &str) -> Result<Isolation, String> {
    let words = Isolation::ALL.map(Isolation::word).join(", ");
    Isolation::parse(text).ok_or_else(|| format!("'{text}' is no isolation; there are {words}"))
}

fn lock(text: &str) -> Result<Lock, String> {
    match text {
        "for-update" => Ok(Lock::ForUpdate),
        "plain" => Ok(Lock::Plain),
        "mixed" => Ok(Lock::Mixed),
        _ => Err(format!("'{text}' is none of for-update, plain, mixed")),
    }
}

impl LiveArgs {
    fn options(self) -> Options {
        let foreign = !self.target.is_empty();
        let faults = match (self.plan, self.faults) {
            (Some(plan), _) => Faults::Plan(plan),
            (None, Some(words)) if words == ["none"] => Faults::None,
            (None, None) if foreign => Faults::None,
            (None, words) => Faults::Drawn {
                words: words.unwrap_or_else(|| FAULTS.map(str::to_owned).to_vec()),
                every: self.every,
            },
        };
        let cluster = match foreign {
            true => Cluster::Foreign(self.target),
            false => Cluster::Ours { name: self.name, data_dir: self.data_dir },
        };
        Options {
            workloads: self.workload,
            settings: Settings {
                isolation: self.isolation,
                keys: self.keys,
                writes_per_key: self.writes_per_key,
                ops_max: self.ops,
                choice: if self.uniform { Choice::Uniform } else { Choice::Zipf },
                lock: self.lock,
                ..Settings::default()
            },
            model: self.model,
            cluster,
            faults,
            span: self.time,
            rate: self.rate,
            clients: self.clients,
            seed: self.seed.unwrap_or_else(from_the_clock),
            deadline: self.deadline,
            out: self.out,
        }
    }
}

/// Short enough to be typed again.
fn from_the_clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64 % 1_000_000_000)
}

pub fn live(args: LiveArgs, json: bool) -> ExitCode {
    match plait_live::run(&args.options()) {
        Ok(Summary { document, text, exit }) => {
            let text = text + &reports(&document);
            match json {
                true => println!("{}", serde_json::to_string_pretty(&document).expect("JSON prints")),
                false => println!("{}", text.trim_end()),
            }
            ExitCode::from(exit)
        }
        Err(fail) => {
            if json {
                println!("{}", fail.json());
            }
            eprintln!("plait-chaos: {fail}");
            ExitCode::from(code(&fail))
        }
    }
}

/// Writes the report of each workload beside its history, and says where they are.
fn reports(document: &serde_json::Value) -> String {
    let all = document["workloads"].as_array().into_iter().flatten();
    let dirs = all.filter_map(|one| one["out"].as_str().map(PathBuf::from));
    dirs.map(|dir| {
        let page = explain::of_directory(&dir).map_err(|Usage(why)| why).and_then(|data| {
            let file = dir.join("report.html");
            std::fs::write(&file, report::page(&data)).map_err(|why| format!("{}: {why}", file.display()))?;
            Ok(file)
        });
        match page {
            Ok(file) => format!("report: {}\n", file.display()),
            Err(why) => format!("no report: {why}\n"),
        }
    })
    .collect()
}

fn code(fail: &Fail) -> u8 {
    fail.code as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_rates_are_read() {
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!((rate("200/s"), rate("7.5")), (Ok(200.0), Ok(7.5)));
        for bad in ["", "10", "s", "-1s", "10 s", "0s"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
