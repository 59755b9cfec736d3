//! Waiting in the kernel's queue, and leaving it: by a signal that is lost if it comes too early.

use std::time::Duration;

use super::kernel::Waits::{Blocked, Watched};
use super::kernel::{OTHER, PATH, SLOW, THIRD};
use super::process::{Process, User, Wait};
use super::{model, model_with, set_up, tidy_up};
use crate::sync::modelled::{pass, sleeps, wait_until};
use crate::sys::LockMode::{Exclusive, Shared};

/// A timeout.
const SHORT: Duration = Duration::from_millis(1);
/// Longer than a worker may be stuck before another one takes over.
const STALL: Duration = Duration::from_millis(3);
/// The grace period after which a driver that does not respond is given up.
const GRACE: Duration = crate::engine::CANCEL_GRACE;

#[test]
fn a_cancel_gets_a_thread_out_of_the_kernel_however_early_the_signal_comes() {
    model(3, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        a.cancel();
        // The next signal may come too early, too.
        pass(SHORT);
        assert_eq!(a.outcome_in_time(), "aborted");
        assert!(!process.kernel.has_waiting());
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_cancel_gets_a_thread_that_waits_out_of_the_kernel_at_once() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.wait_in_kernel(Exclusive);
        a.cancel();
        assert_eq!(a.outcome(), "aborted");
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn the_end_of_a_client_gets_a_thread_that_waits_out_of_the_kernel_at_once() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.wait_in_kernel(Exclusive);
        a.user.end();
        assert_eq!(a.outcome(), "aborted");
        assert!(!process.kernel.has_waiting());
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_deadline_gets_a_thread_out_of_the_kernel_though_its_first_signal_may_be_lost() {
    model(3, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire_within(Exclusive, SHORT);
        pass(SHORT);
        assert_eq!(a.outcome_in_time(), "timed out");
        assert!(!process.kernel.has_waiting());
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_lock_that_comes_and_a_cancel_at_once_end_in_one_of_them() {
    for waits in [Blocked, Watched] {
        model(2, waits, |process| {
            let theirs = process.kernel.lock_by_others(Exclusive);
            let a = process.user().acquire(Exclusive);
            let cancelling = a.meanwhile(Wait::cancel);
            process.kernel.unlock_by_others(theirs);
            cancelling.join().unwrap();
            a.outcome_in_time();
            a.released_or("aborted");
        });
    }
}

#[test]
fn a_deadline_and_a_lock_that_comes_end_in_one_of_them() {
    for waits in [Blocked, Watched] {
        model(2, waits, |process| {
            let theirs = process.kernel.lock_by_others(Exclusive);
            let a = process.user().acquire_within(Exclusive, SHORT);
            pass(SHORT);
            process.kernel.unlock_by_others(theirs);
            a.outcome_in_time();
            a.released_or("timed out");
        });
    }
}

#[test]
fn a_wait_goes_on_for_the_next_one_when_the_first_is_cancelled() {
    for waits in [Blocked, Watched] {
        model(2, waits, |process| {
            let theirs = process.kernel.lock_by_others(Exclusive);
            let [a, b] = [(); 2].map(|()| process.user().acquire(Exclusive));
            a.cancel();
            process.kernel.unlock_by_others(theirs);
            a.released_or("aborted");
            b.granted_and_released();
        });
    }
}

#[test]
fn two_cancels_at_once_leave_no_thread_in_the_kernel() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.wait_in_kernel(Exclusive);
        let b = process.user().acquire_here(Exclusive);
        let cancelling = a.meanwhile(Wait::cancel);
        b.cancel();
        cancelling.join().unwrap();
        assert_eq!(a.outcome_in_time(), "aborted");
        assert_eq!(b.outcome_in_time(), "aborted");
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn the_cancel_of_an_exclusive_waiter_lets_a_shared_one_have_the_lock_beside_others_that_share() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Shared);
        let a = process.user().acquire(Exclusive);
        let b = process.user().acquire(Shared);
        a.cancel();
        assert_eq!(a.outcome_in_time(), "aborted");
        b.outcome_in_time();
        b.granted_and_released();
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_request_that_comes_while_a_thread_is_interrupted_is_not_forgotten() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        let cancelling = a.meanwhile(Wait::cancel);
        let b = process.user().acquire(Exclusive);
        process.kernel.unlock_by_others(theirs);
        cancelling.join().unwrap();
        a.outcome_in_time();
        a.released_or("aborted");
        b.outcome_in_time();
        b.granted_and_released();
    });
}

