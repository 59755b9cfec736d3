//! The state that belongs to an environment, from its first call to its end.

use std::cell::RefCell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread::LocalKey;

use napi::bindgen_prelude::*;
use napi::sys;

use super::{Env, shielded};
use crate::lock;

/// Has the event loop of an instance call [`Instance::on_notified`], from any thread.
#[derive(Clone)]
pub(crate) struct Notifier(Arc<Mutex<Option<ThreadsafeFunction>>>);

struct ThreadsafeFunction(sys::napi_threadsafe_function);

// SAFETY: a threadsafe function may be called on any thread.
unsafe impl Send for ThreadsafeFunction {}

impl Notifier {
    /// Notifies the instance, unless it has ended.
    pub(crate) fn notify(&self) {
        if let Some(ThreadsafeFunction(function)) = *lock(&self.0) {
            // SAFETY: the function is there until the environment ends, which takes it away first. The call does not block,
            // and takes no lock that Node holds while it calls back.
            unsafe {
                sys::napi_call_threadsafe_function(
                    function,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                );
            }
        }
    }

    /// Sets whether the event loop of the instance is kept alive.
    pub(crate) fn keep_alive(&self, env: Env<'_>, alive: bool) {
        if let Some(ThreadsafeFunction(function)) = *lock(&self.0) {
            // SAFETY: the environment is calling us, on the thread of the function, which is there until the end.
            unsafe {
                if alive {
                    sys::napi_ref_threadsafe_function(env.raw, function);
                } else {
                    sys::napi_unref_threadsafe_function(env.raw, function);
                }
            }
        }
    }
}

/// The state of an environment. Lives on its thread.
pub(crate) trait Instance: Sized + 'static {
    /// Returns the instances of a thread.
    fn instances() -> &'static LocalKey<Instances<Self>>;

    /// Returns the state of a new environment.
    fn new(notifier: Notifier) -> Self;

    /// Serves one call of JavaScript, which `call` does.
    fn serve<T>(&self, env: Env<'_>, call: impl FnOnce() -> T) -> T;

    /// Called from the event loop after [`Notifier::notify`].
    fn on_notified(&self, env: Env<'_>);

    /// Returns true if something keeps the event loop alive.
    fn has_pending(&self) -> bool;

    /// Called when the environment ends: by itself, by `process.exit()`, or because its worker thread was terminated.
    fn on_end(&self);
}

/// The instances of a thread, each with the Node-API environment that has made it.
pub(crate) struct Instances<S>(RefCell<Vec<(sys::napi_env, Rc<S>)>>);

impl<S> Instances<S> {
    /// Returns an empty list.
    pub(crate) const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }
}

/// An instance that lives until Node has done with all JavaScript of its environment.
pub(crate) struct Live<S>(pub(super) Rc<S>);

impl<S: Instance> Live<S> {
    /// Returns the instance of the environment that is calling us: one, however often this package is loaded there.
    pub(crate) fn of(env: Env<'_>) -> Result<Self> {
        // Node makes a Node-API environment for each load of the addon. Those with one global object live and end together.
        let known = S::instances().with(|instances| {
            let of_same_global = |(other, _): &&(sys::napi_env, _)| have_same_global(env.raw, *other);
            instances.0.borrow().iter().find(of_same_global).map(|(_, instance)| instance.clone())
        });
        known.map_or_else(|| Self::open(env), |instance| Ok(Self(instance)))
    }

