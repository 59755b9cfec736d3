//! Who holds a lock, as a made-up /proc tells it: one that says what no real one says for long, or nonsense.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use locket::core::holder::Holder;
use locket::core::kernel::LockMode::{self, Exclusive, Shared};
use locket::core::sys::lock_table::{
    Entry, TableId, device_of_mount, entries, field_of_descriptor, locks_of_descriptor,
};
use locket::core::sys::{LockedFile, Proc};
use tempfile::TempDir;

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
        let stat = fs::metadata(self.folder.path().join("test.lock")).unwrap();
        let (major, minor) = (rustix::fs::major(stat.dev()), rustix::fs::minor(stat.dev()));
        format!("{major:02x}:{minor:02x}:{}", stat.ino())
    }

    fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join("proc").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn add_to_table(&mut self, line: String) {
        self.table += &line;
        self.table.push('\n');
        self.write("locks", &self.table);
    }

    /// A process with a command line and one descriptor.
    fn add_process(&self, pid: u32, command: &[u8], descriptor: &str) {
        self.write(format!("{pid}/cmdline"), command);
        self.write(format!("{pid}/fdinfo/0"), "pos:\t0\nflags:\t02\n");
        self.write(format!("{pid}/fdinfo/3"), format!("pos:\t0\nmnt_id:\t29\n{descriptor}"));
    }

    fn holders(&self) -> Vec<Holder> {
        let file = LockedFile::at(&self.folder.path().join("test.lock")).unwrap().unwrap();
        let mut answers = Proc::at(self.folder.path().join("proc")).holders(&[file]);
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }
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
    let file = File::open(&path).unwrap();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).unwrap();
    let mount = field_of_descriptor(&info, "mnt_id").unwrap();
    let inode = field_of_descriptor(&info, "ino").unwrap();
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
fn a_command_line_cannot_tell_a_terminal_what_to_do_and_has_an_end() {
    let mut world = World::new();
    let lock = format!("1: FLOCK  ADVISORY  WRITE {SOMEBODY} {} 0 EOF", world.file());
    world.add_to_table(lock.clone());
    let command_of = |bytes: &[u8]| {
        world.add_process(SOMEBODY, bytes, &format!("lock:\t{lock}\n"));
        world.holders()[0].command.clone()
    };
    assert_eq!(
        command_of(b"sh\0-c\0\x1b]0;owned\x07\nrm\r\0\0").unwrap(),
        "sh -c \u{fffd}]0;owned\u{fffd} rm\u{fffd}"
    );
    assert_eq!(command_of(b"caf\xe9\0").unwrap(), "caf\u{fffd}");
    assert_eq!(command_of(&[b'x'; 100_000]).unwrap().len(), 4096);
    assert_eq!(command_of(b""), None);
    world.write(format!("{SOMEBODY}/comm"), "kworker\n");
    assert_eq!(command_of(b"").unwrap(), "[kworker]");
}

#[test]
fn without_a_proc_nobody_is_known() {
    assert_eq!(World::new().holders(), []);
}

#[test]
fn a_file_that_is_missing_has_no_locks_and_is_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing.lock");
    assert!(LockedFile::at(&path).unwrap().is_none());
    assert!(!path.exists());
}

#[test]
fn lines_that_make_no_sense_are_passed_over() {
    let good = "7: FLOCK  ADVISORY  READ  4242 fe:0a:18446744073709551615 0 EOF";
    let file = TableId { device: (0xfe, 0x0a), inode: u64::MAX };
    let entry = Entry { pid: 4242, mode: Shared, file };
    let mut text = format!("{good}\n");
    for nonsense in [
        "",
        ":",
        "7:",
        "7: FLOCK",
        "7: FLOCK ADVISORY",
        "7: FLOCK ADVISORY WRITE",
        "7: FLOCK ADVISORY WRITE 4242",
        "7: FLOCK ADVISORY NONE 4242 fe:0a:1 0 EOF",
        "7: FLOCK ADVISORY WRITE 0 fe:0a:1 0 EOF",
        "7: FLOCK ADVISORY WRITE -1 fe:0a:1 0 EOF",
        "7: FLOCK ADVISORY WRITE 99999999999 fe:0a:1 0 EOF",
        "7: FLOCK ADVISORY WRITE 4242 <none>:0 0 EOF",
        "7: FLOCK ADVISORY WRITE 4242 fe:0a:18446744073709551616 0 EOF",
        "7: FLOCK ADVISORY WRITE 4242 fe:0a: 0 EOF",
        "7: FLOCK ADVISORY WRITE 4242 fe0a1 0 EOF",
        "7: FLOCK ADVISORY WRITE 4242 100000000:0:1 0 EOF",
        "\u{fffd}\u{fffd} \u{fffd}",
    ] {
        text += nonsense;
        text.push('\n');
    }
    text += good;
    assert_eq!(entries(&text).collect::<Vec<_>>(), [entry, entry]);
    assert_eq!(
        locks_of_descriptor(&format!("lock:\t{good}\nlock\nlock:\n{good}")).collect::<Vec<_>>(),
        [entry]
    );
    assert_eq!(
        field_of_descriptor("mnt_id\nmnt_id:\nmnt_ids:\t1\nmnt_id:\tx\nmnt_id:\t29", "mnt_id"),
        Some(29)
    );
    assert_eq!(device_of_mount("29\n29 1\n29 1 x\n28 1 8:1\n29 1 8:\n29 1 8:2 /", 29), Some((8, 2)));
}
