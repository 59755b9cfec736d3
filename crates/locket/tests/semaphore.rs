//! Semaphores, with threads in place of JavaScript environments, and engines in place of processes.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use locket::LockMode::Exclusive;
use locket::{CancelReason, Engine, Outcome};
use tempfile::TempDir;

mod support;

use support::{User, until};

/// A folder, and the path of a semaphore in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("slots")
    }

    /// Returns a user who acquires one permit of so many.
    fn user(&self, engine: &Arc<Engine>, permits: u32) -> User {
        User::with_options(engine, self.path(), |options| options.permits = Some(permits))
    }
}

/// The ways in which an engine may wait.
fn engines() -> [Arc<Engine>; 2] {
    [Engine::new(), Engine::paced()]
}

#[test]
fn there_are_never_more_holders_than_permits_over_all_engines() {
    const PERMITS: u32 = 3;
    let place = Place::new();
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..8 {
            let (place, inside) = (&place, &inside);
            scope.spawn(move || {
                let engine = if number == 0 { Engine::paced() } else { Engine::new() };
                for _ in 0..100 {
                    let user = place.user(&engine, PERMITS);
                    user.acquire();
                    let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                    assert!(now <= PERMITS as usize, "{now} at once");
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert!(user.release());
                }
            });
        }
    });
}

#[test]
fn requests_of_one_engine_are_granted_in_their_order() {
    for engine in engines() {
        let place = Place::new();
        let holder = place.user(&engine, 1);
        holder.acquire();
        let users: Vec<_> = (0..4).map(|_| place.user(&engine, 1)).collect();
        let waits: Vec<_> = users.iter().map(|user| user.start(Exclusive, |_| {})).collect();
        assert!(holder.release());
        for (index, user) in users.iter().enumerate() {
            assert!(matches!(waits[index].outcome(), Outcome::Granted));
            assert!(waits[index + 1..].iter().all(|later| later.outcome_now().is_none()));
            assert!(user.release());
        }
    }
}

#[test]
fn a_wait_that_is_given_up_holds_nothing_and_those_behind_it_move_up() {
    for engine in engines() {
        let place = Place::new();
        let holder = place.user(&Engine::new(), 1);
        holder.acquire();
        let [first, second] = [(); 2].map(|()| place.user(&engine, 1));
        let waits = [&first, &second].map(|user| user.start(Exclusive, |_| {}));
        engine.cancel(&waits[0].request, CancelReason::Aborted);
        assert!(matches!(waits[0].outcome(), Outcome::Aborted));
        assert!(!first.release());
        assert!(holder.release());
        assert!(matches!(waits[1].outcome(), Outcome::Granted));
        assert!(second.release());
    }
}

#[test]
fn a_wait_ends_at_its_deadline_at_the_gate_and_at_the_slots() {
    for engine in engines() {
        let place = Place::new();
        let holder = place.user(&Engine::new(), 1);
        holder.acquire();
        let users = [place.user(&engine, 1), place.user(&engine, 1)];
        let end = Instant::now() + Duration::from_millis(30);
        let waits: Vec<_> =
            users.iter().map(|user| user.start(Exclusive, |options| options.deadline = Some(end))).collect();
        for wait in &waits {
            assert!(matches!(wait.outcome(), Outcome::TimedOut(None)));
        }
        assert!(Instant::now() >= end);
        assert!(holder.release());
        assert!(users[0].try_acquire(Exclusive) && users[0].release());
    }
}

#[test]
fn a_try_is_refused_only_if_all_permits_are_held() {
    let place = Place::new();
    let engine = Engine::new();
    let users: Vec<_> = (0..3).map(|_| place.user(&engine, 2)).collect();
    assert!(users[0].try_acquire(Exclusive) && users[1].try_acquire(Exclusive));
    assert!(!users[2].try_acquire(Exclusive));
    assert!(users[0].release());
    assert!(users[2].try_acquire(Exclusive));
}

#[test]
fn another_number_is_refused_while_a_permit_is_held_and_taken_over_afterwards() {
    let place = Place::new();
    let engine = Engine::new();
    let holder = place.user(&engine, 2);
    holder.acquire();
    let other = place.user(&Engine::new(), 3);
    let refused = || other.start(Exclusive, |_| {}).outcome();
    assert!(matches!(refused(), Outcome::OtherPermits(Some(2))));
    let waiting = [place.user(&engine, 2), place.user(&engine, 2)];
    let waits = [&waiting[0], &waiting[1]].map(|user| user.start(Exclusive, |_| {}));
    assert!(matches!(waits[0].outcome(), Outcome::Granted));
    until(|| engine.snapshot(Vec::new()).pending.len() == 1);
    // Behind the gate, which the second one has.
    assert!(matches!(refused(), Outcome::OtherPermits(Some(2))));
    assert!(holder.release());
    assert!(matches!(waits[1].outcome(), Outcome::Granted));
    assert!(waiting.iter().all(User::release));
    other.acquire();
    assert_eq!(fs::read_to_string(place.path()).unwrap(), "3 permits\n");
}

#[test]
fn a_file_with_other_content_is_refused_and_not_changed() {
    let place = Place::new();
    fs::write(place.path(), "data").unwrap();
    let user = place.user(&Engine::new(), 2);
    assert!(matches!(user.start(Exclusive, |_| {}).outcome(), Outcome::OtherPermits(None)));
    assert_eq!(fs::read_to_string(place.path()).unwrap(), "data");
}

#[test]
fn a_client_that_ends_gives_its_permits_back_and_waits_no_longer() {
    let place = Place::new();
    let engine = Engine::new();
    let holder = place.user(&engine, 1);
    holder.acquire();
    let waiter = place.user(&engine, 1);
    let wait = waiter.start(Exclusive, |_| {});
    let next = place.user(&engine, 1);
    let last = next.start(Exclusive, |_| {});
    engine.end(&waiter.client);
    assert!(matches!(wait.outcome(), Outcome::Aborted));
    engine.end(&holder.client);
    assert!(matches!(last.outcome(), Outcome::Granted));
    assert!(next.release());
}
