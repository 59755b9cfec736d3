//! Resolving: finding the file of a request, and queueing the request at the lock of that file.

use std::collections::btree_map::Entry;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use crate::dispatch::Timer;
use crate::engine::Engine;
use crate::exec::Guard;
use crate::lock::{Completions, DRAIN_TIME, Enqueued, LockEntry, Outcome, Permit, Removal, Request};
use crate::path_cache;
use crate::sync::now;
use crate::sys::{LockFile, OpenHow, SystemError, is_busy};

/// Time until a file is opened again that another program has opened without sharing, or that was stale.
pub(crate) const OPEN_AGAIN: Duration = Duration::from_millis(16);

/// How the file of a request may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// From the path cache of this thread, or by opening it.
    Cached,
    /// Only by opening it.
    Uncached,
}

/// A request on its way to a queue. It counts as resolving as long as this lives, so that no later request overtakes it.
pub(crate) struct Arriving {
    engine: Arc<Engine>,
    request: Arc<Request>,
}

impl Arriving {
    /// Returns a request that counts as resolving from now on.
    pub(crate) fn new(engine: Arc<Engine>, request: Arc<Request>) -> Self {
        engine.begin_resolving();
        Self { engine, request }
    }

    /// Returns the request.
    pub(crate) fn request(&self) -> &Arc<Request> {
        &self.request
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.engine.end_resolving();
    }
}

impl Engine {
    /// Resolves a request on the thread of its client.
    pub(crate) fn resolve_here(self: &Arc<Self>, request: &Arc<Request>) {
        let on_panic = Guard::new(|| self.complete(request, Outcome::Panicked));
        let found = self.find_entry(request, Route::Uncached);
        on_panic.disarm();
        if let Some((entry, enqueued)) = found {
            self.proceed(request, &entry, enqueued, Permit::TryLock);
        }
    }

    /// Resolves a request on a worker, which has taken the order key of its path.
    pub(crate) fn resolve_in_order(self: &Arc<Self>, arriving: Arriving, route: Route) {
        let request = arriving.request.clone();
        let on_panic = Guard::new(|| self.complete(&request, Outcome::Panicked));
        let in_order = Guard::new(|| {
            drop(arriving);
            self.pool.free_key(request.handle.order_key);
        });
        // If it was cancelled before this job began, no file is created for it any more.
        let found = if request.is_completed() { None } else { self.find_entry(&request, route) };
        drop(in_order);
        on_panic.disarm();
        if let Some((entry, enqueued)) = found {
            self.proceed(&request, &entry, enqueued, Permit::Block);
        }
    }

    /// Completes `request` with this error.
    pub(crate) fn fail(self: &Arc<Self>, request: &Arc<Request>, error: SystemError) {
        self.complete(request, Outcome::Failed(error));
    }

    /// Does what follows from queueing a request at `entry`: completes it, drives the lock, or adds timers.
    pub(crate) fn proceed(
        self: &Arc<Self>,
        request: &Arc<Request>,
        entry: &Arc<LockEntry>,
        enqueued: Enqueued,
        permit: Permit,
    ) {
        let complete =
            |outcome| self.complete_all(entry, Completions::from_iter([(request.clone(), outcome)]));
        match enqueued {
            Enqueued::Granted => complete(Outcome::Granted),
            Enqueued::Refused(outcome) => complete(outcome),
            Enqueued::Gone => complete(Outcome::Aborted),
            Enqueued::Elsewhere => {}
            Enqueued::Drive(_) | Enqueued::Waits | Enqueued::Interrupts | Enqueued::Drains(_) => {
                if request.is_late() {
                    self.expire(request);
                }
                match enqueued {
                    Enqueued::Drive(kernel_mode) => self.drive(entry, kernel_mode, permit),
                    Enqueued::Drains(drain) => {
                        if !self.after(DRAIN_TIME, Timer::EndDrain(Arc::downgrade(entry), drain)) {
                            self.end_drain(entry, drain);
                        }
                    }
                    // The driver completes a try at once, unless it is stuck.
                    _ => self.watch_answer(request),
                }
                if matches!(enqueued, Enqueued::Interrupts) {
                    self.interrupt_later(entry);
                }
            }
        }
    }

