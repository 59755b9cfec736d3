//! Worker threads for everything that may block: opening files and waiting in the kernel's queue.
//!
//! One worker runs at a time: so jobs are done in the order in which they were submitted, which is what makes
//! first come, first served. Another one starts when that one is about to block in the kernel, or has been stuck
//! in a job for [`STALL`] (a network mount that does not answer). Idle ones are woken last in, first out, and end
//! after a while.
//!
//! A job may have a *lane*: jobs of one lane are done one after the other even when a worker is stuck in one.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::threads;

/// A worker that has not finished a job for this long is stuck.
pub const STALL: Duration = Duration::from_millis(2);
/// How many workers may be blocked in the kernel at once.
const MAX_BLOCKED: usize = 256;
/// How many threads there may be in all, stuck ones included.
const MAX_THREADS: usize = 512;
/// How long a worker stays without a job.
const IDLE: Duration = Duration::from_secs(10);

/// What a pool can do.
pub trait Job: Send + 'static {
    /// Does it, on a worker, or where there is none on another thread (`on_worker` is false then).
    fn run(self, on_worker: bool);
    /// Jobs with equal lanes are never done at the same time, until [`Pool::leave_lane`].
    fn lane(&self) -> Option<u64>;
}

/// Worker threads, started when they are needed.
pub struct Pool<J: 'static> {
    state: Mutex<State<J>>,
}

struct State<J> {
    jobs: VecDeque<J>,
    /// Lanes of jobs that have been begun.
    busy_lanes: Vec<u64>,
    /// Parked workers, the last one to park at the end.
    idle: Vec<Thread>,
    /// Workers that look for jobs or do them, and are neither blocked nor stuck.
    running: usize,
    blocked: usize,
    threads: usize,
    /// How many jobs have been begun: does it go forward?
    begun: u64,
    /// Counts how often the running workers were declared stuck.
    epoch: u64,
    watched: bool,
}

/// What the one who submits a job has to see to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// Nothing: a worker will do it.
    Taken,
    /// The worker is busy: call [`Pool::watch`] after [`STALL`], with this number.
    Watch(u64),
    /// There is no thread to do it: call [`Pool::run_here`] somewhere.
    Stranded,
}

thread_local! {
    /// The epoch in which this worker was last known to go forward.
    static EPOCH: Cell<u64> = const { Cell::new(0) };
}

impl<J: Job> Default for Pool<J> {
    fn default() -> Self {
        Self::new()
    }
}

