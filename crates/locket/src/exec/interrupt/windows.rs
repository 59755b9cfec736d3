//! There is no calling back from LockFileEx, so nobody blocks in it, and neither of these is ever made.

/// The means to interrupt a thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupts(());

impl Interrupts {
    /// Always `None`: nobody may block.
    pub(crate) fn claim() -> Option<Self> {
        None
    }

    /// The calling thread.
    pub(crate) fn this_thread(self) -> WaitingThread {
        WaitingThread(())
    }

    /// Nothing to prepare.
    pub(crate) fn prepare_thread(self) {}
}

/// A thread that is blocked in the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingThread(());

impl WaitingThread {
    /// Does nothing.
    ///
    /// # Safety
    /// None needed; the name is shared with systems that need it.
    pub(crate) unsafe fn interrupt(self) {}
}
