//! How long drivers are suspended, and what resumes them.

use std::sync::atomic::Ordering;

use super::*;
use crate::exec::Limits;
use crate::fake::FakeSystem;
use crate::lock::{CancelReason, Knowledge, Outcome};
use crate::support::{Pending, User, until};
use crate::sys::LockMode::Exclusive;

/// An engine on a system whose files are locked by another process, with so many waits, each for a file of its own.
struct Crowd {
    system: Arc<FakeSystem>,
    engine: Arc<Engine>,
    waits: Vec<Pending>,
}

impl Crowd {
    fn of(count: u64) -> Self {
        let (engine, system) = FakeSystem::with_engine(Limits::default());
        system.is_locked.store(true, Ordering::SeqCst);
        let waits = (1..=count).map(|number| {
            let path = format!("/{number}");
            system.replace(&path, number);
            User::new(&engine, path).start(Exclusive, |_| {})
        });
        let waits: Vec<_> = waits.collect();
        for wait in &waits {
            until(|| wait.request.entry().is_some_and(|entry| entry.state().has_paused()));
        }
        Self { system, engine, waits }
    }

    /// Returns one whose drivers are suspended, in their order, for longer than a test lasts.
    fn suspended(count: u64) -> Self {
        let crowd = Self::of(count);
        for wait in &crowd.waits {
            until(|| wait.request.entry().is_some_and(|entry| crowd.suspend_for_long(&entry)));
        }
        crowd
    }

    /// Makes the pause of a driver a long one. Returns false if it is not suspended.
    fn suspend_for_long(&self, entry: &Arc<LockEntry>) -> bool {
        let mut state = entry.state();
        let is_suspended = state.knowledge() == Knowledge::Locked && self.engine.end_pause(&mut state);
        if is_suspended {
            let key = self.engine.timer_key(Duration::from_secs(3600));
            state.set_retry(key);
            self.engine.paused.lock().entries.push_back((key.1, Arc::downgrade(entry)));
        }
        is_suspended
    }
}

fn longest_pause(suspended: usize) -> Duration {
    first_pause(suspended) * (1 << PAUSE_DOUBLINGS)
}

#[test]
fn a_few_suspended_drivers_pause_for_1_to_16_ms() {
    for suspended in 0..=16 {
        assert_eq!(first_pause(suspended), Duration::from_millis(1));
        assert_eq!(longest_pause(suspended), Duration::from_millis(16));
    }
}

#[test]
fn many_suspended_drivers_try_a_thousand_times_a_second_all_together() {
    for suspended in [17, 100, 1000, 6000, 100_000] {
        let longest = Duration::from_millis(suspended);
        assert_eq!(longest_pause(usize::try_from(suspended).unwrap()), longest);
    }
    assert!(first_pause(usize::MAX) > Duration::from_secs(60), "it does not overflow");
}

#[test]
fn a_driver_that_has_succeeded_after_a_pause_takes_up_the_next_one() {
    let crowd = Crowd::suspended(50);
    crowd.system.is_locked.store(false, Ordering::SeqCst);
    crowd.engine.take_up_next(false);
    // Not one by one at the end of their pauses, which are longer than a test.
    for wait in &crowd.waits {
        let outcome = wait.outcome();
        assert!(matches!(outcome, Outcome::Granted), "{outcome:?}");
    }
}

#[test]
fn a_driver_that_has_been_refused_again_takes_up_no_other() {
    let crowd = Crowd::suspended(3);
    let entries: Vec<_> = crowd.waits.iter().map(|wait| wait.request.entry().unwrap()).collect();
    let numbers =
        || -> Vec<_> { crowd.engine.paused.lock().entries.iter().map(|&(number, _)| number).collect() };
    let before = numbers();
    crowd.engine.take_up_next(false);
    until(|| crowd.suspend_for_long(&entries[0]));
    // It is the last now, and the others have not been resumed meanwhile.
    assert_eq!(numbers()[..2], before[1..]);
}

#[test]
fn only_the_link_of_a_chain_takes_up_the_next_driver_unless_it_is_stuck() {
    let crowd = Crowd::suspended(3);
    let suspended = || crowd.engine.paused.lock().entries.len();
    // As if a driver had just been taken up.
    crowd.engine.paused.lock().chained = Some(now());
    crowd.engine.take_up_next(false);
    assert_eq!(suspended(), 3);
    let entry = crowd.waits[0].request.entry().unwrap();
    crowd.engine.take_up_next(true);
    until(|| crowd.suspend_for_long(&entry));
    let entry = crowd.waits[1].request.entry().unwrap();
    crowd.engine.paused.lock().chained = now().checked_sub(CHAIN_TIME);
    crowd.engine.take_up_next(false);
    until(|| crowd.suspend_for_long(&entry));
    // The two that were taken up are behind the third one now.
    let third = crowd.waits[2].request.entry().unwrap();
    let first = crowd.engine.paused.lock().entries.front().and_then(|(_, entry)| entry.upgrade());
    assert!(first.is_some_and(|first| Arc::ptr_eq(&first, &third)));
}

#[test]
fn a_wait_that_is_cancelled_leaves_the_list_of_suspended_drivers_and_takes_up_the_next_one() {
    let crowd = Crowd::suspended(2);
    let [first, second] = &crowd.waits[..] else { unreachable!() };
    crowd.system.is_locked.store(false, Ordering::SeqCst);
    crowd.engine.cancel(&second.request, CancelReason::Aborted);
    assert!(matches!(second.outcome(), Outcome::Aborted));
    assert!(matches!(first.outcome(), Outcome::Granted));
    let is_ours = |(_, entry): &(u64, Weak<LockEntry>)| entry.strong_count() > 0;
    until(|| !crowd.engine.paused.lock().entries.iter().any(is_ours));
}

#[test]
fn the_timer_of_a_pause_that_has_ended_resumes_no_later_one() {
    let crowd = Crowd::suspended(1);
    let entry = crowd.waits[0].request.entry().unwrap();
    let ended = entry.state().take_retry().unwrap();
    entry.state().set_retry((ended.0, ended.1 + 1));
    crowd.system.calls();
    crowd.engine.retry(&entry, ended);
    assert!(entry.state().resume(), "it is still suspended");
}

#[test]
fn a_suspended_driver_tries_again_without_being_taken_up() {
    let crowd = Crowd::of(3);
    crowd.system.is_locked.store(false, Ordering::SeqCst);
    for wait in &crowd.waits {
        assert!(matches!(wait.outcome(), Outcome::Granted));
    }
}
