//! A made-up `/proc`, for tests.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tempfile::TempDir;

use super::{Holder, LockedFile, Proc};
use crate::sys::{KernelLock, LockMode};

/// Above the highest number that a process can have (PID_MAX_LIMIT of 64-bit Linux is 2^22).
pub(crate) const NOBODY: u32 = 5_000_000;
pub(crate) const SOMEBODY: u32 = 5_000_001;

/// A lock file, and a folder that stands in for /proc.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    table: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::in_folder(&std::env::temp_dir())
    }

    /// Returns one whose files are in a new folder of this one.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap();
        File::create(folder.path().join("test.lock")).unwrap();
        fs::create_dir_all(folder.path().join("proc/self")).unwrap();
        Self { folder, table: String::new() }
    }

    /// Returns the path of the lock file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("test.lock")
    }

    /// Makes this process be in this pid namespace.
    pub(crate) fn set_pid_namespace(&self, name: &str) {
        let folder = self.folder.path().join("proc/self/ns");
        fs::create_dir_all(&folder).unwrap();
        let _ = fs::remove_file(folder.join("pid"));
        symlink(name, folder.join("pid")).unwrap();
    }

    /// Returns the lock file's name in the table.
    pub(crate) fn file(&self) -> String {
        name_in_table(&self.path())
    }

    /// Adds files. Returns their paths, and their names in the table.
    pub(crate) fn add_files(&self, count: usize) -> Vec<(PathBuf, String)> {
        let folder = tempfile::tempdir_in(&self.folder).unwrap().keep();
        let paths = (0..count).map(|number| folder.join(number.to_string()));
        paths
            .map(|path| {
                File::create(&path).unwrap();
                let name = name_in_table(&path);
                (path, name)
            })
            .collect()
    }

    /// Adds a process that has locked the files, the first one by descriptor 0 and so on.
    pub(crate) fn add_locks(&mut self, pid: u32, files: &[(PathBuf, String)]) {
        self.write(format!("{pid}/cmdline"), "program\0");
        for (descriptor, (_, file)) in files.iter().enumerate() {
            let lock = format!("1: FLOCK  ADVISORY  WRITE {pid} {file} 0 EOF");
            self.write(format!("{pid}/fdinfo/{descriptor}"), format!("pos:\t0\nlock:\t{lock}\n"));
            self.add_to_table(lock);
        }
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join("proc").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn add_to_table(&mut self, line: impl AsRef<str>) {
        self.table += line.as_ref();
        self.table.push('\n');
        self.write("locks", &self.table);
    }

    /// Adds a process with a command line and two descriptors, of which 3 has this text.
    pub(crate) fn add_process(&self, pid: u32, command: &[u8], descriptor: &str) {
        self.write(format!("{pid}/cmdline"), command);
        self.write(format!("{pid}/fdinfo/0"), "pos:\t0\nflags:\t02\n");
        self.write(format!("{pid}/fdinfo/3"), format!("pos:\t0\nmnt_id:\t29\n{descriptor}"));
    }

    pub(crate) fn lock_file(&self) -> LockedFile {
        self.proc().file_at(&self.path()).unwrap().unwrap()
    }

    pub(crate) fn proc(&self) -> Proc {
        Proc::at(self.folder.path().join("proc"))
    }

    pub(crate) fn holders(&self) -> Vec<Holder> {
        self.holders_of(KernelLock::Flock)
    }

    pub(crate) fn holders_of(&self, lock: KernelLock) -> Vec<Holder> {
        let mut answers = self.proc().holders(&[self.lock_file().of_lock(lock)]).unwrap();
        self.proc().add_commands(&mut answers);
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    pub(crate) fn waiters(&self) -> Vec<(u32, LockMode)> {
        self.waiters_of(KernelLock::Flock)
    }

    pub(crate) fn waiters_of(&self, lock: KernelLock) -> Vec<(u32, LockMode)> {
        let waiters = self.proc().waiters(&self.lock_file().of_lock(lock)).unwrap();
        waiters.into_iter().map(|Holder { pid, mode, .. }| (pid, mode)).collect()
    }
}

/// Counts how often each file of a world's `/proc` is opened.
pub(crate) struct Opened {
    inotify: OwnedFd,
    folders: BTreeMap<i32, PathBuf>,
    times: BTreeMap<PathBuf, usize>,
}

impl Opened {
    pub(crate) fn begin(world: &World) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK).unwrap();
        let (mut folders, mut open) = (BTreeMap::new(), vec![PathBuf::new()]);
        let root = world.folder.path().join("proc");
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(root.join(&folder)).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    open.push(folder.join(entry.file_name()));
                }
            }
            // Equal events in a row are merged into one: hence the events of closing, which come between them.
            let flags = WatchFlags::OPEN | WatchFlags::CLOSE_NOWRITE;
            folders.insert(inotify::add_watch(&inotify, root.join(&folder), flags).unwrap(), folder);
        }
        Self { inotify, folders, times: BTreeMap::new() }
    }

    pub(crate) fn end(mut self) -> Self {
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => {
                    assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW));
                    if let (true, Some(name)) = (event.events().contains(ReadFlags::OPEN), event.file_name())
                    {
                        let path = self.folders[&event.wd()].join(OsStr::from_bytes(name.to_bytes()));
                        *self.times.entry(path).or_default() += 1;
                    }
                }
                Err(error) => {
                    assert_eq!(error, Errno::AGAIN);
                    return self;
                }
            }
        }
    }

    pub(crate) fn times(&self, name: &str) -> usize {
        self.times.get(Path::new(name)).copied().unwrap_or(0)
    }
}

/// Returns a file's name in the table.
pub(crate) fn name_in_table(path: &Path) -> String {
    let (major, minor) = device_of(path);
    format!("{major:02x}:{minor:02x}:{}", fs::metadata(path).unwrap().ino())
}

pub(crate) fn device_of(path: &Path) -> (u32, u32) {
    let device = fs::metadata(path).unwrap().dev();
    (rustix::fs::major(device), rustix::fs::minor(device))
}
