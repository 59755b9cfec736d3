//! A thread that cannot be called back from the kernel, as on a network mount that does not answer. In a process of
//! its own, since it makes the process deaf to the signal.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fs4::FileExt;
use locket::core::engine;
use locket::core::handle::Handle;
use locket::core::kernel::LockMode;
use locket::core::request::{Outcome, Owner, Purpose, Reason, Reply, Wish};
use locket::core::sys::Interrupts;

struct Replies(Mutex<Sender<Outcome>>);

impl Reply for Replies {
    fn deliver(&self, _: u64, outcome: Outcome) {
        self.0.lock().unwrap().send(outcome).unwrap();
    }
}

#[test]
fn the_rejection_goes_out_all_the_same_and_the_lock_is_given_up_when_it_comes() {
    assert!(Interrupts::claim().is_some());
    for signal in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        // SAFETY: ignoring a signal is always allowed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let other = File::create(&path).unwrap();
    FileExt::lock(&other).unwrap();

    let handle = Arc::new(Handle::new(path, 0o666, false));
    let owner = Arc::new(Owner::on_this_thread());
    let start = |purpose| {
        let (sender, outcome) = channel();
        let request = engine::start(Wish {
            handle: handle.clone(),
            mode: LockMode::Exclusive,
            purpose,
            deadline: None,
            blocks_owner: false,
            owner: owner.clone(),
            reply: Arc::new(Replies(Mutex::new(sender))),
            token: 0,
        });
        (request, outcome)
    };
    let patience = Duration::from_secs(20);

    let (request, outcome) = start(Purpose::Acquire);
    assert!(outcome.recv_timeout(Duration::from_millis(50)).is_err());
    let begin = Instant::now();
    engine::cancel(&request, Reason::Aborted);
    assert!(matches!(outcome.recv_timeout(patience), Ok(Outcome::Aborted)));
    assert!(begin.elapsed() >= Duration::from_millis(90), "not confirmed, and yet it did not wait to be");
    assert!(begin.elapsed() < Duration::from_secs(5));

    // The thread is still stuck there. Those who do not wait are answered nevertheless.
    let (_, outcome) = start(Purpose::TryAcquire);
    assert!(matches!(outcome.recv_timeout(patience), Ok(Outcome::TimedOut)));

    FileExt::unlock(&other).unwrap();
    let end = Instant::now() + patience;
    while FileExt::try_lock(&other).is_err() {
        assert!(Instant::now() < end, "the lock came to the thread, and was not given up");
        std::thread::yield_now();
    }
    FileExt::unlock(&other).unwrap();

    let (request, outcome) = start(Purpose::Acquire);
    assert!(matches!(outcome.recv_timeout(patience), Ok(Outcome::Granted)));
    engine::conclude(&request, true);
    assert!(engine::release(&handle));
}
