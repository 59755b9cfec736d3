//! Waiting in the kernel's queue, and being called back from there: by a signal that is lost if it comes too early.

use locket::core::kernel::LockMode::{Exclusive, Shared};
use locket::core::request::{Purpose, Reason};
use locket::core::shared_file;
use locket::core::sync::now;
use loom::thread;

use crate::bounded_model;
use crate::process::{Process, Way, owner};

fn join<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A process whose lock another one has.
fn process_that_waits() -> Process {
    let process = Process::waiting(Way::Blocked);
    process.kernel.others_lock(Some(Exclusive));
    process
}

#[test]
fn a_cancel_gets_a_thread_out_of_the_kernel_however_early_the_signal_comes() {
    bounded_model(|| {
        let process = process_that_waits();
        let a = process.waiter(Exclusive);
        let entering = process.entering(&a);
        process.cancel(&a);
        entering.join().unwrap();
        assert_eq!(a.outcome(), Some("aborted"));
        process.assert_all_gone();
    });
}

#[test]
fn a_lock_that_comes_and_a_cancel_at_once_end_in_one_of_them() {
    bounded_model(|| {
        let process = process_that_waits();
        let a = process.waiter(Exclusive);
        let threads = [process.entering(&a), process.others_unlocking()];
        process.cancel(&a);
        join(threads);
        process.release_or(&a, "aborted");
        process.assert_all_gone();
    });
}

#[test]
fn a_wait_goes_on_for_the_next_one_when_the_first_is_cancelled() {
    bounded_model(|| {
        let process = process_that_waits();
        let [a, b] = [(); 2].map(|()| process.waiter(Exclusive));
        let threads = [process.entering(&a), process.entering(&b)];
        process.cancel(&a);
        process.kernel.others_lock(None);
        join(threads);
        process.release_or(&a, "aborted");
        assert!(b.is_granted());
        process.release(&b);
        process.assert_all_gone();
    });
}

#[test]
fn two_cancels_at_once_leave_no_thread_in_the_kernel() {
    bounded_model(|| {
        let process = process_that_waits();
        let [a, b] = [(); 2].map(|()| process.waiter(Exclusive));
        let threads = [process.entering(&a), process.entering(&b)];
        process.cancel(&a);
        process.cancel(&b);
        join(threads);
        assert_eq!(a.outcome(), Some("aborted"));
        assert_eq!(b.outcome(), Some("aborted"));
        process.assert_all_gone();
    });
}

#[test]
fn the_cancel_of_an_exclusive_waiter_lets_a_shared_one_in_beside_others_that_share() {
    bounded_model(|| {
        let process = Process::waiting(Way::Blocked);
        process.kernel.others_lock(Some(Shared));
        let a = process.waiter(Exclusive);
        let b = process.waiter(Shared);
        let threads = [process.entering(&a), process.entering(&b)];
        process.cancel(&a);
        join(threads);
        assert_eq!(a.outcome(), Some("aborted"));
        assert!(b.is_granted(), "it waits for a lock that it could share");
        process.release(&b);
        process.assert_all_gone();
    });
}

#[test]
fn who_comes_while_a_thread_is_called_back_is_not_forgotten() {
    bounded_model(|| {
        let process = process_that_waits();
        let [a, b] = [(); 2].map(|()| process.waiter(Exclusive));
        let threads =
            [process.entering(&a), process.meanwhile(&a, Process::cancel), process.others_unlocking()];
        process.enter(&b);
        join(threads);
        process.release_or(&a, "aborted");
        assert!(b.is_granted(), "it was forgotten");
        process.release(&b);
        process.assert_all_gone();
    });
}

#[test]
fn the_end_of_an_environment_gets_its_thread_out_of_the_kernel() {
    bounded_model(|| {
        let process = process_that_waits();
        let ending = owner();
        let a = process.client(&ending, Exclusive, Purpose::Acquire);
        let entering = process.entering(&a);
        process.end(&ending);
        entering.join().unwrap();
        assert_eq!(a.outcome(), Some("aborted"));
        process.assert_all_gone();
    });
}

