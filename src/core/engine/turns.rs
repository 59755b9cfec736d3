//! Turns: who takes them on which thread, and where they go when that thread must not go on.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::opening::{Arriving, Job};
use super::timers::Timer;
use super::{Engine, POOL};
use crate::core::kernel::LockMode;
use crate::core::request::{Outcome, Request};
use crate::core::shared_file::{May, Rest, SharedFile};
use crate::core::sys;
use crate::core::turn::Follow;

/// How soon a thread that is wanted back from the kernel is signalled again; doubled from then on.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(1);

/// Which thread takes a turn, and so what it may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// A worker: anything.
    Worker,
    /// A user's thread that asks for itself: it may try.
    Caller,
    /// A user's thread that passes the lock on: it may look and unlock.
    Releaser,
    /// A thread that gives a wait up, or an environment: it may unlock. The timekeeper must not be held up, or no deadline
    /// is kept, nor an event loop by an abort.
    Leaver,
}

impl Seat {
    /// What it may do to `shared`. On a network file system a release leaves the unlocking to a worker, so that the
    /// event loop does not wait for a server.
    fn may(self, shared: &SharedFile) -> May {
        match self {
            Self::Worker | Self::Caller => May::Ask,
            Self::Releaser | Self::Leaver if !shared.is_local() => May::Settle,
            Self::Releaser => May::Look,
            Self::Leaver => May::Unlock,
        }
    }
}

/// A turn under way.
struct Turn<'a> {
    engine: &'a Engine,
    shared: &'a Arc<SharedFile>,
    /// Requests whose file has to be opened anew.
    moved: Vec<Arc<Request>>,
}

/// A panic has broken it off: nobody is forgotten, and no file stays open.
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.moved.iter().for_each(|request| request.settle(Outcome::Panicked));
            self.engine.retire(self.shared);
        }
    }
}

impl Engine {
    /// Works on the turn of `shared`, which the caller has, until it is over or somebody else's.
    pub(super) fn take_turn(&self, shared: &Arc<SharedFile>, mut had: Option<LockMode>, seat: Seat) {
        let mut turn = Turn { engine: self, shared, moved: Vec::new() };
        shared.set_driver(Some(sys::this_thread_number()));
        loop {
            let rest = shared.work(had, seat.may(shared), &mut turn.moved);
            if !turn.moved.is_empty() {
                // All are counted before the first of them may arrive.
                let arriving: Vec<_> = turn.moved.drain(..).map(Arriving::new).collect();
                self.submit_first(arriving.into_iter().map(Job::OpenAnew));
            }
            had = match (rest, seat) {
                (Rest::Held, _) => return,
                (Rest::Idle, _) => return self.retire(shared),
                (Rest::Turn(had), _) => return self.submit_turn(shared, had),
                (Rest::GiveWay(mode), _) if self.pause(shared, mode) => return,
                (Rest::GiveWay(_), _) => None,
                (Rest::Wait(..), Seat::Caller | Seat::Releaser | Seat::Leaver) => {
                    return self.submit_turn(shared, None);
                }
                (Rest::Wait(mode, ticket), Seat::Worker) => {
                    let waited = match self.interrupts.filter(|_| sys::blocks_in_kernel(mode)) {
                        Some(interrupts) => POOL.blocking(|| shared.wait(mode, ticket, interrupts)),
                        None => None,
                    };
                    match waited {
                        Some(had) => {
                            self.resume_another();
                            had
                        }
                        None if self.pause(shared, mode) => return,
                        None => None,
                    }
                }
            };
        }
    }

    /// Has a worker go on with the turn of `shared`.
    fn submit_turn(&self, shared: &Arc<SharedFile>, had: Option<LockMode>) {
        shared.set_driver(None);
        self.submit(Job::Turn(shared.clone(), had));
    }

    /// Has the kernel asked again in a while, with jitter, lest many processes ask in step.
    fn pause(&self, shared: &Arc<SharedFile>, mode: LockMode) -> bool {
        shared.set_driver(None);
        let Some(pause) = shared.pause(mode) else {
            shared.set_driver(Some(sys::this_thread_number()));
            return false;
        };
        let jitter = self.jitter.hash_one(Instant::now()) % 512;
        let delay = pause * u32::try_from(768 + jitter).expect("below 1280") / 1024;
        self.after(delay, Timer::Retry(Arc::downgrade(shared)));
        if self.interrupts.is_some() {
            self.paused().insert(shared.identity(), Arc::downgrade(shared));
        }
        true
    }

    /// A worker that was blocked is free again: another file, whose turn was laid down because too many were, need not
    /// wait for its time.
    fn resume_another(&self) {
        while let Some((_, shared)) = {
            let mut paused = self.paused();
            paused.pop_first()
        } {
            if let Some(shared) = shared.upgrade()
                && shared.resume()
            {
                return self.submit(Job::Turn(shared, None));
            }
        }
    }

    /// Lets go of a file that nobody holds or waits for, unless somebody has come meanwhile, or whose descriptor somebody
    /// has closed.
    pub(super) fn retire(&self, shared: &Arc<SharedFile>) {
        let mut table = self.table();
        let identity = shared.identity();
        if (shared.is_lost() || shared.is_idle())
            && table.get(&identity).is_some_and(|entry| Arc::ptr_eq(entry, shared))
        {
            table.remove(&identity);
            self.paused().remove(&identity);
        }
    }

    /// Does what a change from outside has brought about.
    pub(super) fn follow(&self, shared: &Arc<SharedFile>, follow: Follow, seat: Seat) {
        match follow {
            Follow::Nothing => {}
            Follow::Turn(had) => self.take_turn(shared, had, seat),
            Follow::Interrupt => {
                self.after(INTERRUPT_AGAIN, Timer::Interrupt(Arc::downgrade(shared), INTERRUPT_AGAIN));
            }
        }
    }
}
