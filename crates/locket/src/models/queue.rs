//! The queue: who enters it, leaves it, is granted the lock, and passes it on, where nobody else wants it.

use std::time::Duration;

use super::kernel::Waits::Paced;
use super::process::{Process, User, Wait};
use super::{model, model_with, set_up};
use crate::sync::modelled::{pass, sleeps, wait_until};
use crate::sys::LockMode::{Exclusive, Shared};

/// A timeout.
const SHORT: Duration = Duration::from_millis(1);
/// Longer than any pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn a_grant_and_a_cancel_at_once_end_in_one_of_them() {
    model(3, Paced, |process| {
        let a = process.user().acquire(Exclusive);
        a.cancel();
        a.released_or("aborted");
    });
}

#[test]
fn a_deadline_that_comes_before_the_first_try_does_not_refuse_a_free_lock() {
    model(3, Paced, |process| {
        let a = process.user().acquire_within(Exclusive, SHORT);
        pass(SHORT);
        a.granted_and_released();
    });
}

#[test]
fn a_deadline_that_comes_before_the_first_try_does_not_refuse_a_free_lock_to_the_first_of_two() {
    model(2, Paced, |process| {
        let a = process.user().acquire_within(Exclusive, SHORT);
        let b = process.user().acquire_here(Exclusive);
        pass(SHORT);
        a.granted_and_released();
        b.granted_and_released();
    });
}

#[test]
fn a_deadline_that_has_come_before_the_file_is_found_does_not_refuse_a_free_lock() {
    model(3, Paced, |process| {
        let a = process.user().acquire_within(Exclusive, Duration::ZERO);
        a.granted_and_released();
    });
}

#[test]
fn a_release_a_cancel_and_a_newcomer_at_once_leave_nobody_waiting_for_nothing() {
    model(3, Paced, |process| {
        let [a, b] = [(); 2].map(|()| process.user().acquire_here(Exclusive));
        a.granted();
        let releasing = a.meanwhile(Wait::released);
        let cancelling = b.meanwhile(Wait::cancel);
        let c = process.user().acquire_here(Exclusive);
        releasing.join().unwrap();
        cancelling.join().unwrap();
        if b.is_granted() {
            assert_eq!(c.known_outcome(), None);
        }
        b.released_or("aborted");
        c.granted_and_released();
    });
}

#[test]
fn a_request_that_comes_while_the_last_one_goes_has_the_next_ones_behind_it() {
    model(3, Paced, |process| {
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        let releasing = a.meanwhile(Wait::released);
        let b = process.user().acquire_here(Exclusive);
        releasing.join().unwrap();
        let c = process.user().acquire_here(Exclusive);
        b.granted_and_released();
        c.granted_and_released();
    });
}

#[test]
fn a_handoff_and_a_cancel_at_once_grant_the_next_one() {
    model(4, Paced, |process| {
        let [a, b, c] = [(); 3].map(|()| process.user().acquire_here(Exclusive));
        a.granted();
        let releasing = a.meanwhile(Wait::released);
        b.cancel();
        releasing.join().unwrap();
        b.released_or("aborted");
        c.granted_and_released();
    });
}

#[test]
fn a_handoff_to_the_last_in_the_queue_and_its_cancel_leave_nothing_behind() {
    model(4, Paced, |process| {
        let [a, b] = [(); 2].map(|()| process.user().acquire_here(Exclusive));
        a.granted();
        let cancelling = b.meanwhile(Wait::cancel);
        a.released();
        cancelling.join().unwrap();
        b.released_or("aborted");
    });
}

#[test]
fn two_cancels_at_once_and_a_release_leave_nothing_behind() {
    model(3, Paced, |process| {
        let [a, b, c] = [(); 3].map(|()| process.user().acquire_here(Exclusive));
        a.granted();
        let cancelling = [b.meanwhile(Wait::cancel), c.meanwhile(Wait::cancel)];
        a.released();
        for thread in cancelling {
            thread.join().unwrap();
        }
        b.released_or("aborted");
        c.released_or("aborted");
    });
}

#[test]
fn a_deadline_and_a_cancel_at_once_give_one_reason() {
    model(4, Paced, |process| {
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        let b = process.user().acquire_here_within(Exclusive, SHORT);
        let cancelling = b.meanwhile(Wait::cancel);
        pass(SHORT);
        b.expire();
        cancelling.join().unwrap();
        assert!(matches!(b.outcome(), "aborted" | "timed out"), "{}", b.outcome());
        a.released();
    });
}

#[test]
fn a_release_and_the_end_of_the_holders_client_release_once() {
    model(3, Paced, |process| {
        let ending = process.user();
        let a = ending.acquire_here(Exclusive);
        a.granted();
        let b = ending.another_handle().acquire_here(Exclusive);
        let c = process.user().acquire_here(Exclusive);
        let releasing = a.meanwhile(|a| a.user.release());
        ending.end();
        releasing.join().unwrap();
        // Whatever B was told, its client has ended, and with it what B may have held for an instant.
        assert!(matches!(b.outcome(), "aborted" | "granted"));
        c.granted_and_released();
    });
}

