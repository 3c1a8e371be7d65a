//! The command line: what a person asks of the simulator, and how the answer reads.
//!
//! Exit codes: 0 valid, 1 invalid, 2 usage, 3 unknown, 70 a defect of the harness; of `live` also 4 timed out, 5
//! environment unfit.

mod show;

use crate::hunt::{self, Hunt};
use crate::{bank, explain, live, replay, report, shrink, twin, zoo_table};
use clap::{Args, Parser, Subcommand};
use plait_world::plan::{self, Plan};
use plait_world::run::{Report, Verdict, run};
use plait_world::world::story::Level;
use plait_world::zoo::{self, Bug};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Simulated clusters: run one seed, hunt through many, prove that runs repeat, let known bugs out.
#[derive(Parser)]
#[command(name = "plait-chaos", version, max_term_width = 100)]
struct Cli {
    /// One JSON document (for `hunt`, `zoo`, `twin`: at the end) instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Args, Clone)]
struct What {
    /// How faults, clients and bounds are drawn.
    #[arg(long, default_value = "swarm-std")]
    profile: String,
    /// Only this workload (and the audit that looks after it).
    #[arg(long)]
    workload: Option<String>,
    /// Let this bug out (see `list`).
    #[arg(long)]
    bug: Option<String>,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("of").args(["file", "plan", "seed", "zoo"]).required(true))]
struct Shrink {
    /// A plan file (`plait.plan/1`).
    file: Option<PathBuf>,
    /// The same.
    #[arg(long)]
    plan: Option<PathBuf>,
    #[arg(long)]
    seed: Option<u64>,
    /// The first seed that shows each planted bug (or the one named by `--bug`), as a table.
    #[arg(long)]
    zoo: bool,
    #[command(flatten)]
    what: What,
    /// Where to write what is left; with `--zoo`, a directory.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Stop after so many runs with what is left by then.
    #[arg(long, default_value_t = 50_000)]
    runs: u32,
    /// Stop after this long, as in `60s`, `5m`.
    #[arg(long = "for", value_parser = span, default_value = "60s")]
    time: Duration,
    /// With `--zoo`: give up on a bug that so many seeds do not show.
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs one seed, or one plan, and gives the verdict.
    Run {
        #[arg(long, required_unless_present = "plan", conflicts_with = "plan")]
        seed: Option<u64>,
        /// A plan file (`plait.plan/1`).
        #[arg(long)]
        plan: Option<PathBuf>,
        #[command(flatten)]
        what: What,
        /// Tell what happened, whatever the verdict.
        #[arg(long)]
        story: bool,
        /// Tell every input and output.
        #[arg(long, conflicts_with = "story")]
        events: bool,
        /// Print the plan as JSON and run nothing.
        #[arg(long)]
        print_plan: bool,
    },
    /// Runs a plan again, or all plans of a directory that `hunt --save` wrote.
    Replay {
        path: PathBuf,
        /// Tell what happened, whatever the verdict.
        #[arg(long)]
        story: bool,
        /// Tell every input and output.
        #[arg(long, conflicts_with = "story")]
        events: bool,
    },
    /// Runs many seeds; stops at the first violation.
    Hunt {
        /// First and last-plus-one, as in `1..20000`.
        #[arg(long, value_parser = seeds)]
        seeds: Range<u64>,
        #[command(flatten)]
        what: What,
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        /// Stop after this long, as in `90s`, `5m`, `1h`.
        #[arg(long = "for", value_parser = span)]
        time: Option<Duration>,
        /// Go on after a violation.
        #[arg(long)]
        all: bool,
        /// Write the plan of each failing seed into this directory.
        #[arg(long)]
        save: Option<PathBuf>,
    },
    /// Runs each seed in two processes and compares everything that the nodes put out.
    Twin {
        #[arg(long, value_parser = seeds)]
        seeds: Range<u64>,
        #[command(flatten)]
        what: What,
        /// Another build of this program for the second process, as in target/debug/plait-chaos.
        #[arg(long)]
        with: Option<PathBuf>,
        /// What a child of this verb does; not for people.
        #[arg(long, hide = true)]
        child: Option<twin::Child>,
    },
    /// Lets known bugs out, one after the other, and says after how many seeds each is seen, and by whom.
    Zoo {
        /// Only this one, or these: `A,B`.
        #[arg(long)]
        bug: Option<String>,
        /// Give up on a bug after so many seeds of a range.
        #[arg(long, default_value_t = 500)]
        seeds: u64,
        /// Disjoint ranges of seeds; the table shows the median over them.
        #[arg(long, default_value_t = 5)]
        ranges: u64,
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        #[arg(long, default_value = "swarm-std")]
        profile: String,
    },
    /// Makes a failing plan small: takes out what is not needed for the same promise to be broken.
    Shrink(Shrink),
    /// Runs every plan of a directory; each of them failed once.
    Bank { dir: PathBuf },
    /// Writes what happened in a run into one HTML file: a plan, a seed, or the directory of a `live` run.
    Report {
        /// A plan file, or a directory that `live` wrote.
        #[arg(required_unless_present = "seed", conflicts_with = "seed")]
        path: Option<PathBuf>,
        #[arg(long)]
        seed: Option<u64>,
        #[command(flatten)]
        what: What,
        /// Where it is written; else `report.html` beside the plan, in the directory, or here.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Judges a history, whoever recorded it. Exit 0 valid, 1 invalid, 2 not a history, 3 unknown.
    Check(crate::check::Check),
    /// What there is: profiles, workloads, faults, bugs.
    List,
    /// Workloads and faults on real processes: a cluster that `plait up` started, or any servers that speak MySQL.
    Live(Box<live::LiveArgs>),
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = match text.split_once("..") {
        Some((from, to)) => from.parse().ok().zip(to.parse().ok()).map(|(from, to)| from..to),
        None => text.parse().ok().map(|n: u64| n..n + 1),
    };
    range
        .filter(|r| r.start < r.end)
        .ok_or_else(|| "a range is written as 1..20000 (the end is not in it)".to_owned())
}

fn span(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("a span is written as 90s, 5m or 1h".to_owned()),
    };
    number
        .parse()
        .map(|n: u64| Duration::from_secs(n * seconds))
        .map_err(|_| "a span is written as 90s, 5m or 1h".to_owned())
}

