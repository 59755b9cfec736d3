//! Interrupting a blocking system call of another thread, by a signal that exists for nothing else.
//!
//! The JDK does the same to interrupt a thread that is blocked on a file (`libnio`, `NativeThread.c`): an empty handler,
//! installed without SA_RESTART, makes the system call fail with EINTR.
//!
//! A second signal is claimed when the first fails: the system may not be able to queue it, or other code of the process
//! has replaced our handler.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Interrupts of threads that block in the kernel. A value of it exists only after a signal has been claimed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupts(());

#[expect(clippy::unused_self, reason = "a signal has to be claimed first")]
impl Interrupts {
    /// Claims a signal for this process, unless it has one. Returns `None` if none was ever free: then no thread may
    /// block.
    pub(crate) fn claim() -> Option<Self> {
        // Miri has no signals.
        if cfg!(miri) {
            return None;
        }
        (Rank::First.claim().is_some() || CLAIMED[0].load(Ordering::Acquire) != 0).then_some(Self(()))
    }

    /// Returns the calling thread, which is about to block and may be interrupted from now on.
    pub(crate) fn this_thread(self) -> WaitingThread {
        // It differs from that at the start of the thread if other code has taken that one. Without it, the thread is
        // interrupted by the second signal only.
        let signal = Rank::First.claim().unwrap_or(0);
        change_mask(libc::SIG_UNBLOCK, |set| {
            for signal in signals_of(signal) {
                // SAFETY: the set is initialised, and the number is valid.
                unsafe { libc::sigaddset(set, signal) };
            }
        });
        // SAFETY: pthread_self has no preconditions.
        WaitingThread { thread: unsafe { libc::pthread_self() }, signal }
    }

    /// Prepares the calling thread, which is one of this library: it receives our signals, and blocks the host's.
    #[cfg(not(loom))]
    pub(crate) fn prepare_thread(self) {
        // Blocking them is undefined. A sandbox answers system calls by the last one.
        const FAULTS: [libc::c_int; 7] = [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGABRT,
            libc::SIGSYS,
        ];
        change_mask(libc::SIG_SETMASK, |set| {
            // SAFETY: the set is initialised, and the numbers are valid.
            unsafe {
                libc::sigfillset(set);
                for signal in signals_of(Rank::First.claim().unwrap_or(0)).chain(FAULTS) {
                    libc::sigdelset(set, signal);
                }
            }
        });
    }
}

/// Changes which signals the calling thread blocks, by the set that `fill` makes of an empty one.
fn change_mask(how: libc::c_int, fill: impl FnOnce(*mut libc::sigset_t)) {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set; no old mask is returned.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        fill(set.as_mut_ptr());
        libc::pthread_sigmask(how, set.as_ptr(), ptr::null_mut());
    }
}

/// Returns the signals by which a thread may be interrupted: `first`, unless it is 0, and all that may become the second.
fn signals_of(first: libc::c_int) -> impl Iterator<Item = libc::c_int> {
    HARMLESS.into_iter().chain((first != 0).then_some(first))
}

/// A thread that is, or is about to be, blocked in the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingThread {
    thread: libc::pthread_t,
    /// The first signal, or 0.
    signal: libc::c_int,
}

// SAFETY: a pthread_t names a thread to every thread of the process; it owns nothing.
unsafe impl Send for WaitingThread {}

impl WaitingThread {
    /// Makes the blocking system call of the thread fail with EINTR. A signal that arrives an instant before the call is
    /// lost, so this has to be repeated until the thread has left the call.
    ///
    /// # Safety
    /// The thread must not have ended.
    pub(crate) unsafe fn interrupt(self) {
        // SAFETY: the caller guarantees that the thread lives; the signals are ours, so no foreign handler runs.
        let sent = |signal| unsafe { libc::pthread_kill(self.thread, signal) } == 0;
        // EAGAIN: no more real-time signals can be queued. The second signal needs no queue.
        if !(is_ours(self.signal) && sent(self.signal))
            && let Some(second) = Rank::Second.claim()
        {
            sent(second);
        }
    }
}

