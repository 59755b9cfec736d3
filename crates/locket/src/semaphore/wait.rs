//! A request for a permit: it deals with what happens to the gate and to the slots.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use super::{about_slot, slot_path};
use crate::dispatch::Task;
use crate::engine::Engine;
use crate::exec::{Guard, is_worker};
use crate::lock::{
    CancelReason, CompletionSink, Handle, HandleOptions, Outcome, Part, Request, RequestOptions,
};
use crate::sync::Mutex;
use crate::sys::{LockMode, SystemError};

/// The most slots that a client's thread looks at.
const SLOTS_ON_THREAD: usize = 16;

thread_local! {
    /// The calling thread looks for a free slot.
    static CHOOSES: Cell<bool> = const { Cell::new(false) };
}

/// A request for a permit, until it has its outcome.
pub(crate) struct PermitWait {
    engine: Weak<Engine>,
    /// The request of the client.
    pub(super) request: Arc<Request>,
    pub(super) permits: u32,
    pub(super) gate: Arc<Handle>,
    /// What has happened and was not dealt with.
    news: Mutex<News>,
    /// Used by one thread at a time: the one that deals with the news.
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct News {
    events: VecDeque<Event>,
    /// A thread deals with them.
    is_handled: bool,
}

pub(super) enum Event {
    /// It begins.
    Begin,
    /// The outcome of the request for the gate.
    Gate(Outcome),
    /// A worker has come, which may look for a free slot.
    Choose,
    /// The outcome of a request for the slot with this index.
    Slot(usize, Outcome),
    /// The client does not want it any more, or its time is over.
    Cancelled(CancelReason),
    /// It fails: there is no worker, or others use the semaphore with another number of permits.
    Failed(Outcome),
}

#[derive(Default)]
struct Progress {
    stage: Stage,
    has_gate: bool,
    /// The path beside which the slots are.
    slots_at: PathBuf,
    slots: Vec<Arc<Handle>>,
    /// Requests for the gate and for slots that may be under way.
    requests: Vec<Arc<Request>>,
    /// How many of them have no outcome yet.
    under_way: usize,
    cancelled: Option<CancelReason>,
    /// Why it fails as soon as nothing is under way any more.
    failure: Option<Outcome>,
}

/// How far a request for a permit is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// It asks for the gate, which keeps the order, and then tries the slots, one after the other.
    #[default]
    Tries,
    /// The gate was free. The thread of the client has it, and looks at the slots.
    OnThread,
    /// It waits for all slots.
    Waits,
    /// It has its outcome.
    Over,
}

impl Progress {
    fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Cancels what is under way.
    fn cancel_all(&self, engine: &Arc<Engine>) {
        for request in &self.requests {
            engine.cancel(request, CancelReason::Aborted);
        }
    }
}

/// Takes the outcomes of requests for one part of a semaphore.
struct PartSink {
    wait: Arc<PermitWait>,
    /// The index of the slot. `None`: the gate.
    slot: Option<usize>,
}

impl CompletionSink for PartSink {
    fn complete(&self, _: u64, outcome: Outcome) {
        let event = match self.slot {
            None => Event::Gate(outcome),
            Some(index) => Event::Slot(index, outcome),
        };
        self.wait.tell(event);
    }

    fn wake_early(&self) {
        if self.slot.is_some() {
            self.wait.request.sink.wake_early();
        }
    }
}

/// Returns a handle for a part of the semaphore that `handle` names.
fn part_of(handle: &Handle, path: PathBuf, part: Part) -> Handle {
    Handle::new_part(path, HandleOptions { permits: None, ..handle.options }, Some(part))
}

/// Returns the path beside which the slots are: not a symbolic link to the gate, but the gate.
fn slots_at(gate: &Handle) -> PathBuf {
    let is_link = fs::symlink_metadata(&gate.path).is_ok_and(|found| found.is_symlink());
    let real = if is_link { fs::canonicalize(&gate.path).ok() } else { None };
    real.unwrap_or_else(|| gate.path.clone())
}

impl PermitWait {
    /// Returns a request for a permit, which has not begun.
    pub(super) fn new(engine: &Arc<Engine>, request: Arc<Request>, permits: u32) -> Arc<Self> {
        let handle = &request.handle;
        Arc::new(Self {
            engine: Arc::downgrade(engine),
            permits,
            gate: Arc::new(part_of(handle, handle.path.clone(), Part::Gate)),
            news: Mutex::new(News::default()),
            progress: Mutex::new(Progress::default()),
            request,
        })
    }

