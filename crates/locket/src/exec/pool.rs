//! Worker threads for everything that may block: opening files, and waiting in the kernel's queue.
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
//!   that hands its place to another if it makes no progress. Otherwise all workers are stuck or blocked and there can be no
//!   more of them ([`Limits::threads`]): then the job stays in the list until one of them comes back. Where the system
//!   refuses a thread, it is asked again every [`RETRY`].
//! - Reserve: a worker blocks in the kernel only if another one is there that does not. So a job that is submitted later
//!   needs no thread that the system might refuse.
//!
//! A worker on its way (woken or just started) is never taken for stuck: a busy machine may take its time to run it, and
//! more threads would make that no better. It hides no stuck worker either, since it takes the place when it arrives.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::guard::Guard;
use super::thread;
use crate::sync::{Mutex, MutexGuard, Thread, ThreadId, current, now, park_until};

/// A worker that has not finished a job for this long is stuck.
const STALL: Duration = Duration::from_millis(2);
/// How soon the system is asked again for a thread that it has refused.
const RETRY: Duration = Duration::from_millis(100);
/// From this length on, each time the list has doubled, the jobs that are not wanted any more are dropped.
const MANY: usize = 64;
/// How long a worker stays without a job.
const IDLE: Duration = Duration::from_secs(10);

/// What a pool can do.
pub(crate) trait Job: Send + 'static {
    /// Does it, on a worker.
    fn run(self);

    /// Turns it down, on the thread that submits it: there is no worker, and the system has no thread left.
    fn refuse(self);

    /// Returns false if nothing would be missed if it were never done. Such a job may be dropped instead.
    fn is_wanted(&self) -> bool {
        true
    }

    /// Jobs with equal keys are never done at the same time, until [`Pool::free_key`].
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

/// Worker threads, started when they are needed. They end when the pool is dropped and its jobs are done.
pub(crate) struct Pool<J: Job>(Arc<Shared<J>>);

/// What the pool and its workers share.
struct Shared<J> {
    state: Mutex<State<J>>,
    limits: Limits,
    arm: Box<dyn Fn(Duration, u64) + Send + Sync>,
}

struct State<J> {
    jobs: List<J>,
    /// Parked workers, the last one to park at the end.
    idle: Vec<Thread>,
    /// How many workers are on their way: woken or started, and not there yet.
    coming: usize,
    /// Workers that look for jobs or do them, and are neither blocked nor stuck. Mostly one.
    running: Vec<ThreadId>,
    blocked: usize,
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
    /// `arm` has to arm a watch: call [`Pool::watch`] with this number after this time. It is called with nothing locked.
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

    /// Treats the running workers as stuck if no job has begun since the watch was armed, and makes another worker take
    /// over.
    pub(crate) fn watch(&self, begun: u64) {
        let mut state = self.0.state.lock();
        state.watched = false;
        if state.jobs.find_free() {
            if state.begun == begun {
                // They come back to the list when they have done their jobs.
                state.running.clear();
            }
            self.0.ensure_progress(state);
        }
    }

    /// Returns how many jobs have begun so far.
    pub(crate) fn begun(&self) -> u64 {
        self.0.state.lock().begun
    }

    /// Returns true if workers are stuck in jobs, and others have taken over from them.
    pub(crate) fn has_stuck(&self) -> bool {
        let state = self.0.state.lock();
        state.threads > state.idle.len() + state.coming + state.running.len() + state.blocked
    }

    /// Returns true if all workers are stuck or blocked, and there can be no more of them.
    pub(crate) fn is_exhausted(&self) -> bool {
        let state = self.0.state.lock();
        state.threads >= self.0.limits.threads && !state.has_worker() && state.idle.is_empty()
    }