#[test]
fn a_release_and_the_end_of_the_next_ones_client_grant_the_one_behind() {
    model(3, Paced, |process| {
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        let b = process.user().acquire_here(Exclusive);
        let c = process.user().acquire_here(Shared);
        let ending = b.user.meanwhile(User::end);
        a.released();
        ending.join().unwrap();
        assert!(matches!(b.outcome(), "aborted" | "granted"));
        c.granted_and_released();
    });
}

#[test]
fn the_end_of_a_client_whose_file_is_being_found_leaves_nothing_behind() {
    model(3, Paced, |process| {
        let a = process.user().acquire(Exclusive);
        a.user.end();
        assert!(matches!(a.outcome(), "aborted" | "granted"));
        let b = process.user().acquire(Exclusive);
        b.granted_and_released();
    });
}

#[test]
fn consecutive_shared_requests_are_granted_together_also_when_one_is_cancelled() {
    model(3, Paced, |process| {
        let [a, b, c, d] =
            [Exclusive, Shared, Shared, Exclusive].map(|mode| process.user().acquire_here(mode));
        a.granted();
        let cancelling = c.meanwhile(Wait::cancel);
        a.released();
        cancelling.join().unwrap();
        b.granted();
        assert_eq!(d.known_outcome(), None);
        b.released();
        c.released_or("aborted");
        d.granted_and_released();
    });
}

#[test]
fn shared_holders_that_release_at_once_let_the_exclusive_one_have_the_lock() {
    model(3, Paced, |process| {
        let [a, b, c] = [Shared, Shared, Exclusive].map(|mode| process.user().acquire_here(mode));
        a.granted();
        b.granted();
        assert_eq!(c.known_outcome(), None);
        let releasing = a.meanwhile(Wait::released);
        b.released();
        releasing.join().unwrap();
        c.granted_and_released();
    });
}

#[test]
fn a_shared_try_beside_a_shared_release_is_granted() {
    model(4, Paced, |process| {
        let a = process.user().acquire_here(Shared);
        a.granted();
        let releasing = a.meanwhile(Wait::released);
        let b = process.user().try_acquire_here(Shared);
        releasing.join().unwrap();
        b.granted_and_released();
    });
}

#[test]
fn the_cancel_of_an_exclusive_waiter_lets_the_shared_one_behind_it_join() {
    model(4, Paced, |process| {
        let a = process.user().acquire_here(Shared);
        a.granted();
        let b = process.user().acquire_here(Exclusive);
        let cancelling = b.meanwhile(Wait::cancel);
        let c = process.user().acquire_here(Shared);
        cancelling.join().unwrap();
        assert_eq!(b.outcome(), "aborted");
        c.granted();
        a.released();
        c.granted_and_released();
    });
}

#[test]
fn the_next_request_of_a_handle_waits_for_its_release_and_is_granted() {
    model(2, Paced, |process| {
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        let releasing = a.meanwhile(Wait::released);
        let again = a.user.acquire(Exclusive);
        releasing.join().unwrap();
        again.granted_and_released();
    });
}

#[test]
fn requests_of_two_threads_by_one_path_are_all_granted() {
    model(2, Paced, |process| {
        let user = process.user();
        let other = user.meanwhile(|user| user.acquire(Exclusive));
        let a = process.user().acquire(Exclusive);
        let b = other.join().unwrap();
        let [first, second] = if a.is_before(&b) { [a, b] } else { [b, a] };
        first.granted_and_released();
        second.granted_and_released();
    });
}

#[test]
fn a_request_that_is_made_here_does_not_overtake_one_on_its_way() {
    model(2, Paced, |process| {
        let a = process.user().acquire(Exclusive);
        let b = process.user().acquire_here(Exclusive);
        a.granted();
        assert_eq!(b.known_outcome(), None);
        a.released();
        b.granted_and_released();
    });
}

#[test]
fn a_release_on_a_server_leaves_the_unlocking_to_a_worker() {
    model_with(
        2,
        || Process::remote(Paced),
        |process| {
            let a = process.user().acquire(Exclusive);
            a.granted();
            let b = process.user().acquire(Exclusive);
            a.released();
            b.granted_and_released();
        },
    );
}

#[test]
fn a_lock_that_others_release_and_the_cancels_of_suspended_waits_end_in_one_of_them() {
    model(4, Paced, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let [a, b] = set_up(|| {
            let waits = [(); 2].map(|()| process.user().acquire(Exclusive));
            wait_until(|| sleeps(PAUSE));
            waits
        });
        process.kernel.unlock_by_others(theirs);
        pass(PAUSE);
        a.cancel();
        b.cancel();
        a.released_or("aborted");
        b.released_or("aborted");
    });
}

#[test]
fn a_suspended_wait_that_times_out_has_been_tried_once_more() {
    model(4, Paced, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = set_up(|| {
            let a = process.user().acquire_within(Exclusive, 2 * PAUSE);
            wait_until(|| sleeps(PAUSE));
            a
        });
        process.kernel.unlock_by_others(theirs);
        a.expire();
        a.granted_and_released();
    });
}

#[test]
fn the_cancel_of_the_only_wait_forgets_a_suspended_driver_at_once() {
    model(4, Paced, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = set_up(|| {
            let a = process.user().acquire(Exclusive);
            wait_until(|| sleeps(PAUSE));
            a
        });
        a.cancel();
        assert_eq!(a.outcome(), "aborted");
        assert!(process.engine.table().is_empty());
        process.kernel.unlock_by_others(theirs);
    });
}
