//! Node-API, made safe. Only this module calls it directly.
//!
//! The functions that `#[napi]` makes allocate and lock in every call, to guard borrowed arguments, of which we have none:
//! with napi 3.16 that takes five times as long as the call. Its promises each have a threadsafe function of their own.

mod function;
mod instance;

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::bindgen_prelude::*;
use napi::sys;

pub(crate) use instance::{Instance, Instances, Live, Notifier};

/// The environment that is calling us, for the time of the call.
#[derive(Clone, Copy)]
pub(crate) struct Env<'call> {
    raw: sys::napi_env,
    call: PhantomData<&'call ()>,
}

impl<'call> Env<'call> {
    /// Returns the environment of a call that napi has received.
    pub(crate) fn of(env: &'call napi::Env) -> Self {
        Self { raw: env.raw(), call: PhantomData }
    }

    /// Returns a promise, and what settles it.
    pub(crate) fn promise<T>(self) -> Result<(Deferred, PromiseRaw<'static, T>)> {
        let mut deferred = ptr::null_mut();
        let mut promise = ptr::null_mut();
        // SAFETY: the environment is calling us.
        check_status!(unsafe { sys::napi_create_promise(self.raw, &raw mut deferred, &raw mut promise) })?;
        Ok((Deferred(deferred), PromiseRaw::new(self.raw, promise)))
    }

    /// Returns true if JavaScript can still run here. It cannot in a worker thread that has been told to end, nor in a
    /// `node:vm` script whose time is up.
    pub(crate) fn can_run_javascript(self) -> bool {
        let mut scope = ptr::null_mut();
        let mut script = ptr::null_mut();
        let mut value = ptr::null_mut();
        // SAFETY: the environment is calling us. The script does nothing: it shows whether it can run. The scope drops what
        // it makes: a wait may ask for days.
        unsafe {
            if sys::napi_open_handle_scope(self.raw, &raw mut scope) != sys::Status::napi_ok {
                return false;
            }
            let can = sys::napi_create_string_utf8(self.raw, c"0".as_ptr(), 1, &raw mut script)
                == sys::Status::napi_ok
                && sys::napi_run_script(self.raw, script, &raw mut value) == sys::Status::napi_ok;
            sys::napi_close_handle_scope(self.raw, scope);
            can
        }
    }
}

/// Settles a promise. If it is dropped, the promise stays pending.
pub(crate) struct Deferred(sys::napi_deferred);

impl Deferred {
    /// Resolves the promise.
    pub(crate) fn resolve(self, env: Env<'_>, value: impl ToNapiValue) -> Result<()> {
        // SAFETY: the environment is calling us, on the thread on which the promise was made: a deferred cannot be sent to
        // another. It is used up.
        unsafe {
            let value = ToNapiValue::to_napi_value(env.raw, value)?;
            check_status!(sys::napi_resolve_deferred(env.raw, self.0, value))
        }
    }
}

/// Does `task`. A panic must not unwind into Node: then this returns `None`.
fn shielded<T>(task: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(task)).ok()
}
