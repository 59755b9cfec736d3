//! A thread that cannot be called back from the kernel, as on a network mount that does not answer. In a process of
//! its own, since it makes the process deaf to the signal.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::time::{Duration, Instant};

use fs4::FileExt;
use locket::core::engine;
use locket::core::kernel::LockMode;
use locket::core::request::{Outcome, Purpose, Reason};
use locket::core::sys::Interrupts;

mod support;

use support::{PATIENCE, User};

#[test]
fn the_rejection_goes_out_all_the_same_and_the_lock_is_given_up_when_it_comes() {
    assert!(Interrupts::claim().is_some());
    for signal in (libc::SIGRTMIN()..=libc::SIGRTMAX()).chain([libc::SIGURG, libc::SIGWINCH]) {
        // SAFETY: ignoring a signal is always allowed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let other = File::create(&path).unwrap();
    FileExt::lock(&other).unwrap();
    let user = User::new(&path);

    let wait = user.start(LockMode::Exclusive, Purpose::Acquire, None);
    assert!(wait.is_pending());
    let begin = Instant::now();
    engine::cancel(&wait.request, Reason::Aborted);
    assert!(matches!(wait.outcome(), Outcome::Aborted));
    assert!(begin.elapsed() >= Duration::from_millis(90), "not confirmed, and yet it did not wait to be");

    // The thread is still stuck there. Those who do not wait are answered nevertheless.
    let wait = user.start(LockMode::Exclusive, Purpose::TryAcquire, None);
    assert!(matches!(wait.outcome(), Outcome::TimedOut));

    FileExt::unlock(&other).unwrap();
    let end = Instant::now() + PATIENCE;
    while FileExt::try_lock(&other).is_err() {
        assert!(Instant::now() < end, "the lock came to the thread, and was not given up");
        std::thread::yield_now();
    }
    FileExt::unlock(&other).unwrap();

    user.acquire();
    assert!(engine::release(&user.handle).is_some());
}
