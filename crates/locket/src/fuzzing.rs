//! What is fuzzed: the readers of the system's texts.

use crate::holders::lock_table::{device_of_mount, entries, field_of_descriptor, locks_of_descriptor, waits};

/// Reads any bytes as what Linux writes about locks, descriptors and mounts.
///
/// # Panics
/// If a line is not read as if it stood alone, or a lock belongs to no process.
pub fn read_lock_table(bytes: &[u8]) {
    // As they are read from the system.
    let text = String::from_utf8_lossy(bytes);
    let found: Vec<_> = entries(&text).collect();
    assert!(found.iter().all(|entry| entry.pid > 0));
    assert!(waits(&text).all(|entry| entry.pid > 0));

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