/// A wrong request: exit 2.
pub struct Usage(pub String);

type Answer = Result<ExitCode, Usage>;

const OUR_BUG: u8 = 70;

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let answer = match cli.verb {
        Verb::Run { seed, plan, what, story, events, print_plan } => {
            let again = again(seed, plan.as_deref(), &what);
            the_plan(seed, plan, &what)
                .and_then(|plan| run_one(&plan, &again, level(story, events), print_plan, json))
        }
        Verb::Replay { path, story, events } if path.is_dir() => match level(story, events) {
            Some(_) => Err(Usage("a story is told of one plan: name a file of that directory".to_owned())),
            None => replay::directory(&path, json).map(code),
        },
        Verb::Replay { path, story, events } => {
            let again = replay::command(&path);
            plan_file(&path).and_then(|plan| run_one(&plan, &again, level(story, events), false, json))
        }
        Verb::Hunt { seeds, what, jobs, time, all, save } => check(&what).map(|_| {
            let hunt = Hunt { seeds, what: to_draw(&what), jobs, time, all, save };
            code(hunt::hunt(&hunt, json))
        }),
        Verb::Twin { seeds, what, with, child } => check(&what).map(|_| {
            let draw = to_draw(&what);
            match child {
                Some(child) => code(twin::child(child, seeds, &draw)),
                None => code(twin::twin(seeds, &draw, with.as_deref(), json)),
            }
        }),
        Verb::Zoo { bug, seeds, ranges, jobs, profile } => zoo_verb(bug, seeds, ranges, jobs, &profile, json),
        Verb::Shrink(args) => shrink_verb(args, json),
        Verb::Bank { dir } => bank::bank(&dir, json).map(ExitCode::from),
        Verb::Report { path, seed, what, out } => report_verb(path, seed, &what, out),
        Verb::Check(ask) => crate::check::check(&ask).map(ExitCode::from),
        Verb::List => {
            show::list(json);
            Ok(ExitCode::SUCCESS)
        }
        Verb::Live(args) => Ok(live::live(*args, json)),
    };
    answer.unwrap_or_else(|Usage(why)| {
        eprintln!("plait-chaos: {why}");
        ExitCode::from(2)
    })
}

fn code(result: Result<Verdict, plait_world::run::OurBug>) -> ExitCode {
    match result {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(plait_world::run::OurBug(why)) => {
            eprintln!("plait-chaos: a defect of the simulator itself, not of the nodes: {why}");
            eprintln!("Nothing is known about what it was to judge. Please keep this line and the command.");
            ExitCode::from(OUR_BUG)
        }
    }
}

/// How plans are drawn: profile, and the one workload if only one is wanted.
#[derive(Debug, Clone)]
pub struct ToDraw {
    pub profile: String,
    pub workload: Option<String>,
    pub bug: Option<String>,
}

