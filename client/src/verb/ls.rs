//! `plait ls`: the clusters of this home, and whether each is up.

use crate::cli::Ctx;
use crate::cluster::Cluster;
use crate::fail::Res;
use crate::home::{self, Place};
use crate::say;
use crate::supervise::talk;
use serde_json::json;

pub async fn run(ctx: &Ctx) -> Res<()> {
    let home = &ctx.place.home;
    let mut rows =
        vec![["name", "state", "port base", "nodes running", "directory"].map(str::to_owned).to_vec()];
    let mut list = Vec::new();
    for name in home::names(home) {
        let Ok(place) = Place::new(home.clone(), &name) else { continue };
        let base = Cluster::load(&place).map(|cluster| cluster.base).ok();
        let view = talk::view(&place).await.ok();
        let running =
            view.as_ref().map_or(0, |view| view.nodes.iter().filter(|node| node.state.up()).count());
        let state = if view.is_some() { "up" } else { "down" };
        rows.push(vec![
            name.clone(),
            state.into(),
            base.map_or_else(|| "-".into(), |base| base.to_string()),
            format!("{running} of 3"),
            place.dir().display().to_string(),
        ]);
        list.push(json!({ "name": name, "state": state, "port_base": base, "running": running, "directory": place.dir() }));
    }
    let empty = list.is_empty();
    ctx.say.result("ls", json!({ "home": home, "clusters": list }), || {
        if empty {
            format!("No cluster in {}. Make one: {}", home.display(), ctx.command("up"))
        } else {
            say::table(&rows)
        }
    });
    Ok(())
}
