//! Semaphores: at most so many holders at a time, over all processes.
//!
//! A semaphore at PATH is a gate, the lock of PATH itself, and slots, the locks of PATH.1, PATH.2 and so on, one for each permit. A
//! request takes the gate, which keeps the order, then the first slot that is free. If there is none, it waits for all of them,
//! until it has one. Then it lets the gate go. All of it happens where the outcomes arrive, on whatever thread: a client whose
//! thread is busy holds nobody up.

mod number;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use self::number::Content;
use crate::dispatch::{Task, Timer};
use crate::engine::{CANCEL_GRACE, Engine};
use crate::exec::Guard;
use crate::lock::{
    CancelReason, CompletionSink, Handle, HandleOptions, Outcome, Part, Request, RequestOptions, Ticket,
};
use crate::sync::Mutex;
use crate::sys::{LockFile, LockMode, OpenHow, SystemError};

/// The requests for permits that have no outcome yet, by their tickets.
pub(crate) struct Semaphores(Mutex<BTreeMap<Ticket, Arc<PermitWait>>>);

/// A request for a permit, until it has its outcome.
pub(crate) struct PermitWait {
    engine: Weak<Engine>,
    /// The request of the client.
    request: Arc<Request>,
    permits: u32,
    gate: Arc<Handle>,
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

enum Event {
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
    /// Others use the semaphore with another number of permits.
    OtherPermits(Option<u32>),
    /// There is no worker.
    Failed(SystemError),
}

#[derive(Default)]
struct Progress {
    has_gate: bool,
    slots: Vec<Arc<Handle>>,
    /// Requests for the gate and for slots that may be under way.
    requests: Vec<Arc<Request>>,
    /// How many of them have no outcome yet.
    under_way: usize,
    /// It waits for all slots. Before that, it tries one after the other.
    waits: bool,
    cancelled: Option<CancelReason>,
    /// Why it fails as soon as nothing is under way any more.
    failure: Option<Outcome>,
    is_over: bool,
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
        self.wait.tell(event, false);
    }

    fn wake_early(&self) {
        if self.slot.is_some() {
            self.wait.request.sink.wake_early();
        }
    }
}

impl Semaphores {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Returns the request for a permit with this ticket, if it has no outcome yet.
    fn get(&self, ticket: Ticket) -> Option<Arc<PermitWait>> {
        self.0.lock().get(&ticket).cloned()
    }

    /// Returns all of them.
    pub(crate) fn list(&self) -> Vec<Arc<Request>> {
        self.0.lock().values().map(|wait| wait.request.clone()).collect()
    }
}

impl Engine {
    /// Starts `request`, whose handle names a semaphore.
    pub(crate) fn start_permit(self: &Arc<Self>, request: &Arc<Request>, permits: u32) {
        let wait = Arc::new(PermitWait {
            engine: Arc::downgrade(self),
            request: request.clone(),
            permits,
            gate: Arc::new(part_of(&request.handle, request.handle.path.clone(), Part::Gate)),
            news: Mutex::new(News::default()),
            progress: Mutex::new(Progress::default()),
        });
        self.semaphores.0.lock().insert(request.ticket, wait.clone());
        wait.tell(Event::Begin, false);
        if request.blocking && !request.is_completed() {
            self.after(CANCEL_GRACE, Timer::CheckPermits(request.ticket));
        }
    }

    /// Cancels `request`, if it is for a permit and has no outcome yet. Returns false for other requests.
    pub(crate) fn cancel_permit(&self, request: &Request, reason: CancelReason) -> bool {
        if request.handle.options.permits.is_none() {
            return false;
        }
        if let Some(wait) = self.semaphores.get(request.ticket) {
            wait.tell(Event::Cancelled(reason), false);
        }
        true
    }

    /// Has a worker check whether others use the semaphore with another number of permits, if the request for a permit with this
    /// ticket still waits. Called after a moment: if nobody uses it, who has the gate is about to write the new number.
    pub(crate) fn check_permits_later(self: &Arc<Self>, ticket: Ticket) {
        if let Some(wait) = self.semaphores.get(ticket) {
            self.submit(Task::CheckPermits(wait));
        }
    }

    /// Checks whether others use the semaphore with another number of permits.
    pub(crate) fn check_permits(self: &Arc<Self>, wait: &Arc<PermitWait>) {
        if let Some(other) = wait.find_other_permits(self) {
            wait.tell(Event::OtherPermits(other), true);
        }
    }
}

