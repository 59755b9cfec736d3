//! A process with an engine of its own, its users, and the books that are checked after each run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use loom::thread::JoinHandle;

use super::kernel::{Kernel, ModelSystem, PATH, Waits};
use super::{set_up, tidy_up};
use crate::client::Client;
use crate::engine::{Engine, Released};
use crate::exec::Limits;
use crate::lock::{
    CancelReason, CompletionSink, Handle, HandleOptions, Outcome, Removal, Request, RequestOptions,
};
use crate::sync::modelled::{join_threads, notify_watcher, pass_to_next, sleeps, wait_until};
use crate::sync::now;
use crate::sys::{LockMode, ProtocolOptions};

/// Longer than any wait for the timer thread in a model, and shorter than a worker stays without a job.
const SOON: Duration = Duration::from_secs(1);

/// How often time passes for one outcome. More would be for a worker that loom has stopped in the middle.
const PASSES: usize = 6;

/// A worker that waits in the kernel, and its reserve: loom has five threads at most, with the model's and the timer thread.
const LIMITS: Limits = Limits { threads: 2, blocked: 1 };

/// A process.
#[derive(Clone)]
pub(super) struct Process {
    pub kernel: Arc<Kernel>,
    pub engine: Arc<Engine>,
    number: usize,
    waits: Waits,
    books: Arc<Books>,
}

/// What the users of all processes of a model have been told. (It is nothing of loom's.)
#[derive(Default)]
struct Books {
    notes: Mutex<Vec<Arc<Note>>>,
    holds: Mutex<Vec<Hold>>,
    faults: Mutex<Vec<String>>,
}

/// What became of a request or a query.
struct Note {
    outcomes: Mutex<Vec<&'static str>>,
    /// The hold that a grant begins.
    hold: Option<Hold>,
    books: Weak<Books>,
}

#[derive(Clone)]
struct Hold {
    path: PathBuf,
    mode: LockMode,
    client: Arc<Client>,
}

/// Somebody with a handle, and a client of their own.
#[derive(Clone)]
pub(super) struct User {
    pub process: Process,
    pub handle: Arc<Handle>,
    pub client: Arc<Client>,
}

/// A request on its way.
#[derive(Clone)]
pub(super) struct Wait {
    pub user: User,
    pub request: Arc<Request>,
    answer: Answer,
}

/// An outcome that comes.
#[derive(Clone)]
pub(super) struct Answer {
    process: Process,
    note: Arc<Note>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while it is locked")
}

impl CompletionSink for Note {
    fn complete(&self, _: u64, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Granted => "granted",
            Outcome::TimedOut(_) => "timed out",
            Outcome::Unanswered => "unanswered",
            Outcome::Aborted => "aborted",
            Outcome::Replaced => "replaced",
            Outcome::OtherPermits(_) => "other permits",
            Outcome::Deadlock => "deadlock",
            Outcome::Failed(_) => "failed",
            Outcome::Panicked => "panicked",
            Outcome::Locked(true) => "locked",
            Outcome::Locked(false) => "free",
            Outcome::Holders(_) => "holders",
            Outcome::Broken(_) => "broken",
            Outcome::Lost => "lost",
        };
        let books = self.books.upgrade().expect("the books are closed at the end");
        if let Some(hold) = self.hold.iter().find(|hold| outcome == "granted" && !hold.client.has_ended()) {
            books.begin(hold.clone());
        }
        lock(&self.outcomes).push(outcome);
        notify_watcher();
    }
}

impl Books {
    /// A hold begins. It excludes others.
    fn begin(&self, hold: Hold) {
        let mut holds = lock(&self.holds);
        let is_beside = |other: &Hold| other.mode == LockMode::Shared && hold.mode == LockMode::Shared;
        if holds.iter().any(|other| other.path == hold.path && !is_beside(other)) {
            lock(&self.faults).push(format!("two hold the lock of {}", hold.path.display()));
        }
        holds.push(hold);
    }

    /// All holds of `client` are about to end, as far as it knows of them.
    fn end(&self, client: &Arc<Client>) {
        lock(&self.holds).retain(|hold| !Arc::ptr_eq(&hold.client, client));
    }

