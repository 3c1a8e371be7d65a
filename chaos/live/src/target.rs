//! Whom the workloads are run against: the nodes of a cluster of ours, or any servers behind `mysql://` addresses.

use crate::fail::{Fail, Res};
use crate::plait::Plait;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
    pub database: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// As it stands in histories: `n1`.
    pub name: String,
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone)]
pub struct Target {
    pub nodes: Vec<Node>,
    pub login: Login,
    /// By which its nodes can be broken and mended; a foreign cluster has none.
    pub plait: Option<Plait>,
}

impl Target {
    /// A cluster of ours that runs.
    pub async fn ours(plait: Plait) -> Res<Target> {
        let unfit = |why: String| {
            Fail::unfit("there is no cluster to work on", why)
                .next("start one: plait up")
                .next("name another: --name NAME, --data-dir DIR")
                .next("ask another cluster: --target mysql://user:password@host:port/db")
        };
        let status = plait.say("status").await.map_err(unfit)?;
        if status["available"] != true {
            let why = status["sentence"].as_str().unwrap_or("it does not serve").to_owned();
            return Err(Fail::unfit("the cluster does not serve", why)
                .next("start what does not run: plait up")
                .next("undo standing faults: plait heal"));
        }
        let env = plait.say("env").await.map_err(unfit)?;
        let get = |name: &str| env["variables"][name].as_str().unwrap_or_default().to_owned();
        let login = Login { user: get("DB_USER"), password: get("DB_PASS"), database: get("DB_NAME") };
        let nodes = nodes(&get("PLAIT_SQL_NODES")).map_err(unfit)?;
        Ok(Target { nodes, login, plait: Some(plait) })
    }

    /// Servers that somebody else runs; each item is `mysql://user:password@host:port[,host:port…]/db`.
    pub fn foreign(urls: &[String]) -> Res<Target> {
        let mut addresses = Vec::new();
        let mut login: Option<Login> = None;
        for url in urls {
            let (one, hosts) = parse(url).map_err(|why| {
                Fail::usage(format!("'{url}' is no target"), why)
                    .next("write it as mysql://user:password@host:port/db")
                    .next("several nodes: mysql://user:password@host:port,host:port/db")
            })?;
            if login.as_ref().is_some_and(|login| *login != one) {
                return Err(Fail::usage(
                    "the targets differ in user, password or database",
                    "all are nodes of one cluster, and one login is used for all",
                )
                .next("make that user and database on each of them"));
            }
            login = Some(one);
            addresses.push(hosts);
        }
        let login = login.ok_or_else(|| Fail::usage("no target was named", "--target is empty"))?;
        let nodes = nodes(&addresses.join(","))
            .map_err(|why| Fail::usage("a target has no good address", why).next("write it as host:port"))?;
        Ok(Target { nodes, login, plait: None })
    }
}

fn parse(url: &str) -> Result<(Login, String), String> {
    let rest = url.strip_prefix("mysql://").ok_or("it does not begin with mysql://")?;
    let (who, rest) = rest.rsplit_once('@').ok_or("it names no user before an @")?;
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let (hosts, database) = rest.split_once('/').ok_or("it names no database behind a /")?;
    if user.is_empty() || hosts.is_empty() || database.is_empty() {
        return Err("user, host and database must not be empty".to_owned());
    }
    let login = Login { user: user.to_owned(), password: password.to_owned(), database: database.to_owned() };
    Ok((login, hosts.to_owned()))
}

/// `host:port,host:port`, called n1, n2 and so on.
fn nodes(list: &str) -> Result<Vec<Node>, String> {
    let named = list.split(',').zip(1..);
    named
        .map(|(address, number)| {
            let (host, port) = address.rsplit_once(':').ok_or_else(|| format!("'{address}' has no port"))?;
            let port = port.parse().map_err(|_| format!("'{port}' is no port"))?;
            Ok(Node { name: format!("n{number}"), host: host.to_owned(), port })
        })
        .collect()
}

/// Names of the faults that stand already.
pub async fn standing(plait: &Plait) -> Result<Vec<String>, String> {
    let status = plait.say("status").await?;
    let faults = status["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(faults.iter().filter_map(|fault| fault["text"].as_str().map(str::to_owned)).collect())
}

/// Whether every process of a cluster runs, and which does not.
pub fn not_running(status: &Value) -> Vec<String> {
    let nodes = status["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let down = nodes.iter().filter(|node| node["process"] != "running");
    down.filter_map(|node| node["node"].as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let urls = ["mysql://bench:be:nch@127.0.0.1:24311,127.0.0.1:24312/sbtest".to_owned()];
        let target = Target::foreign(&urls).expect("a good address");
        assert_eq!(target.login.password, "be:nch");
        let shown: Vec<String> =
            target.nodes.iter().map(|n| format!("{} {}:{}", n.name, n.host, n.port)).collect();
        assert_eq!(shown, ["n1 127.0.0.1:24311", "n2 127.0.0.1:24312"]);
        let twice = ["mysql://a:b@h:1/d".to_owned(), "mysql://a:b@h:2/d".to_owned()];
        assert_eq!(Target::foreign(&twice).expect("two nodes").nodes.len(), 2);
    }

    #[test]
    fn what_is_no_target_is_refused_with_the_form() {
        for bad in [
            "",
            "h:1",
            "mysql://h:1/d",
            "mysql://a@h/d",
            "mysql://a@h:1",
            "mysql://a@h:x/d",
            "mysql://@h:1/d",
        ] {
            let fail = Target::foreign(&[bad.to_owned()]).expect_err("no target");
            assert_eq!(fail.code, crate::fail::Code::Usage, "{bad}");
            assert!(fail.next[0].contains("host:port"), "{fail}");
        }
        let differ = ["mysql://a:b@h:1/d".to_owned(), "mysql://a:c@h:2/d".to_owned()];
        assert!(Target::foreign(&differ).is_err());
    }
}
