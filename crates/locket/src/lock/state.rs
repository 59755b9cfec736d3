//! The state of one lock within this process: who holds it, who waits, and whether a thread drives it.
//!
//! Plain data behind the mutex of a [`LockEntry`]: it makes no system call and starts no thread, and reads the clock only to
//! note when a hold begins. Loom models check it together with the engine that drives it.
//!
//! At any time at most one thread *drives* the lock: it alone tries the kernel's lock, checks the path and unlocks. The
//! others only enter the queue and leave it. [`LockState::enqueue`], [`LockState::release`], [`LockState::cancel`] and
//! [`LockState::end`] make a thread the driver. It goes from [`Action`] to action by [`LockState::next_action`], and stops
//! with [`Action::Hold`] or [`Action::Idle`], or is suspended to be resumed later ([`LockState::pause`]).

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::action::{Action, Cancellation, Completions, Effect, Enqueued, PathCheck};
use super::entry::LockEntry;
use super::fairness::Fairness;
use super::handle::Handle;
use super::holds::Holds;
use super::request::{CancelReason, CompletionSink, Outcome, Request, Ticket};
use super::wait_queue::{WaitQueue, Waiter};
use crate::client::Client;
use crate::exec::{TimerKey, WaitingThread};
use crate::sync::now;
use crate::sys::{LockMode, SystemError};

/// How often the pause between two tries is doubled, where no thread waits in the kernel.
pub(crate) const PAUSE_DOUBLINGS: u32 = 4;

/// Requests that have to be resolved again, in their order.
pub(crate) type Replaced = Vec<Arc<Request>>;

/// The state of one lock within this process.
pub(crate) struct LockState {
    phase: Phase,
    holds: Holds,
    queue: WaitQueue,
    fairness: Fairness,
    /// How often the driver was suspended since the lock was last acquired.
    pauses: u32,
    /// The timer that resumes the suspended driver, until a thread drives again.
    retry: Option<TimerKey>,
    /// The driver has been told, since its last try, that the lock may be free.
    woken: bool,
}

#[derive(Debug)]
enum Phase {
    /// No request holds the lock or waits for it.
    Idle,
    /// A thread drives.
    Driven,
    /// The driver is about to block in the kernel, or blocked there.
    Blocked { mode: LockMode, thread: WaitingThread, interrupted: bool },
    /// The driver is suspended. The timer thread will make another one, or a thread that takes up the next suspended driver.
    Paused,
    /// The lock is held in this mode, and no waiter can be granted beside the holds.
    Held(LockMode),
}

/// What is known of a lock without asking the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// It is held, here or elsewhere.
    Locked,
    /// A driver is about to find out.
    Undecided,
    /// Nothing.
    Unknown,
}

