use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rules(protocol: Protocol) -> Rules {
    Rules::of(&ProtocolOptions { protocol, ..ProtocolOptions::FLOCK })
}

fn timed(protocol: Protocol, stale: Option<Duration>, update: Option<Duration>) -> Rules {
    Rules::of(&ProtocolOptions { protocol, stale, update })
}

#[test]
fn each_protocol_has_the_entry_that_its_programs_look_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(folder.path()).unwrap();
    fs::write(folder.join("data"), "").unwrap();
    for (protocol, name, kind) in [
        (Protocol::ProperLockfile, "data.lock", Kind::Folder),
        (Protocol::ProperLockfileAt, "data", Kind::Folder),
        (Protocol::Lockfile, "data", Kind::File),
        (Protocol::SoftFile, "data", Kind::File),
        (Protocol::Link, "data.lock", Kind::File),
        (Protocol::Mkdir, "data.lock", Kind::Folder),
        (Protocol::Symlink, "data.lock", Kind::Symlink),
        (Protocol::PidFile, "data", Kind::File),
        (Protocol::Dotlock, "data", Kind::File),
    ] {
        let rules = rules(protocol);
        let place = rules.place(&folder.join("data")).unwrap();
        assert_eq!((&*place.folder, &*place.name), (&*folder, OsStr::new(name)), "{protocol:?}");
        assert_eq!(rules.kind, kind, "{protocol:?}");
        let missing = rules.place(&folder.join("missing")).map(|_| ()).map_err(|error| error.kind());
        let is_required = protocol == Protocol::ProperLockfile;
        let expected = if is_required { Err(io::ErrorKind::NotFound) } else { Ok(()) };
        assert_eq!(missing, expected, "{protocol:?}");
        assert!(rules.place(Path::new("/")).is_err(), "{protocol:?}");
    }
}

#[test]
#[cfg(unix)]
fn only_proper_lockfile_follows_symbolic_links() {
    let folder = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(folder.path()).unwrap();
    fs::create_dir(folder.join("inner")).unwrap();
    fs::write(folder.join("inner/data"), "").unwrap();
    std::os::unix::fs::symlink("inner/data", folder.join("link")).unwrap();
    let place = |protocol| rules(protocol).place(&folder.join("link")).unwrap();
    let followed = place(Protocol::ProperLockfile);
    assert_eq!((followed.folder, &*followed.name), (folder.join("inner"), OsStr::new("data.lock")));
    let unfollowed = place(Protocol::Link);
    assert_eq!((unfollowed.folder, &*unfollowed.name), (folder.clone(), OsStr::new("link.lock")));
}

#[test]
fn times_are_those_of_the_protocol_within_its_bounds() {
    let seconds = |number: u32| Some(number * SECOND);
    for (stale, update, expected_stale, expected_update) in [
        (None, None, 10, seconds(5)),
        (seconds(60), None, 60, seconds(30)),
        (seconds(0), None, 2, seconds(1)),
        (seconds(3), seconds(0), 3, seconds(1)),
        (seconds(20), seconds(4), 20, seconds(4)),
        (seconds(20), seconds(15), 20, seconds(10)),
        (seconds(2), seconds(15), 2, seconds(1)),
    ] {
        for protocol in [Protocol::ProperLockfile, Protocol::ProperLockfileAt] {
            let rules = timed(protocol, stale, update);
            assert_eq!(rules.abandoned, Abandoned::Unmodified(expected_stale * SECOND), "{stale:?}");
            assert_eq!(rules.update, expected_update, "{stale:?} {update:?}");
        }
    }
    for (stale, update, abandoned, expected_update) in [
        (None, None, Abandoned::Never, None),
        (seconds(1), None, Abandoned::Unchanged(SECOND), Some(SECOND / 2)),
        (seconds(60), seconds(7), Abandoned::Unchanged(60 * SECOND), seconds(7)),
        (None, seconds(7), Abandoned::Never, seconds(7)),
    ] {
        let rules = timed(Protocol::Lockfile, stale, update);
        assert_eq!((rules.abandoned, rules.update), (abandoned, expected_update), "{stale:?} {update:?}");
    }
    for (protocol, abandoned, update) in [
        (Protocol::SoftFile, Abandoned::Malformed(2 * SECOND), None),
        (Protocol::Link, Abandoned::Never, None),
        (Protocol::Mkdir, Abandoned::Never, Some(SECOND)),
        (Protocol::Symlink, Abandoned::Never, None),
        (Protocol::PidFile, Abandoned::Never, None),
        (Protocol::Dotlock, Abandoned::Process(300 * SECOND), seconds(60)),
    ] {
        let rules = rules(protocol);
        assert_eq!((rules.abandoned, rules.update), (abandoned, update), "{protocol:?}");
    }
}

