//! The kind of file system that a file is on.

use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;

#[cfg(any(target_os = "linux", target_os = "android"))]
use linux as system;

/// Time for which an answer about a device is cached: after an unmount its number may mean another file system.
const CACHED: Duration = Duration::from_secs(1);

/// The kinds of file systems that are dealt with in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code, reason = "not used there"))]
pub(crate) enum Kind {
    /// Known to be of this machine: it answers from memory, and every process sees every change at once.
    Local,
    /// Served by a program.
    Fuse,
    /// On an SMB server.
    Smb,
    /// NFS, or unknown.
    Other,
}

thread_local! {
    /// The last device, the time of the answer about it, and that answer.
    static LAST: Cell<Option<(u64, Instant, Kind)>> = const { Cell::new(None) };
}

/// Returns the kind of file system that `file`, on this device, is on.
pub(crate) fn kind_of(file: &File, device: u64) -> Kind {
    let now = Instant::now();
    if let Some((known, answered, kind)) = LAST.get()
        && known == device
        && now.duration_since(answered) < CACHED
    {
        return kind;
    }
    let kind = system::kind_of(file);
    LAST.set(Some((device, now, kind)));
    kind
}

/// Returns true if `file`, on this device, is on a file system that is known to be of this machine.
pub(crate) fn is_local(file: &File, device: u64) -> bool {
    kind_of(file, device) == Kind::Local
}

/// Returns true if processes on all machines are known to see the same files in `folder` at the same time, or if there is
/// no way to the folder: then opening a file in it says why.
pub(crate) fn is_coherent_at(folder: &Path) -> bool {
    match system::is_local_at(folder) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP | Errno::NAMETOOLONG) => true,
        local => local == Ok(true),
    }
}

/// Has the client of a network file system forget which files `folder` does not have. Returns false if that is not needed or
/// does not work.
pub(crate) fn refresh(folder: &Path) -> bool {
    !is_coherent_at(folder) && forget_names(folder)
}

/// Asks the server for the attributes of `folder`. If they have changed, NFS looks names up again. Otherwise it may notice the
/// change only after a minute. Returns false if that does not work.
pub(super) fn forget_names(folder: &Path) -> bool {
    system::forget_names(folder)
}

/// Returns true if the mount table of this process says that `path` is on a file system of this machine. Never blocks,
/// and follows no symbolic links.
pub(crate) fn is_on_local_mount(path: &Path) -> bool {
    system::is_on_local_mount(path)
}

/// Returns true if the file is one of an SMB server.
pub(crate) fn is_smb(file: &File) -> bool {
    system::kind_of(file) == Kind::Smb
}

