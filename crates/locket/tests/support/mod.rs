//! What the tests share: users of an engine, and requests whose outcome comes by a channel.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use locket::{
    Client, CompletionSink, Engine, Handle, HandleOptions, Holder, LockMode, Outcome, Party, ProtocolOptions,
    Removal, Request, RequestOptions,
};
use tempfile::TempDir;

/// Longer than anything here takes: it only limits how long a failure takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const OPTIONS: HandleOptions = HandleOptions {
    file_mode: 0o666,
    removal: Removal::Never,
    allow_directory: false,
    protocol: ProtocolOptions::FLOCK,
    permits: None,
};

/// Waits until `happened` returns true.
#[track_caller]
pub(crate) fn until(mut happened: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < end, "it has not happened");
        thread::yield_now();
    }
}

/// A client of an engine with one handle.
pub(crate) struct User {
    pub(crate) engine: Arc<Engine>,
    pub(crate) client: Arc<Client>,
    pub(crate) handle: Arc<Handle>,
}

/// A request, and the way by which its outcome comes.
pub(crate) struct Pending {
    pub(crate) request: Arc<Request>,
    outcomes: Receiver<(Outcome, ThreadId)>,
}

/// Sends outcomes, and the thread on which each came.
struct Outcomes(Mutex<Sender<(Outcome, ThreadId)>>);

impl CompletionSink for Outcomes {
    fn complete(&self, _: u64, outcome: Outcome) {
        // A test that has ended does not listen any more.
        let _ = self.0.lock().unwrap().send((outcome, thread::current().id()));
    }
}

/// An engine, and a folder with the lock file that its users name.
pub(crate) struct Place {
    pub(crate) engine: Arc<Engine>,
    pub(crate) folder: TempDir,
    removal: Removal,
}

impl Place {
    /// Returns one whose lock file is removed by its users in this way.
    pub(crate) fn new(removal: Removal) -> Self {
        Self { engine: Engine::new(), folder: tempfile::tempdir().unwrap(), removal }
    }

    /// Returns the path of the lock file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("test.lock")
    }

    /// Returns a new user.
    pub(crate) fn user(&self) -> User {
        User::with_options(&self.engine, self.path(), |options| options.removal = self.removal)
    }
}

/// Returns a sink, and what it receives.
pub(crate) fn sink() -> (Arc<dyn CompletionSink>, Receiver<(Outcome, ThreadId)>) {
    let (sender, outcomes) = channel();
    (Arc::new(Outcomes(Mutex::new(sender))), outcomes)
}

impl User {
    /// Returns a new client of `engine` whose handle names `path`.
    pub(crate) fn new(engine: &Arc<Engine>, path: impl AsRef<Path>) -> Self {
        Self::with_options(engine, path, |_| {})
    }

    /// Returns a new client whose handle has other options than the default ones.
    pub(crate) fn with_options(
        engine: &Arc<Engine>,
        path: impl AsRef<Path>,
        change: impl FnOnce(&mut HandleOptions),
    ) -> Self {
        let mut options = OPTIONS;
        change(&mut options);
        Self {
            engine: engine.clone(),
            client: Arc::new(Client::on_this_thread()),
            handle: Arc::new(Handle::new(path.as_ref().into(), options)),
        }
    }

    /// Returns the same client with another handle for the same path.
    pub(crate) fn with_another_handle(&self) -> Self {
        Self { client: self.client.clone(), ..Self::new(&self.engine, &self.handle.path) }
    }

    /// Returns the same client with the same handle.
    pub(crate) fn with_the_same_handle(&self) -> Self {
        Self { engine: self.engine.clone(), client: self.client.clone(), handle: self.handle.clone() }
    }

    fn options(
        &self,
        mode: LockMode,
        change: impl FnOnce(&mut RequestOptions),
    ) -> (RequestOptions, Receiver<(Outcome, ThreadId)>) {
        let (sink, outcomes) = sink();
        let mut options = RequestOptions {
            handle: self.handle.clone(),
            client: self.client.clone(),
            mode,
            blocking: true,
            deadline: None,
            expected: None,
            blocks_client: false,
            names_holders: false,
            sink,
            token: 0,
        };
        change(&mut options);
        (options, outcomes)
    }

    /// Starts a request that waits for the lock without end, unless `change` says something else.
    pub(crate) fn start(&self, mode: LockMode, change: impl FnOnce(&mut RequestOptions)) -> Pending {
        let (options, outcomes) = self.options(mode, change);
        Pending { request: self.engine.start(options), outcomes }
    }

