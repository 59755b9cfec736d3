//! The verdict on a lock entry that is in the way: held, or abandoned by a process that is gone.

use std::time::Duration;

use super::record::{Fate, Record, parse_pid};
use super::rules::{Abandoned, Rules};
use crate::sys::lock_entry::{Flock, Kind};
use crate::sys::{Process, Protocol};

#[cfg(all(test, not(loom)))]
mod tests;

/// What filelock's strict locks write, whose files stay when the lock is free: nobody may take them over.
const STRICT: &[u8] = b"1\nfilelock-strict-v1\0\n0\n";
/// The first line of records that a newer protocol of filelock writes.
const NEWER: &[u8] = b"filelock/2";

/// How long a waiter relies on being told of changes, where it is told.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often it looks where it is not.
pub(crate) const POLL: Duration = Duration::from_millis(100);

/// What is known of a lock entry.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub kind: Kind,
    /// What is in the file, or the target of the symbolic link. `None`: it cannot be read.
    pub content: Option<&'a [u8]>,
    /// Our mark, and what it says.
    pub mark: Option<&'a [u8]>,
    pub flock: Flock,
    /// How long ago it was modified, by the wall clock. `None`: the time is in the future.
    pub modified: Option<Duration>,
    /// How long ago anything about it was changed, likewise.
    pub changed: Option<Duration>,
    /// For how long this process has seen nothing of it change.
    pub watched: Duration,
    /// How long ago it was noticed that the wall clock had jumped forward.
    pub since_jump: Option<Duration>,
    /// Somebody is taking it over, by the protocol of npm's lockfile.
    pub is_being_taken_over: bool,
    /// It is on a file system of this machine.
    pub is_local: bool,
}

/// The verdict on a lock entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its holder is alive, or may be.
    Held {
        /// The process that holds it, if it can be watched.
        process: Option<u32>,
        /// When it has to be judged again, whatever happens.
        again: Duration,
    },
    /// Its holder is gone.
    Abandoned,
}

impl Verdict {
    /// It is held by a process that nobody can name.
    fn held(facts: &Facts<'_>) -> Self {
        Self::Held { process: None, again: again(facts) }
    }

    fn held_by(pid: u32, facts: &Facts<'_>) -> Self {
        Self::Held { process: Some(pid), again: again(facts) }
    }

    /// It is abandoned if it is older than `limit`.
    fn by_age(age: Option<Duration>, limit: Duration, facts: &Facts<'_>) -> Self {
        match age {
            Some(age) if age > limit => Self::Abandoned,
            Some(age) => Self::Held { process: None, again: again(facts).min(limit.saturating_sub(age)) },
            None => Self::held(facts),
        }
    }
}

/// Returns the time for which a holder can have failed to renew its lock: since a jump of the wall clock that is less than an
/// `age` which that clock tells.
fn unrenewed(age: Option<Duration>, facts: &Facts<'_>) -> Option<Duration> {
    age.map(|age| facts.since_jump.map_or(age, |since| age.min(since)))
}

fn again(facts: &Facts<'_>) -> Duration {
    if facts.is_local { LOOK_AGAIN } else { POLL }
}

/// Returns the verdict on a lock entry. `process` tells what is known of a process of this host.
pub(crate) fn judge(rules: &Rules, facts: &Facts<'_>, process: impl Fn(u32) -> Process) -> Verdict {
    if facts.kind != rules.kind {
        return Verdict::held(facts);
    }
    if let Some(verdict) = facts.mark.and_then(|mark| judge_own(mark, facts)) {
        return verdict;
    }
    if let Some(record) = record_in(rules, facts) {
        return judge_record(&record, facts);
    }
    // A file with anything else in it was never a lock: somebody has given the path of a file with data.
    if facts.content.is_some_and(|content| !may_be_of_a_lock(rules, content)) {
        return Verdict::held(facts);
    }
    match rules.abandoned {
        Abandoned::Never => Verdict::held(facts),
        Abandoned::Unmodified(limit) => Verdict::by_age(unrenewed(facts.modified, facts), limit, facts),
        Abandoned::Unchanged(_) if facts.is_being_taken_over => Verdict::Held { process: None, again: POLL },
        Abandoned::Unchanged(limit) => Verdict::by_age(unrenewed(facts.changed, facts), limit, facts),
        Abandoned::Malformed(limit) => match facts.content {
            None | Some([]) => Verdict::held(facts),
            Some(content) if content == STRICT || content.starts_with(NEWER) => Verdict::held(facts),
            Some(_) => Verdict::by_age(Some(facts.watched), limit, facts),
        },
        Abandoned::Process(limit) => match facts.content.and_then(pid_in) {
            // A pid says nothing on another host, and no host is named.
            Some(pid) if facts.is_local => match process(pid) {
                Process::Dead => Verdict::Abandoned,
                Process::Alive(_) => Verdict::held_by(pid, facts),
            },
            _ => Verdict::by_age(Some(facts.watched), limit, facts),
        },
    }
}

/// Returns true if this content, which is no record, may be what a holder has written, or begun to write.
fn may_be_of_a_lock(rules: &Rules, content: &[u8]) -> bool {
    let first = content.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
    let digits = first.strip_prefix(b"-").unwrap_or(first);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    match (rules.kind, rules.protocol) {
        (Kind::File, Protocol::Lockfile) => content.is_empty(),
        (Kind::File, _) => content.is_empty() || is_number,
        _ => true,
    }
}

/// Returns the pid that is in a file, if there is one.
pub(crate) fn pid_in(content: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(content).ok()?;
    parse_pid(text.lines().next()?.trim())
}

/// Returns the record that is in an entry, if others write them, or only we do.
pub(crate) fn record_in(rules: &Rules, facts: &Facts<'_>) -> Option<Record> {
    match (rules.kind, rules.protocol) {
        (Kind::Symlink, _) => Record::parse_target(facts.content?),
        (Kind::File, Protocol::SoftFile | Protocol::Lockfile | Protocol::Link) => {
            Record::parse(facts.content?)
        }
        _ => None,
    }
}

/// Judges an entry that bears our mark: the process that made it holds the kernel's lock of it for as long as it lives.
/// Returns `None` if it cannot be told whether that process is alive.
fn judge_own(mark: &[u8], facts: &Facts<'_>) -> Option<Verdict> {
    let record = Record::parse(mark);
    match (facts.flock, record) {
        // Between machines it may be that each has kernel locks of its own.
        (Flock::Free, _) if facts.is_local => Some(Verdict::Abandoned),
        (Flock::Taken, Some(record)) if record.is_of_this_host() => Some(Verdict::held_by(record.pid, facts)),
        // Its process is in another pid namespace, where it cannot be watched.
        (Flock::Taken, _) => Some(Verdict::Held { process: None, again: POLL }),
        (_, Some(record)) if record.fate() != Fate::Unknown => Some(judge_record(&record, facts)),
        _ => None,
    }
}

fn judge_record(record: &Record, facts: &Facts<'_>) -> Verdict {
    match record.fate() {
        Fate::Dead => Verdict::Abandoned,
        Fate::Alive => Verdict::held_by(record.pid, facts),
        Fate::Unknown => Verdict::held(facts),
    }
}