impl LockState {
    /// Returns the state of a lock that nobody uses.
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Idle,
            holds: Holds::default(),
            queue: WaitQueue::default(),
            fairness: Fairness::new(),
            pauses: 0,
            retry: None,
            woken: false,
        }
    }

    /// Returns true if nobody holds the lock or waits for it.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Returns true if this process holds the lock.
    pub(crate) fn is_held(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Returns true if nobody holds the lock or waits for it. A thread may still drive it.
    pub(crate) fn is_unused(&self) -> bool {
        !self.is_held() && self.queue.is_empty()
    }

    /// Returns true if `handle` holds the lock.
    pub(super) fn is_held_by(&self, handle: &Arc<Handle>) -> bool {
        self.holds().any(|hold| Arc::ptr_eq(&hold.handle, handle))
    }

    /// Returns the requests that hold the lock.
    pub(super) fn holds(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.holds.iter()
    }

    /// Returns the requests that wait for the lock, the first one first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.queue.iter()
    }

    /// Returns the request that holds the lock exclusively.
    pub(super) fn exclusive_hold(&self) -> Option<&Arc<Request>> {
        self.holds().next().filter(|hold| hold.mode == LockMode::Exclusive)
    }

    /// Queues a request whose path named this file a moment ago.
    pub(super) fn enqueue(&mut self, entry: &Arc<LockEntry>, request: &Arc<Request>) -> Enqueued {
        request.handle.set_file(entry.id());
        if !request.is_for(entry.id()) {
            return Enqueued::Refused(Outcome::Replaced);
        }
        let others_wait = self.queue.ahead_of(request.ticket).next().is_some();
        let is_exempt = !request.blocking || self.is_held_by_blocked(request);
        if matches!(self.phase, Phase::Held(LockMode::Shared)) && Self::may_join(request) {
            // Those that wait while the holds are drained could have joined them, too: they are not passed over.
            if is_exempt && (!others_wait || self.only_shared_are_ahead_of(request)) {
                return self.join(entry, request);
            }
            if !others_wait {
                let drains = self.fairness.has_no_grants();
                return if drains { self.drain(entry, request) } else { self.join(entry, request) };
            }
        }
        let may_be_granted =
            request.steals() || !others_wait && !self.is_held() || self.may_be_granted_together(request);
        if !request.blocking && (!may_be_granted || self.is_being_refused(request.mode)) {
            return Enqueued::Refused(Outcome::TimedOut(None));
        }
        if self.waits_for_itself(request) {
            return Enqueued::Refused(Outcome::Deadlock);
        }
        if !request.enqueue(entry) {
            return Enqueued::Gone;
        }
        self.queue.insert(request.clone());
        match self.phase {
            Phase::Idle => {
                self.phase = Phase::Driven;
                return Enqueued::Drive(None);
            }
            Phase::Held(mode) if request.steals() => {
                self.phase = Phase::Driven;
                return Enqueued::Drive(Some(mode));
            }
            _ => {}
        }
        // It may be the first now: an older request than the one that the driver waits for.
        if self.interrupt_if_unwanted() { Enqueued::Interrupts } else { Enqueued::Waits }
    }

    /// Returns what is known of the lock.
    pub(crate) fn knowledge(&self) -> Knowledge {
        match self.phase {
            // The kernel has refused those in the queue.
            Phase::Blocked { .. } | Phase::Paused | Phase::Held(_) => Knowledge::Locked,
            Phase::Driven if self.is_held() => Knowledge::Locked,
            Phase::Driven => Knowledge::Undecided,
            Phase::Idle => Knowledge::Unknown,
        }
    }

    /// Returns what is known of the lock. If that is nothing, the caller becomes the driver.
    pub(super) fn drive_if_idle(&mut self) -> Knowledge {
        let knowledge = self.knowledge();
        if knowledge == Knowledge::Unknown {
            self.phase = Phase::Driven;
        }
        knowledge
    }

    /// Grants `request`, which is in no queue, on the driver, which has just locked the file in its mode. Returns false if
    /// the request was cancelled, or its handle holds another lock. The driver goes on if the lock is not held, or if
    /// others wait.
    pub(super) fn grant_unqueued(
        &mut self,
        entry: &Arc<LockEntry>,
        request: &Arc<Request>,
        now: Instant,
    ) -> bool {
        self.on_locked(now);
        let granted = request.handle.grant(entry, request, now);
        if granted {
            self.fairness.count_grant();
            self.holds.insert(request.clone());
            if self.queue.is_empty() {
                self.phase = Phase::Held(request.mode);
            }
        }
        granted
    }

    /// Returns true if a thread drives.
    pub(super) fn is_driven(&self) -> bool {
        matches!(self.phase, Phase::Driven)
    }

    /// Returns what the driver does next. `kernel_mode`: the kernel's lock that the process has. `now` is called only
    /// where it matters: reading the clock takes a while.
    pub(crate) fn next_action(
        &mut self,
        kernel_mode: Option<LockMode>,
        now: impl Fn() -> Instant,
        completions: &mut Completions,
    ) -> Action {
        loop {
            let Some(front) = self.queue.front() else {
                return match kernel_mode {
                    Some(mode) if self.is_held() => self.hold(mode, completions),
                    Some(_) => Action::Unlock,
                    None => {
                        self.phase = Phase::Idle;
                        Action::Idle
                    }
                };
            };
            let Some(mode) = kernel_mode else {
                // No thread tries the lock on its behalf here, so it leaves without the lock for certain.
                if let Some(reason) = front.cancel_due() {
                    self.complete_front(reason.into(), completions);
                    continue;
                }
                return Action::TryLock(front.request.mode, front.request.ticket);
            };
            let request = front.request.clone();
            if self.is_held() && request.steals() {
                return Action::Steal;
            }
            if self.is_held() {
                if mode == LockMode::Shared && !self.fairness.is_draining() && Self::may_join(&request) {
                    return Action::CheckPath(request);
                }
                return self.hold(mode, completions);
            }
            if self.fairness.finish_drain() {
                return Action::GiveWay(request.mode);
            }
            return match (mode, request.mode) {
                _ if self.fairness.is_spent(&now) => Action::Unlock,
                (LockMode::Exclusive, LockMode::Shared) => Action::Downgrade,
                (LockMode::Shared, LockMode::Exclusive) => Action::Unlock,
                _ => Action::CheckPath(request),
            };
        }
    }

    /// Returns the key of the path of the first in the queue.
    pub(crate) fn front_key(&self) -> Option<u64> {
        self.queue.front().map(|front| front.request.handle.order_key)
    }

    /// Notes that the driver tries the lock now, on behalf of the first waiter.
    pub(crate) fn on_try(&mut self) {
        self.queue.set_front_attempted(true);
        self.woken = false;
    }

    /// Notes that the kernel granted the lock.
    pub(crate) fn on_locked(&mut self, now: Instant) {
        self.fairness.begin(now);
        self.pauses = 0;
    }

    /// Notes that the kernel refused the lock, tried on behalf of `ticket`, and refuses that request unless it waits for
    /// the lock. Returns true if it waits.
    pub(crate) fn on_would_block(&mut self, ticket: Ticket, completions: &mut Completions) -> bool {
        self.queue.is_front(ticket) && !self.queue.refuse_front(completions)
    }

    /// Fails the request with this ticket, on whose behalf the lock was tried.
    pub(crate) fn on_error(&mut self, ticket: Ticket, error: SystemError, completions: &mut Completions) {
        if self.queue.is_front(ticket) {
            self.complete_front(Outcome::Failed(error), completions);
        }
    }

    /// Takes the result of checking the path of `request`: grants it, fails it, or puts all requests by this path into
    /// `replaced`.
    pub(crate) fn on_path_checked(
        &mut self,
        entry: &Arc<LockEntry>,
        request: &Arc<Request>,
        check: &PathCheck,
        completions: &mut Completions,
        replaced: &mut Replaced,
    ) {
        if !self.queue.is_front(request.ticket) {
            return;
        }
        match check {
            PathCheck::Same => {
                self.grant_front(entry, completions, replaced);
                // One check serves all that came by the same path.
                while request.mode == LockMode::Shared
                    && self.queue.front().is_some_and(|front| {
                        front.request.is_by_path_of(&request.handle) && Self::may_join(&front.request)
                    })
                {
                    self.grant_front(entry, completions, replaced);
                }
            }
            PathCheck::Failed(error) => self.complete_front(Outcome::Failed(*error), completions),
            PathCheck::Replaced => {
                let gone = self.queue.extract(|waiter| waiter.request.is_by_path_of(&request.handle));
                for waiter in gone {
                    Self::resolve_again(waiter, None, completions, replaced);
                }
            }
        }
    }

    /// Notes that the file cannot be locked any more. The requests in the queue are put into `replaced`, or fail with `error`
    /// if that has been so too often.
    pub(crate) fn on_lost(
        &mut self,
        error: Option<SystemError>,
        completions: &mut Completions,
        replaced: &mut Replaced,
    ) {
        // A handle that still holds the lock that is gone waits for its own release.
        let holds = &self.holds;
        let is_held_by = |handle: &Handle| handle.hold_ticket().is_some_and(|ticket| holds.contains(ticket));
        let gone = self.queue.extract(|waiter| !is_held_by(&waiter.request.handle));
        for waiter in gone {
            Self::resolve_again(waiter, error, completions, replaced);
        }
        self.stop_driving();
    }

    /// Prepares the driver to block for `mode`. Returns the sink of the request that is granted first if the lock comes then,
    /// or `None` if the driver must not block.
    pub(super) fn block(
        &mut self,
        mode: LockMode,
        thread: WaitingThread,
        completions: &mut Completions,
    ) -> Option<Arc<dyn CompletionSink>> {
        if !self.wants(mode) {
            return None;
        }
        self.queue.refuse_nonblocking(completions);
        self.phase = Phase::Blocked { mode, thread, interrupted: false };
        self.queue.front().map(|front| front.request.sink.clone())
    }

    /// Notes that the driver is back from the kernel.
    pub(super) fn unblock(&mut self) {
        self.phase = Phase::Driven;
    }

    /// Returns the thread that is blocked and has to be interrupted.
    pub(super) fn interrupted(&self) -> Option<WaitingThread> {
        match self.phase {
            Phase::Blocked { thread, interrupted: true, .. } => Some(thread),
            _ => None,
        }
    }

    /// Suspends the driver until it is resumed. Returns when that has to be: after `first`, and after twice as long each
    /// time, up to [`PAUSE_DOUBLINGS`]. `None`: the caller goes on driving.
    pub(crate) fn pause(
        &mut self,
        mode: LockMode,
        first: Duration,
        completions: &mut Completions,
    ) -> Option<Duration> {
        if !self.wants(mode) || mem::take(&mut self.woken) {
            return None;
        }
        self.queue.refuse_nonblocking(completions);
        self.phase = Phase::Paused;
        let doublings = self.pauses.min(PAUSE_DOUBLINGS);
        self.pauses = self.pauses.saturating_add(1);
        Some(first * (1 << doublings))
    }

    /// Sets the timer that resumes the suspended driver.
    pub(crate) fn set_retry(&mut self, timer: TimerKey) {
        self.retry = Some(timer);
    }

    /// Takes the timer that was to resume the driver, if it was suspended and no thread has driven since.
    pub(crate) fn take_retry(&mut self) -> Option<TimerKey> {
        self.retry.take()
    }

    /// Returns true if this timer is to resume the driver.
    pub(crate) fn is_retry(&self, timer: TimerKey) -> bool {
        self.retry == Some(timer)
    }

    /// Makes the caller the driver, if the driver was suspended.
    pub(crate) fn resume(&mut self) -> bool {
        let paused = matches!(self.phase, Phase::Paused);
        if paused {
            self.phase = Phase::Driven;
        }
        paused
    }

    /// Notes that the lock may be free. Returns true if the driver was suspended: then the caller makes another one.
    pub(crate) fn wake(&mut self) -> bool {
        self.woken = matches!(self.phase, Phase::Driven);
        self.resume()
    }

    /// Returns true if the driver was suspended since the lock was last acquired.
    pub(crate) fn has_paused(&self) -> bool {
        self.pauses > 0
    }

    /// Ends draining, since the shared holds were not released in time.
    pub(super) fn end_drain(&mut self, drain: u64) -> Effect {
        if self.fairness.give_up_drain(drain) { self.drive_after_release() } else { Effect::None }
    }

    /// Ends driving, because of a panic or for lack of a thread: those in the queue get this outcome, and the next request
    /// begins anew. If nobody holds the lock, the caller has unlocked the file.
    pub(super) fn abort(&mut self, outcome: impl Fn() -> Outcome, completions: &mut Completions) {
        let gone = self.queue.extract(|_| true);
        completions.extend(gone.into_iter().map(|waiter| (waiter.request, outcome())));
        self.stop_driving();
    }

    /// Ends the hold of `ticket`. Returns `None` if it is not held.
    pub(super) fn release(&mut self, ticket: Ticket) -> Option<Effect> {
        self.holds.remove(ticket)?.end_hold();
        Some(self.drive_after_release())
    }

    /// Cancels the request with this ticket.
    pub(super) fn cancel(
        &mut self,
        ticket: Ticket,
        reason: CancelReason,
        completions: &mut Completions,
    ) -> Cancellation {
        let Some(waiter) = self.queue.get(ticket) else { return Cancellation::Moved };
        let is_driven = matches!(self.phase, Phase::Driven | Phase::Blocked { .. });
        let is_first_to_time_out = self.queue.is_front(ticket) && reason == CancelReason::TimedOut;
        if is_first_to_time_out && matches!(self.phase, Phase::Paused) && waiter.is_blocking() {
            // The lock may have become free since the last try.
            self.queue.mark_cancelled(ticket, reason);
            self.queue.set_front_attempted(false);
            self.phase = Phase::Driven;
            return Cancellation::Pending(Effect::Drive(None));
        }
        let is_due_a_try =
            is_first_to_time_out && !waiter.attempted && !self.is_being_refused(waiter.request.mode);
        let is_alone = self.queue.staying().all(|request| request.ticket == ticket);
        if is_driven && (is_alone || is_due_a_try) {
            // The driver tries on behalf of this request alone. It may have the lock already.
            self.queue.mark_cancelled(ticket, reason);
            return Cancellation::Pending(self.effect_of_departure());
        }
        completions.extend(self.queue.remove(ticket).map(|request| (request, reason.into())));
        Cancellation::Done(self.effect_of_departure())
    }

    /// Removes `ticket` from the queue, although the driver, which tries on its behalf, does not respond. If the lock comes
    /// later, this request does not get it.
    pub(super) fn abandon(&mut self, ticket: Ticket, completions: &mut Completions) {
        let Some(waiter) = self.queue.get(ticket) else { return };
        let outcome = match waiter.cancelled {
            None => return,
            // The kernel has not refused it, since it has not answered.
            Some(CancelReason::TimedOut) if matches!(self.phase, Phase::Driven) => Outcome::Unanswered,
            Some(reason) => reason.into(),
        };
        completions.extend(self.queue.remove(ticket).map(|request| (request, outcome)));
    }

    /// Ends all that `client` holds and waits for. Returns the holds that have ended.
    pub(super) fn end(
        &mut self,
        client: &Arc<Client>,
        completions: &mut Completions,
    ) -> (Vec<Arc<Request>>, Effect) {
        let gone = self.queue.extract(|waiter| Arc::ptr_eq(&waiter.request.client, client));
        let has_left = !gone.is_empty();
        completions.extend(gone.into_iter().map(|waiter| (waiter.request, Outcome::Aborted)));
        let ended = self.holds.extract(client);
        Self::forget(&ended);
        let effect = match (ended.is_empty(), has_left) {
            (false, _) => self.drive_after_release(),
            (true, true) => self.effect_of_departure(),
            (true, false) => Effect::None,
        };
        (ended, effect)
    }

    /// Notes the outcome of [`Action::Steal`]. `kernel_mode`: the kernel's lock that the process still has. If that is shared, the
    /// holds go on. Otherwise they have ended, and are returned.
    pub(crate) fn on_stolen(
        &mut self,
        kernel_mode: Option<LockMode>,
        completions: &mut Completions,
    ) -> Vec<Arc<Request>> {
        let is_refused = kernel_mode != Some(LockMode::Exclusive);
        if is_refused && self.queue.front().is_some_and(|front| front.request.steals()) {
            self.complete_front(Outcome::TimedOut(None), completions);
        }
        if kernel_mode == Some(LockMode::Shared) {
            return Vec::new();
        }
        // It gets the lock before other processes have their turn.
        self.fairness.begin(now());
        let stolen = self.holds.take();
        Self::forget(&stolen);
        stolen
    }

    /// Has the handles of `holds`, which have ended, forget them.
    fn forget(holds: &[Arc<Request>]) {
        for hold in holds {
            hold.handle.forget_hold(hold.ticket);
            hold.end_hold();
        }
    }

    /// Returns true if `request` may hold the lock beside shared holds.
    fn may_join(request: &Request) -> bool {
        request.mode == LockMode::Shared && request.handle.is_free()
    }

    /// Grants `request` beside the holds, without it having waited.
    fn join(&mut self, entry: &Arc<LockEntry>, request: &Arc<Request>) -> Enqueued {
        if !request.enqueue(entry) {
            return Enqueued::Gone;
        }
        if !request.handle.grant(entry, request, now()) {
            request.dequeue();
            return Enqueued::Elsewhere;
        }
        self.fairness.count_grant();
        self.holds.insert(request.clone());
        Enqueued::Granted
    }

    /// Makes `request`, which could join the holds, wait until they have been released, so that other processes get a
    /// chance.
    fn drain(&mut self, entry: &Arc<LockEntry>, request: &Arc<Request>) -> Enqueued {
        if !request.enqueue(entry) {
            return Enqueued::Gone;
        }
        self.queue.insert(request.clone());
        self.fairness.begin_drain().map_or(Enqueued::Waits, Enqueued::Drains)
    }

    /// Returns true if all that `request` has to wait for share the lock.
    fn only_shared_are_ahead_of(&self, request: &Request) -> bool {
        self.queue.ahead_of(request.ticket).all(|other| other.mode == LockMode::Shared)
    }

    /// Returns true if a driver, which the kernel has not refused, may grant `request` together with all holds and all that
    /// are ahead.
    fn may_be_granted_together(&self, request: &Request) -> bool {
        matches!(self.phase, Phase::Driven)
            && request.mode == LockMode::Shared
            && self.holds.mode() != Some(LockMode::Exclusive)
            && self.only_shared_are_ahead_of(request)
    }

    /// Returns true if `request` blocks a thread that holds the lock, and so keeps it from releasing it.
    fn is_held_by_blocked(&self, request: &Request) -> bool {
        request.blocks_client && self.holds.has_any_of(request.client.thread)
    }

    /// Returns true if `request` would block, for ever, the very thread whose code has to release the lock first.
    fn waits_for_itself(&self, request: &Request) -> bool {
        let before = || self.holds.iter().chain(self.queue.ahead_of(request.ticket));
        let are_shared_with = |other: &Arc<Request>| {
            other.mode == LockMode::Shared
                && request.mode == LockMode::Shared
                && !Arc::ptr_eq(&other.handle, &request.handle)
        };
        request.blocks_for_ever()
            && before().any(|other| other.client.thread == request.client.thread)
            && !before().all(are_shared_with)
    }

    /// Returns true if a thread waits in the kernel, which has refused `mode`.
    fn is_being_refused(&self, mode: LockMode) -> bool {
        // What cannot be shared cannot be exclusive either.
        matches!(self.phase, Phase::Blocked { mode: refused, .. } if refused == mode || refused == LockMode::Shared)
    }

    /// Returns true if the first in the queue waits for `mode`.
    fn wants(&self, mode: LockMode) -> bool {
        self.queue.front().is_some_and(|front| front.is_blocking() && front.request.mode == mode)
    }

    /// Ends driving: the lock is held in `mode`.
    fn hold(&mut self, mode: LockMode, completions: &mut Completions) -> Action {
        self.queue.refuse_nonblocking(completions);
        self.phase = Phase::Held(mode);
        Action::Hold
    }

    /// Ends driving: the lock is held if there are holds.
    fn stop_driving(&mut self) {
        self.phase = self.holds.mode().map_or(Phase::Idle, Phase::Held);
    }

    /// Grants the first request. If its handle has been granted another file just now, the request goes there, unless it
    /// was cancelled.
    fn grant_front(
        &mut self,
        entry: &Arc<LockEntry>,
        completions: &mut Completions,
        replaced: &mut Replaced,
    ) {
        let Some(Waiter { request, cancelled, .. }) = self.queue.remove_front() else { return };
        if request.handle.grant(entry, &request, now()) {
            self.fairness.count_grant();
            self.holds.insert(request.clone());
            completions.push((request, Outcome::Granted));
        } else if let Some(reason) = cancelled {
            completions.push((request, reason.into()));
        } else {
            request.dequeue();
            replaced.push(request);
        }
    }

    /// Puts a waiter, which has left the queue, into `replaced`. It fails with `error`, if there is one, after that has been
    /// so too often.
    fn resolve_again(
        waiter: Waiter,
        error: Option<SystemError>,
        completions: &mut Completions,
        replaced: &mut Replaced,
    ) {
        let Waiter { request, cancelled, .. } = waiter;
        match (cancelled, error) {
            (Some(reason), _) => completions.push((request, reason.into())),
            (None, Some(error)) if !request.may_resolve_again() => {
                completions.push((request, Outcome::Failed(error)));
            }
            (None, _) => {
                request.dequeue();
                replaced.push(request);
            }
        }
    }

    fn complete_front(&mut self, outcome: Outcome, completions: &mut Completions) {
        completions.extend(self.queue.remove_front().map(|front| (front.request, outcome)));
    }

    /// Returns what the caller has to do after a hold has ended: drive, to grant the lock to the first in the queue, unless
    /// a thread drives already.
    fn drive_after_release(&mut self) -> Effect {
        match self.phase {
            Phase::Held(mode) => {
                self.phase = Phase::Driven;
                Effect::Drive(Some(mode))
            }
            _ => Effect::None,
        }
    }

    /// Returns what the caller has to do after a request has left the queue, or is about to.
    fn effect_of_departure(&mut self) -> Effect {
        match self.phase {
            // The next one may be granted beside the holds.
            Phase::Held(LockMode::Shared) => self.drive_after_release(),
            Phase::Paused if self.queue.is_empty() => {
                self.phase = Phase::Driven;
                Effect::Drive(None)
            }
            _ => {
                if self.interrupt_if_unwanted() {
                    Effect::Interrupt
                } else {
                    Effect::None
                }
            }
        }
    }

    /// Marks the driver as interrupted if it is blocked in the kernel for a mode that the next request does not want.
    /// Returns whether it is.
    fn interrupt_if_unwanted(&mut self) -> bool {
        match self.phase {
            Phase::Blocked { mode, ref mut interrupted, .. }
                if self.queue.staying().next().is_none_or(|next| next.mode != mode) =>
            {
                *interrupted = true;
                true
            }
            _ => false,
        }
    }
}
