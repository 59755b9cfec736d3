//! Who holds the lock of a file, and who waits for it. Known where the system keeps a table of its locks that everybody may read.

#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub mod lock_table;
#[cfg(target_os = "linux")]
pub use linux::{LockedFile, Proc};

#[cfg(not(target_os = "linux"))]
mod unknown;
#[cfg(not(target_os = "linux"))]
pub use unknown::{LockedFile, Proc};
