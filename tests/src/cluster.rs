//! A cluster of real processes for one test: its own directory, its own block of ports, ended by recorded pids.
//!
//! One at a time in a process: a test looks at how the whole of a cluster behaves, and two would disturb each other.

use crate::wait;
use serde_json::Value;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The longest that any verb but `load` may take here.
const VERB_MAX: Duration = Duration::from_secs(90);
const BLOCK: u16 = 100;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Ran {
    /// Its one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("no JSON ({why}): {self}"))
    }

    #[track_caller]
    pub fn ok(self) -> Ran {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// It failed with this exit code and said so in three parts: what, why, what to do next.
    #[track_caller]
    pub fn refused(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{self}");
        assert!(self.err.lines().count() >= 3, "an error has three parts: {self}");
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {:?} after {:?}\n{}\n{}", self.code, self.took, self.out, self.err)
    }
}

/// Where the binaries under test are: beside the tests, so of the same profile.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test is a file");
    let dir = test.parent().and_then(Path::parent).expect("tests are in target/<profile>/deps");
    let path = dir.join(name);
    assert!(path.exists(), "{} is not built; run: cargo build --profile sim --workspace", path.display());
    path
}

/// Waits for a child, kills it at the deadline.
fn finish(mut child: Child, limit: Duration) -> Ran {
    let began = Instant::now();
    // Both pipes are drained while it runs: a full one would stop it.
    let drain = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            pipe.map(|mut pipe| pipe.read_to_string(&mut text));
            text
        })
    };
    let out = drain(child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let err = drain(child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let status = wait::until("a command ends", limit + VERB_MAX, || {
        if began.elapsed() > limit {
            let _ = child.kill();
        }
        child.try_wait().expect("our own child").ok_or_else(|| "it runs".to_owned())
    });
    let (out, err) = (out.join().expect("drained"), err.join().expect("drained"));
    Ran { code: status.code(), out, err, took: began.elapsed() }
}

/// Runs a command to its end.
pub fn run(command: &mut Command, limit: Duration) -> Ran {
    run_on(Stdio::null(), command, limit)
}

/// The same with something to read.
pub fn run_on(input: Stdio, command: &mut Command, limit: Duration) -> Ran {
    let child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    finish(child.expect("the command starts"), limit)
}

/// A process, told from a later one of the same number by when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    started: u64,
}

impl Process {
    pub fn of(pid: u32) -> Option<Process> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the command's name, which ends at the last parenthesis: state is the 1st field, start the 20th.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let alive = *fields.first()? != "Z";
        alive.then_some(Process { pid, started: fields.get(19)?.parse().ok()? })
    }

    pub fn alive(self) -> bool {
        Process::of(self.pid) == Some(self)
    }

    pub fn signal(self, signal: libc::c_int) {
        if self.alive() {
            // SAFETY: kill(2) takes two numbers; the process was started by this test and still is the same one.
            #[allow(unsafe_code, reason = "a signal other than SIGKILL has no safe call in std")]
            unsafe {
                libc::kill(self.pid as libc::pid_t, signal);
            }
        }
    }
}

/// A cluster, from `new` until it is dropped.
pub struct Cluster {
    pub home: PathBuf,
    pub base: u16,
    /// A bug of the zoo that the nodes are to have.
    bug: Option<&'static str>,
    /// Keys of the nodes' configuration, as variables of the environment.
    keys: Vec<(String, String)>,
    seen: Mutex<Vec<Process>>,
    _one: MutexGuard<'static, ()>,
}

