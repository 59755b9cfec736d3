//! What differs by operating system: the same names in each module, chosen here.
//!
//! | name | what it is |
//! |---|---|
//! | [`Identity`] | which file it is, however its path is spelled |
//! | [`open`], [`Opening`] | opens, and if asked creates, a lock file |
//! | [`open_cached`] | opens one, if that takes no waiting |
//! | [`identity_at`] | which file a path names |
//! | [`is_on_local_mount`], [`is_coherent_at`] | what kind of file system a path leads to |
//! | [`Interrupts`], [`WaitingThread`], [`blocks_in_kernel`] | how a thread is called back from the kernel's queue |
//! | [`LockedFile`], [`Proc`] | who holds a lock |
//! | [`is_first_thread`] | the thread that the process began with |
//! | [`this_thread_number`], [`is_asleep`] | whether a thread is stuck, or only late |
//! | [`uv_errno`], [`is_unsupported`], [`is_stale`], [`is_busy`], [`LOCK_CALL`], [`THREAD_CALL`], [`EAGAIN`] | errors, as Node tells them |

mod holders;
pub use holders::*;

mod system;
pub use system::{System, blocks_in_kernel};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;

/// How a lock file is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The permission bits, before the umask, with which the file is created if it is missing. `None`: it is not created.
    pub create: Option<u32>,
    /// A folder is opened too (on Unix). Otherwise it is EISDIR.
    pub allow_directory: bool,
}
