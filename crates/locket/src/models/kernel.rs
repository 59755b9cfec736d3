//! A model of what the kernel does for lock files, flock(2) above all: each system call is one step.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loom::sync::{Condvar, Mutex, MutexGuard};
use loom::thread::{self, ThreadId};

use crate::exec::{Interrupts, WaitingThread};
use crate::sync::modelled::{notify_watcher, wait_until};
use crate::sys::{Changes, FileId, LockFile, LockMode, OpenHow, ProtocolOptions, System, Waker};

/// Longer than any model passes.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// The path of the lock file, where a model does not name another one.
pub(super) const PATH: &str = "/model";
/// Another path.
pub(super) const OTHER: &str = "/other";
/// One more.
pub(super) const THIRD: &str = "/third";
/// A path that may take long to open.
pub(super) const SLOW: &str = "/slow";
/// A path that can be opened, and not looked at again.
pub(super) const REFUSED: &str = "/refused";
/// A path that makes this library panic when it is looked at again.
pub(super) const PANICS: &str = "/panics";

/// The files, and who has locked them. All processes of a model share one.
#[derive(Default)]
pub(super) struct Kernel {
    state: Mutex<State>,
    changed: Condvar,
    processes: AtomicUsize,
    /// How many threads wait in the kernel, and have not been woken. (It is nothing of loom's.)
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// Which file each path names.
    paths: BTreeMap<PathBuf, u64>,
    files: u64,
    /// The open files, by the numbers of their descriptors, none of which is used twice.
    open: BTreeMap<usize, Open>,
    opened: usize,
    /// The error with which each attempt to lock fails.
    failing: Option<i32>,
    /// Files that the server has forgotten.
    stale: Vec<u64>,
    /// [`SLOW`] does not answer.
    slow: bool,
    /// Signals do not end a wait, as on a network mount that is dead.
    deaf: bool,
    /// Who is told when the lock of a file may be free, by their descriptors.
    wakers: BTreeMap<usize, Waker>,
    /// What has happened that must not.
    faults: Vec<String>,
}

/// An open file.
struct Open {
    /// The process that has opened it.
    process: usize,
    file: u64,
    locked: Option<LockMode>,
    /// A thread waits for its lock.
    waits: bool,
    /// It has got a signal since it waits.
    signalled: bool,
}

impl State {
    /// Opens the file at `path`, which is created if it is missing.
    fn open(&mut self, path: &Path, process: usize) -> usize {
        let file = match self.paths.get(path) {
            Some(file) => *file,
            None => self.create(path),
        };
        self.opened += 1;
        let open = Open { process, file, locked: None, waits: false, signalled: false };
        self.open.insert(self.opened, open);
        self.opened
    }

    /// Makes `path` name a new file.
    fn create(&mut self, path: &Path) -> u64 {
        self.files += 1;
        self.paths.insert(path.to_owned(), self.files);
        self.files
    }

    /// Locks an open file in this mode, if nobody else has locked it in another way. What it had is gone by now.
    fn take(&mut self, number: usize, mode: LockMode) -> bool {
        let file = self.open[&number].file;
        let is_free = self.open.values().filter(|other| other.file == file).all(|other| match other.locked {
            None => true,
            Some(theirs) => theirs == LockMode::Shared && mode == LockMode::Shared,
        });
        if is_free {
            self.get(number).locked = Some(mode);
        }
        is_free
    }

    fn get(&mut self, number: usize) -> &mut Open {
        self.open.get_mut(&number).expect("the descriptor is open")
    }

    /// Returns the error with which a lock of this descriptor fails.
    fn error(&self, number: usize) -> Option<io::Error> {
        let Some(open) = self.open.get(&number) else {
            return Some(io::Error::from_raw_os_error(libc::EBADF));
        };
        let stale = self.stale.contains(&open.file).then_some(libc::ESTALE);
        stale.or(self.failing).map(io::Error::from_raw_os_error)
    }
}

