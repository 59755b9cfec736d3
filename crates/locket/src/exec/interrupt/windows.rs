//! LockFileEx cannot be interrupted, so no thread blocks in it, and neither of these types is ever constructed.

/// Interrupts of threads that block in the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupts(());

#[expect(clippy::unused_self, reason = "other systems need it")]
impl Interrupts {
    /// Returns `None`: no thread may block.
    pub(crate) fn claim() -> Option<Self> {
        None
    }

    /// Returns the calling thread.
    pub(crate) fn this_thread(self) -> WaitingThread {
        WaitingThread(())
    }

    /// Does nothing.
    pub(crate) fn prepare_thread(self) {}
}

/// A thread that is blocked in the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingThread(());

#[expect(clippy::unused_self, reason = "other systems need it")]
impl WaitingThread {
    /// Does nothing.
    ///
    /// # Safety
    /// None needed; the name is shared with systems that need it.
    pub(crate) unsafe fn interrupt(self) {}
}
