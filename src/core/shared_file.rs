//! A lock file that this process holds or waits for: its queue, and the turns that are taken on it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use super::handle::Handle;
use super::kernel::{LockFile, LockMode, SystemError};
use super::queue::Queue;
use super::request::{Outcome, Overview, Owner, Reason, Request, Ticket, Whereabouts};
use super::sync::{Mutex, now};
use super::sys::{self, Identity, Interrupts, ThreadNumber};
use super::turn::{Cancelled, Entered, Follow, Look, Refused, Settlements, Step};

/// One file, one of these: the table sees to that.
pub struct SharedFile<F: ?Sized = dyn LockFile> {
    identity: Identity,
    traits: Traits,
    /// The thread that has the turn, unless it waits in a list or for its time.
    driver: StdMutex<Option<ThreadNumber>>,
    /// Somebody has closed its descriptor. Nobody enters any more, and the table has forgotten it, or is about to.
    lost: AtomicBool,
    queue: Mutex<Queue>,
    file: F,
}

/// What is known of a lock file since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// It is known to be on a file system of this machine: no system call on it waits for a server.
    pub local: bool,
    /// It was opened by the quick way, which takes no more system calls than it must.
    pub quick: bool,
}

/// Longest hold by the quick way whose release does not check the descriptor, which takes one more system call.
const QUICK_HOLD: Duration = Duration::from_millis(1);

/// What a thread that has the turn may do, each with all before it. What takes a path or a wait can take any time, on a
/// network mount for ever; there unlocking, too, waits for a server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum May {
    /// Work on the queue.
    Settle,
    /// Let go of the lock.
    Unlock,
    /// Look at a path.
    Look,
    /// Try for the lock.
    Ask,
}

/// Where a turn comes to rest.
pub enum Rest {
    /// Somebody holds the lock.
    Held,
    /// Nobody is left.
    Idle,
    /// There is something to do that the caller may not. This is what the process has of the kernel's lock.
    Turn(Option<LockMode>),
    /// The kernel has said no to this mode, asked for on behalf of this request.
    Wait(LockMode, Ticket),
    /// The lock is left to other processes for a moment, before it is asked for again in this mode.
    GiveWay(LockMode),
}

impl SharedFile {
    /// A file that nobody waits for yet.
    pub fn new(file: impl LockFile + 'static, identity: Identity, traits: Traits) -> Arc<Self> {
        let queue = Mutex::new(Queue::new());
        Arc::new(SharedFile {
            identity,
            traits,
            driver: StdMutex::new(None),
            lost: AtomicBool::new(false),
            queue,
            file,
        })
    }

    /// Says which thread has the turn. `None`: it waits in a list or for its time.
    pub fn set_driver(&self, thread: Option<ThreadNumber>) {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }

