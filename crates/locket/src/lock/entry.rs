//! A lock that this process holds or waits for: its entry in the engine's table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::Instant;

use super::action::{Cancellation, Completions, Effect, EndedHold, Enqueued, PathCheck};
use super::handle::{Handle, Part, Removal};
use super::request::{CancelReason, CompletionSink, Outcome, Request, Ticket, millis};
use super::state::{Knowledge, LockState, Replaced};
use crate::client::Client;
use crate::exec::thread::{self, ThreadNumber};
use crate::exec::{Interrupts, TimerKey};
use crate::sync::{Mutex, MutexGuard, now};
use crate::sys::{FileId, LockFile, LockMode, SystemError};

/// One lock file, and the state of its lock. The table has at most one for each file.
pub(crate) struct LockEntry {
    id: FileId,
    file: Box<dyn LockFile>,
    /// The file is known to be on a file system of this machine: no system call on it waits for a server.
    is_local: bool,
    /// The number of the thread that drives; 0 while the driver is suspended or a worker still has to come. After driving
    /// has ended, the number of the last driver.
    driver: AtomicI32,
    /// The descriptor was closed by other code. No request is queued any more, and the table has forgotten the entry, or is
    /// about to.
    lost: AtomicBool,
    /// In which millisecond the descriptor was last checked. 0: not since the file was opened.
    checked: AtomicU64,
    /// The key of the path for which the file may stay open when the lock is idle. 0: it is closed.
    warm_key: AtomicU64,
    /// By whose path the file is deleted when nobody uses it any more.
    removed_by: Option<Arc<Handle>>,
    /// That has been done, or somebody else used the file.
    removal_is_over: AtomicBool,
    /// The timer that renews the lock.
    renewal: Mutex<Option<TimerKey>>,
    state: Mutex<LockState>,
}

impl LockEntry {
    /// Returns the entry of a file that has been opened for `handle`, with an idle state.
    pub(crate) fn new(file: Box<dyn LockFile>, is_local: bool, handle: &Arc<Handle>) -> Arc<Self> {
        let is_removed = handle.options.removal == Removal::WhenUnused && file.is_coherent();
        Arc::new(Self {
            id: file.id(),
            file,
            is_local,
            driver: AtomicI32::new(0),
            lost: AtomicBool::new(false),
            checked: AtomicU64::new(0),
            warm_key: AtomicU64::new(0),
            removed_by: is_removed.then(|| handle.clone()),
            removal_is_over: AtomicBool::new(false),
            renewal: Mutex::new(None),
            state: Mutex::new(LockState::new()),
        })
    }

    /// Returns which file it is.
    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Returns the file, for its driver.
    pub(crate) fn file(&self) -> &dyn LockFile {
        &*self.file
    }