    /// The same, on the calling thread, as far as that does not block.
    pub(crate) fn start_sync(&self, mode: LockMode, change: impl FnOnce(&mut RequestOptions)) -> Pending {
        let (options, outcomes) = self.options(mode, change);
        Pending { request: self.engine.start_sync(options), outcomes }
    }

    /// Returns the same user, whose losses go to `sink`.
    pub(crate) fn told_of_losses(self, sink: Arc<dyn CompletionSink>) -> Self {
        Self { client: Arc::new(Client::on_this_thread().with_losses(sink)), ..self }
    }

    /// Takes the lock from whatever holds it in this engine.
    pub(crate) fn steal(&self) -> Pending {
        let (options, outcomes) = self.options(LockMode::Exclusive, |options| options.blocking = false);
        Pending { request: self.engine.steal(options), outcomes }
    }

    /// Acquires the exclusive lock.
    #[track_caller]
    pub(crate) fn acquire(&self) {
        let outcome = self.start(LockMode::Exclusive, |_| {}).outcome();
        assert!(matches!(outcome, Outcome::Granted), "{outcome:?}");
    }

    /// Tries to acquire the lock. Returns false if it is not free.
    #[track_caller]
    pub(crate) fn try_acquire(&self, mode: LockMode) -> bool {
        match self.start(mode, |options| options.blocking = false).outcome() {
            Outcome::Granted => true,
            Outcome::TimedOut(_) => false,
            other => panic!("{other:?}"),
        }
    }

    /// Releases the lock. Returns false if there is none.
    pub(crate) fn release(&self) -> bool {
        self.engine.release(&self.handle).is_some()
    }

    /// Asks whether the lock is held. Returns the outcome.
    #[track_caller]
    pub(crate) fn find_locked(&self) -> Outcome {
        let (sink, outcomes) = sink();
        self.engine.find_locked(self.handle.clone(), sink, 0);
        outcomes.recv_timeout(PATIENCE).expect("an outcome").0
    }

    /// Returns true if the lock is held.
    #[track_caller]
    pub(crate) fn is_locked(&self) -> bool {
        match self.find_locked() {
            Outcome::Locked(locked) => locked,
            other => panic!("{other:?}"),
        }
    }

    /// Asks for the processes that hold the lock, or wait for it. Returns the outcome.
    #[track_caller]
    pub(crate) fn find_holders(&self, party: Party) -> Outcome {
        let (sink, outcomes) = sink();
        self.engine.find_holders(&self.handle, party, sink, 0);
        outcomes.recv_timeout(PATIENCE).expect("an outcome").0
    }

    /// Returns the processes that hold the lock, or wait for it, if they are known.
    #[track_caller]
    pub(crate) fn holders(&self, party: Party) -> Option<Box<[Holder]>> {
        match self.find_holders(party) {
            Outcome::Holders(holders) => holders,
            other => panic!("{other:?}"),
        }
    }
}

impl Pending {
    /// Waits for the outcome, and makes a hold known to its user.
    #[track_caller]
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome_and_thread().0
    }

    /// The same, with the thread on which the outcome came.
    #[track_caller]
    pub(crate) fn outcome_and_thread(&self) -> (Outcome, ThreadId) {
        let outcome = self.outcomes.recv_timeout(PATIENCE).expect("an outcome");
        self.request.handle.receive(self.request.token);
        outcome
    }

    /// Returns the outcome, if it is there already.
    pub(crate) fn outcome_now(&self) -> Option<Outcome> {
        let (outcome, _) = self.outcomes.try_recv().ok()?;
        self.request.handle.receive(self.request.token);
        Some(outcome)
    }

    /// Waits until the request is in the queue of a lock of this engine.
    #[track_caller]
    pub(crate) fn until_queued(&self, engine: &Engine) {
        let ticket = self.request.ticket;
        until(|| engine.snapshot(Vec::new()).pending.iter().any(|request| request.ticket == ticket));
    }
}

/// Waits until so many wait in the kernel for the lock of this file, as its table says.
#[cfg(target_os = "linux")]
#[track_caller]
pub(crate) fn until_kernel_has_waiters(file: &std::fs::File, count: usize) {
    use std::os::unix::fs::MetadataExt;

    let inode = format!(":{} ", file.metadata().unwrap().ino());
    until(|| {
        let table = std::fs::read_to_string("/proc/locks").unwrap();
        table.lines().filter(|line| line.contains("->") && line.contains(&inode)).count() == count
    });
}
