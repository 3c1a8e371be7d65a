//! The tools that people own, as they are: sysbench, mariadb-dump, and the drivers of Python. Each is skipped by its
//! name where it is not installed.

use plait_tests::cluster::{Cluster, run, run_on};
use plait_tests::need;
use plait_tests::sql::{Session, client};
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Each workload is prepared on one node, run on all three, and cleaned up; with statements prepared and as text.
#[test]
fn sysbench_runs_unmodified() {
    if !need::program("sysbench") || !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("sysbench");
    let sysbench = |workload: &str, nodes: &[u8], ps: &str, step: &str| {
        let ports: Vec<String> = nodes.iter().map(|node| cluster.sql_port(*node).to_string()).collect();
        let mut command = Command::new("sysbench");
        command.arg(workload).args([
            "--mysql-host=127.0.0.1",
            "--mysql-user=plait",
            "--mysql-password=plait",
        ]);
        command.args(["--mysql-db=shop", "--tables=2", "--table-size=200", "--threads=4", "--events=200"]);
        command.args(["--time=0", "--mysql-ignore-errors=1213,1062,1205"]);
        command.arg(format!("--mysql-port={}", ports.join(","))).arg(format!("--db-ps-mode={ps}")).arg(step);
        let ran = run(&mut command, LIMIT);
        assert!(ran.code == Some(0) && !ran.out.contains("FATAL"), "{workload} {ps} {step}: {ran}");
        ran.out
    };
    let workloads = [
        "oltp_read_write",
        "oltp_write_only",
        "oltp_insert",
        "oltp_point_select",
        "oltp_update_index",
        "oltp_update_non_index",
        "oltp_delete",
    ];
    for workload in workloads {
        for ps in ["auto", "disable"] {
            sysbench(workload, &[1], ps, "prepare");
            let told = sysbench(workload, &[1, 2, 3], ps, "run");
            let done = told.lines().find_map(|line| line.trim().strip_prefix("transactions:"));
            let done = done.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
            assert!(done.is_some_and(|done| done > 0), "{workload} {ps}: {told}");
            let mut counts = [1, 2, 3].map(|node| {
                let mut session = Session::open(&cluster, node);
                let by_key =
                    session.rows("SELECT COUNT(*), SUM(k) FROM sbtest1 FORCE INDEX (k_1) WHERE k > -1");
                let by_row = session.rows("SELECT COUNT(*), SUM(k) FROM sbtest1");
                assert_eq!(by_key, by_row, "{workload} {ps}: the index says what the rows say");
                by_row
            });
            counts.sort();
            assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{workload} {ps}: {counts:?}");
            sysbench(workload, &[2], ps, "cleanup");
        }
    }
    cluster.down();
}

/// What is dumped from one node and read in on another is the same.
#[test]
fn a_dump_can_be_read_in_again() {
    if !need::program("mariadb-dump") || !need::program("mariadb") {
        return;
    }
    let cluster = Cluster::up("dump");
    let mut one = Session::open(&cluster, 1);
    one.rows(
        "CREATE TABLE book (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, title VARCHAR(60) NOT NULL, \
         price DECIMAL(8,2), made DATETIME(3), cover VARBINARY(9), note TEXT, f DOUBLE, \
         UNIQUE KEY by_title (title), KEY by_price (price, made), KEY by_note (note(5)))",
    );
    one.rows(
        "INSERT INTO book (title, price, made, cover, note, f) VALUES \
         ('Faust', 9.50, '2024-02-29 12:34:56.789', x'00ff27', 'it''s \\\\ a\\nbook', 1.5), \
         ('Émile', NULL, NULL, NULL, NULL, -1e30)",
    );
    let dump = |node: u8| {
        let mut command = Command::new("mariadb-dump");
        let port = cluster.sql_port(node).to_string();
        command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--port", &port, "--skip-ssl"]);
        command.args([
            "--user=plait",
            "--password=plait",
            "--no-tablespaces",
            "--skip-dump-date",
            "--hex-blob",
        ]);
        run(command.arg("shop"), LIMIT).ok().out
    };
    let first = dump(1);
    one.rows("DROP TABLE book");
    let file = std::env::temp_dir().join(format!("plait-dump-{}.sql", std::process::id()));
    std::fs::write(&file, &first).expect("a temporary file can be written");
    let input = std::fs::File::open(&file).expect("it was just written");
    run_on(Stdio::from(input), &mut client(&cluster, 2), LIMIT).ok();
    let _ = std::fs::remove_file(&file);
    assert_eq!(dump(3), first);
    assert_eq!(one.rows("SELECT title FROM book WHERE price = 9.5"), ["Faust"]);
    assert_eq!(one.run("INSERT INTO book (title) VALUES ('Faust')").error(), Some(1062));
    cluster.down();
}

/// A driver of Python, if it is there.
pub fn python(module: &str) -> bool {
    if !need::program("python3") {
        return false;
    }
    let probe = format!("import {module}");
    let there = Command::new("python3").args(["-c", &probe]).stderr(Stdio::null()).status();
    need::met(module, there.is_ok_and(|status| status.success()), "is not installed for python3")
}

/// Runs a script of Python that has the ports of the nodes and ends with the line `all is well`.
pub fn script(cluster: &Cluster, name: &str, text: &str) {
    let mut all = String::new();
    for node in 1..=3 {
        let _ = writeln!(all, "PORT{node} = {}", cluster.sql_port(node));
    }
    all += text;
    let ran = run(Command::new("python3").arg("-c").arg(&all), LIMIT);
    assert!(ran.code == Some(0) && ran.out.trim().ends_with("all is well"), "{name}: {ran}");
}

#[test]
fn the_drivers_of_python_work() {
    let (pymysql, connector) = (python("pymysql"), python("mysql.connector"));
    let sqlalchemy = pymysql && python("sqlalchemy");
    if !pymysql && !connector {
        return;
    }
    let cluster = Cluster::up("python");
    if pymysql {
        script(&cluster, "PyMySQL", include_str!("clients/pymysql.py"));
    }
    if connector {
        script(&cluster, "Connector/Python", include_str!("clients/connector.py"));
    }
    if sqlalchemy {
        script(&cluster, "SQLAlchemy", include_str!("clients/sqlalchemy.py"));
    }
    cluster.down();
}

/// With `galera_compat` a student sees what the original does; without it nobody does.
#[test]
fn galeras_anomalies_appear_when_they_are_asked_for() {
    if !python("pymysql") {
        return;
    }
    for compat in ["off", "on"] {
        let mut cluster = Cluster::new("compat");
        cluster.set("galera_compat", compat);
        cluster.start();
        script(&cluster, "galera_compat", include_str!("clients/galera_compat.py"));
        cluster.down();
    }
}
