//! Stands in for the clock and the chance of the system while a simulation runs.
//!
//! Owns the two functions of the C library by which Rust asks for them. All code of the process then reads the time of the
//! runtime, which is virtual, and draws from the seed: `Instant::now`, the keys of hash maps, UUIDs. Without a simulation
//! both ask the system, as ever.
#![allow(unsafe_code, reason = "there is no other way to replace a function of the C library")]

use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use crate::chance;

/// Time is that of the system.
const REAL: u8 = 0;
/// Time stands still: the runtime is being made.
const FROZEN: u8 = 1;
/// Time is that of the runtime.
const VIRTUAL: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(REAL);
/// True if chance follows from a seed.
static IS_SEEDED: AtomicBool = AtomicBool::new(false);
/// The state of the generator.
static CHANCE: AtomicU64 = AtomicU64::new(0);
/// The beginning of virtual time.
static START: OnceLock<Instant> = OnceLock::new();

/// The time on the monotonic clock at the beginning, in seconds.
#[cfg(target_os = "linux")]
const MONOTONIC_START: i64 = 1_000_000;
/// The time on the clock of the day at the beginning, in seconds since 1970.
#[cfg(target_os = "linux")]
const WALL_START: i64 = 1_800_000_000;

/// Takes chance from `seed` from now on.
pub(crate) fn seed(seed: u64) {
    CHANCE.store(seed, Ordering::Relaxed);
    IS_SEEDED.store(true, Ordering::Release);
}

/// Lets time stand still.
pub(crate) fn freeze() {
    MODE.store(FROZEN, Ordering::Release);
}

/// Lets time be that of the runtime, in which this is called.
pub(crate) fn start_clock() {
    START.get_or_init(Instant::now);
    MODE.store(VIRTUAL, Ordering::Release);
}

/// Gives clock and chance back to the system.
pub(crate) fn thaw() {
    MODE.store(REAL, Ordering::Release);
    IS_SEEDED.store(false, Ordering::Release);
}

/// The virtual time since the beginning; `None` where time is real.
#[cfg(target_os = "linux")]
fn elapsed() -> Option<Duration> {
    match MODE.load(Ordering::Acquire) {
        FROZEN => Some(Duration::ZERO),
        // Outside of the runtime its time cannot be asked for.
        VIRTUAL if Handle::try_current().is_ok() => START.get().map(Instant::elapsed),
        _ => None,
    }
}

/// Does what the C library promises of the function of this name.
///
/// # Safety
/// `to` is valid for a write.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, to: *mut libc::timespec) -> libc::c_int {
    let start = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => Some(WALL_START),
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_BOOTTIME => Some(MONOTONIC_START),
        _ => None,
    };
    let Some((start, elapsed)) = start.zip(elapsed()) else {
        // SAFETY: the arguments are those that the caller has promised to be right.
        let outcome = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, to) };
        return if outcome == 0 { 0 } else { -1 };
    };
    let seconds = start.saturating_add(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX));
    let now = libc::timespec { tv_sec: seconds, tv_nsec: elapsed.subsec_nanos().into() };
    // SAFETY: the caller has promised that it may be written to.
    unsafe { to.write(now) };
    0
}

/// Does what the C library promises of the function of this name.
///
/// # Safety
/// `buffer` is valid for writes of `length` bytes.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(
    buffer: *mut libc::c_void,
    length: libc::size_t,
    flags: libc::c_uint,
) -> libc::ssize_t {
    if !IS_SEEDED.load(Ordering::Acquire) {
        // SAFETY: the arguments are those that the caller has promised to be right.
        let outcome = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return libc::ssize_t::try_from(outcome).unwrap_or(-1);
    }
    for place in 0..length {
        let byte = chance::next(&CHANCE).to_le_bytes()[7];
        // SAFETY: `place` is below the length that the caller has promised.
        unsafe { buffer.cast::<u8>().add(place).write(byte) };
    }
    libc::ssize_t::try_from(length).unwrap_or(-1)
}

/// A process that is a copy of this one, which has one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child(libc::pid_t);

/// Copies the process. `None` is returned in the copy.
///
/// # Errors
/// When the system has no room for it.
pub fn fork() -> io::Result<Option<Child>> {
    // SAFETY: this process has one thread, so that no lock is held by another one in the copy.
    match unsafe { libc::fork() } {
        0 => Ok(None),
        pid if pid > 0 => Ok(Some(Child(pid))),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits for a copy to end, and gives its exit code; `None` if a signal has ended it.
///
/// # Errors
/// When there is none.
pub fn wait_for_child() -> io::Result<(Child, Option<i32>)> {
    let mut status = 0;
    // SAFETY: `status` is there to be written to.
    let pid = unsafe { libc::wait(&raw mut status) };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((Child(pid), libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))))
}

/// Ends this copy at once.
pub fn end_child(code: i32) -> ! {
    // SAFETY: nothing of the copy is needed any more.
    unsafe { libc::_exit(code) }
}
