//! Driving a lock: carrying out the actions of its state, one by one, on the thread that has become the driver.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::dispatch::{Task, Timer};
use crate::engine::{CANCEL_GRACE, Engine};
use crate::exec::{Guard, Interrupts};
use crate::lock::{Action, Completions, DriveResult, LockEntry, Outcome, Permit, Replaced, Request, Ticket};
use crate::pause::Reason;
use crate::resolve::{Arriving, OPEN_AGAIN, Route};
use crate::steal::tell_lost;
use crate::sync::now;
use crate::sys::{Changes, LockMode, SystemError, is_stale};
use crate::trace;

#[cfg(all(test, not(loom)))]
mod tests;

/// Time until a driver that has to leave the kernel is interrupted again; doubled each time.
const INTERRUPT_AGAIN: Duration = Duration::from_millis(1);

/// Results of driving that have not been passed on yet.
#[derive(Default)]
struct Pending {
    completions: Completions,
    /// Requests that have to be resolved again.
    replaced: Replaced,
    /// Holds that have been stolen.
    stolen: Vec<Arc<Request>>,
    /// The driver was suspended until now.
    was_paused: bool,
}

impl Engine {
    /// Drives the lock of `entry`, whose driver the caller has become, until the lock is held, no request is left, or another
    /// thread goes on. `kernel_mode`: the kernel's lock that this process has.
    pub(crate) fn drive(
        self: &Arc<Self>,
        entry: &Arc<LockEntry>,
        kernel_mode: Option<LockMode>,
        permit: Permit,
    ) {
        self.drive_in_chain(entry, kernel_mode, permit, false);
    }

    /// Drives the lock of `entry`, whose driver was suspended until now, and then has the chain go on.
    pub(crate) fn drive_taken_up(self: &Arc<Self>, entry: &Arc<LockEntry>) {
        self.drive_in_chain(entry, None, Permit::Block, true);
    }

    /// Same as [`Engine::drive`]. `is_chained`: the driver has been taken up by [`Engine::take_up_next`].
    fn drive_in_chain(
        self: &Arc<Self>,
        entry: &Arc<LockEntry>,
        mut kernel_mode: Option<LockMode>,
        permit: Permit,
        is_chained: bool,
    ) {
        // On a network file system a release leaves the unlocking to a worker: the event loop does not wait for a server.
        let permit = if entry.is_local() || permit >= Permit::TryLock { permit } else { Permit::Queue };
        let pending = RefCell::new(Pending::default());
        let is_chained = Cell::new(is_chained);
        let on_panic = Guard::new(|| {
            self.end_chain(is_chained.take());
            let Pending { completions, replaced, stolen, .. } = pending.take();
            tell_lost(&stolen);
            self.complete_all(entry, completions);
            for request in &replaced {
                self.complete(request, Outcome::Panicked);
            }
            self.abort_with(entry, || Outcome::Panicked);
        });
        entry.set_driven(true);
        let mut was_paused = false;
        loop {
            let result = self.advance(entry, &mut kernel_mode, permit, &mut pending.borrow_mut());
            // Delivered only here: a holder that knew of its lock earlier could release it while this thread still drives,
            // and release() would return before the kernel's lock is free.
            let Pending { completions, replaced, stolen, was_paused: resumed } = pending.take();
            was_paused |= resumed;
            tell_lost(&stolen);
            self.complete_all(entry, completions);
            self.resolve_again(replaced);
            match result {
                DriveResult::Held => {
                    self.begin_renewal(entry);
                    break;
                }
                DriveResult::Idle => {
                    self.retire(entry);
                    break;
                }
                DriveResult::HandOver(mode) => {
                    self.hand_over(entry, mode);
                    break;
                }
                DriveResult::Wait(..) if permit < Permit::Block => {
                    self.hand_over(entry, None);
                    break;
                }
                DriveResult::GiveWay(mode) => {
                    if self.pause(entry, mode, Reason::GivesWay) {
                        break;
                    }
                }
                DriveResult::Wait(mode, ticket) => {
                    was_paused = false;
                    let returned = self.pool.returned();
                    let waited = match entry.file().await_change(&|| self.waker(entry)) {
                        Changes::LookNow => continue,
                        Changes::Within(limit) => {
                            if self.pause(entry, mode, Reason::Watched(limit)) {
                                break;
                            }
                            continue;
                        }
                        Changes::Untold => None,
                        Changes::InKernel => self.system.interrupts(mode).and_then(|interrupts| {
                            self.pool.blocking(|| {
                                kernel_mode = self.wait_in_kernel(entry, mode, ticket, interrupts);
                            })
                        }),
                    };
                    if waited.is_some() {
                        self.take_up_next(is_chained.take());
                    } else if self.pause(entry, mode, Reason::Refused) {
                        if self.pool.returned() == returned {
                            self.end_chain(is_chained.take());
                        } else {
                            // A thread has come back from the kernel before this driver was in the list.
                            self.take_up_next(is_chained.take());
                        }
                        break;
                    }
                }
            }
        }
        if was_paused || is_chained.get() {
            // The lock was free, or nobody waits for it any more: that may be true of others.
            self.take_up_next(is_chained.take());
        }
        on_panic.disarm();
    }

