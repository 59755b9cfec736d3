//! Queries: who holds a lock, or waits for it, and whether it is held. Clients make them, and requests that are refused.

use std::fmt;
use std::io;
use std::mem;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use crate::dispatch::{Task, Timer};
use crate::engine::{CANCEL_GRACE, Engine};
use crate::exec::{Guard, TimerKey};
use crate::holders::{Holder, LockedFile, Party, Proc};
use crate::lock::{CompletionSink, Handle, LockEntry, Outcome, Request};
use crate::sync::{Mutex, MutexGuard, now};
use crate::sys::{FoundHolders, KernelLock, LockFile, OpenHow, SystemError};
use crate::watchdog::SERVER_GRACE;

mod probe;
#[cfg(all(test, not(loom)))]
mod tests;

/// A question, and who is told the answer.
pub(crate) struct Query {
    question: Question,
    sink: Arc<dyn CompletionSink>,
    token: u64,
    engine: Weak<Engine>,
    /// The timer that gives it up.
    timer: TimerKey,
    is_answered: AtomicBool,
    /// When a worker began to find the answer out. Not set for queries that many workers may answer together.
    began: OnceLock<Instant>,
    /// How many jobs the workers had begun when it was last checked whether they make progress.
    progress: AtomicU64,
}

enum Question {
    /// Who holds the lock, or waits for it.
    Holders,
    /// Who holds the lock, for a request that was refused.
    HoldersAtRefusal,
    /// Remove the lock entry of this handle, whoever holds the lock.
    Break(Arc<Handle>),
    /// Whether anybody holds the lock of this handle. A driver has been about to find out since this time.
    Locked(Arc<Handle>, OnceLock<Instant>),
}

/// The subject of queries for holders.
enum Subject {
    Path(Arc<Handle>, Party),
    /// A lock that this process uses, and which one of its file it is.
    Entry(Arc<LockEntry>, KernelLock),
}

impl Subject {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(handle, party), Self::Path(other, of)) => party == of && handle.is_alike(other),
            (Self::Entry(entry, _), Self::Entry(other, _)) => Arc::ptr_eq(entry, other),
            _ => false,
        }
    }
}

/// Queries with the same subject.
type Group = Vec<Arc<Query>>;

/// Queries for holders that are under way. Many may be made at once, when many waits time out together: each file is looked
/// up once, and the system's tables are read once for all of them.
pub(crate) struct Queries(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    /// No worker has looked up their files yet.
    asked: Vec<(Subject, Group)>,
    /// Their files have been found, and the tables have to be read.
    found: Vec<(Group, LockedFile)>,
    /// A worker is reading the tables. The next reading is for all that are found in the meantime, by however many
    /// workers. Otherwise each of those would read the tables for a few.
    is_reading: bool,
}

impl Queries {
    /// Returns an empty list.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Lists::default()))
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.0.lock()
    }
}

impl Engine {
    /// Asks the system which processes are the `party` of the lock of the file at the path of `handle`. The answer, an
    /// [`Outcome::Holders`] or [`Outcome::Failed`], goes to `sink`.
    pub fn find_holders(
        self: &Arc<Self>,
        handle: &Arc<Handle>,
        party: Party,
        sink: Arc<dyn CompletionSink>,
        token: u64,
    ) {
        let query = self.query(Question::Holders, SERVER_GRACE, sink, token);
        self.ask(Subject::Path(handle.clone(), party), query);
    }

    /// Asks whether any process holds the lock of the file at the path of `handle`. The answer, an [`Outcome::Locked`],
    /// [`Outcome::Failed`] or [`Outcome::Unanswered`], goes to `sink`.
    pub fn find_locked(self: &Arc<Self>, handle: Arc<Handle>, sink: Arc<dyn CompletionSink>, token: u64) {
        let question = Question::Locked(handle, OnceLock::new());
        let query = self.query(question, SERVER_GRACE, sink, token);
        self.submit(Task::Probe(query));
    }

    /// Removes the lock entry of `handle`, whoever holds the lock. The answer, an [`Outcome::Broken`], [`Outcome::Failed`] or
    /// [`Outcome::Unanswered`], goes to `sink`.
    pub fn break_lock(self: &Arc<Self>, handle: Arc<Handle>, sink: Arc<dyn CompletionSink>, token: u64) {
        let query = self.query(Question::Break(handle), SERVER_GRACE, sink, token);
        self.submit(Task::Probe(query));
    }

