//! A process with one lock file, and those in it who want the lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use locket::core::handle::Handle;
use locket::core::kernel::LockMode;
use locket::core::request::{Outcome, Owner, Purpose, Reason, Reply, Request, Wish};
use locket::core::shared_file::{self, Cancellation, May, Released, Rest, SharedFile, Traits};
use locket::core::sync::now;
use locket::core::sys::{Identity, Interrupts};
use locket::core::turn::{Entered, Follow};
use loom::thread;

use crate::kernel::{Kernel, ModelFile};

/// How those wait whom the kernel has refused.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    /// A thread blocks in the kernel's queue.
    Blocked,
    /// The turn is laid down, and [`Process::retry`] takes it up.
    Paced,
}

/// Notes the outcome of one request.
#[derive(Default)]
struct Notes(Mutex<Vec<&'static str>>);

impl Reply for Notes {
    fn deliver(&self, _: u64, outcome: Outcome) {
        self.0.lock().unwrap().push(match outcome {
            Outcome::Granted => "granted",
            Outcome::TimedOut => "timed out",
            Outcome::Unanswered => "unanswered",
            Outcome::Aborted => "aborted",
            Outcome::Deadlock => "deadlock",
            Outcome::Probed(true) => "locked",
            Outcome::Probed(false) => "free",
            Outcome::Failed(_) => "failed",
            Outcome::Panicked => "panicked",
            Outcome::Holders(_) => unreachable!("nobody inquires"),
        });
    }
}

/// A request and what became of it.
#[derive(Clone)]
pub struct Client {
    pub request: Arc<Request>,
    notes: Arc<Notes>,
}

impl Client {
    pub fn outcome(&self) -> Option<&'static str> {
        let notes = self.notes.0.lock().unwrap();
        assert!(notes.len() <= 1, "two outcomes: {notes:?}");
        notes.first().copied()
    }

    pub fn is_granted(&self) -> bool {
        self.outcome() == Some("granted")
    }
}

/// A process, and its lock file.
#[derive(Clone)]
pub struct Process {
    pub kernel: Arc<Kernel>,
    pub file: Arc<SharedFile>,
    way: Way,
    tickets: Arc<Mutex<u64>>,
    /// Requests whose file has to be opened anew.
    moved: Arc<Mutex<Vec<Arc<Request>>>>,
}

/// Where the file is.
const PATH: &str = "/model";

/// An environment.
pub fn owner() -> Arc<Owner> {
    Arc::new(Owner::on_this_thread())
}

fn handle(path: &str, removes: bool) -> Arc<Handle> {
    Arc::new(Handle::new(PathBuf::from(path), 0o666, removes, false))
}

impl Process {
    /// One whose waits are paced.
    pub fn new() -> Self {
        Self::waiting(Way::Paced)
    }

    pub fn waiting(way: Way) -> Self {
        let kernel = Arc::new(Kernel::default());
        let file = SharedFile::new(ModelFile(kernel.clone()), Identity::new(1, 2), Traits::default());
        Self { kernel, file, way, tickets: Arc::default(), moved: Arc::default() }
    }

    /// A request that has not entered yet. Tickets are in the order of the calls.
    pub fn client(&self, owner: &Arc<Owner>, mode: LockMode, purpose: Purpose) -> Client {
        self.client_with(|wish| Wish { owner: owner.clone(), mode, purpose, ..wish })
    }

    /// One that waits for the lock, exclusive or shared, for an environment of its own.
    pub fn waiter(&self, mode: LockMode) -> Client {
        self.client_with(|wish| Wish { mode, ..wish })
    }

    /// The same, of a handle for another path.
    pub fn waiter_at(&self, path: &str, mode: LockMode) -> Client {
        self.client_with(|wish| Wish { handle: handle(path, false), mode, ..wish })
    }

    /// The same, of a handle that deletes the file when it releases it.
    pub fn waiter_that_removes(&self) -> Client {
        self.client_with(|wish| Wish { handle: handle(PATH, true), ..wish })
    }

    /// The same, with a deadline.
    pub fn waiter_until(&self, deadline: Instant) -> Client {
        self.client_with(|wish| Wish { deadline: Some(deadline), ..wish })
    }

    fn client_with(&self, change: impl FnOnce(Wish) -> Wish) -> Client {
        let notes = Arc::new(Notes::default());
        let mut ticket = self.tickets.lock().unwrap();
        *ticket += 1;
        let wish = Wish {
            handle: handle(PATH, false),
            mode: LockMode::Exclusive,
            purpose: Purpose::Acquire,
            deadline: None,
            blocks_owner: false,
            owner: owner(),
            reply: notes.clone(),
            token: 0,
        };
        Client { request: Arc::new(Request::new(*ticket, change(wish))), notes }
    }

