//! Linux: `/proc/locks` says which process has locked which file, and `/proc/PID/fdinfo` which processes still have
//! the locked file open.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, test_kill_process};

use super::lock_table::{Entry, TableId, device_of_mount, entries, field_of_descriptor, locks_of_descriptor};
use crate::core::holder::Holder;

/// How much of a command line is read, in bytes: some are as long as a book.
const COMMAND_LIMIT: usize = 4096;

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
    entries: Vec<Entry>,
    /// Was it read at once? If not, locks that went in between have moved others out of sight.
    in_one_piece: bool,
}

/// The folder in which the kernel tells.
pub struct Proc {
    root: PathBuf,
}

impl Proc {
    /// The system's own.
    pub fn of_the_system() -> Self {
        Self::at("/proc")
    }

    /// Another one, for tests.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Who holds the locks of each of `files`, as far as it can be seen.
    pub fn holders(&self, files: &[LockedFile]) -> Vec<Vec<Holder>> {
        let mut answers: Vec<_> = files.iter().map(|_| Vec::new()).collect();
        for _ in 0..LOOKS {
            let Some(table) = self.table() else { break };
            for (holders, file) in answers.iter_mut().zip(files).filter(|(holders, _)| holders.is_empty()) {
                *holders = self.holders_of(file, &table.entries);
            }
            if table.in_one_piece || answers.iter().all(|holders| !holders.is_empty()) {
                break;
            }
        }
        answers
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
        let entries = entries(&String::from_utf8_lossy(&text)).collect();
        Some(Table { entries, in_one_piece: pieces <= 1 })
    }

    fn holders_of(&self, file: &LockedFile, table: &[Entry]) -> Vec<Holder> {
        let locks_of = |id: TableId| table.iter().filter(move |entry| entry.file == id).copied();
        let mut locks: Vec<_> = locks_of(file.stat).collect();
        if locks.is_empty()
            && let Some(id) = self.id_by_mount(file)
        {
            locks = locks_of(id).collect();
        }
        let mut holders: Vec<Holder> = Vec::new();
        for lock in locks {
            for pid in self.processes_with(lock, file) {
                if !holders.iter().any(|holder| holder.pid == pid && holder.mode == lock.mode) {
                    holders.push(Holder { pid, mode: lock.mode, command: self.command(pid) });
                }
            }
        }
        holders
    }

    fn id_by_mount(&self, file: &LockedFile) -> Option<TableId> {
        let Mounted { mount, inode } = file.mounted?;
        let device = device_of_mount(&read(&self.root.join("self/mountinfo"))?, mount)?;
        Some(TableId { device, inode })
    }

    /// Which processes hold this lock: the one that took it, if it has not ended.
    ///
    /// A shell's `flock 9` ends at once and leaves the lock to the shell. Its number in the table is
    /// nobody's then, or by now somebody else's, who must not be blamed.
    fn processes_with(&self, lock: Entry, file: &LockedFile) -> Vec<u32> {
        match self.has(lock.pid, lock, file) {
            Sight::Seen(true) => vec![lock.pid],
            Sight::Hidden if exists(lock.pid) => vec![lock.pid],
            _ => {
                let has = |&pid: &u32| matches!(self.has(pid, lock, file), Sight::Seen(true));
                self.processes().filter(has).collect()
            }
        }
    }

    /// Has the process a descriptor by which this lock of the file was taken?
    fn has(&self, pid: u32, lock: Entry, file: &LockedFile) -> Sight {
        let Ok(descriptors) = fs::read_dir(self.of(pid, "fdinfo")) else { return Sight::Hidden };
        Sight::Seen(descriptors.flatten().any(|descriptor| {
            read(&descriptor.path()).is_some_and(|info| locks_of_descriptor(&info).any(|own| own == lock))
                && (lock.file == file.stat || file.is_at(&self.of(pid, "fd").join(descriptor.file_name())))
        }))
    }

    fn processes(&self) -> impl Iterator<Item = u32> {
        let names = fs::read_dir(&self.root).into_iter().flatten().flatten();
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
    }

    /// What the process is, in words: its command line, or in brackets, as ps(1) has it, the name of one without.
    fn command(&self, pid: u32) -> Option<String> {
        let mut line = fs::read(self.of(pid, "cmdline")).ok()?;
        line.truncate(COMMAND_LIMIT);
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

/// What can be seen of a process's descriptors.
enum Sight {
    /// Whether one of them is what was looked for.
    Seen(bool),
    /// Nothing: it is another user's, or has ended.
    Hidden,
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
