//! What is fuzzed: the readers of the system's texts.

use crate::holders::lock_table::{
    Entry, device_of_mount, entries, field_of_descriptor, locks_of_descriptor, waits,
};
use crate::sys::KernelLock;

/// Reads any bytes as what Linux writes about locks, descriptors and mounts.
///
/// # Panics
/// If a line is not read as if it stood alone, or a lock of flock(2) belongs to no process.
pub fn read_lock_table(bytes: &[u8]) {
    // As they are read from the system.
    let text = String::from_utf8_lossy(bytes);
    let found: Vec<_> = entries(&text).collect();
    let may_be = |entry: Entry| entry.pid > 0 || entry.lock == KernelLock::Fcntl;
    assert!(found.iter().copied().all(may_be) && waits(&text).all(may_be));

    let (before, after) = text.split_once('\n').unwrap_or((&text, ""));
    assert!(entries(before).chain(entries(after)).eq(found.iter().copied()));

    // A descriptor's locks are lines of the table.
    let listed: String = text.lines().map(|line| format!("lock:\t{line}\n")).collect();
    assert!(locks_of_descriptor(&listed).eq(found));
    locks_of_descriptor(&text).for_each(drop);

    for name in ["mnt_id", "ino", ""] {
        field_of_descriptor(&text, name);
    }
    for mount in [0, 29, u64::MAX] {
        device_of_mount(&text, mount);
    }
}
