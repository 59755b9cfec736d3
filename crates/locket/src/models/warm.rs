//! Warm files: one that is taken, swept, replaced and locked by others at the same time.

use super::kernel::Waits::{Blocked, Paced};
use super::process::{Process, User, Wait};
use super::{model, set_up};
use crate::client::TIME_ON_THREAD;
use crate::sync::modelled::limit_threads;
use crate::sync::now;
use crate::sys::LockMode::{Exclusive, Shared};
use crate::warm_files::CALM;

impl Process {
    /// Acquires and releases the lock until its file stays open. Nothing is interleaved meanwhile.
    fn warm_up(&self) {
        set_up(|| {
            for _ in 0..CALM {
                self.user().acquire_here(Exclusive).granted_and_released();
            }
        });
    }

    /// Sweeps on another thread until a file that nobody uses is closed.
    fn sweep_meanwhile(&self) -> loom::thread::JoinHandle<()> {
        let engine = self.engine.clone();
        loom::thread::spawn(move || {
            engine.warm_files.sweep();
            engine.warm_files.sweep();
        })
    }
}

#[test]
fn a_warm_file_that_is_swept_while_it_is_taken_is_locked_or_opened_anew() {
    model(3, Paced, |process| {
        process.warm_up();
        let sweeping = process.sweep_meanwhile();
        let a = process.user().acquire_here(Exclusive);
        a.granted_and_released();
        sweeping.join().unwrap();
    });
}

#[test]
fn a_warm_file_that_is_replaced_before_it_is_taken_is_not_the_one_that_is_locked() {
    model(3, Paced, |process| {
        process.warm_up();
        process.replace_file();
        let sweeping = process.sweep_meanwhile();
        let a = process.user().acquire_here(Exclusive);
        a.granted();
        assert!(process.has_locked_the_file_at_the_path());
        a.released();
        sweeping.join().unwrap();
    });
}

#[test]
fn a_warm_file_that_is_replaced_while_it_is_taken_excludes_those_who_came_before() {
    model(3, Paced, |process| {
        process.warm_up();
        let replacing = process.user().meanwhile(|user| user.process.replace_file());
        let a = process.user().acquire_here(Exclusive);
        a.granted_and_released();
        replacing.join().unwrap();
        let b = process.user().acquire_here(Exclusive);
        b.granted();
        assert!(process.has_locked_the_file_at_the_path());
        b.released();
    });
}

#[test]
fn two_requests_for_a_warm_file_exclude_each_other() {
    for mode in [Exclusive, Shared] {
        model(2, Paced, move |process| {
            process.warm_up();
            let other = process.user().meanwhile(move |user| user.acquire_here(mode));
            let a = process.user().acquire_here(Exclusive);
            let b = other.join().unwrap();
            let [first, second] = if a.is_before(&b) { [a, b] } else { [b, a] };
            first.granted_and_released();
            second.granted_and_released();
        });
    }
}

#[test]
fn a_request_on_its_way_to_a_worker_and_one_that_takes_a_warm_file_exclude_each_other() {
    model(2, Paced, |process| {
        process.warm_up();
        let link = "/link";
        process.kernel.link_file(link);
        let a = process.user_at(link).acquire(Exclusive);
        let b = process.user().acquire_here(Exclusive);
        let [first, second] = if a.is_before(&b) { [a, b] } else { [b, a] };
        first.granted_and_released();
        second.granted_and_released();
    });
}

#[test]
fn a_try_finds_the_new_file_free_though_others_hold_the_old_one_which_is_warm() {
    model(3, Paced, |process| {
        process.warm_up();
        let theirs = process.kernel.lock_by_others(Exclusive);
        process.kernel.replace();
        let a = process.user().try_acquire_here(Exclusive);
        a.granted();
        assert!(process.has_locked_the_file_at_the_path());
        a.released();
        process.kernel.unlock_by_others(theirs);
    });
}

#[test]
fn a_request_waits_for_others_who_have_locked_a_warm_file() {
    model(2, Blocked, |process| {
        process.warm_up();
        let theirs = process.kernel.lock_by_others(Exclusive);
        let a = process.user().acquire(Exclusive);
        assert_eq!(process.user().try_acquire_here(Shared).outcome(), "timed out");
        process.kernel.unlock_by_others(theirs);
        a.granted_and_released();
    });
}

#[test]
fn a_request_that_takes_a_warm_file_can_be_cancelled_at_any_moment() {
    model(3, Paced, |process| {
        process.warm_up();
        // By a worker.
        let a = set_up(|| {
            let user = process.user();
            user.client
                .may_stay_on_thread(now().checked_sub(TIME_ON_THREAD).expect("the clock has run for longer"));
            user.acquire(Exclusive)
        });
        a.cancel();
        a.released_or("aborted");
    });
}

#[test]
fn a_client_that_ends_while_it_takes_a_warm_file_keeps_nothing() {
    model(3, Paced, |process| {
        process.warm_up();
        let user = process.user();
        let ending = user.meanwhile(User::end);
        let a = user.acquire_here(Exclusive);
        ending.join().unwrap();
        assert!(matches!(a.outcome(), "granted" | "aborted"));
        let b = process.user().acquire_here(Exclusive);
        b.granted_and_released();
    });
}

#[test]
fn a_warm_file_whose_descriptor_was_closed_meanwhile_is_opened_anew() {
    model(3, Paced, |process| {
        process.warm_up();
        process.close_descriptors();
        let other = process.user().acquire(Shared);
        let a = process.user().acquire_here(Shared);
        assert_eq!([a.outcome(), other.outcome()], ["granted", "granted"]);
        other.released();
        a.released();
    });
}

#[test]
fn a_holder_of_a_warm_file_hands_the_lock_over() {
    model(2, Paced, |process| {
        process.warm_up();
        let a = process.user().acquire_here(Exclusive);
        let b = process.user().acquire(Exclusive);
        let releasing = a.meanwhile(Wait::granted_and_released);
        b.granted_and_released();
        releasing.join().unwrap();
    });
}

#[test]
fn no_file_stays_open_where_no_thread_could_close_it() {
    model(2, Paced, |process| {
        limit_threads(0);
        process.warm_up();
        assert_eq!(process.kernel.open_files(), 0);
    });
}
