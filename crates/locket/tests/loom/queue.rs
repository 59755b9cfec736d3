//! The line: who enters it, leaves it, is let in, and hands the lock on, where the kernel is asked at a pace.

use std::time::Duration;

use loom::thread;

use locket::core::kernel::LockMode::{Exclusive, Shared};
use locket::core::request::Purpose;
use locket::core::sync::modelled::pass;
use locket::core::sync::now;

use crate::process::{Process, owner};

/// A timeout.
const SHORT: Duration = Duration::from_millis(1);

#[test]
fn a_grant_and_a_cancel_at_once_end_in_one_of_them() {
    loom::model(|| {
        let process = Process::new();
        let a = process.waiter(Exclusive);
        let entering = process.entering(&a);
        process.cancel(&a);
        entering.join().unwrap();
        if a.is_granted() {
            process.assert_kernel_has(Some(Exclusive));
            process.release(&a);
        } else {
            assert_eq!(a.outcome(), Some("aborted"));
        }
        process.assert_all_gone();
    });
}

#[test]
fn a_deadline_that_comes_before_the_first_try_does_not_refuse_a_free_lock() {
    loom::model(|| {
        let process = Process::new();
        let a = process.waiter_until(now() + SHORT);
        let entering = process.entering(&a);
        pass(SHORT);
        process.expire(&a);
        entering.join().unwrap();
        assert!(a.is_granted());
        process.release(&a);
        process.assert_all_gone();
    });
}

