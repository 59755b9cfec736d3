//! Which entries count as held, and which as abandoned: what each protocol says, row by row.

use super::*;
use crate::sys::lock_entry::Kind::{File, Folder, Other, Symlink};
use crate::sys::{Protocol, ProtocolOptions, Start};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// A process that is dead for sure: no system has so many.
const DEAD: u32 = i32::MAX as u32;

/// A file of this machine, without content, which is new, and which nobody has watched yet.
const NEW: Facts<'static> = Facts {
    kind: File,
    content: Some(b""),
    mark: None,
    flock: Flock::Unknown,
    modified: Some(Duration::ZERO),
    changed: Some(Duration::ZERO),
    watched: Duration::ZERO,
    since_jump: None,
    is_being_taken_over: false,
    is_local: true,
};
/// An empty folder, likewise.
const FOLDER: Facts<'static> = Facts { kind: Folder, content: None, ..NEW };
/// An entry that nobody has touched for an hour, all of which this process has watched.
const OLD: Facts<'static> = Facts { modified: Some(HOUR), changed: Some(HOUR), watched: HOUR, ..NEW };
const OLD_FOLDER: Facts<'static> = Facts { kind: Folder, content: None, ..OLD };

/// Held by a process that nobody can name. Waiters are told of changes.
const HELD: Verdict = Verdict::Held { process: None, again: LOOK_AGAIN };
/// The same where nobody tells of changes.
const HELD_AFAR: Verdict = Verdict::Held { process: None, again: POLL };

fn held_by(process: u32) -> Verdict {
    Verdict::Held { process: Some(process), again: LOOK_AGAIN }
}

fn held_for(again: Duration) -> Verdict {
    Verdict::Held { process: None, again }
}

/// Returns the verdict with these times of the protocol, on a host where no process is known to be alive.
fn verdict(protocol: Protocol, stale: Option<Duration>, facts: &Facts<'_>) -> Verdict {
    let rules = Rules::of(&ProtocolOptions { protocol, stale, update: None });
    judge(&rules, facts, |_| Process::Dead)
}

/// Records of processes: this one, and others.
struct Records {
    own: Record,
    dead: Record,
    elsewhere: Record,
}

impl Records {
    fn new() -> Self {
        let own = Record::own();
        let dead = Record { pid: DEAD, start: None, ..own.clone() };
        // Nobody there can be told dead.
        let elsewhere = Record { host: "elsewhere".to_owned(), ..dead.clone() };
        Self { own, dead, elsewhere }
    }
}

#[test]
fn an_entry_of_another_kind_is_held_however_old_it_is_and_whatever_it_says() {
    let dead = Records::new().dead;
    let (bytes, target) = (dead.to_bytes(), dead.to_target());
    for protocol in Protocol::by_existence() {
        let own = Rules::of(&ProtocolOptions { protocol, ..ProtocolOptions::FLOCK }).kind;
        for kind in [File, Folder, Symlink, Other].into_iter().filter(|&kind| kind != own) {
            for content in [&bytes, &target] {
                let facts =
                    Facts { kind, content: Some(content), mark: Some(&bytes), flock: Flock::Free, ..OLD };
                assert_eq!(verdict(protocol, Some(SECOND), &facts), HELD, "{protocol:?} {kind:?}");
            }
        }
    }
}

#[test]
fn what_pythons_lockfile_has_left_behind_is_never_abandoned() {
    for (protocol, kind, content) in [
        (Protocol::Link, File, &b""[..]),
        (Protocol::Mkdir, Folder, b""),
        (Protocol::Symlink, Symlink, b"vm-777e6b80.29252-486333038136"),
        (Protocol::PidFile, File, b"2147483647\n"),
        (Protocol::PidFile, File, b""),
    ] {
        for is_local in [true, false] {
            let facts = Facts { kind, content: Some(content), is_local, ..OLD };
            let held = if is_local { HELD } else { HELD_AFAR };
            assert_eq!(verdict(protocol, None, &facts), held, "{protocol:?} {is_local}");
        }
    }
}

