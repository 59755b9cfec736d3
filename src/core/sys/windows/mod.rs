//! Windows: LockFileEx over the whole file, tried again and again: a thread that waits in it cannot be called
//! back without closing the file under it.

mod error;
mod file;
mod interrupt;
mod thread;

pub use error::{EAGAIN, LOCK_CALL, THREAD_CALL, is_unsupported, uv_errno};
pub use file::{Identity, OpenFile, identity_at, open, open_cached, pin_library};
pub use interrupt::{Interrupts, WaitingThread};
pub use thread::is_first_thread;
