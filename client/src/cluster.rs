//! `cluster.toml`: what a cluster is and what its owner set; and the configuration of each node made from it.
//!
//! The file's own keys are `format`, `id`, `born` and `port_base`. Every other key is one of a node's (`limits.…`,
//! `host.…`, `sql.…`, `timing_scale`, `power`, `log`) and goes to all three nodes; `plait-node` knows them, so there is
//! one table of keys. What counts is flag > `PLAIT_…` > file > default.
//! Invariant: `born` is written after all three nodes have their identity and before the first of them runs. A cluster
//! that is born never makes an identity again: an empty directory joins, and two of them are refused.

use crate::fail::{Code, Fail, Res, nearest};
use crate::home::{self, Place};
use crate::ports::{Block, local};
use crate::slot::Slot;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

/// The format of `cluster.toml` that this build writes.
const FORMAT: i64 = 1;
const OWN_KEYS: [&str; 4] = ["format", "id", "born", "port_base"];
/// Keys of a node that belong to one node or follow from the rest, so that a cluster's file can't set them.
const DERIVED: [&str; 9] = [
    "cluster",
    "slot",
    "data_dir",
    "listen.grpc",
    "listen.http",
    "listen.sql",
    "peers.n1",
    "peers.n2",
    "peers.n3",
];

/// A cluster's file.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    pub id: String,
    pub born: bool,
    pub base: u16,
    /// Every other key, dotted, with its value as TOML.
    pub rest: BTreeMap<String, toml::Value>,
    /// The file as its owner wrote it.
    text: String,
}

impl Cluster {
    /// A new cluster that is not born yet.
    pub fn new(base: u16) -> Res<Cluster> {
        let mut id = [0_u8; 16];
        let read = std::fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut id));
        read.map_err(|e| Fail::unfit("can't draw a cluster id", format!("/dev/urandom: {e}")))?;
        let mut text = String::new();
        id.iter().enumerate().for_each(|(i, byte)| {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(text, "{dash}{byte:02x}").expect("a string takes all");
        });
        let id = text;
        let text = format!(
            "# A cluster of Plait. The first four keys are its own; leave them to `plait`.\n\
             # Any key of a node may be set below, as in timing_scale = 4 or [limits] lease = \"300ms\";\n\
             # `plait config show` lists them all, `plait config explain` says where each value comes from.\n\
             format = {FORMAT}\nid = \"{id}\"\nborn = false\nport_base = {base}\n"
        );
        Ok(Cluster { id, born: false, base, rest: BTreeMap::new(), text })
    }

    pub fn load(place: &Place) -> Res<Cluster> {
        let path = place.config();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(place.missing()),
            Err(e) => return Err(Fail::file("read", &path, &e)),
        };
        Cluster::parse(&text).map_err(|mut fail| {
            fail.why = format!("{}: {}", path.display(), fail.why);
            fail
        })
    }

    fn parse(text: &str) -> Res<Cluster> {
        let wrong = |why: String| {
            Fail::usage("the cluster's configuration can't be used", why)
                .next("correct that line, then `plait config check`")
        };
        let table: toml::Table =
            text.parse().map_err(|e: toml::de::Error| wrong(e.to_string().trim().to_owned()))?;
        let mut flat = BTreeMap::new();
        flatten("", table, &mut flat);
        match flat.remove("format") {
            Some(toml::Value::Integer(FORMAT)) => {}
            Some(other) => {
                return Err(Fail::state(
                    "this cluster is of another format",
                    format!("it has format {other}, and this build knows {FORMAT}"),
                )
                .next("use the version of plait that made it; nothing was touched"));
            }
            None => return Err(wrong("`format` is missing".into())),
        }
        let id = match flat.remove("id") {
            Some(toml::Value::String(id)) if id.len() == 36 => id,
            other => return Err(wrong(format!("`id` must be the cluster's UUID and is {other:?}"))),
        };
        let born = match flat.remove("born") {
            Some(toml::Value::Boolean(born)) => born,
            other => return Err(wrong(format!("`born` must be true or false and is {other:?}"))),
        };
        let base = match flat.remove("port_base") {
            Some(toml::Value::Integer(base)) => {
                u16::try_from(base).map_err(|_| wrong(format!("`port_base` can't be {base}")))?
            }
            other => return Err(wrong(format!("`port_base` must be a number and is {other:?}"))),
        };
        Block::new(base).map_err(|fail| wrong(format!("`port_base`: {}", fail.why)))?;
        Ok(Cluster { id, born, base, rest: flat, text: text.to_owned() })
    }

    pub fn block(&self) -> Block {
        Block::new(self.base).expect("a loaded cluster has a port base in range")
    }

    /// Writes the file with the values of `born` and `port_base` as they are here and every other line as it was.
    pub fn save(&mut self, place: &Place) -> Res<()> {
        let lines: Vec<String> = self
            .text
            .lines()
            .map(|line| match line.split('=').next().map(str::trim) {
                Some("born") => format!("born = {}", self.born),
                Some("port_base") => format!("port_base = {}", self.base),
                _ => line.to_owned(),
            })
            .collect();
        self.text = lines.join("\n") + "\n";
        home::make_dir(&place.dir())?;
        home::replace(&place.config(), &self.text)
    }
}