    /// Returns which thread has the turn, if any; of a turn that is over, which had it.
    pub fn driver(&self) -> Option<ThreadNumber> {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether it is known to be on a file system of this machine.
    pub fn is_local(&self) -> bool {
        self.traits.local
    }

    /// Returns whether somebody has closed its descriptor, as far as has been noticed.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Returns whether the descriptor is still that of the lock file. If it is not, it is never used again.
    fn check(&self) -> bool {
        let intact = !self.is_lost() && self.file.is_intact();
        if !intact {
            self.lost.store(true, Ordering::SeqCst);
            self.file.disown();
        }
        intact
    }

    /// Which file it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Puts a request in line.
    pub fn enter(self: &Arc<Self>, request: &Arc<Request>) -> Entered {
        self.queue.lock().enter(self, request)
    }

    /// The same, if there is a line at all. `None`: everybody has gone, and the table may have let go of this
    /// file already.
    pub fn enter_if_busy(self: &Arc<Self>, request: &Arc<Request>) -> Option<Entered> {
        let mut queue = self.queue.lock();
        // A handle that still holds what was lost waits for its own release.
        let open = !queue.is_idle() && (!self.is_lost() || queue.is_held_by(&request.handle));
        open.then(|| queue.enter(self, request))
    }

    /// Has everybody gone?
    pub fn is_idle(&self) -> bool {
        self.queue.lock().is_idle()
    }

    /// The number of the descriptor by which the lock is held, where a child can inherit the lock by it.
    pub fn descriptor(&self) -> Option<i32> {
        self.file.descriptor()
    }

    /// Adds who holds the lock and who waits for it, in their order.
    pub fn list(&self, overview: &mut Overview) {
        let queue = self.queue.lock();
        overview.held.extend(queue.holds().cloned());
        overview.pending.extend(queue.waiting().cloned());
    }

    /// The acquisition that holds the lock exclusively, and of which its user knows.
    pub fn exclusive_hold(&self) -> Option<Arc<Request>> {
        self.queue.lock().exclusive_hold().filter(|hold| hold.handle.held()).cloned()
    }

    /// Works on the turn that the caller has, until it is over or the kernel has to be waited for.
    ///
    /// `had`: what this process has of the kernel's lock. Requests whose path names another file by now are put into
    /// `moved`.
    pub fn work(
        self: &Arc<Self>,
        mut had: Option<LockMode>,
        may: May,
        moved: &mut Vec<Arc<Request>>,
    ) -> Rest {
        // Delivered only when the turn rests: a holder that knew of its lock earlier could release it while
        // this thread still has the turn, and release() would return before the kernel's lock is free.
        let mut settled = Settlements::new();
        let collapse = Collapse(self);
        let mut queue = self.queue.lock();
        let rest = loop {
            if self.is_lost() {
                queue.lose(None, &mut settled, moved);
                break if queue.is_held() { Rest::Held } else { Rest::Idle };
            }
            let step = queue.next(had, now, &mut settled);
            // The kernel is asked with the queue unlocked.
            match step {
                Step::Held => break Rest::Held,
                Step::Idle => break Rest::Idle,
                Step::Ask(..) if may < May::Ask => break Rest::Turn(None),
                Step::Look(_) if may < May::Look => break Rest::Turn(had),
                Step::Unlock | Step::GiveWay(_) | Step::Downgrade if may < May::Unlock => {
                    break Rest::Turn(had);
                }
                Step::Ask(mode, ticket) => {
                    queue.ask();
                    let has_paused = queue.has_paused();
                    drop(queue);
                    // While a turn is laid down there is time for somebody to close the descriptor.
                    if has_paused && !self.check() {
                        queue = self.queue.lock();
                        continue;
                    }
                    let tried = self.file.try_lock(mode);
                    let lost = tried.is_err() && !self.check();
                    queue = self.queue.lock();
                    match tried {
                        _ if lost => {}
                        Err(error) if sys::is_stale(&error) => {
                            queue.lose(Some(SystemError::locking(&error)), &mut settled, moved);
                        }
                        Ok(true) => {
                            had = Some(mode);
                            queue.taken(now());
                        }
                        Ok(false) => {
                            if let Refused::Wait(mode, ticket) = queue.refused(mode, ticket, &mut settled) {
                                break Rest::Wait(mode, ticket);
                            }
                        }
                        Err(error) => queue.failed(ticket, SystemError::locking(&error), &mut settled),
                    }
                }
                Step::Look(request) => {
                    drop(queue);
                    let look = self.look(&request.handle);
                    queue = self.queue.lock();
                    queue.looked(self, &request, look, &mut settled, moved);
                }
                Step::Downgrade => {
                    drop(queue);
                    // Not atomic everywhere. Whoever came between has the lock now, and we ask again.
                    had =
                        matches!(self.file.try_lock(LockMode::Shared), Ok(true)).then_some(LockMode::Shared);
                    queue = self.queue.lock();
                }
                Step::Unlock => {
                    drop(queue);
                    self.file.unlock();
                    had = None;
                    queue = self.queue.lock();
                }
                Step::GiveWay(mode) => {
                    drop(queue);
                    self.file.unlock();
                    queue = self.queue.lock();
                    break Rest::GiveWay(mode);
                }
            }
        };
        drop(queue);
        collapse.avert();
        deliver(settled);
        rest
    }

    /// Waits in the kernel, on the calling thread, which has the turn. Returns what the process has of the lock
    /// then: nothing if the thread was called back.
    pub fn wait(&self, mode: LockMode, ticket: Ticket, interrupts: Interrupts) -> Option<LockMode> {
        let mut settled = Settlements::new();
        let thread = interrupts.this_thread();
        let next = {
            let mut queue = self.queue.lock();
            queue.block(mode, thread, &mut settled).then(|| queue.next_reply())
        };
        deliver(settled);
        let next = next?;
        let collapse = Collapse(self);
        let result = self.file.lock(mode);
        // While the thread was blocked there was time for somebody to close the descriptor.
        let lost =
            !matches!(&result, Err(error) if error.kind() == io::ErrorKind::Interrupted) && !self.check();
        if let (Ok(()), Some(next)) = (&result, next) {
            // Whoever is to hear of it takes a while to wake up: meanwhile there is the look at the path.
            next.announce();
        }
        let mut settled = Settlements::new();
        let had = {
            let mut queue = self.queue.lock();
            queue.unblock();
            match result {
                // The turn goes on, and sees that it is lost, or asks again, and hears that it is stale.
                _ if lost => None,
                Ok(()) => {
                    queue.taken(now());
                    Some(mode)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted || sys::is_stale(&error) => None,
                Err(error) => {
                    queue.failed(ticket, SystemError::locking(&error), &mut settled);
                    None
                }
            }
        };
        collapse.avert();
        deliver(settled);
        had
    }

    /// Ends a turn that no thread can take: those in line fail with `error`.
    pub fn refuse(&self, error: SystemError) {
        self.collapse(|| Outcome::Failed(error));
    }

    /// Ends a turn that has failed, with this outcome for those in line.
    fn collapse(&self, outcome: impl Fn() -> Outcome) {
        let mut settled = Settlements::new();
        let mut queue = self.queue.lock();
        if !queue.is_held() {
            // While the turn is still ours: the next one could have the lock by then, and would lose it here.
            drop(queue);
            self.file.unlock();
            queue = self.queue.lock();
        }
        queue.collapse(outcome, &mut settled);
        drop(queue);
        deliver(settled);
    }

    /// Lays the turn down. Returns how long to wait before it is resumed, a little more each time; `None`:
    /// there is work to do now.
    pub fn pause(&self, mode: LockMode) -> Option<Duration> {
        let mut settled = Settlements::new();
        let pause = self.queue.lock().pause(mode, &mut settled);
        deliver(settled);
        pause
    }

    /// Takes the turn up again. `false`: somebody else has.
    pub fn resume(&self) -> bool {
        self.queue.lock().resume()
    }

    /// Ends draining: the shared holders have not let go in time.
    pub fn end_drain(&self, drain: u64) -> Follow {
        self.queue.lock().end_drain(drain)
    }

    /// Ends the acquisition `hold`. `None`: it is not held any more.
    pub fn release(&self, hold: &Request) -> Option<Released> {
        let intact = (self.traits.quick && hold.age() < QUICK_HOLD) || self.check();
        // First, so that the handle's next request may be let in at once.
        hold.handle.forget(hold.ticket);
        let follow = self.queue.lock().release(hold.ticket)?;
        if !intact {
            return Some(Released::Lost(follow));
        }
        self.remove_if_asked(hold, follow);
        Some(Released::Follow(follow))
    }

    /// Gives up the wait of `request`. `None`: it is elsewhere by now.
    fn cancel(self: &Arc<Self>, request: &Request, reason: Reason) -> Option<Cancellation> {
        let mut queue = self.queue.lock();
        let (cancelled, follow) = queue.cancel(request.ticket, reason);
        match cancelled {
            // While the queue is locked nobody enters or leaves it.
            Cancelled::NotHere => request.is_in_line_of(self).then_some(Cancellation::Due),
            Cancelled::Leaving(interrupt) => {
                if interrupt {
                    self.interrupt_waiter(&queue);
                }
                Some(Cancellation::Leaving(if interrupt { Follow::Interrupt } else { follow }))
            }
            Cancelled::Out(settlement) => {
                if follow == Follow::Interrupt {
                    self.interrupt_waiter(&queue);
                }
                drop(queue);
                settlement.0.settle(settlement.1);
                Some(Cancellation::Out(follow))
            }
        }
    }

    /// Calls the thread that waits in the kernel back once more. `false`: there is none that should be.
    pub fn interrupt_again(&self) -> bool {
        self.interrupt_waiter(&self.queue.lock())
    }

    /// Ends all that `owner` has here.
    pub fn end(&self, owner: &Arc<Owner>) -> Follow {
        let mut settled = Settlements::new();
        let holds = self.queue.lock().holds().any(|hold| Arc::ptr_eq(&hold.owner, owner));
        if holds {
            self.check();
        }
        let (ended, follow) = {
            let mut queue = self.queue.lock();
            let (ended, follow) = queue.end(owner, &mut settled);
            if follow == Follow::Interrupt {
                self.interrupt_waiter(&queue);
            }
            (ended, follow)
        };
        deliver(settled);
        for hold in ended.iter().filter(|_| !self.is_lost()) {
            self.remove_if_asked(hold, follow);
        }
        follow
    }

    /// Calls the thread that is blocked back, if it is wanted back. `false`: there is none.
    fn interrupt_waiter(&self, queue: &Queue) -> bool {
        let Some(thread) = queue.interrupted() else { return false };
        // SAFETY: the thread cannot have ended, nor left the kernel for good: it has to lock this queue first
        // (`Queue::unblock`), which the caller has locked.
        unsafe { self.file.call_back(thread) };
        true
    }

    fn look(&self, handle: &Handle) -> Look {
        match self.file.is_at(&handle.path) {
            Ok(true) => Look::Same,
            Ok(false) => Look::Moved,
            Err(error) => Look::Failed(SystemError::new(&error, "stat")),
        }
    }

    /// Deletes the file under the exclusive lock, which the caller's turn still has, if the holder's handle
    /// says so.
    fn remove_if_asked(&self, hold: &Request, follow: Follow) {
        if hold.handle.remove_on_release && follow == Follow::Turn(Some(LockMode::Exclusive)) {
            // A folder that cannot be written keeps the file, which harms nobody.
            let _ = self.file.unlink(&hold.handle.path);
        }
    }
}

/// Ends a turn that a panic has broken off: nobody waits for ever for a thread that is not coming back.
struct Collapse<'a>(&'a SharedFile);

impl Collapse<'_> {
    fn avert(self) {
        std::mem::forget(self);
    }
}

