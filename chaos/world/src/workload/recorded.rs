//! Workloads whose history is written down whole and judged when all is over: lists, registers, predicates.
//!
//! What they do is `plait_load`'s, the same that meets real servers; what it came to is judged by `plait_check`, the
//! same that judges a history from anywhere.
//! Why it must hold: the store serves every read under a lease (DESIGN law 8), so what it promises is the strong form of
//! each isolation, in which nobody reads less than what was answered before.

use super::{Form, Load, Next, Run, Writes, unexpected};
use crate::invariant::Judge;
use crate::plan::LoadPlan;
use crate::workload::{At, End};
use plait_base::{Draws, Outcome, Slot};
use plait_check::{Ask, Model, Valid};
use plait_load::{Begin, Cause, Choice, Do, Got, History, Isolation, Lock, Settings, Txn};
use plait_store::{Isolation as Level, Step, StepResult, TableDef, Value};

/// Writes of a key before it is retired.
const WRITES_PER_KEY: u64 = 24;

/// A history with what is asked about it.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub workload: &'static str,
    pub model: &'static str,
    /// Jepsen operations, one JSON object a line.
    pub text: String,
}

pub struct Recording {
    name: &'static str,
    isolation: Isolation,
    workload: Box<dyn plait_load::Workload>,
    history: History,
    text: String,
    /// By client: its transaction, and whether its first statement has reached a node.
    open: Vec<Option<(Txn, Slot, bool)>>,
}

impl Recording {
    /// Panics if there is no such workload; the plan was checked when it was read.
    pub fn new(plan: &LoadPlan) -> Recording {
        let isolation =
            plan.isolation.as_deref().and_then(Isolation::parse).unwrap_or(Isolation::RepeatableRead);
        let settings = Settings {
            isolation,
            keys: u64::from(plan.keys.max(2)),
            writes_per_key: WRITES_PER_KEY,
            choice: if plan.keys > 4 { Choice::Zipf } else { Choice::Uniform },
            read_per_mille: plan.read_per_mille,
            lock: Lock::Mixed,
            ..Settings::default()
        };
        let workload = plait_load::make(&plan.kind, &settings).expect("the plan was checked");
        Recording {
            name: workload.name(),
            isolation,
            workload,
            history: History::new(plan.clients as usize + 1),
            text: String::new(),
            open: (0..plan.clients).map(|_| None).collect(),
        }
    }

    fn write(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// The promise that its transactions are held to.
    fn model(&self) -> &'static str {
        match self.isolation {
            Isolation::ReadCommitted => "strong-read-committed",
            Isolation::RepeatableRead => "strong-snapshot-isolation",
            Isolation::Serializable => "strict-serializable",
        }
    }

    pub fn recorded(&self) -> Recorded {
        Recorded { workload: self.name, model: self.model(), text: self.text.clone() }
    }
}

fn level(isolation: Isolation) -> Level {
    match isolation {
        Isolation::ReadCommitted => Level::ReadCommitted,
        Isolation::RepeatableRead => Level::RepeatableRead,
        Isolation::Serializable => Level::Serializable,
    }
}

/// What a statement came back with, as a server's text protocol has it.
fn got(result: Option<&StepResult>) -> Got {
    match result {
        Some(StepResult::Rows(rows)) => {
            let cell = |value: &Value| match value {
                Value::Null => None,
                other => Some(other.to_string()),
            };
            let rows = rows.rows.values().iter().map(|row| row.iter().map(cell).collect()).collect();
            Got { rows, ..Got::default() }
        }
        Some(StepResult::Done(done)) => Got {
            affected: done.affected,
            insert_id: u64::try_from(done.insert_id).unwrap_or_default(),
            ..Got::default()
        },
        None => Got::default(),
    }
}

/// A session of the simulator has no database of its own.
fn in_shop(statement: &str) -> String {
    format!("USE shop; {statement}")
}

impl Load for Recording {
    fn tables(&self) -> Vec<TableDef> {
        Vec::new()
    }

    fn rows(&self) -> Vec<Step> {
        Vec::new()
    }

    fn texts(&self) -> Vec<String> {
        self.workload.schema().iter().map(|statement| in_shop(statement)).collect()
    }

    fn start(&mut self, client: usize, at: At, _judge: &Judge, draws: &mut Draws) -> (Form, Writes) {
        let txn = self.workload.next(draws);
        let form = match txn.begin {
            Begin::Autocommit => Form::Text,
            Begin::Transaction => Form::Session(level(txn.isolation)),
        };
        let writes = if txn.reads_only { Writes::Nothing } else { Writes::Alone };
        self.open[client] = Some((txn, at.slot, false));
        (form, writes)
    }

