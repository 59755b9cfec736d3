//! Linux: `/proc/locks` lists which process has locked which file, and `/proc/PID/fdinfo` which processes still have the
//! locked file open.

use std::cell::{Cell, OnceCell};
use std::ffi::{CStr, OsStr};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, StatxFlags, statx};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, test_kill_process};

use super::Holder;
use super::descriptors;
use super::lock_table::{
    Device, Entry, TableId, device_of_mount, entries, field_of_descriptor, locks_of_descriptor, waits,
};
use crate::sys::{KernelLock, LockMode};

#[cfg(all(test, not(loom)))]
mod any_proc;
#[cfg(all(test, not(loom)))]
mod tests;

/// The part of a command line that is read, in bytes. Some are as long as a book.
const COMMAND_LIMIT: u64 = 4096;

/// Size of one read of the table, in bytes. The kernel returns a page or a little more.
const PIECE: usize = 1 << 16;
/// The most readings of a table that comes in pieces, while a holder is missing.
const READINGS: u32 = 3;

/// The pid namespace that the kernel starts in: its number is fixed (`PROC_PID_INIT_INO`).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// A file that a query is about. See [`Proc::file_at`].
pub(crate) struct LockedFile {
    /// Its name by stat(2).
    stat: TableId,
    /// The name that the table may have instead: by the device of the mount. On btrfs and some overlays stat(2) has another one.
    mounted: Option<TableId>,
    /// Which of its locks the query is about.
    lock: KernelLock,
}

impl LockedFile {
    /// Returns the same file, for a query about this lock of it.
    pub(crate) fn of_lock(self, lock: KernelLock) -> Self {
        Self { lock, ..self }
    }

    /// Returns true if it is the file at `path`. The table cannot always tell: on btrfs the files of two subvolumes may look
    /// alike there.
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
    held: Vec<Entry>,
    /// For each of `held`, sorted by file: the lock that stands for its file, and its index.
    held_by_file: Numbered,
    waited_for: Vec<Entry>,
    /// It was read in one piece. Otherwise locks may be missing: those that ended meanwhile have moved others past the place of
    /// reading.
    in_one_piece: bool,
}

/// Locks, each with a number. The one type that is sorted here, since sorting takes much code for each type.
type Numbered = Vec<(Entry, usize)>;

/// Returns what stands for the locks of a file where they are sorted by file.
fn any_lock_of(file: TableId) -> Entry {
    Entry { pid: 0, file, lock: KernelLock::Flock, mode: LockMode::Exclusive }
}

/// A lock of the table on one of the files of the queries.
struct Claim {
    lock: Entry,
    /// The index of the file.
    file: usize,
    /// The process that was last found to hold the lock; 0 is none.
    found: u32,
}

impl Claim {
    fn is_held_by(&mut self, pid: u32, answers: &mut [Vec<Holder>]) {
        self.found = pid;
        let (holders, mode) = (&mut answers[self.file], self.lock.mode);
        // Each process once for each mode.
        if let Err(place) = holders.binary_search_by_key(&(pid, mode), |holder| (holder.pid, holder.mode)) {
            holders.insert(place, Holder { pid, mode, command: None, host: None });
        }
    }
}

/// The folder in which the kernel lists locks and processes.
pub(crate) struct Proc {
    root: PathBuf,
    /// The mounts that this process sees, read when they are first needed.
    mounts: OnceCell<String>,
    /// The last mount that was looked up, and its device: mostly all files are on one.
    last_mount: Cell<Option<(u64, Device)>>,
}

impl Proc {
    /// Returns the folder of the system.
    pub(crate) fn of_the_system() -> Self {
        Self::at("/proc")
    }