    /// Looks for a free slot, or has a worker do so.
    fn choose(self: &Arc<Self>, engine: &Arc<Engine>, progress: &mut Progress) {
        if progress.stage == Stage::OnThread {
            progress.stage = Stage::Tries;
            if self.choose_warm(engine, progress) {
                return;
            }
        }
        // If another request for a permit has let the gate go, this one would let it go to the next, and so on, each inside of
        // the one before.
        if !is_worker() || CHOOSES.replace(true) {
            return engine.submit(Task::ChoosePermit(self.clone()));
        }
        let _end = Guard::new(|| CHOOSES.set(false));
        if progress.slots.is_empty() && progress.failure.is_none() {
            progress.slots_at = slots_at(&self.gate);
            progress.failure = self.agree(engine, &progress.slots_at, progress.has_gate).err();
        }
        self.try_next(engine, progress);
    }

    /// Looks for a free slot whose file is open. Returns false if there is none, or if the number of permits has to be looked at
    /// more closely.
    fn choose_warm(self: &Arc<Self>, engine: &Arc<Engine>, progress: &mut Progress) -> bool {
        if !self.gate.held_entry().is_some_and(|entry| entry.is_local() && self.is_agreed(&entry)) {
            return false;
        }
        let slots_at = slots_at(&self.gate);
        for index in 0..SLOTS_ON_THREAD.min(self.permits as usize) {
            let slot = Arc::new(part_of(&self.request.handle, slot_path(&slots_at, index), Part::Slot));
            let options = self.options_for(&slot, Some(index), false);
            progress.slots.push(slot);
            if let Some(request) = engine.start_warm(options) {
                progress.under_way += 1;
                progress.requests.push(request);
                return true;
            }
        }
        progress.slots.clear();
        false
    }

    /// Looks for a free slot, or goes on with that. Called by a worker.
    pub(crate) fn go_on(self: &Arc<Self>) {
        self.tell(Event::Choose);
    }

    /// Fails, since there is no worker.
    pub(crate) fn fail(self: &Arc<Self>, error: SystemError) {
        self.tell(Event::Failed(Outcome::Failed(error)));
    }

    /// Deals with `event`, unless another thread, or a caller of this function, deals with the news: then that does.
    pub(super) fn tell(self: &Arc<Self>, event: Event) {
        {
            let mut news = self.news.lock();
            news.events.push_back(event);
            if mem::replace(&mut news.is_handled, true) {
                return;
            }
        }
        let on_panic = Guard::new(|| self.deliver(Outcome::Panicked));
        while let Some(event) = self.next_event() {
            match self.engine.upgrade() {
                Some(engine) => self.handle(&engine, event, &mut self.progress.lock()),
                None => self.deliver(Outcome::Aborted),
            }
        }
        on_panic.disarm();
    }

    /// Takes what has happened next. `None`: the caller deals with the news no longer.
    fn next_event(&self) -> Option<Event> {
        let mut news = self.news.lock();
        let event = news.events.pop_front();
        news.is_handled = event.is_some();
        event
    }

    fn handle(self: &Arc<Self>, engine: &Arc<Engine>, event: Event, progress: &mut Progress) {
        if matches!(event, Event::Gate(_) | Event::Slot(..)) {
            progress.under_way -= 1;
        }
        match event {
            Event::Begin => {
                self.start(engine, &self.gate, None, self.request.blocking, progress);
                if progress.requests.iter().all(|request| request.is_completed()) {
                    progress.stage = Stage::OnThread;
                }
            }
            Event::Gate(Outcome::Granted) => {
                self.gate.receive(self.request.token);
                progress.has_gate = true;
                if progress.failure.is_none() {
                    self.choose(engine, progress);
                } else {
                    self.stop(engine, progress);
                }
            }
            // The request that has the gate may be about to have a slot: then there may be more.
            Event::Gate(Outcome::TimedOut(_)) if !self.request.blocking => self.choose(engine, progress),
            Event::Choose => self.choose(engine, progress),
            Event::Slot(_, Outcome::TimedOut(_)) if progress.stage == Stage::Tries => {
                self.choose(engine, progress);
            }
            Event::Slot(index, outcome) => self.on_slot(engine, index, outcome, progress),
            Event::Cancelled(reason) => {
                progress.cancelled.get_or_insert(reason);
                for request in &progress.requests {
                    engine.cancel(request, reason);
                }
            }
            // With the gate, it finds out by itself how many permits there are.
            Event::Failed(Outcome::OtherPermits(_)) if progress.has_gate => {}
            Event::Gate(outcome) | Event::Failed(outcome) => {
                progress.failure.get_or_insert(outcome);
                self.stop(engine, progress);
            }
        }
        if progress.is_over() && progress.under_way == 0 {
            // They keep this alive.
            progress.requests.clear();
        }
    }

