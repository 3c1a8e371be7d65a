//! `plait up`: from nothing, or from whatever is there, to three nodes that answer.
//!
//! Ready means proved over the protocols: each node took a login and committed a write, and each of the others read it.
//! No text of a log is looked at and nothing is waited for without a deadline.
//! Invariant: until it says that the cluster stays, everything it started ends with it, at whatever instant that is: the
//! supervisor holds the other end of its pipe.

pub mod ready;

use crate::cli::{Ctx, UpArgs};
use crate::cluster::{self, Cluster, Login, Setting};
use crate::fail::{Code, Fail, Res};
use crate::home::{self, FileSystem, Place};
use crate::ports::{Block, DEFAULT_BASE};
use crate::process::Process;
use crate::say;
use crate::slot::Slot;
use crate::supervise::talk::{self, Ask, NodeState, View};
use crate::verb::down;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How long the nodes have to be ready, at a timing scale of 1.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long the supervisor has to listen.
const SUPERVISOR_MAX: Duration = Duration::from_secs(10);
/// The least free space that a cluster is started with.
const FREE_BYTES_MIN: u64 = 256 << 20;
/// Lines of a node's log that are shown when it fails.
pub const LOG_LINES: usize = 20;

pub async fn run(ctx: &Ctx, args: &UpArgs) -> Res<()> {
    up(ctx, args, None).await
}

/// The same, beginning from what one node has: the others come back empty.
pub async fn from(ctx: &Ctx, node: Slot) -> Res<()> {
    up(ctx, &UpArgs::default(), Some(node)).await
}

async fn up(ctx: &Ctx, args: &UpArgs, from: Option<Slot>) -> Res<()> {
    let began = Instant::now();
    let unfit = |e: std::io::Error| Fail::unfit("can't listen for signals", e.to_string());
    let mut interrupts = [
        signal(SignalKind::interrupt()).map_err(unfit)?,
        signal(SignalKind::terminate()).map_err(unfit)?,
        signal(SignalKind::hangup()).map_err(unfit)?,
    ];
    let [int, term, hup] = &mut interrupts;
    let mut mine = Mine::default();
    let existed = ctx.place.dir().exists();
    let result = tokio::select! {
        biased;
        _ = int.recv() => Err(interrupted("Ctrl-C")),
        _ = term.recv() => Err(interrupted("SIGTERM")),
        _ = hup.recv() => Err(interrupted("a hang-up")),
        result = bring_up(ctx, args, from, &mut mine) => result,
    };
    match result {
        Ok(card) => {
            card.show(ctx, began.elapsed());
            Ok(())
        }
        Err(mut fail) => {
            if mine.started {
                // A second Ctrl-C ends the waiting; the closed pipe still ends the cluster.
                let step = ctx.say.step("undo", "ending what was started");
                tokio::select! {
                    biased;
                    _ = int.recv() => {}
                    ended = mine.undo(ctx) => match ended {
                        Ok(()) => step.done(""),
                        Err(second) => fail = fail.next(second.to_string()),
                    },
                }
            }
            if !existed && !ctx.place.exists() {
                // Nothing but what this attempt put there.
                let _ = std::fs::remove_dir_all(ctx.place.dir());
            }
            Err(fail)
        }
    }
}

fn interrupted(by: &str) -> Fail {
    Fail::new(
        Code::Interrupted,
        "`plait up` was interrupted",
        format!("{by} came before the cluster was ready"),
    )
    .next("nothing runs now, and data that was there is as it was; try again: plait up")
}

/// What this run of `up` has started and must end if it fails.
#[derive(Default)]
struct Mine {
    started: bool,
    lifeline: Option<ChildStdin>,
    supervisor: Option<Child>,
}

