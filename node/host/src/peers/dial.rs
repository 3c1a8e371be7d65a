//! Keeps one lane to one peer open: connect, greet, carry, and after a pause again.

use super::{Link, Outgoing, Way};
use crate::net::Net;
use hyper_util::rt::TokioIo;
use plait_base::Draws;
use plait_proto::peer::v1::peer_client::PeerClient;
use plait_replica::Lane;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// What a connection may have under way before the other end has read it.
pub const WINDOW_BYTES: u32 = 8 << 20;
/// One HTTP/2 frame: a whole group commit in one.
pub const HTTP_FRAME_BYTES: u32 = 1 << 20;

/// Runs until it is dropped.
pub async fn keep<N: Net>(link: Link<N>) {
    let entity = link.to.at() as u64 * 8 + link.lane as u64;
    let mut draws = Draws::new(link.seed, "dial", entity);
    let mut pause = link.bounds.peer_backoff_min;
    let mut said = String::new();
    loop {
        let (greeted, why) = attempt(&link).await;
        if greeted {
            pause = link.bounds.peer_backoff_min;
        }
        // A reason is said once, not at every attempt.
        if why != said && link.lane == Lane::Fast {
            tracing::info!(peer = %link.to, why, "not connected");
            said = why;
        }
        let jitter = draws.between(0, pause.as_micros() as u64 / 2);
        sleep(pause / 2 + Duration::from_micros(jitter)).await;
        pause = (pause * 2).min(link.bounds.peer_backoff_max);
    }
}

/// One connection, from dialling to its end. Whether the peer took the greeting (for all one can know), and why it
/// is over.
async fn attempt<N: Net>(link: &Link<N>) -> (bool, String) {
    if link.cuts.cut(link.to) {
        return (false, "the link is cut by a fault".into());
    }
    let channel = match timeout(link.bounds.peer_connect_timeout, connect(link)).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => return (false, whole(&error)),
        Err(_) => {
            return (
                false,
                format!("{} did not answer in {:?}", link.address, link.bounds.peer_connect_timeout),
            );
        }
    };
    let outgoing = Outgoing::open(link.queue.clone(), link.me.hello(link.to, link.lane));
    let open = link.presence.opened(link.to, Way::Out, link.lane);
    let answer = PeerClient::new(channel).carry(outgoing).await;
    drop(open);
    match answer {
        Ok(closed) => {
            let why = closed.into_inner().why;
            tracing::warn!(peer = %link.to, lane = ?link.lane, why, "the peer ended the connection");
            (false, why)
        }
        Err(status) => (true, format!("the connection closed: {}", status.message())),
    }
}

async fn connect<N: Net>(link: &Link<N>) -> Result<Channel, tonic::transport::Error> {
    let (net, address) = (link.net.clone(), link.address.clone());
    // Each address is dialled through `net`; the name in the URI is only what HTTP/2 wants to see.
    Endpoint::from_static("http://peer")
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(HTTP_FRAME_BYTES)
        .http2_keep_alive_interval(link.bounds.peer_keepalive_interval)
        .keep_alive_timeout(link.bounds.peer_keepalive_timeout)
        .keep_alive_while_idle(true)
        .connect_with_connector(service_fn(move |_| {
            let (net, address) = (net.clone(), address.clone());
            async move { net.connect(&address).await.map(TokioIo::new) }
        }))
        .await
}

/// An error with its causes.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
