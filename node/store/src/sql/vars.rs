//! What a session remembers between statements, and the variables by which it is asked and told.
//!
//! A variable that clients set out of habit is remembered and shown back; one whose effect this store does not have
//! takes no value but the one that is true here, so that nobody believes to have changed something.

use super::asking::Asks;
use super::datum::Datum;
use super::expr::{WARNINGS_MAX, Warning};
use super::prepared::Forms;
use super::tree::TableRef;
use crate::error::Error;
use crate::named;
use crate::request::{Client, Isolation, Prepared};
use crate::session::Context;
use crate::value::Value;
use plait_base::{Seqno, Slot};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

/// Seconds that a statement stands in line for a row, if the client sets no other: MySQL's default and its bound.
const LOCK_WAIT_S: u64 = 50;
const LOCK_WAIT_S_MAX: u64 = 1 << 30;

/// All the bits of `wsrep_sync_wait`, as Galera knows them.
const SYNC_WAIT_MAX: i64 = 15;

/// The one database, if nobody gave it another name.
const DATABASE: &str = "shop";
/// What `VERSION()` answers; a client reads its first digits.
pub const VERSION: &str = "8.0.42-plait";
const COLLATION: &str = "utf8mb4_bin";
const SQL_MODE: &str = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
                        ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";
/// Modes that give the same text another meaning. A mode that is less strict is taken and remembered; what it would
/// let through with a warning stays an error.
const OTHER_GRAMMARS: &[&str] = &["NO_BACKSLASH_ESCAPES", "HIGH_NOT_PRECEDENCE", "ORACLE"];

/// User variables (`@x`) of one session, and bytes of a value of theirs.
const USER_VARS_MAX: usize = 256;
const USER_VAR_BYTES_MAX: usize = 64 << 10;

/// See the module's words.
#[derive(Debug)]
pub struct Vars {
    /// Of the node, whose ids are those that leave this number when they are divided by three.
    slot: Slot,
    /// Whether a statement outside a transaction is one of its own; else it opens one.
    pub autocommit: bool,
    /// Of the transactions to come.
    pub isolation: Isolation,
    /// Of the next transaction alone.
    pub next_isolation: Option<Isolation>,
    pub client: Client,
    /// The one database that there is.
    pub home: String,
    /// The database in use; `None`: none was chosen.
    pub database: Option<String>,
    /// Variables that were set to something else than they begin with.
    set: BTreeMap<&'static str, Value>,
    user: BTreeMap<String, Value>,
    pub warnings: Vec<Warning>,
    /// The first id that the last insert drew.
    pub last_insert_id: i64,
    /// The open transaction stands for LOCK TABLES.
    pub locked: bool,
    /// What was prepared and not yet closed.
    pub forms: Forms,
    /// What was prepared just now.
    pub prepared: Option<Prepared>,
    /// The values for the `?` of the statement under way.
    pub params: Vec<Datum<'static>>,
    /// What the last statement changed; -1 after one that reads.
    pub row_count: i64,
    /// The named locks that the session has.
    pub locks: named::Held,
    /// What becomes of a lock function in the statement that is planned.
    pub asks: Asks,
    /// The position of the last commit.
    pub last_written: Option<Seqno>,
    /// How deep the query that is planned stands in views.
    pub views: Cell<u32>,
    /// READ UNCOMMITTED was asked for, which is served as READ COMMITTED.
    pub uncommitted: bool,
}

impl Vars {
    pub fn new(slot: Slot) -> Vars {
        Vars {
            slot,
            autocommit: true,
            isolation: Isolation::default(),
            next_isolation: None,
            client: Client::default(),
            home: DATABASE.into(),
            database: Some(DATABASE.into()),
            set: BTreeMap::new(),
            user: BTreeMap::new(),
            warnings: Vec::new(),
            last_insert_id: 0,
            locked: false,
            forms: Forms::default(),
            prepared: None,
            params: Vec::new(),
            row_count: -1,
            locks: named::Held::default(),
            asks: Asks::Refused,
            last_written: None,
            views: Cell::new(0),
            uncommitted: false,
        }
    }
}

/// What may be done with a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// It tells; it can't be set.
    Fixed,
    /// It may be set, to no effect but that it is shown back.
    Kept,
    /// It may be set to the value that it has, and to no other: this store has not got the other.
    Same,
}

