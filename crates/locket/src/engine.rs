//! The engine: the table of locks, the threads, and what clients call.
//!
//! A worker finds the file of a request and queues the request at its lock. From there the driver of that lock serves it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::dispatch::{Job, Task, TimedTask, Timer};
use crate::exec::{self, Limits, Pool, TimerThread};
use crate::lock::{
    CancelReason, Cancellation, Completions, Effect, EndedHold, FIRST_TICKET, Handle, LockEntry, Outcome,
    Part, Permit, Request, RequestOptions, Ticket,
};
use crate::pause::Paused;
use crate::queries::Queries;
use crate::resolve::{Arriving, Route};
use crate::semaphore::Semaphores;
use crate::steal::tell_lost;
use crate::sync::{Mutex, MutexGuard, RandomState, now};
use crate::sys::{FileId, System, SystemError};
use crate::this_system::ThisSystem;
use crate::warm_files::WarmFiles;
use crate::watchdog::LastCheck;

/// Grace period before giving up on something that may never respond, such as a dead network mount.
pub(crate) const CANCEL_GRACE: Duration = Duration::from_millis(100);

/// All locks that its clients hold and wait for, and the threads that serve them.
///
/// One process needs one engine. Two engines exclude each other as two processes do. When an engine is dropped, its threads
/// end, its locks are released and its waits are aborted. A worker that runs a job keeps its engine alive until then.
pub struct Engine {
    pub(crate) system: Box<dyn System>,
    /// Every lock that this process holds or waits for. Locked before the state of any lock.
    table: Mutex<BTreeMap<FileId, Arc<LockEntry>>>,
    pub(crate) paused: Paused,
    /// The next ticket. Timers without a request take their numbers from here, too.
    numbers: AtomicU64,
    /// The ticket of the last request that came before all others.
    earlier: AtomicU64,
    /// The number of requests that are on their way to a queue.
    resolving: AtomicUsize,
    pub(crate) warm_files: WarmFiles,
    pub(crate) queries: Queries,
    pub(crate) semaphores: Semaphores,
    pub(crate) jitter: RandomState,
    timer: TimerThread<TimedTask>,
    pub(crate) pool: Pool<Job>,
}

/// What a release has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The hold of the request with this ticket.
    Ended(Ticket),
    /// A hold that had been lost before: other code has closed the descriptor by which the file was locked, or the lock entry is
    /// not ours any more.
    Lost,
    /// The hold of the request with this ticket. Its lock entry could not be removed.
    Left(Ticket, SystemError),
}

/// What the clients of an engine hold and wait for, in the order of arrival.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The requests that hold a lock.
    pub held: Vec<Arc<Request>>,
    /// The requests that wait for one.
    pub pending: Vec<Arc<Request>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let entries = std::mem::take(&mut *self.table());
        let Snapshot { mut held, mut pending } = Snapshot::default();
        for entry in entries.values() {
            entry.list(&mut held, &mut pending);
        }
        pending.extend(self.semaphores.list());
        for hold in held {
            // A lock and its holds keep each other alive, and the file open.
            if let Some(entry) = hold.entry() {
                entry.release(&hold);
                entry.remove_unused();
            }
        }
        self.warm_files.close_all();
        for request in pending.iter().filter(|request| request.finish()) {
            self.deliver(request, Outcome::Aborted);
        }
    }
}

impl Engine {
    /// Returns an engine without threads, which start when they are needed. Waits are in the kernel's queue where the
    /// system has one that can be left, and paced elsewhere.
    pub fn new() -> Arc<Self> {
        Self::with(Box::new(ThisSystem::new()), Limits::default())
    }

    /// Returns an engine whose waits are paced, as where no thread can wait in the kernel.
    pub fn paced() -> Arc<Self> {
        Self::with(Box::new(ThisSystem::paced()), Limits::default())
    }

