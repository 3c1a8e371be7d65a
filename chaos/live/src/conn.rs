//! One connection to a server, over the text protocol, with a deadline on all that is asked.

use crate::target::{Login, Node};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, IoError, OptsBuilder, Row, Value};
use plait_load::{Answer, Got, Session};
use std::time::Duration;

/// As long as our own servers take; a server's own bound is not asked for, that would be one more round trip.
const PACKET_BYTES_MAX: usize = 16 << 20;
/// What the library is told that a server waits for an idle client, in seconds.
const IDLE_S: usize = 28_800;

pub struct Connection {
    conn: Conn,
    pub session: Session,
}

impl Connection {
    pub async fn open(node: &Node, login: &Login, limit: Duration) -> Result<Connection, String> {
        let opts = OptsBuilder::default()
            .ip_or_hostname(node.host.clone())
            .tcp_port(node.port)
            .user(Some(login.user.clone()))
            .pass(Some(login.password.clone()))
            .db_name(Some(login.database.clone()))
            .prefer_socket(false)
            .tcp_nodelay(true)
            .max_allowed_packet(Some(PACKET_BYTES_MAX))
            .wait_timeout(Some(IDLE_S))
            .stmt_cache_size(0);
        match tokio::time::timeout(limit, Conn::new(opts)).await {
            Ok(Ok(conn)) => Ok(Connection { conn, session: Session::default() }),
            Ok(Err(why)) => Err(format!("{}: {why}", node.name)),
            Err(_) => Err(format!("{}: no login within {} ms", node.name, limit.as_millis())),
        }
    }

    /// Asks one statement. After [`Answer::Lost`] the connection must not be used again.
    pub async fn ask(&mut self, sql: &str, limit: Duration) -> Answer {
        match tokio::time::timeout(limit, got(&mut self.conn, sql)).await {
            Ok(Ok(got)) => Answer::Done(got),
            Ok(Err(Error::Server(refusal))) => Answer::Refused { code: refusal.code, text: refusal.message },
            Ok(Err(Error::Io(IoError::Io(why)))) => Answer::Lost(why.to_string()),
            Ok(Err(why)) => Answer::Lost(why.to_string()),
            Err(_) => Answer::Lost(format!("no answer within {} ms", limit.as_millis())),
        }
    }
}

async fn got(conn: &mut Conn, sql: &str) -> Result<Got, Error> {
    let mut result = conn.query_iter(sql).await?;
    let (affected, insert_id) = (result.affected_rows(), result.last_insert_id().unwrap_or_default());
    let rows: Vec<Row> = result.collect().await?;
    result.drop_result().await?;
    let rows = rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect();
    Ok(Got { rows, affected, insert_id })
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        // The text protocol has no other; the library's own form is kept so that nothing is lost.
        other => Some(other.as_sql(true)),
    }
}
