//! The readers with generated texts: a table such as the kernel writes is read as it was meant, and everything else is
//! passed over without a panic.

use proptest::prelude::*;

use super::texts::{Line, Mount, bytes, line, mounts, mutated, table, text_of};
use super::*;
use crate::fuzz::check;

/// Returns the text as it is read from the system.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_table_of_the_kernel_is_read_as_it_was_meant() {
    check(table(), |lines| {
        let meant: Vec<_> = lines.iter().filter_map(Line::meaning).collect();
        let text = text_of("", &lines);
        prop_assert_eq!(entries(&text).collect::<Vec<_>>(), meant);
        let meant: Vec<_> = lines.iter().filter_map(Line::meaning_as_wait).collect();
        prop_assert_eq!(waits(&text).collect::<Vec<_>>(), meant);
        Ok(())
    });
}

#[test]
fn the_locks_of_a_descriptor_and_its_numbers_are_read_as_they_were_meant() {
    check((table(), any::<u32>(), any::<u64>()), |(lines, mount, inode)| {
        let head = format!("pos:\t0\nflags:\t02100002\nmnt_id:\t{mount}\nino:\t{inode}\n");
        let text = head + &text_of("lock:\t", &lines);
        let meant: Vec<_> = lines.iter().filter_map(Line::meaning).collect();
        prop_assert_eq!(locks_of_descriptor(&text).collect::<Vec<_>>(), meant);
        prop_assert_eq!(field_of_descriptor(&text, "mnt_id"), Some(mount.into()));
        prop_assert_eq!(field_of_descriptor(&text, "ino"), Some(inode));
        prop_assert_eq!(field_of_descriptor(&text, "eventfd-count"), None);
        Ok(())
    });
}

#[test]
fn the_device_of_each_mount_is_found_and_of_others_there_is_none() {
    check((mounts(), any::<u64>()), |(mounts, other)| {
        let text = text_of("", &mounts);
        for Mount { number, device, .. } in &mounts {
            prop_assert_eq!(device_of_mount(&text, *number), Some(*device));
        }
        if mounts.iter().all(|mount| mount.number != other) {
            prop_assert_eq!(device_of_mount(&text, other), None);
        }
        Ok(())
    });
}

#[test]
fn a_line_of_any_bytes_says_nothing_about_the_lines_around_it() {
    check((table(), bytes(), table()), |(before, noise, after)| {
        let noise = lossy(&noise);
        let text = format!("{}{noise}\n{}", text_of("", &before), text_of("", &after));
        let mut meant: Vec<_> = before.iter().filter_map(Line::meaning).collect();
        meant.extend(entries(&noise));
        meant.extend(after.iter().filter_map(Line::meaning));
        prop_assert_eq!(entries(&text).collect::<Vec<_>>(), meant);
        Ok(())
    });
}

#[test]
fn a_table_with_changed_bytes_names_no_lock_that_is_waited_for_and_none_of_another_kind() {
    check((table(), mutated()), |(lines, change)| {
        let text = lossy(&change.of(text_of("", &lines).into_bytes()));
        let kinds = || text.lines().filter_map(|line| line.split_ascii_whitespace().nth(1));
        let found: Vec<_> = entries(&text).collect();
        let count = |is_wanted: fn(&Entry) -> bool| found.iter().copied().filter(is_wanted).count();
        let of = |wanted| kinds().filter(|&kind| kind == wanted).count();
        prop_assert!(
            count(|lock| lock.lock == KernelLock::Flock && lock.pid > 0) <= of("FLOCK"),
            "{found:?}"
        );
        prop_assert!(
            count(|lock| lock.lock == KernelLock::Fcntl && lock.pid > 0) <= of("POSIX"),
            "{found:?}"
        );
        prop_assert!(
            count(|lock| lock.lock == KernelLock::Fcntl && lock.pid == 0) <= of("OFDLCK"),
            "{found:?}"
        );
        prop_assert_eq!(count(|lock| lock.lock == KernelLock::Flock && lock.pid == 0), 0);
        Ok(())
    });
}

#[test]
fn no_reader_minds_any_bytes() {
    check((bytes(), table(), mounts(), mutated()), |(noise, lines, mounts, change)| {
        let texts = [text_of("lock:\t", &lines), text_of("", &mounts)];
        for bytes in texts.map(|text| change.of(text.into_bytes())).into_iter().chain([noise]) {
            let text = lossy(&bytes);
            entries(&text).for_each(drop);
            waits(&text).for_each(drop);
            locks_of_descriptor(&text).for_each(drop);
            field_of_descriptor(&text, "mnt_id");
            field_of_descriptor(&text, &text);
            device_of_mount(&text, 29);
        }
        Ok(())
    });
}

