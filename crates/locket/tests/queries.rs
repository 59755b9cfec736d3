//! Who holds a lock, who waits for it, and whether it is held, as clients ask, on real files.

use std::fs::File;
use std::path::PathBuf;

use fs4::FileExt;
use locket::Engine;

mod support;

use support::User;

/// A folder with a lock file that other code has open.
fn file_of_others() -> (tempfile::TempDir, File) {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(path_in(&folder)).unwrap();
    (folder, file)
}

fn path_in(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("test.lock")
}

#[test]
fn a_lock_is_held_if_this_process_or_other_code_holds_it() {
    let (folder, other) = file_of_others();
    let [user, asking] = [(); 2].map(|()| User::new(&Engine::new(), path_in(&folder)));
    assert!(!asking.is_locked());
    user.acquire();
    assert!(user.is_locked(), "held by the same handle");
    assert!(user.with_another_handle().is_locked(), "held by another handle of the engine");
    assert!(asking.is_locked(), "held by another engine");
    assert!(user.release());
    assert!(!asking.is_locked() && !user.is_locked());
    FileExt::lock_shared(&other).unwrap();
    assert!(asking.is_locked());
}

#[test]
fn a_missing_file_is_not_locked_and_not_created() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!User::new(&Engine::new(), path_in(&folder)).is_locked());
    assert!(!path_in(&folder).exists());
}

#[test]
#[cfg(unix)]
fn a_folder_is_asked_about_as_it_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::new();
    let refused = User::new(&engine, &folder).find_locked();
    assert!(matches!(refused, locket::Outcome::Failed(error) if error.errno == -libc::EISDIR), "{refused:?}");
    let [user, asking] = [(); 2]
        .map(|()| User::with_options(&Engine::new(), &folder, |options| options.allow_directory = true));
    assert!(!asking.is_locked());
    user.acquire();
    assert!(asking.is_locked());
}

#[cfg(target_os = "linux")]
mod holders {
    use std::fs;
    use std::time::{Duration, Instant};

    use locket::LockMode::{Exclusive, Shared};
    use locket::{Holder, LockMode, Outcome, Party, RequestOptions};

    use super::support::PATIENCE;
    use super::*;

    /// Checks that this process alone is named, with its command.
    #[track_caller]
    fn assert_this_process(holders: Option<&[Holder]>, mode: LockMode) {
        let [holder] = holders.expect("known") else { panic!("{holders:?}") };
        assert_eq!((holder.pid, holder.mode), (std::process::id(), mode));
        let program = std::env::args().next().unwrap();
        assert!(holder.command.as_ref().unwrap().starts_with(&program), "{holder:?}");
    }

    /// Returns the holders that a refusal names. They come in time, unless the machine is busy: then another request is
    /// made.
    #[track_caller]
    fn holders_at_refusal(
        user: &User,
        mode: LockMode,
        change: impl Fn(&mut RequestOptions),
    ) -> Option<Box<[Holder]>> {
        /// How long a refusal waits for its holders.
        const GRACE: Duration = Duration::from_millis(100);
        let end = Instant::now() + PATIENCE;
        loop {
            let begin = Instant::now();
            let wait = user.start(mode, |options| {
                options.deadline = Some(begin + Duration::from_millis(5));
                change(options);
            });
            match wait.outcome() {
                Outcome::TimedOut(None) if begin.elapsed() >= GRACE => assert!(Instant::now() < end),
                Outcome::TimedOut(holders) => return holders,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_refused_request_names_the_holders_if_it_asks_for_them() {
        for engine in [Engine::new(), Engine::paced()] {
            let (folder, other) = file_of_others();
            let user = User::new(&engine, path_in(&folder));
            FileExt::lock_shared(&other).unwrap();
            for blocking in [true, false] {
                let holders = |names_holders| {
                    holders_at_refusal(&user, Exclusive, |options| {
                        options.blocking = blocking;
                        options.names_holders = names_holders;
                    })
                };
                assert_this_process(holders(true).as_deref(), Shared);
                assert_eq!(holders(false), None);
            }
        }
    }

    #[test]
    fn requests_behind_a_holder_of_their_own_engine_name_it_too() {
        let (folder, _other) = file_of_others();
        let holding = User::new(&Engine::new(), path_in(&folder));
        holding.acquire();
        let behind = holding.with_another_handle();
        let holders = holders_at_refusal(&behind, Shared, |options| options.names_holders = true);
        assert_this_process(holders.as_deref(), Exclusive);
    }

    #[test]
    fn clients_are_told_who_holds_a_lock_and_who_waits_for_it_in_the_kernel() {
        let (folder, other) = file_of_others();
        let user = User::new(&Engine::new(), path_in(&folder));
        assert_eq!(user.holders(Party::Holders).as_deref(), Some(&[][..]));
        FileExt::lock(&other).unwrap();
        assert_this_process(user.holders(Party::Holders).as_deref(), Exclusive);
        assert_eq!(user.holders(Party::Waiters).as_deref(), Some(&[][..]));
        let _wait = user.start(Shared, |_| {});
        support::until_kernel_has_waiters(&other, 1);
        assert_this_process(user.holders(Party::Waiters).as_deref(), Shared);
        FileExt::unlock(&other).unwrap();
    }

    #[test]
    fn a_file_that_is_missing_has_no_holders_and_a_path_that_leads_nowhere_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new();
        let user = User::new(&engine, path_in(&folder));
        assert_eq!(user.holders(Party::Holders).as_deref(), Some(&[][..]));
        assert!(!path_in(&folder).exists());
        fs::write(path_in(&folder), "").unwrap();
        let beyond = path_in(&folder).join("not a folder");
        let outcome = User::new(&engine, beyond).find_holders(Party::Holders);
        assert!(
            matches!(outcome, Outcome::Failed(error) if (error.errno, error.syscall) == (-libc::ENOTDIR, "open")),
            "{outcome:?}"
        );
    }
}
