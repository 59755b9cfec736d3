//! What differs by operating system: the same names in each module, chosen here.
//!
//! | name | what it is |
//! |---|---|
//! | [`Identity`] | which file it is, however its path is spelled |
//! | [`open`] | opens, and if asked creates, a lock file |
//! | [`open_cached`] | opens one, if that takes no waiting |
//! | [`identity_at`] | which file a path names |
//! | [`Interrupts`], [`WaitingThread`] | how a thread is called back from the kernel's queue |
//! | [`LockedFile`], [`Proc`] | who holds a lock |
//! | [`is_first_thread`] | the thread that the process began with |
//! | [`uv_errno`], [`is_unsupported`], [`LOCK_CALL`], [`THREAD_CALL`], [`EAGAIN`] | errors, as Node tells them |

mod holders;
pub use holders::*;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;