#[test]
fn a_number_counts_if_it_is_one_that_a_process_can_have_however_long_it_is_written() {
    let digits = "-?0{0,40}[0-9]{1,40}";
    check((line(), digits), |(line, digits)| {
        let written = line.to_string_with_pid(&digits);
        let value = digits.trim_start_matches('0').parse::<i128>().or_else(|_| {
            // Nothing but zeroes, or more than fits: as good as any that no process has.
            Ok::<_, ()>(if digits.bytes().all(|digit| digit == b'0') { 0 } else { i128::MAX })
        });
        let pid = u32::try_from(value.unwrap()).ok().filter(|&pid| pid > 0);
        // A lock of an open file description has no process, whatever is written there.
        let meant = line.with_pid(1).meaning().and_then(|entry| match entry.pid {
            0 => Some((0, entry.file)),
            _ => pid.map(|pid| (pid, entry.file)),
        });
        let found = entries(&written).next().map(|entry| (entry.pid, entry.file));
        prop_assert_eq!(found, meant);
        Ok(())
    });
}

#[test]
fn an_overlong_line_is_a_line_like_any_other() {
    check((line(), 1_usize..200_000, "[ -~]"), |(line, length, filler)| {
        let text = line.to_string();
        let padded = format!("{}{}", text, " ".repeat(length));
        prop_assert_eq!(entries(&padded).next(), line.meaning());
        let longer =
            format!("{} {}\n{text}", text.replacen(' ', &" ".repeat(length), 1), filler.repeat(length));
        let meant: Vec<_> = [line.meaning(), line.meaning()].into_iter().flatten().collect();
        prop_assert_eq!(entries(&longer).collect::<Vec<_>>(), meant);
        Ok(())
    });
}

#[test]
fn lines_that_make_no_sense_are_passed_over() {
    let good = "7: FLOCK  ADVISORY  READ  4242 fe:0a:18446744073709551615 0 EOF";
    let file = TableId { device: (0xfe, 0x0a), inode: u64::MAX };
    let entry = Entry { pid: 4242, mode: LockMode::Shared, file, lock: KernelLock::Flock };
    let mut text = format!("{good}\n");
    for nonsense in [
        "",
        ":",
        "7:",
        "7: FLOCK",
        "7: FLOCK ADVISORY",
        "7: FLOCK ADVISORY WRITE",
        "7: FLOCK ADVISORY WRITE 4242",
        "7: FLOCK ADVISORY NONE 4242 fe:0a:1 0 EOF",
        "7: FLOCK ADVISORY WRITE 0 fe:0a:1 0 EOF",
        "7: FLOCK ADVISORY WRITE -1 fe:0a:1 0 EOF",
        "7: FLOCK ADVISORY WRITE 99999999999 fe:0a:1 0 EOF",
        "7: FLOCK ADVISORY WRITE 4242 <none>:0 0 EOF",
        "7: FLOCK ADVISORY WRITE 4242 fe:0a:18446744073709551616 0 EOF",
        "7: FLOCK ADVISORY WRITE 4242 fe:0a: 0 EOF",
        "7: FLOCK ADVISORY WRITE 4242 fe0a1 0 EOF",
        "7: FLOCK ADVISORY WRITE 4242 100000000:0:1 0 EOF",
        "\u{fffd}\u{fffd} \u{fffd}",
    ] {
        text += nonsense;
        text.push('\n');
    }
    text += good;
    assert_eq!(entries(&text).collect::<Vec<_>>(), [entry, entry]);
    assert_eq!(
        locks_of_descriptor(&format!("lock:\t{good}\nlock\nlock:\n{good}")).collect::<Vec<_>>(),
        [entry]
    );
    assert_eq!(
        field_of_descriptor("mnt_id\nmnt_id:\nmnt_ids:\t1\nmnt_id:\tx\nmnt_id:\t29", "mnt_id"),
        Some(29)
    );
    assert_eq!(device_of_mount("29\n29 1\n29 1 x\n28 1 8:1\n29 1 8:\n29 1 8:2 /", 29), Some((8, 2)));
}
