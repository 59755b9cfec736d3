//! What a turn asks of the kernel, seen by a file that keeps the books and fails as it is told.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use locket::core::handle::Handle;
use locket::core::kernel::{LockFile, LockMode, SystemError};
use locket::core::queue::{HANDOFF_TIME, HANDOFF_TURNS};
use locket::core::request::{Outcome, Owner, Purpose, Reason, Reply, Request, Wish};
use locket::core::shared_file::{self, Cancellation, May, Released, Rest, SharedFile, Traits};
use locket::core::sync::now;
use locket::core::sys::Identity;
use locket::core::turn::{Entered, Follow};

use LockMode::{Exclusive, Shared};

/// The calls that were made, in their order, and what the next lock call fails with.
#[derive(Default)]
struct Books {
    calls: Mutex<Vec<String>>,
    failure: Mutex<Option<i32>>,
    panics: AtomicBool,
    /// Another process has the lock.
    refuses: AtomicBool,
    /// Somebody has closed the descriptor.
    closed: AtomicBool,
    /// What happens during the next look.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Books {
    fn note(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }

    /// The calls since the last time.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

struct BookFile(Arc<Books>);

impl LockFile for BookFile {
    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        self.0.note(format!("lock {mode:?}"));
        assert!(!self.0.panics.swap(false, Ordering::Relaxed), "on purpose");
        match self.0.failure.lock().unwrap().take() {
            Some(number) => Err(io::Error::from_raw_os_error(number)),
            None => Ok(!self.0.refuses.load(Ordering::Relaxed)),
        }
    }

    fn lock(&self, mode: LockMode) -> io::Result<()> {
        self.try_lock(mode).map(|_| ())
    }

    fn unlock(&self) {
        self.0.note("unlock");
    }

    fn is_intact(&self) -> bool {
        !self.0.closed.load(Ordering::Relaxed)
    }

    fn disown(&self) {
        self.0.note("disown");
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.0.note("look");
        let meanwhile = self.0.meanwhile.lock().unwrap().take();
        if let Some(act) = meanwhile {
            act();
        }
        Ok(path != Path::new("/moved"))
    }

    fn unlink(&self, _: &Path) -> io::Result<()> {
        self.0.note("unlink");
        Ok(())
    }
}

#[derive(Default)]
struct Notes(Mutex<Option<Outcome>>);

impl Reply for Notes {
    fn deliver(&self, _: u64, outcome: Outcome) {
        assert!(self.0.lock().unwrap().replace(outcome).is_none(), "two outcomes");
    }
}

/// A file with its books, and requests for it.
struct Stage {
    books: Arc<Books>,
    file: Arc<SharedFile>,
    owner: Arc<Owner>,
    tickets: u64,
}

impl Stage {
    fn new() -> Self {
        let books = Arc::new(Books::default());
        let identity = Identity::new(1, 2);
        let file = SharedFile::new(BookFile(books.clone()), identity, Traits::default());
        Self { books, file, owner: Arc::new(Owner::on_this_thread()), tickets: 0 }
    }

    fn enter(&mut self, path: &str, mode: LockMode, remove_on_release: bool) -> (Arc<Request>, Arc<Notes>) {
        let notes = Arc::new(Notes::default());
        (self.enter_telling(path, mode, remove_on_release, &notes), notes)
    }

    fn enter_telling(
        &mut self,
        path: &str,
        mode: LockMode,
        remove_on_release: bool,
        notes: &Arc<Notes>,
    ) -> Arc<Request> {
        let handle = Arc::new(Handle::new(PathBuf::from(path), 0o666, remove_on_release, false));
        let request = self.request(&handle, mode, notes);
        if let Entered::Turn = self.file.enter(&request) {
            self.work(None);
        }
        request
    }

    /// A request that is in no line yet.
    fn request(&mut self, handle: &Arc<Handle>, mode: LockMode, notes: &Arc<Notes>) -> Arc<Request> {
        self.tickets += 1;
        Arc::new(Request::new(
            self.tickets,
            Wish {
                handle: handle.clone(),
                mode,
                purpose: Purpose::Acquire,
                deadline: None,
                blocks_owner: false,
                owner: self.owner.clone(),
                reply: notes.clone(),
                token: 0,
            },
        ))
    }

