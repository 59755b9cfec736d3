//! Models of the pool: workers that are stuck, late, blocked, refused by the system or idle, and a watch that fires at any
//! moment after it was armed.
//!
//! A job that is never done, or a worker that does not end with its pool, leaves the model with nothing but threads that
//! wait, which loom reports.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::{IDLE, Job, Limits, Pool, STALL};
use crate::sync::modelled::{join_threads, limit_threads, pass};

/// More threads than any model has workers.
const MANY: Limits = Limits { threads: 4, blocked: 4 };

/// What has happened in one run of a model.
#[derive(Default)]
struct Notes {
    begun: Vec<&'static str>,
    done: Vec<&'static str>,
    refused: Vec<&'static str>,
    dropped: Vec<&'static str>,
    /// The watches that are armed, and for how long.
    watches: Vec<(Duration, u64)>,
    /// How many were armed because the system refused a thread.
    retries: usize,
}

loom::lazy_static! {
    static ref NOTES: Mutex<Notes> = Mutex::new(Notes::default());
    static ref NOTED: Condvar = Condvar::new();
}

/// Changes the notes, and wakes the thread that waits for a change.
fn note(change: impl FnOnce(&mut Notes)) {
    change(&mut NOTES.lock().unwrap());
    NOTED.notify_one();
}

/// Returns what `look` finds in the notes.
fn noted<T>(look: impl FnOnce(&Notes) -> T) -> T {
    look(&NOTES.lock().unwrap())
}

/// What stuck jobs wait for.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
    }
}

/// A job that notes what becomes of it.
struct Task {
    name: &'static str,
    key: Option<u64>,
    body: Option<Box<dyn FnOnce() + Send>>,
}

impl Job for Task {
    fn run(mut self) {
        note(|notes| notes.begun.push(self.name));
        self.body.take().unwrap()();
        note(|notes| notes.done.push(self.name));
    }

    fn refuse(mut self) {
        self.body = None;
        note(|notes| notes.refused.push(self.name));
    }

    fn order_key(&self) -> Option<u64> {
        self.key
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.body.is_some() {
            note(|notes| notes.dropped.push(self.name));
        }
    }
}

/// The pool of one run of a model.
#[derive(Clone)]
struct Workers {
    pool: Arc<Pool<Task>>,
    submitted: Arc<AtomicUsize>,
    gates: Arc<std::sync::Mutex<Vec<Gate>>>,
}

impl Deref for Workers {
    type Target = Pool<Task>;

    fn deref(&self) -> &Self::Target {
        &self.pool
    }
}

impl Workers {
    fn new(limits: Limits) -> Self {
        let arm = |pause, begun| {
            note(|notes| {
                notes.watches.push((pause, begun));
                notes.retries += usize::from(pause > STALL);
            });
        };
        Self { pool: Arc::new(Pool::new(limits, arm)), submitted: Arc::default(), gates: Arc::default() }
    }

    /// Returns a gate that is opened at the end of the model, if not before.
    fn gate(&self) -> Gate {
        let gate = Gate::default();
        self.gates.lock().unwrap().push(gate.clone());
        gate
    }

    /// Returns a job that does `body` and then frees its key.
    fn task(&self, name: &'static str, key: Option<u64>, body: impl FnOnce(&Self) + Send + 'static) -> Task {
        self.submitted.fetch_add(1, Ordering::SeqCst);
        let pool = self.clone();
        let body = move || {
            body(&pool);
            if let Some(key) = key {
                pool.free_key(key);
            }
        };
        Task { name, key, body: Some(Box::new(body)) }
    }

    fn submit_task(&self, name: &'static str, key: Option<u64>, body: impl FnOnce(&Self) + Send + 'static) {
        self.submit(self.task(name, key, body));
    }

    /// Submits a job that is done at once.
    fn submit_healthy(&self, name: &'static str) {
        self.submit_task(name, None, |_| ());
    }

    /// Submits a job that does not end before the gate is open.
    fn submit_stuck(&self, name: &'static str, key: u64) -> Gate {
        let gate = self.gate();
        let stuck = gate.clone();
        self.submit_task(name, Some(key), move |_| stuck.pass());
        gate
    }