    /// Locks the state, for its driver.
    pub(crate) fn state(&self) -> MutexGuard<'_, LockState> {
        self.state.lock()
    }

    /// Returns true if the file is known to be on a file system of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    /// Records that the calling thread drives, or that no thread does for a while.
    pub(crate) fn set_driven(&self, driven: bool) {
        let number = if driven { thread::current_number().get() } else { 0 };
        self.driver.store(number, Ordering::Relaxed);
    }

    /// Returns the thread that drives. `None`: the driver is suspended, or a worker still has to come.
    pub(crate) fn driver(&self) -> Option<ThreadNumber> {
        ThreadNumber::new(self.driver.load(Ordering::Relaxed))
    }

    /// Returns true if a check has found that other code had closed the descriptor.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Returns true if the descriptor is still that of the lock file. If it is not, it is never used again.
    pub(crate) fn check_descriptor(&self) -> bool {
        let intact = !self.is_lost() && self.file.is_intact();
        if !intact {
            self.lost.store(true, Ordering::SeqCst);
            self.file.disown();
        }
        intact
    }

    /// Returns the same as [`LockEntry::check_descriptor`], without a check if the last one was in the same millisecond: it
    /// takes a system call.
    pub(crate) fn is_intact_still(&self, now: Instant) -> bool {
        // Not 0, which stands for never.
        let now = millis(now) + 1;
        let is_checked = self.checked.swap(now, Ordering::Relaxed) == now;
        if is_checked { !self.is_lost() } else { self.check_descriptor() }
    }

    /// Returns true if closing the file drops no fcntl(2) locks of this process: there are none, or other code has closed
    /// the file.
    pub(crate) fn may_be_closed(&self) -> bool {
        !self.check_descriptor() || !self.file.may_have_fcntl_locks()
    }

    /// Notes that this timer renews the lock. Returns false if another one does.
    pub(crate) fn begin_renewal(&self, timer: TimerKey) -> bool {
        let mut renewal = self.renewal.lock();
        let begins = renewal.is_none();
        renewal.get_or_insert(timer);
        begins
    }

    /// Returns the timer that was to renew the lock.
    pub(crate) fn end_renewal(&self) -> Option<TimerKey> {
        self.renewal.lock().take()
    }

    /// Returns the key of the path for which the file may stay open now that the lock is idle. It is told once.
    pub(crate) fn take_warm_key(&self) -> Option<u64> {
        Some(self.warm_key.swap(0, Ordering::Relaxed)).filter(|&key| key != 0)
    }

    /// Checks whether the path of `handle` still names the file.
    pub(crate) fn check_path(&self, handle: &Handle) -> PathCheck {
        match self.file.is_at(&handle.path) {
            Ok(true) => PathCheck::Same,
            Ok(false) => {
                self.warm_key.store(0, Ordering::Relaxed);
                PathCheck::Replaced
            }
            Err(error) => PathCheck::Failed(SystemError::new(&error, "stat")),
        }
    }

    /// Queues a request.
    pub(crate) fn enqueue(self: &Arc<Self>, request: &Arc<Request>) -> Enqueued {
        self.enqueue_locked(&mut self.state.lock(), request)
    }

    fn enqueue_locked(self: &Arc<Self>, state: &mut LockState, request: &Arc<Request>) -> Enqueued {
        let enqueued = state.enqueue(self, request);
        if matches!(enqueued, Enqueued::Interrupts) {
            self.interrupt_driver(state);
        }
        enqueued
    }

    /// Queues a request if the lock is in use. Otherwise returns `None`: the table may have forgotten this entry already.
    pub(crate) fn enqueue_if_busy(self: &Arc<Self>, request: &Arc<Request>) -> Option<Enqueued> {
        let mut state = self.state.lock();
        // A handle that still holds the lost lock queues its next request here, behind its own release.
        let is_open = !state.is_idle() && (!self.is_lost() || state.is_held_by(&request.handle));
        is_open.then(|| self.enqueue_locked(&mut state, request))
    }

    /// Returns what is known of the lock.
    pub(crate) fn knowledge(&self) -> Knowledge {
        self.state.lock().knowledge()
    }

    /// Returns what is known of the lock. If that is nothing, the caller becomes the driver.
    pub(crate) fn drive_if_idle(&self) -> Knowledge {
        self.state.lock().drive_if_idle()
    }

    /// Grants `request`, which is in no queue, on the driver, which has just locked the file in its mode. Returns whether
    /// it was granted: not if it was cancelled, or its handle holds another lock; and whether the caller goes on driving.
    pub(crate) fn grant_unqueued(self: &Arc<Self>, request: &Arc<Request>, now: Instant) -> (bool, bool) {
        let mut state = self.state.lock();
        let granted = state.grant_unqueued(self, request, now);
        // Asked later, the state could have another driver already, as when the client of the request ends.
        (granted, state.is_driven())
    }

    /// Returns true if no request holds the lock or waits for it.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().is_idle()
    }

    /// Returns the number of the descriptor by which the file is locked, if a child can inherit the lock by it.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        self.file.descriptor()
    }

    /// Adds the requests that hold the lock to `held`, and those that wait for it to `pending`, in their order.
    pub(crate) fn list(&self, held: &mut Vec<Arc<Request>>, pending: &mut Vec<Arc<Request>>) {
        let state = self.state.lock();
        held.extend(state.holds().cloned());
        pending.extend(state.waiting().cloned());
    }

    /// Returns the request that holds the lock exclusively, if its client has received the hold.
    pub(crate) fn exclusive_hold(&self) -> Option<Arc<Request>> {
        self.state.lock().exclusive_hold().filter(|hold| hold.handle.is_held()).cloned()
    }

    /// Prepares the driver to block in the kernel for `mode`. Returns `None` if it must not, else the sink of the request
    /// that is granted first if the lock comes now.
    pub(crate) fn block(
        &self,
        mode: LockMode,
        interrupts: Interrupts,
        completions: &mut Completions,
    ) -> Option<Arc<dyn CompletionSink>> {
        let thread = interrupts.this_thread();
        self.state.lock().block(mode, thread, completions)
    }

    /// Notes that the driver is back from the kernel. Returns the locked state.
    pub(crate) fn unblock(&self) -> MutexGuard<'_, LockState> {
        let mut state = self.state.lock();
        state.unblock();
        state
    }

    /// Ends driving: the requests in the queue get this outcome.
    pub(crate) fn abort(&self, outcome: impl Fn() -> Outcome, completions: &mut Completions) {
        let mut state = self.state.lock();
        if !state.is_held() {
            // While the caller still drives: the next driver could have the lock by then, and would lose it here.
            drop(state);
            self.file.unlock();
            state = self.state.lock();
        }
        state.abort(outcome, completions);
    }

    /// Ends draining: the shared holds were not released in time.
    pub(crate) fn end_drain(&self, drain: u64) -> Effect {
        self.state.lock().end_drain(drain)
    }

    /// Ends `hold`. Returns `None` if it is not held any more.
    pub(crate) fn release(&self, hold: &Request) -> Option<EndedHold> {
        let is_intact = self.is_intact_still(now());
        // A file of this package's own harms nobody, whatever is in it.
        let is_own = self.removed_by.is_some() || hold.handle.part == Some(Part::Gate);
        let is_harmless = is_own || self.file.may_stay_open();
        let stays_open = is_intact && self.is_local && is_harmless && !removes_on_release(hold);
        self.warm_key.store(if stays_open { hold.handle.order_key } else { 0 }, Ordering::Relaxed);
        // Before the state ends the hold, so that the next request of the handle can be granted at once.
        hold.handle.forget_hold(hold.ticket);
        let effect = self.state.lock().release(hold.ticket)?;
        if is_intact {
            self.remove_on_release(hold, effect);
        }
        Some(EndedHold { effect, was_lost: !is_intact })
    }

    /// Cancels `request`, if it is queued here.
    pub(crate) fn cancel(
        &self,
        request: &Request,
        reason: CancelReason,
        completions: &mut Completions,
    ) -> Cancellation {
        let mut state = self.state.lock();
        let cancellation = state.cancel(request.ticket, reason, completions);
        match cancellation {
            Cancellation::Done(Effect::Interrupt) | Cancellation::Pending(Effect::Interrupt) => {
                self.interrupt_driver(&state);
            }
            // While the state is locked no request enters or leaves the queue.
            Cancellation::Moved if request.is_queued_at(self) => return Cancellation::Completing,
            _ => {}
        }
        cancellation
    }

    /// Removes a request that was cancelled long ago, although the driver does not respond.
    pub(crate) fn abandon(&self, ticket: Ticket, completions: &mut Completions) {
        self.state.lock().abandon(ticket, completions);
    }

    /// Interrupts the blocked driver once more. Returns false if no driver has to be interrupted.
    pub(crate) fn interrupt_again(&self) -> bool {
        self.interrupt_driver(&self.state.lock())
    }

    /// Ends all that `client` has here.
    pub(crate) fn end(&self, client: &Arc<Client>, completions: &mut Completions) -> Effect {
        if self.state.lock().holds().any(|hold| Arc::ptr_eq(&hold.client, client)) {
            self.check_descriptor();
        }
        let (ended, effect) = {
            let mut state = self.state.lock();
            let (ended, effect) = state.end(client, completions);
            if effect == Effect::Interrupt {
                self.interrupt_driver(&state);
            }
            (ended, effect)
        };
        for hold in ended.iter().filter(|_| !self.is_lost()) {
            self.remove_on_release(hold, effect);
        }
        effect
    }

    /// Takes out the requests that wait for the lock, which is gone, unless a thread drives: it notices by itself. Returns the
    /// holds that have been lost, and the requests that have to be resolved again.
    pub(crate) fn lose(&self, completions: &mut Completions) -> (Vec<Arc<Request>>, Replaced) {
        let mut replaced = Replaced::new();
        let mut state = self.state.lock();
        if !state.is_driven() && state.is_held() {
            state.on_lost(None, completions, &mut replaced);
        }
        (state.holds().cloned().collect(), replaced)
    }

    /// Returns true if closing the file also deletes it, or what stands for it.
    pub(crate) fn is_removed_when_closed(&self) -> bool {
        self.file.is_entry() || self.removed_by.is_some()
    }

    /// Returns true if the file has still to be deleted, since nobody uses it.
    pub(crate) fn is_to_be_removed(&self) -> bool {
        self.removed_by.is_some() && !self.removal_is_over.load(Ordering::Relaxed)
    }

    /// Notes whether the file needs no removal any more, since it is deleted or somebody else uses it.
    pub(crate) fn set_removal_is_over(&self, is_over: bool) {
        self.removal_is_over.store(is_over, Ordering::Relaxed);
    }

    /// Returns the key of the path for which the file may stay open when the lock is idle. 0: it is closed.
    pub(crate) fn warm_key(&self) -> u64 {
        self.warm_key.load(Ordering::Relaxed)
    }

    /// Deletes the file, if that is wanted when nobody uses it, and no other process holds its lock. The caller is about to unlock
    /// or to close it.
    pub(crate) fn remove_unused(&self) {
        let Some(handle) = &self.removed_by else { return };
        self.set_removal_is_over(true);
        // A process that waits for it, or has opened it already, looks at the path once it has the lock.
        if self.check_descriptor() && matches!(self.file.try_lock(LockMode::Exclusive), Ok(true)) {
            let _ = self.file.unlink(&handle.path);
        }
    }

    fn interrupt_driver(&self, state: &LockState) -> bool {
        let Some(thread) = state.interrupted() else { return false };
        // SAFETY: the thread cannot have ended, nor left the kernel for good: it has to lock this entry's state first
        // (`LockEntry::unblock`), which the caller has locked.
        unsafe { self.file.interrupt(thread) };
        true
    }

    /// Deletes the file under the exclusive lock, which the caller drives, if the handle of the hold says so.
    fn remove_on_release(&self, hold: &Request, effect: Effect) {
        if removes_on_release(hold) && effect == Effect::Drive(Some(LockMode::Exclusive)) {
            // A folder that cannot be written keeps the file, which harms nobody.
            let _ = self.file.unlink(&hold.handle.path);
        }
    }
}

fn removes_on_release(hold: &Request) -> bool {
    hold.handle.options.removal == Removal::OnRelease && !hold.keeps_file()
}
