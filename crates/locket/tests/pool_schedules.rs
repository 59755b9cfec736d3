//! The pool, under any schedule of jobs that are healthy, stuck or blocked, with and without lanes: healthy jobs are done
//! while the others stay stuck, and those of a lane in their order, one at a time.
#![cfg(target_os = "linux")]

mod fuzz;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use fuzz::check;
use locket::core::pool::{Job, Limits, Pool};
use proptest::collection;
use proptest::prelude::*;

/// It only bounds how long a failure takes.
const PATIENCE: Duration = Duration::from_secs(20);
const LIMITS: Limits = Limits { threads: 6, blocked: 3 };
const LANES: usize = 3;

static ARMED: AtomicU64 = AtomicU64::new(0);
/// One for all schedules: each begins with the threads that the one before it has left.
static POOL: LazyLock<Pool<Task>> = LazyLock::new(|| {
    Pool::new(LIMITS, |pause, number| {
        ARMED.store(number, Ordering::Relaxed);
        thread::spawn(move || {
            thread::sleep(pause);
            POOL.watch(number);
        });
    })
});
/// How many jobs are under way: each has a thread.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// What a job does once it has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Healthy,
    /// Is stuck until it is ended, and keeps its lane.
    Stuck,
    /// Leaves its lane, and is stuck then.
    StuckOutside,
    /// Leaves its lane, and blocks in the kernel if it may.
    Blocks,
    /// Leaves its lane, and panics.
    Panics,
}

#[derive(Clone, Debug)]
enum Step {
    Submit(Kind, Option<usize>),
    /// Before all others, if a job that has begun keeps the lane.
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
        1 => Just(Kind::StuckOutside),
        1 => Just(Kind::Blocks),
        1 => Just(Kind::Panics),
    ];
    let lane = prop::option::of(0..LANES);
    let step = prop_oneof![
        8 => (kind, lane).prop_map(|(kind, lane)| Step::Submit(kind, lane)),
        1 => (0..LANES).prop_map(Step::SubmitFirst),
        3 => any::<prop::sample::Index>().prop_map(Step::End),
        1 => any::<bool>().prop_map(Step::Watch),
    ];
    // As it is: to look for a smaller one takes the patience again and again.
    collection::vec(step, 1..30).no_shrink()
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Begun(usize),
    Done(usize),
}

struct Task {
    number: usize,
    kind: Kind,
    lane: Option<usize>,
    events: Sender<Event>,
    end: Receiver<()>,
    in_lane: Arc<[AtomicBool; LANES]>,
}

/// What is told when a job ends, also by a panic.
struct Ending<'a>(&'a Task);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
        let _ = self.0.events.send(Event::Done(self.0.number));
    }
}

impl Task {
    /// Waits until it is ended.
    fn wait(&self) {
        let _ = self.end.recv();
    }

    fn leave_lane(&self) {
        if let Some(lane) = self.lane {
            self.in_lane[lane].store(false, Ordering::SeqCst);
            POOL.leave_lane(lane as u64);
        }
    }
}

impl Job for Task {
    fn run(self) {
        let together = UNDER_WAY.fetch_add(1, Ordering::SeqCst);
        let ending = Ending(&self);
        assert!(together < LIMITS.threads, "more threads than there may be");
        if let Some(lane) = self.lane {
            assert!(!self.in_lane[lane].swap(true, Ordering::SeqCst), "two at once in a lane");
        }
        self.events.send(Event::Begun(self.number)).unwrap();
        if self.kind != Kind::Stuck {
            self.leave_lane();
        }
        match self.kind {
            Kind::Healthy => {}
            Kind::Stuck | Kind::StuckOutside => self.wait(),
            Kind::Blocks => {
                POOL.blocking(|| self.wait());
            }
            Kind::Panics => std::panic::resume_unwind(Box::new("on purpose")),
        }
        if self.kind == Kind::Stuck {
            self.leave_lane();
        }
        drop(ending);
    }

    fn refuse(self) {
        panic!("the system has threads");
    }

    fn lane(&self) -> Option<u64> {
        self.lane.map(|lane| lane as u64)
    }
}

/// What is known of a schedule under way.
struct Schedule {
    kinds: Vec<(Kind, Option<usize>)>,
    /// Of each lane, those that have not begun as far as is known, in the order in which they must.
    waiting: [VecDeque<usize>; LANES],
    /// Which job keeps a lane, as far as is known.
    kept: [Option<usize>; LANES],
    /// Those that can be ended.
    ends: BTreeMap<usize, Sender<()>>,
    /// Those that have a thread until they are ended.
    standing: BTreeSet<usize>,
    due: BTreeSet<usize>,
    begun: Vec<usize>,
    done: BTreeSet<usize>,
    /// The order in which those of each lane must begin.
    order: [Vec<usize>; LANES],
    sender: Sender<Event>,
    events: Receiver<Event>,
    in_lane: Arc<[AtomicBool; LANES]>,
}

