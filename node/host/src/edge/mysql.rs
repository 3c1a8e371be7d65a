//! MySQL clients: one task a connection moves bytes between the socket, the codec and the machine.
//!
//! An idle connection keeps its task and its codec, no buffer: bytes are read into one scratch buffer that all
//! share, and a reply's buffer is given back once it is written. At most one command of a connection is under way,
//! and while it is, no more than one packet is read ahead.

use super::accept::Door;
use crate::config::Sql;
use crate::inbox::{Answer, Asked, Doors, ReplyTo};
use crate::net::Net;
use crate::sys;
use plait_base::{ClusterId, Slot};
use plait_replica::SessionId;
use plait_store as store;
use plait_wire::mysql::{
    Cell, Column, ColumnKind, Command, Connection, Event, Hello, Login, Okay, Param, Stored, auth,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc;

/// What the greeting says; clients read its first digits.
const VERSION: &str = "8.0.42-plait";
/// A reply's buffer that is larger than this is not kept for the next one.
const KEPT_BYTES_MAX: usize = 4 << 10;
const SCRATCH_BYTES: usize = 32 << 10;
/// Of a row on the wire beside its cells, about.
const ROW_BYTES: usize = 8;
/// How long a client that is sent away may take to read why.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// Everything that the connections share.
pub struct MysqlDoor {
    doors: Doors,
    cluster: ClusterId,
    slot: Slot,
    database: String,
    users: BTreeMap<String, Stored>,
    packet_bytes_max: usize,
    login_timeout: Duration,
}

impl MysqlDoor {
    pub fn new(
        doors: Doors,
        (cluster, slot): (ClusterId, Slot),
        sql: &Sql,
        packet_bytes_max: usize,
        login_timeout: Duration,
    ) -> MysqlDoor {
        let users = sql.users.iter().map(|(user, password)| (user.clone(), auth::stored(password))).collect();
        MysqlDoor {
            doors,
            cluster,
            slot,
            database: sql.database.clone(),
            users,
            packet_bytes_max,
            login_timeout,
        }
    }

    /// Takes connections until it is dropped; one beyond the bound is told so (1040).
    pub async fn serve<N: Net>(self, door: Door<N>, connections_max: usize) {
        let shared = Arc::new(self);
        // In steps of three from its slot, as ids are: `IS_USED_LOCK` tells of connections of all three nodes.
        let first = u32::from(shared.slot.get());
        let mut next = first;
        loop {
            let (mut stream, from, permit) = door.next_or_full().await;
            let number = next;
            next = next.checked_add(3).unwrap_or(first);
            let Some(permit) = permit else {
                tokio::spawn(async move {
                    let mut out = Vec::new();
                    let why =
                        format!("Too many connections: {connections_max} are open (sql_connections_max)");
                    Connection::refuse(1040, &why, &mut out);
                    let last_words = async {
                        stream.write_all(&out).await?;
                        stream.shutdown().await
                    };
                    let _ = tokio::time::timeout(LAST_WORDS_MAX, last_words).await;
                });
                continue;
            };
            let shared = shared.clone();
            tokio::spawn(async move {
                let client = Talk::new(shared, stream, from.ip().to_string(), number);
                if let Err(error) = client.run().await {
                    tracing::debug!(%from, %error, "a MySQL client's connection ended");
                }
                drop(permit);
            });
        }
    }
}

/// One client's connection.
struct Talk<S> {
    shared: Arc<MysqlDoor>,
    stream: S,
    host: String,
    number: u32,
    conn: Connection,
    out: Vec<u8>,
    session: SessionId,
    user: String,
    found_rows: bool,
    to: mpsc::UnboundedSender<Answer>,
    answers: mpsc::UnboundedReceiver<Answer>,
    logged_in: bool,
    /// Rows are written in binary: a prepared statement is under way.
    binary: bool,
    /// The machine ended the session.
    over: bool,
}

impl<S> Drop for Talk<S> {
    fn drop(&mut self) {
        self.shared.doors.close(self.session);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    fn new(shared: Arc<MysqlDoor>, stream: S, host: String, number: u32) -> Talk<S> {
        let mut salt = [0; 20];
        sys::random(&mut salt);
        let hello =
            Hello { version: VERSION, connection: number, salt, packet_bytes_max: shared.packet_bytes_max };
        let mut out = Vec::new();
        let conn = Connection::open(hello, &mut out);
        let (to, answers) = mpsc::unbounded_channel();
        let session = shared.doors.session();
        Talk {
            shared,
            stream,
            host,
            number,
            conn,
            out,
            session,
            user: String::new(),
            found_rows: false,
            to,
            answers,
            logged_in: false,
            binary: false,
            over: false,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        let begin = tokio::time::Instant::now();
        let login_end = begin + self.shared.login_timeout;
        loop {
            while let Some(event) = self.conn.next(&mut self.out) {
                match event {
                    Ok(event) => self.event(event).await?,
                    Err(why) => {
                        self.write().await?;
                        return Err(io::Error::new(io::ErrorKind::InvalidData, why.to_string()));
                    }
                }
                if self.conn.closed() || self.over {
                    break;
                }
            }
            self.write().await?;
            if self.conn.closed() || self.over {
                return self.stream.shutdown().await;
            }
            let read = if self.logged_in {
                let doors = &self.shared.doors;
                tokio::select! {
                    biased;
                    read = read(&mut self.stream, &mut self.conn) => read,
                    answer = self.answers.recv() => {
                        // Nothing is under way, so this is the end of the session.
                        self.over |= matches!(answer, Some(Answer::Hangup { .. }) | None);
                        continue;
                    }
                    () = doors.drained(), if self.conn.idle() => {
                        self.over = true;
                        continue;
                    }
                }
            } else {
                match tokio::time::timeout_at(login_end, read(&mut self.stream, &mut self.conn)).await {
                    Ok(read) => read,
                    Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the login took too long")),
                }
            };
            if read? == 0 {
                return Ok(());
            }
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await?;
            self.out.clear();
            if self.out.capacity() > KEPT_BYTES_MAX {
                self.out = Vec::new();
            }
        }
        Ok(())
    }

    async fn event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Login(login) => self.login(login).await,
            Event::Command(Command::Query(text)) => {
                let multi = self.conn.multi_statements();
                let answer = self.ask(store::Request::Sql { text, multi }).await?;
                self.tell(answer, None);
                Ok(())
            }
            Event::Command(Command::Prepare(text)) => {
                match self.ask(store::Request::Prepare(text)).await? {
                    Ok(store::Reply { prepared: Some(made), .. }) => {
                        let schema = &self.shared.database;
                        let columns: Vec<Column> =
                            made.columns.iter().map(|head| column(schema, head)).collect();
                        self.conn.prepared(made.number, made.params, &columns, &mut self.out);
                    }
                    answer => self.tell(answer, None),
                }
                Ok(())
            }
            Event::Command(Command::Execute { number, params }) => {
                let params = params.into_iter().map(param).collect();
                self.binary = true;
                let answer = self.ask(store::Request::Execute { number, params }).await;
                let told = answer.map(|answer| self.tell(answer, None));
                self.binary = false;
                told
            }
            Event::Command(Command::CloseStatement(number)) => {
                self.ask(store::Request::Close(number)).await?.map(drop).or(Ok(()))
            }
            Event::Command(Command::InitDb(name)) => {
                let text = format!("USE `{}`", name.replace('`', "``"));
                let answer = self.ask(store::Request::Sql { text, multi: false }).await?;
                self.tell(answer, Some(&name));
                Ok(())
            }
            Event::Command(Command::FieldList { table, pattern }) => self.field_list(table, &pattern).await,
            Event::Command(Command::Statistics) => {
                self.conn.text("Plait; SHOW STATUS has figures", &mut self.out);
                Ok(())
            }
            Event::Command(Command::ResetConnection) => {
                let database = Some(self.shared.database.clone());
                let answer = self.attach(database).await?;
                self.tell(answer, None);
                Ok(())
            }
            Event::Command(Command::Quit) => Ok(()),
        }
    }

    async fn login(&mut self, login: Login) -> io::Result<()> {
        let known = self.shared.users.get(&login.user).is_some_and(|kept| login.proves(kept));
        if !known {
            tracing::info!(user = login.user, host = self.host, "a login was denied");
            let host = self.host.clone();
            self.conn.deny(&login, &host, &mut self.out);
            return Ok(());
        }
        self.user = login.user;
        self.found_rows = login.found_rows;
        let answer = self.attach(login.database).await?;
        self.logged_in = answer.is_ok();
        self.tell(answer, None);
        Ok(())
    }

    async fn attach(&mut self, database: Option<String>) -> io::Result<Result<store::Reply, store::Error>> {
        self.ask(store::Request::Attach(store::Client {
            user: self.user.clone(),
            host: self.host.clone(),
            database,
            home: self.shared.database.clone(),
            connection: self.number,
            found_rows: self.found_rows,
        }))
        .await
    }

    /// Asks the machine, and notices meanwhile when the client goes away.
    async fn ask(&mut self, request: store::Request) -> io::Result<Result<store::Reply, store::Error>> {
        let reply = ReplyTo { to: self.to.clone(), id: 0, lane: 0 };
        let request = plait_replica::Request::Store(request);
        let gone = |_| io::Error::new(io::ErrorKind::ConnectionAborted, "the node is over");
        let asked = Asked::Request { session: self.session, request, reply };
        self.shared.doors.asked.send(asked).await.map_err(gone)?;
        loop {
            let ahead = self.conn.wants();
            tokio::select! {
                biased;
                answer = self.answers.recv() => match answer {
                    Some(Answer::Reply { reply, .. }) => {
                        // A hang-up follows its reply at once.
                        self.over = matches!(self.answers.try_recv(), Ok(Answer::Hangup { .. }));
                        return Ok(reply);
                    }
                    Some(Answer::Hangup { .. }) => self.over = true,
                    None => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the node is over")),
                },
                read = read(&mut self.stream, &mut self.conn), if ahead => {
                    if read? == 0 {
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client went away"));
                    }
                }
            }
        }
    }

    /// Writes the answer to a command. `schema`: the database that it chose.
    fn tell(&mut self, answer: Result<store::Reply, store::Error>, schema: Option<&str>) {
        match answer {
            Ok(reply) => {
                self.conn.set_status(reply.in_transaction, reply.autocommit);
                let gtid = reply.seqno.map(|seqno| format!("{}:{}", self.shared.cluster, seqno));
                let plain =
                    Okay { gtid: gtid.as_deref(), schema, warnings: reply.warnings, ..Okay::default() };
                if reply.results.is_empty() {
                    return self.conn.ok(&plain, false, &mut self.out);
                }
                let last = reply.results.len() - 1;
                for (n, result) in reply.results.iter().enumerate() {
                    self.result(result, plain, n < last);
                }
            }
            Err(error) => {
                let (done, error) = match error {
                    store::Error::After { done, error } => (done, *error),
                    error => (Vec::new(), error),
                };
                for result in &done {
                    self.result(result, Okay::default(), true);
                }
                let (code, state) = error.code();
                self.conn.err(code, state, &error.mysql_text(&self.shared.database), &mut self.out);
            }
        }
    }

    fn result(&mut self, result: &store::StepResult, plain: Okay, more: bool) {
        match result {
            store::StepResult::Done(done) => {
                let okay = Okay {
                    affected: done.affected,
                    insert_id: done.insert_id as u64,
                    info: &done.info,
                    ..plain
                };
                self.conn.ok(&okay, more, &mut self.out);
            }
            store::StepResult::Rows(rows) => {
                let columns: Vec<Column> =
                    rows.columns.iter().map(|head| column(&self.shared.database, head)).collect();
                self.conn.begin_rows(&columns, &mut self.out);
                // A row has about so much around its cells, which keep their lengths.
                self.out.reserve(rows.rows.bytes() + rows.rows.len() * ROW_BYTES);
                let mut cells = rows.rows.cells().map(cell);
                let kinds: Vec<ColumnKind> = columns.iter().map(|column| column.kind).collect();
                for _ in 0..rows.rows.len() {
                    let row = cells.by_ref().take(kinds.len());
                    if self.binary {
                        self.conn.row_binary(&kinds, row, &mut self.out);
                    } else {
                        self.conn.row(row, &mut self.out);
                    }
                }
                self.conn.end_rows(plain.warnings, more, &mut self.out);
            }
        }
    }

    /// What the `mariadb` client asks of each table for its completion.
    async fn field_list(&mut self, table: String, pattern: &str) -> io::Result<()> {
        let text = format!("SELECT * FROM `{}` LIMIT 0", table.replace('`', "``"));
        match self.ask(store::Request::Sql { text, multi: false }).await? {
            Ok(reply) => {
                let rows = reply.results.into_iter().find_map(|result| match result {
                    store::StepResult::Rows(rows) => Some(rows),
                    store::StepResult::Done(_) => None,
                });
                let heads = rows.unwrap_or_default().columns;
                let fitting = heads.iter().filter(|head| like(pattern, &head.name));
                let fields = fitting.map(|head| (column(&self.shared.database, head), Cell::Null));
                self.conn.fields(fields, &mut self.out);
            }
            Err(error) => self.tell(Err(error), None),
        }
        Ok(())
    }
}

/// Reads what has come into the codec; 0 is the end.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, conn: &mut Connection) -> io::Result<usize> {
    poll_fn(|cx| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf))?;
            conn.feed(buf.filled());
            Poll::Ready(Ok(buf.filled().len()))
        })
    })
    .await
}

