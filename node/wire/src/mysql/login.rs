//! The greeting, and what a client says of itself: on connecting, and again when it changes its user.

use super::auth::{self, SALT_BYTES, Stored};
use super::error::Error;
use super::flag::{cap, charset, status};
use super::packet::Packet;
use super::read::Fields;

/// Names and values that a client may tell of itself; beyond this many bytes they are not kept.
pub const ATTRIBUTE_BYTES_MAX: usize = 16 << 10;

/// Who wants in. Check it against the users you know and answer with [`Connection::ok`](super::Connection::ok) or
/// [`Connection::deny`](super::Connection::deny).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    /// The database to use; `None` if it named none.
    pub database: Option<String>,
    /// What the client tells of itself (`_client_name`, `program_name`, …), in its order.
    pub attributes: Vec<(String, String)>,
    /// The client's number of a character set and collation.
    pub charset: u8,
    /// It wants affected rows to count what was found, not what was changed.
    pub found_rows: bool,
    /// It may send several statements in one query.
    pub multi_statements: bool,
    /// Whether a session is open that this one takes the place of: COM_CHANGE_USER, so its transaction is to be
    /// rolled back and its variables forgotten, also if the login is denied.
    pub change_user: bool,
    pub(super) answer: Vec<u8>,
    pub(super) salt: [u8; SALT_BYTES],
}

impl Login {
    /// Whether the client proved the password of which `kept` is kept ([`auth::stored`]).
    pub fn proves(&self, kept: &Stored) -> bool {
        auth::proves(&self.answer, &self.salt, kept)
    }

    /// Whether it sent any password at all; the error 1045 says so.
    pub fn with_password(&self) -> bool {
        !self.answer.is_empty()
    }
}

/// What a greeting tells.
pub struct Greeting<'a> {
    pub version: &'a str,
    pub connection: u32,
    pub salt: &'a [u8; SALT_BYTES],
}

impl Greeting<'_> {
    /// Handshake version 10, without its packet header.
    pub fn write(&self, out: &mut Vec<u8>) {
        let caps = cap::SERVER.to_le_bytes();
        out.push(10);
        out.extend_from_slice(self.version.as_bytes());
        out.push(0);
        out.extend_from_slice(&self.connection.to_le_bytes());
        out.extend_from_slice(&self.salt[..8]);
        out.push(0);
        out.extend_from_slice(&caps[..2]);
        out.push(charset::UTF8MB4);
        out.extend_from_slice(&status::AUTOCOMMIT.to_le_bytes());
        out.extend_from_slice(&caps[2..]);
        out.push(SALT_BYTES as u8 + 1);
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&self.salt[8..]);
        out.push(0);
        out.extend_from_slice(auth::NATIVE.as_bytes());
        out.push(0);
    }
}

/// A login as the client's packet has it, and the plugin that made its answer.
pub struct Asked {
    pub caps: u32,
    pub login: Login,
    /// `None` if the client does not name plugins, so that it means the native one.
    pub plugin: Option<Vec<u8>>,
}

impl Asked {
    /// Whether the answer is one that the SHA-256 plugin can have made.
    pub fn sha2(&self) -> bool {
        self.plugin.as_ref().is_some_and(|name| name == auth::SHA2.as_bytes())
            && self.login.answer.len() == 32
    }

    /// Whether the answer is one that the native plugin can have made.
    pub fn native(&self) -> bool {
        self.plugin.as_ref().is_none_or(|name| name == auth::NATIVE.as_bytes())
            && matches!(self.login.answer.len(), 0 | SALT_BYTES)
    }
}

