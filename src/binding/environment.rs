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
use crate::core::holder::Party;
use crate::core::request::{Outcome, Overview, Owner, Purpose, Reason, Request, Wish};

/// How many requests may be tried on the environment's own thread before one has to take the way by another thread, and
/// so by the event loop: or a loop that acquires and releases would keep everything else from its turn.
const AT_ONCE: u32 = 64;

thread_local! {
    /// The states of this thread's environments, each with the Node-API environment that has made it.
    static STATES: RefCell<Vec<(sys::napi_env, Rc<State>)>> = const { RefCell::new(Vec::new()) };
}

/// The state of an environment. Lives on its thread.
pub struct State {
    pub owner: Arc<Owner>,
    pub mailbox: Arc<Mailbox>,
    pub handles: RefCell<Handles>,
    /// Where its synchronous waits hear their outcome: one at a time, since each blocks the thread.
    pub answer: Arc<Answer>,
    pending: RefCell<HashMap<u64, Pending>>,
    bell: Cell<sys::napi_threadsafe_function>,
    /// How many requests have been made, at once or not, since the event loop came by.
    tried_at_once: Cell<u32>,
}

struct Pending {
    deferred: sys::napi_deferred,
    /// `None`: it is an inquiry.
    request: Option<Arc<Request>>,
}

impl State {
    /// The state of the environment that is calling us: one, however often this package is loaded there. It lives until
    /// Node has done with all its JavaScript.
    pub fn of(env: sys::napi_env) -> Result<Rc<Self>> {
        // Node makes a Node-API environment for each load of the addon. Those with one global object live and end together.
        let known = STATES.with_borrow(|states| {
            let of_same_global = |(other, _): &&(sys::napi_env, _)| have_same_global(env, *other);
            states.iter().find(of_same_global).map(|(_, state)| state.clone())
        });
        match known {
            Some(state) => Ok(state),
            None => {
                let state = Self::open(env)?;
                STATES.with_borrow_mut(|states| states.push((env, state.clone())));
                Ok(state)
            }
        }
    }

