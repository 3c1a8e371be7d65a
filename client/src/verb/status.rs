//! `plait status`: one sentence first, then what it rests on.
//!
//! It answers within a deadline whatever the nodes do: dead, paused and cut ones are said to be silent, and the rest is
//! judged by those that answered.

use crate::account::{self, Account};
use crate::cli::Ctx;
use crate::cluster::Cluster;
use crate::fail::Res;
use crate::faults::{self, Way};
use crate::process::Process;
use crate::say;
use crate::slot::Slot;
use crate::supervise::talk::{self, NodeState, View};
use serde_json::{Value, json};
use std::time::Duration;

/// How long the nodes have to answer.
const ASK_MAX: Duration = Duration::from_millis(700);

/// What there is to say.
struct Picture {
    view: View,
    accounts: [Account; 3],
    /// CPU and memory are looked up from outside.
    pss_bytes: [Option<u64>; 3],
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    available: bool,
    sentence: String,
}

pub async fn run(ctx: &Ctx, watch: bool, every: Duration) -> Res<()> {
    if !watch {
        return once(ctx).await;
    }
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
        .map_err(|e| crate::fail::Fail::unfit("can't listen for signals", e.to_string()))?;
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout()) && !ctx.say.json;
    loop {
        if terminal {
            // Home, and clear what is below once the new picture is there: no flicker.
            print!("\x1b[H\x1b[2J");
        }
        once(ctx).await?;
        tokio::select! {
            biased;
            _ = interrupt.recv() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
    }
}

async fn once(ctx: &Ctx) -> Res<()> {
    let view = talk::view(&ctx.place).await?;
    let block = crate::ports::Block::new(view.port_base)?;
    let accounts = account::all(block, ASK_MAX).await;
    let pss = |slot: Slot| Process::now(view.node(slot).pid?)?.pss_bytes();
    let picture = Picture { pss_bytes: Slot::ALL.map(pss), view, accounts };
    ctx.say.result("status", picture.json(ctx), || picture.text(ctx));
    Ok(())
}

/// The sentence, from which nodes serve.
fn judge(view: &View, accounts: &[Account; 3]) -> Verdict {
    let serving: Vec<Slot> = accounts.iter().filter(|a| a.serves()).map(|a| a.slot).collect();
    let names = |slots: &[Slot]| slots.iter().map(Slot::to_string).collect::<Vec<_>>().join(", ");
    let others: Vec<String> = accounts
        .iter()
        .filter(|a| !a.serves())
        .map(|a| {
            let node = view.node(a.slot);
            let how = match node.state {
                NodeState::Running if a.answered() => format!("not ready ({})", a.why_not()),
                NodeState::Running => "silent".into(),
                other => other.word().into(),
            };
            format!("{} is {how}", a.slot)
        })
        .collect();
    let leader = accounts.iter().find(|a| a.leads() && a.serves()).map(|a| a.slot);
    let led = leader.map_or_else(String::new, |leader| format!(" (leader {leader})"));
    match serving.len() {
        3 => Verdict {
            available: true,
            sentence: format!(
                "Available: all three nodes serve{led}. Any one of them may fail and nothing acknowledged is lost."
            ),
        },
        2 => Verdict {
            available: true,
            sentence: format!(
                "Available on {}{led}, and one more failure stops it: {}.",
                names(&serving),
                others.join(", ")
            ),
        },
        1 => Verdict {
            available: false,
            sentence: format!(
                "Not available: {} alone is no majority of three; {}. What was acknowledged is safe; it serves again when two are back.",
                names(&serving),
                others.join(", ")
            ),
        },
        _ => Verdict {
            available: false,
            sentence: format!(
                "Not available: no node serves; {}. What was acknowledged is on their disks.",
                others.join(", ")
            ),
        },
    }
}

