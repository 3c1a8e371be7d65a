//! Clients that speak the MySQL protocol: the same transfers, statement by statement, as text and prepared.

use crate::clients::{ACCOUNTS, BALANCE, NODES, PATIENCE, SQL_PORT, Shared};
use crate::trace::Trace;
use sha1::{Digest, Sha1};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use turmoil::net::TcpStream;

const COM_QUERY: u8 = 3;
const COM_STMT_PREPARE: u8 = 22;
const COM_STMT_EXECUTE: u8 = 23;
/// The server's way of saying that it does not know what came of a COMMIT.
const UNKNOWN: u16 = 1180;

/// What came back for a command.
#[derive(Debug)]
enum Told {
    Ok,
    /// The first column of each row, as text; `None` is NULL.
    Rows(Vec<Option<String>>),
    Prepared(u32),
    Error(u16, String),
}

/// One connection, logged in.
struct Connection {
    stream: TcpStream,
    /// The number of the prepared INSERT.
    insert: u32,
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Connection {
    async fn open(node: usize) -> io::Result<Connection> {
        let stream = TcpStream::connect(format!("{}:{SQL_PORT}", NODES[node])).await?;
        let mut connection = Connection { stream, insert: 0 };
        let greeting = connection.packet().await?;
        let version =
            greeting[1..].iter().position(|byte| *byte == 0).ok_or_else(|| broken("no version"))? + 2;
        let salt = [&greeting[version + 4..version + 12], &greeting[version + 31..version + 43]].concat();
        connection.send(1, &response(&salt)).await?;
        connection.expect_ok().await?;
        connection.query("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE").await?;
        connection.send(0, &[&[COM_STMT_PREPARE], &b"INSERT INTO ledger VALUES (?, ?)"[..]].concat()).await?;
        match connection.told(true).await? {
            Told::Prepared(number) => connection.insert = number,
            other => return Err(broken(&format!("a prepared statement was expected, not {other:?}"))),
        }
        Ok(connection)
    }

    async fn expect_ok(&mut self) -> io::Result<()> {
        match self.told(false).await? {
            Told::Ok => Ok(()),
            other => Err(broken(&format!("an OK was expected, not {other:?}"))),
        }
    }

    async fn send(&mut self, sequence: u8, body: &[u8]) -> io::Result<()> {
        let n = body.len() as u32;
        let mut packet = n.to_le_bytes();
        packet[3] = sequence;
        self.stream.write_all(&[&packet, body].concat()).await?;
        self.stream.flush().await
    }

    async fn packet(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).await?;
        let n = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let mut body = vec![0; n as usize];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    /// Skips packets up to an EOF.
    async fn skip(&mut self) -> io::Result<()> {
        while !is_eof(&self.packet().await?) {}
        Ok(())
    }

    async fn told(&mut self, prepares: bool) -> io::Result<Told> {
        let first = self.packet().await?;
        match first.first() {
            Some(0x00) if prepares => {
                let number = u32::from_le_bytes(first[1..5].try_into().expect("four bytes"));
                let counts = [&first[7..9], &first[5..7]].map(|n| u16::from_le_bytes([n[0], n[1]]));
                for _ in counts.iter().filter(|count| **count > 0) {
                    self.skip().await?;
                }
                return Ok(Told::Prepared(number));
            }
            Some(0x00) => return Ok(Told::Ok),
            Some(0xff) => {
                let code = u16::from_le_bytes([first[1], first[2]]);
                return Ok(Told::Error(code, String::from_utf8_lossy(&first[3..]).into_owned()));
            }
            _ => self.skip().await?,
        }
        let mut rows = Vec::new();
        loop {
            let row = self.packet().await?;
            if is_eof(&row) {
                return Ok(Told::Rows(rows));
            }
            rows.push(match row.first() {
                Some(0xfb) | None => None,
                Some(n) => Some(String::from_utf8_lossy(&row[1..=usize::from(*n)]).into_owned()),
            });
        }
    }

    async fn query(&mut self, text: &str) -> io::Result<Told> {
        self.send(0, &[&[COM_QUERY], text.as_bytes()].concat()).await?;
        self.told(false).await
    }

    async fn insert(&mut self, id: i64, amount: i64) -> io::Result<Told> {
        let mut body = vec![COM_STMT_EXECUTE];
        body.extend_from_slice(&self.insert.to_le_bytes());
        // No cursor, once, nothing is NULL, the types follow: two BIGINTs.
        body.extend_from_slice(&[0, 1, 0, 0, 0, 0, 1, 8, 0, 8, 0]);
        body.extend_from_slice(&id.to_le_bytes());
        body.extend_from_slice(&amount.to_le_bytes());
        self.send(0, &body).await?;
        self.told(false).await
    }
}

fn is_eof(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

/// The answer to a greeting: user and password `plait`, database `shop`.
fn response(salt: &[u8]) -> Vec<u8> {
    // LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH.
    let capabilities: u32 = 0x1 | 0x8 | 0x200 | 0x8000 | 0x8_0000;
    let mut body = capabilities.to_le_bytes().to_vec();
    body.extend_from_slice(&(1_u32 << 24).to_le_bytes());
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

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Yes,
    No,
    Unknown,
}

/// One client and its connections.
pub struct Teller {
    who: String,
    trace: Trace,
    connections: [Option<Connection>; 3],
}

/// A transfer before its end: nothing of it can have been committed.
enum Before {
    Commit,
    /// It was refused, or taken back.
    Over,
}

impl Teller {
    pub fn new(who: String, trace: Trace) -> Teller {
        Teller { who, trace, connections: [None, None, None] }
    }

    async fn connection(&mut self, node: usize) -> Option<&mut Connection> {
        if self.connections[node].is_none() {
            self.connections[node] = timeout(PATIENCE, Connection::open(node)).await.ok()?.ok();
        }
        self.connections[node].as_mut()
    }

    fn note(&self, node: usize, what: &str) {
        self.trace.add(&self.who, NODES[node], what.as_bytes());
    }

    /// Moves money and writes down that it did.
    pub async fn transfer(&mut self, node: usize, id: i64, from: i64, to: i64, amount: i64) -> Ended {
        let Some(connection) = self.connection(node).await else { return Ended::No };
        let before = async {
            let look = format!("SELECT balance FROM accounts WHERE id = {from} FOR UPDATE");
            connection.query("BEGIN").await?;
            let balance = match connection.query(&look).await? {
                Told::Rows(rows) => {
                    rows.into_iter().flatten().next().and_then(|text| text.parse::<i64>().ok())
                }
                _ => None,
            };
            if balance.is_none_or(|balance| balance < amount) {
                connection.query("ROLLBACK").await?;
                return Ok(Before::Over);
            }
            for (account, change) in [(from, -amount), (to, amount)] {
                let text = format!("UPDATE accounts SET balance = balance + {change} WHERE id = {account}");
                if let Told::Error(..) = connection.query(&text).await? {
                    connection.query("ROLLBACK").await?;
                    return Ok(Before::Over);
                }
            }
            if let Told::Error(..) = connection.insert(id, amount).await? {
                connection.query("ROLLBACK").await?;
                return Ok(Before::Over);
            }
            Ok::<Before, io::Error>(Before::Commit)
        };
        match timeout(PATIENCE, before).await {
            Ok(Ok(Before::Commit)) => {}
            Ok(Ok(Before::Over)) => {
                self.note(node, "refused");
                return Ended::No;
            }
            Ok(Err(_)) | Err(_) => {
                self.connections[node] = None;
                self.note(node, "broken before its commit");
                return Ended::No;
            }
        }
        let connection = self.connections[node].as_mut().expect("it was used a moment ago");
        let (ended, text) = match timeout(PATIENCE, connection.query("COMMIT")).await {
            Ok(Ok(Told::Ok)) => (Ended::Yes, "yes".to_owned()),
            Ok(Ok(Told::Error(UNKNOWN, text))) => (Ended::Unknown, text),
            Ok(Ok(Told::Error(_, text))) => (Ended::No, text),
            Ok(Ok(other)) => (Ended::Unknown, format!("{other:?}")),
            Ok(Err(error)) => (Ended::Unknown, error.to_string()),
            Err(_) => (Ended::Unknown, "nothing".to_owned()),
        };
        if ended == Ended::Unknown {
            self.connections[node] = None;
        }
        self.note(node, &text);
        ended
    }

    /// Reads the total; it is always the same.
    pub async fn look(&mut self, node: usize, shared: &Shared) {
        let Some(connection) = self.connection(node).await else { return };
        let told = timeout(PATIENCE, connection.query("SELECT SUM(balance) FROM accounts")).await;
        self.note(node, &format!("{told:?}"));
        match told {
            Ok(Ok(Told::Rows(rows))) => {
                let mut book = shared.book();
                book.reads += 1;
                let total = rows.into_iter().flatten().next().and_then(|text| text.parse::<i64>().ok());
                if total != Some(ACCOUNTS * BALANCE) {
                    book.violations.push(format!("a SUM on {} found a total of {total:?}", NODES[node]));
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => self.connections[node] = None,
        }
    }
}
