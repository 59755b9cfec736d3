use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::sys::Protocol;

/// A folder with a file that is locked.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("data")).unwrap();
        Self { folder }
    }

    /// Returns a lock of the file.
    fn lock(&self, protocol: Protocol) -> ExistenceLock {
        let protocol = ProtocolOptions { protocol, stale: None, update: None };
        let how = OpenHow { create: Some(0o666), allow_directory: false, for_writing: false, protocol };
        ExistenceLock::open(&self.path(), &how, Arc::default()).unwrap()
    }

    /// The path that is locked. Protocols that put the entry there find nothing.
    fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Removes the file, where the entry itself has its path.
    fn make_room(&self, lock: &ExistenceLock) {
        if lock.name() == "data" {
            let _ = fs::remove_file(self.path());
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn entry(&self, lock: &ExistenceLock) -> PathBuf {
        self.folder.path().join(lock.name())
    }
}

fn try_lock(lock: &ExistenceLock) -> bool {
    lock.try_lock(LockMode::Exclusive).unwrap()
}

/// Leaves the entry behind, as a process does that is killed. Unlocks first: closing would not do it while a child that
/// another test starts still has a copy of the descriptor.
fn die(lock: &ExistenceLock) {
    lock.state().held.take().unwrap().entry.unlock();
}

fn see(lock: &ExistenceLock) -> Seen {
    lock.folder.look(lock.name()).unwrap().unwrap()
}

/// Makes an entry look as if it had not been modified for a minute.
fn age_by_a_minute(path: &Path) {
    age_by(path, 60);
}

/// Makes an entry look as if it had not been modified for so many seconds.
fn age_by(path: &Path, seconds: u64) {
    let file = File::open(path).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

#[test]
fn one_holds_the_lock_at_a_time_and_nothing_is_left_of_it() {
    for protocol in Protocol::by_existence() {
        let place = Place::new();
        let [one, other] = [(); 2].map(|()| place.lock(protocol));
        place.make_room(&one);
        let before = place.names();
        assert!(try_lock(&one), "{protocol:?}");
        assert!(!try_lock(&other), "{protocol:?}");
        assert!(one.is_intact() && one.is_at(&place.path()).unwrap());
        assert!(other.is_held().unwrap().unwrap());
        let FoundHolders::Known(holders) = other.holders() else { panic!("{protocol:?}: unknown") };
        assert_eq!(holders.iter().map(|holder| holder.pid).collect::<Vec<_>>(), [std::process::id()]);
        one.unlock();
        assert_eq!(place.names(), before, "{protocol:?}");
        assert!(!other.is_held().unwrap().unwrap());
        assert!(try_lock(&other), "{protocol:?}");
        other.unlock();
    }
}

#[test]
fn the_entry_is_of_the_kind_and_has_the_content_that_others_expect() {
    let pid = std::process::id();
    for (protocol, name, content) in [
        (Protocol::Lockfile, "data", String::from_utf8(Record::own().to_bytes()).unwrap()),
        (Protocol::SoftFile, "data", String::from_utf8(Record::own().to_bytes()).unwrap()),
        (Protocol::PidFile, "data", format!("{pid}\n")),
        (Protocol::Dotlock, "data", format!("{pid}\n")),
        (Protocol::Link, "data.lock", String::from_utf8(Record::own().to_bytes()).unwrap()),
    ] {
        let place = Place::new();
        let lock = place.lock(protocol);
        place.make_room(&lock);
        assert!(try_lock(&lock));
        let path = place.folder.path().join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "{protocol:?}");
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
        lock.unlock();
    }
    for protocol in [Protocol::ProperLockfile, Protocol::Mkdir] {
        let place = Place::new();
        let lock = place.lock(protocol);
        assert!(try_lock(&lock));
        assert!(fs::read_dir(place.folder.path().join("data.lock")).unwrap().next().is_none());
        lock.unlock();
    }
}

#[test]
fn the_entry_of_a_process_of_ours_that_is_dead_is_taken_over_at_once() {
    for protocol in Protocol::by_existence().filter(|protocol| *protocol != Protocol::Symlink) {
        let place = Place::new();
        let [dead, next, last] = [(); 3].map(|()| place.lock(protocol));
        place.make_room(&dead);
        assert!(try_lock(&dead));
        let before = place.names();
        die(&dead);
        assert!(!next.is_held().unwrap().unwrap());
        assert!(try_lock(&next), "{protocol:?}");
        assert!(!try_lock(&last), "{protocol:?}");
        assert_eq!(place.names(), before, "{protocol:?}");
        next.unlock();
        assert!(try_lock(&last));
        last.unlock();
    }
}

#[test]
fn an_entry_that_has_been_replaced_is_not_removed_and_the_lock_is_lost() {
    for protocol in Protocol::by_existence() {
        let place = Place::new();
        let lock = place.lock(protocol);
        place.make_room(&lock);
        assert!(try_lock(&lock));
        let (entry, aside) = (place.entry(&lock), place.folder.path().join("aside"));
        fs::rename(&entry, &aside).unwrap();
        File::create(&entry).unwrap();
        assert!(!lock.is_intact() && !lock.renew() && !lock.is_at(&place.path()).unwrap(), "{protocol:?}");
        lock.unlock();
        assert!(entry.exists() && aside.symlink_metadata().is_ok(), "{protocol:?}");
    }
}

#[test]
fn an_entry_that_is_put_back_at_once_is_not_lost() {
    let place = Place::new();
    let lock = place.lock(Protocol::Link);
    assert!(try_lock(&lock));
    let (entry, aside) = (place.entry(&lock), place.folder.path().join("aside"));
    fs::rename(&entry, &aside).unwrap();
    File::create(&entry).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| fs::rename(&aside, &entry).unwrap());
        // It is looked at three times, some milliseconds apart.
        let state = lock.state();
        let held = state.held.as_ref().unwrap();
        while !lock.is_ours(held) {}
    });
    lock.unlock();
    assert!(!entry.exists());
}

