//! The pool: workers that are stuck, late, blocked, refused by the system or about to end, and a watch that fires at any
//! moment after it has been armed.
//!
//! A job that is never done leaves the model with nothing but threads that wait, which loom reports.

use std::sync::Arc;
use std::time::Duration;

use locket::core::pool::{Job, Limits, Pool, STALL};
use locket::core::sync::modelled::{end_threads, limit_threads, pass};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::model_with;

/// Longer than a worker stays without a job.
const LONG: Duration = Duration::from_secs(60);

/// More threads than any model has workers.
const MANY: Limits = Limits { threads: 4, blocked: 4 };

/// What has happened in one run of a model.
#[derive(Default)]
struct Notes {
    begun: Vec<&'static str>,
    done: Vec<&'static str>,
    refused: Vec<&'static str>,
    /// The watches that are armed, and for how long.
    watches: Vec<(Duration, u64)>,
    /// How many of them since the system refused a thread.
    retries: usize,
}

loom::lazy_static! {
    static ref NOTES: Mutex<Notes> = Mutex::new(Notes::default());
    static ref NOTED: Condvar = Condvar::new();
}

/// Changes what is noted. The thread that waits for it looks.
fn note(change: impl FnOnce(&mut Notes)) {
    change(&mut NOTES.lock().unwrap());
    NOTED.notify_one();
}

/// What is noted now.
fn noted<T>(look: impl FnOnce(&Notes) -> T) -> T {
    look(&NOTES.lock().unwrap())
}

/// What stuck jobs wait for.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
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
    lane: Option<u64>,
    body: Box<dyn FnOnce() + Send>,
}

impl Job for Task {
    fn run(self) {
        note(|notes| notes.begun.push(self.name));
        (self.body)();
        note(|notes| notes.done.push(self.name));
    }

    fn refuse(self) {
        note(|notes| notes.refused.push(self.name));
    }

    fn lane(&self) -> Option<u64> {
        self.lane
    }
}