/// Reads a client's first packet.
pub fn response(packet: &Packet, salt: &[u8; SALT_BYTES]) -> Result<Asked, Error> {
    // The first byte is the lowest of the capabilities.
    let low = packet.head.ok_or(Error::Handshake { why: "it is empty" })?;
    let mut fields = Fields(&packet.body);
    let cut = || Error::Handshake { why: "it ends too soon" };
    let high = fields.raw(3).ok_or_else(cut)?;
    let claimed = u32::from_le_bytes([low, high[0], high[1], high[2]]);
    if claimed & cap::PROTOCOL_41 == 0 {
        return Err(Error::Handshake { why: "it does not speak the protocol of version 4.1" });
    }
    if claimed & cap::SECURE_CONNECTION == 0 {
        return Err(Error::OldClient);
    }
    let _packet_bytes_max = fields.u32().ok_or_else(cut)?;
    let charset = fields.u8().ok_or_else(cut)?;
    fields.raw(23).ok_or_else(cut)?;
    if claimed & cap::SSL != 0 {
        return Err(Error::Handshake { why: "it begins TLS, which this port has not got and did not offer" });
    }
    let caps = claimed & cap::SERVER;
    let user = fields.zero_ended().ok_or_else(cut)?;
    let answer = if caps & cap::PLUGIN_AUTH_LENENC != 0 {
        fields.counted().ok_or_else(cut)?
    } else {
        let len = fields.u8().ok_or_else(cut)?;
        fields.raw(len.into()).ok_or_else(cut)?
    };
    let database = if caps & cap::CONNECT_WITH_DB != 0 { Some(fields.zero_or_end()) } else { None };
    let plugin = (caps & cap::PLUGIN_AUTH != 0).then(|| fields.zero_or_end().to_vec());
    let attributes = if caps & cap::CONNECT_ATTRS != 0 { attributes(fields) } else { Vec::new() };
    let login = Login {
        user: text(user, "the user's name is not UTF-8")?,
        database: name(database)?,
        attributes,
        charset,
        found_rows: caps & cap::FOUND_ROWS != 0,
        multi_statements: caps & cap::MULTI_STATEMENTS != 0,
        change_user: false,
        answer: answer.to_vec(),
        salt: *salt,
    };
    Ok(Asked { caps, login, plugin })
}

/// Reads COM_CHANGE_USER after its code.
pub fn change(body: &[u8], caps: u32, salt: &[u8; SALT_BYTES]) -> Result<Asked, Error> {
    let mut fields = Fields(body);
    let cut = || Error::Malformed { what: "COM_CHANGE_USER", why: "it ends too soon" };
    let user = fields.zero_ended().ok_or_else(cut)?;
    let len = fields.u8().ok_or_else(cut)?;
    let answer = fields.raw(len.into()).ok_or_else(cut)?;
    let database = Some(fields.zero_or_end());
    let charset = fields.u16().map_or(charset::UTF8MB4, |number| number as u8);
    let plugin =
        (caps & cap::PLUGIN_AUTH != 0 && !fields.0.is_empty()).then(|| fields.zero_or_end().to_vec());
    let attributes = if caps & cap::CONNECT_ATTRS != 0 { attributes(fields) } else { Vec::new() };
    let login = Login {
        user: text(user, "the user's name is not UTF-8")?,
        database: name(database)?,
        attributes,
        charset,
        found_rows: caps & cap::FOUND_ROWS != 0,
        multi_statements: caps & cap::MULTI_STATEMENTS != 0,
        change_user: true,
        answer: answer.to_vec(),
        salt: *salt,
    };
    Ok(Asked { caps, login, plugin })
}

fn text(bytes: &[u8], why: &'static str) -> Result<String, Error> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Error::Handshake { why })
}

/// An empty name is no name.
fn name(bytes: Option<&[u8]>) -> Result<Option<String>, Error> {
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    text(bytes, "the database's name is not UTF-8").map(Some)
}

/// Attributes are for people's eyes: what can't be read is left out, and never a reason to refuse.
fn attributes(mut fields: Fields) -> Vec<(String, String)> {
    let Some(block) = fields.counted().filter(|block| block.len() <= ATTRIBUTE_BYTES_MAX) else {
        return Vec::new();
    };
    let mut block = Fields(block);
    let mut list = Vec::new();
    while let (Some(key), Some(value)) = (block.counted(), block.counted()) {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        list.push((text(key), text(value)));
    }
    list
}
