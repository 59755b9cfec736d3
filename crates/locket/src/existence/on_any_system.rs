//! What locks by existence do on every system, Windows among them.

use std::fs::{self, File, FileTimes};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::SystemTime;

use super::*;
use crate::sys::Protocol;

/// A folder, and the path whose locks are tested. It exists.
struct Place {
    folder: PathBuf,
    #[expect(dead_code, reason = "removes the folder when it is dropped")]
    owned: Option<tempfile::TempDir>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("data"), "").unwrap();
        Self { folder: folder.path().to_owned(), owned: Some(folder) }
    }

    fn path(&self, protocol: Protocol) -> PathBuf {
        let is_suffixed = matches!(
            protocol,
            Protocol::ProperLockfile | Protocol::Link | Protocol::Mkdir | Protocol::Symlink
        );
        self.folder.join(if is_suffixed { "data" } else { "data.lock" })
    }

    /// The path of the lock entry.
    fn entry(&self) -> PathBuf {
        self.folder.join("data.lock")
    }

    fn open(&self, protocol: Protocol) -> ExistenceLock {
        let options = ProtocolOptions { protocol, ..ProtocolOptions::FLOCK };
        let how =
            OpenHow { create: Some(0o666), allow_directory: false, for_writing: false, protocol: options };
        ExistenceLock::open(&self.path(protocol), &how, Arc::default()).unwrap()
    }

    /// Returns what is in the folder, without the resource.
    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.folder).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "data").collect()
    }
}

/// Returns the protocols that every system has: on Windows most users may not create symbolic links.
fn everywhere() -> impl Iterator<Item = Protocol> {
    Protocol::by_existence().filter(|protocol| *protocol != Protocol::Symlink)
}

fn try_lock(lock: &ExistenceLock) -> bool {
    lock.try_lock(LockMode::Exclusive).map_err(|error| (lock.describe(&error), error)).unwrap()
}

/// Makes the entry look as if it had last been modified so long ago.
fn set_age(place: &Place, age: Duration) {
    let times = FileTimes::new().set_modified(SystemTime::now() - age);
    open_to_change(&place.entry()).set_times(times).unwrap();
}

#[cfg(unix)]
fn open_to_change(path: &Path) -> File {
    File::open(path).unwrap()
}

/// FILE_WRITE_ATTRIBUTES, and FILE_FLAG_BACKUP_SEMANTICS for folders.
#[cfg(windows)]
fn open_to_change(path: &Path) -> File {
    use std::os::windows::fs::OpenOptionsExt;
    fs::OpenOptions::new().access_mode(0x100).custom_flags(0x0200_0000).open(path).unwrap()
}

#[test]
fn the_first_one_gets_the_lock_and_the_next_one_when_it_is_released_and_nothing_stays() {
    for protocol in everywhere() {
        let place = Place::new();
        let (first, second) = (place.open(protocol), place.open(protocol));
        assert!(try_lock(&first), "{protocol:?}");
        assert!(!try_lock(&second), "{protocol:?}");
        assert_eq!(place.names(), ["data.lock"], "{protocol:?}");
        assert!(first.is_intact() && first.renew() && place.entry().exists(), "{protocol:?}");
        assert!(first.is_at(&place.path(protocol)).unwrap(), "{protocol:?}");
        first.unlock();
        assert_eq!(place.names(), [""; 0], "{protocol:?}");
        assert!(try_lock(&second), "{protocol:?}");
        second.unlock();
        assert_eq!(place.names(), [""; 0], "{protocol:?}");
    }
}

#[test]
fn an_entry_of_the_other_kind_keeps_everybody_out() {
    for protocol in everywhere() {
        let place = Place::new();
        let lock = place.open(protocol);
        if lock.rules.kind == Kind::Folder {
            fs::write(place.entry(), "1\nhost\n").unwrap();
        } else {
            fs::create_dir(place.entry()).unwrap();
        }
        assert!(!try_lock(&lock), "{protocol:?}");
        assert_eq!(place.names(), ["data.lock"], "{protocol:?}");
    }
}

#[test]
fn an_entry_that_appears_while_ours_is_being_created_stays_as_it_is() {
    for protocol in everywhere() {
        for theirs_is_folder in [false, true] {
            let place = Place::new();
            let lock = place.open(protocol);
            let new = lock.new_entry(b"ours", b"mark");
            let private = lock.folder.create(&new, false).unwrap();
            if theirs_is_folder {
                fs::create_dir(place.entry()).unwrap();
            } else {
                fs::write(place.entry(), "theirs").unwrap();
            }
            assert!(private.publish(&new, lock.name()).unwrap().is_none(), "{protocol:?}");
            assert!(theirs_is_folder || fs::read(place.entry()).unwrap() == b"theirs", "{protocol:?}");
            assert_eq!(place.names(), ["data.lock"], "{protocol:?}");
        }
    }
}

