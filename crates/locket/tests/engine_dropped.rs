//! Engines whose last reference is dropped on one of their own threads, by a completion sink.

use std::cell::RefCell;
use std::fs::File;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fs4::FileExt;
use locket::LockMode::Exclusive;
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

/// Starts a request for a lock that `other` has, and drops the engine, except for what the sink of the request has.
fn start(
    engine: Arc<Engine>,
    other: &File,
    path: &std::path::Path,
    deadline: Option<Duration>,
) -> Receiver<Outcome> {
    FileExt::lock(other).unwrap();
    let (sender, outcome) = channel();
    let user = User::new(&engine, path);
    user.start(Exclusive, |options| {
        options.deadline = deadline.map(|after| Instant::now() + after);
        options.sink = Arc::new(Last(Mutex::new(Some((engine, sender)))));
    });
    outcome
}

fn next(outcome: &Receiver<Outcome>) -> Result<Outcome, RecvTimeoutError> {
    outcome.recv_timeout(PATIENCE)
}

fn open() -> (tempfile::TempDir, std::path::PathBuf, File) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let file = File::create(&path).unwrap();
    (folder, path, file)
}

#[test]
fn a_worker_that_drops_its_engine_ends() {
    let (_folder, path, other) = open();
    let outcome = start(Engine::new(), &other, &path, None);
    FileExt::unlock(&other).unwrap();
    assert!(matches!(next(&outcome), Ok(Outcome::Granted)));
    assert_eq!(next(&outcome).err(), Some(RecvTimeoutError::Disconnected));
}

#[test]
fn a_timer_thread_that_drops_its_engine_ends() {
    let (_folder, path, other) = open();
    // A paced wait has no worker, which would keep the engine, too.
    let outcome = start(Engine::paced(), &other, &path, Some(Duration::from_millis(20)));
    assert!(matches!(next(&outcome), Ok(Outcome::TimedOut(_))));
    assert_eq!(next(&outcome).err(), Some(RecvTimeoutError::Disconnected));
}