impl Kernel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes something that others may wait for.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        if self.waiting.swap(0, Ordering::SeqCst) > 0 {
            self.changed.notify_all();
        }
        result
    }

    /// Returns the number of a new process. That of the others is 0.
    pub(super) fn add_process(&self) -> usize {
        self.processes.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Another process opens the file at [`PATH`] and locks it. Returns what unlocks it again.
    pub(super) fn lock_by_others(&self, mode: LockMode) -> usize {
        self.lock_by_others_at(PATH, mode)
    }

    /// The same at another path.
    pub(super) fn lock_by_others_at(&self, path: &str, mode: LockMode) -> usize {
        let mut state = self.state();
        let number = state.open(Path::new(path), 0);
        assert!(state.take(number, mode), "the lock is free");
        number
    }

    /// Another process unlocks the file that it has locked.
    pub(super) fn unlock_by_others(&self, number: usize) {
        self.change(|state| state.open.remove(&number));
        self.tell();
    }

    /// Tells those that are told when the lock of a file may be free. Another thread than theirs does it.
    pub(super) fn tell(&self) {
        let wakers: Vec<_> = self.state().wakers.values().cloned().collect();
        for waker in wakers {
            waker();
        }
    }

    /// Another process makes [`PATH`] name a new file.
    pub(super) fn replace(&self) {
        self.state().create(Path::new(PATH));
    }

    /// A server makes [`PATH`] name a new file, and forgets the old one.
    pub(super) fn replace_on_server(&self) {
        self.change(|state| {
            let old = state.paths[Path::new(PATH)];
            state.stale.push(old);
            state.create(Path::new(PATH));
        });
    }

    /// Other code of `process` closes all its descriptors.
    pub(super) fn close_descriptors(&self, process: usize) {
        self.change(|state| state.open.retain(|_, open| open.process != process));
    }

    /// Opening [`SLOW`] takes until it does not any more.
    pub(super) fn be_slow(&self, slow: bool) {
        self.change(|state| state.slow = slow);
    }

    /// From now on signals do not end a wait.
    pub(super) fn be_deaf(&self) {
        self.state().deaf = true;
    }

    /// From now on each attempt to lock fails.
    pub(super) fn fail(&self) {
        self.change(|state| state.failing = Some(libc::EIO));
    }

    /// Returns true if a thread waits in the kernel. It does nothing of loom's.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Waits until so many threads wait in the kernel.
    pub(super) fn wait_until_waiting(&self, threads: usize) {
        wait_until(|| self.waiting.load(Ordering::SeqCst) >= threads);
    }

    /// Returns the modes in which `process` has locked files.
    pub(super) fn locked_by(&self, process: usize) -> Vec<LockMode> {
        self.state()
            .open
            .values()
            .filter(|open| open.process == process)
            .filter_map(|open| open.locked)
            .collect()
    }

    /// Returns true if `process` has locked the file that [`PATH`] names.
    pub(super) fn is_locked_by(&self, process: usize) -> bool {
        let state = self.state();
        let file = state.paths.get(Path::new(PATH)).copied();
        state
            .open
            .values()
            .any(|open| open.process == process && Some(open.file) == file && open.locked.is_some())
    }

    /// Another process creates the file at [`PATH`].
    pub(super) fn create_file(&self) {
        self.state().create(Path::new(PATH));
    }

    /// Another process creates the file at [`PATH`], and links it to `path`.
    pub(super) fn link(&self, path: &str) {
        let mut state = self.state();
        let file = state.create(Path::new(PATH));
        state.paths.insert(path.into(), file);
    }

    /// Another process links the file at [`PATH`] to `path`.
    pub(super) fn link_file(&self, path: &str) {
        let mut state = self.state();
        let file = state.paths[Path::new(PATH)];
        state.paths.insert(path.into(), file);
    }

    /// Returns how many files are open.
    pub(super) fn open_files(&self) -> usize {
        self.state().open.len()
    }

    /// Checks that nothing is open, and that nothing has happened that must not.
    pub(super) fn check_books(&self) {
        let state = self.state();
        assert!(state.faults.is_empty(), "{:?}", state.faults);
        assert!(state.open.is_empty(), "{} files are left open", state.open.len());
    }
}

/// How a process waits when the kernel has refused it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// A thread blocks in the kernel's queue.
    Blocked,
    /// The driver is suspended, and the timer thread resumes it.
    Paced,
    /// The driver is suspended, and who unlocks the file resumes it.
    Watched,
}

/// What a process has of the kernel.
pub(super) struct ModelSystem {
    pub kernel: Arc<Kernel>,
    pub process: usize,
    pub waits: Waits,
    /// Its files are on a server.
    pub remote: bool,
    /// The thread of its clients, which waits for no server.
    pub client: ThreadId,
}

impl System for ModelSystem {
    fn open(&self, path: &Path, how: &OpenHow) -> io::Result<Box<dyn LockFile>> {
        let mut state = self.kernel.state();
        while state.slow && path == Path::new(SLOW) {
            self.kernel.waiting.fetch_add(1, Ordering::SeqCst);
            notify_watcher();
            state = self.kernel.changed.wait(state).unwrap();
        }
        if how.create.is_none() && !state.paths.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let number = state.open(path, self.process);
        let file = state.open[&number].file;
        Ok(Box::new(ModelFile {
            kernel: self.kernel.clone(),
            number,
            file,
            remote: self.remote,
            is_watched: self.waits == Waits::Watched,
            client: self.client,
        }))
    }

