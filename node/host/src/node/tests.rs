//! How a node ends: each cause with its own exit code.

use super::*;
use crate::clock::Kernel;
use crate::disk::{Figures, Report};
use crate::net::Tcp;
use plait_base::{ClusterId, Incarnation, disk, kv};

const CLUSTER: ClusterId = ClusterId([9; 16]);

/// A disk that holds an identity and answers each write with what `answer` makes of it.
struct Disk {
    identity: Vec<u8>,
    answer: fn(u64) -> Done,
    report: Report,
}

struct NoCheckpoints;

impl disk::Disk for Disk {
    fn list(&self) -> Result<Vec<disk::File>, disk::Error> {
        Ok(vec![disk::File::Identity])
    }

    fn read(&self, _: disk::File) -> Result<Vec<u8>, disk::Error> {
        Ok(self.identity.clone())
    }
}

impl Files for Disk {
    fn stored(&self) -> &dyn disk::Disk {
        self
    }

    fn submit(&mut self, persist: disk::Persist) {
        self.report.done((self.answer)(persist.token));
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }

    fn power_off(&mut self) -> Result<(), String> {
        Err("it has no power to lose".into())
    }

    fn close(&mut self) {}
}

impl kv::Kv for NoCheckpoints {
    fn generations(&self) -> (Vec<(u64, plait_base::Bytes)>, Vec<(u64, String)>) {
        (Vec::new(), Vec::new())
    }

    fn scan(&self, generation: u64, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), disk::Error> {
        Err(disk::Error { file: format!("generation {generation}"), why: "there is none".into() })
    }
}

impl Checkpoints for NoCheckpoints {
    fn stored(&self) -> &dyn kv::Kv {
        self
    }

    fn submit(&mut self, _: kv::Op) {}

    fn close(&mut self) {}
}

/// Runs a node on such a disk to its end; `stop` is sent to it at once.
async fn end_of(identity: Vec<u8>, answer: fn(u64) -> Done, stop: bool) -> Exit {
    let mut config = Config { cluster: CLUSTER, ..Config::default() };
    config.listen.grpc = "127.0.0.1:0".into();
    // Nobody listens there.
    config.peers = [(); 3].map(|()| "127.0.0.1:1".to_owned());
    let (report, done) = Report::new();
    let world = World {
        net: Tcp,
        clock: Box::new(Kernel),
        files: Box::new(Disk { identity, answer, report }),
        checkpoints: Box::new(NoCheckpoints),
        done,
        lines: None,
        nonce: 1,
    };
    let (doors, queued) = doors(&config);
    if stop {
        doors.control.send(Control::Shutdown { why: "a test".into() }).await.unwrap();
    }
    let end = run(config, world, doors, queued);
    tokio::time::timeout(std::time::Duration::from_secs(30), end).await.expect("the node ends")
}

fn mine() -> Vec<u8> {
    plait_replica::identity(CLUSTER, Slot::ALL[0], Incarnation(1))
}

#[tokio::test]
async fn a_broken_invariant_ends_the_node_as_our_bug() {
    let exit = end_of(mine(), |token| Done::Persisted { token: token + 7 }, false).await;
    assert!(matches!(&exit, Exit::Bug(why) if why.contains("tokens are reported once")), "{exit:?}");
    assert_eq!(exit.code(), 70);
}

#[tokio::test]
async fn a_failed_disk_ends_the_node_with_what_to_do() {
    let failed = |token| Done::DiskFailed { token, why: "wal-00000001: No space left on device".into() };
    let exit = end_of(mine(), failed, false).await;
    assert_eq!(exit.code(), 5);
    let text = exit.to_string();
    assert!(text.contains("No space left") && text.contains("Make room"), "{text}");
}

#[tokio::test]
async fn a_strangers_identity_is_refused() {
    let stranger = plait_replica::identity(ClusterId([8; 16]), Slot::ALL[0], Incarnation(1));
    let exit = end_of(stranger, |token| Done::Persisted { token }, false).await;
    assert_eq!(exit.code(), 6, "{exit:?}");
}

#[tokio::test]
async fn a_node_that_is_told_to_stop_stops() {
    assert_eq!(end_of(mine(), |token| Done::Persisted { token }, true).await, Exit::Done);
}
