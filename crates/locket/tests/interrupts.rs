//! Threads that wait in the kernel while their signals are lost, ignored or handled by other code. In a process of its
//! own, since signals are process-wide.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fs4::FileExt;
use locket::LockMode::Exclusive;
use locket::{CancelReason, Engine, Outcome};

mod support;

use support::{Pending, User, until, until_kernel_has_waiters};

/// How often a handler that is not ours was run.
static FOREIGN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn foreign(_: libc::c_int) {
    FOREIGN.fetch_add(1, Ordering::SeqCst);
}

fn real_time() -> impl Iterator<Item = libc::c_int> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// Sets what the process does at `signal`, if that is given. Returns what it did.
fn set_action(signal: libc::c_int, action: Option<&libc::sigaction>) -> libc::sigaction {
    // SAFETY: zeroes are a valid sigaction; handlers are those here or those that the system has returned.
    unsafe {
        let mut previous = mem::zeroed();
        let action = action.map_or(ptr::null(), ptr::from_ref);
        assert_eq!(libc::sigaction(signal, action, &raw mut previous), 0);
        previous
    }
}

fn action(handler: libc::sighandler_t, flags: libc::c_int) -> libc::sigaction {
    // SAFETY: zeroes are a valid sigaction.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    action
}

/// Returns the real-time signals that have a handler.
fn handled() -> Vec<libc::c_int> {
    let has_handler = |handler| ![libc::SIG_DFL, libc::SIG_IGN].contains(&handler);
    real_time().filter(|&signal| has_handler(set_action(signal, None).sa_sigaction)).collect()
}

/// Replaces each handler by one after which system calls are restarted.
fn replace_handlers() {
    until(|| !handled().is_empty());
    let handler = foreign as extern "C" fn(libc::c_int) as libc::sighandler_t;
    for signal in handled() {
        set_action(signal, Some(&action(handler, libc::SA_RESTART)));
    }
}

/// All signals by which a thread may be interrupted are ignored as long as this lives.
struct Ignored(Vec<(libc::c_int, libc::sigaction)>);

impl Ignored {
    fn new() -> Self {
        let ignore = action(libc::SIG_IGN, 0);
        let signals = real_time().chain([libc::SIGURG, libc::SIGWINCH]);
        Self(signals.map(|signal| (signal, set_action(signal, Some(&ignore)))).collect())
    }
}

impl Drop for Ignored {
    fn drop(&mut self) {
        for (signal, action) in &self.0 {
            set_action(*signal, Some(action));
        }
    }
}

/// A client that waits in the kernel for a lock that `other` has.
struct Waiting {
    user: User,
    other: File,
    _folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Waiting {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.lock");
        let other = File::create(&path).unwrap();
        let user = User::new(&Engine::new(), &path);
        user.acquire();
        user.release();
        FileExt::lock(&other).unwrap();
        Self { user, other, _folder: folder, _alone: alone }
    }

    /// Starts a request, which waits in the kernel when this returns.
    fn start(&self) -> Pending {
        let wait = self.user.start(Exclusive, |_| {});
        until_kernel_has_waiters(&self.other, 1);
        wait
    }

    fn abort(&self, wait: &Pending) {
        self.user.engine.cancel(&wait.request, CancelReason::Aborted);
        assert!(matches!(wait.outcome(), Outcome::Aborted));
    }

    /// Aborts a wait after `meanwhile`. Returns when it has left the kernel.
    fn interrupt_after(&self, meanwhile: impl FnOnce()) {
        let wait = self.start();
        meanwhile();
        self.abort(&wait);
        until_kernel_has_waiters(&self.other, 0);
        assert_eq!(FOREIGN.load(Ordering::SeqCst), 0, "a handler of other code was run");
    }

    /// Checks that the lock is acquired once the other one has released it.
    fn check_acquired(&self) {
        FileExt::unlock(&self.other).unwrap();
        self.user.acquire();
        assert!(self.user.release());
    }
}

#[test]
fn a_thread_is_interrupted_by_another_signal_if_the_handler_is_replaced_while_it_waits() {
    Waiting::new().interrupt_after(replace_handlers);
}

#[test]
fn another_signal_is_claimed_if_the_handler_was_replaced_before_the_wait() {
    let waiting = Waiting::new();
    replace_handlers();
    let before = handled().len();
    waiting.interrupt_after(|| assert_eq!(handled().len(), before + 1));
}

#[test]
fn a_thread_whose_signals_were_lost_is_interrupted_by_the_next() {
    let waiting = Waiting::new();
    let wait = waiting.start();
    let ignored = Ignored::new();
    waiting.abort(&wait);
    until_kernel_has_waiters(&waiting.other, 1);
    drop(ignored);
    until_kernel_has_waiters(&waiting.other, 0);
    waiting.check_acquired();
}

#[test]
fn an_abort_is_delivered_though_its_thread_cannot_be_interrupted_and_the_lock_is_released_when_it_comes() {
    let waiting = Waiting::new();
    let _ignored = Ignored::new();
    let wait = waiting.start();
    let begin = Instant::now();
    waiting.abort(&wait);
    assert!(begin.elapsed() >= Duration::from_millis(90), "the thread was not waited for");
    // The thread is still there. Requests that do not wait are answered.
    assert!(!waiting.user.try_acquire(Exclusive));
    FileExt::unlock(&waiting.other).unwrap();
    until_kernel_has_waiters(&waiting.other, 0);
    until(|| FileExt::try_lock(&waiting.other).is_ok());
    waiting.check_acquired();
}