impl Mine {
    async fn undo(&mut self, ctx: &Ctx) -> Res<()> {
        self.lifeline = None;
        down::end(&ctx.place).await?;
        // It may have been started so shortly ago that it is in no record yet.
        if let Some(mut child) = self.supervisor.take() {
            if let Some(process) = Process::now(child.id()) {
                process.end(Duration::from_secs(15));
            }
            let _ = child.try_wait();
        }
        Ok(())
    }
}

/// What is printed at the end.
struct Card {
    cluster: Cluster,
    login: Login,
    view: View,
    pss_bytes: u64,
    already: bool,
}

async fn bring_up(ctx: &Ctx, args: &UpArgs, from: Option<Slot>, mine: &mut Mine) -> Res<Card> {
    let place = &ctx.place;
    let step = ctx.say.step("check", "checking the machine");
    let keys = cluster::keys()?;
    home::make_dir(&place.run())?;
    home::make_dir(&place.dir().join("logs"))?;
    let warning = check_directory(place)?;
    step.done(&format!("{}", place.dir().display()));
    if let Some(warning) = warning {
        ctx.say.note(&warning);
    }
    let _only = down::only_me(place)?;

    let mut flags = args.set.clone();
    flags.extend(args.timing_scale.map(|scale| format!("timing_scale={scale}")));
    let fresh = !place.exists();
    let mut cluster = if fresh { Cluster::new(DEFAULT_BASE)? } else { Cluster::load(place)? };
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let settings = cluster::settings(&cluster, &keys, &flags, &env)?;
    let scale = scale(&settings);
    let login = Login::of(&settings);

    if let Ok(view) = talk::view(place).await
        && view.cluster == cluster.id
        && view.kept
    {
        return resume(ctx, args, &cluster, login, view, scale).await;
    }
    // A supervisor that is not of this cluster, or was never kept, or died, may have left something.
    let left = down::end(place).await?;
    if !left.is_empty() {
        ctx.say.note(&format!("ended what an earlier run had left: {}", left.join(", ")));
    }

    if cluster.born && from.is_none() {
        cluster::refuse_two_empty(place)?;
    }
    choose_block(ctx, args, &mut cluster, fresh)?;
    loop {
        write_configs(place, &cluster, &settings)?;
        if !cluster.born {
            let step = ctx.say.step("genesis", "making the cluster");
            genesis(place)?;
            cluster.born = true;
            cluster.save(place)?;
            step.done(&format!("id {}", cluster.id));
        }
        let step = ctx.say.step("supervisor", "starting the supervisor");
        mine.started = true;
        match start_supervisor(place, mine).await {
            Ok(pid) => {
                step.done(&format!("pid {pid}, ports {}-{}", cluster.base, cluster.base + 99));
                break;
            }
            // Somebody took the block in between.
            Err(fail)
                if fail.code == Code::Unfit
                    && fresh
                    && args.port_base.is_none()
                    && cluster.block().taken().is_some() =>
            {
                drop(step);
                choose_block(ctx, args, &mut cluster, fresh)?;
            }
            Err(fail) => return Err(fail),
        }
    }
    let since = Instant::now();
    let deadline = Instant::now() + ctx.patience(READY_MAX * scale);
    if let Some(slot) = from {
        talk::deed(place, &Ask::Start { slot, alone: true }, talk::ANSWER_MAX).await?;
        ready::nodes(ctx, &cluster, &[slot], since, deadline).await?;
    }
    for slot in Slot::ALL.into_iter().filter(|slot| Some(*slot) != from) {
        talk::deed(place, &Ask::Start { slot, alone: false }, talk::ANSWER_MAX).await?;
    }
    ready::nodes(ctx, &cluster, &Slot::ALL, since, deadline).await?;
    ready::proof(ctx, &cluster, &login, deadline).await?;
    talk::deed(place, &Ask::Keep, talk::ANSWER_MAX).await?;
    let view = talk::view(place).await?;
    Ok(Card { pss_bytes: memory(&view), cluster, login, view, already: false })
}

