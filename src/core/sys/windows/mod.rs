//! Windows: LockFileEx over the whole file, tried again and again: a thread that waits in it cannot be called
//! back without closing the file under it.

mod error;
mod file;
mod interrupt;
mod thread;

pub use error::{EAGAIN, LOCK_CALL, THREAD_CALL, UV_ENOTSUP, is_busy, is_stale, is_unsupported, uv_errno};
pub use file::{
    Identity, OpenFile, identity_at, is_coherent_at, is_on_local_mount, open, open_cached, pin_library,
};
pub use interrupt::{Interrupts, WaitingThread};
pub use thread::{ThreadNumber, is_asleep, is_first_thread, this_thread_number};
