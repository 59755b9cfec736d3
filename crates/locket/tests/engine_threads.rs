//! The threads of engines. In a process of its own, since they are counted.
#![cfg(target_os = "linux")]

use std::fs;

use locket::Engine;
use locket::LockMode::Exclusive;

mod support;

use support::{User, until};

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn each_engine_has_threads_of_its_own_which_end_when_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.lock");
    let before = threads();
    let [first, second] = [Engine::new(), Engine::new()].map(|engine| User::new(&engine, &path));
    assert_eq!(threads(), before, "an engine has threads before it needs them");
    first.acquire();
    let of_first = threads();
    assert!(of_first > before);
    // One worker is blocked in the kernel, another one is there for the next job.
    let wait = second.start(Exclusive, |_| {});
    support::until_kernel_has_waiters(&fs::File::open(&path).unwrap(), 1);
    assert!(threads() > of_first);
    second.engine.end(&second.client);
    wait.outcome();
    drop((second, wait));
    until(|| threads() == of_first);

    assert!(first.release());
    drop(first);
    until(|| threads() == before);
}
