//! What Linux writes about locks and mounts, read without trusting it: a line that makes no sense is passed over.
//!
//! The formats are those of proc_locks(5), proc_pid_fdinfo(5) and proc_pid_mountinfo(5).

use crate::core::kernel::LockMode;

/// A file as the kernel's table names it: the device of its file system, and its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableId {
    /// Major and minor number of the device.
    pub device: (u32, u32),
    /// The number of the inode.
    pub inode: u64,
}

/// A lock of the kind that this package takes, and that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who has locked the file. It may have ended since, and left the lock to a child.
    pub pid: u32,
    /// How it is locked.
    pub mode: LockMode,
    /// Which file.
    pub file: TableId,
}

/// The locks in a text like `/proc/locks`.
pub fn entries(text: &str) -> impl Iterator<Item = Entry> {
    text.lines().filter_map(entry)
}

/// `1: FLOCK  ADVISORY  WRITE 4242 08:01:1234 0 EOF`. Who waits has `->` in the second place.
fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace();
    let (_number, kind, _advisory) = (words.next()?, words.next()?, words.next()?);
    if kind != "FLOCK" {
        return None;
    }
    let mode = match words.next()? {
        "WRITE" => LockMode::Exclusive,
        "READ" => LockMode::Shared,
        _ => return None,
    };
    let pid = words.next()?.parse().ok().filter(|&pid| pid > 0)?;
    let (device, inode) = words.next()?.rsplit_once(':')?;
    let (major, minor) = device.split_once(':')?;
    let number = |digits| u32::from_str_radix(digits, 16).ok();
    let file = TableId { device: (number(major)?, number(minor)?), inode: inode.parse().ok()? };
    Some(Entry { pid, mode, file })
}

/// The locks in a text like `/proc/PID/fdinfo/FD`: those that were taken by this descriptor.
pub fn locks_of_descriptor(text: &str) -> impl Iterator<Item = Entry> {
    text.lines().filter_map(|line| entry(line.strip_prefix("lock:")?))
}

/// The number after `name` in a text like `/proc/PID/fdinfo/FD`.
pub fn field_of_descriptor(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

/// The device of the mount with number `mount` in a text like `/proc/PID/mountinfo`.
pub fn device_of_mount(text: &str, mount: u64) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        let (major, minor) = words.nth(1)?.split_once(':')?;
        (number == mount).then_some((major.parse().ok()?, minor.parse().ok()?))
    })
}
