//! Who holds a lock, as a made-up /proc tells it: one that says what no real one says for long, or nonsense.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::unix::fs::{MetadataExt, symlink};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tempfile::TempDir;

use super::*;

use LockMode::{Exclusive, Shared};

/// Above the highest number that a process can have (PID_MAX_LIMIT of 64-bit Linux is 2^22).
const NOBODY: u32 = 5_000_000;
const SOMEBODY: u32 = 5_000_001;

/// A lock file, and a folder that stands in for /proc.
struct World {
    folder: TempDir,
    table: String,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("test.lock")).unwrap();
        fs::create_dir_all(folder.path().join("proc/self")).unwrap();
        Self { folder, table: String::new() }
    }

    /// The lock file, as the table names it.
    fn file(&self) -> String {
        name_in_table(&self.folder.path().join("test.lock"))
    }

    /// More files: their paths, and how the table names them.
    fn add_files(&self, count: usize) -> Vec<(PathBuf, String)> {
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

    /// A process that has locked the files, the first one by descriptor 0 and so on.
    fn add_locks(&mut self, pid: u32, files: &[(PathBuf, String)]) {
        self.write(format!("{pid}/cmdline"), "program\0");
        for (descriptor, (_, file)) in files.iter().enumerate() {
            let lock = format!("1: FLOCK  ADVISORY  WRITE {pid} {file} 0 EOF");
            self.write(format!("{pid}/fdinfo/{descriptor}"), format!("pos:\t0\nlock:\t{lock}\n"));
            self.add_to_table(lock);
        }
    }

    fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join("proc").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn add_to_table(&mut self, line: impl AsRef<str>) {
        self.table += line.as_ref();
        self.table.push('\n');
        self.write("locks", &self.table);
    }

    /// A process with a command line and one descriptor.
    fn add_process(&self, pid: u32, command: &[u8], descriptor: &str) {
        self.write(format!("{pid}/cmdline"), command);
        self.write(format!("{pid}/fdinfo/0"), "pos:\t0\nflags:\t02\n");
        self.write(format!("{pid}/fdinfo/3"), format!("pos:\t0\nmnt_id:\t29\n{descriptor}"));
    }

    fn lock_file(&self) -> LockedFile {
        self.proc().file_at(&self.folder.path().join("test.lock")).unwrap().unwrap()
    }

    fn proc(&self) -> Proc {
        Proc::at(self.folder.path().join("proc"))
    }

    fn holders(&self) -> Vec<Holder> {
        let mut answers = self.proc().holders(&[self.lock_file()]).unwrap();
        self.proc().add_commands(&mut answers);
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    fn waiters(&self) -> Vec<(u32, LockMode)> {
        let waiters = self.proc().waiters(&self.lock_file()).unwrap();
        waiters.into_iter().map(|Holder { pid, mode, .. }| (pid, mode)).collect()
    }
}

/// Counts which files of a world's `/proc` are opened, and how often.
struct Opened {
    inotify: OwnedFd,
    folders: BTreeMap<i32, PathBuf>,
    times: BTreeMap<PathBuf, usize>,
}

impl Opened {
    fn begin(world: &World) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK).unwrap();
        let (mut folders, mut open) = (BTreeMap::new(), vec![PathBuf::new()]);
        let root = world.folder.path().join("proc");
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(root.join(&folder)).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    open.push(folder.join(entry.file_name()));
                }
            }
            // Equal events one after the other are told as one: so the end of each opening is asked for, too.
            let flags = WatchFlags::OPEN | WatchFlags::CLOSE_NOWRITE;
            folders.insert(inotify::add_watch(&inotify, root.join(&folder), flags).unwrap(), folder);
        }
        Self { inotify, folders, times: BTreeMap::new() }
    }

    fn end(mut self) -> Self {
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

    fn times(&self, name: &str) -> usize {
        self.times.get(Path::new(name)).copied().unwrap_or(0)
    }
}

/// A file as the table names it.
fn name_in_table(path: &Path) -> String {
    let (major, minor) = device_of(path);
    format!("{major:02x}:{minor:02x}:{}", fs::metadata(path).unwrap().ino())
}

fn device_of(path: &Path) -> (u32, u32) {
    let device = fs::metadata(path).unwrap().dev();
    (rustix::fs::major(device), rustix::fs::minor(device))
}