#[test]
fn what_has_changed_since_it_was_judged_is_not_taken_over() {
    let place = Place::new();
    let [dead, next, live] = [(); 3].map(|()| place.lock(Protocol::Mkdir));
    assert!(try_lock(&dead));
    die(&dead);
    let judged = next.look_and_judge().unwrap().unwrap();
    assert_eq!(judged.verdict, Verdict::Abandoned);
    // Another one was faster.
    assert!(try_lock(&live));
    assert!(matches!(next.take_over(&judged).unwrap(), TakeOver::Changed));
    assert!(live.is_intact());
    live.unlock();
    assert_eq!(place.names(), ["data"]);
}

#[test]
fn what_comes_out_of_an_exchange_by_mistake_is_put_back() {
    for (protocol, kind) in [(Protocol::ProperLockfile, Kind::Folder), (Protocol::Link, Kind::File)] {
        let place = Place::new();
        let [live, late] = [(); 2].map(|()| place.lock(protocol));
        assert!(try_lock(&live));
        let new = NewEntry { kind, mode: 0o666, content: b"", mark: b"", host: 0 };
        let private = late.folder.create(&new, true).unwrap();
        assert!(late.folder.exchange(private.name(), late.name()).unwrap());
        assert!(matches!(late.put_back(private, None), TakeOver::Refused(_)));
        assert!(live.is_intact(), "{protocol:?}");
        live.unlock();
        assert_eq!(place.names(), ["data"]);
    }
}

#[test]
fn a_folder_that_others_have_left_is_taken_over_when_it_is_old_and_guarded_for_a_while() {
    let place = Place::new();
    let [lock, other] = [(); 2].map(|()| place.lock(Protocol::ProperLockfile));
    let entry = place.entry(&lock);
    fs::create_dir(&entry).unwrap();
    assert!(!try_lock(&lock), "it is young");
    age_by_a_minute(&entry);
    assert!(try_lock(&lock));
    // A program that has judged the old one cannot remove this one.
    assert!(fs::remove_dir(&entry).is_err());
    assert!(!try_lock(&other));
    lock.state().held.as_mut().unwrap().guarded = Some(now());
    assert!(lock.renew());
    assert!(fs::read_dir(&entry).unwrap().next().is_none());
    assert!(fs::metadata(&entry).unwrap().modified().unwrap().elapsed().unwrap() < Duration::from_secs(30));
    lock.unlock();
    assert_eq!(place.names(), ["data"]);
}

#[test]
fn a_lock_that_is_guarded_is_released_and_taken_over_with_its_guard() {
    let place = Place::new();
    let [lock, other] = [(); 2].map(|()| place.lock(Protocol::ProperLockfile));
    let entry = place.entry(&lock);
    fs::create_dir(&entry).unwrap();
    age_by_a_minute(&entry);
    assert!(try_lock(&lock));
    die(&lock);
    assert!(try_lock(&other));
    other.unlock();
    assert_eq!(place.names(), ["data"]);
}

#[test]
fn an_old_folder_with_things_in_it_is_left_alone() {
    let place = Place::new();
    let lock = place.lock(Protocol::ProperLockfile);
    let entry = place.entry(&lock);
    fs::create_dir(&entry).unwrap();
    File::create(entry.join("precious")).unwrap();
    age_by_a_minute(&entry);
    assert!(!try_lock(&lock));
    assert!(entry.join("precious").exists());
    assert_eq!(place.names(), ["data", "data.lock"]);
}

