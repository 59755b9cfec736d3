//! Generated texts such as `/proc` has. What each line means is known before it is written. The formats are those of
//! `lock_get_status` in the kernel's `fs/locks.c`, and of proc_pid_mountinfo(5).

use std::fmt::{self, Write as _};

use proptest::prelude::*;
use proptest::{collection, option, sample};

use super::{Entry, TableId};
use crate::sys::{KernelLock, LockMode};

/// The kinds of locks that the kernel writes, as it fills them up with spaces.
const KINDS: &[&str] = &[
    "FLOCK  ADVISORY ",
    "POSIX  ADVISORY ",
    "OFDLCK ADVISORY ",
    "FLOCK  MSNFS    ",
    "POSIX  MANDATORY",
    "POSIX  *NOINODE*",
    "ACCESS ADVISORY ",
    "LEASE  ACTIVE   ",
    "LEASE  BREAKING ",
    "LEASE  BREAKER  ",
    "DELEG  ACTIVE   ",
    "UNKNOWN UNKNOWN ",
];

/// One line of `/proc/locks`.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    number: u64,
    /// How deep in a tree of waiters: `->` stands before those who wait.
    depth: usize,
    kind: &'static str,
    mode: &'static str,
    /// -1 for a lock that belongs to no process, 0 for a process that is not of this pid namespace.
    pid: i32,
    file: Option<TableId>,
    range: Option<(u64, u64)>,
}

impl Line {
    /// Returns what has to be read from it: a lock of flock(2) or fcntl(2) that is held on a file, or nothing.
    pub(crate) fn meaning(&self) -> Option<Entry> {
        self.lock().filter(|_| self.depth == 0)
    }

    /// Returns what has to be read from it as a wait: such a lock that is waited for, or nothing.
    pub(crate) fn meaning_as_wait(&self) -> Option<Entry> {
        self.lock().filter(|_| self.depth > 0)
    }

    fn lock(&self) -> Option<Entry> {
        let mode = match self.mode {
            "WRITE" => LockMode::Exclusive,
            "READ " => LockMode::Shared,
            _ => return None,
        };
        let pid = u32::try_from(self.pid).ok().filter(|&pid| pid > 0);
        let (lock, pid) = match self.kind.split(' ').next() {
            Some("FLOCK") => (KernelLock::Flock, pid?),
            Some("POSIX") => (KernelLock::Fcntl, pid?),
            // Whose it is, is told by the descriptors alone.
            Some("OFDLCK") => (KernelLock::Fcntl, 0),
            _ => return None,
        };
        Some(Entry { pid, mode, file: self.file?, lock })
    }

    /// Returns the same lock of another process.
    pub(crate) fn with_pid(&self, pid: i32) -> Self {
        Self { pid, ..self.clone() }
    }

    /// Returns the line with this text in place of the pid.
    pub(crate) fn to_string_with_pid(&self, pid: &str) -> String {
        let Self { number, depth, kind, mode, file, range, .. } = self;
        let arrow = if *depth > 0 { format!("{:>1$} ", "->", depth + 1) } else { String::new() };
        let file = match file {
            Some(TableId { device: (major, minor), inode }) => format!("{major:02x}:{minor:02x}:{inode}"),
            None => "<none>:0".into(),
        };
        let range = match range {
            Some((start, end)) => format!("{start} {end}"),
            None => "0 EOF".into(),
        };
        format!("{number}: {arrow}{kind} {mode} {pid} {file} {range}")
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_with_pid(&self.pid.to_string()))
    }
}

/// Small numbers, the greatest ones, and others: numbers that are chosen uniformly are nearly all huge.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, Just(u64::MAX), Just(u32::MAX.into()), any::<u64>()]
}

fn device() -> impl Strategy<Value = (u32, u32)> {
    // 12 and 20 bits, or what a network protocol makes of them.
    prop_oneof![(0..0x1000_u32, 0..0x10_0000_u32), (any::<u32>(), any::<u32>())]
}

fn file() -> impl Strategy<Value = TableId> {
    (device(), number()).prop_map(|(device, inode)| TableId { device, inode })
}

