//! Unix: flock(2), and a signal of our own.

mod cached;
mod error;
mod file;
mod file_system;
mod interrupt;
mod thread;

pub use cached::open_cached;
pub use error::{EAGAIN, LOCK_CALL, THREAD_CALL, UV_ENOTSUP, is_busy, is_stale, is_unsupported, uv_errno};
pub use file::{Identity, OpenFile, identity_at, open, pin_library};
pub use file_system::{is_coherent_at, is_on_local_mount};
pub use interrupt::{Interrupts, WaitingThread};
pub use thread::{ThreadNumber, is_asleep, is_first_thread, this_thread_number};
