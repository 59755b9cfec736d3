//! Decisions that differ by operating system and need nothing of it, so that each can be tested on any of them.

use super::LockMode;

/// A family of operating systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    /// macOS and its kin.
    Apple,
    /// Linux, the BSDs and the rest.
    Unix,
    /// Windows.
    Windows,
}

impl Platform {
    /// The one that this library is built for.
    pub(crate) const THIS: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_vendor = "apple") {
        Self::Apple
    } else {
        Self::Unix
    };

    /// Returns true if a thread may wait in the kernel's queue for a lock in this mode.
    ///
    /// Apple's kernel wakes one waiter for each unlock, and one that shares the lock wakes no other: several processes
    /// that wait for a shared lock get in one at a time, although all could hold it together. Windows' wait cannot be
    /// interrupted.
    pub(crate) const fn blocks_in_kernel(self, mode: LockMode) -> bool {
        match self {
            Self::Unix => true,
            Self::Apple => matches!(mode, LockMode::Exclusive),
            Self::Windows => false,
        }
    }

    /// Returns true if files that are open at the same time on one device never share this number.
    ///
    /// `remote`: the file is on another machine. Some servers answer 0 or all ones to a Windows client, or numbers that
    /// are no numbers of files. Apple's FAT gives every empty file the same number.
    #[cfg_attr(
        not(any(windows, target_vendor = "apple", test)),
        expect(dead_code, reason = "Unix trusts all")
    )]
    pub(crate) const fn trusts_file_number(self, number: u128, remote: bool) -> bool {
        /// Of msdosfs and of exFAT, for files that have no cluster yet.
        const APPLE_EMPTY: u128 = 999_999_999;
        const ALL_ONES: u128 = u64::MAX as u128;
        match self {
            Self::Unix => true,
            Self::Apple => number != APPLE_EMPTY,
            Self::Windows => !remote && number != 0 && number != ALL_ONES && number != u128::MAX,
        }
    }
}

/// Returns the length of a name without the dots and blanks at its end. Windows ignores them in the paths that other programs use,
/// but not in those that may be longer than 260 characters.
#[cfg_attr(not(any(windows, test)), expect(dead_code, reason = "names are names on Unix"))]
pub(crate) fn length_of_name(name: &[u16]) -> usize {
    let is_ignored = |&unit: &u16| unit == u16::from(b'.') || unit == u16::from(b' ');
    name.iter().rposition(|unit| !is_ignored(unit)).map_or(0, |last| last + 1)
}

/// Returns true if Apple's file system of this name keeps extended attributes itself. In others (FAT, NFS) the kernel keeps those of
/// `NAME` in a file `._NAME` beside it, which would be left behind.
#[cfg_attr(not(any(target_vendor = "apple", test)), expect(dead_code, reason = "others fail instead"))]
pub(crate) fn apple_keeps_attributes(file_system: &[u8]) -> bool {
    [&b"apfs"[..], b"hfs"].contains(&file_system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_lock_is_never_waited_for_in_apples_kernel_and_no_lock_in_that_of_windows() {
        let blocks = |platform: Platform| {
            [LockMode::Exclusive, LockMode::Shared].map(|mode| platform.blocks_in_kernel(mode))
        };
        assert_eq!(blocks(Platform::Unix), [true, true]);
        assert_eq!(blocks(Platform::Apple), [true, false]);
        assert_eq!(blocks(Platform::Windows), [false, false]);
    }

    #[test]
    fn no_file_beside_the_entry_is_made_for_its_attributes_on_apple() {
        let keeping = ["apfs", "hfs", "msdos", "exfat", "nfs", "smbfs", "", "apfs2"];
        let keeping = keeping.into_iter().filter(|name| apple_keeps_attributes(name.as_bytes()));
        assert_eq!(keeping.collect::<Vec<_>>(), ["apfs", "hfs"]);
    }

    #[test]
    fn dots_and_blanks_at_its_end_are_no_part_of_a_name_on_windows() {
        for (name, plain) in [("x.lock", "x.lock"), ("x..", "x"), (". x .", ". x"), ("...", ""), ("", "")] {
            let wide: Vec<u16> = name.encode_utf16().collect();
            assert_eq!(length_of_name(&wide), plain.len(), "{name}");
        }
    }

    #[test]
    fn a_number_that_several_files_may_have_does_not_identify_a_file() {
        use Platform::{Apple, Unix, Windows};
        for (system, number, remote, trusted) in [
            (Unix, 7, true, true),
            (Unix, 999_999_999, false, true),
            (Apple, 7, true, true),
            (Apple, 999_999_999, false, false),
            (Windows, 7, false, true),
            (Windows, 999_999_999, false, true),
            (Windows, u128::from(u64::MAX) + 1, false, true),
            (Windows, 7, true, false),
            (Windows, 0, false, false),
            (Windows, u128::from(u64::MAX), false, false),
            (Windows, u128::MAX, false, false),
        ] {
            assert_eq!(system.trusts_file_number(number, remote), trusted, "{system:?} {number} {remote}");
        }
    }
}
