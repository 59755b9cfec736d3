//! Windows: LockFileEx over the whole file, tried again and again, since a thread that waits in it can be interrupted only by
//! closing its file; and directory entries.

mod error;
mod file;
mod lock_entry;
mod processes;

pub(crate) use error::{
    EAGAIN, LOCK_CALL, THREAD_CALL, UV_ENOTSUP, invalid_argument, is_busy, is_out_of_descriptors, is_stale,
    is_unsupported, uv_errno,
};
pub use file::FileId;
pub(crate) use file::{is_coherent_at, is_on_local_mount, lock_id_at, open, refresh, spare_descriptors};
pub(crate) use lock_entry::{Entry, Folder, Private};
pub(crate) use processes::{host_name, own_start, pid_namespace, process, runs_elsewhere};

pub(crate) use super::no_watch::{Watch, Watcher};
