//! What the driver asks of the kernel, seen by a system that records it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread;

use super::*;
use crate::exec::Limits;
use crate::fake::{FakeSystem, NO_WORKERS};
use crate::lock::{CancelReason, Effect, EndedHold, HANDOFF_GRANTS, HANDOFF_TIME};
use crate::support::{Pending as Wait, User, until};
use crate::sys::FileId;
use crate::{Released, Removal};

use LockMode::{Exclusive, Shared};

/// An engine on a system that records its calls.
struct Stage {
    system: Arc<FakeSystem>,
    engine: Arc<Engine>,
}

/// A request, and its user.
struct Asked {
    user: User,
    wait: Wait,
}

impl Stage {
    /// Returns one without workers: nothing happens but what the test does.
    fn new() -> Self {
        Self::with(NO_WORKERS)
    }

    fn with_workers() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let (engine, system) = FakeSystem::with_engine(limits);
        Self { system, engine }
    }

    /// Has a new user ask for the lock of the file at `path`, on the calling thread.
    fn ask(&self, path: &str, mode: LockMode) -> Asked {
        Self::ask_by(User::new(&self.engine, path), mode)
    }

    fn ask_by(user: User, mode: LockMode) -> Asked {
        let wait = user.start_sync(mode, |_| {});
        Asked { user, wait }
    }

    /// Has so many users share the lock that no more may join them.
    fn share(&self) -> Vec<Asked> {
        let sharing: Vec<_> = (0..HANDOFF_GRANTS).map(|_| self.ask("/file", Shared)).collect();
        sharing.iter().for_each(Asked::assert_granted);
        sharing
    }

    #[track_caller]
    fn assert_calls(&self, expected: &[&str]) {
        assert_eq!(self.system.calls(), expected);
    }
}

impl Asked {
    #[track_caller]
    fn assert_granted(&self) {
        let outcome = self.wait.outcome();
        assert!(matches!(outcome, Outcome::Granted), "{outcome:?}");
    }

    #[track_caller]
    fn assert_waiting(&self) {
        let outcome = self.wait.outcome_now();
        assert!(outcome.is_none(), "{outcome:?}");
    }

    fn release(&self) -> Option<Released> {
        self.user.engine.release_own(&self.user.handle, None)
    }

    /// Returns the lock that it waits for or holds.
    fn entry(&self) -> Arc<LockEntry> {
        self.wait.request.entry().unwrap()
    }
}

#[test]
fn a_request_locks_the_file_and_then_checks_the_path_and_a_release_unlocks_it() {
    let stage = Stage::new();
    let a = stage.ask("/file", Exclusive);
    a.assert_granted();
    stage.assert_calls(&["lock Exclusive", "check path"]);
    a.release();
    stage.assert_calls(&["unlock"]);
}

#[test]
fn a_handoff_is_a_check_of_the_path_and_no_other_call() {
    let stage = Stage::new();
    let [a, b] = [(); 2].map(|()| stage.ask("/file", Exclusive));
    a.assert_granted();
    stage.system.calls();
    a.release();
    stage.assert_calls(&["check path"]);
    b.assert_granted();
}

#[test]
fn after_its_budget_of_handoffs_the_process_unlocks_for_the_others() {
    let calls = loop {
        let stage = Stage::with_workers();
        let begin = now();
        let asked: Vec<_> = (0..=HANDOFF_GRANTS).map(|_| stage.ask("/file", Exclusive)).collect();
        for hold in &asked {
            hold.assert_granted();
            hold.release();
        }
        // Otherwise the machine was busy, and the time was over before the grants were.
        if now() - begin < HANDOFF_TIME {
            break stage.system.calls();
        }
    };
    assert_eq!(calls.iter().filter(|call| *call == "unlock").count(), 2);
    let first_unlock = calls.iter().position(|call| call == "unlock").unwrap();
    assert_eq!(calls[first_unlock + 1], "lock Exclusive");
    let checks = calls[..first_unlock].iter().filter(|call| *call == "check path").count();
    assert_eq!(u32::try_from(checks).unwrap(), HANDOFF_GRANTS);
}

