//! What goes wrong around a node: hostile frames, lost power, damaged files, a lost majority.

use crate::bench::{Bench, WAIT_MAX, found, get, put, until};
use crate::doors::make_table;
use bytes::Bytes;
use plait_base::codec::Writer;
use plait_proto::peer::v1::frame::Kind;
use plait_proto::peer::v1::peer_client::PeerClient;
use plait_proto::peer::v1::{Frame, Hello};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn cluster() -> Bytes {
    Bytes::from_static(&[
        0x6f, 0x1c, 0x0a, 0x34, 0x7d, 0x52, 0x4f, 0x0b, 0x9b, 0x56, 0x0c, 0x1b, 0x7e, 0x1f, 0x2a, 0x90,
    ])
}

fn hello(change: impl FnOnce(&mut Hello)) -> Frame {
    let mut hello = Hello {
        format: plait_base::FORMAT.into(),
        cluster: cluster(),
        from_slot: 2,
        to_slot: 1,
        lane: 2,
        boot_epoch: 0,
    };
    change(&mut hello);
    Frame { kind: Some(Kind::Hello(hello)) }
}

fn data(bytes: Vec<u8>) -> Frame {
    Frame { kind: Some(Kind::Data(plait_replica::Frame::seal(Writer(bytes)))) }
}

fn unsealed(bytes: &'static [u8]) -> Frame {
    Frame { kind: Some(Kind::Data(Bytes::from_static(bytes))) }
}

/// Sends frames to n1's peer port, as n2 would, and returns what it says when it ends the stream.
fn carry(bench: &Bench, frames: Vec<Frame>) -> String {
    let mut peer = PeerClient::new(bench.channel(1));
    let answer = peer.carry(tokio_stream::iter(frames));
    match bench.runtime.block_on(async { tokio::time::timeout(WAIT_MAX, answer).await.expect("it answers") })
    {
        Ok(closed) => closed.into_inner().why,
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    }
}

#[test]
fn hostile_peers_harm_nobody() {
    let bench = Bench::up("hostile");
    make_table(&bench);
    bench.yes(1, vec![put(1, 1)]);
    let cases = [
        (vec![hello(|h| h.format = 7)], "refused: format 7"),
        (vec![hello(|h| h.cluster = Bytes::from_static(&[1; 16]))], "refused: cluster 01010101-"),
        (vec![hello(|h| h.to_slot = 3)], "refused: n3 was called"),
        (vec![hello(|h| h.from_slot = 1)], "refused: the caller says it is n1"),
        (vec![hello(|h| h.lane = 99)], "refused: lane 99"),
        (vec![data(vec![1, 2, 3])], "the first frame is not a greeting"),
        (vec![Frame { kind: None }], "the first frame is not a greeting"),
        (vec![], "ended before its greeting"),
        (vec![hello(|_| ()), hello(|_| ())], "holds no data"),
        (vec![hello(|_| ()), data(vec![0; 81 << 20])], "can't be read"),
        (vec![hello(|_| ()), data(Vec::new())], "the caller ended the stream"),
        (vec![hello(|_| ()), unsealed(b"")], "a frame ends after 0 bytes"),
        (vec![hello(|_| ()), unsealed(b"spoiled")], "a frame has the checksum"),
    ];
    for (frames, why) in cases {
        let said = carry(&bench, frames);
        assert!(said.contains(why), "{why}: {said}");
    }
    // Greeted, and then bytes that mean nothing, or begin as something and break off.
    let mut garbage = vec![hello(|_| ())];
    for n in 0..2000_u32 {
        let digest = plait_base::Digest::of(&[&n.to_le_bytes()]).0;
        garbage.push(data(digest[..(n % 33) as usize].to_vec()));
        let mut writer = Writer::new();
        writer.u8((n % 40) as u8).varint(u64::MAX - u64::from(n)).raw(&digest);
        garbage.push(data(writer.0));
    }
    assert!(carry(&bench, garbage).contains("the caller ended the stream"));

    for n in 1..=3 {
        bench.yes(n, vec![put(10 + n as i64, 1)]);
    }
    assert_eq!(found(&bench.yes(2, vec![get(1)])), Some(1));
    let log = bench.log(1);
    assert!(log.contains("a greeting was refused") && !log.contains("panicked"), "{log}");
}