#[test]
fn each_entry_has_the_content_that_its_programs_read() {
    let record = Record { pid: u32::MAX, host: "vm".to_owned(), start: None };
    for (protocol, content) in [
        (Protocol::ProperLockfile, ""),
        (Protocol::ProperLockfileAt, ""),
        (Protocol::Lockfile, "4294967295\nvm\n"),
        (Protocol::SoftFile, "4294967295\nvm\n"),
        (Protocol::Link, "4294967295\nvm\n"),
        (Protocol::Mkdir, ""),
        (Protocol::Symlink, "locket|4294967295|vm"),
        (Protocol::PidFile, "4294967295\n"),
        // dotlockfile writes behind its buffer if it reads 16 bytes.
        (Protocol::Dotlock, "4294967295\n"),
    ] {
        assert_eq!(rules(protocol).content(&record), content.as_bytes(), "{protocol:?}");
    }
}

#[test]
fn group_and_others_cannot_write_what_a_process_is_judged_by() {
    for (protocol, mode) in [
        (Protocol::Lockfile, 0o666),
        (Protocol::Link, 0o666),
        (Protocol::SoftFile, 0o644),
        (Protocol::PidFile, 0o644),
        (Protocol::Dotlock, 0o644),
    ] {
        assert_eq!(rules(protocol).mode(0o666), mode, "{protocol:?}");
        assert_eq!(rules(protocol).mode(0o600), 0o600, "{protocol:?}");
        assert_eq!(rules(protocol).mode(0o7600), 0o600, "{protocol:?}");
    }
}

#[test]
fn handles_with_other_names_protocols_or_times_have_other_locks() {
    let name = OsStr::new("data.lock");
    let key = rules(Protocol::ProperLockfile).key(name);
    assert_eq!(rules(Protocol::ProperLockfile).key(name), key);
    assert_eq!(rules(Protocol::ProperLockfileAt).key(name), key, "it is the same entry");
    assert_ne!(rules(Protocol::ProperLockfile).key(OsStr::new("data")), key);
    assert_ne!(rules(Protocol::Mkdir).key(name), key);
    assert_ne!(rules(Protocol::Mkdir).key(name), rules(Protocol::Link).key(name));
    assert_ne!(timed(Protocol::ProperLockfile, Some(20 * SECOND), Some(5 * SECOND)).key(name), key);
    assert_ne!(timed(Protocol::ProperLockfile, None, Some(2 * SECOND)).key(name), key);
}

#[test]
fn a_folder_needs_a_guard_if_others_may_have_judged_its_predecessor() {
    let proper = timed(Protocol::ProperLockfile, Some(20 * SECOND), None);
    assert_eq!(proper.guard_time(Some(2 * SECOND)), Some(20 * SECOND));
    assert_eq!(proper.guard_time(None), Some(20 * SECOND));
    assert_eq!(proper.guard_time(Some(SECOND)), None, "it is fresh for everybody");
    assert_eq!(rules(Protocol::Mkdir).guard_time(Some(3600 * SECOND)), None);
    assert_eq!(timed(Protocol::Lockfile, Some(SECOND), None).guard_time(Some(3600 * SECOND)), None);
}
