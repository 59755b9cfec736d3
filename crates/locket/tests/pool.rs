//! The pool alone, with jobs that tell what becomes of them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use locket::core::pool::{Job, Limits, Pool};

const PATIENCE: Duration = Duration::from_secs(20);

struct Task {
    run: Box<dyn FnOnce() + Send>,
    lane: Option<u64>,
}

impl Job for Task {
    fn run(self) {
        (self.run)();
    }

    fn refuse(self) {
        panic!("the system has threads");
    }

    fn lane(&self) -> Option<u64> {
        self.lane
    }
}

/// A pool that nobody watches.
fn unwatched() -> Pool<Task> {
    Pool::new(Limits::default(), |_, _| ())
}

fn task(run: impl FnOnce() + Send + 'static) -> Task {
    Task { run: Box::new(run), lane: None }
}

/// A task that says that it has begun, and ends when it is told to.
fn stuck_task(begun: Sender<()>, lane: Option<u64>) -> (Task, Sender<()>) {
    let (end, ended) = channel::<()>();
    let run = move || {
        begun.send(()).unwrap();
        let _ = ended.recv();
    };
    (Task { run: Box::new(run), lane }, end)
}

#[test]
fn jobs_are_done_in_their_order() {
    static POOL: LazyLock<Pool<Task>> = LazyLock::new(unwatched);
    let (sender, done) = channel();
    for i in 0..1000 {
        let sender = sender.clone();
        POOL.submit(task(move || sender.send(i).unwrap()));
    }
    for i in 0..1000 {
        assert_eq!(done.recv_timeout(PATIENCE), Ok(i));
    }
}

#[test]
fn another_worker_takes_over_from_one_that_is_stuck() {
    static WATCH: AtomicU64 = AtomicU64::new(u64::MAX);
    static POOL: LazyLock<Pool<Task>> =
        LazyLock::new(|| Pool::new(Limits::default(), |_, number| WATCH.store(number, Ordering::SeqCst)));
    let (begun, has_begun) = channel();
    let (stuck, end) = stuck_task(begun, None);
    POOL.submit(stuck);
    has_begun.recv_timeout(PATIENCE).unwrap();

    let (sender, done) = channel();
    POOL.submit(task(move || sender.send(()).unwrap()));
    let number = WATCH.load(Ordering::SeqCst);
    assert_ne!(number, u64::MAX, "the pool asks to be watched");
    assert!(done.recv_timeout(Duration::from_millis(20)).is_err(), "done by nobody knows whom");
    POOL.watch(number);
    done.recv_timeout(PATIENCE).expect("another worker");
    end.send(()).unwrap();
}

#[test]
fn a_job_waits_for_the_one_before_it_in_its_lane_but_for_no_other() {
    static WATCH: AtomicU64 = AtomicU64::new(u64::MAX);
    static POOL: LazyLock<Pool<Task>> =
        LazyLock::new(|| Pool::new(Limits::default(), |_, number| WATCH.store(number, Ordering::SeqCst)));
    let (begun, has_begun) = channel();
    let (stuck, end) = stuck_task(begun, Some(1));
    POOL.submit(stuck);
    has_begun.recv_timeout(PATIENCE).unwrap();

    let (sender, done) = channel();
    for (name, lane) in [("behind", 1), ("beside", 2)] {
        let sender = sender.clone();
        POOL.submit(Task { run: Box::new(move || sender.send(name).unwrap()), lane: Some(lane) });
    }
    POOL.watch(WATCH.load(Ordering::SeqCst));
    assert_eq!(done.recv_timeout(PATIENCE), Ok("beside"));
    assert!(done.recv_timeout(Duration::from_millis(20)).is_err());
    POOL.leave_lane(1);
    end.send(()).unwrap();
    assert_eq!(done.recv_timeout(PATIENCE), Ok("behind"));
}

#[test]
fn a_job_that_panics_takes_no_worker_with_it() {
    static POOL: LazyLock<Pool<Task>> = LazyLock::new(unwatched);
    let (sender, done) = channel();
    POOL.submit(task(|| panic!("on purpose")));
    POOL.submit(task(|| {
        POOL.blocking(|| panic!("on purpose, while it blocks"));
    }));
    POOL.submit(task(move || sender.send(()).unwrap()));
    done.recv_timeout(PATIENCE).expect("the next job");
}

#[test]
fn jobs_are_done_however_often_their_worker_is_taken_for_stuck() {
    static POOL: LazyLock<Pool<Task>> = LazyLock::new(unwatched);
    static DONE: AtomicU64 = AtomicU64::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    // Looks at every moment there is, so also between a worker's being woken and its waking.
    let watcher = thread::spawn(|| {
        while !STOP.load(Ordering::Relaxed) {
            POOL.watch(DONE.load(Ordering::Relaxed));
        }
    });
    for _ in 0..20_000 {
        let (sender, done) = channel();
        POOL.submit(task(move || {
            POOL.blocking(|| ());
            DONE.fetch_add(1, Ordering::Relaxed);
            sender.send(()).unwrap();
        }));
        done.recv_timeout(PATIENCE).expect("the job");
    }
    STOP.store(true, Ordering::Relaxed);
    watcher.join().unwrap();
}

