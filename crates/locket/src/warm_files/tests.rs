//! Which files stay open, and what a request does that finds its file open.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use super::*;
use crate::LockMode::{Exclusive, Shared};
use crate::client::TIME_ON_THREAD;
use crate::exec::Limits;
use crate::fake::FakeSystem;
use crate::support::{User, until};
use crate::{FileId, LockMode, Outcome, Removal};

struct Stage {
    system: Arc<FakeSystem>,
    engine: Arc<Engine>,
    user: User,
}

impl Stage {
    /// Returns one whose system has two descriptors to spare, and whose files are swept when the test does it.
    fn new() -> Self {
        let stage = Self::with_timer();
        stage.engine.warm_files.paths().has_timer = true;
        stage
    }

    fn with_timer() -> Self {
        let system = Arc::new(FakeSystem::default());
        system.spare_descriptors.store(2, Ordering::SeqCst);
        system.records_files.store(true, Ordering::SeqCst);
        let engine = Engine::with(Box::new(system.clone()), Limits::default());
        Self { user: User::new(&engine, "/file"), engine, system }
    }

    /// Returns one whose file has stayed open.
    fn warm() -> Self {
        let stage = Self::new();
        stage.warm_up(&stage.user);
        stage
    }

    /// Acquires and releases the lock so often that its path is calm.
    fn warm_up(&self, user: &User) {
        for _ in 0..CALM {
            assert!(!self.is_granted_here(user, Exclusive), "the path is calm already");
        }
        until(|| self.is_unused());
        self.system.calls();
    }

    /// Checks that the file of `user` does not stay open, however calm its path is.
    #[track_caller]
    fn assert_never_warm(&self, user: &User) {
        for _ in 0..2 * CALM {
            assert!(!self.is_granted_here(user, Exclusive));
        }
        assert_eq!(self.open_files(), 0);
    }

    /// Acquires and releases the lock. Returns true if it was granted on the calling thread.
    fn is_granted_here(&self, user: &User, mode: LockMode) -> bool {
        user.client.on_event_loop();
        self.is_granted_now(user, mode)
    }

    /// The same for a client whose event loop does not run before.
    fn is_granted_now(&self, user: &User, mode: LockMode) -> bool {
        let (outcome, thread) = user.start(mode, |_| {}).outcome_and_thread();
        assert!(matches!(outcome, Outcome::Granted), "{outcome:?}");
        self.release(user);
        thread == thread::current().id()
    }

    /// The same for a request that is made synchronously.
    fn is_granted_sync(&self, user: &User) -> bool {
        let (outcome, thread) = user.start_sync(Exclusive, |_| {}).outcome_and_thread();
        assert!(matches!(outcome, Outcome::Granted), "{outcome:?}");
        self.release(user);
        thread == thread::current().id()
    }

    fn release(&self, user: &User) {
        assert!(user.release());
        // A worker that was the driver forgets the lock a moment later.
        until(|| self.engine.table().is_empty() && !self.engine.is_resolving());
    }

    /// Returns true if no thread uses the files that stay open any more.
    fn is_unused(&self) -> bool {
        let paths = self.engine.warm_files.paths();
        paths.list.iter().filter_map(|path| path.entry.as_ref()).all(|entry| Arc::strong_count(entry) == 1)
    }

    /// Returns how many files are open while no lock is used.
    fn open_files(&self) -> usize {
        self.engine.warm_files.paths().list.iter().filter(|path| path.entry.is_some()).count()
    }

    /// Sweeps as often as it takes to close a file that is not used. Returns true if another sweep would follow.
    fn sweep(&self) -> bool {
        for _ in 1..UNUSED {
            drop(self.engine.warm_files.sweep());
        }
        self.engine.warm_files.sweep().1
    }
}

#[test]
fn a_request_that_finds_its_file_open_locks_it_and_checks_the_path_on_the_calling_thread() {
    let stage = Stage::warm();
    for mode in [Exclusive, Shared] {
        assert!(stage.is_granted_here(&stage.user, mode));
        assert_eq!(stage.system.calls(), [&format!("lock {mode:?}"), "check path", "unlock"]);
    }
}

