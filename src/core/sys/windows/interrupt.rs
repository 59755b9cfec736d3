//! There is no calling back from LockFileEx, so nobody blocks in it. Both types have no values.

/// The means to interrupt a thread: none.
#[derive(Clone, Copy, Debug)]
pub enum Interrupts {}

impl Interrupts {
    /// Always `None`: nobody may block.
    pub fn claim() -> Option<Self> {
        None
    }

    /// Cannot be called.
    pub fn this_thread(self) -> WaitingThread {
        match self {}
    }

    /// Cannot be called.
    pub fn prepare_thread(self) {
        match self {}
    }
}

/// A thread that is blocked in the kernel: none ever is.
#[derive(Clone, Copy, Debug)]
pub enum WaitingThread {}

impl WaitingThread {
    /// Cannot be called.
    ///
    /// # Safety
    /// The type has no values.
    pub unsafe fn interrupt(self) {
        match self {}
    }
}