    fn check(&self) {
        let faults = lock(&self.faults);
        assert!(faults.is_empty(), "{faults:?}");
        let counts: Vec<_> = lock(&self.notes).iter().map(|note| lock(&note.outcomes).clone()).collect();
        assert!(counts.iter().all(|outcomes| outcomes.len() == 1), "not one outcome each: {counts:?}");
    }
}

impl Process {
    /// Returns the only process of a model.
    pub(super) fn new(waits: Waits) -> Self {
        Self::with(Arc::default(), waits, false, LIMITS)
    }

    /// Returns a process that may have one worker more than others, for one that is stuck.
    pub(super) fn with_stuck_worker() -> Self {
        let limits = Limits { threads: LIMITS.threads + 1, ..LIMITS };
        Self::with(Arc::default(), Waits::Blocked, false, limits)
    }

    /// Returns a process whose files are on a server.
    pub(super) fn remote(waits: Waits) -> Self {
        Self::with(Arc::default(), waits, true, LIMITS)
    }

    /// Returns another process beside this one.
    pub(super) fn another(&self, waits: Waits) -> Self {
        let Self { kernel, books, .. } = self.clone();
        Self { books, ..Self::with(kernel, waits, false, LIMITS) }
    }

    fn with(kernel: Arc<Kernel>, waits: Waits, remote: bool, limits: Limits) -> Self {
        let number = kernel.add_process();
        let client = loom::thread::current().id();
        let system = ModelSystem { kernel: kernel.clone(), process: number, waits, remote, client };
        let engine = Engine::with(Box::new(system), limits);
        Self { kernel, engine, number, waits, books: Arc::default() }
    }

    /// Returns a user of [`PATH`].
    pub(super) fn user(&self) -> User {
        self.user_at(PATH)
    }

    /// Returns a user of another path.
    pub(super) fn user_at(&self, path: &str) -> User {
        self.user_with(path, false)
    }

    /// Returns a user of [`PATH`] who deletes the file on release.
    pub(super) fn user_who_removes(&self) -> User {
        self.user_with(PATH, true)
    }

    fn user_with(&self, path: &str, remove_on_release: bool) -> User {
        let options = HandleOptions {
            file_mode: 0o666,
            permits: None,
            removal: if remove_on_release { Removal::OnRelease } else { Removal::Never },
            allow_directory: false,
            protocol: ProtocolOptions::FLOCK,
        };
        User {
            process: self.clone(),
            handle: Arc::new(Handle::new(PathBuf::from(path), options)),
            client: Arc::new(Client::on_this_thread()),
        }
    }

    /// Returns the modes in which the kernel has files locked for this process.
    pub(super) fn locks(&self) -> Vec<LockMode> {
        self.kernel.locked_by(self.number)
    }

    /// Returns true if this process has locked the file that [`PATH`] names.
    pub(super) fn has_locked_the_file_at_the_path(&self) -> bool {
        self.kernel.is_locked_by(self.number)
    }

    /// Another process makes [`PATH`] name a new file. Who holds the lock of the old one does not exclude others.
    pub(super) fn replace_file(&self) {
        lock(&self.books.holds).retain(|hold| hold.path != Path::new(PATH));
        self.kernel.replace();
    }

    /// Other code of this process closes its descriptors. The locks are gone.
    pub(super) fn close_descriptors(&self) {
        lock(&self.books.holds).clear();
        self.kernel.close_descriptors(self.number);
    }

    /// Has a thread wait in the kernel for a user, whose wait is returned. Nothing is interleaved meanwhile.
    pub(super) fn wait_in_kernel(&self, mode: LockMode) -> Wait {
        set_up(|| {
            let wait = self.user().acquire(mode);
            self.kernel.wait_until_waiting(1);
            wait
        })
    }

    /// Asks whether anybody holds the lock.
    pub(super) fn probe(&self) -> Answer {
        let answer = self.answer(None);
        let handle = self.user().handle;
        self.engine.find_locked(handle, answer.note.clone(), 0);
        answer
    }

