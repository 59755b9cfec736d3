//! Waiting for a lock that somebody tells of: the driver is suspended until then, and misses no news.

use super::kernel::Waits::Watched;
use super::model;
use crate::sys::LockMode::Exclusive;

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
fn news_that_are_no_news_leave_the_driver_waiting_for_the_next() {
    model(2, Watched, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        process.kernel.tell();
        process.kernel.unlock_by_others(theirs);
        a.granted_and_released();
    });
}
