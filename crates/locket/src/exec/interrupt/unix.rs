//! Calling a thread back from a blocking system call, by a signal that exists for nothing else.
//!
//! The JDK does the same to interrupt a thread that is blocked on a file (`libnio`, `NativeThread.c`):
//! an empty handler, installed without SA_RESTART, makes the system call fail with EINTR.
//!
//! There is a second signal, claimed when the first fails: the system may not be able to queue it, and other code of the
//! process may have put its own handler in place of ours.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

/// The means to call waiting threads back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupts(());

#[expect(clippy::unused_self, reason = "to have it is to have claimed a signal")]
impl Interrupts {
    /// Claims a signal for this process, unless it has one. Returns `None` if none was ever free: then no thread may
    /// block.
    pub(crate) fn claim() -> Option<Self> {
        // Miri has no signals.
        if cfg!(miri) {
            return None;
        }
        (Way::First.signal().is_some() || CLAIMED[0].load(Ordering::Acquire) != 0).then_some(Self(()))
    }

    /// The calling thread, which is about to block and may be interrupted.
    pub(crate) fn this_thread(self) -> WaitingThread {
        // It differs from the one at the start of the thread if somebody has taken that since. Without one, the thread
        // is called back by the second way alone.
        let signal = Way::First.signal().unwrap_or(0);
        change_mask(libc::SIG_UNBLOCK, |set| {
            for signal in signals_of(signal) {
                // SAFETY: the set is initialised, and the number is valid.
                unsafe { libc::sigaddset(set, signal) };
            }
        });
        // SAFETY: pthread_self has no preconditions.
        WaitingThread { thread: unsafe { libc::pthread_self() }, signal }
    }

    /// Prepares a thread of our own: it takes our signals and leaves the host's to the host's threads.
    pub(crate) fn prepare_thread(self) {
        // Blocking them is undefined; the last one is a sandbox's way to answer system calls.
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
                for signal in signals_of(Way::First.signal().unwrap_or(0)).chain(FAULTS) {
                    libc::sigdelset(set, signal);
                }
            }
        });
    }
}

/// Changes the signals that the calling thread blocks, by the set that `fill` makes of an empty one.
fn change_mask(how: libc::c_int, fill: impl FnOnce(*mut libc::sigset_t)) {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set; the old mask is not asked for.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        fill(set.as_mut_ptr());
        libc::pthread_sigmask(how, set.as_ptr(), ptr::null_mut());
    }
}

/// The signals by which a thread may be called back: `first`, unless it is 0, and all that may become the second way.
fn signals_of(first: libc::c_int) -> impl Iterator<Item = libc::c_int> {
    HARMLESS.into_iter().chain((first != 0).then_some(first))
}

/// A thread that is, or is about to be, blocked in the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingThread {
    thread: libc::pthread_t,
    /// The first way to call it back, or 0.
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
    pub(crate) unsafe fn interrupt(self) {
        // SAFETY: the caller vouches for the thread; the signals are ours, so nobody else's handler is run.
        let sent = |signal| unsafe { libc::pthread_kill(self.thread, signal) } == 0;
        // EAGAIN: no more signals of this kind can be queued. Signals of the second way need no queue.
        if !(is_ours(self.signal) && sent(self.signal))
            && let Some(second) = Way::Second.signal()
        {
            sent(second);
        }
    }
}

/// A way to call threads back: one signal at a time.
#[derive(Clone, Copy)]
enum Way {
    First,
    Second,
}

/// The signals that were claimed last, for each way. 0: none.
static CLAIMED: [AtomicI32; 2] = [AtomicI32::new(0), AtomicI32::new(0)];

/// Signals that do nothing by default, so that a stray one is harmless, best first.
#[cfg(any(target_os = "linux", target_os = "android"))]
const HARMLESS: [libc::c_int; 2] = [libc::SIGURG, libc::SIGWINCH];
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const HARMLESS: [libc::c_int; 3] = [libc::SIGIO, libc::SIGURG, libc::SIGWINCH];

impl Way {
    /// The signal of this way. Claims one if there is none, or if somebody has taken it since.
    fn signal(self) -> Option<libc::c_int> {
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

    /// The signals to choose from, best first.
    ///
    /// Linux: the real-time signals from SIGRTMAX - 2 down, as the JDK's; the C library keeps the lowest for
    /// itself, debuggers and profilers tend to the highest.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn candidates(self) -> Vec<libc::c_int> {
        match self {
            Self::First => (libc::SIGRTMIN() + 1..=libc::SIGRTMAX() - 2).rev().collect(),
            Self::Second => HARMLESS.to_vec(),
        }
    }

    /// The signals to choose from, best first.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn candidates(self) -> Vec<libc::c_int> {
        HARMLESS.to_vec()
    }
}

/// What is done at a signal of ours: nothing. A wait that it interrupts ends.
fn handler() -> libc::sighandler_t {
    extern "C" fn do_nothing(_: libc::c_int) {}
    do_nothing as extern "C" fn(libc::c_int) as libc::sighandler_t
}

/// What the process does at `signal`. `None`: there is no such signal.
fn action_at(signal: libc::c_int) -> Option<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a plain C structure for which zeroes are a valid value, and which is ours to write; nothing is changed.
    unsafe { (libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0).then(|| action.assume_init()) }
}

/// Returns whether our handler is installed, and ends the waits that it interrupts.
fn is_ours(signal: libc::c_int) -> bool {
    signal != 0
        && action_at(signal)
            .is_some_and(|action| action.sa_sigaction == handler() && action.sa_flags & libc::SA_RESTART == 0)
}

/// Installs the empty handler, if nobody else has claimed the signal.
fn install(signal: libc::c_int) -> bool {
    if action_at(signal).is_none_or(|action| action.sa_sigaction != libc::SIG_DFL) {
        return false;
    }
    let mut ours = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a plain C structure for which zeroes are a valid value; sigaction reads `ours`, whose
    // handler is a function that lives as long as this library, which is never unloaded, and which does
    // nothing that a signal handler may not do. No SA_RESTART: that is the point.
    unsafe {
        let ours = ours.assume_init_mut();
        ours.sa_sigaction = handler();
        libc::sigemptyset(&raw mut ours.sa_mask);
        libc::sigaction(signal, ours, ptr::null_mut()) == 0
    }
}