impl Cluster {
    /// A place for a cluster; nothing runs yet.
    pub fn new(test: &str) -> Cluster {
        // A test that failed has given up its cluster; the next may go on.
        let one = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let home = std::env::temp_dir().join(format!("plait-{}-{test}", std::process::id()));
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).expect("a temporary directory");
        Cluster {
            home,
            base: free_block(),
            bug: None,
            keys: Vec::new(),
            seen: Mutex::new(Vec::new()),
            _one: one,
        }
    }

    /// Three nodes that serve.
    pub fn up(test: &str) -> Cluster {
        let cluster = Cluster::new(test);
        cluster.start();
        cluster
    }

    /// The nodes have this value of a key (as in `limits.lease`) from the next `up` on.
    pub fn set(&mut self, key: &str, value: &str) {
        let name = format!("PLAIT_{}", key.replace('.', "_").to_uppercase());
        self.keys.push((name, value.to_owned()));
    }

    /// The nodes have this planted bug from their next start on, if they were built with any.
    pub fn plant(&mut self, bug: &'static str) {
        self.bug = Some(bug);
    }

    /// The nodes have no planted bug from their next start on, and are taken for another build.
    pub fn heal_build(&mut self) {
        self.bug = None;
        for node in ["n1", "n2", "n3"] {
            let _ = std::fs::remove_file(self.dir().join(node).join("ended-by"));
        }
    }

    pub fn start(&self) -> Value {
        let base = self.base.to_string();
        let card = self.plait(&["up", "--json", "--port-base", &base]).ok().json();
        self.note();
        card
    }

    /// A `plait` command for this cluster, not yet run.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary("plait"));
        command.args(words).args(["--name", "t"]).env("PLAIT_HOME", &self.home).env("NO_COLOR", "1");
        command.env_remove("PLAIT_PORT_BASE").env_remove("PLAIT_NAME").env_remove("PLAIT_ZOO");
        command.envs(self.bug.map(|bug| ("PLAIT_ZOO", bug)));
        command.envs(self.keys.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn plait(&self, words: &[&str]) -> Ran {
        run(&mut self.command(words), VERB_MAX)
    }

    /// As `plait`, in the background; [`Running::end`] waits for it.
    pub fn begin(&self, words: &[&str]) -> Running {
        let mut command = self.command(words);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running { child: child.expect("plait starts"), began: Instant::now() }
    }

    pub fn status(&self) -> Value {
        self.plait(&["status", "--json"]).ok().json()
    }

    /// The directory of the cluster's files.
    pub fn dir(&self) -> PathBuf {
        self.home.join("t")
    }

    pub fn sql_port(&self, node: u8) -> u16 {
        self.base + 10 + u16::from(node)
    }

    pub fn admin_port(&self, node: u8) -> u16 {
        self.base + 40 + u16::from(node)
    }

    pub fn grpc_port(&self, node: u8) -> u16 {
        self.base + 50 + u16::from(node)
    }

    pub fn process(&self, node: u8) -> Option<Process> {
        let pid = self.status()["nodes"][usize::from(node) - 1]["pid"].as_u64()?;
        Process::of(pid as u32)
    }

    pub fn supervisor(&self) -> Process {
        let pid = self.status()["supervisor_pid"].as_u64().expect("a cluster that is up has a supervisor");
        Process::of(pid as u32).expect("it runs")
    }

    pub fn leader(&self) -> u8 {
        wait::until("a node leads", Duration::from_secs(30), || {
            let status = self.status();
            let leader = status["leader"].as_str().and_then(|name| name.strip_prefix('n')?.parse().ok());
            leader.ok_or_else(|| status["sentence"].to_string())
        })
    }

    /// Remembers every process of the cluster that runs now, so that its end can be looked for.
    pub fn note(&self) -> Vec<Process> {
        let status = self.status();
        let nodes = status["nodes"].as_array().expect("three nodes").iter().map(|node| &node["pid"]);
        let pids = nodes.chain([&status["supervisor_pid"]]).filter_map(Value::as_u64);
        let now: Vec<Process> = pids.filter_map(|pid| Process::of(pid as u32)).collect();
        let mut seen = self.seen.lock().expect("nobody panics in here");
        seen.extend(&now);
        now
    }

    /// Every node serves and all hash chains are equal.
    #[track_caller]
    pub fn whole(&self) {
        self.plait(&["wait", "--for", "ready", "--timeout", "60s"]).ok();
        wait::until("the nodes agree", Duration::from_secs(30), || {
            let status = self.status();
            let serving = status["nodes"].as_array().is_some_and(|n| n.iter().all(|n| n["serves"] == true));
            let equal = status["chains_agree"] == true;
            if serving && equal { Ok(()) } else { Err(status.to_string()) }
        });
    }

    /// `plait down`, and nothing is left: no process, no port.
    #[track_caller]
    pub fn down(&self) {
        self.plait(&["down"]).ok();
        self.nothing_runs();
    }

    #[track_caller]
    pub fn nothing_runs(&self) {
        let seen = self.seen.lock().expect("nobody panics in here");
        let alive: Vec<_> = seen.iter().filter(|process| process.alive()).collect();
        assert!(alive.is_empty(), "still running: {alive:?}");
        assert!(block_is_free(self.base), "a port of the block at {} is still taken", self.base);
    }
}

impl Drop for Cluster {
    /// Whatever the test left is ended: first as a person would, then by pid.
    fn drop(&mut self) {
        if let Ok(mut child) =
            self.command(&["down", "--wipe"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        {
            let began = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && began.elapsed() < VERB_MAX {
                wait::pass(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        let seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        seen.iter().for_each(|process| process.signal(libc::SIGKILL));
        if std::thread::panicking() {
            eprintln!("the cluster's files are kept in {}", self.home.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.home);
        }
    }
}

/// A command that runs beside the test.
pub struct Running {
    child: Child,
    began: Instant,
}

impl Running {
    pub fn running_for(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn process(&self) -> Option<Process> {
        Process::of(self.child.id())
    }

    pub fn end(self, limit: Duration) -> Ran {
        finish(self.child, limit)
    }
}

fn block_is_free(base: u16) -> bool {
    (base..base + BLOCK).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}

/// A block of ports that nobody listens on, away from the default one and below the ephemeral ports.
fn free_block() -> u16 {
    let first = std::process::id() % 90;
    let blocks = (0..90).map(|i| 18_000 + ((first + i) % 90) as u16 * BLOCK);
    blocks
        .into_iter()
        .find(|base| block_is_free(*base))
        .expect("a free block of 100 ports between 18000 and 27000")
}
