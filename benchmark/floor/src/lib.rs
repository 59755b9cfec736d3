//! What nobody can be faster than, to measure a lock against.

mod round_trip;
mod system_calls;

use std::ffi::CString;
use std::io;

use napi::bindgen_prelude::*;
use napi_derive::napi;

/// Locks and unlocks the file at `path` so many times, with all that a lock needs, on the calling thread.
#[napi]
pub fn lock_properly(path: String, times: u32) -> Result<()> {
    let path = CString::new(path)?;
    (0..times).try_for_each(|_| system_calls::lock_properly(&path)).map_err(refused)
}

/// The same with nothing but `open`, `flock` and `close`.
#[napi]
pub fn lock_barely(path: String, times: u32) -> Result<()> {
    let path = CString::new(path)?;
    (0..times).try_for_each(|_| system_calls::lock_barely(&path)).map_err(refused)
}

fn refused(error: io::Error) -> Error {
    Error::from_reason(error.to_string())
}
