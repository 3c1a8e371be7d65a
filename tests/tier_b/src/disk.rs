//! The simulator's disks behind the host's traits: what takes time takes simulated time.

use crate::trace::Trace;
use plait_base::{Draws, disk, kv};
use plait_host::disk::{Checkpoints, Done, Figures, Files, Report};
use plait_world::world::disk::SimDisk;
use plait_world::world::kv::{Done as KvDone, SimKv};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::sleep;

/// What of a node outlives its process.
#[derive(Clone, Default)]
pub struct Medium {
    disk: Arc<Mutex<SimDisk>>,
    kv: Arc<Mutex<SimKv>>,
}

impl Medium {
    pub fn disk(&self) -> MutexGuard<'_, SimDisk> {
        self.disk.lock().expect("nothing panics with a disk locked")
    }

    pub fn kv(&self) -> MutexGuard<'_, SimKv> {
        self.kv.lock().expect("nothing panics with a disk locked")
    }
}

/// A copy of the medium as it was at the start: that is when it is read.
struct Stored {
    files: Vec<(disk::File, Vec<u8>)>,
    kv: SimKv,
}

impl disk::Disk for Stored {
    fn list(&self) -> Result<Vec<disk::File>, disk::Error> {
        Ok(self.files.iter().map(|(file, _)| *file).collect())
    }

    fn read(&self, file: disk::File) -> Result<Vec<u8>, disk::Error> {
        let found = self.files.iter().find(|(name, _)| *name == file).map(|(_, bytes)| bytes.clone());
        found.ok_or_else(|| disk::Error { file: file.to_string(), why: "no such file".into() })
    }
}

/// One node's files while it runs.
pub struct SimFiles {
    who: String,
    medium: Medium,
    stored: Arc<Stored>,
    report: Report,
    trace: Trace,
    draws: Arc<Mutex<Draws>>,
    figures: Figures,
}

/// One node's checkpoints while it runs.
pub struct SimCheckpoints {
    who: String,
    medium: Medium,
    stored: Arc<Stored>,
    report: Report,
    trace: Trace,
}

/// Opens what the node left behind.
pub fn open(
    who: &str,
    medium: &Medium,
    report: Report,
    trace: &Trace,
    draws: Draws,
) -> Result<(SimFiles, SimCheckpoints), disk::Error> {
    use disk::Disk;
    let files = {
        let disk = medium.disk();
        let names = disk.list()?;
        names.into_iter().map(|file| Ok((file, disk.read(file)?))).collect::<Result<_, disk::Error>>()?
    };
    let stored = Arc::new(Stored { files, kv: medium.kv().clone() });
    let files = SimFiles {
        who: who.to_owned(),
        medium: medium.clone(),
        stored: stored.clone(),
        report: report.clone(),
        trace: trace.clone(),
        draws: Arc::new(Mutex::new(draws)),
        figures: Figures::default(),
    };
    let checkpoints =
        SimCheckpoints { who: who.to_owned(), medium: medium.clone(), stored, report, trace: trace.clone() };
    Ok((files, checkpoints))
}

impl Files for SimFiles {
    fn stored(&self) -> &dyn disk::Disk {
        &*self.stored
    }

    fn submit(&mut self, persist: disk::Persist) {
        self.trace.add(&self.who, "persists", format!("{persist:?}").as_bytes());
        self.figures.persists += 1;
        if self.medium.disk().persist(persist) {
            let (medium, report, draws) = (self.medium.clone(), self.report.clone(), self.draws.clone());
            tokio::spawn(async move {
                loop {
                    let took = draws.lock().expect("nothing panics with the draws locked").between(100, 3000);
                    sleep(Duration::from_micros(took)).await;
                    let Some((token, more)) = medium.disk().synced() else { return };
                    report.done(Done::Persisted { token });
                    if !more {
                        return;
                    }
                }
            });
        }
    }

    fn figures(&self) -> Figures {
        self.figures
    }

    fn power_off(&mut self) -> Result<(), String> {
        Err("in a simulation the world takes the power away".into())
    }

    fn close(&mut self) {}
}

impl Checkpoints for SimCheckpoints {
    fn stored(&self) -> &dyn kv::Kv {
        &self.stored.kv
    }

    fn submit(&mut self, op: kv::Op) {
        self.trace.add(&self.who, "checkpoints", format!("{op:?}").as_bytes());
        if let KvDone::Answer(answer) = self.medium.kv().apply(op, false) {
            let report = self.report.clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(2)).await;
                report.done(Done::Checkpoint(answer));
            });
        }
    }

    fn close(&mut self) {}
}
