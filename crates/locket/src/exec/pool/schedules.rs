//! The pool under any schedule of jobs that are healthy, stuck or blocked, with and without keys: healthy jobs are done
//! while the others stay stuck, and those with one key in their order, one at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use proptest::collection;
use proptest::prelude::*;

use super::{Job, Limits, Pool};
use crate::exec::Guard;
use crate::fuzz::check;

/// It only limits how long a failure takes.
const PATIENCE: Duration = Duration::from_secs(20);
const LIMITS: Limits = Limits { threads: 6, blocked: 3 };
const KEYS: usize = 3;

/// What a job does once it has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Healthy,
    /// Is stuck until it is ended, and then frees its key.
    Stuck,
    /// Frees its key, and then is stuck.
    StuckWithoutKey,
    /// Frees its key, and blocks in the kernel if it may.
    Blocks,
    /// Frees its key, and panics.
    Panics,
}

#[derive(Clone, Debug)]
enum Step {
    Submit(Kind, Option<usize>),
    /// Before all others, if a job that has begun keeps the key.
    SubmitFirst(usize),
    /// Ends one of those that are stuck or blocked.
    End(prop::sample::Index),
    /// A watch fires that was armed long ago, or just now.
    Watch(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![
        4 => Just(Kind::Healthy),
        2 => Just(Kind::Stuck),
        1 => Just(Kind::StuckWithoutKey),
        1 => Just(Kind::Blocks),
        1 => Just(Kind::Panics),
    ];
    let step = prop_oneof![
        8 => (kind, prop::option::of(0..KEYS)).prop_map(|(kind, key)| Step::Submit(kind, key)),
        1 => (0..KEYS).prop_map(Step::SubmitFirst),
        3 => any::<prop::sample::Index>().prop_map(Step::End),
        1 => any::<bool>().prop_map(Step::Watch),
    ];
    // Not shrunk: each smaller case that fails would take the patience again.
    collection::vec(step, 1..30).no_shrink()
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Begun(usize),
    Done(usize),
}

/// The pool, and what its jobs check.
struct Workers {
    pool: Pool<Task>,
    /// The number of the last watch.
    armed: AtomicU64,
    /// How many jobs are under way.
    under_way: AtomicUsize,
    /// The keys that jobs under way have.
    taken: [AtomicBool; KEYS],
}

impl Workers {
    fn new() -> Arc<Self> {
        Arc::new_cyclic(|workers: &Weak<Self>| {
            let workers = workers.clone();
            let arm = move |pause, begun| {
                let Some(armed) = workers.upgrade() else { return };
                armed.armed.store(begun, Ordering::Relaxed);
                let workers = workers.clone();
                thread::spawn(move || {
                    thread::sleep(pause);
                    workers.upgrade().into_iter().for_each(|workers| workers.pool.watch(begun));
                });
            };
            Self {
                pool: Pool::new(LIMITS, arm),
                armed: AtomicU64::default(),
                under_way: AtomicUsize::default(),
                taken: Default::default(),
            }
        })
    }
}

struct Task {
    number: usize,
    kind: Kind,
    key: Option<usize>,
    workers: Arc<Workers>,
    events: Sender<Event>,
    end: Receiver<()>,
}

impl Task {
    /// Waits until the job is ended.
    fn wait(&self) {
        let _ = self.end.recv();
    }

    fn free_key(&self) {
        if let Some(key) = self.key {
            self.workers.taken[key].store(false, Ordering::SeqCst);
            self.workers.pool.free_key(key as u64);
        }
    }
}

impl Job for Task {
    fn run(self) {
        let Workers { pool, under_way, taken, .. } = &*self.workers;
        let together = under_way.fetch_add(1, Ordering::SeqCst);
        let _ending = Guard::new(|| {
            under_way.fetch_sub(1, Ordering::SeqCst);
            let _ = self.events.send(Event::Done(self.number));
        });
        assert!(together < LIMITS.threads, "more threads than there may be");
        if let Some(key) = self.key {
            assert!(!taken[key].swap(true, Ordering::SeqCst), "two at once with one key");
        }
        self.events.send(Event::Begun(self.number)).unwrap();
        if self.kind != Kind::Stuck {
            self.free_key();
        }
        match self.kind {
            Kind::Healthy => {}
            Kind::Stuck | Kind::StuckWithoutKey => self.wait(),
            Kind::Blocks => {
                pool.blocking(|| self.wait());
            }
            Kind::Panics => std::panic::resume_unwind(Box::new("on purpose")),
        }
        if self.kind == Kind::Stuck {
            self.free_key();
        }
    }

    fn refuse(self) {
        panic!("the system has threads");
    }