    /// Waits until `is_so`, and lets time pass while a thread waits in the kernel or, if waits are paced, is to ask again.
    fn let_time_pass_until(&self, is_so: impl Fn() -> bool) {
        let is_needed = || sleeps(SOON) && (self.waits == Waits::Paced || self.kernel.has_waiting());
        for _ in 0..PASSES {
            wait_until(|| is_so() || is_needed());
            if is_so() {
                return;
            }
            pass_to_next(SOON);
        }
        wait_until(is_so);
    }

    fn answer(&self, hold: Option<Hold>) -> Answer {
        let note = Note { outcomes: Mutex::default(), hold, books: Arc::downgrade(&self.books) };
        let note = Arc::new(note);
        lock(&self.books.notes).push(note.clone());
        Answer { process: self.clone(), note }
    }

    /// Ends a process beside the one that ends the model.
    pub(super) fn end(self) {
        self.let_time_pass_until(|| Arc::strong_count(&self.engine) == 1);
    }

    /// Ends the last process, and checks the books.
    pub(super) fn end_model(self) {
        self.let_time_pass_until(|| Arc::strong_count(&self.engine) == 1);
        let Self { kernel, engine, books, .. } = self;
        // How threads end is the subject of other models.
        tidy_up();
        assert!(engine.table().is_empty(), "the table has a lock that nobody uses");
        assert!(engine.paused.is_empty(), "a driver is suspended for nobody");
        drop(engine);
        join_threads();
        books.check();
        kernel.check_books();
    }
}

impl User {
    /// Returns another handle of the same client.
    pub(super) fn another_handle(&self) -> Self {
        Self { client: self.client.clone(), ..self.process.user() }
    }

    fn options(&self, mode: LockMode, answer: &Answer) -> RequestOptions {
        RequestOptions {
            handle: self.handle.clone(),
            client: self.client.clone(),
            mode,
            blocking: true,
            deadline: None,
            expected: None,
            blocks_client: false,
            names_holders: false,
            sink: answer.note.clone(),
            token: 0,
        }
    }

    /// Makes a request, after `change` has changed its options, by [`Engine::start_sync`] if it is `here`.
    fn start(&self, mode: LockMode, here: bool, change: impl FnOnce(&mut RequestOptions)) -> Wait {
        let hold = Hold { path: self.handle.path.clone(), mode, client: self.client.clone() };
        let answer = self.process.answer(Some(hold));
        let mut options = self.options(mode, &answer);
        change(&mut options);
        let engine = &self.process.engine;
        let request = if here { engine.start_sync(options) } else { engine.start(options) };
        Wait { user: self.clone(), request, answer }
    }

    /// Waits for the lock. A worker finds the file.
    pub(super) fn acquire(&self, mode: LockMode) -> Wait {
        self.start(mode, false, |_| ())
    }

    /// Waits for the lock. The calling thread finds the file, and takes the lock if it is free.
    pub(super) fn acquire_here(&self, mode: LockMode) -> Wait {
        self.start(mode, true, |_| ())
    }

    /// Waits for the lock for so long.
    pub(super) fn acquire_within(&self, mode: LockMode, timeout: Duration) -> Wait {
        self.start(mode, false, |options| options.deadline = Some(now() + timeout))
    }

    /// The same by the calling thread, which has to say when the time has come.
    pub(super) fn acquire_here_within(&self, mode: LockMode, timeout: Duration) -> Wait {
        self.start(mode, true, |options| options.deadline = Some(now() + timeout))
    }

    /// Waits for the lock of the file that the path names now, and no other. A worker finds the file.
    pub(super) fn acquire_this_file(&self, mode: LockMode) -> Wait {
        let system = &self.process.engine.system;
        let file = system.lock_id_at(&self.handle.path, &ProtocolOptions::FLOCK).unwrap();
        self.start(mode, false, |options| options.expected = file)
    }

    /// Tries to take the lock. A worker finds the file.
    pub(super) fn try_acquire(&self, mode: LockMode) -> Wait {
        self.start(mode, false, |options| options.blocking = false)
    }

    /// Tries to take the lock on the calling thread.
    pub(super) fn try_acquire_here(&self, mode: LockMode) -> Wait {
        self.start(mode, true, |options| options.blocking = false)
    }