#[test]
fn the_end_of_a_client_gets_its_thread_out_of_the_kernel() {
    model(3, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        a.user.end();
        assert_eq!(a.outcome(), "aborted");
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn the_end_of_a_client_and_a_lock_that_comes_leave_the_lock_to_the_next_one() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        let b = process.user().acquire(Exclusive);
        let ending = a.user.meanwhile(User::end);
        process.kernel.unlock_by_others(theirs);
        ending.join().unwrap();
        assert!(matches!(a.outcome_in_time(), "aborted" | "granted"));
        b.outcome_in_time();
        b.granted_and_released();
    });
}

#[test]
fn a_thread_that_cannot_be_interrupted_gives_up_a_lock_that_nobody_wants_any_more() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        process.kernel.be_deaf();
        let a = process.wait_in_kernel(Exclusive);
        a.cancel();
        pass(GRACE);
        assert_eq!(a.outcome(), "aborted");
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_try_is_refused_at_once_while_a_thread_waits_in_the_kernel() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.wait_in_kernel(Exclusive);
        let b = process.user().try_acquire(Exclusive);
        assert_eq!(b.outcome(), "timed out");
        tidy_up();
        a.cancel();
        assert_eq!(a.outcome_in_time(), "aborted");
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn shared_requests_are_granted_together_when_the_kernel_gives_the_lock() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let [a, b] = [(); 2].map(|()| process.user().acquire(Shared));
        process.kernel.unlock_by_others(theirs);
        a.granted();
        b.granted();
        a.released();
        b.released();
    });
}

#[test]
fn a_request_that_comes_too_late_is_refused_though_another_waits_in_the_kernel() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.wait_in_kernel(Exclusive);
        let b = process.user().acquire_within(Exclusive, Duration::ZERO);
        // Not only when A has the lock, or goes.
        assert_eq!(b.outcome(), "timed out");
        tidy_up();
        a.cancel();
        assert_eq!(a.outcome_in_time(), "aborted");
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_deadline_and_a_cancel_at_once_give_one_reason() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire_within(Exclusive, SHORT);
        pass(SHORT);
        a.cancel();
        assert!(matches!(a.outcome_in_time(), "aborted" | "timed out"), "{}", a.outcome());
        assert!(!process.kernel.has_waiting());
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_driver_that_had_no_thread_to_wait_in_goes_on_as_soon_as_another_wait_has_ended() {
    model(3, Blocked, |process| {
        let theirs = [PATH, OTHER].map(|path| process.kernel.lock_by_others_at(path, Exclusive));
        let [a, b] = set_up(|| {
            let a = process.user().acquire(Exclusive);
            process.kernel.wait_until_waiting(1);
            let b = process.user_at(OTHER).acquire(Exclusive);
            wait_until(|| sleeps(20 * SHORT));
            [a, b]
        });
        process.kernel.unlock_by_others(theirs[1]);
        process.kernel.unlock_by_others(theirs[0]);
        assert_eq!(a.outcome(), "granted");
        // Not only when it is time to ask again.
        assert_eq!(b.outcome(), "granted");
        a.released();
        b.released();
    });
}

#[test]
fn a_driver_that_has_no_thread_to_wait_in_while_a_wait_ends_is_not_left_behind() {
    model(2, Blocked, |process| {
        let theirs = [PATH, OTHER].map(|path| process.kernel.lock_by_others_at(path, Exclusive));
        let a = process.wait_in_kernel(Exclusive);
        let b = process.user_at(OTHER).acquire(Exclusive);
        process.kernel.unlock_by_others(theirs[0]);
        assert_eq!(a.outcome(), "granted");
        process.kernel.unlock_by_others(theirs[1]);
        // Not only when it is time to ask again.
        assert_eq!(b.outcome(), "granted");
        a.released();
        b.released();
    });
}

