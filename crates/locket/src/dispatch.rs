//! What workers and the timer thread do for the engine: each variant is one call of it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::engine::Engine;
use crate::exec::{self, Due, TimerKey};
use crate::lock::{LockEntry, Permit, Request, Ticket};
use crate::queries::Query;
use crate::resolve::{Arriving, Route};
use crate::semaphore::PermitWait;
use crate::sys::{LockMode, SystemError};
use crate::watchdog::LastCheck;

/// A task with the engine it is for.
pub(crate) struct Job {
    pub engine: Arc<Engine>,
    pub task: Task,
}

/// What a worker does.
pub(crate) enum Task {
    /// Resolve a request.
    Resolve(Arriving, Route),
    /// Drive a lock. This is the kernel's lock that the process has.
    Drive(Arc<LockEntry>, Option<LockMode>),
    /// Drive a lock whose driver was suspended until now, and take up the next one.
    DriveTakenUp(Arc<LockEntry>),
    /// Close the files of these locks.
    Close(Vec<Arc<LockEntry>>),
    /// Renew a lock that is held.
    Renew(Arc<LockEntry>),
    /// Look for a free slot of a semaphore.
    ChoosePermit(Arc<PermitWait>),
    /// Check whether a semaphore is used with another number of permits.
    CheckPermits(Arc<PermitWait>),
    /// Answer queries for holders.
    AnswerQueries,
    /// Answer whether a lock is held.
    Probe(Arc<Query>),
}

impl exec::Job for Job {
    fn run(self) {
        let Self { engine, task } = self;
        match task {
            Task::Resolve(arriving, route) => engine.resolve_in_order(arriving, route),
            Task::Drive(entry, kernel_mode) => engine.drive(&entry, kernel_mode, Permit::Block),
            Task::DriveTakenUp(entry) => engine.drive_taken_up(&entry),
            Task::Close(entries) => entries.iter().for_each(|entry| engine.remove_file(entry)),
            Task::Renew(entry) => engine.renew(&entry),
            Task::ChoosePermit(wait) => wait.go_on(),
            Task::CheckPermits(wait) => engine.check_permits(&wait),
            Task::AnswerQueries => engine.answer_queries(),
            Task::Probe(query) => engine.probe(&query),
        }
    }

    fn refuse(self) {
        let Self { engine, task } = self;
        let error = SystemError::no_thread();
        match task {
            Task::Resolve(arriving, _) => engine.fail(arriving.request(), error),
            Task::Drive(entry, _) => engine.abort(&entry, error),
            Task::DriveTakenUp(entry) => {
                engine.end_chain(true);
                engine.abort(&entry, error);
            }
            Task::Close(entries) => entries.iter().for_each(|entry| entry.remove_unused()),
            // The lock is held all the same, and renewed with the next release or never.
            Task::Renew(entry) => drop(entry.end_renewal()),
            Task::ChoosePermit(wait) | Task::CheckPermits(wait) => wait.fail(error),
            Task::AnswerQueries => engine.fail_queries(error),
            Task::Probe(query) => query.fail(error),
        }
    }

    /// Returns that of the path: requests by one path keep their order, also if a worker is stuck.
    fn order_key(&self) -> Option<u64> {
        match &self.task {
            Task::Resolve(arriving, _) => Some(arriving.request().handle.order_key),
            Task::Drive(..)
            | Task::DriveTakenUp(_)
            | Task::Close(_)
            | Task::Renew(_)
            | Task::ChoosePermit(_)
            | Task::CheckPermits(_)
            | Task::AnswerQueries
            | Task::Probe(_) => None,
        }
    }

    /// Returns false for a request that was cancelled: it needs no file.
    fn is_wanted(&self) -> bool {
        match &self.task {
            Task::Resolve(arriving, _) => !arriving.request().is_completed(),
            Task::Drive(..)
            | Task::DriveTakenUp(_)
            | Task::Close(_)
            | Task::Renew(_)
            | Task::ChoosePermit(_)
            | Task::CheckPermits(_)
            | Task::AnswerQueries
            | Task::Probe(_) => true,
        }
    }
}

/// A timer with the engine it is for. It does not keep the engine alive.
pub(crate) struct TimedTask {
    pub engine: Weak<Engine>,
    pub timer: Timer,
}

/// What the timer thread does at a time.
pub(crate) enum Timer {
    /// The deadline of this request has come.
    Deadline(Arc<Request>),
    /// Check whether the path of this request answers, since its time is over. With the result of the last check.
    CheckAnswer(Arc<Request>, LastCheck),
    /// The driver was interrupted on behalf of this request, and may not have responded.
    Abandon(Arc<Request>),
    /// Interrupt the driver again, this long after the last time: that interrupt may have come before the driver blocked.
    Interrupt(Weak<LockEntry>, Duration),
    /// Resume the driver that was suspended until the time of this timer. It tries again.
    Retry(Weak<LockEntry>, TimerKey),
    /// Check whether the pool has made progress since this many jobs had begun.
    Watch(u64),
    /// The time for draining the shared holds is over.
    EndDrain(Weak<LockEntry>, u64),
    /// Open the file again: another program had opened it without sharing, or it was stale.
    OpenAgain(Arc<Request>),
    /// The time for this query is over.
    QueryTooLate(Weak<Query>),
    /// Probe again: a driver was about to find out.
    ProbeAgain(Arc<Query>),
    /// Check whether the semaphore of the request with this ticket is used with another number of permits.
    CheckPermits(Ticket),
    /// Renew this lock, if it is held.
    Renew(Weak<LockEntry>),
    /// Close the warm files that were not used for a while.
    SweepWarmFiles,
}

impl Due for TimedTask {
    fn fire(self) {
        let Some(engine) = self.engine.upgrade() else { return };
        match self.timer {
            Timer::Deadline(request) => engine.expire(&request),
            Timer::CheckAnswer(request, last) => engine.check_answer(request, last),
            Timer::Abandon(request) => engine.abandon(&request),
            Timer::Interrupt(entry, delay) => {
                entry.upgrade().into_iter().for_each(|entry| engine.interrupt_again(&entry, delay));
            }
            Timer::Retry(entry, key) => {
                entry.upgrade().into_iter().for_each(|entry| engine.retry(&entry, key));
            }
            Timer::Watch(begun) => engine.pool.watch(begun),
            Timer::EndDrain(entry, drain) => {
                entry.upgrade().into_iter().for_each(|entry| engine.end_drain(&entry, drain));
            }
            Timer::OpenAgain(request) => engine.submit_resolve(request, Route::Uncached),
            Timer::QueryTooLate(query) => {
                query.upgrade().into_iter().for_each(|query| engine.give_up(&query));
            }
            Timer::ProbeAgain(query) => engine.submit(Task::Probe(query)),
            Timer::Renew(entry) => {
                entry.upgrade().into_iter().for_each(|entry| engine.submit(Task::Renew(entry)));
            }
            Timer::CheckPermits(ticket) => engine.check_permits_later(ticket),
            Timer::SweepWarmFiles => engine.sweep_warm_files(),
        }
    }
}
