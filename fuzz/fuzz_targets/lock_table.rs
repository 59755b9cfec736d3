//! The readers of /proc, with whatever libFuzzer comes upon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use locket::core::sys::lock_table::{
    device_of_mount, entries, field_of_descriptor, locks_of_descriptor, waits,
};

fuzz_target!(|data: &[u8]| {
    // As they are read from the system.
    let text = String::from_utf8_lossy(data);
    let found: Vec<_> = entries(&text).collect();
    assert!(found.iter().all(|entry| entry.pid > 0));
    assert!(waits(&text).all(|entry| entry.pid > 0));

    // Each line is judged alone.
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
});