/// The number of a file's mount, and that of the file as the table has it.
fn mount_and_inode(path: &Path) -> (u64, u64) {
    let file = File::open(path).unwrap();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).unwrap();
    (field_of_descriptor(&info, "mnt_id").unwrap(), field_of_descriptor(&info, "ino").unwrap())
}

fn holder(pid: u32, mode: LockMode, command: &str) -> Holder {
    Holder { pid, mode, command: Some(command.into()) }
}

#[test]
fn a_process_that_has_locked_the_file_is_named_with_its_command_line() {
    let mut world = World::new();
    let lock = format!("1: FLOCK  ADVISORY  WRITE {SOMEBODY} {} 0 EOF", world.file());
    world.add_process(SOMEBODY, b"node\0deploy.js\0--now\0", &format!("lock:\t{lock}\n"));
    world.add_to_table(lock);
    assert_eq!(world.holders(), [holder(SOMEBODY, Exclusive, "node deploy.js --now")]);
}

#[test]
fn all_that_share_the_lock_are_named_once_each() {
    let mut world = World::new();
    for (number, pid) in [(1, NOBODY), (2, SOMEBODY), (3, NOBODY)] {
        let lock = format!("{number}: FLOCK  ADVISORY  READ  {pid} {} 0 EOF", world.file());
        world.add_process(pid, b"reader\0", &format!("lock:\t{lock}\n"));
        world.add_to_table(lock);
    }
    assert_eq!(world.holders(), [holder(NOBODY, Shared, "reader"), holder(SOMEBODY, Shared, "reader")]);
}

#[test]
fn a_lock_whose_taker_has_ended_is_held_by_whom_it_left_its_descriptor() {
    let mut world = World::new();
    let lock = format!("1: FLOCK  ADVISORY  WRITE {NOBODY} {} 0 EOF", world.file());
    world.add_process(SOMEBODY, b"sh\0backup.sh\0", &format!("lock:\t{lock}\n"));
    world.add_to_table(lock);
    assert_eq!(world.holders(), [holder(SOMEBODY, Exclusive, "sh backup.sh")]);
}

#[test]
fn a_process_that_was_given_the_number_of_a_taker_that_has_ended_is_not_blamed() {
    let mut world = World::new();
    let lock = format!("1: FLOCK  ADVISORY  WRITE {NOBODY} {} 0 EOF", world.file());
    world.add_process(NOBODY, b"innocent\0", "");
    world.add_process(SOMEBODY, b"sh\0backup.sh\0", &format!("lock:\t{lock}\n"));
    world.add_to_table(lock);
    assert_eq!(world.holders(), [holder(SOMEBODY, Exclusive, "sh backup.sh")]);
}

#[test]
fn a_process_into_which_one_may_not_look_is_named_without_its_command() {
    let mut world = World::new();
    world.add_to_table(format!("1: FLOCK  ADVISORY  WRITE 1 {} 0 EOF", world.file()));
    assert_eq!(world.holders(), [Holder { pid: 1, mode: Exclusive, command: None }]);
}

#[test]
fn a_process_that_cannot_be_seen_at_all_is_left_out() {
    let mut world = World::new();
    world.add_to_table(format!("1: FLOCK  ADVISORY  WRITE {NOBODY} {} 0 EOF", world.file()));
    assert_eq!(world.holders(), []);
}

#[test]
fn who_waits_locks_another_file_or_locks_in_another_way_is_no_holder() {
    let mut world = World::new();
    let file = world.file();
    world.add_process(SOMEBODY, b"other\0", "");
    for line in [
        format!("1: -> FLOCK  ADVISORY  WRITE {SOMEBODY} {file} 0 EOF"),
        format!("2: POSIX  ADVISORY  WRITE {SOMEBODY} {file} 0 EOF"),
        format!("3: OFDLCK ADVISORY  WRITE -1 {file} 0 EOF"),
        format!("4: LEASE  ACTIVE    WRITE {SOMEBODY} {file} 0 EOF"),
        format!("5: FLOCK  ADVISORY  WRITE {SOMEBODY} {file}0 0 EOF"),
        format!("6: FLOCK  ADVISORY  WRITE {SOMEBODY} f{file} 0 EOF"),
    ] {
        world.add_to_table(line);
    }
    assert_eq!(world.holders(), []);
}