/// Name, rule, value to begin with. Sorted, as `SHOW VARIABLES` shows them.
const KNOWN: &[(&str, Rule, &str)] = &[
    ("auto_increment_increment", Rule::Fixed, "3"),
    ("auto_increment_offset", Rule::Fixed, ""),
    ("autocommit", Rule::Kept, "1"),
    ("big_tables", Rule::Kept, "0"),
    ("character_set_client", Rule::Kept, "utf8mb4"),
    ("character_set_connection", Rule::Kept, "utf8mb4"),
    ("character_set_database", Rule::Kept, "utf8mb4"),
    ("character_set_filesystem", Rule::Kept, "binary"),
    ("character_set_results", Rule::Kept, "utf8mb4"),
    ("character_set_server", Rule::Kept, "utf8mb4"),
    ("character_set_system", Rule::Fixed, "utf8mb3"),
    ("collation_connection", Rule::Kept, COLLATION),
    ("collation_database", Rule::Kept, COLLATION),
    ("collation_server", Rule::Kept, COLLATION),
    ("default_storage_engine", Rule::Same, "InnoDB"),
    ("foreign_key_checks", Rule::Kept, "1"),
    ("galera_compat", Rule::Fixed, "0"),
    ("group_concat_max_len", Rule::Kept, "1024"),
    ("have_openssl", Rule::Fixed, "DISABLED"),
    ("have_ssl", Rule::Fixed, "DISABLED"),
    ("init_connect", Rule::Fixed, ""),
    ("innodb_lock_wait_timeout", Rule::Kept, "50"),
    ("interactive_timeout", Rule::Kept, "28800"),
    ("lc_time_names", Rule::Same, "en_US"),
    ("license", Rule::Fixed, "MIT OR Apache-2.0"),
    ("lock_wait_timeout", Rule::Kept, "31536000"),
    ("lower_case_table_names", Rule::Fixed, "0"),
    ("max_allowed_packet", Rule::Kept, "16777216"),
    ("max_execution_time", Rule::Kept, "0"),
    ("net_buffer_length", Rule::Kept, "16384"),
    ("net_read_timeout", Rule::Kept, "30"),
    ("net_write_timeout", Rule::Kept, "60"),
    ("optimizer_switch", Rule::Kept, "default=on"),
    ("performance_schema", Rule::Fixed, "0"),
    ("profiling", Rule::Same, "0"),
    ("protocol_version", Rule::Fixed, "10"),
    ("query_cache_size", Rule::Fixed, "0"),
    ("query_cache_type", Rule::Fixed, "OFF"),
    ("read_only", Rule::Same, "0"),
    ("session_track_gtids", Rule::Kept, "OWN_GTID"),
    ("session_track_schema", Rule::Kept, "1"),
    ("session_track_state_change", Rule::Same, "0"),
    ("session_track_transaction_info", Rule::Same, "OFF"),
    ("sql_auto_is_null", Rule::Same, "0"),
    ("sql_big_selects", Rule::Kept, "1"),
    ("sql_mode", Rule::Kept, SQL_MODE),
    ("sql_notes", Rule::Kept, "1"),
    ("sql_quote_show_create", Rule::Same, "1"),
    ("sql_safe_updates", Rule::Same, "0"),
    ("sql_select_limit", Rule::Same, "18446744073709551615"),
    ("sql_warnings", Rule::Kept, "0"),
    ("storage_engine", Rule::Same, "InnoDB"),
    ("super_read_only", Rule::Same, "0"),
    ("system_time_zone", Rule::Fixed, "UTC"),
    ("time_zone", Rule::Kept, "+00:00"),
    ("transaction_isolation", Rule::Kept, "REPEATABLE-READ"),
    ("transaction_read_only", Rule::Same, "0"),
    ("tx_isolation", Rule::Kept, "REPEATABLE-READ"),
    ("tx_read_only", Rule::Same, "0"),
    ("unique_checks", Rule::Kept, "1"),
    ("version", Rule::Fixed, VERSION),
    ("version_comment", Rule::Fixed, "Plait, a multi-writer SQL store"),
    ("version_compile_os", Rule::Fixed, "Linux"),
    ("wait_timeout", Rule::Kept, "28800"),
    ("wsrep_on", Rule::Same, "1"),
    ("wsrep_osu_method", Rule::Same, "TOI"),
    ("wsrep_provider", Rule::Fixed, "plait"),
    ("wsrep_sync_wait", Rule::Kept, "0"),
];

/// Variables that are numbers of a kind that is shown as a word in `SHOW VARIABLES`.
const SWITCHES: &[&str] = &[
    "autocommit",
    "big_tables",
    "foreign_key_checks",
    "galera_compat",
    "performance_schema",
    "profiling",
    "read_only",
    "session_track_schema",
    "session_track_state_change",
    "sql_auto_is_null",
    "sql_big_selects",
    "sql_notes",
    "sql_quote_show_create",
    "sql_safe_updates",
    "sql_warnings",
    "super_read_only",
    "transaction_read_only",
    "tx_read_only",
    "unique_checks",
    "wsrep_on",
];

