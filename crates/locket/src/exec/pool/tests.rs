//! The pool on real threads. Its models are in `model.rs`.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::{Job, Limits, Pool};
use crate::exec::Guard;

/// It only limits how long a failure takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Task {
    run: Box<dyn FnOnce() + Send>,
    key: Option<u64>,
    wanted: bool,
}

impl Task {
    fn new(run: impl FnOnce() + Send + 'static) -> Self {
        Self { run: Box::new(run), key: None, wanted: true }
    }

    fn with_key(key: u64, run: impl FnOnce() + Send + 'static) -> Self {
        Self { key: Some(key), ..Self::new(run) }
    }
}

impl Job for Task {
    fn run(self) {
        (self.run)();
    }

    fn refuse(self) {
        panic!("the system has threads");
    }

    fn is_wanted(&self) -> bool {
        self.wanted
    }

    fn order_key(&self) -> Option<u64> {
        self.key
    }
}

/// Returns a pool, and the number of the watch that was armed last.
fn pool() -> (Arc<Pool<Task>>, Arc<AtomicU64>) {
    let watch = Arc::new(AtomicU64::new(u64::MAX));
    let armed = watch.clone();
    (Arc::new(Pool::new(Limits::default(), move |_, begun| armed.store(begun, Ordering::SeqCst))), watch)
}

/// Submits a job that does `at_end` once it is told to end by the sender. Returns when it has begun.
fn submit_stuck(pool: &Pool<Task>, key: u64, at_end: impl FnOnce() + Send + 'static) -> Sender<()> {
    let (sender, begun) = channel();
    let (end, ended) = channel();
    pool.submit(Task::with_key(key, move || {
        sender.send(()).unwrap();
        ended.recv().unwrap();
        at_end();
    }));
    begun.recv_timeout(PATIENCE).unwrap();
    end
}

#[track_caller]
fn next<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(PATIENCE).expect("a job is not done")
}

#[test]
fn jobs_are_done_in_their_order() {
    let (pool, _) = pool();
    let (sender, done) = channel();
    for i in 0..1000 {
        let sender = sender.clone();
        pool.submit(Task::new(move || sender.send(i).unwrap()));
    }
    assert!((0..1000).all(|i| next(&done) == i));
}

#[test]
fn a_job_waits_for_the_one_before_it_with_its_key_but_for_no_other() {
    let (pool, watch) = pool();
    let (sender, done) = channel();
    let (freeing, told) = (pool.clone(), sender.clone());
    let end = submit_stuck(&pool, 1, move || {
        told.send("stuck").unwrap();
        freeing.free_key(1);
    });
    for (name, key) in [("behind", 1), ("beside", 2)] {
        let sender = sender.clone();
        pool.submit(Task::with_key(key, move || sender.send(name).unwrap()));
    }
    pool.watch(watch.load(Ordering::SeqCst));
    assert_eq!(next(&done), "beside");
    end.send(()).unwrap();
    assert_eq!([next(&done), next(&done)], ["stuck", "behind"]);
}

#[test]
fn a_job_that_panics_does_not_end_its_worker() {
    let (pool, _) = pool();
    let (sender, done) = channel();
    let blocking = pool.clone();
    let panics = || panic!("on purpose");
    pool.submit(Task::new(panics));
    pool.submit(Task::new(move || {
        blocking.blocking(panics);
    }));
    pool.submit(Task::new(move || sender.send(()).unwrap()));
    next(&done);
}

#[test]
fn jobs_are_done_however_often_their_worker_is_considered_stuck() {
    let (pool, _) = pool();
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        // Also between the moments at which a worker is woken and at which it wakes.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                pool.watch(done.load(Ordering::Relaxed));
            }
        });
        let _stop = Guard::new(|| stop.store(true, Ordering::Relaxed));
        for _ in 0..20_000 {
            let (sender, is_done) = channel();
            let blocking = pool.clone();
            pool.submit(Task::new(move || {
                assert!(blocking.blocking(|| ()).is_some(), "the others do not block any more");
                sender.send(()).unwrap();
            }));
            next(&is_done);
            done.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Submits jobs behind one that is stuck, of which one in a thousand is wanted. Checks that most of the others are dropped
/// before it ends, and that those that are wanted are done in their order.
fn pile_up(is_watched: bool) {
    const JOBS: usize = 20_000;
    let (pool, watch) = pool();
    let freeing = pool.clone();
    let end = submit_stuck(&pool, 1, move || freeing.free_key(1));
    let left = Arc::new(AtomicUsize::new(JOBS));
    let (sender, done) = channel();
    for i in 0..JOBS {
        let (pool_of_job, left, sender) = (pool.clone(), left.clone(), sender.clone());
        // A job may do anything when it is dropped, also use the pool.
        let in_order = Guard::new(move || {
            left.fetch_sub(1, Ordering::SeqCst);
            pool_of_job.free_key(2);
        });
        let freeing = pool.clone();
        let run = move || {
            sender.send(i).unwrap();
            drop(in_order);
            freeing.free_key(1);
        };
        pool.submit(Task { wanted: i % 1000 == 0, ..Task::with_key(1, run) });
        if is_watched && i % 100 == 0 {
            // The pool puts those aside that are behind the stuck one.
            pool.watch(watch.load(Ordering::SeqCst));
        }
    }
    let left = left.load(Ordering::SeqCst);
    assert!(left < 500, "{left} of {JOBS} are left, of which {} are wanted", JOBS / 1000);
    end.send(()).unwrap();
    for i in (0..JOBS).step_by(1000) {
        while i != next(&done) {}
    }
}

/// Runs `body`. Fails if it hangs.
fn limit_time(body: impl FnOnce() + Send + 'static) {
    let (sender, done) = channel();
    thread::spawn(move || {
        body();
        sender.send(()).unwrap();
    });
    next(&done);
}

#[test]
fn jobs_that_nobody_wants_do_not_pile_up_in_the_list() {
    limit_time(|| pile_up(false));
}

#[test]
fn jobs_that_nobody_wants_do_not_pile_up_aside() {
    limit_time(|| pile_up(true));
}

#[test]
fn workers_end_when_the_pool_is_dropped() {
    thread_local!(static AT_END: RefCell<Option<Sender<()>>> = const { RefCell::new(None) });
    let (pool, watch) = pool();
    let (idle, ended) = channel();
    let stuck = idle.clone();
    let end = submit_stuck(&pool, 1, move || AT_END.set(Some(stuck)));
    let (sender, done) = channel();
    pool.submit(Task::new(move || {
        AT_END.set(Some(idle));
        sender.send(()).unwrap();
    }));
    pool.watch(watch.load(Ordering::SeqCst));
    next(&done);
    drop(pool);
    end.send(()).unwrap();
    // The senders are dropped at the end of their threads.
    assert_eq!(ended.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}
