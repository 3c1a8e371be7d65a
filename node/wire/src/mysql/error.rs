//! Why a connection can't go on.

/// Each of these ends the connection: the client no longer speaks the protocol, or never did. When
/// [`Connection::next`](super::Connection::next) answers one, the ERR packet that tells the client is already in
/// the output; write it and close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("got a packet of {got} bytes, and max_allowed_packet is {max}; send less at once, or raise it")]
    TooLarge { got: usize, max: usize },
    #[error(
        "got packets out of order: number {got} where {want} was due; the connection is closed, open another"
    )]
    OutOfOrder { got: u8, want: u8 },
    #[error("bad handshake: {why}; is this a MySQL client?")]
    Handshake { why: &'static str },
    #[error("the client knows only the authentication of before MySQL 4.1; use a newer client")]
    OldClient,
    #[error("malformed {what}: {why}; the connection is closed, open another")]
    Malformed { what: &'static str, why: &'static str },
}

impl Error {
    /// MySQL's error number and SQLSTATE.
    pub fn code(&self) -> (u16, &'static str) {
        match self {
            Error::TooLarge { .. } => (1153, "08S01"),
            Error::OutOfOrder { .. } => (1156, "08S01"),
            Error::Handshake { .. } => (1043, "08S01"),
            Error::OldClient => (1251, "08004"),
            Error::Malformed { .. } => (1835, "HY000"),
        }
    }
}
