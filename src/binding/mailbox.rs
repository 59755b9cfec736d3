//! How outcomes come home: from any thread to the one thread of an environment, in batches.
//!
//! One threadsafe function an environment, called once however many outcomes are waiting.

use std::cell::Cell;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::sys;

use crate::core::request::{Outcome, Reply};
use crate::core::sync::Mutex;

thread_local! {
    /// The mailbox of the environment that is calling us on this thread.
    static ATTENDED: Cell<*const Mailbox> = const { Cell::new(ptr::null()) };
}

/// What has come for an environment, and the bell to ring when something has.
pub struct Mailbox {
    /// Has something come? A look before the lock: mostly nothing has.
    filled: AtomicBool,
    state: Mutex<State>,
}

struct State {
    letters: Vec<(u64, Outcome)>,
    /// The bell has been rung, and the environment has not looked since.
    rung: bool,
    bell: Option<Bell>,
}

#[derive(Clone, Copy)]
struct Bell(sys::napi_threadsafe_function);

// SAFETY: a threadsafe function may be called on any thread.
unsafe impl Send for Bell {}

impl Mailbox {
    /// An empty mailbox. It has no bell yet.
    pub fn new() -> Self {
        Self {
            filled: AtomicBool::new(false),
            state: Mutex::new(State { letters: Vec::new(), rung: false, bell: None }),
        }
    }

    /// From now on, `bell` is called when something has come.
    ///
    /// # Safety
    /// `bell` is valid until [`Mailbox::close`] is called.
    pub unsafe fn hang_bell(&self, bell: sys::napi_threadsafe_function) {
        self.state.lock().bell = Some(Bell(bell));
    }

    /// Runs `work`, after which the calling thread looks into this mailbox: until then the bell need not be rung for what
    /// this thread brings about. A thread may have several environments, so it goes by the mailbox, not by the thread.
    pub fn attended<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Also after a panic.
        struct Restore(*const Mailbox);
        impl Drop for Restore {
            fn drop(&mut self) {
                ATTENDED.set(self.0);
            }
        }
        let _restore = Restore(ATTENDED.replace(self));
        work()
    }

    /// All that has come.
    pub fn empty(&self) -> Vec<(u64, Outcome)> {
        if !self.filled.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut state = self.state.lock();
        self.filled.store(false, Ordering::Relaxed);
        state.rung = false;
        mem::take(&mut state.letters)
    }

    /// The outcome for `token`, if it has come.
    pub fn take(&self, token: u64) -> Option<Outcome> {
        if !self.filled.load(Ordering::Acquire) {
            return None;
        }
        let letters = &mut self.state.lock().letters;
        // Searched from the end: if it is there, it has just come.
        let index = letters.iter().rposition(|&(other, _)| other == token)?;
        Some(letters.remove(index).1)
    }

    /// The environment ends: nothing is called any more, and what comes is dropped.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.bell = None;
        state.letters.clear();
    }
}

impl Reply for Mailbox {
    fn deliver(&self, token: u64, outcome: Outcome) {
        let mut state = self.state.lock();
        if state.bell.is_some() {
            state.letters.push((token, outcome));
            self.ring(&mut state);
        }
    }

    fn announce(&self) {
        self.ring(&mut self.state.lock());
    }
}

impl Mailbox {
    /// Has the environment look here.
    fn ring(&self, state: &mut State) {
        self.filled.store(true, Ordering::Release);
        if let Some(Bell(bell)) = state.bell
            && !state.rung
            && !ptr::eq(ATTENDED.get(), self)
        {
            state.rung = true;
            // SAFETY: valid, since `close` has not been called, and cannot be while the state is locked.
            // Non-blocking; it takes no lock that is held while Node calls back.
            unsafe {
                sys::napi_call_threadsafe_function(
                    bell,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                );
            }
        }
    }
}