#[test]
fn our_own_record_tells_in_a_file_that_nobody_else_reads_and_in_a_symbolic_link() {
    let Records { own, dead, elsewhere } = Records::new();
    let pid = own.pid;
    for (record, expected) in [
        (&own, held_by(pid)),
        (&Record { start: None, ..own.clone() }, held_by(pid)),
        (&dead, Verdict::Abandoned),
        (&elsewhere, HELD),
    ] {
        for protocol in [Protocol::Link, Protocol::Lockfile, Protocol::SoftFile] {
            let facts = Facts { content: Some(&record.to_bytes()), ..NEW };
            assert_eq!(verdict(protocol, None, &facts), expected, "{protocol:?} {record:?}");
        }
        let facts = Facts { kind: Symlink, content: Some(&record.to_target()), ..NEW };
        assert_eq!(verdict(Protocol::Symlink, None, &facts), expected, "{record:?}");
    }
    // A file that holds a pid alone for others is not taken for a record of ours.
    let facts = Facts { content: Some(&dead.to_bytes()), ..NEW };
    assert_eq!(verdict(Protocol::PidFile, None, &facts), HELD);
}

#[test]
fn a_folder_of_proper_lockfile_is_abandoned_when_it_is_older_than_the_limit() {
    let ten = 10 * SECOND;
    for (stale, modified, expected) in [
        (None, Some(Duration::ZERO), HELD),
        (None, Some(39 * SECOND / 4), held_for(SECOND / 4)),
        (None, Some(ten), held_for(Duration::ZERO)),
        (None, Some(ten + Duration::from_millis(1)), Verdict::Abandoned),
        // The clock of the one who set the time is ahead, or has been.
        (None, None, HELD),
        (Some(60 * SECOND), Some(59 * SECOND), HELD),
        (Some(60 * SECOND), Some(61 * SECOND), Verdict::Abandoned),
        // The shortest limit of that program.
        (Some(Duration::ZERO), Some(2 * SECOND), held_for(Duration::ZERO)),
        (Some(Duration::ZERO), Some(2 * SECOND + Duration::from_millis(1)), Verdict::Abandoned),
    ] {
        for protocol in [Protocol::ProperLockfile, Protocol::ProperLockfileAt] {
            // Other times are none of its rule: putting something into the folder changes it.
            let facts = Facts { modified, changed: None, ..FOLDER };
            assert_eq!(verdict(protocol, stale, &facts), expected, "{stale:?} {modified:?}");
            let facts = Facts { modified, changed: Some(HOUR), watched: HOUR, ..FOLDER };
            assert_eq!(verdict(protocol, stale, &facts), expected, "{stale:?} {modified:?}");
        }
    }
    let facts = Facts { is_local: false, ..FOLDER };
    assert_eq!(verdict(Protocol::ProperLockfile, None, &facts), HELD_AFAR);
    let facts = Facts { modified: Some(11 * SECOND), ..facts };
    assert_eq!(verdict(Protocol::ProperLockfile, None, &facts), Verdict::Abandoned);
}

#[test]
fn after_a_jump_of_the_clock_holders_have_the_whole_time_to_renew_their_locks() {
    for (since_jump, expected) in
        [(SECOND, HELD), (10 * SECOND, held_for(Duration::ZERO)), (11 * SECOND, Verdict::Abandoned)]
    {
        let facts = Facts { since_jump: Some(since_jump), ..OLD_FOLDER };
        assert_eq!(verdict(Protocol::ProperLockfile, None, &facts), expected, "{since_jump:?}");
        let facts = Facts { since_jump: Some(since_jump), ..OLD };
        assert_eq!(verdict(Protocol::Lockfile, Some(10 * SECOND), &facts), expected, "{since_jump:?}");
    }
    // A jump makes nothing look older.
    let facts = Facts { since_jump: Some(HOUR), ..FOLDER };
    assert_eq!(verdict(Protocol::ProperLockfile, None, &facts), HELD);
    let facts = Facts { since_jump: Some(HOUR), modified: None, ..FOLDER };
    assert_eq!(verdict(Protocol::ProperLockfile, None, &facts), HELD);
}

