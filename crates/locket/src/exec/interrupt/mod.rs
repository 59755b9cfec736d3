//! Interrupting a thread that waits in the kernel.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::{Interrupts, WaitingThread};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::{Interrupts, WaitingThread};