    fn work(&self, had: Option<LockMode>) -> Vec<Arc<Request>> {
        let mut moved = Vec::new();
        self.file.work(had, May::Ask, &mut moved);
        moved
    }

    fn release(&self, request: &Request) -> Vec<Arc<Request>> {
        match self.file.release(request) {
            Some(Released::Follow(Follow::Turn(had)) | Released::Lost(Follow::Turn(had))) => self.work(had),
            _ => Vec::new(),
        }
    }
}

#[test]
fn an_acquire_locks_and_then_looks_and_a_release_unlocks() {
    let mut stage = Stage::new();
    let (a, _) = stage.enter("/file", Exclusive, false);
    assert_eq!(stage.books.calls(), ["lock Exclusive", "look"]);
    stage.release(&a);
    assert_eq!(stage.books.calls(), ["unlock"]);
}

#[test]
fn a_handoff_is_a_look_at_the_path_and_no_other_call() {
    let mut stage = Stage::new();
    let (a, _) = stage.enter("/file", Exclusive, false);
    let (_, b) = stage.enter("/file", Exclusive, false);
    stage.books.calls();
    stage.release(&a);
    assert_eq!(stage.books.calls(), ["look"]);
    assert!(matches!(*b.0.lock().unwrap(), Some(Outcome::Granted)));
}

#[test]
fn after_its_budget_of_handoffs_the_process_unlocks_for_the_others() {
    let calls = loop {
        let mut stage = Stage::new();
        let begin = now();
        let waiting: Vec<_> =
            (0..HANDOFF_TURNS + 1).map(|_| stage.enter("/file", Exclusive, false).0).collect();
        for request in &waiting {
            stage.release(request);
        }
        // Else the machine was busy, and the time over before the turns were.
        if now() - begin < HANDOFF_TIME {
            break stage.books.calls();
        }
    };
    assert_eq!(calls.iter().filter(|call| *call == "unlock").count(), 2);
    let first_unlock = calls.iter().position(|call| call == "unlock").unwrap();
    assert_eq!(calls[first_unlock + 1], "lock Exclusive");
    assert_eq!(calls[..first_unlock].iter().filter(|call| *call == "look").count() as u32, HANDOFF_TURNS);
}

#[test]
fn an_exclusive_lock_becomes_a_shared_one_for_shared_waiters() {
    let mut stage = Stage::new();
    let (a, _) = stage.enter("/file", Exclusive, false);
    let (b, _) = stage.enter("/file", Shared, false);
    let (c, _) = stage.enter("/file", Shared, false);
    let (_, d) = stage.enter("/file", Exclusive, false);
    stage.books.calls();
    stage.release(&a);
    assert_eq!(stage.books.calls(), ["lock Shared", "look"], "one look for both: they came by one path");
    stage.release(&b);
    assert_eq!(stage.books.calls(), [""; 0]);
    stage.release(&c);
    assert_eq!(stage.books.calls(), ["unlock", "lock Exclusive", "look"]);
    assert!(matches!(*d.0.lock().unwrap(), Some(Outcome::Granted)));
}

#[test]
fn shared_waiters_by_different_paths_are_let_in_together_after_a_look_at_each() {
    let mut stage = Stage::new();
    let (a, _) = stage.enter("/file", Exclusive, false);
    let (_, b) = stage.enter("/file", Shared, false);
    let (_, c) = stage.enter("/other", Shared, false);
    stage.books.calls();
    stage.release(&a);
    assert_eq!(stage.books.calls(), ["lock Shared", "look", "look"]);
    for notes in [b, c] {
        assert!(matches!(*notes.0.lock().unwrap(), Some(Outcome::Granted)));
    }
}

#[test]
fn a_file_system_without_locks_is_an_error_that_says_so() {
    let mut stage = Stage::new();
    for number in unsupported_errors() {
        *stage.books.failure.lock().unwrap() = Some(number);
        let (_, notes) = stage.enter("/file", Exclusive, false);
        let Some(Outcome::Failed(error)) = notes.0.lock().unwrap().take() else { panic!("no failure") };
        assert!(error.unsupported);
        assert!(stage.file.is_idle());
    }
    *stage.books.failure.lock().unwrap() = Some(5);
    let (_, notes) = stage.enter("/file", Exclusive, false);
    let Some(Outcome::Failed(error)) = notes.0.lock().unwrap().take() else { panic!("no failure") };
    assert!(!error.unsupported);
}