    fn on_slot(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        index: usize,
        outcome: Outcome,
        progress: &mut Progress,
    ) {
        match outcome {
            Outcome::Granted => {
                let slot = progress.slots[index].clone();
                slot.receive(self.request.token);
                if progress.is_over() {
                    // Another one came first.
                    engine.release_own(&slot, None);
                } else {
                    self.win(engine, slot, progress);
                }
            }
            Outcome::TimedOut(_) if progress.under_way > 0 => {}
            Outcome::TimedOut(_) => self.stop(engine, progress),
            other => {
                progress.failure.get_or_insert(about_slot(index, other));
                self.stop(engine, progress);
            }
        }
    }

    /// Gives the client the permit.
    fn win(self: &Arc<Self>, engine: &Arc<Engine>, slot: Arc<Handle>, progress: &mut Progress) {
        if !progress.has_gate && self.find_other_permits(engine).is_some() {
            // The number has been replaced since it was read.
            engine.release_own(&slot, None);
            return self.try_next(engine, progress);
        }
        progress.stage = Stage::Over;
        self.request.handle.set_slot(slot);
        progress.cancel_all(engine);
        // Before the next one can have the gate: grants are told in their order.
        self.deliver(Outcome::Granted);
        self.leave_gate(engine, progress);
    }

    /// Tries the next slot, or waits for all of them if none is free.
    fn try_next(self: &Arc<Self>, engine: &Arc<Engine>, progress: &mut Progress) {
        let is_wanted = !progress.is_over()
            && progress.cancelled != Some(CancelReason::Aborted)
            && progress.failure.is_none();
        let tried = progress.slots.len();
        let count = self.permits as usize;
        if is_wanted && tried < count {
            let slot =
                Arc::new(part_of(&self.request.handle, slot_path(&progress.slots_at, tried), Part::Slot));
            progress.slots.push(slot.clone());
            self.start(engine, &slot, Some(tried), false, progress);
        } else if is_wanted && self.request.blocking && progress.cancelled.is_none() && tried > 0 {
            progress.stage = Stage::Waits;
            for (index, slot) in progress.slots.clone().iter().enumerate() {
                self.start(engine, slot, Some(index), true, progress);
            }
        } else {
            self.stop(engine, progress);
        }
    }

    /// Ends what is under way, and fails when nothing is any more: then nothing is held.
    fn stop(self: &Arc<Self>, engine: &Arc<Engine>, progress: &mut Progress) {
        if progress.under_way > 0 {
            progress.cancel_all(engine);
            return;
        }
        self.leave_gate(engine, progress);
        if mem::replace(&mut progress.stage, Stage::Over) != Stage::Over {
            let cancelled = progress.cancelled.map_or(Outcome::TimedOut(None), Outcome::from);
            self.deliver(progress.failure.take().unwrap_or(cancelled));
        }
    }

    fn leave_gate(&self, engine: &Arc<Engine>, progress: &mut Progress) {
        if mem::take(&mut progress.has_gate) {
            engine.release_own(&self.gate, None);
        }
    }

    /// Starts a request for a part of the semaphore.
    fn start(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        handle: &Arc<Handle>,
        slot: Option<usize>,
        blocking: bool,
        progress: &mut Progress,
    ) {
        let options = self.options_for(handle, slot, blocking);
        progress.under_way += 1;
        // A try is made here: this is a worker, unless the wait has just begun.
        let request =
            if slot.is_some() && !blocking { engine.start_here(options) } else { engine.start(options) };
        progress.requests.retain(|request| !request.is_completed());
        progress.requests.push(request);
    }

    /// Returns the options of a request for a part of the semaphore.
    fn options_for(
        self: &Arc<Self>,
        handle: &Arc<Handle>,
        slot: Option<usize>,
        blocking: bool,
    ) -> RequestOptions {
        RequestOptions {
            handle: handle.clone(),
            client: self.request.client.clone(),
            mode: LockMode::Exclusive,
            blocking,
            deadline: self.request.deadline.filter(|_| blocking),
            blocks_client: false,
            names_holders: false,
            expected: None,
            sink: Arc::new(PartSink { wait: self.clone(), slot }),
            token: self.request.token,
        }
    }

    /// Delivers the outcome to the client, unless it has one.
    fn deliver(&self, outcome: Outcome) {
        if let Some(engine) = self.engine.upgrade() {
            engine.semaphores.remove(self.request.ticket);
            engine.complete(&self.request, outcome);
        } else if self.request.finish() {
            self.request.sink.complete(self.request.token, outcome);
        }
    }
}
