//! Three nodes for a test: made, started, asked and ended by it.

use plait_proto::admin::v1::admin_client::AdminClient;
use plait_proto::admin::v1::{Death, PowerOffRequest, StatusRequest};
use plait_proto::client::v1 as client;
use plait_proto::client::v1::client_client::ClientClient;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

pub const NODE: &str = env!("CARGO_BIN_EXE_plait-node");
const CLUSTER: &str = "6f1c0a34-7d52-4f0b-9b56-0c1b7e1f2a90";
/// Nothing that is waited for takes longer on the slowest machine.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

pub struct Bench {
    pub dir: PathBuf,
    pub runtime: Rc<Runtime>,
    /// gRPC, HTTP and SQL port of each node.
    pub ports: [[u16; 3]; 3],
    children: [Option<Child>; 3],
    sets: Vec<String>,
}

/// Waits for a condition, and says which one if it does not come.
pub fn until<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    plait_tests::wait::until(what, WAIT_MAX, || holds().ok_or_else(|| "not yet".to_owned()))
}

impl Bench {
    /// Directories and configurations for three nodes; nothing runs yet.
    pub fn new(name: &str) -> Bench {
        let dir = std::env::temp_dir().join(format!("plait-process-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        // All are held until each is known, so that none is given out twice.
        let held: Vec<TcpListener> = (0..9).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let port = |n: usize| held[n].local_addr().unwrap().port();
        let ports = [0, 1, 2].map(|node| [0, 1, 2].map(|kind| port(node * 3 + kind)));
        let runtime = Rc::new(tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
        let bench = Bench { dir, runtime, ports, children: [None, None, None], sets: Vec::new() };
        for n in 1..=3 {
            let [grpc, http, sql] = bench.ports[n - 1];
            let peers: String = (1..=3)
                .map(|peer| format!("n{peer} = \"127.0.0.1:{}\"\n", bench.ports[peer - 1][0]))
                .collect();
            let text = format!(
                "cluster = \"{CLUSTER}\"\nslot = {n}\ndata_dir = \"{}\"\npower = true\ntiming_scale = 4\n[listen]\n\
                 grpc = \"127.0.0.1:{grpc}\"\nhttp = \"127.0.0.1:{http}\"\nsql = \"127.0.0.1:{sql}\"\n[peers]\n{peers}",
                bench.data(n).display(),
            );
            fs::write(bench.config(n), text).unwrap();
        }
        bench
    }

    /// Three founded nodes that serve.
    pub fn up(name: &str) -> Bench {
        let mut bench = Bench::new(name);
        bench.found();
        (1..=3).for_each(|n| bench.start(n));
        (1..=3).for_each(|n| bench.ready(n));
        bench
    }

    pub fn found(&self) {
        for n in 1..=3 {
            let output = self.command(n).arg("init").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// Sets a key on every node that is started from now on.
    pub fn set(&mut self, set: &str) {
        self.sets.push(format!("--set={set}"));
    }

    pub fn data(&self, n: usize) -> PathBuf {
        self.dir.join(format!("n{n}"))
    }

    pub fn config(&self, n: usize) -> PathBuf {
        self.dir.join(format!("n{n}.toml"))
    }

    pub fn command(&self, n: usize) -> Command {
        let mut command = Command::new(NODE);
        command.arg("--config").arg(self.config(n)).args(&self.sets).stdin(Stdio::null());
        command
    }

    pub fn start(&mut self, n: usize) {
        self.start_with(n, |command| command);
    }

    pub fn start_with(&mut self, n: usize, with: impl FnOnce(&mut Command) -> &mut Command) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.join(format!("n{n}.log")))
            .unwrap();
        let mut command = self.command(n);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.children[n - 1] = Some(with(&mut command).spawn().unwrap());
    }

    pub fn child(&mut self, n: usize) -> &mut Child {
        self.children[n - 1].as_mut().expect("the node was started")
    }

    pub fn log(&self, n: usize) -> String {
        fs::read_to_string(self.dir.join(format!("n{n}.log"))).unwrap_or_default()
    }

    /// Waits for the end of the process.
    pub fn ended(&mut self, n: usize) -> ExitStatus {
        let mut child = self.children[n - 1].take().expect("the node was started");
        until("the process ends", || child.try_wait().unwrap())
    }

    pub fn signal(&mut self, n: usize, name: &str) {
        let pid = self.child(n).id().to_string();
        assert!(Command::new("kill").args([format!("-{name}"), pid]).status().unwrap().success());
    }

    pub fn kill(&mut self, n: usize) {
        self.child(n).kill().unwrap();
        self.ended(n);
    }

    /// One HTTP request to the node's monitoring door: status and body.
    pub fn http(&self, n: usize, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[n - 1][1])).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let status = text.get(9..12)?.parse().ok()?;
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())?;
        Some((status, body))
    }

