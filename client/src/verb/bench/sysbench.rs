//! One run of sysbench: its command line, and what it prints as figures.
//!
//! The percentiles come from its histogram, since it prints but one of them by itself. A bucket's value is its upper
//! end, as sysbench's own percentile is.

use crate::fail::{Code, Fail, Res};
use crate::home::{self, Place};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The workload of our own: all clients at one row.
pub const HOT_ROW: &str = "hot_row";
const HOT_ROW_LUA: &str = include_str!("../../../../bench/hot_row.lua");
/// Every workload that `plait bench sql` knows.
pub const WORKLOADS: [&str; 8] = [
    "oltp_write_only",
    "oltp_read_write",
    "oltp_insert",
    "oltp_point_select",
    "oltp_update_index",
    "oltp_update_non_index",
    "oltp_delete",
    HOT_ROW,
];
/// Lost conflicts and lock time-outs: counted, and the transaction is done again.
const RETRIED: &str = "--mysql-ignore-errors=1213,1020,1205";
const PREPARE_MAX: Duration = Duration::from_secs(120);
/// How long a run may take beyond its span.
const OVER_MAX: Duration = Duration::from_secs(30);

/// Where and how the workloads run; the same for both sides.
#[derive(Debug, Clone)]
pub struct Sysbench {
    pub user: String,
    pub password: String,
    pub database: String,
    pub auto_inc: bool,
    pub tables: u32,
    pub rows: u32,
    hot_row: PathBuf,
}

/// What one run showed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    pub transactions: f64,
    pub tps: f64,
    /// Aborts that reached a client.
    pub errors_per_s: f64,
    pub reconnects: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Sysbench {
    /// Refuses when the program is missing.
    pub async fn new(place: &Place, auto_inc: bool) -> Res<Sysbench> {
        let there = Command::new("sysbench").arg("--version").stdout(Stdio::null()).status().await;
        if !there.is_ok_and(|status| status.success()) {
            return Err(Fail::unfit("`plait bench sql` needs sysbench", "it can't be run on this machine")
                .next("install it: apt-get install sysbench")
                .next("measure without it: plait bench txn"));
        }
        home::make_dir(&place.run())?;
        let hot_row = place.run().join("hot_row.lua");
        home::replace(&hot_row, HOT_ROW_LUA)?;
        Ok(Sysbench {
            user: String::new(),
            password: String::new(),
            database: String::new(),
            auto_inc,
            tables: 4,
            rows: 10_000,
            hot_row,
        })
    }

    /// The same workloads with another login.
    pub fn of(&self, user: &str, password: &str, database: &str) -> Sysbench {
        Sysbench {
            user: user.to_owned(),
            password: password.to_owned(),
            database: database.to_owned(),
            ..self.clone()
        }
    }

    fn command(&self, workload: &str, ports: &[u16]) -> Command {
        let mut command = Command::new("sysbench");
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        match workload {
            HOT_ROW => command.arg(&self.hot_row),
            stock => command.arg(stock),
        };
        command.args(["--db-driver=mysql", "--mysql-host=127.0.0.1", RETRIED, "--rand-seed=7"]);
        command.arg(format!("--mysql-port={}", ports.join(",")));
        command.arg(format!("--mysql-user={}", self.user));
        command.arg(format!("--mysql-password={}", self.password));
        command.arg(format!("--mysql-db={}", self.database));
        command.arg(format!("--tables={}", self.tables));
        command.arg(format!("--table_size={}", self.rows));
        command.arg(format!("--auto_inc={}", if self.auto_inc { "on" } else { "off" }));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Makes the workload's tables anew.
    pub async fn prepare(&self, workload: &str, port: u16) -> Res<()> {
        let mut cleanup = self.command(workload, &[port]);
        // Without tables from an earlier run this does nothing.
        output(cleanup.arg("cleanup"), PREPARE_MAX, &format!("sysbench {workload} cleanup")).await?;
        let mut prepare = self.command(workload, &[port]);
        output(prepare.arg("prepare"), PREPARE_MAX, &format!("sysbench {workload} prepare")).await?;
        Ok(())
    }

    /// Runs the workload for this long.
    pub async fn run(&self, workload: &str, ports: &[u16], threads: u32, span: Duration) -> Res<Figures> {
        let mut command = self.command(workload, ports);
        command.args([format!("--threads={threads}"), format!("--time={}", span.as_secs().max(1))]);
        command.args(["--histogram=on", "run"]);
        let what = format!("sysbench {workload} with {threads} threads");
        let text = output(&mut command, span + OVER_MAX, &what).await?;
        figures(&text).ok_or_else(|| Fail::new(Code::Unknown, format!("{what} printed no figures"), text))
    }
}

/// What a command prints; its last lines as the reason when it fails.
async fn output(command: &mut Command, within: Duration, what: &str) -> Res<String> {
    let done = tokio::time::timeout(within, command.output()).await;
    let done = done
        .map_err(|_| Fail::timeout(format!("{what} did not end"), format!("{} s passed", within.as_secs())))?
        .map_err(|e| Fail::unfit(format!("{what} can't be run"), e.to_string()))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(text);
    }
    let fatal: Vec<&str> = text.lines().filter(|line| line.contains("FATAL")).take(3).collect();
    let why = match fatal[..] {
        [] => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        _ => fatal.join("\n"),
    };
    Err(Fail::new(Code::Invalid, format!("{what} failed"), why))
}

