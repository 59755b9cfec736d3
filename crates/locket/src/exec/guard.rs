//! A function that is called at the end of a scope, also if a panic ends it.

/// Calls its function when it is dropped, unless it has been disarmed.
pub(crate) struct Guard<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Guard<F> {
    /// Returns a guard that calls `act` when it is dropped.
    pub(crate) fn new(act: F) -> Self {
        Self(Some(act))
    }

    /// Drops the guard without calling its function.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for Guard<F> {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}