fn scale(settings: &[Setting]) -> u32 {
    let found =
        settings.iter().find(|setting| setting.key == "timing_scale").and_then(|s| s.value.as_integer());
    found.and_then(|n| u32::try_from(n).ok()).unwrap_or(1).max(1)
}

/// The cluster is up: what of it does not run is started, what is paused goes on.
async fn resume(
    ctx: &Ctx,
    args: &UpArgs,
    cluster: &Cluster,
    login: Login,
    view: View,
    scale: u32,
) -> Res<Card> {
    let place = &ctx.place;
    if let Some(base) = args.port_base
        && base != view.port_base
    {
        return Err(Fail::state(
            format!("'{}' is up at port base {}", place.name, view.port_base),
            "its ports can't change while it runs",
        )
        .next(format!("{}, then {} --port-base {base}", ctx.command("down"), ctx.command("up"))));
    }
    if !args.set.is_empty() || args.timing_scale.is_some() {
        ctx.say.note(
            "the cluster is up, so --set and --timing-scale have no effect before the next `down` and `up`",
        );
    }
    let since = Instant::now();
    let mut changed = false;
    for node in &view.nodes {
        let ask = match node.state {
            NodeState::Running => continue,
            NodeState::Paused => Ask::Resume { slot: node.slot },
            _ => Ask::Start { slot: node.slot, alone: false },
        };
        talk::deed(place, &ask, talk::ANSWER_MAX).await?;
        changed = true;
    }
    let deadline = Instant::now() + ctx.patience(READY_MAX * scale);
    ready::nodes(ctx, cluster, &Slot::ALL, since, deadline).await?;
    ready::proof(ctx, cluster, &login, deadline).await?;
    let view = talk::view(place).await?;
    Ok(Card { pss_bytes: memory(&view), cluster: cluster.clone(), login, view, already: !changed })
}

fn check_directory(place: &Place) -> Res<Option<String>> {
    let dir = place.dir();
    let probe = place.run().join("probe");
    std::fs::write(&probe, b"plait")
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|e| Fail::file("write in", &dir, &e))?;
    let (kind, free_bytes) = home::file_system(&dir).map_err(|e| Fail::file("look at", &dir, &e))?;
    if let FileSystem::Network(name) = kind {
        return Err(Fail::unfit(
            format!("{} is on a network file system ({name})", dir.display()),
            "a sync and a lock there don't promise what the log needs",
        )
        .next("choose a local disk: --data-dir DIR"));
    }
    if free_bytes < FREE_BYTES_MIN {
        return Err(Fail::unfit(
            format!("{} has too little space", dir.display()),
            format!(
                "{} are free, and a cluster starts with {} at least",
                say::bytes(free_bytes),
                say::bytes(FREE_BYTES_MIN)
            ),
        )
        .next("free some, or choose another disk: --data-dir DIR"));
    }
    Ok((kind == FileSystem::Memory)
        .then(|| format!("{} is in memory: it is lost when the machine stops", dir.display())))
}