    fn lock_id_at(&self, path: &Path, _: &ProtocolOptions) -> io::Result<Option<FileId>> {
        Ok(self.kernel.state().paths.get(path).map(|&file| FileId::new(1, file)))
    }

    fn is_coherent_at(&self, _: &Path) -> bool {
        true
    }

    fn refresh(&self, _: &Path) -> bool {
        false
    }

    fn is_on_local_mount(&self, _: &Path) -> bool {
        !self.remote
    }

    fn spare_descriptors(&self) -> usize {
        1
    }

    fn interrupts(&self, _: LockMode) -> Option<Interrupts> {
        (self.waits == Waits::Blocked).then(|| Interrupts::claim().expect("there are signals left"))
    }
}

/// An open file, as the engine sees it.
struct ModelFile {
    kernel: Arc<Kernel>,
    number: usize,
    file: u64,
    remote: bool,
    is_watched: bool,
    client: ThreadId,
}

impl ModelFile {
    /// A call begins that may wait for a server.
    fn ask_server(&self) {
        if self.remote && thread::current().id() == self.client {
            self.kernel.state().faults.push("a client has waited for a server".into());
        }
    }

    /// Gives up the lock that the file has, as flock(2) does before it takes another one.
    fn drop_lock(&self) {
        self.kernel.change(|state| {
            if let Some(open) = state.open.get_mut(&self.number) {
                open.locked = None;
            }
        });
    }
}

impl LockFile for ModelFile {
    fn id(&self) -> FileId {
        FileId::new(1, self.file)
    }

    fn is_local(&self) -> bool {
        !self.remote
    }

    fn may_stay_open(&self) -> bool {
        true
    }

    fn is_coherent(&self) -> bool {
        true
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        let mut state = self.kernel.state();
        if state.open.get(&self.number).is_some_and(|open| open.locked.is_some()) {
            drop(state);
            self.drop_lock();
            state = self.kernel.state();
        }
        state.error(self.number).map_or_else(|| Ok(state.take(self.number, mode)), Err)
    }

    fn lock(&self, mode: LockMode) -> io::Result<()> {
        let Kernel { changed, waiting, .. } = &*self.kernel;
        let mut state = self.kernel.state();
        let mut has_waited = false;
        let result = loop {
            if has_waited && !state.open.contains_key(&self.number) {
                // The call goes on with the file, which nobody can unlock by now: it ends with the call.
                break Ok(());
            }
            if let Some(error) = state.error(self.number) {
                break Err(error);
            }
            if state.take(self.number, mode) {
                break Ok(());
            }
            let deaf = state.deaf;
            let open = state.get(self.number);
            if open.signalled && !deaf {
                break Err(io::ErrorKind::Interrupted.into());
            }
            // A signal that has come before is lost.
            open.waits = true;
            has_waited = true;
            waiting.fetch_add(1, Ordering::SeqCst);
            notify_watcher();
            state = changed.wait(state).unwrap();
        };
        if let Some(open) = state.open.get_mut(&self.number) {
            open.waits = false;
            open.signalled = false;
        }
        result
    }

    fn await_change(&self, waker: &dyn Fn() -> Waker) -> Changes {
        if !self.is_watched {
            return Changes::InKernel;
        }
        if self.kernel.state().wakers.contains_key(&self.number) {
            return Changes::Within(FOR_EVER);
        }
        let waker = waker();
        self.kernel.state().wakers.insert(self.number, waker);
        Changes::LookNow
    }

    unsafe fn interrupt(&self, _: WaitingThread) {
        self.kernel.change(|state| {
            if let Some(open) = state.open.get_mut(&self.number) {
                open.signalled = open.waits;
            }
        });
    }

    fn unlock(&self) {
        self.ask_server();
        self.drop_lock();
        self.kernel.tell();
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.ask_server();
        match path.to_str() {
            Some(REFUSED) => Err(io::ErrorKind::PermissionDenied.into()),
            Some(PANICS) => panic!("on purpose"),
            _ => Ok(self.kernel.state().paths.get(path) == Some(&self.file)),
        }
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.kernel.state();
        if state.open.get(&self.number).is_none_or(|open| open.locked != Some(LockMode::Exclusive)) {
            state.faults.push("a file was deleted while it was not locked".into());
        }
        if state.paths.get(path) == Some(&self.file) {
            state.paths.remove(path);
        }
        Ok(())
    }

    fn is_intact(&self) -> bool {
        self.kernel.state().open.contains_key(&self.number)
    }
}

impl Drop for ModelFile {
    fn drop(&mut self) {
        self.kernel.change(|state| {
            state.wakers.remove(&self.number);
            let closed = state.open.remove(&self.number);
            if closed.is_some_and(|open| open.locked.is_some()) {
                state.faults.push("a file was closed while it was locked".into());
            }
        });
    }
}