    /// Queues `request` at the lock of its file. Returns `None` if it has been completed, or is resolved later.
    fn find_entry(
        self: &Arc<Self>,
        request: &Arc<Request>,
        route: Route,
    ) -> Option<(Arc<LockEntry>, Enqueued)> {
        let enqueue =
            |entry: Arc<LockEntry>| entry.enqueue_if_busy(request).map(|enqueued| (entry, enqueued));
        loop {
            request.begin_resolving();
            let next_ticket = self.next_ticket();
            // A handle holds one lock at a time: its next request waits where it holds the last, even if its path names
            // another file by now. The driver notices that.
            let known = request.handle.held_entry().or_else(|| match route {
                Route::Cached => path_cache::get(self, request, next_ticket),
                Route::Uncached => None,
            });
            let place = if let Some(place) = known.and_then(enqueue) {
                place
            } else if self.try_warm(request, now()) {
                return None;
            } else {
                let file = self.open_file(request)?;
                // With nothing locked, since a server may take long to answer.
                let is_local = file.is_local();
                self.enqueue_at(file, request, is_local)
            };
            match place.1 {
                Enqueued::Elsewhere => continue,
                Enqueued::Waits | Enqueued::Interrupts if route == Route::Cached => {
                    path_cache::set(self, request, &place.0, next_ticket);
                }
                _ => {}
            }
            return Some(place);
        }
    }

    /// Opens the file of `request`. Returns `None` if that completed the request, or is tried again later: another program
    /// has opened the file without sharing.
    fn open_file(self: &Arc<Self>, request: &Arc<Request>) -> Option<Box<dyn LockFile>> {
        let outcome = match self.open_or_refuse(request) {
            Ok(file) => return Some(file),
            Err(Some(outcome)) => outcome,
            Err(None) if request.client.has_ended() => Outcome::Aborted,
            Err(None) if request.is_late() => Outcome::TimedOut(None),
            Err(None) if self.after(OPEN_AGAIN, Timer::OpenAgain(request.clone())) => return None,
            Err(None) => Outcome::TimedOut(None),
        };
        self.complete(request, outcome);
        None
    }

    /// Opens the file of `request`. Returns `Err(None)` if another program has opened it without sharing, and it is worth
    /// waiting for.
    fn open_or_refuse(&self, request: &Request) -> Result<Box<dyn LockFile>, Option<Outcome>> {
        let handle = &request.handle;
        let removes = handle.options.removal == Removal::OnRelease;
        let creates =
            !removes || handle.path.parent().is_none_or(|folder| self.system.is_coherent_at(folder));
        let how = OpenHow {
            create: creates.then_some(handle.options.file_mode),
            for_writing: handle.needs_writing(request.mode),
            ..handle.open_how()
        };
        match self.open(&handle.path, &how) {
            Ok(file) if removes && !file.is_coherent() => {
                Err(Some(Outcome::Failed(SystemError::incoherent())))
            }
            Ok(file) => Ok(file),
            Err(error) if is_busy(&error) => {
                Err(if request.blocking { None } else { Some(Outcome::TimedOut(None)) })
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !creates => {
                Err(Some(Outcome::Failed(SystemError::incoherent())))
            }
            Err(error) => Err(Some(Outcome::Failed(SystemError::opening(&error)))),
        }
    }

    /// Queues `request` at the lock of `file`: at its entry in the table, or else at a new one.
    pub(crate) fn enqueue_at(
        &self,
        file: Box<dyn LockFile>,
        request: &Arc<Request>,
        is_local: bool,
    ) -> (Arc<LockEntry>, Enqueued) {
        let id = file.id();
        // Queued while the table is locked, so that no lock with a request in its queue is ever out of the table. If there is
        // an entry, `file` is closed when the table is unlocked: a server may take long to answer.
        let mut table = self.table();
        if table.get(&id).is_some_and(|entry| entry.is_lost()) {
            table.remove(&id);
        }
        match table.entry(id) {
            Entry::Occupied(current) => {
                let enqueued = current.get().enqueue(request);
                (current.get().clone(), enqueued)
            }
            Entry::Vacant(vacant) => {
                let entry = LockEntry::new(file, is_local, &request.handle);
                let enqueued = entry.enqueue(request);
                if matches!(enqueued, Enqueued::Drive(_)) {
                    vacant.insert(entry.clone());
                } else {
                    drop(table);
                    entry.remove_unused();
                }
                (entry, enqueued)
            }
        }
    }
}
