//! Models of a lock file's queue, run over every interleaving that loom can find: `npm run test:loom`.
//!
//! The queue and the turns taken on it are the real ones; the kernel is a model of flock(2). After each run the
//! books are checked: every request has exactly one outcome, the kernel's lock is held exactly if somebody holds
//! it, and nobody is left in line who could be let in.
#![cfg(loom)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use locket::core::handle::Handle;
use locket::core::kernel::{LockFile, LockMode};
use locket::core::request::{Outcome, Owner, Purpose, Reason, Reply, Request, Wish};
use locket::core::shared_file::{Cancellation, Rest, SharedFile};
use locket::core::sys::Identity;
use locket::core::turn::{Entered, Follow};
use loom::thread;

use LockMode::{Exclusive, Shared};

/// The kernel's side of one file: who has it locked. Each system call is one step.
#[derive(Default)]
struct Kernel {
    state: loom::sync::Mutex<Locked>,
}

#[derive(Default)]
struct Locked {
    ours: Option<LockMode>,
    theirs: Option<LockMode>,
}

struct ModelFile(Arc<Kernel>);

impl LockFile for ModelFile {
    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        let mut locked = self.0.state.lock().unwrap();
        let free = match locked.theirs {
            None => true,
            Some(theirs) => theirs == Shared && mode == Shared,
        };
        locked.ours = free.then_some(mode);
        Ok(free)
    }

    fn lock(&self, _: LockMode) -> io::Result<()> {
        unreachable!("the models wait by pausing")
    }

    fn unlock(&self) {
        self.0.state.lock().unwrap().ours = None;
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(path != Path::new("/moved"))
    }

    fn unlink(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// Notes the outcome of one request.
#[derive(Default)]
struct Notes(Mutex<Vec<&'static str>>);

impl Reply for Notes {
    fn deliver(&self, _: u64, outcome: Outcome) {
        self.0.lock().unwrap().push(match outcome {
            Outcome::Granted => "granted",
            Outcome::TimedOut => "timed out",
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
struct Client {
    request: Arc<Request>,
    notes: Arc<Notes>,
}

impl Client {
    fn outcome(&self) -> Option<&'static str> {
        let notes = self.notes.0.lock().unwrap();
        assert!(notes.len() <= 1, "two outcomes: {notes:?}");
        notes.first().copied()
    }

    fn is_granted(&self) -> bool {
        self.outcome() == Some("granted")
    }
}

/// One process with one lock file.
#[derive(Clone)]
struct Process {
    kernel: Arc<Kernel>,
    file: Arc<SharedFile>,
    tickets: Arc<Mutex<u64>>,
}

impl Process {
    fn new() -> Self {
        let kernel = Arc::new(Kernel::default());
        let identity = Identity::new(1, 2);
        let file = SharedFile::new(ModelFile(kernel.clone()), identity);
        Self { kernel, file, tickets: Arc::default() }
    }

    /// A request that has not entered yet. Tickets are in the order of the calls.
    fn client(&self, owner: &Arc<Owner>, mode: LockMode, purpose: Purpose) -> Client {
        let notes = Arc::new(Notes::default());
        let mut ticket = self.tickets.lock().unwrap();
        *ticket += 1;
        let wish = Wish {
            handle: Arc::new(Handle::new(PathBuf::from("/model"), 0o666, false)),
            mode,
            purpose,
            deadline: None,
            blocks_owner: false,
            owner: owner.clone(),
            reply: notes.clone(),
            token: 0,
        };
        Client { request: Arc::new(Request::new(*ticket, wish)), notes }
    }

    fn enter(&self, client: &Client) {
        match self.file.enter(&client.request) {
            Entered::Turn => self.drive(None),
            Entered::Waits => {}
            Entered::Granted => client.notes.deliver(0, Outcome::Granted),
            Entered::Refused(outcome) => client.notes.deliver(0, outcome),
            Entered::Gone => client.notes.deliver(0, Outcome::Aborted),
            Entered::Elsewhere => unreachable!("there is one file"),
        }
    }

    /// Does it on another thread.
    fn meanwhile(&self, client: &Client, act: fn(&Self, &Client)) -> thread::JoinHandle<()> {
        let (process, client) = (self.clone(), client.clone());
        thread::spawn(move || act(&process, &client))
    }

    /// What the engine does with a turn, with the paced way of waiting.
    fn drive(&self, mut had: Option<LockMode>) {
        loop {
            let mut moved = Vec::new();
            let rest = self.file.work(had, true, &mut moved);
            assert!(moved.is_empty());
            had = match rest {
                Rest::Held | Rest::Idle => return,
                Rest::Ask => None,
                Rest::Wait(mode, _) if self.file.pause(mode).is_some() => return,
                Rest::Wait(..) => None,
            };
        }
    }

    /// What the timekeeper does when it is time to ask again.
    fn retry(&self) {
        if self.file.resume() {
            self.drive(None);
        }
    }

    fn follow(&self, follow: Follow) {
        match follow {
            Follow::Nothing => {}
            Follow::Turn(had) => self.drive(had),
            Follow::Interrupt => unreachable!("the models never block"),
        }
    }

    fn release(&self, client: &Client) {
        if let Some(follow) = self.file.release(&client.request) {
            self.follow(follow);
        }
    }

    fn cancel(&self, client: &Client) {
        self.give_up(client, Reason::Aborted);
    }

    fn give_up(&self, client: &Client, reason: Reason) {
        if let Cancellation::Out(follow) = self.file.cancel(&client.request, reason) {
            self.follow(follow);
        }
    }

    fn end(&self, owner: &Arc<Owner>) {
        let follow = self.file.end(owner);
        self.follow(follow);
    }

    fn others_lock(&self, mode: Option<LockMode>) {
        self.kernel.state.lock().unwrap().theirs = mode;
    }

    /// The kernel's lock is what those who hold it make it.
    fn assert_kernel_has(&self, mode: Option<LockMode>) {
        assert_eq!(self.kernel.state.lock().unwrap().ours, mode);
    }

    /// Nobody has anything.
    fn assert_all_gone(&self) {
        self.assert_kernel_has(None);
        assert!(self.file.is_idle(), "somebody is left");
    }
}

fn owner() -> Arc<Owner> {
    Arc::new(Owner::on_this_thread())
}

#[test]
fn a_grant_and_a_cancel_at_once_end_in_one_of_them() {
    loom::model(|| {
        let process = Process::new();
        let a = process.client(&owner(), Exclusive, Purpose::Acquire);
        let entering = process.meanwhile(&a, Process::enter);
        process.cancel(&a);
        entering.join().unwrap();
        if a.is_granted() {
            process.assert_kernel_has(Some(Exclusive));
            process.release(&a);
        } else {
            assert_eq!(a.outcome(), Some("aborted"));
        }
        process.assert_all_gone();
    });
}

#[test]
fn a_deadline_that_comes_before_the_first_try_does_not_refuse_a_free_lock() {
    loom::model(|| {
        let process = Process::new();
        let a = process.client(&owner(), Exclusive, Purpose::Acquire);
        let entering = process.meanwhile(&a, Process::enter);
        process.give_up(&a, Reason::TimedOut);
        entering.join().unwrap();
        assert!(a.is_granted());
        process.release(&a);
        process.assert_all_gone();
    });
}

#[test]
fn a_release_a_cancel_and_a_newcomer_at_once_leave_nobody_waiting_for_nothing() {
    loom::model(|| {
        let process = Process::new();
        let [a, b, c] = [(); 3].map(|()| process.client(&owner(), Exclusive, Purpose::Acquire));
        process.enter(&a);
        process.enter(&b);
        let releasing = process.meanwhile(&a, Process::release);
        let cancelling = process.meanwhile(&b, Process::cancel);
        process.enter(&c);
        releasing.join().unwrap();
        cancelling.join().unwrap();
        process.assert_kernel_has(Some(Exclusive));
        if b.is_granted() {
            assert_eq!(c.outcome(), None);
            process.release(&b);
        } else {
            assert_eq!(b.outcome(), Some("aborted"));
        }
        assert!(c.is_granted());
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_handoff_and_a_cancel_at_once_let_the_next_one_in() {
    loom::model(|| {
        let process = Process::new();
        let [a, b, c] = [(); 3].map(|()| process.client(&owner(), Exclusive, Purpose::Acquire));
        for client in [&a, &b, &c] {
            process.enter(client);
        }
        let releasing = process.meanwhile(&a, Process::release);
        process.cancel(&b);
        releasing.join().unwrap();
        process.assert_kernel_has(Some(Exclusive));
        if b.is_granted() {
            assert_eq!(c.outcome(), None);
            process.release(&b);
        } else {
            assert_eq!(b.outcome(), Some("aborted"));
        }
        assert!(c.is_granted());
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_handoff_to_the_last_in_line_and_its_cancel_leave_nothing_behind() {
    loom::model(|| {
        let process = Process::new();
        let [a, b] = [(); 2].map(|()| process.client(&owner(), Exclusive, Purpose::Acquire));
        process.enter(&a);
        process.enter(&b);
        let cancelling = process.meanwhile(&b, Process::cancel);
        process.release(&a);
        cancelling.join().unwrap();
        assert!(b.outcome().is_some());
        if b.is_granted() {
            process.assert_kernel_has(Some(Exclusive));
            process.release(&b);
        }
        process.assert_all_gone();
    });
}

#[test]
fn a_release_and_the_end_of_the_holders_environment_release_once() {
    loom::model(|| {
        let process = Process::new();
        let ending = owner();
        let a = process.client(&ending, Exclusive, Purpose::Acquire);
        let b = process.client(&ending, Exclusive, Purpose::Acquire);
        let c = process.client(&owner(), Exclusive, Purpose::Acquire);
        for client in [&a, &b, &c] {
            process.enter(client);
        }
        let releasing = process.meanwhile(&a, Process::release);
        process.end(&ending);
        releasing.join().unwrap();
        assert!(b.outcome().is_some());
        // Whatever B was told, its environment has gone, and with it what B may have held for an instant.
        assert!(c.is_granted(), "the environment's end left the lock to nobody");
        process.assert_kernel_has(Some(Exclusive));
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_release_and_the_end_of_the_next_ones_environment_let_the_one_behind_in() {
    loom::model(|| {
        let process = Process::new();
        let ending = owner();
        let a = process.client(&owner(), Exclusive, Purpose::Acquire);
        let b = process.client(&ending, Exclusive, Purpose::Acquire);
        let c = process.client(&owner(), Shared, Purpose::Acquire);
        for client in [&a, &b, &c] {
            process.enter(client);
        }
        let ending = {
            let process = process.clone();
            thread::spawn(move || process.end(&ending))
        };
        process.release(&a);
        ending.join().unwrap();
        assert!(c.is_granted());
        process.assert_kernel_has(Some(Shared));
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn consecutive_shared_requests_are_let_in_together_also_when_one_is_cancelled() {
    loom::model(|| {
        let process = Process::new();
        let a = process.client(&owner(), Exclusive, Purpose::Acquire);
        let b = process.client(&owner(), Shared, Purpose::Acquire);
        let c = process.client(&owner(), Shared, Purpose::Acquire);
        let d = process.client(&owner(), Exclusive, Purpose::Acquire);
        for client in [&a, &b, &c, &d] {
            process.enter(client);
        }
        let cancelling = process.meanwhile(&c, Process::cancel);
        process.release(&a);
        cancelling.join().unwrap();
        process.assert_kernel_has(Some(Shared));
        assert!(b.is_granted());
        assert!(c.outcome().is_some());
        assert_eq!(d.outcome(), None);
        process.release(&b);
        if c.is_granted() {
            assert_eq!(d.outcome(), None, "let in beside a shared holder");
            process.release(&c);
        }
        assert!(d.is_granted());
        process.assert_kernel_has(Some(Exclusive));
        process.release(&d);
        process.assert_all_gone();
    });
}

#[test]
fn shared_holders_that_leave_at_once_let_the_exclusive_one_in() {
    loom::model(|| {
        let process = Process::new();
        let [a, b] = [(); 2].map(|()| process.client(&owner(), Shared, Purpose::Acquire));
        let c = process.client(&owner(), Exclusive, Purpose::Acquire);
        for client in [&a, &b, &c] {
            process.enter(client);
        }
        assert!(a.is_granted() && b.is_granted());
        let releasing = process.meanwhile(&a, Process::release);
        process.release(&b);
        releasing.join().unwrap();
        assert!(c.is_granted());
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_shared_try_beside_a_shared_release_is_let_in() {
    loom::model(|| {
        let process = Process::new();
        let a = process.client(&owner(), Shared, Purpose::Acquire);
        let b = process.client(&owner(), Shared, Purpose::TryAcquire);
        process.enter(&a);
        let releasing = process.meanwhile(&a, Process::release);
        process.enter(&b);
        releasing.join().unwrap();
        assert!(b.is_granted(), "nobody stood in the way");
        process.assert_kernel_has(Some(Shared));
        process.release(&b);
        process.assert_all_gone();
    });
}

#[test]
fn the_cancel_of_an_exclusive_waiter_lets_the_shared_one_behind_it_join() {
    loom::model(|| {
        let process = Process::new();
        let a = process.client(&owner(), Shared, Purpose::Acquire);
        let b = process.client(&owner(), Exclusive, Purpose::Acquire);
        let c = process.client(&owner(), Shared, Purpose::Acquire);
        process.enter(&a);
        process.enter(&b);
        let entering = process.meanwhile(&c, Process::enter);
        process.cancel(&b);
        entering.join().unwrap();
        assert_eq!(b.outcome(), Some("aborted"));
        assert!(c.is_granted());
        process.assert_kernel_has(Some(Shared));
        process.release(&a);
        process.release(&c);
        process.assert_all_gone();
    });
}

#[test]
fn a_wait_for_another_process_and_its_cancel_end_in_one_of_them() {
    loom::model(|| {
        let process = Process::new();
        process.others_lock(Some(Exclusive));
        let [a, b] = [(); 2].map(|()| process.client(&owner(), Exclusive, Purpose::Acquire));
        process.enter(&a);
        process.enter(&b);
        let timekeeper = {
            let process = process.clone();
            thread::spawn(move || {
                process.others_lock(None);
                process.retry();
            })
        };
        process.cancel(&a);
        process.cancel(&b);
        timekeeper.join().unwrap();
        process.retry();
        for client in [&a, &b] {
            if client.is_granted() {
                process.assert_kernel_has(Some(Exclusive));
                process.release(client);
            } else {
                assert_eq!(client.outcome(), Some("aborted"));
            }
        }
        process.assert_all_gone();
    });
}

#[test]
fn a_probe_beside_a_release_is_answered_and_takes_nothing() {
    loom::model(|| {
        let process = Process::new();
        let a = process.client(&owner(), Exclusive, Purpose::Acquire);
        let probe = process.client(&owner(), Exclusive, Purpose::Probe);
        let b = process.client(&owner(), Exclusive, Purpose::TryAcquire);
        process.enter(&a);
        let releasing = process.meanwhile(&a, Process::release);
        process.enter(&probe);
        releasing.join().unwrap();
        assert!(matches!(probe.outcome(), Some("locked" | "free")));
        process.enter(&b);
        assert!(b.is_granted(), "a probe stood in the way");
        process.release(&b);
        process.assert_all_gone();
    });
}