#[cfg(unix)]
fn unsupported_errors() -> [i32; 4] {
    [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOTSUP]
}

#[cfg(windows)]
fn unsupported_errors() -> [i32; 2] {
    // ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED
    [1, 50]
}

#[test]
fn a_panic_ends_the_waits_that_depend_on_it_and_the_next_one_works() {
    let mut stage = Stage::new();
    stage.books.panics.store(true, Ordering::Relaxed);
    let notes = Arc::new(Notes::default());
    let result = catch_unwind(AssertUnwindSafe(|| stage.enter_telling("/file", Exclusive, false, &notes)));
    assert!(result.is_err());
    assert!(matches!(*notes.0.lock().unwrap(), Some(Outcome::Panicked)));
    assert!(stage.file.is_idle());
    let (_, notes) = stage.enter("/file", Exclusive, false);
    assert!(matches!(*notes.0.lock().unwrap(), Some(Outcome::Granted)));
}

#[test]
fn those_whose_path_names_another_file_go_and_the_others_stay() {
    let mut stage = Stage::new();
    let (a, _) = stage.enter("/file", Exclusive, false);
    let (b, _) = stage.enter("/moved", Exclusive, false);
    let (_, c) = stage.enter("/file", Exclusive, false);
    let (d, _) = stage.enter("/moved", Exclusive, false);
    let moved = stage.release(&a);
    assert!(moved.len() == 2 && Arc::ptr_eq(&moved[0], &b) && Arc::ptr_eq(&moved[1], &d));
    assert!(matches!(*c.0.lock().unwrap(), Some(Outcome::Granted)));
}

#[test]
fn the_file_is_removed_under_the_exclusive_lock_before_it_is_unlocked() {
    let mut stage = Stage::new();
    let (a, _) = stage.enter("/file", Exclusive, true);
    stage.books.calls();
    stage.release(&a);
    assert_eq!(stage.books.calls(), ["unlink", "unlock"]);
    let (b, _) = stage.enter("/file", Shared, true);
    stage.books.calls();
    stage.release(&b);
    assert_eq!(stage.books.calls(), ["unlock"]);
}

#[test]
fn who_gives_up_during_the_look_is_rejected_though_its_handle_has_been_granted_another_file() {
    let mut first = Stage::new();
    let mut second = Stage::new();
    let handle = Arc::new(Handle::new(PathBuf::from("/model"), 0o666, false, false));
    let (held, _) = second.enter("/model", Exclusive, false);
    let notes = Arc::new(Notes::default());
    let waiting = second.request(&handle, Exclusive, &notes);
    assert!(matches!(second.file.enter(&waiting), Entered::Waits));
    let other = first.request(&handle, Exclusive, &Arc::default());
    let file = first.file.clone();
    let leaving = waiting.clone();
    *second.books.meanwhile.lock().unwrap() = Some(Box::new(move || {
        assert!(matches!(file.enter(&other), Entered::Turn));
        file.work(None, May::Ask, &mut Vec::new());
        shared_file::cancel(&leaving, Reason::Aborted);
    }));
    assert!(second.release(&held).is_empty(), "it is to be opened anew");
    assert!(matches!(*notes.0.lock().unwrap(), Some(Outcome::Aborted)));
    assert_eq!(second.books.calls().last().unwrap(), "unlock");
}

#[test]
fn a_turn_of_a_thread_that_must_not_be_held_up_looks_at_no_path() {
    let mut stage = Stage::new();
    let (first, _) = stage.enter("/model", Shared, false);
    let (second, notes) = stage.enter("/model", Exclusive, false);
    let (_, shared) = stage.enter("/model", Shared, false);
    let Some((_, Cancellation::Out(Follow::Turn(had)))) = shared_file::cancel(&second, Reason::TimedOut)
    else {
        panic!("nobody has to see to the next one")
    };
    assert!(matches!(*notes.0.lock().unwrap(), Some(Outcome::TimedOut)));
    stage.books.calls();
    let rest = stage.file.work(had, May::Unlock, &mut Vec::new());
    let Rest::Turn(had) = rest else { panic!("it was seen to") };
    assert!(stage.books.calls().is_empty());
    // Somebody else goes on with it.
    stage.work(had);
    assert!(matches!(*shared.0.lock().unwrap(), Some(Outcome::Granted)));
    stage.release(&first);
}

