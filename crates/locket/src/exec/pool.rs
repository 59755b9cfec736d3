//! Worker threads for everything that may block.
//!
//! One worker runs jobs at a time, so jobs are done in the order in which they were submitted: first come, first served.
//! Another worker takes over when that one blocks in the kernel, or has been stuck in a job for [`STALL`], as on a network
//! mount that does not answer. Idle workers are woken last in, first out, and end after a while.
//!
//! A job may have an *order key*: jobs with equal keys are done one after the other, even if a worker is stuck in one of
//! them.
//!
//! # Invariants
//!
//! - Progress: while the list has a job whose key is free, a worker is on its way to it, or one runs and a watch is armed
//!   that lets another take over if it makes no progress. Otherwise all workers are stuck or blocked and there can be no
//!   more of them ([`Limits::threads`]): then the job stays in the list until one of them returns. Where the system
//!   refuses a thread, the pool tries again every [`RETRY`].
//! - Reserve: a worker blocks in the kernel only if another one does not. So a job that is submitted later needs no thread
//!   that the system might refuse.
//! - Nothing foreign is called with the pool locked, except [`Job::is_wanted`] and [`Job::order_key`]. Jobs are dropped
//!   with nothing locked.
//!
//! A worker on its way (woken or just started) is never considered stuck: a busy machine may take its time to run it, and
//! more threads would not help. It hides no stuck worker either, since it takes over when it arrives.

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom), target_os = "linux"))]
mod schedules;
#[cfg(all(test, not(loom)))]
mod tests;

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::guard::Guard;
use super::thread;
use crate::sync::{Mutex, MutexGuard, Thread, ThreadId, current, now, park_until};

/// Time after which a worker that has not finished its job counts as stuck.
const STALL: Duration = Duration::from_millis(2);
/// Time until another try to start a thread that the system has refused.
const RETRY: Duration = Duration::from_millis(100);
/// From this length on, each time the list has doubled, the jobs that are not wanted any more are dropped.
const MANY: usize = 64;
/// Time after which a worker without a job ends.
const IDLE: Duration = Duration::from_secs(10);

thread_local! {
    /// The calling thread is a worker.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// Returns true if the calling thread is a worker, which may block.
pub(crate) fn is_worker() -> bool {
    IS_WORKER.get()
}

/// What a worker does.
pub(crate) trait Job: Send + 'static {
    /// Does the job, on a worker.
    fn run(self);

    /// Called instead of [`Job::run`], on the thread that submits the job, if there is no worker and the system has no
    /// thread left.
    fn refuse(self);

    /// Returns false if nobody needs the job any more. Then it may be dropped instead of being done. Called with the pool
    /// locked.
    fn is_wanted(&self) -> bool {
        true
    }

    /// Returns the key that the job takes when it begins, and that [`Pool::free_key`] frees. No other job with this key
    /// begins meanwhile. Called with the pool locked.
    fn order_key(&self) -> Option<u64>;
}

/// How many threads a pool may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// In all, stuck ones included.
    pub threads: usize,
    /// Blocked in the kernel at once.
    pub blocked: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { threads: 512, blocked: 256 }
    }
}

/// Worker threads, started when they are needed.
///
/// They end when the pool has been dropped, and the jobs that can still begin are done. Jobs whose key is taken by then are
/// dropped. Any thread may drop the pool, also one of its workers.
pub(crate) struct Pool<J: Job>(Arc<Shared<J>>);

/// What the pool and its workers share.
struct Shared<J> {
    state: Mutex<State<J>>,
    limits: Limits,
    arm: Box<dyn Fn(Duration, u64) + Send + Sync>,
}