#[test]
fn a_release_a_cancel_and_a_newcomer_at_once_leave_nobody_waiting_for_nothing() {
    loom::model(|| {
        let process = Process::new();
        let [a, b, c] = [(); 3].map(|()| process.waiter(Exclusive));
        process.enter(&a);
        process.enter(&b);
        let releasing = process.meanwhile(&a, Process::release);
        let cancelling = process.meanwhile(&b, Process::cancel);
        process.enter(&c);
        releasing.join().unwrap();
        cancelling.join().unwrap();
        process.assert_kernel_has(Some(Exclusive));
        if b.is_granted() {
            assert_eq!(c.outcome(), None);
            process.release(&b);
        } else {
            assert_eq!(b.outcome(), Some("aborted"));
        }
        assert!(c.is_granted());
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_handoff_and_a_cancel_at_once_let_the_next_one_in() {
    loom::model(|| {
        let process = Process::new();
        let [a, b, c] = [(); 3].map(|()| process.waiter(Exclusive));
        for client in [&a, &b, &c] {
            process.enter(client);
        }
        let releasing = process.meanwhile(&a, Process::release);
        process.cancel(&b);
        releasing.join().unwrap();
        process.assert_kernel_has(Some(Exclusive));
        if b.is_granted() {
            assert_eq!(c.outcome(), None);
            process.release(&b);
        } else {
            assert_eq!(b.outcome(), Some("aborted"));
        }
        assert!(c.is_granted());
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_handoff_to_the_last_in_line_and_its_cancel_leave_nothing_behind() {
    loom::model(|| {
        let process = Process::new();
        let [a, b] = [(); 2].map(|()| process.waiter(Exclusive));
        process.enter(&a);
        process.enter(&b);
        let cancelling = process.meanwhile(&b, Process::cancel);
        process.release(&a);
        cancelling.join().unwrap();
        assert!(b.outcome().is_some());
        if b.is_granted() {
            process.assert_kernel_has(Some(Exclusive));
            process.release(&b);
        }
        process.assert_all_gone();
    });
}

#[test]
fn a_release_and_the_end_of_the_holders_environment_release_once() {
    loom::model(|| {
        let process = Process::new();
        let ending = owner();
        let a = process.client(&ending, Exclusive, Purpose::Acquire);
        let b = process.client(&ending, Exclusive, Purpose::Acquire);
        let c = process.waiter(Exclusive);
        for client in [&a, &b, &c] {
            process.enter(client);
        }
        let releasing = process.meanwhile(&a, Process::release);
        process.end(&ending);
        releasing.join().unwrap();
        assert!(b.outcome().is_some());
        // Whatever B was told, its environment has gone, and with it what B may have held for an instant.
        assert!(c.is_granted(), "the environment's end left the lock to nobody");
        process.assert_kernel_has(Some(Exclusive));
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_release_and_the_end_of_the_next_ones_environment_let_the_one_behind_in() {
    loom::model(|| {
        let process = Process::new();
        let ending = owner();
        let a = process.waiter(Exclusive);
        let b = process.client(&ending, Exclusive, Purpose::Acquire);
        let c = process.waiter(Shared);
        for client in [&a, &b, &c] {
            process.enter(client);
        }
        let ending = {
            let process = process.clone();
            thread::spawn(move || process.end(&ending))
        };
        process.release(&a);
        ending.join().unwrap();
        assert!(c.is_granted());
        process.assert_kernel_has(Some(Shared));
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn consecutive_shared_requests_are_let_in_together_also_when_one_is_cancelled() {
    loom::model(|| {
        let process = Process::new();
        let a = process.waiter(Exclusive);
        let b = process.waiter(Shared);
        let c = process.waiter(Shared);
        let d = process.waiter(Exclusive);
        for client in [&a, &b, &c, &d] {
            process.enter(client);
        }
        let cancelling = process.meanwhile(&c, Process::cancel);
        process.release(&a);
        cancelling.join().unwrap();
        process.assert_kernel_has(Some(Shared));
        assert!(b.is_granted());
        assert!(c.outcome().is_some());
        assert_eq!(d.outcome(), None);
        process.release(&b);
        if c.is_granted() {
            assert_eq!(d.outcome(), None, "let in beside a shared holder");
            process.release(&c);
        }
        assert!(d.is_granted());
        process.assert_kernel_has(Some(Exclusive));
        process.release(&d);
        process.assert_all_gone();
    });
}

#[test]
fn shared_holders_that_leave_at_once_let_the_exclusive_one_in() {
    loom::model(|| {
        let process = Process::new();
        let [a, b] = [(); 2].map(|()| process.waiter(Shared));
        let c = process.waiter(Exclusive);
        for client in [&a, &b, &c] {
            process.enter(client);
        }
        assert!(a.is_granted() && b.is_granted());
        let releasing = process.meanwhile(&a, Process::release);
        process.release(&b);
        releasing.join().unwrap();
        assert!(c.is_granted());
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_shared_try_beside_a_shared_release_is_let_in() {
    loom::model(|| {
        let process = Process::new();
        let a = process.waiter(Shared);
        let b = process.client(&owner(), Shared, Purpose::TryAcquire);
        process.enter(&a);
        let releasing = process.meanwhile(&a, Process::release);
        process.enter(&b);
        releasing.join().unwrap();
        assert!(b.is_granted(), "nobody stood in the way");
        process.assert_kernel_has(Some(Shared));
        process.release(&b);
        process.assert_all_gone();
    });
}

#[test]
fn the_cancel_of_an_exclusive_waiter_lets_the_shared_one_behind_it_join() {
    loom::model(|| {
        let process = Process::new();
        let a = process.waiter(Shared);
        let b = process.waiter(Exclusive);
        let c = process.waiter(Shared);
        process.enter(&a);
        process.enter(&b);
        let entering = process.entering(&c);
        process.cancel(&b);
        entering.join().unwrap();
        assert_eq!(b.outcome(), Some("aborted"));
        assert!(c.is_granted());
        process.assert_kernel_has(Some(Shared));
        process.release(&a);
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_wait_for_another_process_and_its_cancel_end_in_one_of_them() {
    loom::model(|| {
        let process = Process::new();
        process.kernel.others_lock(Some(Exclusive));
        let [a, b] = [(); 2].map(|()| process.waiter(Exclusive));
        process.enter(&a);
        process.enter(&b);
        let timekeeper = {
            let process = process.clone();
            thread::spawn(move || {
                process.kernel.others_lock(None);
                process.retry();
            })
        };
        process.cancel(&a);
        process.cancel(&b);
        timekeeper.join().unwrap();
        process.retry();
        for client in [&a, &b] {
            if client.is_granted() {
                process.assert_kernel_has(Some(Exclusive));
                process.release(client);
            } else {
                assert_eq!(client.outcome(), Some("aborted"));
            }
        }
        process.assert_all_gone();
    });
}

#[test]
fn a_probe_beside_a_release_is_answered_and_takes_nothing() {
    loom::model(|| {
        let process = Process::new();
        let a = process.waiter(Exclusive);
        let probe = process.client(&owner(), Exclusive, Purpose::Probe);
        let b = process.client(&owner(), Exclusive, Purpose::TryAcquire);
        process.enter(&a);
        let releasing = process.meanwhile(&a, Process::release);
        process.enter(&probe);
        releasing.join().unwrap();
        assert!(matches!(probe.outcome(), Some("locked" | "free")));
        process.enter(&b);
        assert!(b.is_granted(), "a probe stood in the way");
        process.release(&b);
        process.assert_all_gone();
    });
}