fn column<'a>(schema: &'a str, head: &'a store::ColumnHead) -> Column<'a> {
    let width = if let store::Form::Width(width) = head.form { width } else { 0 };
    let fixed = head.form == store::Form::Fixed;
    let kind = match head.kind {
        store::ColumnType::Int { bits } => ColumnKind::Int { bits, unsigned: false, width },
        store::ColumnType::Text { chars_max } if fixed => ColumnKind::Char { chars: chars_max },
        store::ColumnType::Bytes { bytes_max } if fixed => ColumnKind::Binary { bytes: bytes_max },
        store::ColumnType::Text { chars_max } => ColumnKind::Text { chars_max },
        store::ColumnType::Bytes { bytes_max } => ColumnKind::Bytes { bytes_max },
        store::ColumnType::Decimal { digits, scale } => ColumnKind::Decimal { digits, scale },
        store::ColumnType::Double => ColumnKind::Double,
        store::ColumnType::UInt { bits } => ColumnKind::Int { bits, unsigned: true, width },
        store::ColumnType::Float => ColumnKind::Double,
        store::ColumnType::DateTime { .. } | store::ColumnType::Timestamp { .. } => ColumnKind::DateTime,
        store::ColumnType::Date => ColumnKind::Date,
        store::ColumnType::Time => ColumnKind::Time,
    };
    let schema = if head.table.is_empty() { "" } else { schema };
    Column { schema, table: &head.table, name: &head.name, kind, flags: 0 }
}

