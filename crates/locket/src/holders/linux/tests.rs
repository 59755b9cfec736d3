//! Who holds a lock, as a made-up /proc tells it: one that says what no real one says for long, or nonsense.

use std::os::unix::fs::symlink;

use super::super::world::{NOBODY, Opened, SOMEBODY, World, device_of};
use super::*;

use LockMode::{Exclusive, Shared};

/// The number of a file's mount, and that of the file as the table has it.
fn mount_and_inode(path: &Path) -> (u64, u64) {
    let file = File::open(path).unwrap();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).unwrap();
    (field_of_descriptor(&info, "mnt_id").unwrap(), field_of_descriptor(&info, "ino").unwrap())
}

fn holder(pid: u32, mode: LockMode, command: &str) -> Holder {
    Holder { pid, mode, command: Some(command.into()), host: None }
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
fn a_record_lock_is_held_by_the_process_that_took_it_or_by_those_that_have_its_descriptor() {
    let mut world = World::new();
    let file = world.file();
    let [posix, ofd] = [format!("POSIX  ADVISORY  READ  {NOBODY}"), "OFDLCK ADVISORY  READ  -1".into()]
        .map(|lock| format!("1: {lock} {file} 0 EOF"));
    world.add_process(NOBODY, b"apt\0", &format!("lock:\t{posix}\n"));
    // It has left its descriptor to a child.
    for pid in [SOMEBODY, SOMEBODY + 1] {
        world.add_process(pid, b"node\0", &format!("lock:\t{ofd}\n"));
    }
    // Another file, another mode, another kind of lock, and only open.
    let lock = |kind, mode, file| format!("lock:\t1: {kind} ADVISORY  {mode} -1 {file} 0 EOF\n");
    world.add_process(SOMEBODY + 2, b"innocent\0", &lock("OFDLCK", "READ ", "fe:00:1"));
    world.add_process(SOMEBODY + 3, b"innocent\0", &lock("OFDLCK", "WRITE", &file));
    world.add_process(SOMEBODY + 4, b"innocent\0", &lock("FLOCK ", "READ ", &file));
    world.add_process(SOMEBODY + 5, b"innocent\0", "");
    world.add_to_table(&posix);
    world.add_to_table(&ofd);
    world.add_to_table(format!("2: FLOCK  ADVISORY  WRITE 1 {file} 0 EOF"));
    assert_eq!(
        world.holders_of(KernelLock::Fcntl),
        [
            holder(NOBODY, Shared, "apt"),
            holder(SOMEBODY, Shared, "node"),
            holder(SOMEBODY + 1, Shared, "node")
        ]
    );
    let by_flock = Holder { pid: 1, mode: Exclusive, command: None, host: None };
    assert_eq!(world.holders(), [by_flock]);
}

#[test]
fn a_record_lock_whose_descriptor_cannot_be_seen_has_no_holder_but_is_held() {
    let mut world = plain_world();
    let path = world.path();
    assert_eq!(world.proc().is_locked(&path, KernelLock::Fcntl), Some(false));
    world.add_to_table(format!("1: OFDLCK ADVISORY  WRITE -1 {} 5 9", world.file()));
    assert_eq!(world.holders_of(KernelLock::Fcntl), []);
    assert_eq!(world.proc().is_locked(&path, KernelLock::Fcntl), Some(true));
    assert_eq!(world.proc().is_locked(&path, KernelLock::Flock), Some(false));
}

#[test]
fn who_waits_for_a_record_lock_is_named_if_the_table_tells() {
    let mut world = World::new();
    let file = world.file();
    for line in [
        format!("1: OFDLCK ADVISORY  WRITE -1 {file} 0 EOF"),
        format!("1: -> OFDLCK ADVISORY  WRITE -1 {file} 0 EOF"),
        format!("1: -> POSIX  ADVISORY  WRITE {SOMEBODY} {file} 0 EOF"),
        format!("2: FLOCK  ADVISORY  WRITE 1 {file} 0 EOF"),
        format!("2: -> FLOCK  ADVISORY  READ  {NOBODY} {file} 0 EOF"),
    ] {
        world.add_to_table(line);
    }
    assert_eq!(world.waiters_of(KernelLock::Fcntl), [(SOMEBODY, Exclusive)]);
    assert_eq!(world.waiters(), [(NOBODY, Shared)]);
}

#[test]
fn a_process_into_which_one_may_not_look_is_named_without_its_command() {
    let mut world = World::new();
    world.add_to_table(format!("1: FLOCK  ADVISORY  WRITE 1 {} 0 EOF", world.file()));
    assert_eq!(world.holders(), [Holder { pid: 1, mode: Exclusive, command: None, host: None }]);
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
    let path = world.path();
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
    assert_eq!(world.holders(), [Holder { pid: 1, mode: Exclusive, command: None, host: None }]);
}

#[test]
fn where_the_table_cannot_tell_two_files_apart_who_waits_for_the_other_one_is_not_named() {
    let mut world = World::new();
    let path = world.path();
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
        assert_eq!(answer, [Holder { pid: SOMEBODY, mode: Exclusive, command: None, host: None }]);
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
    let path = world.path();
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

/// A world on a file system whose locks stand in the table as stat(2) names the file, with a `/proc` that says so.
fn plain_world() -> World {
    let folders = [std::env::temp_dir(), "/dev/shm".into()];
    let world = folders.iter().map(|folder| World::in_folder(folder));
    let world = world.into_iter().find(|world| has_plain_locks(&world.path())).expect("no such file system");
    let (mount, _) = mount_and_inode(&world.path());
    let (major, minor) = device_of(&world.path());
    world.write("self/mountinfo", format!("{mount} 1 {major}:{minor} / / rw - ext4 /dev/x rw\n"));
    world.write("locks", "");
    world.set_pid_namespace(INITIAL_PID_NAMESPACE);
    world
}

#[test]
fn the_table_tells_whether_a_lock_is_held_where_it_has_every_lock() {
    let mut world = plain_world();
    assert_eq!(world.proc().is_locked(&world.path(), KernelLock::Flock), Some(false));
    world.add_to_table(format!("1: -> FLOCK  ADVISORY  WRITE {SOMEBODY} {} 0 EOF", world.file()));
    assert_eq!(
        world.proc().is_locked(&world.path(), KernelLock::Flock),
        Some(false),
        "it is only waited for"
    );
    world.add_to_table(format!("1: FLOCK  ADVISORY  READ  {NOBODY} {} 0 EOF", world.file()));
    assert_eq!(
        world.proc().is_locked(&world.path(), KernelLock::Flock),
        Some(true),
        "by whom, does not matter"
    );
}

#[test]
fn the_table_tells_nothing_where_it_may_hide_a_lock() {
    let world = plain_world();
    let is_locked = |world: &World, path: &Path| world.proc().is_locked(path, KernelLock::Flock);
    assert_eq!(is_locked(&world, world.folder.path()), None, "a folder");
    assert_eq!(is_locked(&world, Path::new("/proc/self/status")), None, "on an unknown file system");
    assert_eq!(is_locked(&world, &world.folder.path().join("missing")), None);
    world.set_pid_namespace("pid:[4026531837]");
    assert_eq!(is_locked(&world, &world.path()), None, "other namespaces have locks, too");

    let world = plain_world();
    fs::remove_file(world.folder.path().join("proc/locks")).unwrap();
    assert_eq!(is_locked(&world, &world.path()), None, "there is no table");

    // The mount is on another device, as on btrfs.
    let world = plain_world();
    let (mount, _) = mount_and_inode(&world.path());
    world.write("self/mountinfo", format!("{mount} 1 171:52 / / rw - btrfs /dev/x rw\n"));
    assert_eq!(is_locked(&world, &world.path()), None);
}

#[test]
fn a_table_that_is_read_in_pieces_tells_only_of_the_locks_that_are_in_it() {
    let mut world = plain_world();
    world.add_to_table("1: POSIX  ADVISORY  WRITE 7 fe:00:1 0 EOF\n".repeat(PIECE / 32));
    assert_eq!(world.proc().is_locked(&world.path(), KernelLock::Flock), None);
    world.add_to_table(format!("1: FLOCK  ADVISORY  WRITE {SOMEBODY} {} 0 EOF", world.file()));
    assert_eq!(world.proc().is_locked(&world.path(), KernelLock::Flock), Some(true));
}

#[test]
fn a_descriptor_tells_which_file_it_is_as_its_path_does() {
    let mut world = World::new();
    world.add_to_table(format!("1: FLOCK  ADVISORY  WRITE 1 {} 0 EOF", world.file()));
    let file = File::open(world.path()).unwrap();
    let proc = world.proc();
    let file = proc.file_of_descriptor(file.as_raw_fd()).unwrap();
    assert_eq!(
        proc.holders(&[file]).unwrap(),
        [[Holder { pid: 1, mode: Exclusive, command: None, host: None }]]
    );
    assert!(proc.file_of_descriptor(-1).is_none());
}
