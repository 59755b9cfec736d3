//! System calls that fail, threads that cannot be started, and defects of our own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::kernel::PANICS;
use super::kernel::Waits::{Blocked, Paced};
use super::model;
use super::process::Wait;
use crate::sync::modelled::limit_threads;
use crate::sys::LockMode::Exclusive;

#[test]
fn a_lock_that_fails_and_a_cancel_at_once_give_one_outcome() {
    model(3, Paced, |process| {
        process.kernel.fail();
        let a = process.user().acquire(Exclusive);
        a.cancel();
        assert!(matches!(a.outcome(), "failed" | "aborted"), "{}", a.outcome());
    });
}

#[test]
fn a_wait_that_fails_in_the_kernel_fails_for_all_that_wait() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let [a, b] = [(); 2].map(|()| process.user().acquire(Exclusive));
        process.kernel.fail();
        assert_eq!(a.outcome(), "failed");
        assert_eq!(b.outcome(), "failed");
        process.kernel.unlock_by_others(theirs);
    });
}

/// On one thread: loom's mutexes do not bear another thread beside one that unwinds.
#[test]
fn a_panic_completes_those_in_the_queue_and_the_next_request_begins_anew() {
    model(2, Paced, |process| {
        process.kernel.link(PANICS);
        let old = process.user().acquire_here(Exclusive);
        old.granted();
        let a = process.user_at(PANICS).acquire_here(Exclusive);
        let b = process.user().acquire_here(Exclusive);
        catch_unwind(AssertUnwindSafe(|| old.released())).unwrap_err();
        assert_eq!(a.outcome(), "panicked");
        assert_eq!(b.outcome(), "panicked");
        assert!(process.locks().is_empty());
        let c = process.user().acquire_here(Exclusive);
        c.granted_and_released();
    });
}

#[test]
fn a_lock_that_is_free_is_granted_without_a_thread() {
    model(2, Paced, |process| {
        limit_threads(0);
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        let b = process.user().acquire_here(Exclusive);
        let cancelling = b.meanwhile(Wait::cancel);
        a.released();
        cancelling.join().unwrap();
        b.released_or("aborted");
    });
}

#[test]
fn a_request_that_needs_a_thread_fails_where_there_is_none() {
    for threads in [0, 1] {
        model(2, Paced, move |process| {
            limit_threads(threads);
            let theirs = process.kernel.lock_by_others(Exclusive);
            let a = process.user().acquire(Exclusive);
            let b = process.user().acquire_here(Exclusive);
            assert_eq!(a.outcome(), "failed");
            assert_eq!(b.outcome(), "failed");
            process.kernel.unlock_by_others(theirs);
        });
    }
}

#[test]
fn a_wait_is_paced_where_no_second_worker_can_be_started() {
    model(3, Blocked, |process| {
        // The timer thread, and a worker.
        limit_threads(2);
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        process.kernel.unlock_by_others(theirs);
        assert_eq!(a.outcome_paced(), "granted");
        a.released();
    });
}
