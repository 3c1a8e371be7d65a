//! Where clusters live: `$PLAIT_HOME` or `--data-dir`, else the state directory of XDG; one directory each.
//!
//! Everything of a cluster is inside its own directory, its supervisor's socket too, so that removing the directory
//! removes the cluster and nothing is left elsewhere, however a process ended.

use crate::fail::{Fail, Res};
use crate::slot::Slot;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The directory of all clusters of a person.
pub fn home(data_dir: Option<&Path>) -> Res<PathBuf> {
    let from_env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let chosen = data_dir
        .map(Path::to_path_buf)
        .or_else(|| from_env("PLAIT_HOME"))
        .or_else(|| from_env("XDG_STATE_HOME").map(|state| state.join("plait")))
        .or_else(|| from_env("HOME").map(|home| home.join(".local/state/plait")));
    let chosen = chosen.ok_or_else(|| {
        Fail::unfit("there is no place for clusters", "neither PLAIT_HOME, XDG_STATE_HOME nor HOME is set")
            .next("say where: `--data-dir DIR` or PLAIT_HOME=DIR")
    })?;
    std::path::absolute(&chosen).map_err(|e| Fail::file("use", &chosen, &e))
}

/// The places of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub home: PathBuf,
    pub name: String,
}

impl Place {
    pub fn new(home: PathBuf, name: &str) -> Res<Place> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 32 || name.starts_with('-') || !name.chars().all(good) {
            return Err(Fail::usage(
                format!("'{name}' can't name a cluster"),
                "a name has 1 to 32 small letters, digits and hyphens, and does not begin with a hyphen",
            )
            .next("choose another: --name demo"));
        }
        Ok(Place { home, name: name.to_owned() })
    }

    pub fn dir(&self) -> PathBuf {
        self.home.join(&self.name)
    }

    pub fn config(&self) -> PathBuf {
        self.dir().join("cluster.toml")
    }

    pub fn node(&self, slot: Slot) -> PathBuf {
        self.dir().join(slot.to_string())
    }

    pub fn node_config(&self, slot: Slot) -> PathBuf {
        self.dir().join("run").join(format!("{slot}.toml"))
    }

    pub fn log(&self, who: &str) -> PathBuf {
        self.dir().join("logs").join(format!("{who}.log"))
    }

    /// Sockets, locks and records of what runs: nothing that outlives `down`.
    pub fn run(&self) -> PathBuf {
        self.dir().join("run")
    }

    pub fn socket(&self) -> PathBuf {
        self.run().join("supervise.sock")
    }

    /// Pids and start times of what was started, for when the supervisor can't be asked.
    pub fn pids(&self) -> PathBuf {
        self.run().join("pids.json")
    }

    /// Runs of workloads, each in its own directory.
    pub fn runs(&self) -> PathBuf {
        self.dir().join("runs")
    }

    pub fn exists(&self) -> bool {
        self.config().exists()
    }

    /// The refusal of a verb that needs the cluster.
    pub fn missing(&self) -> Fail {
        let up = if self.name == "default" {
            "plait up".to_owned()
        } else {
            format!("plait up --name {}", self.name)
        };
        let fail = Fail::state(
            format!("there is no cluster '{}'", self.name),
            format!("{} does not exist", self.config().display()),
        )
        .next(format!("make it: {up}"));
        let others = names(&self.home);
        if others.is_empty() {
            fail
        } else {
            fail.next(format!("take one that exists: --name {}", others.join(" | ")))
        }
    }

    /// Whether a node's directory holds nothing of a node: it never had an identity, or was wiped.
    pub fn is_empty(&self, slot: Slot) -> bool {
        !self.node(slot).join("identity").exists()
    }
}

/// The names of the clusters in a home, in order.
pub fn names(home: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("cluster.toml").exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

pub fn make_dir(path: &Path) -> Res<()> {
    std::fs::create_dir_all(path).map_err(|e| Fail::file("make", path, &e))
}

/// Writes a file so that a reader sees the old one or the new one, whole, also after a power cut.
pub fn replace(path: &Path, text: &str) -> Res<()> {
    let fail = |e: std::io::Error| Fail::file("write", path, &e);
    let next = path.with_extension("next");
    let mut file = File::create(&next).map_err(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
    std::fs::rename(&next, path).map_err(fail)?;
    let dir = path.parent().expect("a file is in a directory");
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(fail)
}

/// A lock that the kernel gives back when its holder ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, or says that somebody else has it after waiting this long.
    pub fn take(path: &Path, patience: Duration) -> Res<Option<Lock>> {
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(|e| Fail::file("open", path, &e))?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Lock { _file: file })),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(Fail::file("lock", path, &e)),
            }
        }
    }
}

/// What the file system under a path is, where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    Local,
    /// Lost when the machine stops.
    Memory,
    /// Locks and syncs do not mean there what they mean here.
    Network(&'static str),
}

pub fn file_system(path: &Path) -> std::io::Result<(FileSystem, u64)> {
    let stat = rustix::fs::statfs(path)?;
    // Magic numbers from statfs(2).
    let kind = match stat.f_type as u64 & 0xffff_ffff {
        0x0102_1994 | 0x8584_58f6 => FileSystem::Memory,
        0x6969 => FileSystem::Network("NFS"),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => FileSystem::Network("SMB"),
        0x0102_1997 => FileSystem::Network("9P"),
        0x00c3_6400 => FileSystem::Network("Ceph"),
        0x5346_414f => FileSystem::Network("AFS"),
        _ => FileSystem::Local,
    };
    Ok((kind, stat.f_bavail.saturating_mul(stat.f_bsize as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_inside_the_home() {
        let place = |name: &str| Place::new("/srv/plait".into(), name);
        assert_eq!(place("demo-2").expect("a good name").dir(), Path::new("/srv/plait/demo-2"));
        for bad in ["", "..", "a/b", "Demo", "-x", "a b", &"x".repeat(33)] {
            assert!(place(bad).is_err(), "'{bad}' is no name");
        }
    }

    #[test]
    fn a_lock_is_held_by_one() {
        let dir = std::env::temp_dir().join(format!("plait-lock-{}", std::process::id()));
        make_dir(&dir).expect("a temporary directory");
        let path = dir.join("lock");
        let first = Lock::take(&path, Duration::ZERO).expect("it can be opened");
        assert!(first.is_some());
        assert!(Lock::take(&path, Duration::from_millis(20)).expect("it can be opened").is_none());
        drop(first);
        assert!(Lock::take(&path, Duration::ZERO).expect("it can be opened").is_some());
        std::fs::remove_dir_all(&dir).expect("it is ours");
    }
}
