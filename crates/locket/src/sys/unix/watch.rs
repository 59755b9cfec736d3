//! Tells of changes: one thread that is told by inotify(7) of names that go from folders, and by pidfd_open(2) of processes that
//! end. It sleeps otherwise.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::folder::Folder;
use crate::exec::thread;
use crate::sync::{Mutex, MutexGuard};
use crate::sys::{ProcessWatch, Waker};

/// What epoll says when the watcher is dropped, and when inotify has news. Other numbers are pids, which are positive.
const DROPPED: u64 = 0;
const INOTIFY: u64 = u64::MAX;

/// Space for the events of one reading: the longest has a name of 255 bytes.
const EVENTS: usize = 4096;

/// Tells of changes.
#[derive(Clone)]
pub(crate) struct Watcher(Arc<Inner>);

/// Ends the thread when it is dropped.
struct Inner(Arc<Shared>);

/// What the watcher and its thread share.
struct Shared {
    epoll: OwnedFd,
    inotify: OwnedFd,
    dropped: OwnedFd,
    lists: Mutex<Lists>,
}

/// Lists, which are short: a process waits for few locks of other programs at a time.
#[derive(Default)]
struct Lists {
    names: Vec<Listener>,
    processes: Vec<Process>,
    /// The number of the next watch.
    next: u64,
}

/// Who is told of a name.
struct Listener {
    watch: u64,
    /// The number that inotify has given to the folder.
    folder: i32,
    name: OsString,
    waker: Waker,
}

/// A process that is watched.
struct Process {
    pid: u32,
    #[expect(dead_code, reason = "as long as it is open, epoll tells of it")]
    pidfd: OwnedFd,
    /// Who is told of its end, by the numbers of their watches.
    wakers: Vec<(u64, Waker)>,
}

/// A watch on a name, and on a process. Ends when it is dropped.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    number: u64,
    waker: Waker,
    process: Mutex<Option<u32>>,
}

impl Watcher {
    /// Returns a watcher whose thread has been started, or `None` if the system does not have what it takes.
    pub(crate) fn start() -> Option<Self> {
        let shared = Arc::new(Shared {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).ok()?,
            inotify: inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok()?,
            dropped: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?,
            lists: Mutex::new(Lists::default()),
        });
        for (source, number) in [(&shared.dropped, DROPPED), (&shared.inotify, INOTIFY)] {
            epoll::add(&shared.epoll, source, epoll::EventData::new_u64(number), epoll::EventFlags::IN)
                .ok()?;
        }
        let on_thread = shared.clone();
        thread::start("locket-watch", move || thread::catch_panic(|| on_thread.run()))
            .then(|| Self(Arc::new(Inner(shared))))
    }

    /// Watches a name in `folder`: `waker` is called when it goes. Returns `None` if the system cannot watch one more folder.
    pub(crate) fn watch(&self, folder: &Folder, name: &OsStr, waker: Waker) -> Option<Watch> {
        let shared = self.0.0.clone();
        let mut lists = shared.lists();
        let flags = WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        // The folder itself, whatever its path names by now. Adding it again gives the same number.
        let path = format!("/proc/self/fd/{}", folder.descriptor());
        let folder = inotify::add_watch(&shared.inotify, path, flags).ok()?;
        let number = lists.next;
        lists.next += 1;
        let listener = Listener { watch: number, folder, name: name.to_owned(), waker: waker.clone() };
        lists.names.push(listener);
        drop(lists);
        Some(Watch { shared, number, waker, process: Mutex::new(None) })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.0.dropped, &1u64.to_ne_bytes());
    }
}

impl Shared {
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock()
    }

    /// Passes news on until the watcher is dropped.
    fn run(&self) {
        let mut events = [const { MaybeUninit::uninit() }; 16];
        loop {
            let Ok((events, _)) = epoll::wait(&self.epoll, &mut events, None) else { continue };
            for event in events {
                match event.data.u64() {
                    DROPPED => return,
                    INOTIFY => self.read_changes(),
                    pid => self.on_end(u32::try_from(pid).unwrap_or_default()),
                }
            }
        }
    }

    /// Passes on what inotify has to say.
    fn read_changes(&self) {
        let mut buffer = [const { MaybeUninit::uninit() }; EVENTS];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = events.next() {
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            // If some got lost, all look. An event without a name is one of the folder itself.
            let is_lost = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            let is_meant = |listener: &&Listener| {
                is_lost || listener.folder == event.wd() && name.is_none_or(|name| listener.name == name)
            };
            // With nothing locked: a waker may be the last that keeps a watch alive.
            let wakers = self.lists().wakers(is_meant);
            for waker in wakers {
                waker();
            }
        }
    }

    /// Passes on that a process has ended.
    fn on_end(&self, pid: u32) {
        let ended = self.lists().take_process(pid);
        // Closing the descriptor takes it out of epoll.
        for (_, waker) in ended.into_iter().flat_map(|process| process.wakers) {
            waker();
        }
    }

    fn forget_process(&self, watch: u64, pid: u32) {
        let mut lists = self.lists();
        let Some(process) = lists.processes.iter_mut().find(|process| process.pid == pid) else { return };
        let index = process.wakers.iter().position(|(number, _)| *number == watch);
        let forgotten = index.map(|index| process.wakers.swap_remove(index));
        let unused = if process.wakers.is_empty() { lists.take_process(pid) } else { None };
        drop(lists);
        drop((forgotten, unused));
    }
}

