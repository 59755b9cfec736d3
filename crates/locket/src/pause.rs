//! Drivers that are suspended: where no thread can wait in the kernel, or not one more, a driver tries its lock at intervals.
//!
//! However many are suspended, they try about a thousand times a second, all together. So that locks which become free are
//! acquired sooner than that, each that has succeeded takes up the next one.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::dispatch::{Task, Timer};
use crate::engine::Engine;
use crate::exec::TimerKey;
use crate::lock::{Completions, LockEntry, LockState, PAUSE_DOUBLINGS};
use crate::sync::{Mutex, MutexGuard, now};
use crate::sys::{LockMode, Waker};

#[cfg(all(test, not(loom)))]
mod tests;

/// The first pause between two tries, of a few drivers.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// For how long one driver that was taken up keeps others from being taken up.
const CHAIN_TIME: Duration = Duration::from_millis(1);
/// The longest pause grows by this with every driver.
const PAUSE_EACH: Duration = Duration::from_millis(1);

/// The locks whose drivers wait for their next try. Locked last.
pub(crate) struct Paused(Mutex<List>);

#[derive(Default)]
struct List {
    /// With the numbers of their timers, which ascend: the one that has tried least recently is the first. A sorted queue
    /// has a fraction of the code of a map.
    entries: VecDeque<(u64, Weak<LockEntry>)>,
    /// When the last driver was taken up by [`Engine::take_up_next`], if it takes up another one when it is done.
    chained: Option<Instant>,
}

impl List {
    fn remove(&mut self, number: u64) {
        if let Ok(index) = self.entries.binary_search_by_key(&number, |&(number, _)| number) {
            self.entries.remove(index);
        }
    }
}

/// Why a driver is suspended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Another process holds the lock.
    Refused,
    /// The lock is left to other processes for a moment.
    GivesWay,
    /// Another process holds the lock. The driver is told of changes, and tries again after this time at the latest.
    Watched(Duration),
}

impl Paused {
    /// Returns an empty list.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(List::default()))
    }

    /// Returns true if the list is empty.
    #[cfg(all(test, loom))]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock()
    }
}

/// Returns the first pause of a driver, where so many are suspended: the longest is as many times [`PAUSE_EACH`].
fn first_pause(suspended: usize) -> Duration {
    let suspended = u32::try_from(suspended).unwrap_or(u32::MAX);
    (PAUSE_EACH * suspended / (1 << PAUSE_DOUBLINGS)).max(FIRST_PAUSE)
}

impl Engine {
    /// Suspends the driver for a while, with jitter, so that processes do not try in step. Returns false if the
    /// caller goes on driving.
    pub(crate) fn pause(self: &Arc<Self>, entry: &Arc<LockEntry>, mode: LockMode, reason: Reason) -> bool {
        entry.set_driven(false);
        let mut completions = Completions::new();
        let key = self.suspend(entry, mode, reason, &mut completions);
        self.complete_all(entry, completions);
        let is_paused = key.is_some_and(|key| {
            self.add_timer(key, Timer::Retry(Arc::downgrade(entry), key)) || !entry.state().resume()
        });
        if !is_paused {
            entry.set_driven(true);
        }
        is_paused
    }

    /// Suspends the driver. Returns the key of the timer that has to resume it, or `None` if the caller goes on driving.
    fn suspend(
        &self,
        entry: &Arc<LockEntry>,
        mode: LockMode,
        reason: Reason,
        completions: &mut Completions,
    ) -> Option<TimerKey> {
        let mut state = entry.state();
        // In the list before another thread can resume it.
        let mut paused = self.paused.lock();
        let pause = state.pause(mode, first_pause(paused.entries.len()), completions)?;
        let pause = match reason {
            Reason::Watched(limit) => limit,
            Reason::Refused | Reason::GivesWay => {
                let jitter = u32::try_from(self.jitter.hash_one(now()) % 512).expect("below 512");
                pause * (768 + jitter) / 1024
            }
        };
        let key = self.timer_key(pause);
        state.set_retry(key);
        if reason == Reason::Refused {
            paused.entries.push_back((key.1, Arc::downgrade(entry)));
        }
        Some(key)
    }

    /// Notes that a thread drives the lock of this state. Returns true if the driver was suspended before.
    pub(crate) fn end_pause(&self, state: &mut LockState) -> bool {
        let Some(key) = state.take_retry() else { return false };
        self.paused.lock().remove(key.1);
        self.remove_timer(key);
        true
    }

    /// Returns what resumes the driver of `entry` when its lock may be free.
    pub(crate) fn waker(self: &Arc<Self>, entry: &Arc<LockEntry>) -> Waker {
        let (engine, entry) = (Arc::downgrade(self), Arc::downgrade(entry));
        Arc::new(move || {
            if let (Some(engine), Some(entry)) = (engine.upgrade(), entry.upgrade())
                && entry.state().wake()
            {
                engine.submit(Task::Drive(entry, None));
            }
        })
    }

    /// Resumes the driver whose pause is over, unless it has ended before.
    pub(crate) fn retry(self: &Arc<Self>, entry: &Arc<LockEntry>, key: TimerKey) {
        let mut state = entry.state();
        let resumed = state.is_retry(key) && state.resume();
        drop(state);
        if resumed {
            self.submit(Task::Drive(entry.clone(), None));
        }
    }

    /// Resumes the driver that has been suspended for the longest time. Called when another one has acquired its lock, or
    /// does not need its thread any more. The driver takes up the next one in turn, and so on: that is the chain, of which
    /// one link is under way at a time. `is_chained`: the caller is that link.
    ///
    /// If there were more, then of many threads that come back from the kernel one after the other, each would block there
    /// again, to be woken once more. A link that has been under way for long is blocked: then another chain begins.
    pub(crate) fn take_up_next(self: &Arc<Self>, mut is_chained: bool) {
        loop {
            let mut paused = self.paused.lock();
            let now = now();
            let is_recent = |chained| now.saturating_duration_since(chained) < CHAIN_TIME;
            if !is_chained && paused.chained.is_some_and(is_recent) {
                return;
            }
            is_chained = true;
            let next = paused.entries.pop_front();
            paused.chained = next.as_ref().map(|_| now);
            drop(paused);
            let Some((_, entry)) = next else { return };
            if let Some(entry) = entry.upgrade().filter(|entry| entry.state().resume()) {
                return self.submit(Task::DriveTakenUp(entry));
            }
        }
    }

    /// Ends the chain, if the caller `is_chained`: the driver has been refused again, so others probably would be, too.
    pub(crate) fn end_chain(&self, is_chained: bool) {
        if is_chained {
            self.paused.lock().chained = None;
        }
    }
}