    /// Returns an engine on this system, with at most so many workers.
    pub(crate) fn with(system: Box<dyn System>, limits: Limits) -> Arc<Self> {
        Arc::new_cyclic(|engine: &Weak<Self>| {
            let engine = engine.clone();
            Self {
                warm_files: WarmFiles::new(system.spare_descriptors()),
                system,
                table: Mutex::new(BTreeMap::new()),
                paused: Paused::new(),
                numbers: AtomicU64::new(FIRST_TICKET),
                earlier: AtomicU64::new(FIRST_TICKET),
                resolving: AtomicUsize::new(0),
                queries: Queries::new(),
                semaphores: Semaphores::new(),
                jitter: RandomState::default(),
                timer: TimerThread::new(),
                pool: Pool::new(limits, move |after, begun| {
                    if let Some(engine) = engine.upgrade() {
                        engine.after(after, Timer::Watch(begun));
                    }
                }),
            }
        })
    }

    /// Starts a request. Its outcome goes to its sink, and may be there when this returns.
    pub fn start(self: &Arc<Self>, options: RequestOptions) -> Arc<Request> {
        let now = now();
        let request = self.new_request(options, now);
        if self.start_permit(&request) {
            return request;
        }
        let is_queued = self.try_warm_here(&request, now);
        self.watch_deadline(&request);
        if !is_queued {
            self.watch_answer(&request);
            self.submit_resolve(request.clone(), Route::Cached);
        }
        request
    }

    /// Starts a request on the calling thread, as far as that does not block. The caller waits for the outcome, and calls
    /// [`Engine::expire`] when the deadline has come.
    pub fn start_sync(self: &Arc<Self>, options: RequestOptions) -> Arc<Request> {
        let now = now();
        let request = self.new_request(options, now);
        if self.start_permit(&request) {
            return request;
        }
        // Requests that were there first are queued first.
        if self.is_resolving() {
            self.watch_answer(&request);
            self.submit_resolve(request.clone(), Route::Cached);
        } else if !self.try_warm_here(&request, now) {
            self.resolve_here(&request);
        }
        request
    }

    /// Starts a request that does not wait, on a worker, and as far as nobody else drives the lock.
    pub(crate) fn start_here(self: &Arc<Self>, options: RequestOptions) -> Arc<Request> {
        let request = self.new_request(options, now());
        self.watch_answer(&request);
        self.resolve_here(&request);
        request
    }

    /// Starts a request that is granted at once, on the thread of its client, or not at all: the file has to be open, and the lock
    /// free. Returns `None` if it was not granted.
    pub(crate) fn start_warm(self: &Arc<Self>, options: RequestOptions) -> Option<Arc<Request>> {
        let now = now();
        let request = self.new_request(options, now);
        self.try_warm_here(&request, now).then_some(request)
    }

    /// Times a request out. However short its timeout is, a request is refused only if the lock is held: one that is being
    /// resolved tries the lock first, unless its path never answers (on a dead network mount).
    pub fn expire(self: &Arc<Self>, request: &Arc<Request>) {
        self.cancel(request, CancelReason::TimedOut);
        if request.is_resolving() && request.handle.options.permits.is_none() {
            self.after(CANCEL_GRACE, Timer::CheckAnswer(request.clone(), LastCheck::default()));
        }
    }

    /// Cancels a request. Its outcome still goes to its sink: [`Outcome::Granted`] if the lock came first.
    pub fn cancel(self: &Arc<Self>, request: &Arc<Request>, reason: CancelReason) {
        if self.cancel_permit(request, reason) {
            return;
        }
        loop {
            if let Some(entry) = request.queued_at() {
                let mut completions = Completions::new();
                let cancellation = entry.cancel(request, reason, &mut completions);
                self.complete_all(&entry, completions);
                match cancellation {
                    Cancellation::Done(effect) => return self.apply(&entry, effect, Permit::Unlock),
                    Cancellation::Pending(effect) => {
                        self.after(CANCEL_GRACE, Timer::Abandon(request.clone()));
                        return self.apply(&entry, effect, Permit::Unlock);
                    }
                    Cancellation::Completing => return,
                    Cancellation::Moved => {}
                }
            } else if reason != CancelReason::TimedOut && request.finish_resolving() {
                return self.deliver(request, reason.into());
            } else if request.queued_at().is_none() {
                // It has its outcome, or is tried before it times out.
                return;
            }
        }
    }