/// Returns true if the folder is one of an SMB server.
pub(crate) fn is_smb_at(folder: &Path) -> bool {
    system::is_smb_at(folder)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::ffi::OsStr;
    use std::fs::{self, File};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, StatFs, StatxFlags, statx};
    use rustix::io::Errno;

    use super::Kind;

    /// The file systems of this machine: their magic numbers, as statfs(2) has them, and their names in the mount table.
    ///
    /// Not those that ask a server or another program (NFS, SMB, 9p, FUSE), and none that is not known. overlayfs is one
    /// of them: opening a file for reading copies nothing, and the layer in which a lock file is made cannot be on NFS.
    const LOCAL: [(u32, &[&str]); 19] = [
        (0xef53, &["ext2", "ext3", "ext4"]),
        (0x5846_5342, &["xfs"]),
        (0x9123_683e, &["btrfs"]),
        (0xf2f5_2010, &["f2fs"]),
        (0x0102_1994, &["tmpfs", "devtmpfs"]),
        (0x8584_58f6, &["ramfs", "rootfs"]),
        (0x794c_7630, &["overlay"]),
        (0x2fc1_2fc1, &["zfs"]),
        (0xca45_1a4e, &["bcachefs"]),
        (0x4d44, &["vfat", "msdos"]),
        (0x2011_bab0, &["exfat"]),
        (0x7366_746e, &["ntfs3"]),
        (0x9584_58f6, &["hugetlbfs"]),
        (0x7371_7368, &["squashfs"]),
        (0xe0f5_e1e2, &["erofs"]),
        (0x9660, &["iso9660"]),
        (0x1501_3346, &["udf"]),
        (0x3153_464a, &["jfs"]),
        (0x5265_4973, &["reiserfs"]),
    ];

    const FUSE: u32 = 0x6573_5546;

    /// SMB in its three versions, by their magic numbers.
    const SMB: [u32; 3] = [0x517b, 0xff53_4d42, 0xfe53_4d42];

    pub(crate) fn kind_of(file: &File) -> Kind {
        magic(rustix::fs::fstatfs(file)).map_or(Kind::Other, kind_of_magic)
    }

    pub(crate) fn is_local_at(folder: &Path) -> Result<bool, Errno> {
        magic(rustix::fs::statfs(folder)).map(is_local_magic)
    }

    pub(crate) fn is_smb_at(folder: &Path) -> bool {
        magic(rustix::fs::statfs(folder)).is_ok_and(|magic| SMB.contains(&magic))
    }

    pub(crate) fn forget_names(folder: &Path) -> bool {
        statx(CWD, folder, AtFlags::STATX_FORCE_SYNC, StatxFlags::BASIC_STATS).is_ok()
    }

    pub(crate) fn is_on_local_mount(path: &Path) -> bool {
        fs::read("/proc/self/mountinfo").is_ok_and(|table| is_on_local_mount_of(&table, path))
    }

    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the field has 64 bits or 32, with a sign or without"
    )]
    fn magic(answer: Result<StatFs, Errno>) -> Result<u32, Errno> {
        Ok(answer?.f_type as u32)
    }

    fn is_local_magic(magic: u32) -> bool {
        LOCAL.iter().any(|&(known, _)| known == magic)
    }

    fn kind_of_magic(magic: u32) -> Kind {
        match magic {
            FUSE => Kind::Fuse,
            _ if SMB.contains(&magic) => Kind::Smb,
            _ if is_local_magic(magic) => Kind::Local,
            _ => Kind::Other,
        }
    }

    /// Returns the same, by a table like `/proc/self/mountinfo`.
    fn is_on_local_mount_of(table: &[u8], path: &Path) -> bool {
        let mounts = table.split(|&byte| byte == b'\n').filter_map(mount_of_line);
        // Of two at one place the later one hides the earlier.
        let nearest =
            mounts.filter(|(at, _)| path.starts_with(OsStr::from_bytes(at))).max_by_key(|(at, _)| at.len());
        nearest.is_some_and(|(_, name)| {
            LOCAL.iter().any(|(_, names)| names.iter().any(|known| known.as_bytes() == name))
        })
    }

    /// Returns the mount point and the name of the file system in a line of the table.
    fn mount_of_line(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
        let mut words = line.split(|&byte| byte == b' ');
        let at = unescaped(words.nth(4)?);
        words.find(|&word| word == b"-")?;
        Some((at, words.next()?))
    }

    /// Decodes a backslash and three octal digits, which stand for blanks, line ends and backslashes.
    fn unescaped(mut word: &[u8]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(word.len());
        while let Some((&first, rest)) = word.split_first() {
            let code = (first == b'\\').then(|| rest.get(..3)).flatten();
            let code = code.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
            plain.push(code.unwrap_or(first));
            word = if code.is_some() { &rest[3..] } else { rest };
        }
        plain
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const TABLE: &[u8] = br"21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
22 21 0:20 / /home rw - nfs4 server:/home rw
23 22 0:21 / /home/me/local rw shared:2 master:1 - tmpfs none rw
24 21 0:22 / /mnt/with\040blank\134slash rw - fuse.sshfs host: rw
25 21 0:23 / /mnt/twice rw - nfs server:/ rw
26 25 0:24 / /mnt/twice rw - xfs /dev/sdb rw
27 21 0:25 / /mnt/thrice rw - xfs /dev/sdb rw
28 27 0:26 / /mnt/thrice rw - cifs //server/share rw
";

        #[test]
        fn the_longest_mount_point_above_a_path_says_whether_it_is_of_this_machine() {
            for (path, local) in [
                ("/x.lock", true),
                ("/home", false),
                ("/home/me/x.lock", false),
                ("/homely/x.lock", true),
                ("/home/me/local/x.lock", true),
                (r"/mnt/with blank\slash/x.lock", false),
                (r"/mnt/with blank/x.lock", true),
                ("/mnt/twice/x.lock", true),
                ("/mnt/thrice/x.lock", false),
                ("relative", false),
            ] {
                assert_eq!(is_on_local_mount_of(TABLE, Path::new(path)), local, "{path}");
            }
            assert!(!is_on_local_mount_of(b"", Path::new("/x.lock")));
            assert!(!is_on_local_mount_of(b"21 1 8:1 / /\n\n\\", Path::new("/x.lock")));
        }

        #[test]
        fn what_asks_a_server_or_another_program_is_not_of_this_machine_nor_is_what_is_unknown() {
            const NFS: u32 = 0x6969;
            const V9FS: u32 = 0x0102_1997;
            const CEPH: u32 = 0x00c3_6400;
            for magic in [NFS, FUSE, V9FS, CEPH, 0, 1].into_iter().chain(SMB) {
                assert_ne!(kind_of_magic(magic), Kind::Local, "{magic:#x}");
            }
            assert_eq!([FUSE, SMB[1], NFS].map(kind_of_magic), [Kind::Fuse, Kind::Smb, Kind::Other]);
            assert!(is_local_magic(0xef53) && is_local_magic(0x794c_7630));
        }

        #[test]
        fn the_mount_table_and_the_file_system_agree_about_a_file_of_this_machine() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.lock");
            let file = File::create(&path).unwrap();
            let is_local = kind_of(&file) == Kind::Local;
            assert_eq!(is_on_local_mount(&path), is_local);
            assert_eq!(is_local_at(folder.path()).unwrap(), is_local);
            assert_eq!(kind_of(&File::open("/proc/self/status").unwrap()), Kind::Other);
        }
    }
}