    /// Waits for `event`. Watches that are armed fire meanwhile.
    fn until(&self, event: impl Fn(&Notes) -> bool) {
        until(event, |begun| self.watch(begun));
    }

    fn until_begun(&self, name: &'static str) {
        self.until(|notes| notes.begun.contains(&name));
    }

    fn until_done(&self, name: &'static str) {
        self.until(|notes| notes.done.contains(&name));
    }
}

/// Waits for `event`. Watches that are armed go to `watch` meanwhile.
fn until(event: impl Fn(&Notes) -> bool, watch: impl Fn(u64)) {
    let mut notes = NOTES.lock().unwrap();
    while !event(&notes) {
        let Some((pause, begun)) = notes.watches.pop() else {
            notes = NOTED.wait(notes).unwrap();
            continue;
        };
        drop(notes);
        if pause > STALL {
            // The others make progress meanwhile.
            thread::yield_now();
        }
        watch(begun);
        notes = NOTES.lock().unwrap();
    }
}

/// Goes through the interleavings of `body` that have so few preemptions. At the end of each, the gates are opened, all
/// jobs are done, and the pool is dropped.
fn model(preemptions: usize, limits: Limits, body: impl Fn(&Workers) + Send + Sync + 'static) {
    check(preemptions, move || {
        let pool = Workers::new(limits);
        body(&pool);
        pool.gates.lock().unwrap().iter().for_each(Gate::open);
        let submitted = pool.submitted.load(Ordering::SeqCst);
        pool.until(|notes| notes.done.len() + notes.refused.len() == submitted);
    });
}

fn check(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        body();
        join_threads();
    });
}

/// Two stuck jobs and a healthy one, which is submitted after so many of them.
fn healthy_after(stuck: usize) {
    model(2, MANY, move |pool| {
        for (i, name) in ["a", "b", "c"].into_iter().enumerate() {
            if i == stuck {
                pool.submit_healthy("healthy");
            } else {
                pool.submit_stuck(name, i as u64);
            }
        }
        pool.until_done("healthy");
    });
}

#[test]
fn a_healthy_job_before_two_stuck_ones_is_done() {
    healthy_after(0);
}

#[test]
fn a_healthy_job_between_two_stuck_ones_is_done() {
    healthy_after(1);
}

#[test]
fn a_healthy_job_behind_two_stuck_ones_is_done() {
    healthy_after(2);
}

#[test]
fn a_worker_that_is_stuck_in_its_second_job_hides_no_job() {
    model(2, MANY, |pool| {
        pool.submit_healthy("a");
        pool.submit_stuck("stuck", 1);
        pool.submit_healthy("b");
        pool.until_done("b");
    });
}

#[test]
fn a_healthy_job_is_done_whenever_the_stuck_one_before_it_ends() {
    model(2, MANY, |pool| {
        let gate = pool.submit_stuck("stuck", 1);
        let opening = thread::spawn(move || gate.open());
        pool.submit_healthy("healthy");
        opening.join().unwrap();
    });
}

#[test]
fn a_worker_that_arrives_late_is_waited_for_and_no_other_is_started() {
    model(3, MANY, |pool| {
        limit_threads(2);
        pool.submit_stuck("stuck", 1);
        pool.until_begun("stuck");
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
        assert_eq!(noted(|notes| notes.retries), 0, "a third thread was asked for");
    });
}

#[test]
fn a_watch_that_fires_after_the_next_job_has_begun_considers_no_worker_stuck() {
    model(3, MANY, |pool| {
        limit_threads(1);
        let begun = pool.begun();
        pool.submit_healthy("a");
        pool.submit_stuck("stuck", 1);
        pool.submit_healthy("b");
        while noted(|notes| !notes.begun.contains(&"stuck")) {
            thread::yield_now();
        }
        pool.watch(begun);
        assert_eq!(noted(|notes| notes.retries), 0, "another thread was asked for");
    });
}

#[test]
fn a_worker_that_comes_back_takes_no_job_while_another_runs() {
    model(2, MANY, |pool| {
        let gate = pool.submit_stuck("a", 1);
        pool.submit_stuck("b", 2);
        pool.until_begun("b");
        pool.submit_healthy("c");
        gate.open();
        // No watch fires any more.
        until(|notes| notes.done.contains(&"a"), |_| ());
        thread::yield_now();
        assert!(!noted(|notes| notes.begun.contains(&"c")), "two run at once");
    });
}