#[test]
fn where_stat_names_another_device_than_the_table_the_mount_tells_which_and_the_descriptor_which_file() {
    let mut world = World::new();
    let path = world.folder.path().join("test.lock");
    let (mount, inode) = mount_and_inode(&path);
    world.write(
        "self/mountinfo",
        format!("{mount} 1 171:52 / / rw - btrfs /dev/x rw\n{} 1 8:1 / /y rw\n", mount + 1),
    );
    // As the table has it, both have locked the same file.
    let other = world.folder.path().join("other.lock");
    File::create(&other).unwrap();
    for (pid, opened) in [(NOBODY, &other), (SOMEBODY, &path)] {
        let lock = format!("1: FLOCK  ADVISORY  READ {pid} ab:34:{inode} 0 EOF");
        world.add_process(pid, b"node\0", &format!("lock:\t{lock}\n"));
        world.write(format!("{pid}/fd/0"), "");
        symlink(opened, world.folder.path().join(format!("proc/{pid}/fd/3"))).unwrap();
        world.add_to_table(lock);
    }
    assert_eq!(world.holders(), [holder(SOMEBODY, Shared, "node")]);
}

#[test]
fn who_waits_is_named_in_the_order_of_the_table_and_who_holds_the_lock_is_not() {
    let mut world = World::new();
    let file = world.file();
    for line in [
        format!("1: FLOCK  ADVISORY  WRITE 1 {file} 0 EOF"),
        format!("1: -> FLOCK  ADVISORY  WRITE {SOMEBODY} {file} 0 EOF"),
        format!("1:  -> FLOCK  ADVISORY  READ  {NOBODY} {file} 0 EOF"),
        format!("1: -> POSIX  ADVISORY  WRITE 7 {file} 0 EOF"),
        "2: FLOCK  ADVISORY  WRITE 1 fe:00:1 0 EOF".into(),
        "2: -> FLOCK  ADVISORY  WRITE 8 fe:00:1 0 EOF".into(),
    ] {
        world.add_to_table(line);
    }
    assert_eq!(world.waiters(), [(SOMEBODY, Exclusive), (NOBODY, Shared)]);
    assert_eq!(world.holders(), [Holder { pid: 1, mode: Exclusive, command: None }]);
}

#[test]
fn where_the_table_cannot_tell_two_files_apart_who_waits_for_the_other_one_is_not_named() {
    let mut world = World::new();
    let path = world.folder.path().join("test.lock");
    let (mount, inode) = mount_and_inode(&path);
    world.write("self/mountinfo", format!("{mount} 1 171:52 / / rw - btrfs /dev/x rw\n"));
    let other = world.folder.path().join("other.lock");
    File::create(&other).unwrap();
    for (pid, opened) in [(NOBODY, &other), (SOMEBODY, &path)] {
        world.add_process(pid, b"node\0", &format!("ino:\t{inode}\n"));
        world.write(format!("{pid}/fd/0"), "");
        symlink(opened, world.folder.path().join(format!("proc/{pid}/fd/3"))).unwrap();
        world.add_to_table(format!("1: -> FLOCK  ADVISORY  WRITE {pid} ab:34:{inode} 0 EOF"));
    }
    // Into this one nobody may look.
    world.add_to_table(format!("1: -> FLOCK  ADVISORY  WRITE 1 ab:34:{inode} 0 EOF"));
    assert_eq!(world.waiters(), [(SOMEBODY, Exclusive), (1, Exclusive)]);
}

#[test]
fn the_table_and_the_descriptors_of_each_process_are_read_once_for_all_files_that_are_asked_for() {
    let mut world = World::new();
    let files = world.add_files(60);
    let (here, there) = files.split_at(30);
    world.add_locks(SOMEBODY, here);
    world.add_locks(NOBODY, there);
    let unlocked = world.add_files(20);
    world.write("self/mountinfo", "");

    let opened = Opened::begin(&world);
    let proc = world.proc();
    let asked = files.iter().chain(&unlocked).map(|(file, _)| proc.file_at(file).unwrap().unwrap());
    let asked: Vec<_> = asked.collect();
    let mut answers = proc.holders(&asked).unwrap();
    proc.add_commands(&mut answers);
    let opened = opened.end();

    for (index, answer) in answers.iter().enumerate() {
        match index {
            0..30 => assert_eq!(*answer, [holder(SOMEBODY, Exclusive, "program")]),
            30..60 => assert_eq!(*answer, [holder(NOBODY, Exclusive, "program")]),
            _ => assert_eq!(*answer, []),
        }
    }
    assert_eq!(opened.times("locks"), 1);
    assert_eq!(opened.times("self/mountinfo"), 1);
    for pid in [NOBODY, SOMEBODY] {
        assert_eq!(opened.times(&format!("{pid}/cmdline")), 1);
        for descriptor in 0..30 {
            assert_eq!(opened.times(&format!("{pid}/fdinfo/{descriptor}")), 1, "{descriptor} of {pid}");
        }
    }
}