/// Reads the report of a run. `None` if it is none.
fn figures(text: &str) -> Option<Figures> {
    let line = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name));
    // "transactions:  2123   (1061.12 per sec.)"
    let pair = |name: &str| -> Option<(f64, f64)> {
        let (count, rate) = line(name)?.split_once('(')?;
        Some((count.trim().parse().ok()?, rate.split_whitespace().next()?.parse().ok()?))
    };
    let (transactions, tps) = pair("transactions:")?;
    let (_, errors_per_s) = pair("ignored errors:")?;
    let (reconnects, _) = pair("reconnects:")?;
    let max_ms = line("max:")?.trim().parse().ok()?;
    // "       0.123 |*****        456"
    let buckets: Vec<(f64, u64)> = text
        .lines()
        .filter_map(|line| {
            let (value, rest) = line.split_once('|')?;
            Some((value.trim().parse().ok()?, rest.split_whitespace().last()?.parse().ok()?))
        })
        .collect();
    let all: u64 = buckets.iter().map(|(_, count)| count).sum();
    let percentile = |part: f64| {
        let mut left = (all as f64 * part).ceil();
        buckets.iter().find(|(_, count)| {
            left -= *count as f64;
            left <= 0.0
        })
    };
    let at = |part: f64| percentile(part).map_or(0.0, |(value, _)| *value);
    Some(Figures {
        transactions,
        tps,
        errors_per_s,
        reconnects,
        p50_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        max_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
Latency histogram (values are in milliseconds)
       value  ------------- distribution ------------- count
       1.012 |**********                               50
       2.030 |****************************************  45
       4.057 |*                                        5

SQL statistics:
    transactions:                        100    (10.00 per sec.)
    queries:                             700    (70.00 per sec.)
    ignored errors:                      3      (0.30 per sec.)
    reconnects:                          0      (0.00 per sec.)

Latency (ms):
         min:                                    0.90
         max:                                    4.11
         95th percentile:                        2.03
";

    #[test]
    fn a_report_is_read() {
        let read = figures(REPORT).expect("it is a report");
        assert_eq!((read.transactions, read.tps, read.errors_per_s), (100.0, 10.0, 0.3));
        assert_eq!((read.p50_ms, read.p95_ms, read.p99_ms, read.max_ms), (1.012, 2.03, 4.057, 4.11));
        assert_eq!(figures("FATAL: unable to connect"), None);
    }
}