#[test]
fn a_job_waits_for_a_stuck_one_with_its_key_until_the_key_is_freed_and_no_longer() {
    model(2, MANY, |pool| {
        let [freeing, ending] = [(); 2].map(|()| pool.gate());
        let free = freeing.clone();
        pool.submit_task("stuck", Some(1), move |pool| {
            free.pass();
            pool.free_key(1);
            ending.pass();
        });
        pool.submit_task("behind", Some(1), |_| ());
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
        assert!(!noted(|notes| notes.begun.contains(&"behind")), "two at once with one key");
        freeing.open();
        pool.until_done("behind");
    });
}

#[test]
fn jobs_with_one_key_are_done_in_their_order_however_often_their_worker_is_considered_stuck() {
    model(2, MANY, |pool| {
        let watcher = pool.clone();
        let watching = thread::spawn(move || (0..2).for_each(|begun| watcher.watch(begun)));
        for name in ["a", "b", "c"] {
            pool.submit_task(name, Some(1), |_| ());
        }
        pool.until_done("c");
        assert_eq!(noted(|notes| notes.begun.clone()), ["a", "b", "c"]);
        watching.join().unwrap();
    });
}

#[test]
fn jobs_that_are_submitted_first_go_before_those_that_wait_for_their_key() {
    model(2, MANY, |pool| {
        let gate = pool.submit_stuck("stuck", 1);
        pool.submit_task("behind", Some(1), |_| ());
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
        let submit_first = |names: &[&'static str]| {
            pool.submit_first(names.iter().map(|&name| pool.task(name, Some(1), |_| ())));
        };
        submit_first(&["second", "third"]);
        submit_first(&["first"]);
        gate.open();
        pool.until_done("behind");
        let mut begun = noted(|notes| notes.begun.clone());
        begun.retain(|&name| name != "healthy");
        assert_eq!(begun, ["stuck", "first", "second", "third", "behind"]);
    });
}

#[test]
fn a_job_stays_in_the_list_while_all_threads_there_can_be_are_stuck() {
    model(2, Limits { threads: 2, blocked: 2 }, |pool| {
        pool.submit_stuck("one", 1);
        pool.until_begun("one");
        assert!(!pool.has_stuck() && !pool.is_exhausted());
        let other = pool.submit_stuck("other", 2);
        pool.until_begun("other");
        assert!(pool.has_stuck() && !pool.is_exhausted());
        pool.submit_healthy("healthy");
        pool.until(|_| pool.is_exhausted());
        other.open();
        pool.until_done("healthy");
        assert!(!noted(|notes| notes.done.contains(&"one")));
    });
}

#[test]
fn a_worker_that_is_stuck_again_at_the_limit_hides_no_job() {
    model(2, Limits { threads: 2, blocked: 2 }, |pool| {
        let gates = [("a", 1), ("b", 2), ("c", 3)].map(|(name, key)| pool.submit_stuck(name, key));
        pool.submit_healthy("healthy");
        pool.until(|notes| notes.begun.len() == 2);
        gates[0].open();
        pool.until(|notes| notes.begun.len() == 3);
        gates[1].open();
        pool.until_done("healthy");
    });
}

#[test]
fn a_worker_that_blocks_leaves_another_for_later_jobs_though_the_system_gives_no_more() {
    model(2, MANY, |pool| {
        limit_threads(2);
        let gate = pool.gate();
        pool.submit_task("blocks", None, move |pool| {
            let blocked = pool.blocking(|| {
                note(|notes| notes.begun.push("blocked"));
                gate.pass();
            });
            assert!(blocked.is_some());
        });
        pool.until_begun("blocked");
        // Longer than a worker stays that is not needed.
        pass(2 * IDLE);
        limit_threads(0);
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
    });
}