    pub fn enter(&self, client: &Client) {
        let entered = self.file.enter(&client.request);
        match entered {
            Entered::Turn | Entered::Waits => {
                if client.request.deadline.is_some_and(|deadline| deadline <= now()) {
                    self.expire(client);
                }
                if matches!(entered, Entered::Turn) {
                    self.drive(None);
                }
            }
            Entered::Drains(_) => unreachable!("so many do not join here"),
            Entered::Granted => client.request.settle(Outcome::Granted),
            Entered::Refused(outcome) => client.request.settle(outcome),
            Entered::Gone => client.request.settle(Outcome::Aborted),
            Entered::Elsewhere => unreachable!("there is one file"),
        }
    }

    /// The deadline of `client` has come. `true`: a thread in the kernel has to be called back once more.
    pub fn expire(&self, client: &Client) -> bool {
        // Whoever is not in line yet finds that out when it is.
        !client.request.is_opening() && self.give_up(client, Reason::TimedOut)
    }

    /// Does it on another thread.
    pub fn meanwhile(&self, client: &Client, act: fn(&Self, &Client)) -> thread::JoinHandle<()> {
        let (process, client) = (self.clone(), client.clone());
        thread::spawn(move || act(&process, &client))
    }

    /// Enters on a thread of its own, as a worker does that may block.
    pub fn entering(&self, client: &Client) -> thread::JoinHandle<()> {
        self.meanwhile(client, Self::enter)
    }

    /// Another process lets go of the lock, on another thread.
    pub fn others_unlocking(&self) -> thread::JoinHandle<()> {
        let kernel = self.kernel.clone();
        thread::spawn(move || kernel.others_lock(None))
    }

    /// What the engine does with a turn.
    fn drive(&self, mut had: Option<LockMode>) {
        loop {
            let mut moved = Vec::new();
            // A panic ends the job, and not the worker.
            let work = AssertUnwindSafe(|| self.file.work(had, May::Ask, &mut moved));
            let rest = catch_unwind(work);
            self.moved.lock().unwrap().append(&mut moved);
            let Ok(rest) = rest else { return };
            had = match rest {
                Rest::Held | Rest::Idle => return,
                Rest::Turn(had) => had,
                Rest::GiveWay(mode) if self.file.pause(mode).is_some() => return,
                Rest::GiveWay(_) => None,
                Rest::Wait(mode, ticket) if self.way == Way::Blocked => {
                    let interrupts = Interrupts::claim().expect("there are signals left");
                    self.file.wait(mode, ticket, interrupts)
                }
                Rest::Wait(mode, _) if self.file.pause(mode).is_some() => return,
                Rest::Wait(..) => None,
            };
        }
    }

    /// What the timekeeper does when it is time to ask again.
    pub fn retry(&self) {
        if self.file.resume() {
            self.drive(None);
        }
    }

    pub fn follow(&self, follow: Follow) {
        match follow {
            Follow::Nothing => {}
            Follow::Turn(had) => self.drive(had),
            Follow::Interrupt => self.call_back(),
        }
    }

    /// What the timekeeper does until the thread that waits in the kernel is out, the first time having been in vain.
    pub fn call_back(&self) {
        while self.file.interrupt_again() {
            thread::yield_now();
        }
    }

    pub fn release(&self, client: &Client) {
        if let Some(Released::Follow(follow) | Released::Lost(follow)) = self.file.release(&client.request) {
            self.follow(follow);
        }
    }

    pub fn cancel(&self, client: &Client) {
        if self.give_up(client, Reason::Aborted) {
            self.call_back();
        }
    }

    /// Gives the wait of `client` up. `true`: a thread in the kernel has to be called back once more.
    pub fn give_up(&self, client: &Client, reason: Reason) -> bool {
        let Some((_, cancellation)) = shared_file::cancel(&client.request, reason) else { return false };
        match cancellation {
            Cancellation::Out(follow) => {
                self.follow(follow);
                false
            }
            Cancellation::Leaving(Follow::Interrupt) => true,
            Cancellation::Leaving(follow) => {
                self.follow(follow);
                false
            }
            Cancellation::Due => false,
        }
    }

    pub fn end(&self, owner: &Arc<Owner>) {
        owner.end();
        let follow = self.file.end(owner);
        self.follow(follow);
    }

    /// The requests whose file has to be opened anew, in their order.
    pub fn moved(&self) -> Vec<u64> {
        self.moved.lock().unwrap().iter().map(|request| request.ticket).collect()
    }

    /// The kernel's lock is what those who hold it make it.
    pub fn assert_kernel_has(&self, mode: Option<LockMode>) {
        assert_eq!(self.kernel.ours(), mode);
    }

    /// Nobody has anything.
    pub fn assert_all_gone(&self) {
        self.assert_kernel_has(None);
        assert!(self.file.is_idle(), "somebody is left");
    }

    /// Releases what `client` holds, if it does; otherwise it has been told `refusal`.
    pub fn release_or(&self, client: &Client, refusal: &str) {
        if client.is_granted() {
            assert!(self.kernel.ours().is_some(), "it holds what the kernel has not locked");
            self.release(client);
        } else {
            assert_eq!(client.outcome(), Some(refusal));
        }
    }
}
