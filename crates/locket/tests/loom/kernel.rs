//! A model of what the kernel does for one lock file: each system call is one step.

use std::io;
use std::path::Path;
use std::sync::Arc;

use locket::core::kernel::LockFile;
use locket::core::kernel::LockMode::{self, Exclusive, Shared};
use locket::core::sys::WaitingThread;
use loom::sync::{Condvar, Mutex, MutexGuard};

/// A path that names another file by the time that it is looked at.
pub const MOVED: &str = "/moved";
/// A path that the system refuses to look at.
pub const REFUSED: &str = "/refused";
/// A path that has a defect of ours panic.
pub const PANICS: &str = "/panics";

/// What the calls fail with where a model says that they fail.
const EIO: i32 = 5;

/// Who has the file locked, and who waits.
#[derive(Default)]
pub struct Kernel {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ours: Option<LockMode>,
    theirs: Option<LockMode>,
    /// A thread of ours waits in `lock`.
    waits: bool,
    /// One has come to wait, now or before.
    asked: bool,
    /// It has got a signal since it waits.
    signalled: bool,
    /// Signals do not end the wait, as on a network mount that is dead.
    deaf: bool,
    fails: bool,
    unlinked: bool,
}

impl State {
    /// Locks the file, if it is to be had.
    fn take(&mut self, mode: LockMode) -> bool {
        let free = match self.theirs {
            None => true,
            Some(theirs) => theirs == Shared && mode == Shared,
        };
        self.ours = free.then_some(mode);
        free
    }
}

impl Kernel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What this process has of the lock.
    pub fn ours(&self) -> Option<LockMode> {
        self.state().ours
    }

    /// Another process locks the file, or lets go of it.
    pub fn others_lock(&self, mode: Option<LockMode>) {
        self.state().theirs = mode;
        self.changed.notify_all();
    }

    /// From now on signals do not end a wait.
    pub fn be_deaf(&self) {
        self.state().deaf = true;
    }

    /// From now on each attempt to lock fails.
    pub fn fail(&self) {
        self.state().fails = true;
        self.changed.notify_all();
    }

    /// Waits until a thread of ours has come to wait for the lock.
    pub fn wait_until_asked(&self) {
        let mut state = self.state();
        while !state.asked {
            state = self.changed.wait(state).unwrap();
        }
    }

    /// Has the file been deleted?
    pub fn is_unlinked(&self) -> bool {
        self.state().unlinked
    }
}

/// The file, as the core sees it.
pub struct ModelFile(pub Arc<Kernel>);

impl LockFile for ModelFile {
    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        let mut state = self.0.state();
        if state.fails {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        Ok(state.take(mode))
    }

    fn lock(&self, mode: LockMode) -> io::Result<()> {
        let mut state = self.0.state();
        // A signal that has come before is lost.
        state.waits = true;
        state.asked = true;
        self.0.changed.notify_all();
        let result = loop {
            if state.fails {
                break Err(io::Error::from_raw_os_error(EIO));
            }
            if state.take(mode) {
                break Ok(());
            }
            if state.signalled && !state.deaf {
                break Err(io::ErrorKind::Interrupted.into());
            }
            state = self.0.changed.wait(state).unwrap();
        };
        state.waits = false;
        state.signalled = false;
        result
    }

    unsafe fn call_back(&self, _: WaitingThread) {
        let mut state = self.0.state();
        if state.waits {
            state.signalled = true;
            self.0.changed.notify_all();
        }
    }

    fn unlock(&self) {
        self.0.state().ours = None;
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        match path.to_str() {
            Some(REFUSED) => Err(io::ErrorKind::PermissionDenied.into()),
            Some(PANICS) => panic!("on purpose"),
            path => Ok(path != Some(MOVED) && !self.0.state().unlinked),
        }
    }

    fn unlink(&self, _: &Path) -> io::Result<()> {
        let mut state = self.0.state();
        assert_eq!(state.ours, Some(Exclusive), "deleted while it was not locked");
        state.unlinked = true;
        Ok(())
    }
}