#[test]
fn a_lock_that_was_replaced_is_lost_and_what_replaced_it_stays() {
    for protocol in everywhere() {
        let place = Place::new();
        let lock = place.open(protocol);
        assert!(try_lock(&lock));
        fs::rename(place.entry(), place.folder.join("aside")).unwrap();
        assert!(!lock.is_intact() && !lock.renew(), "{protocol:?}");
        let is_folder = lock.rules.kind == Kind::Folder;
        if is_folder { fs::create_dir(place.entry()) } else { fs::write(place.entry(), "") }.unwrap();
        assert!(!lock.is_intact() && !lock.renew(), "{protocol:?}");
        lock.unlock();
        assert!(place.entry().exists(), "{protocol:?}");
    }
}

#[test]
fn a_folder_that_nobody_renews_is_taken_over_and_one_that_is_renewed_is_not() {
    let place = Place::new();
    let lock = place.open(Protocol::ProperLockfile);
    fs::create_dir(place.entry()).unwrap();
    set_age(&place, Duration::from_secs(9));
    assert!(!try_lock(&lock));
    set_age(&place, Duration::from_secs(11));
    assert!(try_lock(&lock));
    assert_eq!(place.names(), ["data.lock"]);
    // It keeps programs out that are about to remove what they take for the old one.
    assert!(fs::remove_dir(place.entry()).is_err());
    assert!(!try_lock(&place.open(Protocol::ProperLockfile)));
    lock.unlock();
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn what_somebody_has_put_into_a_folder_that_nobody_renews_is_left_alone() {
    let place = Place::new();
    let lock = place.open(Protocol::ProperLockfile);
    fs::create_dir(place.entry()).unwrap();
    fs::write(place.entry().join("thing"), "").unwrap();
    set_age(&place, Duration::from_secs(11));
    assert!(!try_lock(&lock));
    assert!(place.entry().join("thing").exists());
    assert_eq!(place.names(), ["data.lock"]);
}

#[test]
fn the_guard_of_a_taker_over_that_has_died_does_not_keep_the_next_one_out() {
    let place = Place::new();
    let lock = place.open(Protocol::ProperLockfile);
    fs::create_dir(place.entry()).unwrap();
    fs::write(place.entry().join(GUARD), "").unwrap();
    set_age(&place, Duration::from_secs(11));
    assert!(try_lock(&lock));
    lock.unlock();
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn a_file_whose_process_is_dead_is_taken_over_and_one_whose_process_is_alive_or_elsewhere_is_not() {
    let own = Record::own();
    let dead = Record { pid: i32::MAX as u32, start: None, ..own.clone() };
    let elsewhere = Record { host: "elsewhere".to_owned(), ..dead.clone() };
    for protocol in [Protocol::SoftFile, Protocol::Lockfile, Protocol::Link] {
        for (record, is_free) in [(&dead, true), (&own, false), (&elsewhere, false)] {
            let place = Place::new();
            let lock = place.open(protocol);
            fs::write(place.entry(), record.to_bytes()).unwrap();
            assert_eq!(try_lock(&lock), is_free, "{protocol:?} {record:?}");
            let content = fs::read(place.entry()).unwrap();
            assert_eq!(content, if is_free { own.to_bytes() } else { record.to_bytes() }, "{protocol:?}");
            assert_eq!(place.names(), ["data.lock"], "{protocol:?}");
            lock.unlock();
            assert_eq!(place.entry().exists(), !is_free, "{protocol:?}");
        }
    }
}

#[test]
fn breaking_removes_whatever_is_there_and_its_holder_notices() {
    for protocol in everywhere() {
        let place = Place::new();
        let (holder, other) = (place.open(protocol), place.open(protocol));
        assert!(try_lock(&holder));
        assert_eq!(other.break_entry(), Ok(true), "{protocol:?}");
        assert!(!holder.renew(), "{protocol:?}");
        holder.unlock();
        assert_eq!(other.break_entry(), Ok(false), "{protocol:?}");
        fs::create_dir(place.entry()).unwrap();
        fs::write(place.entry().join("thing"), "").unwrap();
        assert_eq!(other.break_entry(), Ok(true), "{protocol:?}");
        assert_eq!(place.names(), [""; 0], "{protocol:?}");
    }
}

#[test]
fn a_renewal_moves_the_time_of_the_last_modification() {
    let place = Place::new();
    let lock = place.open(Protocol::ProperLockfile);
    assert!(try_lock(&lock));
    set_age(&place, Duration::from_secs(60));
    lock.state().held.as_mut().unwrap().renewed -= Duration::from_secs(60);
    assert!(lock.renew());
    assert!(lock.folder.look(lock.name()).unwrap().unwrap().modified > wall_clock() - 1_000_000_000 * 30);
}

#[test]
fn a_symbolic_link_is_a_lock_where_everybody_may_create_one() {
    let place = Place::new();
    let lock = place.open(Protocol::Symlink);
    if cfg!(windows) {
        let error = lock.try_lock(LockMode::Exclusive).unwrap_err();
        assert!(lock.describe(&error).unsupported);
    } else {
        assert!(try_lock(&lock));
        assert!(!try_lock(&place.open(Protocol::Symlink)));
        lock.unlock();
    }
    assert_eq!(place.names(), [""; 0]);
}

/// Has many processes, as far as the file system can tell, try the lock at once, until one gets it.
fn let_many_come(place: &Place, protocol: Protocol) {
    const MANY: usize = 4;
    let locks: [_; MANY] = std::array::from_fn(|_| place.open(protocol));
    let (start, is_over) = (Barrier::new(MANY), AtomicBool::new(false));
    thread::scope(|scope| {
        for lock in &locks {
            scope.spawn(|| {
                start.wait();
                while !try_lock(lock) && !is_over.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
                is_over.store(true, Ordering::Relaxed);
            });
        }
    });
    let holders = locks.iter().filter(|lock| lock.state().held.is_some());
    assert_eq!(holders.map(ExistenceLock::is_intact).collect::<Vec<_>>(), [true], "{protocol:?}");
    assert_eq!(place.names(), ["data.lock"], "{protocol:?}");
}

#[test]
fn of_many_that_come_at_once_one_gets_the_lock() {
    for protocol in everywhere() {
        for _ in 0..10 {
            let_many_come(&Place::new(), protocol);
        }
    }
}

#[test]
fn of_many_that_take_an_entry_over_at_once_one_gets_it() {
    let dead = Record { pid: i32::MAX as u32, start: None, ..Record::own() };
    for _ in 0..25 {
        let file = Place::new();
        fs::write(file.entry(), dead.to_bytes()).unwrap();
        let_many_come(&file, Protocol::SoftFile);
        let folder = Place::new();
        fs::create_dir(folder.entry()).unwrap();
        set_age(&folder, Duration::from_secs(11));
        let_many_come(&folder, Protocol::ProperLockfile);
    }
}

#[test]
fn a_path_may_be_as_long_as_the_system_lets_it_be() {
    let place = Place::new();
    let folder = place.folder.join("a".repeat(200)).join("b".repeat(200));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("data"), "").unwrap();
    for protocol in [Protocol::Mkdir, Protocol::Link] {
        let options = ProtocolOptions { protocol, ..ProtocolOptions::FLOCK };
        let how =
            OpenHow { create: Some(0o666), allow_directory: false, for_writing: false, protocol: options };
        let lock = ExistenceLock::open(&folder.join("data"), &how, Arc::default()).unwrap();
        assert!(try_lock(&lock), "{protocol:?}");
        lock.unlock();
        assert!(!folder.join("data.lock").exists(), "{protocol:?}");
    }
}

/// Tells [`hold_until_killed`] the folder, and the number of the protocol in [`everywhere`].
const HOLDER: [&str; 2] = ["LOCKET_TEST_FOLDER", "LOCKET_TEST_PROTOCOL"];

#[test]
#[ignore = "the process that the next test starts"]
fn hold_until_killed() {
    let [folder, protocol] = HOLDER.map(|name| std::env::var(name).unwrap());
    let place = Place { folder: folder.into(), owned: None };
    let lock = place.open(everywhere().nth(protocol.parse().unwrap()).unwrap());
    assert!(try_lock(&lock));
    println!("held");
    let _ = std::io::stdin().read_line(&mut String::new());
    lock.unlock();
}

#[test]
fn the_lock_of_a_process_that_was_killed_is_free_at_once() {
    let this = concat!(module_path!(), "::hold_until_killed");
    let (_, this) = this.split_once("::").unwrap();
    for (number, protocol) in everywhere().enumerate() {
        let place = Place::new();
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args([this, "--exact", "--ignored", "--nocapture"])
            .env(HOLDER[0], &place.folder)
            .env(HOLDER[1], number.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(holder.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap().ends_with("held")), "{protocol:?}");
        let lock = place.open(protocol);
        assert!(!try_lock(&lock), "{protocol:?}");
        assert!(lock.is_held().unwrap().unwrap(), "{protocol:?}");
        let seen = lock.folder.look(lock.name()).unwrap().unwrap();
        let is_marked = lock.folder.pin(lock.name(), &seen).unwrap().unwrap().mark().is_some();
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert!(place.entry().exists(), "{protocol:?}");
        // Wine has no streams, in which our mark would be.
        let is_named = lock.rules.kind == Kind::File && protocol != Protocol::PidFile;
        assert!(cfg!(windows) || is_marked, "{protocol:?}");
        assert_eq!(try_lock(&lock), is_marked || is_named, "{protocol:?}");
    }
}
