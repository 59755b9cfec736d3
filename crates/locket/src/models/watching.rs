//! Waiting for a lock that somebody tells of: the driver is suspended until then, and misses no news.

use std::time::Duration;

use super::kernel::Waits::Watched;
use super::process::Wait;
use super::{model, set_up};
use crate::sync::modelled::pass;
use crate::sys::LockMode::Exclusive;

/// A timeout.
const SHORT: Duration = Duration::from_millis(1);

#[test]
fn news_that_come_while_the_driver_makes_up_its_mind_are_not_lost() {
    model(3, Watched, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        process.kernel.unlock_by_others(theirs);
        // No time passes: nothing but the news can make it try again.
        a.granted_and_released();
    });
}

#[test]
fn a_lock_that_another_process_releases_is_acquired_without_time_passing() {
    model(2, Watched, |process| {
        let another = process.another(Watched);
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        let b = another.user().acquire(Exclusive);
        a.released();
        b.granted_and_released();
        drop(b);
        another.end();
    });
}

#[test]
fn news_and_a_cancel_at_once_end_in_one_of_them() {
    model(2, Watched, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        let cancelling = a.meanwhile(Wait::cancel);
        process.kernel.unlock_by_others(theirs);
        cancelling.join().unwrap();
        a.outcome_in_time();
        a.released_or("aborted");
    });
}

#[test]
fn news_and_a_deadline_end_in_one_of_them() {
    model(2, Watched, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire_within(Exclusive, SHORT);
        pass(SHORT);
        process.kernel.unlock_by_others(theirs);
        a.outcome_in_time();
        a.released_or("timed out");
    });
}

#[test]
fn news_that_are_no_news_leave_the_driver_waiting_for_the_next() {
    model(2, Watched, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        process.kernel.tell();
        process.kernel.unlock_by_others(theirs);
        a.granted_and_released();
    });
}

#[test]
fn those_behind_the_first_get_their_turn_when_that_is_cancelled() {
    model(2, Watched, |process| {
        let theirs = set_up(|| process.kernel.lock_by_others(Exclusive));
        let [a, b] = [(); 2].map(|()| process.user().acquire(Exclusive));
        a.cancel();
        process.kernel.unlock_by_others(theirs);
        a.released_or("aborted");
        b.granted_and_released();
    });
}