impl Schedule {
    fn new() -> Self {
        let (sender, events) = channel();
        Self {
            kinds: Vec::new(),
            waiting: Default::default(),
            kept: [None; LANES],
            ends: BTreeMap::new(),
            standing: BTreeSet::new(),
            due: BTreeSet::new(),
            begun: Vec::new(),
            done: BTreeSet::new(),
            order: Default::default(),
            sender,
            events,
            in_lane: Arc::default(),
        }
    }

    fn task(&mut self, kind: Kind, lane: Option<usize>) -> Task {
        let number = self.kinds.len();
        self.kinds.push((kind, lane));
        let (sender, end) = channel();
        if !matches!(kind, Kind::Healthy | Kind::Panics) {
            self.ends.insert(number, sender);
        }
        Task { number, kind, lane, events: self.sender.clone(), end, in_lane: self.in_lane.clone() }
    }

    fn submit(&mut self, kind: Kind, lane: Option<usize>) {
        let task = self.task(kind, lane);
        let number = task.number;
        POOL.submit(task);
        match lane {
            Some(lane) => self.waiting[lane].push_back(number),
            None => self.begins(number),
        }
        self.go_on();
    }

    fn submit_first(&mut self, lane: usize) {
        let keeps = self.kept[lane].is_some_and(|number| self.has_room() && self.wait_until_begun(number));
        if !keeps {
            return self.submit(Kind::Healthy, Some(lane));
        }
        let tasks = [(); 2].map(|()| self.task(Kind::Healthy, Some(lane)));
        for task in tasks.iter().rev() {
            self.waiting[lane].push_front(task.number);
        }
        POOL.submit_first(tasks.into_iter());
    }

    fn end(&mut self, number: usize) {
        self.ends.remove(&number).unwrap().send(()).unwrap_or(());
        if self.standing.remove(&number) {
            self.due.insert(number);
        }
        for kept in &mut self.kept {
            kept.take_if(|kept| *kept == number);
        }
        self.go_on();
    }

    /// Those whose lane is free begin.
    fn go_on(&mut self) {
        for lane in 0..LANES {
            while self.kept[lane].is_none()
                && let Some(number) = self.waiting[lane].pop_front()
            {
                self.order[lane].push(number);
                self.begins(number);
            }
        }
    }

    fn begins(&mut self, number: usize) {
        let (kind, lane) = self.kinds[number];
        if !self.ends.contains_key(&number) {
            // It ends by itself, or has been told to before it began.
            self.due.insert(number);
            return;
        }
        self.standing.insert(number);
        if let (Kind::Stuck, Some(lane)) = (kind, lane) {
            self.kept[lane] = Some(number);
        }
    }

    /// Is a thread left for those that are not stuck?
    fn has_room(&self) -> bool {
        self.standing.len() < LIMITS.threads
    }

    fn hear(&mut self) {
        match self.events.recv_timeout(PATIENCE) {
            Ok(Event::Begun(number)) => self.begun.push(number),
            Ok(Event::Done(number)) => assert!(self.done.insert(number), "{number} was done twice"),
            Err(_) => panic!("nobody does {:?}", self.due.difference(&self.done)),
        }
    }

    fn wait_until_begun(&mut self, number: usize) -> bool {
        while !self.begun.contains(&number) {
            self.hear();
        }
        true
    }

    /// All that can be done are done while the others are stuck.
    fn wait_until_done(&mut self) {
        while !self.due.is_subset(&self.done) {
            self.hear();
        }
    }
}

#[test]
fn healthy_jobs_are_done_whatever_is_stuck_and_those_of_a_lane_in_their_order() {
    check(steps(), |steps| {
        let mut schedule = Schedule::new();
        for step in steps {
            match step {
                Step::Submit(kind, lane) => schedule.submit(kind, lane),
                Step::SubmitFirst(lane) => schedule.submit_first(lane),
                Step::End(index) => {
                    let numbers: Vec<_> = schedule.ends.keys().copied().collect();
                    if !numbers.is_empty() {
                        schedule.end(*index.get(&numbers));
                    }
                }
                Step::Watch(just_now) => POOL.watch(if just_now { ARMED.load(Ordering::Relaxed) } else { 0 }),
            }
            if schedule.has_room() {
                schedule.wait_until_done();
            }
        }
        while let Some(&number) = schedule.ends.keys().next() {
            schedule.end(number);
        }
        schedule.wait_until_done();
        prop_assert_eq!(schedule.done.len(), schedule.kinds.len());
        for (lane, order) in schedule.order.iter().enumerate() {
            let begun: Vec<_> =
                schedule.begun.iter().filter(|&&job| schedule.kinds[job].1 == Some(lane)).collect();
            prop_assert_eq!(begun, order.iter().collect::<Vec<_>>(), "lane {}", lane);
        }
        Ok(())
    });
}