/// Between two statements, where one workload stands for all.
const THINK_US_MAX: u64 = 12_000;

impl ToDraw {
    pub fn plan(&self, seed: u64) -> Plan {
        let mut plan = plan::draw(seed, &self.profile).expect("the profile was checked");
        if let Some(kind) = &self.workload {
            let all: u32 = plan.loads.iter().filter(|l| l.kind != "audit").map(|l| l.clients).sum();
            let mut first = plan.loads[0].clone();
            first.kind = kind.clone();
            first.clients = all;
            // Who keeps a lock while he thinks is a workload of its own; here nobody should be waited for so long.
            first.think_us = first.think_us.min(THINK_US_MAX);
            first.isolation = None;
            plan.loads.retain(|l| l.kind == "audit");
            if kind != "audit" {
                plan.loads.insert(0, first);
            }
        }
        plan.bug = self.bug.clone();
        plan
    }

    /// The command that runs a seed of these again.
    pub fn command(&self, seed: u64) -> String {
        let mut command = format!("plait-chaos run --seed {seed}");
        if self.profile != "swarm-std" {
            command += &format!(" --profile {}", self.profile);
        }
        for (flag, value) in [("--workload", &self.workload), ("--bug", &self.bug)] {
            if let Some(value) = value {
                command += &format!(" {flag} {value}");
            }
        }
        command
    }
}

fn to_draw(what: &What) -> ToDraw {
    let bug = what.bug.as_deref().and_then(Bug::parse).map(|b| b.name().to_owned());
    ToDraw { profile: what.profile.clone(), workload: what.workload.clone(), bug }
}

/// Checks the names, and lets the bug out.
fn check(what: &What) -> Result<Option<Bug>, Usage> {
    if !plan::PROFILES.contains(&what.profile.as_str()) {
        return Err(unknown("profile", &what.profile, &plan::PROFILES));
    }
    if let Some(kind) = &what.workload
        && !plait_world::workload::NAMES.contains(&kind.as_str())
    {
        return Err(unknown("workload", kind, &plait_world::workload::NAMES));
    }
    let bug = what.bug.as_deref().map(find_bug).transpose()?;
    zoo::release(bug);
    Ok(bug)
}

pub fn find_bug(name: &str) -> Result<Bug, Usage> {
    let bug = Bug::parse(name).ok_or_else(|| {
        let names: Vec<&str> = Bug::all().into_iter().map(Bug::name).collect();
        unknown("bug", name, &names)
    })?;
    if !bug.built() {
        return Err(Usage(format!(
            "this build has no planted bugs of {}; build it with `cargo build --profile sim -p plait-chaos --features zoo`",
            bug.room()
        )));
    }
    Ok(bug)
}

pub fn unknown(what: &str, got: &str, known: &[&str]) -> Usage {
    let near = known.iter().min_by_key(|k| distance(&got.to_lowercase(), &k.to_lowercase()));
    let hint = near.map_or(String::new(), |near| format!("; did you mean '{near}'?"));
    Usage(format!("there is no {what} '{got}'{hint} Known are: {}", known.join(", ")))
}

/// Edit distance, for a suggestion.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let up = row[j + 1];
            row[j + 1] = (corner + usize::from(x != *y)).min(up + 1).min(row[j] + 1);
            corner = up;
        }
    }
    row[b.len()]
}

fn the_plan(seed: Option<u64>, file: Option<PathBuf>, what: &What) -> Result<Plan, Usage> {
    match (seed, file) {
        (_, Some(file)) => plan_file(&file),
        (Some(seed), None) => {
            check(what)?;
            Ok(to_draw(what).plan(seed))
        }
        (None, None) => unreachable!("the parser asks for one of the two"),
    }
}

/// The command that runs the same plan again.
fn again(seed: Option<u64>, file: Option<&std::path::Path>, what: &What) -> String {
    match file {
        Some(file) => replay::command(file),
        None => to_draw(what).command(seed.unwrap_or_default()),
    }
}

/// A plan from its file, with the bug that it names let out.
fn plan_file(file: &std::path::Path) -> Result<Plan, Usage> {
    let plan = read_plan(file)?;
    replay::warn(&plan, file);
    zoo::release(plan.bug.as_deref().map(find_bug).transpose()?);
    Ok(plan)
}

fn level(story: bool, events: bool) -> Option<Level> {
    match (story, events) {
        (_, true) => Some(Level::Events),
        (true, _) => Some(Level::Story),
        _ => None,
    }
}