struct State<J> {
    jobs: List<J>,
    /// Parked workers. The one that parked last is at the end.
    idle: Vec<Thread>,
    /// How many workers are on their way: woken or started, and not there yet.
    coming: usize,
    /// Workers that look for jobs or do them, and are neither blocked nor stuck. Mostly one.
    running: Vec<ThreadId>,
    blocked: usize,
    /// How many times a worker was blocked, and is not any more.
    returned: u64,
    threads: usize,
    /// How many jobs have begun: it tells whether there is progress.
    begun: u64,
    /// A watch is armed.
    watched: bool,
    /// The pool has been dropped.
    closed: bool,
}

impl<J: Job> Pool<J> {
    /// Returns a pool without threads.
    ///
    /// `arm` arms a watch: [`Pool::watch`] has to be called with its number after its time. It is called with nothing
    /// locked.
    pub(crate) fn new(limits: Limits, arm: impl Fn(Duration, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            limits,
            arm: Box::new(arm),
            state: Mutex::new(State {
                jobs: List::new(),
                idle: Vec::new(),
                coming: 0,
                running: Vec::new(),
                blocked: 0,
                returned: 0,
                threads: 0,
                begun: 0,
                watched: false,
                closed: false,
            }),
        }))
    }

    /// Submits a job behind all others.
    pub(crate) fn submit(&self, job: J) {
        let mut state = self.0.state.lock();
        state.jobs.push(job);
        self.0.ensure_progress(state);
    }

    /// Submits jobs before all others, in their order.
    pub(crate) fn submit_first(&self, jobs: impl DoubleEndedIterator<Item = J>) {
        let mut state = self.0.state.lock();
        for job in jobs.rev() {
            state.jobs.push_first(job);
        }
        self.0.ensure_progress(state);
    }

    /// Lets the next job with this key begin.
    pub(crate) fn free_key(&self, key: u64) {
        let mut state = self.0.state.lock();
        state.jobs.free_key(key);
        self.0.ensure_progress(state);
    }

    /// Considers the running workers stuck if no job has begun since the watch was armed, and lets another worker take over.
    pub(crate) fn watch(&self, begun: u64) {
        let mut state = self.0.state.lock();
        state.watched = false;
        if state.jobs.find_free() && state.begun == begun {
            // They return to the list when they have done their jobs.
            state.running.clear();
        }
        self.0.ensure_progress(state);
    }

    /// Returns how many jobs have begun.
    pub(crate) fn begun(&self) -> u64 {
        self.0.state.lock().begun
    }

    /// Returns how many times a worker has come back from the kernel.
    pub(crate) fn returned(&self) -> u64 {
        self.0.state.lock().returned
    }

    /// Returns true if workers are stuck in jobs and others may take over.
    pub(crate) fn has_stuck(&self) -> bool {
        let state = self.0.state.lock();
        state.threads > state.idle.len() + state.coming + state.running.len() + state.blocked
    }

    /// Returns true if all workers are stuck or blocked, and there can be no more of them.
    pub(crate) fn is_exhausted(&self) -> bool {
        let state = self.0.state.lock();
        state.threads >= self.0.limits.threads && !state.has_worker() && state.idle.is_empty()
    }

    /// Runs `block`, which blocks the calling worker in the kernel, while another worker does the jobs. Returns `None`
    /// without running it if too many workers are blocked, or there is no other worker and none can be started.
    pub(crate) fn blocking<T>(&self, block: impl FnOnce() -> T) -> Option<T> {
        let shared = &self.0;
        let mut state = shared.state.lock();
        if state.blocked >= shared.limits.blocked {
            return None;
        }
        state.leave();
        if !state.has_worker() && state.idle.is_empty() && !shared.start_worker(&mut state) {
            state.join();
            shared.ensure_progress(state);
            return None;
        }
        state.blocked += 1;
        let on_return = Guard::new(|| {
            let mut state = shared.state.lock();
            state.blocked -= 1;
            state.returned += 1;
            state.join();
            shared.ensure_progress(state);
        });
        shared.ensure_progress(state);
        let result = block();
        drop(on_return);
        Some(result)
    }
}

