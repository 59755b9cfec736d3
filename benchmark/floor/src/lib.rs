//! What no lock for Node can be faster than: the bare system calls, and a bare round trip to another thread.

use std::ffi::{CStr, CString};
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use napi::bindgen_prelude::*;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open, stat};

/// Locks and unlocks the file at `path` `times` times, with all that a lock needs, on the calling thread.
#[napi]
pub fn lock_properly(path: String, times: u32) -> Result<()> {
    repeat(path, times, lock_once)
}

/// The same with nothing but `open`, `flock` and `close`.
#[napi]
pub fn lock_barely(path: String, times: u32) -> Result<()> {
    repeat(path, times, |path| {
        let file = open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Ok(flock(&file, FlockOperation::NonBlockingLockExclusive)?)
    })
}

fn repeat(path: String, times: u32, lock: impl Fn(&CStr) -> io::Result<()>) -> Result<()> {
    let path = CString::new(path)?;
    (0..times).try_for_each(|_| lock(&path)).map_err(|error| Error::from_reason(error.to_string()))
}

/// Opens, locks, checks that the path still names the file that was locked, unlocks, closes.
fn lock_once(path: &CStr) -> io::Result<()> {
    let file = open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let opened = fstat(&file)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    let named = stat(path)?;
    if (opened.st_dev, opened.st_ino) != (named.st_dev, named.st_ino) {
        return Err(io::Error::other("the file has been replaced"));
    }
    // Closing would unlock too, but not while a child that is being spawned has a copy of the descriptor.
    Ok(flock(&file, FlockOperation::Unlock)?)
}

/// A thread that sleeps until there is something to do.
#[napi]
pub struct RoundTrip {
    order: Arc<(Mutex<bool>, Condvar)>,
}

#[napi]
impl RoundTrip {
    /// `arrived` is called after each trip, with what failed. With a path, the thread locks and unlocks that file on each
    /// trip; without one it does nothing.
    #[napi(constructor)]
    pub fn new(
        arrived: ThreadsafeFunction<Option<String>, (), Option<String>, Status, false>,
        path: Option<String>,
    ) -> Result<Self> {
        let path = path.map(CString::new).transpose()?;
        let order = Arc::new((Mutex::new(false), Condvar::new()));
        let orders = order.clone();
        thread::Builder::new().spawn(move || {
            let (ordered, placed) = &*orders;
            loop {
                let wait = ordered.lock().and_then(|ordered| placed.wait_while(ordered, |ordered| !*ordered));
                *wait.expect("no holder panics") = false;
                let result = path.as_deref().map_or(Ok(()), lock_once);
                let failure = result.err().map(|error| error.to_string());
                arrived.call(failure, ThreadsafeFunctionCallMode::NonBlocking);
            }
        })?;
        Ok(Self { order })
    }

    /// Sends the thread on a trip. One at a time.
    #[napi]
    pub fn depart(&self) {
        let (ordered, placed) = &*self.order;
        *ordered.lock().expect("no holder panics") = true;
        placed.notify_one();
    }
}