    /// The same. If it is refused, it wants to know who holds the lock.
    pub(super) fn try_acquire_naming_holders(&self, mode: LockMode) -> Wait {
        self.start(mode, true, |options| {
            options.blocking = false;
            options.names_holders = true;
        })
    }

    /// Releases the lock.
    pub(super) fn release(&self) -> Option<Released> {
        self.handle.receive(0);
        self.process.books.end(&self.client);
        self.process.engine.release(&self.handle)
    }

    /// Ends the client.
    pub(super) fn end(&self) {
        self.process.books.end(&self.client);
        self.process.engine.end(&self.client);
    }

    /// Does something on another thread.
    pub(super) fn meanwhile<T: 'static>(&self, act: impl FnOnce(&Self) -> T + 'static) -> JoinHandle<T> {
        let user = self.clone();
        loom::thread::spawn(move || act(&user))
    }
}

impl Wait {
    /// Cancels the request.
    pub(super) fn cancel(&self) {
        self.user.process.engine.cancel(&self.request, CancelReason::Aborted);
    }

    /// Its deadline has come.
    pub(super) fn expire(&self) {
        self.user.process.engine.expire(&self.request);
    }

    /// Does something on another thread.
    pub(super) fn meanwhile<T: 'static>(&self, act: impl FnOnce(&Self) -> T + 'static) -> JoinHandle<T> {
        let wait = self.clone();
        loom::thread::spawn(move || act(&wait))
    }

    /// Waits for the outcome.
    pub(super) fn outcome(&self) -> &'static str {
        self.answer.outcome()
    }

    /// Waits for the outcome, and lets time pass where that is needed.
    pub(super) fn outcome_in_time(&self) -> &'static str {
        self.answer.outcome_in_time()
    }

    /// Returns the outcome, if it is there.
    pub(super) fn known_outcome(&self) -> Option<&'static str> {
        self.answer.known_outcome()
    }

    /// Waits for the outcome, and lets time pass though no thread waits in the kernel.
    pub(super) fn outcome_paced(&self) -> &'static str {
        self.answer.outcome_paced()
    }

    /// Waits until it or `other` has an outcome. Returns true if it is this one.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        wait_until(|| self.known_outcome().or(other.known_outcome()).is_some());
        self.known_outcome().is_some()
    }

    /// Returns true if it has been granted by now.
    pub(super) fn is_granted(&self) -> bool {
        self.known_outcome() == Some("granted")
    }

    /// Waits until it is granted, and checks that the kernel has the lock.
    pub(super) fn granted(&self) {
        assert_eq!(self.outcome(), "granted");
        assert_eq!(self.user.process.locks(), [self.request.mode]);
    }

    /// Waits until it is granted, and releases the lock.
    pub(super) fn granted_and_released(&self) {
        self.granted();
        self.released();
    }

    /// Releases the lock.
    pub(super) fn released(&self) {
        assert_eq!(self.user.release(), Some(Released::Ended(self.request.ticket)));
    }

    /// Releases the lock if it has been granted by now. Otherwise the outcome is `refusal`.
    pub(super) fn released_or(&self, refusal: &str) {
        if self.outcome() == "granted" {
            self.granted_and_released();
        } else {
            assert_eq!(self.outcome(), refusal);
        }
    }
}

impl Answer {
    /// Waits for the outcome.
    pub(super) fn outcome(&self) -> &'static str {
        wait_until(|| self.known_outcome().is_some());
        self.known_outcome().expect("it is there")
    }

    /// Waits for the outcome, and lets time pass where that is needed.
    pub(super) fn outcome_in_time(&self) -> &'static str {
        self.process.let_time_pass_until(|| self.known_outcome().is_some());
        self.outcome()
    }

    /// Waits for the outcome, and lets time pass though no thread waits in the kernel.
    pub(super) fn outcome_paced(&self) -> &'static str {
        let paced = Process { waits: Waits::Paced, ..self.process.clone() };
        paced.let_time_pass_until(|| self.known_outcome().is_some());
        self.outcome()
    }

    /// Returns the outcome, if it is there.
    pub(super) fn known_outcome(&self) -> Option<&'static str> {
        lock(&self.note.outcomes).first().copied()
    }
}