#[test]
fn breaking_removes_whatever_is_there_and_says_whether_there_was_something() {
    for protocol in Protocol::by_existence() {
        let place = Place::new();
        let lock = place.lock(protocol);
        place.make_room(&lock);
        let entry = place.entry(&lock);
        let makers: [fn(&Path); 4] = [
            |entry| drop(File::create(entry).unwrap()),
            |entry| fs::create_dir(entry).unwrap(),
            |entry| {
                fs::create_dir(entry).unwrap();
                File::create(entry.join("host.-7b-1234")).unwrap();
            },
            |entry| symlink("nowhere", entry).unwrap(),
        ];
        for make in makers {
            make(&entry);
            assert!(lock.break_entry().unwrap(), "{protocol:?}");
            assert!(entry.symlink_metadata().is_err());
        }
        assert!(!lock.break_entry().unwrap());
    }
}

#[test]
fn a_holder_whose_lock_was_broken_sees_that_and_removes_nothing() {
    let place = Place::new();
    let [robbed, thief] = [(); 2].map(|()| place.lock(Protocol::SoftFile));
    place.make_room(&robbed);
    assert!(try_lock(&robbed));
    assert!(thief.break_entry().unwrap());
    assert!(!robbed.is_intact());
    assert!(try_lock(&thief));
    robbed.unlock();
    assert!(thief.is_intact());
    thief.unlock();
}

#[test]
fn a_lock_is_renewed_before_others_take_it_for_abandoned() {
    let place = Place::new();
    let lock = place.lock(Protocol::ProperLockfile);
    assert!(try_lock(&lock));
    let entry = place.entry(&lock);
    let age = || fs::metadata(&entry).unwrap().modified().unwrap().elapsed().unwrap();
    age_by(&entry, 6);
    assert!(lock.renew(), "not due yet");
    assert!(age() > Duration::from_secs(5));
    lock.state().held.as_mut().unwrap().renewed = now().checked_sub(Duration::from_secs(5)).unwrap();
    assert!(lock.renew());
    assert!(age() < Duration::from_secs(5));
    lock.unlock();
}

#[test]
fn a_lock_that_somebody_has_made_look_abandoned_is_lost_and_its_entry_left_to_others() {
    let place = Place::new();
    let lock = place.lock(Protocol::ProperLockfile);
    assert!(try_lock(&lock));
    let entry = place.entry(&lock);
    age_by_a_minute(&entry);
    assert!(!lock.renew() && !lock.is_intact());
    lock.disown();
    assert!(entry.exists());
    // It was not renewed in time: if nobody has taken it meanwhile, it is still ours.
    let next = place.lock(Protocol::ProperLockfile);
    assert!(try_lock(&next));
    age_by_a_minute(&entry);
    next.state().held.as_mut().unwrap().renewed = now().checked_sub(Duration::from_secs(11)).unwrap();
    assert!(next.is_intact() && next.renew());
    next.unlock();
}

#[test]
fn a_descriptor_that_other_code_has_closed_loses_the_lock_and_is_not_closed_again() {
    let place = Place::new();
    let [lock, other] = [(); 2].map(|()| place.lock(Protocol::Mkdir));
    assert!(try_lock(&lock));
    let theirs = File::open(place.path()).unwrap();
    lock.state().held.as_ref().unwrap().entry.replace_by(&theirs);
    assert!(!lock.is_intact());
    lock.disown();
    lock.unlock();
    // What has the number now is still open.
    assert!(theirs.metadata().is_ok());
    assert!(try_lock(&other), "nobody holds it");
    other.unlock();
}

#[test]
fn a_lock_is_looked_at_about_every_second_and_when_it_has_to_be_renewed() {
    let check = |protocol, update: Option<u64>| {
        Rules::of(&ProtocolOptions { protocol, stale: None, update: update.map(Duration::from_millis) })
            .check()
    };
    assert_eq!(check(Protocol::Link, None), CHECK);
    assert_eq!(check(Protocol::ProperLockfile, None), CHECK, "every fifth renews");
    assert_eq!(check(Protocol::ProperLockfile, Some(2700)), Duration::from_millis(900));
    assert_eq!(check(Protocol::Lockfile, Some(50)), Duration::from_millis(50));
}

/// The names of entries that nobody knows.
fn private_names(place: &Place) -> Vec<String> {
    place.names().into_iter().filter(|name| name.starts_with(".locket-")).collect()
}