    /// Drives the lock of `entry` as far as `permit` allows.
    fn advance(
        &self,
        entry: &Arc<LockEntry>,
        kernel_mode: &mut Option<LockMode>,
        permit: Permit,
        Pending { completions, replaced, stolen, was_paused }: &mut Pending,
    ) -> DriveResult {
        let mut state = entry.state();
        *was_paused = self.end_pause(&mut state);
        loop {
            if entry.is_lost() {
                state.on_lost(None, completions, replaced);
                return if state.is_held() { DriveResult::Held } else { DriveResult::Idle };
            }
            let action = state.next_action(*kernel_mode, now, completions);
            trace::action(entry.id(), &action);
            // The system is called with the state unlocked.
            match action {
                Action::Hold => return DriveResult::Held,
                Action::Idle => return DriveResult::Idle,
                Action::TryLock(..) if permit < Permit::TryLock => return DriveResult::HandOver(None),
                Action::Steal if permit < Permit::TryLock => return DriveResult::HandOver(*kernel_mode),
                Action::CheckPath(_) if permit < Permit::CheckPath => {
                    return DriveResult::HandOver(*kernel_mode);
                }
                Action::Unlock | Action::GiveWay(_) | Action::Downgrade if permit < Permit::Unlock => {
                    return DriveResult::HandOver(*kernel_mode);
                }
                Action::TryLock(mode, ticket) => {
                    state.on_try();
                    let has_paused = state.has_paused();
                    drop(state);
                    // While the driver was suspended there was time for other code to close the descriptor.
                    if has_paused && !entry.check_descriptor() {
                        state = entry.state();
                        continue;
                    }
                    let tried = entry.file().try_lock(mode);
                    let is_lost = tried.is_err() && !entry.check_descriptor();
                    state = entry.state();
                    match tried {
                        _ if is_lost => {}
                        Err(error) if is_stale(&error) => {
                            let error = entry.file().describe(&error);
                            state.on_lost(Some(error), completions, replaced);
                        }
                        Ok(true) => {
                            *kernel_mode = Some(mode);
                            state.on_locked(now());
                        }
                        Ok(false) => {
                            state.front_key().into_iter().for_each(|key| self.warm_files.on_refused(key));
                            if state.on_would_block(ticket, completions) {
                                return DriveResult::Wait(mode, ticket);
                            }
                        }
                        Err(error) => state.on_error(ticket, entry.file().describe(&error), completions),
                    }
                }
                Action::CheckPath(request) => {
                    drop(state);
                    let check = entry.check_path(&request.handle);
                    state = entry.state();
                    state.on_path_checked(entry, &request, &check, completions, replaced);
                }
                Action::Steal => {
                    drop(state);
                    let is_locked = |mode| matches!(entry.file().try_lock(mode), Ok(true));
                    // The kernel turns a shared lock into an exclusive one before others have their turn. If another process
                    // shares it, that is refused, and the shared lock is gone as well.
                    if *kernel_mode == Some(LockMode::Shared) {
                        let modes = [LockMode::Exclusive, LockMode::Shared];
                        *kernel_mode = modes.into_iter().find(|mode| is_locked(*mode));
                    }
                    state = entry.state();
                    stolen.append(&mut state.on_stolen(*kernel_mode, completions));
                }
                Action::Downgrade => {
                    drop(state);
                    // Not atomic everywhere: another process may have taken the lock in between. Then the driver tries again.
                    let shared = matches!(entry.file().try_lock(LockMode::Shared), Ok(true));
                    *kernel_mode = shared.then_some(LockMode::Shared);
                    state = entry.state();
                }
                Action::Unlock => {
                    let is_unused = state.is_unused();
                    drop(state);
                    // Deleted while it is locked: no request is refused for the sake of a lock that nobody holds.
                    if is_unused && !self.warm_files.will_stay_open(entry.warm_key()) {
                        entry.remove_unused();
                    }
                    entry.file().unlock();
                    *kernel_mode = None;
                    state = entry.state();
                }
                Action::GiveWay(mode) => {
                    drop(state);
                    entry.file().unlock();
                    *kernel_mode = None;
                    return DriveResult::GiveWay(mode);
                }
            }
        }
    }