fn flatten(prefix: &str, table: toml::Table, out: &mut BTreeMap<String, toml::Value>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, out),
            other => {
                out.insert(key, other);
            }
        }
    }
}

/// Where an effective value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag,
    Env(String),
    File,
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Flag => f.write_str("flag"),
            Origin::Env(name) => f.write_str(name),
            Origin::File => f.write_str("cluster.toml"),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A key that a node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub key: String,
    pub default: String,
    pub about: String,
}

/// One effective value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    pub key: String,
    /// As TOML.
    pub value: toml::Value,
    pub origin: Origin,
}

/// The program beside this one.
pub fn sibling(name: &str) -> Res<PathBuf> {
    let me = std::env::current_exe()
        .map_err(|e| Fail::unfit("can't tell where plait itself is", e.to_string()))?;
    let beside = me.with_file_name(name);
    if beside.is_file() {
        return Ok(beside);
    }
    Err(Fail::unfit(
        format!("the program {name} is missing"),
        format!("it must be beside plait, and {} does not exist", beside.display()),
    )
    .next("build all programs: cargo build --release"))
}

/// The keys that `plait-node` knows.
pub fn keys() -> Res<Vec<Key>> {
    let node = sibling("plait-node")?;
    let output = Command::new(&node).args(["config", "--keys", "--json"]).output();
    let output = output.map_err(|e| Fail::unfit(format!("can't run {}", node.display()), e.to_string()))?;
    let bug = |why: String| Fail::bug("plait-node did not list its configuration keys", why);
    if !output.status.success() {
        return Err(bug(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|e| bug(e.to_string()))?;
    let list =
        list.get("keys").unwrap_or(&list).as_array().cloned().ok_or_else(|| bug("it is no list".into()))?;
    let text = |item: &serde_json::Value, name: &str| {
        item.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
    };
    Ok(list
        .iter()
        .map(|item| Key {
            key: text(item, "key"),
            default: text(item, "default"),
            about: text(item, "about"),
        })
        .filter(|key| !DERIVED.contains(&key.key.as_str()))
        .collect())
}

/// The name of the variable that sets a key: `limits.lease` is `PLAIT_LIMITS_LEASE`.
pub fn variable(key: &str) -> String {
    format!("PLAIT_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// A value given as text, as TOML: what reads as a number or a truth is one, everything else is text.
fn from_text(text: &str) -> toml::Value {
    match (text.parse::<i64>(), text.parse::<bool>()) {
        (Ok(n), _) => toml::Value::Integer(n),
        (_, Ok(truth)) => toml::Value::Boolean(truth),
        _ => toml::Value::String(text.to_owned()),
    }
}

/// The values that are set for the nodes, each with its origin, and the refusal of a key that nobody knows.
pub fn settings(
    cluster: &Cluster,
    keys: &[Key],
    flags: &[String],
    env: &dyn Fn(&str) -> Option<String>,
) -> Res<Vec<Setting>> {
    let known = |key: &str| keys.iter().any(|k| k.key == key) || key.starts_with("sql.users.");
    let mut found: BTreeMap<String, (toml::Value, Origin)> = BTreeMap::new();
    let unknown = |key: &str, place: &str| {
        let why = if DERIVED.contains(&key) {
            "it belongs to one node and follows from the rest".to_owned()
        } else {
            format!("no node has a key `{key}` ({place})")
        };
        let fail = Fail::usage(format!("`{key}` can't be set for a cluster"), why);
        let all = keys.iter().map(|k| k.key.as_str()).chain(OWN_KEYS);
        let fail = match nearest(key, all) {
            Some(near) => fail.next(format!("did you mean `{near}`?")),
            None => fail,
        };
        fail.next("list all keys: plait config show")
    };
    for (key, value) in &cluster.rest {
        if !known(key) {
            return Err(unknown(key, "cluster.toml"));
        }
        found.insert(key.clone(), (value.clone(), Origin::File));
    }
    for key in keys {
        let name = variable(&key.key);
        if let Some(text) = env(&name) {
            found.insert(key.key.clone(), (from_text(&text), Origin::Env(name)));
        }
    }
    for flag in flags {
        let (key, text) = flag.split_once('=').ok_or_else(|| {
            Fail::usage(format!("`--set {flag}` has no `=`"), "a setting is a key and a value")
                .next("write --set KEY=VALUE")
        })?;
        if !known(key.trim()) {
            return Err(unknown(key.trim(), "--set"));
        }
        found.insert(key.trim().to_owned(), (from_text(text.trim()), Origin::Flag));
    }
    Ok(found.into_iter().map(|(key, (value, origin))| Setting { key, value, origin }).collect())
}

/// The text of one node's configuration.
pub fn node_toml(place: &Place, cluster: &Cluster, settings: &[Setting], slot: Slot) -> String {
    let block = cluster.block();
    let quote = |text: String| toml::Value::String(text).to_string();
    let mut text =
        format!("# Written by `plait up` from {}; changes here are lost.\n", place.config().display());
    let mut put = |key: &str, value: String| writeln!(text, "{key} = {value}").expect("a string takes all");
    put("cluster", quote(cluster.id.clone()));
    put("slot", slot.get().to_string());
    put("data_dir", quote(place.node(slot).display().to_string()));
    put("listen.grpc", quote(local(block.grpc(slot)).to_string()));
    put("listen.http", quote(local(block.admin(slot)).to_string()));
    put("listen.sql", quote(local(block.sql(slot)).to_string()));
    for peer in Slot::ALL {
        put(&format!("peers.{peer}"), quote(local(block.grpc(peer)).to_string()));
    }
    // Power-off is a lesson of a local cluster, so it is on unless it was set otherwise.
    if !settings.iter().any(|setting| setting.key == "power") {
        put("power", "true".into());
    }
    for setting in settings {
        put(&setting.key, setting.value.to_string());
    }
    text
}

/// Who a MySQL client logs in as, and to which database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
    pub database: String,
}

impl Login {
    pub fn of(settings: &[Setting]) -> Login {
        let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let user = settings
            .iter()
            .find_map(|s| Some((s.key.strip_prefix("sql.users.")?.to_owned(), text(&s.value))));
        let database = settings.iter().find(|s| s.key == "sql.database").map(|s| text(&s.value));
        let (user, password) = user.unwrap_or_else(|| ("plait".into(), "plait".into()));
        Login { user, password, database: database.unwrap_or_else(|| "shop".into()) }
    }
}

/// Refuses what would lose data: two empty nodes of a cluster that was born can't be told from a lost cluster.
pub fn refuse_two_empty(place: &Place) -> Res<()> {
    let empty: Vec<String> =
        Slot::ALL.into_iter().filter(|slot| place.is_empty(*slot)).map(|s| s.to_string()).collect();
    if empty.len() < 2 {
        return Ok(());
    }
    let whole: Vec<Slot> = Slot::ALL.into_iter().filter(|slot| !place.is_empty(*slot)).collect();
    let fail = Fail::new(
        Code::Unsafe,
        format!("{} of 3 nodes have lost their data ({})", empty.len(), empty.join(", ")),
        format!(
            "{} has no `identity` there, and {} no majority that could say what was acknowledged",
            place.dir().display(),
            if whole.is_empty() { "nobody is left, so there is" } else { "the rest is" }
        ),
    );
    let fail =
        fail.next("put their directories back, if they were moved or are on a disk that is not mounted");
    Err(match whole.first() {
        Some(slot) => fail.next(format!(
            "begin anew from what {slot} has: plait bootstrap --node {slot} --i-accept-data-loss"
        )),
        None => fail.next("begin with nothing: plait down --wipe, then plait up"),
    })
}

#[cfg(test)]
mod tests;