#[test]
fn an_exclusive_lock_becomes_a_shared_one_for_waiters_that_share_it() {
    let (stage, b, c, d) = loop {
        let begin = now();
        let stage = Stage::with_workers();
        let a = stage.ask("/file", Exclusive);
        a.assert_granted();
        let [b, c] = [(); 2].map(|()| stage.ask("/file", Shared));
        let d = stage.ask("/file", Exclusive);
        stage.system.calls();
        a.release();
        // Otherwise the machine was busy, and the time for handing over was over before.
        if now() - begin < HANDOFF_TIME {
            break (stage, b, c, d);
        }
    };
    stage.assert_calls(&["lock Shared", "check path"]);
    b.assert_granted();
    c.assert_granted();
    b.release();
    stage.assert_calls(&[]);
    c.release();
    d.assert_granted();
    stage.assert_calls(&["unlock", "lock Exclusive", "check path"]);
}

#[test]
fn waiters_that_share_a_lock_by_different_paths_are_granted_together_after_a_check_of_each() {
    let stage = Stage::new();
    let a = stage.ask("/file", Exclusive);
    a.assert_granted();
    let others = ["/file", "/other"].map(|path| stage.ask(path, Shared));
    stage.system.calls();
    a.release();
    stage.assert_calls(&["lock Shared", "check path", "check path"]);
    others.iter().for_each(Asked::assert_granted);
}

#[test]
fn a_file_system_without_locks_is_an_error_that_says_so() {
    #[cfg(unix)]
    const ERRORS: &[i32] = &[libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOTSUP];
    // ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED
    #[cfg(windows)]
    const ERRORS: &[i32] = &[1, 50];
    let stage = Stage::new();
    let fails_as_unsupported = |number| {
        stage.system.lock_error.store(number, Ordering::SeqCst);
        match stage.ask("/file", Exclusive).wait.outcome() {
            Outcome::Failed(error) => error.unsupported,
            other => panic!("{other:?}"),
        }
    };
    for &number in ERRORS {
        assert!(fails_as_unsupported(number), "{number}");
        assert!(stage.engine.table().is_empty());
    }
    assert!(!fails_as_unsupported(5));
}

#[test]
fn a_panic_completes_the_requests_that_depend_on_it_and_the_next_one_assert_granted() {
    let stage = Stage::new();
    let a = stage.ask("/file", Exclusive);
    a.assert_granted();
    let b = stage.ask("/file", Shared);
    stage.system.calls();
    stage.system.panics.store(true, Ordering::SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(|| a.release())).is_err());
    assert!(matches!(b.wait.outcome(), Outcome::Panicked));
    stage.assert_calls(&["lock Shared", "unlock"]);
    assert!(stage.engine.table().is_empty());
    stage.ask("/file", Exclusive).assert_granted();
}

#[test]
fn requests_whose_path_names_another_file_by_now_go_there_and_the_others_stay() {
    let stage = Stage::with_workers();
    let a = stage.ask("/file", Exclusive);
    a.assert_granted();
    let [b, c, d] = ["/moved", "/file", "/moved"].map(|path| stage.ask(path, Exclusive));
    stage.system.replace("/moved", 2);
    a.release();
    b.assert_granted();
    c.assert_granted();
    assert!(!Arc::ptr_eq(&b.entry(), &c.entry()));
    d.wait.until_queued(&stage.engine);
    assert!(Arc::ptr_eq(&b.entry(), &d.entry()));
    b.release();
    d.assert_granted();
}

#[test]
fn a_request_for_one_file_waits_for_it_and_for_no_other() {
    let stage = Stage::with_workers();
    let ask_for = |path, file: &Asked| {
        let user = User::new(&stage.engine, path);
        let file = file.user.handle.file_id();
        let wait = user.start_sync(Exclusive, |options| options.expected = file);
        Asked { user, wait }
    };
    let holding = stage.ask("/file", Exclusive);
    holding.assert_granted();
    let [staying, moving] = ["/file", "/moved"].map(|path| ask_for(path, &holding));
    stage.system.replace("/moved", 2);
    let late = ask_for("/moved", &holding);
    assert!(matches!(late.wait.outcome(), Outcome::Replaced));
    holding.release();
    staying.assert_granted();
    staying.release();
    assert!(matches!(moving.wait.outcome(), Outcome::Replaced));
    until(|| stage.engine.table().is_empty());
}

