//! `plait config`: the effective configuration, and where each value comes from.

use crate::cli::{ConfigVerb, Ctx};
use crate::cluster::{self, Cluster, Key, Origin, Setting, variable};
use crate::fail::{Fail, Res, nearest};
use crate::say;
use serde_json::json;

struct Line {
    key: Key,
    value: String,
    origin: Origin,
}

pub fn run(ctx: &Ctx, verb: &ConfigVerb) -> Res<()> {
    let cluster = Cluster::load(&ctx.place)?;
    let keys = cluster::keys()?;
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let settings = cluster::settings(&cluster, &keys, &[], &env)?;
    let lines = lines(&cluster, &keys, &settings);
    match verb {
        ConfigVerb::Show => {
            let document: serde_json::Map<String, serde_json::Value> =
                lines.iter().map(|line| (line.key.key.clone(), line.value.as_str().into())).collect();
            ctx.say.result("config-show", json!({ "config": document }), || {
                say::table(
                    &lines
                        .iter()
                        .map(|line| vec![line.key.key.clone(), line.value.clone()])
                        .collect::<Vec<_>>(),
                )
            });
        }
        ConfigVerb::Explain { key } => {
            let chosen: Vec<&Line> = match key {
                None => lines.iter().collect(),
                Some(key) => vec![lines.iter().find(|line| line.key.key == *key).ok_or_else(|| {
                    let fail =
                        Fail::usage(format!("there is no key `{key}`"), "no node and no cluster has it");
                    match nearest(key, lines.iter().map(|line| line.key.key.as_str())) {
                        Some(near) => fail.next(format!("did you mean `{near}`?")),
                        None => fail.next(ctx.command("config show")),
                    }
                })?],
            };
            let document: Vec<serde_json::Value> = chosen
                .iter()
                .map(|line| {
                    json!({ "key": line.key.key, "value": line.value, "origin": line.origin.to_string(),
                            "default": line.key.default, "about": line.key.about, "variable": variable(&line.key.key) })
                })
                .collect();
            ctx.say.result("config-explain", json!({ "config": document }), || {
                let row = |line: &&Line| {
                    vec![
                        line.key.key.clone(),
                        line.value.clone(),
                        format!("from {}", line.origin),
                        line.key.about.clone(),
                    ]
                };
                say::table(&chosen.iter().map(row).collect::<Vec<_>>())
            });
        }
        ConfigVerb::Check => {
            check_values(ctx, &cluster, &settings)?;
            let set = settings.len();
            ctx.say.result("config-check", json!({ "file": ctx.place.config(), "set": set }), || {
                format!(
                    "{} {} can be used; {set} values are set.",
                    ctx.say.tick(),
                    ctx.place.config().display()
                )
            });
        }
    }
    Ok(())
}

fn lines(cluster: &Cluster, keys: &[Key], settings: &[Setting]) -> Vec<Line> {
    let own = |key: &str, value: String, about: &str| Line {
        key: Key { key: key.into(), default: String::new(), about: about.into() },
        value,
        origin: Origin::File,
    };
    let mut lines = vec![
        own("id", cluster.id.clone(), "names the cluster; made once"),
        own("born", cluster.born.to_string(), "whether its nodes have their identities"),
        own("port_base", cluster.base.to_string(), "first port of its block of 100"),
    ];
    for key in keys {
        let set = settings.iter().find(|setting| setting.key == key.key);
        let plain = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let (value, origin) = match set {
            Some(setting) => (plain(&setting.value), setting.origin.clone()),
            // `up` turns it on for a local cluster.
            None if key.key == "power" => ("true".into(), Origin::Default),
            None => (key.default.clone(), Origin::Default),
        };
        lines.push(Line { key: key.clone(), value, origin });
    }
    let users = settings.iter().filter(|setting| setting.key.starts_with("sql.users."));
    lines.extend(users.map(|user| Line {
        key: Key { key: user.key.clone(), default: String::new(), about: "password of a SQL user".into() },
        value: "(set)".into(),
        origin: user.origin.clone(),
    }));
    lines
}

/// Lets a node read what it would be told, so that a value of the wrong kind is found before a start.
fn check_values(ctx: &Ctx, cluster: &Cluster, settings: &[Setting]) -> Res<()> {
    let program = cluster::sibling("plait-node")?;
    let path = std::env::temp_dir().join(format!("plait-check-{}.toml", std::process::id()));
    let text = cluster::node_toml(&ctx.place, cluster, settings, crate::slot::Slot::ALL[0]);
    std::fs::write(&path, text).map_err(|e| Fail::file("write", &path, &e))?;
    let output = std::process::Command::new(&program).args(["config", "--config"]).arg(&path).output();
    let _ = std::fs::remove_file(&path);
    let output =
        output.map_err(|e| Fail::unfit(format!("can't run {}", program.display()), e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Fail::usage(
        "a value of cluster.toml can't be used",
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    )
    .next(format!("correct it in {}", ctx.place.config().display()))
    .next(ctx.command("config explain KEY")))
}