/// So many requests for a shared lock that no more may join: all but the first have joined it.
fn readers(stage: &mut Stage) -> Vec<Arc<Request>> {
    (0..HANDOFF_TURNS).map(|_| stage.enter("/file", Shared, false).0).collect()
}

/// A request of a new handle, and what became of it when it entered.
fn entering(stage: &mut Stage, purpose: Purpose) -> (Arc<Request>, Entered) {
    let handle = Arc::new(Handle::new(PathBuf::from("/file"), 0o666, false, false));
    let request = stage.request(&handle, Shared, &Arc::default());
    let request = match purpose {
        Purpose::Acquire => request,
        _ => Arc::new(Request::new(
            request.ticket,
            Wish {
                handle,
                mode: Shared,
                purpose,
                deadline: None,
                blocks_owner: false,
                owner: stage.owner.clone(),
                reply: Arc::new(Notes::default()),
                token: 0,
            },
        )),
    };
    let entered = stage.file.enter(&request);
    (request, entered)
}

#[test]
fn so_many_may_join_a_shared_lock_and_then_it_is_drained_and_left_to_others_for_a_moment() {
    let mut stage = Stage::new();
    let holding = readers(&mut stage);
    let (waiting, entered) = entering(&mut stage, Purpose::Acquire);
    assert!(matches!(entered, Entered::Drains(_)));
    let (_, entered) = entering(&mut stage, Purpose::Acquire);
    assert!(matches!(entered, Entered::Waits), "the drain begins once");
    stage.books.calls();
    let (last, others) = holding.split_last().unwrap();
    others.iter().for_each(|hold| assert!(stage.release(hold).is_empty()));
    assert_eq!(stage.books.calls(), [""; 0], "somebody was let in before all had let go");
    let Some(Released::Follow(Follow::Turn(had))) = stage.file.release(last) else { panic!("no turn") };
    let rest = stage.file.work(had, May::Ask, &mut Vec::new());
    assert!(matches!(rest, Rest::GiveWay(Shared)));
    assert_eq!(stage.books.calls(), ["unlock"], "asked for at once, the lock is never left to others");
    assert!(stage.file.pause(Shared).is_some() && stage.file.resume());
    stage.work(None);
    assert_eq!(stage.books.calls(), ["lock Shared", "look"]);
    assert!(waiting.handle.granted_file().is_some());
}

#[test]
fn a_shared_lock_that_is_not_let_go_of_locks_nobody_out_of_its_own_process() {
    let mut stage = Stage::new();
    let holding = readers(&mut stage);
    let (waiting, entered) = entering(&mut stage, Purpose::Acquire);
    let Entered::Drains(drain) = entered else { panic!("it is let in") };
    assert_eq!(stage.file.end_drain(drain - 1), Follow::Nothing, "that drain is over");
    let Follow::Turn(had) = stage.file.end_drain(drain) else { panic!("nobody sees to those who wait") };
    stage.work(had);
    assert!(waiting.handle.granted_file().is_some());
    // Twice as many may join from now on.
    for _ in 1..2 * HANDOFF_TURNS {
        assert!(matches!(entering(&mut stage, Purpose::Acquire).1, Entered::Granted));
    }
    assert!(matches!(entering(&mut stage, Purpose::Acquire).1, Entered::Drains(_)));
    drop(holding);
}

#[test]
fn who_does_not_wait_joins_a_shared_lock_that_others_only_share() {
    let mut stage = Stage::new();
    let _holding = readers(&mut stage);
    let (_, entered) = entering(&mut stage, Purpose::TryAcquire);
    assert!(matches!(entered, Entered::Granted), "false means held");
}

#[test]
fn a_lock_whose_descriptor_somebody_has_closed_is_lost_and_nothing_is_done_to_the_descriptor() {
    let mut stage = Stage::new();
    let (held, _) = stage.enter("/file", Exclusive, true);
    let (waiting, _) = stage.enter("/file", Exclusive, false);
    stage.books.calls();
    stage.books.closed.store(true, Ordering::Relaxed);
    let Some(Released::Lost(Follow::Turn(had))) = stage.file.release(&held) else {
        panic!("it is not noticed")
    };
    let moved = stage.work(had);
    assert_eq!(stage.books.calls(), ["disown"]);
    assert!(moved.len() == 1 && Arc::ptr_eq(&moved[0], &waiting), "who waits has to find the file anew");
    assert!(stage.file.is_lost() && stage.file.is_idle());
}

