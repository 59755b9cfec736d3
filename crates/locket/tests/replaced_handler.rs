//! Other code of the process puts its own handler in place of ours. In a process of its own, whose handlers it replaces.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use fs4::FileExt;
use locket::core::engine;
use locket::core::kernel::LockMode;
use locket::core::request::{Outcome, Purpose, Reason};
use locket::core::sys::Interrupts;

mod support;

use support::{PATIENCE, User};

/// The handlers are the whole process's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often a handler that is not ours was run.
static FOREIGN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn foreign(_: libc::c_int) {
    FOREIGN.fetch_add(1, Ordering::SeqCst);
}

/// The real-time signals that have a handler now.
fn handled() -> Vec<libc::c_int> {
    (libc::SIGRTMIN()..=libc::SIGRTMAX())
        .filter(|&signal| {
            // SAFETY: zeroes are a valid sigaction, and nothing is changed.
            unsafe {
                let mut action: libc::sigaction = mem::zeroed();
                assert_eq!(libc::sigaction(signal, ptr::null(), &mut action), 0);
                ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction)
            }
        })
        .collect()
}

/// Puts a handler after which system calls go on in place of each that there is.
fn replace_handlers() {
    let signals = handled();
    assert!(!signals.is_empty());
    for signal in signals {
        // SAFETY: zeroes are a valid sigaction, and the handler does nothing that a handler may not do.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = foreign as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0);
        }
    }
}

/// A lock that somebody else holds.
struct Held {
    path: PathBuf,
    other: File,
    _folder: tempfile::TempDir,
}

impl Held {
    fn new() -> Self {
        assert!(Interrupts::claim().is_some());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.lock");
        let other = File::create(&path).unwrap();
        FileExt::lock(&other).unwrap();
        Self { path, other, _folder: folder }
    }

    /// Returns once somebody waits in the kernel, or nobody does: its table has a line with an arrow for each.
    fn until_waited_for(&self, expected: bool) {
        let inode = format!(":{} ", self.other.metadata().unwrap().ino());
        let end = Instant::now() + PATIENCE;
        loop {
            let table = fs::read_to_string("/proc/locks").unwrap();
            if table.lines().any(|line| line.contains("->") && line.contains(&inode)) == expected {
                return;
            }
            assert!(Instant::now() < end, "waiting in the kernel: still {}", !expected);
            std::thread::yield_now();
        }
    }

    /// Somebody waits in the kernel, gives up after `meanwhile`, and leaves the kernel.
    fn is_left(&self, meanwhile: impl FnOnce()) {
        let user = User::new(&self.path);
        let wait = user.start(LockMode::Exclusive, Purpose::Acquire, None);
        self.until_waited_for(true);
        meanwhile();
        engine::cancel(&wait.request, Reason::Aborted);
        assert!(matches!(wait.outcome(), Outcome::Aborted));
        self.until_waited_for(false);
    }
}

#[test]
fn a_thread_is_called_back_by_another_signal_if_the_handler_is_replaced_while_it_waits() {
    let _alone = alone();
    let held = Held::new();
    held.is_left(replace_handlers);
    assert_eq!(FOREIGN.load(Ordering::SeqCst), 0, "somebody else's handler was run");
}

#[test]
fn another_signal_is_taken_if_the_handler_was_replaced_before_the_wait() {
    let _alone = alone();
    let held = Held::new();
    replace_handlers();
    let before = handled();
    held.is_left(|| assert_eq!(handled().len(), before.len() + 1));
    assert_eq!(FOREIGN.load(Ordering::SeqCst), 0, "somebody else's handler was run");
}