impl Drop for Collapse<'_> {
    fn drop(&mut self) {
        self.0.collapse(|| Outcome::Panicked);
    }
}

/// The result of a release. The caller has to follow up.
pub enum Released {
    /// It has ended.
    Follow(Follow),
    /// It had been lost before. The table has to forget the file.
    Lost(Follow),
}

/// What became of a wait that was given up.
pub enum Cancellation {
    /// Settled. The caller has to follow up.
    Out(Follow),
    /// It will be settled by the thread that has the turn; that thread may have to be called back again. The caller has to
    /// follow up.
    Leaving(Follow),
    /// It has been taken out of line already: its outcome is about to come.
    Due,
}

/// Gives up the wait of `request`, in whatever line it is, and says in which. `None`: it has its outcome, or its deadline
/// has come while its file is being found.
pub fn cancel(request: &Request, reason: Reason) -> Option<(Arc<SharedFile>, Cancellation)> {
    while let Whereabouts::InLine(shared) = request.settle_or_locate(reason) {
        // Where it is elsewhere by now, its file was to be opened anew.
        if let Some(cancellation) = shared.cancel(request, reason) {
            return Some((shared, cancellation));
        }
    }
    None
}

/// Settles a request that was cancelled long ago, although the thread in the kernel has not answered.
pub fn abandon(request: &Request) {
    if let Whereabouts::InLine(shared) = request.settle_or_locate(Reason::Unanswered) {
        let settlement = shared.queue.lock().abandon(request.ticket);
        deliver(settlement.into_iter().collect());
    }
}

fn deliver(settled: Settlements) {
    for (request, outcome) in settled {
        request.settle(outcome);
    }
}
