//! Lock files that are deleted when nobody uses them.

use std::fs::{self, File};
use std::thread;

use fs4::FileExt;
use locket::LockMode::{Exclusive, Shared};
use locket::{CancelReason, Engine, Outcome, Removal};

mod support;

use support::{Place, User, until};

#[test]
fn a_file_goes_with_the_last_release_in_either_mode() {
    for mode in [Exclusive, Shared] {
        let place = Place::new(Removal::WhenUnused);
        let users = [place.user(), place.user()];
        assert!(users[0].try_acquire(mode));
        let second = users[1].start(mode, |_| {});
        assert!(users[0].release());
        assert!(matches!(second.outcome(), Outcome::Granted));
        assert!(place.path().exists());
        assert!(users[1].release());
        until(|| !place.path().exists());
    }
}

#[test]
fn a_file_that_stays_open_is_deleted_when_it_is_closed() {
    let place = Place::new(Removal::WhenUnused);
    let user = place.user();
    // So often in a row that the file stays open.
    until(|| {
        user.acquire();
        assert!(user.release());
        place.path().exists()
    });
    until(|| !place.path().exists());
}

#[test]
fn a_file_that_others_have_locked_or_shared_stays() {
    let place = Place::new(Removal::WhenUnused);
    let user = place.user();
    assert!(user.try_acquire(Shared));
    let other = File::open(place.path()).unwrap();
    FileExt::lock_shared(&other).unwrap();
    assert!(user.release());
    assert!(place.path().exists());
    assert!(user.try_acquire(Shared));
    FileExt::unlock(&other).unwrap();
    assert!(user.release());
    until(|| !place.path().exists());
}

#[test]
fn a_file_that_was_made_for_a_wait_that_is_given_up_goes_when_the_holder_does() {
    let place = Place::new(Removal::WhenUnused);
    let (holder, waiter) = (place.user(), place.user());
    holder.acquire();
    let wait = waiter.start(Exclusive, |_| {});
    wait.until_queued(&place.engine);
    place.engine.cancel(&wait.request, CancelReason::Aborted);
    assert!(matches!(wait.outcome(), Outcome::Aborted));
    assert!(holder.release());
    until(|| !place.path().exists());
}

#[test]
fn another_file_at_the_path_is_left_alone() {
    let place = Place::new(Removal::WhenUnused);
    let user = place.user();
    user.acquire();
    fs::remove_file(place.path()).unwrap();
    fs::write(place.path(), "another").unwrap();
    assert!(user.release());
    drop(place.engine);
    assert_eq!(fs::read_to_string(place.folder.path().join("test.lock")).unwrap(), "another");
}

#[test]
fn a_file_goes_with_its_engine_whether_it_is_held_or_stays_open() {
    for is_held in [true, false] {
        let Place { engine, folder, .. } = Place::new(Removal::WhenUnused);
        let path = folder.path().join("test.lock");
        let user = User::with_options(&engine, &path, |options| options.removal = Removal::WhenUnused);
        until(|| {
            user.acquire();
            assert!(user.release());
            path.exists()
        });
        if is_held {
            user.acquire();
        }
        drop((engine, user));
        until(|| !path.exists());
    }
}

#[test]
fn two_engines_that_make_and_delete_the_file_exclude_each_other() {
    const ROUNDS: usize = 300;
    let place = Place::new(Removal::WhenUnused);
    let inside = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let engine = Engine::new();
                let user = User::with_options(&engine, place.path(), |options| {
                    options.removal = Removal::WhenUnused;
                });
                for _ in 0..ROUNDS {
                    user.acquire();
                    assert!(!inside.swap(true, std::sync::atomic::Ordering::SeqCst), "two at once");
                    inside.store(false, std::sync::atomic::Ordering::SeqCst);
                    assert!(user.release());
                }
            });
        }
    });
    until(|| !place.path().exists());
}
