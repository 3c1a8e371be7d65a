//! How a run reads: for a person, and as one JSON document.

use crate::drive::Tally;
use crate::fault::LeftOut;
use crate::judge::Verdict;
use crate::nemesis::Done;
use crate::record::Recorded;
use crate::target::Target;
use serde_json::{Map, Value, json};
use std::path::Path;

/// One workload's run.
pub struct Report<'a> {
    pub workload: &'a str,
    pub model: &'a str,
    pub isolation: &'a str,
    pub seed: u64,
    pub rate: f64,
    pub clients: usize,
    pub span_s: f64,
    /// The load ended before its time.
    pub interrupted: bool,
    pub target: &'a Target,
    pub tally: Tally,
    pub recorded: &'a Recorded,
    pub faults: &'a [Done],
    pub left_out: &'a [LeftOut],
    pub verdict: &'a Verdict,
    /// What happened that nobody asked for, or could not be done.
    pub troubles: &'a [String],
    pub out: &'a Path,
}

fn ms(ns: u64) -> f64 {
    (ns as f64 / 1e5).round() / 10.0
}

impl Report<'_> {
    /// What was counted, with the word's meaning: these add up.
    fn counts(&self) -> Value {
        json!({
            "scheduled": self.tally.scheduled,
            "ok": self.tally.ok,
            "refused": self.tally.refused + self.tally.late,
            "late": self.tally.late,
            "unknown": self.tally.unknown,
        })
    }

    fn outages(&self) -> Vec<Value> {
        let of = |done: &Done| {
            let outage = self.recorded.outages.iter().find(|outage| outage.id == done.fault.id)?;
            done.begun_ms?;
            let names = self.target.nodes.iter().map(|node| node.name.clone());
            let nodes: Map<String, Value> =
                names.zip(&outage.nodes_ns).map(|(name, ns)| (name, json!(ms(*ns)))).collect();
            Some(json!({
                "id": outage.id,
                "fault": done.strike.word,
                "on": done.strike.on,
                "begun_ms": ms(outage.begun_ns),
                "ended_ms": ms(outage.ended_ns),
                "longest_gap_ms": ms(outage.longest_ns),
                "node_gap_ms": nodes,
            }))
        };
        self.faults.iter().filter_map(of).collect()
    }

    pub fn json(&self) -> Value {
        let nodes: Map<String, Value> = self
            .target
            .nodes
            .iter()
            .zip(&self.recorded.nodes)
            .map(|(node, c)| (node.name.clone(), json!({ "ok": c.ok, "fail": c.fail, "info": c.info })))
            .collect();
        let history = self.recorded.counts;
        json!({
            "schema": "plait.live-verdict/1",
            "workload": self.workload,
            "model": self.model,
            "isolation": self.isolation,
            "verdict": self.verdict.word.word(),
            "why": self.verdict.why,
            "judged": self.verdict.details,
            "seed": self.seed,
            "rate_per_s": self.rate,
            "clients": self.clients,
            "span_s": self.span_s,
            "interrupted": self.interrupted,
            "target": if self.target.plait.is_some() { "plait" } else { "foreign" },
            "counts": self.counts(),
            "history": { "ok": history.ok, "fail": history.fail, "info": history.info },
            "errors": self.recorded.errors,
            "nodes": nodes,
            "faults_made": self.faults.iter().filter(|done| done.begun_ms.is_some()).count(),
            "outages": self.outages(),
            "left_out": self.left_out,
            "troubles": self.troubles,
            "out": self.out,
        })
    }

    /// The faults with their real times, to be run again with `--plan`.
    pub fn plan(&self) -> Value {
        json!({
            "schema": crate::fault::SCHEMA,
            "seed": self.seed,
            "workload": self.workload,
            "span_ms": (self.span_s * 1e3).round() as u64,
            "faults": self.faults.iter().map(Done::json).collect::<Vec<_>>(),
            "left_out": self.left_out,
        })
    }

    pub fn text(&self) -> String {
        let t = &self.tally;
        let mut text = format!("{}: {} ({})\n", self.workload, self.verdict.word.word(), self.verdict.why);
        text += &format!(
            "  {} scheduled = {} ok + {} refused ({} by a node, {} not begun in time) + {} unknown\n",
            t.scheduled,
            t.ok,
            t.refused + t.late,
            t.refused,
            t.late,
            t.unknown
        );
        if !self.recorded.errors.is_empty() {
            let errors = self.recorded.errors.iter().map(|(why, n)| format!("{why} ×{n}"));
            text += &format!("  why not ok: {}\n", errors.collect::<Vec<_>>().join(", "));
        }
        let nodes = self.target.nodes.iter().zip(&self.recorded.nodes);
        let nodes = nodes.map(|(node, c)| format!("{} {}/{}/{}", node.name, c.ok, c.fail, c.info));
        text += &format!(
            "  ok/fail/info by node, with the last reads: {}\n",
            nodes.collect::<Vec<_>>().join(", ")
        );
        let outages = self.outages();
        if !outages.is_empty() {
            let mut rows =
                vec![["  fault", "on", "from s", "to s", "longest gap ms"].map(str::to_owned).to_vec()];
            rows[0].extend(self.target.nodes.iter().map(|node| format!("{} ms", node.name)));
            for outage in &outages {
                let word = |name: &str| outage[name].as_str().unwrap_or_default().to_owned();
                let number = |name: &str| outage[name].as_f64().unwrap_or_default();
                let mut row = vec![
                    format!("  {}", word("fault")),
                    word("on"),
                    format!("{:.2}", number("begun_ms") / 1e3),
                    format!("{:.2}", number("ended_ms") / 1e3),
                    format!("{:.0}", number("longest_gap_ms")),
                ];
                let gaps = outage["node_gap_ms"].as_object().into_iter().flatten();
                row.extend(gaps.map(|(_, gap)| format!("{:.0}", gap.as_f64().unwrap_or_default())));
                rows.push(row);
            }
            text += &table(&rows);
        }
        for one in self.left_out {
            text += &format!("  left out: fault {} ({}): {}\n", one.id, one.kind, one.why);
        }
        if self.interrupted {
            text += "  the load was interrupted before its time\n";
        }
        self.troubles.iter().for_each(|why| text += &format!("  ! {why}\n"));
        text + &format!("  {}\n", self.out.display())
    }
}

/// Columns as wide as their widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|row| row.get(c)).map(|s| s.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
