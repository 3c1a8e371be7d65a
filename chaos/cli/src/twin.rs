//! The twin check: one seed, two processes, and not one byte may differ.
//!
//! Each child runs the seeds and prints for each the hash over everything that its nodes put out. One child has
//! noise in its environment: more variables, another locale, a busy neighbour thread. Where two hashes differ, both
//! children tell every event of that seed, and the first that differs is shown: there, something that is not in
//! the plan came in.

use crate::cli::ToDraw;
use plait_world::run::{OurBug, Verdict, run};
use plait_world::world::story::Level;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Child {
    Hashes,
    NoisyHashes,
    Events,
}

/// How often a pair that differed is asked for its events, if these come out equal.
const TRIES_MAX: usize = 6;

pub fn child(child: Child, seeds: Range<u64>, draw: &ToDraw) -> Result<Verdict, OurBug> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if child == Child::NoisyHashes {
            scope.spawn(|| {
                let mut noise = 1_u64;
                while !stop.load(Ordering::Relaxed) {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    std::thread::sleep(std::time::Duration::from_micros(noise >> 54));
                }
            });
        }
        let mut out = std::io::stdout().lock();
        let result = seeds.into_iter().try_for_each(|seed| {
            let level = (child == Child::Events).then_some(Level::Events);
            let report = run(&draw.plan(seed), true, level)?;
            let written = if child == Child::Events {
                report.story.iter().try_for_each(|line| writeln!(out, "{line}"))
            } else {
                let points: Vec<String> = report.checkpoints.iter().map(|c| format!("{c:016x}")).collect();
                let hash = report.hash.as_deref().unwrap_or_default();
                writeln!(out, "{seed} {hash} {} {}", report.verdict.word(), points.join(","))
            };
            written.map_err(|why| OurBug(format!("the parent is gone: {why}")))
        });
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    Ok(Verdict::Valid)
}

/// `program`: another build of this one, else this one.
fn spawn(child: Child, seeds: &Range<u64>, draw: &ToDraw, program: Option<&Path>) -> Result<Process, OurBug> {
    let me = match program {
        Some(other) => other.to_owned(),
        None => std::env::current_exe()
            .map_err(|why| OurBug(format!("this program does not find itself: {why}")))?,
    };
    let name = match child {
        Child::Hashes => "hashes",
        Child::NoisyHashes => "noisy-hashes",
        Child::Events => "events",
    };
    let mut command = Command::new(&me);
    command.args(["twin", "--seeds", &format!("{}..{}", seeds.start, seeds.end), "--child", name]);
    command.args(["--profile", &draw.profile]);
    for (flag, value) in [("--workload", &draw.workload), ("--bug", &draw.bug)] {
        if let Some(value) = value {
            command.args([flag, value]);
        }
    }
    if child == Child::NoisyHashes {
        command.env("LC_ALL", "tr_TR.UTF-8").env("TZ", "Pacific/Chatham").env("RUST_BACKTRACE", "full");
        (0..100).for_each(|i| {
            command.env(format!("NOISE_{i}"), "x".repeat(i * 7));
        });
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|why| OurBug(format!("no child ({}): {why}", me.display())))
}

fn lines(process: &mut Process) -> impl Iterator<Item = String> + use<> {
    let out = process.stdout.take().expect("its output is piped");
    BufReader::new(out).lines().map_while(Result::ok)
}

/// `other`: the program of the second process, which may be another build.
pub fn twin(
    seeds: Range<u64>,
    draw: &ToDraw,
    other: Option<&Path>,
    as_json: bool,
) -> Result<Verdict, OurBug> {
    let mut pair =
        [spawn(Child::Hashes, &seeds, draw, None)?, spawn(Child::NoisyHashes, &seeds, draw, other)?];
    let [mut a, mut b] = pair.each_mut().map(lines);
    let mut compared = 0;
    let mut differing = None;
    for seed in seeds.clone() {
        let (Some(x), Some(y)) = (a.next(), b.next()) else {
            return Err(OurBug(format!("a child ended before seed {seed}")));
        };
        if x != y {
            differing = Some((seed, x, y));
            break;
        }
        compared += 1;
    }
    for process in &mut pair {
        // After a difference the rest is of no interest; else they have ended by themselves.
        let _ = process.kill();
        let _ = process.wait();
    }
    let Some((seed, x, y)) = differing else {
        if as_json {
            println!("{}", json!({ "schema": "plait.twin/1", "verdict": "valid", "compared": compared }));
        } else {
            println!("{compared} seeds, two processes each: every output equal\nvalid");
        }
        return Ok(Verdict::Valid);
    };
    let first = first_difference(seed, draw, other)?;
    let point = first_point(&x, &y);
    let from = point * plait_world::world::trace::CHECKPOINT_OUTPUTS as usize;
    let to = from + plait_world::world::trace::CHECKPOINT_OUTPUTS as usize;
    if as_json {
        let events = first.as_ref().map(|d| json!({ "before": d.before, "one": d.one, "other": d.other }));
        let value = json!({ "schema": "plait.twin/1", "verdict": "invalid", "compared": compared, "seed": seed, "outputs": [from, to], "first_difference": events });
        println!("{}", serde_json::to_string_pretty(&value).expect("JSON prints"));
    } else {
        println!("seed {seed}: two runs of one plan differ, between outputs {from} and {to}");
        match first {
            Some(d) => {
                d.before.iter().for_each(|line| println!("        {line}"));
                println!("  one   {}\n  other {}", d.one, d.other);
            }
            None => println!(
                "  run again {TRIES_MAX} times, the events came out equal: it differs only sometimes"
            ),
        }
        println!("replay: plait-chaos twin --seeds {seed}..{}\ninvalid", seed + 1);
    }
    Ok(Verdict::Invalid)
}

/// The first check point that differs.
fn first_point(x: &str, y: &str) -> usize {
    let points = |line: &str| -> Vec<String> {
        line.split(' ').nth(3).unwrap_or_default().split(',').map(str::to_owned).collect()
    };
    points(x).iter().zip(points(y)).take_while(|(a, b)| *a == b).count()
}

struct Difference {
    before: Vec<String>,
    one: String,
    other: String,
}

fn first_difference(seed: u64, draw: &ToDraw, other: Option<&Path>) -> Result<Option<Difference>, OurBug> {
    for _ in 0..TRIES_MAX {
        let seeds = seed..seed + 1;
        let mut pair =
            [spawn(Child::Events, &seeds, draw, None)?, spawn(Child::Events, &seeds, draw, other)?];
        let [mut a, mut b] = pair.each_mut().map(lines);
        let mut before = std::collections::VecDeque::new();
        let difference = loop {
            match (a.next(), b.next()) {
                (None, None) => break None,
                (x, y) if x == y => {
                    before.push_back(x.expect("both are there"));
                    if before.len() > 4 {
                        before.pop_front();
                    }
                }
                (x, y) => {
                    let end = || "(nothing more)".to_owned();
                    let (one, other) = (x.unwrap_or_else(end), y.unwrap_or_else(end));
                    break Some(Difference { before: before.into(), one, other });
                }
            }
        };
        for process in &mut pair {
            let _ = process.kill();
            let _ = process.wait();
        }
        if difference.is_some() {
            return Ok(difference);
        }
    }
    Ok(None)
}