fn param(param: Param) -> store::Param {
    match param {
        Param::Null => store::Param::Null,
        Param::Int(n) => store::Param::Int(n),
        Param::UInt(n) => store::Param::UInt(n),
        Param::Double(n) => store::Param::Double(n.to_bits()),
        Param::Text(text) => store::Param::Text(text),
        Param::Bytes(bytes) => store::Param::Bytes(bytes),
    }
}

fn cell(cell: store::Cell<'_>) -> Cell<'_> {
    match cell {
        store::Cell::Null => Cell::Null,
        store::Cell::Int(n) => Cell::Int(n),
        store::Cell::UInt(n) => Cell::UInt(n),
        store::Cell::Text(bytes) | store::Cell::Bytes(bytes) => Cell::Bytes(bytes),
        store::Cell::Dec(_) | store::Cell::Double(_) => {
            unreachable!("the rows of SQL have texts in their place")
        }
    }
}

/// SQL's LIKE over a name, without regard to case; an empty pattern fits all. Goes back to the last `%` alone, so a
/// hostile pattern costs no more than its length times the name's.
fn like(pattern: &str, name: &str) -> bool {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (pattern, name) = (lower(pattern), lower(name));
    let (mut p, mut n, mut back) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('%') => {
                back = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '_' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    (p, n) = (star + 1, from + 1);
                }
                None => return pattern.is_empty(),
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests;
