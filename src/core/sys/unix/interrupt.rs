//! Calling a thread back from a blocking system call, by a signal that exists for nothing else.
//!
//! The JDK does the same to interrupt a thread that is blocked on a file (`libnio`, `NativeThread.c`):
//! an empty handler, installed without SA_RESTART, makes the system call fail with EINTR.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

/// The signal by which waiting threads are called back.
#[derive(Clone, Copy, Debug)]
pub struct Interrupts {
    signal: libc::c_int,
}

impl Interrupts {
    /// Claims a signal, once for this process. `None`: all of them are taken; then nobody may block.
    pub fn claim() -> Option<Self> {
        static CLAIMED: OnceLock<Option<libc::c_int>> = OnceLock::new();
        CLAIMED
            .get_or_init(|| candidates().into_iter().find(|&signal| install(signal)))
            .map(|signal| Self { signal })
    }

    /// The calling thread, which is about to block and may be interrupted.
    pub fn this_thread(self) -> WaitingThread {
        // SAFETY: pthread_self has no preconditions.
        WaitingThread { thread: unsafe { libc::pthread_self() }, signal: self.signal }
    }

    /// Prepares a thread of our own: it takes our signal and leaves the host's to the host's threads.
    pub fn prepare_thread(self) {
        let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset initialises the set; the numbers are valid; the old mask is not asked for.
        // Faults of the thread itself stay unblocked: blocking them is undefined.
        unsafe {
            libc::sigfillset(mask.as_mut_ptr());
            for signal in [
                self.signal,
                libc::SIGSEGV,
                libc::SIGBUS,
                libc::SIGFPE,
                libc::SIGILL,
                libc::SIGTRAP,
                libc::SIGABRT,
                // A sandbox's way to answer system calls.
                libc::SIGSYS,
            ] {
                libc::sigdelset(mask.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, mask.as_ptr(), ptr::null_mut());
        }
    }
}

/// A thread that is, or is about to be, blocked in the kernel.
#[derive(Clone, Copy, Debug)]
pub struct WaitingThread {
    thread: libc::pthread_t,
    signal: libc::c_int,
}

// SAFETY: a pthread_t names a thread to every thread of the process; it owns nothing.
unsafe impl Send for WaitingThread {}

impl WaitingThread {
    /// Makes the thread's blocking system call fail with EINTR. A signal that comes an instant before the
    /// call is lost, so it has to be sent again until the thread says that it is out.
    ///
    /// # Safety
    /// The thread must not have ended.
    pub unsafe fn interrupt(self) {
        // SAFETY: the caller vouches for the thread, and `claim` for the signal.
        unsafe { libc::pthread_kill(self.thread, self.signal) };
    }
}

/// The signals to choose from, best first.
///
/// Linux: the real-time signals from SIGRTMAX - 2 down, as the JDK's; the C library keeps the lowest for
/// itself, debuggers and profilers tend to the highest. Elsewhere: those that do nothing by default, so that
/// a stray one is harmless.
fn candidates() -> Vec<libc::c_int> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return (libc::SIGRTMIN() + 1..=libc::SIGRTMAX() - 2).rev().collect();
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return vec![libc::SIGIO, libc::SIGURG, libc::SIGWINCH];
}

/// Installs the empty handler, if nobody else has claimed the signal.
fn install(signal: libc::c_int) -> bool {
    extern "C" fn do_nothing(_: libc::c_int) {}

    let mut current = MaybeUninit::<libc::sigaction>::zeroed();
    let mut ours = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: both are plain C structures for which zeroes are a valid value; sigaction reads `ours`, whose
    // handler is a function that lives as long as this library, which is never unloaded, and which does
    // nothing that a signal handler may not do. No SA_RESTART: that is the point.
    unsafe {
        if libc::sigaction(signal, ptr::null(), current.as_mut_ptr()) != 0
            || current.assume_init_ref().sa_sigaction != libc::SIG_DFL
        {
            return false;
        }
        let ours = ours.assume_init_mut();
        ours.sa_sigaction = do_nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        libc::sigemptyset(&mut ours.sa_mask);
        libc::sigaction(signal, ours, ptr::null_mut()) == 0
    }
}
