//! Queries that meet requests of this process, and the holders that a refusal names.

use std::path::Path;

use super::*;
use crate::exec::Limits;
use crate::fake::{FakeSystem, NO_WORKERS};
use crate::lock::Completions;
use crate::support::{Pending, User, sink, until};
use crate::sys::LockMode;

use LockMode::Exclusive;

/// Has a new user acquire the lock of the file at `path`, and another one wait for it who wants to know the holders.
fn held_and_waited_for(engine: &Arc<Engine>, path: impl AsRef<Path>, names_holders: bool) -> (User, Pending) {
    let holding = User::new(engine, &path);
    assert!(matches!(holding.start_sync(Exclusive, |_| {}).outcome(), Outcome::Granted));
    let waiting = User::new(engine, path);
    (holding, waiting.start_sync(Exclusive, |options| options.names_holders = names_holders))
}

#[test]
fn a_refusal_waits_only_for_holders_that_are_asked_for_and_not_for_ever() {
    let (engine, _) = FakeSystem::with_engine(NO_WORKERS);
    let (_a, wait) = held_and_waited_for(&engine, "/file", false);
    engine.expire(&wait.request);
    assert!(matches!(wait.outcome_now(), Some(Outcome::TimedOut(None))));

    let (engine, _) = FakeSystem::with_engine(NO_WORKERS);
    let (_a, wait) = held_and_waited_for(&engine, "/file", true);
    let begin = Instant::now();
    engine.expire(&wait.request);
    assert!(wait.outcome_now().is_none());
    assert!(matches!(wait.outcome(), Outcome::TimedOut(None)));
    assert!(begin.elapsed() >= CANCEL_GRACE);
}

#[test]
fn a_request_whose_file_is_still_being_found_asks_for_no_holders() {
    let (engine, _) = FakeSystem::with_engine(NO_WORKERS);
    let wait = User::new(&engine, "/file").start(Exclusive, |options| {
        options.deadline = Some(Instant::now());
        options.names_holders = true;
    });
    assert!(matches!(wait.outcome(), Outcome::Unanswered));
    assert!(engine.queries.lock().asked.is_empty());
}

#[test]
fn a_request_that_comes_during_a_probe_is_granted_after_it() {
    let (engine, system) = FakeSystem::with_engine(Limits::default());
    for blocking in [true, false] {
        let user = User::new(&engine, "/file");
        let (sender, requests) = std::sync::mpsc::channel();
        let other = user.with_the_same_handle();
        system.during("lock Exclusive", move || {
            sender.send(other.start_sync(Exclusive, |options| options.blocking = blocking)).unwrap();
        });
        assert!(!User::new(&engine, "/file").is_locked());
        assert!(matches!(requests.recv().unwrap().outcome(), Outcome::Granted));
        assert!(user.release());
        system.calls();
    }
}

#[test]
fn what_this_process_knows_of_a_lock_is_answered_without_the_kernel() {
    let (engine, system) = FakeSystem::with_engine(NO_WORKERS);
    let [own, other] = [(); 2].map(|()| User::new(&engine, "/file"));
    let is_locked = |user: &User| engine.is_locked(&user.handle).unwrap();
    assert!(matches!(own.start_sync(Exclusive, |_| {}).outcome(), Outcome::Granted));
    system.calls();
    assert_eq!([&own, &other].map(is_locked), [Some(true); 2]);
    assert_eq!(system.calls(), [""; 0]);
    assert!(own.release());

    system.is_locked.store(true, Ordering::SeqCst);
    let wait = own.start_sync(Exclusive, |_| {});
    system.is_locked.store(false, Ordering::SeqCst);
    system.calls();
    assert_eq!(is_locked(&other), None, "the driver is about to find out");
    let entry = wait.request.entry().unwrap();
    assert!(entry.state().pause(Exclusive, Duration::ZERO, &mut Completions::new()).is_some());
    assert_eq!(is_locked(&other), Some(true), "the kernel has refused it");
    assert_eq!(system.calls(), [""; 0]);
    engine.end(&own.client);
}