#[test]
fn a_warm_lock_sets_its_entry_aside_and_others_get_the_lock_meanwhile() {
    for protocol in Protocol::by_existence().filter(|protocol| *protocol != Protocol::Symlink) {
        let place = Place::new();
        let [warm, other] = [(); 2].map(|()| place.lock(protocol));
        place.make_room(&warm);
        assert!(try_lock(&warm));
        let id = see(&warm).id;
        warm.set_warm(true);
        warm.unlock();
        assert!(!warm.is_held().unwrap().unwrap());
        assert_eq!(private_names(&place).len(), 1, "{protocol:?}");
        assert!(try_lock(&warm));
        assert_eq!(see(&warm).id, id, "it is the same one: {protocol:?}");
        assert!(private_names(&place).is_empty());
        assert!(!try_lock(&other) && warm.is_at(&place.path()).unwrap());
        warm.set_warm(true);
        warm.unlock();
        assert!(try_lock(&other));
        assert!(!try_lock(&warm), "{protocol:?}");
        assert!(private_names(&place).is_empty(), "nothing stays aside of a lock that is refused");
        other.unlock();
    }
}

#[test]
fn what_is_set_aside_goes_with_the_lock() {
    let place = Place::new();
    let before = place.names();
    let lock = place.lock(Protocol::ProperLockfile);
    assert!(try_lock(&lock));
    lock.set_warm(true);
    lock.unlock();
    assert_eq!(private_names(&place).len(), 1);
    drop(lock);
    assert_eq!(place.names(), before);
}

#[test]
fn an_entry_of_others_is_not_set_aside_and_a_symbolic_link_never_is() {
    let place = Place::new();
    let lock = place.lock(Protocol::Mkdir);
    assert!(try_lock(&lock));
    let entry = place.entry(&lock);
    fs::remove_dir(&entry).unwrap();
    fs::create_dir(&entry).unwrap();
    lock.set_warm(true);
    lock.unlock();
    assert!(entry.exists() && private_names(&place).is_empty());
    let link = place.lock(Protocol::Symlink);
    link.set_warm(true);
    fs::remove_dir(&entry).unwrap();
    assert!(try_lock(&link));
    link.set_warm(true);
    link.unlock();
    assert_eq!(place.names(), ["data"]);
}

#[test]
fn what_was_removed_while_it_was_set_aside_is_made_anew() {
    let place = Place::new();
    let lock = place.lock(Protocol::ProperLockfile);
    assert!(try_lock(&lock));
    lock.set_warm(true);
    lock.unlock();
    fs::remove_dir(place.folder.path().join(&private_names(&place)[0])).unwrap();
    assert!(try_lock(&lock));
    assert!(lock.is_intact());
    lock.unlock();
    assert_eq!(place.names(), ["data"]);
}

#[test]
fn a_folder_that_was_set_aside_for_long_is_young_when_it_comes_back() {
    let place = Place::new();
    let lock = place.lock(Protocol::ProperLockfile);
    assert!(try_lock(&lock));
    lock.set_warm(true);
    lock.unlock();
    age_by_a_minute(&place.folder.path().join(&private_names(&place)[0]));
    assert!(try_lock(&lock));
    let modified = fs::metadata(place.entry(&lock)).unwrap().modified().unwrap();
    assert!(modified.elapsed().unwrap() < Duration::from_secs(30));
    lock.unlock();
}

#[test]
fn what_a_process_has_set_aside_that_has_died_is_swept_by_the_next_that_sets_something_aside() {
    let place = Place::new();
    let left = format!(".locket-{:x}-4194305-0", record::host_key());
    fs::create_dir(place.folder.path().join(&left)).unwrap();
    let lock = place.lock(Protocol::ProperLockfile);
    assert!(try_lock(&lock));
    lock.set_warm(true);
    lock.unlock();
    assert!(!place.names().contains(&left));
}

#[test]
fn a_time_by_another_clock_that_nobody_has_set_since_does_not_make_a_lock_lost() {
    let place = Place::new();
    let lock = place.lock(Protocol::ProperLockfile);
    assert!(try_lock(&lock));
    // As if the server of the file system were a minute behind.
    age_by_a_minute(&place.entry(&lock));
    lock.state().held.as_mut().unwrap().known = Some(see(&lock).modified);
    assert!(lock.is_intact() && lock.renew());
    age_by_a_minute(&place.entry(&lock));
    assert!(!lock.is_intact(), "somebody has set it");
    lock.unlock();
}

#[test]
fn the_locks_of_two_names_have_the_same_order_in_programs_with_other_rules() {
    let names = ["one", "other", "third"].map(OsStr::new);
    let order_by = |options: ProtocolOptions| {
        let rules = Rules::of(&options);
        let mut order = names;
        order.sort_by_key(|name| rules.key(name));
        order
    };
    let options = |update| ProtocolOptions { protocol: Protocol::ProperLockfile, stale: None, update };
    let orders: Vec<_> =
        (0..64).map(|i| order_by(options((i > 0).then(|| Duration::from_millis(1000 + i))))).collect();
    assert!(orders.iter().all(|order| *order == orders[0]));
    let keys: std::collections::BTreeSet<_> =
        (1..64).map(|i| Rules::of(&options(Some(Duration::from_millis(1000 + i)))).key(names[0])).collect();
    assert!(keys.len() > 32, "each has a lock of its own");
}