    /// Releases what `handle` holds. If no lock was ever requested by it, releases the exclusive lock that this process
    /// holds on its file by any other handle. Returns `None` if there is no such lock.
    pub fn release(self: &Arc<Self>, handle: &Handle) -> Option<Released> {
        if handle.has_requested() {
            return self.release_own(handle, None);
        }
        self.find_exclusive_hold(handle).and_then(|hold| self.end_hold(&hold))
    }

    /// Releases what `handle` itself holds, or with `token` only the hold that was requested with it. Returns `None` if
    /// there is no such lock.
    pub fn release_own(self: &Arc<Self>, handle: &Handle, token: Option<u64>) -> Option<Released> {
        let hold = handle.take_hold(&|hold| token.is_none_or(|token| hold.token == token))?;
        self.end_hold(&hold)
    }

    /// Same as [`Engine::release_own`], but a file that is deleted on release stays.
    pub fn give_back(self: &Arc<Self>, handle: &Handle, token: Option<u64>) -> Option<Released> {
        let hold = handle.take_hold(&|hold| token.is_none_or(|token| hold.token == token))?;
        hold.keep_file();
        self.end_hold(&hold)
    }

    /// Ends all that `client` holds and waits for, on every file. Outcomes that are under way may still come to its sinks.
    pub fn end(self: &Arc<Self>, client: &Arc<Client>) {
        client.end();
        // A request that is queued from now on sees that the client has ended.
        let entries: Vec<_> = self.table().values().cloned().collect();
        for entry in entries {
            let mut completions = Completions::new();
            let effect = entry.end(client, &mut completions);
            self.complete_all(&entry, completions);
            // The process may be about to end, and would leave a lock entry behind, also where a server has to remove it.
            let permit = if entry.file().is_entry() { Permit::TryLock } else { Permit::Unlock };
            self.apply(&entry, effect, permit);
        }
    }

    /// Removes the lock entries that the clients hold, and the files that are to go when nobody uses them: the process is about to
    /// end, and they would outlive it.
    pub fn remove_entries(&self) {
        let entries: Vec<_> =
            self.table().values().filter(|entry| entry.is_removed_when_closed()).cloned().collect();
        for entry in entries {
            if entry.file().is_entry() {
                entry.file().unlock();
            }
            entry.remove_unused();
        }
        self.warm_files.close_all();
    }

    /// Returns what the clients hold and wait for.
    ///
    /// `own`: requests of the caller. Those that are still being resolved are in no queue yet, but pending all the same.
    /// Those of other threads are missed until they are queued, as if they had been made an instant later.
    pub fn snapshot(&self, mut own: Vec<Arc<Request>>) -> Snapshot {
        own.retain(|request| !request.is_completed());
        let Snapshot { mut held, mut pending } = Snapshot::default();
        for entry in self.table().values() {
            entry.list(&mut held, &mut pending);
        }
        // A request for a permit may hold the gate and wait for many slots. It is listed once, by the semaphore.
        held.retain(|request| request.handle.part != Some(Part::Gate));
        pending.retain(|request| request.handle.part.is_none());
        pending.extend(self.semaphores.list());
        held.sort_by_key(|request| request.ticket);
        own.retain(|request| held.binary_search_by_key(&request.ticket, |hold| hold.ticket).is_err());
        pending.append(&mut own);
        pending.sort_by_key(|request| request.ticket);
        pending.dedup_by_key(|request| request.ticket);
        Snapshot { held, pending }
    }

