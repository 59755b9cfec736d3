//! Probes: whether anybody holds the lock. A probe is nobody in the queue, and costs nobody the lock.

use super::kernel::Waits::Paced;
use super::model;
use crate::sys::LockMode::{Exclusive, Shared};

#[test]
fn a_probe_beside_a_release_is_answered_and_leaves_the_lock_free() {
    model(3, Paced, |process| {
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        let probe = process.probe();
        a.released();
        assert!(matches!(probe.outcome_in_time(), "locked" | "free"));
        let b = process.user().try_acquire_here(Exclusive);
        b.granted_and_released();
    });
}

#[test]
fn a_probe_of_a_free_lock_fails_no_try() {
    for mode in [Exclusive, Shared] {
        model(3, Paced, move |process| {
            process.kernel.create_file();
            let probe = process.probe();
            let a = process.user().try_acquire_here(mode);
            assert_eq!(a.outcome(), "granted");
            assert!(matches!(probe.outcome_in_time(), "locked" | "free"));
            a.granted_and_released();
        });
    }
}

#[test]
fn a_probe_beside_a_request_that_is_granted_or_cancelled_is_answered() {
    model(2, Paced, |process| {
        process.kernel.create_file();
        let probe = process.probe();
        let a = process.user().acquire(Exclusive);
        a.cancel();
        assert!(matches!(probe.outcome_in_time(), "locked" | "free"));
        a.released_or("aborted");
    });
}

#[test]
fn a_probe_tells_of_another_process() {
    model(2, Paced, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        assert_eq!(process.probe().outcome_in_time(), "locked");
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_probe_of_a_free_lock_is_true() {
    model(2, Paced, |process| {
        process.kernel.create_file();
        assert_eq!(process.probe().outcome_in_time(), "free");
    });
}

#[test]
fn a_request_that_comes_while_a_probe_has_the_lock_is_driven_after_it() {
    model(3, Paced, |process| {
        process.kernel.create_file();
        let probe = process.probe();
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        probe.outcome_in_time();
        a.released();
    });
}

#[test]
fn a_refusal_that_names_the_holders_has_one_outcome() {
    model(3, Paced, |process| {
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        let b = process.user().try_acquire_naming_holders(Exclusive);
        b.cancel();
        assert_eq!(b.outcome_in_time(), "timed out");
        a.released();
    });
}