    pub fn ready(&self, n: usize) {
        until(&format!("n{n} is ready"), || self.http(n, "/readyz").filter(|(status, _)| *status == 200));
    }

    pub fn channel(&self, n: usize) -> Channel {
        let _guard = self.runtime.enter();
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.ports[n - 1][0])).unwrap();
        endpoint.timeout(Duration::from_secs(20)).connect_lazy()
    }

    pub fn status(&self, n: usize) -> serde_json::Value {
        let mut admin = AdminClient::new(self.channel(n));
        let reply = self.runtime.block_on(admin.status(StatusRequest {})).unwrap();
        serde_json::from_str(&reply.into_inner().json).unwrap()
    }

    pub fn report_death(&self, to: usize, slot: u32, boot_epoch: u64) {
        let mut admin = AdminClient::new(self.channel(to));
        self.runtime.block_on(admin.report_death(Death { slot, boot_epoch })).unwrap();
    }

    pub fn power_off(&mut self, n: usize) -> ExitStatus {
        let mut admin = AdminClient::new(self.channel(n));
        let answer = self.runtime.block_on(admin.power_off(PowerOffRequest {}));
        assert!(answer.is_err(), "nobody answers from a node without power");
        self.ended(n)
    }

    /// One whole transaction. `Err`: the call itself failed.
    pub fn transact(&self, n: usize, steps: Vec<client::step::Kind>) -> Result<client::Reply, tonic::Status> {
        let steps = steps.into_iter().map(|kind| client::Step { kind: Some(kind) }).collect();
        let mut client = ClientClient::new(self.channel(n));
        let script = client::Script { isolation: client::Isolation::Serializable.into(), steps };
        self.runtime.block_on(client.transact(script)).map(tonic::Response::into_inner)
    }

    /// A transaction that must be answered with yes; tried again for as long as it is a definite no that says so.
    pub fn yes(&self, n: usize, steps: Vec<client::step::Kind>) -> client::Reply {
        until("a transaction is answered with yes", || {
            let reply = self.transact(n, steps.clone()).ok()?;
            match client::Outcome::try_from(reply.outcome).unwrap() {
                client::Outcome::Yes => Some(reply),
                _ => {
                    let error = reply.error.expect("what is not a yes has a reason");
                    assert!(error.retry, "{}", error.message);
                    None
                }
            }
        })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for n in 1..=3 {
                eprintln!("== the end of n{n}'s log");
                let log = self.log(n);
                log.lines()
                    .rev()
                    .take(30)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .for_each(|line| eprintln!("{line}"));
            }
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub fn int(n: i64) -> client::Value {
    client::Value { kind: Some(client::value::Kind::Int(n)) }
}

pub fn put(key: i64, value: i64) -> client::step::Kind {
    let row = Some(client::Row { values: vec![int(key), int(value)] });
    client::step::Kind::Put(client::Put { table: "t".into(), row })
}

pub fn get(key: i64) -> client::step::Kind {
    client::step::Kind::Get(client::Get { table: "t".into(), key: vec![int(key)], lock: false })
}

/// The second column of the only row of the only result.
pub fn found(reply: &client::Reply) -> Option<i64> {
    match reply.results[0].rows.first()?.values[1].kind {
        Some(client::value::Kind::Int(n)) => Some(n),
        ref other => panic!("an integer was put there, and {other:?} is"),
    }
}