/// Two jobs that would block, of which one may.
fn one_may_block(preemptions: usize, limits: Limits, threads: usize) {
    model(preemptions, limits, move |pool| {
        limit_threads(threads);
        let gate = pool.gate();
        for name in ["a", "b"] {
            let gate = gate.clone();
            pool.submit_task(name, None, move |pool| {
                if pool.blocking(|| gate.pass()).is_none() {
                    note(|notes| notes.begun.push("not blocked"));
                }
            });
        }
        pool.until_begun("not blocked");
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
    });
}

#[test]
fn of_all_workers_there_can_be_one_does_not_block() {
    one_may_block(2, MANY, 2);
    one_may_block(2, Limits { threads: 2, blocked: 2 }, 4);
}

#[test]
fn no_more_workers_block_than_may() {
    one_may_block(1, Limits { threads: 3, blocked: 1 }, 3);
}

#[test]
fn a_worker_that_is_stuck_after_it_was_blocked_hides_no_job() {
    model(2, MANY, |pool| {
        let gate = pool.gate();
        pool.submit_task("blocks", Some(1), move |pool| {
            pool.blocking(|| ());
            gate.pass();
        });
        pool.submit_healthy("a");
        pool.submit_healthy("b");
        pool.until(|notes| ["a", "b"].iter().all(|name| notes.done.contains(name)));
    });
}

#[test]
fn the_last_worker_stays_for_a_later_job() {
    model(3, MANY, |pool| {
        pool.submit_healthy("first");
        pool.until_done("first");
        limit_threads(0);
        // It has parked, or not yet.
        pass(2 * IDLE);
        pass(2 * IDLE);
        pool.submit_healthy("later");
    });
}

#[test]
fn of_idle_workers_all_but_one_end_and_others_start_again() {
    model(2, Limits { threads: 2, blocked: 2 }, |pool| {
        let gate = pool.submit_stuck("stuck", 1);
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
        limit_threads(0);
        gate.open();
        pass(2 * IDLE);
        pool.submit_stuck("later", 1);
        pool.until_begun("later");
        limit_threads(1);
        pool.submit_healthy("last");
        pool.until_done("last");
    });
}

#[test]
fn jobs_are_refused_where_there_is_no_thread_at_all() {
    model(3, MANY, |pool| {
        limit_threads(0);
        let other = pool.clone();
        let submitting = thread::spawn(move || other.submit_healthy("a"));
        pool.submit_healthy("b");
        submitting.join().unwrap();
        assert_eq!(noted(|notes| notes.refused.len()), 2);
    });
}

#[test]
fn a_job_stays_in_the_list_where_the_system_refuses_another_thread_and_it_is_asked_again() {
    model(2, MANY, |pool| {
        limit_threads(1);
        pool.submit_stuck("stuck", 1);
        pool.submit_healthy("healthy");
        pool.until(|notes| notes.retries > 0);
        assert!(noted(|notes| notes.refused.is_empty()));
        assert!(!pool.is_exhausted(), "there may be more threads");
        limit_threads(1);
        pool.until_done("healthy");
    });
}

#[test]
fn a_pool_that_is_dropped_by_its_own_worker_or_meanwhile_ends_its_workers() {
    check(3, || {
        let pool = Workers::new(MANY);
        // Each job has the pool: it is dropped by the last of these, or here.
        pool.submit_healthy("a");
        pool.submit_healthy("b");
        drop(pool);
        until(|notes| notes.done.len() == 2, |_| ());
    });
}

#[test]
fn the_jobs_behind_a_stuck_one_are_done_after_the_pool_is_dropped_unless_their_key_stays_taken() {
    check(2, || {
        let pool = Workers::new(MANY);
        let gate = Gate::default();
        let stuck = gate.clone();
        let task = |name, key, body| Task { name, key, body: Some(body) };
        pool.submit(task("stuck", Some(1), Box::new(move || stuck.pass())));
        pool.submit(task("behind", Some(1), Box::new(|| ())));
        pool.submit(task("healthy", None, Box::new(|| ())));
        drop(pool);
        gate.open();
        until(|notes| notes.done.len() + notes.dropped.len() == 3, |_| ());
        assert_eq!(noted(|notes| notes.done.clone()), ["stuck", "healthy"]);
        assert_eq!(noted(|notes| notes.dropped.clone()), ["behind"]);
    });
}
