//! Packets: a length of three bytes, a sequence number, and that many bytes. One of 16 MiB − 1 goes on in the next.
//!
//! A packet's bytes go straight to where they stay, so each is copied once; memory grows (by doubling) with what
//! came, never with what a header promises. The first byte (a command's code) is kept apart, which makes the rest, as it lies, the
//! text of a query.

use super::error::Error;

/// The longest part of a packet under one header; a part of just this length is followed by another.
pub const PART_BYTES_MAX: usize = 0xff_ffff;

/// One whole packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Number of its first part.
    pub first_seq: u8,
    /// Number that an answer to it carries.
    pub next_seq: u8,
    /// Its first byte; `None` if it is empty.
    pub head: Option<u8>,
    /// What follows the first byte.
    pub body: Vec<u8>,
}

/// Where a reader is in the bytes of a packet.
#[derive(Debug)]
enum At {
    Header { have: usize },
    Part { left: usize, last: bool },
}

/// Puts packets together from bytes that come in any pieces.
#[derive(Debug)]
pub struct Packets {
    bytes_max: usize,
    header: [u8; 4],
    at: At,
    /// The packet under way; `None` between packets.
    open: Option<Packet>,
}

impl Packets {
    /// `bytes_max`: the longest packet that is read, all its parts together.
    pub fn new(bytes_max: usize) -> Packets {
        Packets { bytes_max, header: [0; 4], at: At::Header { have: 0 }, open: None }
    }

    /// Takes bytes off the front of `bytes` until a packet is whole or they are used up.
    pub fn take(&mut self, bytes: &mut &[u8]) -> Result<Option<Packet>, Error> {
        loop {
            match &mut self.at {
                At::Header { have } => {
                    let n = bytes.len().min(4 - *have);
                    self.header[*have..*have + n].copy_from_slice(&bytes[..n]);
                    *bytes = &bytes[n..];
                    *have += n;
                    if *have < 4 {
                        return Ok(None);
                    }
                    self.begin_part()?;
                }
                At::Part { left, last } => {
                    let packet = self.open.as_mut().expect("a part belongs to a packet");
                    let n = bytes.len().min(*left);
                    let (mut now, rest) = bytes.split_at(n);
                    *bytes = rest;
                    *left -= n;
                    if let (None, Some((&first, after))) = (packet.head, now.split_first()) {
                        packet.head = Some(first);
                        now = after;
                    }
                    if *left == 0 && *last && packet.body.is_empty() {
                        // Most packets come whole: they get just the room they need.
                        packet.body.reserve_exact(now.len());
                    }
                    packet.body.extend_from_slice(now);
                    if *left > 0 {
                        return Ok(None);
                    }
                    let whole = *last;
                    self.at = At::Header { have: 0 };
                    if whole {
                        return Ok(self.open.take());
                    }
                }
            }
        }
    }

    /// Another bound for the packets whose headers are yet to come.
    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Whether nothing of a packet has come yet.
    pub fn idle(&self) -> bool {
        self.open.is_none() && matches!(self.at, At::Header { have: 0 })
    }

    fn begin_part(&mut self) -> Result<(), Error> {
        let [a, b, c, seq] = self.header;
        let left = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        let packet =
            self.open.get_or_insert(Packet { first_seq: seq, next_seq: seq, head: None, body: Vec::new() });
        if packet.next_seq != seq {
            return Err(Error::OutOfOrder { got: seq, want: packet.next_seq });
        }
        packet.next_seq = seq.wrapping_add(1);
        let had = packet.body.len() + usize::from(packet.head.is_some());
        if had + left > self.bytes_max {
            return Err(Error::TooLarge { got: had + left, max: self.bytes_max });
        }
        self.at = At::Part { left, last: left < PART_BYTES_MAX };
        Ok(())
    }
}

/// Begins a packet at the end of `out`; answers where, for [`end`].
pub fn begin(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    at
}

/// Ends the packet that was begun at `at`: fills in its header, and those of further parts if it is so long.
pub fn end(out: &mut Vec<u8>, at: usize, seq: &mut u8) {
    let len = out.len() - at - 4;
    if len >= PART_BYTES_MAX {
        return end_long(out, at, seq);
    }
    out[at..at + 4].copy_from_slice(&header(len, *seq));
    *seq = seq.wrapping_add(1);
}

fn header(len: usize, seq: u8) -> [u8; 4] {
    [len as u8, (len >> 8) as u8, (len >> 16) as u8, seq]
}

#[cold]
fn end_long(out: &mut Vec<u8>, at: usize, seq: &mut u8) {
    let body = out.split_off(at + 4);
    out.truncate(at);
    // An empty last part tells that a body of just a multiple of the part's length is over.
    let mut rest = &body[..];
    loop {
        let (part, after) = rest.split_at(rest.len().min(PART_BYTES_MAX));
        out.extend_from_slice(&header(part.len(), *seq));
        out.extend_from_slice(part);
        *seq = seq.wrapping_add(1);
        rest = after;
        if part.len() < PART_BYTES_MAX {
            return;
        }
    }
}
