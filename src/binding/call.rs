//! Calls from JavaScript, by Node-API itself.
//!
//! The functions that `#[napi]` makes allocate and lock in every call, to guard borrowed arguments that we have none of:
//! with napi 3.16 that takes five times as long as the call.

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::bindgen_prelude::*;
use napi::sys;

use super::environment::State;

/// The longest list of arguments.
const ARGUMENTS: usize = 4;

/// One call of one of our functions.
pub struct Call<'a> {
    pub env: sys::napi_env,
    pub state: &'a State,
    arguments: [sys::napi_value; ARGUMENTS],
}

impl Call<'_> {
    /// The argument at `index`: `undefined` if none was given.
    pub fn argument<T: FromNapiValue>(&self, index: usize) -> Result<T> {
        // SAFETY: the value is of this call, and so of its environment.
        unsafe { T::from_napi_value(self.env, self.arguments[index]) }
    }

    /// What the call returns.
    pub fn returns<T: ToNapiValue>(&self, value: T) -> Result<sys::napi_value> {
        // SAFETY: `env` is the environment that is calling us.
        unsafe { T::to_napi_value(self.env, value) }
    }
}

/// What a function does.
pub type Body = fn(&Call<'_>) -> Result<sys::napi_value>;

/// The Node-API callback that does what `$body`, a [`Body`], says.
macro_rules! callback {
    ($body:path) => {{
        unsafe extern "C" fn callback(
            env: napi::sys::napi_env,
            info: napi::sys::napi_callback_info,
        ) -> napi::sys::napi_value {
            // SAFETY: Node calls it so, and `function` has given it its data.
            unsafe { $crate::binding::call::serve(env, info, $body) }
        }
        callback
    }};
}
pub(super) use callback;

/// A JavaScript function that calls `callback`, of [`callback!`].
pub fn function(
    env: sys::napi_env,
    name: &CStr,
    callback: unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value,
    state: &State,
) -> Result<Unknown<'static>> {
    let data = ptr::from_ref(state).cast_mut().cast::<c_void>();
    let mut function = ptr::null_mut();
    // SAFETY: `env` is the environment that is calling us. The state outlives all its JavaScript.
    unsafe {
        check_status!(sys::napi_create_function(
            env,
            name.as_ptr(),
            name.count_bytes() as isize,
            Some(callback),
            data,
            &mut function,
        ))?;
        Ok(Unknown::from_raw_unchecked(env, function))
    }
}

/// Serves a call, and settles the promises of all that it has brought about. An error, and a panic, is thrown as a
/// JavaScript error.
///
/// # Safety
/// To be called by Node-API, as the callback of a function that [`function`] has made.
pub unsafe fn serve(env: sys::napi_env, info: sys::napi_callback_info, body: Body) -> sys::napi_value {
    let mut count = ARGUMENTS;
    let mut arguments = [ptr::null_mut(); ARGUMENTS];
    let mut data = ptr::null_mut();
    // SAFETY: there is room for as many arguments as `count` says; Node fills up with `undefined`.
    unsafe {
        sys::napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), ptr::null_mut(), &mut data)
    };
    // SAFETY: the data is the state, which outlives all JavaScript of its environment.
    let call = Call { env, state: unsafe { &*data.cast::<State>() }, arguments };
    let work = || {
        let result = body(&call);
        call.state.settle(env);
        result
    };
    let result = catch_unwind(AssertUnwindSafe(|| call.state.mailbox.attended(work)))
        .unwrap_or_else(|_| Err(Error::from_reason("a defect of @locket/native: see stderr")));
    result.unwrap_or_else(|error| {
        // SAFETY: `env` is the environment that is calling us.
        unsafe { JsError::from(error).throw_into(env) };
        ptr::null_mut()
    })
}
