//! `plait env`: addresses and credentials, to be taken over by a shell or another program.

use crate::cli::Ctx;
use crate::cluster::{self, Cluster, Login};
use crate::fail::Res;
use crate::slot::Slot;
use serde_json::{Map, Value};

pub fn run(ctx: &Ctx) -> Res<()> {
    let cluster = Cluster::load(&ctx.place)?;
    let block = cluster.block();
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Login { user, password, database } =
        Login::of(&cluster::settings(&cluster, &cluster::keys()?, &[], &env)?);
    let list =
        |port: &dyn Fn(Slot) -> u16| Slot::ALL.map(|slot| format!("127.0.0.1:{}", port(slot))).join(",");
    let variables = [
        ("DATABASE_URL", format!("mysql://{user}:{password}@127.0.0.1:{}/{database}", block.door())),
        ("PLAIT_SQL", format!("127.0.0.1:{}", block.door())),
        ("PLAIT_SQL_NODES", list(&|s| block.sql(s))),
        ("PLAIT_GRPC_NODES", list(&|s| block.grpc(s))),
        ("PLAIT_METRICS_NODES", list(&|s| block.admin(s))),
        ("DB_USER", user),
        ("DB_PASS", password),
        ("DB_NAME", database),
    ];
    let document: Map<String, Value> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    ctx.say.result("env", serde_json::json!({ "variables": document }), || {
        variables
            .iter()
            .map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', "'\\''")))
            .collect()
    });
    Ok(())
}
