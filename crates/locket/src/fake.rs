//! A system for tests: it records the calls, and answers as it is told.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use crate::engine::Engine;
use crate::exec::{Interrupts, Limits};
use crate::sys::{FileId, LockFile, LockMode, OpenHow, ProtocolOptions, System};

/// What happens during a call.
type Act = Box<dyn FnOnce() + Send>;

/// A system without disks: every path names the same file, unless the test says otherwise. Waits are paced.
#[derive(Default)]
pub(crate) struct FakeSystem {
    calls: Mutex<Vec<(String, ThreadId)>>,
    /// The files of paths that do not name file 1.
    files: Mutex<BTreeMap<PathBuf, u64>>,
    /// The next call that is recorded so does this, after its answer is found.
    meanwhile: Mutex<BTreeMap<String, Act>>,
    /// What the next lock call fails with; 0 is nothing.
    pub(crate) lock_error: AtomicI32,
    /// How many more lock calls find that the file is gone from its server.
    pub(crate) stale_locks: AtomicUsize,
    /// The next lock call panics.
    pub(crate) panics: AtomicBool,
    /// Another process holds the lock.
    pub(crate) is_locked: AtomicBool,
    /// Other code has closed the descriptors.
    pub(crate) is_closed: AtomicBool,
    /// The number of the descriptor of every file; 0 is none.
    pub(crate) descriptor: AtomicI32,
    /// The files are on a server.
    pub(crate) is_remote: AtomicBool,
    /// Another machine has made the files, and this one does not see them before it refreshes their folder.
    pub(crate) is_unseen: AtomicBool,
    /// The files have content.
    pub(crate) is_written: AtomicBool,
    /// Other code has fcntl(2) locks on the files.
    pub(crate) has_fcntl_locks: AtomicBool,
    /// How many files may be kept open.
    pub(crate) spare_descriptors: AtomicUsize,
    /// How many more files can be opened. `None`: any number.
    pub(crate) descriptors_left: Mutex<Option<usize>>,
    /// That a file is opened or closed is recorded, too.
    pub(crate) records_files: AtomicBool,
}

/// Limits of an engine whose jobs are never done.
pub(crate) const NO_WORKERS: Limits = Limits { threads: 0, blocked: 0 };

impl FakeSystem {
    /// Returns an engine on a new system, and that system.
    pub(crate) fn with_engine(limits: Limits) -> (Arc<Engine>, Arc<Self>) {
        let system = Arc::new(Self::default());
        (Engine::with(Box::new(system.clone()), limits), system)
    }

    /// Returns the calls since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        mem::take(&mut *self.calls.lock().unwrap()).into_iter().map(|(call, _)| call).collect()
    }

    /// Returns the thread that made this call last.
    pub(crate) fn thread_of(&self, call: &str) -> Option<ThreadId> {
        let calls = self.calls.lock().unwrap();
        calls.iter().rev().find(|(other, _)| other == call).map(|&(_, thread)| thread)
    }

    /// Makes `path` name this file from now on.
    pub(crate) fn replace(&self, path: &str, file: u64) {
        self.files.lock().unwrap().insert(path.into(), file);
    }

    /// Does this during the next such call.
    pub(crate) fn during(&self, call: &str, act: impl FnOnce() + Send + 'static) {
        self.meanwhile.lock().unwrap().insert(call.into(), Box::new(act));
    }

    fn record(&self, call: impl Into<String>) {
        let call = call.into();
        let act = self.meanwhile.lock().unwrap().remove(&call);
        self.calls.lock().unwrap().push((call, thread::current().id()));
        if let Some(act) = act {
            act();
        }
    }

    fn record_file(&self, call: &str) {
        if self.records_files.load(Ordering::SeqCst) {
            self.record(call);
        }
    }

    fn file_at(&self, path: &Path) -> FileId {
        FileId::new(1, self.files.lock().unwrap().get(path).copied().unwrap_or(1))
    }
}

impl System for Arc<FakeSystem> {
    fn open(&self, path: &Path, _: &OpenHow) -> io::Result<Box<dyn LockFile>> {
        self.record_file("open");
        if let Some(left) = &mut *self.descriptors_left.lock().unwrap() {
            // EMFILE, ERROR_TOO_MANY_OPEN_FILES.
            let none_left = if cfg!(windows) { 4 } else { 24 };
            *left = left.checked_sub(1).ok_or_else(|| io::Error::from_raw_os_error(none_left))?;
        }
        Ok(Box::new(FakeFile { id: self.file_at(path), system: self.clone() }))
    }

    fn lock_id_at(&self, path: &Path, _: &ProtocolOptions) -> io::Result<Option<FileId>> {
        Ok((!self.is_unseen.load(Ordering::SeqCst)).then(|| self.file_at(path)))
    }

    fn is_coherent_at(&self, _: &Path) -> bool {
        true
    }

    fn refresh(&self, _: &Path) -> bool {
        self.is_unseen.swap(false, Ordering::SeqCst)
    }

    fn is_on_local_mount(&self, _: &Path) -> bool {
        !self.is_remote.load(Ordering::SeqCst)
    }

    fn spare_descriptors(&self) -> usize {
        self.spare_descriptors.load(Ordering::SeqCst)
    }

    fn interrupts(&self, _: LockMode) -> Option<Interrupts> {
        None
    }
}

struct FakeFile {
    id: FileId,
    system: Arc<FakeSystem>,
}

impl LockFile for FakeFile {
    fn id(&self) -> FileId {
        self.id
    }

    fn is_local(&self) -> bool {
        !self.system.is_remote.load(Ordering::SeqCst)
    }

    fn may_stay_open(&self) -> bool {
        !self.system.is_written.load(Ordering::SeqCst)
    }

    fn may_have_fcntl_locks(&self) -> bool {
        self.system.has_fcntl_locks.load(Ordering::SeqCst)
    }

    fn try_lock(&self, mode: LockMode) -> io::Result<bool> {
        let take_one = |left: usize| left.checked_sub(1);
        let is_stale =
            self.system.stale_locks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one).is_ok();
        let answer = match self.system.lock_error.swap(0, Ordering::SeqCst) {
            #[cfg(unix)]
            _ if is_stale => Err(io::Error::from_raw_os_error(libc::ESTALE)),
            0 => Ok(!self.system.is_locked.load(Ordering::SeqCst)),
            number => Err(io::Error::from_raw_os_error(number)),
        };
        self.system.record(format!("lock {mode:?}"));
        assert!(!self.system.panics.swap(false, Ordering::SeqCst), "on purpose");
        answer
    }

    fn lock(&self, _: LockMode) -> io::Result<()> {
        unreachable!("no thread waits in this kernel")
    }

    fn unlock(&self) {
        self.system.record("unlock");
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let answer = self.system.file_at(path) == self.id;
        self.system.record("check path");
        Ok(answer)
    }

    fn unlink(&self, _: &Path) -> io::Result<()> {
        self.system.record("unlink");
        Ok(())
    }

    fn descriptor(&self) -> Option<i32> {
        Some(self.system.descriptor.load(Ordering::SeqCst)).filter(|&number| number > 0)
    }

    fn is_intact(&self) -> bool {
        !self.system.is_closed.load(Ordering::SeqCst)
    }

    fn disown(&self) {
        self.system.record("disown");
    }
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        if let Some(left) = &mut *self.system.descriptors_left.lock().unwrap() {
            *left += 1;
        }
        self.system.record_file("close");
    }
}
