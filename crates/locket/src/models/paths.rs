//! Paths: a file that is replaced while requests are on their way to it, one that is deleted on release, and descriptors that
//! other code closes.

use super::kernel::Waits::{Blocked, Paced};
use super::kernel::{OTHER, REFUSED};
use super::model;
use super::process::Wait;
use crate::engine::Released;
use crate::sys::LockMode::{Exclusive, Shared};

#[test]
fn a_file_that_is_replaced_while_a_request_is_on_its_way_is_found_anew() {
    model(3, Paced, |process| {
        let old = process.user().acquire_here(Exclusive);
        old.granted();
        let a = process.user().acquire(Exclusive);
        process.replace_file();
        old.released();
        a.granted();
        assert!(process.has_locked_the_file_at_the_path());
        a.released();
    });
}

#[test]
fn a_request_that_comes_after_a_file_was_replaced_does_not_wait_for_the_old_one() {
    model(2, Paced, |process| {
        let old = process.user().acquire_here(Exclusive);
        old.granted();
        // The path is remembered by this request.
        let a = process.user().acquire(Exclusive);
        process.replace_file();
        let b = process.user().acquire(Exclusive);
        let [first, second] = if a.is_before(&b) { [a, b] } else { [b, a] };
        assert_eq!(first.outcome(), "granted");
        first.released();
        old.released();
        second.granted_and_released();
    });
}

#[test]
fn a_request_that_has_locked_a_file_that_was_replaced_can_be_cancelled_at_any_moment() {
    model(3, Paced, |process| {
        let old = process.user().acquire_here(Exclusive);
        old.granted();
        let a = process.user().acquire_here(Exclusive);
        process.replace_file();
        let theirs = process.kernel.lock_by_others(Exclusive);
        let releasing = old.meanwhile(Wait::released);
        a.cancel();
        releasing.join().unwrap();
        // Also if its file was to be found anew when the cancel came.
        assert_eq!(a.outcome(), "aborted");
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_file_that_is_replaced_and_a_client_that_ends_leave_nothing_behind() {
    model(3, Paced, |process| {
        let old = process.user().acquire_here(Exclusive);
        old.granted();
        let a = process.user().acquire_here(Exclusive);
        process.replace_file();
        let releasing = old.meanwhile(Wait::released);
        a.user.end();
        releasing.join().unwrap();
        assert!(matches!(a.outcome(), "aborted" | "granted"));
        let b = process.user().acquire(Exclusive);
        b.granted_and_released();
    });
}

#[test]
fn requests_for_a_file_that_was_replaced_find_it_anew_in_their_order() {
    model(2, Paced, |process| {
        let [old, a, b, c] = [(); 4].map(|()| process.user().acquire_here(Exclusive));
        old.granted();
        process.replace_file();
        let cancelling = b.meanwhile(Wait::cancel);
        old.released();
        cancelling.join().unwrap();
        a.granted();
        assert_eq!(c.known_outcome(), None);
        a.released();
        b.released_or("aborted");
        c.granted_and_released();
    });
}

#[test]
fn a_replaced_file_is_left_by_those_who_came_by_its_path_and_kept_by_the_others() {
    model(3, Paced, |process| {
        process.kernel.link(OTHER);
        let old = process.user_at(OTHER).acquire_here(Exclusive);
        old.granted();
        let a = process.user().acquire_here(Exclusive);
        let [b, c] = [(); 2].map(|()| process.user_at(OTHER).acquire_here(Exclusive));
        process.replace_file();
        let cancelling = b.meanwhile(Wait::cancel);
        old.released();
        cancelling.join().unwrap();
        assert_eq!(a.outcome(), "granted");
        if b.outcome() == "granted" {
            b.released();
        }
        assert_eq!(c.outcome(), "granted");
        assert_eq!(process.locks(), [Exclusive, Exclusive]);
        a.released();
        c.released();
    });
}

#[test]
fn a_file_that_is_replaced_while_a_thread_waits_in_the_kernel_is_found_anew() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        process.replace_file();
        process.kernel.unlock_by_others(theirs);
        a.granted();
        assert!(process.has_locked_the_file_at_the_path());
        a.released();
    });
}

#[test]
fn a_request_for_one_file_waits_for_no_other_that_its_path_names_later() {
    model(2, Paced, |process| {
        let old = process.user().acquire_here(Exclusive);
        old.granted();
        let a = process.user().acquire_this_file(Exclusive);
        process.replace_file();
        let new = process.user().acquire_here(Exclusive);
        old.released();
        // It does not wait for the new file, which is held.
        assert_eq!(a.outcome(), "replaced");
        new.granted_and_released();
    });
}

#[test]
fn a_request_for_one_file_can_be_cancelled_while_that_is_replaced() {
    model(3, Paced, |process| {
        let old = process.user().acquire_here(Exclusive);
        old.granted();
        let a = process.user().acquire_this_file(Exclusive);
        process.replace_file();
        let releasing = old.meanwhile(Wait::released);
        a.cancel();
        releasing.join().unwrap();
        assert!(matches!(a.outcome(), "aborted" | "replaced"));
    });
}

#[test]
fn a_file_that_its_server_has_forgotten_is_found_anew() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        process.kernel.replace_on_server();
        a.granted_and_released();
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_path_that_cannot_be_checked_is_refused_alone() {
    model(3, Paced, |process| {
        process.kernel.link(REFUSED);
        let old = process.user().acquire_here(Exclusive);
        old.granted();
        let a = process.user_at(REFUSED).acquire_here(Shared);
        let b = process.user().acquire_here(Shared);
        let releasing = old.meanwhile(Wait::released);
        let c = process.user().try_acquire_here(Shared);
        releasing.join().unwrap();
        assert_eq!(a.outcome(), "failed");
        b.granted();
        c.released_or("timed out");
        b.released();
    });
}

#[test]
fn a_file_is_deleted_under_its_lock_and_the_next_request_makes_a_new_one() {
    model(3, Paced, |process| {
        let a = process.user_who_removes().acquire_here(Exclusive);
        a.granted();
        let b = process.user().acquire(Exclusive);
        a.released();
        b.granted();
        assert!(process.has_locked_the_file_at_the_path());
        b.released();
    });
}

#[test]
fn the_end_of_a_client_deletes_the_file_that_its_handle_removes() {
    model(2, Paced, |process| {
        let a = process.user_who_removes().acquire_here(Exclusive);
        a.granted();
        let b = process.user().acquire_here(Exclusive);
        let cancelling = b.meanwhile(Wait::cancel);
        a.user.end();
        cancelling.join().unwrap();
        b.released_or("aborted");
    });
}

#[test]
fn a_lock_whose_descriptor_was_closed_is_lost_and_the_next_request_opens_the_file() {
    model(2, Paced, |process| {
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        let b = process.user().acquire_here(Exclusive);
        process.close_descriptors();
        let cancelling = b.meanwhile(Wait::cancel);
        assert_eq!(a.user.release(), Some(Released::Lost));
        let c = process.user().acquire(Exclusive);
        cancelling.join().unwrap();
        b.released_or("aborted");
        c.granted_and_released();
    });
}

#[test]
fn a_wait_whose_descriptor_is_closed_opens_the_file_anew() {
    model(2, Blocked, |process| {
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        process.kernel.wait_until_waiting(1);
        process.close_descriptors();
        process.kernel.unlock_by_others(theirs);
        a.granted_and_released();
    });
}
