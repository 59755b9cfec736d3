//! Parses what Linux writes about locks and mounts. A line that makes no sense is skipped.
//!
//! The formats are those of proc_locks(5), proc_pid_fdinfo(5) and proc_pid_mountinfo(5).

use crate::sys::{KernelLock, LockMode};

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
pub(super) mod texts;

/// Major and minor number of a device.
pub(crate) type Device = (u32, u32);

/// A file as the kernel's table names it: the device of its file system, and its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableId {
    /// The device.
    pub device: Device,
    /// The number of the inode.
    pub inode: u64,
}

/// A lock that is held or waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// The process that requested it. If it is held, that process may have ended since, and left the lock to a child. 0: the
    /// table does not tell, since the lock is one that belongs to an open file description.
    pub pid: u32,
    /// The file.
    pub file: TableId,
    /// Which lock of the file.
    pub lock: KernelLock,
    /// The mode.
    pub mode: LockMode,
}

/// Returns the locks that are held in a text like `/proc/locks`.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = Entry> {
    text.lines().filter_map(entry)
}

/// Returns the locks that are waited for in a text like `/proc/locks`.
pub(crate) fn waits(text: &str) -> impl Iterator<Item = Entry> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (_number, arrow) = (words.next()?, words.next()?);
        (arrow == "->").then(|| lock(words))?
    })
}

/// Parses a line like `1: FLOCK  ADVISORY  WRITE 4242 08:01:1234 0 EOF`. A wait has `->` in the second place, the further to
/// the right the more others it waits for.
fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace();
    let _number = words.next()?;
    lock(words)
}

fn lock<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Entry> {
    let (kind, _advisory) = (words.next()?, words.next()?);
    let (lock, has_pid) = match kind {
        "FLOCK" => (KernelLock::Flock, true),
        "POSIX" => (KernelLock::Fcntl, true),
        "OFDLCK" => (KernelLock::Fcntl, false),
        _ => return None,
    };
    let mode = match words.next()? {
        "WRITE" => LockMode::Exclusive,
        "READ" => LockMode::Shared,
        _ => return None,
    };
    let pid = words.next()?;
    let pid = if has_pid { pid.parse().ok().filter(|&pid| pid > 0)? } else { 0 };
    let (device, inode) = words.next()?.rsplit_once(':')?;
    let (major, minor) = device.split_once(':')?;
    let number = |digits| u32::from_str_radix(digits, 16).ok();
    let file = TableId { device: (number(major)?, number(minor)?), inode: inode.parse().ok()? };
    Some(Entry { pid, file, lock, mode })
}

/// Returns the locks that were taken by the descriptor of a text like `/proc/PID/fdinfo/FD`.
pub(crate) fn locks_of_descriptor(text: &str) -> impl Iterator<Item = Entry> {
    text.lines().filter_map(|line| entry(line.strip_prefix("lock:")?))
}

/// Returns the number after `name` in a text like `/proc/PID/fdinfo/FD`.
pub(crate) fn field_of_descriptor(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

/// Returns the device of the mount with this number in a text like `/proc/PID/mountinfo`.
pub(crate) fn device_of_mount(text: &str, mount: u64) -> Option<Device> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        let (major, minor) = words.nth(1)?.split_once(':')?;
        (number == mount).then_some((major.parse().ok()?, minor.parse().ok()?))
    })
}
