//! The timekeeper: timers that are added while its thread is busy, asleep or about to end; and deadlines that call a
//! thread back from the kernel.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use locket::core::kernel::LockMode::Exclusive;
use locket::core::sync::modelled::{pass, pass_until_threads_end};
use locket::core::sync::now;
use locket::core::timekeeper::Timekeeper;
use loom::thread;

use crate::process::{Client, Process, Way};
use crate::{bounded_model, model_with};

const SECOND: Duration = Duration::from_secs(1);
/// Longer than the thread stays without a timer.
const LONG: Duration = Duration::from_secs(60);

/// Notes by what name it was fired, and when.
struct Note {
    name: &'static str,
    fired: Arc<Mutex<Vec<(&'static str, Instant)>>>,
}

impl Note {
    fn fire(self) {
        let now = now();
        self.fired.lock().unwrap().push((self.name, now));
    }
}

/// A timekeeper of one run of a model, which it outlives: those of the addon are static.
struct Keeper {
    timekeeper: &'static Timekeeper<Note>,
    fired: Arc<Mutex<Vec<(&'static str, Instant)>>>,
    begin: Instant,
}

impl Keeper {
    fn new() -> Self {
        let timekeeper = Box::leak(Box::new(Timekeeper::new(Note::fire, Some(10 * SECOND))));
        Self { timekeeper, fired: Arc::default(), begin: now() }
    }

    fn add(&self, name: &'static str, after: Duration, number: u64) {
        assert!(self.timekeeper.add((self.begin + after, number), Note { name, fired: self.fired.clone() }));
    }

    /// What was fired, in its order. Nothing before its time.
    fn fired(&self) -> Vec<&'static str> {
        self.fired.lock().unwrap().iter().map(|&(name, _)| name).collect()
    }

    /// Is `name` fired, without more time than has passed?
    fn fires(&self, name: &str) {
        while !self.fired().contains(&name) {
            thread::yield_now();
        }
    }
}

#[test]
fn timers_that_are_added_at_once_are_each_fired_once() {
    bounded_model(|| {
        let keeper = Arc::new(Keeper::new());
        let adding = {
            let keeper = keeper.clone();
            thread::spawn(move || keeper.add("later", 2 * SECOND, 1))
        };
        keeper.add("sooner", SECOND, 2);
        adding.join().unwrap();
        pass(SECOND);
        keeper.fires("sooner");
        assert_eq!(keeper.fired(), ["sooner"], "one was fired before its time");
        pass(SECOND);
        keeper.fires("later");
        pass_until_threads_end();
        assert_eq!(keeper.fired(), ["sooner", "later"]);
    });
}

#[test]
fn a_timer_that_is_due_before_the_one_it_sleeps_for_is_fired_in_time() {
    bounded_model(|| {
        let keeper = Keeper::new();
        keeper.add("later", LONG, 1);
        keeper.add("sooner", SECOND, 2);
        pass(SECOND);
        keeper.fires("sooner");
        assert_eq!(keeper.fired(), ["sooner"]);
        pass_until_threads_end();
        assert_eq!(keeper.fired(), ["sooner", "later"]);
    });
}

#[test]
fn a_timer_that_comes_while_the_thread_ends_is_fired() {
    bounded_model(|| {
        let keeper = Keeper::new();
        keeper.add("first", Duration::ZERO, 1);
        // The thread has nothing to do any more, or has not come to it yet.
        pass(LONG);
        keeper.add("second", LONG, 2);
        keeper.fires("second");
        pass_until_threads_end();
        assert_eq!(keeper.fired(), ["first", "second"]);
    });
}

#[test]
fn a_timer_that_is_taken_away_is_fired_before_or_never() {
    bounded_model(|| {
        let keeper = Keeper::new();
        keeper.add("wanted", SECOND, 1);
        keeper.add("unwanted", SECOND, 2);
        let key = (keeper.begin + SECOND, 2);
        pass(SECOND);
        keeper.timekeeper.remove(key);
        let before = keeper.fired();
        pass_until_threads_end();
        let after = keeper.fired();
        assert!(after.contains(&"wanted"));
        assert!(after.len() <= 2, "{before:?}, then {after:?}");
    });
}

#[test]
fn the_thread_does_not_stay_for_a_timer_that_was_taken_away() {
    bounded_model(|| {
        let keeper = Keeper::new();
        keeper.add("unwanted", 100 * LONG, 1);
        keeper.timekeeper.remove((keeper.begin + 100 * LONG, 1));
        pass_until_threads_end();
        assert!(now() - keeper.begin < 100 * LONG, "it has stayed until then");
        assert!(keeper.fired().is_empty());
    });
}

/// What the engine's timers do for a wait in the kernel.
enum Timer {
    Deadline,
    Interrupt,
}

/// How soon a thread is called back again.
const AGAIN: Duration = Duration::from_millis(1);

/// A wait with a deadline for a lock that another process has.
#[derive(Clone)]
struct Wait {
    process: Process,
    client: Client,
    timekeeper: &'static Timekeeper<(Timer, Wait)>,
    deadline: Arc<Event>,
}

impl Wait {
    fn new() -> Self {
        let process = Process::waiting(Way::Blocked);
        process.kernel.others_lock(Some(Exclusive));
        let client = process.waiter_until(now() + SECOND);
        let timekeeper = Box::leak(Box::new(Timekeeper::new(Self::fire, Some(10 * SECOND))));
        let wait = Self { process, client, timekeeper, deadline: Arc::default() };
        wait.add(SECOND, Timer::Deadline);
        wait
    }