#[test]
fn another_handle_for_the_same_path_finds_the_file_open_too() {
    let stage = Stage::warm();
    assert!(stage.is_granted_here(&stage.user.with_another_handle(), Exclusive));
    assert!(stage.is_granted_sync(&User::new(&stage.engine, "/file")));
    assert!(!stage.system.calls().contains(&"open".to_owned()));
}

#[test]
fn a_worker_finds_the_file_open_too() {
    let stage = Stage::warm();
    stage.user.client.on_event_loop();
    stage.user.client.may_stay_on_thread(long_ago());
    assert!(!stage.is_granted_now(&stage.user, Exclusive));
    assert_eq!(stage.system.calls(), ["lock Exclusive", "check path", "unlock"]);
}

#[test]
fn a_client_is_granted_locks_on_its_thread_for_a_while_before_its_event_loop_has_to_run() {
    let stage = Stage::warm();
    let client = &stage.user.client;
    client.on_event_loop();
    let beginning = Instant::now();
    assert!(client.may_stay_on_thread(beginning));
    assert!(client.may_stay_on_thread(beginning + TIME_ON_THREAD / 2));
    assert!(!client.may_stay_on_thread(beginning + TIME_ON_THREAD));
    client.on_event_loop();
    assert!(client.may_stay_on_thread(beginning + TIME_ON_THREAD));
}

#[test]
fn a_file_that_the_kernel_has_refused_is_opened_anew_and_stays_open_only_after_another_calm() {
    let stage = Stage::warm();
    stage.system.is_locked.store(true, Ordering::SeqCst);
    assert!(!stage.user.try_acquire(Exclusive));
    // The path may have named another file, so it was opened before the request was refused.
    assert_eq!(stage.system.calls()[..4], ["lock Exclusive", "close", "open", "lock Exclusive"]);
    stage.system.is_locked.store(false, Ordering::SeqCst);
    stage.warm_up(&stage.user);
    assert!(stage.is_granted_here(&stage.user, Exclusive));
}

#[test]
fn a_path_that_names_another_file_by_now_is_opened() {
    let stage = Stage::warm();
    stage.system.replace("/file", 2);
    assert!(!stage.is_granted_here(&stage.user, Exclusive));
    let calls = stage.system.calls();
    assert_eq!(calls[..4], ["lock Exclusive", "check path", "unlock", "close"]);
    assert_eq!(calls[4..8], ["open", "lock Exclusive", "check path", "unlock"]);
}

#[test]
fn a_path_that_names_another_file_does_not_wait_for_the_lock_of_the_old_one() {
    let stage = Stage::warm();
    let old = User::new(&stage.engine, "/link");
    old.acquire();
    stage.system.replace("/file", 2);
    assert!(stage.user.try_acquire(Exclusive));
    assert!(old.release() && stage.user.release());
}

#[test]
fn a_file_that_is_open_is_not_taken_for_another_one_that_a_request_expects() {
    let stage = Stage::warm();
    let request = stage.user.start_sync(Exclusive, |options| options.expected = Some(FileId::new(1, 2)));
    assert!(matches!(request.outcome(), Outcome::Replaced));
    assert!(!stage.system.calls().contains(&"lock Exclusive".to_owned()));
    assert!(!stage.user.release());
}

#[test]
fn a_descriptor_that_was_closed_meanwhile_is_not_used_any_more() {
    let stage = Stage::warm();
    let entry = stage.engine.warm_files.paths().list.iter().find_map(|path| path.entry.clone()).unwrap();
    until_next_millisecond();
    stage.system.is_closed.store(true, Ordering::SeqCst);
    let wait = stage.user.start(Exclusive, |_| {});
    assert!(matches!(wait.outcome(), Outcome::Granted));
    assert!(entry.is_lost());
    assert_eq!(stage.system.calls()[..2], ["disown", "open"]);
}

#[test]
fn a_file_is_closed_after_a_while_and_the_sweeps_end() {
    let stage = Stage::with_timer();
    stage.warm_up(&stage.user);
    until(|| stage.open_files() == 0);
    assert!(!stage.engine.warm_files.paths().has_timer);
    until(|| stage.system.thread_of("close").is_some());
}

