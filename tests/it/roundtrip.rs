//! There and back: a dump of Plait is read by a real MariaDB, whose dump is read by Plait, and nothing has changed on
//! the way. The server is a private one, in the test's own directory, on its own port, ended by its handle.

use plait_tests::cluster::{Cluster, Ran, run, run_on};
use plait_tests::sql::Session;
use plait_tests::{need, wait};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
/// Within the cluster's block of ports, where no node listens.
const PORT_OFFSET: u16 = 95;

/// Each type that both know, each kind of key, comments, CHECK, and names that need their quotes. TINYTEXT and TINYBLOB
/// are in `NATIVE`: Plait keeps them as VARCHAR and VARBINARY.
const SCHEMA: &str = r"
CREATE TABLE author (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60) NOT NULL, born DATE,
  touched TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), UNIQUE KEY by_name (name));
CREATE TABLE book (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, author_id INT UNSIGNED, title VARCHAR(200) NOT NULL,
  price DECIMAL(10,2) NOT NULL DEFAULT 0.00, tiny TINYINT, utiny TINYINT UNSIGNED, small SMALLINT,
  usmall SMALLINT UNSIGNED, medium MEDIUMINT, umedium MEDIUMINT UNSIGNED, big BIGINT, ubig BIGINT UNSIGNED,
  f FLOAT, d DOUBLE, exact DECIMAL(30,10), whole DECIMAL(20,0), day DATE, made DATETIME, made6 DATETIME(6), t TIME,
  vbin VARBINARY(300), bl BLOB, mb MEDIUMBLOB, lb LONGBLOB, tx TEXT, mt MEDIUMTEXT, lt LONGTEXT,
  kind ENUM('novel','play','it''s') DEFAULT 'novel', tags SET('a','b','c'),
  UNIQUE KEY by_title (title(20), tiny), KEY by_price (price, made), KEY by_text (tx(10)), KEY by_bin (vbin),
  CONSTRAINT wrote FOREIGN KEY (author_id) REFERENCES author (id) ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE pair (x INT NOT NULL, y VARCHAR(20) NOT NULL, note TEXT, PRIMARY KEY (x, y));
CREATE TABLE tree (
  id INT PRIMARY KEY, parent INT, up_x INT, up_y VARCHAR(20),
  CONSTRAINT above FOREIGN KEY (parent) REFERENCES tree (id) ON DELETE CASCADE,
  CONSTRAINT beside FOREIGN KEY (up_x, up_y) REFERENCES pair (x, y));
CREATE TABLE keyless (v INT, s VARCHAR(10));
CREATE TABLE marked (
  id INT PRIMARY KEY COMMENT 'the ''id''\nof it', c CHAR(5) NOT NULL DEFAULT 'x', b BINARY(3), yes BOOL,
  v VARCHAR(9) CHECK (v <> 'it''s' AND v NOT LIKE '%\\%'), KEY d (c DESC) COMMENT 'by c', CONSTRAINT low CHECK (id < 100))
  COMMENT='a \\ table';
CREATE TABLE `odd name` (`select` INT PRIMARY KEY, `a b` VARCHAR(5) DEFAULT 'x''y', `ü` INT DEFAULT -7);
";

const DATA: &str = r"
INSERT INTO author (name, born, touched) VALUES ('Émile Zola', '1840-04-02', '2024-01-01 00:00:00.125'),
  ('李白', NULL, '2024-01-02 00:00:00.000'), ('😀 \\ \' % _', '9999-12-31', '2024-01-03 23:59:59.999');
INSERT INTO book (id, author_id, title, price, tiny, utiny, small, usmall, medium, umedium, big, ubig, f, d, exact,
  whole, day, made, made6, t, vbin, bl, mb, lb, tx, mt, lt, kind, tags) VALUES
  (1, 1, 'Germinal', 9.50, -128, 255, -32768, 65535, -8388608, 16777215, -9223372036854775808, 18446744073709551615,
   1.5, -1e300, 12345678901234567890.0123456789, 99999999999999999999, '1000-01-01', '2024-02-29 23:59:59',
   '2024-02-29 23:59:59.123456', '23:59:59', x'00010203fffe5c2722', x'0a0d00', x'1a', x'5c',
   'it''s \\ a\nbook\t\0end', 'мир', REPEAT('é😀', 500), 'it''s', 'a,c'),
  (2, NULL, '靜夜思', 0.01, 127, 0, 32767, 0, 8388607, 0, 9223372036854775807, 0, -0.1, 1e-300, -0.0000000001, -1,
   '9999-12-31', '1000-01-01 00:00:00', '9999-12-31 23:59:59.999999', '00:00:00', x'', NULL, NULL, NULL,
   '  spaces  ', NULL, NULL, 'play', '');
INSERT INTO book (title) VALUES ('only defaults');
INSERT INTO pair VALUES (1, 'a', 'one'), (1, 'b', NULL), (2, 'a', '');
INSERT INTO tree VALUES (1, NULL, NULL, NULL), (2, 1, 1, 'a'), (3, 2, 1, 'b'), (4, 4, 2, NULL);
INSERT INTO keyless VALUES (1, 'a'), (1, 'a'), (NULL, NULL);
INSERT INTO marked VALUES (1, 'ab  ', x'61', TRUE, 'v '), (2, '', NULL, NULL, NULL);
INSERT INTO `odd name` VALUES (1, 'q', NULL), (2, DEFAULT, DEFAULT);
";

/// Each table with what its rows are ordered by.
const TABLES: [(&str, &str); 7] = [
    ("author", "id"),
    ("book", "id"),
    ("pair", "x, y"),
    ("tree", "id"),
    ("keyless", "v, s"),
    ("marked", "id"),
    ("`odd name`", "`select`"),
];

/// What MariaDB's own dump says in its own way: widths of integers, `current_timestamp()`, comments, options of tables
/// and keys, types that Plait keeps as others.
const NATIVE: &str = r"
CREATE TABLE native (
  id INT(10) UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'it''s', c CHAR(13) NOT NULL DEFAULT '', b BINARY(4),
  flag TINYINT(1) NOT NULL DEFAULT 1, tt TINYTEXT, tb TINYBLOB, seen TIMESTAMP NULL DEFAULT NULL,
  made DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, tx TEXT DEFAULT NULL, num DECIMAL(5,1) DEFAULT 1.5,
  PRIMARY KEY (id), UNIQUE KEY u (c) USING BTREE, KEY k (flag, id) COMMENT 'of a key')
  ENGINE=InnoDB ROW_FORMAT=DYNAMIC STATS_PERSISTENT=0 COMMENT='of a table';
INSERT INTO native VALUES
  (1, 'abc', x'61', 0, 'tiny', x'00', '2024-02-29 12:34:56', '2024-02-29 12:34:57', 'text', -9999.9),
  (9, 'd', NULL, 1, NULL, NULL, NULL, '2024-01-01 00:00:00', NULL, 0.0);
";

/// A MariaDB of the test's own.
struct Maria {
    child: Child,
    port: u16,
}

impl Maria {
    /// `None`, with a line that says so, where there is none.
    fn start(cluster: &Cluster) -> Option<Maria> {
        if !there("mariadbd") || !there("mariadb-install-db") || !there("mariadb-dump") || !there("mariadb") {
            return None;
        }
        let dir = cluster.home.join("mariadb");
        std::fs::create_dir(&dir).expect("the test's directory can be written");
        let user = run(Command::new("id").arg("-un"), LIMIT).ok().out;
        let user = format!("--user={}", user.trim());
        let data = format!("--datadir={}", dir.join("data").display());
        let mut install = Command::new("mariadb-install-db");
        install.args([
            "--no-defaults",
            &data,
            &user,
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ]);
        run(&mut install, LIMIT).ok();
        let port = cluster.base + PORT_OFFSET;
        let mut command = Command::new("mariadbd");
        command.args(["--no-defaults", &data, &user, "--skip-grant-tables", "--bind-address=127.0.0.1"]);
        // With grant tables skipped it would listen on its socket alone, unless it is told the port after that.
        command.args(["--skip-networking=0", "--innodb-buffer-pool-size=16M"]);
        command.args([
            format!("--port={port}"),
            format!("--socket={}", dir.join("sock").display()),
            format!("--pid-file={}", dir.join("pid").display()),
        ]);
        let log = std::fs::File::create(dir.join("log")).expect("the test's directory can be written");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut maria = Maria { child: child.expect("it was there a moment ago"), port };
        wait::until("MariaDB answers", LIMIT, || {
            let ended = maria.child.try_wait().expect("our own child");
            let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            assert!(ended.is_none(), "it ended: {}", log());
            let ran = sql(port, "mysql", "CREATE DATABASE IF NOT EXISTS shop COLLATE utf8mb4_bin");
            if ran.code == Some(0) { Ok(()) } else { Err(ran.to_string()) }
        });
        Some(maria)
    }
}

impl Drop for Maria {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Looked for, not run: `mariadb-install-db` would begin to install, whatever it is asked.
fn there(name: &str) -> bool {
    let paths: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    need::met(name, paths.iter().any(|dir| dir.join(name).is_file()), "is not installed")
}

/// A program of MariaDB's with what it takes to reach a server of either kind.
fn program(name: &str, port: u16) -> Command {
    let mut command = Command::new(name);
    command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--port", &port.to_string()]);
    command.args(["--user=plait", "--password=plait", "--skip-ssl", "--default-character-set=utf8mb4"]);
    command
}

fn sql(port: u16, database: &str, text: &str) -> Ran {
    let mut command = program("mariadb", port);
    run(command.args(["--batch", "--binary-as-hex", "-e", text, database]), LIMIT)
}

fn dump(port: u16) -> String {
    dump_with(port, &[])
}

fn dump_with(port: u16, options: &[&str]) -> String {
    let mut command = program("mariadb-dump", port);
    command.args(options);
    command.args([
        "--no-tablespaces",
        "--skip-dump-date",
        "--hex-blob",
        "--ignore-table=shop.plait_ready",
        "shop",
    ]);
    run(&mut command, LIMIT).ok().out
}

/// Reads a dump in.
#[track_caller]
fn load(port: u16, dir: &Path, text: &str) {
    let file = dir.join("dump.sql");
    std::fs::write(&file, text).expect("the test's directory can be written");
    let input = std::fs::File::open(&file).expect("it was just written");
    run_on(Stdio::from(input), program("mariadb", port).arg("shop"), LIMIT).ok();
}

/// Every row of this table, as the client prints it.
#[track_caller]
fn rows(port: u16, table: &str, order: &str) -> String {
    let rows = sql(port, "shop", &format!("SELECT * FROM {table} ORDER BY {order}")).ok().out;
    assert!(rows.lines().count() > 2, "{table} has rows: {rows}");
    rows
}

#[test]
fn a_dump_goes_through_mariadb_and_back() {
    let cluster = Cluster::new("roundtrip");
    let Some(maria) = Maria::start(&cluster) else { return };
    cluster.start();
    let [one, two, three] = [1, 2, 3].map(|node| cluster.sql_port(node));
    sql(one, "shop", SCHEMA).ok();
    sql(one, "shop", DATA).ok();
    let before = TABLES.map(|(table, order)| rows(two, table, order));
    let first = dump(three);

    load(maria.port, &cluster.home, &first);
    let there = TABLES.map(|(table, order)| rows(maria.port, table, order));
    assert_eq!(there, before, "in MariaDB");
    let theirs = dump(maria.port);

    sql(
        one,
        "shop",
        "SET foreign_key_checks = 0; DROP TABLE author, book, pair, tree, keyless, marked, `odd name`",
    )
    .ok();
    load(two, &cluster.home, &theirs);
    for port in [one, two, three] {
        let after = TABLES.map(|(table, order)| rows(port, table, order));
        assert_eq!(after, before, "back again");
        assert_eq!(dump(port), first, "a dump says the same");
    }

    // What came back is no picture: the keys refuse, the cascade runs, the ids go on above what there was.
    for (text, number) in [
        ("INSERT INTO author (name) VALUES ('李白')", "1062"),
        ("UPDATE book SET author_id = 2", "1452"),
        ("DELETE FROM pair WHERE x = 1", "1451"),
        ("INSERT INTO marked (id) VALUES (100)", "4025"),
        ("INSERT INTO marked (id, v) VALUES (9, 'a%')", "4025"),
    ] {
        let ran = sql(three, "shop", text);
        assert!(ran.err.contains(&format!("ERROR {number} ")), "{text}: {ran}");
    }
    sql(one, "shop", "UPDATE author SET id = 70 WHERE name = 'Émile Zola'").ok();
    let moved = sql(two, "shop", "SELECT author_id FROM book WHERE title = 'Germinal'").ok().out;
    assert_eq!(moved.trim(), "author_id\n70");
    sql(three, "shop", "INSERT INTO author (name) VALUES ('Emma')").ok();
    let given = sql(one, "shop", "SELECT id > 70 FROM author WHERE name = 'Emma'").ok().out;
    assert_eq!(given.trim(), "id > 70\n1");
    drop(maria);
    cluster.down();
}

#[test]
fn a_dump_of_mariadb_in_its_own_words_is_taken() {
    let cluster = Cluster::new("native");
    let Some(maria) = Maria::start(&cluster) else { return };
    cluster.start();
    sql(maria.port, "shop", NATIVE).ok();
    let theirs = dump(maria.port);
    for words in
        ["AUTO_INCREMENT=10", "current_timestamp()", "COMMENT='of a table'", "binary(4)", "int(10) unsigned"]
    {
        assert!(theirs.contains(words), "the test is about {words}: {theirs}");
    }
    let before = rows(maria.port, "native", "id");
    load(cluster.sql_port(1), &cluster.home, &theirs);
    for node in [1, 2, 3] {
        assert_eq!(rows(cluster.sql_port(node), "native", "id"), before, "n{node}");
    }
    sql(cluster.sql_port(2), "shop", "INSERT INTO native (c) VALUES ('next')").ok();
    let next = sql(cluster.sql_port(3), "shop", "SELECT id, flag, num FROM native WHERE c = 'next'").ok().out;
    // Above the highest, and of n2's class.
    assert_eq!(next.trim(), "id\tflag\tnum\n11\t1\t1.5");

    // And MariaDB takes it back.
    let ours = dump(cluster.sql_port(1));
    load(maria.port, &cluster.home, &ours);
    assert_eq!(rows(maria.port, "native", "id"), rows(cluster.sql_port(1), "native", "id"));
    drop(maria);
    cluster.down();
}

/// While others move money from one table to the other, a dump shows one state, whether it asks for LOCK TABLES, as it
/// does by default, or for a transaction.
#[test]
fn a_dump_under_load_shows_one_state() {
    if !there("mariadb-dump") || !there("mariadb") {
        return;
    }
    let cluster = Cluster::up("dump-load");
    let mut session = Session::open(&cluster, 1);
    let rows: Vec<String> = (0..500).map(|id| format!("({id}, 100, REPEAT('x', 500))")).collect();
    for table in ["a", "z"] {
        session.rows(&format!("CREATE TABLE {table} (id INT PRIMARY KEY, v INT, pad TEXT)"));
        session.rows(&format!("INSERT INTO {table} VALUES {}", rows.join(",")));
    }
    let over = AtomicBool::new(false);
    let writes = |node: u8| {
        let mut session = Session::open(&cluster, node);
        let mut done = 0;
        for id in (0..500).cycle().skip(usize::from(node)).step_by(7) {
            if over.load(Ordering::Relaxed) {
                break;
            }
            session.rows("BEGIN");
            let moves = ["UPDATE a SET v = v - 1 WHERE id", "UPDATE z SET v = v + 1 WHERE id"];
            let moved = moves.iter().all(|text| session.run(&format!("{text} = {id}")).is_ok());
            done += i32::from(moved && session.run("COMMIT").is_ok());
            session.rows("ROLLBACK");
        }
        done
    };
    let sums = |options: &[&str]| -> [i64; 2] {
        let text = dump_with(cluster.sql_port(3), options);
        ["a", "z"].map(|table| {
            let begins = format!("INSERT INTO `{table}` VALUES (");
            let rows: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(&begins)).collect();
            assert_eq!(rows.len(), 500, "{options:?}: {table}");
            rows.iter()
                .map(|row| row.split(',').nth(1).and_then(|v| v.parse::<i64>().ok()).expect("a number"))
                .sum()
        })
    };
    std::thread::scope(|scope| {
        let writers = [1, 2].map(|node| scope.spawn(move || writes(node)));
        let dumps = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            ["--lock-tables", "--single-transaction"]
                .map(|option| (0..10).map(|_| sums(&["--skip-extended-insert", option])).collect::<Vec<_>>())
        }));
        over.store(true, Ordering::Relaxed);
        let done: i32 = writers.into_iter().map(|writer| writer.join().expect("a writer")).sum();
        for dumps in dumps.unwrap_or_else(|why| std::panic::resume_unwind(why)) {
            assert!(dumps.iter().all(|[a, z]| a + z == 100_000), "two states in one dump: {dumps:?}");
            assert!(dumps.first() != dumps.last(), "nothing was written meanwhile: {done} done, {dumps:?}");
        }
    });
    cluster.down();
}
