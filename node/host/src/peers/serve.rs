//! The door that peers knock at: a greeting within a time, then frames, each within a bound.

use super::{Me, Presence, Way};
use crate::edge::accept::Place;
use plait_base::{Bytes, Slot};
use plait_proto::peer::v1::{Closed, Frame, frame::Kind, peer_server::Peer};
use plait_replica::Lane;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

/// A frame that came.
#[derive(Debug)]
pub struct Arrival {
    pub from: Slot,
    pub lane: Lane,
    pub bytes: Bytes,
}

/// Serves `plait.peer.v1.Peer`.
pub struct PeerDoor {
    pub me: Arc<Me>,
    pub presence: Arc<Presence>,
    /// Never behind bulk.
    pub fast: mpsc::Sender<Arrival>,
    pub bulk: mpsc::Sender<Arrival>,
    pub greeting_timeout: Duration,
}

#[tonic::async_trait]
impl Peer for PeerDoor {
    async fn carry(&self, request: Request<Streaming<Frame>>) -> Result<Response<Closed>, Status> {
        let place = request.extensions().get::<Arc<Place>>().cloned();
        let mut frames = request.into_inner();
        let why = match self.greet(&mut frames).await {
            Ok((from, lane)) => {
                if let Some(place) = place {
                    place.is_a_peers();
                }
                // Dropped also when the connection dies and this call is cancelled.
                let _open = self.presence.opened(from, Way::In, lane);
                self.carry_from(from, lane, &mut frames).await
            }
            Err(why) => {
                tracing::warn!(why, "a greeting was refused");
                format!("refused: {why}")
            }
        };
        Ok(Response::new(Closed { why }))
    }
}

impl PeerDoor {
    async fn greet(&self, frames: &mut Streaming<Frame>) -> Result<(Slot, Lane), String> {
        match tokio::time::timeout(self.greeting_timeout, frames.message()).await {
            Ok(Ok(Some(Frame { kind: Some(Kind::Hello(hello)) }))) => self.me.check(&hello),
            Ok(Ok(Some(_))) => Err("the first frame is not a greeting".into()),
            Ok(Ok(None)) => Err("the stream ended before its greeting".into()),
            Ok(Err(status)) => Err(format!("the greeting can't be read: {}", status.message())),
            Err(_) => Err(format!("no greeting came in {:?}", self.greeting_timeout)),
        }
    }

    async fn carry_from(&self, from: Slot, lane: Lane, frames: &mut Streaming<Frame>) -> String {
        let inbox = if lane == Lane::Fast { &self.fast } else { &self.bulk };
        loop {
            let bytes = match frames.message().await {
                Ok(Some(Frame { kind: Some(Kind::Data(bytes)) })) => bytes,
                Ok(Some(_)) => return "a frame after the greeting holds no data".into(),
                Ok(None) => return "the caller ended the stream".into(),
                Err(status) => return format!("a frame can't be read: {}", status.message()),
            };
            if let Err(why) = plait_replica::Frame::sound(&bytes) {
                // Whatever spoiled it may have spoiled more: a new connection begins clean.
                return format!("a frame {why}");
            }
            // Waits when the machine is behind; then the sender's queue fills, and drops its oldest.
            if inbox.send(Arrival { from, lane, bytes }).await.is_err() {
                return "this node is stopping".into();
            }
        }
    }
}
