//! Two symbols of the C library, replaced: entropy from the seed, and clocks that show simulated time.
//!
//! The executable's symbols win over the library's, so the standard library, tokio, hyper and our own host all see
//! these. Before `begin` they do what the kernel does.
#![allow(unsafe_code)]

use plait_base::draw;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

static ON: AtomicBool = AtomicBool::new(false);
static SEED: AtomicU64 = AtomicU64::new(0);
static DRAWN: AtomicU64 = AtomicU64::new(0);
static LAST_NS: AtomicU64 = AtomicU64::new(0);

/// Where the simulated clocks begin, in seconds.
const REALTIME_AT: i64 = 1_700_000_000;
const MONOTONIC_AT: i64 = 1_000;

thread_local! {
    /// Asking turmoil for the time asks tokio, which asks for the time.
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// From here on entropy comes from the seed and time from the simulation.
pub fn begin(seed: u64) {
    SEED.store(seed, SeqCst);
    ON.store(true, SeqCst);
}

fn simulated_ns() -> u64 {
    if ASKING.get() {
        return LAST_NS.load(SeqCst);
    }
    ASKING.set(true);
    let elapsed = turmoil::sim_elapsed();
    ASKING.set(false);
    if let Some(elapsed) = elapsed {
        LAST_NS.store(elapsed.as_nanos() as u64, SeqCst);
    }
    LAST_NS.load(SeqCst)
}

// SAFETY: the symbol has the C library's signature, and is called as that one is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut libc::c_void, bytes: usize, flags: libc::c_uint) -> isize {
    if !ON.load(SeqCst) {
        // SAFETY: the caller's own arguments, handed on to the kernel.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, bytes, flags) as isize };
    }
    // SAFETY: the caller promises that this many bytes may be written there.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), bytes) };
    for chunk in buffer.chunks_mut(8) {
        let word = draw::draw(SEED.load(SeqCst), 0, 0, DRAWN.fetch_add(1, SeqCst)).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    bytes as isize
}

// SAFETY: the symbol has the C library's signature, and is called as that one is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(id: libc::clockid_t, to: *mut libc::timespec) -> libc::c_int {
    let base = match id {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => Some(REALTIME_AT),
        libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_RAW | libc::CLOCK_BOOTTIME => Some(MONOTONIC_AT),
        _ => None,
    };
    match base {
        Some(base) if ON.load(SeqCst) => {
            let ns = simulated_ns();
            let at = libc::timespec {
                tv_sec: base + (ns / 1_000_000_000) as i64,
                tv_nsec: (ns % 1_000_000_000) as i64,
            };
            // SAFETY: the caller promises that a timespec may be written there.
            unsafe { to.write(at) };
            0
        }
        // SAFETY: the caller's own arguments, handed on to the kernel.
        _ => unsafe { libc::syscall(libc::SYS_clock_gettime, id, to) as libc::c_int },
    }
}
