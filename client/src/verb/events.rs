//! `plait events`: what happened on the nodes, one line of JSON or of words an event.

use crate::admin::Admin;
use crate::cli::Ctx;
use crate::cluster::Cluster;
use crate::fail::{Fail, Res};
use crate::ports::local;
use crate::say;
use crate::slot::Slot;
use serde_json::Value;
use std::time::Duration;

const CONNECT_MAX: Duration = Duration::from_secs(2);
/// A node that has no more to send falls silent; what it has comes without a pause of this length.
const SILENCE: Duration = Duration::from_millis(300);

pub async fn run(ctx: &Ctx, node: Option<Slot>, since: u64, follow: bool) -> Res<()> {
    let cluster = Cluster::load(&ctx.place)?;
    let slots: Vec<Slot> = node.map_or_else(|| Slot::ALL.to_vec(), |slot| vec![slot]);
    let (lines, mut incoming) = tokio::sync::mpsc::channel::<(Slot, u64, String)>(1024);
    let mut silent = Vec::new();
    for slot in slots {
        let admin = Admin::connect(local(cluster.block().grpc(slot)), CONNECT_MAX).await;
        let stream = match admin {
            Ok(admin) => admin.events(since, follow).await,
            Err(why) => Err(why),
        };
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(why) => {
                silent.push(format!("{slot}: {why}"));
                continue;
            }
        };
        let lines = lines.clone();
        tokio::spawn(async move {
            loop {
                let next = if follow {
                    Ok(stream.message().await)
                } else {
                    tokio::time::timeout(SILENCE, stream.message()).await
                };
                match next {
                    Ok(Ok(Some(line))) => {
                        if lines.send((slot, line.position, line.json)).await.is_err() {
                            return;
                        }
                    }
                    _ => return,
                }
            }
        });
    }
    drop(lines);
    if let (Some(slot), Some(why)) = (node, silent.first()) {
        return Err(Fail::state(format!("{slot} does not tell its events"), why.clone())
            .next(ctx.command("status"))
            .next(format!("read the file: {}", ctx.place.node(slot).join("events.ndjson").display())));
    }
    for why in &silent {
        ctx.say.note(&format!("no events from {why}"));
    }
    if follow {
        while let Some((slot, position, json)) = incoming.recv().await {
            say::print_line(&line(ctx, slot, position, &json));
        }
        return Ok(());
    }
    let mut all = Vec::new();
    while let Some((slot, position, json)) = incoming.recv().await {
        let event: Value = serde_json::from_str(&json).unwrap_or(Value::String(json));
        all.push((slot, position, event));
    }
    // One time line of three nodes, by their wall clocks; a tie keeps each node's own order.
    let when = |event: &Value| event.get("wall_us").and_then(Value::as_u64);
    all.sort_by_key(|(slot, position, event)| (when(event), *slot, *position));
    let document: Vec<Value> = all
        .iter()
        .map(|(slot, position, event)| serde_json::json!({ "node": slot, "position": position, "event": event }))
        .collect();
    ctx.say.result("events", serde_json::json!({ "events": document, "silent": silent }), || {
        all.iter().map(|(slot, position, event)| words(*slot, *position, event) + "\n").collect()
    });
    Ok(())
}

fn line(ctx: &Ctx, slot: Slot, position: u64, json: &str) -> String {
    if ctx.say.json {
        return json.to_owned();
    }
    let event = serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned()));
    words(slot, position, &event)
}

/// An event as `02:44:33.789 n2 #17 elected term=3`, the time in UTC.
fn words(slot: Slot, position: u64, event: &Value) -> String {
    let Value::Object(fields) = event else { return format!("{slot} #{position} {event}") };
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let name = fields.get("event").map(plain).unwrap_or_default();
    let time = fields.get("wall_us").and_then(Value::as_u64).map(time_of_day).unwrap_or_default();
    let mut text = format!("{time} {slot} #{position} {name}");
    if let Some(Value::Object(facts)) = fields.get("facts") {
        facts.iter().for_each(|(key, value)| text.push_str(&format!(" {key}={}", plain(value))));
    }
    text
}

fn time_of_day(wall_us: u64) -> String {
    let ms = wall_us / 1000 % 86_400_000;
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_as_one_line() {
        let event = serde_json::json!({ "schema": "plait.event/1", "node": "n1", "wall_us": 1_795_574_673_449_054_u64,
            "event": "elected", "facts": { "term": "3" }, "position": 7 });
        assert_eq!(words(Slot::ALL[0], 7, &event), "02:44:33.449 n1 #7 elected term=3");
    }
}