impl<J: Job> Drop for Pool<J> {
    fn drop(&mut self) {
        let idle = {
            let mut state = self.0.state.lock();
            state.closed = true;
            state.coming += state.idle.len();
            std::mem::take(&mut state.idle)
        };
        idle.iter().for_each(Thread::unpark);
    }
}

impl<J: Job> Shared<J> {
    /// Unlocks the pool. Before that, makes sure that a worker comes for the jobs, and that a watch is armed while one runs.
    fn ensure_progress(self: &Arc<Self>, mut state: MutexGuard<'_, State<J>>) {
        let unwanted = std::mem::take(&mut state.jobs.unwanted);
        self.wake_worker(state);
        drop(unwanted);
    }

    fn wake_worker(self: &Arc<Self>, mut state: MutexGuard<'_, State<J>>) {
        let mut pause = STALL;
        if !state.has_worker() {
            if !state.jobs.find_free() {
                return;
            }
            if let Some(worker) = state.idle.pop() {
                state.coming += 1;
                drop(state);
                return worker.unpark();
            }
            if state.threads >= self.limits.threads || self.start_worker(&mut state) {
                return;
            }
            if state.threads == 0 {
                let jobs = state.jobs.take();
                drop(state);
                return jobs.for_each(|job| thread::catch_panic(|| job.refuse()));
            }
            pause = RETRY;
        } else if state.running.is_empty() {
            return;
        }
        if !state.watched && !state.jobs.is_empty() {
            state.watched = true;
            let begun = state.begun;
            drop(state);
            (self.arm)(pause, begun);
        }
    }

    /// Starts a worker. Returns false if there can be no more.
    ///
    /// The pool stays locked while the system makes the thread, which is rare and short. So no thread counts on a worker
    /// that the system then refuses.
    fn start_worker(self: &Arc<Self>, state: &mut State<J>) -> bool {
        let shared = self.clone();
        let started =
            state.threads < self.limits.threads && thread::start("locket-worker", move || shared.work());
        if started {
            state.threads += 1;
            state.coming += 1;
        }
        started
    }

    /// Does jobs until the worker is to end.
    fn work(self: &Arc<Self>) {
        IS_WORKER.set(true);
        let mut state = self.state.lock();
        state.arrive();
        while let Some(job) = self.next_job(state) {
            thread::catch_panic(|| job.run());
            state = self.state.lock();
            state.join();
        }
    }

    /// Waits for a job. Returns `None` if the calling worker is to end.
    fn next_job<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State<J>>) -> Option<J> {
        loop {
            let job = if state.running.len() == 1 { state.pop() } else { None };
            let closed = state.closed;
            if job.is_none() {
                // If there are jobs, another worker runs or their keys are taken: the thread that frees a key ensures
                // progress.
                state.leave();
                if !closed {
                    state.idle.push(current());
                }
            }
            self.ensure_progress(state);
            if job.is_some() || closed {
                return job;
            }
            state = self.park()?;
        }
    }

    /// Waits to be woken. Returns `None` if that has not happened for a while, and the calling worker is to end.
    fn park(&self) -> Option<MutexGuard<'_, State<J>>> {
        let mut until = Some(now() + IDLE);
        loop {
            park_until(until);
            let mut state = self.state.lock();
            let me = current().id();
            let Some(index) = state.idle.iter().position(|worker| worker.id() == me) else {
                state.arrive();
                return Some(state);
            };
            if until.is_none_or(|until| now() < until) {
                continue;
            }
            if state.idle.len() > 1 || state.has_worker() {
                state.idle.remove(index);
                state.threads -= 1;
                return None;
            }
            // The last worker that is not blocked is the reserve.
            until = None;
        }
    }
}

impl<J: Job> State<J> {
    /// Returns true if a worker runs or is on its way.
    fn has_worker(&self) -> bool {
        self.coming > 0 || !self.running.is_empty()
    }

    /// Notes that the calling worker, woken or started, has arrived.
    fn arrive(&mut self) {
        self.coming -= 1;
        self.join();
    }