/// Returns a handle for a part of the semaphore that `handle` names.
fn part_of(handle: &Handle, path: PathBuf, part: Part) -> Handle {
    Handle::new_part(path, HandleOptions { permits: None, ..handle.options }, Some(part))
}

/// Returns the path of the slot with this index.
fn slot_path(gate: &Handle, index: usize) -> PathBuf {
    let mut path = OsString::from(&gate.path);
    path.push(format!(".{}", index + 1));
    path.into()
}

impl PermitWait {
    /// Has a worker look for a free slot.
    fn choose_later(self: &Arc<Self>, engine: &Arc<Engine>) {
        engine.submit(Task::ChoosePermit(self.clone()));
    }

    /// Looks for a free slot.
    pub(crate) fn choose(self: &Arc<Self>) {
        self.tell(Event::Choose, true);
    }

    /// Fails, since there is no worker.
    pub(crate) fn fail(self: &Arc<Self>, error: SystemError) {
        self.tell(Event::Failed(error), true);
    }

    /// Deals with `event`, unless another thread, or a caller of this function, deals with the news: then that does. `may_block`:
    /// this is a worker.
    fn tell(self: &Arc<Self>, event: Event, may_block: bool) {
        {
            let mut news = self.news.lock();
            news.events.push_back(event);
            if mem::replace(&mut news.is_handled, true) {
                return;
            }
        }
        let on_panic = Guard::new(|| self.deliver(Outcome::Panicked));
        loop {
            let event = {
                let mut news = self.news.lock();
                match news.events.pop_front() {
                    Some(event) => event,
                    None => {
                        news.is_handled = false;
                        break;
                    }
                }
            };
            match self.engine.upgrade() {
                Some(engine) => self.handle(&engine, event, may_block, &mut self.progress.lock()),
                None => self.deliver(Outcome::Aborted),
            }
        }
        on_panic.disarm();
    }

