//! A MySQL client of bytes: what it sends it sends as it is told, right or wrong.
//!
//! The stock clients can't be made to speak wrongly; this one logs in (`mysql_native_password`) and then leaves each
//! packet to the test.

use crate::cluster::Cluster;
use sha1::{Digest, Sha1};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest part of a packet under one header.
const PART_BYTES_MAX: usize = 0xff_ffff;

pub const COM_QUIT: u8 = 1;
pub const COM_QUERY: u8 = 3;
pub const COM_PING: u8 = 14;
pub const COM_STMT_PREPARE: u8 = 22;
pub const COM_STMT_EXECUTE: u8 = 23;

pub struct Raw {
    pub stream: TcpStream,
}

/// What came back for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Ok,
    /// Rows of texts; `None` is NULL.
    Rows(Vec<Vec<Option<String>>>),
    /// Number, SQLSTATE, text.
    Error(u16, String, String),
    /// The connection is gone.
    Gone,
}

impl Told {
    pub fn error(&self) -> Option<u16> {
        match self {
            Told::Error(code, ..) => Some(*code),
            _ => None,
        }
    }
}

impl Raw {
    /// A connection that was greeted and has said nothing yet; with the salt of the greeting.
    pub fn greeted(port: u16) -> (Raw, Vec<u8>) {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the port listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        let mut raw = Raw { stream };
        let (_, greeting) = raw.packet().expect("a greeting");
        assert_eq!(greeting[0], 10, "protocol 10");
        let version = greeting[1..].iter().position(|byte| *byte == 0).expect("a version") + 2;
        let mut salt = greeting[version + 4..version + 12].to_vec();
        salt.extend_from_slice(&greeting[version + 31..version + 43]);
        (raw, salt)
    }

    /// A connection that is logged in.
    pub fn open(cluster: &Cluster, node: u8) -> Raw {
        let (mut raw, salt) = Raw::greeted(cluster.sql_port(node));
        raw.send(1, &response(&salt)).expect("it listens");
        assert_eq!(raw.told(), Told::Ok, "a login");
        raw
    }

    /// Sends one packet, in parts if it is so long.
    pub fn send(&mut self, mut sequence: u8, body: &[u8]) -> io::Result<()> {
        let mut rest = body;
        loop {
            let (part, after) = rest.split_at(rest.len().min(PART_BYTES_MAX));
            let n = part.len();
            self.stream.write_all(&[n as u8, (n >> 8) as u8, (n >> 16) as u8, sequence])?;
            self.stream.write_all(part)?;
            sequence = sequence.wrapping_add(1);
            rest = after;
            if n < PART_BYTES_MAX {
                return Ok(());
            }
        }
    }

    /// The next packet; `None`: the connection is gone.
    pub fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut body = Vec::new();
        loop {
            let mut header = [0; 4];
            self.stream.read_exact(&mut header).ok()?;
            let n = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
            let at = body.len();
            body.resize(at + n, 0);
            self.stream.read_exact(&mut body[at..]).ok()?;
            if n < PART_BYTES_MAX {
                return Some((header[3], body));
            }
        }
    }

    /// What comes back for the command that was sent.
    pub fn told(&mut self) -> Told {
        let Some((_, first)) = self.packet() else { return Told::Gone };
        match first.first() {
            Some(0x00) => return Told::Ok,
            Some(0xff) => {
                let code = u16::from_le_bytes([first[1], first[2]]);
                let text = String::from_utf8_lossy(&first[3..]).into_owned();
                return match text.strip_prefix('#') {
                    Some(rest) => Told::Error(code, rest[..5].to_owned(), rest[5..].to_owned()),
                    None => Told::Error(code, String::new(), text),
                };
            }
            _ => {}
        }
        // Columns up to an EOF, rows up to another.
        let eof = |packet: &[u8]| packet.first() == Some(&0xfe) && packet.len() < 9;
        loop {
            match self.packet() {
                None => return Told::Gone,
                Some((_, packet)) if eof(&packet) => break,
                Some(_) => {}
            }
        }
        let mut rows = Vec::new();
        loop {
            match self.packet() {
                None => return Told::Gone,
                Some((_, packet)) if eof(&packet) => return Told::Rows(rows),
                Some((_, packet)) => rows.push(cells(&packet)),
            }
        }
    }

    pub fn command(&mut self, command: u8, body: &[u8]) -> Told {
        let whole = [&[command], body].concat();
        match self.send(0, &whole) {
            // Who is refused while it still sends may find the way closed; what was said is there all the same.
            Ok(()) | Err(_) => self.told(),
        }
    }

    pub fn query(&mut self, text: &str) -> Told {
        self.command(COM_QUERY, text.as_bytes())
    }

    /// A statement that must do.
    #[track_caller]
    pub fn ok(&mut self, text: &str) {
        let told = self.query(text);
        assert_eq!(told, Told::Ok, "{}", text.chars().take(80).collect::<String>());
    }
}

/// The cells of a row in the text protocol.
fn cells(mut row: &[u8]) -> Vec<Option<String>> {
    let mut cells = Vec::new();
    while let Some(first) = row.first() {
        let (bytes, length) = match first {
            0xfb => (1, None),
            0xfc => (3, Some(usize::from(row[1]) | usize::from(row[2]) << 8)),
            0xfd => (4, Some(usize::from(row[1]) | usize::from(row[2]) << 8 | usize::from(row[3]) << 16)),
            0xfe => (9, Some(u64::from_le_bytes(row[1..9].try_into().expect("eight bytes")) as usize)),
            n => (1, Some(usize::from(*n))),
        };
        row = &row[bytes..];
        cells.push(length.map(|length| {
            let text = String::from_utf8_lossy(&row[..length]).into_owned();
            row = &row[length..];
            text
        }));
    }
    cells
}

/// The answer to a greeting: user and password `plait`, database `shop`.
pub fn response(salt: &[u8]) -> Vec<u8> {
    // LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, SECURE_CONNECTION, MULTI_STATEMENTS, PLUGIN_AUTH.
    let capabilities: u32 = 0x1 | 0x8 | 0x200 | 0x8000 | 0x1_0000 | 0x8_0000;
    let mut body = capabilities.to_le_bytes().to_vec();
    body.extend_from_slice(&(1_u32 << 30).to_le_bytes());
    body.push(45);
    body.extend_from_slice(&[0; 23]);
    body.extend_from_slice(b"plait\0");
    let once = Sha1::digest(b"plait");
    let salted = Sha1::new().chain_update(salt).chain_update(Sha1::digest(once)).finalize();
    body.push(20);
    body.extend(once.iter().zip(salted).map(|(a, b)| a ^ b));
    body.extend_from_slice(b"shop\0mysql_native_password\0");
    body
}
