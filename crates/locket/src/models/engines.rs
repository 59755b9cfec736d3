//! Two engines: they exclude each other as two processes do.

use super::kernel::Waits::{Blocked, Paced, Watched};
use super::model;
use crate::sys::LockMode::{Exclusive, Shared};

#[test]
fn two_engines_that_try_at_once_do_not_both_hold_the_lock() {
    for modes in [[Exclusive, Exclusive], [Exclusive, Shared]] {
        model(3, Paced, move |process| {
            let another = process.another(Paced);
            let trying = another.user().meanwhile(move |user| user.try_acquire_here(modes[0]));
            let a = process.user().try_acquire_here(modes[1]);
            let b = trying.join().unwrap();
            assert!(a.is_granted() || b.is_granted(), "nobody has got a lock that was free");
            a.released_or("timed out");
            b.released_or("timed out");
            drop(b);
            another.end();
        });
    }
}

#[test]
fn two_engines_share_a_lock() {
    model(3, Paced, |process| {
        let another = process.another(Paced);
        let trying = another.user().meanwhile(|user| user.try_acquire_here(Shared));
        let a = process.user().try_acquire_here(Shared);
        let b = trying.join().unwrap();
        a.granted();
        b.granted_and_released();
        a.released();
        drop(b);
        another.end();
    });
}

#[test]
fn an_engine_waits_in_the_kernel_or_for_news_until_another_releases() {
    for waits in [Blocked, Watched] {
        model(3, Paced, move |process| {
            let another = process.another(waits);
            let a = process.user().acquire_here(Exclusive);
            a.granted();
            let b = another.user().acquire(Exclusive);
            a.released();
            b.granted();
            assert!(process.locks().is_empty());
            b.released();
            drop(b);
            another.end();
        });
    }
}

#[test]
fn an_engine_asks_again_until_another_releases() {
    model(3, Paced, |process| {
        let another = process.another(Paced);
        let a = process.user().acquire_here(Shared);
        a.granted();
        let b = another.user().acquire(Exclusive);
        a.released();
        assert_eq!(b.outcome_in_time(), "granted");
        b.granted_and_released();
        drop(b);
        another.end();
    });
}
