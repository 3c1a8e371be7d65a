//! Processes by pid *and* start time, so that a number that was used again is never taken for one of ours.
//!
//! A pid alone names whoever has it now. The kernel's start time of a process (field 22 of /proc/PID/stat, in
//! clock ticks since boot) together with the boot's id names one process for ever.

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One process, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// Clock ticks since boot.
    pub started: u64,
    /// Which boot of the machine.
    pub boot: String,
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// What /proc says of a process.
struct Stat {
    /// Its first thread has ended.
    zombie: bool,
    threads: u32,
    /// Clock ticks since boot.
    started: u64,
}

impl Stat {
    /// `None` if there is no such process.
    fn of(pid: u32) -> Option<Stat> {
        Stat::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Stat> {
        // The name stands in parentheses and may hold anything, so fields are counted after the last one.
        let mut fields = text[text.rfind(')')? + 1..].split_whitespace();
        let zombie = fields.next()? == "Z";
        let threads = fields.nth(16)?.parse().ok()?;
        Some(Stat { zombie, threads, started: fields.nth(1)?.parse().ok()? })
    }

    /// A killed process whose first thread is a zombie still holds its ports and locks while another thread of it
    /// is on its way out.
    fn runs(&self) -> bool {
        !self.zombie || self.threads > 1
    }
}

impl Process {
    /// The process that has this pid now.
    pub fn now(pid: u32) -> Option<Process> {
        Some(Process { pid, started: Stat::of(pid)?.started, boot: boot_id() })
    }

    pub fn myself() -> Process {
        Process::now(std::process::id()).expect("a running process is in /proc")
    }

    /// Whether any of it still runs.
    pub fn alive(&self) -> bool {
        self.boot == boot_id()
            && Stat::of(self.pid).is_some_and(|stat| stat.started == self.started && stat.runs())
    }

    /// Sends a signal to this process and no other; false if it is gone. The descriptor is taken before the start
    /// time is compared, so the pid can't change hands in between.
    pub fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        let Ok(fd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return false };
        self.alive() && rustix::process::pidfd_send_signal(fd, signal).is_ok()
    }

    /// Ends it: asks, waits, then kills and waits again. True when it is gone.
    pub fn end(&self, patience: Duration) -> bool {
        self.signal(Signal::TERM);
        // A stopped process hears nothing but this.
        self.signal(Signal::CONT);
        if self.wait(patience) {
            return true;
        }
        self.signal(Signal::KILL);
        self.wait(Duration::from_secs(5))
    }

    /// Waits until it is gone, at most this long.
    pub fn wait(&self, patience: Duration) -> bool {
        let deadline = std::time::Instant::now() + patience;
        while self.alive() {
            if std::time::Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// CPU time it has used, user and system together; `None` when it is gone.
    pub fn cpu(&self) -> Option<Duration> {
        self.ticks(11)
    }

    /// CPU time that its children used which have ended and were waited for.
    pub fn cpu_of_children(&self) -> Option<Duration> {
        self.ticks(13)
    }

    /// The sum of two neighbouring fields of its statistics, counted after its name.
    fn ticks(&self, at: usize) -> Option<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
        Some(ticks(fields.get(at)?.parse::<u64>().ok()? + fields.get(at + 1)?.parse::<u64>().ok()?))
    }

    /// Proportional set size: memory with shared pages divided among those who share them.
    pub fn pss_bytes(&self) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    }
}

fn ticks(n: u64) -> Duration {
    Duration::from_millis(n * 1000 / rustix::param::clock_ticks_per_second())
}

/// CPU time that the whole machine has used since it started, the kernel's own work included.
pub fn machine_busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<u64> =
        text.lines().next()?.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    Some(ticks([0, 1, 2, 5, 6, 7].iter().filter_map(|at| fields.get(*at)).sum()))
}

/// KiB that the whole machine has written to its disks since it started.
pub fn machine_written() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("pgpgout ")?.trim().parse().ok())
}

/// Who a process is, for a message: its command name.
pub fn name_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_pid_and_start_time() {
        let me = Process::myself();
        assert!(me.alive());
        let namesake = Process { started: me.started + 1, ..me.clone() };
        assert!(!namesake.alive(), "a pid that was used again is another process");
        assert!(!namesake.signal(Signal::TERM), "and gets no signal meant for the first");
        assert!(!Process { boot: "another".into(), ..me }.alive());
    }

    #[test]
    fn a_process_runs_until_its_last_thread_has_ended() {
        let of = |state, threads| {
            let line = format!("7 (a ) b) {state} 1 7 7 0 -1 4 0 0 0 0 5 6 0 0 20 0 {threads} 0 4242 0 0");
            let stat = Stat::parse(&line).expect("it is a line of the kernel's");
            assert_eq!(stat.started, 4242);
            stat.runs()
        };
        assert!(of('S', 1) && of('Z', 3));
        assert!(!of('Z', 1));
    }

    #[test]
    fn a_stopped_child_is_ended_and_a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let process = Process::now(child.id()).expect("it runs");
        assert!(process.signal(Signal::STOP));
        assert!(process.end(Duration::from_secs(5)));
        assert!(!process.alive());
        child.wait().expect("it can be reaped");
    }
}