    fn open(Env { raw: env, .. }: Env<'_>) -> Result<Self> {
        let notifier = Notifier(Arc::default());
        let instance = Rc::new(S::new(notifier.clone()));
        let context = Rc::into_raw(instance.clone()).cast_mut().cast::<c_void>();
        let mut name = ptr::null_mut();
        let mut resource = ptr::null_mut();
        let mut has_ref = ptr::null_mut();
        let mut function = ptr::null_mut();
        // SAFETY: the environment is calling us. `context` is a reference of its own, which `drop_instance` gives back when
        // Node has done with the threadsafe function.
        unsafe {
            check_status!(sys::napi_create_string_utf8(env, c"locket".as_ptr(), 6, &raw mut name))?;
            // Tools that list open handles, such as Jest, ask them whether they keep the process alive.
            check_status!(sys::napi_create_object(env, &raw mut resource))?;
            check_status!(sys::napi_create_function(
                env,
                c"hasRef".as_ptr(),
                6,
                Some(has_pending::<S>),
                context,
                &raw mut has_ref
            ))?;
            check_status!(sys::napi_set_named_property(env, resource, c"hasRef".as_ptr(), has_ref))?;
            check_status!(sys::napi_create_threadsafe_function(
                env,
                ptr::null_mut(),
                resource,
                name,
                0,
                1,
                context,
                Some(drop_instance::<S>),
                context,
                Some(on_notified::<S>),
                &raw mut function,
            ))?;
            check_status!(sys::napi_unref_threadsafe_function(env, function))?;
            *lock(&notifier.0) = Some(ThreadsafeFunction(function));
            // After the function: hooks run last in, first out, so ours comes before Node closes it.
            let ending = Box::into_raw(Box::new(Ending { instance: instance.clone(), notifier }));
            check_status!(sys::napi_add_env_cleanup_hook(env, Some(on_end::<S>), ending.cast()))?;
        }
        S::instances().with(|instances| instances.0.borrow_mut().push((env, instance.clone())));
        Ok(Self(instance))
    }
}

/// What the cleanup hook of an environment needs.
struct Ending<S> {
    instance: Rc<S>,
    notifier: Notifier,
}

/// The cleanup hook of an environment.
unsafe extern "C" fn on_end<S: Instance>(ending: *mut c_void) {
    // SAFETY: Node calls it once, with the box that was made for it.
    let Ending { instance, notifier } = *unsafe { Box::from_raw(ending.cast::<Ending<S>>()) };
    shielded(|| {
        S::instances()
            .with(|instances| instances.0.borrow_mut().retain(|(_, other)| !Rc::ptr_eq(other, &instance)));
        *lock(&notifier.0) = None;
        instance.on_end();
    });
}

/// The callback of the threadsafe function, on the thread of the environment.
unsafe extern "C" fn on_notified<S: Instance>(
    env: sys::napi_env,
    _: sys::napi_value,
    context: *mut c_void,
    _: *mut c_void,
) {
    // Without an environment, Node is only emptying its queue.
    if !env.is_null() {
        // SAFETY: the context is the instance, which lives until `drop_instance`.
        let instance = unsafe { &*context.cast::<S>() };
        shielded(|| instance.on_notified(Env { raw: env, call: PhantomData }));
    }
}

/// The finalizer of the threadsafe function, and so of the instance.
unsafe extern "C" fn drop_instance<S: Instance>(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: called once. Gives back the reference that was made for the function.
    shielded(|| drop(unsafe { Rc::from_raw(data.cast::<S>()) }));
}

/// The `hasRef` of our resource.
unsafe extern "C" fn has_pending<S: Instance>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let (mut context, mut result) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the data is the instance, which outlives all JavaScript of its environment; nothing else is asked for.
    unsafe {
        sys::napi_get_cb_info(env, info, ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), &raw mut context);
        let instance = &*context.cast::<S>();
        let has_pending = shielded(|| instance.has_pending()).unwrap_or_default();
        sys::napi_get_boolean(env, has_pending, &raw mut result);
    }
    result
}

/// Returns true if these two environments of this thread have the same global object.
fn have_same_global(env: sys::napi_env, other: sys::napi_env) -> bool {
    let (mut own, mut others, mut same) = (ptr::null_mut(), ptr::null_mut(), false);
    // SAFETY: `env` is calling us, and `other` has not ended: `on_end` forgets those that have.
    unsafe {
        sys::napi_get_global(env, &raw mut own) == sys::Status::napi_ok
            && sys::napi_get_global(other, &raw mut others) == sys::Status::napi_ok
            && sys::napi_strict_equals(env, own, others, &raw mut same) == sys::Status::napi_ok
            && same
    }
}