    fn order_key(&self) -> Option<u64> {
        self.key.map(|key| key as u64)
    }
}

/// What is known of a schedule under way.
struct Schedule {
    workers: Arc<Workers>,
    jobs: Vec<(Kind, Option<usize>)>,
    /// For each key, the jobs that wait for it, in their order.
    waiting: [VecDeque<usize>; KEYS],
    /// For each key, the stuck job that keeps it.
    keeper: [Option<usize>; KEYS],
    /// For each key, the order in which its jobs must begin.
    order: [Vec<usize>; KEYS],
    /// How to end those that do not end by themselves.
    ends: BTreeMap<usize, Sender<()>>,
    /// Those that have a thread until they are ended.
    standing: BTreeSet<usize>,
    /// Those that must be done by and by.
    due: BTreeSet<usize>,
    begun: Vec<usize>,
    done: BTreeSet<usize>,
    sender: Sender<Event>,
    events: Receiver<Event>,
}

impl Schedule {
    fn new(workers: &Arc<Workers>) -> Self {
        let (sender, events) = channel();
        Self {
            workers: workers.clone(),
            jobs: Vec::new(),
            waiting: Default::default(),
            keeper: [None; KEYS],
            order: Default::default(),
            ends: BTreeMap::new(),
            standing: BTreeSet::new(),
            due: BTreeSet::new(),
            begun: Vec::new(),
            done: BTreeSet::new(),
            sender,
            events,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            &Step::Submit(kind, key) => self.submit(kind, key),
            &Step::SubmitFirst(key) => self.submit_first(key),
            Step::End(index) => {
                let numbers: Vec<_> = self.ends.keys().copied().collect();
                if !numbers.is_empty() {
                    self.end(*index.get(&numbers));
                }
            }
            Step::Watch(just_now) => {
                let armed = self.workers.armed.load(Ordering::Relaxed);
                self.workers.pool.watch(if *just_now { armed } else { 0 });
            }
        }
    }

    fn task(&mut self, kind: Kind, key: Option<usize>) -> Task {
        let number = self.jobs.len();
        self.jobs.push((kind, key));
        let (sender, end) = channel();
        if !matches!(kind, Kind::Healthy | Kind::Panics) {
            self.ends.insert(number, sender);
        }
        Task { number, kind, key, workers: self.workers.clone(), events: self.sender.clone(), end }
    }

    fn submit(&mut self, kind: Kind, key: Option<usize>) {
        let task = self.task(kind, key);
        match key {
            Some(key) => self.waiting[key].push_back(task.number),
            None => self.on_begin(task.number),
        }
        self.workers.pool.submit(task);
        self.proceed();
    }

    fn submit_first(&mut self, key: usize) {
        let Some(keeper) = self.keeper[key].filter(|_| self.has_room()) else {
            return self.submit(Kind::Healthy, Some(key));
        };
        self.wait_until(|schedule| schedule.begun.contains(&keeper));
        let tasks = [(); 2].map(|()| self.task(Kind::Healthy, Some(key)));
        for task in tasks.iter().rev() {
            self.waiting[key].push_front(task.number);
        }
        self.workers.pool.submit_first(tasks.into_iter());
    }

    fn end(&mut self, number: usize) {
        // It may have ended without, where it was not to block.
        let _ = self.ends.remove(&number).unwrap().send(());
        if self.standing.remove(&number) {
            self.due.insert(number);
        }
        for keeper in &mut self.keeper {
            keeper.take_if(|keeper| *keeper == number);
        }
        self.proceed();
    }

    /// Notes the jobs that begin, now that their key is free.
    fn proceed(&mut self) {
        for key in 0..KEYS {
            while self.keeper[key].is_none()
                && let Some(number) = self.waiting[key].pop_front()
            {
                self.order[key].push(number);
                self.on_begin(number);
            }
        }
    }

    fn on_begin(&mut self, number: usize) {
        if !self.ends.contains_key(&number) {
            // It ends by itself, or has been told to before it began.
            self.due.insert(number);
            return;
        }
        self.standing.insert(number);
        if let (Kind::Stuck, Some(key)) = self.jobs[number] {
            self.keeper[key] = Some(number);
        }
    }

    /// Returns true if a thread is left for those that are not stuck.
    fn has_room(&self) -> bool {
        self.standing.len() < LIMITS.threads
    }

    fn wait_until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            let event = self.events.recv_timeout(PATIENCE);
            match event.unwrap_or_else(|_| panic!("not done: {:?}", self.due.difference(&self.done))) {
                Event::Begun(number) => self.begun.push(number),
                Event::Done(number) => assert!(self.done.insert(number), "{number} was done twice"),
            }
        }
    }

    fn wait_until_done(&mut self) {
        self.wait_until(|schedule| schedule.due.is_subset(&schedule.done));
    }
}

#[test]
fn healthy_jobs_are_done_whatever_is_stuck_and_those_with_one_key_in_their_order() {
    // One for all schedules: each begins with the threads that the one before it has left.
    let workers = Workers::new();
    check(steps(), |steps| {
        let mut schedule = Schedule::new(&workers);
        for step in &steps {
            schedule.take(step);
            if schedule.has_room() {
                schedule.wait_until_done();
            }
        }
        while let Some(&number) = schedule.ends.keys().next() {
            schedule.end(number);
        }
        schedule.wait_until_done();
        prop_assert_eq!(schedule.done.len(), schedule.jobs.len());
        for (key, order) in schedule.order.iter().enumerate() {
            let begun = schedule.begun.iter().filter(|&&number| schedule.jobs[number].1 == Some(key));
            prop_assert_eq!(begun.collect::<Vec<_>>(), order.iter().collect::<Vec<_>>(), "key {}", key);
        }
        Ok(())
    });
}
