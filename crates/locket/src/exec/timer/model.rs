//! Models of the timer thread: timers that are added and removed while it is asleep, awake or about to be either, and its
//! end.
//!
//! A timer that is not fired, or a thread that does not end, leaves the model with nothing but threads that wait, which
//! loom reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::{Due, TimerThread};
use crate::sync::modelled::{join_threads, limit_threads, pass};
use crate::sync::now;

const SECOND: Duration = Duration::from_secs(1);

/// How often a thread is preempted at most: there are too many interleavings to go through all of them.
const PREEMPTIONS: usize = 3;

/// Notes that it was fired, and then does something.
struct Timer {
    name: &'static str,
    time: Instant,
    timers: Timers,
    act: Box<dyn FnOnce() + Send>,
}

impl Due for Timer {
    fn fire(self) {
        let name = if now() < self.time { "too early" } else { self.name };
        self.timers.fired.0.lock().unwrap().push(name);
        self.timers.fired.1.notify_one();
        (self.act)();
    }
}

/// The timers of one run of a model. They are dropped with the last timer, if not before.
#[derive(Clone)]
struct Timers {
    thread: Arc<TimerThread<Timer>>,
    fired: Arc<(Mutex<Vec<&'static str>>, Condvar)>,
    begin: Instant,
}

impl Timers {
    /// Adds a timer that is due so long after the beginning.
    fn add(&self, name: &'static str, after: Duration) -> bool {
        self.add_acting(name, after, || ())
    }

    fn add_acting(&self, name: &'static str, after: Duration, act: impl FnOnce() + Send + 'static) -> bool {
        let time = self.begin + after;
        let key = (time, Self::number(name));
        self.thread.add(key, Timer { name, time, timers: self.clone(), act: Box::new(act) })
    }

    fn remove(&self, name: &'static str, after: Duration) {
        self.thread.remove((self.begin + after, Self::number(name)));
    }

    fn number(name: &str) -> u64 {
        name.bytes().map(u64::from).sum()
    }

    /// Waits until exactly these have been fired, in this order.
    fn until_fired(&self, names: &[&str]) {
        let mut fired = self.fired.0.lock().unwrap();
        while fired.len() < names.len() {
            fired = self.fired.1.wait(fired).unwrap();
        }
        assert_eq!(*fired, names);
    }
}

fn model(body: impl Fn(Timers) + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(move || {
        body(Timers { thread: Arc::new(TimerThread::new()), fired: Arc::default(), begin: now() });
        join_threads();
    });
}

#[test]
fn timers_that_are_added_at_once_are_each_fired_in_time() {
    model(|timers| {
        let other = timers.clone();
        let adding = thread::spawn(move || assert!(other.add("later", 2 * SECOND)));
        assert!(timers.add("sooner", SECOND));
        adding.join().unwrap();
        pass(SECOND);
        timers.until_fired(&["sooner"]);
        pass(SECOND);
        timers.until_fired(&["sooner", "later"]);
    });
}

#[test]
fn a_timer_that_is_due_before_the_one_for_which_the_thread_sleeps_is_fired_in_time() {
    model(|timers| {
        assert!(timers.add("later", 2 * SECOND));
        assert!(timers.add("sooner", SECOND));
        pass(SECOND);
        timers.until_fired(&["sooner"]);
        pass(SECOND);
        timers.until_fired(&["sooner", "later"]);
    });
}

#[test]
fn the_thread_stays_for_a_later_timer_and_no_other_is_needed() {
    model(|timers| {
        assert!(timers.add("first", Duration::ZERO));
        limit_threads(0);
        pass(1000 * SECOND);
        assert!(timers.add("second", 1000 * SECOND));
        timers.until_fired(&["first", "second"]);
    });
}

#[test]
fn a_timer_that_is_removed_in_time_is_not_fired() {
    model(|timers| {
        assert!(timers.add("removed", SECOND));
        assert!(timers.add("other", 2 * SECOND));
        timers.remove("removed", SECOND);
        pass(2 * SECOND);
        timers.until_fired(&["other"]);
    });
}

#[test]
fn a_timer_adds_another_one_and_a_panic_of_a_timer_is_not_the_end() {
    model(|timers| {
        let adding = timers.clone();
        timers.add_acting("first", SECOND, move || {
            assert!(adding.add("second", SECOND));
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        pass(SECOND);
        timers.until_fired(&["first", "second"]);
    });
}

#[test]
fn a_timer_is_refused_where_there_is_no_thread_and_none_after_there_is_one() {
    model(|timers| {
        limit_threads(0);
        assert!(!timers.thread.start());
        assert!(!timers.add("refused", SECOND));
        limit_threads(1);
        assert!(timers.thread.start());
        limit_threads(0);
        assert!(timers.add("fired", SECOND));
        pass(SECOND);
        timers.until_fired(&["fired"]);
    });
}

#[test]
fn the_thread_ends_when_its_timers_are_dropped_and_fires_none_that_is_left() {
    model(|timers| {
        let fired = timers.fired.clone();
        let thread = TimerThread::new();
        // It has no part in its own thread, so that it is dropped below.
        let left = Timer { name: "left", time: timers.begin + SECOND, timers, act: Box::new(|| ()) };
        assert!(thread.add((left.time, 0), left));
        drop(thread);
        pass(SECOND);
        join_threads();
        assert!(fired.0.lock().unwrap().is_empty());
    });
}

#[test]
fn the_thread_ends_when_it_drops_its_timers_itself() {
    model(|timers| {
        let fired = timers.fired.clone();
        assert!(timers.add("last", SECOND));
        drop(timers);
        pass(SECOND);
        join_threads();
        assert_eq!(*fired.0.lock().unwrap(), ["last"]);
    });
}