impl Lists {
    /// Returns the wakers of those listeners for which `is_meant` returns true.
    fn wakers(&self, is_meant: impl FnMut(&&Listener) -> bool) -> Vec<Waker> {
        self.names.iter().filter(is_meant).map(|listener| listener.waker.clone()).collect()
    }

    fn take_process(&mut self, pid: u32) -> Option<Process> {
        let index = self.processes.iter().position(|process| process.pid == pid)?;
        Some(self.processes.swap_remove(index))
    }
}

impl Watch {
    /// Watches this process, and no other: the waker is called when it has ended.
    pub(crate) fn set_process(&self, pid: u32) -> ProcessWatch {
        let mut process = self.process.lock();
        if let Some(before) = process.take() {
            self.shared.forget_process(self.number, before);
        }
        let mut lists = self.shared.lists();
        let waker = (self.number, self.waker.clone());
        if let Some(known) = lists.processes.iter_mut().find(|process| process.pid == pid) {
            known.wakers.push(waker);
        } else {
            let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
                return ProcessWatch::Gone;
            };
            let pidfd = match pidfd_open(number, PidfdFlags::empty()) {
                Ok(pidfd) => pidfd,
                Err(Errno::SRCH) => return ProcessWatch::Gone,
                Err(_) => return ProcessWatch::Unknown,
            };
            let data = epoll::EventData::new_u64(pid.into());
            if epoll::add(&self.shared.epoll, &pidfd, data, epoll::EventFlags::IN).is_err() {
                return ProcessWatch::Unknown;
            }
            lists.processes.push(Process { pid, pidfd, wakers: vec![waker] });
        }
        *process = Some(pid);
        ProcessWatch::Begun
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(pid) = self.process.lock().take() {
            self.shared.forget_process(self.number, pid);
        }
        let mut lists = self.shared.lists();
        let index = lists.names.iter().position(|listener| listener.watch == self.number);
        let forgotten = index.map(|index| lists.names.swap_remove(index));
        if let Some(Listener { folder, .. }) = forgotten
            && lists.names.iter().all(|listener| listener.folder != folder)
        {
            // While the list is locked: another watch would get the same number.
            let _ = inotify::remove_watch(&self.shared.inotify, folder);
        }
        drop(lists);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn waker() -> (Waker, Receiver<()>) {
        let (sender, receiver) = channel();
        let sender = std::sync::Mutex::new(sender);
        let wake = move || {
            let _ = sender.lock().unwrap().send(());
        };
        (Arc::new(wake), receiver)
    }

    fn watched(folder: &Path, name: &str) -> (Watcher, Watch, Receiver<()>) {
        let watcher = Watcher::start().unwrap();
        let (waker, woken) = waker();
        let watch = watcher.watch(&Folder::open(folder).unwrap(), OsStr::new(name), waker).unwrap();
        (watcher, watch, woken)
    }

    #[test]
    fn a_name_that_goes_is_told_and_what_happens_to_others_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("wanted"), "").unwrap();
        fs::write(path("other"), "").unwrap();
        let (_watcher, _watch, woken) = watched(folder.path(), "wanted");
        fs::remove_file(path("other")).unwrap();
        fs::write(path("wanted"), "content").unwrap();
        fs::remove_file(path("wanted")).unwrap();
        woken.recv_timeout(PATIENCE).unwrap();
        fs::create_dir(path("wanted")).unwrap();
        fs::rename(path("wanted"), path("elsewhere")).unwrap();
        woken.recv_timeout(PATIENCE).unwrap();
        assert!(woken.try_recv().is_err());
    }

    #[test]
    fn a_process_that_ends_is_told_and_one_that_has_ended_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (_watcher, watch, woken) = watched(folder.path(), "name");
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        assert_eq!(watch.set_process(child.id()), ProcessWatch::Begun);
        assert!(woken.try_recv().is_err());
        child.kill().unwrap();
        woken.recv_timeout(PATIENCE).unwrap();
        child.wait().unwrap();
        assert_eq!(watch.set_process(child.id()), ProcessWatch::Gone);
    }

    #[test]
    fn a_watch_that_has_been_dropped_is_told_nothing_and_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("name");
        let (watcher, first, told_first) = watched(folder.path(), "name");
        let (waker, told) = waker();
        let second = watcher.watch(&Folder::open(folder.path()).unwrap(), OsStr::new("name"), waker).unwrap();
        drop(first);
        fs::write(&path, "").unwrap();
        fs::remove_file(&path).unwrap();
        told.recv_timeout(PATIENCE).unwrap();
        assert!(told_first.try_recv().is_err());
        drop(second);
        assert!(watcher.0.0.lists().names.is_empty());
    }
}