    /// Completes `request`, which was refused at `entry`, with the processes that hold the lock. They are left out if they
    /// are not known within [`CANCEL_GRACE`].
    pub(crate) fn find_holders_for(self: &Arc<Self>, entry: &Arc<LockEntry>, request: &Request) {
        let (sink, token) = (request.sink.clone(), request.token);
        let query = self.query(Question::HoldersAtRefusal, CANCEL_GRACE, sink, token);
        self.ask(Subject::Entry(entry.clone(), request.handle.kernel_lock()), query);
    }

    /// Returns a query that is given up after `limit`.
    fn query(
        self: &Arc<Self>,
        question: Question,
        limit: Duration,
        sink: Arc<dyn CompletionSink>,
        token: u64,
    ) -> Arc<Query> {
        let timer = self.timer_key(limit);
        let engine = Arc::downgrade(self);
        let is_answered = AtomicBool::new(false);
        let query = Arc::new(Query {
            question,
            sink,
            token,
            engine,
            timer,
            is_answered,
            began: OnceLock::new(),
            progress: AtomicU64::new(0),
        });
        self.add_timer(timer, Timer::QueryTooLate(Arc::downgrade(&query)));
        query
    }

    fn ask(self: &Arc<Self>, subject: Subject, query: Arc<Query>) {
        let mut queries = self.queries.lock();
        match queries.asked.last_mut().filter(|(last, _)| last.is(&subject)) {
            Some((_, group)) => group.push(query),
            None => queries.asked.push((subject, vec![query])),
        }
        drop(queries);
        // A job for each: should a worker be stuck with one of them, there is another job for the rest.
        self.submit(Task::AnswerQueries);
    }

    /// Answers all queries for holders that are under way.
    pub(crate) fn answer_queries(self: &Arc<Self>) {
        self.answer_queries_by(&Proc::of_the_system());
    }

    fn answer_queries_by(self: &Arc<Self>, proc: &Proc) {
        loop {
            let Some((subject, group)) = self.queries.lock().asked.pop() else { break };
            match subject {
                Subject::Entry(entry, lock) => {
                    let found = entry.file().holders();
                    if found != FoundHolders::InTable {
                        tell_found(proc, &group, found);
                        continue;
                    }
                    // Other code may have closed the descriptor: its number may be another file's by now.
                    let descriptor = entry.descriptor().filter(|_| entry.file().is_intact());
                    match descriptor.and_then(|descriptor| proc.file_of_descriptor(descriptor)) {
                        Some(file) => self.queries.lock().found.push((group, file.of_lock(lock))),
                        None => tell(&group, None),
                    }
                }
                Subject::Path(handle, party) if !handle.options.protocol.protocol.is_kept_by_kernel() => {
                    let found = self.find_holders_by_file(&handle);
                    match (found, party) {
                        (Ok(found), Party::Holders) => tell_found(proc, &group, found),
                        (Ok(_), Party::Waiters) => tell(&group, None),
                        (Err(error), _) => group.iter().for_each(|query| query.fail(error)),
                    }
                }
                Subject::Path(handle, party) => match (proc.file_at(&handle.path), party) {
                    (Ok(Some(file)), Party::Holders) => {
                        self.queries.lock().found.push((group, file.of_lock(handle.kernel_lock())));
                    }
                    (Ok(Some(file)), Party::Waiters) => {
                        let mut waiters = proc.waiters(&file.of_lock(handle.kernel_lock()));
                        if let Some(waiters) = &mut waiters {
                            proc.add_commands(slice::from_mut(waiters));
                        }
                        tell(&group, waiters.as_deref());
                    }
                    (Ok(None), _) => tell(&group, Some(&[])),
                    (Err(error), _) => {
                        let error = SystemError::new(&error, "open");
                        for query in group {
                            query.fail(error);
                        }
                    }
                },
            }
        }
        self.read_tables(proc);
    }

    /// Returns the processes that hold the lock, as its entry tells.
    fn find_holders_by_file(&self, handle: &Handle) -> Result<FoundHolders, SystemError> {
        let file = self.open_existing(handle)?;
        Ok(file.map_or_else(|| FoundHolders::Known(Vec::new()), |file| file.holders()))
    }

