//! A promise that is made on JavaScript's thread and settled from another one, with nothing in between that is not
//! needed: a job goes to a thread that is parked, and a threadsafe function brings it home.

use std::ffi::{CString, c_void};
use std::io;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use napi::bindgen_prelude::*;
use napi::{check_status, sys};
use napi_derive::napi;

use crate::system_calls::lock_properly;

/// A thread that is parked until there is something to do.
#[napi]
pub struct RoundTrip {
    desk: Arc<Desk>,
}

/// Where the two threads meet.
#[derive(Default)]
struct Desk {
    job: Mutex<Option<Job>>,
    filled: Condvar,
}

/// What is to be done, and brought home: a promise that waits.
struct Job {
    deferred: sys::napi_deferred,
    result: io::Result<()>,
}

// SAFETY: the deferred is carried by the other thread, and used on JavaScript's alone.
unsafe impl Send for Job {}

struct Bell(sys::napi_threadsafe_function);

// SAFETY: a threadsafe function may be called on any thread.
unsafe impl Send for Bell {}

#[napi]
impl RoundTrip {
    /// With a path, the thread locks and unlocks that file on each trip; without one it does nothing.
    ///
    /// The thread is not ended, and it keeps the process alive: this is made for a process that is killed.
    #[napi(constructor)]
    pub fn new(env: Env, path: Option<String>) -> Result<Self> {
        let path = path.map(CString::new).transpose()?;
        let bell = Bell(threadsafe_function(env.raw())?);
        let desk = Arc::new(Desk::default());
        let work = {
            let desk = desk.clone();
            move || {
                let bell = bell;
                loop {
                    let mut job = desk.take();
                    if let Some(path) = &path {
                        job.result = lock_properly(path);
                    }
                    bring_home(&bell, job);
                }
            }
        };
        thread::Builder::new().spawn(work)?;
        Ok(Self { desk })
    }

    /// Resolves when the thread has been there. One at a time.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn travel(&self, env: Env) -> Result<Unknown<'_>> {
        let (mut deferred, mut promise) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: `env` is the environment that is calling us, and so is the value its own.
        let promise = unsafe {
            check_status!(sys::napi_create_promise(env.raw(), &mut deferred, &mut promise))?;
            Unknown::from_raw_unchecked(env.raw(), promise)
        };
        self.desk.put(Job { deferred, result: Ok(()) });
        Ok(promise)
    }
}

impl Desk {
    fn put(&self, job: Job) {
        *self.job.lock().expect("nobody panics here") = Some(job);
        self.filled.notify_one();
    }

    fn take(&self) -> Job {
        let mut job = self.job.lock().expect("nobody panics here");
        loop {
            match job.take() {
                Some(job) => return job,
                None => job = self.filled.wait(job).expect("nobody panics here"),
            }
        }
    }
}

fn bring_home(bell: &Bell, job: Job) {
    let job = Box::into_raw(Box::new(job));
    // SAFETY: the function lives as long as the environment, and that as long as the process. `on_arrival` takes the job.
    unsafe {
        sys::napi_call_threadsafe_function(bell.0, job.cast(), sys::ThreadsafeFunctionCallMode::nonblocking);
    }
}

fn threadsafe_function(env: sys::napi_env) -> Result<sys::napi_threadsafe_function> {
    let (mut name, mut function) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: `env` is the environment that is calling us.
    unsafe {
        check_status!(sys::napi_create_string_utf8(env, c"floor".as_ptr(), 5, &mut name))?;
        check_status!(sys::napi_create_threadsafe_function(
            env,
            ptr::null_mut(),
            ptr::null_mut(),
            name,
            0,
            1,
            ptr::null_mut(),
            None,
            ptr::null_mut(),
            Some(on_arrival),
            &mut function,
        ))?;
    }
    Ok(function)
}

/// A job is home: settles its promise, on JavaScript's thread.
unsafe extern "C" fn on_arrival(env: sys::napi_env, _: sys::napi_value, _: *mut c_void, job: *mut c_void) {
    // SAFETY: it was made by `bring_home`, and is taken once.
    let Job { deferred, result } = *unsafe { Box::from_raw(job.cast::<Job>()) };
    // Without an environment, Node is only emptying its queue.
    if env.is_null() {
        return;
    }
    // SAFETY: `env` is the environment in which the promise was made, and the promise is settled once.
    unsafe {
        match result {
            Ok(()) => {
                let mut undefined = ptr::null_mut();
                sys::napi_get_undefined(env, &mut undefined);
                sys::napi_resolve_deferred(env, deferred, undefined);
            }
            Err(error) => {
                let error = JsError::from(Error::from_reason(error.to_string())).into_value(env);
                sys::napi_reject_deferred(env, deferred, error);
            }
        }
    }
}