    /// Runs `block`, which blocks the calling worker in the kernel, while another worker is there for the jobs. Returns
    /// `None` without running it if too many workers are blocked already, or there is no other worker and none can be
    /// started.
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
        let back = Guard::new(|| {
            let mut state = shared.state.lock();
            state.blocked -= 1;
            state.join();
            shared.ensure_progress(state);
        });
        shared.ensure_progress(state);
        let result = block();
        drop(back);
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
    /// Makes sure that a worker comes for the jobs, and that a watch is armed while one runs.
    fn ensure_progress(self: &Arc<Self>, mut state: MutexGuard<'_, State<J>>) {
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
    /// The pool stays locked while the system makes the thread, which is rare and short. So nobody counts on a worker
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

    /// A worker's life.
    fn work(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.arrive();
        while let Some(job) = self.next_job(state) {
            thread::catch_panic(|| job.run());
            state = self.state.lock();
            state.join();
        }
    }

    /// Waits for a job. Returns `None` if this worker is to end.
    fn next_job<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State<J>>) -> Option<J> {
        loop {
            let job = if state.running.len() == 1 { state.pop() } else { None };
            let closed = state.closed;
            if job.is_none() {
                // If there are jobs, another worker is there, or their keys are taken: the worker that frees a key
                // ensures progress.
                state.leave();
                if closed {
                    state.threads -= 1;
                } else {
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

    /// Waits to be woken. Returns `None` if nobody has woken this worker for a while, and it is to end.
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
            // The last one that is not blocked: the reserve.
            until = None;
        }
    }
}

impl<J: Job> State<J> {
    /// Returns true if a worker is there for the jobs, or on its way.
    fn has_worker(&self) -> bool {
        self.coming > 0 || !self.running.is_empty()
    }

    /// The calling worker, woken or started, is there.
    fn arrive(&mut self) {
        self.coming -= 1;
        self.join();
    }

    /// The calling worker runs: again, if it had been taken for stuck.
    fn join(&mut self) {
        let me = current().id();
        if !self.running.contains(&me) {
            self.running.push(me);
        }
    }

    /// The calling worker does not run any more.
    fn leave(&mut self) {
        let me = current().id();
        self.running.retain(|&id| id != me);
    }

    fn pop(&mut self) -> Option<J> {
        let job = self.jobs.pop()?;
        self.begun += 1;
        Some(job)
    }
}

/// Jobs that have not begun, in their order.
///
/// Those that are found with a taken key are put aside until it is free, so that many of them behind a stuck one cost
/// the others nothing.
struct List<J> {
    /// With their places in the order. Among them may be some with a taken key that have not been put aside yet.
    jobs: VecDeque<(i64, J)>,
    /// The taken keys, with the jobs that were put aside.
    keys: BTreeMap<u64, Vec<(i64, J)>>,
    /// The places before and behind all others.
    ends: (i64, i64),
    /// At how many jobs those that are not wanted any more are dropped.
    many: usize,
}

impl<J: Job> List<J> {
    fn new() -> Self {
        Self { jobs: VecDeque::new(), keys: BTreeMap::new(), ends: (-1, 0), many: MANY }
    }

    fn push(&mut self, job: J) {
        self.jobs.push_back((self.ends.1, job));
        self.ends.1 += 1;
        if self.jobs.len() >= self.many {
            self.jobs.retain(|(_, job)| job.is_wanted());
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
            let Some(aside) = job.order_key().and_then(|key| self.keys.get_mut(&key)) else { return true };
            aside.extend(self.jobs.pop_front());
            // Requests that were given up would pile up behind a path that does not answer.
            if aside.len() >= MANY && aside.len().is_power_of_two() {
                aside.retain(|(_, job)| job.is_wanted());
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
            self.keys.insert(key, Vec::new());
        }
        Some(job)
    }

    fn free_key(&mut self, key: u64) {
        let Some(aside) = self.keys.remove(&key).filter(|aside| !aside.is_empty()) else { return };
        self.jobs.extend(aside);
        // Two or three runs that are in order: it takes no longer than to go through them.
        self.jobs.make_contiguous().sort_by_key(|&(place, _)| place);
    }

    /// Takes all jobs, of which none has begun.
    fn take(&mut self) -> impl Iterator<Item = J> + use<J> {
        std::mem::take(&mut self.jobs).into_iter().map(|(_, job)| job)
    }
}
