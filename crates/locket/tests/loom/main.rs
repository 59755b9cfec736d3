//! Models of a lock file's queue, and of what drives it, run over every interleaving that loom can find:
//! `npm run test:loom`.
//!
//! The queue, the turns taken on it and the timekeeper are the real ones; the kernel is a model of flock(2) and of the
//! signal that calls a thread back, and the clock is moved by the model. After each run the books are checked: every
//! request has exactly one outcome, the kernel's lock is held exactly if somebody holds it, and nobody is left in line
//! who could be let in.
#![cfg(loom)]

mod kernel;
mod process;

mod failures;
mod paths;
mod queue;
mod waiting;

/// How often a thread is stopped in the middle, at most, in models with too many interleavings to go through all of
/// them: where a signal is sent until it arrives, or time passes.
const PREEMPTIONS: usize = 3;

/// Goes through all interleavings of `body` with so few preemptions.
fn bounded_model(body: impl Fn() + Send + Sync + 'static) {
    model_with(PREEMPTIONS, body);
}

/// The same with at most `preemptions`.
fn model_with(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}
