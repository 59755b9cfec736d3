//! Linux: `/proc/locks` says which process has locked which file, and `/proc/PID/fdinfo` which processes still have
//! the locked file open.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, OsStr};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, test_kill_process};

use super::descriptors;
use super::lock_table::{
    Device, Entry, TableId, devices_of_mounts, entries, field_of_descriptor, locks_of_descriptor, waits,
};
use crate::core::holder::Holder;

/// How much of a command line is read, in bytes: some are as long as a book.
const COMMAND_LIMIT: u64 = 4096;

/// How much of the table is asked for at once, in bytes. The kernel gives a page, or a little more.
const PIECE: usize = 1 << 16;
/// How often a table that comes in pieces is read, if nobody is found.
const LOOKS: u32 = 3;

/// A file whose locks are asked for.
pub struct LockedFile {
    /// By stat(2).
    stat: TableId,
    /// By its mount, where that is known: the table names a file by the device of its file system, and on btrfs and
    /// some overlays stat(2) does not.
    mounted: Option<Mounted>,
}

#[derive(Clone, Copy)]
struct Mounted {
    mount: u64,
    inode: u64,
}

impl LockedFile {
    /// The file at `path`, if there is one. It is not opened for reading or writing, and may be of any kind.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())) {
            Ok(file) => Ok(Some(Self::of(&file)?)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn of(file: &OwnedFd) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        let info = read(&Path::new("/proc/self/fdinfo").join(file.as_raw_fd().to_string()));
        let number = |name| info.as_deref().and_then(|info| field_of_descriptor(info, name));
        let mounted = number("mnt_id").zip(number("ino")).map(|(mount, inode)| Mounted { mount, inode });
        Ok(Self { stat: table_id(&stat), mounted })
    }
}

impl LockedFile {
    /// Is it the one at `path`? The table cannot always tell: on btrfs the files of two subvolumes may look alike there.
    fn is_at(&self, path: &Path) -> bool {
        rustix::fs::stat(path).is_ok_and(|stat| table_id(&stat) == self.stat)
    }
}

#[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "the types differ by architecture")]
fn table_id(stat: &Stat) -> TableId {
    let device = stat.st_dev;
    TableId { device: (rustix::fs::major(device), rustix::fs::minor(device)), inode: stat.st_ino as u64 }
}

struct Table {
    /// Sorted by file; those of one file in the kernel's order.
    held: Vec<Entry>,
    /// Likewise.
    waited_for: Vec<Entry>,
    /// Was it read at once? If not, locks that went in between have moved others out of sight.
    in_one_piece: bool,
}

/// A lock in the table, on one of the files that are asked for.
struct Claim {
    lock: Entry,
    /// Which of the files.
    file: usize,
    /// The processes that have a descriptor by which the lock was taken, as far as they have been found.
    found: Vec<u32>,
}

impl Claim {
    fn holders(&self) -> impl Iterator<Item = Holder> {
        self.found.iter().map(|&pid| Holder { pid, mode: self.lock.mode, command: None })
    }
}

/// The folder in which the kernel tells.
pub struct Proc {
    root: PathBuf,
    /// The devices of the mounts that this process sees, read when they are first asked for.
    mounts: OnceCell<BTreeMap<u64, Device>>,
}

impl Proc {
    /// The system's own.
    pub fn of_the_system() -> Self {
        Self::at("/proc")
    }