/// Asks the kernel, which marks the mounts of this machine.
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
mod system {
    use std::fs::File;
    use std::path::Path;

    use rustix::fs::StatFs;
    use rustix::io::Errno;

    use super::Kind;

    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        clippy::cast_sign_loss,
        reason = "32 bits or 64"
    )]
    fn is_local_mount(mount: &StatFs) -> bool {
        mount.f_flags as u64 & libc::MNT_LOCAL as u64 != 0
    }

    pub(crate) fn kind_of(file: &File) -> Kind {
        let is_local = rustix::fs::fstatfs(file).is_ok_and(|mount| is_local_mount(&mount));
        if is_local { Kind::Local } else { Kind::Other }
    }

    pub(crate) fn is_local_at(folder: &Path) -> Result<bool, Errno> {
        Ok(is_local_mount(&rustix::fs::statfs(folder)?))
    }

    pub(crate) fn forget_names(_: &Path) -> bool {
        false
    }

    pub(crate) fn is_on_local_mount(_: &Path) -> bool {
        false
    }

    pub(crate) fn is_smb_at(_: &Path) -> bool {
        false
    }
}

/// No file system is known to be of this machine.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "freebsd")))]
mod system {
    use std::fs::File;
    use std::path::Path;

    use rustix::io::Errno;

    use super::Kind;

    pub(crate) fn kind_of(_: &File) -> Kind {
        Kind::Other
    }

    pub(crate) fn is_local_at(_: &Path) -> Result<bool, Errno> {
        Ok(false)
    }

    pub(crate) fn forget_names(_: &Path) -> bool {
        false
    }

    pub(crate) fn is_on_local_mount(_: &Path) -> bool {
        false
    }

    pub(crate) fn is_smb_at(_: &Path) -> bool {
        false
    }
}