#[test]
fn a_file_that_another_machine_has_just_made_is_looked_for_at_the_server() {
    let (engine, system) = FakeSystem::with_engine(NO_WORKERS);
    let user = User::new(&engine, "/file");
    system.is_locked.store(true, Ordering::SeqCst);
    system.is_unseen.store(true, Ordering::SeqCst);
    assert_eq!(engine.is_locked(&user.handle).unwrap(), Some(true));
}

#[test]
fn a_lock_whose_driver_does_not_find_out_for_a_while_is_held() {
    let (engine, _) = FakeSystem::with_engine(NO_WORKERS);
    let user = User::new(&engine, "/file");
    let wait = user.start_sync(Exclusive, |_| {});
    assert!(matches!(wait.outcome(), Outcome::Granted));
    let entry = wait.request.entry().unwrap();
    // Nobody drives from now on.
    assert!(entry.release(&wait.request).is_some());
    let (sink, outcomes) = sink();
    let question = Question::Locked(user.handle.clone(), OnceLock::new());
    let query = engine.query(question, SERVER_GRACE, sink, 0);
    let begin = Instant::now();
    until(|| {
        engine.probe(&query);
        query.is_answered()
    });
    assert!(begin.elapsed() >= CANCEL_GRACE);
    assert!(matches!(outcomes.recv().unwrap(), (Outcome::Locked(true), _)));
}

#[cfg(target_os = "linux")]
mod made_up_proc {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::holders::world::{Opened, SOMEBODY, World};
    use crate::this_system::ThisSystem;

    #[test]
    fn the_holders_of_many_locks_are_named_after_one_reading_of_the_table() {
        const LOCKS: usize = 20;
        let mut world = World::new();
        let files = world.add_files(LOCKS);
        world.add_locks(SOMEBODY, &files);
        let engine = Engine::with(Box::new(ThisSystem::paced()), NO_WORKERS);
        let waits = loop {
            let pairs = files.iter().map(|(path, _)| held_and_waited_for(&engine, path, true));
            let (holding, waits): (Vec<_>, Vec<_>) = pairs.unzip();
            let opened = Opened::begin(&world);
            let begin = Instant::now();
            for wait in &waits {
                engine.expire(&wait.request);
            }
            engine.answer_queries_by(&world.proc());
            assert_eq!(opened.end().times("locks"), 1);
            // Otherwise the machine was busy, and the refusals did not wait for the holders.
            if begin.elapsed() < CANCEL_GRACE {
                break waits;
            }
            assert!(holding.iter().all(User::release));
        };
        for wait in waits {
            let Outcome::TimedOut(Some(holders)) = wait.outcome() else { panic!("the holders are unknown") };
            assert!(matches!(&*holders, [holder] if holder.pid == SOMEBODY
                && holder.command.as_deref() == Some("program")));
        }
    }
    #[test]
    fn no_holders_are_named_by_a_descriptor_that_was_closed() {
        let mut world = World::new();
        world.add_locks(SOMEBODY, &[(world.path(), world.file())]);
        let file = File::open(world.path()).unwrap();
        let (engine, system) = FakeSystem::with_engine(NO_WORKERS);
        system.descriptor.store(file.as_raw_fd(), Ordering::SeqCst);
        let (_holding, wait) = held_and_waited_for(&engine, "/file", true);
        system.is_closed.store(true, Ordering::SeqCst);
        engine.expire(&wait.request);
        engine.answer_queries_by(&world.proc());
        assert!(matches!(wait.outcome(), Outcome::TimedOut(None)));
    }
}

#[test]
fn a_query_that_waits_for_a_worker_is_given_up_only_if_workers_make_no_progress() {
    let (engine, _) = FakeSystem::with_engine(Limits::default());
    let user = User::new(&engine, "/file");
    let (sink, outcomes) = sink();
    let question = Question::Locked(user.handle.clone(), OnceLock::new());
    let query = engine.query(question, SERVER_GRACE, sink, 0);
    for _ in 0..3 {
        user.acquire();
        assert!(user.release());
        engine.give_up(&query);
        assert!(!query.is_answered(), "a worker has begun a job since");
    }
    query.began.get_or_init(now);
    engine.give_up(&query);
    assert!(!query.is_answered(), "a worker has just begun to answer it");
    assert!(matches!(outcomes.recv().unwrap().0, Outcome::Unanswered));
}
