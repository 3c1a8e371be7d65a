//! Whether the machine itself was quiet: a thread that sleeps 1 ms and notes how late it wakes.
//!
//! A figure taken while even this thread was late says nothing about the thing that was measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A run in which the 99th percentile of delays is above this is disturbed.
pub const DISTURBED: Duration = Duration::from_millis(20);
const SLEEP: Duration = Duration::from_millis(1);

pub struct Calibrator {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Calibrator {
    pub fn start() -> Calibrator {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut delays = Vec::new();
            while !seen.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(SLEEP);
                delays.push(began.elapsed().saturating_sub(SLEEP));
            }
            delays
        });
        Calibrator { stop, thread }
    }

    /// Ends it and gives the 99th percentile of the delays.
    pub fn p99(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let mut delays = self.thread.join().expect("the calibrator only sleeps");
        delays.sort();
        delays.get(delays.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
    }
}

/// The p99 as words.
pub fn verdict(p99: Duration) -> &'static str {
    if p99 > DISTURBED { "disturbed" } else { "quiet" }
}