#[test]
fn a_handle_knows_the_file_that_it_holds_or_that_its_last_request_has_found() {
    let stage = Stage::new();
    let holding = stage.ask("/file", Exclusive);
    holding.assert_granted();
    let file = holding.user.handle.file_id();
    assert_eq!(file, Some(FileId::new(1, 1)));
    let user = User::new(&stage.engine, "/other");
    assert_eq!(user.handle.file_id(), None);
    let refused = user.start_sync(Exclusive, |options| options.blocking = false);
    assert!(matches!(refused.outcome(), Outcome::TimedOut(None)));
    assert_eq!(user.handle.file_id(), file);
    stage.system.replace("/other", 2);
    let granted = user.start_sync(Exclusive, |_| {});
    assert!(matches!(granted.outcome(), Outcome::Granted));
    assert_eq!(user.handle.file_id(), Some(FileId::new(1, 2)));
}

#[test]
fn the_file_is_removed_under_the_exclusive_lock_before_it_is_unlocked() {
    let stage = Stage::new();
    for (mode, expected) in [(Exclusive, &["unlink", "unlock"][..]), (Shared, &["unlock"])] {
        let user = User::with_options(&stage.engine, "/file", |options| options.removal = Removal::OnRelease);
        let hold = Stage::ask_by(user, mode);
        hold.assert_granted();
        stage.system.calls();
        hold.release();
        stage.assert_calls(expected);
    }
}

#[test]
fn a_file_that_is_removed_on_release_stays_when_its_lock_is_given_back() {
    let stage = Stage::new();
    let user = User::with_options(&stage.engine, "/file", |options| options.removal = Removal::OnRelease);
    for give_back in [true, false] {
        let hold = Stage::ask_by(user.with_the_same_handle(), Exclusive);
        hold.assert_granted();
        stage.system.calls();
        if give_back {
            assert!(stage.engine.give_back(&user.handle, None).is_some());
            stage.assert_calls(&["unlock"]);
        } else {
            hold.release();
            stage.assert_calls(&["unlink", "unlock"]);
        }
    }
}

#[test]
fn a_request_that_is_cancelled_during_the_check_is_not_granted_though_its_handle_has_another_file_by_then() {
    let stage = Stage::new();
    let holding = stage.ask("/model", Exclusive);
    holding.assert_granted();
    let waiting = stage.ask("/model", Exclusive);
    let other = waiting.user.with_the_same_handle();
    let (engine, request) = (stage.engine.clone(), waiting.wait.request.clone());
    let granted = Arc::new(Mutex::new(None));
    stage.system.during("check path", {
        let (system, granted) = (stage.system.clone(), granted.clone());
        move || {
            system.replace("/model", 2);
            let other = Stage::ask_by(other, Exclusive);
            other.assert_granted();
            engine.cancel(&request, CancelReason::Aborted);
            *granted.lock().unwrap() = Some(other);
        }
    });
    holding.release();
    assert!(granted.lock().unwrap().is_some());
    assert!(matches!(waiting.wait.outcome(), Outcome::Aborted));
    assert_eq!(stage.system.calls().last().unwrap(), "unlock");
}

#[test]
fn a_thread_that_cancels_a_wait_checks_no_path_and_a_worker_goes_on() {
    let stage = Stage::with_workers();
    let first = stage.ask("/file", Shared);
    first.assert_granted();
    let [second, third] = [Exclusive, Shared].map(|mode| stage.ask("/file", mode));
    stage.system.calls();
    stage.engine.cancel(&second.wait.request, CancelReason::TimedOut);
    assert!(matches!(second.wait.outcome(), Outcome::TimedOut(None)));
    third.assert_granted();
    assert_ne!(stage.system.thread_of("check path").unwrap(), thread::current().id());
    stage.assert_calls(&["check path"]);
}

#[test]
fn a_release_on_a_network_file_system_leaves_the_system_calls_to_a_worker() {
    let stage = Stage::with_workers();
    stage.system.is_remote.store(true, Ordering::SeqCst);
    let a = stage.ask("/file", Exclusive);
    a.assert_granted();
    stage.system.calls();
    a.release();
    until(|| stage.system.thread_of("unlock").is_some_and(|thread| thread != thread::current().id()));
    stage.assert_calls(&["unlock"]);
    until(|| stage.engine.table().is_empty());
}

