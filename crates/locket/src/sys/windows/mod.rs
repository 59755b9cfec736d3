//! Windows: LockFileEx over the whole file, tried again and again. A thread that waits in it can be interrupted only by
//! closing its file.

mod error;
mod file;

pub(crate) use error::{
    EAGAIN, LOCK_CALL, THREAD_CALL, UV_ENOTSUP, is_busy, is_out_of_descriptors, is_stale, is_unsupported,
    uv_errno,
};
pub(crate) use file::{FileId, is_coherent_at, is_on_local_mount, lock_id_at, open, spare_descriptors};
