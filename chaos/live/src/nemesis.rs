//! The nemesis: does each fault at its time and undoes it at its time, and mends everything in the end.
//!
//! Faults of a plan may overlap; drawn ones do not, and there a node that was started is waited for before the next fault
//! is made. What stands when the load stops is undone at once.

use crate::drive::Floor;
use crate::fail::{Code, Fail, Res};
use crate::fault::{Fault, Strike, Undo};
use crate::plait::Plait;
use crate::target::not_running;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A fault and what became of it.
#[derive(Debug, Clone)]
pub struct Done {
    pub fault: Fault,
    pub strike: Strike,
    /// Milliseconds of the history's clock; `None` if it was never made.
    pub begun_ms: Option<u64>,
    pub ended_ms: Option<u64>,
    /// Commands of `plait` that were run for it.
    pub commands: Vec<String>,
    /// What was refused.
    pub trouble: Vec<String>,
    /// By which `plait` calls what stands.
    names: Vec<String>,
}

impl Done {
    fn new((fault, strike): (Fault, Strike)) -> Done {
        Done {
            fault,
            strike,
            begun_ms: None,
            ended_ms: None,
            commands: Vec::new(),
            trouble: Vec::new(),
            names: Vec::new(),
        }
    }

    /// As it stands in `plan.json`.
    pub fn json(&self) -> Value {
        let mut value = serde_json::to_value(&self.fault).expect("a fault has no value that JSON lacks");
        let real = [
            ("begun_ms", json!(self.begun_ms)),
            ("ended_ms", json!(self.ended_ms)),
            ("commands", json!(self.commands)),
            ("trouble", json!(self.trouble)),
        ];
        let map = value.as_object_mut().expect("a fault is an object");
        map.extend(real.into_iter().map(|(name, value)| (name.to_owned(), value)));
        value
    }

    async fn run(&mut self, plait: &Plait, words: &[String]) -> Option<Value> {
        self.commands.push(format!("plait {}", words.join(" ")));
        match plait.run(words).await {
            Ok(document) => Some(document),
            Err(why) => {
                self.trouble.push(why);
                None
            }
        }
    }

    async fn begin(&mut self, plait: &Plait, floor: &Floor) {
        let (word, on) = (self.strike.word, self.strike.on.clone());
        let begun = floor.record.fault_begins(self.fault.id, word, &on);
        let mut any = false;
        for deed in self.strike.deeds.clone() {
            if let Some(document) = self.run(plait, &deed).await {
                any = true;
                let names = document["faults"].as_array().into_iter().flatten();
                self.names.extend(names.filter_map(|name| name.as_str().map(str::to_owned)));
            }
        }
        self.begun_ms = any.then_some(begun);
        if !any {
            floor.record.fault_ends(self.fault.id, "refused", &format!("{word} {on}"));
        }
        let more: String = self
            .strike
            .deeds
            .iter()
            .take(1)
            .flat_map(|deed| &deed[2..])
            .fold(String::new(), |all, word| all + " " + word);
        eprintln!("  {:>7.2} s  {word} {on}{more}{}", begun as f64 / 1e3, trouble(&self.trouble));
    }

    async fn end(&mut self, plait: &Plait, floor: &Floor, patient: bool) {
        let before = self.trouble.len();
        let (word, on) = match self.strike.undo.clone() {
            Undo::Start(node) => {
                let mut words = vec!["start".to_owned(), format!("n{node}")];
                words.extend((!patient).then(|| "--no-wait".to_owned()));
                self.run(plait, &words).await;
                ("start", format!("n{node}"))
            }
            Undo::Up => {
                self.run(plait, &["up".to_owned()]).await;
                ("start", "n1,n2,n3".to_owned())
            }
            Undo::Resume(node) => {
                self.run(plait, &["resume".to_owned(), format!("n{node}")]).await;
                ("resume", format!("n{node}"))
            }
            Undo::Heal => {
                for name in std::mem::take(&mut self.names) {
                    self.run(plait, &["heal".to_owned(), name]).await;
                }
                ("heal", self.strike.on.clone())
            }
        };
        let ended = floor.record.fault_ends(self.fault.id, word, &on);
        self.ended_ms = Some(ended);
        eprintln!("  {:>7.2} s  {word} {on}{}", ended as f64 / 1e3, trouble(&self.trouble[before..]));
    }
}

fn trouble(all: &[String]) -> String {
    all.iter().map(|why| format!("\n            ! {why}")).collect()
}

/// Makes and undoes the faults until `stop`, then undoes what stands.
pub async fn run(
    plait: Plait,
    faults: Vec<(Fault, Strike)>,
    floor: Arc<Floor>,
    patient: bool,
    mut stop: watch::Receiver<bool>,
) -> Vec<Done> {
    let began = Instant::now();
    let mut all: Vec<Done> = faults.into_iter().map(Done::new).collect();
    // At one instant ends come before beginnings.
    let mut times: Vec<(u64, bool, usize)> = Vec::new();
    for (i, done) in all.iter().enumerate() {
        times.push((done.fault.at_ms, true, i));
        times.push((done.fault.until_ms, false, i));
    }
    times.sort_unstable();
    for (at_ms, begins, i) in times {
        tokio::select! {
            biased;
            Ok(_) = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep_until(began + Duration::from_millis(at_ms)) => {}
        }
        let done = &mut all[i];
        match begins {
            true => done.begin(&plait, &floor).await,
            false if done.begun_ms.is_some() => done.end(&plait, &floor, patient).await,
            false => {}
        }
    }
    for done in all.iter_mut().filter(|done| done.begun_ms.is_some() && done.ended_ms.is_none()) {
        done.end(&plait, &floor, patient).await;
    }
    all
}

/// Makes the cluster whole, whatever stands. What it finds that nobody did (a node that crashed) is told.
pub async fn mend(plait: &Plait) -> Res<Vec<String>> {
    let mut found = Vec::new();
    let failed = |why: String| {
        Fail::new(Code::TimedOut, "the cluster did not become whole again", why)
            .next("look at it: plait status, plait logs")
            .next("begin anew: plait down --wipe, then plait up")
    };
    plait.say("heal").await.map_err(failed)?;
    let status = plait.say("status").await.map_err(failed)?;
    let nodes = status["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    for node in nodes.iter().filter(|node| node["process"] == "crashed") {
        let name = node["node"].as_str().unwrap_or("a node");
        let exit = node["exit"].as_str().unwrap_or("no reason noted");
        found.push(format!("{name} ended though nobody told it to: {exit}"));
    }
    for name in not_running(&status) {
        let paused = nodes.iter().any(|node| node["node"] == name.as_str() && node["process"] == "paused");
        let words = if paused { format!("resume {name}") } else { format!("start {name} --no-wait") };
        plait.say(&words).await.map_err(failed)?;
    }
    plait.say("wait --for ready --timeout 60s").await.map_err(failed)?;
    plait.say("wait --for equal --timeout 60s").await.map_err(failed)?;
    Ok(found)
}
