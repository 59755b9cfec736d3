//! The open files of a process, as `/proc/PID/fdinfo` lists them.

use std::ffi::CStr;
use std::ops::ControlFlow;
use std::path::Path;

use rustix::fd::AsFd;
use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::{read, retry_on_intr};

/// Size of one read, in bytes. Nearly every text is far shorter.
const PIECE: usize = 1 << 12;

/// Calls `visit` with the name and the text of each descriptor, until it breaks off.
///
/// Returns `None` if the folder cannot be read: the process is another user's, or has ended.
pub(crate) fn visit(folder: &Path, mut visit: impl FnMut(&CStr, &str) -> ControlFlow<()>) -> Option<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let folder = retry_on_intr(|| openat(CWD, folder, flags, Mode::empty())).ok()?;
    // A process may have very many: hence one buffer for all, and names that are relative to the folder.
    let mut text = Vec::new();
    for entry in Dir::read_from(&folder).ok()?.flatten() {
        if text_of(&folder, entry.file_name(), &mut text).is_some()
            && visit(entry.file_name(), &String::from_utf8_lossy(&text)).is_break()
        {
            break;
        }
    }
    Some(())
}

fn text_of(folder: impl AsFd, name: &CStr, text: &mut Vec<u8>) -> Option<()> {
    let file =
        retry_on_intr(|| openat(&folder, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())).ok()?;
    text.clear();
    loop {
        text.reserve(PIECE);
        let wanted = text.capacity() - text.len();
        let length = retry_on_intr(|| read(&file, rustix::buffer::spare_capacity(text))).ok()?;
        // The kernel gives such a text whole, if there is room.
        if length < wanted {
            return Some(());
        }
    }
}