/// Settles the port block: the cluster's own, the one that was asked for, or for a new cluster the next that is free.
fn choose_block(ctx: &Ctx, args: &UpArgs, cluster: &mut Cluster, fresh: bool) -> Res<()> {
    let place = &ctx.place;
    if let Some(base) = args.port_base {
        let block = Block::new(base)?;
        if let Some((name, port)) = block.taken() {
            return Err(refusal(ctx, block, &name, port));
        }
        if !fresh && base != cluster.base {
            ctx.say.note(&format!("moved from port base {} to {base}; it stays there", cluster.base));
        }
        cluster.base = base;
    } else if fresh {
        // Blocks of clusters that are down are theirs too.
        let others: Vec<u16> = home::names(&place.home)
            .iter()
            .filter(|name| **name != place.name)
            .filter_map(|name| Cluster::load(&Place::new(place.home.clone(), name).ok()?).ok())
            .map(|other| other.base)
            .collect();
        let first = Block::new(DEFAULT_BASE)?;
        let free = |block: &Block| !others.contains(&block.base()) && block.taken().is_none();
        let block = std::iter::once(first).chain(first.after()).find(free).ok_or_else(|| {
            Fail::unfit("no block of ports is free", "every block of 100 from 13300 has a port that is taken")
                .next("choose one yourself: --port-base N")
        })?;
        if block != first {
            let why = match first.taken() {
                Some((_, port)) => match crate::ports::holder(port) {
                    Some(pid) => {
                        format!("port {port} is held by pid {pid} ({})", crate::process::name_of(pid))
                    }
                    None => format!("port {port} is taken"),
                },
                None => "it belongs to another cluster".into(),
            };
            ctx.say.note(&format!(
                "port block {DEFAULT_BASE} is not free ({why}): took {}, and it stays there",
                block.base()
            ));
        }
        cluster.base = block.base();
    } else if let Some((name, port)) = cluster.block().taken() {
        return Err(refusal(ctx, cluster.block(), &name, port));
    }
    cluster.save(place)
}

/// The refusal of a block; if another cluster of this home has it, its name is the way out.
fn refusal(ctx: &Ctx, block: Block, name: &str, port: u16) -> Fail {
    let mut fail = block.refusal(name, port);
    for other in home::names(&ctx.place.home).iter().filter(|other| **other != ctx.place.name) {
        let Ok(place) = Place::new(ctx.place.home.clone(), other) else { continue };
        let pids = talk::Pids::read(&place);
        let holder = crate::ports::holder(port);
        if pids.supervisor.iter().chain(pids.nodes.values()).any(|p| Some(p.pid) == holder && p.alive()) {
            fail.why = format!("the cluster '{other}' has it; it was wanted for {name}");
            fail.next[0] = format!("stop that cluster: plait down --name {other}");
        }
    }
    fail
}

fn write_configs(place: &Place, cluster: &Cluster, settings: &[Setting]) -> Res<()> {
    for slot in Slot::ALL {
        let path = place.node_config(slot);
        let text = cluster::node_toml(place, cluster, settings, slot);
        std::fs::write(&path, text).map_err(|e| Fail::file("write", &path, &e))?;
    }
    Ok(())
}

/// Gives each node its identity. Only before any of them has run; one that has its identity from an attempt that was
/// interrupted keeps it.
fn genesis(place: &Place) -> Res<()> {
    let node = cluster::sibling("plait-node")?;
    for slot in Slot::ALL {
        home::make_dir(&place.node(slot))?;
        if !place.is_empty(slot) {
            continue;
        }
        let output = Command::new(&node)
            .arg("init")
            .arg("--config")
            .arg(place.node_config(slot))
            .stdin(Stdio::null())
            .output();
        let output =
            output.map_err(|e| Fail::unfit(format!("can't run {}", node.display()), e.to_string()))?;
        if !output.status.success() || place.is_empty(slot) {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let code = if output.status.code() == Some(2) { Code::Usage } else { Code::Unfit };
            return Err(Fail::new(code, format!("{slot} did not get its identity"), why)
                .next(format!("look at {}", place.node_config(slot).display())));
        }
    }
    Ok(())
}