fn known(name: &str) -> Option<&'static (&'static str, Rule, &'static str)> {
    KNOWN.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name))
}

fn unknown(name: &str) -> Error {
    Error::Sql { code: 1193, state: "HY000", message: format!("Unknown system variable '{name}'") }
}

pub fn wrong(name: &str, value: &str) -> Error {
    let message = format!("Variable '{name}' can't be set to the value of '{value}'");
    Error::Sql { code: 1231, state: "42000", message }
}

pub fn isolation_name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadCommitted => "READ-COMMITTED",
        Isolation::RepeatableRead => "REPEATABLE-READ",
        Isolation::Serializable => "SERIALIZABLE",
    }
}

fn isolation_named(name: &str) -> Option<Isolation> {
    Some(match name.to_ascii_uppercase().as_str() {
        "READ-UNCOMMITTED" | "READ-COMMITTED" => Isolation::ReadCommitted,
        "REPEATABLE-READ" => Isolation::RepeatableRead,
        "SERIALIZABLE" => Isolation::Serializable,
        _ => return None,
    })
}

impl Vars {
    /// Takes in whose session this is now.
    pub fn attach(&mut self, client: Client) -> Result<(), Error> {
        if !client.home.is_empty() {
            self.home = client.home.clone();
        }
        if let Some(name) = &client.database {
            self.is_home(name)?;
        }
        self.database = client.database.clone();
        self.client = client;
        Ok(())
    }

    /// Fills each `?` with something, so that a statement can be looked at before it is executed.
    pub fn fill(&mut self, params: usize) {
        self.params = vec![Datum::Int(1); params];
    }

    /// Keeps a note of the statement under way.
    pub fn note(&mut self, code: u16, message: String) {
        self.warnings.push(Warning { level: "Note", code, message });
    }

    /// Keeps what the statement failed with, for `SHOW WARNINGS`.
    pub fn failed(&mut self, error: &Error) {
        self.warnings =
            vec![Warning { level: "Error", code: error.code().0, message: error.mysql_text(&self.home) }];
        self.row_count = -1;
    }

    /// How many warnings the last statement left.
    pub fn warnings(&self) -> u16 {
        self.warnings.len().min(WARNINGS_MAX) as u16
    }

    /// The isolation of a transaction that begins now.
    pub fn take_isolation(&mut self) -> Isolation {
        self.next_isolation.take().unwrap_or(self.isolation)
    }

    /// How long a statement stands in line for a row: `innodb_lock_wait_timeout`.
    pub fn lock_wait(&self) -> Duration {
        let text = self.set.get("innodb_lock_wait_timeout").map(ToString::to_string);
        Duration::from_secs(
            text.and_then(|text| text.parse().ok()).unwrap_or(LOCK_WAIT_S).clamp(1, LOCK_WAIT_S_MAX),
        )
    }

    /// `user@host`, as `USER()` answers.
    pub fn user(&self) -> String {
        format!("{}@{}", self.client.user, self.client.host)
    }

    /// Refuses the name of any database but the one that there is.
    pub fn is_home(&self, name: &str) -> Result<(), Error> {
        if name == self.home {
            return Ok(());
        }
        let message = format!("Unknown database '{name}'; there is one database, '{}'", self.home);
        Err(Error::Sql { code: 1049, state: "42000", message })
    }