#[test]
fn the_end_of_an_owner_does_nothing_to_a_descriptor_that_is_not_ours_any_more() {
    let mut stage = Stage::new();
    stage.enter("/file", Exclusive, true);
    stage.books.calls();
    stage.books.closed.store(true, Ordering::Relaxed);
    let Follow::Turn(had) = stage.file.end(&stage.owner) else { panic!("no turn") };
    stage.work(had);
    assert_eq!(stage.books.calls(), ["disown"]);
}

#[test]
fn a_release_on_a_network_file_system_leaves_the_system_calls_to_a_worker() {
    let mut stage = Stage::new();
    let (a, _) = stage.enter("/file", Exclusive, false);
    stage.books.calls();
    let Some(Released::Follow(Follow::Turn(had))) = stage.file.release(&a) else { panic!("no turn") };
    let Rest::Turn(had) = stage.file.work(had, May::Settle, &mut Vec::new()) else {
        panic!("it was seen to")
    };
    assert_eq!(stage.books.calls(), [""; 0]);
    stage.work(had);
    assert_eq!(stage.books.calls(), ["unlock"]);
    assert!(stage.file.is_idle());
}

#[test]
fn those_in_line_hear_that_there_is_no_thread_to_wait_for_them() {
    let mut stage = Stage::new();
    let (a, _) = stage.enter("/file", Exclusive, false);
    let (_, waiting) = stage.enter("/file", Exclusive, false);
    let Some(Released::Follow(Follow::Turn(_))) = stage.file.release(&a) else { panic!("no turn") };
    stage.books.calls();
    stage.file.refuse(SystemError::no_thread());
    assert_eq!(stage.books.calls(), ["unlock"]);
    let outcome = waiting.0.lock().unwrap().take();
    assert!(matches!(outcome, Some(Outcome::Failed(error)) if error.syscall == "pthread_create"));
    assert!(stage.file.is_idle());
}

#[test]
fn a_wait_that_is_paced_tries_once_more_when_its_time_is_over() {
    let mut stage = Stage::new();
    stage.books.refuses.store(true, Ordering::Relaxed);
    let handle = Arc::new(Handle::new(PathBuf::from("/file"), 0o666, false, false));
    let notes = Arc::new(Notes::default());
    let request = stage.request(&handle, Exclusive, &notes);
    assert!(matches!(stage.file.enter(&request), Entered::Turn));
    let rest = stage.file.work(None, May::Ask, &mut Vec::new());
    assert!(matches!(rest, Rest::Wait(Exclusive, _)) && stage.file.pause(Exclusive).is_some());
    stage.books.refuses.store(false, Ordering::Relaxed);
    let Some((_, Cancellation::Leaving(Follow::Turn(None)))) =
        shared_file::cancel(&request, Reason::TimedOut)
    else {
        panic!("it is rejected for what was true some time ago")
    };
    // The thread that gives a wait up may not ask.
    let Rest::Turn(None) = stage.file.work(None, May::Unlock, &mut Vec::new()) else { panic!("no turn") };
    stage.work(None);
    assert!(matches!(*notes.0.lock().unwrap(), Some(Outcome::Granted)));
}

#[test]
fn a_handle_that_still_holds_what_was_lost_waits_for_its_own_release() {
    let mut stage = Stage::new();
    let (held, _) = stage.enter("/file", Shared, false);
    let (other, _) = stage.enter("/file", Shared, false);
    stage.books.closed.store(true, Ordering::Relaxed);
    let Some(Released::Lost(Follow::Turn(had))) = stage.file.release(&other) else {
        panic!("it is not noticed")
    };
    stage.work(had);
    let again = stage.request(&held.handle, Shared, &Arc::default());
    assert!(matches!(stage.file.enter_if_busy(&again), Some(Entered::Waits)));
    let stranger = entering(&mut stage, Purpose::Acquire).0;
    assert!(stage.file.enter_if_busy(&stranger).is_none(), "who holds nothing there finds the file anew");
    let Some(Released::Lost(Follow::Turn(had))) = stage.file.release(&held) else {
        panic!("it is not noticed")
    };
    assert!(stage.work(had).iter().any(|moved| Arc::ptr_eq(moved, &again)));
}