/// Starts the supervisor and waits until it listens.
async fn start_supervisor(place: &Place, mine: &mut Mine) -> Res<u32> {
    let me = std::env::current_exe()
        .map_err(|e| Fail::unfit("can't tell where plait itself is", e.to_string()))?;
    let path = place.log("supervise");
    let log =
        File::options().create(true).append(true).open(&path).map_err(|e| Fail::file("write", &path, &e))?;
    let child = Command::new(&me)
        .args(["supervise", "--name", &place.name])
        .arg("--data-dir")
        .arg(&place.home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .current_dir("/")
        .spawn();
    let mut child: Child =
        child.map_err(|e| Fail::unfit(format!("can't start {}", me.display()), e.to_string()))?;
    let pid = child.id();
    mine.lifeline = child.stdin.take();
    let stdout = child.stdout.take().expect("it is piped");
    let child = mine.supervisor.insert(child);
    let (said, hear) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = said.send(line);
    });
    let heard = tokio::time::timeout(SUPERVISOR_MAX, hear).await;
    match heard {
        Ok(Ok(line)) if line.trim() == "ready" => Ok(pid),
        Ok(_) => {
            let code = child.wait().ok().and_then(|status| status.code());
            let fail = if code == Some(Code::Unfit as i32) { Fail::unfit } else { Fail::state };
            Err(fail("the supervisor did not start", super::logs::tail(&path, LOG_LINES))
                .next(format!("its log: {}", path.display())))
        }
        Err(_) => Err(Fail::timeout(
            "the supervisor did not start in time",
            format!("pid {pid} did not listen within {} s", SUPERVISOR_MAX.as_secs()),
        )
        .next(format!("its log: {}", path.display()))),
    }
}

fn memory(view: &View) -> u64 {
    let pids = view.nodes.iter().filter_map(|node| node.pid).chain([view.process.pid]);
    pids.filter_map(|pid| Process::now(pid)?.pss_bytes()).sum()
}

impl Card {
    fn show(&self, ctx: &Ctx, took: Duration) {
        let block = self.cluster.block();
        let each = |port: &dyn Fn(Slot) -> u16| Slot::ALL.map(|slot| port(slot).to_string()).join("  ");
        let Login { user, password, database } = &self.login;
        let name = &ctx.place.name;
        let document = serde_json::json!({
            "name": name,
            "id": self.cluster.id,
            "took_s": took.as_secs_f64(),
            "already_up": self.already,
            "data_dir": ctx.place.dir(),
            "port_base": self.cluster.base,
            "sql": { "host": "127.0.0.1", "front_door": block.door(), "nodes": Slot::ALL.map(|s| block.sql(s)),
                     "user": user, "password": password, "database": database },
            "admin_http": Slot::ALL.map(|s| block.admin(s)),
            "grpc": Slot::ALL.map(|s| block.grpc(s)),
            "supervisor_pid": self.view.process.pid,
            "pids": self.view.nodes.iter().map(|node| node.pid).collect::<Vec<_>>(),
            "pss_bytes": self.pss_bytes,
            "faults": self.view.faults.len(),
        });
        ctx.say.result("up", document, || {
            let verb = if self.already { "was up already; all of it answers" } else { "is up" };
            let mut text = format!(
                "{}  ({}, {} for all four processes)\n\n",
                ctx.say.strong(&format!("Cluster '{name}' {verb}.")),
                say::span(took),
                say::bytes(self.pss_bytes)
            );
            text.push_str(&say::table(&[
                vec!["".into(), "front door".into(), "n1     n2     n3".into()],
                vec!["SQL".into(), block.door().to_string(), each(&|s| block.sql(s))],
                vec!["gRPC".into(), "-".into(), each(&|s| block.grpc(s))],
                vec!["/metrics".into(), "-".into(), each(&|s| block.admin(s))],
            ]));
            text.push_str(&format!(
                "\n  all on 127.0.0.1; user {user}, password {password}, database {database}\n"
            ));
            text.push_str(&format!("  data    {}\n", ctx.place.dir().display()));
            text.push_str(&format!(
                "  client  mariadb -h 127.0.0.1 -P {} -u {user} -p{password} {database}\n",
                block.door()
            ));
            if !self.view.faults.is_empty() {
                text.push_str(&format!(
                    "  faults  {} stand; undo them: {}\n",
                    self.view.faults.len(),
                    ctx.command("heal")
                ));
            }
            text.push_str(&format!(
                "  next    {}    {}    {}",
                ctx.command("status"),
                ctx.command("kill n2"),
                ctx.command("down")
            ));
            text
        });
    }
}