    fn open(env: sys::napi_env) -> Result<Rc<Self>> {
        let state = Rc::new(Self {
            owner: Arc::new(Owner::on_this_thread()),
            mailbox: Arc::new(Mailbox::new()),
            handles: RefCell::default(),
            answer: Arc::new(Answer::on_this_thread()),
            pending: RefCell::new(HashMap::new()),
            bell: Cell::new(ptr::null_mut()),
            tried_at_once: Cell::new(0),
        });
        let context = Rc::into_raw(state.clone()).cast_mut().cast::<c_void>();
        let mut name = ptr::null_mut();
        let mut resource = ptr::null_mut();
        let mut has_ref = ptr::null_mut();
        let mut bell = ptr::null_mut();
        // SAFETY: `env` is the environment that is calling us. `context` is a reference of its own, which
        // `drop_state` gives back when Node has done with the function.
        unsafe {
            check_status!(sys::napi_create_string_utf8(env, c"locket".as_ptr(), 6, &mut name))?;
            // Tools that list open handles, such as Jest, ask them whether they keep the process alive.
            check_status!(sys::napi_create_object(env, &mut resource))?;
            check_status!(sys::napi_create_function(
                env,
                c"hasRef".as_ptr(),
                6,
                Some(has_pending),
                context,
                &mut has_ref
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
        Ok(state)
    }

    /// Returns the outcome of `wish` if it is there at once, or a promise of it.
    pub fn outcome_or_promise(&self, env: sys::napi_env, wish: Wish) -> Result<sys::napi_value> {
        let tried_at_once = self.tried_at_once.get();
        self.tried_at_once.set(tried_at_once.saturating_add(1));
        let token = wish.token;
        let request = engine::start(wish, tried_at_once < AT_ONCE);
        match self.mailbox.take(token) {
            Some(outcome) => {
                engine::conclude(&request);
                to_value(env, Some(request.purpose), outcome)
            }
            None => self.promise_of(env, token, Some(request.clone())).inspect_err(|_| {
                // JavaScript cannot run any more: nobody would hear of the lock, nor release it.
                engine::cancel(&request, Reason::Aborted);
                request.handle.receive(token);
                engine::release_own(&request.handle, |own| own.token == token);
            }),
        }
    }

    /// A promise of the processes that hold the lock of `handle`, or wait for it; see [`engine::inquire`].
    pub fn promise_holders(
        &self,
        env: sys::napi_env,
        handle: Arc<Handle>,
        party: Party,
        token: u64,
        limited: bool,
    ) -> Result<sys::napi_value> {
        engine::inquire(handle, party, self.mailbox.clone(), token, limited);
        self.promise_of(env, token, None)
    }

    /// A promise of the outcome that comes for `token`, of `request` or of an inquiry.
    fn promise_of(
        &self,
        env: sys::napi_env,
        token: u64,
        request: Option<Arc<Request>>,
    ) -> Result<sys::napi_value> {
        let mut deferred = ptr::null_mut();
        let mut promise = ptr::null_mut();
        // SAFETY: `env` is the environment that is calling us.
        check_status!(unsafe { sys::napi_create_promise(env, &mut deferred, &mut promise) })?;
        let mut pending = self.pending.borrow_mut();
        pending.insert(token, Pending { deferred, request });
        if pending.len() == 1 {
            // SAFETY: called on the environment's thread; the function lives as long as the environment.
            unsafe { sys::napi_ref_threadsafe_function(env, self.bell.get()) };
        }
        Ok(promise)
    }

    /// What this process holds and waits for, in the order of arrival, together with what this environment has asked
    /// for a moment ago and is in no line yet.
    pub fn overview(&self) -> Overview {
        let own = self.pending.borrow().values().filter_map(|pending| pending.request.clone()).collect();
        engine::overview(own)
    }

    /// Gives up the wait that `token` names, if it is still under way.
    pub fn cancel(&self, token: u64) {
        let request = self.pending.borrow().get(&token).and_then(|pending| pending.request.clone());
        if let Some(request) = request {
            engine::cancel(&request, Reason::Aborted);
        }
    }

    /// Settles the promises of all outcomes that have come.
    pub fn settle(&self, env: sys::napi_env) {
        for (token, outcome) in self.mailbox.empty() {
            let Some(pending) = self.pending.borrow_mut().remove(&token) else { continue };
            let purpose = pending.request.map(|request| {
                engine::conclude(&request);
                request.purpose
            });
            if let Ok(value) = to_value(env, purpose, outcome) {
                // SAFETY: `env` is this thread's environment, and a deferred is settled once: it was just removed. Where
                // JavaScript cannot run any more this fails, and nobody is left to hear of it.
                unsafe { sys::napi_resolve_deferred(env, pending.deferred, value) };
            }
            if self.pending.borrow().is_empty() {
                // SAFETY: as for `napi_ref_threadsafe_function`.
                unsafe { sys::napi_unref_threadsafe_function(env, self.bell.get()) };
            }
        }
    }

    /// Returns whether JavaScript can still run here. It cannot in a worker thread that has been told to end, nor in a
    /// `node:vm` script whose time is up.
    pub fn can_run_javascript(&self, env: sys::napi_env) -> bool {
        let mut scope = ptr::null_mut();
        let mut script = ptr::null_mut();
        let mut value = ptr::null_mut();
        // SAFETY: `env` is this thread's environment. The script does nothing: it is run to see whether it can be. What it
        // makes goes with the scope: a wait may ask this for days.
        unsafe {
            if sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
                return false;
            }
            let can = sys::napi_create_string_utf8(env, c"0".as_ptr(), 1, &mut script)
                == sys::Status::napi_ok
                && sys::napi_run_script(env, script, &mut value) == sys::Status::napi_ok;
            sys::napi_close_handle_scope(env, scope);
            can
        }
    }
}

/// The JavaScript value of an outcome: of a request with this purpose, or of an inquiry.
fn to_value(env: sys::napi_env, purpose: Option<Purpose>, outcome: Outcome) -> Result<sys::napi_value> {
    // SAFETY: `env` is the environment of the calling thread.
    unsafe {
        match purpose {
            None => ToNapiValue::to_napi_value(env, to_holders(outcome)),
            Some(Purpose::Probe) => ToNapiValue::to_napi_value(env, to_answer(outcome)),
            Some(_) => ToNapiValue::to_napi_value(env, to_refusal(outcome).map_or(Either::B(()), Either::A)),
        }
    }
}

/// Returns whether these two environments of this thread have the same global object.
fn have_same_global(env: sys::napi_env, other: sys::napi_env) -> bool {
    let (mut own, mut others, mut same) = (ptr::null_mut(), ptr::null_mut(), false);
    // SAFETY: `env` is calling us, and `other` has not ended: `on_end` forgets those that have.
    unsafe {
        sys::napi_get_global(env, &mut own) == sys::Status::napi_ok
            && sys::napi_get_global(other, &mut others) == sys::Status::napi_ok
            && sys::napi_strict_equals(env, own, others, &mut same) == sys::Status::napi_ok
            && same
    }
}

/// The `hasRef` of our resource: returns whether promises keep the event loop alive.
unsafe extern "C" fn has_pending(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (mut context, mut result) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the callback's data is the state, which outlives all JavaScript of its environment; nothing else is asked for.
    unsafe {
        sys::napi_get_cb_info(env, info, ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), &mut context);
        let pending = !(*context.cast::<State>()).pending.borrow().is_empty();
        sys::napi_get_boolean(env, pending, &mut result);
    }
    result
}

/// The bell has been rung: on the environment's thread, from its event loop.
unsafe extern "C" fn on_bell(env: sys::napi_env, _: sys::napi_value, context: *mut c_void, _: *mut c_void) {
    // Without an environment, Node is only emptying its queue.
    if !env.is_null() {
        // SAFETY: the context is the state, which lives until `drop_state`.
        let state = unsafe { &*context.cast::<State>() };
        state.tried_at_once.set(0);
        shielded(|| state.mailbox.attended(|| state.settle(env)));
    }
}

/// The environment ends: by itself, by `process.exit()`, or because its worker thread was terminated.
unsafe extern "C" fn on_end(context: *mut c_void) {
    // SAFETY: the context is the state, which lives until `drop_state`; Node calls that after this.
    let state = unsafe { &*context.cast::<State>() };
    shielded(|| {
        STATES.with_borrow_mut(|states| states.retain(|(_, other)| !ptr::eq(&**other, state)));
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
