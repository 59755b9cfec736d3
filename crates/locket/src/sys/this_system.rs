//! The system that this library is built for.

use std::io;
use std::path::Path;

use super::quirks::Platform;
use super::{FileId, LockFile, LockMode, OpenHow, ProtocolOptions, System, platform};
use crate::exec::Interrupts;

/// The operating system itself.
pub(crate) struct ThisSystem {
    /// `None`: no thread waits in the kernel.
    interrupts: Option<Interrupts>,
}

impl ThisSystem {
    /// Returns the system, with waits in the kernel where it has them.
    pub(crate) fn new() -> Self {
        Self { interrupts: Interrupts::claim() }
    }

    /// Returns the system with paced waits alone, as where no thread can wait in the kernel.
    pub(crate) fn paced() -> Self {
        Self { interrupts: None }
    }
}

impl System for ThisSystem {
    fn open(&self, path: &Path, how: &OpenHow) -> io::Result<Box<dyn LockFile>> {
        Ok(Box::new(platform::open(path, how)?))
    }

    fn lock_id_at(&self, path: &Path, protocol: &ProtocolOptions) -> io::Result<Option<FileId>> {
        let _ = protocol;
        platform::file_id_at(path)
    }

    fn is_coherent_at(&self, folder: &Path) -> bool {
        platform::is_coherent_at(folder)
    }

    fn is_on_local_mount(&self, path: &Path) -> bool {
        platform::is_on_local_mount(path)
    }

    fn spare_descriptors(&self) -> usize {
        platform::spare_descriptors()
    }

    fn interrupts(&self, mode: LockMode) -> Option<Interrupts> {
        self.interrupts.filter(|_| Platform::THIS.blocks_in_kernel(mode))
    }
}
