//! The SQL front door: one port that leads to a node that is ready.
//!
//! Connections go to the *main* node, which stays the same as long as it is ready (so that most clients write on one
//! node, as behind the original's proxy) and moves when it is not. What is connected to a main that was left is closed:
//! its client connects again and comes out at the new one. It stands for a load balancer until the gateway exists.

use super::talk::NodeState;
use super::{Supervisor, log};
use crate::http;
use crate::ports::local;
use crate::slot::Slot;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Connections at a time.
const CONNECTIONS_MAX: usize = 1024;
/// How often the main node is asked whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often, while no node is ready.
const LOOK_SOON: Duration = Duration::from_millis(25);
/// How long a node may take to say so.
const READY_MAX: Duration = Duration::from_millis(500);
/// How long a new connection waits for a node that is ready.
const WAIT_MAX: Duration = Duration::from_secs(10);

pub(super) fn bind(port: u16) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

pub(super) async fn run(supervisor: Supervisor, listener: TcpListener) {
    let (main, mains) = watch::channel(None);
    tokio::task::spawn_local(follow(supervisor.clone(), main));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Beyond the bound, connections wait in the kernel's queue.
        let place = places.clone().acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok((client, _)) => {
                let (supervisor, mains) = (supervisor.clone(), mains.clone());
                tokio::task::spawn_local(async move {
                    supervisor.write().door.connections += 1;
                    carry(&supervisor, client, mains).await;
                    supervisor.write().door.connections -= 1;
                    drop(place);
                });
            }
            Err(e) => {
                log(&format!("the front door did not accept a connection: {e}"));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Keeps the main node one that is ready.
async fn follow(supervisor: Supervisor, main: watch::Sender<Option<Slot>>) {
    let mut changes = supervisor.changed.subscribe();
    loop {
        let current = *main.borrow();
        let mut next = None;
        for slot in current.into_iter().chain(Slot::ALL.into_iter().filter(|slot| Some(*slot) != current)) {
            if ready(&supervisor, slot).await {
                next = Some(slot);
                break;
            }
        }
        if next != current {
            {
                let door = &mut supervisor.write().door;
                door.main = next;
                door.moves += u64::from(current.is_some());
            }
            match next {
                Some(slot) => log(&format!("the front door leads to {slot}")),
                None => log("the front door leads nowhere: no node is ready"),
            }
            main.send_replace(next);
        }
        let pause = if next.is_some() { LOOK_EVERY } else { LOOK_SOON };
        let _ = tokio::time::timeout(pause, changes.changed()).await;
    }
}

async fn ready(supervisor: &Supervisor, slot: Slot) -> bool {
    if supervisor.read().nodes[slot.at()].state != NodeState::Running {
        return false;
    }
    let address = local(supervisor.block().admin(slot));
    http::get(address, "/readyz", READY_MAX).await.is_ok_and(|answer| answer.status == 200)
}

/// Moves bytes both ways until one side ends or the main node is another.
async fn carry(supervisor: &Supervisor, mut client: TcpStream, mut mains: watch::Receiver<Option<Slot>>) {
    let found = tokio::time::timeout(WAIT_MAX, mains.wait_for(Option::is_some)).await;
    let Ok(Ok(slot)) = found.map(|found| found.map(|slot| slot.expect("it was waited for"))) else {
        let _ = client.write_all(&refusal()).await;
        return;
    };
    let address = local(supervisor.block().sql(slot));
    let Ok(Ok(mut node)) = tokio::time::timeout(READY_MAX, TcpStream::connect(address)).await else {
        let _ = client.write_all(&refusal()).await;
        return;
    };
    let _ = (client.set_nodelay(true), node.set_nodelay(true));
    tokio::select! {
        biased;
        _ = mains.wait_for(|main| *main != Some(slot)) => {}
        _ = tokio::io::copy_bidirectional(&mut client, &mut node) => {}
    }
}

/// MySQL's error packet, in the form it has before a greeting: 1047, as a node out of the majority answers.
fn refusal() -> Vec<u8> {
    let message = b"no node of this cluster is ready; ask `plait status`";
    let mut packet = vec![(message.len() + 3) as u8, 0, 0, 0, 0xff];
    packet.extend_from_slice(&1047_u16.to_le_bytes());
    packet.extend_from_slice(message);
    packet
}