#[test]
fn our_mark_tells_at_once_whether_the_holder_is_alive_whatever_the_time_says() {
    let Records { own, dead, elsewhere } = Records::new();
    let (pid, garbage) = (own.pid, b"garbage".to_vec());
    let [own, dead, elsewhere] = [own, dead, elsewhere].map(|record| record.to_bytes());
    let by_age = |facts: &Facts<'_>| if facts.modified == OLD.modified { Verdict::Abandoned } else { HELD };
    for old in [false, true] {
        let entry = if old { OLD_FOLDER } else { FOLDER };
        for (mark, flock, expected) in [
            // Its process has it locked for as long as it lives.
            (&own, Flock::Free, Verdict::Abandoned),
            (&dead, Flock::Free, Verdict::Abandoned),
            (&elsewhere, Flock::Free, Verdict::Abandoned),
            (&garbage, Flock::Free, Verdict::Abandoned),
            (&own, Flock::Taken, held_by(pid)),
            // It has another pid there.
            (&elsewhere, Flock::Taken, HELD_AFAR),
            (&garbage, Flock::Taken, HELD_AFAR),
            // Without a lock of the kernel: by the record, and by the rule of the protocol if that says nothing.
            (&own, Flock::Unknown, held_by(pid)),
            (&dead, Flock::Unknown, Verdict::Abandoned),
            (&elsewhere, Flock::Unknown, by_age(&entry)),
            (&garbage, Flock::Unknown, by_age(&entry)),
        ] {
            let facts = Facts { mark: Some(mark), flock, ..entry };
            let text = String::from_utf8_lossy(mark);
            assert_eq!(verdict(Protocol::ProperLockfile, None, &facts), expected, "{old} {text} {flock:?}");
        }
        // Each machine may have locks of its own there: that it is free says nothing.
        for (mark, expected) in [
            (&own, Verdict::Held { process: Some(pid), again: POLL }),
            (&dead, Verdict::Abandoned),
            (&elsewhere, if old { Verdict::Abandoned } else { HELD_AFAR }),
            (&garbage, if old { Verdict::Abandoned } else { HELD_AFAR }),
        ] {
            let facts = Facts { mark: Some(mark), flock: Flock::Free, is_local: false, ..entry };
            let text = String::from_utf8_lossy(mark);
            assert_eq!(verdict(Protocol::ProperLockfile, None, &facts), expected, "{old} {text} afar");
        }
    }
}

#[test]
fn our_mark_tells_in_every_protocol() {
    let own = Record::own();
    let mark = own.to_bytes();
    for protocol in Protocol::by_existence().filter(|protocol| *protocol != Protocol::Symlink) {
        let kind = Rules::of(&ProtocolOptions { protocol, ..ProtocolOptions::FLOCK }).kind;
        let content = format!("{}\n", own.pid);
        let entry = Facts { kind, content: Some(content.as_bytes()), mark: Some(&mark), ..NEW };
        let free = Facts { flock: Flock::Free, ..entry };
        assert_eq!(verdict(protocol, None, &free), Verdict::Abandoned, "{protocol:?}");
        let taken = Facts { flock: Flock::Taken, watched: HOUR, modified: Some(HOUR), ..entry };
        assert_eq!(verdict(protocol, Some(SECOND), &taken), held_by(own.pid), "{protocol:?}");
    }
}

#[test]
fn a_file_of_npms_lockfile_is_abandoned_when_nothing_about_it_has_changed_for_longer_than_the_limit() {
    let limit = 60 * SECOND;
    for (stale, changed, is_being_taken_over, expected) in [
        // Without a limit it never is.
        (None, Some(HOUR), false, HELD),
        (Some(limit), Some(Duration::ZERO), false, HELD),
        (Some(limit), Some(239 * SECOND / 4), false, held_for(SECOND / 4)),
        (Some(limit), Some(limit), false, held_for(Duration::ZERO)),
        (Some(limit), Some(limit + Duration::from_millis(1)), false, Verdict::Abandoned),
        (Some(limit), None, false, HELD),
        // Somebody else has `PATH.STALE`.
        (Some(limit), Some(HOUR), true, HELD_AFAR),
    ] {
        // Whoever writes to the file does not make it look older.
        for modified in [None, Some(Duration::ZERO), Some(HOUR)] {
            let facts = Facts { modified, changed, is_being_taken_over, ..NEW };
            assert_eq!(verdict(Protocol::Lockfile, stale, &facts), expected, "{stale:?} {changed:?}");
        }
    }
    let facts = Facts { is_local: false, changed: Some(SECOND), ..NEW };
    assert_eq!(verdict(Protocol::Lockfile, Some(limit), &facts), HELD_AFAR);
    // Those that lock so leave the file empty: one with anything in it is data.
    let facts = Facts { content: Some(b"1\n"), changed: Some(HOUR), ..NEW };
    assert_eq!(verdict(Protocol::Lockfile, Some(limit), &facts), HELD);
}