#[test]
fn while_a_worker_blocks_another_one_does_the_jobs() {
    static POOL: LazyLock<Pool<Task>> = LazyLock::new(unwatched);
    let (sender, done) = channel();
    let (end, ended) = channel::<()>();
    POOL.submit(task(move || {
        POOL.submit(task(move || sender.send(()).unwrap()));
        POOL.blocking(|| ended.recv());
    }));
    done.recv_timeout(PATIENCE).expect("another worker");
    end.send(()).unwrap();
}

#[test]
fn a_job_whose_lane_comes_free_is_done_though_the_one_before_it_stays_stuck() {
    static WATCH: AtomicU64 = AtomicU64::new(u64::MAX);
    static POOL: LazyLock<Pool<Task>> =
        LazyLock::new(|| Pool::new(Limits::default(), |_, number| WATCH.store(number, Ordering::SeqCst)));
    let (begun, has_begun) = channel();
    let (left, has_left) = channel();
    let (go, told) = channel::<()>();
    let (end, ended) = channel::<()>();
    let stuck = move || {
        begun.send(()).unwrap();
        let _ = told.recv();
        POOL.leave_lane(1);
        left.send(()).unwrap();
        let _ = ended.recv();
    };
    POOL.submit(Task { run: Box::new(stuck), lane: Some(1) });
    has_begun.recv_timeout(PATIENCE).unwrap();

    let (sender, done) = channel();
    let aside = sender.clone();
    POOL.submit(Task { run: Box::new(move || sender.send("behind").unwrap()), lane: Some(1) });
    POOL.submit(task(move || aside.send("aside").unwrap()));
    // Another worker comes, does what is in no lane, and finds nothing more to do.
    POOL.watch(WATCH.load(Ordering::SeqCst));
    assert_eq!(done.recv_timeout(PATIENCE), Ok("aside"));
    assert!(done.recv_timeout(Duration::from_millis(20)).is_err());
    go.send(()).unwrap();
    has_left.recv_timeout(PATIENCE).unwrap();
    assert_eq!(done.recv_timeout(PATIENCE), Ok("behind"), "nobody looks for it");
    end.send(()).unwrap();
}

/// A job whose number is counted as long as it lives.
struct Visit {
    number: usize,
    wanted: bool,
    done: Sender<usize>,
}

static VISITS: AtomicU64 = AtomicU64::new(0);

impl Visit {
    fn new(number: usize, wanted: bool, done: &Sender<usize>) -> Self {
        VISITS.fetch_add(1, Ordering::SeqCst);
        Self { number, wanted, done: done.clone() }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        VISITS.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Job for Visit {
    fn run(self) {
        if self.number == 0 {
            // It is stuck until all others have been submitted.
            while !SUBMITTED.load(Ordering::SeqCst) {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
        self.done.send(self.number).unwrap();
    }

    fn refuse(self) {
        panic!("the system has threads");
    }

    fn is_wanted(&self) -> bool {
        self.wanted
    }

    fn lane(&self) -> Option<u64> {
        Some(1)
    }
}

static SUBMITTED: AtomicBool = AtomicBool::new(false);

#[test]
fn jobs_that_nobody_wants_any_more_do_not_pile_up_behind_one_that_is_stuck() {
    const JOBS: usize = 20_000;
    static WATCH: AtomicU64 = AtomicU64::new(u64::MAX);
    static POOL: LazyLock<Pool<Visit>> =
        LazyLock::new(|| Pool::new(Limits::default(), |_, number| WATCH.store(number, Ordering::SeqCst)));
    let (sender, done) = channel();
    for number in 0..JOBS {
        POOL.submit(Visit::new(number, number % 1000 == 0, &sender));
        if number % 100 == 0 {
            // Now and then the pool puts those aside that are behind the stuck one.
            POOL.watch(WATCH.load(Ordering::SeqCst));
        }
    }
    let left = VISITS.load(Ordering::SeqCst);
    assert!(left < 500, "{left} are left of {JOBS}, of which {} are wanted", JOBS / 1000);
    SUBMITTED.store(true, Ordering::SeqCst);
    for number in (0..JOBS).step_by(1000) {
        let next = loop {
            let next = done.recv_timeout(PATIENCE).expect("a job that is wanted");
            POOL.leave_lane(1);
            if next % 1000 == 0 {
                break next;
            }
        };
        assert_eq!(next, number);
    }
}