impl<J: Job> Pool<J> {
    /// A pool without threads.
    pub const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                busy_lanes: Vec::new(),
                idle: Vec::new(),
                running: 0,
                blocked: 0,
                threads: 0,
                begun: 0,
                epoch: 0,
                watched: false,
            }),
        }
    }

    /// Submits a job behind all others.
    pub fn submit(&'static self, job: J) -> Submitted {
        let mut state = self.lock();
        state.jobs.push_back(job);
        self.see_to_jobs(state)
    }

    /// Submits jobs before all others, in their order.
    pub fn submit_first(&'static self, jobs: impl DoubleEndedIterator<Item = J>) -> Submitted {
        let mut state = self.lock();
        for job in jobs.rev() {
            state.jobs.push_front(job);
        }
        self.see_to_jobs(state)
    }

    /// The job that entered `lane` has come so far that the next one may be begun.
    pub fn leave_lane(&self, lane: u64) {
        let mut state = self.lock();
        if let Some(index) = state.busy_lanes.iter().position(|&busy| busy == lane) {
            state.busy_lanes.swap_remove(index);
        }
    }

    /// Has a worker been stuck since [`Submitted::Watch`]? Then another one takes over.
    pub fn watch(&'static self, begun: u64) -> Submitted {
        let mut state = self.lock();
        state.watched = false;
        if !state.jobs.is_empty() && state.begun == begun && state.running > 0 {
            state.epoch += 1;
            state.running = 0;
        }
        self.see_to_jobs(state)
    }

    /// Does all jobs on the calling thread: for where there are no workers.
    pub fn run_here(&'static self) {
        while let Some(job) = {
            let mut state = self.lock();
            state.pop()
        } {
            threads::shielded(|| job.run(false));
        }
    }

    /// The calling worker is about to block in the kernel. `false`: it must not, since too many do already, or
    /// nobody else is there to do the jobs.
    pub fn begin_blocking(&'static self) -> bool {
        let mut state = self.lock();
        if state.blocked >= MAX_BLOCKED {
            return false;
        }
        state.rejoin();
        state.running -= 1;
        state.blocked += 1;
        let stranded = self.see_to_jobs(state) == Submitted::Stranded;
        if stranded {
            self.end_blocking();
        }
        !stranded
    }

    /// The calling worker is back.
    pub fn end_blocking(&self) {
        let mut state = self.lock();
        state.blocked -= 1;
        state.running += 1;
        EPOCH.set(state.epoch);
    }

    /// Sees to it that somebody does the jobs.
    fn see_to_jobs(&'static self, mut state: MutexGuard<'_, State<J>>) -> Submitted {
        if state.jobs.is_empty() {
            return Submitted::Taken;
        }
        if state.running > 0 {
            if state.watched {
                return Submitted::Taken;
            }
            state.watched = true;
            return Submitted::Watch(state.begun);
        }
        state.running += 1;
        if let Some(worker) = state.idle.pop() {
            drop(state);
            worker.unpark();
            return Submitted::Taken;
        }
        if state.threads < MAX_THREADS {
            state.threads += 1;
            let epoch = state.epoch;
            drop(state);
            if threads::start("locket-worker", move || {
                EPOCH.set(epoch);
                self.work();
            }) {
                return Submitted::Taken;
            }
            state = self.lock();
            state.threads -= 1;
        }
        state.running -= 1;
        Submitted::Stranded
    }

    /// A worker's life.
    fn work(&'static self) {
        loop {
            while let Some(job) = self.next_job() {
                threads::shielded(|| job.run(true));
            }
            if !self.park() {
                return;
            }
        }
    }

    /// The next job, or `None` when this worker is not needed.
    fn next_job(&self) -> Option<J> {
        let mut state = self.lock();
        state.rejoin();
        if state.running > 1 {
            return None;
        }
        state.pop()
    }

    /// Waits to be woken. `false`: this worker is to end.
    fn park(&self) -> bool {
        let me = thread::current();
        let deadline = Instant::now() + IDLE;
        {
            let mut state = self.lock();
            // A job may have come between.
            if state.running == 1 && state.has_job() {
                return true;
            }
            state.running -= 1;
            state.idle.push(me.clone());
        }
        loop {
            thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
            let mut state = self.lock();
            let Some(index) = state.idle.iter().position(|thread| thread.id() == me.id()) else {
                // Whoever took this worker from the list has counted it as running.
                EPOCH.set(state.epoch);
                return true;
            };
            if Instant::now() >= deadline {
                state.idle.remove(index);
                state.threads -= 1;
                return false;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Job> State<J> {
    /// Counts the calling worker as running, if it had been declared stuck.
    fn rejoin(&mut self) {
        if EPOCH.get() != self.epoch {
            EPOCH.set(self.epoch);
            self.running += 1;
        }
    }

    fn has_job(&self) -> bool {
        self.next_index().is_some()
    }

    /// The first job whose lane is free.
    fn next_index(&self) -> Option<usize> {
        if self.busy_lanes.is_empty() {
            return (!self.jobs.is_empty()).then_some(0);
        }
        self.jobs.iter().position(|job| job.lane().is_none_or(|lane| !self.busy_lanes.contains(&lane)))
    }

    fn pop(&mut self) -> Option<J> {
        let job = self.jobs.remove(self.next_index()?)?;
        self.begun += 1;
        self.busy_lanes.extend(job.lane());
        Some(job)
    }
}