#[test]
fn a_file_of_filelock_is_judged_by_its_record_and_without_one_by_how_long_it_was_watched() {
    let Records { own, dead, elsewhere } = Records::new();
    let other_start = own
        .start
        .map(|start| Record { start: Some(Start { started: start.started + 1, ..start }), ..own.clone() });
    let text = |record: &Record| record.to_bytes();
    let long = [b'1'; 1025].to_vec();
    for (content, watched, expected) in [
        (Some(Vec::new()), HOUR, HELD),
        (Some(STRICT.to_vec()), HOUR, HELD),
        (Some(b"filelock/2\nwhatever\n".to_vec()), HOUR, HELD),
        // It cannot be read.
        (None, HOUR, HELD),
        (Some(text(&elsewhere)), HOUR, HELD),
        (Some(text(&dead)), Duration::ZERO, Verdict::Abandoned),
        (Some(text(&own)), HOUR, held_by(own.pid)),
        (Some(text(&Record { start: None, ..own.clone() })), HOUR, held_by(own.pid)),
        // Half a record, or none.
        (Some(b"4711".to_vec()), SECOND, HELD),
        (Some(b"4711".to_vec()), 2 * SECOND, held_for(Duration::ZERO)),
        (Some(b"4711".to_vec()), 2 * SECOND + Duration::from_millis(1), Verdict::Abandoned),
        (Some(b"4711\nvm".to_vec()), 3 * SECOND, Verdict::Abandoned),
        (Some(b"-1\nvm\n".to_vec()), 3 * SECOND, Verdict::Abandoned),
        (Some(b"1\nvm\n2\n3\n".to_vec()), 3 * SECOND, Verdict::Abandoned),
        (Some(long), 3 * SECOND, Verdict::Abandoned),
        // What no holder writes is data.
        (Some(b"{}".to_vec()), HOUR, HELD),
        (Some(b"x\nvm\n".to_vec()), HOUR, HELD),
        (Some(b"1,2\n".to_vec()), HOUR, HELD),
    ] {
        // Its times are those of others.
        for (modified, changed) in [(Some(HOUR), Some(HOUR)), (Some(Duration::ZERO), None)] {
            let facts = Facts { content: content.as_deref(), watched, modified, changed, ..NEW };
            let text = content.as_deref().map(String::from_utf8_lossy);
            assert_eq!(verdict(Protocol::SoftFile, None, &facts), expected, "{text:?} {watched:?}");
        }
    }
    // Another process has the pid by now.
    if let Some(record) = other_start {
        let facts = Facts { content: Some(&record.to_bytes()), ..NEW };
        assert_eq!(verdict(Protocol::SoftFile, None, &facts), Verdict::Abandoned);
    }
}

#[test]
fn a_file_of_dotlockfile_is_judged_by_its_pid_and_without_one_by_how_long_it_was_watched() {
    let rules = Rules::of(&ProtocolOptions { protocol: Protocol::Dotlock, ..ProtocolOptions::FLOCK });
    let five_minutes = 300 * SECOND;
    for (content, watched, is_local, is_alive, expected) in [
        ("4711\n", Duration::ZERO, true, false, Verdict::Abandoned),
        ("4711\n", HOUR, true, true, held_by(4711)),
        // A pid of another machine says nothing about a process of this one.
        ("4711\n", five_minutes, false, false, held_for(Duration::ZERO)),
        ("4711\n", HOUR, false, true, Verdict::Abandoned),
        ("0\n", Duration::ZERO, true, false, HELD),
        ("0\n", Duration::ZERO, false, false, HELD_AFAR),
        ("0\n", 1199 * SECOND / 4, true, false, held_for(SECOND / 4)),
        ("0\n", five_minutes, true, false, held_for(Duration::ZERO)),
        ("0\n", five_minutes + Duration::from_millis(1), true, false, Verdict::Abandoned),
        ("", five_minutes, true, false, held_for(Duration::ZERO)),
        ("", HOUR, true, false, Verdict::Abandoned),
        // What no holder writes is data.
        ("garbage", HOUR, true, false, HELD),
    ] {
        // The times are by the clock of another machine, perhaps.
        for age in [None, Some(HOUR)] {
            let content = Some(content.as_bytes());
            let facts = Facts { content, watched, is_local, modified: age, changed: age, ..NEW };
            let process = |pid| {
                assert_eq!(pid, 4711);
                if is_alive { Process::Alive(None) } else { Process::Dead }
            };
            assert_eq!(judge(&rules, &facts, process), expected, "{content:?} {watched:?} {is_local}");
        }
    }
    let facts = Facts { content: None, ..OLD };
    assert_eq!(verdict(Protocol::Dotlock, None, &facts), Verdict::Abandoned);
}

#[test]
fn a_pid_is_the_first_line_and_nothing_else_is_one() {
    for (content, pid) in [
        (&b"4711\n"[..], Some(4711)),
        (b" 4711 \nmore\n", Some(4711)),
        (b"4711", Some(4711)),
        (b"0\n", None),
        (b"-1\n", None),
        (b"", None),
        (b"\n4711\n", None),
        (b"4711 4712\n", None),
        (b"\xff\n", None),
    ] {
        assert_eq!(pid_in(content), pid, "{content:?}");
    }
}
