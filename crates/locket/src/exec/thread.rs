//! Threads of this library: small, named, with the host's signals blocked. Also which thread the calling one is, and
//! whether a thread is asleep.

use std::num::NonZeroI32;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Stack size in bytes. Enough for a path of PATH_MAX, for the standard library and for the message of a panic.
#[cfg(not(loom))]
const STACK: usize = 128 * 1024;

/// Starts a thread. Returns false if the system has no thread left (EAGAIN: containers limit them).
#[cfg(not(loom))]
pub(crate) fn start(name: &'static str, body: impl FnOnce() + Send + 'static) -> bool {
    start_boxed(name, Box::new(body))
}

/// Same as [`start`]: the code that starts a thread is long, and is there once.
#[cfg(not(loom))]
fn start_boxed(name: &'static str, body: Box<dyn FnOnce() + Send>) -> bool {
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

/// Runs `task`. A panic in it ends here; the panic hook has reported it.
pub(crate) fn catch_panic(task: impl FnOnce()) {
    // What the task works on is behind mutexes that are never poisoned, and is whole at every point where it may panic.
    let _ = catch_unwind(AssertUnwindSafe(task));
}

/// Keeps this library mapped when Node unloads it. With glibc the linker has done so (see `build.rs` of the addon);
/// musl never unloads, and macOS never unloads a library that has thread-locals.
#[cfg(not(any(windows, loom)))]
fn pin_library() {}

/// Keeps this library mapped when Node unloads it: its threads may still run.
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
            (pin_library as *const ()).cast(),
            &raw mut module,
        );
    }
}

/// Returns true if the calling thread is the first thread of the process. On Windows, which does not tell, false.
pub fn is_first_thread() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return rustix::thread::gettid() == rustix::process::getpid();
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    // SAFETY: pthread_main_np has no preconditions.
    return unsafe { libc::pthread_main_np() == 1 };
    #[cfg(windows)]
    return false;
}

/// The number by which [`is_asleep`] knows a thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadNumber(NonZeroI32);

impl ThreadNumber {
    /// Returns what [`ThreadNumber::get`] was called on, or `None` for 0.
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
        // Cached, since it is a system call.
        thread_local!(static NUMBER: NonZeroI32 = rustix::thread::gettid().as_raw_nonzero());
        ThreadNumber(NUMBER.with(|number| *number))
    }
    // `is_asleep` does not use it here.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return ThreadNumber(NonZeroI32::MIN);
}

/// Returns true if a thread of this process waits for something other than a processor, as far as the system tells. A
/// thread that the machine is too busy to run is not asleep.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_asleep(thread: ThreadNumber) -> bool {
    match std::fs::read_to_string(format!("/proc/self/task/{}/stat", thread.0)) {
        Ok(stat) => !is_runnable(&stat),
        // Without /proc nothing speaks for the thread. Another error, as for lack of descriptors, says nothing of it.
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Returns true: this system is not asked.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn is_asleep(_: ThreadNumber) -> bool {
    true
}

/// Returns true if `stat`, a text like `/proc/PID/task/TID/stat`, shows a thread that runs or could: `1 (name) R …`.
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
