//! The way of a request into a line: its file is opened, and looked up among those that this process has.

use std::collections::btree_map::Entry;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::timers::Timer;
use super::turns::Seat;
use super::{ENGINE, Engine, GIVE_UP, GIVE_UP_ELSEWHERE, POOL, cancel, expire, inquiries, sighting};
use crate::core::kernel::{LockMode, SystemError};
use crate::core::pool;
use crate::core::queue::DRAIN_TIME;
use crate::core::request::{Outcome, Purpose, Reason, Request};
use crate::core::shared_file::{SharedFile, Traits};
use crate::core::sys::{self, OpenFile, Opening};
use crate::core::turn::Entered;

/// Time between two checks whether a path answers.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How many checks in a row must find no answer before the request is given up.
const SIGHTS: u32 = 2;
/// The same for a request whose file no worker has begun to find.
const SIGHTS_UNBEGUN: u32 = 20;
/// The same, where it waits for the thread that drives its line, which may be asleep in one short call after another.
const SIGHTS_IN_LINE: u32 = 10;

/// What the last check of a path has found.
#[derive(Clone, Copy, Default)]
pub(super) struct Sight {
    /// How many checks in a row have found no answer.
    times: u32,
    /// How many jobs the workers had begun by then.
    begun: u64,
}

/// Time between two tries to open a file that another program has opened without sharing.
const BUSY_PACE: Duration = Duration::from_millis(16);

/// What workers do.
pub(super) enum Job {
    /// Find the file of a request and put it in line.
    Open(Arriving),
    /// The same, where the path does not name any more what it did a moment ago.
    OpenAnew(Arriving),
    /// Take the turn, with what the process has of the kernel's lock.
    Turn(Arc<SharedFile>, Option<LockMode>),
    /// See to the inquiries.
    Inquire,
}

impl pool::Job for Job {
    fn run(self) {
        match self {
            Self::Open(arriving) => ENGINE.open_in_lane(arriving, Way::Short),
            Self::OpenAnew(arriving) => ENGINE.open_in_lane(arriving, Way::Long),
            Self::Turn(shared, had) => ENGINE.take_turn(&shared, had, Seat::Worker),
            Self::Inquire => inquiries::answer(),
        }
    }

    /// Settles what the job was for, since no thread would do it later.
    fn refuse(self) {
        let error = SystemError::no_thread();
        match self {
            Self::Open(arriving) | Self::OpenAnew(arriving) => arriving.0.settle(Outcome::Failed(error)),
            Self::Turn(shared, _) => {
                shared.refuse(error);
                ENGINE.retire(&shared);
            }
            Self::Inquire => inquiries::refuse(error),
        }
    }

    /// Requests by one path keep their order, also when a worker is stuck.
    fn lane(&self) -> Option<u64> {
        match self {
            Self::Open(arriving) | Self::OpenAnew(arriving) => Some(arriving.0.handle.lane),
            Self::Turn(..) | Self::Inquire => None,
        }
    }

    /// A request that was given up needs no file.
    fn is_wanted(&self) -> bool {
        match self {
            Self::Open(arriving) | Self::OpenAnew(arriving) => !arriving.0.is_settled(),
            Self::Turn(..) | Self::Inquire => true,
        }
    }
}

/// A request that a job brings to its line. It is counted as long as this lives, so that no later request overtakes it.
pub(super) struct Arriving(Arc<Request>);

impl Arriving {
    pub fn new(request: Arc<Request>) -> Self {
        ENGINE.opening.fetch_add(1, Ordering::SeqCst);
        Self(request)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        ENGINE.opening.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How a file may be found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By what this thread has seen last, too.
    Short,
    /// By opening it alone.
    Long,
}

/// A request on its way to a line. Dropped when it is there, or when a panic has ended it.
pub(super) struct OnTheWay<'a> {
    request: &'a Request,
    /// What a job of the pool has brought.
    arriving: Option<Arriving>,
}

impl<'a> OnTheWay<'a> {
    /// Of a request that its user's thread sees to itself.
    pub fn by_itself(request: &'a Request) -> Self {
        Self { request, arriving: None }
    }
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        if self.arriving.take().is_some() {
            POOL.leave_lane(self.request.handle.lane);
        }
        if thread::panicking() {
            self.request.settle(Outcome::Panicked);
        }
    }
}