    /// Locks the table.
    pub(crate) fn table(&self) -> MutexGuard<'_, BTreeMap<FileId, Arc<LockEntry>>> {
        self.table.lock()
    }

    /// Removes a lock from the table, if no request holds it or waits for it any more, or if its descriptor was closed.
    pub(crate) fn retire(self: &Arc<Self>, entry: &Arc<LockEntry>) {
        let mut table = self.table();
        let is_lost = entry.is_lost();
        if let Entry::Occupied(current) = table.entry(entry.id())
            && Arc::ptr_eq(current.get(), entry)
            && (is_lost || entry.is_idle())
        {
            current.remove();
            drop(table);
            entry.end_renewal().into_iter().for_each(|timer| self.remove_timer(timer));
            if !is_lost && !self.keep_warm(entry) {
                self.remove_file(entry);
            }
        }
    }

    /// Checks whether the lock of `entry` is still there. If it is not, those that hold it are told, and those that wait for
    /// it are resolved again.
    pub(crate) fn check_hold(self: &Arc<Self>, entry: &Arc<LockEntry>) -> bool {
        let was_lost = entry.is_lost();
        let is_intact = entry.check_descriptor();
        if !is_intact && !was_lost {
            let mut completions = Completions::new();
            let (lost, replaced) = entry.lose(&mut completions);
            self.complete_all(entry, completions);
            tell_lost(&lost);
            self.resolve_again(replaced);
            self.retire(entry);
        }
        is_intact
    }

    /// Returns the ticket of the next request.
    pub(crate) fn next_ticket(&self) -> Ticket {
        self.numbers.load(Ordering::SeqCst)
    }

    /// Returns the ticket of a request that comes before all others.
    pub(crate) fn earlier_ticket(&self) -> Ticket {
        self.earlier.fetch_sub(1, Ordering::Relaxed) - 1
    }

    /// Returns true if requests are on their way to a queue.
    pub(crate) fn is_resolving(&self) -> bool {
        self.resolving.load(Ordering::SeqCst) > 0
    }

    /// Counts a request that is on its way to a queue, until [`Engine::end_resolving`].
    pub(crate) fn begin_resolving(&self) {
        self.resolving.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends the count of a request by [`Engine::begin_resolving`].
    pub(crate) fn end_resolving(&self) {
        self.resolving.fetch_sub(1, Ordering::SeqCst);
    }

    /// Delivers the outcome of a request, unless the request has one already.
    pub(crate) fn complete(self: &Arc<Self>, request: &Arc<Request>, outcome: Outcome) {
        if request.finish() {
            self.deliver(request, outcome);
        }
    }

    /// Delivers outcomes that came about at `entry`. A timeout names the holders, if its request wants that.
    pub(crate) fn complete_all(self: &Arc<Self>, entry: &Arc<LockEntry>, completions: Completions) {
        for (request, outcome) in completions {
            if !request.finish() {
                continue;
            }
            match outcome {
                Outcome::TimedOut(None) if request.names_holders => {
                    self.remove_timers(&request);
                    self.find_holders_for(entry, &request);
                }
                outcome => self.deliver(&request, outcome),
            }
        }
    }

    /// Delivers the outcome of a request that has been marked as completed.
    fn deliver(&self, request: &Request, outcome: Outcome) {
        self.remove_timers(request);
        request.sink.complete(request.token, outcome);
    }

    fn remove_timers(&self, request: &Request) {
        for time in [request.deadline, request.answers_by()].into_iter().flatten() {
            self.timer.remove((time, request.ticket));
        }
    }

    /// Does what has to be done after a change of the queue or the holds. `permit`: what the calling thread may do.
    pub(crate) fn apply(self: &Arc<Self>, entry: &Arc<LockEntry>, effect: Effect, permit: Permit) {
        match effect {
            Effect::None => {}
            Effect::Drive(kernel_mode) => self.drive(entry, kernel_mode, permit),
            Effect::Interrupt => self.interrupt_later(entry),
        }
    }

    /// Fires `timer` after `delay`. Returns false if there is no timer thread, and none can be started. Then there are no
    /// workers either, which start after it.
    pub(crate) fn after(self: &Arc<Self>, delay: Duration, timer: Timer) -> bool {
        self.add_timer(self.timer_key(delay), timer)
    }

    /// Returns the key of a timer that fires after `delay`.
    pub(crate) fn timer_key(&self, delay: Duration) -> exec::TimerKey {
        (now() + delay, self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Removes a timer that is not needed any more.
    pub(crate) fn remove_timer(&self, key: exec::TimerKey) {
        self.timer.remove(key);
    }

    /// Fires `timer` at its time, unless it is removed. Returns what [`Engine::after`] does.
    pub(crate) fn add_timer(self: &Arc<Self>, key: exec::TimerKey, timer: Timer) -> bool {
        self.timer.add(key, TimedTask { engine: Arc::downgrade(self), timer })
    }

    /// Submits `task` to the workers. The timer thread watches them, so it is started first.
    pub(crate) fn submit(self: &Arc<Self>, task: Task) {
        let job = Job { engine: self.clone(), task };
        if self.timer.start() { self.pool.submit(job) } else { exec::Job::refuse(job) }
    }

    /// Submits `tasks` to the workers, in their order, before all others.
    pub(crate) fn submit_first(self: &Arc<Self>, tasks: impl DoubleEndedIterator<Item = Task>) {
        let jobs = tasks.map(|task| Job { engine: self.clone(), task });
        if self.timer.start() { self.pool.submit_first(jobs) } else { jobs.for_each(exec::Job::refuse) }
    }

    /// Has a worker find the file of `request`.
    pub(crate) fn submit_resolve(self: &Arc<Self>, request: Arc<Request>, route: Route) {
        self.submit(Task::Resolve(Arriving::new(self.clone(), request), route));
    }

    fn new_request(&self, options: RequestOptions, now: Instant) -> Arc<Request> {
        options.handle.set_requested();
        Arc::new(Request::new(self.numbers.fetch_add(1, Ordering::Relaxed), options, now))
    }

    /// Adds the timer that times `request` out at its deadline.
    fn watch_deadline(self: &Arc<Self>, request: &Arc<Request>) {
        if let Some(deadline) = request.deadline
            && request.blocking
            && !request.is_completed()
        {
            self.add_timer((deadline, request.ticket), Timer::Deadline(request.clone()));
            if request.is_completed() {
                // It may have been completed before there was a timer to remove.
                self.remove_timers(request);
            }
        }
    }

    /// Adds the timer that checks whether the path of `request` answers, if the request does not wait for the lock.
    pub(crate) fn watch_answer(self: &Arc<Self>, request: &Arc<Request>) {
        if !request.blocking && request.answers_by().is_none() {
            let time = now() + CANCEL_GRACE;
            request.answer_by(time);
            self.add_timer((time, request.ticket), Timer::CheckAnswer(request.clone(), LastCheck::default()));
            if request.is_completed() {
                self.remove_timers(request);
            }
        }
    }

    fn end_hold(self: &Arc<Self>, hold: &Arc<Request>) -> Option<Released> {
        let entry = hold.entry()?;
        if entry.file().is_entry() {
            entry.file().set_warm(self.warm_files.will_stay_open(hold.handle.order_key));
        }
        let EndedHold { effect, was_lost } = entry.release(hold)?;
        if was_lost {
            self.retire(&entry);
        }
        self.apply(&entry, effect, Permit::CheckPath);
        Some(match entry.file().take_release_error() {
            _ if was_lost => Released::Lost,
            Some(error) => Released::Left(hold.ticket, error),
            None => Released::Ended(hold.ticket),
        })
    }

    /// Returns the exclusive hold of this process on the file of `handle`.
    ///
    /// If the path names another file by now, or none, returns the hold that was acquired by this path.
    fn find_exclusive_hold(&self, handle: &Handle) -> Option<Arc<Request>> {
        let id = self.system.lock_id_at(&handle.path, &handle.options.protocol).ok().flatten();
        let table = self.table();
        let current = id.and_then(|id| table.get(&id)).and_then(|entry| entry.exclusive_hold());
        current.or_else(|| {
            let mut holds = table.values().filter_map(|entry| entry.exclusive_hold());
            holds.find(|hold| hold.is_by_path_of(handle))
        })
    }
}