    /// Notes that the calling worker runs: again, if it was considered stuck or blocked.
    fn join(&mut self) {
        let me = current().id();
        if !self.running.contains(&me) {
            self.running.push(me);
        }
    }

    /// Notes that the calling worker does not run any more.
    fn leave(&mut self) {
        let me = current().id();
        self.running.retain(|&id| id != me);
    }

    /// Takes the next job, which begins.
    fn pop(&mut self) -> Option<J> {
        let job = self.jobs.pop()?;
        self.begun += 1;
        Some(job)
    }
}

/// Jobs with their places in the order.
type Jobs<J> = VecDeque<(i64, J)>;

/// Jobs that have not begun, in their order.
///
/// Those that are found with a taken key are put aside until it is free, so that many of them behind a stuck one cost
/// the others nothing.
struct List<J> {
    /// Some of them may have a taken key, and not have been put aside yet.
    jobs: Jobs<J>,
    /// The taken keys, at most one for each worker, with the jobs that were put aside.
    keys: Vec<(u64, Jobs<J>)>,
    /// The places before and behind all others.
    ends: (i64, i64),
    /// At how many jobs those that are not wanted any more are sorted out.
    many: usize,
    /// Jobs that were sorted out, to be dropped when the pool is unlocked.
    unwanted: Jobs<J>,
}

impl<J: Job> List<J> {
    fn new() -> Self {
        Self { jobs: Jobs::new(), keys: Vec::new(), ends: (-1, 0), many: MANY, unwanted: Jobs::new() }
    }

    fn push(&mut self, job: J) {
        self.jobs.push_back((self.ends.1, job));
        self.ends.1 += 1;
        if self.jobs.len() >= self.many {
            sort_out(&mut self.jobs, &mut self.unwanted);
            self.many = (2 * self.jobs.len()).max(MANY);
        }
    }

    fn push_first(&mut self, job: J) {
        self.jobs.push_front((self.ends.0, job));
        self.ends.0 -= 1;
    }

    /// Returns true if no job is left, except those that were put aside.
    fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Looks for the first job whose key is free, and puts aside those before it. Returns false if there is none.
    fn find_free(&mut self) -> bool {
        while let Some((_, job)) = self.jobs.front() {
            let Some(key) = job.order_key() else { return true };
            let Some((_, aside)) = self.keys.iter_mut().find(|(taken, _)| *taken == key) else { return true };
            aside.extend(self.jobs.pop_front());
            // Unwanted jobs would pile up behind one that is stuck.
            if aside.len() >= MANY && aside.len().is_power_of_two() {
                sort_out(aside, &mut self.unwanted);
            }
        }
        false
    }

    /// Takes the first job whose key is free, and takes the key.
    fn pop(&mut self) -> Option<J> {
        if !self.find_free() {
            return None;
        }
        let (_, job) = self.jobs.pop_front()?;
        if let Some(key) = job.order_key() {
            self.keys.push((key, Jobs::new()));
        }
        Some(job)
    }

    fn free_key(&mut self, key: u64) {
        let Some(index) = self.keys.iter().position(|&(taken, _)| taken == key) else { return };
        let (_, aside) = self.keys.swap_remove(index);
        if aside.is_empty() {
            return;
        }
        self.jobs.extend(aside);
        // Two or three runs that are in order: it takes no longer than to go through them.
        self.jobs.make_contiguous().sort_by_key(|&(place, _)| place);
    }

    /// Takes all jobs that were not put aside.
    fn take(&mut self) -> impl Iterator<Item = J> + use<J> {
        std::mem::take(&mut self.jobs).into_iter().map(|(_, job)| job)
    }
}

/// Moves those that are not wanted any more from `jobs` to `unwanted`.
fn sort_out<J: Job>(jobs: &mut Jobs<J>, unwanted: &mut Jobs<J>) {
    let (wanted, mut others) = std::mem::take(jobs).into_iter().partition(|(_, job)| job.is_wanted());
    *jobs = wanted;
    unwanted.append(&mut others);
}
