//! Waiting for a condition, with a deadline and a last word: the one place in the tests that sleeps.

use std::time::{Duration, Instant};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `look` gives a value; panics with its last reason when `limit` has passed.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(why) if began.elapsed() >= limit => panic!("{what}: not within {limit:?}; last: {why}"),
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// Lets this much time pass: for faults that are to stand for a while, never for something to have happened.
pub fn pass(span: Duration) {
    std::thread::sleep(span);
}