#[test]
fn a_limited_number_of_requests_joins_a_shared_lock_before_it_is_drained_and_left_to_others_for_a_moment() {
    let stage = Stage::new();
    let sharing = stage.share();
    let waiting = [(); 2].map(|()| stage.ask("/file", Shared));
    waiting.iter().for_each(Asked::assert_waiting);
    stage.system.calls();
    let (last, others) = sharing.split_last().unwrap();
    for hold in others {
        hold.release();
    }
    stage.assert_calls(&[]);

    let entry = last.entry();
    let Some(EndedHold { effect: Effect::Drive(mut kernel_mode), was_lost: false }) =
        entry.release(&last.wait.request)
    else {
        panic!("nobody drives")
    };
    let result = stage.engine.advance(&entry, &mut kernel_mode, Permit::Block, &mut Pending::default());
    assert!(matches!(result, DriveResult::GiveWay(Shared)));
    // Tried at once, the lock would never be left to others.
    stage.assert_calls(&["unlock"]);
    assert!(
        entry.state().pause(Shared, Duration::ZERO, &mut Completions::new()).is_some()
            && entry.state().resume()
    );
    stage.engine.drive(&entry, None, Permit::Block);
    stage.assert_calls(&["lock Shared", "check path"]);
    waiting.iter().for_each(Asked::assert_granted);
}

#[test]
fn shared_holds_that_are_not_released_lock_no_request_of_their_own_process_out() {
    let stage = Stage::with_workers();
    let _sharing = stage.share();
    let waiting = stage.ask("/file", Shared);
    let entry = waiting.entry();
    stage.engine.end_drain(&entry, 0);
    waiting.assert_waiting();
    stage.engine.end_drain(&entry, 1);
    waiting.assert_granted();
    // Twice as many may join from now on.
    for _ in 1..2 * HANDOFF_GRANTS {
        let joining = stage.ask("/file", Shared);
        assert!(matches!(joining.wait.outcome_now(), Some(Outcome::Granted)));
    }
    stage.ask("/file", Shared).assert_waiting();
}

#[test]
fn a_try_joins_a_shared_lock_however_many_share_it() {
    let stage = Stage::new();
    let _sharing = stage.share();
    let attempt = User::new(&stage.engine, "/file").start_sync(Shared, |options| options.blocking = false);
    assert!(matches!(attempt.outcome_now(), Some(Outcome::Granted)), "a refusal means that the lock is held");
}

#[test]
fn a_lock_whose_descriptor_was_closed_is_lost_and_nothing_is_done_to_the_descriptor() {
    let stage = Stage::new();
    let user = User::with_options(&stage.engine, "/file", |options| options.removal = Removal::OnRelease);
    let hold = Stage::ask_by(user, Exclusive);
    hold.assert_granted();
    let waiting = stage.ask("/file", Exclusive);
    let entry = waiting.entry();
    stage.system.calls();
    stage.system.is_closed.store(true, Ordering::SeqCst);
    assert_eq!(hold.release(), Some(Released::Lost));
    stage.assert_calls(&["disown"]);
    assert!(waiting.wait.request.is_resolving(), "its file has to be found anew");
    assert!(entry.is_lost() && entry.is_idle() && stage.engine.table().is_empty());
}

#[test]
#[cfg(unix)]
fn a_request_whose_file_cannot_be_locked_any_more_finds_it_anew() {
    for is_closed in [true, false] {
        let stage = Stage::new();
        stage.system.lock_error.store(if is_closed { libc::EBADF } else { libc::ESTALE }, Ordering::SeqCst);
        stage.system.is_closed.store(is_closed, Ordering::SeqCst);
        let asked = stage.ask("/file", Exclusive);
        asked.assert_waiting();
        assert!(asked.wait.request.is_resolving(), "its file has to be found anew");
        stage.assert_calls(if is_closed { &["lock Exclusive", "disown"] } else { &["lock Exclusive"] });
    }
}

#[test]
#[cfg(unix)]
#[cfg_attr(miri, ignore = "it measures time")]
fn a_file_that_a_client_remembers_for_a_while_after_it_is_gone_is_opened_anew_until_it_is_another() {
    const TIMES: usize = 64;
    let stage = Stage::with_workers();
    stage.system.stale_locks.store(TIMES, Ordering::SeqCst);
    let begin = now();
    stage.ask("/file", Exclusive).assert_granted();
    assert_eq!(stage.system.stale_locks.load(Ordering::SeqCst), 0);
    // GlusterFS remembers it for a second.
    assert!(now() - begin >= Duration::from_millis(900));
}