#[test]
fn of_many_locks_that_were_left_to_another_process_the_holder_is_found_by_one_look_at_all_processes() {
    let mut world = World::new();
    let files = world.add_files(60);
    world.add_locks(NOBODY, &files);
    // The one that took the locks has ended, its child has its descriptors, and a third process has its number.
    let root = world.folder.path().join("proc");
    fs::rename(root.join(NOBODY.to_string()), root.join(SOMEBODY.to_string())).unwrap();
    for pid in [NOBODY, SOMEBODY + 1] {
        world.add_process(pid, b"innocent\0", "");
    }
    let proc = world.proc();
    let asked: Vec<_> = files.iter().map(|(file, _)| proc.file_at(file).unwrap().unwrap()).collect();

    let opened = Opened::begin(&world);
    let answers = proc.holders(&asked).unwrap();
    let opened = opened.end();

    for answer in answers {
        assert_eq!(answer, [Holder { pid: SOMEBODY, mode: Exclusive, command: None }]);
    }
    assert_eq!(opened.times("locks"), 1);
    // First for itself, then for what others may have left to it.
    assert_eq!(opened.times(&format!("{NOBODY}/fdinfo/3")), 2);
    assert_eq!(opened.times(&format!("{}/fdinfo/3", SOMEBODY + 1)), 1);
    for descriptor in 0..60 {
        assert_eq!(opened.times(&format!("{SOMEBODY}/fdinfo/{descriptor}")), 1, "{descriptor}");
    }
}

#[test]
fn where_the_table_names_a_file_as_stat_does_the_answer_is_the_same() {
    let mut world = World::new();
    let lock = format!("1: FLOCK  ADVISORY  WRITE {SOMEBODY} {} 0 EOF", world.file());
    world.add_process(SOMEBODY, b"node\0", &format!("lock:\t{lock}\n"));
    world.add_to_table(lock);
    let path = world.folder.path().join("test.lock");
    let (mount, _) = mount_and_inode(&path);
    let (major, minor) = device_of(&path);
    for device in [format!("{major}:{minor}"), "171:52".into()] {
        world.write("self/mountinfo", format!("{mount} 1 {device} / / rw - ext4 /dev/x rw\n"));
        assert_eq!(world.holders(), [holder(SOMEBODY, Exclusive, "node")]);
    }
}

#[test]
fn a_command_line_cannot_tell_a_terminal_what_to_do_and_has_an_end() {
    let mut world = World::new();
    let lock = format!("1: FLOCK  ADVISORY  WRITE {SOMEBODY} {} 0 EOF", world.file());
    world.add_to_table(&lock);
    let command_of = |bytes: &[u8]| {
        world.add_process(SOMEBODY, bytes, &format!("lock:\t{lock}\n"));
        world.holders()[0].command.clone()
    };
    assert_eq!(
        command_of(b"sh\0-c\0\x1b]0;owned\x07\nrm\r\0\0").unwrap(),
        "sh -c \u{fffd}]0;owned\u{fffd} rm\u{fffd}"
    );
    assert_eq!(command_of(b"caf\xe9\0").unwrap(), "caf\u{fffd}");
    assert_eq!(command_of(&vec![b'x'; 100_000]).unwrap().len(), 4096);
    assert_eq!(command_of(b""), None);
    world.write(format!("{SOMEBODY}/comm"), "kworker\n");
    assert_eq!(command_of(b"").unwrap(), "[kworker]");
}

#[test]
fn without_a_table_it_is_not_known_who_holds_a_lock_or_waits_for_it() {
    let world = World::new();
    assert_eq!(world.proc().holders(&[world.lock_file()]), None);
    assert_eq!(world.proc().waiters(&world.lock_file()), None);
    world.write("locks", "");
    assert_eq!(world.holders(), []);
    assert_eq!(world.waiters(), []);
}

#[test]
fn a_file_that_is_missing_has_no_locks_and_is_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing.lock");
    assert!(Proc::of_the_system().file_at(&path).unwrap().is_none());
    assert!(!path.exists());
}
