//! The MySQL client/server protocol, server's side: handshake 10, two ways of login ([`auth`]), the text protocol and
//! prepared statements.
//!
//! Intuition: a conversation of strict turns. The client asks, the server answers in one or more packets whose
//! numbers go on from the question's, and only then is the next question looked at, although it may have come
//! long before (pipelining). [`Connection`] keeps the turns; it knows nothing of users or SQL.
//! Invariant: at most one question is open, and each answer goes to the question that is open. Whatever bytes
//! come, memory stays within one packet of `packet_bytes_max` and one `feed`, as long as [`Connection::wants`] is
//! heeded.
//! Not here: sockets, time-outs, users, sessions (the host's).
//! Source: MySQL Server Doxygen, "Client/Server Protocol"; MariaDB Knowledge Base, "Clients & Utilities, Protocol".
//!
//! ```
//! use plait_wire::mysql::{Cell, Column, ColumnKind, Command, Connection, Event, Hello, Okay, auth};
//! # fn main() {
//! let mut out = Vec::new();             // what is to be written to the socket; drain it as you write
//! let hello = Hello { version: "8.0.42-plait", connection: 7, salt: [9; 20], packet_bytes_max: 16 << 20 };
//! let mut conn = Connection::open(hello, &mut out);
//! # let read: &[u8] = &[];
//! conn.feed(read);                      // bytes as they came, in any pieces, while `conn.wants()`
//! while let Some(event) = conn.next(&mut out) {
//!     match event {
//!         Ok(Event::Login(login)) if login.proves(&auth::stored("plait")) => conn.ok(&Okay::default(), false, &mut out),
//!         Ok(Event::Login(login)) => conn.deny(&login, "127.0.0.1", &mut out),
//!         Ok(Event::Command(Command::Query(_text))) => {
//!             let columns = [Column { schema: "shop", table: "t", name: "n", kind: ColumnKind::Int { bits: 32, unsigned: false, width: 0 }, flags: 0 }];
//!             conn.begin_rows(&columns, &mut out);
//!             conn.row([Cell::Int(1)], &mut out);
//!             conn.end_rows(0, false, &mut out);
//!         }
//!         Ok(Event::Command(Command::Quit)) => return,
//!         Ok(Event::Command(_)) => conn.err(1047, "08S01", "unknown command", &mut out),
//!         Err(why) => return eprintln!("{why}"),          // write `out`, then close
//!     }
//!     if conn.closed() { return }                         // after `deny`: write `out`, then close
//! }
//! # }
//! ```

pub mod auth;
mod error;
pub mod flag;
mod literal;
mod login;
mod packet;
mod prepared;
mod read;
mod reply;

#[cfg(test)]
mod tests;

pub use auth::Stored;
pub use error::Error;
pub use login::{ATTRIBUTE_BYTES_MAX, Login};
pub use prepared::Param;
pub use reply::{Cell, Column, ColumnKind, Okay};

use auth::SALT_BYTES;
use flag::{cap, com, status};
use login::{Asked, Greeting};
use packet::{Packet, Packets};
use prepared::{Refusal, Statements};
use read::Fields;
use std::collections::VecDeque;

/// What the server says of itself to a new client.
#[derive(Debug, Clone, Copy)]
pub struct Hello<'a> {
    /// As `SELECT VERSION()` will answer; clients read its first digits.
    pub version: &'a str,
    /// As `CONNECTION_ID()` will answer.
    pub connection: u32,
    /// Random, new for each connection: a salt that comes twice lets an overheard login be played again.
    pub salt: [u8; SALT_BYTES],
    /// `max_allowed_packet`.
    pub packet_bytes_max: usize,
}

/// Longest packet that is read from a client that is not let in yet.
pub const LOGIN_BYTES_MAX: usize = 128 << 10;

/// What a client wants. Each is to be answered (but [`Command::Quit`]) before the next is given out.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Answer with [`Connection::ok`], [`Connection::deny`] or [`Connection::err`] (as 1049, unknown database).
    /// An error here ends the connection.
    Login(Login),
    Command(Command),
}

