//! The queue of one lock file: who of this process holds it, who waits, and which thread works on it.
//!
//! Plain data behind the mutex of a [`SharedFile`]; no system call, no clock, no thread is known here. It is
//! checked with loom, together with the code that drives it (`tests/loom/`).
//!
//! At any time at most one thread *has the turn*: it alone asks the kernel for the lock, looks at the path and
//! unlocks. The others only enter the line and leave it. A turn begins when [`Queue::enter`],
//! [`Queue::release`], [`Queue::cancel`] or [`Queue::end`] hands it out, goes from [`Step`] to step by
//! [`Queue::next`], and ends with [`Step::Held`] or [`Step::Idle`], or is laid down to be resumed later
//! ([`Queue::pause`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::handle::Handle;
use super::kernel::{LockMode, SystemError};
use super::line::{Line, Waiter};
use super::request::{Outcome, Owner, Purpose, Reason, Reply, Request, Ticket};
use super::shared_file::SharedFile;
use super::sys::WaitingThread;
use super::turn::{Cancelled, Entered, Follow, Look, Refused, Settlement, Settlements, Step};

/// How many acquisitions a process may pass on among its own before other processes have their turn.
pub const HANDOFF_TURNS: u32 = 64;
/// How long it may go on doing so.
pub const HANDOFF_TIME: Duration = Duration::from_millis(5);
/// Longest time for draining: new shared requests wait until the shared holders have let go, once so many have joined
/// them that other processes are due their turn. It is limited, since a holder that stays would lock out its own
/// process.
pub const DRAIN_TIME: Duration = Duration::from_secs(1);
/// The first pause between two tries, where nobody can wait in the kernel.
pub const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// The state of one lock file within this process.
pub struct Queue {
    phase: Phase,
    /// One exclusive acquisition, or shared ones, one a handle.
    holds: SmallVec<[Arc<Request>; 1]>,
    line: Line,
    /// What is left of the budget for passing the lock on.
    turns_left: u32,
    turns_end: Option<Instant>,
    /// How many requests may join the shared holders before those are drained. Doubled if they do not let go in time.
    joins: u32,
    /// Whether new shared requests wait until the shared holders have let go.
    draining: bool,
    /// The number of the last drain.
    drains: u64,
    /// How long the next pause between two tries is.
    pause: Duration,
}

