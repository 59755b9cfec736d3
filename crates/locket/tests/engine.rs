//! The engine as its clients use it, on real files, with threads in place of JavaScript environments.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fs4::FileExt;
use locket::LockMode::{Exclusive, Shared};
use locket::{CancelReason, Engine, Outcome};

mod support;

use support::User;

/// The ways in which an engine may wait.
fn engines() -> [Arc<Engine>; 2] {
    [Engine::new(), Engine::paced()]
}

#[test]
fn threads_exclude_each_other_and_lose_no_update() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let engine = Engine::new();
    let inside = AtomicBool::new(false);
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let user = User::new(&engine, &path);
                for _ in 0..ROUNDS {
                    user.acquire();
                    assert!(!inside.swap(true, Ordering::SeqCst), "two at once");
                    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    inside.store(false, Ordering::SeqCst);
                    assert!(user.release());
                }
            });
        }
    });
    assert_eq!(count.load(Ordering::Relaxed), THREADS * ROUNDS);
}

#[test]
fn a_file_that_is_locked_by_other_code_is_waited_for_and_the_other_way_round() {
    for engine in engines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.lock");
        let other = File::create(&path).unwrap();
        let user = User::new(&engine, &path);

        user.acquire();
        assert!(FileExt::try_lock(&other).is_err());
        assert!(user.release());

        FileExt::lock(&other).unwrap();
        assert!(!user.try_acquire(Exclusive));
        let wait = user.start(Exclusive, |_| {});
        wait.until_queued(&engine);
        assert!(wait.outcome_now().is_none());
        FileExt::unlock(&other).unwrap();
        assert!(matches!(wait.outcome(), Outcome::Granted));
        assert!(user.release());
        assert!(!user.release());
    }
}

#[test]
fn two_engines_exclude_each_other_and_each_has_a_table_of_its_own() {
    for engines in [engines(), [Engine::new(), Engine::new()]] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.lock");
        let [first, second] = engines.each_ref().map(|engine| User::new(engine, &path));
        first.acquire();
        assert!(!second.try_acquire(Shared));
        let wait = second.start(Exclusive, |_| {});
        wait.until_queued(&second.engine);
        assert!(!second.release(), "it has released what the other engine holds");
        let counts = || {
            engines.each_ref().map(|engine| {
                let snapshot = engine.snapshot(Vec::new());
                (snapshot.held.len(), snapshot.pending.len())
            })
        };
        assert_eq!(counts(), [(1, 0), (0, 1)]);
        assert!(first.release());
        assert!(matches!(wait.outcome(), Outcome::Granted));
        assert_eq!(counts(), [(0, 0), (1, 0)]);
        assert!(!first.try_acquire(Shared));
        assert!(second.release());
    }
}

#[test]
fn a_wait_ends_at_its_deadline_or_when_it_is_cancelled() {
    for engine in engines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.lock");
        let other = File::create(&path).unwrap();
        FileExt::lock(&other).unwrap();
        let user = User::new(&engine, &path);

        let deadline = Instant::now() + Duration::from_millis(30);
        let wait = user.start(Exclusive, |options| options.deadline = Some(deadline));
        assert!(matches!(wait.outcome(), Outcome::TimedOut(None)));
        assert!(Instant::now() >= deadline);

        let wait = user.start(Shared, |_| {});
        wait.until_queued(&engine);
        engine.cancel(&wait.request, CancelReason::Aborted);
        assert!(matches!(wait.outcome(), Outcome::Aborted));
        assert!(engine.snapshot(Vec::new()).pending.is_empty());
        FileExt::unlock(&other).unwrap();
        user.acquire();
    }
}

#[test]
fn the_end_of_a_client_releases_what_it_holds_and_cancels_what_it_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let engine = Engine::new();
    let [ending, behind] = [User::new(&engine, &path), User::new(&engine, &path)];
    ending.acquire();
    let second = ending.with_another_handle();
    let gone = second.start(Exclusive, |_| {});
    let wait = behind.start(Exclusive, |_| {});
    gone.until_queued(&engine);
    wait.until_queued(&engine);
    engine.end(&ending.client);
    assert!(matches!(gone.outcome(), Outcome::Aborted));
    assert!(matches!(wait.outcome(), Outcome::Granted));
    assert!(!ending.handle.is_held());
    assert!(behind.release());
    let late = second.start(Exclusive, |options| options.blocking = false);
    assert!(matches!(late.outcome(), Outcome::Aborted), "a client that has ended was granted a lock");
}

#[test]
fn more_waits_than_threads_may_block_all_come_and_go() {
    const FILES: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::new();
    let paths: Vec<_> = (0..FILES).map(|i| folder.path().join(i.to_string())).collect();
    let others: Vec<_> = paths.iter().map(|path| File::create(path).unwrap()).collect();
    for other in &others {
        FileExt::lock(other).unwrap();
    }
    let users: Vec<_> = paths.iter().chain(&paths).map(|path| User::new(&engine, path)).collect();
    let start = || -> Vec<_> { users.iter().map(|user| user.start(Exclusive, |_| {})).collect() };
    for _ in 0..10 {
        let waits = start();
        for wait in &waits {
            engine.cancel(&wait.request, CancelReason::Aborted);
        }
        assert!(waits.iter().all(|wait| matches!(wait.outcome(), Outcome::Aborted)));
    }
    let waits = start();
    for other in &others {
        FileExt::unlock(other).unwrap();
    }
    for (user, wait) in users.iter().zip(&waits) {
        assert!(matches!(wait.outcome(), Outcome::Granted));
        assert!(user.release());
    }
}

#[cfg(target_os = "linux")]
mod on_linux {
    use std::fs;

    use locket::CompletionSink;

    use super::support::{until, until_kernel_has_waiters};
    use super::*;

    /// Panics when the lock has come, before the path is checked.
    struct Broken(Arc<dyn CompletionSink>);

    impl CompletionSink for Broken {
        fn complete(&self, token: u64, outcome: Outcome) {
            self.0.complete(token, outcome);
        }

        fn wake_early(&self) {
            panic!("on purpose");
        }
    }

    #[test]
    fn a_panic_while_a_thread_waits_leaves_neither_the_lock_nor_the_file_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.lock");
        let other = File::create(&path).unwrap();
        FileExt::lock(&other).unwrap();
        let user = User::new(&Engine::new(), &path);
        let wait = user.start(Exclusive, |options| options.sink = Arc::new(Broken(options.sink.clone())));
        until_kernel_has_waiters(&other, 1);
        FileExt::unlock(&other).unwrap();
        assert!(matches!(wait.outcome(), Outcome::Panicked));
        FileExt::lock(&other).unwrap();
        drop(other);

        until(|| {
            let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
            !descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| target == path)
        });
    }
}
