//! The look at the path once the lock has come: where it names another file, or is deleted on release.

use locket::core::kernel::LockMode::{Exclusive, Shared};

use crate::kernel::{MOVED, REFUSED};
use crate::process::Process;

#[test]
fn who_has_locked_a_file_that_was_replaced_can_be_cancelled_at_any_moment() {
    loom::model(|| {
        let process = Process::new();
        let a = process.waiter_at(MOVED, Exclusive);
        let entering = process.entering(&a);
        process.cancel(&a);
        entering.join().unwrap();
        // Also if it was to be opened anew when the cancel came.
        assert_eq!(a.outcome(), Some("aborted"));
        process.assert_all_gone();
    });
}

#[test]
fn a_replaced_file_is_left_together_by_those_who_came_by_its_path_and_kept_by_the_others() {
    loom::model(|| {
        let process = Process::new();
        let first = process.waiter(Exclusive);
        let [a, b] = [(); 2].map(|()| process.waiter_at(MOVED, Exclusive));
        let c = process.waiter(Exclusive);
        for client in [&first, &a, &b, &c] {
            process.enter(client);
        }
        let cancelling = process.meanwhile(&b, Process::cancel);
        process.release(&first);
        cancelling.join().unwrap();
        assert!(process.moved().contains(&a.request.ticket));
        assert!(process.moved().is_sorted(), "they have lost their order");
        assert_eq!(a.outcome(), None);
        assert_eq!(b.outcome(), Some("aborted"));
        assert!(c.is_granted());
        process.assert_kernel_has(Some(Exclusive));
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_path_that_may_not_be_looked_at_is_refused_alone() {
    loom::model(|| {
        let process = Process::new();
        let a = process.waiter_at(REFUSED, Shared);
        let b = process.waiter(Shared);
        let entering = process.entering(&a);
        process.enter(&b);
        entering.join().unwrap();
        assert!(b.is_granted());
        process.assert_kernel_has(Some(Shared));
        process.release(&b);
        // Whoever joins those that share has only just found the file by its path.
        process.release_or(&a, "failed");
        process.assert_all_gone();
    });
}

#[test]
fn a_file_is_deleted_under_its_lock_and_who_waits_for_it_opens_anew() {
    loom::model(|| {
        let process = Process::new();
        let a = process.waiter_that_removes();
        let b = process.waiter(Exclusive);
        process.enter(&a);
        let entering = process.entering(&b);
        process.release(&a);
        entering.join().unwrap();
        assert!(process.kernel.is_unlinked());
        assert_eq!(b.outcome(), None);
        assert_eq!(process.moved(), [b.request.ticket]);
        process.assert_all_gone();
    });
}
