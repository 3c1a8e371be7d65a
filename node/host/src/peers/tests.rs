//! Greetings, queues and links between peers.

use super::*;
use crate::shim::Cuts;
use plait_proto::peer::v1::frame::Kind;
use plait_replica::Input;
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::StreamExt;

const N1: Slot = Slot::ALL[0];
const N2: Slot = Slot::ALL[1];

fn me(slot: Slot) -> Me {
    Me::new(ClusterId([7; 16]), slot)
}

fn refusal(change: impl FnOnce(&mut Hello)) -> String {
    let mut hello = me(N1).hello(N2, Lane::Bulk);
    change(&mut hello);
    me(N2).check(&hello).unwrap_err()
}

#[test]
fn a_right_greeting_is_taken_and_each_wrong_one_refused_with_its_reason() {
    assert_eq!(me(N2).check(&me(N1).hello(N2, Lane::Bulk)), Ok((N1, Lane::Bulk)));
    let cases = [
        (refusal(|hello| hello.format = 9), "format 9 was offered and this node speaks "),
        (
            refusal(|hello| hello.cluster = Bytes::from_static(&[8; 16])),
            "08080808-0808-0808-0808-080808080808 was named",
        ),
        (refusal(|hello| hello.cluster = Bytes::from_static(b"short")), "of 5 bytes was named"),
        (refusal(|hello| hello.to_slot = 3), "n3 was called and this node is n2"),
        (refusal(|hello| hello.from_slot = 2), "says it is n2"),
        (refusal(|hello| hello.from_slot = 300), "says it is n300"),
        (refusal(|hello| hello.lane = 4), "lane 4 is unknown"),
    ];
    for (why, part) in cases {
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn an_older_start_of_a_slot_is_refused_once_a_newer_one_was_met() {
    let (caller, callee) = (me(N1), me(N2));
    caller.set_epoch(BootEpoch(5));
    assert!(callee.check(&caller.hello(N2, Lane::Fast)).is_ok());
    caller.set_epoch(BootEpoch(4));
    let why = callee.check(&caller.hello(N2, Lane::Fast)).unwrap_err();
    assert!(why.contains("boot epoch 4 of n1 is older than 5"), "{why}");
    // An empty node has no epoch yet and is let in, to ask to join.
    caller.set_epoch(BootEpoch(0));
    assert!(callee.check(&caller.hello(N2, Lane::Fast)).is_ok());
}

fn opened(queue: &Arc<Queue>) -> Outgoing {
    Outgoing::open(queue.clone(), me(N1).hello(N2, Lane::Bulk))
}

fn data(frame: Option<plait_proto::peer::v1::Frame>) -> Bytes {
    match frame.and_then(|frame| frame.kind) {
        Some(Kind::Data(bytes)) => bytes,
        other => panic!("a data frame was due, and came {other:?}"),
    }
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn the_greeting_comes_first_and_frames_in_order() {
    let queue = Arc::new(Queue::new(10, 1000));
    let mut body = opened(&queue);
    queue.push(None, bytes("a"));
    queue.push(None, bytes("b"));
    assert!(matches!(body.next().await.unwrap().kind, Some(Kind::Hello(_))));
    assert_eq!(data(body.next().await), "a");
    assert_eq!(data(body.next().await), "b");
}

#[tokio::test]
async fn a_full_queue_loses_its_oldest_and_counts_them() {
    let queue = Arc::new(Queue::new(2, 1000));
    let mut body = opened(&queue);
    body.next().await.unwrap();
    for text in ["a", "b", "c", "d"] {
        queue.push(None, bytes(text));
    }
    assert_eq!(data(body.next().await), "c");
    assert_eq!(queue.figures().overrun, 2);
    let narrow = Arc::new(Queue::new(100, 5));
    let mut body = opened(&narrow);
    body.next().await.unwrap();
    narrow.push(None, bytes("four"));
    narrow.push(None, bytes("four"));
    assert_eq!((narrow.figures().overrun, narrow.figures().queued), (1, 1));
}

#[tokio::test]
async fn frames_without_a_connection_are_dropped_and_do_not_come_later() {
    let queue = Arc::new(Queue::new(10, 1000));
    queue.push(None, bytes("early"));
    let body = opened(&queue);
    queue.push(None, bytes("lost with its connection"));
    drop(body);
    let mut body = opened(&queue);
    queue.push(None, bytes("new"));
    body.next().await.unwrap();
    assert_eq!(data(body.next().await), "new");
    assert_eq!(queue.figures().disconnected, 2);
}

#[tokio::test]
async fn a_held_frame_leaves_when_it_is_due() {
    let queue = Arc::new(Queue::new(10, 1000));
    let mut body = opened(&queue);
    body.next().await.unwrap();
    let due = Instant::now() + Duration::from_millis(30);
    queue.push(Some(due), bytes("later"));
    queue.push(None, bytes("behind it"));
    assert_eq!(data(body.next().await), "later");
    assert!(Instant::now() >= due);
    assert_eq!(data(body.next().await), "behind it");
}

#[test]
fn up_is_told_when_all_six_are_open_and_down_when_one_closes() {
    let cuts = Arc::new(Cuts::default());
    let (presence, _nudges) = Presence::new(cuts);
    let news = || {
        let mut news = Vec::new();
        presence.news(&mut news);
        news.into_iter().map(|input| matches!(input, Input::Up { peer: N2 })).collect::<Vec<bool>>()
    };
    let mut open: Vec<_> = [Way::Out, Way::In]
        .into_iter()
        .flat_map(|way| Lane::ALL.map(|lane| (way, lane)))
        .map(|(way, lane)| {
            assert_eq!(news(), [] as [bool; 0]);
            presence.opened(N2, way, lane)
        })
        .collect();
    assert_eq!(news(), [true]);
    let second = presence.opened(N2, Way::In, Lane::Fast);
    drop(second);
    assert_eq!(news(), [] as [bool; 0], "another connection of that lane is still open");
    drop(open.pop());
    drop(open.pop());
    assert_eq!(news(), [false], "told once");
    let again = [presence.opened(N2, Way::In, Lane::Bulk), presence.opened(N2, Way::In, Lane::Transfer)];
    drop(again);
    assert_eq!(news(), [false], "up and down again before anybody looked is down");
}