#[test]
fn the_end_of_a_client_does_nothing_to_a_descriptor_that_was_closed() {
    let stage = Stage::new();
    let user = User::with_options(&stage.engine, "/file", |options| options.removal = Removal::OnRelease);
    let hold = Stage::ask_by(user, Exclusive);
    hold.assert_granted();
    stage.system.calls();
    stage.system.is_closed.store(true, Ordering::SeqCst);
    stage.engine.end(&hold.user.client);
    stage.assert_calls(&["disown"]);
}

#[test]
fn a_handle_that_still_holds_what_was_lost_waits_for_its_own_release() {
    let stage = Stage::new();
    let [hold, other] = [(); 2].map(|()| stage.ask("/file", Shared));
    hold.assert_granted();
    other.assert_granted();
    let lost = hold.entry();
    stage.system.is_closed.store(true, Ordering::SeqCst);
    assert_eq!(other.release(), Some(Released::Lost));
    stage.system.is_closed.store(false, Ordering::SeqCst);
    let again = Stage::ask_by(hold.user.with_the_same_handle(), Shared);
    assert!(Arc::ptr_eq(&again.entry(), &lost));
    let stranger = stage.ask("/file", Shared);
    stranger.assert_granted();
    assert!(!Arc::ptr_eq(&stranger.entry(), &lost), "a handle that holds nothing there finds the file anew");
    again.assert_waiting();
    assert_eq!(hold.release(), Some(Released::Lost));
    assert!(again.wait.request.is_resolving());
}

#[test]
fn requests_in_the_queue_fail_if_there_is_no_thread_to_drive_for_them() {
    let stage = Stage::new();
    let hold = stage.ask("/file", Exclusive);
    hold.assert_granted();
    let waiting = stage.ask("/file", Exclusive);
    let entry = waiting.entry();
    assert!(entry.release(&hold.wait.request).is_some());
    stage.system.calls();
    stage.engine.abort(&entry, SystemError::no_thread());
    stage.assert_calls(&["unlock"]);
    let outcome = waiting.wait.outcome();
    assert!(matches!(outcome, Outcome::Failed(error) if error == SystemError::no_thread()), "{outcome:?}");
    assert!(entry.is_idle() && stage.engine.table().is_empty());
}

#[test]
fn a_paced_wait_tries_once_more_when_its_time_is_over() {
    let stage = Stage::new();
    stage.system.is_locked.store(true, Ordering::SeqCst);
    let waiting = stage.ask("/file", Exclusive);
    let entry = waiting.entry();
    assert!(entry.state().pause(Exclusive, Duration::ZERO, &mut Completions::new()).is_some());
    stage.system.is_locked.store(false, Ordering::SeqCst);
    stage.system.calls();
    stage.engine.cancel(&waiting.wait.request, CancelReason::TimedOut);
    // The thread that cancels a wait may not try.
    waiting.assert_waiting();
    stage.assert_calls(&[]);
    stage.engine.drive(&entry, None, Permit::Block);
    waiting.assert_granted();
}

/// Returns how long it takes to release one of so many shared holds, in no order.
fn time_of_a_release(holds: usize) -> Duration {
    let stage = Stage::new();
    let share = |_| {
        let user = User::new(&stage.engine, "/file");
        // It blocks a thread that holds the lock, so it joins, however many share it.
        let wait = user.start_sync(Shared, |options| options.blocks_client = true);
        assert!(matches!(wait.outcome_now(), Some(Outcome::Granted)));
        Asked { user, wait }
    };
    let sharing: Vec<_> = (0..holds).map(share).collect();
    let begin = std::time::Instant::now();
    for number in 0..holds {
        // A prime that divides neither number.
        assert!(sharing[number * 7919 % holds].release().is_some());
    }
    begin.elapsed() / u32::try_from(holds).unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "it measures time")]
fn a_shared_hold_among_many_is_released_as_fast_as_among_a_few() {
    // Ten times as long if they are searched one by one. A busy machine may spoil one measurement, but not all.
    assert!((0..5).any(|_| time_of_a_release(20_000) < 4 * time_of_a_release(2000)));
}