/// Which signal interrupts a thread: the second one does if the first fails.
#[derive(Clone, Copy)]
enum Rank {
    First,
    Second,
}

/// The signals that were claimed last, for each rank. 0: none.
static CLAIMED: [AtomicI32; 2] = [AtomicI32::new(0), AtomicI32::new(0)];

/// Signals that do nothing by default, so that a stray one is harmless, best first.
#[cfg(any(target_os = "linux", target_os = "android"))]
const HARMLESS: [libc::c_int; 2] = [libc::SIGURG, libc::SIGWINCH];
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const HARMLESS: [libc::c_int; 3] = [libc::SIGIO, libc::SIGURG, libc::SIGWINCH];

impl Rank {
    /// Returns the signal of this rank. Claims one if there is none, or other code has taken it.
    fn claim(self) -> Option<libc::c_int> {
        static CLAIMING: Mutex<()> = Mutex::new(());
        let [own, other] = match self {
            Self::First => [&CLAIMED[0], &CLAIMED[1]],
            Self::Second => [&CLAIMED[1], &CLAIMED[0]],
        };
        let claimed = || Some(own.load(Ordering::Acquire)).filter(|&signal| is_ours(signal));
        claimed().or_else(|| {
            let _claiming = CLAIMING.lock().unwrap_or_else(PoisonError::into_inner);
            claimed().or_else(|| {
                let others = other.load(Ordering::Acquire);
                let free = |&signal: &libc::c_int| signal != others && (is_ours(signal) || install(signal));
                let found = self.candidates().into_iter().find(free);
                if let Some(signal) = found {
                    own.store(signal, Ordering::Release);
                }
                found
            })
        })
    }

    /// Returns the signals to choose from, best first.
    ///
    /// Linux: the real-time signals from SIGRTMAX - 2 down, as in the JDK. The C library reserves the lowest; debuggers and
    /// profilers often use the highest.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn candidates(self) -> Vec<libc::c_int> {
        match self {
            Self::First => (libc::SIGRTMIN() + 1..=libc::SIGRTMAX() - 2).rev().collect(),
            Self::Second => HARMLESS.to_vec(),
        }
    }

    /// Returns the signals to choose from, best first.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[expect(clippy::unused_self, reason = "Linux needs it")]
    fn candidates(self) -> Vec<libc::c_int> {
        HARMLESS.to_vec()
    }
}

/// Returns our handler, which does nothing: that a signal arrives ends the wait.
fn handler() -> libc::sighandler_t {
    extern "C" fn do_nothing(_: libc::c_int) {}
    do_nothing as extern "C" fn(libc::c_int) as libc::sighandler_t
}

/// Returns what the process does at `signal`, or `None` if there is no such signal.
fn action_at(signal: libc::c_int) -> Option<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroes are a valid value of this C structure, which sigaction fills; nothing else is changed.
    unsafe { (libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0).then(|| action.assume_init()) }
}

/// Returns true if our handler is installed, without SA_RESTART.
fn is_ours(signal: libc::c_int) -> bool {
    signal != 0
        && action_at(signal)
            .is_some_and(|action| action.sa_sigaction == handler() && action.sa_flags & libc::SA_RESTART == 0)
}

/// Installs our handler, unless other code has claimed the signal. Returns true if it is installed.
fn install(signal: libc::c_int) -> bool {
    if action_at(signal).is_none_or(|action| action.sa_sigaction != libc::SIG_DFL) {
        return false;
    }
    let mut ours = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroes are a valid value of this C structure. Its handler does nothing, and exists as long as this library,
    // which is never unloaded. Without SA_RESTART, so that system calls fail.
    unsafe {
        let ours = ours.assume_init_mut();
        ours.sa_sigaction = handler();
        libc::sigemptyset(&raw mut ours.sa_mask);
        libc::sigaction(signal, ours, ptr::null_mut()) == 0
    }
}
