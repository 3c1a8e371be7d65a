//! Disks that say no: a full one and a read-only one. One node ends with its reason, the others serve, and nothing
//! that was acknowledged is lost. The disk is a small tmpfs, which only root can mount.

use plait_tests::cluster::{Cluster, run};
use plait_tests::{need, wait};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const MOUNT_MAX: Duration = Duration::from_secs(20);

/// A disk of a few MiB at this directory, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, with a line that says so, where this user may not mount.
    fn at(dir: &Path, mib: u32) -> Option<SmallDisk> {
        let size = format!("size={mib}m");
        let ran = run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir), MOUNT_MAX);
        need::met("mount", ran.code == Some(0), "of a tmpfs is not allowed to this user")
            .then(|| SmallDisk(dir.to_owned()))
    }

    fn again(&self, options: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0), MOUNT_MAX).ok();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0), MOUNT_MAX);
    }
}

/// The node's directory becomes a small disk with what was in it.
fn onto_small_disk(cluster: &Cluster, node: &str, mib: u32) -> Option<SmallDisk> {
    let dir = cluster.dir().join(node);
    let aside = cluster.home.join(format!("{node}-files"));
    std::fs::rename(&dir, &aside).expect("nobody uses it");
    std::fs::create_dir(&dir).expect("it was moved");
    let disk = SmallDisk::at(&dir, mib);
    run(Command::new("cp").arg("-a").arg(aside.join(".")).arg(&dir), MOUNT_MAX).ok();
    disk
}

#[test]
fn a_full_disk_ends_its_node_alone_and_nothing_is_lost() {
    let mut cluster = Cluster::new("full");
    // The log grows by small files, so that it soon asks the disk for more.
    cluster.set("limits.segment_bytes", "256KiB");
    cluster.start();
    cluster.plait(&["stop", "n2"]).ok();
    let Some(disk) = onto_small_disk(&cluster, "n2", 24) else { return };
    cluster.plait(&["start", "n2"]).ok();
    cluster.note();
    let load = cluster.begin(&["load", "bank", "--for", "8s", "--clients", "6", "--json"]);
    // A neighbour takes what is left of the disk.
    let hog = disk.0.join("somebody-elses");
    let filled = std::fs::write(&hog, vec![1; 24 << 20]);
    assert!(filled.is_err(), "a disk of 24 MiB took more");
    wait::until("n2 meets its full disk", Duration::from_secs(60), || {
        let node = cluster.status()["nodes"][1].clone();
        if node["process"] == "crashed" { Ok(()) } else { Err(node.to_string()) }
    });
    let log = std::fs::read_to_string(cluster.dir().join("logs/n2.log")).expect("its log");
    assert!(log.contains("No space left"), "the reason is in its log: {log}");

    std::fs::remove_file(&hog).expect("the neighbour's file");
    cluster.plait(&["start", "n2"]).ok();
    cluster.note();
    let ran = load.end(Duration::from_secs(120));
    assert_eq!((ran.code, ran.json()["verdict"].as_str()), (Some(0), Some("valid")), "{ran}");
    cluster.whole();
    cluster.down();
}

#[test]
fn a_read_only_disk_is_refused_at_the_start_and_left_as_it_is() {
    let cluster = Cluster::up("read-only");
    cluster.plait(&["load", "counter", "--for", "1s", "--clients", "2", "--json"]).ok();
    cluster.plait(&["stop", "n3"]).ok();
    let Some(disk) = onto_small_disk(&cluster, "n3", 64) else { return };
    disk.again("ro");
    let ran = cluster.plait(&["start", "n3"]).refused(5);
    assert!(ran.err.contains("Read-only file system"), "{ran}");
    assert_eq!(cluster.status()["available"], true, "the two others serve");
    disk.again("rw");
    cluster.plait(&["start", "n3"]).ok();
    cluster.note();
    cluster.whole();
    cluster.down();
}
