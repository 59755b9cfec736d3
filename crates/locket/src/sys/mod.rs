//! The operating system: files, locks and errors. Each system has its own module with the same names.
//!
//! | name | what it is |
//! |---|---|
//! | [`System`] | the operating system, as far as the engine needs it; models and tests have their own |
//! | [`LockFile`] | an open lock file |
//! | [`ThisSystem`] | the system that this library is built for |
//! | [`FileId`] | identifies a file, however its path is spelled |
//! | [`SystemError`], [`is_stale`], [`is_busy`], [`is_out_of_descriptors`] | errors, with the numbers and names that Node has for them |

mod protocol;
pub use protocol::{Protocol, ProtocolOptions};

mod system;
pub use system::LockMode;
pub(crate) use system::{LockFile, OpenHow, System};

mod error;
pub use error::SystemError;

mod quirks;
mod this_system;
pub(crate) use this_system::ThisSystem;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as platform;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

pub(crate) use platform::{FileId, is_busy, is_out_of_descriptors, is_stale};