/// A command. Those that need no host are answered within [`Connection::next`] and not seen here: COM_PING,
/// COM_SET_OPTION, COM_STMT_RESET, COM_STMT_SEND_LONG_DATA, and unknown ones (1047).
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// SQL text: one statement, or several if [`Connection::multi_statements`].
    Query(String),
    /// Use this database.
    InitDb(String),
    /// The columns of a table whose names are like the pattern (empty: all). Answer with [`Connection::fields`].
    FieldList { table: String, pattern: String },
    /// A line of figures for a person. Answer with [`Connection::text`].
    Statistics,
    /// Roll back, and forget everything that the session set. Answer with [`Connection::ok`].
    ResetConnection,
    /// Look at a statement and keep it. Answer with [`Connection::prepared`].
    Prepare(String),
    /// Run a prepared statement. Answer as a query, with rows by [`Connection::row_binary`].
    Execute { number: u32, params: Vec<Param> },
    /// Forget a prepared statement. No answer.
    CloseStatement(u32),
    /// The client goes. No answer; close.
    Quit,
}

/// Whose turn it is, and at what.
#[derive(Debug)]
enum Phase {
    /// The greeting is out; the client's first packet is due.
    Greeted,
    /// The client was asked for the native plugin's answer.
    Switching(Box<Asked>),
    /// A login waits for its verdict.
    Entering,
    /// The client's turn: a command is due.
    Ready,
    /// The server's turn: a command waits for its answer.
    Answering,
    Closed,
}

/// One client's connection, from the first byte to the last.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    packets: Packets,
    packet_bytes_max: usize,
    /// Whole packets that wait for their turn.
    waiting: VecDeque<Packet>,
    /// Bytes that came before it was known whether the client is let in.
    held: Vec<u8>,
    let_in: bool,
    /// What ends the connection once the packets before it had their turn.
    broken: Option<Error>,
    /// Number of the next packet, whoever sends it.
    seq: u8,
    salt: [u8; SALT_BYTES],
    caps: u32,
    multi_statements: bool,
    status: u16,
    statements: Statements,
    /// The login under way is one of the SHA-256 plugin.
    sha2: bool,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("user", &self.login.user).finish_non_exhaustive()
    }
}

impl Connection {
    /// A new client: greets it.
    pub fn open(hello: Hello, out: &mut Vec<u8>) -> Connection {
        let mut conn = Connection {
            phase: Phase::Greeted,
            packets: Packets::new(hello.packet_bytes_max.min(LOGIN_BYTES_MAX)),
            packet_bytes_max: hello.packet_bytes_max,
            waiting: VecDeque::new(),
            held: Vec::new(),
            let_in: false,
            broken: None,
            seq: 0,
            salt: auth::salt(hello.salt),
            caps: 0,
            multi_statements: false,
            status: status::AUTOCOMMIT,
            statements: Statements::default(),
            sha2: false,
        };
        let salt = conn.salt;
        let greeting = Greeting { version: hello.version, connection: hello.connection, salt: &salt };
        conn.packet(out, |out| greeting.write(out));
        conn
    }

    /// What to write, instead of opening a connection, to a client that can't be taken (1040, too many).
    pub fn refuse(code: u16, message: &str, out: &mut Vec<u8>) {
        let at = packet::begin(out);
        out.push(0xff);
        out.extend_from_slice(&code.to_le_bytes());
        out.extend_from_slice(message.as_bytes());
        packet::end(out, at, &mut 0);
    }

