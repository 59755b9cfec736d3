//! Unix: flock(2).

mod error;
mod file_id;
mod file_system;
mod lock_file;
mod open;

pub(crate) use error::{
    EAGAIN, LOCK_CALL, THREAD_CALL, UV_ENOTSUP, is_busy, is_out_of_descriptors, is_stale, is_unsupported,
    uv_errno,
};
pub(crate) use file_id::{FileId, file_id_at};
pub(crate) use file_system::{is_coherent_at, is_on_local_mount};
pub(crate) use open::{open, spare_descriptors};
