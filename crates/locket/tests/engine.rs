//! The core as its users have it, on real files, with threads in the place of JavaScript environments.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fs4::FileExt;
use locket::core::engine;
use locket::core::handle::Handle;
use locket::core::kernel::LockMode;
use locket::core::request::{Outcome, Purpose, Reason, Reply};

mod support;

use support::{PATIENCE, Replies, User};

#[test]
fn threads_exclude_each_other_and_lose_no_update() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let inside = AtomicBool::new(false);
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let user = User::new(&path);
                for _ in 0..ROUNDS {
                    user.acquire();
                    assert!(!inside.swap(true, Ordering::SeqCst), "two at once");
                    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    inside.store(false, Ordering::SeqCst);
                    assert!(engine::release(&user.handle).is_some());
                }
            });
        }
    });
    assert_eq!(count.load(Ordering::Relaxed), THREADS * ROUNDS);
}

#[test]
fn whoever_locks_the_file_by_other_means_is_excluded_and_excludes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let other = File::create(&path).unwrap();
    let user = User::new(&path);

    user.acquire();
    assert!(FileExt::try_lock(&other).is_err());
    assert!(engine::release(&user.handle).is_some());

    FileExt::lock(&other).unwrap();
    let wait = user.start(LockMode::Exclusive, Purpose::Acquire, None);
    assert!(wait.is_pending());
    FileExt::unlock(&other).unwrap();
    assert!(matches!(wait.outcome(), Outcome::Granted));
    assert!(engine::release(&user.handle).is_some());
    assert!(engine::release(&user.handle).is_none());
}

#[test]
fn a_wait_ends_at_its_deadline_or_when_it_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let other = File::create(&path).unwrap();
    FileExt::lock(&other).unwrap();
    let user = User::new(&path);

    let wait = user.start(LockMode::Exclusive, Purpose::Acquire, Some(Duration::from_millis(30)));
    assert!(matches!(wait.outcome(), Outcome::TimedOut));

    let wait = user.start(LockMode::Shared, Purpose::Acquire, None);
    assert!(wait.is_pending());
    engine::cancel(&wait.request, Reason::Aborted);
    assert!(matches!(wait.outcome(), Outcome::Aborted));

    let wait = user.start(LockMode::Exclusive, Purpose::Probe, None);
    assert!(matches!(wait.outcome(), Outcome::Probed(true)));
    FileExt::unlock(&other).unwrap();
    let wait = user.start(LockMode::Exclusive, Purpose::Probe, None);
    assert!(matches!(wait.outcome(), Outcome::Probed(false)));
}

#[test]
fn the_end_of_an_owner_releases_what_it_holds_and_leaves_the_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let [ending, behind] = [User::new(&path), User::new(&path)];
    ending.acquire();
    let second = User {
        handle: Arc::new(Handle::new(path.clone(), 0o666, false, false)),
        owner: ending.owner.clone(),
    };
    let gone = second.start(LockMode::Exclusive, Purpose::Acquire, None);
    let wait = behind.start(LockMode::Exclusive, Purpose::Acquire, None);
    assert!(gone.is_pending() && wait.is_pending());
    engine::end(&ending.owner);
    assert!(matches!(wait.outcome(), Outcome::Granted));
    assert!(!ending.handle.held());
    assert!(engine::release(&behind.handle).is_some());
    let late = second.start(LockMode::Exclusive, Purpose::TryAcquire, None);
    assert!(!matches!(late.outcome(), Outcome::Granted), "an owner that has ended was granted a lock");
}

#[test]
fn more_waits_than_threads_may_block_all_come_and_go() {
    const FILES: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..FILES).map(|i| folder.path().join(i.to_string())).collect();
    let others: Vec<_> = paths.iter().map(|path| File::create(path).unwrap()).collect();
    for other in &others {
        FileExt::lock(other).unwrap();
    }
    let users: Vec<_> = paths.iter().chain(&paths).map(|path| User::new(path)).collect();
    let start = || -> Vec<_> {
        users.iter().map(|user| user.start(LockMode::Exclusive, Purpose::Acquire, None)).collect()
    };
    for _ in 0..10 {
        let waits = start();
        for wait in &waits {
            engine::cancel(&wait.request, Reason::Aborted);
        }
        assert!(waits.iter().all(|wait| matches!(wait.outcome(), Outcome::Aborted)));
    }
    let waits = start();
    for other in &others {
        FileExt::unlock(other).unwrap();
    }
    for (user, wait) in users.iter().zip(&waits) {
        assert!(matches!(wait.outcome(), Outcome::Granted));
        assert!(engine::release(&user.handle).is_some());
    }
}

/// Panics when the lock has come, before the path is looked at.
#[cfg(target_os = "linux")]
struct Broken(Replies);

#[cfg(target_os = "linux")]
impl Reply for Broken {
    fn deliver(&self, token: u64, outcome: Outcome) {
        self.0.deliver(token, outcome);
    }

    fn announce(&self) {
        panic!("on purpose");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_panic_while_a_thread_waits_leaves_neither_the_lock_nor_the_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let other = File::create(&path).unwrap();
    FileExt::lock(&other).unwrap();
    let user = User::new(&path);
    let wait = user.start_telling(LockMode::Exclusive, Purpose::Acquire, None, Broken);
    assert!(wait.is_pending());
    FileExt::unlock(&other).unwrap();
    assert!(matches!(wait.outcome(), Outcome::Panicked));
    FileExt::lock(&other).unwrap();
    drop(other);

    let descriptors = || {
        let entries = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| entry.ok());
        entries
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .filter(|target| *target == path)
            .count()
    };
    let end = Instant::now() + PATIENCE;
    while descriptors() > 0 {
        assert!(Instant::now() < end, "the file is open for ever");
        thread::yield_now();
    }
}
