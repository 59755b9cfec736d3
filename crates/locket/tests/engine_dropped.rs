//! Engines that are dropped while their clients hold locks and wait for them, also on one of their own threads.

use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fs4::FileExt;
use locket::LockMode::{Exclusive, Shared};
use locket::{CompletionSink, Engine, Outcome};

mod support;

use support::{PATIENCE, User};

thread_local! {
    /// Dropped when its thread ends.
    static AT_END: RefCell<Option<Sender<Outcome>>> = const { RefCell::new(None) };
}

/// Drops its engine when the outcome comes. The sender is dropped at the end of the thread on which that happens.
struct Last(Mutex<Option<(Arc<Engine>, Sender<Outcome>)>>);

impl CompletionSink for Last {
    fn complete(&self, _: u64, outcome: Outcome) {
        let (engine, sender) = self.0.lock().unwrap().take().unwrap();
        sender.send(outcome).unwrap();
        AT_END.set(Some(sender));
        drop(engine);
    }
}

/// A lock file that other code has open.
struct Other {
    path: PathBuf,
    file: File,
    _folder: tempfile::TempDir,
}

impl Other {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.lock");
        Self { file: File::create(&path).unwrap(), path, _folder: folder }
    }
}

/// Starts a request for the lock, and drops the engine, except for what the sink of the request has.
fn start_last(engine: Arc<Engine>, other: &Other, timeout: Option<Duration>) -> Receiver<Outcome> {
    let (sender, outcome) = channel();
    User::new(&engine, &other.path).start(Exclusive, |options| {
        options.deadline = timeout.map(|timeout| Instant::now() + timeout);
        options.sink = Arc::new(Last(Mutex::new(Some((engine, sender)))));
    });
    outcome
}

#[track_caller]
fn assert_thread_ends(outcome: &Receiver<Outcome>) {
    assert_eq!(outcome.recv_timeout(PATIENCE).err(), Some(RecvTimeoutError::Disconnected));
}

#[test]
fn a_worker_that_drops_its_engine_ends_and_the_lock_is_released() {
    let other = Other::new();
    FileExt::lock(&other.file).unwrap();
    let outcome = start_last(Engine::new(), &other, None);
    FileExt::unlock(&other.file).unwrap();
    assert!(matches!(outcome.recv_timeout(PATIENCE), Ok(Outcome::Granted)));
    assert_thread_ends(&outcome);
    assert!(FileExt::try_lock(&other.file).is_ok());
}

#[test]
fn a_timer_thread_that_drops_its_engine_ends() {
    let other = Other::new();
    FileExt::lock(&other.file).unwrap();
    // A paced wait has no worker, which would keep the engine, too.
    let outcome = start_last(Engine::paced(), &other, Some(Duration::from_millis(20)));
    assert!(matches!(outcome.recv_timeout(PATIENCE), Ok(Outcome::TimedOut(_))));
    assert_thread_ends(&outcome);
}

#[test]
fn the_locks_of_an_engine_that_is_dropped_are_released() {
    let other = Other::new();
    let engine = Engine::new();
    let users = [(); 2].map(|()| User::new(&engine, &other.path));
    assert!(users.iter().all(|user| user.try_acquire(Shared)));
    drop((engine, users));
    support::until(|| FileExt::try_lock(&other.file).is_ok());
}

#[test]
fn the_waits_of_an_engine_that_is_dropped_are_aborted() {
    let other = Other::new();
    FileExt::lock(&other.file).unwrap();
    let engine = Engine::paced();
    let wait = User::new(&engine, &other.path).start(Exclusive, |_| {});
    wait.until_queued(&engine);
    drop(engine);
    assert!(matches!(wait.outcome(), Outcome::Aborted));
}