/// Clients that hold every place of the door do not keep the peers out.
#[test]
fn a_full_door_lets_peers_in() {
    let mut bench = Bench::new("full");
    bench.set("host.grpc_connections_max=8");
    bench.found();
    (1..=3).for_each(|n| bench.start(n));
    (1..=3).for_each(|n| bench.ready(n));
    bench.kill(3);
    let crowd: Vec<_> = (0..120)
        .map(|_| {
            use std::io::Write;
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", bench.ports[0][0])).unwrap();
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
            stream
        })
        .collect();
    bench.start(3);
    bench.ready(3);
    until("n1 and n3 have found each other", || {
        let (_, metrics) = bench.http(1, "/metrics")?;
        metrics.contains("plait_peer_up{peer=\"n3\"} 1").then_some(())
    });
    drop(crowd);
    make_table(&bench);
    bench.yes(3, vec![put(1, 1)]);
}

#[test]
fn what_was_acknowledged_survives_the_power_of_all_three() {
    let mut bench = Bench::up("power");
    make_table(&bench);
    let mut written = 0;
    for round in 0..3 {
        for n in 1..=3 {
            for _ in 0..5 {
                written += 1;
                bench.yes(n, vec![put(written, round)]);
            }
        }
        for n in 1..=3 {
            assert_eq!(bench.power_off(n).code(), Some(137));
        }
        (1..=3).for_each(|n| bench.start(n));
        (1..=3).for_each(|n| bench.ready(n));
    }
    for key in 1..=written {
        assert!(
            found(&bench.yes((key % 3 + 1) as usize, vec![get(key)])).is_some(),
            "row {key} of {written}"
        );
    }
}

/// Every file under a directory with its bytes, but for what only tells of the node.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else if !name.starts_with("events") {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

fn flip(dir: &Path, at: usize) {
    let path = dir.join("wal-00000001");
    let mut bytes = fs::read(&path).unwrap();
    assert_ne!(bytes[at..at + 64], [0; 64], "the damage is in the middle of what was written");
    bytes[at] ^= 0x20;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_damaged_node_is_replaced_only_when_the_others_can() {
    let mut bench = Bench::up("damaged");
    make_table(&bench);
    for key in 0..50 {
        bench.yes(1, vec![put(key, key)]);
    }
    for n in 1..=3 {
        bench.signal(n, "TERM");
        bench.ended(n);
    }
    flip(&bench.data(3), 700);
    let before = files(&bench.data(3));

    // Alone it touches nothing.
    bench.start(3);
    assert_eq!(bench.ended(3).code(), Some(6), "{}", bench.log(3));
    assert!(bench.log(3).contains("Every file is as it was"), "{}", bench.log(3));
    assert_eq!(files(&bench.data(3)), before);

    // With the others there it puts its files aside, and joins anew when it is started again.
    bench.start(1);
    bench.start(2);
    bench.ready(1);
    bench.ready(2);
    bench.start(3);
    assert_eq!(bench.ended(3).code(), Some(75), "{}", bench.log(3));
    let aside = files(&bench.data(3));
    for (name, bytes) in before.iter().filter(|(name, _)| *name != "lock") {
        assert!(
            aside.iter().any(|(path, kept)| path.ends_with(&format!("/{name}")) && kept == bytes),
            "{name}"
        );
    }
    bench.start(3);
    bench.ready(3);
    assert_eq!(bench.status(3)["member"], "n3.2");
    assert_eq!(found(&bench.yes(3, vec![get(49)])), Some(49));
}

#[test]
fn the_survivor_of_a_lost_majority_goes_on_when_told_so() {
    let mut bench = Bench::up("bootstrap");
    make_table(&bench);
    bench.yes(2, vec![put(1, 5)]);
    let through = bench.status(2)["seqno"].as_u64();
    until("n1 has it too", || (bench.status(1)["seqno"].as_u64() >= through).then_some(()));
    for n in 1..=3 {
        bench.kill(n);
    }
    fs::remove_dir_all(bench.data(2)).unwrap();
    fs::remove_dir_all(bench.data(3)).unwrap();

    let refused = bench.command(1).arg("bootstrap").output().unwrap();
    assert_eq!(refused.status.code(), Some(7));
    let done = bench.command(1).args(["bootstrap", "--i-accept-data-loss"]).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    (1..=3).for_each(|n| bench.start(n));
    (1..=3).for_each(|n| bench.ready(n));
    assert_eq!(found(&bench.yes(3, vec![get(1)])), Some(5));
    assert_eq!(bench.status(2)["member"], "n2.2");
}
