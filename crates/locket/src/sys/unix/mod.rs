//! Unix: flock(2), fcntl(2), and directory entries.

mod error;
mod file_id;
mod file_system;
mod folder;
mod kernel_lock;
mod lock_entry;
mod lock_file;
mod mark;
mod open;
mod processes;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod watch;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use super::no_watch::{Watch, Watcher};
pub(crate) use error::{
    EAGAIN, LOCK_CALL, THREAD_CALL, UV_ENOTSUP, invalid_argument, is_busy, is_out_of_descriptors, is_stale,
    is_unsupported, uv_errno,
};
pub use file_id::FileId;
pub(crate) use file_id::lock_id_at;
pub(crate) use file_system::{is_coherent_at, is_on_local_mount, refresh};
pub(crate) use folder::Folder;
pub(crate) use lock_entry::{Entry, Private};
pub(crate) use open::{open, spare_descriptors};
pub(crate) use processes::{host_name, own_start, pid_namespace, process, runs_elsewhere};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use watch::{Watch, Watcher};
