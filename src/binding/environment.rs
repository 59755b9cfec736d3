//! One JavaScript environment: the main thread's, or that of a worker thread.
//!
//! It knows the promises that are pending, settles those that are due, keeps the event loop alive as long as
//! there are any, and when it ends releases what it held.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::sys;

use super::answer::Answer;
use super::handles::Handles;
use super::mailbox::Mailbox;
use super::outcome::{to_answer, to_holders, to_refusal};
use crate::core::engine;
use crate::core::handle::Handle;
use crate::core::request::{Overview, Owner, Purpose, Reason, Request, Wish};
use crate::core::sys::is_first_thread;

/// How many requests may be tried on the environment's own thread before one has to take the way by another thread, and
/// so by the event loop: or a loop that acquires and releases would keep everything else from its turn.
const AT_ONCE: u32 = 64;

/// The state of an environment. Lives on its thread.
pub struct State {
    pub owner: Arc<Owner>,
    pub mailbox: Arc<Mailbox>,
    pub handles: RefCell<Handles>,
    /// Where its synchronous waits hear their outcome: one at a time, since each blocks the thread.
    pub answer: Arc<Answer>,
    /// May it be told to end while it waits synchronously? Worker threads may, the main thread may not. (To ask
    /// `node:worker_threads` which it is takes longer than to load all the rest of this package.)
    pub may_be_terminated: bool,
    pending: RefCell<HashMap<u64, Pending>>,
    bell: Cell<sys::napi_threadsafe_function>,
    /// How many requests have been made, at once or not, since the event loop came by.
    tried_at_once: Cell<u32>,
    pumping: Cell<bool>,
}

struct Pending {
    deferred: sys::napi_deferred,
    /// `None`: it is an inquiry.
    request: Option<Arc<Request>>,
}

impl State {
    /// The state of the environment that is calling us. It lives until Node has done with all its JavaScript.
    pub fn open(env: sys::napi_env) -> Result<Rc<Self>> {
        let state = Rc::new(Self {
            owner: Arc::new(Owner::on_this_thread()),
            mailbox: Arc::new(Mailbox::new()),
            handles: RefCell::default(),
            answer: Arc::new(Answer::on_this_thread()),
            may_be_terminated: !is_first_thread(),
            pending: RefCell::new(HashMap::new()),
            bell: Cell::new(ptr::null_mut()),
            tried_at_once: Cell::new(0),
            pumping: Cell::new(false),
        });
        let context = Rc::into_raw(state.clone()).cast_mut().cast::<c_void>();
        let mut name = ptr::null_mut();
        let mut bell = ptr::null_mut();
        // SAFETY: `env` is the environment that is calling us. `context` is a reference of its own, which
        // `drop_state` gives back when Node has done with the function.
        unsafe {
            check_status!(sys::napi_create_string_utf8(env, c"locket".as_ptr(), 6, &mut name))?;
            check_status!(sys::napi_create_threadsafe_function(
                env,
                ptr::null_mut(),
                ptr::null_mut(),
                name,
                0,
                1,
                context,
                Some(drop_state),
                context,
                Some(on_bell),
                &mut bell,
            ))?;
            check_status!(sys::napi_unref_threadsafe_function(env, bell))?;
            // After the function: hooks run last in, first out, so ours comes before Node closes it.
            check_status!(sys::napi_add_env_cleanup_hook(env, Some(on_end), context))?;
            state.mailbox.hang_bell(bell);
        }
        state.bell.set(bell);
        engine::attend(&state.mailbox);
        engine::attend(&state.answer);
        Ok(state)
    }

    /// A promise of the outcome of what is wished for.
    pub fn promise(&self, env: sys::napi_env, wish: Wish) -> Result<sys::napi_value> {
        self.promise_of(env, wish.token, || {
            let tried_at_once = self.tried_at_once.get();
            self.tried_at_once.set(tried_at_once.saturating_add(1));
            Some(engine::start(wish, tried_at_once < AT_ONCE))
        })
    }

    /// A promise of who holds the lock of `handle`; see [`engine::inquire`].
    pub fn promise_holders(
        &self,
        env: sys::napi_env,
        handle: Arc<Handle>,
        token: u64,
        limited: bool,
    ) -> Result<sys::napi_value> {
        self.promise_of(env, token, || {
            engine::inquire(handle, self.mailbox.clone(), token, limited);
            None
        })
    }

    /// A promise of the outcome that comes for `token`, of what `start` starts.
    fn promise_of(
        &self,
        env: sys::napi_env,
        token: u64,
        start: impl FnOnce() -> Option<Arc<Request>>,
    ) -> Result<sys::napi_value> {
        let mut deferred = ptr::null_mut();
        let mut promise = ptr::null_mut();
        // SAFETY: `env` is the environment that is calling us.
        check_status!(unsafe { sys::napi_create_promise(env, &mut deferred, &mut promise) })?;
        let request = start();
        let mut pending = self.pending.borrow_mut();
        pending.insert(token, Pending { deferred, request });
        if pending.len() == 1 {
            // SAFETY: called on the environment's thread; the function lives as long as the environment.
            unsafe { sys::napi_ref_threadsafe_function(env, self.bell.get()) };
        }
        drop(pending);
        self.look(env);
        Ok(promise)
    }

    /// Where the system has no thread to give, the event loop does the work, as long as promises are pending.
    fn pump(&self, env: sys::napi_env) {
        if self.pumping.get() {
            return;
        }
        let Some(pause) = engine::pump() else { return };
        self.settle(env);
        if !self.pending.borrow().is_empty() {
            let pause = pause.as_millis().clamp(1, 1000) as u32;
            self.pumping.set(self.set_timeout(env, pause).is_ok());
        }
    }

