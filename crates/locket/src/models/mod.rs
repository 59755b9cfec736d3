//! Loom models: every interleaving of small cases, on the real engine.
//!
//! Everything but the operating system is what users have: the engine, its workers, its timer thread. The system is a model
//! of flock(2), of the signal that interrupts a wait, and of paths that may name another file ([`kernel`]); the clock is
//! moved by the model. After each run the books are checked: every request has had exactly one outcome, no lock was held
//! twice, every file has been unlocked and closed, every thread has ended. A request that is forgotten leaves the model with
//! nothing but threads that wait, which loom reports.

mod kernel;
mod process;

mod engines;
mod failures;
mod paths;
mod probes;
mod queue;
mod waiting;
mod warm;
mod watching;

use kernel::Waits;
use process::Process;

/// Goes through all interleavings of `body` in which at most so many times a thread is stopped where it could go on.
fn model(preemptions: usize, waits: Waits, body: impl Fn(&Process) + Send + Sync + 'static) {
    model_with(preemptions, move || Process::new(waits), body);
}

/// The same for a process that `begin` returns.
fn model_with(
    preemptions: usize,
    begin: impl Fn() -> Process + Send + Sync + 'static,
    body: impl Fn(&Process) + Send + Sync + 'static,
) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    builder.check(move || {
        let process = begin();
        body(&process);
        process.end_model();
    });
}

/// Sets a model up: nothing is interleaved with anything else meanwhile.
fn set_up<T>(begin: impl FnOnce() -> T) -> T {
    loom::stop_exploring();
    let result = begin();
    loom::explore();
    result
}

/// Ends the part of a model that is its subject: from here on nothing is interleaved.
fn tidy_up() {
    loom::skip_branch();
}