impl Picture {
    fn chain_word(&self, account: &Account) -> &'static str {
        let (Some(seqno), Some(chain)) = (account.number("seqno"), account.text("chain")) else { return "-" };
        let peers =
            self.accounts.iter().filter(|a| a.slot != account.slot && a.number("seqno") == Some(seqno));
        let mut peers = peers.peekable();
        if peers.peek().is_none() {
            return "unmatched";
        }
        if peers.all(|a| a.text("chain").as_deref() == Some(&chain)) { "equal" } else { "DIFFERS" }
    }

    fn lag(&self, account: &Account) -> Option<u64> {
        let most = self.accounts.iter().filter_map(|a| a.number("commit_index")).max()?;
        Some(most.saturating_sub(account.number("applied_index")?))
    }

    fn text(&self, ctx: &Ctx) -> String {
        let view = &self.view;
        let verdict = judge(view, &self.accounts);
        let sentence =
            if verdict.available { ctx.say.good(&verdict.sentence) } else { ctx.say.bad(&verdict.sentence) };
        let mut text = format!("{sentence}\n\n");
        let mut rows = vec![
            [
                "node",
                "process",
                "state",
                "role",
                "term",
                "applied/stable",
                "seqno",
                "chain",
                "lease",
                "lag",
                "memory",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        for account in &self.accounts {
            let node = view.node(account.slot);
            let get = |name: &str| account.text(name).unwrap_or_else(|| "-".into());
            let role = match (account.answered(), account.leads()) {
                (false, _) => "-",
                (true, true) => "leader",
                (true, false) => "follower",
            };
            let read = account.text("read");
            let lease = match (account.lease(), account.answered(), read.as_deref()) {
                (true, ..) => "held",
                (_, false, _) => "-",
                (.., Some("index")) => "index",
                (.., Some("local")) => "local",
                _ => "none",
            };
            rows.push(vec![
                account.slot.to_string(),
                node.pid.map_or_else(
                    || node.state.word().to_owned(),
                    |pid| format!("{} {pid}", node.state.word()),
                ),
                if account.answered() { get("state") } else { "silent".into() },
                role.into(),
                get("term"),
                if account.answered() {
                    format!("{}/{}", get("applied_index"), get("stable_index"))
                } else {
                    "-".into()
                },
                get("seqno"),
                self.chain_word(account).into(),
                lease.to_owned(),
                self.lag(account).map_or_else(|| "-".into(), |lag| lag.to_string()),
                self.pss_bytes[account.slot.at()].map_or_else(|| "-".into(), say::bytes),
            ]);
        }
        text.push_str(&say::table(&rows));
        for account in &self.accounts {
            let node = view.node(account.slot);
            if let (NodeState::Crashed, Some(exit)) = (node.state, &node.exit) {
                let slot = account.slot;
                text.push_str(&format!(
                    "\n{} {slot} crashed: {exit}\n  next: {}, then {}\n",
                    ctx.say.bad(ctx.say.cross()),
                    ctx.command(&format!("logs {slot}")),
                    ctx.command(&format!("start {slot}"))
                ));
            } else if let (true, Some(why)) = (node.state == NodeState::Running, account.silence()) {
                text.push_str(&format!("\n! {} does not answer: {why}\n", account.slot));
            }
        }
        if !view.faults.is_empty() {
            text.push_str(&format!("\nfaults (undo all: {})\n", ctx.command("heal")));
            let now =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
            let mut rows: Vec<Vec<String>> = Vec::new();
            for fault in &view.faults {
                let age = say::span(Duration::from_secs(now.saturating_sub(fault.since)));
                rows.push(vec![format!("  {}", fault.id), fault.text.clone(), format!("for {age}")]);
            }
            text.push_str(&say::table(&rows));
            let pending: Vec<String> = view
                .nodes
                .iter()
                .filter(|n| n.pending_rules > 0 && n.state.up())
                .map(|n| n.slot.to_string())
                .collect();
            if !pending.is_empty() {
                text.push_str(&format!(
                    "  not in effect yet on {}, which does not answer\n",
                    pending.join(", ")
                ));
            }
            text.push_str(&format!("\nlinks (row sends to column)\n{}", self.links()));
        }
        let block = crate::ports::Block::new(view.port_base).expect("a cluster that runs has a good base");
        let each = |port: &dyn Fn(Slot) -> u16| Slot::ALL.map(|slot| port(slot).to_string()).join(" ");
        text.push_str(&format!(
            "\nports  SQL {} -> {}; each node SQL {}, gRPC {}, /metrics {}\n",
            block.door(),
            view.door.main.map_or_else(|| "nobody".into(), |slot| slot.to_string()),
            each(&|s| block.sql(s)),
            each(&|s| block.grpc(s)),
            each(&|s| block.admin(s)),
        ));
        text
    }

    /// The links as a matrix of what stands on each.
    fn links(&self) -> String {
        let rules = faults::rules(&self.view.faults);
        let mut rows = vec![vec!["  ".to_owned(), "n1".into(), "n2".into(), "n3".into()]];
        for from in Slot::ALL {
            let mut row = vec![format!("  {from}")];
            for to in Slot::ALL {
                let cell = rules.get(&Way { from, to }).map_or_else(
                    || "-".to_owned(),
                    |rule| {
                        let mut parts = Vec::new();
                        if rule.cut {
                            parts.push("cut".to_owned());
                        }
                        if rule.delay_ms + rule.jitter_ms > 0 {
                            parts.push(format!("{}±{}ms", rule.delay_ms, rule.jitter_ms));
                        }
                        if rule.loss_per_mille > 0 {
                            parts.push(format!("loses {}%", f64::from(rule.loss_per_mille) / 10.0));
                        }
                        if rule.rate > 0 {
                            parts.push(format!("{}/s", say::bytes(rule.rate)));
                        }
                        if parts.is_empty() { "ok".into() } else { parts.join(" ") }
                    },
                );
                row.push(cell);
            }
            rows.push(row);
        }
        say::table(&rows)
    }

    fn json(&self, ctx: &Ctx) -> Value {
        let verdict = judge(&self.view, &self.accounts);
        let nodes: Vec<Value> = self
            .accounts
            .iter()
            .map(|account| {
                let node = self.view.node(account.slot);
                json!({
                    "node": account.slot,
                    "process": node.state,
                    "pid": node.pid,
                    "since": node.since,
                    "exit": node.exit,
                    "answers": account.answered(),
                    "silence": account.silence(),
                    "serves": account.serves(),
                    "leads": account.leads(),
                    "chain": self.chain_word(account).to_lowercase(),
                    "lag_entries": self.lag(account),
                    "pss_bytes": self.pss_bytes[account.slot.at()],
                    "account": account.json(),
                })
            })
            .collect();
        let leader = self.accounts.iter().find(|a| a.leads() && a.serves()).map(|a| a.slot);
        json!({
            "name": ctx.place.name,
            "id": self.view.cluster,
            "available": verdict.available,
            "sentence": verdict.sentence,
            "leader": leader,
            "chains_agree": account::chains_agree(&self.accounts),
            "nodes": nodes,
            "faults": self.view.faults,
            "front_door": self.view.door,
            "port_base": self.view.port_base,
            "supervisor_pid": self.view.process.pid,
        })
    }
}

/// The node that leads, for verbs that need one.
pub async fn leader(cluster: &Cluster) -> Option<Slot> {
    let accounts = account::all(cluster.block(), ASK_MAX).await;
    accounts.iter().find(|a| a.leads() && a.serves()).map(|a| a.slot)
}
