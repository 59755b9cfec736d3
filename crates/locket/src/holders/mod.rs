//! The processes that hold a lock, and those that wait for it. They are known where the system has a table of locks that
//! every process may read.

#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) mod lock_table;
#[cfg(target_os = "linux")]
pub(crate) use linux::{LockedFile, Proc};

#[cfg(all(test, target_os = "linux", not(loom)))]
pub(crate) mod world;

#[cfg(not(target_os = "linux"))]
mod unknown;
#[cfg(not(target_os = "linux"))]
pub(crate) use unknown::{LockedFile, Proc};

pub use crate::sys::Holder;

/// The processes that a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// Those that hold the lock.
    Holders,
    /// Those that wait for it in the kernel.
    Waiters,
}
