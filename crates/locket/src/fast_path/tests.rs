//! Which requests are granted on the calling thread.

use std::sync::atomic::Ordering;
use std::thread;

use super::*;
use crate::exec::Limits;
use crate::fake::FakeSystem;
use crate::support::{User, until};
use crate::{LockMode, Outcome};

struct Stage {
    system: Arc<FakeSystem>,
    engine: Arc<Engine>,
    user: User,
}

impl Stage {
    fn new() -> Self {
        let (engine, system) = FakeSystem::with_engine(Limits::default());
        Self { user: User::new(&engine, "/file"), engine, system }
    }

    /// Returns one whose path is calm.
    fn calm() -> Self {
        let stage = Self::new();
        for _ in 0..CALM {
            assert!(!stage.is_granted_here());
        }
        stage.user.client.replenish();
        stage
    }

    /// Acquires and releases the lock. Returns true if that was done on the calling thread.
    fn is_granted_here(&self) -> bool {
        let wait = self.user.start(LockMode::Exclusive, |_| {});
        let (outcome, thread) = wait.outcome_and_thread();
        assert!(matches!(outcome, Outcome::Granted), "{outcome:?}");
        assert!(self.user.release());
        // A worker that was the driver forgets the lock a moment later.
        until(|| self.engine.table().is_empty() && !self.engine.is_resolving());
        thread == thread::current().id()
    }
}

#[test]
fn a_path_that_was_calm_for_a_while_is_granted_on_the_calling_thread() {
    let stage = Stage::calm();
    stage.system.calls();
    assert!(stage.is_granted_here());
    assert_eq!(stage.system.calls(), ["open cached", "lock Exclusive", "check path", "unlock"]);
}

#[test]
fn a_refusal_by_the_kernel_ends_the_calm() {
    let stage = Stage::calm();
    stage.system.is_locked.store(true, Ordering::SeqCst);
    assert!(!stage.user.try_acquire(LockMode::Exclusive));
    stage.system.is_locked.store(false, Ordering::SeqCst);
    for _ in 0..CALM {
        assert!(!stage.is_granted_here());
    }
    assert!(stage.is_granted_here());
}

#[test]
fn a_client_takes_it_so_many_times_before_its_event_loop_runs() {
    let stage = Stage::calm();
    for _ in 0..2 {
        for _ in 0..TRIES {
            assert!(stage.is_granted_here());
        }
        assert!(!stage.is_granted_here());
        stage.user.client.replenish();
    }
}

#[test]
fn a_file_that_may_be_on_a_server_is_not_opened_on_the_calling_thread() {
    let stage = Stage::new();
    stage.system.is_remote.store(true, Ordering::SeqCst);
    for _ in 0..2 * CALM {
        assert!(!stage.is_granted_here());
    }
    assert_eq!(stage.system.thread_of("open cached"), None);
}

#[test]
fn no_request_of_this_process_is_overtaken() {
    let stage = Stage::calm();
    let other = User::new(&stage.engine, "/other");
    other.acquire();
    stage.system.calls();
    let wait = stage.user.start(LockMode::Exclusive, |_| {});
    wait.until_queued(&stage.engine);
    assert_eq!(stage.system.thread_of("open cached"), None);
    assert!(other.release());
    assert!(matches!(wait.outcome(), Outcome::Granted));
}
