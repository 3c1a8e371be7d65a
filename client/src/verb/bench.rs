//! `plait bench`: figures, each with whether the machine was quiet enough to believe it.

mod cost;
mod failover;
mod peer;
mod sql;
mod sysbench;
mod txn;

use crate::cli::{BenchVerb, Ctx};
use crate::client::Client;
use crate::cluster::Cluster;
use crate::fail::{Fail, Res};
use crate::ports::local;
use crate::slot::Slot;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The table that is written.
const TABLE: &str = "plait_bench";
const SETUP_MAX: Duration = Duration::from_secs(30);

pub async fn run(ctx: &Ctx, verb: &BenchVerb) -> Res<ExitCode> {
    match verb {
        BenchVerb::Failover { rounds } => failover::run(ctx, *rounds).await,
        BenchVerb::Txn { span, clients } => txn::run(ctx, *span, *clients).await,
        BenchVerb::Sql(args) => sql::run(ctx, args).await,
    }
}

/// One client for each node.
fn clients(cluster: &Cluster) -> [Client; 3] {
    Slot::ALL.map(|slot| Client::new(&[local(cluster.block().grpc(slot))]))
}

async fn make_table(clients: &[Client; 3]) -> Res<()> {
    let deadline = Instant::now() + SETUP_MAX;
    let text = format!("CREATE TABLE IF NOT EXISTS {TABLE} (k BIGINT PRIMARY KEY, v BIGINT NOT NULL)");
    loop {
        let made = match clients[0].session().await {
            Ok(mut session) => session.sql(&text).await,
            Err(error) => Err(error),
        };
        match made {
            Ok(_) => return Ok(()),
            Err(error) if error.retry() && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await
            }
            Err(error) => {
                return Err(Fail::state("the table of the bench can't be made", error.to_string())
                    .next("plait status"));
            }
        }
    }
}

fn median(values: &mut [Duration]) -> Duration {
    values.sort();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
