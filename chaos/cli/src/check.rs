//! `check`: the judge's verdict on a history from a file, whoever recorded it.

use crate::cli::Usage;
use clap::{Args, ValueEnum};
use plait_check::{Ask, Format, Model, Verdict, Workload, model};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A history takes about ten times its size in memory while it is judged.
const FILE_BYTES_MAX: u64 = 1 << 30;

#[derive(Args)]
pub struct Check {
    /// Jepsen operations as JSON Lines, JSON or EDN; `-` is standard input.
    file: PathBuf,
    /// What the clients did: list-append, register, bank, counter, set, ids.
    #[arg(long, short)]
    workload: String,
    /// Which promise is judged, as in strict-serializable, snapshot-isolation, linearizable.
    #[arg(long, short)]
    model: Option<String>,
    /// How the file is written; else that is seen from its beginning.
    #[arg(long)]
    format: Option<As>,
    /// What a bank's balances add up to; else what its first read shows.
    #[arg(long)]
    total: Option<i64>,
    /// Registers: infer only, as Elle does; do not try orders where inference finds nothing.
    #[arg(long)]
    no_exact: bool,
    /// Sentences instead of JSON.
    #[arg(long)]
    text: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum As {
    Json,
    Edn,
}

pub fn check(check: &Check) -> Result<u8, Usage> {
    let workload = Workload::parse(&check.workload).ok_or_else(|| {
        let names: Vec<&str> = Workload::ALL.iter().map(|w| w.name()).collect();
        crate::cli::unknown("workload", &check.workload, &names)
    })?;
    let model = match &check.model {
        None => workload.model(),
        Some(name) => Model::parse(name)
            .ok_or_else(|| crate::cli::unknown("consistency model", name, &model::names()))?,
    };
    let format = check.format.map(|format| match format {
        As::Json => Format::Json,
        As::Edn => Format::Edn,
    });
    let bytes = read(&check.file)?;
    let verdict = plait_check::check(
        &bytes,
        &Ask { workload, model, format, total: check.total, exact: !check.no_exact },
    )
    .map_err(|bad| Usage(format!("{}: {bad}. Nothing was judged.", check.file.display())))?;
    match check.text {
        true => say(&verdict),
        false => println!("{}", serde_json::to_string_pretty(&verdict.json()).expect("a verdict is JSON")),
    }
    Ok(verdict.exit_code())
}

fn read(file: &Path) -> Result<Vec<u8>, Usage> {
    let wrong = |why: std::io::Error| Usage(format!("{}: {why}", file.display()));
    let too_long = |bytes: u64| {
        let gib = bytes as f64 / f64::from(1 << 30);
        Usage(format!(
            "{}: line 1: the file has {gib:.1} GiB and at most {} GiB is read; judge a part of the history, or fewer keys",
            file.display(),
            FILE_BYTES_MAX >> 30
        ))
    };
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(wrong)?;
    } else {
        let open = std::fs::File::open(file).map_err(wrong)?;
        let length = open.metadata().map_err(wrong)?.len();
        if length > FILE_BYTES_MAX {
            return Err(too_long(length));
        }
        open.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(wrong)?;
    }
    match bytes.len() as u64 {
        n if n > FILE_BYTES_MAX => Err(too_long(n)),
        _ => Ok(bytes),
    }
}

/// A verdict in sentences.
pub fn say(verdict: &Verdict) {
    let word = match verdict.valid {
        plait_check::Valid::Yes => "valid",
        plait_check::Valid::No => "INVALID",
        plait_check::Valid::Unknown => "unknown",
    };
    let t = verdict.tally;
    println!(
        "{word}: {} at {} ({} ok, {} fail, {} info)",
        verdict.workload,
        verdict.model.name(),
        t.ok,
        t.fail,
        t.info
    );
    if let Some(why) = &verdict.why {
        println!("  {why}");
    }
    for anomaly in &verdict.anomalies {
        println!("\n  {}", anomaly.name);
        for op in &anomaly.operations {
            let node = op.node.as_ref().map_or(String::new(), |n| format!(" on {n}"));
            println!(
                "    {} (line {}, process {}{node}, {}): {}",
                op.name, op.line, op.process, op.outcome, op.value
            );
        }
        match anomaly.cycle.is_empty() {
            true => println!("    {}", anomaly.why),
            false => anomaly.cycle.iter().for_each(|edge| println!("    {:<8} {}", edge.rel, edge.why)),
        }
    }
    for (name, n) in &verdict.counts {
        println!("  {name}: {n} in all");
    }
    verdict.notes.iter().for_each(|note| println!("  note: {note}"));
}
