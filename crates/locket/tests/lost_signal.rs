//! A signal that comes an instant before the system call is lost. In a process of its own, since for a while it makes
//! the process deaf to the signal.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::ptr;
use std::time::Instant;

use fs4::FileExt;
use locket::core::engine;
use locket::core::kernel::LockMode;
use locket::core::request::{Outcome, Purpose, Reason};
use locket::core::sys::Interrupts;

mod support;

use support::{PATIENCE, User};

/// Replaces what the process does at every signal by which a thread may be called back. Returns what it did.
fn replace_handlers(with: &[libc::sigaction]) -> Vec<libc::sigaction> {
    (libc::SIGRTMIN()..=libc::SIGRTMAX())
        .chain([libc::SIGURG, libc::SIGWINCH])
        .zip(with.iter().cycle())
        .map(|(signal, action)| {
            // SAFETY: zeroes are a valid sigaction; `action` is one, or one that the system has given us before.
            unsafe {
                let mut previous = mem::zeroed();
                assert_eq!(libc::sigaction(signal, action, ptr::from_mut(&mut previous)), 0);
                previous
            }
        })
        .collect()
}

#[test]
fn a_thread_whose_signal_was_lost_is_called_back_by_the_next() {
    assert!(Interrupts::claim().is_some());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let other = File::create(&path).unwrap();
    FileExt::lock(&other).unwrap();
    let inode = other.metadata().unwrap().ino();
    // The kernel's table has a line with an arrow for each that waits.
    let waits_in_kernel = || {
        fs::read_to_string("/proc/locks")
            .unwrap()
            .lines()
            .any(|line| line.contains("->") && line.contains(&format!(":{inode} ")))
    };
    let wait_until = |waits: bool| {
        let end = Instant::now() + PATIENCE;
        while waits_in_kernel() != waits {
            assert!(Instant::now() < end, "waiting in the kernel: still {}", !waits);
            std::thread::yield_now();
        }
    };

    let user = User::new(&path);
    let wait = user.start(LockMode::Exclusive, Purpose::Acquire, None);
    wait_until(true);
    // SAFETY: zeroes are a valid sigaction.
    let mut ignore: libc::sigaction = unsafe { mem::zeroed() };
    ignore.sa_sigaction = libc::SIG_IGN;
    let handlers = replace_handlers(&[ignore]);
    engine::cancel(&wait.request, Reason::Aborted);
    assert!(matches!(wait.outcome(), Outcome::Aborted));
    assert!(waits_in_kernel(), "the signal was not lost");
    replace_handlers(&handlers);
    wait_until(false);
    FileExt::unlock(&other).unwrap();
    user.acquire();
    assert!(engine::release(&user.handle).is_some());
}
