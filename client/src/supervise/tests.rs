//! Tests of the supervisor over its socket, with a shell script for a node: it runs until its standard input closes,
//! and ends as a file beside its configuration says.

use super::talk::{Ask, NodeView, deed, view};
use super::*;
use crate::fail::Code;
use crate::home;
use crate::ports::Block;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

const SCRIPT: &str = r#"#!/bin/bash
# plait-node --config FILE --lifeline
ends="$2.ends"
if [ -s "$ends" ]; then code=$(head -n 1 "$ends"); sed -i 1d "$ends"; exit "$code"; fi
trap 'exit 0' TERM
while read -t 0.05 line || [ $? -gt 128 ]; do :; done
"#;

const PATIENCE: Duration = Duration::from_secs(10);

struct World {
    place: Place,
    n1: Slot,
}

impl World {
    /// A supervisor in a directory and a port block of its own.
    async fn new() -> (World, tokio::task::JoinHandle<Res<()>>) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("plait-supervise-{}-{n}", std::process::id()));
        let place = Place::new(home.clone(), "t").expect("a name");
        home::make_dir(&place.run()).expect("a directory");
        home::make_dir(&place.dir().join("logs")).expect("a directory");
        let program = home.join("node.sh");
        std::fs::write(&program, SCRIPT).expect("a file");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        // Tests of other processes may take blocks too; each begins to look at another place.
        let first = 20_000 + (std::process::id() % 40 * 4 + n) as u16 * 100;
        let base = (0..50)
            .map(|i| first + i * 100)
            .find(|base| Block::new(*base).is_ok_and(|b| b.taken().is_none()));
        let mut cluster = Cluster::new(base.expect("a free block")).expect("randomness");
        cluster.born = true;
        cluster.save(&place).expect("it can be written");
        for slot in Slot::ALL {
            home::make_dir(&place.node(slot)).expect("a directory");
            std::fs::write(place.node(slot).join("identity"), "x").expect("a file");
        }
        let server = tokio::task::spawn_local(serve(place.clone(), program, false));
        let world = World { place, n1: Slot::ALL[0] };
        world.wait(|_| true).await;
        (world, server)
    }

    async fn wait(&self, holds: impl Fn(&View) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        loop {
            looks.tick().await;
            match view(&self.place).await {
                Ok(view) if holds(&view) => return,
                seen => assert!(tokio::time::Instant::now() < deadline, "it never came to that: {seen:?}"),
            }
        }
    }

    async fn do_it(&self, ask: Ask) -> Res<talk::Done> {
        deed(&self.place, &ask, PATIENCE).await
    }

    async fn node(&self) -> NodeView {
        view(&self.place).await.expect("it answers").node(self.n1).clone()
    }

    /// The next starts of n1 end at once with these codes.
    fn ends_with(&self, codes: &[i32]) {
        let path = self.place.node_config(self.n1).with_extension("toml.ends");
        let lines: String = codes.iter().map(|code| format!("{code}\n")).collect();
        std::fs::write(path, lines).expect("a file");
    }

    async fn over(self, server: tokio::task::JoinHandle<Res<()>>) {
        self.do_it(Ask::Down).await.expect("it ends");
        server.await.expect("it does not panic").expect("it ends well");
        assert!(!self.place.socket().exists() && !self.place.pids().exists());
        std::fs::remove_dir_all(&self.place.home).expect("it is ours");
    }
}

fn local<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

#[test]
fn what_was_told_to_end_is_not_a_crash_and_what_was_not_is() {
    local(async {
        let (world, server) = World::new().await;
        let slot = world.n1;
        world.do_it(Ask::Start { slot, alone: false }).await.expect("it starts");
        world.do_it(Ask::Kill { slot }).await.expect("it ends");
        assert_eq!(world.node().await.state, NodeState::Killed);
        world.do_it(Ask::Start { slot, alone: false }).await.expect("it starts again");
        world.do_it(Ask::Stop { slot, patience_ms: 5000 }).await.expect("it ends");
        assert_eq!(world.node().await.state, NodeState::Stopped);
        world.do_it(Ask::Start { slot, alone: false }).await.expect("it starts again");
        let pid = world.node().await.pid.expect("it runs");
        Process::now(pid).expect("it runs").signal(rustix::process::Signal::KILL);
        world.wait(|view| view.node(slot).state == NodeState::Crashed).await;
        assert!(world.node().await.exit.expect("it ended").contains("SIGKILL"));
        assert_eq!(world.node().await.pid, None, "a crash stays visible: nothing is started again");
        world.over(server).await;
    });
}