#[derive(Debug)]
enum Phase {
    /// Nobody holds and nobody waits.
    Idle,
    /// A thread has the turn.
    Working,
    /// A thread has the turn and is about to block in the kernel, or blocked there.
    Blocked { mode: LockMode, thread: WaitingThread, interrupted: bool },
    /// The turn waits for the timekeeper, to ask the kernel again.
    Paused,
    /// Somebody of this process holds the lock in this mode, and nobody in line can be let in beside them.
    Held(LockMode),
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

impl Queue {
    /// A queue with nobody in it.
    pub fn new() -> Self {
        Self {
            phase: Phase::Idle,
            holds: SmallVec::new(),
            line: Line::default(),
            turns_left: 0,
            turns_end: None,
            joins: HANDOFF_TURNS,
            draining: false,
            drains: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// Has everybody gone?
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Does somebody of this process hold the lock?
    pub fn is_held(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Returns whether `handle` holds the lock.
    pub fn is_held_by(&self, handle: &Arc<Handle>) -> bool {
        self.holds.iter().any(|hold| Arc::ptr_eq(&hold.handle, handle))
    }

    /// The acquisitions that hold the lock.
    pub fn holds(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.holds.iter()
    }

    /// Those in line that want the lock, the first one first.
    pub fn waiting(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.line.iter().filter(|request| request.purpose != Purpose::Probe)
    }

    /// The acquisition that holds the lock exclusively.
    pub fn exclusive_hold(&self) -> Option<&Arc<Request>> {
        self.holds.first().filter(|hold| hold.mode == LockMode::Exclusive)
    }

    /// A request whose path named this file a moment ago.
    pub fn enter(&mut self, shared: &Arc<SharedFile>, request: &Arc<Request>) -> Entered {
        let others_wait = self.line.ahead_of(request.ticket).next().is_some();
        let joins =
            !others_wait && matches!(self.phase, Phase::Held(LockMode::Shared)) && self.may_join(request);
        match request.purpose {
            Purpose::Probe if self.is_held() || (others_wait && self.asks_in_vain()) => {
                return Entered::Refused(Outcome::Probed(true));
            }
            Purpose::Probe => {}
            Purpose::Acquire if joins && self.turns_left == 0 && !self.is_held_by_blocked(request) => {
                return self.drain(shared, request);
            }
            Purpose::Acquire | Purpose::TryAcquire if joins => return self.join(shared, request),
            Purpose::TryAcquire if others_wait || self.is_held() || self.is_being_refused(request.mode) => {
                return Entered::Refused(Outcome::TimedOut);
            }
            Purpose::Acquire if self.waits_for_itself(request) => return Entered::Refused(Outcome::Deadlock),
            Purpose::Acquire | Purpose::TryAcquire => {}
        }
        if !request.enter(shared) {
            return Entered::Gone;
        }
        self.line.insert(request.clone());
        if self.is_idle() {
            self.phase = Phase::Working;
            return Entered::Turn;
        }
        Entered::Waits
    }

    /// The next step of the turn. `had`: in which mode the process has the kernel's lock now. `now` is asked only
    /// where it matters: reading the clock takes a while.
    pub fn next(
        &mut self,
        had: Option<LockMode>,
        now: impl Fn() -> Instant,
        settled: &mut Settlements,
    ) -> Step {
        loop {
            let Some(front) = self.line.front() else {
                return match had {
                    Some(mode) if self.is_held() => self.hold(mode, settled),
                    Some(_) => Step::Unlock,
                    None => {
                        self.phase = Phase::Idle;
                        Step::Idle
                    }
                };
            };
            let Some(mode) = had else {
                // Here the thread that asked for it is known to be out: it may go, and never has the lock.
                if let Some(reason) = front.goes() {
                    self.settle_front(reason.into(), settled);
                    continue;
                }
                return Step::Ask(front.request.mode, front.request.ticket);
            };
            let request = front.request.clone();
            if request.purpose == Purpose::Probe {
                // An exclusive lock that was free to be taken was not held; a shared one says nothing.
                if self.is_held() || mode == LockMode::Exclusive {
                    self.settle_front(Outcome::Probed(self.is_held()), settled);
                    continue;
                }
                return Step::Unlock;
            }
            if self.is_held() {
                if mode == LockMode::Shared && !self.draining && self.may_join(&request) {
                    return Step::Look(request);
                }
                return self.hold(mode, settled);
            }
            if std::mem::take(&mut self.draining) {
                return Step::GiveWay(request.mode);
            }
            return match (mode, request.mode) {
                _ if self.budget_is_spent(&now) => Step::Unlock,
                (LockMode::Exclusive, LockMode::Shared) => Step::Downgrade,
                (LockMode::Shared, LockMode::Exclusive) => Step::Unlock,
                _ => Step::Look(request),
            };
        }
    }

    /// The kernel is asked now, on behalf of the first in line.
    pub fn ask(&mut self) {
        self.line.ask_for_front();
    }

    /// The kernel gave the lock: the budget for passing it on begins.
    pub fn taken(&mut self, now: Instant) {
        self.turns_left = HANDOFF_TURNS;
        self.turns_end = now.checked_add(HANDOFF_TIME);
        self.joins = HANDOFF_TURNS;
        self.draining = false;
        self.pause = FIRST_PAUSE;
    }

    /// The kernel said no to `mode`, asked for on behalf of `ticket`.
    pub fn refused(&mut self, mode: LockMode, ticket: Ticket, settled: &mut Settlements) -> Refused {
        let Some(front) = self.line.front_is(ticket) else { return Refused::Again };
        front.request.handle.disturb();
        if self.line.dismiss_front(settled) {
            return Refused::Again;
        }
        Refused::Wait(mode, ticket)
    }

    /// The thread that has the turn is about to block for `mode`. `false`: it shall not.
    pub fn block(&mut self, mode: LockMode, thread: WaitingThread, settled: &mut Settlements) -> bool {
        let wanted = self.wants(mode);
        if wanted {
            self.line.dismiss_impatient(settled);
            self.phase = Phase::Blocked { mode, thread, interrupted: false };
        }
        wanted
    }

    /// The thread is back from the kernel.
    pub fn unblock(&mut self) {
        self.phase = Phase::Working;
    }

    /// Who will hear first if the lock is given now.
    pub fn next_reply(&self) -> Option<Arc<dyn Reply>> {
        self.line.front().map(|front| front.request.reply.clone())
    }

    /// The thread that is blocked and wanted back.
    pub fn interrupted(&self) -> Option<WaitingThread> {
        match self.phase {
            Phase::Blocked { thread, interrupted: true, .. } => Some(thread),
            _ => None,
        }
    }

    /// Lays the turn down until the timekeeper resumes it. Returns when that shall be, a little later each time;
    /// `None`: the caller keeps the turn.
    pub fn pause(&mut self, mode: LockMode, settled: &mut Settlements) -> Option<Duration> {
        if !self.wants(mode) {
            return None;
        }
        self.line.dismiss_impatient(settled);
        self.phase = Phase::Paused;
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }

    /// Takes the turn up again, if it was laid down.
    pub fn resume(&mut self) -> bool {
        let paused = matches!(self.phase, Phase::Paused);
        if paused {
            self.phase = Phase::Working;
        }
        paused
    }

    /// Returns whether the turn has been laid down since the lock was last taken.
    pub fn has_paused(&self) -> bool {
        self.pause > FIRST_PAUSE
    }

    /// Ends draining, since the shared holders have not let go in time. From now on twice as many may join them.
    pub fn end_drain(&mut self, drain: u64) -> Follow {
        if !self.draining || self.drains != drain {
            return Follow::Nothing;
        }
        self.draining = false;
        self.joins = self.joins.saturating_mul(2);
        self.turns_left = self.joins;
        self.follow_release()
    }

    /// Empties the line, since the file cannot be locked any more. Those in line find it anew, or fail with `error` if
    /// they have done so too often.
    pub fn lose(
        &mut self,
        error: Option<SystemError>,
        settled: &mut Settlements,
        moved: &mut Vec<Arc<Request>>,
    ) {
        // Who still holds the lock that is gone waits for its own release.
        let holds = &self.holds;
        let stays =
            |waiter: &Waiter| holds.iter().any(|hold| Arc::ptr_eq(&hold.handle, &waiter.request.handle));
        for waiter in self.line.take_out(|waiter| !stays(waiter)) {
            match (waiter.leaving, error) {
                (Some(reason), _) => settled.push((waiter.request, reason.into())),
                (None, Some(error)) if !waiter.request.may_find_anew() => {
                    settled.push((waiter.request, Outcome::Failed(error)));
                }
                (None, _) => {
                    waiter.request.leave();
                    moved.push(waiter.request);
                }
            }
        }
        self.phase = self.holds.first().map_or(Phase::Idle, |hold| Phase::Held(hold.mode));
    }

    /// What a look at the path of `request` showed. Requests whose file has to be opened anew come back in
    /// `moved`, in their order.
    pub fn looked(
        &mut self,
        shared: &Arc<SharedFile>,
        request: &Arc<Request>,
        look: Look,
        settled: &mut Settlements,
        moved: &mut Vec<Arc<Request>>,
    ) {
        if self.line.front_is(request.ticket).is_none() {
            return;
        }
        match look {
            Look::Same => {
                self.let_in_front(shared, settled, moved);
                // Those that came by the same path are let in on the same look.
                while request.mode == LockMode::Shared
                    && self.line.front().is_some_and(|front| {
                        front.request.purpose != Purpose::Probe
                            && front.request.handle.path == request.handle.path
                            && self.may_join(&front.request)
                    })
                {
                    self.let_in_front(shared, settled, moved);
                }
            }
            Look::Failed(error) => self.settle_front(Outcome::Failed(error), settled),
            Look::Moved => {
                for waiter in self.line.take_out(|waiter| waiter.request.handle.path == request.handle.path) {
                    match waiter.leaving {
                        Some(reason) => settled.push((waiter.request, reason.into())),
                        None => {
                            waiter.request.leave();
                            moved.push(waiter.request);
                        }
                    }
                }
            }
        }
    }

    /// Locking on behalf of `ticket` failed.
    pub fn failed(&mut self, ticket: Ticket, error: SystemError, settled: &mut Settlements) {
        if self.line.front_is(ticket).is_some() {
            self.settle_front(Outcome::Failed(error), settled);
        }
    }

    /// Ends a turn that has failed, by a panic or for lack of a thread: those in line get this outcome, and the next
    /// request begins anew. If nobody holds the lock, the caller has let go of the kernel's.
    pub fn collapse(&mut self, outcome: impl Fn() -> Outcome, settled: &mut Settlements) {
        let line = self.line.take_out(|_| true);
        settled.extend(line.into_iter().map(|waiter| (waiter.request, outcome())));
        self.phase = self.holds.first().map_or(Phase::Idle, |hold| Phase::Held(hold.mode));
    }

    /// Ends the acquisition that `ticket` asked for. `None`: it is not held.
    pub fn release(&mut self, ticket: Ticket) -> Option<Follow> {
        let index = self.holds.iter().position(|hold| hold.ticket == ticket)?;
        self.holds.remove(index);
        Some(self.follow_release())
    }

    /// Gives up the wait of `ticket`.
    pub fn cancel(&mut self, ticket: Ticket, reason: Reason) -> (Cancelled, Follow) {
        let Some(index) = self.line.position(ticket) else { return (Cancelled::NotHere, Follow::Nothing) };
        let asking = matches!(self.phase, Phase::Working | Phase::Blocked { .. });
        let waiter = self.line.get(index);
        let due_a_try = index == 0
            && reason == Reason::TimedOut
            && !waiter.asked
            && !self.is_being_refused(waiter.request.mode);
        if index == 0
            && reason == Reason::TimedOut
            && matches!(self.phase, Phase::Paused)
            && waiter.is_patient()
        {
            // The lock may have become free since the last try.
            self.line.mark_leaving(0, reason);
            self.line.ask_anew_for_front();
            self.phase = Phase::Working;
            return (Cancelled::Leaving(false), Follow::Turn(None));
        }
        let alone = self.line.staying().all(|request| request.ticket == ticket);
        if asking && (alone || due_a_try) {
            // The thread that has the turn asks on behalf of this request alone. It may have the lock already.
            self.line.mark_leaving(index, reason);
            let follow = self.follow_departure();
            return (Cancelled::Leaving(follow == Follow::Interrupt), Follow::Nothing);
        }
        let request = self.line.remove(index);
        (Cancelled::Out((request, reason.into())), self.follow_departure())
    }

    /// Takes `ticket` out of line, although the thread that asks on its behalf has not been heard of. Should
    /// the lock come all the same, nobody is granted it.
    pub fn abandon(&mut self, ticket: Ticket) -> Option<Settlement> {
        let index = self.line.position(ticket)?;
        let outcome = match self.line.get(index).leaving? {
            // The kernel has not said no, since it has not answered.
            Reason::TimedOut if matches!(self.phase, Phase::Working) => Outcome::Unanswered,
            reason => reason.into(),
        };
        Some((self.line.remove(index), outcome))
    }

    /// Ends all that `owner` holds and waits for. Returns what it held.
    pub fn end(&mut self, owner: &Arc<Owner>, settled: &mut Settlements) -> (Vec<Arc<Request>>, Follow) {
        let gone = self.line.take_out(|waiter| Arc::ptr_eq(&waiter.request.owner, owner));
        let left = !gone.is_empty();
        settled.extend(gone.into_iter().map(|waiter| (waiter.request, Outcome::Aborted)));
        let (ended, stay): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.holds).into_iter().partition(|hold| Arc::ptr_eq(&hold.owner, owner));
        self.holds = stay.into();
        for hold in &ended {
            hold.handle.forget(hold.ticket);
        }
        let follow = match (ended.is_empty(), left) {
            (false, _) => self.follow_release(),
            (true, true) => self.follow_departure(),
            (true, false) => Follow::Nothing,
        };
        (ended, follow)
    }

    /// May `request` hold the lock beside those that hold it, all of them sharing?
    fn may_join(&self, request: &Request) -> bool {
        request.mode == LockMode::Shared && request.handle.is_free()
    }

    /// Lets `request` in beside the holders, without it having waited.
    fn join(&mut self, shared: &Arc<SharedFile>, request: &Arc<Request>) -> Entered {
        if !request.enter(shared) {
            return Entered::Gone;
        }
        if !request.handle.grant(shared, request) {
            request.leave();
            return Entered::Elsewhere;
        }
        self.turns_left = self.turns_left.saturating_sub(1);
        self.holds.push(request.clone());
        Entered::Granted
    }

    /// Makes `request`, which could join the holders, wait until they have let go, so that other processes have their
    /// turn.
    fn drain(&mut self, shared: &Arc<SharedFile>, request: &Arc<Request>) -> Entered {
        if !request.enter(shared) {
            return Entered::Gone;
        }
        self.line.insert(request.clone());
        self.draining = true;
        self.drains += 1;
        Entered::Drains(self.drains)
    }

    /// Returns whether `request` blocks a thread that holds the lock, and so keeps it from letting go.
    fn is_held_by_blocked(&self, request: &Request) -> bool {
        request.blocks_owner && self.holds.iter().any(|hold| hold.owner.thread == request.owner.thread)
    }

    /// Would `request` block, for ever, the very thread whose code has to let go of the lock first?
    fn waits_for_itself(&self, request: &Request) -> bool {
        let before = || self.holds.iter().chain(self.line.ahead_of(request.ticket));
        let are_shared_with = |other: &Arc<Request>| {
            other.mode == LockMode::Shared
                && request.mode == LockMode::Shared
                && !Arc::ptr_eq(&other.handle, &request.handle)
        };
        request.blocks_for_ever()
            && before().any(|other| other.owner.thread == request.owner.thread)
            && !before().all(are_shared_with)
    }

    /// Does a thread wait in the kernel since `mode` was not to be had?
    fn is_being_refused(&self, mode: LockMode) -> bool {
        // Who cannot have it shared cannot have it exclusively either.
        matches!(self.phase, Phase::Blocked { mode: refused, .. } if refused == mode || refused == LockMode::Shared)
    }

    /// Has the kernel said no to those in line?
    fn asks_in_vain(&self) -> bool {
        matches!(self.phase, Phase::Blocked { .. } | Phase::Paused)
    }

    fn budget_is_spent(&self, now: impl Fn() -> Instant) -> bool {
        let begun = self.turns_left < HANDOFF_TURNS;
        self.turns_left == 0 || (begun && self.turns_end.is_some_and(|end| now() >= end))
    }

    /// Is the first in line one that waits for `mode`?
    fn wants(&self, mode: LockMode) -> bool {
        self.line.front().is_some_and(|front| front.is_patient() && front.request.mode == mode)
    }

    /// Ends the turn: the holders have the lock, in `mode`.
    fn hold(&mut self, mode: LockMode, settled: &mut Settlements) -> Step {
        self.line.dismiss_impatient(settled);
        self.phase = Phase::Held(mode);
        Step::Held
    }

    /// The first in line holds the lock. Should its handle have been granted another file just now, it goes
    /// there, unless it was to leave.
    fn let_in_front(
        &mut self,
        shared: &Arc<SharedFile>,
        settled: &mut Settlements,
        moved: &mut Vec<Arc<Request>>,
    ) {
        let leaving = self.line.front().and_then(|front| front.leaving);
        let request = self.line.remove(0);
        if request.handle.grant(shared, &request) {
            self.turns_left = self.turns_left.saturating_sub(1);
            self.holds.push(request.clone());
            settled.push((request, Outcome::Granted));
        } else if let Some(reason) = leaving {
            settled.push((request, reason.into()));
        } else {
            request.leave();
            moved.push(request);
        }
    }

    fn settle_front(&mut self, outcome: Outcome, settled: &mut Settlements) {
        settled.push((self.line.remove(0), outcome));
    }

    /// Somebody has stopped holding. The first in line may be let in: by a new turn, unless one is under way.
    fn follow_release(&mut self) -> Follow {
        match self.phase {
            Phase::Held(mode) => {
                self.phase = Phase::Working;
                Follow::Turn(Some(mode))
            }
            _ => Follow::Nothing,
        }
    }

    /// Somebody has left the line.
    fn follow_departure(&mut self) -> Follow {
        match self.phase {
            // The next one may be let in beside the holders.
            Phase::Held(LockMode::Shared) => self.follow_release(),
            Phase::Paused if self.line.is_empty() => {
                self.phase = Phase::Working;
                Follow::Turn(None)
            }
            // The thread waits for what nobody wants.
            Phase::Blocked { mode, ref mut interrupted, .. }
                if self.line.staying().next().is_none_or(|next| next.mode != mode) =>
            {
                *interrupted = true;
                Follow::Interrupt
            }
            _ => Follow::Nothing,
        }
    }
}