/// One line. More than half of them are of a kind that counts.
pub(crate) fn line() -> impl Strategy<Value = Line> {
    let kind = prop_oneof![sample::select(&KINDS[..3]), sample::select(KINDS)];
    let mode = prop_oneof![Just("WRITE"), Just("READ "), Just("UNLCK"), Just("NONE "), Just("RW   ")];
    let pid = prop_oneof![4 => 1..=4_194_304_i32, 1 => Just(-1), 1 => Just(0), 1 => any::<i32>()];
    let depth = prop_oneof![3 => Just(0_usize), 1 => 1..4_usize];
    let range = option::of((number(), number()));
    (number(), depth, kind, mode, pid, option::weighted(0.95, file()), range).prop_map(
        |(number, depth, kind, mode, pid, file, range)| Line { number, depth, kind, mode, pid, file, range },
    )
}

/// Returns the text of these lines, each after `prefix`.
pub(crate) fn text_of(prefix: &str, lines: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let mut text = String::new();
    for line in lines {
        writeln!(text, "{prefix}{line}").expect("a string takes all");
    }
    text
}

/// A whole table.
pub(crate) fn table() -> impl Strategy<Value = Vec<Line>> {
    collection::vec(line(), 0..12)
}

/// One line of `/proc/PID/mountinfo`.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    /// Its number.
    pub(crate) number: u64,
    parent: u64,
    /// The device of its file system.
    pub(crate) device: (u32, u32),
    folder: String,
    optional: Vec<&'static str>,
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, parent, device: (major, minor), folder, optional } = self;
        let optional: String = optional.iter().flat_map(|field| [" ", field]).collect();
        write!(f, "{number} {parent} {major}:{minor} / {folder} rw,relatime{optional} - ext4 /dev/x rw")
    }
}

/// The mounts of a process. Each has a number of its own.
pub(crate) fn mounts() -> impl Strategy<Value = Vec<Mount>> {
    // Spaces, tabs, line ends and backslashes are written as octal numbers.
    let folder = r"(/([!-\[\]-~ä]|\\040|\\011|\\012|\\134){0,20}){1,4}";
    let optional =
        collection::vec(sample::select(&["shared:7", "master:1", "unbindable", "29", "8:1"][..]), 0..3);
    let mount = (number(), number(), device(), folder, optional).prop_map(
        |(number, parent, device, folder, optional)| Mount { number, parent, device, folder, optional },
    );
    collection::vec(mount, 0..8).prop_map(|mut mounts| {
        mounts.sort_by_key(|mount| mount.number);
        mounts.dedup_by_key(|mount| mount.number);
        mounts
    })
}

/// Any bytes, or words of the formats in any order, which get further into the readers.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: &[&str] = &[
        " ",
        "\t",
        "\n",
        "\r\n",
        "\0",
        ":",
        "->",
        "1:",
        "FLOCK",
        "POSIX",
        "OFDLCK",
        "ADVISORY",
        "WRITE",
        "READ",
        "4242",
        "-1",
        "0",
        "fe:00:1",
        "<none>:0",
        "EOF",
        "lock:",
        "mnt_id:",
        "ino:",
        "29",
        "8:1",
        "+1",
        "١",
        "\u{85}",
        "\u{2028}",
        "18446744073709551616",
        "ffffffffffffffff:0:1",
    ];
    let words = collection::vec(sample::select(WORDS), 0..60);
    prop_oneof![collection::vec(any::<u8>(), 0..400), words.prop_map(|words| words.concat().into_bytes())]
}

/// Changes of the bytes of a text, each with its place.
#[derive(Clone, Debug)]
pub(crate) struct Changes(Vec<(sample::Index, Change)>);

#[derive(Clone, Debug)]
enum Change {
    Set(u8),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize),
    End,
}

impl Changes {
    /// Returns the changed bytes.
    pub(crate) fn of(&self, mut text: Vec<u8>) -> Vec<u8> {
        for (place, change) in &self.0 {
            if text.is_empty() {
                break;
            }
            let place = place.index(text.len());
            let upto = |length: usize| text.len().min(place + length);
            match change {
                Change::Set(byte) => text[place] = *byte,
                Change::Insert(bytes) => drop(text.splice(place..place, bytes.iter().copied())),
                Change::Remove(length) => drop(text.drain(place..upto(*length))),
                Change::Repeat(length) => text.extend_from_within(place..upto(*length)),
                Change::End => text.truncate(place),
            }
        }
        text
    }
}

/// A few changes.
pub(crate) fn mutated() -> impl Strategy<Value = Changes> {
    let change = prop_oneof![
        any::<u8>().prop_map(Change::Set),
        bytes().prop_map(Change::Insert),
        (1..40_usize).prop_map(Change::Remove),
        (1..200_usize).prop_map(Change::Repeat),
        Just(Change::End),
    ];
    collection::vec((any::<sample::Index>(), change), 1..6).prop_map(Changes)
}
