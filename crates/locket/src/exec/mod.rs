//! Threads: a pool of workers, a timer thread, and interrupts of threads in the kernel. Nothing here knows of locks.

mod at_exit;
mod guard;
mod interrupt;
mod pool;
pub(crate) mod thread;
mod timer;

pub use at_exit::at_exit;
pub(crate) use guard::Guard;
pub(crate) use interrupt::{Interrupts, WaitingThread};
pub(crate) use pool::{Job, Limits, Pool, is_worker};
pub(crate) use timer::{Due, TimerKey, TimerThread};
