//! Requests that take the lock from whatever holds it in their engine.

use std::fs::File;

use fs4::FileExt;
use locket::LockMode::{Exclusive, Shared};
use locket::{Engine, Outcome, Removal};

mod support;

use support::{Place, User, sink};

#[test]
fn a_lock_that_is_held_here_goes_to_the_thief_ahead_of_all_that_wait_and_the_holder_is_told() {
    let place = Place::new(Removal::Never);
    let (losses, told) = sink();
    let holder = place.user().told_of_losses(losses);
    holder.acquire();
    let waiting = place.user().start(Exclusive, |_| {});
    waiting.until_queued(&place.engine);
    let thief = place.user();
    assert!(matches!(thief.steal().outcome(), Outcome::Granted));
    assert!(matches!(told.try_recv().unwrap().0, Outcome::Lost));
    assert!(!holder.handle.is_held() && !holder.release(), "it holds nothing any more");
    assert!(waiting.outcome_now().is_none());
    assert!(thief.release());
    assert!(matches!(waiting.outcome(), Outcome::Granted));
}

#[test]
fn shared_holds_are_stolen_all_together() {
    let place = Place::new(Removal::Never);
    let holders = [place.user(), place.user()];
    for holder in &holders {
        assert!(holder.try_acquire(Shared));
    }
    let thief = place.user();
    assert!(matches!(thief.steal().outcome(), Outcome::Granted));
    assert!(holders.iter().all(|holder| !holder.release()));
    assert!(thief.release());
}

#[test]
#[cfg(target_os = "linux")]
fn shared_holds_are_stolen_although_another_engine_waits() {
    let place = Place::new(Removal::Never);
    let other = Engine::new();
    let holders = [place.user(), place.user()];
    for holder in &holders {
        assert!(holder.try_acquire(Shared));
    }
    let thief = place.user();
    let waiting = User::new(&other, thief.handle.path.clone()).start(Exclusive, |_| {});
    support::until_kernel_has_waiters(&File::open(&thief.handle.path).unwrap(), 1);
    assert!(matches!(thief.steal().outcome(), Outcome::Granted));
    assert!(waiting.outcome_now().is_none());
    assert!(holders.iter().all(|holder| !holder.handle.is_held()));
    assert!(thief.release());
    assert!(matches!(waiting.outcome(), Outcome::Granted));
}

#[test]
fn a_thief_who_is_refused_since_another_engine_shares_the_lock_takes_it_from_nobody() {
    let place = Place::new(Removal::Never);
    let elsewhere = User::new(&Engine::new(), place.user().handle.path.clone());
    let (losses, told) = sink();
    let holder = place.user().told_of_losses(losses);
    assert!(holder.try_acquire(Shared) && elsewhere.try_acquire(Shared));
    assert!(matches!(place.user().steal().outcome(), Outcome::TimedOut(_)));
    assert!(told.try_recv().is_err() && holder.handle.is_held());
    assert!(elsewhere.release());
    assert!(!elsewhere.try_acquire(Exclusive), "it is still locked here");
    assert!(holder.release());
    assert!(elsewhere.try_acquire(Exclusive));
}

#[test]
fn the_last_thief_has_the_lock() {
    let place = Place::new(Removal::Never);
    let users = [place.user(), place.user(), place.user()];
    for user in &users {
        assert!(matches!(user.steal().outcome(), Outcome::Granted));
    }
    let held: Vec<_> = users.iter().map(User::release).collect();
    assert_eq!(held, [false, false, true]);
}

#[test]
fn a_free_lock_is_acquired_and_nothing_is_stolen_from_another_engine_or_program() {
    let place = Place::new(Removal::Never);
    let thief = place.user();
    assert!(matches!(thief.steal().outcome(), Outcome::Granted));
    assert!(thief.release());
    let other = File::open(&thief.handle.path).unwrap();
    FileExt::lock(&other).unwrap();
    assert!(matches!(thief.steal().outcome(), Outcome::TimedOut(_)));
    FileExt::unlock(&other).unwrap();
    assert!(matches!(thief.steal().outcome(), Outcome::Granted));
    assert!(thief.release());
}

#[test]
fn a_thief_that_finds_another_file_at_its_path_gets_the_lock_of_that() {
    let place = Place::new(Removal::Never);
    let (holder, thief) = (place.user(), place.user());
    holder.acquire();
    std::fs::remove_file(&thief.handle.path).unwrap();
    assert!(matches!(thief.steal().outcome(), Outcome::Granted));
    assert!(holder.release(), "its file was another one");
    assert!(thief.release());
}
