//! The handles of an environment. JavaScript knows them by their numbers.
//!
//! An object of Node-API would carry its handle itself, but costs several times as much to make and to look into as
//! everything else that a handle needs.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::*;

use crate::core::handle::Handle;

/// Handles by their numbers. Numbers of those that were forgotten are given anew.
#[derive(Default)]
pub struct Handles {
    handles: Vec<Option<Arc<Handle>>>,
    unused: Vec<u32>,
}

impl Handles {
    /// Adds a handle. Returns its number.
    pub fn add(&mut self, handle: Handle) -> u32 {
        let handle = Some(Arc::new(handle));
        if let Some(number) = self.unused.pop() {
            self.handles[number as usize] = handle;
            return number;
        }
        self.handles.push(handle);
        (self.handles.len() - 1) as u32
    }

    /// The handle with this number.
    pub fn get(&self, number: u32) -> Result<&Arc<Handle>> {
        let handle = self.handles.get(number as usize).and_then(Option::as_ref);
        handle.ok_or_else(|| Error::new(Status::InvalidArg, format!("there is no handle {number}")))
    }

    /// JavaScript has no use for it any more. What it holds stays held.
    pub fn forget(&mut self, number: u32) {
        if self.handles.get_mut(number as usize).and_then(Option::take).is_some() {
            self.unused.push(number);
        }
    }
}

/// A path as `lib/` gives it: a string, or bytes that are none.
pub fn to_path(path: Either<String, Uint8Array>) -> Result<PathBuf> {
    match path {
        Either::A(path) => Ok(PathBuf::from(path)),
        Either::B(bytes) => bytes_to_path(&bytes),
    }
}

#[cfg(unix)]
fn bytes_to_path(bytes: &[u8]) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(windows)]
fn bytes_to_path(bytes: &[u8]) -> Result<PathBuf> {
    String::from_utf8(bytes.to_vec())
        .map(PathBuf::from)
        .map_err(|error| Error::new(Status::InvalidArg, error.to_string()))
}
