//! The administration of one node over gRPC. Each call has its own deadline, so that a paused node costs no more.

use crate::link;
use plait_proto::admin::v1::{self as wire, admin_client::AdminClient};
use std::net::SocketAddr;
use std::time::Duration;
use tonic::transport::Channel;

/// An administrator's connection to one node.
#[derive(Debug, Clone)]
pub struct Admin {
    client: AdminClient<Channel>,
    address: SocketAddr,
    deadline: Duration,
}

/// What a node does to what it sends to another: all zero is nothing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LinkRule {
    pub cut: bool,
    pub delay_ms: u32,
    pub jitter_ms: u32,
    /// Frames lost, of 1,000.
    pub loss_per_mille: u32,
    /// Bytes a second; 0 is no limit.
    pub rate: u64,
}

impl Admin {
    /// Connects, within the deadline that each later call has too.
    pub async fn connect(address: SocketAddr, deadline: Duration) -> Result<Admin, String> {
        let channel = tokio::time::timeout(deadline, link::channel(address)).await;
        let channel = channel
            .map_err(|_| format!("{address} was not reached within {} ms", deadline.as_millis()))??;
        Ok(Admin { client: AdminClient::new(channel), address, deadline })
    }

    async fn call<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, String> {
        match tokio::time::timeout(self.deadline, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(status.message().to_owned()),
            Err(_) => Err(format!("{} did not answer within {} ms", self.address, self.deadline.as_millis())),
        }
    }

    /// The node's account of itself, as one JSON object.
    pub async fn status(&self) -> Result<serde_json::Value, String> {
        let reply = self.call(self.client.clone().status(wire::StatusRequest {})).await?;
        serde_json::from_str(&reply.json)
            .map_err(|e| format!("{}: its status is not JSON: {e}", self.address))
    }

    pub async fn set_link(&self, to_slot: u8, rule: LinkRule) -> Result<(), String> {
        let LinkRule { cut, delay_ms, jitter_ms, loss_per_mille, rate } = rule;
        let rule = wire::LinkRule { to_slot: to_slot.into(), cut, delay_ms, jitter_ms, loss_per_mille, rate };
        self.call(self.client.clone().set_link(rule)).await.map(drop)
    }

    /// By how much its wall clock is to be off.
    pub async fn set_clock(&self, wall_ms: i64) -> Result<(), String> {
        self.call(self.client.clone().set_clock(wire::ClockShift { wall_ms })).await.map(drop)
    }

    /// Says that this start of that node is over: whoever says it has reaped the process.
    pub async fn report_death(&self, slot: u8, boot_epoch: u64) -> Result<(), String> {
        let death = wire::Death { slot: slot.into(), boot_epoch };
        self.call(self.client.clone().report_death(death)).await.map(drop)
    }

    pub async fn checkpoint(&self) -> Result<(), String> {
        self.call(self.client.clone().checkpoint(wire::CheckpointRequest {})).await.map(drop)
    }

    /// Loses what is not synced and ends the process. A connection that breaks is the success of this call.
    pub async fn power_off(&self) -> Result<(), String> {
        match tokio::time::timeout(self.deadline, self.client.clone().power_off(wire::PowerOffRequest {}))
            .await
        {
            Ok(Err(status)) if status.code() == tonic::Code::FailedPrecondition => {
                Err(status.message().to_owned())
            }
            Ok(Err(status)) if status.code() == tonic::Code::Unimplemented => {
                Err(status.message().to_owned())
            }
            _ => Ok(()),
        }
    }

    /// State events since a position; with `follow`, then as they come.
    pub async fn events(
        &self,
        since: u64,
        follow: bool,
    ) -> Result<tonic::Streaming<wire::EventLine>, String> {
        self.call(self.client.clone().events(wire::EventsRequest { since, follow, flow: false })).await
    }
}