#[test]
fn the_end_of_an_environment_and_a_lock_that_comes_leave_the_lock_to_the_next_one() {
    bounded_model(|| {
        let process = process_that_waits();
        let ending = owner();
        let a = process.client(&ending, Exclusive, Purpose::Acquire);
        let b = process.waiter(Exclusive);
        let threads = [process.entering(&a), process.others_unlocking()];
        process.enter(&b);
        process.end(&ending);
        join(threads);
        assert!(a.outcome().is_some());
        assert!(b.is_granted(), "an environment that has ended keeps the lock");
        process.release(&b);
        process.assert_all_gone();
    });
}

#[test]
fn a_thread_that_cannot_be_called_back_gives_up_a_lock_that_nobody_wants_any_more() {
    bounded_model(|| {
        let process = process_that_waits();
        process.kernel.be_deaf();
        let a = process.waiter(Exclusive);
        let entering = process.entering(&a);
        // No repeated signals: they are in vain.
        process.give_up(&a, Reason::Aborted);
        shared_file::abandon(&a.request);
        while a.outcome().is_none() {
            thread::yield_now();
        }
        assert_eq!(a.outcome(), Some("aborted"));
        process.kernel.others_lock(None);
        entering.join().unwrap();
        process.assert_all_gone();
    });
}

#[test]
fn who_asks_once_is_refused_while_another_waits_in_the_kernel() {
    bounded_model(|| {
        let process = process_that_waits();
        let a = process.waiter(Exclusive);
        let try_it = process.client(&owner(), Exclusive, Purpose::TryAcquire);
        let probe = process.client(&owner(), Exclusive, Purpose::Probe);
        let threads = [process.entering(&a), process.entering(&try_it), process.entering(&probe)];
        process.cancel(&a);
        join(threads);
        assert_eq!(a.outcome(), Some("aborted"));
        assert_eq!(try_it.outcome(), Some("timed out"));
        assert_eq!(probe.outcome(), Some("locked"));
        process.assert_all_gone();
    });
}

#[test]
fn those_who_share_are_let_in_together_when_the_kernel_gives_the_lock() {
    bounded_model(|| {
        let process = process_that_waits();
        let [a, b] = [(); 2].map(|()| process.waiter(Shared));
        let threads = [process.entering(&a), process.entering(&b)];
        process.kernel.others_lock(None);
        join(threads);
        assert!(a.is_granted() && b.is_granted());
        process.assert_kernel_has(Some(Shared));
        process.release(&a);
        process.release(&b);
        process.assert_all_gone();
    });
}

#[test]
fn who_was_there_first_and_comes_too_late_is_refused_though_another_waits_in_the_kernel() {
    bounded_model(|| {
        let process = process_that_waits();
        let older = process.waiter_until(now());
        let younger = process.waiter(Exclusive);
        let threads = [process.entering(&younger), process.entering(&older)];
        // Not only when that one has the lock, or goes.
        while older.outcome().is_none() {
            thread::yield_now();
        }
        assert_eq!(older.outcome(), Some("timed out"));
        process.cancel(&younger);
        join(threads);
        assert_eq!(younger.outcome(), Some("aborted"));
        process.assert_all_gone();
    });
}

#[test]
fn a_deadline_and_an_abort_at_once_give_one_reason() {
    bounded_model(|| {
        let process = process_that_waits();
        let a = process.waiter(Exclusive);
        let entering = process.entering(&a);
        let expiring = process.meanwhile(&a, |process, a| {
            process.expire(a);
        });
        process.give_up(&a, Reason::Aborted);
        expiring.join().unwrap();
        process.call_back();
        entering.join().unwrap();
        assert!(matches!(a.outcome(), Some("aborted" | "timed out")), "{:?}", a.outcome());
        process.assert_all_gone();
    });
}
