//! Which process is which: on this host, in this pid namespace, and since when it runs.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::sys::{Process, Start};

/// The number of the first pid namespace (PROC_PID_INIT_INO of Linux).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Returns the name of this host.
pub(crate) fn host_name() -> Vec<u8> {
    rustix::system::uname().nodename().to_bytes().to_vec()
}

/// Returns the number of the pid namespace of this process, unless it is the first one, or the system has none.
pub(crate) fn pid_namespace() -> Option<u64> {
    if cfg!(not(any(target_os = "linux", target_os = "android"))) {
        return None;
    }
    // No file, so that its number is that of the namespace.
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    let number = link.as_os_str().as_bytes().strip_prefix(b"pid:[")?.strip_suffix(b"]")?;
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    (number != FIRST_PID_NAMESPACE).then_some(number)
}

/// Returns what is known of a process of this host and pid namespace.
pub(crate) fn process(pid: u32) -> Process {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Process::Dead };
    if has_ended(pid) { Process::Dead } else { Process::Alive(start_of(&pid.as_raw_nonzero().to_string())) }
}

/// Returns true if there is no such process, or it waits for its parent to take note of its end.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn has_ended(pid: Pid) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{PidfdFlags, pidfd_open};

    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => {
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
        }
        Err(Errno::SRCH) => true,
        // Before Linux 5.3, or where a sandbox does not know the call.
        Err(_) => is_missing(pid),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use is_missing as has_ended;

/// Returns true if there is no such process.
fn is_missing(pid: Pid) -> bool {
    // EPERM: it is another user's.
    rustix::process::test_kill_process(pid) == Err(Errno::SRCH)
}

/// Returns when this process was started.
pub(crate) fn own_start() -> Option<Start> {
    start_of("self")
}

/// Returns true if a process of another pid namespace has this pid there, and was started then: it may have recorded its pid
/// together with the name of this host. `since`: when it was started, if it recorded that.
pub(crate) fn runs_elsewhere(pid: u32, since: Option<Start>) -> bool {
    let Some(since) = since else { return false };
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    let processes = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    processes.filter(|&other| other != pid).any(|other| {
        start_of(&other.to_string()).is_none_or(|start| start.may_be(&since))
            && innermost_pid(other) == Some(pid)
    })
}

/// Returns the pid that a process has in its own pid namespace.
fn innermost_pid(process: u32) -> Option<u32> {
    let status = fs::read(format!("/proc/{process}/status")).ok()?;
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"NSpid:"))?;
    std::str::from_utf8(line).ok()?.split_whitespace().last()?.parse().ok()
}

/// Returns when a process was started, unless this process has clocks of its own: then no other one would agree.
fn start_of(process: &str) -> Option<Start> {
    if has_own_clocks() {
        return None;
    }
    let started = started_at(&fs::read(format!("/proc/{process}/stat")).ok()?)?;
    let id = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits = id.iter().filter_map(|&byte| char::from(byte).to_digit(16));
    let boot = digits.fold(0, |boot, digit| boot << 4 | u128::from(digit));
    Some(Start { boot, started })
}

/// Returns field 22 of `/proc/PID/stat`: the time of the start after the boot. The second field is the name of the program,
/// which may have brackets and blanks in it.
fn started_at(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    std::str::from_utf8(&stat[end + 1..]).ok()?.split_whitespace().nth(19)?.parse().ok()
}

/// Returns true if this process is in a time namespace whose boot is at another time, or may be.
fn has_own_clocks() -> bool {
    match fs::read_to_string("/proc/self/timens_offsets") {
        // By its name since Linux 5.8, by its number before.
        Ok(offsets) => !offsets.lines().any(|line| {
            ["boottime", "7"].into_iter().any(|clock| line.split_whitespace().eq([clock, "0", "0"]))
        }),
        // Before Linux 5.6 there are no such namespaces.
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_does_not_shift_the_time_of_its_start() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(started_at(format!("42 (node) {rest}").as_bytes()), Some(4711));
        assert_eq!(started_at(format!("42 (a) b) (c) {rest}").as_bytes()), Some(4711));
        assert_eq!(started_at(b"42 (node) S 1"), None);
        assert_eq!(started_at(b""), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_alive_since_its_start_and_one_that_has_ended_is_dead_though_nobody_has_taken_note() {
        let own = own_start();
        assert!(own.is_some());
        assert_eq!(process(std::process::id()), Process::Alive(own));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        while process(child.id()) != Process::Dead {}
        child.wait().unwrap();
        assert_eq!(process(child.id()), Process::Dead);
        assert_eq!(process(0), Process::Dead);
        assert_eq!(process(u32::MAX), Process::Dead);
    }
}
