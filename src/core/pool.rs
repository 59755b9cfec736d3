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
    ask_for: fn(Need),
}

struct State<J> {
    jobs: VecDeque<J>,
    /// Lanes of jobs that have been begun.
    busy_lanes: Vec<u64>,
    /// Parked workers, the last one to park at the end.
    idle: Vec<(Id, Thread)>,
    /// Workers that look for jobs or do them, and are neither blocked nor stuck. Mostly one.
    running: Vec<Id>,
    blocked: usize,
    threads: usize,
    last_id: Id,
    /// How many jobs have been begun: does it go forward?
    begun: u64,
    watched: bool,
}

/// What a worker is known by.
type Id = u64;

/// What a pool cannot see to alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The worker is busy: call [`Pool::watch`] after [`STALL`], with this number.
    Watch(u64),
    /// There is no thread to do the jobs: call [`Pool::run_here`] somewhere.
    Thread,
}

thread_local! {
    /// Which worker the calling thread is.
    static ME: Cell<Id> = const { Cell::new(0) };
}

impl<J: Job> Pool<J> {
    /// A pool without threads. `ask_for` is called with nothing locked.
    pub const fn new(ask_for: fn(Need)) -> Self {
        Self {
            ask_for,
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                busy_lanes: Vec::new(),
                idle: Vec::new(),
                running: Vec::new(),
                blocked: 0,
                threads: 0,
                last_id: 0,
                begun: 0,
                watched: false,
            }),
        }
    }

    /// Submits a job behind all others.
    pub fn submit(&'static self, job: J) {
        let mut state = self.lock();
        state.jobs.push_back(job);
        self.see_to_jobs(state);
    }

    /// Submits jobs before all others, in their order.
    pub fn submit_first(&'static self, jobs: impl DoubleEndedIterator<Item = J>) {
        let mut state = self.lock();
        for job in jobs.rev() {
            state.jobs.push_front(job);
        }
        self.see_to_jobs(state);
    }

    /// The job that entered `lane` has come so far that the next one may be begun.
    pub fn leave_lane(&'static self, lane: u64) {
        let mut state = self.lock();
        if let Some(index) = state.busy_lanes.iter().position(|&busy| busy == lane) {
            state.busy_lanes.swap_remove(index);
        }
        if state.running.is_empty() {
            // The caller is taken for stuck, and those who have looked since have found all lanes busy.
            self.see_to_jobs(state);
        }
    }

    /// Has a worker been stuck since [`Need::Watch`]? Then another one takes over.
    pub fn watch(&'static self, begun: u64) {
        let mut state = self.lock();
        state.watched = false;
        if !state.jobs.is_empty() && state.begun == begun {
            // They come back to the list when they have done their jobs.
            state.running.clear();
        }
        self.see_to_jobs(state);
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

    /// Runs `block`, which blocks the calling worker in the kernel, while another worker does the jobs. `None`: it
    /// was not run, since too many are blocked already, or nobody else is there to do the jobs.
    pub fn blocking<T>(&'static self, block: impl FnOnce() -> T) -> Option<T> {
        let mut state = self.lock();
        if state.blocked >= MAX_BLOCKED {
            return None;
        }
        state.leave();
        state.blocked += 1;
        let back = Back(self);
        if !self.find_worker(state) {
            return None;
        }
        let result = block();
        drop(back);
        Some(result)
    }

    fn see_to_jobs(&'static self, state: MutexGuard<'_, State<J>>) {
        if !self.find_worker(state) {
            (self.ask_for)(Need::Thread);
        }
    }

    /// Sees to it that a worker does the jobs, if there are any. `false`: none can be had.
    fn find_worker(&'static self, mut state: MutexGuard<'_, State<J>>) -> bool {
        if state.jobs.is_empty() {
            return true;
        }
        if !state.running.is_empty() {
            if !state.watched {
                state.watched = true;
                let begun = state.begun;
                drop(state);
                (self.ask_for)(Need::Watch(begun));
            }
            return true;
        }
        if let Some((id, worker)) = state.idle.pop() {
            state.running.push(id);
            drop(state);
            worker.unpark();
            return true;
        }
        if state.threads >= MAX_THREADS {
            return false;
        }
        state.threads += 1;
        state.last_id += 1;
        let id = state.last_id;
        state.running.push(id);
        drop(state);
        if threads::start("locket-worker", move || self.work(id)) {
            return true;
        }
        let mut state = self.lock();
        state.threads -= 1;
        state.running.retain(|&running| running != id);
        false
    }

    /// A worker's life.
    fn work(&'static self, me: Id) {
        ME.set(me);
        while let Some(job) = self.next_job() {
            threads::shielded(|| job.run(true));
        }
    }

    /// Waits for a job. `None`: this worker is to end.
    fn next_job(&self) -> Option<J> {
        loop {
            {
                let mut state = self.lock();
                state.join();
                if state.running.len() == 1
                    && let Some(job) = state.pop()
                {
                    return Some(job);
                }
                // If there are jobs, their lanes are busy: whoever leaves one sees to them.
                state.leave();
                state.idle.push((ME.get(), thread::current()));
            }
            if !self.park() {
                return None;
            }
        }
    }

    /// Waits to be woken. `false`: nobody has for a while.
    fn park(&self) -> bool {
        let deadline = Instant::now() + IDLE;
        loop {
            thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
            let mut state = self.lock();
            let Some(index) = state.idle.iter().position(|&(id, _)| id == ME.get()) else { return true };
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

/// Brings a worker back from blocking when dropped, also if a panic has.
struct Back<J: Job>(&'static Pool<J>);

impl<J: Job> Drop for Back<J> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.blocked -= 1;
        state.join();
    }
}

impl<J: Job> State<J> {
    /// The calling worker runs: again, if it had been taken for stuck.
    fn join(&mut self) {
        if !self.running.contains(&ME.get()) {
            self.running.push(ME.get());
        }
    }

    /// The calling worker does not run any more.
    fn leave(&mut self) {
        self.running.retain(|&id| id != ME.get());
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
