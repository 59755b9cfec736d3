//! Which thread it is.

/// Is the calling thread the one that the process began with?
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn is_first_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// Is the calling thread the one that the process began with?
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn is_first_thread() -> bool {
    // SAFETY: pthread_main_np has no preconditions.
    unsafe { libc::pthread_main_np() == 1 }
}

/// Which thread it is, for [`is_asleep`].
#[derive(Clone, Copy, Debug)]
pub struct ThreadNumber(#[cfg(any(target_os = "linux", target_os = "android"))] i32);

/// Returns the number of the calling thread.
pub fn this_thread_number() -> ThreadNumber {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // Once a thread: it is a system call.
        thread_local!(static NUMBER: i32 = rustix::thread::gettid().as_raw_nonzero().get());
        ThreadNumber(NUMBER.with(|number| *number))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return ThreadNumber();
}

/// Returns true if a thread of this process waits for something other than a processor, as far as the system tells. A
/// thread that does not get on is not stuck while the machine is too busy to run it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn is_asleep(thread: ThreadNumber) -> bool {
    std::fs::read_to_string(format!("/proc/self/task/{}/stat", thread.0))
        .map_or(true, |stat| !is_runnable(&stat))
}

/// Returns true if a thread of this process waits for something other than a processor. Nobody asks the system here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn is_asleep(_: ThreadNumber) -> bool {
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
        assert!(!is_asleep(this_thread_number()));
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let waiting = std::thread::spawn(move || {
            tell.send(this_thread_number()).unwrap();
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