    /// Calls `pump` again after `pause` ms.
    fn set_timeout(&self, env: sys::napi_env, pause: u32) -> Result<()> {
        let context = ptr::from_ref(self).cast_mut().cast::<c_void>();
        let (mut global, mut set_timeout, mut callback, mut delay, mut timer) =
            (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: `env` is this thread's environment. The state outlives every callback of its event loop.
        unsafe {
            check_status!(sys::napi_get_global(env, &mut global))?;
            check_status!(sys::napi_get_named_property(
                env,
                global,
                c"setTimeout".as_ptr(),
                &mut set_timeout
            ))?;
            check_status!(sys::napi_create_function(
                env,
                ptr::null(),
                0,
                Some(on_pump),
                context,
                &mut callback
            ))?;
            check_status!(sys::napi_create_uint32(env, pause, &mut delay))?;
            check_status!(sys::napi_call_function(
                env,
                global,
                set_timeout,
                2,
                [callback, delay].as_ptr(),
                &mut timer
            ))
        }
    }

    /// What this process holds and waits for, in the order of arrival, together with what this environment has asked
    /// for a moment ago and is in no line yet.
    pub fn overview(&self) -> Overview {
        let own = self.pending.borrow().values().filter_map(|pending| pending.request.clone()).collect();
        engine::overview(own)
    }

    /// Gives up the wait that `token` names, if it is still under way.
    pub fn cancel(&self, env: sys::napi_env, token: u64) {
        let request = self.pending.borrow().get(&token).and_then(|pending| pending.request.clone());
        if let Some(request) = request {
            engine::cancel(&request, Reason::Aborted);
            self.look(env);
        }
    }

    /// Settles the promises of all outcomes that have come, and does what nobody else does. Every call that may bring
    /// some about ends with it.
    pub fn look(&self, env: sys::napi_env) {
        self.settle(env);
        self.pump(env);
    }

    /// Settles the promises of all outcomes that have come.
    fn settle(&self, env: sys::napi_env) {
        for (token, outcome) in self.mailbox.empty() {
            let Some(pending) = self.pending.borrow_mut().remove(&token) else { continue };
            let purpose = pending.request.map(|request| {
                engine::conclude(&request);
                request.purpose
            });
            // SAFETY: `env` is this thread's environment, and a deferred is settled once: it was just removed.
            // Where JavaScript cannot run any more this fails, and nobody is left to hear of it.
            unsafe {
                let value = match purpose {
                    None => ToNapiValue::to_napi_value(env, to_holders(outcome)),
                    Some(Purpose::Probe) => ToNapiValue::to_napi_value(env, to_answer(outcome)),
                    Some(_) => {
                        ToNapiValue::to_napi_value(env, to_refusal(outcome).map_or(Either::B(()), Either::A))
                    }
                };
                if let Ok(value) = value {
                    sys::napi_resolve_deferred(env, pending.deferred, value);
                }
            }
            if self.pending.borrow().is_empty() {
                // SAFETY: as for `napi_ref_threadsafe_function`.
                unsafe { sys::napi_unref_threadsafe_function(env, self.bell.get()) };
            }
        }
    }

    /// May JavaScript still run here? Not in a worker thread that has been told to end.
    pub fn can_run_javascript(&self, env: sys::napi_env) -> bool {
        let mut global = ptr::null_mut();
        let mut value = ptr::null_mut();
        // SAFETY: `env` is this thread's environment. Reading a property is refused where JavaScript may not
        // run; `undefined` is a plain property of the global object.
        unsafe {
            sys::napi_get_global(env, &mut global) == sys::Status::napi_ok
                && sys::napi_get_named_property(env, global, c"undefined".as_ptr(), &mut value)
                    == sys::Status::napi_ok
        }
    }
}

/// The bell has been rung: on the environment's thread, from its event loop.
unsafe extern "C" fn on_bell(env: sys::napi_env, _: sys::napi_value, context: *mut c_void, _: *mut c_void) {
    // Without an environment, Node is only emptying its queue.
    if !env.is_null() {
        // SAFETY: the context is the state, which lives until `drop_state`.
        let state = unsafe { &*context.cast::<State>() };
        state.tried_at_once.set(0);
        shielded(|| state.look(env));
    }
}

/// It is time to do what threads would do, if there were any.
unsafe extern "C" fn on_pump(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut context = ptr::null_mut();
    // SAFETY: the callback's data is the state (see `set_timeout`); nothing else is asked for.
    let state = unsafe {
        sys::napi_get_cb_info(env, info, ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), &mut context);
        &*context.cast::<State>()
    };
    shielded(|| {
        state.pumping.set(false);
        state.pump(env);
    });
    ptr::null_mut()
}

/// The environment ends: by itself, by `process.exit()`, or because its worker thread was terminated.
unsafe extern "C" fn on_end(context: *mut c_void) {
    // SAFETY: the context is the state, which lives until `drop_state`; Node calls that after this.
    let state = unsafe { &*context.cast::<State>() };
    shielded(|| {
        state.mailbox.close();
        engine::end(&state.owner);
        let pending = state.pending.take();
        pending.values().filter_map(|pending| pending.request.as_ref()).for_each(engine::conclude);
    });
}

/// Node has done with the threadsafe function.
unsafe extern "C" fn drop_state(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: gives back the reference that was made for the function, once.
    shielded(|| drop(unsafe { Rc::from_raw(data.cast::<State>()) }));
}

/// A panic must not unwind into Node.
fn shielded(task: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(task));
}