impl Engine {
    /// The same as [`Engine::open`], for a job of the pool, which has entered the lane of the request.
    fn open_in_lane(&self, arriving: Arriving, way: Way) {
        let request = arriving.0.clone();
        let on_the_way = OnTheWay { request: &request, arriving: Some(arriving) };
        self.open(&request, Seat::Worker, way, on_the_way);
    }

    /// Finds the file of `request`, puts it in line there, and sees to it.
    pub(super) fn open(&self, request: &Arc<Request>, seat: Seat, way: Way, on_the_way: OnTheWay<'_>) {
        // Cancelled before its turn came: no file is created for it any more.
        if seat != Seat::Caller && request.is_settled() {
            return;
        }
        let Some((shared, entered)) = self.find_line(request, way) else { return };
        drop(on_the_way);
        self.see_to(request, &shared, entered, seat);
    }

    /// Puts `request` in line on the thread of its user, if that takes no waiting, for a disk or a server, and nobody
    /// of this process is there before it. Should the lock be to be had, it is granted at once. `false`: a worker has to
    /// see to it.
    pub(super) fn open_at_once(&self, request: &Arc<Request>) -> bool {
        let handle = &request.handle;
        let Some(last) = handle.calm_local_file() else { return false };
        if self.opening.load(Ordering::SeqCst) > 0 || !handle.is_free() || self.table().contains_key(&last) {
            return false;
        }
        let opening = Opening { create: None, allow_directory: handle.allow_directory };
        let Some(file) = sys::open_cached(&handle.path, &opening) else { return false };
        if !file.identity().is_beside(&last) {
            return false;
        }
        let (shared, entered) = self.enter_line_of(file, request, Traits { local: true, quick: true });
        let is_there = !matches!(entered, Entered::Elsewhere);
        self.see_to(request, &shared, entered, Seat::Caller);
        is_there
    }

    /// Ends the wait of `request`, whose time is over, if its path or file does not answer. Called [`GIVE_UP`] after that
    /// time; checks again until it is clear.
    ///
    /// A busy machine may be as slow as a dead mount. So what counts is that a thread is asleep in a system call, and
    /// several checks in a row must agree. A job that no worker has begun is only late, unless workers are stuck.
    pub(super) fn give_path_up(&self, request: Arc<Request>, last: Sight) {
        let line = request.line();
        if request.is_settled() || (line.is_some() && request.purpose == Purpose::Acquire) {
            // A wait that has come to a line is settled there, at its deadline too.
            return;
        }
        let begun = POOL.begun();
        let thread = match &line {
            Some(shared) => shared.driver(),
            None => request
                .opening()
                .filter(|opener| opener.since.elapsed() >= GIVE_UP)
                .map(|opener| opener.thread),
        };
        let (stuck, needed) = match thread {
            Some(thread) => (sys::is_asleep(thread), if line.is_some() { SIGHTS_IN_LINE } else { SIGHTS }),
            None if request.opening().is_some() && line.is_none() => (false, SIGHTS),
            None if POOL.is_exhausted() => (true, SIGHTS),
            None => (POOL.has_stuck() || begun == last.begun, SIGHTS_UNBEGUN),
        };
        let mut times = if stuck { last.times + 1 } else { 0 };
        let mut pause = LOOK_AGAIN;
        if times >= needed {
            // A wait for the lock has a limit of its own. A try gives a server more time than a disk.
            let age = request.age();
            let may_be_slow = request.purpose != Purpose::Acquire
                && age < GIVE_UP_ELSEWHERE
                && !sys::is_on_local_mount(&request.handle.path);
            if !may_be_slow {
                return cancel(&request, Reason::Unanswered);
            }
            times -= 1;
            pause = GIVE_UP_ELSEWHERE - age;
        }
        self.after(pause, Timer::Unanswered(request, Sight { times, begun }));
    }