    /// Returns another folder, for tests.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), mounts: OnceCell::new(), last_mount: Cell::new(None) }
    }

    /// Returns the file at `path`, if there is one. It is not opened for reading or writing, and may be of any kind.
    pub(crate) fn file_at(&self, path: &Path) -> io::Result<Option<LockedFile>> {
        if let Some(file) = self.plain_file_at(path) {
            return Ok(Some(file));
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())) {
            Ok(file) => Ok(Some(self.file_of(&file)?)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the file at `path`, if the table names it as stat(2) does. The file is not opened: closing a locked file takes
    /// milliseconds while another thread reads the table.
    fn plain_file_at(&self, path: &Path) -> Option<LockedFile> {
        let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
        let stat = statx(CWD, path, AtFlags::STATX_DONT_SYNC, wanted).ok()?;
        let is_whole = stat.stx_mask & wanted.bits() == wanted.bits();
        let device = (stat.stx_dev_major, stat.stx_dev_minor);
        (is_whole && self.device_of(stat.stx_mnt_id)? == device).then_some(LockedFile {
            stat: TableId { device, inode: stat.stx_ino },
            mounted: None,
            lock: KernelLock::Flock,
        })
    }

    /// Returns the file of a descriptor of this process, without looking up its path or asking a server.
    pub(crate) fn file_of_descriptor(&self, descriptor: i32) -> Option<LockedFile> {
        let link = format!("/proc/self/fd/{descriptor}");
        self.plain_file_at(Path::new(&link)).or_else(|| {
            let stat = statx(CWD, link, AtFlags::STATX_DONT_SYNC, StatxFlags::INO).ok()?;
            let device = (stat.stx_dev_major, stat.stx_dev_minor);
            let info = read(Path::new(&format!("/proc/self/fdinfo/{descriptor}"))).unwrap_or_default();
            Some(self.file_of_info(TableId { device, inode: stat.stx_ino }, &info))
        })
    }

    fn file_of(&self, file: &OwnedFd) -> io::Result<LockedFile> {
        let stat = rustix::fs::fstat(file)?;
        let info = read(&Path::new("/proc/self/fdinfo").join(file.as_raw_fd().to_string()));
        Ok(self.file_of_info(table_id(&stat), info.as_deref().unwrap_or_default()))
    }

    fn file_of_info(&self, stat: TableId, info: &str) -> LockedFile {
        let device = field_of_descriptor(info, "mnt_id").and_then(|mount| self.device_of(mount));
        let inode = field_of_descriptor(info, "ino");
        let mounted = device.zip(inode).map(|(device, inode)| TableId { device, inode });
        LockedFile { stat, mounted, lock: KernelLock::Flock }
    }

    /// Returns true if any process holds this lock of the regular file at `path`. Returns `None` where the table may not have
    /// every lock: it hides those of processes that this pid namespace does not see, and of other machines.
    pub(crate) fn is_locked(&self, path: &Path, lock: KernelLock) -> Option<bool> {
        let link = fs::read_link(self.root.join("self/ns/pid")).ok()?;
        let is_complete = link == Path::new(INITIAL_PID_NAMESPACE) && has_plain_locks(path);
        let file = self.plain_file_at(path).filter(|_| is_complete)?.of_lock(lock);
        let table = self.table()?;
        let is_locked = Self::locks_of(&file, &table).next().is_some();
        (is_locked || table.in_one_piece).then_some(is_locked)
    }

    fn device_of(&self, mount: u64) -> Option<Device> {
        if let Some((last, device)) = self.last_mount.get()
            && last == mount
        {
            return Some(device);
        }
        let mounts = self.mounts.get_or_init(|| read(&self.root.join("self/mountinfo")).unwrap_or_default());
        let device = device_of_mount(mounts, mount)?;
        self.last_mount.set(Some((mount, device)));
        Some(device)
    }

    /// Returns the processes that hold the locks of each of `files`, as far as they can be seen, in the order of their numbers
    /// and without their commands. Returns `None` if there is no table.
    ///
    /// The cost grows with the number of files, of locks and of open descriptors, not with their product: the table is
    /// read once for all files, and so are the descriptors of each process.
    pub(crate) fn holders(&self, files: &[LockedFile]) -> Option<Vec<Vec<Holder>>> {
        let mut answers: Vec<_> = files.iter().map(|_| Vec::new()).collect();
        let mut table = self.table()?;
        for reading in 1.. {
            let mut claims = Numbered::new();
            for (file, _) in answers.iter().enumerate().filter(|(_, holders)| holders.is_empty()) {
                claims.extend(Self::locks_of(&files[file], &table).map(|lock| (lock, file)));
            }
            self.add_holders(claims, files, &mut answers);
            if table.in_one_piece || reading == READINGS || answers.iter().all(|holders| !holders.is_empty())
            {
                break;
            }
            let Some(again) = self.table() else { break };
            table = again;
        }
        Some(answers)
    }

    /// Returns the processes that wait for the lock of `file` in the kernel, in the same way, but in the table's order. Who
    /// waits for a record lock by an open file description is left out: nothing tells of it.
    pub(crate) fn waiters(&self, file: &LockedFile) -> Option<Vec<Holder>> {
        let waits = self.table()?.waited_for;
        let waits_for =
            |id| waits.iter().filter(move |wait| wait.file == id && wait.lock == file.lock && wait.pid > 0);
        let id = match waits_for(file.stat).next() {
            Some(_) => Some(file.stat),
            None => file.mounted,
        };
        let mut waiters: Vec<Holder> = Vec::new();
        for &Entry { pid, mode, file: id, .. } in id.into_iter().flat_map(waits_for) {
            let is_known = waiters.iter().any(|waiter| (waiter.pid, waiter.mode) == (pid, mode));
            if !is_known && self.is_open_in(pid, file, id) {
                waiters.push(Holder { pid, mode, command: None, host: None });
            }
        }
        Some(waiters)
    }

    /// Adds the commands of the processes in `answers`, as far as they can be read.
    pub(crate) fn add_commands(&self, answers: &mut [Vec<Holder>]) {
        // Mostly one process holds many files.
        let mut last = None;
        let of_this_host = |holder: &&mut Holder| holder.host.is_none();
        for Holder { pid, command, .. } in answers.iter_mut().flatten().filter(of_this_host) {
            if last.as_ref().is_none_or(|(last, _)| last != pid) {
                last = Some((*pid, self.command(*pid)));
            }
            *command = last.as_ref().and_then(|(_, command)| command.clone());
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
        let held: Vec<_> = entries(&text).collect();
        let mut held_by_file: Numbered =
            held.iter().enumerate().map(|(place, lock)| (any_lock_of(lock.file), place)).collect();
        held_by_file.sort_unstable();
        Some(Table { held, held_by_file, waited_for: waits(&text).collect(), in_one_piece: pieces <= 1 })
    }

    /// Returns the locks of `file` that are held, as far as they are what the query is about.
    fn locks_of<'a>(file: &LockedFile, table: &'a Table) -> impl Iterator<Item = Entry> + use<'a> {
        let wanted = file.lock;
        let of = move |id| {
            let first = table.held_by_file.partition_point(|(lock, _)| lock.file < id);
            let locks = table.held_by_file[first..].iter().take_while(move |(lock, _)| lock.file == id);
            locks.map(|&(_, place)| table.held[place]).filter(move |lock| lock.lock == wanted)
        };
        let id = match of(file.stat).next() {
            Some(_) => Some(file.stat),
            None => file.mounted,
        };
        id.into_iter().flat_map(of)
    }

    /// Adds the processes that hold the locks of `claims` to `answers`: for each lock the process that took it, if it has it
    /// still, and otherwise those that have it now.
    ///
    /// The command `flock 9` of a shell ends at once and leaves the lock to the shell. The table still has its number, which
    /// by now may be that of another process.
    fn add_holders(&self, mut claims: Numbered, files: &[LockedFile], answers: &mut [Vec<Holder>]) {
        // By process, and then by lock, so that those of a descriptor are found quickly. A process may have locked one file
        // very often.
        claims.sort_unstable();
        claims.dedup();
        let mut claims: Vec<_> =
            claims.into_iter().map(|(lock, file)| Claim { lock, file, found: 0 }).collect();
        for claims in claims.chunk_by_mut(|one, other| one.lock.pid == other.lock.pid) {
            let pid = claims[0].lock.pid;
            if self.add_by_descriptors(pid, claims, files, answers).is_none() && exists(pid) {
                for claim in claims {
                    claim.is_held_by(pid, answers);
                }
            }
        }
        claims.retain(|claim| claim.found == 0);
        if !claims.is_empty() {
            for pid in self.processes() {
                self.add_by_descriptors(pid, &mut claims, files, answers);
            }
        }
    }

    /// Adds the process to the answers for those of `claims` whose lock was taken by a descriptor that it has. `claims` are
    /// sorted by lock. Returns `None` if its descriptors cannot be seen: it is another user's, or has ended.
    fn add_by_descriptors(
        &self,
        pid: u32,
        claims: &mut [Claim],
        files: &[LockedFile],
        answers: &mut [Vec<Holder>],
    ) -> Option<()> {
        let mut missing = claims.len();
        descriptors::visit(&self.of(pid, "fdinfo"), |descriptor, info| {
            for lock in locks_of_descriptor(info) {
                let first = claims.partition_point(|claim| claim.lock < lock);
                for claim in claims[first..].iter_mut().take_while(|claim| claim.lock == lock) {
                    let file = &files[claim.file];
                    if claim.found != pid
                        && (lock.file == file.stat || file.is_at(&self.descriptor(pid, descriptor)))
                    {
                        claim.is_held_by(pid, answers);
                        missing -= 1;
                    }
                }
            }
            if missing == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    /// Returns true if the process has the file open that the table calls `id`. Where the table cannot tell files apart, the
    /// descriptors of the process can.
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

    /// Returns the link to the file of a descriptor.
    fn descriptor(&self, pid: u32, name: &CStr) -> PathBuf {
        self.of(pid, "fd").join(OsStr::from_bytes(name.to_bytes()))
    }

    fn processes(&self) -> impl Iterator<Item = u32> {
        let names = fs::read_dir(&self.root).into_iter().flatten().flatten();
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
    }

    /// Returns the command line of a process, or if it has none, its name in brackets, as ps(1) does.
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

    /// Returns the path of `name` in the folder of a process.
    fn of(&self, pid: u32, name: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(name)
    }
}

fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // EPERM: it is there, and another user's.
    pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(Errno::SRCH)))
}

/// Returns words that end with NUL or a line end, joined by spaces. They come from another program: control characters,
/// which a terminal would obey, are replaced.
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

/// Returns true if `path` names a regular file on a file system whose locks stand in the table as stat(2) names the file:
/// ext2 to ext4, xfs or tmpfs.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "magic numbers have 32 bits")]
fn has_plain_locks(path: &Path) -> bool {
    const MAGIC: [u32; 3] = [0xef53, 0x5846_5342, 0x0102_1994];
    rustix::fs::statfs(path).is_ok_and(|fs| MAGIC.contains(&(fs.f_type as u32)))
        && rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file())
}
