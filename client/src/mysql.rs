//! Enough of a MySQL client to log in and ask for a sign of life: the proof that a SQL port serves.
//!
//! Protocol 4.1 with `mysql_native_password`, answered from the greeting or after a request to switch to it.
//! Not a client for anything else; `plait sql` speaks gRPC or runs the `mariadb` client.

use crate::cluster::Login;
use sha1::{Digest, Sha1};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PLUGIN: &[u8] = b"mysql_native_password";
/// Longest packet that is read: a greeting, an OK or an error is far shorter.
const PACKET_BYTES_MAX: usize = 64 << 10;
// CLIENT_LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH.
const CAPABILITIES: u32 = 0x1 | 0x8 | 0x200 | 0x8000 | 0x8_0000;
const COM_PING: u8 = 0x0e;

/// Connects, logs in, pings. The error says what the server said.
pub async fn ping(address: SocketAddr, login: &Login, deadline: Duration) -> Result<(), String> {
    match tokio::time::timeout(deadline, talk(address, login)).await {
        Ok(result) => result.map_err(|why| format!("{address}: {why}")),
        Err(_) => Err(format!("{address} did not finish a login within {} ms", deadline.as_millis())),
    }
}

async fn talk(address: SocketAddr, login: &Login) -> Result<(), String> {
    let io = |e: std::io::Error| e.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(io)?;
    stream.set_nodelay(true).map_err(io)?;
    let (mut sequence, greeting) = read(&mut stream).await?;
    let salt = salt(&greeting).ok_or("its greeting is not MySQL's protocol 10")?;
    let mut body = CAPABILITIES.to_le_bytes().to_vec();
    body.extend_from_slice(&(1_u32 << 24).to_le_bytes());
    body.push(45);
    body.extend_from_slice(&[0; 23]);
    body.extend_from_slice(login.user.as_bytes());
    body.push(0);
    let proof = scramble(&login.password, &salt);
    body.push(proof.len() as u8);
    body.extend_from_slice(&proof);
    for text in [login.database.as_bytes(), PLUGIN] {
        body.extend_from_slice(text);
        body.push(0);
    }
    write(&mut stream, sequence.wrapping_add(1), &body).await.map_err(io)?;
    let mut answer;
    (sequence, answer) = read(&mut stream).await?;
    if answer.first() == Some(&0xfe) {
        let rest = answer[1..].strip_prefix(PLUGIN).and_then(|rest| rest.strip_prefix(&[0]));
        let rest = rest.ok_or("it wants a login that this probe does not know")?;
        let salt = rest.strip_suffix(&[0]).unwrap_or(rest);
        write(&mut stream, sequence.wrapping_add(1), &scramble(&login.password, salt)).await.map_err(io)?;
        (_, answer) = read(&mut stream).await?;
    }
    ok(&answer)?;
    write(&mut stream, 0, &[COM_PING]).await.map_err(io)?;
    ok(&read(&mut stream).await?.1)
}

fn ok(packet: &[u8]) -> Result<(), String> {
    match packet.first() {
        Some(0) => Ok(()),
        Some(0xff) => Err(refusal(packet)),
        _ => Err("it answered something else than OK".into()),
    }
}

/// The text of an error packet.
fn refusal(packet: &[u8]) -> String {
    let code = packet.get(1..3).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
    let text = packet.get(3..).unwrap_or_default();
    let text = if text.first() == Some(&b'#') { text.get(6..).unwrap_or_default() } else { text };
    format!("error {code}: {}", String::from_utf8_lossy(text))
}

/// The twenty bytes that the password is proved against.
fn salt(greeting: &[u8]) -> Option<Vec<u8>> {
    if greeting.first() != Some(&10) {
        return None;
    }
    let version_end = greeting.iter().position(|byte| *byte == 0)?;
    let first = greeting.get(version_end + 5..version_end + 13)?;
    // Filler, capabilities, character set, status, capabilities, length, ten reserved bytes.
    let second = greeting.get(version_end + 13 + 19..version_end + 13 + 19 + 12)?;
    Some([first, second].concat())
}

/// SHA1(password) xor SHA1(salt + SHA1(SHA1(password))); nothing for an empty password.
fn scramble(password: &str, salt: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password.as_bytes());
    let twice = Sha1::digest(once);
    let mut hash = Sha1::new();
    hash.update(salt);
    hash.update(twice);
    once.iter().zip(hash.finalize()).map(|(a, b)| a ^ b).collect()
}

async fn read(stream: &mut TcpStream) -> Result<(u8, Vec<u8>), String> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(|e| format!("it closed the connection: {e}"))?;
    let bytes = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
    if bytes > PACKET_BYTES_MAX {
        return Err(format!("its packet has {bytes} bytes, and at most {PACKET_BYTES_MAX} are read"));
    }
    let mut body = vec![0; bytes];
    stream.read_exact(&mut body).await.map_err(|e| format!("it closed the connection: {e}"))?;
    // Before a login is answered, an error comes in place of a greeting.
    if body.first() == Some(&0xff) { Err(refusal(&body)) } else { Ok((head[3], body)) }
}

async fn write(stream: &mut TcpStream, sequence: u8, body: &[u8]) -> std::io::Result<()> {
    let mut packet = (body.len() as u32).to_le_bytes();
    packet[3] = sequence;
    stream.write_all(&[&packet[..], body].concat()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_protocols() {
        // Against the server's check: SHA1(proof xor SHA1(salt + stored)) == stored, with stored = SHA1(SHA1(password)).
        let salt = b"abcdefghijklmnopqrst";
        let stored = Sha1::digest(Sha1::digest(b"plait"));
        let mut hash = Sha1::new();
        hash.update(salt);
        hash.update(stored);
        let candidate: Vec<u8> =
            scramble("plait", salt).iter().zip(hash.finalize()).map(|(a, b)| a ^ b).collect();
        assert_eq!(Sha1::digest(candidate), stored);
        assert!(scramble("", salt).is_empty());
    }

    #[test]
    fn a_greeting_gives_its_salt() {
        let mut greeting = vec![10];
        greeting.extend_from_slice(b"10.11-plait\0");
        greeting.extend_from_slice(&7_u32.to_le_bytes());
        greeting.extend_from_slice(b"12345678\0");
        greeting.extend_from_slice(&[0; 18]);
        greeting.extend_from_slice(b"abcdefghijkl\0mysql_native_password\0");
        assert_eq!(salt(&greeting).as_deref(), Some(&b"12345678abcdefghijkl"[..]));
        assert_eq!(salt(b"\x09old"), None);
    }
}