    /// Goes on with a request that has come to the line of `shared`.
    fn see_to(&self, request: &Arc<Request>, shared: &Arc<SharedFile>, entered: Entered, seat: Seat) {
        match entered {
            Entered::Granted => request.settle(Outcome::Granted),
            Entered::Refused(outcome) => request.settle(outcome),
            Entered::Gone => request.settle(Outcome::Aborted),
            Entered::Elsewhere => {}
            Entered::Turn | Entered::Waits | Entered::Drains(_) => {
                if request.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    expire(request);
                }
                match entered {
                    Entered::Turn => self.take_turn(shared, None, seat),
                    Entered::Drains(drain) => {
                        if !self.after(DRAIN_TIME, Timer::EndDrain(Arc::downgrade(shared), drain)) {
                            self.follow(shared, shared.end_drain(drain), seat);
                        }
                    }
                    // A try hears from the thread that has the turn, at once, unless that one is stuck.
                    _ => self.watch_path(request),
                }
            }
        }
    }

    /// Puts `request` in the line of its file. `None`: it has been settled.
    fn find_line(&self, request: &Arc<Request>, way: Way) -> Option<(Arc<SharedFile>, Entered)> {
        let enter = |shared: Arc<SharedFile>| shared.enter_if_busy(request).map(|entered| (shared, entered));
        loop {
            request.begin_opening();
            let next_ticket = self.numbers.load(Ordering::SeqCst);
            // A handle holds one acquisition at a time: its next one waits where it holds the last, even if
            // its path names another file by now. That is seen when the turn comes.
            let known = request.handle.granted_file().or_else(|| match way {
                Way::Short => sighting::recall(request, next_ticket),
                Way::Long => None,
            });
            let place = match known.and_then(enter) {
                Some(place) => place,
                None => match self.open_file(request) {
                    Ok(file) => {
                        // Asked with nothing locked, since a server may take long to answer.
                        let local = file.is_local();
                        request.handle.found(&file, local);
                        self.enter_line_of(file, request, Traits { local, quick: false })
                    }
                    Err(None) if request.owner.ended() => {
                        request.settle(Outcome::Aborted);
                        return None;
                    }
                    Err(None) if request.deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                        request.settle(Outcome::TimedOut);
                        return None;
                    }
                    Err(None) if self.after(BUSY_PACE, Timer::OpenAgain(request.clone())) => return None,
                    Err(outcome) => {
                        request.settle(outcome.unwrap_or(Outcome::TimedOut));
                        return None;
                    }
                },
            };
            match place.1 {
                Entered::Elsewhere => continue,
                Entered::Waits if way == Way::Short => sighting::note(request, &place.0, next_ticket),
                _ => {}
            }
            return Some(place);
        }
    }

    /// Opens the file of `request`. Returns `Err(None)` if another program has opened it without sharing, and it is
    /// worth waiting for.
    fn open_file(&self, request: &Request) -> Result<OpenFile, Option<Outcome>> {
        let handle = &request.handle;
        let probe = request.purpose == Purpose::Probe;
        let removes = handle.remove_on_release && !probe;
        let leaves_none = probe || removes && !handle.path.parent().is_none_or(sys::is_coherent_at);
        let opening = Opening {
            create: (!leaves_none).then_some(handle.file_mode),
            allow_directory: handle.allow_directory,
        };
        let error = match sys::open(&handle.path, &opening) {
            Ok(file) if removes && !file.is_coherent() => {
                return Err(Some(Outcome::Failed(SystemError::incoherent())));
            }
            Ok(file) => return Ok(file),
            Err(error) => error,
        };
        Err(match request.purpose {
            Purpose::Acquire if sys::is_busy(&error) => None,
            Purpose::TryAcquire if sys::is_busy(&error) => Some(Outcome::TimedOut),
            Purpose::Probe if sys::is_busy(&error) => Some(Outcome::Probed(true)),
            Purpose::Probe if error.kind() == ErrorKind::NotFound => Some(Outcome::Probed(false)),
            _ if error.kind() == ErrorKind::NotFound && leaves_none => {
                Some(Outcome::Failed(SystemError::incoherent()))
            }
            _ => Some(Outcome::Failed(SystemError::new(&error, "open"))),
        })
    }

    /// Puts `request` in the line of `file`, or of the same file as this process has it already.
    fn enter_line_of(
        &self,
        file: OpenFile,
        request: &Arc<Request>,
        traits: Traits,
    ) -> (Arc<SharedFile>, Entered) {
        let identity = file.identity();
        // Entered while the table is locked: so no file with somebody in line is ever out of the table. The file
        // that is not needed is closed after that.
        let mut table = self.table();
        if table.get(&identity).is_some_and(|shared| shared.is_lost()) {
            table.remove(&identity);
        }
        match table.entry(identity) {
            Entry::Occupied(entry) => {
                let entered = entry.get().enter(request);
                (entry.get().clone(), entered)
            }
            Entry::Vacant(entry) => {
                let shared = SharedFile::new(file, identity, traits);
                let entered = shared.enter(request);
                if matches!(entered, Entered::Turn) {
                    entry.insert(shared.clone());
                }
                (shared, entered)
            }
        }
    }
}
