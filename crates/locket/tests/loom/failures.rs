//! System calls that fail, and defects of our own.

use locket::core::kernel::LockMode::Exclusive;

use crate::kernel::PANICS;
use crate::process::{Process, Way};

#[test]
fn a_lock_that_fails_and_a_cancel_at_once_give_one_outcome() {
    loom::model(|| {
        let process = Process::new();
        process.kernel.fail();
        let a = process.waiter(Exclusive);
        let entering = process.entering(&a);
        process.cancel(&a);
        entering.join().unwrap();
        assert!(matches!(a.outcome(), Some("failed" | "aborted")), "{:?}", a.outcome());
        process.assert_all_gone();
    });
}

#[test]
fn a_wait_that_fails_in_the_kernel_is_told_to_all_who_are_refused() {
    loom::model(|| {
        let process = Process::waiting(Way::Blocked);
        process.kernel.others_lock(Some(Exclusive));
        let [a, b] = [(); 2].map(|()| process.waiter(Exclusive));
        let threads = [process.entering(&a), process.entering(&b)];
        process.kernel.fail();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(a.outcome(), Some("failed"));
        assert_eq!(b.outcome(), Some("failed"));
        process.assert_all_gone();
    });
}

#[test]
fn a_panic_is_told_to_those_in_line_and_whoever_comes_next_begins_anew() {
    loom::model(|| {
        let process = Process::new();
        let a = process.waiter_at(PANICS, Exclusive);
        let b = process.waiter(Exclusive);
        let entering = process.entering(&a);
        process.enter(&b);
        entering.join().unwrap();
        // It had the lock before the other one was looked at, or was in line then.
        process.release_or(&b, "panicked");
        assert_eq!(a.outcome(), Some("panicked"));
        process.assert_all_gone();
        let c = process.waiter(Exclusive);
        process.enter(&c);
        assert!(c.is_granted());
        process.assert_kernel_has(Some(Exclusive));
        process.release(&c);
        process.assert_all_gone();
    });
}