    /// Another one, for tests.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), mounts: OnceCell::new() }
    }

    /// Returns the processes that hold the locks of each of `files`, as far as they can be seen, without their commands.
    /// `None`: the system does not tell.
    ///
    /// The cost grows with the number of files, of locks and of open descriptors, not with their product: the table is
    /// read once for all files, and so are the descriptors of each process.
    pub fn holders(&self, files: &[LockedFile]) -> Option<Vec<Vec<Holder>>> {
        let mut answers: Vec<_> = files.iter().map(|_| Vec::new()).collect();
        let mut table = self.table()?;
        for look in 1.. {
            let open = (0..files.len()).filter(|&file| answers[file].is_empty());
            let claims = open.flat_map(|file| {
                self.locks_of(&files[file], &table.held).map(move |lock| Claim {
                    lock,
                    file,
                    found: Vec::new(),
                })
            });
            for claim in self.settled(claims.collect(), files) {
                answers[claim.file].extend(claim.holders());
            }
            if table.in_one_piece || look == LOOKS || answers.iter().all(|holders| !holders.is_empty()) {
                break;
            }
            let Some(again) = self.table() else { break };
            table = again;
        }
        answers.iter_mut().for_each(name_once);
        Some(answers)
    }

    /// Returns the processes that wait for the lock of `file` in the kernel, likewise.
    pub fn waiters(&self, file: &LockedFile) -> Option<Vec<Holder>> {
        let table = self.table()?;
        let waits =
            self.locks_of(file, &table.waited_for).filter(|wait| self.is_open_in(wait.pid, file, wait.file));
        let mut waiters = waits.map(|Entry { pid, mode, .. }| Holder { pid, mode, command: None }).collect();
        name_once(&mut waiters);
        Some(waiters)
    }

    /// Adds the commands of the processes in `answers`, as far as they can be read.
    pub fn add_commands(&self, answers: &mut [Vec<Holder>]) {
        let mut commands = BTreeMap::new();
        for holder in answers.iter_mut().flatten() {
            holder.command = commands.entry(holder.pid).or_insert_with(|| self.command(holder.pid)).clone();
        }
    }

    fn table(&self) -> Option<Table> {
        let mut file = File::open(self.root.join("locks")).ok()?;
        let mut text = Vec::new();
        let mut pieces = 0;
        // Not `fs::read`: it begins with a few bytes.
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => {
                    text.extend_from_slice(&piece[..length]);
                    pieces += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        let text = String::from_utf8_lossy(&text);
        let (mut held, mut waited_for): (Vec<_>, Vec<_>) = (entries(&text).collect(), waits(&text).collect());
        held.sort_by_key(|entry| entry.file);
        waited_for.sort_by_key(|entry| entry.file);
        Some(Table { held, waited_for, in_one_piece: pieces <= 1 })
    }

    /// The locks of `file` in a part of the table.
    fn locks_of<'a>(&self, file: &LockedFile, locks: &'a [Entry]) -> impl Iterator<Item = Entry> + use<'a> {
        let of = |id| {
            let first = locks.partition_point(|lock| lock.file < id);
            locks[first..].iter().take_while(move |lock| lock.file == id).copied()
        };
        let mut by_stat = of(file.stat).peekable();
        let by_mount = match by_stat.peek() {
            Some(_) => None,
            None => self.id_by_mount(file).filter(|&id| id != file.stat).map(of),
        };
        by_stat.chain(by_mount.into_iter().flatten())
    }

    fn id_by_mount(&self, file: &LockedFile) -> Option<TableId> {
        let Mounted { mount, inode } = file.mounted?;
        let mounts = self.mounts.get_or_init(|| {
            let text = read(&self.root.join("self/mountinfo")).unwrap_or_default();
            devices_of_mounts(&text).collect()
        });
        Some(TableId { device: *mounts.get(&mount)?, inode })
    }

    /// Finds the processes that hold the locks of `claims`, and returns these in their order: of each lock the process
    /// that took it, if it has not ended.
    ///
    /// A shell's `flock 9` ends at once and leaves the lock to the shell. Its number in the table is
    /// nobody's then, or by now somebody else's, who must not be blamed.
    fn settled(&self, mut claims: Vec<Claim>, files: &[LockedFile]) -> Vec<Claim> {
        // In an order in which those of one process stand together, and the one for a descriptor is found quickly.
        let mut sorted: Vec<&mut Claim> = claims.iter_mut().collect();
        sorted.sort_by_key(|claim| (claim.lock, claim.file));
        // A process may have locked one file very often.
        sorted.dedup_by_key(|claim| (claim.lock, claim.file));
        for claims in sorted.chunk_by_mut(|one, other| one.lock.pid == other.lock.pid) {
            let pid = claims[0].lock.pid;
            if self.find(pid, claims, files).is_none() && exists(pid) {
                claims.iter_mut().for_each(|claim| claim.found.push(pid));
            }
        }
        sorted.retain(|claim| claim.found.is_empty());
        if !sorted.is_empty() {
            for pid in self.processes() {
                self.find(pid, &mut sorted, files);
            }
        }
        claims
    }

    /// Adds the process to those of `claims` for which it has a descriptor by which the lock was taken. `claims` are
    /// sorted by lock. Returns `None` if the process's descriptors cannot be seen: it is another user's, or has ended.
    fn find(&self, pid: u32, claims: &mut [&mut Claim], files: &[LockedFile]) -> Option<()> {
        let mut missing = claims.len();
        descriptors::visit(&self.of(pid, "fdinfo"), |descriptor, info| {
            for lock in locks_of_descriptor(info) {
                let first = claims.partition_point(|claim| claim.lock < lock);
                for claim in claims[first..].iter_mut().take_while(|claim| claim.lock == lock) {
                    let file = &files[claim.file];
                    if claim.found.last() != Some(&pid)
                        && (lock.file == file.stat || file.is_at(&self.descriptor(pid, descriptor)))
                    {
                        claim.found.push(pid);
                        missing -= 1;
                    }
                }
            }
            if missing == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    /// Has the process the file open that the table calls `id`? Where the table cannot tell files apart, its descriptors do.
    fn is_open_in(&self, pid: u32, file: &LockedFile, id: TableId) -> bool {
        if id == file.stat {
            return true;
        }
        let mut found = false;
        let seen = descriptors::visit(&self.of(pid, "fdinfo"), |descriptor, info| {
            found = field_of_descriptor(info, "ino") == Some(id.inode)
                && file.is_at(&self.descriptor(pid, descriptor));
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        found || seen.is_none()
    }

    /// The link to the file behind a descriptor.
    fn descriptor(&self, pid: u32, name: &CStr) -> PathBuf {
        self.of(pid, "fd").join(OsStr::from_bytes(name.to_bytes()))
    }

    fn processes(&self) -> impl Iterator<Item = u32> {
        let names = fs::read_dir(&self.root).into_iter().flatten().flatten();
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
    }

    /// What the process is, in words: its command line, or in brackets, as ps(1) has it, the name of one without.
    fn command(&self, pid: u32) -> Option<String> {
        let mut line = Vec::new();
        File::open(self.of(pid, "cmdline")).ok()?.take(COMMAND_LIMIT).read_to_end(&mut line).ok()?;
        let line = printable(&line);
        if !line.is_empty() {
            return Some(line);
        }
        let name = printable(&fs::read(self.of(pid, "comm")).ok()?);
        (!name.is_empty()).then(|| format!("[{name}]"))
    }

    fn of(&self, pid: u32, name: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(name)
    }
}

/// Leaves each process in `processes` once for each mode.
fn name_once(processes: &mut Vec<Holder>) {
    let mut known = BTreeSet::new();
    processes.retain(|process| known.insert((process.pid, process.mode)));
}

fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // EPERM: it is there, and another user's.
    pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(Errno::SRCH)))
}

/// Words that end with NUL or a line end, joined by spaces. They are another program's, and shall not be able to tell a
/// terminal what to do.
fn printable(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let shown = |c| match c {
        '\0' | '\n' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.trim_end_matches(['\0', '\n']).chars().map(shown).collect()
}

fn read(path: &Path) -> Option<String> {
    fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