#[test]
fn a_paused_node_is_neither_started_nor_left_behind() {
    local(async {
        let (world, server) = World::new().await;
        let slot = world.n1;
        world.do_it(Ask::Start { slot, alone: false }).await.expect("it starts");
        world.do_it(Ask::Pause { slot }).await.expect("it pauses");
        let fail = world.do_it(Ask::Start { slot, alone: false }).await.expect_err("it is there");
        assert_eq!(fail.code, Code::WrongState);
        let pid = world.node().await.pid.expect("it is there");
        let process = Process::now(pid).expect("it is there");
        world.over(server).await;
        assert!(!process.alive(), "it was frozen and ended all the same");
    });
}

#[test]
fn a_node_that_moved_its_state_aside_is_started_once() {
    local(async {
        let (world, server) = World::new().await;
        let slot = world.n1;
        world.ends_with(&[75]);
        world.do_it(Ask::Start { slot, alone: false }).await.expect("it starts");
        world.wait(|view| view.node(slot).starts == 2 && view.node(slot).state == NodeState::Running).await;
        world.do_it(Ask::Kill { slot }).await.expect("it ends");
        // Twice in a row is a defect, not a cure.
        world.ends_with(&[75, 75, 75]);
        world.do_it(Ask::Start { slot, alone: false }).await.expect("it starts");
        world.wait(|view| view.node(slot).starts == 4 && view.node(slot).state == NodeState::Crashed).await;
        assert!(world.node().await.exit.expect("it ended").contains("75"));
        world.over(server).await;
    });
}

#[test]
fn a_node_that_can_not_start_says_with_which_code() {
    local(async {
        let (world, server) = World::new().await;
        let slot = world.n1;
        world.ends_with(&[6]);
        world.do_it(Ask::Start { slot, alone: false }).await.expect("the process starts");
        world.wait(|view| view.node(slot).state == NodeState::Crashed).await;
        assert!(world.node().await.exit.expect("it ended").contains("exit code 6"));
        world.over(server).await;
    });
}

#[test]
fn faults_stand_until_they_are_healed_one_by_one_or_all() {
    local(async {
        let (world, server) = World::new().await;
        let fault = |text: &str| Ask::Fault {
            text: text.into(),
            ways: crate::faults::ways(text).expect("links"),
            rule: LinkRule { cut: true, ..LinkRule::default() },
            clocks: Vec::new(),
        };
        for text in ["n1-n2", "n1>n3", "n2-n3"] {
            world.do_it(fault(text)).await.expect("nodes that don't run need not confirm");
        }
        let fail = world.do_it(Ask::Heal { id: Some("f9".into()) }).await.expect_err("there is none");
        assert_eq!(fail.code, Code::WrongState);
        world.do_it(Ask::Heal { id: Some("f2".into()) }).await.expect("it stands");
        let ids = || async {
            view(&world.place)
                .await
                .expect("it answers")
                .faults
                .iter()
                .map(|f| f.id.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids().await, ["f1", "f3"]);
        assert_eq!(world.do_it(Ask::Heal { id: None }).await.expect("all").faults, ["f1", "f3"]);
        assert!(ids().await.is_empty());
        world.over(server).await;
    });
}

#[test]
fn two_empty_nodes_are_not_started() {
    local(async {
        let (world, server) = World::new().await;
        for slot in [Slot::ALL[0], Slot::ALL[1]] {
            std::fs::remove_dir_all(world.place.node(slot)).expect("it is ours");
        }
        let fail = world
            .do_it(Ask::Start { slot: world.n1, alone: false })
            .await
            .expect_err("it could be a lost cluster");
        assert_eq!(fail.code, Code::Unsafe);
        assert!(fail.next.iter().any(|step| step.contains("plait bootstrap --node n3")), "{fail}");
        world.over(server).await;
    });
}

#[test]
fn the_front_door_holds_its_block_and_leads_nowhere_without_a_node() {
    local(async {
        let (world, server) = World::new().await;
        let block = Cluster::load(&world.place).expect("it is there").block();
        assert_eq!(block.taken().map(|(_, port)| port), Some(block.door()));
        let address = crate::ports::local(block.door());
        let client = tokio::net::TcpStream::connect(address).await.expect("it listens");
        world.wait(|view| view.door.connections == 1 && view.door.main.is_none()).await;
        drop(client);
        world.over(server).await;
    });
}