pub fn read_plan(file: &std::path::Path) -> Result<Plan, Usage> {
    let text = std::fs::read_to_string(file).map_err(|why| {
        Usage(format!(
            "{}: {why}; name a file that `run --print-plan` or `hunt --save` wrote",
            file.display()
        ))
    })?;
    Plan::parse(&text).map_err(|why| Usage(format!("{}: {why}", file.display())))
}

fn run_one(plan: &Plan, again: &str, level: Option<Level>, print_plan: bool, json: bool) -> Answer {
    if print_plan {
        println!("{}", plan.json());
        return Ok(ExitCode::SUCCESS);
    }
    let result = run(plan, true, level).and_then(|report| {
        // A run that failed is simply run again, with somebody who writes down what happens.
        let told = report.verdict == Verdict::Invalid && level.is_none();
        if told {
            run(plan, true, Some(Level::Story)).map(|again| (report, again.story))
        } else {
            Ok((report, Vec::new()))
        }
    });
    Ok(code(result.map(|(mut report, told)| {
        let short = level.is_none();
        if short {
            report.story = told;
        }
        show::report(plan, &report, again, short, json);
        report.verdict
    })))
}

fn report_verb(path: Option<PathBuf>, seed: Option<u64>, what: &What, out: Option<PathBuf>) -> Answer {
    if let Some(dir) = path.as_deref().filter(|path| path.is_dir()) {
        let data = explain::of_directory(dir)?;
        write_report(&data, &out.unwrap_or_else(|| dir.join("report.html")))?;
        return Ok(ExitCode::SUCCESS);
    }
    let command = again(seed, path.as_deref(), what);
    let beside = path.as_ref().map_or("report.html".into(), |file| file.with_extension("html"));
    let plan = the_plan(seed, path, what)?;
    let report = match plait_world::run::run_watched(&plan) {
        Ok(report) => report,
        Err(why) => return Ok(code(Err(why))),
    };
    write_report(&explain::of_run(&plan, &report, &command), &out.unwrap_or(beside))?;
    Ok(code(Ok(report.verdict)))
}

/// Writes the page, and says where it is.
pub fn write_report(data: &serde_json::Value, to: &std::path::Path) -> Result<(), Usage> {
    std::fs::write(to, report::page(data)).map_err(|why| Usage(format!("{}: {why}", to.display())))?;
    println!("report: {}", to.display());
    Ok(())
}

fn shrink_verb(args: Shrink, json: bool) -> Answer {
    let Shrink { file, plan, seed, zoo, what, out, runs, time, seeds } = args;
    let budget = shrink::Budget { runs_max: runs, time_max: time };
    if zoo {
        let bugs = the_zoo(what.bug.as_deref(), &what.profile)?;
        let table = shrink::table::table(&bugs, seeds, budget, &what.profile, out.as_deref(), json);
        return Ok(code(table));
    }
    let plan = the_plan(seed, plan.or(file), &what)?;
    Ok(code(shrink::verb(plan, budget, out.as_deref(), json)))
}

/// The bugs that are meant: those named (`A,B`), or all that this build has.
fn the_zoo(names: Option<&str>, profile: &str) -> Result<Vec<Bug>, Usage> {
    if !plan::PROFILES.contains(&profile) {
        return Err(unknown("profile", profile, &plan::PROFILES));
    }
    if !cfg!(feature = "zoo") {
        eprintln!(
            "plait-chaos: this build has only the bugs of the world itself; build with `--features zoo` for the rest"
        );
    }
    match names {
        Some(names) => names.split(',').map(find_bug).collect(),
        None => Ok(Bug::all().into_iter().filter(|b| b.built()).collect()),
    }
}

fn zoo_verb(bug: Option<String>, seeds: u64, ranges: u64, jobs: usize, profile: &str, json: bool) -> Answer {
    let bugs = the_zoo(bug.as_deref(), profile)?;
    Ok(code(zoo_table::table(&bugs, seeds, ranges, jobs, profile, json)))
}

/// A report in one line.
pub fn line(report: &Report) -> String {
    let c = &report.counts;
    let mut line = format!(
        "seed {}: {} ({} yes, {} no, {} unknown, {} reads; {} faults in effect, {} terms)",
        report.seed,
        report.verdict.word(),
        c.yes,
        c.no,
        c.unknown,
        c.reads,
        report.effects(),
        c.terms
    );
    if let Some(violation) = report.violations.first() {
        line += &format!("\n  {violation}");
    }
    if let Some(why) = &report.why {
        line += &format!("\n  {why}");
    }
    line
}