    /// Waits in the kernel, on the calling worker. Returns the kernel's lock that the process has then: none if the thread
    /// was interrupted.
    fn wait_in_kernel(
        self: &Arc<Self>,
        entry: &Arc<LockEntry>,
        mode: LockMode,
        ticket: Ticket,
        interrupts: Interrupts,
    ) -> Option<LockMode> {
        let mut completions = Completions::new();
        let next_sink = entry.block(mode, interrupts, &mut completions);
        self.complete_all(entry, completions);
        let next_sink = next_sink?;
        let result = entry.file().lock(mode);
        let is_interrupted = matches!(&result, Err(error) if error.kind() == io::ErrorKind::Interrupted);
        // While the thread was blocked there was time for other code to close the descriptor.
        let is_lost = !is_interrupted && !entry.check_descriptor();
        if result.is_ok() {
            // A thread that sleeps takes a while to wake up: meanwhile the path is checked.
            next_sink.wake_early();
        }
        let mut completions = Completions::new();
        let mut state = entry.unblock();
        let kernel_mode = match result {
            // The driver goes on: it sees that the entry is lost, or its next try fails since the file is stale.
            _ if is_lost => None,
            Ok(()) => {
                state.on_locked(now());
                Some(mode)
            }
            Err(error) if is_interrupted || is_stale(&error) => None,
            Err(error) => {
                state.on_error(ticket, entry.file().describe(&error), &mut completions);
                None
            }
        };
        drop(state);
        self.complete_all(entry, completions);
        kernel_mode
    }

    /// Has a worker renew the lock of `entry`, which is held, after a while, if it needs that.
    pub(crate) fn begin_renewal(self: &Arc<Self>, entry: &Arc<LockEntry>) {
        let Some(delay) = entry.file().renewal() else { return };
        let key = self.timer_key(delay);
        if entry.begin_renewal(key) {
            self.add_timer(key, Timer::Renew(Arc::downgrade(entry)));
        }
    }

    /// Renews the lock of `entry`, if it is still held.
    pub(crate) fn renew(self: &Arc<Self>, entry: &Arc<LockEntry>) {
        entry.end_renewal();
        let is_held = entry.state().is_held();
        if is_held && (entry.file().renew() || self.check_hold(entry)) {
            self.begin_renewal(entry);
        }
    }

    /// Has workers resolve these requests again, before all other jobs, or after a pause.
    pub(crate) fn resolve_again(self: &Arc<Self>, requests: Replaced) {
        let is_put_off = |request: &Arc<Request>| {
            request.resolves_later() && self.after(OPEN_AGAIN, Timer::OpenAgain(request.clone()))
        };
        // All are counted as resolving before the first of them may reach a queue.
        let arriving: Vec<_> = requests
            .into_iter()
            .filter(|request| !is_put_off(request))
            .map(|request| Arriving::new(self.clone(), request))
            .collect();
        if arriving.is_empty() {
            return;
        }
        self.submit_first(arriving.into_iter().map(|arriving| Task::Resolve(arriving, Route::Uncached)));
    }

    /// Has a worker drive the lock.
    pub(crate) fn hand_over(self: &Arc<Self>, entry: &Arc<LockEntry>, kernel_mode: Option<LockMode>) {
        entry.set_driven(false);
        self.submit(Task::Drive(entry.clone(), kernel_mode));
    }

    /// Interrupts the driver again in a moment.
    pub(crate) fn interrupt_later(self: &Arc<Self>, entry: &Arc<LockEntry>) {
        self.after(INTERRUPT_AGAIN, Timer::Interrupt(Arc::downgrade(entry), INTERRUPT_AGAIN));
    }

    /// Interrupts the driver again, `delay` after the last time, if it is still blocked.
    pub(crate) fn interrupt_again(self: &Arc<Self>, entry: &Arc<LockEntry>, delay: Duration) {
        if entry.interrupt_again() {
            let delay = (delay * 2).min(CANCEL_GRACE);
            self.after(delay, Timer::Interrupt(Arc::downgrade(entry), delay));
        }
    }

    /// Ends the draining of shared holds that were not released in time.
    pub(crate) fn end_drain(self: &Arc<Self>, entry: &Arc<LockEntry>, drain: u64) {
        self.apply(entry, entry.end_drain(drain), Permit::Unlock);
    }

    /// Completes a request that was cancelled long ago, although its driver does not respond.
    pub(crate) fn abandon(self: &Arc<Self>, request: &Arc<Request>) {
        if let Some(entry) = request.queued_at() {
            let mut completions = Completions::new();
            entry.abandon(request.ticket, &mut completions);
            self.complete_all(&entry, completions);
        } else if request.is_resolving() {
            self.complete(request, Outcome::Unanswered);
        }
    }

    /// Ends the driving of `entry`, for which there is no thread: the requests in the queue fail with `error`.
    pub(crate) fn abort(self: &Arc<Self>, entry: &Arc<LockEntry>, error: SystemError) {
        self.abort_with(entry, || Outcome::Failed(error));
    }

    /// Ends the driving of `entry`: the requests in the queue get this outcome.
    pub(crate) fn abort_with(self: &Arc<Self>, entry: &Arc<LockEntry>, outcome: impl Fn() -> Outcome) {
        self.end_pause(&mut entry.state());
        let mut completions = Completions::new();
        entry.abort(outcome, &mut completions);
        self.complete_all(entry, completions);
        self.retire(entry);
    }
}