/// A pool of one run of a model, which it outlives: that of the addon is static.
#[derive(Clone, Copy)]
struct Workers(&'static Pool<Task>);

impl Workers {
    fn new(limits: Limits) -> Self {
        Self(Box::leak(Box::new(Pool::new(limits, |pause, number| {
            note(|notes| {
                notes.watches.push((pause, number));
                notes.retries += usize::from(pause > STALL);
            });
        }))))
    }

    /// Submits a job that does `body`, and leaves its lane after it.
    fn submit(self, name: &'static str, lane: Option<u64>, body: impl FnOnce() + Send + 'static) {
        let body = move || {
            body();
            if let Some(lane) = lane {
                self.0.leave_lane(lane);
            }
        };
        self.0.submit(Task { name, lane, body: Box::new(body) });
    }

    /// Submits a job that is done at once.
    fn submit_healthy(self, name: &'static str) {
        self.submit(name, None, || ());
    }

    /// Submits a job that does not end before the gate is open.
    fn submit_stuck(self, name: &'static str, lane: u64) -> Gate {
        let gate = Gate::default();
        let stuck = gate.clone();
        self.submit(name, Some(lane), move || stuck.pass());
        gate
    }

    /// Waits for `event`. Watches that are armed fire meanwhile.
    fn until(self, event: impl Fn(&Notes) -> bool) {
        loop {
            let (pause, number) = {
                let mut notes = NOTES.lock().unwrap();
                loop {
                    if event(&notes) {
                        return;
                    }
                    if let Some(watch) = notes.watches.pop() {
                        break watch;
                    }
                    notes = NOTED.wait(notes).unwrap();
                }
            };
            if pause > STALL {
                // The others get on meanwhile.
                thread::yield_now();
            }
            self.0.watch(number);
        }
    }

    fn until_done(self, name: &'static str) {
        self.until(|notes| notes.done.contains(&name));
    }

    /// Waits until all these have been done, and checks that it was once.
    fn finish(self, mut names: Vec<&'static str>) {
        self.until(|notes| notes.done.len() >= names.len());
        end_threads();
        let mut done = noted(|notes| notes.done.clone());
        done.sort_unstable();
        names.sort_unstable();
        assert_eq!(done, names);
    }
}

/// Two stuck jobs and a healthy one, which is submitted after so many of them.
fn healthy_after(stuck: usize, preemptions: usize) {
    model_with(preemptions, move || {
        let pool = Workers::new(MANY);
        let mut gates = Vec::new();
        for i in 0..3 {
            match i.cmp(&stuck) {
                std::cmp::Ordering::Equal => pool.submit_healthy("healthy"),
                _ => gates.push(pool.submit_stuck(["a", "b", "c"][i], i as u64)),
            }
        }
        pool.until_done("healthy");
        gates.iter().for_each(Gate::open);
        pool.finish((0..3).map(|i| if i == stuck { "healthy" } else { ["a", "b", "c"][i] }).collect());
    });
}

#[test]
fn a_healthy_job_before_two_stuck_ones_is_done() {
    healthy_after(0, 2);
}

#[test]
fn a_healthy_job_between_two_stuck_ones_is_done() {
    healthy_after(1, 2);
}

#[test]
fn a_healthy_job_behind_two_stuck_ones_is_done() {
    healthy_after(2, 2);
}

#[test]
fn a_worker_that_got_on_and_is_stuck_in_its_next_job_hides_no_job() {
    model_with(2, || {
        let pool = Workers::new(MANY);
        pool.submit_healthy("a");
        let gate = pool.submit_stuck("stuck", 1);
        pool.submit_healthy("b");
        pool.until_done("b");
        gate.open();
        pool.finish(vec!["a", "stuck", "b"]);
    });
}

#[test]
fn a_healthy_job_is_done_once_whenever_the_stuck_one_before_it_comes_back() {
    model_with(2, || {
        let pool = Workers::new(MANY);
        let gate = pool.submit_stuck("stuck", 1);
        let opening = thread::spawn(move || gate.open());
        pool.submit_healthy("healthy");
        pool.finish(vec!["stuck", "healthy"]);
        opening.join().unwrap();
    });
}

#[test]
fn a_worker_that_arrives_late_is_waited_for_and_no_other_is_started() {
    model_with(3, || {
        let pool = Workers::new(MANY);
        limit_threads(2);
        let gate = pool.submit_stuck("stuck", 1);
        pool.until(|notes| notes.begun.contains(&"stuck"));
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
        assert_eq!(noted(|notes| notes.retries), 0, "a third thread was asked for");
        gate.open();
        pool.finish(vec!["stuck", "healthy"]);
    });
}

#[test]
fn a_job_stays_behind_a_stuck_one_of_its_lane_until_the_lane_is_left_and_no_longer() {
    model_with(2, || {
        let pool = Workers::new(MANY);
        let [leaving, ending] = [(); 2].map(|()| Gate::default());
        let (left, end) = (leaving.clone(), ending.clone());
        let stuck = move || {
            left.pass();
            pool.0.leave_lane(1);
            end.pass();
        };
        pool.0.submit(Task { name: "stuck", lane: Some(1), body: Box::new(stuck) });
        pool.submit("behind", Some(1), || ());
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
        assert!(!noted(|notes| notes.begun.contains(&"behind")), "two at once in a lane");
        leaving.open();
        pool.until_done("behind");
        ending.open();
        pool.finish(vec!["stuck", "behind", "healthy"]);
    });
}

#[test]
fn jobs_of_a_lane_are_done_in_their_order_however_often_their_worker_is_taken_for_stuck() {
    model_with(2, || {
        let pool = Workers::new(MANY);
        let looking = thread::spawn(move || (0..2).for_each(|begun| pool.0.watch(begun)));
        for name in ["a", "b", "c"] {
            pool.submit(name, Some(1), || ());
        }
        pool.until_done("c");
        assert_eq!(noted(|notes| notes.begun.clone()), ["a", "b", "c"]);
        looking.join().unwrap();
        pool.finish(vec!["a", "b", "c"]);
    });
}

#[test]
fn jobs_that_are_submitted_first_go_before_those_that_wait_for_their_lane() {
    model_with(2, || {
        let pool = Workers::new(MANY);
        let gate = pool.submit_stuck("stuck", 1);
        pool.submit("behind", Some(1), || ());
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
        let first = |name| Task { name, lane: Some(1), body: Box::new(move || pool.0.leave_lane(1)) };
        pool.0.submit_first(["first", "second"].map(first).into_iter());
        gate.open();
        pool.until_done("behind");
        let begun = noted(|notes| notes.begun.clone());
        let of_lane: Vec<_> = begun.into_iter().filter(|&name| name != "healthy").collect();
        assert_eq!(of_lane, ["stuck", "first", "second", "behind"]);
        pool.finish(vec!["stuck", "first", "second", "behind", "healthy"]);
    });
}

#[test]
fn a_job_waits_in_the_list_while_all_threads_there_can_be_are_stuck() {
    model_with(2, || {
        let pool = Workers::new(Limits { threads: 2, blocked: 2 });
        let [one, other] = [("one", 1), ("other", 2)].map(|(name, lane)| pool.submit_stuck(name, lane));
        pool.submit_healthy("healthy");
        pool.until(|notes| notes.begun.len() == 2);
        other.open();
        pool.until_done("healthy");
        assert!(!noted(|notes| notes.done.contains(&"one")));
        one.open();
        pool.finish(vec!["one", "other", "healthy"]);
    });
}

#[test]
fn a_worker_that_comes_back_at_the_limit_and_is_stuck_again_hides_no_job() {
    model_with(2, || {
        let pool = Workers::new(Limits { threads: 2, blocked: 2 });
        let gates = [("a", 1), ("b", 2), ("c", 3)].map(|(name, lane)| pool.submit_stuck(name, lane));
        pool.submit_healthy("healthy");
        pool.until(|notes| notes.begun.len() == 2);
        gates[0].open();
        pool.until(|notes| notes.begun.len() == 3);
        gates[1].open();
        pool.until_done("healthy");
        gates[2].open();
        pool.finish(vec!["a", "b", "c", "healthy"]);
    });
}

#[test]
fn a_worker_that_blocks_leaves_another_for_jobs_to_come_though_the_system_gives_no_more() {
    model_with(2, || {
        let pool = Workers::new(MANY);
        limit_threads(2);
        let gate = Gate::default();
        let block = gate.clone();
        pool.submit("blocks", None, move || {
            let blocked = pool.0.blocking(|| {
                note(|notes| notes.begun.push("blocked"));
                block.pass();
            });
            assert!(blocked.is_some());
        });
        pool.until(|notes| notes.begun.contains(&"blocked"));
        // Whoever has nothing to do would end.
        pass(LONG);
        limit_threads(0);
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
        gate.open();
        pool.finish(vec!["blocks", "healthy"]);
    });
}

#[test]
fn of_all_workers_there_can_be_one_does_not_block() {
    model_with(2, || {
        let pool = Workers::new(MANY);
        limit_threads(2);
        let gate = Gate::default();
        for name in ["a", "b"] {
            let block = gate.clone();
            pool.submit(name, None, move || {
                if pool.0.blocking(|| block.pass()).is_none() {
                    note(|notes| notes.begun.push("not blocked"));
                }
            });
        }
        pool.until(|notes| notes.begun.contains(&"not blocked"));
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
        gate.open();
        pool.finish(vec!["a", "b", "healthy"]);
    });
}

#[test]
fn a_worker_that_comes_back_from_blocking_and_is_stuck_hides_no_job() {
    model_with(2, || {
        let pool = Workers::new(MANY);
        let gate = Gate::default();
        let stuck = gate.clone();
        pool.submit("blocks", Some(1), move || {
            pool.0.blocking(|| ());
            stuck.pass();
        });
        pool.submit_healthy("a");
        pool.submit_healthy("b");
        pool.until(|notes| ["a", "b"].iter().all(|name| notes.done.contains(name)));
        gate.open();
        pool.finish(vec!["blocks", "a", "b"]);
    });
}

#[test]
fn the_last_worker_stays_for_a_job_to_come() {
    model_with(3, || {
        let pool = Workers::new(MANY);
        pool.submit_healthy("first");
        pool.until_done("first");
        limit_threads(0);
        // It has parked, or not yet.
        pass(LONG);
        pass(LONG);
        pool.submit_healthy("later");
        pool.finish(vec!["first", "later"]);
    });
}

#[test]
fn of_idle_workers_all_but_one_end_and_a_job_that_comes_meanwhile_is_done() {
    model_with(2, || {
        let pool = Workers::new(MANY);
        let gate = pool.submit_stuck("stuck", 1);
        pool.submit_healthy("healthy");
        pool.until_done("healthy");
        limit_threads(0);
        gate.open();
        pass(LONG);
        pool.submit_healthy("later");
        pool.finish(vec!["stuck", "healthy", "later"]);
    });
}

#[test]
fn jobs_are_refused_where_there_is_no_thread_at_all() {
    model_with(3, || {
        let pool = Workers::new(MANY);
        limit_threads(0);
        let other = thread::spawn(move || pool.submit_healthy("a"));
        pool.submit_healthy("b");
        other.join().unwrap();
        let mut refused = noted(|notes| notes.refused.clone());
        refused.sort_unstable();
        assert_eq!(refused, ["a", "b"]);
    });
}

#[test]
fn a_job_stays_in_the_list_where_the_system_refuses_another_thread_and_it_is_asked_again() {
    model_with(2, || {
        let pool = Workers::new(MANY);
        limit_threads(1);
        let gate = pool.submit_stuck("stuck", 1);
        pool.submit_healthy("healthy");
        pool.until(|notes| notes.retries > 0);
        assert!(noted(|notes| notes.refused.is_empty()));
        limit_threads(1);
        pool.until_done("healthy");
        gate.open();
        pool.finish(vec!["stuck", "healthy"]);
    });
}