    /// Opens the lock file of `handle`, unless there is none.
    fn open_existing(&self, handle: &Handle) -> Result<Option<Box<dyn LockFile>>, SystemError> {
        match self.open(&handle.path, &OpenHow { create: None, ..handle.open_how() }) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SystemError::opening(&error)),
        }
    }

    /// Returns the processes that hold the lock of `handle`, if its entry tells.
    pub fn find_owner(&self, handle: &Handle) -> Option<Box<[Holder]>> {
        if handle.options.protocol.protocol.is_kept_by_kernel() {
            return None;
        }
        match self.find_holders_by_file(handle) {
            Ok(FoundHolders::Known(holders)) if !holders.is_empty() => Some(holders.into()),
            _ => None,
        }
    }

    /// Reads the tables for all files that were found, unless another worker does.
    fn read_tables(self: &Arc<Self>, proc: &Proc) {
        let mut queries = self.queries.lock();
        queries.found.retain(|(group, _)| !group.iter().all(|query| query.is_answered()));
        if queries.is_reading || queries.found.is_empty() {
            return;
        }
        queries.is_reading = true;
        let (groups, files): (Vec<_>, Vec<_>) = mem::take(&mut queries.found).into_iter().unzip();
        drop(queries);
        let reading = Guard::new(|| {
            let mut queries = self.queries.lock();
            queries.is_reading = false;
            let goes_on = !queries.found.is_empty();
            drop(queries);
            if goes_on {
                self.submit(Task::AnswerQueries);
            }
        });
        let mut answers = proc.holders(&files);
        // Not after the commands: it can take for ever to read that of a process that is stuck.
        drop(reading);
        if let Some(answers) = &mut answers {
            proc.add_commands(answers);
        }
        let mut answers = answers.into_iter().flatten();
        for group in groups {
            tell(&group, answers.next().as_deref());
        }
    }

    /// Fails the queries for holders that are under way: there is no thread to answer them.
    pub(crate) fn fail_queries(&self, error: SystemError) {
        let asked = mem::take(&mut self.queries.lock().asked);
        for query in asked.into_iter().flat_map(|(_, group)| group) {
            query.fail(error);
        }
    }

    /// Gives a query up, since its time is over. One that no worker has begun is only late as long as the workers make
    /// progress: it may be one of a hundred thousand that were made at once.
    pub(crate) fn give_up(self: &Arc<Self>, query: &Arc<Query>) {
        let progress = self.pool.begun();
        let is_late = matches!(query.question, Question::Locked(..))
            && match query.began.get() {
                Some(&began) => now() < began + CANCEL_GRACE,
                None => query.progress.swap(progress, Ordering::Relaxed) != progress,
            };
        if !is_late || !self.after(CANCEL_GRACE, Timer::QueryTooLate(Arc::downgrade(query))) {
            query.give_up();
        }
    }
}

/// Answers the queries of `group` with the holders that a lock file tells of, and the commands of those that are on this host.
fn tell_found(proc: &Proc, group: &Group, found: FoundHolders) {
    let FoundHolders::Known(mut holders) = found else { return tell(group, None) };
    proc.add_commands(slice::from_mut(&mut holders));
    tell(group, Some(&holders));
}

/// Answers the queries of `group`, which all ask for these holders.
fn tell(group: &Group, holders: Option<&[Holder]>) {
    for query in group {
        query.answer_holders(holders.map(Into::into));
    }
}

impl Query {
    fn is_answered(&self) -> bool {
        self.is_answered.load(Ordering::Relaxed)
    }

    /// Answers that nothing is known.
    fn give_up(&self) {
        match self.question {
            Question::Locked(..) | Question::Break(_) => self.answer(Outcome::Unanswered),
            Question::Holders | Question::HoldersAtRefusal => self.answer_holders(None),
        }
    }

    /// Answers with this error. A request that was refused does not fail for that: it gets no holders.
    pub(crate) fn fail(&self, error: SystemError) {
        match self.question {
            Question::HoldersAtRefusal => self.answer_holders(None),
            _ => self.answer(Outcome::Failed(error)),
        }
    }

    fn answer_holders(&self, holders: Option<Box<[Holder]>>) {
        self.answer(match self.question {
            Question::HoldersAtRefusal => Outcome::TimedOut(holders),
            _ => Outcome::Holders(holders),
        });
    }

    /// Gives the answer, unless there is one.
    fn answer(&self, outcome: Outcome) {
        if !self.is_answered.swap(true, Ordering::Relaxed) {
            if let Some(engine) = self.engine.upgrade() {
                engine.remove_timer(self.timer);
            }
            self.sink.complete(self.token, outcome);
        }
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Query").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Answers a query that a panic has lost, so that its client does not wait for ever.
impl Drop for Query {
    fn drop(&mut self) {
        match self.question {
            Question::HoldersAtRefusal => self.answer(Outcome::TimedOut(None)),
            _ => self.answer(Outcome::Panicked),
        }
    }
}
