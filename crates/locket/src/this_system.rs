//! The system that this library is built for.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::exec::Interrupts;
use crate::existence::ExistenceLock;
use crate::sys::quirks::Platform;
use crate::sys::{
    self, FileId, KernelLock, LockFile, LockMode, OpenHow, Protocol, ProtocolOptions, System, Watcher,
};

/// The operating system itself, and the locks that are kept on it.
pub(crate) struct ThisSystem {
    /// `None`: no thread waits in the kernel.
    interrupts: Option<Interrupts>,
    /// Tells waits for locks by existence of changes. Started when it is first needed; `None` where there is none.
    watcher: Arc<OnceLock<Option<Watcher>>>,
}

impl ThisSystem {
    /// Returns the system, with waits in the kernel where it has them.
    pub(crate) fn new() -> Self {
        Self { interrupts: Interrupts::claim(), watcher: Arc::default() }
    }

    /// Returns the system with paced waits alone, as where no thread can wait in the kernel.
    pub(crate) fn paced() -> Self {
        Self { interrupts: None, watcher: Arc::new(OnceLock::from(None)) }
    }
}

impl System for ThisSystem {
    fn open(&self, path: &Path, how: &OpenHow) -> io::Result<Box<dyn LockFile>> {
        Ok(if how.protocol.protocol.is_kept_by_kernel() {
            available(how.protocol.protocol)?;
            Box::new(sys::open(path, how)?)
        } else {
            Box::new(ExistenceLock::open(path, how, self.watcher.clone())?)
        })
    }

    fn lock_id_at(&self, path: &Path, protocol: &ProtocolOptions) -> io::Result<Option<FileId>> {
        if protocol.protocol.is_kept_by_kernel() {
            sys::lock_id_at(path, available(protocol.protocol)?)
        } else {
            ExistenceLock::id_at(path, protocol)
        }
    }

    fn is_coherent_at(&self, folder: &Path) -> bool {
        sys::is_coherent_at(folder)
    }

    fn refresh(&self, folder: &Path) -> bool {
        sys::refresh(folder)
    }

    fn is_on_local_mount(&self, path: &Path) -> bool {
        sys::is_on_local_mount(path)
    }

    fn spare_descriptors(&self) -> usize {
        sys::spare_descriptors()
    }

    fn interrupts(&self, mode: LockMode) -> Option<Interrupts> {
        self.interrupts.filter(|_| Platform::THIS.blocks_in_kernel(mode))
    }
}

/// Returns the kernel's lock that keeps a lock of this protocol. Fails if this system does not have it.
fn available(protocol: Protocol) -> io::Result<KernelLock> {
    let lock = KernelLock::of(protocol);
    if lock.is_available() { Ok(lock) } else { Err(io::ErrorKind::Unsupported.into()) }
}