    fn add(&self, after: Duration, timer: Timer) {
        assert!(self.timekeeper.add((now() + after, 0), (timer, self.clone())));
    }

    fn fire((timer, wait): (Timer, Self)) {
        let Self { process, client, deadline, .. } = &wait;
        match timer {
            Timer::Deadline => {
                if process.expire(client) {
                    wait.add(AGAIN, Timer::Interrupt);
                }
                deadline.happen();
            }
            Timer::Interrupt => {
                // By now it has come so far. Once more would be in vain.
                process.kernel.wait_until_asked();
                process.file.interrupt_again();
            }
        }
    }

    /// Lets the deadline come, and then so much time pass that a thread is called back again.
    fn let_time_pass(&self) {
        pass(SECOND);
        self.deadline.wait();
        pass(AGAIN);
    }
}

/// Something that happens once, and is waited for.
#[derive(Default)]
struct Event {
    happened: loom::sync::Mutex<bool>,
    changed: loom::sync::Condvar,
}

impl Event {
    fn happen(&self) {
        *self.happened.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut happened = self.happened.lock().unwrap();
        while !*happened {
            happened = self.changed.wait(happened).unwrap();
        }
    }
}

#[test]
fn a_deadline_gets_a_thread_out_of_the_kernel_though_its_first_signal_may_be_lost() {
    bounded_model(|| {
        let wait = Wait::new();
        let Wait { process, client, .. } = &wait;
        let entering = process.entering(client);
        wait.let_time_pass();
        entering.join().unwrap();
        pass_until_threads_end();
        assert_eq!(client.outcome(), Some("timed out"));
        process.assert_all_gone();
    });
}

#[test]
fn a_deadline_and_a_lock_that_comes_end_in_one_of_them() {
    // Four threads: with one preemption more it takes ten seconds.
    model_with(2, || {
        let wait = Wait::new();
        let Wait { process, client, .. } = &wait;
        let threads = [process.entering(client), process.others_unlocking()];
        wait.let_time_pass();
        for thread in threads {
            thread.join().unwrap();
        }
        pass_until_threads_end();
        process.release_or(client, "timed out");
        process.assert_all_gone();
    });
}
