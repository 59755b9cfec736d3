//! Functions for JavaScript. The types of their arguments and results are those that TypeScript is told.

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::mem;
use std::ptr::{self, NonNull};
use std::rc::Rc;

use napi::bindgen_prelude::*;
use napi::sys;

use super::{Env, Instance, Live, shielded};

impl<S: Instance> Live<S> {
    /// Returns a JavaScript function that calls `body`, and throws the error that it returns, or one for a panic. `body`
    /// captures nothing: a call makes it from its type alone.
    pub(crate) fn function<A: Arguments, R: ToNapiValue, F: Body<S, A, R>>(
        &self,
        env: Env<'_>,
        name: &CStr,
        _body: F,
    ) -> Result<Function<'static, A, R>> {
        const { assert!(mem::size_of::<F>() == 0) };
        let function = self.raw_function(env, name, call::<S, A, R, F>)?;
        // SAFETY: the environment is calling us, and has made the function.
        unsafe { Function::from_napi_value(env.raw, function) }
    }

    /// Returns a JavaScript function that calls `callback`.
    fn raw_function(&self, env: Env<'_>, name: &CStr, callback: Callback) -> Result<sys::napi_value> {
        let data = Rc::as_ptr(&self.0).cast_mut().cast::<c_void>();
        let mut function = ptr::null_mut();
        // SAFETY: the environment is calling us. The instance outlives all its JavaScript.
        check_status!(unsafe {
            sys::napi_create_function(
                env.raw,
                name.as_ptr(),
                name.count_bytes().cast_signed(),
                Some(callback),
                data,
                &raw mut function,
            )
        })?;
        Ok(function)
    }
}

/// What Node calls.
type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// What a function does.
pub(crate) trait Body<S, A: Arguments, R>:
    Fn(&S, Env<'_>, A::Values) -> Result<R> + Copy + 'static
{
}

impl<S, A: Arguments, R, F: Fn(&S, Env<'_>, A::Values) -> Result<R> + Copy + 'static> Body<S, A, R> for F {}

/// The arguments of a function.
pub(crate) trait Arguments: JsValuesTupleIntoVec {
    /// The arguments as the body takes them.
    type Values;

    /// Returns the arguments of a call.
    ///
    /// # Safety
    /// `env` is calling, and the values are of this call.
    unsafe fn of(env: sys::napi_env, values: &[sys::napi_value; MAX_ARGUMENTS]) -> Result<Self::Values>;
}

/// The longest list of arguments.
const MAX_ARGUMENTS: usize = 8;

impl Arguments for () {
    type Values = ();

    unsafe fn of(_: sys::napi_env, _: &[sys::napi_value; MAX_ARGUMENTS]) -> Result<()> {
        Ok(())
    }
}

macro_rules! arguments {
    ($($type:ident $index:literal),*) => {
        impl<$($type: FromNapiValue + ToNapiValue),*> Arguments for FnArgs<($($type,)*)> {
            type Values = ($($type,)*);

            unsafe fn of(env: sys::napi_env, values: &[sys::napi_value; MAX_ARGUMENTS]) -> Result<Self::Values> {
                // SAFETY: as the caller says.
                Ok(($(unsafe { $type::from_napi_value(env, values[$index]) }?,)*))
            }
        }
    };
}
arguments!(A 0);
arguments!(A 0, B 1);
arguments!(A 0, B 1, C 2);
arguments!(A 0, B 1, C 2, D 3);
arguments!(A 0, B 1, C 2, D 3, E 4);
arguments!(A 0, B 1, C 2, D 3, E 4, F 5);
arguments!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// The callback of a function that [`Live::function`] has made.
unsafe extern "C" fn call<S: Instance, A: Arguments, R: ToNapiValue, F: Body<S, A, R>>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: Node calls us with these.
    unsafe { serve_call::<S>(env, info, answer::<S, A, R, F>) }
}

/// Answers one call: what differs between the functions.
///
/// # Safety
/// The environment is calling, and the values are of this call.
unsafe fn answer<S, A: Arguments, R: ToNapiValue, F: Body<S, A, R>>(
    instance: &S,
    env: Env<'_>,
    values: &[sys::napi_value; MAX_ARGUMENTS],
) -> Result<sys::napi_value> {
    // SAFETY: a value without a size, of which `Live::function` was given one that can be copied.
    let body = unsafe { *NonNull::<F>::dangling().as_ref() };
    // SAFETY: as the caller says.
    let arguments = unsafe { A::of(env.raw, values) }?;
    let result = body(instance, env, arguments)?;
    // SAFETY: as the caller says.
    unsafe { R::to_napi_value(env.raw, result) }
}

/// Same as [`answer`], as a pointer.
type Answer<S> =
    for<'call> unsafe fn(&S, Env<'call>, &[sys::napi_value; MAX_ARGUMENTS]) -> Result<sys::napi_value>;

/// Serves one call: what is the same for all functions, and so is there only once.
///
/// # Safety
/// Node calls, with these.
unsafe fn serve_call<S: Instance>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    answer: Answer<S>,
) -> sys::napi_value {
    let mut values = [ptr::null_mut(); MAX_ARGUMENTS];
    let mut count = MAX_ARGUMENTS;
    let mut data = ptr::null_mut();
    // SAFETY: as the caller says. Node sets all values: those that are not given are `undefined`.
    unsafe {
        sys::napi_get_cb_info(env, info, &raw mut count, values.as_mut_ptr(), ptr::null_mut(), &raw mut data);
    }
    // SAFETY: the data is the instance, which outlives all JavaScript of its environment.
    let instance = unsafe { &*data.cast::<S>() };
    let result = shielded(|| {
        let scope = Env { raw: env, call: PhantomData };
        // SAFETY: the values are of this call.
        instance.serve(scope, || unsafe { answer(instance, scope, &values) })
    });
    match result {
        Some(Ok(value)) => value,
        Some(Err(error)) => throw(env, error),
        None => throw(env, Error::from_reason("a defect of @locket/native: see stderr")),
    }
}

#[cold]
fn throw(env: sys::napi_env, error: Error) -> sys::napi_value {
    // SAFETY: the environment is calling us.
    unsafe { JsError::from(error).throw_into(env) };
    ptr::null_mut()
}
