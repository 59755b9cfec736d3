//! Threads of our own: small, named, deaf to the host's signals, and not brought down by a panic. Also which thread it is,
//! and whether it sleeps.

use std::num::NonZeroI32;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Enough for a path that is PATH_MAX long, for the standard library and for a panic's message, in bytes.
#[cfg(not(loom))]
const STACK: usize = 128 * 1024;

/// Starts a thread. Returns false if the system has none left (EAGAIN: containers limit them).
#[cfg(not(loom))]
pub(crate) fn start(name: &'static str, body: impl FnOnce() + Send + 'static) -> bool {
    use std::sync::Once;

    use super::Interrupts;

    static PIN: Once = Once::new();
    PIN.call_once(pin_library);
    std::thread::Builder::new()
        .name(name.into())
        .stack_size(STACK)
        .spawn(|| {
            if let Some(interrupts) = Interrupts::claim() {
                interrupts.prepare_thread();
            }
            body();
        })
        .is_ok()
}

/// Starts a thread of the model.
#[cfg(loom)]
pub(crate) fn start(_: &'static str, body: impl FnOnce() + Send + 'static) -> bool {
    crate::sync::spawn(body)
}

/// Runs `task`. A panic in it has been reported on stderr by then, and ends here.
pub(crate) fn catch_panic(task: impl FnOnce()) {
    // What the task was working on is behind mutexes that are never poisoned and left whole at every point.
    let _ = catch_unwind(AssertUnwindSafe(task));
}

/// Keeps this library mapped when Node unloads it. With glibc the linker has seen to it (see `build.rs` of the addon);
/// musl never unloads, and macOS never unloads a library that has thread-locals.
#[cfg(not(any(windows, loom)))]
fn pin_library() {}

/// Keeps this library mapped when Node unloads it: threads of ours may be inside.
#[cfg(all(windows, not(loom)))]
fn pin_library() {
    use std::ptr;

    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
    };

    let mut module = ptr::null_mut();
    // SAFETY: with FROM_ADDRESS the second argument is any address inside the module, such as this function's.
    unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
            pin_library as *const () as *const u16,
            &mut module,
        );
    }
}

/// Returns true if the calling thread is the one that the process began with. Windows does not tell: false.
pub fn is_first_thread() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return rustix::thread::gettid() == rustix::process::getpid();
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    // SAFETY: pthread_main_np has no preconditions.
    return unsafe { libc::pthread_main_np() == 1 };
    #[cfg(windows)]
    return false;
}

/// The number of a thread, for [`is_asleep`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadNumber(NonZeroI32);

impl ThreadNumber {
    /// Returns the number that was got from [`ThreadNumber::get`]. 0 is none.
    pub(crate) fn new(number: i32) -> Option<Self> {
        NonZeroI32::new(number).map(Self)
    }

    /// Returns the number itself.
    pub(crate) fn get(self) -> i32 {
        self.0.get()
    }
}

/// Returns the number of the calling thread.
pub(crate) fn current_number() -> ThreadNumber {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // Once a thread: it is a system call.
        thread_local!(static NUMBER: NonZeroI32 = rustix::thread::gettid().as_raw_nonzero());
        ThreadNumber(NUMBER.with(|number| *number))
    }
    // Nobody asks the system here.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return ThreadNumber(NonZeroI32::MIN);
}

/// Returns true if a thread of this process waits for something other than a processor, as far as the system tells. A
/// thread that does not get on is not stuck while the machine is too busy to run it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_asleep(thread: ThreadNumber) -> bool {
    std::fs::read_to_string(format!("/proc/self/task/{}/stat", thread.0))
        .map_or(true, |stat| !is_runnable(&stat))
}

/// Returns true if a thread of this process waits for something other than a processor. Nobody asks the system here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn is_asleep(_: ThreadNumber) -> bool {
    true
}

/// Returns true if a text like `/proc/PID/task/TID/stat` is of a thread that runs or could: `1 (name) R …`.
#[cfg(any(target_os = "linux", target_os = "android", test))]
fn is_runnable(stat: &str) -> bool {
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('R'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_thread_is_found_whatever_its_name() {
        assert!(is_runnable("1 (a) R 0"));
        assert!(is_runnable("1 (a) S) R 0"));
        assert!(!is_runnable("1 (a) D 0"));
        assert!(!is_runnable("1 (R) S 0"));
        assert!(!is_runnable(""));
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[cfg_attr(miri, ignore = "Miri has no /proc")]
    fn a_thread_that_runs_is_not_asleep_and_one_that_waits_is() {
        assert!(!is_asleep(current_number()));
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let waiting = std::thread::spawn(move || {
            tell.send(current_number()).unwrap();
            let _ = ended.recv();
        });
        let number = told.recv().unwrap();
        while !is_asleep(number) {
            std::thread::yield_now();
        }
        drop(end);
        waiting.join().unwrap();
    }
}