/// A process with a thread that waits in the kernel, and two drivers that have none to wait in.
fn suspended_model(body: impl Fn(&Process, [usize; 3], &[Wait; 3]) + Send + Sync + 'static) {
    model(2, Blocked, move |process| {
        let paths = [PATH, OTHER, THIRD];
        let theirs = paths.map(|path| process.kernel.lock_by_others_at(path, Exclusive));
        let waits = set_up(|| {
            let a = process.user().acquire(Exclusive);
            process.kernel.wait_until_waiting(1);
            let [b, c] = [OTHER, THIRD].map(|path| {
                let wait = process.user_at(path).acquire(Exclusive);
                // A worker refuses it after it has suspended the driver.
                assert_eq!(process.user_at(path).try_acquire(Exclusive).outcome(), "timed out");
                wait
            });
            [a, b, c]
        });
        body(process, theirs, &waits);
    });
}

#[test]
fn a_suspended_driver_that_goes_on_and_needs_no_thread_takes_up_the_next_one() {
    suspended_model(|process, theirs, waits| {
        for number in theirs.into_iter().rev() {
            process.kernel.unlock_by_others(number);
        }
        for wait in waits {
            assert_eq!(wait.outcome(), "granted");
        }
        waits.iter().for_each(Wait::released);
    });
}

#[test]
fn a_suspended_driver_is_taken_up_though_the_one_before_it_is_cancelled_meanwhile() {
    suspended_model(|process, theirs, [a, b, c]| {
        process.kernel.unlock_by_others(theirs[2]);
        let cancelling = b.meanwhile(Wait::cancel);
        process.kernel.unlock_by_others(theirs[0]);
        cancelling.join().unwrap();
        assert_eq!(a.outcome(), "granted");
        assert_eq!(b.outcome_in_time(), "aborted");
        assert_eq!(c.outcome(), "granted");
        tidy_up();
        a.released();
        c.released();
        process.kernel.unlock_by_others(theirs[1]);
    });
}

#[test]
fn the_cancel_of_a_suspended_wait_takes_up_the_next_one() {
    suspended_model(|process, theirs, [a, b, c]| {
        process.kernel.unlock_by_others(theirs[2]);
        b.cancel();
        assert_eq!(b.outcome(), "aborted");
        assert_eq!(c.outcome(), "granted");
        tidy_up();
        c.released();
        a.cancel();
        assert_eq!(a.outcome_in_time(), "aborted");
        theirs[..2].iter().for_each(|&number| process.kernel.unlock_by_others(number));
    });
}

/// [`Process::with_stuck_worker`] and what its worker is stuck in.
fn stuck_model(body: impl Fn(&Process, Wait) + Send + Sync + 'static) {
    model_with(2, Process::with_stuck_worker, move |process| {
        process.kernel.link(SLOW);
        let theirs = process.kernel.lock_by_others(Exclusive);
        let [stuck, a] = set_up(|| {
            process.kernel.be_slow(true);
            let stuck = process.user_at(SLOW).acquire_within(Exclusive, SHORT);
            process.kernel.wait_until_waiting(1);
            let a = process.user().acquire(Exclusive);
            pass(STALL);
            process.kernel.wait_until_waiting(2);
            [stuck, a]
        });
        body(process, stuck);
        tidy_up();
        process.kernel.be_slow(false);
        a.cancel();
        assert_eq!(a.outcome_in_time(), "aborted");
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn an_older_request_that_comes_too_late_is_refused_though_a_younger_one_waits_in_the_kernel() {
    stuck_model(|process, stuck| {
        process.kernel.be_slow(false);
        // Not only when the younger one has the lock, or goes.
        assert_eq!(stuck.outcome(), "timed out");
    });
}

#[test]
fn a_request_whose_path_does_not_answer_is_cancelled_at_once() {
    stuck_model(|_, stuck| {
        stuck.cancel();
        assert_eq!(stuck.outcome(), "aborted");
    });
}

#[test]
fn a_request_whose_file_is_found_late_and_its_cancel_give_one_outcome() {
    stuck_model(|process, stuck| {
        process.kernel.be_slow(false);
        stuck.cancel();
        assert!(matches!(stuck.outcome(), "aborted" | "timed out"));
    });
}