#[test]
fn a_file_that_is_used_between_two_sweeps_stays_open() {
    let stage = Stage::warm();
    for _ in 0..3 * UNUSED {
        assert!(stage.engine.warm_files.sweep().1);
        assert!(stage.is_granted_sync(&stage.user));
        assert_eq!(stage.open_files(), 1);
    }
}

#[test]
fn a_file_with_content_does_not_stay_open() {
    let stage = Stage::new();
    stage.system.is_written.store(true, Ordering::SeqCst);
    stage.assert_never_warm(&stage.user);
}

#[test]
fn a_file_that_was_written_while_it_stayed_open_is_closed_by_the_next_release_or_a_sweep() {
    for is_swept in [false, true] {
        let stage = Stage::warm();
        stage.system.is_written.store(true, Ordering::SeqCst);
        if is_swept {
            assert!(!stage.sweep());
        } else {
            assert!(stage.is_granted_here(&stage.user, Exclusive));
            assert_eq!(stage.system.calls(), ["lock Exclusive", "check path", "unlock", "close"]);
        }
        assert_eq!(stage.open_files(), 0);
    }
}

#[test]
fn a_file_on_which_other_code_has_fcntl_locks_is_closed_only_by_a_release_of_its_own() {
    let stage = Stage::warm();
    stage.system.has_fcntl_locks.store(true, Ordering::SeqCst);
    *stage.system.descriptors_left.lock().unwrap() = Some(0);
    stage.system.replace("/other", 2);
    let other = User::new(&stage.engine, "/other").start_sync(Exclusive, |_| {});
    assert!(matches!(other.outcome(), Outcome::Failed(_)));
    assert!(!stage.sweep(), "no sweep follows that could close it");
    assert_eq!(stage.open_files(), 1);
    stage.system.calls();
    stage.system.is_written.store(true, Ordering::SeqCst);
    assert!(stage.is_granted_here(&stage.user, Exclusive));
    assert_eq!(stage.system.calls(), ["lock Exclusive", "check path", "unlock", "close"]);
}

#[test]
fn a_file_that_may_be_on_a_server_does_not_stay_open() {
    let stage = Stage::new();
    stage.system.is_remote.store(true, Ordering::SeqCst);
    stage.assert_never_warm(&stage.user);
}

#[test]
fn a_file_that_is_deleted_on_release_does_not_stay_open() {
    let stage = Stage::new();
    let user = User::with_options(&stage.engine, "/file", |options| options.removal = Removal::OnRelease);
    stage.assert_never_warm(&user);
}

#[test]
fn no_more_files_stay_open_than_the_system_can_spare() {
    let stage = Stage::new();
    let users = ["/a", "/b", "/c"].map(|path| {
        stage.system.replace(path, u64::from(path.as_bytes()[1]));
        User::new(&stage.engine, path)
    });
    for user in &users {
        stage.warm_up(user);
    }
    assert_eq!(stage.open_files(), 2);
    assert_eq!([0, 1, 2].map(|i| stage.is_granted_here(&users[i], Exclusive)), [true, true, false]);
}

#[test]
fn a_file_that_cannot_be_opened_for_lack_of_descriptors_gets_that_of_another_one() {
    let stage = Stage::warm();
    *stage.system.descriptors_left.lock().unwrap() = Some(0);
    stage.system.replace("/other", 2);
    assert!(stage.is_granted_sync(&User::new(&stage.engine, "/other")));
    assert_eq!(stage.system.calls()[..3], ["open", "close", "open"]);
}

#[test]
fn no_request_of_this_process_is_overtaken() {
    let stage = Stage::warm();
    let other = User::new(&stage.engine, "/link");
    other.acquire();
    let wait = stage.user.start(Exclusive, |_| {});
    wait.until_queued(&stage.engine);
    assert!(other.release());
    assert!(matches!(wait.outcome(), Outcome::Granted));
}

/// Returns a time that lies before any event loop should have run again.
fn long_ago() -> Instant {
    Instant::now().checked_sub(TIME_ON_THREAD).unwrap()
}

/// Waits until the last check of a descriptor was in another millisecond.
fn until_next_millisecond() {
    let beginning = Instant::now();
    until(|| beginning.elapsed() > Duration::from_millis(1));
}
