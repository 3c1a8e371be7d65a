//! A cluster's ports: one block of 100 on 127.0.0.1, the same for ever; who holds one that is taken.
//!
//! The default block begins at 13300: below every ephemeral range and away from the ports that desktops and
//! databases take by habit. The supervisor binds the front door of a block first and holds it as long as it
//! lives, so two clusters can't start in one block.

use crate::fail::{Fail, Res};
use crate::process;
use crate::slot::Slot;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

pub const DEFAULT_BASE: u16 = 13300;
pub const BLOCK: u16 = 100;
/// The last block that is tried when the ones before are taken.
const LAST_BASE: u16 = 16200;

/// The ports of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block(u16);

impl Block {
    /// `base` must leave room for the block and not need privileges.
    pub fn new(base: u16) -> Res<Block> {
        if !(1024..=65_400).contains(&base) {
            return Err(Fail::usage(
                format!("{base} can't be a port base"),
                "a cluster takes the ports from its base to base + 99, all between 1024 and 65499",
            )
            .next(format!("take one from 1024 to 65400, as in `--port-base {DEFAULT_BASE}`")));
        }
        Ok(Block(base))
    }

    pub fn base(self) -> u16 {
        self.0
    }

    /// The SQL front door.
    pub fn door(self) -> u16 {
        self.0 + 6
    }

    pub fn sql(self, slot: Slot) -> u16 {
        self.0 + 10 + u16::from(slot.get())
    }

    /// `/metrics`, `/livez`, `/readyz`.
    pub fn admin(self, slot: Slot) -> u16 {
        self.0 + 40 + u16::from(slot.get())
    }

    /// Peers, administration and programs.
    pub fn grpc(self, slot: Slot) -> u16 {
        self.0 + 50 + u16::from(slot.get())
    }

    /// All ports that are listened on, with their names.
    pub fn all(self) -> Vec<(String, u16)> {
        let mut all = vec![("the SQL front door".to_owned(), self.door())];
        for slot in Slot::ALL {
            all.push((format!("SQL of {slot}"), self.sql(slot)));
            all.push((format!("admin HTTP of {slot}"), self.admin(slot)));
            all.push((format!("gRPC of {slot}"), self.grpc(slot)));
        }
        all
    }

    /// The first port of the block that can't be bound.
    pub fn taken(self) -> Option<(String, u16)> {
        self.all().into_iter().find(|(_, port)| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
    }

    /// The block's refusal, with the holder of the port and two ways out.
    pub fn refusal(self, name: &str, port: u16) -> Fail {
        let free = self.after().find(|block| block.taken().is_none());
        let (why, stop) = match holder(port) {
            Some(pid) => (
                format!("pid {pid} ({}) listens on it; it was wanted for {name}", process::name_of(pid)),
                format!("stop that program: kill {pid}"),
            ),
            None => (
                format!(
                    "another user's program, or a lingering connection, holds it; it was wanted for {name}"
                ),
                format!("find and stop its holder: ss -ltnp 'sport = :{port}' as root"),
            ),
        };
        let fail = Fail::unfit(format!("port {port} is taken"), why).next(stop);
        match free {
            Some(block) => fail.next(format!("move the cluster: plait up --port-base {}", block.0)),
            None => fail.next("move the cluster to a free block: plait up --port-base N"),
        }
    }

    /// The blocks to try when this one is taken.
    pub fn after(self) -> impl Iterator<Item = Block> {
        (self.0..=LAST_BASE).step_by(usize::from(BLOCK)).skip(1).map(Block)
    }
}

pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The pid that listens on a port of this machine, if it can be seen: the kernel's table gives the socket's inode,
/// and the process has it among its descriptors.
pub fn holder(port: u16) -> Option<u32> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = std::fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| listening_inode(line, port))
    })?;
    let wanted = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut fds = std::fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        fds.any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))
            .then_some(pid)
    })
}

/// The inode in a line of /proc/net/tcp, if it is a socket that listens on `port`.
fn listening_inode(line: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, hex) = fields.get(1)?.rsplit_once(':')?;
    let here = u16::from_str_radix(hex, 16).ok()? == port;
    (here && *fields.get(3)? == LISTEN).then(|| fields.get(9)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_block_has_the_documented_ports() {
        let block = Block::new(DEFAULT_BASE).expect("it is in range");
        let n3 = Slot::new(3).expect("three is a slot");
        assert_eq!(
            (block.door(), block.sql(n3), block.admin(n3), block.grpc(n3)),
            (13306, 13313, 13343, 13353)
        );
        let mut ports: Vec<u16> = block.all().into_iter().map(|(_, port)| port).collect();
        ports.dedup();
        assert_eq!(ports.len(), 10);
        assert!(Block::new(80).is_err() && Block::new(65_500).is_err());
    }

    #[test]
    fn the_holder_of_a_port_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        assert_eq!(holder(port), Some(std::process::id()));
        drop(listener);
        assert_eq!(holder(port), None);
    }

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let line = "   0: 0100007F:33FA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0";
        assert_eq!(listening_inode(line, 13306), Some(4242));
        assert_eq!(listening_inode(line, 13307), None);
        assert_eq!(listening_inode(&line.replace(" 0A ", " 01 "), 13306), None);
    }
}