    fn handle(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        event: Event,
        may_block: bool,
        progress: &mut Progress,
    ) {
        match event {
            Event::Begin => self.start(engine, &self.gate, None, self.request.blocking, progress),
            Event::Gate(Outcome::Granted) => {
                progress.under_way -= 1;
                self.gate.receive(self.request.token);
                progress.has_gate = true;
                if progress.failure.is_none() {
                    self.choose_later(engine);
                } else {
                    self.stop(engine, progress);
                }
            }
            // Whoever has the gate may be about to have a slot: then there may be more.
            Event::Gate(Outcome::TimedOut(_)) if !self.request.blocking => {
                progress.under_way -= 1;
                self.choose_later(engine);
            }
            Event::Gate(outcome) => {
                progress.under_way -= 1;
                progress.failure.get_or_insert(outcome);
                self.stop(engine, progress);
            }
            Event::Choose if may_block => {
                if progress.slots.is_empty()
                    && let Err(outcome) = self.agree(engine, progress)
                {
                    progress.failure = Some(outcome);
                }
                self.try_next(engine, progress);
            }
            Event::Choose => self.choose_later(engine),
            Event::Slot(_, Outcome::TimedOut(_)) if !progress.waits => {
                progress.under_way -= 1;
                if may_block {
                    self.try_next(engine, progress);
                } else {
                    self.choose_later(engine);
                }
            }
            Event::Slot(index, outcome) => {
                progress.under_way -= 1;
                self.on_slot(engine, index, outcome, progress);
            }
            Event::Cancelled(reason) => {
                progress.cancelled.get_or_insert(reason);
                for request in &progress.requests {
                    engine.cancel(request, reason);
                }
            }
            Event::OtherPermits(other) => {
                // With the gate, it finds out by itself.
                if !progress.has_gate && !progress.is_over {
                    progress.failure = Some(Outcome::OtherPermits(other));
                    self.stop(engine, progress);
                }
            }
            Event::Failed(error) => {
                progress.failure.get_or_insert(Outcome::Failed(error));
                self.stop(engine, progress);
            }
        }
        if progress.is_over && progress.under_way == 0 {
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
                if progress.is_over {
                    // Another one came first.
                    engine.release_own(&slot, None);
                } else {
                    self.win(engine, slot, progress);
                }
            }
            Outcome::TimedOut(_) if progress.under_way > 0 => {}
            Outcome::TimedOut(_) => self.stop(engine, progress),
            other => {
                progress.failure.get_or_insert(other);
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
        progress.is_over = true;
        self.request.handle.set_slot(slot);
        self.cancel_all(engine, progress);
        self.leave_gate(engine, progress);
        self.deliver(Outcome::Granted);
    }

    /// Tries the next slot, or waits for all of them if none is free.
    fn try_next(self: &Arc<Self>, engine: &Arc<Engine>, progress: &mut Progress) {
        let is_wanted = progress.cancelled != Some(CancelReason::Aborted) && progress.failure.is_none();
        let tried = progress.slots.len();
        let count = self.permits as usize;
        if is_wanted && tried < count {
            let slot = Arc::new(part_of(&self.request.handle, slot_path(&self.gate, tried), Part::Slot));
            progress.slots.push(slot.clone());
            self.start(engine, &slot, Some(tried), false, progress);
        } else if is_wanted && self.request.blocking && progress.cancelled.is_none() && tried > 0 {
            progress.waits = true;
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
            self.cancel_all(engine, progress);
            return;
        }
        self.leave_gate(engine, progress);
        if !mem::replace(&mut progress.is_over, true) {
            let cancelled = progress.cancelled.map_or(Outcome::TimedOut(None), Outcome::from);
            self.deliver(progress.failure.take().unwrap_or(cancelled));
        }
    }

    fn cancel_all(&self, engine: &Arc<Engine>, progress: &Progress) {
        for request in &progress.requests {
            engine.cancel(request, CancelReason::Aborted);
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
        let options = RequestOptions {
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
        };
        progress.under_way += 1;
        // A try is made here: this is a worker, unless the wait has just begun.
        let request =
            if slot.is_some() && !blocking { engine.start_here(options) } else { engine.start(options) };
        progress.requests.retain(|request| !request.is_completed());
        progress.requests.push(request);
    }

    /// Makes sure that the number of permits is the one that others use, or writes it if nobody uses the semaphore.
    fn agree(&self, engine: &Arc<Engine>, progress: &Progress) -> Result<(), Outcome> {
        let failed = |error, syscall| Outcome::Failed(SystemError::new(&error, syscall));
        let Some(entry) = self.gate.held_entry().filter(|_| progress.has_gate) else {
            return self.find_other_permits(engine).map_or(Ok(()), |other| Err(Outcome::OtherPermits(other)));
        };
        let file = entry.file();
        let mut locked = Vec::new();
        match Content::of(file).map_err(|error| failed(error, "read"))? {
            Content::Permits(permits) if permits == self.permits => return Ok(()),
            Content::Foreign => return Err(Outcome::OtherPermits(None)),
            Content::Empty => {}
            Content::Permits(permits) => {
                for index in 0..permits as usize {
                    let slot = self.open(engine, slot_path(&self.gate, index));
                    let slot = match slot {
                        Err(error) if error.kind() == ErrorKind::NotFound => continue,
                        slot => slot.map_err(|error| failed(error, "open"))?,
                    };
                    if !slot.try_lock(LockMode::Exclusive).map_err(|error| failed(error, "flock"))? {
                        return Err(Outcome::OtherPermits(Some(permits)));
                    }
                    // Until the number is written: those who do not wait take no gate.
                    locked.push(slot);
                }
            }
        }
        let written = number::write(file, self.permits);
        locked.iter().for_each(|slot| slot.unlock());
        written.map_err(|error| failed(error, "write"))
    }

    /// Returns the number of permits that the file of the gate says, if that is another one: `Some(None)` if it is no semaphore's.
    fn find_other_permits(&self, engine: &Engine) -> Option<Option<u32>> {
        // Where it cannot be read, as on Windows while others have locked it, it is compared with the gate.
        let file = self.open(engine, self.gate.path.clone()).ok()?;
        match Content::of(&*file).ok()? {
            Content::Empty => None,
            Content::Permits(permits) => (permits != self.permits).then_some(Some(permits)),
            Content::Foreign => Some(None),
        }
    }

    fn open(&self, engine: &Engine, path: PathBuf) -> io::Result<Box<dyn LockFile>> {
        engine.open(&path, &OpenHow { create: None, ..self.gate.open_how() })
    }

    /// Delivers the outcome to the client, unless it has one.
    fn deliver(&self, outcome: Outcome) {
        if let Some(engine) = self.engine.upgrade() {
            engine.semaphores.0.lock().remove(&self.request.ticket);
            engine.complete(&self.request, outcome);
        } else if self.request.finish() {
            self.request.sink.complete(self.request.token, outcome);
        }
    }
}
