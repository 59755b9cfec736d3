//! Who holds a lock, as a `/proc` with any content at all tells it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use proptest::collection;
use proptest::prelude::*;

use super::super::lock_table::texts::{bytes, text_of};
use super::{COMMAND_LIMIT, Holder, Proc};
use crate::fuzz::check;

/// Above the highest number that a process can have (PID_MAX_LIMIT of 64-bit Linux is 2^22).
const SOMEBODY: u32 = 5_000_001;

/// A line of the table: of the file or of any, by `SOMEBODY` or by anyone, or noise.
fn lock_line() -> impl Strategy<Value = String> {
    let file = prop_oneof![3 => Just("FILE"), 1 => Just("fe:00:1")];
    let pid = prop_oneof![3 => Just(SOMEBODY), 1 => 1..5_u32, 1 => any::<u32>()];
    let line = (file, pid, prop::bool::ANY).prop_map(|(file, pid, shared)| {
        format!("1: FLOCK  ADVISORY  {} {pid} {file} 0 EOF", if shared { "READ " } else { "WRITE" })
    });
    prop_oneof![3 => line, 1 => bytes().prop_map(|noise| String::from_utf8_lossy(&noise).into_owned())]
}

fn lines(prefix: &'static str) -> impl Strategy<Value = String> {
    collection::vec(lock_line(), 0..5).prop_map(move |lines| text_of(prefix, lines))
}

fn some<S: Strategy>(content: S) -> impl Strategy<Value = Option<S::Value>> {
    prop::option::weighted(0.9, content)
}

/// The file under a name in the made-up `/proc`: it may be missing, or a folder.
fn put(proc: &Path, name: &str, content: Option<impl AsRef<[u8]>>) {
    let path = proc.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match content {
        Some(content) => fs::write(path, content).unwrap(),
        None => fs::create_dir_all(path).unwrap(),
    }
}

#[test]
fn holders_are_well_formed_whatever_the_system_says() {
    let words = || prop_oneof![bytes(), collection::vec(any::<u8>(), 0..9000)];
    let cases = (
        some(lines("")),
        some(lines("lock:\t")),
        some(words()),
        some(words()),
        some(bytes()),
        prop::bool::ANY,
    );
    check(cases, |(locks, info, command, name, mounts, is_process)| {
        let folder = tempfile::tempdir().unwrap();
        let (file, proc) = (folder.path().join("test.lock"), folder.path().join("proc"));
        File::create(&file).unwrap();
        let stat = fs::metadata(&file).unwrap();
        let (major, minor) = (rustix::fs::major(stat.dev()), rustix::fs::minor(stat.dev()));
        let named = |text: String| text.replace("FILE", &format!("{major:02x}:{minor:02x}:{}", stat.ino()));
        put(&proc, "locks", locks.map(named));
        put(&proc, "self/mountinfo", mounts);
        if is_process {
            put(&proc, &format!("{SOMEBODY}/fdinfo/3"), info.map(named));
            put(&proc, &format!("{SOMEBODY}/cmdline"), command);
            put(&proc, &format!("{SOMEBODY}/comm"), name);
        }

        let system = Proc::at(&proc);
        let locked = system.file_at(&file).unwrap().unwrap();
        let Some(mut answers) = system.holders(&[locked]) else {
            prop_assert!(!proc.join("locks").is_file());
            return Ok(());
        };
        system.add_commands(&mut answers);
        prop_assert_eq!(answers.len(), 1);
        for (index, holder) in answers[0].iter().enumerate() {
            prop_assert!(holder.pid > 0);
            let same = |other: &&Holder| (holder.pid, holder.mode) == (other.pid, other.mode);
            prop_assert!(!answers[0][..index].iter().any(|other| same(&other)), "{holder:?} twice");
            if let Some(command) = &holder.command {
                // A byte that is no UTF-8 becomes a character of three; a name stands in brackets.
                prop_assert!(!command.is_empty() && command.len() as u64 <= 3 * COMMAND_LIMIT + 2);
                prop_assert!(!command.contains(char::is_control), "{command:?}");
            }
        }
        Ok(())
    });
}
