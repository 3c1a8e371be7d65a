//! The few system calls that the standard library has no safe form for, each with the reason that it is sound.
//!
//! Nothing else in the host is unsafe but the allocator.
#![allow(unsafe_code)]

use std::io;

fn clock(id: libc::clockid_t) -> libc::timespec {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `at` is a valid timespec for the time of the call, and that is all the call writes to.
    let failed = unsafe { libc::clock_gettime(id, &mut at) };
    assert_eq!(failed, 0, "every kernel that this runs on has clock {id}: {}", io::Error::last_os_error());
    at
}

/// Nanoseconds since boot, time asleep included.
pub fn boottime_ns() -> u64 {
    let at = clock(libc::CLOCK_BOOTTIME);
    at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64
}

/// Microseconds since 1970.
pub fn realtime_us() -> i64 {
    let at = clock(libc::CLOCK_REALTIME);
    at.tv_sec * 1_000_000 + at.tv_nsec / 1000
}

/// Fills `bytes` from the kernel's generator. Goes through the C library's symbol, which a test may replace.
pub fn random(bytes: &mut [u8]) {
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: the pointer and the length are those of one live, writable slice.
        let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        if n > 0 {
            filled += n as usize;
        } else {
            let error = io::Error::last_os_error();
            assert_eq!(
                error.kind(),
                io::ErrorKind::Interrupted,
                "getrandom fails only when interrupted: {error}"
            );
        }
    }
}

/// Asks the kernel to send SIGTERM to this process when its parent dies.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: this option takes one number and touches no memory of ours.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From here on the calling thread, and those that it starts, give way to the node's others where cores are scarce.
pub fn give_way() {
    // SAFETY: it takes one number and touches no memory of ours; on Linux it is about the calling thread alone. It
    // can't fail to be less urgent.
    unsafe { libc::nice(10) };
}

/// Raises the limit of open files to what is allowed, and returns it.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the time of each call.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return Err(io::Error::last_os_error());
        }
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &limit) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

/// Ends the process at once: nothing is flushed and no destructor runs.
pub fn end_now(code: i32) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}