    /// Takes bytes as they came. Feeding a closed or broken connection does nothing.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.broken.is_none() && !self.closed() {
            // How long a packet may be is known once it is known whether the client is let in.
            if !self.let_in && (matches!(self.phase, Phase::Entering) || !self.waiting.is_empty()) {
                return self.held.extend_from_slice(bytes);
            }
            match self.packets.take(&mut bytes) {
                Ok(Some(packet)) => self.waiting.push_back(packet),
                Ok(None) => {}
                Err(why) => self.broken = Some(why),
            }
        }
    }

    /// Whether more bytes are of use now. Read no more while not: that is what bounds memory.
    pub fn wants(&self) -> bool {
        self.broken.is_none() && self.waiting.is_empty() && self.held.is_empty() && !self.closed()
    }

    /// Whether nothing of an unfinished packet has come and no answer is due: a good moment to close for idleness
    /// or for a shutdown.
    pub fn idle(&self) -> bool {
        matches!(self.phase, Phase::Ready)
            && self.waiting.is_empty()
            && self.held.is_empty()
            && self.packets.idle()
    }

    /// Whether the connection is over: write what is in the output, then close.
    pub fn closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether the client may send several statements in one query (its capability, or COM_SET_OPTION since).
    pub fn multi_statements(&self) -> bool {
        self.multi_statements
    }

    /// What OK and EOF packets tell of the session from now on.
    pub fn set_status(&mut self, in_transaction: bool, autocommit: bool) {
        self.status = if in_transaction { status::IN_TRANS } else { 0 };
        self.status |= if autocommit { status::AUTOCOMMIT } else { 0 };
    }

    /// The next thing that the client wants, if it is its turn and enough has come. What it writes to `out` (an
    /// answer to a ping, say) is to be sent even if it answers `None`. An error is the last thing it answers.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Option<Result<Event, Error>> {
        loop {
            if matches!(self.phase, Phase::Entering | Phase::Answering | Phase::Closed) {
                return None;
            }
            if self.waiting.is_empty() && !self.held.is_empty() {
                let held = std::mem::take(&mut self.held);
                self.feed(&held);
            }
            let Some(packet) = self.waiting.pop_front() else {
                let why = self.broken.take()?;
                return Some(Err(self.fail(why, out)));
            };
            match self.turn(packet, out) {
                Ok(Some(event)) => return Some(Ok(event)),
                Ok(None) => {}
                Err(why) => return Some(Err(self.fail(why, out))),
            }
        }
    }

    fn fail(&mut self, why: Error, out: &mut Vec<u8>) -> Error {
        let (code, state) = why.code();
        self.packet(out, |out| err(out, code, state, &why.to_string()));
        self.close();
        why
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.waiting.clear();
        self.held = Vec::new();
    }

    /// One packet of the client's, at its turn.
    fn turn(&mut self, packet: Packet, out: &mut Vec<u8>) -> Result<Option<Event>, Error> {
        let want = if matches!(self.phase, Phase::Ready) { 0 } else { self.seq };
        if packet.first_seq != want {
            return Err(Error::OutOfOrder { got: packet.first_seq, want });
        }
        self.seq = packet.next_seq;
        match std::mem::replace(&mut self.phase, Phase::Answering) {
            Phase::Ready => self.command(packet, out),
            Phase::Greeted => {
                let asked = login::response(&packet, &self.salt)?;
                self.caps = asked.caps;
                self.multi_statements = asked.login.multi_statements;
                Ok(self.enter(asked, out))
            }
            Phase::Switching(mut asked) => {
                asked.login.answer = packet.head.into_iter().chain(packet.body).collect();
                self.phase = Phase::Entering;
                Ok(Some(Event::Login(asked.login)))
            }
            Phase::Entering | Phase::Answering | Phase::Closed => unreachable!("it is not the client's turn"),
        }
    }

    /// A login goes on to the host if the native plugin made its answer; else the client is asked for that.
    fn enter(&mut self, asked: Asked, out: &mut Vec<u8>) -> Option<Event> {
        if asked.sha2() {
            self.sha2 = true;
            self.phase = Phase::Entering;
            return Some(Event::Login(asked.login));
        }
        if asked.native() || self.caps & cap::PLUGIN_AUTH == 0 {
            self.phase = Phase::Entering;
            return Some(Event::Login(asked.login));
        }
        let salt = self.salt;
        self.packet(out, |out| {
            out.push(0xfe);
            out.extend_from_slice(auth::NATIVE.as_bytes());
            out.push(0);
            out.extend_from_slice(&salt);
            out.push(0);
        });
        self.phase = Phase::Switching(Box::new(asked));
        None
    }

    fn command(&mut self, packet: Packet, out: &mut Vec<u8>) -> Result<Option<Event>, Error> {
        let body = packet.body;
        let command = match packet.head {
            Some(com::QUIT) => {
                self.close();
                Command::Quit
            }
            Some(com::QUERY) => match literal::text(body) {
                Ok(text) => Command::Query(text),
                Err(at) => {
                    self.not_text(at, out);
                    return Ok(None);
                }
            },
            Some(com::INIT_DB) => match String::from_utf8(body) {
                Ok(name) => Command::InitDb(name),
                Err(_) => {
                    self.err(1049, "42000", "Unknown database: its name is not UTF-8", out);
                    return Ok(None);
                }
            },
            Some(com::FIELD_LIST) => {
                let mut fields = Fields(&body);
                let cut = Error::Malformed { what: "COM_FIELD_LIST", why: "the table's name has no end" };
                let table = fields.zero_ended().ok_or(cut)?;
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                Command::FieldList { table: text(table), pattern: text(fields.zero_or_end()) }
            }
            Some(com::STATISTICS) => Command::Statistics,
            Some(com::RESET_CONNECTION) => {
                self.statements.clear();
                Command::ResetConnection
            }
            Some(com::CHANGE_USER) => {
                self.statements.clear();
                let asked = login::change(&body, self.caps, &self.salt)?;
                return Ok(self.enter(asked, out));
            }
            Some(com::PING) => {
                self.ok(&Okay::default(), false, out);
                return Ok(None);
            }
            Some(com::SET_OPTION) => {
                self.set_option(&body, out);
                return Ok(None);
            }
            Some(com::STMT_PREPARE) => match literal::text(body) {
                Ok(text) => Command::Prepare(text),
                Err(at) => {
                    self.not_text(at, out);
                    return Ok(None);
                }
            },
            Some(com::STMT_EXECUTE) => match self.statements.execute(&body)? {
                Ok((number, params)) => Command::Execute { number, params },
                Err(refusal) => {
                    self.refused(refusal, out);
                    return Ok(None);
                }
            },
            // The protocol gives these two no answer, good or bad.
            Some(com::STMT_CLOSE) => {
                self.phase = Phase::Ready;
                let Some(number) = Fields(&body).u32() else { return Ok(None) };
                self.statements.close(number);
                Command::CloseStatement(number)
            }
            Some(com::STMT_SEND_LONG_DATA) => {
                self.phase = Phase::Ready;
                self.statements.long(&body, self.packet_bytes_max);
                return Ok(None);
            }
            Some(com::STMT_RESET) => {
                match Fields(&body).u32() {
                    Some(number) if self.statements.reset(number) => self.ok(&Okay::default(), false, out),
                    number => self.refused(Refusal::Unknown(number.unwrap_or(0)), out),
                }
                return Ok(None);
            }
            // There are no cursors, so there is never anything to fetch.
            Some(com::STMT_FETCH) => {
                let number = Fields(&body).u32().unwrap_or(0);
                let message = format!("The statement ({number}) has no open cursor.");
                self.err(1421, "HY000", &message, out);
                return Ok(None);
            }
            Some(_) | None => {
                self.err(1047, "08S01", "Unknown command", out);
                return Ok(None);
            }
        };
        Ok(Some(Event::Command(command)))
    }

    fn not_text(&mut self, at: usize, out: &mut Vec<u8>) {
        let message = format!("Invalid utf8mb4 character string at byte {at} of the statement");
        self.err(1300, "HY000", &message, out);
    }

    fn refused(&mut self, refusal: Refusal, out: &mut Vec<u8>) {
        match refusal {
            Refusal::Unknown(number) => {
                let message =
                    format!("Unknown prepared statement handler ({number}) given to mysqld_stmt_execute");
                self.err(1243, "HY000", &message, out);
            }
            Refusal::TooLong => {
                let max = self.packet_bytes_max;
                let message = format!(
                    "Values of prepared statements that were sent in pieces are longer than {max} bytes \
                     (max_allowed_packet)"
                );
                self.err(1105, "HY000", &message, out);
            }
            Refusal::Text(at) => {
                let message = format!("Invalid utf8mb4 character string at byte {at} of a value");
                self.err(1300, "HY000", &message, out);
            }
        }
    }

    /// COM_SET_OPTION has one use: several statements in a query, on (0) and off (1).
    fn set_option(&mut self, body: &[u8], out: &mut Vec<u8>) {
        match Fields(body).u16() {
            Some(option @ (0 | 1)) => {
                self.multi_statements = option == 0;
                self.end(0, false, out);
            }
            _ => self.err(1047, "08S01", "Unknown command: COM_SET_OPTION knows the options 0 and 1", out),
        }
    }

    /// It worked. `more`: another result follows in answer to the same command.
    pub fn ok(&mut self, okay: &Okay, more: bool, out: &mut Vec<u8>) {
        // "Your short answer was enough", which the plugin waits for before the OK.
        if std::mem::take(&mut self.sha2) {
            self.packet(out, |out| out.extend_from_slice(&[1, 3]));
        }
        self.okay(0, okay, more, out);
    }

    /// It did not. Also allowed between rows; it ends the answer, and at a login the connection.
    pub fn err(&mut self, code: u16, state: &str, message: &str, out: &mut Vec<u8>) {
        self.due();
        self.packet(out, |out| err(out, code, state, message));
        match self.phase {
            Phase::Entering => self.close(),
            _ => self.phase = Phase::Ready,
        }
    }

    /// A login is refused: 1045. `host`: where the client comes from.
    pub fn deny(&mut self, login: &Login, host: &str, out: &mut Vec<u8>) {
        let using = if login.with_password() { "YES" } else { "NO" };
        let message = format!("Access denied for user '{}'@'{host}' (using password: {using})", login.user);
        self.err(1045, "28000", &message, out);
    }

    /// Rows follow, with these columns; at least one.
    pub fn begin_rows(&mut self, columns: &[Column], out: &mut Vec<u8>) {
        self.due();
        assert!(!columns.is_empty(), "a result without columns is an OK");
        self.packet(out, |out| reply::lenenc(out, columns.len() as u64));
        for column in columns {
            self.packet(out, |out| reply::definition(out, column, None));
        }
        if self.caps & cap::DEPRECATE_EOF == 0 {
            self.eof(0, self.status, out);
        }
    }

    /// A row: one cell for each column.
    pub fn row<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>, out: &mut Vec<u8>) {
        self.packet(out, |out| cells.into_iter().for_each(|cell| reply::cell(out, cell)));
    }

    /// A row in answer to [`Command::Execute`]; `kinds`: those of its columns.
    pub fn row_binary<'a>(
        &mut self,
        kinds: &[ColumnKind],
        cells: impl IntoIterator<Item = Cell<'a>>,
        out: &mut Vec<u8>,
    ) {
        self.packet(out, |out| prepared::row(out, kinds, cells));
    }

    /// The answer to [`Command::Prepare`]: its number, how many values it takes, and the columns of its rows.
    pub fn prepared(&mut self, number: u32, params: u16, columns: &[Column], out: &mut Vec<u8>) {
        self.due();
        self.statements.add(number, params);
        self.packet(out, |out| {
            out.push(0);
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&(columns.len() as u16).to_le_bytes());
            out.extend_from_slice(&params.to_le_bytes());
            out.extend_from_slice(&[0; 3]);
        });
        let blank =
            Column { schema: "", table: "", name: "?", kind: ColumnKind::Bytes { bytes_max: 0 }, flags: 0 };
        for _ in 0..params {
            self.packet(out, |out| reply::definition(out, &blank, None));
        }
        if params > 0 && self.caps & cap::DEPRECATE_EOF == 0 {
            self.eof(0, self.status, out);
        }
        for column in columns {
            self.packet(out, |out| reply::definition(out, column, None));
        }
        if !columns.is_empty() && self.caps & cap::DEPRECATE_EOF == 0 {
            self.eof(0, self.status, out);
        }
        self.turn_over(false);
    }

    /// The rows are over. `more`: another result follows in answer to the same command.
    pub fn end_rows(&mut self, warnings: u16, more: bool, out: &mut Vec<u8>) {
        self.end(warnings, more, out);
    }

    /// The answer to [`Command::FieldList`]: columns, each with its default value.
    pub fn fields<'a>(
        &mut self,
        columns: impl IntoIterator<Item = (Column<'a>, Cell<'a>)>,
        out: &mut Vec<u8>,
    ) {
        self.due();
        for (column, default) in columns {
            self.packet(out, |out| reply::definition(out, &column, Some(default)));
        }
        self.end(0, false, out);
    }

    /// The answer to [`Command::Statistics`].
    pub fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.due();
        self.packet(out, |out| out.extend_from_slice(text.as_bytes()));
        self.phase = Phase::Ready;
    }

    fn due(&self) {
        assert!(matches!(self.phase, Phase::Entering | Phase::Answering), "an answer belongs to a question");
    }

    fn okay(&mut self, head: u8, okay: &Okay, more: bool, out: &mut Vec<u8>) {
        self.due();
        let tracks = self.caps & cap::SESSION_TRACK != 0 && (okay.gtid.is_some() || okay.schema.is_some());
        let mut bits = self.status;
        bits |= if more { status::MORE_RESULTS } else { 0 };
        bits |= if tracks { status::SESSION_STATE_CHANGED } else { 0 };
        self.packet(out, |out| {
            out.push(head);
            reply::lenenc(out, okay.affected);
            reply::lenenc(out, okay.insert_id);
            out.extend_from_slice(&bits.to_le_bytes());
            out.extend_from_slice(&okay.warnings.to_le_bytes());
            if tracks || !okay.info.is_empty() {
                reply::counted(out, okay.info.as_bytes());
            }
            if tracks {
                reply::state(out, okay);
            }
        });
        self.turn_over(more);
    }

    /// Ends rows or a list: EOF, or an OK in its place for clients that know no EOF.
    fn end(&mut self, warnings: u16, more: bool, out: &mut Vec<u8>) {
        if self.caps & cap::DEPRECATE_EOF != 0 {
            return self.okay(0xfe, &Okay { warnings, ..Okay::default() }, more, out);
        }
        self.due();
        let bits = self.status | if more { status::MORE_RESULTS } else { 0 };
        self.eof(warnings, bits, out);
        self.turn_over(more);
    }

    fn eof(&mut self, warnings: u16, bits: u16, out: &mut Vec<u8>) {
        self.packet(out, |out| {
            out.push(0xfe);
            out.extend_from_slice(&warnings.to_le_bytes());
            out.extend_from_slice(&bits.to_le_bytes());
        });
    }

    fn turn_over(&mut self, more: bool) {
        if !more {
            // Whoever was let in may send more at once; a stranger's bytes cost little.
            self.packets.set_bytes_max(self.packet_bytes_max);
            self.let_in = true;
            self.phase = Phase::Ready;
        }
    }

    fn packet(&mut self, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
        let at = packet::begin(out);
        body(out);
        packet::end(out, at, &mut self.seq);
    }
}

fn err(out: &mut Vec<u8>, code: u16, state: &str, message: &str) {
    debug_assert_eq!(state.len(), 5, "a SQLSTATE has five characters");
    out.push(0xff);
    out.extend_from_slice(&code.to_le_bytes());
    out.push(b'#');
    out.extend_from_slice(state.as_bytes());
    out.extend_from_slice(message.as_bytes());
}
