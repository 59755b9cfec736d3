//! The operating system: files, locks and errors. Each system has its own module with the same names.
//!
//! | name | what it is |
//! |---|---|
//! | [`System`] | the operating system, as far as the engine needs it; models and tests have their own |
//! | [`LockFile`] | an open lock file |
//! | [`Folder`], [`Entry`], [`Private`] | lock entries: what is in a folder, open, or not known to others yet |
//! | [`Watcher`], [`Watch`] | tell of changes |
//! | [`KernelLock`] | which of the kernel's locks a file is locked by |
//! | [`FileId`] | identifies the lock of a file, however its path is spelled |
//! | [`SystemError`], [`is_stale`], [`is_busy`], [`is_out_of_descriptors`] | errors, with the numbers and names that Node has for them |

mod kernel_lock;
pub(crate) use kernel_lock::KernelLock;

mod protocol;
pub use protocol::{Protocol, ProtocolOptions};

mod system;
pub(crate) use system::{Changes, FoundHolders, LockFile, OpenHow, System, Waker};
pub use system::{Holder, LockMode};

mod error;
pub(crate) use error::CallError;
pub use error::SystemError;

pub(crate) mod lock_entry;

mod process;
pub(crate) use process::{Process, ProcessWatch, Start};

pub(crate) mod quirks;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod no_watch;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as platform;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

pub use platform::FileId;
pub(crate) use platform::{
    Entry, Folder, Private, Watch, Watcher, host_name, invalid_argument, is_busy, is_coherent_at,
    is_on_local_mount, is_out_of_descriptors, is_stale, lock_id_at, open, own_start, pid_namespace, process,
    refresh, runs_elsewhere, spare_descriptors,
};