    /// The name of a table in the one database.
    pub fn table<'t>(&self, table: &'t TableRef) -> Result<&'t str, Error> {
        if table.name == named::TABLE {
            return Err(Error::NoTable { table: table.name.clone() });
        }
        match &table.database {
            Some(name) => self.is_home(name)?,
            None if self.database.is_none() => {
                return Err(Error::Sql {
                    code: 1046,
                    state: "3D000",
                    message: "No database selected".into(),
                });
            }
            None => {}
        }
        Ok(&table.name)
    }

    pub fn use_database(&mut self, name: &str) -> Result<(), Error> {
        self.is_home(name)?;
        self.database = Some(name.into());
        Ok(())
    }

    /// Whether a group's row may show only what the whole group has.
    pub fn full_group_by(&self) -> bool {
        match self.set.get("sql_mode") {
            Some(Value::Text(mode)) => mode.to_ascii_uppercase().contains("ONLY_FULL_GROUP_BY"),
            _ => true,
        }
    }

    fn mode(&self, name: &str) -> bool {
        match self.set.get("sql_mode") {
            Some(Value::Text(modes)) => modes.split(',').any(|mode| mode == name || mode == "ANSI"),
            _ => false,
        }
    }

    /// Whether what stands in `"` is a name, and no text.
    pub fn ansi_quotes(&self) -> bool {
        self.mode("ANSI_QUOTES")
    }

    /// Whether `||` joins texts.
    pub fn pipes_concat(&self) -> bool {
        self.mode("PIPES_AS_CONCAT")
    }

    /// Whether foreign keys are looked at.
    pub fn foreign_checks(&self) -> bool {
        !matches!(self.set.get("foreign_key_checks"), Some(Value::Text(off)) if off == "0")
    }

    /// `@@name`.
    pub fn system(&self, name: &str, ctx: &Context<'_>) -> Result<Datum<'static>, Error> {
        let value = match name.to_ascii_lowercase().as_str() {
            "error_count" => Datum::Int(self.warnings.iter().filter(|w| w.level == "Error").count() as i64),
            "warning_count" => Datum::Int(self.warnings().into()),
            "identity" | "last_insert_id" => Datum::Int(self.last_insert_id),
            "pseudo_thread_id" => Datum::Int(self.connection(ctx)),
            "timestamp" => Datum::Double(ctx.now.wall.0 as f64 / 1e6),
            lower => {
                let (name, _, _) = known(lower).ok_or_else(|| unknown(name))?;
                let text = self.value(name, ctx);
                match text.parse() {
                    Ok(n) => Datum::Int(n),
                    Err(_) => Datum::text(text),
                }
            }
        };
        Ok(value)
    }

    pub fn connection(&self, ctx: &Context<'_>) -> i64 {
        if self.client.connection != 0 { self.client.connection.into() } else { ctx.connection as i64 }
    }

    fn value(&self, name: &'static str, ctx: &Context<'_>) -> String {
        match name {
            "auto_increment_offset" => self.slot.get().to_string(),
            "galera_compat" => i64::from(ctx.galera).to_string(),
            "autocommit" => i64::from(self.autocommit).to_string(),
            "transaction_isolation" | "tx_isolation"
                if self.uncommitted && self.isolation == Isolation::ReadCommitted =>
            {
                "READ-UNCOMMITTED".into()
            }
            "transaction_isolation" | "tx_isolation" => isolation_name(self.isolation).into(),
            name => match self.set.get(name) {
                Some(value) => value.to_string(),
                None => known(name).map_or_else(String::new, |(_, _, value)| (*value).to_owned()),
            },
        }
    }

    /// All variables as `SHOW VARIABLES` shows them.
    pub fn all(&self, ctx: &Context<'_>) -> Vec<(String, String)> {
        let shown = |name: &&'static str, value: String| match value.as_str() {
            "1" if SWITCHES.contains(name) => "ON".to_owned(),
            "0" if SWITCHES.contains(name) => "OFF".to_owned(),
            _ => value,
        };
        KNOWN.iter().map(|(name, _, _)| ((*name).to_owned(), shown(name, self.value(name, ctx)))).collect()
    }

    /// `SET name = value`; `None`: as at the beginning.
    pub fn assign(&mut self, name: &str, value: Option<&Datum>) -> Result<(), Error> {
        let (name, rule, begins) = *known(name).ok_or_else(|| unknown(name))?;
        let text = value.map_or(Some(begins.into()), |value| value.to_text());
        let Some(text) = text else {
            if name.starts_with("character_set") {
                self.set.insert(name, Value::Text(String::new()));
                return Ok(());
            }
            return Err(wrong(name, "NULL"));
        };
        let switch = match text.to_ascii_uppercase().as_str() {
            "ON" | "TRUE" | "1" => Some("1"),
            "OFF" | "FALSE" | "0" => Some("0"),
            _ => None,
        };
        let text =
            if SWITCHES.contains(&name) { switch.ok_or_else(|| wrong(name, &text))?.into() } else { text };
        match rule {
            Rule::Fixed => {
                let message = format!("Variable '{name}' is a read only variable");
                return Err(Error::Sql { code: 1238, state: "HY000", message });
            }
            Rule::Same if text.eq_ignore_ascii_case(begins) => return Ok(()),
            Rule::Same => return Err(Error::Unsupported { what: format!("SET {name} = {text}") }),
            Rule::Kept => {}
        }
        match name {
            "autocommit" => self.autocommit = text == "1",
            "transaction_isolation" | "tx_isolation" => {
                self.isolation = isolation_named(&text).ok_or_else(|| wrong(name, &text))?;
                self.uncommitted = text.eq_ignore_ascii_case("READ-UNCOMMITTED");
                self.next_isolation = None;
            }
            name if name.starts_with("character_set") && !charset(&text) => {
                return Err(unknown_charset(&text));
            }
            "time_zone" if !utc(&text) => {
                return Err(Error::Unsupported { what: format!("SET time_zone = '{text}'") });
            }
            "sql_mode" => {
                let modes = text.to_ascii_uppercase();
                if let Some(mode) = modes.split(',').find(|mode| OTHER_GRAMMARS.contains(mode)) {
                    return Err(Error::Unsupported { what: format!("sql_mode {mode}") });
                }
                self.set.insert(name, Value::Text(modes));
            }
            "wsrep_sync_wait" => {
                let asked = text.parse::<i64>().map_err(|_| wrong(name, &text))?;
                let kept = asked.clamp(0, SYNC_WAIT_MAX);
                if kept != asked {
                    let message = format!("Truncated incorrect {name} value: '{text}'");
                    self.warnings.push(Warning { level: "Warning", code: 1292, message });
                }
                self.set.insert(name, Value::Text(kept.to_string()));
            }
            name => {
                if name.starts_with("collation") {
                    self.collation(&text)?;
                }
                self.set.insert(name, Value::Text(text.into_owned()));
            }
        }
        Ok(())
    }

    /// Takes the name of a collation. Where it is not that of bytes a note says what becomes of it: other servers'
    /// dumps name theirs with each table.
    pub fn collation(&mut self, name: &str) -> Result<(), Error> {
        let lower = name.to_ascii_lowercase();
        if lower.ends_with("_bin") || lower == "binary" {
            return Ok(());
        }
        let prefixes = ["utf8mb4_", "utf8mb3_", "utf8_", "ascii_", "latin1_", "uca1400_"];
        if !prefixes.iter().any(|prefix| lower.starts_with(prefix)) {
            return Err(Error::Unsupported { what: format!("COLLATE {name}") });
        }
        self.note(
            1235,
            format!("COLLATE {lower} is taken as {COLLATION}: texts are compared by their bytes"),
        );
        Ok(())
    }

    /// `SET NAMES`: how the client writes its texts.
    pub fn names(&mut self, charset_name: &str, collation: Option<&str>) -> Result<(), Error> {
        if !charset(charset_name) {
            return Err(unknown_charset(charset_name));
        }
        for name in ["character_set_client", "character_set_connection", "character_set_results"] {
            self.set.insert(name, Value::Text(charset_name.to_ascii_lowercase()));
        }
        collation.map_or(Ok(()), |name| self.collation(name))?;
        let collation = collation.map_or_else(|| COLLATION.to_owned(), str::to_ascii_lowercase);
        self.set.insert("collation_connection", Value::Text(collation));
        Ok(())
    }

    /// `@name`; NULL if it was never set.
    pub fn user_var(&self, name: &str) -> Datum<'static> {
        self.user.get(&name.to_ascii_lowercase()).map_or(Datum::Null, |value| Datum::of(value).into_owned())
    }

    pub fn set_user_var(&mut self, name: &str, value: Datum) -> Result<(), Error> {
        let value = match value {
            Datum::Dec(n) => Value::Dec(n.whole_shown()),
            other => other.into_value(),
        };
        let bytes = match &value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 8,
        };
        let name = name.to_ascii_lowercase();
        let max =
            |what, got: usize, max: usize| Err(Error::TooLarge { what, got: got as u64, max: max as u64 });
        if bytes > USER_VAR_BYTES_MAX {
            return max("the value of a user variable, in bytes,", bytes, USER_VAR_BYTES_MAX);
        }
        if self.user.len() == USER_VARS_MAX && !self.user.contains_key(&name) {
            return max("the number of user variables", USER_VARS_MAX + 1, USER_VARS_MAX);
        }
        self.user.insert(name, value);
        Ok(())
    }
}

/// Character sets whose texts are UTF-8 as they come, and `binary`, whose are taken as they come.
fn charset(name: &str) -> bool {
    ["utf8mb4", "utf8mb3", "utf8", "ascii", "binary"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn unknown_charset(name: &str) -> Error {
    let message = format!("Unknown character set: '{name}'; this server speaks utf8mb4");
    Error::Sql { code: 1115, state: "42000", message }
}

/// The one time zone that the server's own times are in.
fn utc(name: &str) -> bool {
    ["+00:00", "UTC", "SYSTEM"].iter().any(|known| known.eq_ignore_ascii_case(name))
}