    fn begun(&mut self, client: usize, judge: &Judge) {
        let Some((txn, slot, begun)) = &mut self.open[client] else { return };
        *begun = true;
        let line = self.history.invoke(judge.now_ns, client, &slot.to_string(), txn);
        self.write(&line);
    }

    fn run(&mut self, client: usize, stage: u32, last: &[StepResult], _run: &mut Run) -> Next {
        let (txn, ..) = self.open[client].as_mut().expect("a transaction is under way");
        let last = (stage > 0).then(|| got(last.last()));
        match txn.script.step(last.as_ref()) {
            Do::Sql(text) => Next::Text(in_shop(&text)),
            Do::Commit => Next::Commit,
            Do::Rollback(_) => Next::Rollback,
        }
    }

    fn done(&mut self, client: usize, end: &End, judge: &mut Judge) {
        let Some((mut txn, _, begun)) = self.open[client].take() else { return };
        if let Some(error) = end.error.filter(|e| unexpected(e)) {
            judge.broken(super::blame(error), format!("{} on {}: {error}", self.name, end.at.slot));
        }
        // What never reached a node was never asked for.
        if !begun {
            return;
        }
        let mut outcome = match end.outcome {
            Outcome::Yes => plait_load::Outcome::Yes,
            Outcome::No => plait_load::Outcome::No,
            Outcome::Unknown => plait_load::Outcome::Unknown,
        };
        if end.outcome == Outcome::Yes
            && txn.begin == Begin::Autocommit
            && let Do::Rollback(_) = txn.script.step(Some(&got(end.results.last())))
        {
            // Its one statement found nothing to change.
            outcome = plait_load::Outcome::No;
        }
        let value = match outcome {
            plait_load::Outcome::Yes => txn.script.value(),
            _ => txn.value.clone(),
        };
        let cause = match (outcome, end.error) {
            (plait_load::Outcome::Yes, _) => None,
            (_, Some(error)) => Some(Cause::Refused(error.code().0)),
            (_, None) if end.outcome == Outcome::Yes => Some(Cause::GaveUp),
            (_, None) => Some(Cause::Lost),
        };
        let error = end.error.map(ToString::to_string);
        let end = plait_load::End { outcome, value, error, cause, reusable: true };
        let line = self.history.complete(judge.now_ns, client, &end);
        self.write(&line);
    }

    fn last_read(&self) -> Vec<Step> {
        Vec::new()
    }

    fn last_check(&mut self, _slot: Slot, _results: &[StepResult], _judge: &mut Judge) {}

    fn last_texts(&self) -> Vec<String> {
        let reads = self.workload.last_reads().into_iter().map(|mut txn| {
            // What the last reads ask for does not rest on what they find.
            let (mut statements, nothing) = (Vec::new(), Got::default());
            let mut next = txn.script.step(None);
            while let Do::Sql(text) = next {
                statements.push(text);
                next = txn.script.step(Some(&nothing));
            }
            in_shop(&format!("START TRANSACTION; {}; COMMIT", statements.join("; ")))
        });
        reads.collect()
    }

    fn last_texts_check(&mut self, slot: Slot, n: usize, results: &[StepResult], judge: &mut Judge) {
        let Some(mut txn) = self.workload.last_reads().into_iter().nth(n) else { return };
        let clerk = self.open.len();
        self.history.last_reads();
        let line = self.history.invoke(judge.now_ns, clerk, &slot.to_string(), &txn);
        self.write(&line);
        // Before the first comes what USE and START TRANSACTION gave, after the last what COMMIT did.
        let mut results = results.iter().skip(2);
        let mut next = txn.script.step(None);
        while let Do::Sql(_) = next {
            next = txn.script.step(Some(&got(results.next())));
        }
        let value = txn.script.value();
        let outcome = plait_load::Outcome::Yes;
        let end = plait_load::End { outcome, value, error: None, cause: None, reusable: true };
        let line = self.history.complete(judge.now_ns, clerk, &end);
        self.write(&line);
    }

    fn judged(&mut self, judge: &mut Judge) {
        let recorded = self.recorded();
        let Some(workload) = plait_check::Workload::parse(recorded.workload) else { return };
        let model = Model::parse(recorded.model).expect("a model's name");
        let ask = Ask { workload, model, format: Some(plait_check::Format::Json), total: None, exact: false };
        match plait_check::check(recorded.text.as_bytes(), &ask) {
            Err(bad) => judge.broken("defect", format!("the history of {}: {bad}", self.name)),
            Ok(verdict) if verdict.valid == Valid::No => {
                for anomaly in verdict.anomalies.iter().take(1) {
                    judge.broken(&format!("{}/{}", self.name, anomaly.name), anomaly.why.clone());
                }
            }
            Ok(_) => {}
        }
    }

    fn history(&self) -> Option<Recorded> {
        Some(self.recorded())
    }
}
