//! Which process is which: on this host, and since when it runs.

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, FILETIME, GetLastError, WAIT_OBJECT_0};
use windows_sys::Win32::System::SystemInformation::{ComputerNamePhysicalDnsHostname, GetComputerNameExW};
use windows_sys::Win32::System::Threading::{
    GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, WaitForSingleObject,
};

use crate::sys::{Process, Start};

/// Returns the name of this host, as Python's `socket.gethostname()` has it.
pub(crate) fn host_name() -> Vec<u8> {
    // Longer than any: the names of DNS have at most 63 characters here.
    let mut name = [0_u16; 1024];
    let mut length = 1024;
    // SAFETY: the buffer, of this length, is ours to write.
    let told =
        unsafe { GetComputerNameExW(ComputerNamePhysicalDnsHostname, name.as_mut_ptr(), &raw mut length) };
    if told == 0 {
        return Vec::new();
    }
    String::from_utf16_lossy(&name[..length as usize]).into_bytes()
}

/// Returns `None`: there are no such namespaces.
pub(crate) fn pid_namespace() -> Option<u64> {
    None
}

/// Returns what is known of a process.
pub(crate) fn process(pid: u32) -> Process {
    // SAFETY: the call takes numbers alone.
    let handle = unsafe { OpenProcess(PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if handle.is_null() {
        // SAFETY: the call takes nothing.
        let error = unsafe { GetLastError() };
        // Any other error is that of a process which this one may not open.
        return if error == ERROR_INVALID_PARAMETER { Process::Dead } else { Process::Alive(None) };
    }
    // SAFETY: the handle has just been opened, and nobody else has it.
    let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
    // SAFETY: the handle is open.
    if unsafe { WaitForSingleObject(handle.as_raw_handle(), 0) } == WAIT_OBJECT_0 {
        // It has ended, and somebody has a handle of it.
        return Process::Dead;
    }
    let mut times = [FILETIME::default(); 4];
    let [created, exited, in_kernel, in_user] = &mut times;
    let [created, exited, in_kernel, in_user] = [created, exited, in_kernel, in_user].map(ptr::from_mut);
    // SAFETY: the handle is open, and the times are ours to write.
    let told = unsafe { GetProcessTimes(handle.as_raw_handle(), created, exited, in_kernel, in_user) };
    Process::Alive((told != 0).then(|| start_at(times[0])))
}

/// Returns the start of a process that was created at this time, which no boot has twice.
fn start_at(created: FILETIME) -> Start {
    Start { boot: 0, started: u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime) }
}

/// Returns when this process was started.
pub(crate) fn own_start() -> Option<Start> {
    match process(std::process::id()) {
        Process::Alive(start) => start,
        Process::Dead => None,
    }
}

/// Returns false: a pid means one process here.
pub(crate) fn runs_elsewhere(_: u32, _: Option<Start>) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_since_its_start_and_one_that_has_been_waited_for_is_dead() {
        let own = own_start();
        assert!(own.is_some_and(|start| start.started > 0));
        assert_eq!(process(std::process::id()), Process::Alive(own));
        // The system keeps its number as long as the handle of the child is open.
        let mut child = std::process::Command::new("cmd").args(["/c", "exit"]).spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(process(child.id()), Process::Dead);
        assert_eq!(process(0), Process::Dead);
    }

    #[test]
    fn this_host_has_a_name() {
        assert!(!host_name().is_empty());
    }
}
