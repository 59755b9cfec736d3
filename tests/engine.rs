//! The core as its users have it, on real files, with threads in the place of JavaScript environments.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fs4::FileExt;
use locket::core::engine;
use locket::core::handle::Handle;
use locket::core::kernel::LockMode;
use locket::core::request::{Outcome, Owner, Purpose, Reason, Reply, Request, Wish};

/// Longer than anything here takes: it only bounds how long a failure takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Replies(Mutex<Sender<Outcome>>);

impl Reply for Replies {
    fn deliver(&self, _: u64, outcome: Outcome) {
        // A test that has ended does not listen any more.
        let _ = self.0.lock().unwrap().send(outcome);
    }
}

/// Somebody with one handle.
struct User {
    handle: Arc<Handle>,
    owner: Arc<Owner>,
}

struct Wait {
    request: Arc<Request>,
    outcome: Receiver<Outcome>,
}

impl User {
    fn new(path: &Path) -> Self {
        Self {
            handle: Arc::new(Handle::new(path.to_path_buf(), 0o666, false)),
            owner: Arc::new(Owner::on_this_thread()),
        }
    }

    fn start(&self, mode: LockMode, purpose: Purpose, timeout: Option<Duration>) -> Wait {
        let (sender, outcome) = channel();
        let request = engine::start(Wish {
            handle: self.handle.clone(),
            mode,
            purpose,
            deadline: timeout.map(|timeout| Instant::now() + timeout),
            blocks_owner: false,
            owner: self.owner.clone(),
            reply: Arc::new(Replies(Mutex::new(sender))),
            token: 0,
        });
        Wait { request, outcome }
    }

    fn acquire(&self) {
        let wait = self.start(LockMode::Exclusive, Purpose::Acquire, None);
        assert!(matches!(wait.outcome(), Outcome::Granted));
    }
}

impl Wait {
    /// The outcome, of which the user is told by this.
    fn outcome(&self) -> Outcome {
        let outcome = self.outcome.recv_timeout(PATIENCE).expect("an outcome");
        engine::conclude(&self.request, matches!(outcome, Outcome::Granted));
        outcome
    }

    fn is_pending(&self) -> bool {
        self.outcome.recv_timeout(Duration::from_millis(20)).is_err()
    }
}

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
                    assert!(engine::release(&user.handle));
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
    assert!(engine::release(&user.handle));

    FileExt::lock(&other).unwrap();
    let wait = user.start(LockMode::Exclusive, Purpose::Acquire, None);
    assert!(wait.is_pending());
    FileExt::unlock(&other).unwrap();
    assert!(matches!(wait.outcome(), Outcome::Granted));
    assert!(engine::release(&user.handle));
    assert!(!engine::release(&user.handle));
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
    let second =
        User { handle: Arc::new(Handle::new(path.clone(), 0o666, false)), owner: ending.owner.clone() };
    let gone = second.start(LockMode::Exclusive, Purpose::Acquire, None);
    let wait = behind.start(LockMode::Exclusive, Purpose::Acquire, None);
    assert!(gone.is_pending() && wait.is_pending());
    engine::end(&ending.owner);
    assert!(matches!(wait.outcome(), Outcome::Granted));
    assert!(!ending.handle.held());
    assert!(engine::release(&behind.handle));
    let late = second.start(LockMode::Exclusive, Purpose::TryAcquire, None);
    assert!(!matches!(late.outcome(), Outcome::Granted), "an owner that has ended was granted a lock");
}
