//! Administration over gRPC: what the supervisor and `plait` ask of a node.

use super::http::ask;
use crate::events::Ring;
use crate::inbox::{Account, Control, Doors};
use crate::shim::Rule;
use plait_base::{BootEpoch, Slot};
use plait_proto::admin::v1 as wire;
use plait_proto::admin::v1::admin_server::Admin;
use serde_json::{Map, Value, json};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Lines that wait for a slow reader of events.
const EVENT_LINES_MAX: usize = 256;
/// Links do not hold frames for longer than this.
const DELAY_MS_MAX: u32 = 600_000;
/// A hundred years: a value of the right kind that no statement can overflow with.
const SHIFT_MS_MAX: u64 = 100 * 366 * 86_400_000;

/// Serves `plait.admin.v1.Admin`.
pub struct AdminDoor {
    pub slot: Slot,
    pub doors: Doors,
    pub ring: Ring,
    pub answer_timeout: Duration,
}

type Answered<T> = Result<Response<T>, Status>;

fn done() -> Answered<wire::Done> {
    Ok(Response::new(wire::Done {}))
}

impl AdminDoor {
    async fn tell(&self, control: Control) -> Answered<wire::Done> {
        match self.doors.control.send(control).await {
            Ok(()) => done(),
            Err(_) => Err(Status::unavailable("the node is over")),
        }
    }

    fn other(&self, slot: u32) -> Result<Slot, Status> {
        u8::try_from(slot).ok().and_then(Slot::new).filter(|slot| *slot != self.slot).ok_or_else(|| {
            Status::invalid_argument(format!("slot {slot} is no other node of {}; name 1, 2 or 3", self.slot))
        })
    }
}

#[tonic::async_trait]
impl Admin for AdminDoor {
    async fn status(&self, _: Request<wire::StatusRequest>) -> Answered<wire::StatusReply> {
        let account = ask(&self.doors, self.answer_timeout, Control::Account).await;
        let account = account.map_err(Status::deadline_exceeded)?;
        Ok(Response::new(wire::StatusReply { json: json(&account).to_string() }))
    }

    type EventsStream = Pin<Box<dyn Stream<Item = Result<wire::EventLine, Status>> + Send>>;

    async fn events(&self, request: Request<wire::EventsRequest>) -> Answered<Self::EventsStream> {
        let wire::EventsRequest { since, follow, flow } = request.into_inner();
        if flow {
            let lines = ask(&self.doors, self.answer_timeout, Control::Flow).await;
            let lines = lines.map_err(Status::deadline_exceeded)?.into_iter();
            let lines = lines.map(|json| Ok(wire::EventLine { position: 0, json }));
            return Ok(Response::new(Box::pin(tokio_stream::iter(lines))));
        }
        let (ring, doors) = (self.ring.clone(), self.doors.clone());
        let (lines, receiver) = mpsc::channel(EVENT_LINES_MAX);
        tokio::spawn(async move {
            let mut newest = ring.watch();
            let mut since = since;
            loop {
                for (position, line) in ring.after(since) {
                    since = position;
                    let line = wire::EventLine { position, json: line.to_string() };
                    if lines.send(Ok(line)).await.is_err() {
                        return;
                    }
                }
                let more = tokio::select! {
                    biased;
                    () = lines.closed() => false,
                    more = newest.changed() => more.is_ok(),
                    () = doors.drained() => false,
                };
                if !follow || !more {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn set_link(&self, request: Request<wire::LinkRule>) -> Answered<wire::Done> {
        let asked = request.into_inner();
        let to = self.other(asked.to_slot)?;
        if asked.loss_per_mille > 1000 {
            return Err(Status::invalid_argument(format!(
                "{} frames of 1,000 can't be lost; name 0 to 1000",
                asked.loss_per_mille
            )));
        }
        if asked.delay_ms.max(asked.jitter_ms) > DELAY_MS_MAX {
            return Err(Status::invalid_argument(format!("a delay is at most {DELAY_MS_MAX} ms")));
        }
        let rule = Rule {
            cut: asked.cut,
            delay: Duration::from_millis(asked.delay_ms.into()),
            jitter: Duration::from_millis(asked.jitter_ms.into()),
            loss_per_mille: asked.loss_per_mille,
            rate: asked.rate,
        };
        self.tell(Control::SetLink { to, rule }).await
    }

    async fn set_clock(&self, request: Request<wire::ClockShift>) -> Answered<wire::Done> {
        let wall_ms = request.into_inner().wall_ms;
        if wall_ms.unsigned_abs() > SHIFT_MS_MAX {
            return Err(Status::invalid_argument(format!("a clock is off by at most {SHIFT_MS_MAX} ms")));
        }
        self.tell(Control::SetClock { wall_us: wall_ms * 1000 }).await
    }

    async fn heal(&self, _: Request<wire::HealRequest>) -> Answered<wire::Done> {
        self.tell(Control::Heal).await
    }

    async fn report_death(&self, request: Request<wire::Death>) -> Answered<wire::Done> {
        let wire::Death { slot, boot_epoch } = request.into_inner();
        self.tell(Control::Dead { peer: self.other(slot)?, epoch: BootEpoch(boot_epoch) }).await
    }

    async fn checkpoint(&self, _: Request<wire::CheckpointRequest>) -> Answered<wire::Done> {
        match self.doors.checkpoint(self.answer_timeout).await {
            true => done(),
            false => Err(Status::unavailable("the node did not take the request; try again")),
        }
    }

    async fn power_off(&self, _: Request<wire::PowerOffRequest>) -> Answered<wire::Done> {
        // With power mode on the process ends before there is an answer.
        let refused = ask(&self.doors, self.answer_timeout, Control::PowerOff).await;
        Err(Status::failed_precondition(refused.unwrap_or_else(|why| why)))
    }

    async fn shutdown(&self, _: Request<wire::ShutdownRequest>) -> Answered<wire::Done> {
        self.tell(Control::Shutdown { why: "asked over gRPC".into() }).await
    }
}

/// The account as one flat JSON object: the machine's fields by their names, then the host's.
pub fn json(account: &Account) -> Value {
    let mut fields = Map::new();
    fields.insert("schema".into(), "plait.node-status/1".into());
    fields.insert("slot".into(), account.slot.get().into());
    for (name, text) in account.status.rows() {
        // The epoch and the chain are hexadecimal and stay text, whatever digits they happen to have.
        let number = (!matches!(name, "epoch" | "chain")).then(|| text.parse::<u64>().ok()).flatten();
        fields.insert(name.into(), number.map_or(Value::String(text), Value::from));
    }
    let unready = account.unready();
    fields.insert("ready".into(), unready.is_none().into());
    fields.insert("unready_because".into(), unready.map_or(Value::Null, Value::from));
    fields.insert("draining".into(), account.draining.into());
    fields.insert("uptime_ms".into(), account.uptime_ms.into());
    fields.insert("requests".into(), account.requests.into());
    fields.insert("disk_syncs".into(), account.disk.syncs.into());
    fields.insert("disk_groups".into(), account.disk.groups.into());
    fields.insert("disk_queued_bytes".into(), account.disk.queued_bytes.into());
    let peers: Map<String, Value> = account
        .slot
        .others()
        .map(|slot| {
            let peer = &account.peers[slot.at()];
            let state = json!({
                "up": peer.up,
                "frames_sent": peer.frames,
                "frames_dropped": peer.dropped,
                "fault": peer.rule.to_string(),
            });
            (slot.to_string(), state)
        })
        .collect();
    fields.insert("peers".into(), Value::Object(peers));
    Value::Object(fields)
}
